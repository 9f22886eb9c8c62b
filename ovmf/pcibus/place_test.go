package pcibus_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/ovmf/pcibus"
	"github.com/tdxkit/tdxkit/qemu"
)

// tdWindow is the window of every TD seen.
var tdWindow = pcibus.Window{Base: 0x380000000000, Size: 0x80000000000}

// TestPlaceCorpus compares with the addresses above 4 GiB that the stored shapes were made with. A BAR below 4 KiB is
// left out: the model that those come from lets two of them share a page, which real firmware does not.
func TestPlaceCorpus(t *testing.T) {
	cases, names := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "acpi", "10.2.2.tar.zst"))
	equal := 0
	for _, name := range names {
		var c struct {
			Args  []string
			PCI64 [][4]string
		}
		if err := json.Unmarshal(cases[name]["config.json"], &c); err != nil {
			t.Fatal(err)
		}
		if _, ok := cases[name]["tables.bin"]; !ok {
			continue
		}
		m, err := qemu.ParseArgs(c.Args, "10.2.2", qemu.ParseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := pcibus.Place(m, tdWindow)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var want []string
		for _, e := range c.PCI64 {
			lo, err1 := strconv.ParseUint(e[2], 0, 64)
			hi, err2 := strconv.ParseUint(e[3], 0, 64)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			if lo >= 1<<32 && hi-lo >= 0xfff {
				want = append(want, fmt.Sprintf("%s %s %#x-%#x", e[0], e[1], lo, hi))
			}
		}
		got := above4G(m.Root, 0, p)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %s\nwant %s", name, strings.Join(got, ", "), strings.Join(want, ", "))
			continue
		}
		equal++
	}
	t.Logf("%d shapes have the same addresses", equal)
	if equal == 0 {
		t.Error("no shape was compared")
	}
}

// above4G lists what was placed above 4 GiB on a bus and below, in the corpus' words.
func above4G(b *qemu.Bus, nr uint8, p pcibus.Placement) []string {
	var out []string
	add := func(kind string, d *qemu.PCIDevice, r qemu.Range) {
		if r.Max > 1<<32 && r.Max-r.Min >= 0xfff {
			out = append(out, fmt.Sprintf("%s %02x:%02x.%d %#x-%#x", kind, nr, d.Slot, d.Function, r.Min, r.Max))
		}
	}
	for _, d := range b.Devices {
		f := p[d]
		for _, r := range f.Memory {
			add("bar", d, r)
		}
		add("win", d, f.WindowPrefetch)
		if d.Bridge != nil {
			out = append(out, above4G(d.Bridge, f.Secondary, p)...)
		}
		if d.ExtraRoot != nil {
			out = append(out, above4G(d.ExtraRoot, d.ExtraRoot.BusNr, p)...)
		}
	}
	return out
}

// TestReservations compares what firmware keeps free behind a port that can be plugged into: by default, as asked for, and
// nothing of 32-bit memory where that is asked for.
func TestReservations(t *testing.T) {
	small := pcibus.Window{Base: 1 << 40, Size: 32 << 30, Generation: pcibus.Stable202505} // too small for a default of 64-bit memory
	memory := func(props string) qemu.Range {
		m := parse(t, "-m 2G -device pxb-pcie,id=p,bus_nr=100 -global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off "+
			"-device pcie-root-port,id=r,bus=p,chassis=1"+props)
		placed, err := pcibus.Place(m, small)
		if err != nil {
			t.Fatal(err)
		}
		for d, f := range placed {
			if d.ID == "r" {
				return f.WindowMemory
			}
		}
		t.Fatal("the port is not placed")
		return qemu.Range{}
	}
	length := func(r qemu.Range) uint64 {
		if r == (qemu.Range{}) {
			return 0
		}
		return r.Max - r.Min + 1
	}
	for props, want := range map[string]uint64{
		"": 2 << 20, ",mem-reserve=0": 0, ",mem-reserve=3M": 4 << 20, ",mem-reserve=0xffffffffffffffff": 2 << 20,
		",pref64-reserve=18446744073709551615": 2 << 20, ",hotplug=off": 0,
	} {
		if got := length(memory(props)); got != want {
			t.Errorf("%q: the port's window has %#x bytes of memory, want %#x", props, got, want)
		}
	}
}

// TestPlaceRefused shows each kind of machine whose placement is not known.
func TestPlaceRefused(t *testing.T) {
	const expander = "-device pxb-pcie,id=p,bus_nr=100 -device pcie-root-port,id=r,bus=p,chassis=1 "
	many := func(n int) string {
		var s strings.Builder
		for i := range n {
			fmt.Fprintf(&s, "-device pcie-root-port,id=r%d,chassis=%d,bus=pcie.0,addr=%x.%d,multifunction=on ", i, i+1, 1+i/8, i%8)
			fmt.Fprintf(&s, "-device x3130-upstream,id=u%d,bus=r%d -device xio3130-downstream,bus=u%d,chassis=%d,slot=1 ", i, i, i, i+1)
		}
		return s.String()
	}
	tests := []struct {
		name, args string
		window     pcibus.Window
		change     func(*qemu.Machine)
		want       string
	}{
		{"a window that is too small", "-device pci-testdev,membar=64G", pcibus.Window{Base: 1 << 40, Size: 1 << 35}, nil, "0x1000000000 bytes"},
		{"an expander without a window", expander, pcibus.Window{}, nil, "without a 64-bit window"},
		{"an expander with old firmware", expander, pcibus.Window{Base: 1 << 40, Size: 1 << 40, Generation: pcibus.Stable202211}, nil, "edk2-stable202308"},
		{"an expander whose number is taken", "-device pxb-pcie,id=p,bus_nr=1 -device pcie-root-port,id=r,bus=pcie.0,chassis=1 ", tdWindow, nil, "bus_nr=1"},
		{"more buses than numbers", many(100), tdWindow, nil, "bus number"},
		{"virtual functions", "-device igb", tdWindow, nil, "igb"},
		{"more bus numbers to reserve than there are", "-device pcie-root-port,id=r,chassis=1,bus-reserve=255", tdWindow, nil, "bus-reserve=255"},
		{"bus numbers to reserve that an expander has", expander + "-device pcie-root-port,id=q,bus=pcie.0,chassis=2,bus-reserve=99", tdWindow, nil, "bus_nr=100"},
		{"a BAR that is no power of two", "", tdWindow, func(m *qemu.Machine) {
			m.Root.Devices[0].BARs = []qemu.BAR{{Size: 0x3000, Kind: qemu.BARMem64}}
		}, "BAR 0"},
		{"a BAR of no kind", "", tdWindow, func(m *qemu.Machine) {
			m.Root.Devices[0].BARs = []qemu.BAR{{Index: 2, Size: 0x1000, Kind: 9}}
		}, "BAR 2"},
		{"bridges without end", "", tdWindow, func(m *qemu.Machine) { m.Root.Devices[0].Bridge = m.Root }, "behind each other"},
		{"more I/O ports than there are", expander + strings.Repeat("-device pcie-root-port,bus=pcie.0,io-reserve=16K,chassis=@ ", 4), tdWindow, nil, "0x6000"},
	}
	for _, tt := range tests {
		for n := 2; strings.Contains(tt.args, "@"); n++ {
			tt.args = strings.Replace(tt.args, "@", strconv.Itoa(n), 1)
		}
		m := parse(t, "-m 2G "+tt.args)
		if tt.change != nil {
			tt.change(m)
		}
		p, err := pcibus.Place(m, tt.window)
		if !errors.Is(err, pcibus.ErrUnsupported) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %d functions, %v; want an error that names %s", tt.name, len(p), err, tt.want)
		}
	}
}

// TestPlaceWithoutWindow leaves functions without 64-bit addresses where firmware has none to give.
func TestPlaceWithoutWindow(t *testing.T) {
	m := parse(t, "-m 2G -device virtio-rng-pci -device pcie-root-port,id=r,chassis=1")
	p, err := pcibus.Place(m, pcibus.Window{})
	if err != nil || len(above4G(m.Root, 0, p)) != 0 {
		t.Errorf("got %v, %v; want nothing above 4 GiB", p, err)
	}
}

// TestPlaceReservations shows what a port's hints change: how many bus numbers and how much 32-bit memory is kept free
// behind it. Follows edk2-stable202505, OvmfPkg/PciHotPlugInitDxe/PciHotPlugInit.c, GetResourcePadding, and
// MdeModulePkg/Bus/Pci/PciBusDxe/PciLib.c, PciScanBus.
func TestPlaceReservations(t *testing.T) {
	for _, tt := range []struct {
		port        string
		subordinate uint8
		memory      uint64 // bytes of the window
	}{
		{"", 1, 2 << 20},
		{",bus-reserve=-1", 1, 2 << 20},
		{",bus-reserve=0", 1, 2 << 20},
		{",bus-reserve=4", 5, 2 << 20},
		{",hotplug=off,bus-reserve=4", 1, 0},
		{",mem-reserve=-1", 1, 2 << 20},
		{",mem-reserve=5M", 1, 8 << 20},
		{",mem-reserve=0", 1, 0},
	} {
		m := parse(t, "-m 2G -nodefaults -device pxb-pcie,id=x,bus_nr=100 -device pcie-root-port,id=r,bus=pcie.0,chassis=1"+tt.port)
		p, err := pcibus.Place(m, tdWindow)
		if err != nil {
			t.Errorf("%s: %v", tt.port, err)
			continue
		}
		for _, d := range m.Root.Devices {
			w := p[d].WindowMemory
			size := w.Max - w.Min
			if w != (qemu.Range{}) {
				size++
			}
			if d.ID == "r" && (p[d].Subordinate != tt.subordinate || size != tt.memory) {
				t.Errorf("%s: buses up to %d and %#x bytes; want %d and %#x", tt.port, p[d].Subordinate, size, tt.subordinate, tt.memory)
			}
		}
	}
}

// FuzzPlace places the functions of random trees: what shares a space must not overlap, and lies in the window of the
// bridge in front.
func FuzzPlace(f *testing.F) {
	for seed := range 30 {
		b := make([]byte, 200)
		for i := range b {
			b[i] = byte((i*i*5 + i*seed*17 + 3*seed) >> 2)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		next := func(limit int) int {
			if len(data) == 0 {
				return 0
			}
			v := int(data[0]) % limit
			data = data[1:]
			return v
		}
		var bus func(depth int) *qemu.Bus
		bus = func(depth int) *qemu.Bus {
			b := &qemu.Bus{PCIe: true}
			for slot := range next(6) {
				d := &qemu.PCIDevice{Slot: uint8(slot), Function: uint8(next(8) / 7), NativeHotplug: next(2) == 1, ROM: uint32(next(2)) << 16,
					Pref64Reserve: uint64(next(3)) << 30, BusReserve: next(3), NoMemReserve: next(2) == 1, IOReserve: uint64(next(3)) << 9, MemReserve: uint64(next(2)) << 22}
				for i := range next(4) {
					d.BARs = append(d.BARs, qemu.BAR{Index: i, Size: 1 << (4 + next(30)), Kind: qemu.BARKind(next(5))})
				}
				if depth > 0 && next(2) == 1 {
					d.Bridge = bus(depth - 1)
				}
				b.Devices = append(b.Devices, d)
			}
			return b
		}
		m := &qemu.Machine{RAM: uint64(1+next(100)) << 27, Root: bus(3)}
		if next(2) == 1 {
			extra := bus(2)
			extra.BusNr = 200
			m.Root.Devices = append(m.Root.Devices, &qemu.PCIDevice{Slot: 30, ExtraRoot: extra})
		}
		p, err := pcibus.Place(m, tdWindow)
		if err != nil {
			return
		}
		checkBus(t, m.Root, p, nil)
		for _, d := range m.Root.Devices {
			if d.ExtraRoot != nil {
				checkBus(t, d.ExtraRoot, p, nil)
			}
		}
	})
}

// checkBus checks the functions of a bus, which lie behind a bridge's windows or on a root bus.
func checkBus(t *testing.T, b *qemu.Bus, p pcibus.Placement, front *qemu.Programmed) {
	t.Helper()
	var io, memory []qemu.Range
	for _, d := range b.Devices {
		f := p[d]
		io = append(io, f.IO...)
		memory = append(memory, f.Memory...)
		for _, w := range []qemu.Range{f.WindowMemory, f.WindowPrefetch} {
			if w != (qemu.Range{}) {
				memory = append(memory, w)
			}
		}
		if f.WindowIO != (qemu.Range{}) {
			io = append(io, f.WindowIO)
		}
		if d.Bridge != nil {
			if f.Secondary == 0 {
				continue // firmware does not see it: function 0 is missing
			}
			if f.Subordinate < f.Secondary {
				t.Errorf("a bridge has the buses %d to %d", f.Secondary, f.Subordinate)
			}
			checkBus(t, d.Bridge, p, &f)
		}
	}
	for _, list := range [][]qemu.Range{io, memory} {
		for i, r := range list {
			for _, o := range list[:i] {
				if r.Min <= o.Max && o.Min <= r.Max {
					t.Errorf("%#x-%#x and %#x-%#x overlap", r.Min, r.Max, o.Min, o.Max)
				}
			}
			if front != nil && !within(r, front.WindowIO) && !within(r, front.WindowMemory) && !within(r, front.WindowPrefetch) {
				t.Errorf("%#x-%#x lies outside the windows of its bridge", r.Min, r.Max)
			}
		}
	}
}

func within(r, w qemu.Range) bool { return r.Min >= w.Min && r.Max <= w.Max }
