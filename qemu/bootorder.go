package qemu

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A bootEntry is one device with a bootindex.
type bootEntry struct {
	index int64
	path  string // Open Firmware path; "%pxb:N%" in it stands for the place of bus N among extra root buses
}

// fwNames are the Open Firmware names of functions whose PCI class has one. All others are named by vendor and device.
// Follows QEMU 10.2, hw/pci/pci.c, pci_class_descriptions and pci_dev_fw_name.
var fwNames = map[string]string{
	"virtio-blk": "scsi", "virtio-scsi": "scsi", "vhost-scsi": "scsi", "vhost-user-blk": "scsi", "vhost-user-scsi": "scsi",
	"virtio-net": "ethernet", "nvme": "pci1b36,0010", "ich9-ahci": "pci8086,2922", "piix3-ide": "ide", "piix4-ide": "ide",
	"megasas": "raid", "megasas-gen2": "raid", "mptsas1068": "scsi", "lsi53c895a": "scsi", "lsi53c810": "scsi",
	"pvscsi": "scsi", "am53c974": "scsi", "dc390": "scsi", "sdhci-pci": "pci1b36,0007", "ufs": "pci1b36,0013",
	"pcie-root-port": "pci-bridge", "ioh3420": "pci-bridge", "x3130-upstream": "pci-bridge",
	"xio3130-downstream": "pci-bridge", "pci-bridge": "pci-bridge", "pcie-pci-bridge": "pci-bridge",
	"i82801b11-bridge": "pci-bridge",
	"qemu-xhci":        "usb", "nec-usb-xhci": "usb", "ich9-usb-ehci1": "usb", "ich9-usb-ehci2": "usb", "usb-ehci": "usb",
	"ich9-usb-uhci1": "usb", "ich9-usb-uhci2": "usb", "ich9-usb-uhci3": "usb", "ich9-usb-uhci4": "usb", "ich9-usb-uhci5": "usb",
	"ich9-usb-uhci6": "usb", "piix3-usb-uhci": "usb", "piix4-usb-uhci": "usb", "pci-ohci": "usb",
}

// fwName is the Open Firmware name of a function below its bus, "/scsi@1,2", and whether it is known.
func fwName(d *deviceBuild) (string, bool) {
	driver := d.model.Name
	if i := strings.Index(driver, "-pci"); i > 0 && fwNames[driver] == "" {
		driver = driver[:i] // a virtio function, of whatever variant
	}
	name, ok := fwNames[driver]
	if d.model.NIC {
		name, ok = "ethernet", true
	}
	at := fmt.Sprintf("/%s@%x", name, d.dev.Slot)
	if d.dev.Function != 0 {
		at += fmt.Sprintf(",%x", d.dev.Function)
	}
	return at, ok
}

// bootSuffix is what a driver adds behind the path of its function, and whether it takes a bootindex at all.
// Follows the calls of device_add_bootindex_property in QEMU 10.2.
func bootSuffix(m *deviceModel) (string, bool) {
	driver, _, _ := strings.Cut(m.Name, "-pci")
	switch {
	case m.NIC:
		return "/ethernet-phy@0", true
	case driver == "virtio-blk", driver == "vhost-user-blk":
		return "/disk@0,0", true
	case driver == "nvme":
		return "/namespace@1,0", true
	}
	return "", false
}

// bootIndex notes bootindex=. Numbers below 0 are none. Follows QEMU 10.2, system/bootdevice.c.
func (d *deviceBuild) bootIndex() error {
	v, ok := d.props.get("bootindex")
	if !ok {
		return d.scsiAddress()
	}
	n, ok := parseInt(v)
	if !ok || n != int64(int32(n)) {
		return d.usage("bootindex=%s is not a number", v)
	}
	if err := d.scsiAddress(); err != nil || n < 0 {
		return err
	}
	path, err := d.bootPath()
	if err != nil {
		return err
	}
	return d.b.addBoot(d.option, d.arg, n, path)
}

// bootPath is the Open Firmware path of a device that can be booted.
func (d *deviceBuild) bootPath() (string, error) {
	unknown := unsupportedErr(d.option, d.arg, "the path that bootindex= of a %s gives the firmware is not modelled", d.model.Name)
	switch d.model.Bus {
	case onPCI:
		suffix, ok := bootSuffix(d.model)
		name, named := fwName(d)
		if !ok || !named || d.bus.path == "" {
			return "", unknown
		}
		return d.bus.path + name + suffix, nil
	case onIDE:
		if d.bus.path == "" {
			return "", unknown
		}
		return fmt.Sprintf("%s/drive@%x/disk@%d", d.bus.path, d.bus.port, d.unit), nil
	case onUSB:
		path, ok := d.usbPath()
		switch d.model.Name {
		case "usb-storage":
			path += "/channel@0/disk@0,0"
		case "usb-net":
			path += "/ethernet-phy@0"
		default:
			ok = false
		}
		if ok {
			return path, nil
		}
	case onNVMe:
		if d.b.m.Traits.NVMePathFreed {
			return "", unsupportedErr(d.option, d.arg, "before QEMU 10.0.13 bootindex= of an nvme-ns gives the firmware memory that was freed")
		}
		// Its path is made before the device knows its number or its bus (hw/nvme/ns.c, nvme_ns_instance_init).
		return "/nvme-ns/namespace@0,0", nil
	case onSCSI:
		if d.bus.path == "" {
			return "", unknown
		}
		return fmt.Sprintf("%s/channel@%x/disk@%x,%x", d.bus.path, d.scsi.channel, d.scsi.id, d.scsi.lun), nil
	}
	return "", unknown
}

// A scsiPlace is where a disk is on a SCSI bus.
type scsiPlace struct{ channel, id, lun int }

// maxSCSI bounds the numbers of a SCSI address; virtio-scsi's own are 255 and 16383.
const maxSCSI = 1 << 14

// scsiAddress gives a SCSI device its place: the first free target, or the first free LUN of the target that was given.
// Follows QEMU 10.2, hw/scsi/scsi-bus.c, scsi_qdev_realize.
func (d *deviceBuild) scsiAddress() error {
	if d.model.Bus != onSCSI {
		return nil
	}
	num := func(key string, def int) (int, error) {
		if v := d.props.str(key); v == "-1" {
			return def, nil
		}
		n, err := d.number(key, uint64(def), maxSCSI)
		return int(n), err
	}
	const none = maxSCSI + 1
	channel, err1 := num("channel", 0)
	id, err2 := num("scsi-id", none)
	lun, err3 := num("lun", none)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	if d.bus.scsi == nil {
		d.bus.scsi = map[scsiPlace]bool{}
	}
	p := scsiPlace{channel, id, lun}
	switch {
	case id == none:
		if lun == none {
			p.lun = 0
		}
		for p.id = 0; d.bus.scsi[p]; p.id++ {
		}
	case lun == none:
		for p.lun = 0; d.bus.scsi[p]; p.lun++ {
		}
	case d.bus.scsi[p]:
		return d.usage("channel %d, target %d, LUN %d is taken", channel, id, lun)
	}
	d.bus.scsi[p] = true
	d.scsi = p
	return nil
}

// addBoot notes a place in the boot order.
func (b *builder) addBoot(option, arg string, index int64, path string) error {
	for _, e := range b.boots {
		if e.index == index {
			return usageErr(option, arg, "bootindex=%d is taken by %s", index, e.path)
		}
	}
	b.boots = append(b.boots, bootEntry{index, path})
	return nil
}

// linuxBootROM is the option ROM that QEMU adds for -kernel, with bootindex 0.
// Follows QEMU 10.2, hw/i386/x86-common.c, x86_load_linux.
const linuxBootROM = "/rom@genroms/linuxboot_dma.bin"

// bootKernel notes the ROM of -kernel, which is made before any device.
func (b *builder) bootKernel() error {
	if b.m.Files.Kernel == "" {
		return nil
	}
	return b.addBoot("-kernel", b.m.Files.Kernel, 0, linuxBootROM)
}

// bootOrder sorts what has a bootindex, resolves the places of extra root buses, and keeps the list with the machine.
// Follows QEMU 10.2, system/bootdevice.c, get_boot_devices_list, and hw/pci-bridge/pci_expander_bridge.c,
// pxb_host_ofw_unit_address.
func (b *builder) bootOrder() {
	slices.SortFunc(b.boots, func(x, y bootEntry) int { return cmp.Compare(x.index, y.index) })
	var extra []uint8
	for _, x := range b.buses {
		if x.extra {
			extra = append(extra, x.pci.BusNr)
		}
	}
	slices.Sort(extra)
	for _, e := range b.boots {
		path := e.path
		for i, nr := range extra {
			path = strings.ReplaceAll(path, pxbMark(nr), fmt.Sprintf("%x", i+1))
		}
		b.m.BootDevices = append(b.m.BootDevices, path)
	}
}

// pxbMark stands for the place of an extra root bus while that is not known yet.
func pxbMark(nr uint8) string { return fmt.Sprintf("%%pxb:%d%%", nr) }

// finish checks what only the whole command line shows.
func (b *builder) finish() error {
	f := b.m.Files
	if f.Kernel == "" {
		for option, given := range map[string]bool{"-append": f.HasAppend, "-shim": f.Shim != "", "-initrd": f.Initrd != ""} {
			if given {
				return usageErr(option, "", "only allowed with -kernel")
			}
		}
	}
	b.bootOrder()
	if err := b.checkPowered(); err != nil {
		return err
	}
	return b.checkFwCfg()
}
