package smbios

import (
	"errors"
	"fmt"

	"github.com/tdxkit/tdxkit/qemu"
)

// A ramRange is a run of guest physical addresses that RAM answers, in bytes.
type ramRange struct{ start, size uint64 }

// Where AMD's HyperTransport takes addresses that RAM would have, and so moves RAM.
const (
	hyperTransport = 0xfd00000000
	slack          = 16 << 30 // more than alignment and rounding of what follows RAM add up to
)

// ramRanges returns where RAM lies: below the PCI hole and, for the rest, from 4 GiB up.
// QEMU 10.2.2, hw/i386/pc_q35.c, pc_q35_init; hw/i386/pc.c, pc_memory_init.
func ramRanges(m *qemu.Machine) ([]ramRange, error) {
	if m.RAM == 0 {
		return nil, errors.New("the machine has no RAM")
	}
	low := uint64(0xb0000000)
	if m.RAM >= low {
		low = 0x80000000
	}
	if m.MaxRAMBelow4G != 0 {
		low = min(low, m.MaxRAMBelow4G)
	}
	if m.RAM <= low {
		return []ramRange{{0, m.RAM}}, nil
	}
	used := 1<<32 + max(m.RAM, m.MaxRAM) + uint64(max(m.RAMSlots, 0))<<30 + m.PCIHole64
	if m.CPU.AMD && (m.PCIHole64 == 0 || used+slack >= hyperTransport) {
		return nil, fmt.Errorf("-cpu %s with %d bytes of RAM: where an AMD processor's RAM lies above 4 GiB is not worked out here", m.CPU.Model, m.RAM)
	}
	return []ramRange{{0, low}, {1 << 32, m.RAM - low}}, nil
}
