package qemu

import (
	"cmp"
	"math"
)

// bridgeDevices are ports, bridges and extra root buses.
var bridgeDevices = []deviceModel{
	{Name: "pcie-root-port", Bus: onPCI, Kind: RootPort, BARs: []BAR{mem32(0, 0x1000)}, Apply: addPort},
	{Name: "ioh3420", Bus: onPCI, Kind: RootPort, Apply: addPort},
	{Name: "x3130-upstream", Bus: onPCI, Kind: UpstreamPort, Apply: addUpstream},
	{Name: "xio3130-downstream", Bus: onPCI, Kind: DownstreamPort, Apply: addPort},
	{Name: "pci-bridge", Bus: onPCI, Kind: PCIBridge, Size: shpcBAR, Apply: addBridge},
	{Name: "pcie-pci-bridge", Bus: onPCI, Kind: PCIBridge, Size: shpcBAR, Apply: addBridge},
	{Name: "i82801b11-bridge", Bus: onPCI, Kind: PCIBridge, Apply: addBridge},
	{Name: "pxb-pcie", Bus: onPCI, Kind: PXB, Fixed: true, Apply: addPXB},
	{Name: "pxb-cxl", Bus: onPCI, Kind: PXB, Fixed: true, Apply: addCXL},
}

// secondary makes the bus behind a bridge or port.
func secondary(d *deviceBuild, pcie bool) *bus {
	kind := "PCI"
	if pcie {
		kind = "PCIE"
	}
	x := d.b.newPCIBus(d.b.pciBusName(kind, d.id), pcie)
	x.up, x.order = d.bus, d.order
	if name, ok := fwName(d); ok {
		x.path = d.bus.path + name
	}
	d.dev.Bridge = x.pci
	return x
}

// addPort completes a root or downstream port: its slot of one device, its reservations, its hotplug.
// Follows QEMU 10.2, hw/pci/pcie.c, pcie_cap_slot_init, hw/pci/pcie_port.c, pcie_chassis_add_slot, and
// hw/pci-bridge/gen_pcie_root_port.c, gen_rp_realize.
func addPort(d *deviceBuild) error {
	p := d.dev
	if p.Kind == RootPort && !(d.bus.pcie && d.bus.root) {
		return d.usage("a root port goes on a PCI Express root bus, not on %s", d.bus.name)
	}
	if p.Kind == DownstreamPort && !d.bus.upstream {
		return d.usage("a downstream port goes behind an upstream port, not on %s", d.bus.name)
	}
	chassis, err := d.number("chassis", 0, 255)
	if err != nil {
		return err
	}
	slot, err := d.number("slot", 0, 65535)
	if err != nil {
		return err
	}
	at := [2]uint64{chassis, slot}
	if other, ok := d.b.chassis[at]; ok {
		return d.usage("chassis=%d,slot=%d is taken by %s; give each port a number of its own", chassis, slot, other)
	}
	if d.b.chassis == nil {
		d.b.chassis = map[[2]uint64]string{}
	}
	d.b.chassis[at] = describe(p)
	if p.HotplugPort, err = d.boolean("hotplug", true); err != nil {
		return err
	}
	hide := d.b.m.ACPIPCIHotplug && !d.b.m.KeepPCISlotHPC
	if hide, err = d.boolean("x-do-not-expose-native-hotplug-cap", hide); err != nil {
		return err
	}
	p.NativeHotplug = p.HotplugPort && !hide
	if err := d.reservations(hide); err != nil {
		return err
	}
	x := secondary(d, true)
	x.pci.HotplugOK = p.HotplugPort
	return nil
}

// mostReserved32 and mostReserved bound what a port may ask for; firmware rounds it up to a power of two, and beyond takes
// its default.
const mostReserved32, mostReserved = 2 << 30, 1 << 51

// reservation reads how much of a space a port asks firmware to keep free, and whether it asks: all ones is QEMU's value for
// not asking.
func (d *deviceBuild) reservation(key string, most uint64) (n uint64, asked bool, err error) {
	n, err = d.size(key, math.MaxUint64)
	if err != nil || n == math.MaxUint64 {
		return 0, false, err
	}
	if n > most {
		return 0, false, unsupportedErr(d.option, d.arg, "%s=%d is more than %d: what firmware makes of it is not modelled", key, n, uint64(most))
	}
	return n, true, nil
}

// reservations reads what a root port asks firmware to keep free behind it.
func (d *deviceBuild) reservations(hide bool) error {
	p := d.dev
	var io, mem bool
	var err1, err2, err3, err4 error
	p.Pref64Reserve, _, err1 = d.reservation("pref64-reserve", mostReserved)
	p.Pref32Reserve, _, err2 = d.reservation("pref32-reserve", mostReserved32)
	p.IOReserve, io, err3 = d.reservation("io-reserve", mostReserved)
	p.MemReserve, mem, err4 = d.reservation("mem-reserve", mostReserved32)
	if err := cmp.Or(err1, err2, err3, err4); err != nil {
		return err
	}
	p.NoIO, p.NoMemReserve = io && p.IOReserve == 0, mem && p.MemReserve == 0
	if d.model.Name == "pcie-root-port" && hide && p.HotplugPort && !io {
		p.IOReserve = 0x1000
	}
	n, err := d.number("bus-reserve", 0, 255)
	if err != nil && d.props.str("bus-reserve") != "-1" {
		return err
	}
	p.BusReserve = int(n)
	if p.Pref64Reserve != 0 && p.Pref32Reserve != 0 {
		return d.usage("pref32-reserve and pref64-reserve do not go together")
	}
	return nil
}

// addUpstream completes an upstream port: only downstream ports go behind it.
func addUpstream(d *deviceBuild) error {
	if !d.bus.pcie {
		return d.usage("an upstream port goes on a PCI Express bus, not on %s", d.bus.name)
	}
	x := secondary(d, true)
	x.upstream = true
	x.pci.HotplugOK = true
	return nil
}

// shpcBAR is the register block of a bridge's own hotplug controller, which shpc=off removes from a pci-bridge.
// Follows QEMU 10.2, hw/pci-bridge/pci_bridge_dev.c, pci_bridge_dev_properties.
func shpcBAR(d *deviceBuild) ([]BAR, error) {
	if d.model.Name == "pci-bridge" {
		if on, err := d.boolean("shpc", true); err != nil || !on {
			return nil, err
		}
	}
	return []BAR{mem64(0, 0x100)}, nil
}

// addBridge completes a conventional bridge.
func addBridge(d *deviceBuild) error {
	pcie := d.model.Name == "pcie-pci-bridge"
	if pcie && !d.bus.pcie {
		return d.usage("a pcie-pci-bridge goes on a PCI Express bus, not on %s", d.bus.name)
	}
	d.dev.SHPC = len(d.dev.BARs) > 0
	if d.model.Name == "pci-bridge" {
		n, err := d.number("chassis_nr", 0, 255)
		if err != nil {
			return err
		}
		if n == 0 {
			return d.usage("chassis_nr= is missing: QEMU needs one above 0")
		}
	}
	if d.model.Name != "i82801b11-bridge" {
		if err := d.reservations(false); err != nil {
			return err
		}
	}
	x := secondary(d, false)
	if d.dev.SHPC && !d.b.m.ACPIPCIHotplug {
		x.shpc = true // its hotplug controller refuses slot 0, which ACPI's takes
	}
	x.pci.HotplugOK = true
	return nil
}

// addPXB makes the root bus of a pxb-pcie.
func addPXB(d *deviceBuild) error {
	if !d.bus.root || d.bus.extra {
		return d.usage("a pxb-pcie goes on pcie.0, not on %s", d.bus.name)
	}
	nr, err := d.number("bus_nr", 0, 255)
	if err != nil {
		return err
	}
	node := -1
	if v, ok := d.props.get("numa_node"); ok {
		n, ok := parseUint(v)
		if !ok || n >= uint64(len(d.b.m.NUMA)) {
			return d.usage("numa_node=%s: there is no such node", v)
		}
		node = int(n)
	}
	bypass, err := d.boolean("bypass_iommu", false)
	if err != nil {
		return err
	}
	for _, x := range d.b.buses {
		if x.root && x.pci.BusNr == uint8(nr) {
			return d.usage("bus_nr=%d is taken by bus %s", nr, x.name)
		}
	}
	x := d.b.newPCIBus(d.b.pciBusName(d.model.Name+"-bus", d.id), true)
	x.root, x.extra, x.order = true, true, d.order
	x.path = "/pci@i0cf8," + pxbMark(uint8(nr))
	x.pci.Extra, x.pci.BusNr, x.pci.NUMANode, x.pci.NoIOMMU = true, uint8(nr), node, bypass
	d.dev.ExtraRoot = x.pci
	return nil
}

// addCXL makes the root bus of a pxb-cxl, whose registers are behind all memory. Follows QEMU 10.2,
// hw/pci-bridge/pci_expander_bridge.c, pxb_cxl_dev_realize.
func addCXL(d *deviceBuild) error {
	switch m := d.b.m; {
	case !m.CXL:
		return d.usage("it needs -machine cxl=on")
	case m.Release.Less(Version{Major: 10}):
		return unsupportedErr(d.option, d.arg, "what the tables of QEMU before 10.0 say of a CXL host bridge is not modelled")
	}
	for _, x := range d.b.buses {
		if x.pci != nil && x.pci.CXL {
			return unsupportedErr(d.option, d.arg, "the order of two CXL host bridges is not modelled")
		}
	}
	if err := addPXB(d); err != nil {
		return err
	}
	d.dev.ExtraRoot.CXL = true
	return nil
}
