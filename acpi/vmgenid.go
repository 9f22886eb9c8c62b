package acpi

import (
	"encoding/hex"
	"strings"

	"github.com/tdxkit/tdxkit/acpi/aml"
)

// The file that holds the generation ID: a page, in which an offset keeps firmware from taking the ID for a table
// (QEMU v10.2.2, include/hw/acpi/vmgenid.h).
const (
	vmGenIDLen = 4096
	vmGenIDOff = 40
)

// buildVMGenID appends the table of the VM generation ID device, and the commands that have firmware place its file
// and tell QEMU where (QEMU v10.2.2, hw/acpi/vmgenid.c, vmgenid_build_acpi).
func (s *state) buildVMGenID() error {
	file, err := vmGenIDFile(s.m.VMGenID)
	if err != nil {
		return err
	}
	return s.rooted(header{sig: "SSDT", revision: 1, oemTableID: "VMGENID"}, func() error {
		off := s.NameDWord("VGIA")
		s.Add(vmGenIDDevice)
		s.alloc(VMGenIDFile, 4096, zoneHigh)
		s.blobs.Extra = append(s.blobs.Extra, File{Name: VMGenIDFile, Data: file})
		s.cmds = append(s.cmds, Command{Kind: WritePointer, File: VMGenIDAddr, Source: VMGenIDFile, Size: 8, SourceOff: vmGenIDOff})
		s.relocate(TablesFile, off, 4, VMGenIDFile)
		return nil
	})
}

// vmGenIDFile returns the content of etc/vmgenid_guid: the GUID with its first three fields little-endian.
func vmGenIDFile(guid string) ([]byte, error) {
	v, err := hex.DecodeString(strings.ReplaceAll(guid, "-", ""))
	if err != nil || len(v) != 16 {
		return nil, unsupported("vmgenid", "", "the GUID "+guid+"; guid=auto is a different one at each start")
	}
	v[0], v[1], v[2], v[3] = v[3], v[2], v[1], v[0]
	v[4], v[5] = v[5], v[4]
	v[6], v[7] = v[7], v[6]
	file := make([]byte, vmGenIDLen)
	copy(file[vmGenIDOff:], v)
	return file, nil
}

// vmGenIDDevice is the device whose method ADDR returns where the ID is.
var vmGenIDDevice = aml.Fixed(func(b *aml.Builder) {
	base := aml.Path("VGIA")
	b.Scope("\\_SB", func() {
		b.Device("VGEN", func() {
			b.Name("_HID", aml.Str("QEMUVGID"))
			b.Name("_CID", aml.Str("VM_Gen_Counter"))
			b.Name("_DDN", aml.Str("VM_Gen_Counter"))
			b.Method("_STA", 0, aml.NotSerialized, func() {
				b.Store(aml.Int(0xf), aml.Local0)
				b.If(aml.LEqual(base, aml.Zero), func() { b.Store(aml.Zero, aml.Local0) })
				b.Return(aml.Local0)
			})
			b.Method("ADDR", 0, aml.NotSerialized, func() {
				b.Store(aml.EmptyPackage(2), aml.Local0)
				b.Store(aml.Add(base, aml.Int(vmGenIDOff), aml.None), aml.Index(aml.Local0, aml.Zero))
				b.Store(aml.Zero, aml.Index(aml.Local0, aml.One))
				b.Return(aml.Local0)
			})
		})
	})
	b.Method("\\_GPE._E05", 0, aml.NotSerialized, func() { b.Notify(aml.Path("\\_SB.VGEN"), aml.Int(0x80)) })
})
