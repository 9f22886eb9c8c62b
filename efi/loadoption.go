package efi

import (
	"encoding/binary"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// Attributes of a load option. UEFI 2.11, 3.1.3 Load Options.
const (
	LoadOptionActive      = 0x00000001 // LOAD_OPTION_ACTIVE
	LoadOptionHidden      = 0x00000008 // LOAD_OPTION_HIDDEN
	LoadOptionCategoryApp = 0x00000100 // LOAD_OPTION_CATEGORY_APP
)

// A LoadOption is an EFI_LOAD_OPTION, the value of a Boot#### variable: le32 attributes, le16 length of the path
// list, terminated UTF-16 description, device paths, optional data. UEFI 2.11, 3.1.3 Load Options.
type LoadOption struct {
	Attributes  uint32
	Description string
	Paths       []DevicePath // the first is what is booted
	Optional    []byte
}

// Append appends the option's encoding to b. The paths together must be shorter than 64 KiB.
func (o LoadOption) Append(b []byte) []byte {
	var paths []byte
	for _, p := range o.Paths {
		paths = p.Append(paths)
	}
	b = binary.LittleEndian.AppendUint32(b, o.Attributes)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(paths)))
	b = AppendUTF16Z(b, o.Description)
	b = append(b, paths...)
	return append(b, o.Optional...)
}

// ParseLoadOption parses an EFI_LOAD_OPTION that fills b. What it returns aliases b. Off is the offset of b from the
// start of the outermost input, for errors.
func ParseLoadOption(b []byte, off int64) (LoadOption, error) {
	c := bin.NewCursor("EFI_LOAD_OPTION", b, off)
	o := LoadOption{Attributes: c.U32("Attributes")}
	size := int(c.U16("FilePathListLength"))
	if c.Err() == nil {
		o.Description = utf16z(c, "Description", b[c.Off()-off:])
	}
	paths := c.Sub("device path", "FilePathList", size)
	o.Optional = c.Rest()
	if err := c.Err(); err != nil {
		return LoadOption{}, err
	}
	for paths.Len() > 0 {
		o.Paths = append(o.Paths, parseNodes(paths))
	}
	if err := paths.Err(); err != nil {
		return LoadOption{}, err
	}
	return o, nil
}
