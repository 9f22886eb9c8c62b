// Package pcibus models what OVMF's PCI bus driver programs into the configuration space of a q35 machine before it
// reads the ACPI tables: bus numbers, base address registers and bridge windows, as far as the tables depend on them.
// Above 4 GiB that is everything on the first root bus; below, and for I/O, only what lies behind expander bridges.
package pcibus

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/tdxkit/tdxkit/qemu"
)

// ErrUnsupported is wrapped by the errors about machines whose placement is not known.
var ErrUnsupported = errors.New("not known to the model of the PCI bus driver")

// A Generation is a span of edk2 releases that choose the 64-bit window alike. The zero value is the newest.
type Generation uint8

// The generations, by their first release.
const (
	Stable202505  Generation = iota // a size that the user gives holds
	Stable202308                    // the top eighth of the address space, of up to 46 bits (4-level paging)
	Stable202302                    // of up to 47 bits, and not where memory is reserved
	Stable202211                    // of up to 47 bits
	Classic                         // before: 32 GiB behind RAM
	numGeneration                   // how many there are
)

// A Window is the range above 4 GiB that firmware of a generation gives to the root bridge. A Size of 0 says that
// there is none.
type Window struct {
	Base, Size uint64
	Generation Generation
}

// A Guest is what the choice of the window depends on.
type Guest struct {
	PhysBits      int    // guest physical address bits, CPUID 0x80000008 EAX[7:0]
	NoHugePages1G bool   // CPUID 0x80000001 EDX[26] is 0
	GuestPhysBits int    // CPUID 0x80000008 EAX[23:16]; 0 where QEMU's command line does not set it
	Vendor        string // what CPUID leaf 0x80000000 names, "AuthenticAMD", "GenuineIntel" or nothing
	AMDHole       bool   // QEMU's memory map reserves the HyperTransport range
	MemoryEnd     uint64 // end of RAM above 4 GiB, or of the area for memory hotplug; 4 GiB where there is neither
	// Override is the content of the fw_cfg item opt/ovmf/X-PciMmio64Mb, a number of MiB; nil without the item.
	Override []byte
}

const (
	oneGiB      = 1 << 30
	fourGiB     = 1 << 32
	classicSize = 32 * oneGiB
	maxOverride = 16 << 20 // MiB
	// overrideItem is the fw_cfg item that overrides the window's size.
	overrideItem = "opt/ovmf/X-PciMmio64Mb"
	amdHoleStart = 0xfd00000000
)

// GuestOf returns what the choice of the window depends on for a machine. It fails where the command line does not
// tell the guest's physical address bits.
func GuestOf(m *qemu.Machine) (Guest, error) {
	if m.CPU.PhysBits == 0 {
		return Guest{}, fmt.Errorf("pcibus: -cpu %s: its physical address bits are not known: %w", m.CPU.Model, ErrUnsupported)
	}
	g := Guest{PhysBits: m.CPU.PhysBits, GuestPhysBits: m.CPU.GuestPhysBits, NoHugePages1G: m.CPU.NoHugePages1G, Vendor: m.ExtendedVendor(), AMDHole: m.AMDHole(), MemoryEnd: fourGiB}
	if n := m.HighRAM(); n > 0 {
		g.MemoryEnd = m.HighRAMBase() + n
	}
	if end := m.ReservedMemoryEnd(); end > 0 {
		g.MemoryEnd = end
	}
	for _, f := range m.FwCfg {
		if f.Name != overrideItem {
			continue
		}
		if f.Data == nil && f.File != "" {
			return Guest{}, fmt.Errorf("pcibus: -fw_cfg %s: the content of %s was not read: %w", f.Name, f.File, ErrUnsupported)
		}
		g.Override = append([]byte{}, f.Data...)
	}
	return g, nil
}

// Window64 returns the window that firmware of a generation gives to the root bridge (edk2,
// OvmfPkg/Library/PlatformInitLib/MemDetect.c, PlatformGetFirstNonAddress, PlatformAddressWidthFromCpuid and
// PlatformDynamicMmioWindow; for Classic, edk2-stable202208, OvmfPkg/PlatformPei/MemDetect.c).
func Window64(g Guest, gen Generation) (Window, error) {
	if gen >= numGeneration {
		return Window{}, fmt.Errorf("pcibus: generation %d: %w", gen, ErrUnsupported)
	}
	if g.PhysBits < 32 || g.PhysBits > 64 || g.MemoryEnd < fourGiB || g.MemoryEnd > 1<<52 {
		return Window{}, fmt.Errorf("pcibus: %d address bits and memory up to %#x: %w", g.PhysBits, g.MemoryEnd, ErrUnsupported)
	}
	size, overridden := uint64(classicSize), false
	if mib, ok := parseOverride(g.Override); ok {
		size, overridden = mib<<20, true
	}
	if size == 0 {
		return Window{Generation: gen}, nil
	}
	size = roundUp(size, oneGiB)
	w := Window{Base: roundUp(roundUp(g.MemoryEnd, oneGiB), 1<<(bits.Len64(size)-1)), Size: size, Generation: gen}
	width, known := g.addressWidth(gen)
	if newer, believed := g.addressWidth(Stable202505); gen == Stable202308 && (newer != width || believed != known) {
		return Window{}, fmt.Errorf("pcibus: guest-phys-bits=%d moves the 64-bit window with edk2 202408 and later alone: %w", g.GuestPhysBits, ErrUnsupported)
	}
	if gen == Classic || overridden && gen == Stable202505 || !known {
		return w, nil
	}
	space, mmio := uint64(1)<<width, uint64(1)<<(width-3)
	if w.Size < mmio && w.Base+mmio < space {
		w.Base, w.Size = space-mmio, mmio
		if gen <= Stable202302 && g.AMDHole && w.Base <= 1<<40-1 && w.Base+w.Size > amdHoleStart {
			w.Base = (amdHoleStart - w.Size) &^ (w.Size - 1)
		}
	}
	return w, nil
}

// parseOverride reads the content of the item as firmware does: up to 22 bytes and perhaps a zero behind them; one line break
// at the end is dropped; blanks, then decimal digits, and nothing else up to the first zero. What it cannot read it ignores.
// edk2-stable202505, OvmfPkg/Library/QemuFwCfgSimpleParserLib/QemuFwCfgSimpleParser.c, QemuFwCfgParseUint64WithLimit, and
// MdePkg/Library/BaseLib/SafeString.c, AsciiStrDecimalToUint64S.
func parseOverride(b []byte) (mib uint64, ok bool) {
	const room = 23 // UINT64_STRING_MAX_SIZE and CRLF_LENGTH
	s := string(b)
	if !strings.HasSuffix(s, "\x00") {
		s += "\x00"
	}
	if len(s) > room {
		return 0, false
	}
	s = strings.TrimSuffix(s, "\x00")
	if line, cut := strings.CutSuffix(s, "\n"); cut {
		s = strings.TrimSuffix(line, "\r")
	}
	s, _, _ = strings.Cut(s, "\x00")
	digits := strings.TrimLeft(strings.TrimLeft(s, " \t"), "0")
	if s == "" || digits == "" {
		return 0, s != "" // of blanks alone it makes 0 as well
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	return n, err == nil && n <= maxOverride
}

// addressWidth returns the address bits that firmware uses, and whether it believes what the CPU says: QEMU's default
// of 40 bits does not count. Firmware of edk2 202408 and later believes it, and keeps to GuestPhysBits, wherever QEMU tells
// those.
func (g Guest) addressWidth(gen Generation) (int, bool) {
	width := g.PhysBits
	guest := g.GuestPhysBits
	if gen != Stable202505 {
		guest = 0
	}
	switch {
	case guest != 0 && width > guest:
		width = guest
	case guest != 0, width >= 41:
	case g.Vendor == "GenuineIntel" && (width == 36 || width == 39), g.Vendor == "AuthenticAMD" && width == 40:
	default:
		return 0, false
	}
	most := 46
	if gen > Stable202308 {
		most = 47
	}
	if g.NoHugePages1G {
		most = 40
	}
	return min(width, most), true
}

func roundUp(v, align uint64) uint64 { return (v + align - 1) / align * align }
