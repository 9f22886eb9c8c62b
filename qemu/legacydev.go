package qemu

import (
	"fmt"
	"strconv"
	"strings"
)

// vgaDrivers are the -vga choices on PCI. Follows QEMU 10.2, system/vl.c, vga_interfaces, and hw/pci/pci.c, pci_vga_init.
var vgaDrivers = map[string]string{"std": "VGA", "cirrus": "cirrus-vga", "vmware": "vmware-svga", "qxl": "qxl-vga", "virtio": "virtio-vga"}

// readVGA notes -vga.
func (b *builder) readVGA(arg string) error {
	name, _, _ := strings.Cut(arg, ",")
	if _, ok := vgaDrivers[name]; !ok && name != "none" {
		return unknownErr("-vga", arg, "unknown display device", nearest(name, append(sortedKeys(vgaDrivers), "none")))
	}
	b.vga, b.hasVGA = name, true
	return nil
}

// defaultVGA makes the display device of -vga, or the one that q35 has by default.
// Follows QEMU 10.2, system/vl.c, qemu_disable_default_devices and qemu_create_default_devices.
func (b *builder) defaultVGA() error {
	name := b.vga
	if !b.hasVGA {
		if b.nodefaults || b.has("VGA", "isa-vga", "cirrus-vga", "isa-cirrus-vga", "vmware-svga", "qxl-vga", "virtio-vga",
			"ati-vga", "vhost-user-vga", "virtio-vga-gl", "virtio-vga-rutabaga") {
			return nil
		}
		name = "std"
	}
	if name == "none" {
		return nil
	}
	return b.addDevice(deviceOption{"-vga", name, props{{"driver", vgaDrivers[name]}}})
}

// maxSerial is MAX_ISA_SERIAL_PORTS, maxParallel MAX_PARALLEL_PORTS.
const maxSerial, maxParallel = 4, 3

// serialPorts makes the ISA ports of -serial and -parallel, or the default ones.
// Follows QEMU 10.2, system/vl.c, serial_parse and parallel_parse, and hw/i386/pc.c, pc_superio_init.
func (b *builder) serialPorts() error {
	serials, parallels := b.serials, b.parallels
	if len(serials) == 0 && !b.nodefaults && !b.has("isa-serial", "xen-console") {
		serials = []string{"default"}
	}
	if len(parallels) == 0 && !b.nodefaults && !b.has("isa-parallel") {
		parallels = []string{"default"}
	}
	if len(serials) > maxSerial {
		return usageErr("-serial", serials[maxSerial], "a machine has at most %d ISA serial ports", maxSerial)
	}
	for i, s := range serials {
		if s != "none" {
			b.m.Serial = append(b.m.Serial, i)
			b.serialNext++
		}
	}
	n := 0
	for _, p := range parallels {
		if p == "none" {
			continue
		}
		if n == maxParallel {
			return usageErr("-parallel", p, "a machine has at most %d parallel ports", maxParallel)
		}
		b.m.Parallel = append(b.m.Parallel, n)
		n++
	}
	var made []string
	if len(b.m.Serial) > 0 {
		made = append(made, "isa-serial")
	}
	if len(b.m.Parallel) > 0 {
		made = append(made, "isa-parallel")
	}
	return b.refuseGlobals(made, KeyValue{"index", unset32}, KeyValue{"iobase", unset32}, KeyValue{"irq", unset32})
}

// addSerial makes a port of -device isa-serial.
func addSerial(d *deviceBuild) error {
	n, err := d.number("index", uint64(d.b.serialNext), maxSerial-1)
	if err != nil {
		return err
	}
	if n >= maxSerial {
		return d.usage("a machine has at most %d ISA serial ports", maxSerial)
	}
	d.b.serialNext++
	return d.addISAPort(n)
}

// addISAPort notes an ISA port with its index; iobase= and irq= take the place of what the index stands for, and nothing
// keeps two ports from having the same. Follows QEMU 10.2, hw/char/serial-isa.c, serial_isa_realizefn, and
// hw/char/parallel.c, parallel_isa_realizefn.
func (d *deviceBuild) addISAPort(index uint64) error {
	port := map[string]string{"index": strconv.FormatUint(index, 10)}
	for k, most := range map[string]uint64{"iobase": 0xffff, "irq": 15} {
		if v, ok := d.props.get(k); !ok || v == unset32 {
			continue
		}
		n, err := d.number(k, 0, most)
		if err != nil {
			return err
		}
		port[k] = strconv.FormatUint(n, 10)
	}
	d.b.m.ISA = append(d.b.m.ISA, ISADevice{Driver: d.model.Name, Props: port})
	return nil
}

// unset32 is how a property of 32 bits says that it was not given.
const unset32 = "4294967295"

// A nic is -nic or -net nic.
type nic struct {
	option, arg string
	model       string
	props       props
}

// readNIC notes -nic. "none" is no NIC, and everything else is one, whatever its backend.
func (b *builder) readNIC(arg string) error {
	b.net = true
	p, err := parseKeyvalList("-nic", arg, "type")
	if err != nil {
		return err
	}
	if p.str("type") != "none" {
		b.nics = append(b.nics, nic{"-nic", arg, p.str("model"), p})
	}
	return nil
}

// readNet notes -net: of its types only nic is a device.
func (b *builder) readNet(arg string) error {
	b.net = true
	p := parseProps(arg, "type")
	if p.str("type") == "nic" {
		b.nets = append(b.nets, nic{"-net", arg, p.str("model"), p})
	}
	return nil
}

// defaultNICs makes the devices of -nic and -net, or the one that q35 has by default. Those of -nic come first. Where a
// configuration file has the former, there is the latter too, behind them.
// Follows QEMU 10.2, net/net.c, net_init_clients and qemu_create_nic_bus_devices, and hw/pci/pci.c, pci_init_nic_devices.
func (b *builder) defaultNICs() error {
	list := append(b.nics, b.nets...)
	if !b.net && !b.nodefaults {
		list = append(list, nic{"default network device", "", "", nil})
	}
	for _, n := range list {
		model := n.model
		switch model {
		case "":
			model = "e1000e"
		case "virtio":
			model = "virtio-net-pci"
		}
		row, ok := modelOf(model)
		if !ok || row.Bus != onPCI || !row.NIC {
			return unknownErr(n.option, n.arg, fmt.Sprintf("unknown network device %q", model), "")
		}
		p := props{{"driver", model}}
		if n.option == "-nic" && strings.HasPrefix(model, "virtio-") {
			p = p.set("vectors", "0") // -nic asks for this number where none is given (net/net.c, net_param_nic)
		}
		for _, k := range []string{"addr", "vectors"} {
			if _, ok := n.props.get(k); ok {
				return unsupportedErr(n.option, n.arg, "%s= is not modelled here; use -netdev and -device", k)
			}
		}
		if err := b.addDevice(deviceOption{n.option, n.arg, p}); err != nil {
			return err
		}
	}
	return nil
}

// readVirtfs notes -virtfs, which is short for -fsdev and a device.
// Follows QEMU 10.2, system/vl.c, QEMU_OPTION_virtfs.
func (b *builder) readVirtfs(arg string) error {
	p := parseProps(arg, "fsdriver")
	if p.str("fsdriver") == "" || p.str("mount_tag") == "" {
		return usageErr("-virtfs", arg, "needs a driver and a mount_tag")
	}
	b.devices = append(b.devices, deviceOption{"-virtfs", arg, props{{"driver", "virtio-9p-pci"}, {"mount_tag", p.str("mount_tag")}}})
	return nil
}
