package main

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/tdxkit/tdxkit/ovmf/pcibus"
	"github.com/tdxkit/tdxkit/qemu"
)

// What OVMF programs into the chipset (edk2-stable202605, OvmfPkg/Library/PlatformInitLib).
const (
	pmBase   = 0x600
	pciExBar = 0xe0000000
	lpc      = 0x1f << 3 // bus 0, slot 0x1f, function 0
	mch      = 0
)

// chipset programs PMBASE and the base of the memory-mapped configuration space.
func chipset(q *qtest) error {
	var c configSpace
	c.write(lpc, 0x40, 4, pmBase|1)
	c.write(lpc, 0x44, 1, 0x80)
	c.write(mch, 0x60, 4, 0)
	c.write(mch, 0x64, 4, pciExBar>>32)
	c.write(mch, 0x60, 4, pciExBar&0xffffffff|1)
	_, err := c.run(q)
	return err
}

// A function is a PCI function with its place.
type function struct {
	*qemu.PCIDevice
	bdf uint32
}

func (f function) String() string {
	return fmt.Sprintf("%s at %02x:%02x.%d", f.Driver, f.bdf>>8, f.bdf>>3&31, f.bdf&7)
}

// functions lists all functions of a bus and of those behind it. What firmware does not find, a function other than 0
// without function 0, is left out.
func functions(b *qemu.Bus, number uint8, placed pcibus.Placement) []function {
	var out []function
	slot := -1
	for _, d := range b.Devices {
		if d.Function == 0 {
			slot = int(d.Slot)
		}
		if slot != int(d.Slot) {
			continue
		}
		out = append(out, function{d, uint32(number)<<8 | uint32(d.Devfn())})
		if d.Bridge != nil {
			out = append(out, functions(d.Bridge, placed[d].Secondary, placed)...)
		}
		if d.ExtraRoot != nil {
			out = append(out, functions(d.ExtraRoot, d.ExtraRoot.BusNr, placed)...)
		}
	}
	return out
}

// numberBuses writes the bus numbers into the bridges, so that what is behind them can be reached.
func numberBuses(q *qtest, all []function, placed pcibus.Placement) error {
	var c configSpace
	for _, f := range all {
		if f.Bridge != nil {
			p := placed[f.PCIDevice]
			c.write(f.bdf, 0x18, 4, f.bdf>>8|uint32(p.Secondary)<<8|uint32(p.Subordinate)<<16)
		}
	}
	_, err := c.run(q)
	return err
}

// checkFunctions compares the functions that QEMU has with those of the machine: where they are, which BARs they have,
// and what bridges say of hotplug and of the room that they want.
func checkFunctions(q *qtest, m *qemu.Machine, all []function) ([]difference, error) {
	out, err := checkPresence(q, m, all)
	if err != nil || len(out) > 0 {
		return out, err
	}
	for _, f := range all {
		found, err := readBARs(q, f)
		if err != nil {
			return nil, err
		}
		want := slices.Clone(f.BARs)
		if f.ROM != 0 {
			want = append(want, qemu.BAR{Index: romIndex, Size: uint64(f.ROM)})
		}
		slices.SortFunc(want, func(a, b qemu.BAR) int { return a.Index - b.Index })
		if !slices.Equal(found, want) {
			out = append(out, difference{"BARs of " + f.Driver, fmt.Sprintf("%v: QEMU has %s, ours %s", f, barText(found), barText(want))})
		}
		if f.Bridge != nil {
			d, err := checkBridge(q, f)
			if err != nil {
				return nil, err
			}
			out = append(out, d...)
		}
	}
	return out, nil
}

// checkPresence compares which functions are there.
func checkPresence(q *qtest, m *qemu.Machine, all []function) ([]difference, error) {
	buses := map[uint32]bool{0: true}
	ours := map[uint32]function{}
	for _, f := range all {
		ours[f.bdf] = f
		buses[f.bdf>>8] = true
	}
	for _, b := range m.ExtraRoots() {
		buses[uint32(b.BusNr)] = true
	}
	var out []difference
	for bus := range uint32(256) {
		if !buses[bus] {
			continue
		}
		var c configSpace
		for devfn := range uint32(256) {
			c.read(bus<<8|devfn, 0)
			c.read(bus<<8|devfn, 0xc)
		}
		v, err := c.run(q)
		if err != nil {
			return nil, err
		}
		multi := false
		for devfn := range uint32(256) {
			there := v[2*devfn]&0xffff != 0xffff
			if devfn&7 == 0 {
				multi = there && v[2*devfn+1]&0x800000 != 0
			} else if !multi {
				there = false
			}
			f, known := ours[bus<<8|devfn]
			if there != known {
				out = append(out, difference{"PCI functions", fmt.Sprintf("at %02x:%02x.%d QEMU has vendor and device %#08x, ours %s",
					bus, devfn>>3, devfn&7, v[2*devfn], nameOf(f))})
			}
		}
	}
	return out, nil
}

func nameOf(f function) string {
	if f.PCIDevice == nil {
		return "nothing"
	}
	return f.Driver
}

// romIndex stands for the option ROM's register in a list of BARs.
const romIndex = 6

// readBARs finds out what a function asks for: what it leaves 0 of a register that was filled with ones.
func readBARs(q *qtest, f function) ([]qemu.BAR, error) {
	n, rom := 6, 0x30
	if f.Bridge != nil {
		n, rom = 2, 0x38
	}
	var c configSpace
	for i := range n {
		c.write(f.bdf, 0x10+4*i, 4, 0xffffffff)
		c.read(f.bdf, 0x10+4*i)
	}
	for i := range n {
		c.write(f.bdf, 0x10+4*i, 4, 0)
	}
	c.write(f.bdf, rom, 4, 0xfffff800)
	c.read(f.bdf, rom)
	c.write(f.bdf, rom, 4, 0)
	v, err := c.run(q)
	if err != nil {
		return nil, err
	}
	var out []qemu.BAR
	for i := 0; i < n; i++ {
		switch x := v[i]; {
		case x == 0:
		case x&1 != 0:
			out = append(out, qemu.BAR{Index: i, Size: uint64(-(x &^ 3) & 0xffff), Kind: qemu.BARIO})
		case x&6 == 4:
			kind := qemu.BARMem64
			if x&8 != 0 {
				kind = qemu.BARPref64
			}
			out = append(out, qemu.BAR{Index: i, Size: -(uint64(v[i+1])<<32 | uint64(x&^15)), Kind: kind})
			i++
		default:
			kind := qemu.BARMem32
			if x&8 != 0 {
				kind = qemu.BARPref32
			}
			out = append(out, qemu.BAR{Index: i, Size: uint64(-(x &^ 15)), Kind: kind})
		}
	}
	if x := v[n] & 0xfffff800; x != 0 {
		out = append(out, qemu.BAR{Index: romIndex, Size: uint64(-x)})
	}
	return out, nil
}

func barText(list []qemu.BAR) string {
	names := map[qemu.BARKind]string{qemu.BARIO: "io", qemu.BARMem32: "mem32", qemu.BARPref32: "pref32", qemu.BARMem64: "mem64", qemu.BARPref64: "pref64"}
	var s []string
	for _, b := range list {
		if b.Index == romIndex {
			s = append(s, fmt.Sprintf("rom:%#x", b.Size))
		} else {
			s = append(s, fmt.Sprintf("%d:%s:%#x", b.Index, names[b.Kind], b.Size))
		}
	}
	return "[" + strings.Join(s, " ") + "]"
}

// capabilities returns a function's configuration space as words and the offsets of its capabilities by id; of QEMU's
// own, the one that asks for room behind a bridge has id -1.
func capabilities(q *qtest, f function) ([]uint32, map[int]int, error) {
	var c configSpace
	for off := 0; off < 256; off += 4 {
		c.read(f.bdf, off)
	}
	w, err := c.run(q)
	if err != nil {
		return nil, nil, err
	}
	at := map[int]int{}
	if w[1]>>16&0x10 == 0 {
		return w, at, nil
	}
	for off, n := int(w[0x34/4]&0xfc), 0; off != 0 && n < 64; n++ {
		id := int(w[off/4] & 0xff)
		const vendor, redHat, reserve = 9, 0x1b36, 1
		switch {
		case id != vendor:
			at[id] = off
		case w[0]&0xffff == redHat && w[off/4]>>24 == reserve:
			at[-1] = off
		}
		off = int(w[off/4] >> 8 & 0xfc)
	}
	return w, at, nil
}

// checkBridge compares what a bridge announces: whether it takes hot-plugged devices by itself, and what room it wants.
func checkBridge(q *qtest, f function) ([]difference, error) {
	w, caps, err := capabilities(q, f)
	if err != nil {
		return nil, err
	}
	var out []difference
	compare := func(what string, qemu, ours any) {
		if qemu != ours {
			out = append(out, difference{what + " of " + f.Driver, fmt.Sprintf("%v: QEMU has %v, ours %v", f, qemu, ours)})
		}
	}
	hotplug := false
	if off, ok := caps[0x10]; ok { // PCI Express: slot implemented, and hot-plug capable
		hotplug = w[off/4]>>16&0x100 != 0 && w[off/4+5]&0x40 != 0
	}
	compare("native hotplug", hotplug, f.NativeHotplug)
	_, shpc := caps[0xc]
	compare("hotplug controller", shpc, f.SHPC)
	var bus, io, mem, pref32, pref64 uint64
	if off, ok := caps[-1]; ok {
		at := func(n int) uint64 { return uint64(w[off/4+n]) }
		bus, io, mem, pref32, pref64 = at(1), at(2)|at(3)<<32, at(4), at(5), at(6)|at(7)<<32
	}
	given := func(v uint64, width int) uint64 { // all ones are nothing asked for
		if v == 1<<width-1 {
			return 0
		}
		return v
	}
	compare("bus-reserve", given(bus, 32), uint64(f.BusReserve))
	compare("io-reserve", given(io, 64), f.IOReserve)
	compare("mem-reserve", given(mem, 32), f.MemReserve)
	compare("pref32-reserve", given(pref32, 32), f.Pref32Reserve)
	compare("pref64-reserve", given(pref64, 64), f.Pref64Reserve)
	return out, nil
}

// programAll writes what firmware gave to each function: addresses, windows, and that it decodes them.
func programAll(q *qtest, all []function, placed pcibus.Placement) error {
	var c configSpace
	for _, f := range all {
		p := placed[f.PCIDevice]
		if err := programBARs(&c, f, p); err != nil {
			return err
		}
		programWindows(&c, f, p)
		command := uint32(0)
		if len(p.IO) > 0 || p.WindowIO != (qemu.Range{}) {
			command |= 1
		}
		if len(p.Memory) > 0 || p.WindowMemory != (qemu.Range{}) || p.WindowPrefetch != (qemu.Range{}) {
			command |= 2
		}
		if command != 0 {
			c.write(f.bdf, 4, 2, command|4)
		}
	}
	_, err := c.run(q)
	return err
}

// programBARs gives each range to the BAR that it is for. Ranges are told apart by size and by being above 4 GiB; two
// alike of one function are alike in QEMU's tables too.
func programBARs(c *configSpace, f function, p qemu.Programmed) error {
	taken := map[int]bool{}
	give := func(r qemu.Range, io bool) error {
		for _, b := range f.BARs {
			wide := b.Kind == qemu.BARMem64 || b.Kind == qemu.BARPref64
			if taken[b.Index] || b.Size != r.Max-r.Min+1 || io != (b.Kind == qemu.BARIO) || r.Min>>32 != 0 && !wide {
				continue
			}
			taken[b.Index] = true
			c.write(f.bdf, 0x10+4*b.Index, 4, uint32(r.Min))
			if wide {
				c.write(f.bdf, 0x14+4*b.Index, 4, uint32(r.Min>>32))
			}
			return nil
		}
		return fmt.Errorf("%v: firmware gives it %#x to %#x, and no BAR is like that", f, r.Min, r.Max)
	}
	for _, r := range p.IO {
		if err := give(r, true); err != nil {
			return err
		}
	}
	high := func(r qemu.Range) int { return -bits.Len64(r.Min >> 32) } // BARs of 64 bits first take what only they can
	memory := slices.Clone(p.Memory)
	slices.SortStableFunc(memory, func(a, b qemu.Range) int { return high(a) - high(b) })
	for _, r := range memory {
		if err := give(r, false); err != nil {
			return err
		}
	}
	return nil
}

// programWindows opens a bridge's windows. Those that stay closed keep what reset left.
func programWindows(c *configSpace, f function, p qemu.Programmed) {
	pair := func(r qemu.Range) uint32 { return uint32(r.Min>>16&0xfff0) | uint32(r.Max>>16&0xfff0)<<16 }
	if r := p.WindowIO; r != (qemu.Range{}) {
		c.write(f.bdf, 0x1c, 2, uint32(r.Min>>8&0xf0|r.Max&0xf000))
	}
	if r := p.WindowMemory; r != (qemu.Range{}) {
		c.write(f.bdf, 0x20, 4, pair(r))
	}
	if r := p.WindowPrefetch; r != (qemu.Range{}) {
		c.write(f.bdf, 0x24, 4, pair(r))
		c.write(f.bdf, 0x28, 4, uint32(r.Min>>32))
		c.write(f.bdf, 0x2c, 4, uint32(r.Max>>32))
	}
}
