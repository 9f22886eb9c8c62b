package efi

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// Types and subtypes of device path nodes. UEFI 2.11, 10.3 Device Path Nodes.
const (
	TypeHardware  = 0x01
	TypeACPI      = 0x02
	TypeMessaging = 0x03
	TypeMedia     = 0x04
	TypeEnd       = 0x7f

	SubtypePCI         = 0x01 // of TypeHardware
	SubtypeACPI        = 0x01 // of TypeACPI
	SubtypeSCSI        = 0x02 // of TypeMessaging
	SubtypeUSB         = 0x05
	SubtypeMAC         = 0x0b
	SubtypeSATA        = 0x12
	SubtypeNVMe        = 0x17
	SubtypeHardDrive   = 0x01 // of TypeMedia
	SubtypeVendorMedia = 0x03
	SubtypeFilePath    = 0x04
	SubtypeFvFile      = 0x06
	SubtypeFvName      = 0x07
	SubtypeEndInstance = 0x01 // of TypeEnd
	SubtypeEndEntire   = 0xff
)

// pciRootHID is EISA PNP0A03, the _HID of a PCI root bridge in a device path. UEFI 2.11, 10.3.3.
const pciRootHID = 0x0a0341d0

// nodeHeader is the size of EFI_DEVICE_PATH_PROTOCOL: type, subtype, le16 length of the whole node.
const nodeHeader = 4

// A Node is one node of a device path. Data is what follows the 4-byte header.
type Node struct {
	Type, Subtype uint8
	Data          []byte
}

// A DevicePath is a device path's nodes without the end node.
type DevicePath []Node

// FvName names a firmware volume, MEDIA_PIWG_FW_VOL_DP.
func FvName(g GUID) Node { return Node{TypeMedia, SubtypeFvName, g[:]} }

// FvFile names a file in a firmware volume, MEDIA_PIWG_FW_FILE_DP.
func FvFile(g GUID) Node { return Node{TypeMedia, SubtypeFvFile, g[:]} }

// VendorMedia is a vendor's media node without further data, MEDIA_VENDOR_DP.
func VendorMedia(g GUID) Node { return Node{TypeMedia, SubtypeVendorMedia, g[:]} }

// FilePath is a file's path as a terminated UTF-16 string, MEDIA_FILEPATH_DP.
func FilePath(name string) Node {
	return Node{TypeMedia, SubtypeFilePath, AppendUTF16Z(nil, name)}
}

// PCIRoot is a PCI root bridge by its _UID, an ACPI_DP with _HID PNP0A03.
func PCIRoot(uid uint32) Node {
	d := binary.LittleEndian.AppendUint32(nil, pciRootHID)
	return Node{TypeACPI, SubtypeACPI, binary.LittleEndian.AppendUint32(d, uid)}
}

// PCI is a PCI function on the bus of the node before it, HW_PCI_DP.
func PCI(device, function uint8) Node {
	return Node{TypeHardware, SubtypePCI, []byte{function, device}}
}

// Append appends the path's nodes and an end node to b. A node's data must be shorter than 64 KiB - 4.
func (p DevicePath) Append(b []byte) []byte {
	for _, n := range p {
		b = append(b, n.Type, n.Subtype)
		b = binary.LittleEndian.AppendUint16(b, uint16(nodeHeader+len(n.Data)))
		b = append(b, n.Data...)
	}
	return append(b, TypeEnd, SubtypeEndEntire, nodeHeader, 0)
}

// ParseDevicePath parses one device path that fills b. Node data aliases b. Off is the offset of b from the start of
// the outermost input, for errors. An end-of-instance node is kept as a node.
func ParseDevicePath(b []byte, off int64) (DevicePath, error) {
	c := bin.NewCursor("device path", b, off)
	p := parseNodes(c)
	c.End()
	if err := c.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// parseNodes reads nodes up to the end of the entire path.
func parseNodes(c *bin.Cursor) DevicePath {
	var p DevicePath
	for c.Err() == nil {
		at := c.Off()
		n := Node{Type: c.U8("Type"), Subtype: c.U8("SubType")}
		size := int(c.U16("Length"))
		if c.Err() == nil && size < nodeHeader {
			c.Failf(at+2, "Length", bin.ErrMalformed, "is %d, want at least %d", size, nodeHeader)
		}
		n.Data = c.Bytes("node", size-nodeHeader)
		if c.Err() != nil {
			return nil
		}
		if n.Type == TypeEnd && n.Subtype == SubtypeEndEntire {
			if len(n.Data) > 0 {
				c.Failf(at+2, "Length", bin.ErrMalformed, "is %d in an end node, want %d", size, nodeHeader)
			}
			return p
		}
		p = append(p, n)
	}
	return nil
}

// String returns the path as text with slashes between the nodes. UEFI 2.11, 10.6.1.6 Text Device Node Reference.
func (p DevicePath) String() string {
	s := make([]string, len(p))
	for i, n := range p {
		s[i] = n.String()
	}
	return strings.Join(s, "/")
}

// String returns the node as text; a node without a form of its own is Path(type,subtype,data).
func (n Node) String() string {
	if s := n.text(); s != "" {
		return s
	}
	if len(n.Data) == 0 {
		return fmt.Sprintf("Path(%d,%d)", n.Type, n.Subtype)
	}
	return fmt.Sprintf("Path(%d,%d,%X)", n.Type, n.Subtype, n.Data)
}

// text returns the node's own form, or the empty string.
func (n Node) text() string {
	d, le := n.Data, binary.LittleEndian
	switch [2]uint8{n.Type, n.Subtype} {
	case [2]uint8{TypeHardware, SubtypePCI}:
		if len(d) == 2 {
			return fmt.Sprintf("Pci(0x%x,0x%x)", d[1], d[0])
		}
	case [2]uint8{TypeACPI, SubtypeACPI}:
		if len(d) == 8 {
			return acpiText(le.Uint32(d), le.Uint32(d[4:]))
		}
	case [2]uint8{TypeMessaging, SubtypeSCSI}:
		if len(d) == 4 {
			return fmt.Sprintf("Scsi(0x%x,0x%x)", le.Uint16(d), le.Uint16(d[2:]))
		}
	case [2]uint8{TypeMessaging, SubtypeUSB}:
		if len(d) == 2 {
			return fmt.Sprintf("USB(0x%x,0x%x)", d[0], d[1])
		}
	case [2]uint8{TypeMessaging, SubtypeSATA}:
		if len(d) == 6 {
			return fmt.Sprintf("Sata(0x%x,0x%x,0x%x)", le.Uint16(d), le.Uint16(d[2:]), le.Uint16(d[4:]))
		}
	case [2]uint8{TypeMessaging, SubtypeNVMe}:
		if len(d) == 12 {
			e := d[4:]
			return fmt.Sprintf("NVMe(0x%x,%02X-%02X-%02X-%02X-%02X-%02X-%02X-%02X)", le.Uint32(d), e[7], e[6], e[5], e[4], e[3], e[2], e[1], e[0])
		}
	case [2]uint8{TypeMedia, SubtypeHardDrive}:
		if len(d) == 38 && d[36] == 2 && d[37] == 2 {
			return fmt.Sprintf("HD(%d,GPT,%s,0x%x,0x%x)", le.Uint32(d), upper(d[20:36]), le.Uint64(d[4:]), le.Uint64(d[12:]))
		}
	case [2]uint8{TypeMedia, SubtypeVendorMedia}:
		if len(d) == 16 {
			return "VenMedia(" + upper(d) + ")"
		}
		if len(d) > 16 {
			return fmt.Sprintf("VenMedia(%s,%X)", upper(d), d[16:])
		}
	case [2]uint8{TypeMedia, SubtypeFilePath}:
		if s, ok := strings.CutSuffix(string(d), "\x00\x00"); ok {
			if t, err := DecodeUTF16([]byte(s), 0); err == nil && t != "" {
				return t
			}
		}
	case [2]uint8{TypeMedia, SubtypeFvFile}:
		if len(d) == 16 {
			return "FvFile(" + upper(d) + ")"
		}
	case [2]uint8{TypeMedia, SubtypeFvName}:
		if len(d) == 16 {
			return "Fv(" + upper(d) + ")"
		}
	}
	return ""
}

// acpiText names the ACPI devices that UEFI has names for and gives others by their EISA id.
func acpiText(hid, uid uint32) string {
	switch {
	case hid == pciRootHID:
		return fmt.Sprintf("PciRoot(0x%x)", uid)
	case hid&0xffff == pciRootHID&0xffff && hid>>16 == 0x0a08:
		return fmt.Sprintf("PcieRoot(0x%x)", uid)
	case hid&0xffff == pciRootHID&0xffff:
		return fmt.Sprintf("Acpi(PNP%04X,0x%x)", hid>>16, uid)
	}
	return fmt.Sprintf("Acpi(0x%08x,0x%x)", hid, uid)
}

// upper returns the GUID at the start of b in upper case, as device paths show it.
func upper(b []byte) string { return strings.ToUpper(GUID(b[:16]).String()) }
