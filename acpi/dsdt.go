package acpi

import (
	"github.com/tdxkit/tdxkit/acpi/aml"
	"github.com/tdxkit/tdxkit/qemu"
)

// buildDSDT appends the differentiated system description table. Its parts come in QEMU's order (QEMU v10.2.2,
// hw/i386/acpi-build.c, build_dsdt).
func (s *state) buildDSDT() error {
	s.dsdt = s.Len()
	return s.table(header{sig: "DSDT", revision: 1}, func() error {
		s.Add(debugPort)
		s.Scope("_SB", s.hostBridge)
		if s.m.ACPIPCIHotplug {
			s.Add(pciHotplug[s.pdsm()]())
		}
		s.Add(interruptRouting[s.trigger()]())
		if s.m.HPET {
			s.Add(hpetDevice)
		}
		s.Scope("_GPE", func() {
			s.Name("_HID", aml.Str("ACPI0006"))
			if s.m.NVDIMM {
				s.Method("_E04", 0, aml.NotSerialized, func() { s.Notify(aml.Path("\\_SB.NVDR"), aml.Int(0x80)) })
			}
		})
		s.processors()
		if s.m.RAMSlots > 0 {
			s.memorySlots()
		}
		used, err := s.extraRoots()
		if err != nil {
			return err
		}
		s.Scope("\\_SB.PCI0", func() { s.hostResources(used) })
		s.sleepStates()
		s.Add(fwCfgDevice)
		if err := s.pciDevices(); err != nil {
			return err
		}
		if s.m.ACPIPCIHotplug {
			s.hotplugEvents()
		}
		return nil
	})
}

// debugPort is the method that writes a value to QEMU's debug port 0x402 in hexadecimal.
var debugPort = aml.Fixed(func(b *aml.Builder) {
	b.Scope("\\", func() {
		b.OperationRegion("DBG", aml.SystemIO, aml.Int(0x402), 1)
		b.Field("DBG", aml.ByteAcc, aml.FieldUnit{Name: "DBGB", Bits: 8})
		b.Method("DBUG", 1, aml.NotSerialized, func() {
			buf, length, index := aml.Local0, aml.Local1, aml.Local2
			b.Add(aml.ToHexString(aml.Arg0, buf))
			b.Add(aml.ToBuffer(buf, buf))
			b.Add(aml.Subtract(aml.SizeOf(buf), aml.One, length))
			b.Store(aml.Zero, index)
			b.While(aml.LLess(index, length), func() {
				b.Store(aml.DerefOf(aml.Index(buf, index)), aml.Path("DBGB"))
				b.Increment(index)
			})
			b.Store(aml.Int('\n'), aml.Path("DBGB"))
		})
	})
})

// hostBridge appends the PCI host bridge and the device that reserves the configuration space.
func (s *state) hostBridge() {
	s.Device("PCI0", func() {
		s.Name("_HID", aml.EISAID("PNP0A08"))
		s.Name("_CID", aml.EISAID("PNP0A03"))
		if s.m.Traits.PCI0Address {
			s.Name("_ADR", aml.Zero)
		}
		s.Name("_UID", aml.Zero)
		if s.m.ACPIPCIHotplug {
			s.Add(oscMethodACPIHotplug)
		} else {
			s.Add(oscMethodNativeHotplug)
		}
		if !s.m.Traits.NoEDSM {
			s.Add(edsmMethod)
		}
	})
	if s.chip.PCIEXBAR != 0 {
		r := aml.Range{Min: s.chip.PCIEXBAR, Max: s.chip.PCIEXBAR + mcfgLen - 1}
		s.Device("DRAC", func() {
			s.Name("_HID", aml.Str("PNP0C01"))
			if r.Max > 0xffffffff {
				s.Name("_CRS", aml.Resources(aml.QWordMemory(aml.NonCacheable|aml.ReadWrite, r)))
			} else {
				s.Name("_CRS", aml.Resources(aml.DWordMemory(aml.NonCacheable|aml.ReadWrite, r)))
			}
		})
	}
}

// The two forms of the method by which the operating system and the firmware share control of PCI Express features.
// Where ACPI does the hotplug, the operating system does not get native hotplug, bit 0.
var (
	oscMethodACPIHotplug   = oscMethod(0x1e)
	oscMethodNativeHotplug = oscMethod(0x1f)
)

// oscMethod is _OSC, which grants the features in mask (QEMU v10.2.2, hw/acpi/pci.c,
// build_pci_host_bridge_osc_method; PCI Firmware 3.3, 4.5.1).
func oscMethod(mask uint64) aml.Term {
	return aml.Fixed(func(b *aml.Builder) {
		b.Method("_OSC", 4, aml.NotSerialized, func() {
			status, control := aml.Path("CDW1"), aml.Local0
			b.CreateDWordField(aml.Arg3, aml.Zero, "CDW1")
			b.If(aml.LEqual(aml.Arg0, aml.UUID("33DB4D5B-1FF7-401C-9657-7441C03DD766")), func() {
				b.CreateDWordField(aml.Arg3, aml.Int(4), "CDW2")
				b.CreateDWordField(aml.Arg3, aml.Int(8), "CDW3")
				b.Store(aml.Path("CDW3"), control)
				b.Add(aml.And(control, aml.Int(mask), control))
				b.If(aml.LNot(aml.LEqual(aml.Arg1, aml.One)), func() { // a revision that is not known
					b.Add(aml.Or(status, aml.Int(0x08), status))
				})
				b.If(aml.LNot(aml.LEqual(aml.Path("CDW3"), control)), func() { // not all was granted
					b.Add(aml.Or(status, aml.Int(0x10), status))
				})
				b.Store(control, aml.Path("CDW3"))
			})
			b.Else(func() { // a UUID that is not known
				b.Add(aml.Or(status, aml.Int(4), status))
			})
			b.Return(aml.Arg3)
		})
	})
}

// hpetDevice describes the HPET, which is there when its registers answer (QEMU v10.2.2, build_hpet_aml).
var hpetDevice = aml.Fixed(func(b *aml.Builder) {
	b.Scope("_SB", func() {
		b.Device("HPET", func() {
			vendor, period := aml.Local0, aml.Local1
			b.Name("_HID", aml.EISAID("PNP0103"))
			b.Name("_UID", aml.Zero)
			b.OperationRegion("HPTM", aml.SystemMemory, aml.Int(hpetBase), hpetLen)
			b.Field("HPTM", aml.DWordAcc|aml.Lock, aml.FieldUnit{Name: "VEND", Bits: 32}, aml.FieldUnit{Name: "PRD", Bits: 32})
			b.Method("_STA", 0, aml.NotSerialized, func() {
				b.Store(aml.Path("VEND"), vendor)
				b.Store(aml.Path("PRD"), period)
				b.Add(aml.ShiftRight(vendor, aml.Int(16), vendor))
				b.If(aml.LOr(aml.LEqual(vendor, aml.Zero), aml.LEqual(vendor, aml.Int(0xffff))), func() {
					b.Return(aml.Zero)
				})
				b.If(aml.LOr(aml.LEqual(period, aml.Zero), aml.LGreater(period, aml.Int(100_000_000))), func() {
					b.Return(aml.Zero)
				})
				b.Return(aml.Int(0xf))
			})
			b.Name("_CRS", aml.Resources(aml.Memory32Fixed(hpetBase, hpetLen, aml.ReadOnly)))
		})
	})
})

// sleepStates appends the packages that say how to enter the sleep states which the machine has.
func (s *state) sleepStates() {
	s.Scope("\\", func() {
		if !s.m.DisableS3 {
			s.Name("_S3", aml.Package(aml.One, aml.One, aml.Zero, aml.Zero))
		}
		if !s.m.DisableS4 {
			v := aml.Int(uint64(s.m.S4Value))
			s.Name("_S4", aml.Package(v, v, aml.Zero, aml.Zero))
		}
		s.Name("_S5", aml.Package(aml.Zero, aml.Zero, aml.Zero, aml.Zero))
	})
}

// The I/O ports of fw_cfg: selector, data and, with DMA, the address register (QEMU v10.2.2, hw/i386/fw_cfg.c,
// fw_cfg_add_acpi_dsdt).
const (
	fwCfgPort = 0x510
	fwCfgLen  = 12
)

// fwCfgDevice reserves the ports of fw_cfg.
var fwCfgDevice = aml.Fixed(func(b *aml.Builder) {
	b.Scope("\\_SB.PCI0", func() {
		b.Device("FWCF", func() {
			b.Name("_HID", aml.Str("QEMU0002"))
			b.Name("_STA", aml.Int(0xb))
			b.Name("_CRS", aml.Resources(aml.IO(fwCfgPort, fwCfgPort, 1, fwCfgLen)))
		})
	})
})

// pciDevices appends the functions of the root bus and what is below them, and a TPM that is on no bus.
func (s *state) pciDevices() error {
	if s.m.Traits.HotplugInDevices {
		return s.pciDevicesOld()
	}
	var err error
	s.Scope("\\_SB", func() {
		s.Scope("PCI0", func() { err = s.busDevices(s.m.Root) })
		if s.m.TPM == qemu.TPMCRB {
			s.tpmCRB()
		}
	})
	return err
}
