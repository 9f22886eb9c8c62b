package eventlog

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/internal/bin"
)

// A Variable is the UEFI_VARIABLE_DATA of an EV_EFI_VARIABLE_* event. TCG PFP 1.06, 10.2.6.
type Variable struct{ efi.VariableData }

func parseVariable(e Event) (Payload, error) {
	v, err := efi.ParseVariableData(e.Data, e.dataOff())
	if err != nil {
		return nil, err
	}
	return Variable{v}, nil
}

// Key returns the variable's name, followed by its vendor's GUID where that is not one of UEFI's own.
func (v Variable) Key() string {
	if v.GUID == efi.GlobalVariable || v.GUID == efi.ImageSecurityDatabase {
		return clean(v.Name)
	}
	return clean(v.Name) + "-" + v.GUID.String()
}

// String returns the name and what the value says: a boot option, a boot order, how many signatures, bytes.
func (v Variable) String() string { return v.Key() + " = " + v.value() }

func (v Variable) value() string {
	switch {
	case len(v.Data) == 0:
		return "(absent)"
	case v.GUID == efi.GlobalVariable && v.Name == "BootOrder" && len(v.Data)%2 == 0:
		var order []string
		for i := 0; i < len(v.Data); i += 2 {
			order = append(order, fmt.Sprintf("%04x", binary.LittleEndian.Uint16(v.Data[i:])))
		}
		return strings.Join(order, ",")
	case v.GUID == efi.GlobalVariable && isBootOption(v.Name):
		if o, err := efi.ParseLoadOption(v.Data, 0); err == nil {
			return bootOptionText(o)
		}
	}
	if lists, err := efi.ParseSignatureLists(v.Data, 0); err == nil {
		return signaturesText(lists)
	}
	return parseFree(v.Data).String()
}

// isBootOption reports whether name is Boot#### with four hexadecimal digits in upper case.
func isBootOption(name string) bool {
	digits, ok := strings.CutPrefix(name, "Boot")
	return ok && len(digits) == 4 && strings.Trim(digits, "0123456789ABCDEF") == ""
}

func bootOptionText(o efi.LoadOption) string {
	s := fmt.Sprintf("%q attributes 0x%x", o.Description, o.Attributes)
	for _, p := range o.Paths {
		s += " " + clean(p.String())
	}
	if len(o.Optional) > 0 {
		s += " data " + hexText(o.Optional)
	}
	return s
}

func signaturesText(lists []efi.SignatureList) string {
	certs, hashes, others := 0, 0, 0
	for _, l := range lists {
		switch l.Type {
		case efi.CertX509:
			certs += len(l.Signatures)
		case efi.CertSHA256:
			hashes += len(l.Signatures)
		default:
			others += len(l.Signatures)
		}
	}
	return fmt.Sprintf("%d certificates, %d SHA-256 digests, %d others", certs, hashes, others)
}

// An ImageLoad is the UEFI_IMAGE_LOAD_EVENT of a PE image: four le64 (address, size in memory, link-time base, length
// of the path) and the device path it was loaded from. TCG PFP 1.06, 10.2.3.
type ImageLoad struct {
	Location, Length, LinkBase uint64
	Path                       []byte // an encoded device path, or empty
}

func parseImageLoad(e Event) (Payload, error) {
	c := bin.NewCursor("UEFI_IMAGE_LOAD_EVENT", e.Data, e.dataOff())
	i := ImageLoad{Location: c.U64("ImageLocationInMemory"), Length: c.U64("ImageLengthInMemory"), LinkBase: c.U64("ImageLinkTimeAddress")}
	off := c.Off()
	size := c.U64("LengthOfDevicePath")
	if c.Err() == nil && size != uint64(c.Len()) {
		c.Failf(off, "LengthOfDevicePath", bin.ErrMalformed, "is %d, %d bytes follow", size, c.Len())
	}
	i.Path = c.Rest()
	if err := c.Err(); err != nil {
		return nil, err
	}
	return i, nil
}

// AppendImageLoad appends the event data of a PE image to b. Path is an encoded device path.
func AppendImageLoad(b []byte, location, length, linkBase uint64, path []byte) []byte {
	return ImageLoad{location, length, linkBase, path}.Append(b)
}

// Key returns the device path as text.
func (i ImageLoad) Key() string { return i.pathText() }

// String returns the device path and the image's size.
func (i ImageLoad) String() string {
	path := i.pathText()
	if path == "" {
		path = "(no path)"
	}
	return fmt.Sprintf("%s, %d bytes at 0x%x", path, i.Length, i.Location)
}

func (i ImageLoad) pathText() string {
	if len(i.Path) == 0 {
		return ""
	}
	p, err := efi.ParseDevicePath(i.Path, 0)
	if err != nil {
		return hexText(i.Path)
	}
	return clean(p.String())
}

// Append appends the event data to b.
func (i ImageLoad) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, i.Location)
	b = binary.LittleEndian.AppendUint64(b, i.Length)
	b = binary.LittleEndian.AppendUint64(b, i.LinkBase)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(i.Path)))
	return append(b, i.Path...)
}

const (
	gptHeaderSize   = 92  // bytes of EFI_PARTITION_TABLE_HEADER
	gptEntrySizeOff = 84  // of SizeOfPartitionEntry in it
	gptDiskGUIDOff  = 56  // of DiskGUID in it
	gptMinEntry     = 128 // bytes of the smallest EFI_PARTITION_ENTRY
)

// A GPT is a UEFI_GPT_DATA: the partition table's header, le64 number of partitions in use, and their entries.
// TCG PFP 1.06, 10.2.5; UEFI 2.11, 5.3.
type GPT struct {
	Header     []byte // 92 bytes
	Partitions []Partition
}

// A Partition is an EFI_PARTITION_ENTRY.
type Partition struct {
	Type, GUID        efi.GUID
	FirstLBA, LastLBA uint64
	Attributes        uint64
	Name              string
	Data              []byte // the whole entry
}

func parseGPT(e Event) (Payload, error) {
	base := e.dataOff()
	c := bin.NewCursor("UEFI_GPT_DATA", e.Data, base)
	g := GPT{Header: c.Bytes("UEFIPartitionHeader", gptHeaderSize)}
	n := c.U64("NumberOfPartitions")
	if c.Err() != nil {
		return nil, c.Err()
	}
	if sig := string(g.Header[:8]); sig != "EFI PART" {
		c.Failf(base, "Signature", bin.ErrMalformed, "is %q, want \"EFI PART\"", sig)
	}
	size := binary.LittleEndian.Uint32(g.Header[gptEntrySizeOff:])
	if size < gptMinEntry || int64(size) > bin.MaxEventLog {
		c.Failf(base+gptEntrySizeOff, "SizeOfPartitionEntry", bin.ErrMalformed, "is %d, want at least %d", size, gptMinEntry)
	} else if left := uint64(c.Len()); n != left/uint64(size) || left%uint64(size) != 0 {
		c.Failf(base+gptHeaderSize, "NumberOfPartitions", bin.ErrMalformed, "is %d with entries of %d bytes, %d bytes follow", n, size, left)
	}
	for c.Len() > 0 {
		g.Partitions = append(g.Partitions, parsePartition(c, int(size)))
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	return g, nil
}

func parsePartition(c *bin.Cursor, size int) Partition {
	off := c.Off()
	d := c.Bytes("Partitions", size)
	p := Partition{
		Type: efi.GUID(d[:16]), GUID: efi.GUID(d[16:32]),
		FirstLBA: binary.LittleEndian.Uint64(d[32:]), LastLBA: binary.LittleEndian.Uint64(d[40:]),
		Attributes: binary.LittleEndian.Uint64(d[48:]), Data: d,
	}
	name := d[56:gptMinEntry]
	for i := 0; i < len(name); i += 2 {
		if name[i] == 0 && name[i+1] == 0 {
			name = name[:i]
			break
		}
	}
	var err error
	if p.Name, err = efi.DecodeUTF16(name, off+56); err != nil {
		fail(c, err)
	}
	return p
}

// DiskGUID returns the disk's GUID.
func (g GPT) DiskGUID() efi.GUID { return efi.GUID(g.Header[gptDiskGUIDOff:][:16]) }

// Key returns "partition table".
func (g GPT) Key() string { return "partition table" }

// String returns the disk's GUID and the names of its partitions.
func (g GPT) String() string {
	var names []string
	for _, p := range g.Partitions {
		names = append(names, fmt.Sprintf("%q", p.Name))
	}
	return fmt.Sprintf("partition table of disk %v: %d partitions %s", g.DiskGUID(), len(names), strings.Join(names, ", "))
}

// Append appends the event data to b.
func (g GPT) Append(b []byte) []byte {
	b = append(b, g.Header...)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(g.Partitions)))
	for _, p := range g.Partitions {
		b = append(b, p.Data...)
	}
	return b
}

// A Blob is a UEFI_PLATFORM_FIRMWARE_BLOB: le64 address and le64 length of a part of the firmware.
// TCG PFP 1.06, 10.2.4.
type Blob struct{ Base, Length uint64 }

// A Blob2 is a UEFI_PLATFORM_FIRMWARE_BLOB2: the same after a description and its length in one byte.
type Blob2 struct {
	Description string // at most 255 bytes, with its terminator where the log has one
	Blob
}

func parseBlob(e Event) (Payload, error) {
	c := bin.NewCursor("UEFI_PLATFORM_FIRMWARE_BLOB", e.Data, e.dataOff())
	b := Blob{c.U64("BlobBase"), c.U64("BlobLength")}
	c.End()
	if err := c.Err(); err != nil {
		return nil, err
	}
	return b, nil
}

func parseBlob2(e Event) (Payload, error) {
	c := bin.NewCursor("UEFI_PLATFORM_FIRMWARE_BLOB2", e.Data, e.dataOff())
	d := string(c.Bytes("BlobDescription", int(c.U8("BlobDescriptionSize"))))
	b := Blob2{d, Blob{c.U64("BlobBase"), c.U64("BlobLength")}}
	c.End()
	if err := c.Err(); err != nil {
		return nil, err
	}
	return b, nil
}

// AppendFirmwareBlob2 appends the event data of a part of the firmware to b: name with a terminator, address and
// length in bytes. Name must be at most 254 bytes.
// edk2 edk2-stable202502, OvmfPkg/IntelTdx/TdxHelperLib/TdxMeasurementHob.c.
func AppendFirmwareBlob2(b []byte, name string, base, length uint64) []byte {
	return Blob2{name + "\x00", Blob{base, length}}.Append(b)
}

// Key returns the empty string.
func (b Blob) Key() string { return "" }

// String returns address and length.
func (b Blob) String() string { return fmt.Sprintf("%d bytes at 0x%x", b.Length, b.Base) }

// Append appends the event data to d.
func (b Blob) Append(d []byte) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(d, b.Base), b.Length)
}

// Key returns the description without its terminator.
func (b Blob2) Key() string { return clean(strings.TrimRight(b.Description, "\x00")) }

// String returns description, address and length.
func (b Blob2) String() string { return b.Key() + ", " + b.Blob.String() }

// Append appends the event data to d.
func (b Blob2) Append(d []byte) []byte {
	d = append(d, uint8(len(b.Description)))
	return b.Blob.Append(append(d, b.Description...))
}

// GUIDs of tables that firmware logs.
var (
	// TDHOBTable names the TD HOB. edk2 edk2-stable202502, OvmfPkg/OvmfPkg.dec, gUefiOvmfPkgTokenSpaceGuid, which
	// OvmfPkg/IntelTdx/TdxHelperLib/TdxMeasurementHob.c uses for it.
	TDHOBTable   = efi.MustGUID("93bb96af-b9f2-4eb8-9462-e0ba74564236")
	SMBIOSTable  = efi.MustGUID("eb9d2d31-2d88-11d3-9a16-0090273fc14d") // SMBIOS_TABLE_GUID, UEFI 2.11, 4.6
	SMBIOS3Table = efi.MustGUID("f2fd1544-9794-4a2c-992e-e5bbcf20e394") // SMBIOS3_TABLE_GUID, UEFI 2.11, 4.6
)

var tableNames = map[efi.GUID]string{TDHOBTable: "TD HOB", SMBIOSTable: "SMBIOS", SMBIOS3Table: "SMBIOS 3"}

// A Table is an EFI_CONFIGURATION_TABLE: a GUID and an address.
type Table struct {
	GUID    efi.GUID
	Address uint64
}

// HandoffTables is a UEFI_HANDOFF_TABLE_POINTERS: le64 number of tables, and the tables. TCG PFP 1.06, 10.2.7.
type HandoffTables struct{ Tables []Table }

// HandoffTables2 is a UEFI_HANDOFF_TABLE_POINTERS2: the same after a description and its length in one byte.
type HandoffTables2 struct {
	Description string // at most 255 bytes, with its terminator where the log has one
	HandoffTables
}

const tableSize = 24 // bytes of an EFI_CONFIGURATION_TABLE

func parseTables(c *bin.Cursor) HandoffTables {
	var h HandoffTables
	off := c.Off()
	n := c.U64("NumberOfTables")
	if left := uint64(c.Len()); c.Err() == nil && (n != left/tableSize || left%tableSize != 0) {
		c.Failf(off, "NumberOfTables", bin.ErrMalformed, "is %d, %d bytes follow, want %d each", n, left, tableSize)
	}
	for c.Len() > 0 {
		h.Tables = append(h.Tables, Table{efi.GUID(c.Bytes("VendorGuid", 16)), c.U64("VendorTable")})
	}
	return h
}

func parseHandoffTables(e Event) (Payload, error) {
	c := bin.NewCursor("UEFI_HANDOFF_TABLE_POINTERS", e.Data, e.dataOff())
	h := parseTables(c)
	if err := c.Err(); err != nil {
		return nil, err
	}
	return h, nil
}

func parseHandoffTables2(e Event) (Payload, error) {
	c := bin.NewCursor("UEFI_HANDOFF_TABLE_POINTERS2", e.Data, e.dataOff())
	d := string(c.Bytes("TableDescription", int(c.U8("TableDescriptionSize"))))
	h := HandoffTables2{d, parseTables(c)}
	if err := c.Err(); err != nil {
		return nil, err
	}
	return h, nil
}

// AppendHandoffTables appends the event data of one table to b. edk2 logs the SMBIOS table so.
func AppendHandoffTables(b []byte, guid efi.GUID, address uint64) []byte {
	return HandoffTables{[]Table{{guid, address}}}.Append(b)
}

// AppendHandoffTables2 appends the event data of one table to b: name with a terminator, GUID, address. Name must be
// at most 254 bytes. edk2 logs the TD HOB so, with the name "TdxTable".
// edk2 edk2-stable202502, OvmfPkg/IntelTdx/TdxHelperLib/TdxMeasurementHob.c.
func AppendHandoffTables2(b []byte, name string, guid efi.GUID, address uint64) []byte {
	return HandoffTables2{name + "\x00", HandoffTables{[]Table{{guid, address}}}}.Append(b)
}

// Key returns the names of the tables, or their GUIDs.
func (h HandoffTables) Key() string {
	var names []string
	for _, t := range h.Tables {
		if n, ok := tableNames[t.GUID]; ok {
			names = append(names, n)
		} else {
			names = append(names, t.GUID.String())
		}
	}
	return strings.Join(names, ", ")
}

// String returns the tables' names and addresses.
func (h HandoffTables) String() string {
	var s []string
	for _, t := range h.Tables {
		s = append(s, fmt.Sprintf("%s at 0x%x", HandoffTables{[]Table{t}}.Key(), t.Address))
	}
	return strings.Join(s, ", ")
}

// Append appends the event data to b.
func (h HandoffTables) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(len(h.Tables)))
	for _, t := range h.Tables {
		b = append(b, t.GUID[:]...)
		b = binary.LittleEndian.AppendUint64(b, t.Address)
	}
	return b
}

// String returns the description, and the tables' names and addresses.
func (h HandoffTables2) String() string {
	return clean(strings.TrimRight(h.Description, "\x00")) + ": " + h.HandoffTables.String()
}

// Append appends the event data to b.
func (h HandoffTables2) Append(b []byte) []byte {
	b = append(b, uint8(len(h.Description)))
	return h.HandoffTables.Append(append(b, h.Description...))
}
