package acpi

import (
	"github.com/tdxkit/tdxkit/acpi/aml"
	"github.com/tdxkit/tdxkit/qemu"
)

// numberHotplugBuses finds the buses that QEMU lets devices be plugged into, and where ACPI does that, gives each its
// number, BSEL, in QEMU's order: a bus before those below it, and of these the newest first (QEMU v10.2.2,
// hw/acpi/pcihp.c, acpi_set_bsel; hw/core/qdev.c, device_get_hotpluggable).
func (s *state) numberHotplugBuses() { s.numberBelow(s.m.Root, s.acpiPlugs) }

// numberBelow does so for the buses below one, where plugs says whether the bus behind a bridge has hotplug.
func (s *state) numberBelow(bus *qemu.Bus, plugs func(*qemu.PCIDevice) bool) {
	if !hasChildBus(bus) {
		return
	}
	for _, d := range newestFirst(bus) {
		switch {
		case d.ExtraRoot != nil:
			// ACPI leaves these to the ports' own hotplug, and numbers them all the same.
			s.numberBelow(d.ExtraRoot, s.nativePlugs)
		case d.Bridge != nil:
			if plugs(d) {
				if s.bsel == nil {
					s.bsel = map[*qemu.Bus]uint32{}
				}
				s.bsel[d.Bridge] = uint32(len(s.bsel))
			}
			if isPort(d) && !d.HotplugPort && s.m.Traits.OffPortStopsACPI {
				s.numberBelow(d.Bridge, s.nativePlugs)
				continue
			}
			s.numberBelow(d.Bridge, plugs)
		}
	}
}

// acpiPlugs reports whether the bus behind a bridge below the first root bus has hotplug, by ACPI or, without that, its
// own.
func (s *state) acpiPlugs(d *qemu.PCIDevice) bool {
	if s.m.ACPIPCIHotplug {
		return d.Bridge.HotplugOK
	}
	return s.nativePlugs(d)
}

// nativePlugs reports whether a bridge has a hotplug controller: a port, unless its hotplug is off and QEMU is not of
// those that number it all the same, and a bridge with a standard one (QEMU v7.2.22, include/hw/qdev-core.h,
// qbus_is_hotpluggable; v10.2.2, hw/pci/pcie_port.c, pcie_slot_is_hotpluggable_bus).
func (s *state) nativePlugs(d *qemu.PCIDevice) bool {
	return d.HotplugPort || d.SHPC || isPort(d) && s.m.Traits.OffPortStopsACPI
}

// isPort reports whether a bridge is a PCI Express port with a slot behind it.
func isPort(d *qemu.PCIDevice) bool { return d.Kind == qemu.RootPort || d.Kind == qemu.DownstreamPort }

// busNumber returns BSEL of a bus, and whether it has one.
func (s *state) busNumber(bus *qemu.Bus) (uint32, bool) {
	n, ok := s.bsel[bus]
	return n, ok && s.m.ACPIPCIHotplug
}

// hasChildBus reports whether there is a bridge on the bus.
func hasChildBus(bus *qemu.Bus) bool {
	for _, d := range bus.Devices {
		if d.Bridge != nil || d.ExtraRoot != nil {
			return true
		}
	}
	return false
}

// slotName returns the name of a function: S and its devfn in hexadecimal.
func slotName(devfn uint8) string {
	const hex = "0123456789ABCDEF"
	return string([]byte{'S', hex[devfn>>4], hex[devfn&0xf]})
}

// address returns the value of _ADR of a function.
func address(devfn uint8) aml.Term { return aml.Int(uint64(devfn>>3)<<16 | uint64(devfn&7)) }

// busDevices appends the functions of a bus, in the order of their addresses, and the slots that can be plugged into.
func (s *state) busDevices(bus *qemu.Bus) error {
	var err error
	for _, d := range bus.Devices {
		s.Device(slotName(d.Devfn()), func() {
			s.Name("_ADR", address(d.Devfn()))
			if e := s.deviceBody(d); e != nil && err == nil {
				err = e
			}
			if d.ACPIIndex != 0 && !s.hotUnpluggable(bus, d) {
				s.endpointDSM(d.ACPIIndex)
			}
		})
	}
	if n, ok := s.busNumber(bus); ok {
		s.hotplugSlots(bus, n)
	}
	return err
}

// hotUnpluggable reports whether QEMU would let go of the function: its class allows it and its bus has hotplug.
func (s *state) hotUnpluggable(bus *qemu.Bus, d *qemu.PCIDevice) bool {
	_, ok := s.bsel[bus]
	return d.Hotpluggable && ok
}

// deviceBody appends what a function's kind adds to its device.
func (s *state) deviceBody(d *qemu.PCIDevice) error {
	switch d.Kind {
	case qemu.ISABridge:
		return s.isaBridge()
	}
	if d.Driver == "ICH9-SMB" && d.BuiltIn {
		return s.smbusDevices()
	}
	if hasVGAStates(d) {
		s.Add(vgaStates)
	}
	if d.Bridge != nil {
		return s.busDevices(d.Bridge)
	}
	return nil
}

// hasVGAStates reports whether QEMU gives a function the methods of vgaStates: the standard VGA adapter and its
// second-head variant.
func hasVGAStates(d *qemu.PCIDevice) bool { return d.Driver == "VGA" || d.Driver == "secondary-vga" }

// vgaStates are the sleep states of a VGA adapter (QEMU v10.2.2, hw/display/acpi-vga.c, build_vga_aml).
var vgaStates = aml.Fixed(func(b *aml.Builder) {
	for _, name := range [...]string{"_S1D", "_S2D", "_S3D"} {
		b.Method(name, 0, aml.NotSerialized, func() { b.Return(aml.Zero) })
	}
})

// endpointDSM appends the method that names a function that cannot be unplugged, by its acpi-index.
func (s *state) endpointDSM(index uint32) {
	s.Method("_DSM", 4, aml.Serialized, func() {
		s.Store(aml.Package(aml.Int(uint64(index))), aml.Local0)
		s.Return("EDSM", aml.Arg0, aml.Arg1, aml.Arg2, aml.Arg3, aml.Local0)
	})
}

// slotDSM names what is in a slot that can be plugged into (QEMU v10.2.2, hw/acpi/pcihp.c, aml_pci_device_dsm).
var slotDSM = aml.Fixed(func(b *aml.Builder) {
	b.Method("_DSM", 4, aml.Serialized, func() {
		b.Store(aml.Package(aml.Zero, aml.Zero), aml.Local0)
		b.Store(aml.Path("BSEL"), aml.Index(aml.Local0, aml.Zero))
		b.Store(aml.Path("ASUN"), aml.Index(aml.Local0, aml.One))
		b.Return("PDSM", aml.Arg0, aml.Arg1, aml.Arg2, aml.Arg3, aml.Local0)
	})
})

// slotDSMOld is slotDSM of QEMU 7.2, whose package has the names themselves.
var slotDSMOld = aml.Fixed(func(b *aml.Builder) {
	b.Method("_DSM", 4, aml.Serialized, func() {
		b.Store(aml.Package(aml.Path("BSEL"), aml.Path("ASUN")), aml.Local0)
		b.Return("PDSM", aml.Arg0, aml.Arg1, aml.Arg2, aml.Arg3, aml.Local0)
	})
})

// slotEject unplugs what is in a slot.
var slotEject = aml.Fixed(func(b *aml.Builder) {
	b.Method("_EJ0", 1, aml.NotSerialized, func() { b.Call("PCEJ", aml.Path("BSEL"), aml.Path("_SUN")) })
})

// hotplugSlots appends the number of the bus, its slots that can be plugged into or unplugged, and DVNT, which tells
// the operating system which of them have events. A PCI Express bus has one slot (QEMU v10.2.2, hw/acpi/pcihp.c,
// build_append_pcihp_slots).
func (s *state) hotplugSlots(bus *qemu.Bus, bsel uint32) {
	s.Name("BSEL", aml.Int(uint64(bsel)))
	var slots []uint8
	eachSlot(bus, func(devfn uint8, d *qemu.PCIDevice) {
		body := func() {
			if d == nil {
				s.Name("_ADR", address(devfn))
			}
			s.Name("ASUN", aml.Int(uint64(devfn>>3)))
			s.Add(slotDSM)
			s.Name("_SUN", aml.Int(uint64(devfn>>3)))
			s.Add(slotEject)
		}
		switch {
		case d == nil && !emptySlot(bus, devfn), d != nil && (!d.Hotpluggable || isBridge(d)):
			return
		case d == nil:
			s.Device(slotName(devfn), body)
		default:
			s.Scope(slotName(devfn), body)
		}
		slots = append(slots, devfn>>3)
	})
	s.slotEvents(slots)
}

// emptySlot reports whether a function that is not there stands for a slot that can be plugged into: function 0, and
// on a PCI Express bus only that of slot 0.
func emptySlot(bus *qemu.Bus, devfn uint8) bool {
	return devfn&7 == 0 && (!bus.PCIe || devfn == 0)
}

// eachSlot calls yield for every possible function of a bus with the function there, or nil.
func eachSlot(bus *qemu.Bus, yield func(devfn uint8, d *qemu.PCIDevice)) {
	next := 0
	for devfn := range 256 {
		if next < len(bus.Devices) && bus.Devices[next].Devfn() == uint8(devfn) {
			yield(uint8(devfn), bus.Devices[next])
			next++
			continue
		}
		yield(uint8(devfn), nil)
	}
}

// isBridge reports whether the function is a bridge, which is not unplugged itself.
func isBridge(d *qemu.PCIDevice) bool { return d.Bridge != nil }

// slotEvents appends DVNT (slots, event).
func (s *state) slotEvents(slots []uint8) {
	s.Method("DVNT", 2, aml.NotSerialized, func() {
		for _, slot := range slots {
			s.If(aml.And(aml.Arg0, aml.Int(1<<slot), aml.None), func() {
				s.Notify(aml.Path(slotName(slot<<3)), aml.Arg1)
			})
		}
	})
}

// hotplugEvents appends the methods PCNT, by which each bus asks its slots and the buses below for events, and the
// event that calls the first of them (QEMU v10.2.2, hw/i386/acpi-build.c, build_dsdt).
func (s *state) hotplugEvents() {
	notifies := s.m.Traits.HotplugInDevices || s.anyNotifier(s.m.Root)
	if notifies && !s.m.Traits.HotplugInDevices {
		s.Scope("\\_SB.PCI0", func() { s.notifyBus(s.m.Root) })
	}
	s.Scope("_GPE", func() {
		s.Method("_E01", 0, aml.NotSerialized, func() {
			if notifies {
				s.Acquire(aml.Path("\\_SB.PCI0.BLCK"))
				s.Call("\\_SB.PCI0.PCNT")
				s.Release(aml.Path("\\_SB.PCI0.BLCK"))
			}
		})
	})
}

// anyNotifier reports whether the bus or one below it, on the same root bus, has hotplug.
func (s *state) anyNotifier(bus *qemu.Bus) bool {
	if _, ok := s.busNumber(bus); ok {
		return true
	}
	for _, d := range bus.Devices {
		if d.Bridge != nil && s.anyNotifier(d.Bridge) {
			return true
		}
	}
	return false
}

// notifyBus appends PCNT of a bus, behind the scopes of the buses below it. QEMU leaves out a bus without events only
// until it meets the first one that has some (QEMU v10.2.2, hw/acpi/pcihp.c, build_append_notification_callback).
func (s *state) notifyBus(bus *qemu.Bus) {
	var called []*qemu.PCIDevice
	for _, d := range newestFirst(bus) {
		if d.Bridge == nil {
			continue
		}
		if len(called) == 0 && !s.anyNotifier(d.Bridge) {
			continue
		}
		called = append(called, d)
		s.Scope(slotName(d.Devfn()), func() { s.notifyBus(d.Bridge) })
	}
	s.Method("PCNT", 0, aml.NotSerialized, func() {
		if n, ok := s.busNumber(bus); ok {
			s.busEvents(n)
		}
		for _, d := range called {
			s.Call("^" + slotName(d.Devfn()) + ".PCNT")
		}
	})
}

// busEvents appends the part of PCNT that asks the bus itself.
func (s *state) busEvents(bsel uint32) {
	s.Store(aml.Int(uint64(bsel)), aml.Path("BNUM"))
	s.Call("DVNT", aml.Path("PCIU"), aml.Int(notifyDeviceCheck))
	s.Call("DVNT", aml.Path("PCID"), aml.Int(notifyEject))
}

// pciDevicesOld appends the functions of the root bus as QEMU 7.2 does, which describes functions and slots in one
// walk and gives every bus a PCNT (QEMU v7.2.22, hw/i386/acpi-build.c, build_append_pci_bus_devices).
func (s *state) pciDevicesOld() error {
	var err error
	s.Scope("\\_SB", func() {
		s.Scope("PCI0", func() { err = s.busDevicesOld(s.m.Root) })
		if s.m.TPM == qemu.TPMCRB {
			s.tpmCRB()
		}
	})
	return err
}

func (s *state) busDevicesOld(bus *qemu.Bus) error {
	var err error
	var slots []uint8
	bsel, hotplug := s.busNumber(bus)
	if hotplug {
		s.Name("BSEL", aml.Int(uint64(bsel)))
	}
	past := false // an empty slot behind a port ends the walk, and hides the functions in later slots
	eachSlot(bus, func(devfn uint8, d *qemu.PCIDevice) {
		past = past || hotplug && bus.PCIe && d == nil && devfn&7 == 0 && devfn>>3 > 0
		pluggable := hotplug && (d == nil && emptySlot(bus, devfn) || d != nil && d.Hotpluggable && !isBridge(d))
		if past || d == nil && !pluggable || d != nil && s.skippedOld(d) {
			return
		}
		s.Device(slotName(devfn), func() {
			s.Name("_ADR", address(devfn))
			if hotplug {
				s.Name("ASUN", aml.Int(uint64(devfn>>3)))
				s.Add(slotDSMOld)
			}
			if d != nil {
				if e := s.deviceBodyOld(d); e != nil && err == nil {
					err = e
				}
			}
			if pluggable {
				s.Name("_SUN", aml.Int(uint64(devfn>>3)))
				s.Add(slotEject)
				slots = append(slots, devfn>>3)
			}
		})
	})
	if hotplug {
		s.slotEvents(slots)
	}
	if hotplug || s.m.ACPIPCIHotplug {
		s.Method("PCNT", 0, aml.NotSerialized, func() {
			if hotplug {
				s.busEvents(bsel)
			}
			s.callPCNTBelow(bus)
		})
	}
	return err
}

// callPCNTBelow appends the calls of PCNT of every bus below one.
func (s *state) callPCNTBelow(bus *qemu.Bus) {
	if !s.m.ACPIPCIHotplug || !hasChildBus(bus) {
		return
	}
	for _, d := range newestFirst(bus) {
		if d.Bridge != nil {
			s.Call("^" + slotName(d.Devfn()) + ".PCNT")
		}
	}
}

// skippedOld reports whether QEMU 7.2 leaves the function out: one that is not function 0, unless it is a bridge that
// ACPI describes or has a description of its own.
func (s *state) skippedOld(d *qemu.PCIDevice) bool {
	described := isBridge(d) && s.m.ACPIPCIHotplug || hasVGAStates(d) || d.Kind == qemu.ISABridge || d.Driver == "ICH9-SMB"
	return d.Function != 0 && !described
}

// deviceBodyOld is deviceBody of QEMU 7.2, which looks behind bridges only where ACPI does their hotplug.
func (s *state) deviceBodyOld(d *qemu.PCIDevice) error {
	if d.Bridge == nil {
		return s.deviceBody(d)
	}
	if s.m.ACPIPCIHotplug {
		return s.busDevicesOld(d.Bridge)
	}
	return nil
}
