package acpi

import (
	"errors"
	"fmt"

	"github.com/tdxkit/tdxkit/qemu"
)

// ErrUnsupported is wrapped by every error of [Build]: the machine has something whose effect on the tables is not
// known.
var ErrUnsupported = errors.New("not known to the ACPI builder")

// unsupported names a device or option, and what about it is not known.
func unsupported(what, id, why string) error {
	if id != "" {
		what += " (id=" + id + ")"
	}
	return fmt.Errorf("acpi: %s: %s: %w", what, why, ErrUnsupported)
}

// Limits of what QEMU's tables can hold.
const (
	maxCPUs      = 4096 // of q35 (QEMU v10.2.2, hw/i386/pc_q35.c, pc_q35_machine_options)
	maxSlots     = 256  // of memory (include/hw/acpi/acpi.h, ACPI_MAX_RAM_SLOTS)
	oemIDLen     = 6
	oemTableLen  = 8
	maxBusDepth  = 32 // nesting of bridges; a chain of 256 buses would be QEMU's limit
	maxFunctions = 4096
)

// check refuses machines that cannot be built or that QEMU refuses.
func check(m *qemu.Machine) error {
	t := m.Topology
	switch {
	case m.Root == nil:
		return unsupported("machine", "", "it has no root bus")
	case t.CPUs < 1 || t.MaxCPUs < t.CPUs || t.MaxCPUs > maxCPUs:
		return unsupported("-smp", "", fmt.Sprintf("%d of %d CPUs, want 1 to %d", t.CPUs, t.MaxCPUs, maxCPUs))
	case m.RAMSlots < 0 || m.RAMSlots > maxSlots:
		return unsupported("-m", "", fmt.Sprintf("%d slots, want at most %d", m.RAMSlots, maxSlots))
	case m.RAM == 0 || m.RAM > 1<<52 || m.MaxRAM < m.RAM || m.MaxRAM > 1<<52:
		return unsupported("-m", "", fmt.Sprintf("%d bytes of %d", m.RAM, m.MaxRAM))
	case len(m.OEMID) > oemIDLen || len(m.OEMTableID) > oemTableLen:
		return unsupported("-machine x-oem-id, x-oem-table-id", "", "longer than the field")
	case len(m.OEMID) < oemIDLen-1:
		// QEMU copies six bytes into the root pointer, whatever the length (hw/acpi/aml-build.c, build_rsdp).
		return unsupported("-machine x-oem-id", "", "QEMU fills a shorter one with bytes of its heap")
	case m.IOMMU.Kind == qemu.AMDIOMMU && m.IOMMU.Device == nil:
		return unsupported("amd-iommu", "", "it has no function")
	}
	if err := checkNUMA(m); err != nil {
		return err
	}
	return checkBus(m.Root, 0)
}

// checkNUMA refuses values about nodes that are not there.
func checkNUMA(m *qemu.Machine) error {
	for _, g := range m.GenericInitiators {
		if g.Node < 0 || g.Node >= len(m.NUMA) {
			return unsupported("acpi-generic-initiator", "", fmt.Sprintf("there is no node %d", g.Node))
		}
	}
	if m.HMAT == nil {
		return nil
	}
	for _, l := range m.HMAT.Localities {
		if l.Base == 0 {
			return unsupported("-numa hmat-lb", "", "it has no base")
		}
		for _, e := range l.Entries {
			if e.Initiator < 0 || e.Target < 0 || e.Initiator >= len(m.NUMA) || e.Target >= len(m.NUMA) {
				return unsupported("-numa hmat-lb", "", fmt.Sprintf("there is no node %d or %d", e.Initiator, e.Target))
			}
		}
	}
	return nil
}

func checkBus(bus *qemu.Bus, depth int) error {
	if depth > maxBusDepth {
		return unsupported("bus "+bus.Name, "", "too many bridges behind each other")
	}
	last := -1
	for _, d := range bus.Devices {
		if int(d.Devfn()) <= last || d.Slot > 31 || d.Function > 7 {
			return unsupported(d.Driver, d.ID, "functions of a bus out of order")
		}
		last = int(d.Devfn())
		for _, b := range [...]*qemu.Bus{d.Bridge, d.ExtraRoot} {
			if b == nil {
				continue
			}
			if err := checkBus(b, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
