package main

import (
	"slices"
	"strings"
)

// legacyToo makes the three variants of a virtio device.
func legacyToo(base string, weight int, words func(*generator) []string, after func(*generator, string)) []endpointKind {
	return []endpointKind{
		{driver: base + "-pci", weight: weight, words: both(words, virtioWords), after: after},
		{driver: base + "-pci-transitional", weight: 1, words: words, after: after},
		{driver: base + "-pci-non-transitional", weight: 1, words: words, after: after},
	}
}

// balloons are devices of which QEMU takes one, whatever its variant; the generator mostly keeps to that.
func balloons(list []endpointKind) []endpointKind {
	for i := range list {
		list[i].once = true
	}
	return list
}

// endpointKinds are the PCI devices.
var endpointKinds = slices.Concat(
	legacyToo("virtio-blk", 20, both(blockWords, with("10 num-queues=1|4|64", "4 queue-size=256", "3 discard=on|off", "3 write-zeroes=off", "3 seg-max-adjust=on")), nil),
	legacyToo("virtio-net", 20, both(netWords, with("8 mq=on", "3 host_mtu=1500|0", "4 speed=1000", "4 duplex=full", "4 rss=on", "4 hash=on", "4 csum=off", "4 gso=off", "4 guest_tso4=off", "4 ctrl_vq=on")), nil),
	legacyToo("virtio-scsi", 10, both(with("15 num_queues=1|4|16", "4 max_sectors=1024", "3 hotplug=off", "3 param_change=off")), scsiBus),
	legacyToo("virtio-serial", 8, with("10 max_ports=4|511", "5 emergency-write=off"), serialBus),
	balloons(legacyToo("virtio-balloon", 6, with("8 deflate-on-oom=on", "8 free-page-reporting=on", "8 page-poison=off", "5 free-page-hint=off"), nil)),
	legacyToo("virtio-rng", 8, with("8 max-bytes=1024"), nil),
	legacyToo("virtio-9p", 5, func(g *generator) []string {
		return append(needs("fsdev", "fsdev", "local", "id=$", "path=.", "security_model=none")(g), "mount_tag="+g.name(pick(g, "t", "tag", "shared-folder")))
	}, nil),
	[]endpointKind{
		{driver: "virtio-crypto-pci", weight: 2, words: both(needs("cryptodev", "object", "cryptodev-backend-builtin", "id=$"), virtioWords)},
		{driver: "virtio-keyboard-pci", weight: 2, words: virtioWords}, {driver: "virtio-mouse-pci", weight: 2, words: virtioWords},
		{driver: "virtio-tablet-pci", weight: 2, words: virtioWords}, {driver: "virtio-multitouch-pci", weight: 1, words: virtioWords, since: [2]int{8, 1}},
		{driver: "virtio-sound-pci", weight: 2, words: both(audio, virtioWords), since: [2]int{8, 2}},
		{driver: "virtio-gpu-pci", weight: 2, words: both(virtioWords, with("20 max_outputs=1|2", "8 xres=1024"), hostmem)},
		{driver: "virtio-iommu-pci", weight: 2, words: with("20 boot-bypass=on|off", "20 disable-legacy=on"), once: true},

		{driver: "e1000", weight: 3, words: netWords}, {driver: "e1000-82544gc", weight: 1, words: netWords}, {driver: "e1000-82545em", weight: 1, words: netWords},
		{driver: "e1000e", weight: 5, words: netWords}, {driver: "igb", weight: 1, words: netWords, since: [2]int{8, 0}}, {driver: "rtl8139", weight: 2, words: netWords},
		{driver: "ne2k_pci", weight: 1, words: netWords}, {driver: "pcnet", weight: 1, words: netWords}, {driver: "vmxnet3", weight: 2, words: netWords},
		{driver: "i82550", weight: 1, words: netWords}, {driver: "i82551", weight: 1, words: netWords}, {driver: "i82557b", weight: 1, words: netWords},
		{driver: "i82559er", weight: 1, words: netWords}, {driver: "tulip", weight: 1, words: netWords}, {driver: "rocker", weight: 1, words: func(g *generator) []string { return []string{"name=" + g.name("rock")} }},

		{driver: "nvme", weight: 8, words: both(nvmeBacking, func(g *generator) []string { return []string{"serial=" + g.name("s")} }, with("6 max_ioqpairs=64|8|1023|1024", "5 msix_qsize=65|9|300|2048", "5 cmb_size_mb=0|16|64", "3 legacy-cmb=on", "3 msix-exclusive-bar=on|off", "3 num_queues=9|2000", "4 mdts=9")), after: nvmeBus},
		{driver: "ich9-ahci", weight: 3, after: ideBus}, {driver: "piix3-ide", weight: 1, after: piixBus}, {driver: "piix4-ide", weight: 1, after: piixBus}, {driver: "sdhci-pci", weight: 1},
		{driver: "megasas", weight: 1, after: scsiBus}, {driver: "megasas-gen2", weight: 1, after: scsiBus}, {driver: "mptsas1068", weight: 1, after: scsiBus},
		{driver: "lsi53c895a", weight: 1, after: scsiBus}, {driver: "lsi53c810", weight: 1, after: scsiBus}, {driver: "pvscsi", weight: 1, after: scsiBus},
		{driver: "am53c974", weight: 1, after: scsiBus}, {driver: "dc390", weight: 1, after: scsiBus}, {driver: "ufs", weight: 1, since: [2]int{8, 2}},

		{driver: "qemu-xhci", weight: 6, words: with("10 p2=8", "10 p3=8", "6 streams=off", "4 msix=off|on"), after: usbBus},
		{driver: "nec-usb-xhci", weight: 1, words: with("10 intrs=4", "10 slots=16"), after: usbBus},
		{driver: "ich9-usb-ehci1", weight: 1, after: usbBus}, {driver: "ich9-usb-ehci2", weight: 1, after: usbBus}, {driver: "usb-ehci", weight: 1, after: usbBus},
		{driver: "ich9-usb-uhci1", weight: 1, after: usbBus}, {driver: "ich9-usb-uhci2", weight: 1}, {driver: "ich9-usb-uhci3", weight: 1}, {driver: "ich9-usb-uhci4", weight: 1},
		{driver: "ich9-usb-uhci5", weight: 1}, {driver: "ich9-usb-uhci6", weight: 1}, {driver: "piix3-usb-uhci", weight: 1, after: usbBus}, {driver: "piix4-usb-uhci", weight: 1},
		{driver: "pci-ohci", weight: 1, after: usbBus},

		{driver: "VGA", weight: 3, words: with("25 vgamem_mb=16|32|64|100", "8 edid=on|off", "8 xres=800", "5 mmio=off"), once: true}, {driver: "cirrus-vga", weight: 1, words: with("20 vgamem_mb=8"), once: true},
		{driver: "vmware-svga", weight: 1, words: with("20 vgamem_mb=8|32"), once: true}, {driver: "ati-vga", weight: 1, once: true},
		{driver: "virtio-vga", weight: 2, words: both(with("10 vectors=3|4|0", "10 page-per-vq=on", "10 max_outputs=2"), hostmem), once: true},
		{driver: "secondary-vga", weight: 1, words: with("20 vgamem_mb=8")}, {driver: "bochs-display", weight: 2, words: with("20 vgamem=32M|5M", "10 edid=off")},
		{driver: "ich9-intel-hda", weight: 2, after: hdaBus}, {driver: "intel-hda", weight: 1, words: with("20 msi=off"), after: hdaBus},
		{driver: "AC97", weight: 1, words: audio}, {driver: "ES1370", weight: 1, words: audio},

		{driver: "edu", weight: 1}, {driver: "pci-testdev", weight: 6, words: func(g *generator) []string {
			return []string{g.maybe(70, "membar=%s", g.room64(pick(g, "64G", "128G", "256M", "4G", "1M", "64K", "4K", "512G")))}
		}},
		{driver: "ivshmem-plain", weight: 2, words: func(g *generator) []string {
			return needs("memdev", "object", "memory-backend-ram", "id=$", "size="+g.room64(pick(g, "1M", "64M", "4G", "256M")), "reserve=off", "share=on")(g)
		}},
		{driver: "pvpanic-pci", weight: 1}, {driver: "i6300esb", weight: 1, once: true}, {driver: "pci-serial", weight: 1, words: chardev},
		{driver: "pci-serial-2x", weight: 1}, {driver: "pci-serial-4x", weight: 1}, {driver: "pci-ipmi-kcs", weight: 1, words: bmc}, {driver: "pci-ipmi-bt", weight: 1, words: bmc},
		{driver: "tpci200", weight: 1},
		{driver: "acpi-erst", weight: 3, words: both(needs("memdev", "object", "memory-backend-ram", "id=$", "size=128K", "share=on"), with("20 record_size=4096|16384")), once: true},
	},
	qxl,
)

// qxl are displays that Debian's QEMU 7.2 has, and later ones only as a module.
var qxl = []endpointKind{
	{driver: "qxl", weight: 2, words: with("30 vgamem_mb=32", "20 vram64_size_mb=0|256", "20 ram_size=134217728"), until: [2]int{8, 0}},
	{driver: "qxl-vga", weight: 2, words: with("30 vgamem_mb=4|64", "20 vram_size_mb=128", "10 revision=2|3|4"), once: true, until: [2]int{8, 0}},
}

// hostmem gives a display a window on the host's memory.
func hostmem(g *generator) []string {
	if !g.since(8, 0) {
		return nil
	}
	return with("15 hostmem=256M|1G")(g)
}

// nvmeBacking is a controller's disk, beside which it may have persistent memory, or the group that it belongs to.
func nvmeBacking(g *generator) []string {
	if g.chance(12) {
		id := g.name("subsys")
		g.add("device", "nvme-subsys", "id="+id, g.maybe(50, "nqn=%s", id))
		return []string{"subsys=" + id}
	}
	words := blockWords(g)
	if g.chance(8) {
		words = append(words, needs("pmrdev", "object", "memory-backend-ram", "id=$", "size="+pick(g, "16M", "1G"), "reserve=off", "share=on")(g)...)
	}
	return words
}

// bmc makes the device behind an IPMI interface.
func bmc(g *generator) []string {
	id := g.name("bmc")
	g.add("device", "ipmi-bmc-sim", "id="+id, g.maybe(8, "slave_addr=%d", 0x20+g.IntN(2)*2))
	return []string{"bmc=" + id}
}

// tpm makes the backend of a TPM where one can be started.
func tpm(g *generator) []string {
	if !g.tpm || g.taken["tpm"] {
		return nil
	}
	g.taken["tpm"] = true
	g.add("chardev", "socket", "id=tpmchr", "path="+tpmSocket)
	g.add("tpmdev", "emulator", "id=tpm0", "chardev=tpmchr")
	return []string{"tpmdev=tpm0", g.maybe(20, "ppi=%s", pick(g, "on", "off"))}
}

// none needs nothing.
func none(*generator) []string { return []string{} }

// atMostOne is for devices of which a machine has one.
func atMostOne(driver string, words func(*generator) []string) func(*generator) []string {
	return func(g *generator) []string {
		if g.taken[driver] {
			return nil
		}
		g.taken[driver] = true
		return append([]string{}, words(g)...)
	}
}

// onPort puts a disk on one of the ports that none was put on, in one case of twelve on the one that QEMU takes.
func onPort(words func(*generator) []string) func(*generator) []string {
	return func(g *generator) []string {
		if len(g.ide) == 0 || g.chance(8) {
			return words(g)
		}
		i := g.IntN(len(g.ide))
		bus := g.ide[i]
		g.ide = slices.Delete(slices.Clone(g.ide), i, i+1)
		return append([]string{"bus=" + bus}, words(g)...)
	}
}

// onBus puts a device on one of the buses of a kind, in one case of eight on whichever QEMU takes.
func onBus(list func(*generator) *[]string, words func(*generator) []string) func(*generator) []string {
	return func(g *generator) []string {
		l := list(g)
		if len(*l) == 0 {
			return nil
		}
		bus := ""
		if !g.chance(12) {
			bus = "bus=" + pick(g, *l...)
		}
		return append([]string{bus}, words(g)...)
	}
}

func scsiOf(g *generator) *[]string   { return &g.scsi }
func nvmeOf(g *generator) *[]string   { return &g.nvme }
func serialOf(g *generator) *[]string { return &g.serial }
func hdaOf(g *generator) *[]string    { return &g.hda }
func usbOf(g *generator) *[]string    { return &g.usb }

// An otherKind is a device that is not on PCI. What its function returns are its words; nil leaves it out.
type otherKind struct {
	driver string
	weight int
	words  func(*generator) []string
}

var otherKinds = []otherKind{
	{"isa-serial", 6, both(chardev, with("40 index=0|1|2|3|2|3", "10 irq=5|9", "10 iobase=0x2f8|0x3e0"))},
	{"isa-parallel", 4, both(chardev, with("30 index=0|1|2", "10 irq=5", "10 iobase=0x300"))},
	{"isa-debugcon", 2, both(chardev, with("100 iobase=0x403"))},
	{"isa-debug-exit", 2, atMostOne("isa-debug-exit", with("50 iobase=0xf4"))},
	{"isa-applesmc", 2, atMostOne("isa-applesmc", func(*generator) []string { return []string{"osk=" + strings.Repeat("x", 64)} })},
	{"ib700", 2, atMostOne("ib700", none)},
	{"pvpanic", 4, atMostOne("pvpanic", with("20 ioport=1541|1536", "10 events=1"))},
	{"isa-ipmi-kcs", 3, atMostOne("ipmi", both(bmc, with("15 ioport=3234", "15 irq=0|6")))},
	{"isa-ipmi-bt", 2, atMostOne("ipmi", both(bmc, with("15 irq=0")))},
	{"tpm-tis", 3, tpm}, {"tpm-crb", 3, tpm},
	{"vmgenid", 6, atMostOne("vmgenid", with("100 guid=324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87|00112233-4455-6677-8899-AABBCCDDEEFF|324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87", "4 guid=auto"))},
	{"smbus-ipmi", 2, func(g *generator) []string {
		return append(bmc(g), g.maybe(30, "address=%d", 0x20+g.IntN(40)), g.maybe(50, "bus=i2c"))
	}},
	{"amd-iommu", 3, atMostOne("iommu", with("30 intremap=on|off", "30 device-iotlb=on", "20 xtsup=on"))},
	{"AMDVI-PCI", 1, atMostOne("AMDVI-PCI", none)},
	{"vmclock", 3, func(g *generator) []string {
		if !g.since(10, 0) {
			return nil
		}
		return atMostOne("vmclock", none)(g)
	}},
	{"vmcoreinfo", 2, atMostOne("vmcoreinfo", none)}, {"ramfb", 2, atMostOne("ramfb", none)},
	{"intel-iommu", 5, atMostOne("iommu", with("30 aw-bits=39|48", "30 intremap=off|on", "15 caching-mode=on", "20 device-iotlb=on", "15 pt=off", "10 eim=off", "8 snoop-control=on", "8 dma-drain=off"))},
	{"ide-hd", 4, onPort(blockWords)}, {"ide-cd", 3, onPort(func(g *generator) []string { return []string{g.bootIndex()} })},
	{"scsi-hd", 6, onBus(scsiOf, both(blockWords, with("20 lun=0|1|2", "20 scsi-id=0|1|2|3", "8 channel=0")))},
	{"scsi-cd", 3, onBus(scsiOf, with("20 lun=0|1", "10 bootindex=31"))},
	{"nvme-ns", 2, onBus(nvmeOf, both(blockWords, with("20 nsid=3|4")))},
	{"virtserialport", 4, onBus(serialOf, both(chardev, with("30 name=port")))}, {"virtconsole", 3, onBus(serialOf, chardev)},
	{"hda-duplex", 2, onBus(hdaOf, audio)}, {"hda-micro", 2, onBus(hdaOf, audio)}, {"hda-output", 2, onBus(hdaOf, audio)},
	{"usb-kbd", 3, onBus(usbOf, none)}, {"usb-mouse", 2, onBus(usbOf, none)}, {"usb-tablet", 3, onBus(usbOf, none)},
	{"usb-storage", 3, onBus(usbOf, blockWords)}, {"usb-hub", 2, onBus(usbOf, none)}, {"usb-net", 1, onBus(usbOf, none)},
	{"usb-serial", 1, onBus(usbOf, chardev)}, {"usb-audio", 1, onBus(usbOf, audio)}, {"usb-uas", 1, onBus(usbOf, none)}, {"usb-bot", 1, onBus(usbOf, none)},
	{"usb-ccid", 1, onBus(usbOf, none)}, {"usb-wacom-tablet", 1, onBus(usbOf, none)},
}

// other adds one device that is not on PCI.
func (g *generator) other() {
	total := 0
	for _, k := range otherKinds {
		total += k.weight
	}
	n := g.IntN(total)
	for _, k := range otherKinds {
		if n -= k.weight; n >= 0 {
			continue
		}
		if words := k.words(g); words != nil {
			g.add("device", slices.Concat([]string{k.driver, g.maybe(30, "id=%s", g.name("o"))}, words)...)
		}
		return
	}
}

// notGenerated are the drivers of package qemu's table that no shape has, and why.
var notGenerated = map[string]string{
	"vhost-scsi-pci": "needs vhost on the host", "vhost-vsock-pci": "needs vhost on the host",
	"vhost-user-scsi-pci": "needs a process on the host", "vhost-user-blk-pci": "needs a process on the host",
	"vhost-user-vsock-pci": "needs a process on the host", "vhost-user-fs-pci": "needs a process on the host",
	"virtio-input-host-pci": "needs an input device of the host", "vfio-pci": "needs a device of the host", "vfio-pci-nohotplug": "needs a device of the host",
	"usb-host": "needs a device of the host", "usb-redir": "needs a device elsewhere", "usb-mtp": "needs a folder to share", "usb-braille": "needs brlapi on the host",
	"ccid-card-passthru": "needs a card of the host", "ccid-card-emulated": "needs certificates", "scsi-block": "needs a disk of the host", "scsi-generic": "needs a disk of the host",
	"ipmi-bmc-extern": "needs a process on the host", "ide-cf": "is ide-hd with another name",
	"loader": "refused", "sgx-epc": "refused", "vmbus-bridge": "refused", "uefi-vars-x64": "refused", "qemu64-x86_64-cpu": "refused",
	"pxb-cxl": "refused", "cxl-rp": "refused", "cxl-type3": "refused",
}
