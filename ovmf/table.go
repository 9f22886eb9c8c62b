package ovmf

import (
	"encoding/binary"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/internal/bin"
)

// tableFooter ends the GUIDed table in front of the reset vector. edk2 edk2-stable202208,
// OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm.
var tableFooter = efi.MustGUID("96b582de-1fb2-45f7-baea-a366c55a082d")

const (
	afterTable  = 0x20   // bytes of reset vector behind the table
	entryTail   = 2 + 16 // le16 length and GUID that end each entry
	tableFormat = "GUIDed table"
)

// A TableEntry is one entry of the GUIDed table.
type TableEntry struct {
	GUID efi.GUID
	Off  int64 // of Data in the image
	Data []byte
}

// ParseTable lists the GUIDed table that ends 32 bytes before the end of a flash image, last entry first, as a VMM walks
// it: each entry is data, le16 length of the whole entry, GUID. The result is nil where there is no table. Data aliases
// the image. QEMU 10.2.2, hw/i386/pc_sysfw_ovmf.c, pc_system_parse_ovmf_flash and pc_system_ovmf_table_find.
func ParseTable(image []byte) ([]TableEntry, error) {
	foot := len(image) - afterTable - entryTail // of the footer's length field
	if foot < 0 || efi.GUID(image[foot+2:foot+entryTail]) != tableFooter {
		return nil, nil
	}
	c := bin.NewCursor(tableFormat, image, 0)
	size := int(binary.LittleEndian.Uint16(image[foot:])) - entryTail
	if size < 0 || size > foot {
		c.Failf(int64(foot), "length", bin.ErrMalformed, "is %d, want %d to %d", size+entryTail, entryTail, foot+entryTail)
		return nil, c.Err()
	}
	var entries []TableEntry
	for end := foot; end > foot-size; {
		left := end - (foot - size)
		if left < entryTail {
			c.Failf(int64(end-left), "entry", bin.ErrMalformed, "has %d bytes, want at least %d", left, entryTail)
			return nil, c.Err()
		}
		at := end - entryTail
		n := int(binary.LittleEndian.Uint16(image[at:]))
		if n < entryTail || n > left {
			c.Failf(int64(at), "entry length", bin.ErrMalformed, "is %d, want %d to %d", n, entryTail, left)
			return nil, c.Err()
		}
		start := end - n
		entries = append(entries, TableEntry{efi.GUID(image[at+2 : end]), int64(start), image[start:at:at]})
		end = start
	}
	return entries, nil
}
