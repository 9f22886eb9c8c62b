package acpi

import (
	"cmp"
	"slices"

	"github.com/tdxkit/tdxkit/acpi/aml"
	"github.com/tdxkit/tdxkit/qemu"
)

// resources are address ranges by kind. Memory belongs to Memory64 where it reaches beyond 4 GiB.
type resources struct{ IO, Memory, Memory64 []qemu.Range }

// addMemory adds a range of memory to its kind. The range 0 to 0 stands for a register that firmware did not set.
func (r *resources) addMemory(v qemu.Range) {
	switch {
	case v.Min == 0 || v.Min > v.Max:
	case v.Max <= 0xffffffff:
		r.Memory = append(r.Memory, v)
	default:
		r.Memory64 = append(r.Memory64, v)
	}
}

// addIO adds a range of I/O ports.
func (r *resources) addIO(v qemu.Range) {
	if v.Min != 0 && v.Min <= v.Max {
		r.IO = append(r.IO, v)
	}
}

// byMin sorts ranges by where they start; ranges that start together keep their order.
func byMin(rs []qemu.Range) {
	slices.SortStableFunc(rs, func(a, b qemu.Range) int { return cmp.Compare(a.Min, b.Min) })
}

// merged returns the ranges sorted, with those that adjoin joined.
func merged(rs []qemu.Range) []qemu.Range {
	byMin(rs)
	var out []qemu.Range
	for _, r := range rs {
		if n := len(out); n > 0 && out[n-1].Max == r.Min-1 {
			out[n-1].Max = r.Max
			continue
		}
		out = append(out, r)
	}
	return out
}

// free returns what of whole the used ranges leave (QEMU v10.2.2, hw/acpi/aml-build.c, crs_replace_with_free_ranges).
func free(used []qemu.Range, whole qemu.Range) []qemu.Range {
	byMin(used)
	var out []qemu.Range
	base := whole.Min
	for _, u := range used {
		if base < u.Min {
			out = append(out, qemu.Range{Min: base, Max: u.Min - 1})
		}
		base = u.Max + 1
	}
	if base < whole.Max {
		out = append(out, qemu.Range{Min: base, Max: whole.Max})
	}
	return out
}

// Ranges of the host bridge that no guest changes.
var (
	configPorts    = aml.IO(0xcf8, 0xcf8, 1, 8)
	lowPorts       = aml.WordIO(aml.Range{Min: 0, Max: 0xcf7})
	highPorts      = qemu.Range{Min: 0xd00, Max: 0xffff}
	videoMemory    = aml.DWordMemory(aml.Cacheable|aml.ReadWrite, aml.Range{Min: 0xa0000, Max: 0xbffff})
	gpe0Present    = aml.Int(0xb)
	pciHotplugPort = uint16(0xcc0)
)

// pciHotplugLen is how many ports PCI hotplug takes.
const pciHotplugLen = 0x18

// hostResources appends the resources of the host bridge, without what extra root buses used, and the devices that
// reserve ports for the general purpose events and PCI hotplug.
func (s *state) hostResources(used extraRoots) {
	crs := []aml.Term{
		aml.WordBusNumber(aml.Range{Min: 0, Max: uint64(used.lastBus)}),
		configPorts,
		lowPorts,
	}
	for _, r := range free(used.IO, highPorts) {
		crs = append(crs, aml.WordIO(aml.Range(r)))
	}
	crs = append(crs, videoMemory)
	if base := s.chip.PCIEXBAR; base != 0 {
		used.Memory = append(used.Memory, qemu.Range{Min: base, Max: base + mcfgLen - 1})
	}
	for _, r := range free(used.Memory, qemu.Range{Min: s.m.LowRAM(), Max: ioAPIC - 1}) {
		crs = append(crs, aml.DWordMemory(aml.NonCacheable|aml.ReadWrite, aml.Range(r)))
	}
	if hole, ok := s.pciHole64(); ok {
		for _, r := range free(used.Memory64, hole) {
			crs = append(crs, aml.QWordMemory(aml.Cacheable|aml.ReadWrite, aml.Range(r)))
		}
	}
	if s.m.TPM == qemu.TPMTIS {
		crs = append(crs, aml.Memory32Fixed(tpmBase, tpmTISLen, aml.ReadWrite))
	}
	s.Name("_CRS", aml.Resources(crs...))
	gpe0 := uint16(s.chip.PMBase + gpe0Off)
	s.Device("GPE0", func() {
		s.Name("_HID", aml.Str("PNP0A06"))
		s.Name("_UID", aml.Str("GPE0 resources"))
		s.Name("_STA", gpe0Present)
		s.Name("_CRS", aml.Resources(aml.IO(gpe0, gpe0, 1, gpe0Len)))
	})
	if s.m.ACPIPCIHotplug {
		s.Add(pciHotplugPorts)
	}
}

// pciHotplugPorts reserves the ports of PCI hotplug.
var pciHotplugPorts = aml.Fixed(func(b *aml.Builder) {
	b.Device("PHPR", func() {
		b.Name("_HID", aml.Str("PNP0A06"))
		b.Name("_UID", aml.Str("PCI Hotplug resources"))
		b.Name("_STA", aml.Int(0xb))
		b.Name("_CRS", aml.Resources(aml.IO(pciHotplugPort, pciHotplugPort, 1, pciHotplugLen)))
	})
})

const (
	oneGiB  = 1 << 30
	fourGiB = 1 << 32
)

// pciHole64 returns the range above 4 GiB that the host bridge forwards: from the lowest to the highest address that
// a function on the root bus decodes there, and at least as large as pci-hole64-size says. Where nothing decodes, it
// starts behind all memory (QEMU v10.2.2, hw/pci-host/q35.c, q35_host_get_pci_hole64_start and _end).
func (s *state) pciHole64() (qemu.Range, bool) {
	var start, end uint64 // end is exclusive
	extend := func(r qemu.Range) {
		if lo := max(r.Min, fourGiB); r.Max >= lo && r.Min != 0 {
			if end == 0 || lo < start {
				start = lo
			}
			end = max(end, r.Max+1)
		}
	}
	for _, d := range s.m.Root.Devices {
		f := s.chip.Functions[d]
		extend(f.WindowPrefetch)
		for _, r := range f.Memory {
			extend(r)
		}
	}
	if s.m.PCIHole64Fix {
		if end == 0 {
			start = s.m.Hole64Start()
		}
		end = max(end, (start+s.m.PCIHole64+oneGiB-1)/oneGiB*oneGiB)
	}
	return qemu.Range{Min: start, Max: end - 1}, end > start
}

// extraRoots is what the root buses of expander bridges take from the first one.
type extraRoots struct {
	resources
	lastBus uint8 // the last bus number of the first root bus
}

// extraRoots appends the root buses that expander bridges make, and returns what they use (QEMU v10.2.2,
// hw/i386/acpi-build.c, build_dsdt).
func (s *state) extraRoots() (extraRoots, error) {
	used := extraRoots{lastBus: 0xff}
	for _, d := range newestFirst(s.m.Root) {
		bus := d.ExtraRoot
		if bus == nil {
			continue
		}
		if !bus.PCIe {
			return used, unsupported(d.Driver, d.ID, "an extra root bus that is not PCI Express")
		}
		if bus.BusNr < used.lastBus {
			used.lastBus = bus.BusNr - 1
		}
		own := s.busResources(bus)
		used.IO = append(used.IO, own.IO...)
		used.Memory = append(used.Memory, own.Memory...)
		used.Memory64 = append(used.Memory64, own.Memory64...)
		s.Scope("\\_SB", func() { s.extraRoot(bus, own) })
		if registers, _ := s.m.CXLRegisters(); bus.CXL {
			used.Memory = append(used.Memory, registers) // beyond 4 GiB, as QEMU does
		}
	}
	if s.cxlBridge() != nil {
		s.Add(cxlRoot())
	}
	return used, nil
}

// extraRoot appends the host bridge device of one extra root bus.
func (s *state) extraRoot(bus *qemu.Bus, own resources) {
	const hex = "0123456789ABCDEF"
	kind := "PC"
	if bus.CXL {
		kind = "CL"
	}
	name := string([]byte{kind[0], kind[1], hex[bus.BusNr>>4], hex[bus.BusNr&0xf]})
	s.Device(name, func() {
		nr := aml.Int(uint64(bus.BusNr))
		s.Name("_UID", nr)
		s.Name("_BBN", nr)
		if bus.CXL {
			s.Name("_HID", aml.Str("ACPI0016"))
			s.Name("_CID", aml.Package(aml.EISAID("PNP0A08"), aml.EISAID("PNP0A03")))
			s.Add(cxlOSC())
		} else {
			s.Name("_HID", aml.EISAID("PNP0A08"))
			s.Name("_CID", aml.EISAID("PNP0A03"))
			s.Add(oscMethodNativeHotplug)
		}
		if bus.NUMANode >= 0 {
			s.Name("_PXM", aml.Int(uint64(bus.NUMANode)))
		}
		if s.m.Traits.NoPXBStaticPRT {
			s.Add(computedRouting())
		} else {
			s.Add(staticRouting())
		}
		var crs []aml.Term
		for _, r := range own.IO {
			crs = append(crs, aml.DWordIO(aml.Range(r)))
		}
		for _, r := range own.Memory {
			crs = append(crs, aml.DWordMemory(aml.NonCacheable|aml.ReadWrite, aml.Range(r)))
		}
		for _, r := range own.Memory64 {
			crs = append(crs, aml.QWordMemory(aml.NonCacheable|aml.ReadWrite, aml.Range(r)))
		}
		crs = append(crs, aml.WordBusNumber(aml.Range{Min: uint64(bus.BusNr), Max: uint64(s.lastBusBelow(bus))}))
		s.Name("_CRS", aml.Resources(crs...))
	})
}

// busResources returns the addresses that the functions of a root bus decode or forward, sorted and joined (QEMU
// v10.2.2, hw/acpi/aml-build.c, build_crs).
func (s *state) busResources(bus *qemu.Bus) resources {
	var r resources
	for _, d := range bus.Devices {
		f := s.chip.Functions[d]
		for _, v := range f.IO {
			r.addIO(v)
		}
		for _, v := range f.Memory {
			r.addMemory(v)
		}
		r.addIO(f.WindowIO)
		r.addMemory(f.WindowMemory)
		r.addMemory(f.WindowPrefetch)
	}
	return resources{IO: merged(r.IO), Memory: merged(r.Memory), Memory64: merged(r.Memory64)}
}

// lastBusBelow returns the highest bus number below a root bus.
func (s *state) lastBusBelow(bus *qemu.Bus) uint8 {
	last := bus.BusNr
	for _, d := range bus.Devices {
		last = max(last, s.chip.Functions[d].Subordinate)
	}
	return last
}

// newestFirst returns the functions of a bus, the one that the command line made last first: the order in which QEMU
// keeps the buses below a bus.
func newestFirst(bus *qemu.Bus) []*qemu.PCIDevice {
	ds := slices.Clone(bus.Devices)
	slices.SortStableFunc(ds, func(a, b *qemu.PCIDevice) int { return cmp.Compare(b.Order, a.Order) })
	return ds
}
