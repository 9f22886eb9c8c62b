package qemu

import (
	"fmt"
	"slices"
	"strings"
)

// A deviceOption is one device that the command line asks for.
type deviceOption struct {
	option, arg string
	props       props
}

// readDevice notes -device.
func (b *builder) readDevice(arg string) error {
	p, err := parseKeyvalList("-device", arg, "driver")
	if err != nil {
		return err
	}
	o := deviceOption{"-device", arg, p}
	if p.str("driver") == "" {
		return needArg("-device", arg, "driver")
	}
	if arg[0] == '{' {
		b.jsonDevs = append(b.jsonDevs, o)
	} else {
		b.devices = append(b.devices, o)
	}
	return nil
}

// readSet notes -set device.ID.PROPERTY=VALUE, which is as if the -device before it had that property last; devices in
// JSON are not found. Follows QEMU 10.2, system/vl.c, qemu_set_option.
func (b *builder) readSet(arg string) error {
	head, v, ok := strings.Cut(arg, "=")
	parts := strings.SplitN(head, ".", 3)
	if !ok || len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return usageErr("-set", arg, "expects GROUP.ID.PROPERTY=VALUE")
	}
	if parts[0] != "device" {
		return unsupportedErr("-set", arg, "what it changes of options other than -device is not modelled; give the option itself")
	}
	for i, o := range b.devices {
		if o.option == "-device" && o.props.str("id") == parts[1] {
			b.devices[i].props = append(slices.Clone(o.props), KeyValue{parts[2], v})
			return nil
		}
	}
	return usageErr("-set", arg, "there is no -device with id=%s before it", parts[1])
}

// has reports whether a driver is asked for by -device.
func (b *builder) has(drivers ...string) bool {
	for _, list := range [][]deviceOption{b.devices, b.jsonDevs} {
		for _, o := range list {
			for _, d := range drivers {
				if o.props.str("driver") == d {
					return true
				}
			}
		}
	}
	for _, g := range b.globals {
		// QEMU looks at the drivers of -global too.
		for _, d := range drivers {
			if g.driver == d {
				return true
			}
		}
	}
	return false
}

// builtIn are the functions that q35 makes itself, in the order in which it does.
// Follows QEMU 10.2, hw/i386/pc_q35.c, pc_q35_init.
var builtIn = []struct {
	driver   string
	slot, fn uint8
	multi    bool
	kind     PCIKind
	when     func(*Machine) bool
	bars     []BAR
}{
	{"mch", 0, 0, false, HostBridge, nil, nil},
	{"ICH9-LPC", 0x1f, 0, true, ISABridge, nil, nil},
	{"ich9-ahci", 0x1f, 2, true, Endpoint, func(m *Machine) bool { return m.SATA }, []BAR{{4, 0x20, BARIO}, {5, 0x1000, BARMem32}}},
	{"ich9-usb-ehci1", 0x1d, 7, true, Endpoint, func(m *Machine) bool { return m.USB }, []BAR{{0, 0x1000, BARMem32}}},
	{"ich9-usb-uhci1", 0x1d, 0, true, Endpoint, func(m *Machine) bool { return m.USB }, []BAR{{4, 0x20, BARIO}}},
	{"ich9-usb-uhci2", 0x1d, 1, true, Endpoint, func(m *Machine) bool { return m.USB }, []BAR{{4, 0x20, BARIO}}},
	{"ich9-usb-uhci3", 0x1d, 2, true, Endpoint, func(m *Machine) bool { return m.USB }, []BAR{{4, 0x20, BARIO}}},
	{"ICH9-SMB", 0x1f, 3, true, Endpoint, func(m *Machine) bool { return m.SMBus }, []BAR{{4, 0x40, BARIO}}},
}

// smbusName is the name of the chipset's SMBus.
const smbusName = "i2c"

// buildBuiltIn makes the chipset, then the display and the network devices of -vga, -nic and -net, which QEMU makes
// before those of -device.
func (b *builder) buildBuiltIn() error {
	root := b.newPCIBus("pcie.0", true)
	root.root, root.path = true, "/pci@i0cf8"
	b.m.Root = root.pci
	b.addBus(&bus{name: "isa.0", kind: onISA, up: root})
	for _, f := range builtIn {
		if f.when != nil && !f.when(b.m) {
			continue
		}
		if err := b.refuseGlobals([]string{f.driver, "pci-device"}, KeyValue{"acpi-index", "0"}, KeyValue{"romfile", ""},
			KeyValue{"romsize", unset32}, KeyValue{"failover_pair_id", ""}, KeyValue{"sriov-pf", ""}); err != nil {
			return err
		}
		dev := &PCIDevice{Driver: f.driver, Slot: f.slot, Function: f.fn, Multifunction: f.multi, BuiltIn: true,
			Kind: f.kind, BARs: f.bars, Hotpluggable: f.driver == "ich9-ahci"}
		b.order++
		dev.Order = b.order
		root.slots[dev.Devfn()] = dev
	}
	for _, dev := range root.slots {
		if dev != nil {
			root.pci.Devices = append(root.pci.Devices, dev)
		}
	}
	if b.m.SATA {
		for i := range 6 {
			b.addBus(&bus{name: b.busName(onIDE, "", i), kind: onIDE, units: make([]bool, 1), port: i, up: root, path: "/pci@i0cf8/pci8086,2922@1f,2"})
		}
	}
	if b.m.USB {
		usb := &bus{name: b.busName(onUSB, "", 0), kind: onUSB, up: root, path: "/pci@i0cf8/usb@1d,7"}
		usb.addPorts("", 6)
		b.addBus(usb)
	}
	if b.m.SMBus {
		b.addBus(&bus{name: smbusName, kind: onI2C, up: root})
	}
	if err := b.takeDrives(); err != nil {
		return err
	}
	if err := b.serialPorts(); err != nil {
		return err
	}
	if err := b.defaultVGA(); err != nil {
		return err
	}
	return b.defaultNICs()
}

// buildDevices makes the devices of -device, -virtfs and -drive if=virtio in QEMU's order.
func (b *builder) buildDevices() error {
	for _, list := range [][]deviceOption{b.devices, b.jsonDevs} {
		for _, o := range list {
			if err := b.addDevice(o); err != nil {
				return err
			}
		}
	}
	return nil
}

// addDevice makes one device.
func (b *builder) addDevice(o deviceOption) error {
	driver := o.props.str("driver")
	model, ok := modelOf(driver)
	if !ok {
		return unknownErr(o.option, o.arg, fmt.Sprintf("unknown device %q", driver), nearest(driver, Drivers()))
	}
	if b.m.Release.Less(model.Since) {
		return usageErr(o.option, o.arg, "QEMU %s has no such device, %d.%d and later have", b.m.Release, model.Since.Major, model.Since.Minor)
	}
	d := &deviceBuild{b: b, model: model, option: o.option, arg: o.arg, props: b.withGlobals(model, o.props), id: o.props.str("id")}
	b.order++
	d.order = b.order
	if d.id != "" {
		if b.ids[d.id] {
			return d.usage("there is a device with id=%s already", d.id)
		}
		b.ids[d.id] = true
		b.idOrder = append(b.idOrder, d.id)
	}
	if err := d.checkProps(); err != nil {
		return err
	}
	if err := d.findBus(); err != nil {
		return err
	}
	if model.Bus == onPCI {
		if err := d.makePCI(); err != nil {
			return err
		}
	}
	switch model.Bus {
	case onUSB:
		if err := d.claimPort(); err != nil {
			return err
		}
	case onIDE:
		if err := d.claimUnit(); err != nil {
			return err
		}
	}
	if model.Apply != nil {
		if err := model.Apply(d); err != nil {
			return err
		}
	}
	if err := d.bootIndex(); err != nil {
		return err
	}
	if model.Offers != onNone {
		return b.offer(d)
	}
	return nil
}

// findBus resolves bus=, or the default for the kind of device.
func (d *deviceBuild) findBus() error {
	if d.model.Bus == onNone || d.model.Bus == onSystem {
		return nil
	}
	if name, ok := d.props.get("bus"); ok {
		if d.bus = d.b.findBus(name); d.bus == nil {
			return d.usage("there is no bus %q before it on the command line", name)
		}
	} else if d.bus = d.b.defaultBus(d.model.Bus); d.bus == nil {
		return d.usage("there is no %s bus for it", d.model.Bus)
	}
	if d.bus.kind != d.model.Bus {
		return d.usage("%s does not go on bus %s, a %s bus", d.model.Name, d.bus.name, d.bus.kind)
	}
	return nil
}

// makePCI makes and places a function. A bridge's secondary bus is made with it.
func (d *deviceBuild) makePCI() error {
	m := d.model
	d.dev = &PCIDevice{Driver: m.Name, ID: d.id, Kind: m.Kind, BARs: m.BARs, ROM: m.ROM, Hotpluggable: !m.Fixed, Props: d.props.asMap()}
	if err := d.place(); err != nil {
		return err
	}
	d.dev.Order = d.order
	if m.Size != nil {
		bars, err := m.Size(d)
		if err != nil {
			return err
		}
		d.dev.BARs = bars
	}
	if err := d.checkBARs(); err != nil {
		return err
	}
	if v, ok := d.props.get("romfile"); ok {
		if v != "" {
			return unsupportedErr(d.option, d.arg, "romfile=%s: the ROM's size is that of a file on the host; leave it empty", v)
		}
		d.dev.ROM = 0
	}
	if err := d.romBAR(); err != nil {
		return err
	}
	return d.acpiIndex()
}

// leastMemBAR is the smallest memory BAR, in bytes: below its address are bits that say what it is.
const leastMemBAR = 16

// checkBARs refuses a memory BAR so small that QEMU writes the bits of its kind over those of its size.
// Follows QEMU 10.2, hw/pci/pci.c, pci_register_bar.
func (d *deviceBuild) checkBARs() error {
	for _, b := range d.dev.BARs {
		if b.Kind != BARIO && b.Size < leastMemBAR {
			return unsupportedErr(d.option, d.arg, "BAR %d of %d bytes, fewer than the %d of a memory BAR", b.Index, b.Size, leastMemBAR)
		}
	}
	return nil
}

// romBAR reads rombar=, a number of which 0, however it is written, takes the ROM's BAR away: firmware then has the ROM by
// fw_cfg. Follows QEMU 10.2, hw/pci/pci.c, pci_add_option_rom.
func (d *deviceBuild) romBAR() error {
	v, ok := d.props.get("rombar")
	if !ok {
		return nil
	}
	n, ok := parseInt(v)
	if !ok {
		return d.usage("rombar=%s: expects a number", v)
	}
	if n == 0 {
		d.dev.ROM = 0
	}
	return nil
}

// maxACPIIndex is ONBOARD_INDEX_MAX.
const maxACPIIndex = 16383

// acpiIndex notes acpi-index=, which no two functions share. Follows QEMU 10.2, hw/acpi/pci.c and hw/acpi/pcihp.c,
// acpi_pcihp_device_pre_plug_cb.
func (d *deviceBuild) acpiIndex() error {
	n, err := d.number("acpi-index", 0, maxACPIIndex)
	if err != nil || n == 0 {
		return err
	}
	if d.b.acpiIndexes[n] {
		return d.usage("acpi-index=%d is another device's already", n)
	}
	d.b.acpiIndexes[n] = true
	d.dev.ACPIIndex = uint32(n)
	return nil
}

// offer makes the bus that a device has for others.
func (b *builder) offer(d *deviceBuild) error {
	if d.props.str("masterbus") != "" {
		return nil // its ports are those of that bus
	}
	var name string
	if name = d.id; name == "" || d.model.Offers != onNVMe {
		name = b.busName(d.model.Offers, d.id, 0)
	}
	x := &bus{name: name, kind: d.model.Offers, up: d.bus, order: d.order}
	if d.dev != nil && d.bus.path != "" {
		if at, ok := fwName(d); ok {
			x.path = d.bus.path + at
		}
	}
	if d.model.Bus == onUSB {
		if path, ok := d.usbPath(); ok {
			x.path = path
		}
	}
	if x.kind == onUSB {
		n, err := usbPorts(d)
		if err != nil {
			return err
		}
		x.addPorts("", n)
	}
	b.addBus(x)
	return nil
}
