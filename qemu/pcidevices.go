package qemu

// io, mem32, pref32, mem64 and pref64 are BARs of a space.
func io(index int, size uint64) BAR     { return BAR{index, size, BARIO} }
func mem32(index int, size uint64) BAR  { return BAR{index, size, BARMem32} }
func pref32(index int, size uint64) BAR { return BAR{index, size, BARPref32} }
func mem64(index int, size uint64) BAR  { return BAR{index, size, BARMem64} }
func pref64(index int, size uint64) BAR { return BAR{index, size, BARPref64} }

// Sizes of option ROMs: those of QEMU's own files, rounded up to a power of two.
const (
	nicROM   = 0x40000
	eproROM  = 0x20000
	vgaROM   = 0x10000
	bochsROM = 0x8000
)

// pciDevices are the functions that are neither virtio nor bridges. BARs and ROMs were read from the configuration space
// of QEMU 10.0.13 and compared with the drivers' realize functions in QEMU 10.2.
var pciDevices = []deviceModel{
	// Network.
	{Name: "e1000", NIC: true, Bus: onPCI, BARs: []BAR{mem32(0, 0x20000), io(1, 0x40)}, ROM: nicROM},
	{Name: "e1000-82544gc", NIC: true, Bus: onPCI, BARs: []BAR{mem32(0, 0x20000), io(1, 0x40)}, ROM: nicROM},
	{Name: "e1000-82545em", NIC: true, Bus: onPCI, BARs: []BAR{mem32(0, 0x20000), io(1, 0x40)}, ROM: nicROM},
	{Name: "e1000e", NIC: true, Bus: onPCI, BARs: []BAR{mem32(0, 0x20000), mem32(1, 0x20000), io(2, 0x20), mem32(3, 0x4000)}, ROM: nicROM},
	{Name: "igb", Since: Version{Major: 8}, NIC: true, Bus: onPCI, BARs: []BAR{mem32(0, 0x20000), mem32(1, 0x20000), io(2, 0x20), mem64(3, 0x4000)}, ROM: 0},
	{Name: "rtl8139", NIC: true, Bus: onPCI, BARs: []BAR{io(0, 0x100), mem32(1, 0x100)}, ROM: nicROM},
	{Name: "ne2k_pci", NIC: true, Bus: onPCI, BARs: []BAR{io(0, 0x100)}, ROM: nicROM},
	{Name: "pcnet", NIC: true, Bus: onPCI, BARs: []BAR{io(0, 0x20), mem32(1, 0x20)}, ROM: nicROM},
	{Name: "vmxnet3", NIC: true, Bus: onPCI, BARs: []BAR{mem32(0, 0x1000), mem32(1, 0x1000), mem32(2, 0x2000)}, ROM: nicROM},
	{Name: "i82550", NIC: true, Bus: onPCI, BARs: []BAR{pref32(0, 0x1000), io(1, 0x40), mem32(2, 0x20000)}, ROM: eproROM},
	{Name: "i82551", NIC: true, Bus: onPCI, BARs: []BAR{pref32(0, 0x1000), io(1, 0x40), mem32(2, 0x20000)}, ROM: eproROM},
	{Name: "i82557b", NIC: true, Bus: onPCI, BARs: []BAR{pref32(0, 0x1000), io(1, 0x40), mem32(2, 0x20000)}, ROM: eproROM},
	{Name: "i82559er", NIC: true, Bus: onPCI, BARs: []BAR{pref32(0, 0x1000), io(1, 0x40), mem32(2, 0x20000)}, ROM: eproROM},
	{Name: "tulip", NIC: true, Bus: onPCI, BARs: []BAR{io(0, 0x80), mem32(1, 0x80)}},
	{Name: "rocker", Bus: onPCI, BARs: []BAR{mem32(0, 0x2000), mem32(1, 0x2000)}},

	// Storage.
	{Name: "nvme", Bus: onPCI, Size: nvmeBARs, Offers: onNVMe},
	{Name: "ich9-ahci", Bus: onPCI, BARs: []BAR{io(4, 0x20), mem32(5, 0x1000)}, Apply: offerAHCI},
	{Name: "piix3-ide", Bus: onPCI, BARs: []BAR{io(4, 0x10)}, Fixed: true, Apply: offerPIIX},
	{Name: "piix4-ide", Bus: onPCI, BARs: []BAR{io(4, 0x10)}, Fixed: true, Apply: offerPIIX},
	{Name: "sdhci-pci", Bus: onPCI, BARs: []BAR{mem32(0, 0x100)}},
	{Name: "megasas", Bus: onPCI, BARs: []BAR{mem64(0, 0x4000), io(2, 0x100), mem64(3, 0x40000)}, Offers: onSCSI},
	{Name: "megasas-gen2", Bus: onPCI, BARs: []BAR{io(0, 0x100), mem64(1, 0x4000), mem64(3, 0x40000)}, Offers: onSCSI},
	{Name: "mptsas1068", Bus: onPCI, BARs: []BAR{io(0, 0x100), mem32(1, 0x4000), mem32(2, 0x10000)}, Offers: onSCSI},
	{Name: "lsi53c895a", Bus: onPCI, BARs: []BAR{io(0, 0x100), mem32(1, 0x400), mem32(2, 0x2000)}, Offers: onSCSI},
	{Name: "lsi53c810", Bus: onPCI, BARs: []BAR{io(0, 0x100), mem32(1, 0x400), mem32(2, 0x2000)}, Offers: onSCSI},
	{Name: "pvscsi", Bus: onPCI, BARs: []BAR{mem32(0, 0x8000)}, Offers: onSCSI},
	{Name: "am53c974", Bus: onPCI, BARs: []BAR{io(0, 0x80)}, Offers: onSCSI},
	{Name: "dc390", Bus: onPCI, BARs: []BAR{io(0, 0x80)}, Offers: onSCSI},
	{Name: "ufs", Since: Version{Major: 8, Minor: 2}, Bus: onPCI, BARs: []BAR{mem32(0, 0x2000)}},

	// USB.
	{Name: "qemu-xhci", Bus: onPCI, BARs: []BAR{mem64(0, 0x4000)}, Offers: onUSB},
	{Name: "nec-usb-xhci", Bus: onPCI, BARs: []BAR{mem64(0, 0x4000)}, Offers: onUSB},
	{Name: "ich9-usb-ehci1", Bus: onPCI, BARs: []BAR{mem32(0, 0x1000)}, Offers: onUSB, Fixed: true},
	{Name: "ich9-usb-ehci2", Bus: onPCI, BARs: []BAR{mem32(0, 0x1000)}, Offers: onUSB, Fixed: true},
	{Name: "usb-ehci", Bus: onPCI, BARs: []BAR{mem32(0, 0x1000)}, Offers: onUSB},
	{Name: "ich9-usb-uhci1", Bus: onPCI, BARs: []BAR{io(4, 0x20)}, Offers: onUSB, Fixed: true},
	{Name: "ich9-usb-uhci2", Bus: onPCI, BARs: []BAR{io(4, 0x20)}, Offers: onUSB, Fixed: true},
	{Name: "ich9-usb-uhci3", Bus: onPCI, BARs: []BAR{io(4, 0x20)}, Offers: onUSB, Fixed: true},
	{Name: "ich9-usb-uhci4", Bus: onPCI, BARs: []BAR{io(4, 0x20)}, Offers: onUSB, Fixed: true},
	{Name: "ich9-usb-uhci5", Bus: onPCI, BARs: []BAR{io(4, 0x20)}, Offers: onUSB, Fixed: true},
	{Name: "ich9-usb-uhci6", Bus: onPCI, BARs: []BAR{io(4, 0x20)}, Offers: onUSB, Fixed: true},
	{Name: "piix3-usb-uhci", Bus: onPCI, BARs: []BAR{io(4, 0x20)}, Offers: onUSB},
	{Name: "piix4-usb-uhci", Bus: onPCI, BARs: []BAR{io(4, 0x20)}, Offers: onUSB},
	{Name: "pci-ohci", Bus: onPCI, BARs: []BAR{mem32(0, 0x100)}, Offers: onUSB, Fixed: true},

	// Display and sound.
	{Name: "VGA", Bus: onPCI, Kind: VGA, Size: vgaBARs, ROM: vgaROM, Fixed: true},
	{Name: "cirrus-vga", Bus: onPCI, Kind: VGA, BARs: []BAR{pref32(0, 0x2000000), mem32(1, 0x1000)}, ROM: vgaROM, Fixed: true},
	{Name: "vmware-svga", Bus: onPCI, Kind: VGA, Size: vmwareBARs, ROM: vgaROM, Fixed: true},
	{Name: "ati-vga", Bus: onPCI, Kind: VGA, Size: atiBARs, ROM: vgaROM, Fixed: true, Apply: offerDDC},
	{Name: "virtio-vga", Bus: onPCI, Kind: VGA, Size: virtioVGABARs, ROM: vgaROM, Fixed: true},
	{Name: "secondary-vga", Bus: onPCI, Size: vgaBARs},
	{Name: "bochs-display", Bus: onPCI, Size: bochsBARs, ROM: bochsROM},
	{Name: "qxl", Bus: onPCI, Size: qxlBARs},
	{Name: "qxl-vga", Bus: onPCI, Kind: VGA, Size: qxlBARs, ROM: vgaROM, Fixed: true},
	{Name: "ich9-intel-hda", Bus: onPCI, BARs: []BAR{mem32(0, 0x4000)}, Offers: onHDA},
	{Name: "intel-hda", Bus: onPCI, BARs: []BAR{mem32(0, 0x4000)}, Offers: onHDA},
	{Name: "AC97", Bus: onPCI, BARs: []BAR{io(0, 0x400), io(1, 0x100)}},
	{Name: "ES1370", Bus: onPCI, BARs: []BAR{io(0, 0x100)}},

	// Others.
	{Name: "edu", Bus: onPCI, BARs: []BAR{mem32(0, 0x100000)}},
	{Name: "pci-testdev", Bus: onPCI, Size: testdevBARs},
	{Name: "ivshmem-plain", Bus: onPCI, Size: ivshmemBARs},
	{Name: "pvpanic-pci", Bus: onPCI, BARs: []BAR{pref32(0, 0x10)}},
	{Name: "i6300esb", Bus: onPCI, BARs: []BAR{mem32(0, 0x10)}},
	{Name: "pci-serial", Bus: onPCI, BARs: []BAR{io(0, 8)}},
	{Name: "pci-serial-2x", Bus: onPCI, BARs: []BAR{io(0, 0x10)}},
	{Name: "pci-serial-4x", Bus: onPCI, BARs: []BAR{io(0, 0x20)}},
	{Name: "pci-ipmi-kcs", Bus: onPCI, BARs: []BAR{io(0, 8)}, Apply: checkPCIIPMI},
	{Name: "pci-ipmi-bt", Bus: onPCI, BARs: []BAR{io(0, 8)}, Apply: checkPCIIPMI},
	{Name: "tpci200", Bus: onPCI, BARs: []BAR{mem32(0, 0x80), io(1, 0x80), mem32(2, 0x100), mem32(3, 0x400), mem32(4, 0x2000000), mem32(5, 0x1000000)}},
	amdFunction,
	{Name: "acpi-erst", Bus: onPCI, Fixed: true, Size: erstBARs, Apply: addERST},
	{Name: "vfio-pci", Bus: onPCI, Size: vfioBARs},
	{Name: "vfio-pci-nohotplug", Bus: onPCI, Size: vfioBARs, Fixed: true},
}

// atiBARs has a wider aperture since QEMU 11; seen in 11.1.3, against 10.0.13.
func atiBARs(d *deviceBuild) ([]BAR, error) {
	aperture := uint64(0x4000000)
	if d.b.m.Release.Less(Version{Major: 11}) {
		aperture = 0x1000000
	}
	return []BAR{pref32(0, aperture), io(1, 0x100), mem32(2, 0x4000)}, nil
}

// offerDDC adds the bus to the monitor that an ATI display has, which takes what an I2C device without bus= is put on. Follows
// QEMU 10.2, hw/display/ati.c, ati_vga_realize.
func offerDDC(d *deviceBuild) error {
	d.b.addBus(&bus{name: "ati-vga.ddc", kind: onI2C, up: d.bus, order: d.order})
	return nil
}

// offerAHCI adds the six ports of an AHCI controller, and offerPIIX the two channels of an older one, which take two disks
// each.
func offerAHCI(d *deviceBuild) error { return d.offerIDE(6, 1) }
func offerPIIX(d *deviceBuild) error { return d.offerIDE(2, 2) }

func (d *deviceBuild) offerIDE(buses, units int) error {
	for i := range buses {
		x := &bus{name: d.b.busName(onIDE, d.id, i), kind: onIDE, units: make([]bool, units), port: i, up: d.bus, order: d.order}
		if at, ok := fwName(d); ok && d.bus.path != "" {
			x.path = d.bus.path + at
		}
		d.b.addBus(x)
	}
	return nil
}

// testdevBARs follows QEMU 10.2, hw/misc/pci-testdev.c, pci_testdev_realize.
func testdevBARs(d *deviceBuild) ([]BAR, error) {
	bars := []BAR{mem32(0, 0x1000), io(1, 0x100)}
	n, err := d.size("membar", 0)
	if err != nil {
		return nil, err
	}
	if n&(n-1) != 0 {
		return nil, d.usage("membar=%s is not a power of two", d.props.str("membar"))
	}
	if n != 0 {
		bars = append(bars, pref64(2, n))
	}
	return bars, nil
}

// ivshmemBARs follows QEMU 10.2, hw/misc/ivshmem-pci.c, ivshmem_common_realize: the backend's memory is BAR 2.
func ivshmemBARs(d *deviceBuild) ([]BAR, error) {
	id, ok := d.props.get("memdev")
	if !ok {
		return nil, needArg(d.option, d.arg, "memdev")
	}
	n, err := d.b.backendSize(d.option, d.arg, id)
	if err != nil {
		return nil, err
	}
	if n&(n-1) != 0 {
		return nil, d.usage("the memory of %s is not a power of two", id)
	}
	return []BAR{mem32(0, 0x100), pref64(2, n)}, nil
}

// erstBARs are the registers and the exchange buffer of a record. Follows QEMU 10.2, hw/acpi/erst.c, erst_realizefn.
func erstBARs(d *deviceBuild) ([]BAR, error) {
	const defaultRecord = 8192
	n, err := d.number("record_size", defaultRecord, 1<<31)
	if err != nil {
		return nil, err
	}
	if n&(n-1) != 0 || n < 4096 {
		return nil, d.usage("record_size=%d is no power of two from 4096 on", n)
	}
	return []BAR{mem32(0, 0x10), mem32(1, n)}, nil
}

// addERST notes the device that the ERST table describes.
func addERST(d *deviceBuild) error {
	if d.b.m.ERST != nil {
		return d.usage("there is an acpi-erst already")
	}
	d.b.m.ERST = d.dev
	return nil
}

// checkPCIIPMI refuses releases whose SMBIOS tables may or may not have the interface.
func checkPCIIPMI(d *deviceBuild) error {
	return d.b.unseen(d.option, d.arg, Version{Major: 10}, Version{Major: 10, Minor: 2})
}
