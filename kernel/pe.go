package kernel

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// formatPE names the structure in errors.
const formatPE = "PE/COFF image"

// Offsets and sizes of the headers in bytes. Microsoft PE Format, sections "MS-DOS Stub", "COFF File Header",
// "Optional Header" and "Section Table".
const (
	dosHeaderSize  = 64
	peSignatureLen = 4
	coffHeaderSize = 20
	optionalFixed  = 112 // of PE32+, up to the data directories
	directorySize  = 8
	sectionRowSize = 40

	maxDirectories   = 16 // IMAGE_NUMBEROF_DIRECTORY_ENTRIES
	certificateEntry = 4  // IMAGE_DIRECTORY_ENTRY_SECURITY
	checkSumOff      = 64 // in the optional header
	checkSumSize     = 4

	magicPE32     = 0x10b
	magicPE32Plus = 0x20b

	subsystemApplication = 10 // IMAGE_SUBSYSTEM_EFI_APPLICATION

	// maxSections bounds the section table. A kernel has 4 to 6 sections, a UKI some 20; Windows loads at most 96.
	maxSections = 96
)

// The machine types that an error message names. Microsoft PE Format, "Machine Types".
const (
	machineI386  = 0x014c
	machineAMD64 = 0x8664
	machineARM64 = 0xaa64
)

var machineNames = map[uint16]string{
	machineI386: "IA-32", machineARM64: "AArch64", 0x01c0: "ARM", 0x01c2: "ARM Thumb", 0x0200: "IA-64", 0x0ebc: "EFI byte code",
	0x5032: "RISC-V 32", 0x5064: "RISC-V 64", 0x6264: "LoongArch 64",
}

// A coffHeader is an IMAGE_FILE_HEADER.
type coffHeader [coffHeaderSize]byte

func (h *coffHeader) machine() uint16              { return binary.LittleEndian.Uint16(h[0:]) }
func (h *coffHeader) numberOfSections() uint16     { return binary.LittleEndian.Uint16(h[2:]) }
func (h *coffHeader) sizeOfOptionalHeader() uint16 { return binary.LittleEndian.Uint16(h[16:]) }

// An optionalHeader is an IMAGE_OPTIONAL_HEADER64 without its data directories.
type optionalHeader [optionalFixed]byte

func (h *optionalHeader) magic() uint16               { return binary.LittleEndian.Uint16(h[0:]) }
func (h *optionalHeader) sizeOfImage() uint32         { return binary.LittleEndian.Uint32(h[56:]) }
func (h *optionalHeader) sizeOfHeaders() uint32       { return binary.LittleEndian.Uint32(h[60:]) }
func (h *optionalHeader) subsystem() uint16           { return binary.LittleEndian.Uint16(h[68:]) }
func (h *optionalHeader) numberOfRvaAndSizes() uint32 { return binary.LittleEndian.Uint32(h[108:]) }

// A sectionRow is an IMAGE_SECTION_HEADER.
type sectionRow [sectionRowSize]byte

func (r *sectionRow) name() string             { return strings.TrimRight(string(r[0:8]), "\x00") }
func (r *sectionRow) virtualSize() uint32      { return binary.LittleEndian.Uint32(r[8:]) }
func (r *sectionRow) virtualAddress() uint32   { return binary.LittleEndian.Uint32(r[12:]) }
func (r *sectionRow) sizeOfRawData() uint32    { return binary.LittleEndian.Uint32(r[16:]) }
func (r *sectionRow) pointerToRawData() uint32 { return binary.LittleEndian.Uint32(r[20:]) }
func (r *sectionRow) characteristics() uint32  { return binary.LittleEndian.Uint32(r[36:]) }

// A Span is a run of bytes of the file.
type Span struct {
	Off, Len int64 // bytes
}

// End returns the offset of the byte behind the span.
func (s Span) End() int64 { return s.Off + s.Len }

// A Section is one row of an image's section table.
type Section struct {
	Name            string // at most 8 bytes, ".text"
	VirtualAddress  uint32
	VirtualSize     uint32
	Raw             Span // its bytes in the file; Len is 0 for a section without any
	Characteristics SectionFlags
}

// A PE is an EFI application for x86-64: a kernel, a boot loader or a unified kernel image. It holds on to the bytes or
// the file that it was parsed from, which must not change afterwards.
type PE struct {
	Machine       uint16 // always 0x8664, AMD64
	Subsystem     uint16 // always 10, EFI application
	SizeOfHeaders int64  // bytes
	Sections      []Section
	Certificates  Span // the attribute certificate table as its directory entry says; Len is 0 without one

	contents
	headers Span   // from the PE signature to the end of the section table
	spans   []Span // what the digest covers, in hashing order

	once   sync.Once
	digest [48]byte
	failed error // to compute it
}

// ParsePE reads the headers of an EFI application for x86-64 and checks every range that its digest depends on. It
// refuses what edk2's loader refuses before it measures (edk2-stable202502, MdePkg/Library/BasePeCoffLib/BasePeCoff.c,
// PeCoffLoaderGetPeHeader) and, beyond that, images whose sections overlap, images for other machines, and what is no
// application: drivers are logged as another event, and anything else does not start (edk2-stable202505,
// MdeModulePkg/Core/Dxe/Image/Image.c, CoreLoadPeImage). Errors are bin.FormatErrors. The PE holds on to data.
func ParsePE(data []byte) (*PE, error) { return parsePE(inMemory(data)) }

// parsePE refuses an image whose headers do not lie before the gap.
func parsePE(c contents) (*PE, error) {
	p := &PE{contents: c}
	if err := checkSize(p.Size()); err != nil {
		return nil, err
	}
	opt, table, err := p.readHeaders()
	if err != nil {
		return nil, err
	}
	if err := p.readSections(table); err != nil {
		return nil, err
	}
	if err := p.layOut(opt); err != nil {
		return nil, err
	}
	if err := checkSaferwall(p); err != nil {
		return nil, err
	}
	return p, nil
}

func checkSize(size int64) error {
	if size > bin.MaxKernel {
		return peError(0, "file size", bin.ErrUnsupported, "is %d bytes, want at most %d", size, bin.MaxKernel)
	}
	return nil
}

// Size returns the size of the file in bytes.
func (p *PE) Size() int64 { return p.size() }

// Signed reports whether the image carries an attribute certificate table.
func (p *PE) Signed() bool { return p.Certificates.Len > 0 }

// CertificateTable returns the attribute certificate table, which is empty in an image without one. It must not be
// written to. Errors wrap ErrRead.
func (p *PE) CertificateTable() ([]byte, error) {
	if !p.Signed() {
		return nil, nil
	}
	return p.bytes(p.Certificates)
}

// Section returns the first section of the given name and reports whether there is one.
func (p *PE) Section(name string) (Section, bool) {
	for _, s := range p.Sections {
		if s.Name == name {
			return s, true
		}
	}
	return Section{}, false
}

// UKI reports whether the image is a unified kernel image: a stub that carries a kernel in a section called .linux.
// UAPI Group Specifications, UKI 1.0, "Components".
func (p *PE) UKI() bool {
	_, ok := p.Section(".linux")
	return ok
}

// readHeaders reads the DOS, COFF and optional headers, and returns where the optional header stands and the rows of
// the section table.
func (p *PE) readHeaders() (optOff int64, table []byte, err error) {
	if len(p.head) < dosHeaderSize {
		return 0, nil, peError(0, "MS-DOS header", bin.ErrTruncated, "needs %d bytes, the file has %d", dosHeaderSize, len(p.head))
	}
	if string(p.head[:2]) != "MZ" {
		return 0, nil, peError(0, "e_magic", bin.ErrUnsupported, "is %q, want \"MZ\": the file is no EFI application", p.head[:2])
	}
	peOff := int64(binary.LittleEndian.Uint32(p.head[0x3c:]))
	coffOff := peOff + peSignatureLen
	optOff = coffOff + coffHeaderSize
	if err := p.needs(peOff, optOff+optionalFixed, "e_lfanew", 0x3c); err != nil {
		return 0, nil, err
	}
	if sig := string(p.head[peOff:coffOff]); sig != "PE\x00\x00" {
		return 0, nil, peError(peOff, "Signature", bin.ErrMalformed, "is %q, want \"PE\\x00\\x00\"", sig)
	}
	coff := (*coffHeader)(p.head[coffOff:])
	if m := coff.machine(); m != machineAMD64 {
		name, ok := machineNames[m]
		if !ok {
			name = "unknown"
		}
		return 0, nil, peError(coffOff, "Machine", bin.ErrUnsupported, "is 0x%04x (%s), want 0x8664 (x86-64)", m, name)
	}
	opt := (*optionalHeader)(p.head[optOff:])
	if opt.magic() != magicPE32Plus {
		return 0, nil, peError(optOff, "Magic", bin.ErrMalformed, "is 0x%04x, want 0x020b (PE32+)", opt.magic())
	}
	if s := opt.subsystem(); s != subsystemApplication {
		return 0, nil, peError(optOff+68, "Subsystem", bin.ErrUnsupported, "is %d, want 10 (EFI application)", s)
	}
	dirs := opt.numberOfRvaAndSizes()
	if dirs > maxDirectories {
		return 0, nil, peError(optOff+108, "NumberOfRvaAndSizes", bin.ErrMalformed, "is %d, want at most %d", dirs, maxDirectories)
	}
	if got, want := int64(coff.sizeOfOptionalHeader()), optionalFixed+directorySize*int64(dirs); got != want {
		return 0, nil, peError(coffOff+16, "SizeOfOptionalHeader", bin.ErrMalformed, "is %d, want %d for %d data directories", got, want, dirs)
	}
	n := int64(coff.numberOfSections())
	if n == 0 || n > maxSections {
		return 0, nil, peError(coffOff+2, "NumberOfSections", bin.ErrMalformed, "is %d, want 1 to %d", n, maxSections)
	}
	tableOff := optOff + int64(coff.sizeOfOptionalHeader())
	tableEnd := tableOff + sectionRowSize*n
	p.Machine, p.Subsystem, p.SizeOfHeaders = coff.machine(), opt.subsystem(), int64(opt.sizeOfHeaders())
	p.headers = Span{peOff, tableEnd - peOff}
	switch {
	case p.SizeOfHeaders < tableEnd:
		return 0, nil, peError(optOff+60, "SizeOfHeaders", bin.ErrMalformed, "is %d, the section table ends at %d", p.SizeOfHeaders, tableEnd)
	case p.SizeOfHeaders > int64(len(p.head)):
		return 0, nil, peError(optOff+60, "SizeOfHeaders", bin.ErrTruncated, "is %d, the file has %d bytes", p.SizeOfHeaders, p.Size())
	case p.SizeOfHeaders >= int64(opt.sizeOfImage()):
		return 0, nil, peError(optOff+60, "SizeOfHeaders", bin.ErrMalformed, "is %d, want less than SizeOfImage, %d", p.SizeOfHeaders, opt.sizeOfImage())
	case (int64(opt.sizeOfImage())-tableOff)/sectionRowSize <= n:
		return 0, nil, peError(optOff+56, "SizeOfImage", bin.ErrMalformed, "is %d, too small for %d sections", opt.sizeOfImage(), n)
	}
	return optOff, p.head[tableOff:tableEnd], nil
}

// readSections reads the section table and checks that each section's bytes lie behind the headers and in the file.
func (p *PE) readSections(table []byte) error {
	base := p.headers.End() - int64(len(table))
	for off := 0; off < len(table); off += sectionRowSize {
		row, at := (*sectionRow)(table[off:]), base+int64(off)
		s := Section{
			Name:            row.name(),
			VirtualAddress:  row.virtualAddress(),
			VirtualSize:     row.virtualSize(),
			Raw:             Span{int64(row.pointerToRawData()), int64(row.sizeOfRawData())},
			Characteristics: SectionFlags(row.characteristics()),
		}
		p.Sections = append(p.Sections, s)
		if s.Raw.Len == 0 {
			continue
		}
		switch {
		case s.Raw.Off < p.SizeOfHeaders:
			return peError(at+20, "PointerToRawData", bin.ErrMalformed, "of section %q is 0x%x, inside the headers, which end at 0x%x", s.Name, s.Raw.Off, p.SizeOfHeaders)
		case s.Raw.End() > p.Size():
			return peError(at+16, "SizeOfRawData", bin.ErrTruncated, "of section %q ends at 0x%x, the file has 0x%x bytes", s.Name, s.Raw.End(), p.Size())
		case int64(s.VirtualAddress) < p.SizeOfHeaders:
			return peError(at+12, "VirtualAddress", bin.ErrMalformed, "of section %q is 0x%x, want at least SizeOfHeaders, 0x%x", s.Name, s.VirtualAddress, p.SizeOfHeaders)
		}
	}
	return nil
}

// needs checks that the bytes from off to end are in the file, and before the gap, on account of a field that says so.
func (p *PE) needs(off, end int64, field string, fieldOff int64) error {
	if end <= int64(len(p.head)) {
		return nil
	}
	return peError(fieldOff, field, bin.ErrTruncated, "puts the headers at 0x%x to 0x%x, the file has 0x%x bytes", off, end, p.Size())
}

// sortedRaw returns the sections that have bytes in the file by ascending file offset; equal offsets keep their order.
func (p *PE) sortedRaw() []Section {
	var out []Section
	for _, s := range p.Sections {
		if s.Raw.Len > 0 {
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b Section) int { return cmp.Compare(a.Raw.Off, b.Raw.Off) })
	return out
}

func peError(off int64, field string, category error, format string, args ...any) error {
	return &bin.FormatError{Format: formatPE, Off: off, Field: field, Msg: fmt.Sprintf(format, args...), Err: category}
}
