package acpi

import "github.com/tdxkit/tdxkit/qemu"

// Facts of QEMU's AMD IOMMU (QEMU v10.2.2, hw/i386/amd_iommu.h) and the entries of its table (AMD I/O Virtualization
// Technology specification 48882, 3.06, 5.2.2).
const (
	ivrsInfo       = 1<<0 | 40<<8 // extended features, 40 physical address bits
	ivrsBase       = 0xfed80000
	ivrsNoFeatures = 40 << 8 // as ivrsInfo, without the extended features
	ivrsCapability = 0x40    // where the function's capability is
	ivrsIOAPIC     = 0x00a0  // bus, device and function of the I/O APIC
	ivhdShortLen   = 24      // of the block of type 0x10, before its entries
	ivhdLongLen    = 40      // of type 0x11
	ivhdShortFlags = 1<<0 | 1<<4 | 1<<6 | 1<<7
	ivhdLongFlags  = 1<<0 | 1<<4
	ivhdAll        = 0x01
	ivhdSelect     = 0x02
	ivhdStart      = 0x03
	ivhdEnd        = 0x04
	ivhdAliasStart = 0x43
	ivhdSpecial    = 0x48
	lastOnBus      = 0xff // device 31, function 7
)

// The extended features, as the block of type 0x10 has them, and as the register has them.
const (
	ivrsFeatures   = 48<<30&0xffffffff | 48<<28&0xffffffff | 1<<2 | 1<<6
	ivrsX2APIC     = 1 << 0
	efrFeatures    = 1<<0 | 1<<1 | 1<<4 | 1<<6 | 1<<7 | 1<<8 | 2<<10 | 2<<12
	efrX2APIC      = 1 << 2
	efrNoHostTable = 3 << 10 // host address translation size: reserved
)

// buildIVRS appends the table of the AMD IOMMU (QEMU v10.2.2, hw/i386/acpi-build.c, build_amd_iommu).
func (s *state) buildIVRS() error {
	io := s.m.IOMMU
	root, err := s.translated("amd-iommu")
	if err != nil {
		return err
	}
	x2APIC, err := onOff(io.Props, "xtsup", false)
	if err != nil {
		return err
	}
	translates, err := onOff(io.Props, "dma-translation", true)
	if err != nil {
		return err
	}
	entries := s.ivrsEntries(root)
	features, register := uint32(ivrsFeatures), uint64(efrFeatures)
	if x2APIC {
		features, register = features|ivrsX2APIC, register|efrX2APIC
	}
	attributes := uint32(0)
	if !translates {
		attributes, register = 1, register|efrNoHostTable
	}
	block := func(kind, flags byte, length int) {
		s.bytes(kind, flags)
		s.word(uint16(length + len(entries)))
		s.word(uint16(io.Device.Devfn()))
		s.word(ivrsCapability)
		s.qword(ivrsBase)
		s.DWord(0) // segment, IOMMU info
	}
	return s.rooted(header{sig: "IVRS", revision: 1}, func() error {
		if s.m.Traits.IVRSShort {
			s.DWord(ivrsNoFeatures)
		} else {
			s.DWord(ivrsInfo)
		}
		s.qword(0)
		block(0x10, ivhdShortFlags, ivhdShortLen)
		s.DWord(features)
		s.bytes(entries...)
		if s.m.Traits.IVRSShort {
			return nil
		}
		block(0x11, ivhdLongFlags, ivhdLongLen)
		s.DWord(attributes)
		s.qword(register)
		s.qword(0)
		s.bytes(entries...)
		return nil
	})
}

// ivrsEntries returns the entries of the functions on a root bus, which may be nil, and of the I/O APIC.
func (s *state) ivrsEntries(root *qemu.Bus) []byte {
	var out []byte
	if root != nil {
		out = s.ivrsBus(nil, root, root.BusNr)
	}
	if len(out) == 0 {
		out = append(out, ivhdAll, 0, 0, 0)
	}
	if s.m.IOMMU.Remaps {
		out = append(out, ivhdSpecial, 0, 0, 0, 0, ivrsIOAPIC&0xff, ivrsIOAPIC>>8, 1)
	}
	return out
}

// ivrsBus appends the entries of a bus: each function, and behind it what is below. A PCI Express bus without buses below
// is one range; behind a conventional bridge all functions go by one name (insert_ivhd).
func (s *state) ivrsBus(out []byte, bus *qemu.Bus, number uint8) []byte {
	entry := func(kind byte, bus, devfn uint8) { out = append(out, kind, devfn, bus, 0) }
	for _, d := range bus.Devices {
		entry(ivhdSelect, number, d.Devfn())
		if d.Bridge == nil {
			continue
		}
		f := s.chip.Functions[d]
		switch {
		case d.Bridge.PCIe && f.Secondary != f.Subordinate:
			out = s.ivrsBus(out, d.Bridge, f.Secondary)
		case d.Bridge.PCIe:
			entry(ivhdStart, f.Secondary, 0)
			entry(ivhdEnd, f.Subordinate, lastOnBus)
		default:
			entry(ivhdAliasStart, f.Secondary, 0)
			if d.Driver == "pcie-pci-bridge" {
				entry(0, f.Secondary, 0)
			} else {
				entry(0, number, d.Devfn())
			}
			entry(ivhdEnd, f.Subordinate, lastOnBus)
		}
	}
	return out
}
