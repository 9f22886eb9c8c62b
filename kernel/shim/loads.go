package shim

import (
	"fmt"

	"github.com/tdxkit/tdxkit/kernel"
)

// Refusal says why the shim does not load an image, or may not, whether Secure Boot is on or not; it is empty where it
// does. A shim that says that it can do without memory that is writable and executable asks that of the image, too, where
// the firmware sees to it, which depends on the build. Linux before 6.7 has a section .reloc that no directory entry names, which firmware takes and a shim does not.
// Shim 16.1, pe-relocate.c, read_header and get_section_vma; set_shim_nx_policy; pe.c, generate_hash
// and handle_image.
func (img *Image) Refusal(pe *kernel.PE) string {
	l := pe.Loading()
	nx := img.Loading().NXCompatible
	switch {
	case l.RelocationsStripped:
		return "its relocations are stripped"
	case nx && !l.NXCompatible:
		return "it does not say that it is compatible with NX, which the shim does and may ask for"
	case !l.HasRelocations:
		return "it has no directory entry for relocations"
	case pe.Signed() && pe.Certificates.End() != pe.Size():
		return "its certificates are not at its end"
	}
	entries, relocations := 0, 0
	for i, s := range pe.Sections {
		first, last := uint64(s.VirtualAddress), uint64(s.VirtualAddress+s.VirtualSize-1) // which wraps
		if why := misplaced(pe, s, first, last, uint64(l.SizeOfImage)); why != "" {
			return fmt.Sprintf("its section %d, %q, %s", i, s.Name, why)
		}
		if s.Characteristics&kernel.SectionDiscardable != 0 && s.VirtualSize == 0 || s.Characteristics&kernel.SectionReadable == 0 {
			continue
		}
		const both = kernel.SectionWritable | kernel.SectionExecutable
		if nx && s.Characteristics&(both|kernel.SectionDiscardable) == both {
			return fmt.Sprintf("its section %d, %q, is writable and executable, which the shim may not allow", i, s.Name)
		}
		if s.VirtualAddress <= l.EntryPoint && last > uint64(l.EntryPoint) {
			entries++
		}
		if s.Name != ".reloc" {
			continue
		}
		relocations++
		end := uint64(l.Relocations + l.RelocationSize - 1)
		if relocations > 1 || s.Raw.Len == 0 || l.Relocations != s.VirtualAddress || end > last || last >= uint64(l.SizeOfImage) {
			return "its section .reloc is not the one that its directory entry for relocations names"
		}
	}
	if entries != 1 {
		return fmt.Sprintf("its entry point is in %d sections, want 1", entries)
	}
	return ""
}

// misplaced says why a shim does not take the place of a section in memory, from first to last.
func misplaced(pe *kernel.PE, s kernel.Section, first, last, image uint64) string {
	kept := s.Characteristics&kernel.SectionDiscardable == 0
	switch {
	case kept && (first >= image || last >= image):
		return fmt.Sprintf("lies at 0x%x to 0x%x of an image of 0x%x bytes", first, last, image)
	case s.Characteristics&kernel.SectionUninitialized == 0 && (int64(first) < pe.SizeOfHeaders || s.Raw.Off < pe.SizeOfHeaders):
		return "is inside the headers"
	case first < image && (last >= image || last < first):
		return "ends before it starts"
	}
	return ""
}
