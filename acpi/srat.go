package acpi

import "github.com/tdxkit/tdxkit/qemu"

// SRAT memory affinity flags (ACPI 6.5, 5.2.16.2).
const (
	memEnabled   = 1 << 0
	memHotPlug   = 1 << 1
	memKeeps     = 1 << 2 // not volatile
	memStructLen = 40
)

// The range below 1 MiB that RAM does not fill.
const (
	holeStart = 640 << 10
	holeEnd   = 1 << 20
)

// buildSRAT appends the system resource affinity table: which node a processor and a range of memory belong to (QEMU
// v10.2.2, hw/i386/acpi-build.c, build_srat).
func (s *state) buildSRAT() error {
	return s.rooted(header{sig: "SRAT", revision: 1}, func() error {
		s.DWord(1)
		s.qword(0)
		for i, id := range s.apicIDs {
			s.processorAffinity(id, uint32(s.cpuNodes[i]))
		}
		before := s.Len()
		s.nodeMemory()
		for _, d := range s.m.NVDIMMs {
			s.memoryAffinity(d.Address, d.Size, uint32(d.Node), memEnabled|memKeeps)
		}
		for n := (s.Len() - before) / memStructLen; n < len(s.m.NUMA)+2; n++ {
			s.memoryAffinity(0, 0, 0, 0)
		}
		for _, g := range s.m.GenericInitiators {
			if err := s.initiatorAffinity(g); err != nil {
				return err
			}
		}
		if base, size := s.m.DeviceMemory(); size != 0 {
			s.memoryAffinity(base, size, uint32(len(s.m.NUMA)-1), memHotPlug|memEnabled)
		}
		return nil
	})
}

// processorAffinity appends the structure of one processor, of the kind that its APIC ID needs.
func (s *state) processorAffinity(id, node uint32) {
	if id < firstX2APIC {
		s.bytes(0, 16, byte(node), byte(id))
		s.DWord(1)
		s.zeros(8)
		return
	}
	s.bytes(2, 24, 0, 0)
	s.DWord(node)
	s.DWord(id)
	s.DWord(1)
	s.zeros(8)
}

// nodeMemory appends the memory of the nodes, one behind the other, around the hole below 1 MiB and the one below
// 4 GiB.
func (s *state) nodeMemory() {
	low, high := s.m.LowRAM(), s.m.HighRAMBase()
	next := uint64(0)
	for i, n := range s.m.NUMA {
		node := uint32(i)
		base, size := next, n.RAM
		next = base + size
		if base <= holeStart && next > holeStart {
			if part := holeStart - base; part > 0 {
				s.memoryAffinity(base, part, node, memEnabled)
			}
			if next <= holeEnd {
				next = holeEnd
				continue
			}
			base = holeEnd
			size = next - base
		}
		if base <= low && next > low {
			if part := low - base; part > 0 {
				s.memoryAffinity(base, part, node, memEnabled)
			}
			base = high
			size = next - low
			next = base + size
		}
		if size > 0 {
			s.memoryAffinity(base, size, node, memEnabled)
		}
	}
}

// memoryAffinity appends the structure of one range of memory.
func (s *state) memoryAffinity(base, size uint64, node, flags uint32) {
	s.bytes(1, memStructLen)
	s.DWord(node)
	s.word(0)
	s.qword(base)
	s.qword(size)
	s.DWord(0)
	s.DWord(flags)
	s.qword(0)
}

// initiatorAffinity appends the structure of a device that is a node's initiator (ACPI 6.5, 5.2.16.6).
func (s *state) initiatorAffinity(g qemu.GenericInitiator) error {
	bus, ok := s.busOf(s.m.Root, g.Device)
	if !ok {
		return unsupported("acpi-generic-initiator", "", "its device is on no bus")
	}
	s.bytes(5, 32, 0, 1)
	s.DWord(uint32(g.Node))
	s.bytes(0, 0, bus, g.Device.Devfn()) // segment, device
	s.zeros(12)
	s.DWord(1)
	s.DWord(0)
	return nil
}

// busOf returns the number of the bus that a function is on, looking on a bus and below.
func (s *state) busOf(bus *qemu.Bus, want *qemu.PCIDevice) (uint8, bool) {
	return s.busBelow(bus, bus.BusNr, want)
}

func (s *state) busBelow(bus *qemu.Bus, number uint8, want *qemu.PCIDevice) (uint8, bool) {
	for _, d := range bus.Devices {
		if d == want {
			return number, true
		}
		if d.Bridge != nil {
			if n, ok := s.busBelow(d.Bridge, s.chip.Functions[d].Secondary, want); ok {
				return n, true
			}
		}
		if d.ExtraRoot != nil {
			if n, ok := s.busOf(d.ExtraRoot, want); ok {
				return n, true
			}
		}
	}
	return 0, false
}

// buildSLIT appends the distances between nodes (ACPI 6.5, 5.2.17).
func (s *state) buildSLIT() error {
	return s.rooted(header{sig: "SLIT", revision: 1}, func() error {
		s.qword(uint64(len(s.m.Distances)))
		for _, row := range s.m.Distances {
			s.bytes(row...)
		}
		return nil
	})
}
