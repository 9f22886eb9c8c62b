package smbios

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// sample is a table of three structures: one with two strings, one without any, and the end of the table.
func sample() []byte {
	return slices.Concat(
		[]byte{2, 8, 0x00, 0x02, 1, 2, 0, 0}, []byte("maker\x00board\x00\x00"),
		[]byte{32, 11, 0x00, 0x20, 0, 0, 0, 0, 0, 0, 0}, []byte{0, 0},
		[]byte{127, 4, 0x00, 0x7f}, []byte{0, 0},
	)
}

func TestParse(t *testing.T) {
	got, err := Parse(sample())
	if err != nil {
		t.Fatal(err)
	}
	want := []Structure{
		{Type: 2, Handle: 0x200, Off: 0, Formatted: []byte{2, 8, 0x00, 0x02, 1, 2, 0, 0}, Strings: []string{"maker", "board"}},
		{Type: 32, Handle: 0x2000, Off: 21, Formatted: []byte{32, 11, 0x00, 0x20, 0, 0, 0, 0, 0, 0, 0}},
		{Type: 127, Handle: 0x7f00, Off: 34, Formatted: []byte{127, 4, 0x00, 0x7f}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestParseRejects(t *testing.T) {
	edit := func(off int, b ...byte) []byte {
		s := sample()
		copy(s[off:], b)
		return s
	}
	for _, tc := range []struct {
		name  string
		table []byte
		off   int64
		want  error
		field string
	}{
		{"empty", nil, 0, bin.ErrTruncated, "Type"},
		{"no end of table", sample()[:34], 34, bin.ErrTruncated, "Type"},
		{"half a header", sample()[:36], 34, bin.ErrTruncated, "header"},
		{"formatted area shorter than the header", edit(1, 3), 1, bin.ErrMalformed, "Length"},
		{"formatted area past the end", edit(35, 5)[:38], 35, bin.ErrTruncated, "Length"},
		{"strings past the end", sample()[:12], 8, bin.ErrTruncated, "strings"},
		{"no NUL behind the strings", sample()[:20], 20, bin.ErrTruncated, "strings"},
		{"one NUL where there is no string", sample()[:39], 39, bin.ErrTruncated, "strings"},
		{"empty first string", edit(8, 0), 8, bin.ErrMalformed, "strings"},
		{"handle of another", edit(23, 0x00, 0x02), 23, bin.ErrMalformed, "Handle"},
		{"something behind the end of table", append(sample(), 0), 40, bin.ErrMalformed, "end of table"},
		{"end of table in the middle", edit(21, 127), 34, bin.ErrMalformed, "end of table"},
		{"too large", make([]byte, bin.MaxSMBIOS+1), 0, bin.ErrUnsupported, "table"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Parse(tc.table)
			var f *bin.FormatError
			if !errors.As(err, &f) || !errors.Is(err, tc.want) || f.Off != tc.off || f.Field != tc.field {
				t.Errorf("got %v, want %s at offset 0x%x, %v", err, tc.field, tc.off, tc.want)
			}
			if got != nil {
				t.Errorf("got %d structures beside the error", len(got))
			}
		})
	}
}

// TestFieldsTell holds what explanations need: whichever byte of a structure changes, its fields do.
func TestFieldsTell(t *testing.T) {
	for _, s := range parsed(t, everything(t).Structures) {
		l := layouts[s.Type]
		if l.name == "" {
			t.Fatalf("type %d has no layout", s.Type)
		}
		if n := len(l.fields); n > 0 && s.Type != 11 && l.fields[n-1].off+l.fields[n-1].size < len(s.Formatted) {
			t.Errorf("type %d: fields end at 0x%x, the formatted area at 0x%x", s.Type, l.fields[n-1].off+l.fields[n-1].size, len(s.Formatted))
		}
		before := s.Fields()
		for i := headerSize; i < len(s.Formatted); i++ {
			changed := s
			changed.Formatted = bytes.Clone(s.Formatted)
			changed.Formatted[i] ^= 0x40
			if cmp.Equal(before, changed.Fields()) {
				t.Errorf("type %d: a change of byte 0x%02x does not show", s.Type, i)
			}
		}
		for i := range s.Strings {
			changed := s
			changed.Strings = slices.Clone(s.Strings)
			changed.Strings[i] += "x"
			if cmp.Equal(before, changed.Fields()) {
				t.Errorf("type %d: a change of string %d does not show", s.Type, i+1)
			}
		}
	}
}

// TestLayouts checks that the fields of each type lie one behind the other.
func TestLayouts(t *testing.T) {
	for typ, l := range layouts {
		at := headerSize
		for _, f := range l.fields {
			if f.off != at {
				t.Errorf("type %d: %s is at 0x%02x, want 0x%02x", typ, f.name, f.off, at)
			}
			at = f.off + f.size
		}
	}
}

func TestString(t *testing.T) {
	s := Structure{Type: 1, Handle: 0x100, Formatted: slices.Concat([]byte{1, 25, 0, 1, 1, 0, 3, 0},
		[]byte{0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}, []byte{6}), Strings: []string{"QEMU", "un\"named"}}
	want := `Type 1, handle 0x0100: System Information
    Manufacturer: "QEMU"
    Product Name: none
    Version: string 3, which is absent
    Serial Number: none
    UUID: 00112233-4455-6677-8899-aabbccddeeff
    Wake-up Type: 6
    String 2: "un\"named"
`
	if d := cmp.Diff(strings.Split(want, "\n"), strings.Split(s.String(), "\n")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	oem := Structure{Type: 200, Handle: 7, Formatted: []byte{200, 6, 7, 0, 0xab, 0xcd}}
	if got, want := oem.String(), "Type 200, handle 0x0007: Type 200\n    Bytes from 0x04: abcd\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func parsed(t testing.TB, table []byte) []Structure {
	t.Helper()
	s, err := Parse(table)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
