package qemu

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// NoInitiator is the Initiator of a node without one.
const NoInitiator = maxNodes

// hmatLevels is one more than the cache levels that an HMAT describes.
const hmatLevels = 4

// An HMAT holds what -numa hmat-lb and hmat-cache say, in the order of the table.
type HMAT struct {
	Localities []Locality
	Caches     []SideCache
}

// A Locality is how fast initiators reach memory, of one kind and at one level.
type Locality struct {
	Hierarchy, DataType uint8 // as in the table; data types up to 2 are latencies
	Base                uint64
	Entries             []LocalityEntry

	reach uint64 // what QEMU keeps to tell whether further values fit
}

// A LocalityEntry is one value: nanoseconds, or bytes per second.
type LocalityEntry struct {
	Initiator, Target int
	Value             uint64
}

// A SideCache is a cache in front of a node's memory.
type SideCache struct {
	Node                         int
	Size                         uint64
	Level, Associativity, Policy uint8
	Line                         uint16
}

// A GenericInitiator is a device that is a NUMA node's initiator.
type GenericInitiator struct {
	Node   int
	Device *PCIDevice
}

// The values of the keys of -numa hmat-lb and hmat-cache, by number.
var (
	hmatHierarchies     = []string{"memory", "first-level", "second-level", "third-level"}
	hmatDataTypes       = []string{"access-latency", "read-latency", "write-latency", "access-bandwidth", "read-bandwidth", "write-bandwidth"}
	hmatAssociativities = []string{"none", "direct", "complex"}
	hmatPolicies        = []string{"none", "write-back", "write-through"}
)

const (
	lastLatency = 2 // of hmatDataTypes
	// What -numa hmat-lb has said of a node as a target.
	hasLatency, hasBandwidth = 1, 2
)

// nodeHasCPU notes that a CPU belongs to a node, which makes the node its own initiator.
// Follows QEMU 10.2, hw/core/machine.c, machine_set_cpu_numa_node.
func (b *builder) nodeHasCPU(nodes []numaNode, id int, arg string) error {
	if b.m.HMAT == nil {
		return nil
	}
	n := &nodes[id]
	if n.Initiator != NoInitiator && n.Initiator != id {
		return usageErr("-numa", arg, "node %d has CPUs and must be its own initiator, not %d", id, n.Initiator)
	}
	n.hasCPU, n.Initiator = true, id
	return nil
}

// noteInitiators marks the nodes that have a generic initiator. QEMU makes the objects before it reads -numa.
func (b *builder) noteInitiators(nodes []numaNode) {
	for _, o := range b.objects {
		if o.str("qom-type") != genericInitiator {
			continue
		}
		if n, ok := parseUint(o.str("node")); ok && n < maxNodes {
			nodes[n].initiate = true
		}
	}
}

// numaKey reads one number of a -numa option.
func numaKey(arg string, p props, key string, most uint64) (uint64, error) {
	v, ok := p.get(key)
	if !ok {
		return 0, needArg("-numa", arg, key)
	}
	n, ok := parseUint(v)
	if !ok || n > most {
		return 0, usageErr("-numa", arg, "%s=%s is not a number up to %d", key, v, most)
	}
	return n, nil
}

// numaWord reads one word of a -numa option, by its number.
func numaWord(arg string, p props, key string, words []string) (uint8, error) {
	v, ok := p.get(key)
	if !ok {
		return 0, needArg("-numa", arg, key)
	}
	i := slices.Index(words, v)
	if i < 0 {
		return 0, unknownErr("-numa", arg, key+"="+v+" is not known", nearest(v, words))
	}
	return uint8(i), nil
}

// A localityArg is -numa hmat-lb, read.
type localityArg struct {
	initiator, target   int
	hierarchy, dataType uint8
}

// readLocality reads the keys of -numa hmat-lb but the value.
func readLocality(arg string, p props) (l localityArg, err error) {
	if err := checkKeys("-numa", arg, p, "type", "initiator", "target", "hierarchy", "data-type", "latency", "bandwidth"); err != nil {
		return l, err
	}
	initiator, err1 := numaKey(arg, p, "initiator", maxNodes-1)
	target, err2 := numaKey(arg, p, "target", maxNodes-1)
	l.initiator, l.target = int(initiator), int(target)
	var err3, err4 error
	l.hierarchy, err3 = numaWord(arg, p, "hierarchy", hmatHierarchies)
	l.dataType, err4 = numaWord(arg, p, "data-type", hmatDataTypes)
	return l, cmp.Or(err1, err2, err3, err4)
}

// locality returns what holds the values of a level and kind, made where it is not there yet.
func (h *HMAT) locality(hierarchy, dataType uint8) *Locality {
	for i := range h.Localities {
		if l := &h.Localities[i]; l.Hierarchy == hierarchy && l.DataType == dataType {
			return l
		}
	}
	h.Localities = append(h.Localities, Locality{Hierarchy: hierarchy, DataType: dataType})
	return &h.Localities[len(h.Localities)-1]
}

// hmatLocality applies -numa hmat-lb. Follows QEMU 10.2, hw/core/numa.c, parse_numa_hmat_lb.
func (b *builder) hmatLocality(nodes []numaNode, count int, arg string, p props) error {
	if b.m.HMAT == nil {
		return usageErr("-numa", arg, "hmat-lb needs -machine hmat=on")
	}
	o, err := readLocality(arg, p)
	if err != nil {
		return err
	}
	switch from := &nodes[o.initiator]; {
	case o.initiator >= count || o.target >= count || !nodes[o.target].present:
		return usageErr("-numa", arg, "there is no such node (yet)")
	case !from.hasCPU && !from.initiate:
		return usageErr("-numa", arg, "node %d has no CPU (yet), so that it is no initiator", o.initiator)
	}
	l := b.m.HMAT.locality(o.hierarchy, o.dataType)
	if slices.ContainsFunc(l.Entries, func(e LocalityEntry) bool { return e.Initiator == o.initiator && e.Target == o.target }) {
		return usageErr("-numa", arg, "the value from %d to %d was given before", o.initiator, o.target)
	}
	add, key, other, flag := l.addBandwidth, "bandwidth", "latency", hasBandwidth
	if o.dataType <= lastLatency {
		add, key, other, flag = l.addLatency, "latency", "bandwidth", hasLatency
	}
	value, err := numaValue(arg, p, key, other)
	if err != nil {
		return err
	}
	if !add(value) {
		return usageErr("-numa", arg, "%s=%s is too far from the values before it, or no multiple of 1 MiB", key, p.str(key))
	}
	if value != 0 {
		nodes[o.target].lb |= flag
	}
	l.Entries = append(l.Entries, LocalityEntry{o.initiator, o.target, value})
	return nil
}

// numaValue reads a latency in nanoseconds or a bandwidth in bytes per second.
func numaValue(arg string, p props, key, other string) (uint64, error) {
	if _, ok := p.get(other); ok {
		return 0, usageErr("-numa", arg, "%s= does not go with this data-type", other)
	}
	v, ok := p.get(key)
	if !ok {
		return 0, needArg("-numa", arg, key)
	}
	n, ok := parseUint(v)
	if key == "bandwidth" {
		n, ok = parseSize(v)
	}
	if !ok {
		return 0, usageErr("-numa", arg, "%s=%s is not a number", key, v)
	}
	return n, nil
}

// addLatency fits the base to a latency and reports whether the table can hold it.
func (l *Locality) addLatency(v uint64) bool {
	if l.Base == 0 {
		l.Base = math.MaxUint64
	}
	if v == 0 {
		return true
	}
	base := uint64(1)
	for n := v; n%10 == 0; n /= 10 {
		base *= 10
	}
	most := max(l.reach, v/l.Base)
	if most >= math.MaxUint16 {
		return false
	}
	l.Base, l.reach = min(l.Base, base), most
	return true
}

// addBandwidth does so for a bandwidth.
func (l *Locality) addBandwidth(v uint64) bool {
	if l.Base == 0 {
		l.Base = 1
	}
	if v%(1<<20) != 0 {
		return false
	}
	if v == 0 {
		return true
	}
	reach := l.reach | v
	first, last := bits.TrailingZeros64(reach), bits.Len64(reach)
	if last-first > 16 || v>>first >= math.MaxUint16 {
		return false
	}
	l.Base, l.reach = 1<<first, reach
	return true
}

// hmatCache applies -numa hmat-cache. Follows QEMU 10.2, hw/core/numa.c, parse_numa_hmat_cache.
func (b *builder) hmatCache(nodes []numaNode, count int, arg string, p props) error {
	if b.m.HMAT == nil {
		return usageErr("-numa", arg, "hmat-cache needs -machine hmat=on")
	}
	if err := checkKeys("-numa", arg, p, "type", "node-id", "size", "level", "associativity", "policy", "line"); err != nil {
		return err
	}
	node, err1 := numaKey(arg, p, "node-id", maxNodes-1)
	level, err2 := numaKey(arg, p, "level", math.MaxUint8)
	line, err3 := numaKey(arg, p, "line", math.MaxUint16)
	associativity, err4 := numaWord(arg, p, "associativity", hmatAssociativities)
	policy, err5 := numaWord(arg, p, "policy", hmatPolicies)
	if err := cmp.Or(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	size, ok := parseSize(p.str("size"))
	if !ok {
		return usageErr("-numa", arg, "size=%s is not a size", p.str("size"))
	}
	if int(node) >= count {
		return usageErr("-numa", arg, "there is no node %d (yet)", node)
	}
	n := &nodes[node]
	switch {
	case n.lb != hasLatency|hasBandwidth:
		return usageErr("-numa", arg, "latency and bandwidth to node %d must be given before its caches", node)
	case level < 1 || level >= hmatLevels:
		return usageErr("-numa", arg, "level=%d is not from 1 to %d", level, hmatLevels-1)
	case n.caches[level] != nil:
		return usageErr("-numa", arg, "level %d of node %d was given before", level, node)
	case level > 1 && n.caches[level-1] == nil:
		return usageErr("-numa", arg, "level %d of node %d must come first", level-1, node)
	case level > 1 && size <= n.caches[level-1].Size:
		return usageErr("-numa", arg, "a cache of level %d is larger than that of level %d", level, level-1)
	}
	n.caches[level] = &SideCache{Node: int(node), Size: size, Level: uint8(level), Associativity: associativity, Policy: policy, Line: uint16(line)}
	return nil
}

// completeHMAT checks initiators, and brings what was given into the order of the table.
// Follows QEMU 10.2, hw/core/machine.c, numa_validate_initiator, and hw/acpi/hmat.c, hmat_build_table_structs.
func (b *builder) completeHMAT(nodes []numaNode) error {
	h := b.m.HMAT
	if h == nil {
		return nil
	}
	for i := range nodes {
		n := &nodes[i]
		if n.RAM == 0 {
			if err := b.unseen("-numa", "a node without memory and -machine hmat=on", Version{Major: 7, Minor: 2}, Version{Major: 10}); err != nil {
				return err
			}
		}
		if k := n.Initiator; k != NoInitiator && (k >= len(nodes) || !nodes[k].hasCPU) {
			return usageErr("-numa", "", "initiator=%d of node %d is no node with CPUs", k, i)
		}
		for _, c := range n.caches {
			if c != nil {
				h.Caches = append(h.Caches, *c)
			}
		}
	}
	slices.SortFunc(h.Localities, func(a, b Locality) int {
		return (int(a.Hierarchy)-int(b.Hierarchy))*len(hmatDataTypes) + int(a.DataType) - int(b.DataType)
	})
	return nil
}
