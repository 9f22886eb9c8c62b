package qemu

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// TestBARsByProperty shows how properties shape a function. The BARs are those of the configuration space of QEMU 7.2.22,
// 10.0.13 and 11.1.3, with which make oracle-acpi compares each of these.
func TestBARsByProperty(t *testing.T) {
	for _, tc := range []struct {
		line string
		want []BAR
	}{
		{"-device VGA", []BAR{pref32(0, 16*mib), mem32(2, 0x1000)}},
		{"-device VGA,vgamem_mb=33", []BAR{pref32(0, 64*mib), mem32(2, 0x1000)}},
		{"-device VGA,vgamem_mb=0,mmio=off", []BAR{pref32(0, 1*mib)}},
		{"-device VGA,vgamem_mb=4096", []BAR{pref32(0, 512*mib), mem32(2, 0x1000)}},
		{"-device secondary-vga,vgamem_mb=32", []BAR{pref32(0, 32*mib), mem32(2, 0x1000)}},
		{"-device cirrus-vga,vgamem_mb=8", []BAR{pref32(0, 32*mib), mem32(1, 0x1000)}},
		{"-device vmware-svga,vgamem_mb=64", []BAR{io(0, 0x10), pref32(1, 64*mib), pref32(2, 0x10000)}},
		{"-device bochs-display,vgamem=40M,edid=off", []BAR{pref32(0, 64*mib), mem32(2, 0x1000)}},
		{"-device virtio-gpu-pci", []BAR{mem32(1, 0x1000), pref64(4, 0x4000)}},
		{"-device virtio-gpu-pci,hostmem=1G", []BAR{mem32(1, 0x1000), pref64(2, 0x4000), pref64(4, 1024*mib)}},
		{"-device virtio-vga", []BAR{pref32(0, 8*mib), mem32(4, 0x1000), pref64(2, 0x4000)}},
		{"-device virtio-vga,hostmem=256M", []BAR{pref32(0, 8*mib), mem32(1, 0x1000), pref64(2, 0x4000), pref64(4, 256*mib)}},
		{"-device virtio-vga,page-per-vq=on,vectors=0,disable-modern=on", []BAR{pref32(0, 8*mib), pref64(2, 0x800000)}},
		{"-device nvme,serial=1", []BAR{mem64(0, 0x4000)}},
		{"-device nvme,serial=1,max_ioqpairs=1024", []BAR{mem64(0, 0x8000)}},
		{"-device nvme,serial=1,num_queues=2000", []BAR{mem64(0, 0x8000)}},
		{"-device nvme,serial=1,msix_qsize=2048", []BAR{mem64(0, 0x10000)}},
		{"-device nvme,serial=1,msix_qsize=300,msix-exclusive-bar=on", []BAR{mem64(0, 0x2000), mem32(4, 0x2000)}},
		{"-device nvme,serial=1,cmb_size_mb=64,legacy-cmb=on", []BAR{mem64(0, 0x4000), pref64(2, 64*mib)}},
		{"-object memory-backend-ram,id=p,size=16M -device nvme,serial=1,pmrdev=p", []BAR{mem64(0, 0x4000), pref64(4, 16*mib)}},
		{"-device virtio-net-pci,host_mtu=1500", []BAR{io(0, 0x40), mem32(1, 0x1000), pref64(4, 0x4000)}},
		{"-device virtio-net-pci,host_mtu=0,speed=-1", []BAR{io(0, 0x20), mem32(1, 0x1000), pref64(4, 0x4000)}},
		{"-device virtio-net-pci,mq=on", []BAR{io(0, 0x40), mem32(1, 0x1000), pref64(4, 0x4000)}},
		{"-netdev tap,id=n,queues=125 -device virtio-net-pci,netdev=n", []BAR{io(0, 0x20), mem32(1, 0x1000), pref64(4, 0x4000)}},
		{"-device virtio-net-pci,netdev=n -netdev tap,id=n,queues=130", []BAR{io(0, 0x20), mem32(1, 0x2000), pref64(4, 0x4000)}},
		{`-netdev {"type":"tap","id":"n","queues":130} -device virtio-net-pci,netdev=n,vectors=4`, []BAR{io(0, 0x20), mem32(1, 0x1000), pref64(4, 0x4000)}},
		{"-netdev tap,id=n,fds=" + strings.Repeat("3:", 129) + "3 -device virtio-net-pci,netdev=n,mq=on", []BAR{io(0, 0x40), mem32(1, 0x2000), pref64(4, 0x4000)}},
		{"-global virtio-gpu-device.hostmem=256M -device virtio-vga", []BAR{pref32(0, 8*mib), mem32(1, 0x1000), pref64(2, 0x4000), pref64(4, 256*mib)}},
		{"-device edu,id=x -set device.x.addr=0x9", []BAR{mem32(0, mib)}},
	} {
		m, err := ParseArgs(strings.Fields("-M q35 -nodefaults "+tc.line), testRelease, ParseOptions{})
		if err != nil {
			t.Errorf("%s: %v", tc.line, err)
			continue
		}
		i := slices.IndexFunc(m.Root.Devices, func(d *PCIDevice) bool { return !d.BuiltIn })
		if got := m.Root.Devices[i].BARs; !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %+v, want %+v", tc.line, got, tc.want)
		}
		if strings.Contains(tc.line, "-set") && m.Root.Devices[i].Slot != 9 {
			t.Errorf("%s: the device is in slot %d", tc.line, m.Root.Devices[i].Slot)
		}
	}
}

// TestCPUGlobals: -global of a CPU's class comes before what -cpu says.
func TestCPUGlobals(t *testing.T) {
	for _, tc := range []struct {
		line     string
		bits     int
		stepping uint32
	}{
		{"-cpu qemu64", 40, 1},
		{"-cpu qemu64 -global qemu64-x86_64-cpu.phys-bits=46", 46, 1},
		{"-cpu qemu64,phys-bits=48 -global qemu64-x86_64-cpu.phys-bits=46 -global x86_64-cpu.stepping=7", 48, 7},
		{"-cpu qemu64 -global kvm64-x86_64-cpu.phys-bits=46", 40, 1},
	} {
		m, err := ParseArgs(strings.Fields("-M q35 "+tc.line), testRelease, ParseOptions{})
		if err != nil {
			t.Errorf("%s: %v", tc.line, err)
			continue
		}
		if m.CPU.PhysBits != tc.bits || m.CPU.EAX&15 != tc.stepping {
			t.Errorf("%s: %d bits, stepping %d; want %d and %d", tc.line, m.CPU.PhysBits, m.CPU.EAX&15, tc.bits, tc.stepping)
		}
	}
}

// TestROMBAR: rombar= is a number. Any spelling of 0 takes the ROM away, as the configuration space of QEMU 7.2.22 and 11.1.3
// shows, and a word is refused there too.
func TestROMBAR(t *testing.T) {
	for _, tc := range []struct {
		value string
		rom   uint32
	}{{"0", 0}, {"00", 0}, {"0x0", 0}, {"-0", 0}, {"+0", 0}, {"1", nicROM}, {"+1", nicROM}, {"4294967295", nicROM}} {
		m, err := ParseArgs(strings.Fields("-M q35 -nodefaults -device virtio-net-pci,rombar="+tc.value), testRelease, ParseOptions{})
		if err != nil {
			t.Errorf("rombar=%s: %v", tc.value, err)
			continue
		}
		i := slices.IndexFunc(m.Root.Devices, func(d *PCIDevice) bool { return !d.BuiltIn })
		if got := m.Root.Devices[i].ROM; got != tc.rom {
			t.Errorf("rombar=%s: a ROM of %#x bytes, want %#x", tc.value, got, tc.rom)
		}
	}
	for _, v := range []string{"off", "on", "", "0 "} {
		args := []string{"-M", "q35", "-nodefaults", "-device", "virtio-net-pci,rombar=" + v}
		if _, err := ParseArgs(args, testRelease, ParseOptions{}); !errors.Is(err, ErrUsage) {
			t.Errorf("rombar=%q: got %v, want %v", v, err, ErrUsage)
		}
	}
}

// TestBaseDriverGlobals: a global of a driver reaches those whose class is below it, and no other. Places that QEMU 7.2.22 and
// 11.1.3 give by such globals.
func TestBaseDriverGlobals(t *testing.T) {
	for _, tc := range []struct {
		line  string
		index uint32
	}{
		{"-global am53c974.acpi-index=5 -device dc390", 5},
		{"-global dc390.acpi-index=5 -device am53c974", 0},
		{"-global lsi53c895a.acpi-index=5 -device lsi53c810", 5},
		{"-global lsi53c810.acpi-index=5 -device lsi53c895a", 0},
		{"-global pxb-pcie.bus_nr=9 -global pxb-pcie.acpi-index=5 -device pxb-cxl", 5},
		{"-global megasas.acpi-index=5 -device megasas-gen2", 0},
	} {
		m, err := ParseArgs(strings.Fields("-M q35,cxl=on -nodefaults "+tc.line), testRelease, ParseOptions{})
		if err != nil {
			t.Errorf("%s: %v", tc.line, err)
			continue
		}
		i := slices.IndexFunc(m.Root.Devices, func(d *PCIDevice) bool { return !d.BuiltIn })
		if got := m.Root.Devices[i].ACPIIndex; got != tc.index {
			t.Errorf("%s: acpi-index %d, want %d", tc.line, got, tc.index)
		}
	}
	args := strings.Fields("-M q35,nvdimm=on -m 1G,slots=4,maxmem=8G -global pc-dimm.slot=2 -object memory-backend-ram,id=m,size=512M -device nvdimm,memdev=m,id=n")
	m, err := ParseArgs(args, testRelease, ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.NVDIMMs) != 1 || m.NVDIMMs[0].Slot != 2 {
		t.Errorf("the NVDIMM of pc-dimm.slot=2: %+v", m.NVDIMMs)
	}
}

// TestPortGlobals: a downstream port is a slot and no root port, so that a global of root ports alone does not reach it.
// QEMU 11.1.3 hands out such tables.
func TestPortGlobals(t *testing.T) {
	for _, tc := range []struct {
		global     string
		root, down bool // whether they take devices at run time
	}{{"pcie-root-port-base.hotplug=off", false, true}, {"pcie-slot.hotplug=off", false, false}, {"xio3130-downstream.hotplug=off", true, false}} {
		m, err := ParseArgs(strings.Fields("-M q35 -nodefaults -global "+tc.global+
			" -device ioh3420,chassis=1 -device x3130-upstream,id=u -device xio3130-downstream,bus=u,chassis=2"), testRelease, ParseOptions{})
		if err != nil {
			t.Errorf("%s: %v", tc.global, err)
			continue
		}
		ports := map[PCIKind]bool{}
		for _, d := range m.Root.Devices {
			ports[d.Kind] = d.HotplugPort
			if d.Kind == UpstreamPort {
				ports[DownstreamPort] = d.Bridge.Devices[0].HotplugPort
			}
		}
		if ports[RootPort] != tc.root || ports[DownstreamPort] != tc.down {
			t.Errorf("%s: root port %v, downstream port %v; want %v and %v", tc.global, ports[RootPort], ports[DownstreamPort], tc.root, tc.down)
		}
	}
}
