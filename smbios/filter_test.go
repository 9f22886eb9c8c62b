package smbios

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// structure makes one with a formatted area of length bytes that counts up from its header on.
func structure(typ uint8, length int, handle uint8, fields map[int]byte, texts ...string) []byte {
	s := make([]byte, length)
	for i := range s {
		s[i] = uint8(0x80 + i)
	}
	s[0], s[1], s[2], s[3] = typ, uint8(length), handle, 0
	for off, v := range fields {
		s[off] = v
	}
	for _, x := range texts {
		s = append(append(s, x...), 0)
	}
	if len(texts) == 0 {
		s = append(s, 0)
	}
	return append(s, 0)
}

var end = []byte{127, 4, 0xff, 0xfe, 0, 0}

func TestFilter(t *testing.T) {
	blanked := func(s []byte, from, to int) []byte {
		clear(s[from:to])
		return s
	}
	for _, tc := range []struct {
		name     string
		in, want []byte
	}{
		{"strings of a vendor's own type go too", structure(128, 6, 1, nil, "abc"), append([]byte{128, 6, 1, 0}, make([]byte, 7)...)},
		{"and those of OEM strings", structure(11, 5, 1, nil, "a", "bc"), append([]byte{11, 5, 1, 0}, make([]byte, 7)...)},
		{"system event log", structure(15, 8, 1, nil), append([]byte{15, 8, 1, 0}, make([]byte, 6)...)},
		{"memory errors and boot integrity", structure(33, 8, 1, nil), append([]byte{33, 8, 1, 0}, make([]byte, 6)...)},
		{"a type without blanks stays", structure(16, 23, 1, nil), structure(16, 23, 1, nil)},
		{"a string becomes spaces, its number 0",
			structure(2, 9, 1, map[int]byte{4: 1, 5: 0, 6: 0, 7: 2, 8: 0}, "maker", "serial"),
			structure(2, 9, 1, map[int]byte{4: 1, 5: 0, 6: 0, 7: 0, 8: 0}, "maker", "      ")},
		{"two fields with one string",
			structure(3, 9, 1, map[int]byte{4: 1, 6: 1, 7: 1, 8: 1}, "same"),
			structure(3, 9, 1, map[int]byte{4: 1, 6: 1, 7: 0, 8: 0}, "    ")},
		{"a field that the structure is too short for", structure(1, 23, 1, map[int]byte{7: 0}), structure(1, 23, 1, map[int]byte{7: 0})},
		{"the field that still fits", structure(1, 24, 1, map[int]byte{7: 0}), blanked(structure(1, 24, 1, nil), 7, 24)},
		{"end of an odd field", structure(23, 8, 1, nil), structure(23, 8, 1, nil)},
		{"and behind it", structure(23, 9, 1, nil), blanked(structure(23, 9, 1, nil), 7, 9)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := slices.Concat(tc.in, end)
			kept := bytes.Clone(in)
			got, err := Filter(in)
			if err != nil {
				t.Fatal(err)
			}
			if want := slices.Concat(tc.want, end); !bytes.Equal(got, want) {
				t.Errorf("got %x\nwant %x", got, want)
			}
			if !bytes.Equal(in, kept) {
				t.Error("the input was written to")
			}
		})
	}
}

func TestFilterRejects(t *testing.T) {
	for _, tc := range []struct {
		name  string
		table []byte
		off   int64
	}{
		{"string number without its string", slices.Concat(structure(3, 9, 1, map[int]byte{7: 2, 8: 0}, "one"), end), 7},
		{"string number without any string", slices.Concat(end[:0], structure(3, 9, 1, map[int]byte{7: 1, 8: 0}), end), 7},
		{"table that Parse refuses", sample()[:30], 32},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Filter(tc.table)
			var f *bin.FormatError
			if !errors.As(err, &f) || (tc.off != f.Off && tc.off != 32) {
				t.Errorf("got %v, want an error at offset 0x%x", err, tc.off)
			}
			if got != nil {
				t.Error("got a table beside the error")
			}
		})
	}
}

// TestBlanksAreEDK2s holds the offsets against the names that edk2's list gives, through the layouts of fields.
func TestBlanksAreEDK2s(t *testing.T) {
	names := map[uint8][]string{
		1: {"Serial Number", "UUID", "Wake-up Type"},
		2: {"Serial Number", "Location in Chassis"},
		3: {"Serial Number", "Asset Tag Number"},
		4: {"Serial Number", "Asset Tag", "Part Number", "Core Count", "Core Enabled", "Thread Count", "Core Count 2",
			"Core Enabled 2", "Thread Count 2", "Voltage", "Current Speed"},
		17: {"Serial Number", "Asset Tag", "Part Number"},
	}
	for typ, want := range names {
		if len(want) != len(blanks[typ]) {
			t.Errorf("type %d: %d fields, want %d", typ, len(blanks[typ]), len(want))
			continue
		}
		for i, b := range blanks[typ] {
			at := slices.IndexFunc(layouts[typ].fields, func(f layoutField) bool { return f.off == b.off })
			if at < 0 {
				t.Errorf("type %d: no field at 0x%02x", typ, b.off)
				continue
			}
			if f := layouts[typ].fields[at]; f.name != want[i] || f.size != b.size || (f.kind == text) != (b.kind == blankString) {
				t.Errorf("type %d: 0x%02x is %s of %d bytes, want %s", typ, b.off, f.name, f.size, want[i])
			}
		}
	}
}

// referenceFilter is the definition, by the strings of parsed structures: slow, and written apart from Filter.
func referenceFilter(table []byte) ([]byte, error) {
	all, err := Parse(table)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, s := range all {
		formatted, texts := bytes.Clone(s.Formatted), slices.Clone(s.Strings)
		size := len(formatted) + 1
		for _, x := range texts {
			size += len(x) + 1
		}
		if len(texts) == 0 {
			size++
		}
		if s.Type >= oemTypes || unmeasured[s.Type] {
			out = append(append(out, formatted[:headerSize]...), make([]byte, size-headerSize)...)
			continue
		}
		for _, b := range blanks[s.Type] {
			if b.off+b.size > len(formatted) {
				continue
			}
			if n := int(formatted[b.off]); b.kind == blankString && n > 0 {
				if n > len(texts) {
					return nil, errors.New("no such string")
				}
				texts[n-1] = string(bytes.Repeat([]byte(" "), len(texts[n-1])))
			}
			copy(formatted[b.off:], make([]byte, b.size))
		}
		out = append(out, formatted...)
		for _, x := range texts {
			out = append(append(out, x...), 0)
		}
		if len(texts) == 0 {
			out = append(out, 0)
		}
		out = append(out, 0)
	}
	return out, nil
}
