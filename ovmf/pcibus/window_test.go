package pcibus_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/ovmf/pcibus"
	"github.com/tdxkit/tdxkit/qemu"
)

// TestWindow64 holds the window against what real firmware programmed, by address bits and generation.
func TestWindow64(t *testing.T) {
	const gib = 1 << 30
	type g = pcibus.Guest
	guest := func(bits int, change func(*g)) g {
		v := g{PhysBits: bits, Vendor: "GenuineIntel", MemoryEnd: 4 * gib}
		if change != nil {
			change(&v)
		}
		return v
	}
	small := func(v *g) { v.NoHugePages1G = true }
	mute := func(v *g) { v.Vendor = "" } // as Intel's processors are, and newer QEMUs
	amd := func(v *g) { v.Vendor, v.AMDHole = "AuthenticAMD", true }
	bits := func(n int) func(*g) { return func(v *g) { v.GuestPhysBits = n } }
	override := func(s string) func(*g) { return func(v *g) { v.Override = []byte(s) } }
	end := func(n uint64) func(*g) { return func(v *g) { v.MemoryEnd = n * gib } }
	tests := []struct {
		guest      g
		gen        pcibus.Generation
		base, size uint64
	}{
		{guest(39, nil), pcibus.Stable202308, 0x7000000000, 1 << 36},
		{guest(39, mute), pcibus.Stable202308, 0x800000000, 32 * gib},
		{guest(42, nil), pcibus.Stable202308, 0x38000000000, 1 << 39},
		{guest(42, mute), pcibus.Stable202308, 0x38000000000, 1 << 39},
		{guest(46, nil), pcibus.Stable202308, 0x380000000000, 1 << 43},
		{guest(48, nil), pcibus.Stable202308, 0x380000000000, 1 << 43},
		{guest(52, nil), pcibus.Stable202308, 0x380000000000, 1 << 43},
		{guest(39, nil), pcibus.Stable202211, 0x7000000000, 1 << 36},
		{guest(46, nil), pcibus.Stable202211, 0x380000000000, 1 << 43},
		{guest(48, nil), pcibus.Stable202211, 0x700000000000, 1 << 44},
		{guest(52, nil), pcibus.Stable202211, 0x700000000000, 1 << 44},
		{guest(46, small), pcibus.Stable202308, 0xe000000000, 1 << 37},
		{guest(46, small), pcibus.Stable202211, 0xe000000000, 1 << 37},
		{guest(39, nil), pcibus.Classic, 0x800000000, 32 * gib},
		{guest(52, nil), pcibus.Classic, 0x800000000, 32 * gib},
		{guest(40, amd), pcibus.Stable202308, 0xc000000000, 1 << 37},
		// QEMU's default of 40 bits on an Intel model is not believed.
		{guest(40, nil), pcibus.Stable202308, 0x800000000, 32 * gib},
		{guest(40, end(100)), pcibus.Stable202308, 128 * gib, 32 * gib},
		// So much memory that the top eighth does not lie behind it.
		{guest(46, end(60000)), pcibus.Stable202308, 60000 * gib, 32 * gib},
		{guest(46, end(1000)), pcibus.Stable202308, 0x380000000000, 1 << 43},
		{guest(40, amd), pcibus.Stable202302, 0xc000000000, 1 << 37},
		{guest(40, amd), pcibus.Stable202211, 0xe000000000, 1 << 37},
		{guest(46, nil), pcibus.Stable202505, 0x380000000000, 1 << 43},
		{guest(46, override("65536")), pcibus.Stable202505, 64 * gib, 64 * gib},
		{guest(46, override("65536\n")), pcibus.Stable202505, 64 * gib, 64 * gib},
		{guest(46, override("1000")), pcibus.Stable202505, 4 * gib, gib},
		// What the firmware's parser takes and what it ignores.
		{guest(46, override(" \t65536\r\n")), pcibus.Stable202505, 64 * gib, 64 * gib},
		{guest(46, override("65536\x00junk")), pcibus.Stable202505, 64 * gib, 64 * gib},
		{guest(46, override("65536\n\x00")), pcibus.Stable202505, 64 * gib, 64 * gib},
		{guest(46, override("0000000000000000065536")), pcibus.Stable202505, 64 * gib, 64 * gib},
		{guest(46, override("0000000000000000065536\x00")), pcibus.Stable202505, 64 * gib, 64 * gib},
		{guest(46, override("00000000000000000065536")), pcibus.Stable202505, 0x380000000000, 1 << 43},
		{guest(46, override("65536\r")), pcibus.Stable202505, 0x380000000000, 1 << 43},
		{guest(46, override("65536\n\x00\x00")), pcibus.Stable202505, 0x380000000000, 1 << 43},
		{guest(46, override("+65536")), pcibus.Stable202505, 0x380000000000, 1 << 43},
		{guest(46, override("  ")), pcibus.Stable202505, 0, 0},
		{guest(46, override("65536")), pcibus.Stable202308, 0x380000000000, 1 << 43},
		{guest(46, override("16777216")), pcibus.Stable202308, 1 << 44, 1 << 44},
		{guest(46, override("65536")), pcibus.Classic, 64 * gib, 64 * gib},
		{guest(46, override("16777217")), pcibus.Stable202505, 0x380000000000, 1 << 43},
		{guest(46, override("many")), pcibus.Stable202505, 0x380000000000, 1 << 43},
		{guest(46, override("0")), pcibus.Stable202505, 0, 0},
		// Newer firmware keeps to the bits that QEMU tells a guest to, and believes them.
		{guest(46, bits(42)), pcibus.Stable202505, 0x38000000000, 1 << 39},
		{guest(40, bits(40)), pcibus.Stable202505, 0xe000000000, 1 << 37},
		{guest(40, bits(48)), pcibus.Stable202505, 0xe000000000, 1 << 37},
		{guest(52, bits(48)), pcibus.Stable202505, 0x380000000000, 1 << 43},
		{guest(52, bits(48)), pcibus.Stable202308, 0x380000000000, 1 << 43},
		{guest(46, bits(42)), pcibus.Stable202302, 0x380000000000, 1 << 43},
	}
	for _, tt := range tests {
		w, err := pcibus.Window64(tt.guest, tt.gen)
		if err != nil || w.Base != tt.base || w.Size != tt.size || w.Generation != tt.gen {
			t.Errorf("%+v, generation %d: got %#x, %#x, %v; want %#x, %#x", tt.guest, tt.gen, w.Base, w.Size, err, tt.base, tt.size)
		}
	}
}

// TestWindow64Refused shows what the window is not known for.
func TestWindow64Refused(t *testing.T) {
	for _, g := range []pcibus.Guest{{}, {PhysBits: 46}, {PhysBits: 65, MemoryEnd: 1 << 32}, {PhysBits: 46, MemoryEnd: 1 << 53}} {
		if w, err := pcibus.Window64(g, pcibus.Stable202308); !errors.Is(err, pcibus.ErrUnsupported) {
			t.Errorf("%+v: got %+v, %v; want an error", g, w, err)
		}
	}
	for _, g := range []pcibus.Guest{{PhysBits: 46, GuestPhysBits: 42, MemoryEnd: 1 << 32}, {PhysBits: 40, GuestPhysBits: 40, MemoryEnd: 1 << 32}} {
		if w, err := pcibus.Window64(g, pcibus.Stable202308); !errors.Is(err, pcibus.ErrUnsupported) || !strings.Contains(err.Error(), "guest-phys-bits") {
			t.Errorf("%+v: got %+v, %v; want an error", g, w, err)
		}
	}
	if _, err := pcibus.Window64(pcibus.Guest{PhysBits: 46, MemoryEnd: 1 << 32}, 9); !errors.Is(err, pcibus.ErrUnsupported) {
		t.Errorf("generation 9: got %v, want an error", err)
	}
}

// TestGuestOf reads what the window depends on from command lines.
func TestGuestOf(t *testing.T) {
	tests := []struct {
		args string
		end  uint64
		over string
	}{
		{"-m 2G", 1 << 32, ""},
		{"-m 8G", 10 << 30, ""},
		{"-m 2G,slots=2,maxmem=4G", 8 << 30, ""},
		{"-m 2G -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=65536", 1 << 32, "65536"},
	}
	for _, tt := range tests {
		m := parse(t, tt.args)
		g, err := pcibus.GuestOf(m)
		if err != nil || g.PhysBits != 46 || g.MemoryEnd != tt.end || string(g.Override) != tt.over {
			t.Errorf("%s: got %+v, %v; want memory up to %#x and %q", tt.args, g, err, tt.end, tt.over)
		}
	}
	m := parse(t, "-m 2G")
	m.CPU.GuestPhysBits = 42
	if g, err := pcibus.GuestOf(m); err != nil || g.GuestPhysBits != 42 {
		t.Errorf("guest-phys-bits=42: got %+v, %v", g, err)
	}
	m.CPU.PhysBits = 0
	if _, err := pcibus.GuestOf(m); !errors.Is(err, pcibus.ErrUnsupported) || !strings.Contains(err.Error(), "-cpu") {
		t.Errorf("without address bits: got %v, want an error that names -cpu", err)
	}
	m = parse(t, "-m 2G")
	m.FwCfg = []qemu.FwCfgItem{{Name: "opt/ovmf/X-PciMmio64Mb", File: "f"}}
	if _, err := pcibus.GuestOf(m); !errors.Is(err, pcibus.ErrUnsupported) || !strings.Contains(err.Error(), "X-PciMmio64Mb") {
		t.Errorf("with a size in a file that was not read: got %v, want an error that names the item", err)
	}
}

// parse reads a command line with an Intel CPU of 46 address bits.
func parse(t testing.TB, args string) *qemu.Machine {
	t.Helper()
	m, err := qemu.ParseArgs(strings.Fields("-M q35,smm=off,pic=off,hpet=off -cpu Skylake-Server,phys-bits=46 -nodefaults "+args), "10.1.0", qemu.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
