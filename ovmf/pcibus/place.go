package pcibus

import (
	"fmt"
	"math/bits"

	"github.com/tdxkit/tdxkit/qemu"
)

// A Placement is what firmware programmed into each function; it lists no function that got nothing.
type Placement map[*qemu.PCIDevice]qemu.Programmed

const (
	oneMiB       = 1 << 20
	ioWindowUnit = 0x1000
	firstIO      = 0x6000 // where the I/O aperture of the root bridges starts
	hotplugMMIO  = 2 << 20
	maxDepth     = 64
)

// Place assigns addresses to the functions of a machine as OVMF does from edk2-stable202305 on, with the 64-bit window
// w. Where the machine has expander bridges, it assigns 32-bit and I/O addresses too; without them no table shows
// these (edk2, MdeModulePkg/Bus/Pci/PciBusDxe/PciResourceSupport.c; OvmfPkg/PciHotPlugInitDxe/PciHotPlugInit.c).
func Place(m *qemu.Machine, w Window) (Placement, error) {
	p := &placer{window: w, low: hasExpander(m.Root), roms: !m.TDX, out: make(Placement, len(m.Root.Devices))}
	roots := []*root{{bus: m.Root}}
	for _, b := range expanders(m.Root) {
		roots = append(roots, &root{bus: b, nr: b.BusNr})
	}
	for _, r := range roots {
		next := int(r.nr)
		n, err := p.bus(r.bus, r.nr, &next, 0, true)
		if err != nil {
			return nil, err
		}
		if p.rom > 0 {
			n.mem32 = insert(n.mem32, &node{align: p.rom, length: p.rom})
			p.rom = 0
		}
		r.need = n
	}
	if err := checkNumbers(roots); err != nil {
		return nil, err
	}
	if p.low {
		if w.Size == 0 {
			return nil, fmt.Errorf("pcibus: expander bridges without a 64-bit window: %w", ErrUnsupported)
		}
		io, mem := uint64(firstIO), uncachedBase(m.LowRAM())
		for _, r := range roots {
			io = p.assign(r.need.io, io)
			mem = p.assign(r.need.mem32, mem)
		}
		if io > 0x10000 || mem > 0xfc000000 {
			return nil, fmt.Errorf("pcibus: 32-bit or I/O addresses do not suffice: %w", ErrUnsupported)
		}
	}
	if w.Size == 0 {
		return p.out, nil
	}
	at := w.Base
	for _, r := range roots {
		at = p.assign(r.need.mem64, at)
		if at > w.Base+w.Size || at < w.Base {
			return nil, fmt.Errorf("pcibus: the devices need more than the 64-bit window of %d GiB: %w", w.Size/oneGiB, ErrUnsupported)
		}
	}
	return p.out, nil
}

// uncachedBase returns the start of the 32-bit aperture: firmware leaves everything from there to 4 GiB uncached, by
// a power of two (edk2, OvmfPkg/Library/PlatformInitLib/MemDetect.c, PlatformQemuUc32BaseInitialization).
func uncachedBase(lowRAM uint64) uint64 {
	return fourGiB - 1<<(bits.Len64(fourGiB-lowRAM)-1)
}

// A root is a root bus with what the functions on it need.
type root struct {
	bus  *qemu.Bus
	nr   uint8
	need needs
}

// checkNumbers refuses root buses whose numbers run into each other.
func checkNumbers(roots []*root) error {
	for i := 1; i < len(roots); i++ {
		if roots[i-1].need.lastBus >= int(roots[i].nr) {
			return fmt.Errorf("pcibus: bus %s: bus_nr=%d is taken by buses below another root bus: %w", roots[i].bus.Name, roots[i].nr, ErrUnsupported)
		}
	}
	return nil
}

// expanders returns the root buses of expander bridges by number.
func expanders(b *qemu.Bus) []*qemu.Bus {
	var out []*qemu.Bus
	for _, d := range b.Devices {
		if d.ExtraRoot == nil {
			continue
		}
		i := len(out)
		for i > 0 && out[i-1].BusNr > d.ExtraRoot.BusNr {
			i--
		}
		out = append(out, nil)
		copy(out[i+1:], out[i:])
		out[i] = d.ExtraRoot
	}
	return out
}

func hasExpander(b *qemu.Bus) bool {
	for _, d := range b.Devices {
		if d.ExtraRoot != nil {
			return true
		}
	}
	return false
}

// A nodeKind says what a node stands for.
type nodeKind uint8

const (
	reserved nodeKind = iota // space that is kept free: an option ROM's
	padding                  // space for what may be plugged in
	barIO
	barMemory
	windowIO
	windowMemory
	windowPrefetch
)

// A node is space that a function needs: a BAR, or the window of a bridge.
type node struct {
	kind          nodeKind
	align, length uint64
	off           uint64 // from the start of the list that it is in
	dev           *qemu.PCIDevice
	kids          []*node // of a window
}

// insert puts a node into a list: larger alignments first, and of the same alignment the node whose length is a
// multiple of it, or leaves the larger rest, first; the newest before its equals (InsertResourceNode).
func insert(list []*node, n *node) []*node {
	i := 0
	for ; i < len(list); i++ {
		t := list[i]
		if n.align > t.align {
			break
		}
		if n.align == t.align {
			rest, other := n.length&(n.align-1), t.length&(t.align-1)
			if rest == 0 || rest >= other {
				break
			}
		}
	}
	list = append(list, nil)
	copy(list[i+1:], list[i:])
	list[i] = n
	return list
}

// layOut places the nodes of a list one behind the other and returns the length and the alignment of the whole, of
// which each is a multiple of unit. Padding shares its addresses with the rest (CalculateResourceAperture).
func layOut(list []*node, unit uint64) (length, align uint64) {
	var used, pad uint64
	for _, n := range list {
		end := &used
		if n.kind == padding {
			end = &pad
		}
		n.off = roundUp(*end, n.align)
		*end = n.off + n.length
	}
	align = unit
	if len(list) > 0 {
		align = max(align, list[0].align)
	}
	return max(roundUp(used, unit), roundUp(pad, unit)), align
}

// needs is what the functions of a bus need, by space. On a root bus mem64 holds everything that can lie above 4 GiB;
// behind a bridge, what is prefetchable.
type needs struct {
	mem64, mem32, io []*node
	lastBus          int
}

// A placer collects what one machine's functions need and get.
type placer struct {
	window Window
	low    bool // 32-bit and I/O addresses matter
	roms   bool // firmware looks at option ROMs
	rom    uint64
	out    Placement
}

// bus returns what the functions of a bus need. nr is its number, and next the highest number given out.
func (p *placer) bus(b *qemu.Bus, nr uint8, next *int, depth int, isRoot bool) (needs, error) {
	n := needs{lastBus: int(nr)}
	if depth > maxDepth {
		return n, fmt.Errorf("pcibus: bus %s: too many bridges behind each other: %w", b.Name, ErrUnsupported)
	}
	var nonPrefetch []*node
	slot := -1 // whose function 0 is there
	for _, d := range b.Devices {
		if d.Function == 0 {
			slot = int(d.Slot)
		}
		if slot != int(d.Slot) {
			continue // without function 0, firmware does not look for others
		}
		for _, bar := range d.BARs {
			if err := p.bar(&n, &nonPrefetch, d, bar, isRoot); err != nil {
				return n, err
			}
		}
		if p.roms && p.low {
			p.rom = max(p.rom, uint64(d.ROM))
		}
		if d.Bridge == nil {
			continue
		}
		if err := p.bridge(&n, d, next, depth); err != nil {
			return n, err
		}
	}
	if isRoot {
		// The root bridge takes prefetchable memory and the rest as one.
		merged := make([]*node, 0, len(n.mem64)+len(nonPrefetch))
		for _, l := range [...][]*node{n.mem64, nonPrefetch} {
			for _, x := range l {
				merged = insert(merged, x)
			}
		}
		n.mem64 = merged
	}
	n.lastBus = *next
	return n, nil
}

// bar adds a base address register to what its bus needs. A 64-bit register that is not prefetchable lies below 4 GiB
// behind a bridge, whose window for it has 32 bits.
func (p *placer) bar(n *needs, nonPrefetch *[]*node, d *qemu.PCIDevice, bar qemu.BAR, isRoot bool) error {
	if bar.Size == 0 || bar.Size&(bar.Size-1) != 0 {
		return fmt.Errorf("pcibus: %s: BAR %d of %d bytes: %w", d.Driver, bar.Index, bar.Size, ErrUnsupported)
	}
	x := &node{kind: barMemory, align: bar.Size, length: bar.Size, dev: d}
	switch bar.Kind {
	case qemu.BARIO:
		if p.low {
			x.kind = barIO
			n.io = insert(n.io, x)
		}
	case qemu.BARMem64:
		if isRoot {
			*nonPrefetch = insert(*nonPrefetch, x)
		} else if p.low {
			n.mem32 = insert(n.mem32, x)
		}
	case qemu.BARPref64:
		n.mem64 = insert(n.mem64, x)
	case qemu.BARPref32:
		if !isRoot {
			return fmt.Errorf("pcibus: %s: a 32-bit prefetchable BAR behind a bridge: %w", d.Driver, ErrUnsupported)
		}
		fallthrough
	default:
		if p.low {
			n.mem32 = insert(n.mem32, x)
		}
	}
	return nil
}

// bridge numbers the bus behind a bridge and adds the bridge's windows to what its own bus needs, with room for what
// may be plugged in.
func (p *placer) bridge(n *needs, d *qemu.PCIDevice, next *int, depth int) error {
	if d.BusReserve > 0 {
		return fmt.Errorf("pcibus: %s (id=%s): bus-reserve=: %w", d.Driver, d.ID, ErrUnsupported)
	}
	*next++
	if *next > 255 {
		return fmt.Errorf("pcibus: %s (id=%s): no bus number is left: %w", d.Driver, d.ID, ErrUnsupported)
	}
	f := qemu.Programmed{Secondary: uint8(*next)}
	kids, err := p.bus(d.Bridge, f.Secondary, next, depth+1, false)
	if err != nil {
		return err
	}
	f.Subordinate = uint8(*next)
	p.out[d] = f
	if d.NativeHotplug || d.SHPC {
		if err := p.reserve(&kids, d); err != nil {
			return err
		}
	}
	window := func(dst *[]*node, kind nodeKind, kids []*node, unit uint64) {
		if len(kids) == 0 {
			return
		}
		if length, align := layOut(kids, unit); length > 0 {
			*dst = insert(*dst, &node{kind: kind, align: align, length: length, dev: d, kids: kids})
		}
	}
	window(&n.mem32, windowMemory, kids.mem32, oneMiB)
	window(&n.io, windowIO, kids.io, ioWindowUnit)
	window(&n.mem64, windowPrefetch, kids.mem64, oneMiB)
	return nil
}

// reserve adds padding behind a bridge that can be plugged into: what its capability asks for, else 2 MiB of 32-bit
// memory and a 256th of the 64-bit window.
func (p *placer) reserve(n *needs, d *qemu.PCIDevice) error {
	pad := func(list []*node, size uint64) []*node {
		return insert(list, &node{kind: padding, align: size, length: size})
	}
	switch {
	case d.Pref32Reserve > 0:
		if p.low {
			return fmt.Errorf("pcibus: %s (id=%s): pref32-reserve= beside expander bridges: %w", d.Driver, d.ID, ErrUnsupported)
		}
	case d.Pref64Reserve > 0:
		n.mem64 = pad(n.mem64, pow2Ceil(d.Pref64Reserve))
	case p.window.Size > classicSize:
		n.mem64 = pad(n.mem64, pow2Ceil(p.window.Size>>8))
	}
	if !p.low {
		return nil
	}
	if d.IOReserve > 0 {
		n.io = pad(n.io, pow2Ceil(d.IOReserve))
	}
	mmio := uint64(hotplugMMIO)
	if d.MemReserve > 0 {
		mmio = pow2Ceil(d.MemReserve)
	}
	n.mem32 = pad(n.mem32, mmio)
	return nil
}

// pow2Ceil returns the least power of two that is not below v.
func pow2Ceil(v uint64) uint64 { return 1 << bits.Len64(v-1) }

// assign gives addresses to a root bus's list from at on, and returns where the next may start.
func (p *placer) assign(list []*node, at uint64) uint64 {
	if len(list) == 0 {
		return at
	}
	length, align := layOut(list, 1)
	at = roundUp(at, align)
	p.program(list, at)
	return at + length
}

// program writes the addresses of a list that starts at base into the functions.
func (p *placer) program(list []*node, base uint64) {
	for _, n := range list {
		if n.dev == nil {
			continue
		}
		r := qemu.Range{Min: base + n.off, Max: base + n.off + n.length - 1}
		f := p.out[n.dev]
		switch n.kind {
		case barIO:
			f.IO = append(f.IO, r)
		case barMemory:
			f.Memory = append(f.Memory, r)
		case windowIO:
			f.WindowIO = r
		case windowMemory:
			f.WindowMemory = r
		case windowPrefetch:
			f.WindowPrefetch = r
		}
		p.out[n.dev] = f
		p.program(n.kids, r.Min)
	}
}
