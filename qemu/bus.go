package qemu

import (
	"fmt"
	"slices"
	"strings"
)

// A bus is somewhere to plug a device in, in the order in which QEMU looks: newer buses of the same parent first.
type bus struct {
	name     string
	kind     busType
	pci      *Bus
	pcie     bool
	root     bool               // a root bus: pcie.0, or that of a pxb
	extra    bool               // the root bus of a pxb, where only bridges go
	upstream bool               // behind an upstream port
	shpc     bool               // the bus of a standard hotplug controller, whose slots start at 1
	scsi     map[scsiPlace]bool // taken places of a SCSI bus
	path     string             // Open Firmware path of what is on it, for bootorder
	ports    []string           // free ports of a USB bus, first to be given out first
	slots    *[256]*PCIDevice   // functions of a PCI bus, by devfn
	min      int                // first slot given out
	units    []bool             // of an IDE bus, those that are taken
	port     int                // number among the buses of its device
	up       *bus               // the bus that its device is on, nil at the top
	order    int                // of its device
}

// findBus returns the bus of a bus= property. Names may be a path whose last part is the name.
func (b *builder) findBus(name string) *bus {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		name = name[i+1:]
	}
	return b.firstBus(func(x *bus) bool { return x.name == name })
}

// defaultBus returns the bus that a device without bus= goes to.
func (b *builder) defaultBus(kind busType) *bus {
	return b.firstBus(func(x *bus) bool { return x.kind == kind })
}

// firstBus returns the first bus that fits as QEMU walks them, which may be one of several of a name. QEMU walks the tree of buses from the top, the newest
// device of a bus first and the last bus of a device first, and takes the first bus of the kind. It follows that the root
// bus of a pxb comes before pcie.0. Follows QEMU 10.2, system/qdev-monitor.c, qbus_find_recursive, hw/core/qdev.c,
// bus_add_child, and hw/core/bus.c, qbus_init_internal, which put what is new in front.
func (b *builder) firstBus(fits func(*bus) bool) *bus {
	var first *bus
	for _, x := range b.buses {
		if fits(x) && (first == nil || slices.Compare(x.walk(), first.walk()) < 0) {
			first = x
		}
	}
	return first
}

// walk returns a bus's place in the walk of defaultBus: for each device on the way down to it, how new the device is and
// which of its buses this is, both counted down.
func (x *bus) walk() []int {
	if x.up == nil {
		return []int{-x.order, -x.port}
	}
	return append(x.up.walk(), -x.order, -x.port)
}

// addBus makes a bus known.
func (b *builder) addBus(x *bus) { b.buses = append(b.buses, x) }

// rootBus returns the machine's own PCI bus.
func (b *builder) rootBus() *bus {
	return b.buses[slices.IndexFunc(b.buses, func(x *bus) bool { return x.pci != nil && x.pci == b.m.Root })]
}

// busName names a bus by the id of its device and its number among that device's buses or, where there is no id, by its
// kind and how many buses of the kind were named so before. Follows QEMU 10.2, hw/core/bus.c, qbus_init_internal.
func (b *builder) busName(kind busType, id string, number int) string {
	if id != "" {
		return fmt.Sprintf("%s.%d", id, number)
	}
	return b.automaticName(string(kind))
}

// pciBusName names the bus behind a bridge, port or expander: by the device's id alone or, where there is no id, as busName
// does. So the bus of a port without id may have the name of the machine's own, pcie.0. Follows QEMU 10.2,
// hw/pci/pci_bridge.c, pci_bridge_initfn, and hw/pci-bridge/pci_expander_bridge.c, pxb_dev_realize_common.
func (b *builder) pciBusName(kind, id string) string {
	if id != "" {
		return id
	}
	return b.automaticName(kind)
}

// automaticName names a bus by its kind and how many of the kind were named so before.
func (b *builder) automaticName(kind string) string {
	n := b.named[kind]
	b.named[kind]++
	return fmt.Sprintf("%s.%d", strings.ToLower(kind), n)
}

// claimUnit takes the unit of an IDE bus that unit= says or the first that is free. Follows QEMU 10.2, hw/ide/ide-dev.c,
// ide_qdev_realize.
func (d *deviceBuild) claimUnit() error {
	def := uint64(0)
	if d.bus.units[0] {
		def = 1
	}
	n, err := d.number("unit", def, 1)
	if err != nil {
		return err
	}
	if n >= uint64(len(d.bus.units)) || d.bus.units[n] {
		return d.usage("bus %s is full; say another with bus=", d.bus.name)
	}
	d.bus.units[n], d.unit = true, int(n)
	return nil
}

// newPCIBus makes the bus of a bridge, port or root.
func (b *builder) newPCIBus(name string, pcie bool) *bus {
	x := &bus{name: name, kind: onPCI, pcie: pcie, slots: new([256]*PCIDevice), pci: &Bus{Name: name, PCIe: pcie, NUMANode: -1}}
	b.addBus(x)
	return x
}

// parseAddr reads addr=: a slot in hexadecimal, or slot.function. An integer in JSON is slot*8+function.
// Follows QEMU 10.2, hw/core/qdev-properties-system.c, set_pci_devfn.
func parseAddr(v string) (slot, function int, ok bool) {
	if v == "-1" {
		return -1, 0, true
	}
	s, f, dotted := strings.Cut(v, ".")
	slot, ok = parseHex(s)
	if !ok || slot > 31 {
		return 0, 0, false
	}
	if dotted {
		function, ok = parseHex(f)
	}
	return slot, function, ok && function < 8
}

// parseHex reads what C's "%x" does: hexadecimal digits with or without 0x.
func parseHex(s string) (int, bool) {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X")
	n, ok := 0, s != "" && len(s) <= 4
	for _, c := range []byte(strings.ToLower(s)) {
		i := strings.IndexByte("0123456789abcdef", c)
		if i < 0 {
			return 0, false
		}
		n = n<<4 | i
	}
	return n, ok
}

// place puts a function on its bus: at addr=, or in the first slot whose function 0 is free.
// Follows QEMU 10.2, hw/pci/pci.c, do_pci_register_device and pci_init_multifunction.
func (d *deviceBuild) place() error {
	x := d.bus
	if x.extra && d.model.Kind != RootPort && d.model.Kind != PCIBridge {
		return d.usage("only bridges and ports go on bus %s, the root bus of a pxb-pcie; without bus= the device goes there", x.name)
	}
	devfn := -1
	if v, ok := d.props.get("addr"); ok {
		slot, fn, ok := parseAddr(v)
		if !ok {
			return d.usage("addr=%s is not a slot, or a slot and function, in hexadecimal", v)
		}
		devfn = slot<<3 | fn
		if slot < 0 {
			devfn = -1
		}
	}
	if devfn < 0 {
		for slot := x.min; slot < 32; slot++ {
			if x.slots[slot<<3] == nil {
				devfn = slot << 3
				break
			}
		}
		if devfn < 0 {
			return d.usage("no slot is free on bus %s", x.name)
		}
	}
	if x.shpc && devfn < 8 {
		return d.usage("the hotplug controller of bus %s has no slot 0; give addr=1 to 31", x.name)
	}
	if other := x.slots[devfn]; other != nil {
		return d.usage("slot %#x.%x of bus %s is taken by %s", devfn>>3, devfn&7, x.name, describe(other))
	}
	multi, err := d.boolean("multifunction", d.dev.Multifunction)
	if err != nil {
		return err
	}
	f0 := x.slots[devfn&^7]
	switch {
	case devfn&7 != 0 && f0 != nil && !f0.Multifunction:
		return d.usage("slot %#x has function 0 (%s) without multifunction=on", devfn>>3, describe(f0))
	case devfn&7 == 0 && !multi:
		for fn := 1; fn < 8; fn++ {
			if x.slots[devfn+fn] != nil {
				return d.usage("slot %#x has function %d already, so function 0 needs multifunction=on", devfn>>3, fn)
			}
		}
	}
	d.dev.Slot, d.dev.Function, d.dev.Multifunction = uint8(devfn>>3), uint8(devfn&7), multi
	x.slots[devfn] = d.dev
	x.pci.Devices = x.pci.Devices[:0]
	for _, f := range x.slots {
		if f != nil {
			x.pci.Devices = append(x.pci.Devices, f)
		}
	}
	return nil
}

// describe names a function for an error.
func describe(d *PCIDevice) string {
	if d.ID != "" {
		return fmt.Sprintf("%s (id=%s)", d.Driver, d.ID)
	}
	return d.Driver
}

// checkPowered refuses functions behind a port whose slot 0 is empty: QEMU takes the power from all of them, so that they are
// in its tables and firmware does not see them. Follows QEMU 10.2, hw/pci/pcie.c, pcie_cap_slot_reset, and
// hw/pci/pci_host.c, pci_host_config_read_common.
func (b *builder) checkPowered() error {
	for _, x := range b.buses {
		if x.kind != onPCI || !x.pcie || x.root || x.upstream || x.slots[0] != nil {
			continue
		}
		for _, d := range x.slots {
			if d != nil {
				return unsupportedErr("-device", describe(d), "is behind port %s, whose slot 0 is empty: QEMU gives it no power, which is not modelled", x.name)
			}
		}
	}
	return nil
}
