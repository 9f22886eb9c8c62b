package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A place is a bus that devices can be put on.
type place struct {
	id   string
	kind placeKind
	used map[int]bool // slots that addr= took
	shpc bool         // behind a bridge with a hotplug controller
}

type placeKind uint8

const (
	rootBus     placeKind = iota // pcie.0
	expanderBus                  // the root bus of a pxb-pcie: bridges and ports only
	portBus                      // one slot
	upstreamBus                  // downstream ports only
	pciBus                       // 32 slots of conventional PCI
)

func (g *generator) addBus(id string, kind placeKind) {
	g.buses = append(g.buses, &place{id: id, kind: kind, used: map[int]bool{}})
}

// busOf picks a bus of one of some kinds, nil where there is none.
func (g *generator) busOf(kinds ...placeKind) *place {
	var fit []*place
	for _, b := range g.buses {
		if slices.Contains(kinds, b.kind) && !(b.kind == portBus && b.used[0]) {
			fit = append(fit, b)
		}
	}
	if fit == nil {
		return nil
	}
	return pick(g, fit...)
}

// on returns the words that put a device on a bus.
func (g *generator) on(b *place) []string {
	var words []string
	if b.kind != rootBus || g.chance(30) || g.taken["pxb-pcie"] {
		words = append(words, "bus="+b.id)
	}
	if b.kind == portBus {
		b.used[0] = true
		return append(words, g.maybe(15, "addr=%s", pick(g, "0", "0x0", "00.0")))
	}
	if g.chance(25) || b.shpc && g.noSlot0 && !g.chance(3) {
		if slot := 12 + g.IntN(16); !b.used[slot] {
			b.used[slot] = true
			return append(words, fmt.Sprintf("addr=%#x", slot), g.maybe(10, "multifunction=%s", pick(g, "on", "off")))
		}
	}
	return words
}

// devices adds bridges first, then what goes on all the buses, then ISA and other devices.
func (g *generator) devices() {
	g.addBus("pcie.0", rootBus)
	g.chipsetBuses()
	g.bridges()
	for range pick(g, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 12, 20) {
		g.endpoint()
	}
	if g.chance(8) {
		g.group()
	}
	for range pick(g, 0, 0, 0, 1, 1, 2, 3) {
		g.other()
	}
	if g.room > 0 {
		g.memoryDevices()
	}
	if g.nodes > 0 && g.since(9, 0) && g.chance(10) {
		id := g.name("gi")
		g.add("device", "virtio-rng-pci", "id="+id, "bus=pcie.0")
		g.add("object", "acpi-generic-initiator", "id="+g.name("o"), "pci-dev="+id, fmt.Sprintf("node=%d", g.IntN(g.nodes)))
	}
	if g.chance(12) {
		for i := range g.options {
			g.options[i].json = g.options[i].name == "device"
		}
	}
}

// chipsetBuses counts the buses that the chipset has, so that those of devices without an id can be named.
func (g *generator) chipsetBuses() {
	words := map[string]bool{}
	for _, o := range g.options {
		for _, w := range append(o.words, "-"+o.name) {
			words[w] = true
		}
	}
	if !words["sata=off"] {
		g.unnamed["ide"] = 6
	}
	if words["usb=on"] || words["-usb"] || words["-usbdevice"] {
		g.unnamed["usb-bus"] = 1
	}
}

// bridges adds expanders, ports, switches and bridges.
func (g *generator) bridges() {
	if g.expanded {
		for i := range pick(g, 1, 1, 2, 3) {
			id := g.name("pxb")
			node := ""
			if g.nodes > 0 {
				node = g.maybe(60, "numa_node=%d", g.IntN(g.nodes))
			}
			g.add("device", "pxb-pcie", "id="+id, fmt.Sprintf("bus_nr=%d", 0x40+0x30*i+g.IntN(16)), "bus=pcie.0", node)
			g.taken["pxb-pcie"] = true
			g.addBus(id, expanderBus)
		}
	}
	if g.chance(45) {
		for range pick(g, 1, 1, 2, 3, 4, 8) {
			g.port(pick(g, "pcie-root-port", "pcie-root-port", "pcie-root-port", "ioh3420"))
		}
	}
	if g.taken["pxb-pcie"] && g.chance(80) {
		g.port("pcie-root-port")
	}
	if g.chance(9) {
		if b := g.busOf(rootBus, portBus, portBus); b != nil {
			id := g.name("up")
			g.add("device", slices.Concat([]string{"x3130-upstream", "id=" + id}, g.on(b))...)
			g.addBus(id, upstreamBus)
			for range 1 + g.IntN(3) {
				g.chassis++
				down := g.name("down")
				g.add("device", "xio3130-downstream", "id="+down, "bus="+id, fmt.Sprintf("chassis=%d", g.chassis), g.maybe(20, "hotplug=%s", pick(g, "on", "off")))
				g.addBus(down, portBus)
			}
		}
	}
	for range pick(g, 0, 0, 0, 0, 1, 2) {
		g.bridge()
	}
}

// port adds a root port.
func (g *generator) port(driver string) {
	b := g.busOf(rootBus, rootBus, rootBus, expanderBus)
	id := g.name("port")
	g.chassis++
	words := slices.Concat([]string{driver, "id=" + id}, g.on(b), []string{
		fmt.Sprintf("chassis=%d", g.chassis), g.maybe(10, "slot=%d", g.IntN(40)), g.maybe(15, "hotplug=%s", pick(g, "on", "off")),
		g.maybe(5, "acpi-index=%d", g.index()), g.maybe(4, "power_controller_present=off"), g.maybe(3, "disable-acs=on"),
	})
	if driver == "pcie-root-port" {
		if g.chance(5) {
			words = append(words, "pref32-reserve=16M")
		} else if g.chance(12) {
			words = append(words, "pref64-reserve="+g.room64(pick(g, "64G", "128G", "1M", "32M", "0")))
		}
		words = append(words,
			g.maybe(6, "mem-reserve=%s", pick(g, "4M", "32M", "2M", "0")), g.maybe(6, "io-reserve=%s", pick(g, "4K", "8K", "0")),
			g.maybe(7, "bus-reserve=%d", pick(g, 0, 1, 2, 4, 7)),
			g.maybe(4, "x-speed=16"), g.maybe(4, "x-width=32"))
	}
	g.add("device", words...)
	g.addBus(id, portBus)
}

// bridge adds a bridge to conventional PCI.
func (g *generator) bridge() {
	driver := pick(g, "pci-bridge", "pci-bridge", "pcie-pci-bridge", "pcie-pci-bridge", "i82801b11-bridge")
	kinds := []placeKind{rootBus, rootBus, portBus, expanderBus}
	if driver == "pci-bridge" {
		kinds = append(kinds, pciBus)
	}
	b := g.busOf(kinds...)
	id := g.name("bridge")
	words := slices.Concat([]string{driver, "id=" + id}, g.on(b))
	if driver == "pci-bridge" {
		g.chassis++
		words = append(words, fmt.Sprintf("chassis_nr=%d", g.chassis), g.maybe(25, "shpc=%s", pick(g, "on", "off")), g.maybe(8, "msi=%s", pick(g, "on", "off")))
	}
	g.add("device", words...)
	g.addBus(id, pciBus)
	g.buses[len(g.buses)-1].shpc = driver != "i82801b11-bridge" && !slices.Contains(words, "shpc=off")
}

// room64 returns a size and widens the guest's addresses so that firmware's 64-bit window, an eighth of them, holds it.
func (g *generator) room64(size string) string {
	if n, err := strconv.ParseUint(strings.TrimSuffix(size, "G"), 10, 32); err == nil && strings.HasSuffix(size, "G") {
		g.reach += 16 * n
	}
	return size
}

// index returns an acpi-index= that nothing else has, mostly.
func (g *generator) index() int {
	n := 1 + g.IntN(16000)
	for g.indexes[n] {
		n++
	}
	g.indexes[n] = true
	return n
}

// bootIndex returns bootindex= in some cases.
func (g *generator) bootIndex() string {
	if !g.chance(25) {
		return ""
	}
	n := 1 + g.IntN(20)
	if g.boots[n] {
		return ""
	}
	g.boots[n] = true
	return fmt.Sprintf("bootindex=%d", n)
}

// An endpointKind is a PCI driver and what it needs.
type endpointKind struct {
	driver string
	weight int
	words  func(*generator) []string
	since  [2]int // the first release that has it
	until  [2]int // the first release that has it no more
	after  func(g *generator, id string)
	once   bool
}

// blockWords make a disk and name it.
func blockWords(g *generator) []string {
	id := g.name("disk")
	g.add("blockdev", "driver=null-co", "node-name="+id, "size=1073741824", "read-zeroes=on")
	return []string{"drive=" + id, g.bootIndex(), g.maybe(5, "serial=%s", "abc"), g.maybe(3, "physical_block_size=4096"), g.maybe(3, "write-cache=on")}
}

func netWords(g *generator) []string {
	words := []string{g.bootIndex(), g.maybe(6, "rombar=%d", g.IntN(2)), g.maybe(8, "romfile="), g.maybe(10, "mac=52:54:00:00:00:%02x", g.IntN(256))}
	if g.chance(30) {
		id := g.name("net")
		g.add("netdev", "hubport", "id="+id, "hubid=1")
		words = append(words, "netdev="+id)
	}
	return words
}

func virtioWords(g *generator) []string {
	return []string{
		g.maybe(6, "disable-legacy=%s", pick(g, "on", "off", "auto")), g.maybe(3, "disable-modern=%s", pick(g, "on", "off")), g.maybe(5, "page-per-vq=%s", pick(g, "on", "off")),
		g.maybe(8, "vectors=%d", pick(g, 0, 1, 2, 3, 5, 17, 64, 129, 257, 513)), g.maybe(4, "ats=on"), g.maybe(4, "packed=on"),
		g.maybe(3, "event_idx=off"), g.maybe(3, "indirect_desc=off"), g.maybe(3, "aer=on"),
	}
}

// both joins words.
func both(list ...func(*generator) []string) func(*generator) []string {
	return func(g *generator) []string {
		var out []string
		for _, f := range list {
			out = append(out, f(g)...)
		}
		return out
	}
}

// with adds fixed words in some percent of cases: "20 num-queues=4" or, with a choice, "20 num-queues=4|8".
func with(specs ...string) func(*generator) []string {
	return func(g *generator) []string {
		var out []string
		for _, s := range specs {
			var percent int
			var word string
			if _, err := fmt.Sscanf(s, "%d %s", &percent, &word); err != nil || !g.chance(percent) {
				continue
			}
			key, values, _ := strings.Cut(word, "=")
			out = append(out, key+"="+pick(g, strings.Split(values, "|")...))
		}
		return out
	}
}

// needs makes an object, chardev or audiodev and names it in a property.
func needs(property, option string, words ...string) func(*generator) []string {
	return func(g *generator) []string {
		id := g.name("x")
		w := slices.Clone(words)
		for i := range w {
			w[i] = strings.ReplaceAll(w[i], "$", id)
		}
		g.add(option, w...)
		return []string{property + "=" + id}
	}
}

// note makes the buses of a device known: by its id or, without one, by their kind, whose number starts behind the
// chipset's.
func note(list func(*generator) *[]string, kind string, buses int) func(*generator, string) {
	return func(g *generator, id string) {
		l := list(g)
		for i := range buses {
			switch {
			case id == "":
				*l = append(*l, fmt.Sprintf("%s.%d", kind, g.unnamed[kind]))
				g.unnamed[kind]++
			case kind == "nvme-bus":
				*l = append(*l, id)
			default:
				*l = append(*l, fmt.Sprintf("%s.%d", id, i))
			}
		}
	}
}

var (
	scsiBus   = note(func(g *generator) *[]string { return &g.scsi }, "scsi", 1)
	usbBus    = note(func(g *generator) *[]string { return &g.usb }, "usb-bus", 1)
	serialBus = note(func(g *generator) *[]string { return &g.serial }, "virtio-serial-bus", 1)
	hdaBus    = note(func(g *generator) *[]string { return &g.hda }, "hda", 1)
	nvmeBus   = note(func(g *generator) *[]string { return &g.nvme }, "nvme-bus", 1)
	ideBus    = note(func(g *generator) *[]string { return &g.ide }, "ide", 6)
	piixBus   = note(func(g *generator) *[]string { return &g.ide }, "ide", 2)

	audio   = needs("audiodev", "audiodev", "none", "id=$")
	chardev = needs("chardev", "chardev", "null", "id=$")
)

// endpoint adds one PCI device.
func (g *generator) endpoint() {
	total := 0
	for _, k := range endpointKinds {
		total += k.weight
	}
	n := g.IntN(total)
	for _, k := range endpointKinds {
		if n -= k.weight; n >= 0 {
			continue
		}
		kind, _, _ := strings.Cut(k.driver, "-pci") // a device in its variants
		if k.once && g.taken[kind] || !g.within(k.since, k.until) {
			return
		}
		g.taken[kind] = true
		b := g.busOf(rootBus, rootBus, rootBus, portBus, portBus, pciBus)
		if k.driver == "virtio-iommu-pci" && !g.chance(5) {
			b = g.busOf(rootBus) // QEMU takes it nowhere else
		}
		g.put(k, g.on(b))
		return
	}
}

// put adds a PCI device at a place.
func (g *generator) put(k endpointKind, where []string) {
	var own []string
	if k.words != nil {
		own = k.words(g)
	}
	id := ""
	if g.chance(40) || k.after != nil && g.chance(60) {
		id = g.name("d")
	}
	words := []string{k.driver}
	if id != "" {
		words = append(words, "id="+id)
	}
	words = slices.Concat(words, where, own, []string{g.maybe(5, "acpi-index=%d", g.index())})
	g.add("device", words...)
	if id != "" && !slices.ContainsFunc(where, func(w string) bool { return strings.HasPrefix(w, "bus=") && w != "bus=pcie.0" }) {
		g.rooted = append(g.rooted, id)
	}
	if k.after != nil {
		k.after(g, id)
	}
}

// group puts several functions into one slot, function 0 last or first.
func (g *generator) group() {
	b := g.busOf(rootBus, rootBus, pciBus)
	slot := 12 + g.IntN(16)
	if b.used[slot] {
		return
	}
	b.used[slot] = true
	order := pick(g, []int{0, 1, 2}, []int{2, 1, 0}, []int{0, 1}, []int{1, 0}, []int{0, 7}, []int{0, 1, 2, 3, 4, 5, 6, 7}, []int{1, 2})
	for _, fn := range order {
		multi := ""
		if fn == 0 || g.chance(30) {
			multi = "multifunction=on"
		}
		k := pick(g, endpointKinds...)
		for k.once || k.since != [2]int{} || k.until != [2]int{} {
			k = pick(g, endpointKinds...)
		}
		g.put(k, []string{"bus=" + b.id, fmt.Sprintf("addr=%#x.%d", slot, fn), multi})
	}
}
