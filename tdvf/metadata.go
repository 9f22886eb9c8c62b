// Package tdvf reads the TDX metadata of a firmware image and says what a VMM does with it: the pages it adds and
// measures, which make MRTD, and the TD HOB it hands to the firmware.
package tdvf

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/ovmf"
)

// metadataOffset is the entry of the GUIDed table that holds the descriptor's distance from the end of the image, le32.
var metadataOffset = efi.MustGUID("e47a6535-984a-4798-865e-4685a7bf8ec2")

const (
	format          = "TDVF metadata"
	descriptorSize  = 16
	sectionSize     = 32
	metadataVersion = 1
	minSections     = 2    // QEMU's
	legacyPointer   = 0x20 // bytes before the end of the image, le32 offset of the descriptor
	pageSize        = 4096
	fourGiB         = 1 << 32

	// maxSections bounds the work for a hostile count. OVMF has 7 sections, td-shim 12.
	maxSections = 256
	// maxGPA is the end of private memory with a guest physical address width of 52 bits, half of which is shared.
	maxGPA = 1 << 51
	// maxAdded bounds the memory that all sections together ask for, in bytes. OVMF asks for less than 5 MiB, td-shim
	// with a Linux payload for less than 64 MiB.
	maxAdded = 256 << 20
)

// A Metadata is the TDVF descriptor with its sections.
// Intel TDX Virtual Firmware Design Guide, 344991-004, 11 TDVF Metadata.
type Metadata struct {
	Off      int64 // of the descriptor in the image
	Legacy   bool  // found by the pointer at the end of the image, not by the GUIDed table
	Sections []Section
}

// A Section is a TDVF_SECTION: memory of the TD at its start, and the part of the image that fills it.
type Section struct {
	DataOffset     uint32 // in the image
	RawDataSize    uint32 // bytes in the image
	MemoryAddress  uint64 // GPA
	MemoryDataSize uint64 // bytes of memory
	Type           SectionType
	Attributes     Attributes
}

// A SectionType is the Type of a section.
type SectionType uint32

// The section types.
const (
	BFV          SectionType = iota // boot firmware volume, code
	CFV                             // configuration firmware volume, variables
	TDHOB                           // TD_HOB, where the VMM puts the HOB list
	TempMem                         // temporary memory
	PermMem                         // permanent memory
	Payload                         // a kernel or VMM payload, td-shim
	PayloadParam                    // its parameters
	TDInfo                          // TD_INFO
	TDParams                        // TD_PARAMS

	numSectionTypes
)

var sectionNames = [numSectionTypes]string{"BFV", "CFV", "TD_HOB", "TempMem", "PermMem", "Payload", "PayloadParam", "TD_INFO", "TD_PARAMS"}

// String returns the type's name, "BFV".
func (t SectionType) String() string {
	if t < numSectionTypes {
		return sectionNames[t]
	}
	return fmt.Sprintf("type(%d)", uint32(t))
}

// MarshalText returns what String returns.
func (t SectionType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Attributes are the Attributes of a section.
type Attributes uint32

// The attributes.
const (
	MRExtend Attributes = 1 << 0 // the section's content is measured into MRTD
	PageAug  Attributes = 1 << 1 // the section's pages are added after the TD has started

	knownAttributes = MRExtend | PageAug
)

// String returns the attributes' names, "MR.EXTEND".
func (a Attributes) String() string {
	s := ""
	if a&MRExtend != 0 {
		s = "MR.EXTEND"
	}
	if a&PageAug != 0 {
		if s != "" {
			s += ","
		}
		s += "PAGE.AUG"
	}
	if rest := a &^ knownAttributes; rest != 0 || s == "" {
		if s != "" {
			s += ","
		}
		s += fmt.Sprintf("0x%x", uint32(rest))
	}
	return s
}

// Data returns the part of the image that fills the section. The image is the one that the metadata was parsed from.
func (s *Section) Data(image []byte) []byte {
	return image[s.DataOffset : uint64(s.DataOffset)+uint64(s.RawDataSize)]
}

// Find returns the first section of a type, or nil.
func (m *Metadata) Find(t SectionType) *Section {
	for i := range m.Sections {
		if m.Sections[i].Type == t {
			return &m.Sections[i]
		}
	}
	return nil
}

// Parse finds and checks the TDX metadata of a whole flash image, variables and code together. It refuses what a VMM
// would refuse of any section type; what only QEMU refuses is left to Supported. An image without metadata is
// bin.ErrUnsupported. QEMU 10.2.2, hw/i386/tdvf.c, tdvf_get_metadata and tdvf_parse_metadata.
func Parse(image []byte) (*Metadata, error) {
	if len(image) > bin.MaxFirmware {
		return nil, fail(0, "image", bin.ErrUnsupported, "has %d bytes, want at most %d", len(image), bin.MaxFirmware)
	}
	m, err := locate(image)
	if err != nil {
		return nil, err
	}
	c := bin.NewCursor(format, image[m.Off:], m.Off)
	c.Bytes("Signature", 4)
	length, version, n := c.U32("Length"), c.U32("Version"), c.U32("NumberOfSectionEntries")
	switch {
	case c.Err() != nil:
	case version != metadataVersion:
		c.Failf(m.Off+8, "Version", bin.ErrUnsupported, "is %d, want %d", version, metadataVersion)
	case n < minSections || n > maxSections:
		c.Failf(m.Off+12, "NumberOfSectionEntries", bin.ErrMalformed, "is %d, want %d to %d", n, minSections, maxSections)
	case length != descriptorSize+sectionSize*n:
		c.Failf(m.Off+4, "Length", bin.ErrMalformed, "is %d, want %d for %d sections", length, descriptorSize+sectionSize*n, n)
	case int64(length) > int64(len(image))-m.Off:
		c.Failf(m.Off+4, "Length", bin.ErrTruncated, "is %d, %d bytes are left", length, int64(len(image))-m.Off)
	}
	if c.Err() != nil {
		return nil, c.Err()
	}
	for range n {
		at := c.Off()
		s := Section{
			DataOffset: c.U32("DataOffset"), RawDataSize: c.U32("RawDataSize"),
			MemoryAddress: c.U64("MemoryAddress"), MemoryDataSize: c.U64("MemoryDataSize"),
			Type: SectionType(c.U32("Type")), Attributes: Attributes(c.U32("Attributes")),
		}
		if c.Err() != nil {
			return nil, c.Err()
		}
		if err := s.check(at, len(image)); err != nil {
			return nil, err
		}
		m.Sections = append(m.Sections, s)
	}
	if err := m.checkMemory(); err != nil {
		return nil, err
	}
	return m, nil
}

// locate finds the descriptor by the GUIDed table, or by the pointer that older tools use.
func locate(image []byte) (*Metadata, error) {
	table, err := ovmf.ParseTable(image)
	if err != nil {
		return nil, err
	}
	size := int64(len(image))
	for _, e := range table {
		if e.GUID != metadataOffset {
			continue
		}
		if len(e.Data) != 4 {
			return nil, fail(e.Off, "TDX metadata offset", bin.ErrMalformed, "has %d bytes, want 4", len(e.Data))
		}
		fromEnd := int64(binary.LittleEndian.Uint32(e.Data))
		if fromEnd < descriptorSize || fromEnd > size {
			return nil, fail(e.Off, "TDX metadata offset", bin.ErrMalformed, "is 0x%x from the end of an image of 0x%x bytes", fromEnd, size)
		}
		if off := size - fromEnd; !signed(image, off) {
			return nil, fail(off, "Signature", bin.ErrMalformed, "is %q, want %q", image[off:off+4], "TDVF")
		}
		return &Metadata{Off: size - fromEnd}, nil
	}
	if size >= legacyPointer {
		off := int64(binary.LittleEndian.Uint32(image[size-legacyPointer:]))
		if off <= size-descriptorSize && signed(image, off) {
			return &Metadata{Off: off, Legacy: true}, nil
		}
	}
	return nil, fail(max(0, size-legacyPointer), "TDX metadata", bin.ErrUnsupported,
		"is absent: no entry %s in the GUIDed table and no descriptor pointer; the firmware is not built for TDX (OVMF is since edk2-stable202205), or the file is not a whole flash image", metadataOffset)
}

func signed(image []byte, off int64) bool { return string(image[off:off+4]) == "TDVF" }

// check checks one section, whose entry is at the offset at, by itself.
// QEMU 10.2.2, hw/i386/tdvf.c, tdvf_parse_and_check_section_entry.
func (s *Section) check(at int64, size int) error {
	end := int64(s.DataOffset) + int64(s.RawDataSize)
	switch {
	case s.Type >= numSectionTypes:
		return fail(at+24, "Type", bin.ErrUnsupported, "is %d, want at most %d", s.Type, numSectionTypes-1)
	case s.Attributes&^knownAttributes != 0:
		return fail(at+28, "Attributes", bin.ErrUnsupported, "are 0x%x, known are 0x%x", uint32(s.Attributes), uint32(knownAttributes))
	case s.MemoryAddress%pageSize != 0:
		return fail(at+8, "MemoryAddress", bin.ErrMalformed, "is 0x%x, want a multiple of %d", s.MemoryAddress, pageSize)
	case s.MemoryDataSize%pageSize != 0:
		return fail(at+16, "MemoryDataSize", bin.ErrMalformed, "is 0x%x, want a multiple of %d", s.MemoryDataSize, pageSize)
	case uint64(s.RawDataSize) > s.MemoryDataSize:
		return fail(at+4, "RawDataSize", bin.ErrMalformed, "is 0x%x, more than the MemoryDataSize of 0x%x", s.RawDataSize, s.MemoryDataSize)
	case (s.Type == BFV || s.Type == CFV) && s.RawDataSize == 0:
		return fail(at+4, "RawDataSize", bin.ErrMalformed, "is 0 in a section of type %s", s.Type)
	case (s.Type == TDHOB || s.Type == TempMem) && s.RawDataSize != 0:
		return fail(at+4, "RawDataSize", bin.ErrMalformed, "is 0x%x in a section of type %s, want 0", s.RawDataSize, s.Type)
	case s.MemoryAddress > maxGPA || s.MemoryDataSize > maxGPA-s.MemoryAddress:
		return fail(at+8, "MemoryAddress", bin.ErrMalformed, "is 0x%x with 0x%x bytes, which ends above private memory", s.MemoryAddress, s.MemoryDataSize)
	case end > int64(size):
		return fail(at, "DataOffset", bin.ErrTruncated, "is 0x%x with 0x%x bytes, and the image has 0x%x%s", s.DataOffset, s.RawDataSize, size, s.codeOnly(size))
	case s.Type == BFV && s.MemoryAddress+s.MemoryDataSize == fourGiB && end != int64(size):
		return fail(at, "DataOffset", bin.ErrMalformed, "is 0x%x with 0x%x bytes for memory that ends at 4 GiB, and the image ends at 0x%x: it is not the image that the metadata was written for", s.DataOffset, s.RawDataSize, size)
	}
	return nil
}

// codeOnly explains the commonest reason for a section behind the end of the image: the code half of a split build.
func (s *Section) codeOnly(size int) string {
	if s.Type == BFV && int64(s.RawDataSize) == int64(size) {
		return fmt.Sprintf("; this looks like the code half of a split build: put the %d bytes of variables in front (cat OVMF_VARS.fd OVMF_CODE.fd)", s.DataOffset)
	}
	return ""
}

// checkMemory refuses sections that overlap in memory, whose pages no VMM can add twice, and too much memory.
func (m *Metadata) checkMemory() error {
	order := make([]int, len(m.Sections))
	var total uint64
	for i := range order {
		order[i] = i
		total += m.Sections[i].MemoryDataSize
		if total > maxAdded {
			return fail(m.sectionOff(i)+16, "MemoryDataSize", bin.ErrUnsupported, "brings the memory of all sections to 0x%x bytes, want at most 0x%x", total, maxAdded)
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Compare(m.Sections[a].MemoryAddress, m.Sections[b].MemoryAddress)
	})
	for i := 1; i < len(order); i++ {
		x, y := &m.Sections[order[i-1]], &m.Sections[order[i]]
		if x.MemoryDataSize > 0 && x.MemoryAddress+x.MemoryDataSize > y.MemoryAddress {
			return fail(m.sectionOff(order[i])+8, "MemoryAddress", bin.ErrMalformed, "is 0x%x, inside section %d of type %s at 0x%x with 0x%x bytes",
				y.MemoryAddress, order[i-1], x.Type, x.MemoryAddress, x.MemoryDataSize)
		}
	}
	return nil
}

// Supported returns nil if QEMU can start a TD with the sections and what it measures is known here; else an error
// that wraps bin.ErrUnsupported or bin.ErrMalformed and names the first section in the way. A TD begins 16 bytes below 4 GiB,
// so firmware without code there ends before it measures anything, although QEMU and the TDX module take it.
// QEMU 10.2.2, hw/i386/tdvf.c, tdvf_parse_and_check_section_entry, and target/i386/kvm/tdx.c, tdx_finalize_vm;
// Linux 6.18, arch/x86/kvm/vmx/tdx.c, tdx_vcpu_init_mem_region, for whole pages of the source;
// edk2-stable202505, OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm, for where a TD begins.
func (m *Metadata) Supported() error {
	if m.Legacy {
		return fail(m.Off, "TDX metadata offset", bin.ErrUnsupported, "is not in the GUIDed table, where QEMU looks for it")
	}
	hobs, reset := 0, -1
	for i := range m.Sections {
		s, at := &m.Sections[i], m.sectionOff(i)
		switch {
		case s.Type > TempMem:
			return fail(at+24, "Type", bin.ErrUnsupported, "is %s, which QEMU refuses", s.Type)
		case s.Attributes&PageAug != 0:
			return fail(at+28, "Attributes", bin.ErrUnsupported, "are %s: QEMU adds the pages all the same, older VMMs do not", s.Attributes)
		case s.MemoryDataSize == 0:
			return fail(at+16, "MemoryDataSize", bin.ErrMalformed, "is 0, which KVM refuses")
		case s.RawDataSize > 0 && s.DataOffset%pageSize != 0:
			return fail(at, "DataOffset", bin.ErrMalformed, "is 0x%x, want a multiple of %d, which KVM demands", s.DataOffset, pageSize)
		case s.RawDataSize > 0 && uint64(s.RawDataSize) != s.MemoryDataSize:
			return fail(at+4, "RawDataSize", bin.ErrUnsupported, "is 0x%x for 0x%x bytes of memory: QEMU fills the rest with what follows in the image, other VMMs with zeros", s.RawDataSize, s.MemoryDataSize)
		case s.Type == TDHOB && s.Attributes&MRExtend != 0:
			return fail(at+28, "Attributes", bin.ErrUnsupported, "are %s of a TD_HOB section, so that MRTD would depend on the amount of memory", s.Attributes)
		case s.Type == TDHOB:
			hobs++
		}
		if s.Type == BFV && s.MemoryAddress+s.MemoryDataSize == fourGiB {
			reset = i
		}
	}
	switch {
	case hobs != 1:
		return fail(m.Off+12, "NumberOfSectionEntries", bin.ErrUnsupported, "covers %d sections of type TD_HOB, want 1", hobs)
	case reset < 0:
		return fail(m.Off+12, "NumberOfSectionEntries", bin.ErrMalformed, "covers no section of type BFV that ends at 4 GiB, where a TD begins to run")
	}
	return m.checkVariables(m.Sections[reset].base())
}

// checkVariables refuses a CFV elsewhere than code that is linked to base looks for it and measures it.
// edk2-stable202505, OvmfPkg/ResetVector/ResetVector.nasmb: PcdCfvBase and PcdBfvBase are where the flash map has both.
func (m *Metadata) checkVariables(base uint64) error {
	for i := range m.Sections {
		if s := &m.Sections[i]; s.Type == CFV && s.base() != base {
			return fail(m.sectionOff(i)+8, "MemoryAddress", bin.ErrMalformed, "is 0x%x for offset 0x%x of an image that is linked to 0x%x, want 0x%x",
				s.MemoryAddress, s.DataOffset, base, base+uint64(s.DataOffset))
		}
	}
	return nil
}

// base is the address that the image's first byte has if the section lies where it is linked to.
func (s *Section) base() uint64 { return s.MemoryAddress - uint64(s.DataOffset) }

// sectionOff returns the offset of section i's entry in the image.
func (m *Metadata) sectionOff(i int) int64 { return m.Off + descriptorSize + sectionSize*int64(i) }

func fail(off int64, field string, category error, msg string, args ...any) error {
	return &bin.FormatError{Format: format, Off: off, Field: field, Msg: fmt.Sprintf(msg, args...), Err: category}
}
