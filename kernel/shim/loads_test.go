package shim_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/kernel"
)

// TestRefusal has a kernel that a shim was seen to start, and one for each way in which it would not load it.
func TestRefusal(t *testing.T) {
	withoutNX := parse(t, func([]byte, int) {})
	img := parse(t, func(b []byte, _ int) { b[int(binary.LittleEndian.Uint32(b[0x3c:]))+24+71] |= 1 })
	data := fixtures.Kernel(t, "vmlinuz-6.12-cloud")
	row := func(name string) int { return bytes.Index(data[:0x1000], append([]byte(name), 0)) }
	headers := int(binary.LittleEndian.Uint32(data[0x3c:]))
	optional := headers + 24
	relocations := optional + 112 + 5*8
	compat, text, end := row(".compat"), row(".text"), row(".data")
	if compat < 0 || text < 0 || end < 0 {
		t.Fatal("the kernel has other sections")
	}
	at := func(b []byte, off int) uint32 { return binary.LittleEndian.Uint32(b[off:]) }
	discard := func(b []byte, row int) { put(b, row+36, at(b, row+36)|uint32(kernel.SectionDiscardable)) }
	// relocated names a section .reloc in the directory, too.
	relocated := func(b []byte) {
		copy(b[compat:], ".reloc\x00\x00")
		put(b, relocations, at(b, compat+12))
		put(b, relocations+4, 8)
	}
	noNX := func(b []byte) { b[optional+71] &^= 1 }
	writable := func(b []byte) { put(b, text+36, at(b, text+36)|uint32(kernel.SectionWritable)) }
	for _, tc := range []struct {
		name string
		edit func(b []byte)
		want string // empty where the shim loads it
	}{
		{"as it is", func([]byte) {}, ""},
		{"relocations", relocated, ""},
		{"another section that is not readable", func(b []byte) { put(b, end+36, 0); put(b, optional+16, at(b, text+12)) }, ""},
		{"a section .reloc of before Linux 6.7", func(b []byte) { copy(b[compat:], ".reloc\x00\x00"); discard(b, compat) }, "is not the one"},
		{"relocations that end behind the section", func(b []byte) { relocated(b); put(b, relocations+4, 0x100000) }, "is not the one"},
		{"relocations without bytes", func(b []byte) { relocated(b); put(b, compat+16, 0) }, "is not the one"},
		{"two sections .reloc", func(b []byte) { relocated(b); copy(b[end:], ".reloc\x00\x00"); put(b, end+12, at(b, compat+12)) }, "is not the one"},
		{"relocations behind the image", func(b []byte) {
			relocated(b)
			discard(b, compat)
			put(b, compat+12, 0x70000000)
			put(b, relocations, 0x70000000)
		}, "is not the one"},
		{"an image without NX", noNX, "compatible with NX"},
		{"a section that is writable and executable", writable, `".text", is writable`},
		{"no relocations", func(b []byte) { b[headers+22] |= 1 }, "stripped"},
		{"no directory entry", func(b []byte) {
			binary.LittleEndian.PutUint16(b[headers+20:], 112+5*8)
			put(b, optional+108, 5)
			copy(b[relocations:], b[relocations+8:end+40])
		}, "no directory entry"},
		{"certificates before the end", func(b []byte) { put(b, optional+112+4*8+4, at(b, optional+112+4*8+4)-8) }, "not at its end"},
		{"an entry point outside", func(b []byte) { put(b, optional+16, 0) }, "in 0 sections"},
		{"an entry point in two sections", func(b []byte) { put(b, end+12, at(b, text+12)); put(b, end+8, at(b, text+8)) }, "in 2 sections"},
		{"a section behind the image", func(b []byte) { put(b, end+12, 0x70000000) }, `".data", lies at 0x70000000`},
		{"a section that ends behind the image", func(b []byte) { put(b, end+8, 0x70000000) }, `".data", lies at`},
		{"a section in the headers", func(b []byte) { put(b, compat+12, 0); put(b, compat+16, 0) }, "inside the headers"},
		{"a section without bytes", func(b []byte) { put(b, compat+16, 0); put(b, compat+20, 0) }, "inside the headers"},
		{"an empty section", func(b []byte) { put(b, compat+8, 0) }, "ends before it starts"},
		{"a discardable section that ends behind the image", func(b []byte) { discard(b, end); put(b, end+8, 0x70000000) }, "ends before it starts"},
	} {
		b := bytes.Clone(data)
		tc.edit(b)
		pe, err := kernel.ParsePE(b)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if got := img.Refusal(pe); (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
	// A shim that cannot do without such memory does not ask others to.
	b := bytes.Clone(data)
	noNX(b)
	writable(b)
	pe, err := kernel.ParsePE(b)
	if err != nil {
		t.Fatal(err)
	}
	if got := withoutNX.Refusal(pe); got != "" {
		t.Errorf("a shim without NX: %q", got)
	}
}
