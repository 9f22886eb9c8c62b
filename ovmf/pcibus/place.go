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
	firstIO      = 0x6000 // the I/O aperture of the root bridges
	lastIO       = 0xffff
	lastMemory32 = 0xdfffffff // the end of their 32-bit aperture, before the memory-mapped configuration space
	// leastMemoryAlign keeps BARs from sharing a page (PciParseBar).
	leastMemoryAlign = 0x1000
	hotplugMMIO      = 2 << 20
	maxDepth         = 64
)

// Place assigns addresses to the functions of a machine as OVMF does, with the 64-bit window w. Where the machine has
// expander bridges or an acpi-erst, it assigns 32-bit and I/O addresses too; without them no table shows these. A TD's firmware looks
// at no option ROM (edk2, MdeModulePkg/Bus/Pci/PciBusDxe/PciResourceSupport.c; OvmfPkg/PciHotPlugInitDxe/PciHotPlugInit.c).
func Place(m *qemu.Machine, w Window) (Placement, error) {
	p := &placer{window: w, low: hasExpander(m.Root) || m.ERST != nil, roms: !m.TDX, out: make(Placement, len(m.Root.Devices))}
	roots := []*root{{bus: m.Root}}
	for _, b := range expanders(m.Root) {
		roots = append(roots, &root{bus: b, nr: b.BusNr})
	}
	for _, r := range roots {
		next := int(r.nr)
		var err error
		if r.need, err = p.bus(r.bus, nil, &next, 0); err != nil {
			return nil, err
		}
		r.lastBus = next
	}
	if err := checkNumbers(roots); err != nil {
		return nil, err
	}
	spaces := []*space{
		{Range: qemu.Range{Min: firstIO, Max: lastIO}, unit: ioWindowUnit, of: func(n *needs) []*node { return n.io }},
		{Range: qemu.Range{Min: uncachedBase(m.LowRAM()), Max: lastMemory32}, unit: oneMiB, of: func(n *needs) []*node { return n.mem32 }},
		{Range: qemu.Range{Min: w.Base, Max: w.Base + w.Size - 1}, unit: oneMiB, of: func(n *needs) []*node { return n.mem64 }},
	}
	switch {
	case p.low && w.Size == 0:
		return nil, fmt.Errorf("pcibus: expander bridges without a 64-bit window: %w", ErrUnsupported)
	case p.low && w.Generation > Stable202308:
		return nil, fmt.Errorf("pcibus: expander bridges with firmware of before edk2-stable202308: %w", ErrUnsupported)
	case w.Size == 0:
		return p.out, nil
	case !p.low:
		spaces = spaces[2:]
	}
	for _, r := range roots {
		for _, sp := range spaces {
			if err := p.assign(sp, sp.of(&r.need)); err != nil {
				return nil, err
			}
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
	bus     *qemu.Bus
	nr      uint8
	need    needs
	lastBus int // the highest number below it
}

// checkNumbers refuses root buses whose numbers run into each other.
func checkNumbers(roots []*root) error {
	for i := 1; i < len(roots); i++ {
		if roots[i-1].lastBus >= int(roots[i].nr) {
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

// merge inserts the nodes of a list into another, front to back (MergeResourceTree).
func merge(dst, list []*node) []*node {
	for _, n := range list {
		dst = insert(dst, n)
	}
	return dst
}

// needs is what the functions of a bus need, by the space that they ask for.
type needs struct {
	io, mem32, prefetch32, mem64, prefetch64 []*node
}

// degrade moves nodes to the spaces that the bus can have. A bridge's window for memory that is not prefetchable has
// 32 bits; its other window has 64 where anything behind it asks for that, and what asks for 32 bits then goes to the
// first. A root bridge takes prefetchable memory and the rest as one (DegradeResource).
func (n *needs) degrade(isRoot bool) {
	switch {
	case isRoot:
		n.mem32, n.prefetch32 = merge(n.mem32, n.prefetch32), nil
		n.mem64, n.prefetch64 = merge(n.mem64, n.prefetch64), nil
		return
	case len(n.mem64) > 0:
		n.mem32, n.mem64 = merge(n.mem32, n.mem64), nil
	}
	if len(n.prefetch64) > 0 {
		n.mem32, n.prefetch32 = merge(n.mem32, n.prefetch32), nil
	}
}

// A placer collects what one machine's functions need and get.
type placer struct {
	window Window
	low    bool // 32-bit and I/O addresses matter
	roms   bool // firmware looks at option ROMs
	out    Placement
}

// bus returns what the functions of a bus need. The owner is the bridge in front of it, nil for a root bus, and next
// the highest bus number given out (CreateResourceMap).
func (p *placer) bus(b *qemu.Bus, owner *qemu.PCIDevice, next *int, depth int) (needs, error) {
	var n needs
	if depth > maxDepth {
		return n, fmt.Errorf("pcibus: bus %s: too many bridges behind each other: %w", b.Name, ErrUnsupported)
	}
	if owner == nil && p.roms && p.low {
		if rom := uint64(largestROM(b, 0)); rom > 0 {
			n.mem32 = insert(n.mem32, &node{align: rom, length: rom})
		}
	}
	slot := -1 // whose function 0 is there
	for _, d := range b.Devices {
		if d.Function == 0 {
			slot = int(d.Slot)
		}
		if slot != int(d.Slot) {
			continue // without function 0, firmware does not look for others
		}
		if err := p.function(&n, d, next, depth); err != nil {
			return n, err
		}
	}
	if owner != nil && p.hotplug(owner) {
		p.reserve(&n, owner)
	}
	n.degrade(owner == nil)
	return n, nil
}

// largestROM returns the size of the largest option ROM on a bus and below; all share one place.
func largestROM(b *qemu.Bus, depth int) uint32 {
	var most uint32
	for _, d := range b.Devices {
		most = max(most, d.ROM)
		if d.Bridge != nil && depth < maxDepth {
			most = max(most, largestROM(d.Bridge, depth+1))
		}
	}
	return most
}

// withVFs are devices with virtual functions, for which firmware makes room too.
var withVFs = map[string]bool{"igb": true}

// function adds what one function asks for: its BARs, and a bridge's windows.
func (p *placer) function(n *needs, d *qemu.PCIDevice, next *int, depth int) error {
	if withVFs[d.Driver] || d.Props["sriov_max_vfs"] != "" || d.Props["sriov-pf"] != "" {
		return fmt.Errorf("pcibus: %s (id=%s): room for its virtual functions: %w", d.Driver, d.ID, ErrUnsupported)
	}
	for _, bar := range d.BARs {
		if err := p.bar(n, d, bar); err != nil {
			return err
		}
	}
	if d.Bridge != nil {
		return p.bridge(n, d, next, depth)
	}
	return nil
}

// bar adds a base address register to what its bus needs.
func (p *placer) bar(n *needs, d *qemu.PCIDevice, bar qemu.BAR) error {
	if bar.Size == 0 || bar.Size&(bar.Size-1) != 0 {
		return fmt.Errorf("pcibus: %s: BAR %d of %d bytes: %w", d.Driver, bar.Index, bar.Size, ErrUnsupported)
	}
	dst, kind := &n.io, barIO
	switch bar.Kind {
	case qemu.BARIO:
	case qemu.BARMem32:
		dst, kind = &n.mem32, barMemory
	case qemu.BARPref32:
		dst, kind = &n.prefetch32, barMemory
	case qemu.BARMem64:
		dst, kind = &n.mem64, barMemory
	case qemu.BARPref64:
		dst, kind = &n.prefetch64, barMemory
	default:
		return fmt.Errorf("pcibus: %s: BAR %d of kind %d: %w", d.Driver, bar.Index, bar.Kind, ErrUnsupported)
	}
	align := bar.Size
	if kind == barMemory {
		align = max(align, leastMemoryAlign)
	}
	*dst = insert(*dst, &node{kind: kind, align: align, length: bar.Size, dev: d})
	return nil
}

// bridge numbers the bus behind a bridge and adds the bridge's windows to what its own bus needs.
func (p *placer) bridge(n *needs, d *qemu.PCIDevice, next *int, depth int) error {
	*next++
	if *next > 255 {
		return fmt.Errorf("pcibus: %s (id=%s): no bus number is left: %w", d.Driver, d.ID, ErrUnsupported)
	}
	f := qemu.Programmed{Secondary: uint8(*next)}
	kids, err := p.bus(d.Bridge, d, next, depth+1)
	if err != nil {
		return err
	}
	if d.NoIO && p.low && len(kids.io) > 0 {
		return fmt.Errorf("pcibus: %s (id=%s): io-reserve=0, and something behind it wants I/O addresses: %w", d.Driver, d.ID, ErrUnsupported)
	}
	if p.hotplug(d) {
		// Where bus numbers are kept free, the larger of what is there and what was asked for counts (PciScanBus).
		*next = max(*next, int(f.Secondary)+d.BusReserve)
	}
	if *next > 255 {
		return fmt.Errorf("pcibus: %s (id=%s): bus-reserve=%d leaves no bus number: %w", d.Driver, d.ID, d.BusReserve, ErrUnsupported)
	}
	f.Subordinate = uint8(*next)
	p.out[d] = f
	window := func(dst *[]*node, kind nodeKind, kids []*node, unit uint64) {
		if len(kids) == 0 {
			return
		}
		if length, align := layOut(kids, unit); length > 0 {
			*dst = insert(*dst, &node{kind: kind, align: align, length: length, dev: d, kids: kids})
		}
	}
	window(&n.io, windowIO, kids.io, ioWindowUnit)
	window(&n.mem32, windowMemory, kids.mem32, oneMiB)
	window(&n.prefetch32, windowPrefetch, kids.prefetch32, oneMiB)
	window(&n.prefetch64, windowPrefetch, kids.prefetch64, oneMiB)
	return nil
}

// hotplug reports whether firmware keeps room behind a bridge for what may be plugged in (IsPciHotPlugBus).
func (p *placer) hotplug(d *qemu.PCIDevice) bool { return d.NativeHotplug || d.SHPC }

// reserve adds room behind a bridge that can be plugged into: what its capability asks for, else 2 MiB of 32-bit
// memory and a 256th of the 64-bit window (edk2, OvmfPkg/PciHotPlugInitDxe/PciHotPlugInit.c, GetResourcePadding).
func (p *placer) reserve(n *needs, d *qemu.PCIDevice) {
	pad := func(list *[]*node, size uint64) {
		*list = insert(*list, &node{kind: padding, align: size, length: size})
	}
	switch {
	case d.Pref32Reserve > 0:
		pad(&n.prefetch32, pow2Ceil(d.Pref32Reserve))
	case d.Pref64Reserve > 0:
		pad(&n.prefetch64, pow2Ceil(d.Pref64Reserve))
	case p.window.Size > classicSize:
		pad(&n.prefetch64, pow2Ceil(p.window.Size>>8))
	}
	if d.IOReserve > 0 {
		pad(&n.io, pow2Ceil(d.IOReserve))
	}
	switch {
	case d.MemReserve > 0:
		pad(&n.mem32, pow2Ceil(d.MemReserve))
	case !d.NoMemReserve:
		pad(&n.mem32, hotplugMMIO)
	}
}

// pow2Ceil returns the least power of two that is not below v.
func pow2Ceil(v uint64) uint64 { return 1 << bits.Len64(v-1) }

// A space is the range that root bridges share of one kind of address.
type space struct {
	qemu.Range
	unit  uint64 // what a root bridge's part is a multiple of
	of    func(*needs) []*node
	taken []qemu.Range
}

// assign gives a root bus's list the lowest addresses of a space that are free (edk2,
// MdeModulePkg/Bus/Pci/PciHostBridgeDxe/PciHostBridge.c, AllocateResource).
func (p *placer) assign(sp *space, list []*node) error {
	if len(list) == 0 {
		return nil
	}
	length, align := layOut(list, sp.unit)
	at := roundUp(sp.Min, align)
	for moved := true; moved; {
		moved = false
		for _, t := range sp.taken {
			if at <= t.Max && at+length > t.Min {
				at, moved = roundUp(t.Max+1, align), true
			}
		}
	}
	if length > sp.Max-sp.Min+1 || at+length-1 > sp.Max || at < sp.Min {
		return fmt.Errorf("pcibus: the devices need %#x bytes, more than are free from %#x to %#x: %w", length, sp.Min, sp.Max, ErrUnsupported)
	}
	sp.taken = append(sp.taken, qemu.Range{Min: at, Max: at + length - 1})
	p.program(list, at)
	return nil
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
