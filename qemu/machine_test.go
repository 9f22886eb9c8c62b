package qemu

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestTopology(t *testing.T) {
	for _, tc := range []struct {
		release, machine, smp string
		want                  Topology
		ids                   []uint32
	}{
		{"10.2.2", "q35", "4", Topology{4, 4, 1, 1, 1, 4, 1}, []uint32{0, 1, 2, 3}},
		{"10.2.2", "pc-q35-6.1", "4", Topology{4, 4, 4, 1, 1, 1, 1}, []uint32{0, 1, 2, 3}},
		{"10.2.2", "q35", "6,sockets=2,cores=3", Topology{6, 6, 2, 1, 1, 3, 1}, []uint32{0, 1, 2, 4, 5, 6}},
		{"10.2.2", "q35", "2,maxcpus=4", Topology{2, 4, 1, 1, 1, 4, 1}, []uint32{0, 1, 2, 3}},
		{"10.2.2", "q35", "cpus=8,dies=2,threads=2", Topology{8, 8, 1, 2, 1, 2, 2}, []uint32{0, 1, 2, 3, 4, 5, 6, 7}},
		{"10.2.2", "q35", "sockets=2,threads=2", Topology{4, 4, 2, 1, 1, 1, 2}, []uint32{0, 1, 2, 3}},
		{"10.2.2", "q35", "12,modules=2,cores=3", Topology{12, 12, 2, 1, 2, 3, 1}, []uint32{0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14}},
		{"10.2.2", "q35", "6,sockets=1,cores=3", Topology{6, 6, 1, 1, 1, 3, 2}, nil},
		{"10.2.2", "q35,smp.cpus=2", "maxcpus=8", Topology{2, 8, 1, 1, 1, 8, 1}, nil},
	} {
		line := fmt.Sprintf("-M %s -smp %s", tc.machine, tc.smp)
		if tc.want.Cores == 3 && tc.want.Threads == 2 {
			line = strings.Replace(line, "cores=3", "cores=3,threads=2", 1)
		}
		m := parseLine(t, tc.release, line)
		if m.Topology != tc.want {
			t.Errorf("%s: %+v, want %+v", line, m.Topology, tc.want)
		}
		if tc.ids != nil && !slices.Equal(m.APICIDs(), tc.ids) {
			t.Errorf("%s: APIC ids %v, want %v", line, m.APICIDs(), tc.ids)
		}
	}
}

// TestCXLBehindMemory: the hole of a machine with cxl=on starts at least 1 MiB behind memory, in older releases rounded up
// before that. The oracle found it in 7.2.22 (seed 2, shape 117).
func TestCXLBehindMemory(t *testing.T) {
	const gib = 1 << 30
	for _, tc := range []struct {
		release, line string
		hole          uint64
	}{
		{"7.2.22", "-M q35 -m 2818M", 5 * gib}, {"7.2.22", "-M q35,cxl=on -m 2818M", 6 * gib}, {"7.2.22", "-M q35,cxl=on -m 2G", 5 * gib},
		{"7.2.22", "-M q35,cxl=on -m 2818M,slots=1,maxmem=3842M", 8 * gib},
		{"10.0.2", "-M q35,cxl=on -m 2818M", 5 * gib}, {"10.2.2", "-M q35,cxl=on -m 2818M", 5 * gib}, {"10.2.2", "-M q35,cxl=on -m 3G", 6 * gib},
	} {
		if got := parseLine(t, tc.release, tc.line).Hole64Start(); got != tc.hole {
			t.Errorf("%s %s: the hole starts at %#x, want %#x", tc.release, tc.line, got, tc.hole)
		}
	}
}

func TestMemory(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for _, tc := range []struct {
		line                            string
		ram, low, highBase, devBase, dS uint64
	}{
		{"-M q35", 128 * mib, 128 * mib, 4 * gib, 0, 0},
		{"-M q35 -m 512", 512 * mib, 512 * mib, 4 * gib, 0, 0},
		{"-M q35 -m 1.5G", 1536 * mib, 1536 * mib, 4 * gib, 0, 0},
		{"-M q35 -m 2815M", 2815 * mib, 2815 * mib, 4 * gib, 0, 0},
		{"-M q35 -m 2816M", 2816 * mib, 2 * gib, 4 * gib, 0, 0},
		{"-M q35 -m 1G -m 3G", 3 * gib, 2 * gib, 4 * gib, 0, 0},
		{"-M q35,max-ram-below-4g=1G -m 2G", 2 * gib, gib, 4 * gib, 0, 0},
		{"-M q35,max-ram-below-4g=3G -m 4G", 4 * gib, 2 * gib, 4 * gib, 0, 0},
		{"-M q35 -m 0x3000000F", 768*mib + 8192, 768*mib + 8192, 4 * gib, 0, 0}, // bytes: no decimal digit ends it
		{"-M q35 -m 536870912.", 512 * mib, 512 * mib, 4 * gib, 0, 0},
		{"-M q35 -m 2G,slots=2,maxmem=8G", 2 * gib, 2 * gib, 4 * gib, 4 * gib, 8 * gib},
		{"-M q35 -m 5G,maxmem=6G", 5 * gib, 2 * gib, 4 * gib, 7 * gib, gib},
		{"-M q35,memory-backend=m -object memory-backend-ram,id=m,size=3G", 3 * gib, 2 * gib, 4 * gib, 0, 0},
		// An AMD guest's memory makes way for the HyperTransport hole, if it is a machine of 7.1 or later.
		{"-M q35 -cpu EPYC -m 1000G", 1000 * gib, 2 * gib, 1024 * gib, 0, 0},
		{"-M q35 -cpu EPYC -m 960G", 960 * gib, 2 * gib, 4 * gib, 0, 0},
		{"-M pc-q35-7.0 -cpu EPYC -m 1000G", 1000 * gib, 2 * gib, 4 * gib, 0, 0},
		{"-M q35 -cpu EPYC -m 3G -global q35-pcihost.pci-hole64-size=16T", 3 * gib, 2 * gib, 1024 * gib, 0, 0},
		{"-M q35 -cpu coreduo,vendor=AuthenticAMD -m 3G -global q35-pcihost.pci-hole64-size=16T", 3 * gib, 2 * gib, 4 * gib, 0, 0},
		{"-M q35 -cpu EPYC,-lm -m 3G -global q35-pcihost.pci-hole64-size=16T", 3 * gib, 2 * gib, 4 * gib, 0, 0},
		{"-M q35 -cpu EPYC,vendor=GenuineIntel -m 1000G", 1000 * gib, 2 * gib, 4 * gib, 0, 0},
	} {
		m := parseLine(t, testRelease, tc.line)
		base, size := m.DeviceMemory()
		if m.RAM != tc.ram || m.LowRAM() != tc.low || m.HighRAM() != tc.ram-tc.low || m.HighRAMBase() != tc.highBase || base != tc.devBase || size != tc.dS {
			t.Errorf("%s: RAM %#x, low %#x, high %#x at %#x, hotplug %#x at %#x", tc.line, m.RAM, m.LowRAM(), m.HighRAM(), m.HighRAMBase(), size, base)
		}
	}
}

func TestNUMA(t *testing.T) {
	const two = " -object memory-backend-ram,id=a,size=1G -object memory-backend-ram,id=b,size=1G -numa node,memdev=a%s -numa node,memdev=b%s"
	for _, tc := range []struct {
		line  string
		nodes [][]int
		dist  [][]uint8
	}{
		{"-M q35 -m 2G", nil, nil},
		{"-M q35 -m 2G,slots=1,maxmem=4G -smp 2", [][]int{{0, 1}}, nil},
		{"-M q35 -m 2G -smp 4" + fmt.Sprintf(two, ",cpus=0-1", ",cpus=2-3"), [][]int{{0, 1}, {2, 3}}, nil},
		{"-M q35 -m 2G -smp 4,sockets=2" + fmt.Sprintf(two, "", ""), [][]int{{0, 1}, {2, 3}}, nil},
		{"-M q35 -m 2G -smp 4" + fmt.Sprintf(two, "", ",cpus=3"), [][]int{{0, 1, 2}, {3}}, nil},
		{"-M q35 -m 2G -smp 4,sockets=2" + fmt.Sprintf(two, "", "") + " -numa cpu,node-id=1,socket-id=0", [][]int{{2, 3}, {0, 1}}, nil},
		{"-M q35 -m 2G -smp 2" + fmt.Sprintf(two, ",cpus=0", ",cpus=1") + " -numa dist,src=0,dst=1,val=21", [][]int{{0}, {1}}, [][]uint8{{10, 21}, {21, 10}}},
		{"-M q35 -m 2G -smp 2" + fmt.Sprintf(two, ",cpus=0", ",cpus=1") + " -numa dist,src=0,dst=1,val=21 -numa dist,src=1,dst=0,val=31", [][]int{{0}, {1}}, [][]uint8{{10, 21}, {31, 10}}},
	} {
		m := parseLine(t, testRelease, tc.line)
		var got [][]int
		for _, n := range m.NUMA {
			got = append(got, n.CPUs)
		}
		if fmt.Sprint(got) != fmt.Sprint(tc.nodes) || fmt.Sprint(m.Distances) != fmt.Sprint(tc.dist) {
			t.Errorf("%s: CPUs %v, distances %v", tc.line, got, m.Distances)
		}
	}
}

// TestPorts reads serial and parallel ports: those of the board, then those of -device.
func TestPorts(t *testing.T) {
	for line, want := range map[string]string{
		"-M q35":                                          "[0] [0] []",
		"-M q35 -nodefaults":                              "[] [] []",
		"-M q35 -nodefaults -serial stdio":                "[0] [] []",
		"-M q35 -serial none -serial file:x":              "[1] [0] []",
		"-M q35 -serial none -parallel none":              "[] [] []",
		"-M q35 -nodefaults -device isa-serial,chardev=c": "[] [] [isa-serial 0]",
		"-M q35 -device isa-serial,chardev=c":             "[] [0] [isa-serial 0]",
		"-M q35 -device isa-serial,chardev=c,index=2":     "[] [0] [isa-serial 2]",
		"-M q35 -serial null -device isa-serial":          "[0] [0] [isa-serial 1]",
		"-M q35 -parallel null -parallel null":            "[0] [0 1] []",
	} {
		m := parseLine(t, testRelease, line)
		var isa []string
		for _, d := range m.ISA {
			isa = append(isa, d.Driver+" "+d.Props["index"])
		}
		if got := fmt.Sprint(m.Serial, m.Parallel, isa); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

// TestSpellings has command lines that mean the same.
func TestSpellings(t *testing.T) {
	for _, pair := range [][2]string{
		{"-M q35 -device virtio-net-pci,addr=5", `-M q35 -device {"driver":"virtio-net-pci","addr":"0x5"}`},
		{"-M q35 -device edu,addr=3.1,multifunction=on", `-M q35 -device {"driver":"edu","addr":25,"multifunction":true}`},
		{"-M q35 -device virtio-blk,drive=d", "-M q35 -drive if=virtio,file=f"},
		{"-M q35,usb=on", "--machine q35 -usb"},
		{"-M q35 -M hpet=off", "-machine type=q35,hpet=on -machine hpet=off"},
		{"-M q35 -global virtio-net-pci.disable-legacy=on -device virtio-net-pci", "-M q35 -device virtio-net-pci,disable-legacy=on"},
		{"-M q35 -global driver=ICH9-LPC,property=disable_s3,value=1", "-M q35 -global ICH9-LPC.disable_s3=1"},
		{"-M q35 -m 2048", "-M q35,memory.size=2G"},
		{"-M q35 -m 1G", "-M q35,memory.size=1073741824"},
		{"-M q35 -m 3G", "-M q35,memory.size=1G -m 3G -M memory.size=2G"},
		{"-M q35 -smp 4,maxcpus=8", "-M q35 -smp 2,maxcpus=8 -M smp.cpus=4"},
		{"-M q35 -smp 2,maxcpus=8", "-M q35,smp.cpus=4,smp.maxcpus=8 -smp 2"},
		{"-M q35 -boot menu=off,splash-time=7", "-M q35 -boot menu=on,splash-time=7 -M boot.menu=off"},
		{"-M q35 -kernel k -append a,b", "-M q35,kernel=k,append=a,,b"},
		{"-M q35 -vga none -netdev user,id=n", "-M q35 -net none -vga none"},
		{"-M q35 -netdev tap,id=n,queues=200 -device virtio-net-pci,netdev=n", "-M q35 -netdev tap,id=n -device virtio-net-pci,netdev=n,vectors=402"},
		{"-M q35 -netdev tap,id=n,fds=" + strings.Repeat("1:", 199) + "1 -device virtio-net-pci,netdev=n", "-M q35 -netdev tap,id=n -device virtio-net-pci,netdev=n,vectors=402"},
		{"-M q35 -accel kvm,kernel-irqchip=split -device intel-iommu", "-M q35,kernel-irqchip=split -accel kvm -device intel-iommu"},
		{"-M q35 -device virtio-net-pci,host_mtu=0x0,speed=-1,disable-legacy=off", "-M q35 -device virtio-net-pci,disable-legacy=off"},
		{"-M q35 -global ide-device.bootindex=3 -nodefaults -device ide-hd,drive=d", "-M q35 -nodefaults -device ide-hd,drive=d,bootindex=3"},
		{"-M q35 -hda x -global ide-device.bootindex=-1 -global ich9-ahci.acpi-index=0", "-M q35 -hda x"},
		// A driver takes the globals of the drivers above it, and of the device that it wraps, which is made first.
		{"-M q35 -global am53c974.acpi-index=4 -device dc390", "-M q35 -device dc390,acpi-index=4"},
		{"-M q35 -global lsi53c895a.acpi-index=4 -device lsi53c810", "-M q35 -device lsi53c810,acpi-index=4"},
		{"-M q35 -vga virtio -global virtio-gpu-device.hostmem=64M", "-M q35 -vga virtio -global virtio-vga.hostmem=64M"},
		{"-M q35 -global virtio-scsi-pci.num_queues=3 -global virtio-scsi-device.num_queues=400 -device virtio-scsi-pci", "-M q35 -device virtio-scsi-pci,num_queues=3"},
		{"-M q35 -global pcie-root-port-base.hotplug=off -device x3130-upstream,id=u -device xio3130-downstream,bus=u", "-M q35 -device x3130-upstream,id=u -device xio3130-downstream,bus=u"},
		{"-M q35 -global pcie-root-port-base.hotplug=off -device ioh3420", "-M q35 -device ioh3420,hotplug=off"},
		// Of -smp and -boot and of the machine's groups of these names what comes later holds; -m holds before memory.
		{"-M q35 -smp 2 -M smp.cpus=4", "-M q35 -smp 4"},
		{"-M q35,smp.cpus=4 -smp 2", "-M q35 -smp 2"},
		{"-M q35 -smp 4,sockets=4 -M smp.sockets=2", "-M q35 -smp 4,sockets=2"},
		{"-M q35 -boot menu=on,strict=on -M boot.menu=off", "-M q35 -boot menu=off,strict=on"},
		{"-M q35 -m 1G -M memory.size=2G", "-M q35 -m 1G"},
		{"-M q35,memory.size=1073741824", "-M q35 -m 1024"},
		{"-M q35,memory.size=0x40000000", "-M q35 -m 1024"},
		{"-M q35 -object tdx-guest,id=t,mrconfigid=x,quote-generation-socket.type=vsock,sept-ve-disable=on", "-M q35"},
	} {
		a, b := parseLine(t, testRelease, pair[0]), parseLine(t, testRelease, pair[1])
		for _, m := range []*Machine{a, b} {
			walk(m.Root, func(d *PCIDevice) { d.Props = nil })
		}
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if !bytes.Equal(x, y) {
			t.Errorf("%s\nand %s\ndiffer:\n%s\n%s", pair[0], pair[1], x, y)
		}
	}
}

// walk calls f for every function of a bus and what is behind it.
func walk(b *Bus, f func(*PCIDevice)) {
	for _, d := range b.Devices {
		f(d)
		for _, x := range []*Bus{d.Bridge, d.ExtraRoot} {
			if x != nil {
				walk(x, f)
			}
		}
	}
}

// A shape is a command line with what real QEMU's configuration space and fw_cfg showed of it: for each function its
// place, BARs and size of option ROM.
type shape struct {
	Release   string
	Args      []string
	Functions []json.RawMessage
	Boot      string
}

// TestShapes compares random machines with real QEMU's.
func TestShapes(t *testing.T) {
	f, err := os.Open("testdata/shapes.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	kinds := []string{"io", "mem32", "pref32", "mem64", "pref64"}
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); n++ {
		var s shape
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		m, err := ParseArgs(s.Args, s.Release, ParseOptions{})
		if err != nil {
			t.Errorf("%v: %v", s.Args, err)
			continue
		}
		var got, want []string
		buses := 0
		var scan func(*Bus, int)
		scan = func(b *Bus, nr int) {
			multi := map[uint8]bool{}
			for _, d := range b.Devices {
				// A guest looks at functions above 0 only where function 0 says that there are any.
				if d.Function == 0 {
					multi[d.Slot] = d.Multifunction
				} else if !multi[d.Slot] {
					continue
				}
				bars := []string{}
				for _, x := range d.BARs {
					bars = append(bars, fmt.Sprintf("[%d,%q,%d]", x.Index, kinds[x.Kind], x.Size))
				}
				got = append(got, fmt.Sprintf("[\"%02x:%02x.%d\",[%s],%d]", nr, d.Slot, d.Function, strings.Join(bars, ","), d.ROM))
				if d.Bridge != nil {
					buses++
					scan(d.Bridge, buses)
				}
			}
		}
		scan(m.Root, 0)
		for _, f := range s.Functions {
			want = append(want, string(f))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s %v:\n%s\nQEMU has\n%s", s.Release, s.Args, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if boot := strings.TrimSuffix(string(m.BootOrder()), "\x00"); boot != s.Boot {
			t.Errorf("%s %v: boot order %q, QEMU has %q", s.Release, s.Args, boot, s.Boot)
		}
	}
	if n < 90 {
		t.Errorf("only %d shapes", n)
	}
	t.Logf("%d shapes", n)
}
