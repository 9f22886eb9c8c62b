package acpi

import (
	"github.com/tdxkit/tdxkit/acpi/aml"
	"github.com/tdxkit/tdxkit/qemu"
)

// The structure of a CXL host bridge (CXL 2.0, 9.14.1.2), and the size of its registers.
const (
	cedtBridgeLen    = 32
	cedtCXL2         = 1 // version
	cxlComponentSize = 64 << 10
)

// buildCEDT appends the CXL early discovery table: the host bridge, where there is one, and where its registers are (QEMU
// v10.2.2, hw/acpi/cxl.c, cxl_build_cedt).
func (s *state) buildCEDT() error {
	return s.rooted(header{sig: "CEDT", revision: 1}, func() error {
		registers, _ := s.m.CXLRegisters()
		if b := s.cxlBridge(); b != nil {
			s.bytes(0, 0, cedtBridgeLen, 0)
			s.DWord(uint32(b.BusNr))
			s.DWord(cedtCXL2)
			s.DWord(0)
			s.qword(registers.Min)
			s.qword(cxlComponentSize)
		}
		return nil
	})
}

// cxlBridge returns the root bus of the CXL host bridge, nil without.
func (s *state) cxlBridge() *qemu.Bus {
	for _, d := range s.m.Root.Devices {
		if d.ExtraRoot != nil && d.ExtraRoot.CXL {
			return d.ExtraRoot
		}
	}
	return nil
}

const (
	uuidPCIHost = "33DB4D5B-1FF7-401C-9657-7441C03DD766"
	uuidCXLHost = "68F2D50B-C469-4D8A-BD3D-941A103FD3FC"
	uuidCXLRoot = "F365F9A6-A7DE-4071-A66A-B40C0B4F8E52"
)

// cxlOSC is _OSC of a CXL host bridge, with the names that keep what the system said (QEMU v10.2.2, hw/acpi/cxl.c,
// build_cxl_osc_method; CXL 2.0, 9.14.2.1.4).
var cxlOSC = aml.Lazily(func(b *aml.Builder) {
	status, control := aml.Path("CDW1"), aml.Local0
	for _, name := range [...]string{"SUPP", "CTRL", "SUPC", "CTRC"} {
		b.Name(name, aml.Zero)
	}
	b.Method("_OSC", 4, aml.NotSerialized, func() {
		b.CreateDWordField(aml.Arg3, aml.Zero, "CDW1")
		b.If(aml.LOr(aml.LEqual(aml.Arg0, aml.UUID(uuidPCIHost)), aml.LEqual(aml.Arg0, aml.UUID(uuidCXLHost))), func() {
			b.CreateDWordField(aml.Arg3, aml.Int(4), "CDW2")
			b.CreateDWordField(aml.Arg3, aml.Int(8), "CDW3")
			b.Store(aml.Path("CDW3"), control)
			b.Add(aml.And(control, aml.Int(0x1f), control))
			b.If(aml.LNot(aml.LEqual(aml.Arg1, aml.One)), func() { b.Add(aml.Or(status, aml.Int(0x08), status)) })
			b.If(aml.LNot(aml.LEqual(aml.Path("CDW3"), control)), func() { b.Add(aml.Or(status, aml.Int(0x10), status)) })
			b.Store(aml.Path("CDW2"), aml.Path("SUPP"))
			b.Store(aml.Path("CDW3"), aml.Path("CTRL"))
			b.Store(control, aml.Path("CDW3"))
			b.If(aml.LEqual(aml.Arg0, aml.UUID(uuidCXLHost)), func() {
				b.CreateDWordField(aml.Arg3, aml.Int(12), "CDW4")
				b.CreateDWordField(aml.Arg3, aml.Int(16), "CDW5")
				b.Store(aml.Path("CDW4"), aml.Path("SUPC"))
				b.Store(aml.Path("CDW5"), aml.Path("CTRC"))
				b.Add(aml.Or(aml.Path("CDW5"), aml.One, aml.Path("CDW5")))
			})
			b.Return(aml.Arg3)
		})
		b.Else(func() {
			b.Add(aml.Or(status, aml.Int(4), status))
			b.Return(aml.Arg3)
		})
	})
})

// cxlRoot is the device of the whole of CXL (QEMU v10.2.2, hw/i386/acpi-build.c, build_acpi0017; hw/acpi/cxl.c,
// build_cxl_dsm_method; CXL 3.0, 9.17.3.1).
var cxlRoot = aml.Lazily(func(b *aml.Builder) {
	b.Scope("_SB", func() {
		b.Device("CXLM", func() {
			b.Name("_HID", aml.Str("ACPI0017"))
			b.Method("_STA", 0, aml.NotSerialized, func() { b.Return(aml.Int(0xb)) })
			b.Method("_DSM", 4, aml.Serialized, func() {
				b.If(aml.LEqual(aml.Arg0, aml.UUID(uuidCXLRoot)), func() {
					b.If(aml.LEqual(aml.Arg2, aml.Zero), func() { b.Return(aml.Buffer([]byte{1})) })
					b.If(aml.LEqual(aml.Arg2, aml.One), func() { b.Return(aml.Package(aml.One, aml.Package(aml.Zero, aml.One))) })
				})
			})
		})
	})
})
