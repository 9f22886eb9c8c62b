package reference_test

import (
	"bytes"
	"crypto/sha512"
	"testing"

	"github.com/tdxkit/tdxkit/internal/reference"
)

// TestPkgLength holds the encoding against the bounds that the specification names: 63, 2^12-1, 2^20-1 and 2^28-1,
// each of them counting the encoding itself.
func TestPkgLength(t *testing.T) {
	for _, tc := range []struct {
		content int
		want    []byte
	}{
		{0, []byte{0x01}},
		{62, []byte{0x3f}},
		{63, []byte{0x41, 0x04}},
		{1<<12 - 3, []byte{0x4f, 0xff}},
		{1<<12 - 2, []byte{0x81, 0x00, 0x01}},
		{1<<20 - 4, []byte{0x8f, 0xff, 0xff}},
		{1<<20 - 3, []byte{0xc1, 0x00, 0x00, 0x01}},
		{1<<28 - 5, []byte{0xcf, 0xff, 0xff, 0xff}},
	} {
		got, ok := reference.PkgLength(tc.content)
		if !ok || !bytes.Equal(got, tc.want) {
			t.Errorf("PkgLength(%d) = % x, %v, want % x", tc.content, got, ok, tc.want)
		}
	}
	if got, ok := reference.PkgLength(1<<28 - 4); ok {
		t.Errorf("PkgLength(2^28-4) = % x, want none: it needs 29 bits", got)
	}
}

func TestParsePkgLengthRejects(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty":         {},
		"cut":           {0x41},
		"reserved bits": {0x71, 0x04},
	} {
		if n, _, ok := reference.ParsePkgLength(b); ok {
			t.Errorf("%s: % x is %d, want a refusal", name, b, n)
		}
	}
}

func TestReplay(t *testing.T) {
	if got := reference.Replay(); got != ([48]byte{}) {
		t.Errorf("no events give %x, want zero", got)
	}
	a, b := sha512.Sum384([]byte("a")), sha512.Sum384([]byte("b"))
	first := sha512.Sum384(append(make([]byte, 48), a[:]...))
	want := sha512.Sum384(append(first[:], b[:]...))
	if got := reference.Replay(a, b); got != want {
		t.Errorf("got %x, want %x", got, want)
	}
}

// TestAuthenticodeBytes writes an image of single letters and says what of it is hashed.
func TestAuthenticodeBytes(t *testing.T) {
	file := make([]byte, 0x400)
	copy(file, "MZ")
	file[0x3c] = 0x40
	copy(file[0x40:], "PE\x00\x00")
	put := func(at int, v ...byte) { copy(file[at:], v) }
	const optional = 0x58
	put(0x46, 2)                          // sections
	put(0x54, 112+5*8)                    // optional header
	put(optional, 0x0b, 0x02)             // PE32+
	put(optional+60, 0x80, 0x01)          // headers end at 0x180
	put(optional+64, 'c', 'c', 'c', 'c')  // CheckSum
	put(optional+108, 5)                  // directories
	put(optional+112+32, 0, 3, 0, 0, 'C') // certificates: 0x43 bytes
	row := optional + 112 + 40
	put(row+16, 0x20)         // first row: 0x20 bytes
	put(row+20, 0xa0, 0x01)   // at 0x1a0
	put(row+56, 0x20)         // second row: 0x20 bytes
	put(row+60, 0x80, 0x01)   // at 0x180
	put(0x180, 'l', 'o', 'w') // sections in file order
	put(0x1a0, 'h', 'i', 'g', 'h')
	put(0x1c0, 'r', 'e', 's', 't')

	got, err := reference.AuthenticodeBytes(file)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Join([][]byte{file[:optional+64], file[optional+68 : optional+144], file[optional+152 : 0x180], file[0x180 : 0x400-0x43]}, nil)
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes hashed, want %d", len(got), len(want))
	}
	file[optional+144+5] = 0x10 // certificates larger than the file
	if _, err := reference.AuthenticodeBytes(file); err == nil {
		t.Error("certificates larger than what is left are accepted")
	}
	if _, err := reference.AuthenticodeBytes(file[:0x200]); err == nil {
		t.Error("a cut file is accepted")
	}
}
