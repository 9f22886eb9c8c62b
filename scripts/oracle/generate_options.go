package main

import (
	"fmt"
	"slices"
	"strings"
)

// defaults says which default devices there are, and makes the old kinds of devices.
func (g *generator) defaults() {
	bare := g.chance(70)
	if bare {
		g.flag("nodefaults")
	}
	for range pick(g, 0, 0, 1, 1, 1, 2, 3, 4) {
		g.add("serial", pick(g, "null", "null", "none"))
	}
	for range pick(g, 0, 0, 0, 0, 1, 2, 3) {
		g.add("parallel", pick(g, "null", "null", "none"))
	}
	if g.chance(15) {
		g.add("vga", pick(g, "std", "cirrus", "vmware", "virtio", "none", "none"))
	} else if !bare && g.chance(50) {
		g.add("vga", "none")
	}
	if g.chance(3) {
		g.flag("nographic")
	}
	for range pick(g, 0, 0, 0, 0, 0, 1, 2) {
		switch g.IntN(4) {
		case 0:
			g.add("nic", "none")
		case 1:
			g.add("nic", "user", "model="+pick(g, "e1000", "e1000e", "rtl8139", "virtio-net-pci", "vmxnet3", "virtio"))
		case 2:
			g.add("net", "nic", "model="+pick(g, "e1000", "pcnet", "ne2k_pci", "virtio-net-pci"))
		default:
			g.add("nic", "hubport", "hubid=0", g.maybe(30, "mac=52:54:00:11:22:33"))
		}
	}
	for range pick(g, 0, 0, 0, 0, 0, 1, 2) {
		const image = "file=null-co://"
		switch g.IntN(4) {
		case 0:
			if !g.expanded { // without bus= it would go there
				g.add("drive", image, "format=raw", "if=virtio")
			}
		case 1:
			if !g.noSATA {
				g.add("drive", image, "format=raw", g.maybe(50, "if=ide"), g.maybe(30, "media=cdrom"))
			}
		case 2:
			if o := pick(g, "hda", "hdb", "hdc", "hdd", "cdrom"); !g.taken["drive"] && !g.noSATA {
				g.taken["drive"] = true
				g.add(o, "null-co://") // QEMU warns that it does not know the format
			}
		default:
			g.add("drive", image, "format=raw", "if=none", "id="+g.name("unused"))
		}
	}
	if g.chance(4) && !g.expanded {
		g.add("virtfs", "local", "path=.", "mount_tag=host", "security_model=none", "readonly=on")
	}
}

// firmwareOptions are what is handed over beside devices.
func (g *generator) firmwareOptions() {
	if g.chance(20) {
		g.add("boot", g.maybe(40, "order=%s", pick(g, "c", "dc", "n", "cdn")), g.maybe(8, "once=%s", pick(g, "d", "n")), g.maybe(50, "menu=%s", pick(g, "on", "off")),
			g.maybe(40, "splash-time=%d", pick(g, 0, 1, 5000, 65535)), g.maybe(40, "strict=%s", pick(g, "on", "off")), "reboot-timeout=10")
	}
	if g.chance(6) {
		g.add("fw_cfg", "name=opt/ovmf/X-PciMmio64Mb", "string="+pick(g, "65536", "262144", "1048576", "8388608", "32768", "1000"))
	}
	if g.chance(6) {
		g.add("fw_cfg", "name=opt/org.tdxkit/"+g.name("a"), "string=hello")
	}
	if g.chance(6) {
		g.add("kernel", kernelMark)
		if g.chance(60) {
			g.add("append", "console=ttyS0")
		}
		if g.chance(40) {
			name := g.name("initrd")
			g.files[name] = []byte("an initrd")
			g.add("initrd", name)
		}
	}
	g.userTables()
	for _, w := range []option{
		{name: "name", words: []string{"guest"}}, {name: "rtc", words: []string{"base=utc"}}, {name: "uuid", words: []string{"6fd2b5a0-1111-4222-8333-0123456789ab"}},
		{name: "no-reboot"}, {name: "msg", words: []string{"timestamp=on"}}, {name: "k", words: []string{"de"}}, {name: "snapshot"},
		{name: "debugcon", words: []string{"null"}}, {name: "no-user-config"}, {name: "action", words: []string{"panic=none"}},
		{name: "overcommit", words: []string{"mem-lock=off"}}, {name: "d", words: []string{"guest_errors"}}, {name: "monitor", words: []string{"none"}},
		{name: "object", words: []string{"iothread", "id=thread"}}, {name: "object", words: []string{"rng-random", "id=random", "filename=/dev/urandom"}},
		{name: "D", words: []string{"/dev/null"}}, {name: "watchdog-action", words: []string{"none"}}, {name: "no-shutdown"},
		{name: "audiodev", words: []string{"none", "id=unheard"}}, {name: "netdev", words: []string{"user", "id=unused"}}, {name: "seed", words: []string{"7"}},
		{name: "object", words: []string{"throttle-group", "id=slow"}}, {name: "object", words: []string{"secret", "id=key", "data=x"}},
		{name: "object", words: []string{"memory-backend-memfd", "id=idle", "size=4M", "share=on", "reserve=off"}}, {name: "sandbox", words: []string{"off"}},
	} {
		if g.chance(3) {
			g.options = append(g.options, w)
		}
	}
}

// respell says the same in other words now and then: a property of a device by -set, devices in a configuration file.
func (g *generator) respell() {
	if g.chance(4) {
		g.set()
	}
	if !g.chance(3) {
		return
	}
	name := g.name("config")
	var text strings.Builder
	keep := g.options[:0:0]
	for _, o := range g.options {
		if o.name != "device" || o.json {
			keep = append(keep, o)
			continue
		}
		text.WriteString("[device]\n")
		for i, w := range o.words {
			key, v, ok := strings.Cut(w, "=")
			if !ok && i == 0 {
				key, v = "driver", w
			}
			fmt.Fprintf(&text, "  %s = \"%s\"\n", key, v)
		}
	}
	g.files[name] = []byte(text.String())
	g.options = append(keep, option{name: "readconfig", words: []string{name}})
}

// set moves one property of a device into an option of its own.
func (g *generator) set() {
	var named []int
	for i, o := range g.options {
		if o.name == "device" && !o.json && len(o.words) > 2 && slices.ContainsFunc(o.words, func(w string) bool { return strings.HasPrefix(w, "id=") }) {
			named = append(named, i)
		}
	}
	if len(named) == 0 {
		return
	}
	i := pick(g, named...)
	words := g.options[i].words
	j := 1 + g.IntN(len(words)-1)
	id := words[slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "id=") })][3:]
	if strings.HasPrefix(words[j], "id=") || strings.Contains(id, ".") {
		return
	}
	moved := option{name: "set", words: []string{"device." + id + "." + words[j]}}
	g.options[i].words = slices.Delete(slices.Clone(words), j, j+1)
	g.options = slices.Insert(g.options, i+1, moved)
}

// globals are -global options that reach the chipset or devices.
func (g *generator) globals() {
	for _, p := range []struct {
		percent int
		values  string
	}{
		{15, "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=on off off"}, {8, "ICH9-LPC.disable_s3=0 1 1"}, {8, "ICH9-LPC.disable_s4=0 1 1"},
		{4, "ICH9-LPC.s4_val=0 1 2 5 255"}, {6, "ICH9-LPC.x-keep-pci-slot-hpc=on off"}, {2, "ICH9-LPC.smm-compat=on off"},
		{2, "ICH9-LPC.noreboot=on off"}, {2, "ICH9-LPC.enable_tco=on off"}, {2, "mch.extended-tseg-mbytes=16"},
		{18, "q35-pcihost.pci-hole64-size=0 1G 33G 64G 512G 1T 0x100000000000 100M 2000000000"}, {3, "q35-pcihost.x-pci-hole64-fix=on off"},
		{2, "isa-debugcon.iobase=0x402"}, {2, "virtio-net-pci.vectors=0 3 9"}, {2, "virtio-net-pci.mq=on"}, {2, "VGA.vgamem_mb=32"}, {2, "virtio-blk-pci.disable-legacy=on off"}, {2, "pci-device.rombar=0"},
		{2, "pcie-root-port.hotplug=on off"}, {2, "virtio-blk-pci.page-per-vq=on"}, {1, "kvm-pit.lost_tick_policy=discard"},
		{2, "pcie-root-port.x-speed=8"}, {1, "nvme.aerl=4"}, {1, "e1000.romfile="}, {1, "virtio-net-pci.romfile="}, {1, "pci-bridge.shpc=on"},
	} {
		if !g.chance(p.percent) {
			continue
		}
		head, values, _ := strings.Cut(p.values, "=")
		value := pick(g, strings.Split(values, " ")...)
		g.add("global", head+"="+value)
		if strings.HasSuffix(head, "hotplug-with-bridge-support") {
			g.noSlot0 = value == "off"
		}
		g.reach += map[string]uint64{"33G": 33, "64G": 64, "512G": 512, "1T": 1024, "0x100000000000": 16384}[value]
	}
}
