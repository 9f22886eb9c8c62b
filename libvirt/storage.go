package libvirt

import (
	"fmt"
	"strings"
)

// disk appends a disk. libvirt 11.3, src/qemu/qemu_command.c, qemuBuildDiskDeviceProps and
// qemuBuildDeviceAddresDriveProps.
func (t *translation) disk(e *element, _ int) {
	kind := e.word("device", "disk", "cdrom", "lun", "floppy")
	if kind == "" {
		kind = "disk"
	}
	target := e.one("target")
	bus, driver := target.attr("bus"), e.one("driver")
	source := e.word("type", "file", "block", "dir", "network", "volume", "nvme", "vhostuser", "vhostvdpa")
	index := t.bootIndex(e, map[string]string{"disk": "hd", "lun": "hd", "cdrom": "cdrom", "floppy": "fd"}[kind])
	var props []property
	var id string
	if bus == "virtio" {
		base := "virtio-blk"
		if source == "vhostuser" {
			base = "vhost-user-blk"
		}
		props = append(e.virtio(base, e.word("model", virtioModels...)), property{"num-queues", driver.number("queues")},
			property{"queue-size", driver.number("queue_size")})
		props = append(props, t.pci(e)...)
		id = fmt.Sprintf("virtio-disk%d", diskNumber(target.attr("dev")))
	} else {
		props, id = t.driveProps(e, bus, kind, target.attr("dev"))
	}
	id = e.aliasOr(id)
	drive := property{"drive", "drive-" + id}
	if source == "vhostuser" {
		drive = property{"chardev", "chr-vu-" + id}
	}
	t.device(append(props, drive, property{"id", id}, property{"bootindex", index})...)
}

// driveProps returns driver and address of a disk that is no virtio disk, and its default alias.
func (t *translation) driveProps(e *element, bus, kind, dev string) ([]property, string) {
	if bus == "usb" {
		e.word("model", "usb-storage")
		return append([]property{{"driver", "usb-storage"}}, t.usb(e)...), fmt.Sprintf("usb-disk%d", diskNumber(dev))
	}
	a := e.one("address")
	if a == nil || a.attr("type") != "drive" {
		if a != nil && a.attr("type") == "pci" && bus == "nvme" {
			e.unsupported("", "is an NVMe disk")
		}
		e.malformed("", "has no <address type='drive'>"+dumpHint)
		return nil, ""
	}
	number := func(name string) uint64 {
		if a.number(name) == nil {
			return 0
		}
		return a.need(name)
	}
	index, channel, scsi, unit := number("controller"), number("bus"), number("target"), number("unit")
	suffix := map[string]string{"cdrom": "-cd", "lun": "-block"}[kind]
	if suffix == "" {
		suffix = "-hd"
	}
	switch bus {
	case "sata":
		c := t.controller("sata", index)
		if c == nil {
			c = &controller{alias: "ide"}
			if index != 0 {
				a.malformed("controller", "is %d, and there is no sata controller of that index", index)
			}
		}
		alias := c.alias
		if index == 0 {
			alias = "ide" // whatever the user calls it
		}
		return []property{{"driver", "ide" + strings.ReplaceAll(suffix, "-block", "-hd")}, {"bus", fmt.Sprintf("%s.%d", alias, unit)}},
			fmt.Sprintf("sata%d-%d-%d", index, channel, unit)
	case "scsi":
		c := t.busOf(a, "scsi", "controller")
		props := []property{{"driver", "scsi" + suffix}}
		switch c.model {
		case "lsilogic", "am53c974", "dc390":
			return append(props, property{"bus", fmt.Sprintf("%s.%d", c.alias, channel)}, property{"scsi-id", unit}),
				fmt.Sprintf("scsi%d-%d-%d", index, channel, unit)
		}
		return append(props, property{"bus", c.alias + ".0"}, property{"channel", channel}, property{"scsi-id", scsi}, property{"lun", unit}),
			fmt.Sprintf("scsi%d-%d-%d-%d", index, channel, scsi, unit)
	case "fdc":
		e.unsupported("", "is a floppy disk, whose controller is not modelled")
		return nil, ""
	}
	e.one("target").unsupported("bus", "is %q", bus)
	return nil, ""
}

// diskNumber is the number of a disk's name: 0 for vda, 26 for vdaa. libvirt 11.3, src/util/virutil.c,
// virDiskNameParse.
func diskNumber(dev string) int {
	n := 0
	for _, p := range []string{"hd", "sd", "vd", "xvd", "ubd", "fd"} {
		if rest, ok := strings.CutPrefix(dev, p); ok && rest != "" {
			for i, r := range rest {
				if r < 'a' || r > 'z' || i > 3 {
					break
				}
				n = n*26 + int(r-'a') + 1
			}
			return n - 1
		}
	}
	return 0
}

// filesystem appends a folder of the host's that the guest mounts.
func (t *translation) filesystem(e *element, i int) {
	id := e.aliasOr(fmt.Sprintf("fs%d", i))
	model := e.word("model", virtioModels...)
	e.word("type", "mount")
	tag, d := e.one("target").attr("dir"), e.one("driver")
	switch driver := d.attr("type"); driver {
	case "virtiofs":
		props := append(e.virtio("vhost-user-fs", model), property{"id", id}, property{"chardev", "chr-vu-" + id}, property{"tag", tag},
			property{"bootindex", t.bootIndex(e, "")})
		t.device(append(props, t.pci(e)...)...)
	case "", "path", "handle":
		props := append(e.virtio("virtio-9p", model), property{"id", id}, property{"fsdev", "fsdev-" + id}, property{"mount_tag", tag})
		t.device(append(props, t.pci(e)...)...)
	default:
		d.unsupported("type", "is %q", driver)
	}
}

// network appends a network interface. One that is a host device comes with the host devices. libvirt 11.3,
// src/qemu/qemu_command.c, qemuBuildNicDevProps.
func (t *translation) network(e *element, i int) {
	kind := "network"
	if i > 0 {
		kind = "" // only the first boots
	}
	typ := e.attr("type")
	if typ == "hostdev" {
		return
	}
	if typ == "" || typ == "vdpa" {
		e.unsupported("type", "is %q", typ)
	}
	id := e.aliasOr(fmt.Sprintf("net%d", i))
	model, d := e.one("model").attr("type"), e.one("driver")
	var props []property
	switch {
	case model == "":
		e.malformed("", "has no <model>"+dumpHint)
	case strings.HasPrefix(model, "virtio"):
		props = e.virtio("virtio-net", model)
		if n, ok := d.number("queues").(uint64); ok && n > 1 {
			props = append(props, property{"mq", true}, property{"vectors", 2*n + 2})
		}
		props = append(props, property{"host_mtu", e.one("mtu").number("size")})
		if tm := e.one("teaming"); tm != nil {
			if tm.attr("type") == "persistent" {
				props = append(props, property{"failover", true})
			} else {
				tm.unsupported("type", "is %q", tm.attr("type"))
			}
		}
	default:
		props = []property{{"driver", model}}
		if m := e.one("mtu"); m != nil {
			m.ignore() // only virtio tells the guest
		}
	}
	props = append(props, property{"netdev", "host" + id}, property{"id", id}, property{"mac", e.one("mac").attr("address")},
		property{"bootindex", t.bootIndex(e, kind)})
	t.device(append(append(props, t.pci(e)...), e.rom()...)...)
}

// hostDevices appends what the host passes on: first interfaces that are host devices, then <hostdev>, as libvirt lists
// them.
func (t *translation) hostDevices() {
	n := 0
	for i, e := range t.devices.all("interface") {
		if typ, _ := e.peek("type"); typ != "hostdev" {
			continue
		}
		kind := "network"
		if i > 0 {
			kind = ""
		}
		e.one("mac").attr("address") // set on the device by the host
		if m := e.one("model"); m != nil {
			m.ignore()
		}
		if tm := e.one("teaming"); tm != nil {
			tm.unsupported("", "makes the device appear when the guest asks for it, which is not modelled")
		}
		t.vfio(e, e.one("source"), n, t.bootIndex(e, kind))
		n++
	}
	for _, e := range t.devices.all("hostdev") {
		t.hostdev(e, n)
		n++
	}
}

// hostdev appends one <hostdev>.
func (t *translation) hostdev(e *element, n int) {
	e.word("mode", "subsystem")
	s := e.one("source")
	switch typ := e.attr("type"); typ {
	case "pci":
		if tm := e.one("teaming"); tm != nil {
			tm.unsupported("", "makes the device appear when the guest asks for it, which is not modelled")
		}
		t.vfio(e, s, n, t.bootIndex(e, ""))
	case "mdev":
		model := e.word("model", "vfio-pci")
		driver := model
		if e.onOff("ramfb") == true {
			driver += "-nohotplug"
		}
		e.onOff("display")
		props := []property{{"driver", driver}, {"id", e.aliasOr(fmt.Sprintf("hostdev%d", n))},
			{"sysfsdev", "/sys/bus/mdev/devices/" + s.one("address").attr("uuid")}, {"bootindex", t.bootIndex(e, "")}}
		t.device(append(props, t.pci(e)...)...)
	case "usb":
		t.bootIndex(e, "")
		t.device(append([]property{{"driver", "usb-host"}, {"id", e.aliasOr(fmt.Sprintf("hostdev%d", n))}}, t.usb(e)...)...)
	case "scsi_host":
		props := append(e.virtio("vhost-scsi", e.word("model", virtioModels...)), property{"wwpn", s.attr("wwpn")},
			property{"id", e.aliasOr(fmt.Sprintf("hostdev%d", n))})
		t.device(append(props, t.pci(e)...)...)
	default:
		e.unsupported("type", "is %q", typ)
	}
}

// vfio appends a passed-on PCI device. libvirt 11.3, src/qemu/qemu_command.c, qemuBuildPCIHostdevDevProps.
func (t *translation) vfio(e, source *element, n int, bootIndex any) {
	a := source.one("address")
	if a == nil {
		e.malformed("", "has no <source> with an <address>")
		return
	}
	if typ, ok := a.get("type"); ok && typ != "pci" {
		a.unsupported("type", "is %q, want pci", typ)
	}
	domain := uint64(0)
	if a.number("domain") != nil {
		domain = a.need("domain")
	}
	if own := e.one("address"); own != nil {
		if v, _ := own.peek("type"); v == "unassigned" {
			own.ignore()
			return
		}
	}
	driver := "vfio-pci"
	if e.onOff("ramfb") == true {
		driver += "-nohotplug"
	}
	e.onOff("display")
	host := fmt.Sprintf("%04x:%02x:%02x.%d", domain, a.need("bus"), a.need("slot"), a.need("function"))
	props := []property{{"driver", driver}, {"host", host}, {"id", e.aliasOr(fmt.Sprintf("hostdev%d", n))}, {"bootindex", bootIndex}}
	t.device(append(append(props, t.pci(e)...), e.rom()...)...)
}
