package ovmf

import (
	"fmt"

	"github.com/tdxkit/tdxkit/efi"
)

// Limits on what a flash image may ask for.
const (
	maxDepth    = 8        // sections and volumes inside each other; OVMF nests 5
	maxFiles    = 1 << 14  // files in all volumes; OVMF has fewer than 200
	maxExpanded = 64 << 20 // bytes that all compressed sections give; OVMF's give 16 MiB
	maxSections = 1 << 8   // sections in one file or section; OVMF has at most 12
)

// Firmware file systems. PI 1.8, volume 3, 3.2.
var (
	FFS2     = efi.MustGUID("8c8ce578-8a3d-4f1c-9935-896185c32dd3") // EFI_FIRMWARE_FILE_SYSTEM2_GUID
	FFS3     = efi.MustGUID("5473c07a-3dcb-4dca-bd6f-1e9689e7349a") // EFI_FIRMWARE_FILE_SYSTEM3_GUID
	NVVolume = efi.MustGUID("fff12b8d-7696-4c8b-a985-2747075b4f50") // EFI_SYSTEM_NV_DATA_FV_GUID
)

// GUIDs of GUID-defined sections.
var (
	guidedLZMA  = efi.MustGUID("ee4e5898-3914-4259-9d6e-dc7bd79403cf") // gLzmaCustomDecompressGuid
	guidedCRC32 = efi.MustGUID("fc1bcdb0-7d31-49aa-936a-a4600d9dd083") // EFI_CRC32_GUIDED_SECTION_EXTRACTION_GUID
)

// A Volume is a firmware volume.
type Volume struct {
	FileSystem efi.GUID
	Name       efi.GUID // FvName of the extended header; zero without one
	Off        int64    // in the image, or in the data of the section that holds it
	Data       []byte   // the whole volume with its header
	Attributes uint32
	HeaderSize int
	Files      []*File
	Outer      *File // the file that holds it, nil in the flash
}

// A File is an FFS file.
type File struct {
	GUID       efi.GUID
	Type       FileType
	Attributes uint8
	Name       string // of its user interface section; empty without one
	Version    string // of its version section; empty without one
	Off        int64  // in the volume
	Data       []byte // behind the header
	Sections   []*Section
	Volume     *Volume
}

// A Section is a part of a file.
type Section struct {
	Type     SectionType
	GUID     efi.GUID // of a GUID-defined section
	Data     []byte   // behind the section's header; the compressed bytes of a compressed section
	Sections []*Section
	Inner    *Volume // of a volume image
	// Opaque says that the section's encoding is not known here, so that what is inside is not listed.
	Opaque bool

	pending bool // compressed and not yet decompressed
}

// A FileType is the type of a file. PI 1.8, volume 3, 2.1.4.1.
type FileType uint8

// The file types.
const (
	FileRaw         FileType = 0x01
	FileFreeform    FileType = 0x02
	FileSECCore     FileType = 0x03
	FilePEICore     FileType = 0x04
	FileDXECore     FileType = 0x05
	FilePEIM        FileType = 0x06
	FileDriver      FileType = 0x07
	FileApplication FileType = 0x09
	FileVolume      FileType = 0x0b
	FilePad         FileType = 0xf0
)

var fileTypeNames = map[FileType]string{
	FileRaw: "raw", FileFreeform: "freeform", FileSECCore: "SEC core", FilePEICore: "PEI core", FileDXECore: "DXE core",
	FilePEIM: "PEIM", FileDriver: "driver", 0x08: "PEIM and driver", FileApplication: "application", 0x0a: "MM",
	FileVolume: "volume image", 0x0c: "MM and DXE", 0x0d: "MM core", 0x0e: "MM standalone", 0x0f: "MM core standalone", FilePad: "pad",
}

// String returns the type in words.
func (t FileType) String() string {
	if s, ok := fileTypeNames[t]; ok {
		return s
	}
	return fmt.Sprintf("type 0x%02x", uint8(t))
}

// MarshalText returns what String returns.
func (t FileType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// A SectionType is the type of a section. PI 1.8, volume 3, 2.1.5.1.
type SectionType uint8

// The section types.
const (
	SectionCompression SectionType = 0x01
	SectionGUIDed      SectionType = 0x02
	SectionDisposable  SectionType = 0x03
	SectionPE32        SectionType = 0x10
	SectionTE          SectionType = 0x12
	SectionDXEDepex    SectionType = 0x13
	SectionVersion     SectionType = 0x14
	SectionUI          SectionType = 0x15
	SectionVolume      SectionType = 0x17
	SectionFreeform    SectionType = 0x18
	SectionRaw         SectionType = 0x19
	SectionPEIDepex    SectionType = 0x1b
)

var sectionTypeNames = map[SectionType]string{
	SectionCompression: "compression", SectionGUIDed: "GUID-defined", SectionDisposable: "disposable", SectionPE32: "PE32", 0x11: "PIC",
	SectionTE: "TE", SectionDXEDepex: "DXE dependency", SectionVersion: "version", SectionUI: "user interface", 0x16: "16-bit",
	SectionVolume: "volume image", SectionFreeform: "freeform", SectionRaw: "raw", SectionPEIDepex: "PEI dependency", 0x1c: "MM dependency",
}

// String returns the type in words.
func (t SectionType) String() string {
	if s, ok := sectionTypeNames[t]; ok {
		return s
	}
	return fmt.Sprintf("type 0x%02x", uint8(t))
}

// MarshalText returns what String returns.
func (t SectionType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Section returns the data of the file's first section of a type, nil without one. Sections inside others are found
// too.
func (f *File) Section(t SectionType) []byte { return firstSection(f.Sections, t) }

func firstSection(sections []*Section, t SectionType) []byte {
	for _, s := range sections {
		if s.Type == t {
			return s.Data
		}
		if b := firstSection(s.Sections, t); b != nil {
			return b
		}
	}
	return nil
}
