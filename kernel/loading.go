package kernel

import "encoding/binary"

// SectionFlags are a section's Characteristics. Microsoft PE Format, "Section Flags".
type SectionFlags uint32

// Flags that decide how a section is loaded.
const (
	SectionUninitialized SectionFlags = 0x00000080 // IMAGE_SCN_CNT_UNINITIALIZED_DATA
	SectionDiscardable   SectionFlags = 0x02000000 // IMAGE_SCN_MEM_DISCARDABLE
	SectionExecutable    SectionFlags = 0x20000000 // IMAGE_SCN_MEM_EXECUTE
	SectionReadable      SectionFlags = 0x40000000 // IMAGE_SCN_MEM_READ
	SectionWritable      SectionFlags = 0x80000000 // IMAGE_SCN_MEM_WRITE
)

// A Loading is what the headers of an image say of how it is loaded. Addresses are offsets from where it is loaded to.
type Loading struct {
	SizeOfImage         uint32 // bytes
	EntryPoint          uint32
	RelocationsStripped bool
	NXCompatible        bool // it can do where no memory is both writable and executable
	// HasRelocations says that there is a directory entry for base relocations, which lie at Relocations and have
	// RelocationSize bytes.
	HasRelocations              bool
	Relocations, RelocationSize uint32
}

// Fields of the headers. Microsoft PE Format, "Optional Header Standard Fields" and "Characteristics".
const (
	characteristicsOff = peSignatureLen + 18
	relocsStripped     = 0x0001
	entryPointOff      = 16 // in the optional header
	dllFlagsOff        = 70 // DllCharacteristics
	nxCompatible       = 0x0100
	relocationEntry    = 5 // IMAGE_DIRECTORY_ENTRY_BASERELOC
)

// Loading reads what the headers say of how the image is loaded. Nothing of it is checked.
func (p *PE) Loading() Loading {
	header := p.head[p.headers.Off:p.headers.End()]
	optional := header[peSignatureLen+coffHeaderSize:]
	l := Loading{
		SizeOfImage:         (*optionalHeader)(optional).sizeOfImage(),
		EntryPoint:          binary.LittleEndian.Uint32(optional[entryPointOff:]),
		RelocationsStripped: binary.LittleEndian.Uint16(header[characteristicsOff:])&relocsStripped != 0,
		NXCompatible:        binary.LittleEndian.Uint16(optional[dllFlagsOff:])&nxCompatible != 0,
	}
	if l.HasRelocations = (*optionalHeader)(optional).numberOfRvaAndSizes() > relocationEntry; l.HasRelocations {
		entry := optional[optionalFixed+relocationEntry*directorySize:]
		l.Relocations, l.RelocationSize = binary.LittleEndian.Uint32(entry), binary.LittleEndian.Uint32(entry[4:])
	}
	return l
}
