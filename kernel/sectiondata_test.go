package kernel_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/kernel"
)

// TestSectionData reads sections of a shim, whose names are longer than the section table has room for.
func TestSectionData(t *testing.T) {
	data := fixtures.File(t, "kernel", "shimx64-16.1.efi.zst")
	symbols := int(binary.LittleEndian.Uint32(data[0x3c:])) + 12
	parse := func(edit func([]byte)) *kernel.PE {
		b := bytes.Clone(data)
		edit(b)
		p, err := kernel.ParsePE(b)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := parse(func([]byte) {})
	for name, want := range map[string]string{".sbat": "sbat,1,SBAT Version", ".sbatlevel": "\x00\x00\x00\x00"} {
		if got, ok, err := p.SectionData(name); err != nil || !ok || !bytes.HasPrefix(got, []byte(want)) {
			t.Errorf("%s: %t, %.40q, want it to begin with %q", name, ok, got, want)
		}
	}
	if got, _, _ := p.SectionData(".sbat"); len(got) != 0xc6 {
		t.Errorf(".sbat has %d bytes, want the %d that it has in memory", len(got), 0xc6)
	}
	for name, edit := range map[string]func([]byte){
		"no symbol table":         func(b []byte) { clear(b[symbols : symbols+4]) },
		"a table behind the file": func(b []byte) { binary.LittleEndian.PutUint32(b[symbols:], 0xfffffff0) },
		"many symbols":            func(b []byte) { binary.LittleEndian.PutUint32(b[symbols+4:], 0xffffffff) },
		"a string without its end": func(b []byte) {
			binary.LittleEndian.PutUint32(b[symbols:], uint32(len(b)-18*3740-5))
			copy(b[len(b)-5:], "/////")
		},
		"a name that is no number":  func(b []byte) { replace(b, "/26\x00", "/2x\x00") },
		"a number that is too long": func(b []byte) { replace(b, "/26\x00\x00\x00\x00\x00", "/9999999") },
	} {
		if name == "many symbols" || name == "no symbol table" || name == "a table behind the file" {
			if _, ok, _ := parse(edit).SectionData(".sbat"); !ok {
				t.Errorf("%s: a short name is not found", name)
			}
		}
		if _, ok, _ := parse(edit).SectionData(".sbatlevel"); ok {
			t.Errorf("%s: the section is found", name)
		}
	}
}

func replace(b []byte, old, with string) { copy(b[bytes.Index(b, []byte(old)):], with) }

// TestSectionWithoutBytes has a section of no bytes that starts behind the file, where nothing is read.
func TestSectionWithoutBytes(t *testing.T) {
	data := bytes.Clone(fixtures.File(t, "kernel", "shimx64-16.1.efi.zst"))
	data = data[:len(data):len(data)]
	row := bytes.Index(data, []byte(".sbat\x00\x00\x00"))
	binary.LittleEndian.PutUint32(data[row+16:], 0)
	binary.LittleEndian.PutUint32(data[row+20:], uint32(len(data)|0x1ff))
	p, err := kernel.ParsePE(data)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok, err := p.SectionData(".sbat"); err != nil || !ok || len(got) != 0 {
		t.Errorf("%t, %d bytes, want none", ok, len(got))
	}
}
