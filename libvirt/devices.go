package libvirt

import (
	"fmt"
	"slices"
)

// allDevices appends the devices in libvirt's order, up to those that come behind <qemu:commandline>.
// libvirt 11.3, src/qemu/qemu_command.c, qemuBuildCommandLine.
func (t *translation) allDevices() {
	each := func(kind string, do func(e *element, i int)) {
		for i, e := range t.devices.all(kind) {
			do(e, i)
		}
	}
	t.allControllers()
	each("iommu", t.iommu) // before the controllers up to libvirt 11, which nothing shows
	each("memory", t.memoryDevice)
	each("hub", t.hub)
	t.controllersOf("ccid")
	each("disk", t.disk)
	each("filesystem", t.filesystem)
	each("interface", t.network)
	each("smartcard", t.smartcard)
	each("serial", t.serial)
	each("parallel", func(e *element, i int) {
		e.one("target").number("port")
		t.device(property{"driver", "isa-parallel"}, property{"id", e.aliasOr(fmt.Sprintf("parallel%d", i))})
	})
	each("channel", t.channel)
	each("console", t.console)
	each("tpm", t.tpm)
	each("input", t.input)
	each("video", t.video)
	each("sound", t.sound)
	each("watchdog", t.watchdog)
	each("redirdev", t.redirdev)
	t.hostDevices()
	each("memballoon", t.memballoon)
	each("rng", func(e *element, i int) {
		id := e.aliasOr(fmt.Sprintf("rng%d", i))
		t.object("-object", []property{{"qom-type", "rng-builtin"}, {"id", "obj" + id}})
		props := append(e.virtio("virtio-rng", e.word("model", virtioModels...)), property{"rng", "obj" + id}, property{"id", id})
		t.device(append(props, t.pci(e)...)...)
	})
	if v := t.dom.one("features").one("vmcoreinfo"); v != nil && v.onOffDefault("state") == true {
		t.device(property{"driver", "vmcoreinfo"})
	}
}

// lateDevices appends the devices that libvirt puts behind <qemu:commandline>.
func (t *translation) lateDevices() {
	for _, e := range t.devices.all("panic") {
		t.panicDevice(e)
	}
	for i, e := range t.devices.all("shmem") {
		t.shmem(e, i)
	}
	for _, e := range t.devices.all("vsock") {
		cid := e.one("cid")
		cid.yesNo("auto")
		n := cid.number("address")
		if n == nil {
			n = uint64(3) // no table names it
		}
		props := append(e.virtio("vhost-vsock", e.word("model", virtioModels...)), property{"id", e.aliasOr("vsock0")}, property{"guest-cid", n})
		t.device(append(props, t.pci(e)...)...)
	}
	for i, e := range t.devices.all("crypto") {
		id := e.aliasOr(fmt.Sprintf("crypto%d", i))
		e.word("model", "virtio")
		t.object("-object", []property{{"qom-type", "cryptodev-backend-builtin"}, {"id", "obj" + id}})
		props := append(e.virtio("virtio-crypto", ""), property{"cryptodev", "obj" + id}, property{"id", id})
		t.device(append(props, t.pci(e)...)...)
	}
	if e := t.devices.one("pstore"); e != nil {
		id := e.aliasOr("pstore0")
		e.word("backend", "acpi-erst")
		t.object("-object", []property{{"qom-type", "memory-backend-ram"}, {"id", "mem" + id}, {"size", e.one("size").kibibytes() << 10}})
		t.device(append([]property{{"driver", "acpi-erst"}, {"id", id}, {"memdev", "mem" + id}}, t.pci(e)...)...)
	}
}

// virtioModels are the variants of a virtio device.
var virtioModels = []string{"virtio", "virtio-transitional", "virtio-non-transitional"}

// iommu appends the guest's IOMMU.
func (t *translation) iommu(e *element, i int) {
	id := e.aliasOr(fmt.Sprintf("iommu%d", i))
	d := e.one("driver")
	switch e.attr("model") {
	case "intel":
		onOffAuto := func(name string) any {
			if v := d.onOff(name); v != nil {
				return onOrOff(v)
			}
			return nil
		}
		t.device(property{"driver", "intel-iommu"}, property{"id", id}, property{"intremap", onOffAuto("intremap")},
			property{"caching-mode", d.onOff("caching_mode")}, property{"eim", onOffAuto("eim")}, property{"device-iotlb", d.onOff("iotlb")},
			property{"aw-bits", d.number("aw_bits")}, property{"dma-translation", d.onOff("dma_translation")})
	case "virtio":
		props := []property{{"driver", "virtio-iommu"}, {"id", id}, {"aw-bits", d.number("aw_bits")}, {"granule", d.attr("granule")}}
		t.device(append(props, t.pci(e)...)...)
	default:
		e.unsupported("model", "is %q, want intel or virtio", e.attr("model"))
	}
}

// pciModels are the models of PCI controllers with the device that QEMU has for each.
var pciModels = map[string][]string{
	"pcie-root-port":              {"pcie-root-port", "ioh3420"},
	"pcie-switch-upstream-port":   {"x3130-upstream"},
	"pcie-switch-downstream-port": {"xio3130-downstream"},
	"pci-bridge":                  {"pci-bridge"},
	"dmi-to-pci-bridge":           {"i82801b11-bridge"},
	"pcie-to-pci-bridge":          {"pcie-pci-bridge"},
	"pcie-expander-bus":           {"pxb-pcie"},
	"pci-expander-bus":            {"pxb"},
}

// allControllers appends the controllers but those of smart cards.
func (t *translation) allControllers() {
	for _, c := range t.controllers {
		if c.typ != "pci" {
			continue
		}
		hole := c.e.one("pcihole64")
		switch {
		case hole == nil:
		case c.model != "pcie-root":
			hole.unsupported("", "belongs to pcie-root")
		case hole.kibibytes() > 0: // libvirt takes 0 for none given
			t.add("-global", fmt.Sprintf("q35-pcihost.pci-hole64-size=%dK", hole.kibibytes()))
		}
	}
	for _, typ := range []string{"pci", "usb", "scsi", "sata", "virtio-serial"} {
		t.controllersOf(typ)
	}
	for _, c := range t.controllers {
		if !slices.Contains([]string{"pci", "usb", "scsi", "sata", "virtio-serial", "ccid", "fdc"}, c.typ) {
			c.e.unsupported("type", "is %q", c.typ)
		}
	}
}

// controllersOf appends the controllers of one type.
func (t *translation) controllersOf(typ string) {
	for _, c := range t.controllers {
		if c.typ != typ {
			continue
		}
		id := property{"id", c.alias}
		var props []property
		switch typ {
		case "pci":
			props = t.pciController(c, id)
		case "usb":
			props = t.usbController(c, id)
		case "scsi":
			props = t.scsiController(c, id)
		case "sata":
			if c.index == 0 {
				t.builtInSATA(c.e)
			} else {
				props = []property{{"driver", "ahci"}, id}
			}
		case "virtio-serial":
			// libvirt gives a port number 0 to nobody; max_ports and vectors change the device's interrupts.
			props = append(c.e.virtio("virtio-serial", c.e.word("model", virtioModels...)), id,
				property{"max_ports", c.e.number("ports")}, property{"vectors", c.e.number("vectors")})
		case "ccid":
			t.device(append([]property{{"driver", "usb-ccid"}, id}, t.usb(c.e)...)...)
			continue
		}
		if props != nil {
			t.device(append(props, t.pci(c.e)...)...)
		}
	}
}

// builtInSATA checks the address of the chipset's own SATA controller, which is no device of the command line.
func (t *translation) builtInSATA(e *element) {
	a := e.one("address")
	if a == nil {
		return
	}
	a.number("domain")
	a.word("type", "pci")
	a.onOff("multifunction")
	if a.need("bus") != 0 || a.need("slot") != 0x1f || a.need("function") != 2 {
		a.malformed("", "is not 0:1f.2, where the chipset has its SATA controller")
	}
}

// pciController returns the properties of a port or bridge. libvirt 11.3, src/qemu/qemu_command.c,
// qemuBuildControllerPCIDevProps.
func (t *translation) pciController(c *controller, id property) []property {
	e, target := c.e, c.e.one("target")
	if c.model == "pcie-root" {
		if c.index != 0 {
			e.unsupported("index", "is %d, want 0: q35 has one pcie-root", c.index)
		}
		return nil
	}
	devices, ok := pciModels[c.model]
	if !ok {
		e.unsupported("model", "is %q", c.model)
		return nil
	}
	driver := e.one("model").attr("name")
	if driver == "" {
		e.malformed("", "has no <model>, so that the device is not known"+dumpHint)
	} else if !slices.Contains(devices, driver) {
		e.one("model").unsupported("name", "is %q, want %v", driver, devices)
	}
	reserve := target.number("memReserve")
	if n, ok := reserve.(uint64); ok {
		reserve = n << 10
	}
	props := []property{{"driver", driver}}
	switch c.model {
	case "pcie-root-port", "pcie-switch-downstream-port":
		return append(props, property{"port", target.need("port")}, property{"chassis", target.need("chassis")}, id,
			property{"hotplug", target.onOff("hotplug")}, property{"mem-reserve", reserve})
	case "pci-bridge":
		return append(props, property{"chassis_nr", target.need("chassisNr")}, property{"mem-reserve", reserve}, id)
	case "pcie-expander-bus", "pci-expander-bus":
		props = append(props, property{"bus_nr", target.need("busNr")}, id)
		if node := target.one("node"); node != nil {
			props = append(props, property{"numa_node", node.parseUint("", node.content())})
		}
		return props
	}
	return append(props, id)
}

// usbModels are the USB controllers by libvirt's names. libvirt 11.3, src/qemu/qemu_command.c, qemuControllerModelUSB.
var usbModels = map[string]string{
	"piix3-uhci": "piix3-usb-uhci", "piix4-uhci": "piix4-usb-uhci", "ehci": "usb-ehci", "ich9-ehci1": "ich9-usb-ehci1",
	"ich9-uhci1": "ich9-usb-uhci1", "ich9-uhci2": "ich9-usb-uhci2", "ich9-uhci3": "ich9-usb-uhci3",
	"vt82c686b-uhci": "vt82c686b-usb-uhci", "pci-ohci": "pci-ohci", "nec-xhci": "nec-usb-xhci", "qemu-xhci": "qemu-xhci",
}

// usbController returns the properties of a USB controller, nil for none.
func (t *translation) usbController(c *controller, id property) []property {
	if c.model == "none" {
		return nil
	}
	driver, ok := usbModels[c.model]
	if !ok {
		c.e.malformed("model", "is %q"+dumpHint, c.model)
		return nil
	}
	ports := c.e.number("ports")
	props := []property{{"driver", driver}, {"p2", ports}, {"p3", ports}}
	if m := c.e.one("master"); m != nil {
		master := t.controller("usb", c.index)
		for _, o := range t.controllers {
			if o.typ == "usb" && o.index == c.index && !o.companion {
				master = o
			}
		}
		return append(props, property{"masterbus", master.alias + ".0"}, property{"firstport", m.need("startport")})
	}
	return append(props, id)
}

// scsiModels are the SCSI controllers that are not virtio's.
var scsiModels = map[string]string{
	"lsilogic": "lsi", "lsisas1068": "mptsas1068", "lsisas1078": "megasas", "vmpvscsi": "pvscsi", "am53c974": "am53c974", "dc390": "dc-390",
}

// scsiController returns the properties of a SCSI controller.
func (t *translation) scsiController(c *controller, id property) []property {
	d := c.e.one("driver")
	switch c.model {
	case "virtio-scsi", "virtio-transitional", "virtio-non-transitional":
		return append(c.e.virtio("virtio-scsi", c.model), id, property{"num_queues", d.number("queues")})
	}
	driver, ok := scsiModels[c.model]
	if !ok {
		c.e.malformed("model", "is %q"+dumpHint, c.model)
		return nil
	}
	return []property{{"driver", driver}, id}
}

// memoryDevice appends a module that is plugged in at start.
func (t *translation) memoryDevice(e *element, i int) {
	if m := e.attr("model"); m != "dimm" {
		e.unsupported("model", "is %q", m)
		return
	}
	id := e.aliasOr(fmt.Sprintf("dimm%d", i))
	target := e.one("target")
	node := any(nil)
	if n := target.one("node"); n != nil {
		node = n.parseUint("", n.content())
	}
	e.attr("access")
	if s := e.one("source"); s != nil {
		s.ignore()
	}
	t.object("-object", []property{{"qom-type", "memory-backend-ram"}, {"id", "mem" + id}, {"size", mebibyte(target.one("size").kibibytes()) << 10}})
	props := []property{{"driver", "pc-dimm"}, {"node", node}, {"memdev", "mem" + id}, {"id", id}}
	a := e.one("address")
	if a == nil {
		e.malformed("", "has no <address>"+dumpHint)
	}
	a.word("type", "dimm")
	t.device(append(props, property{"slot", a.number("slot")}, property{"addr", a.number("base")})...)
}
