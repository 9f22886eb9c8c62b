package qemu

import (
	"fmt"
	"slices"
	"strings"
)

// maxNodes is QEMU's MAX_NODES.
const maxNodes = 128

// readNUMA notes -numa.
func (b *builder) readNUMA(arg string) error {
	b.numa = append(b.numa, parseProps(arg, "type")) // it takes no JSON
	b.numaArgs = append(b.numaArgs, arg)
	return nil
}

// parseKeyvalList reads an option that may be JSON or words.
func parseKeyvalList(option, arg, implied string) (props, error) {
	if strings.HasPrefix(arg, "{") {
		return parseJSONProps(option, arg)
	}
	return parseProps(arg, implied), nil
}

// numaNode is a node while -numa options are read.
type numaNode struct {
	NUMANode
	present  bool
	hasCPU   bool // a CPU was put into it by name
	lb       int  // what -numa hmat-lb said of it as a target
	dist     map[int]uint8
	caches   [hmatLevels]*SideCache
	initiate bool // a generic initiator belongs to it
}

// resolveNUMA applies -numa, or the node that memory hotplug brings by itself.
// Follows QEMU 10.2, hw/core/numa.c, parse_numa_node, parse_numa_distance and numa_complete_configuration.
func (b *builder) resolveNUMA() error {
	nodes := make([]numaNode, maxNodes)
	for i := range nodes {
		nodes[i].Initiator = NoInitiator
	}
	b.noteInitiators(nodes)
	cpuNode := make([]int, b.m.Topology.MaxCPUs)
	for i := range cpuNode {
		cpuNode[i] = -1
	}
	count, mapped, err := b.readNodes(nodes, cpuNode)
	if err != nil {
		return err
	}
	m := b.m
	if count == 0 {
		if m.RAMSlots == 0 && m.MaxRAM == m.RAM {
			return nil
		}
		nodes[0], count = numaNode{NUMANode: NUMANode{RAM: m.RAM, Initiator: NoInitiator}, present: true}, 1
		m.ImplicitNUMA = true
	}
	var total uint64
	for i := range count {
		if !nodes[i].present {
			return usageErr("-numa", "", "node %d is missing: ids must be without gaps", i)
		}
		total += nodes[i].RAM
	}
	if total != m.RAM {
		return usageErr("-numa", "", "the nodes have %d bytes of memory together, the machine %d", total, m.RAM)
	}
	for i, n := range cpuNode {
		if n < 0 {
			// CPUs that are not named belong to node 0; where none is named, sockets are dealt out.
			n = 0
			if !mapped {
				n = m.Topology.socketOf(i) % count
			}
			if err := b.nodeHasCPU(nodes, n, ""); err != nil {
				return err
			}
		}
		nodes[n].CPUs = append(nodes[n].CPUs, i)
	}
	for i := range count {
		nodes[i].ID = i
		m.NUMA = append(m.NUMA, nodes[i].NUMANode)
	}
	if slices.ContainsFunc(b.numa, func(p props) bool { return p.str("type") == "dist" }) {
		if err := b.completeDistances(nodes[:count]); err != nil {
			return err
		}
	}
	return b.completeHMAT(nodes[:count])
}

// readNodes applies each -numa in turn. It returns how many nodes there are, and whether CPUs were put into any by name.
func (b *builder) readNodes(nodes []numaNode, cpuNode []int) (count int, mapped bool, err error) {
	for i, p := range b.numa {
		arg := b.numaArgs[i]
		switch t := p.str("type"); t {
		case "node":
			err = b.numaNode(nodes, cpuNode, &count, arg, p)
			_, cpus := p.get("cpus")
			mapped = mapped || cpus
		case "dist":
			err = numaDistance(nodes, arg, p)
		case "cpu":
			err, mapped = b.numaCPU(nodes, cpuNode, arg, p), true
		case "hmat-lb":
			err = b.hmatLocality(nodes, count, arg, p)
		case "hmat-cache":
			err = b.hmatCache(nodes, count, arg, p)
		default:
			err = unknownErr("-numa", arg, fmt.Sprintf("unknown type %q", t), nearest(t, []string{"node", "dist", "cpu", "hmat-lb", "hmat-cache"}))
		}
		if err != nil {
			return 0, false, err
		}
	}
	return count, mapped, nil
}

// numaNode applies -numa node.
func (b *builder) numaNode(nodes []numaNode, cpuNode []int, count *int, arg string, p props) error {
	if err := checkKeys("-numa", arg, p, "type", "nodeid", "cpus", "mem", "memdev", "initiator"); err != nil {
		return err
	}
	id := *count
	if v, ok := p.get("nodeid"); ok {
		n, ok := parseUint(v)
		if !ok || n >= maxNodes {
			return usageErr("-numa", arg, "nodeid=%s is not from 0 to %d", v, maxNodes-1)
		}
		id = int(n)
	}
	if id >= maxNodes || nodes[id].present {
		return usageErr("-numa", arg, "node %d was given before", id)
	}
	if _, ok := p.get("mem"); ok {
		return usageErr("-numa", arg, "mem= is not taken since pc-q35-5.1; use memdev=")
	}
	if v, ok := p.get("initiator"); ok {
		n, ok := parseUint(v)
		if !ok || n >= maxNodes {
			return usageErr("-numa", arg, "initiator=%s is not from 0 to %d", v, maxNodes-1)
		}
		if b.m.HMAT == nil {
			return usageErr("-numa", arg, "initiator= needs -machine hmat=on")
		}
		nodes[id].Initiator = int(n)
	}
	for _, kv := range p {
		if kv.Key != "cpus" {
			continue
		}
		lo, hi, ok := cpuRange(kv.Value)
		if !ok || hi >= len(cpuNode) {
			return usageErr("-numa", arg, "cpus=%s is not a range below maxcpus (%d)", kv.Value, len(cpuNode))
		}
		for c := lo; c <= hi; c++ {
			if cpuNode[c] >= 0 && cpuNode[c] != id {
				return usageErr("-numa", arg, "CPU %d belongs to node %d already", c, cpuNode[c])
			}
			cpuNode[c] = id
			if err := b.nodeHasCPU(nodes, id, arg); err != nil {
				return err
			}
		}
	}
	if v, ok := p.get("memdev"); ok {
		if _, whole := b.machine["memory-backend"]; whole {
			return usageErr("-numa", arg, "memdev= and -machine memory-backend= exclude each other")
		}
		n, err := b.backendSize("-numa", arg, v)
		if err != nil {
			return err
		}
		nodes[id].RAM = n
	}
	nodes[id].present = true
	*count++
	return nil
}

// cpuRange reads "0-3" or "5".
func cpuRange(v string) (lo, hi int, ok bool) {
	a, z, dash := strings.Cut(v, "-")
	if !dash {
		z = a
	}
	l, ok1 := parseUint(a)
	h, ok2 := parseUint(z)
	return int(l), int(h), ok1 && ok2 && l <= h && h < maxTopologyPart
}

// numaDistance applies -numa dist.
func numaDistance(nodes []numaNode, arg string, p props) error {
	if err := checkKeys("-numa", arg, p, "type", "src", "dst", "val"); err != nil {
		return err
	}
	var n [3]uint64
	for i, k := range []string{"src", "dst", "val"} {
		v, ok := p.get(k)
		if !ok {
			return needArg("-numa", arg, k)
		}
		if n[i], ok = parseUint(v); !ok || n[i] > 255 {
			return usageErr("-numa", arg, "%s=%s is not a number of one byte", k, v)
		}
	}
	src, dst, val := n[0], n[1], uint8(n[2])
	switch {
	case src >= maxNodes || dst >= maxNodes || !nodes[src].present || !nodes[dst].present:
		return usageErr("-numa", arg, "there is no such node (yet)")
	case val < 10 || src == dst && val != 10:
		return usageErr("-numa", arg, "val=%d: distances are at least 10, and 10 within a node", val)
	}
	if nodes[src].dist == nil {
		nodes[src].dist = map[int]uint8{}
	}
	nodes[src].dist[int(dst)] = val
	return nil
}

// completeDistances fills the matrix up: 10 on its diagonal, and the one direction for the other where only one is given.
func (b *builder) completeDistances(nodes []numaNode) error {
	n := len(nodes)
	asymmetric := false
	for i := range nodes {
		for j := range i {
			x, y := nodes[i].dist[j], nodes[j].dist[i]
			if x == 0 && y == 0 {
				return usageErr("-numa", "", "the distance between nodes %d and %d is missing", j, i)
			}
			asymmetric = asymmetric || x != 0 && y != 0 && x != y
		}
	}
	b.m.Distances = make([][]uint8, n)
	for i := range nodes {
		row := make([]uint8, n)
		for j := range row {
			switch d := nodes[i].dist[j]; {
			case i == j:
				row[j] = 10
			case d != 0:
				row[j] = d
			case asymmetric:
				return usageErr("-numa", "", "distances are asymmetric, so that from %d to %d must be given", i, j)
			default:
				row[j] = nodes[j].dist[i]
			}
		}
		b.m.Distances[i] = row
	}
	return nil
}

// numaCPU applies -numa cpu, which names CPUs by their place in the topology.
func (b *builder) numaCPU(nodes []numaNode, cpuNode []int, arg string, p props) error {
	if err := checkKeys("-numa", arg, p, "type", "node-id", "socket-id", "die-id", "module-id", "core-id", "thread-id"); err != nil {
		return err
	}
	want := map[string]int{}
	for _, kv := range p {
		if kv.Key == "type" {
			continue
		}
		n, ok := parseUint(kv.Value)
		if !ok || n >= maxTopologyPart {
			return usageErr("-numa", arg, "%s=%s is not a number", kv.Key, kv.Value)
		}
		want[kv.Key] = int(n)
	}
	node, ok := want["node-id"]
	if !ok {
		return needArg("-numa", arg, "node-id")
	}
	if node >= maxNodes || !nodes[node].present {
		return usageErr("-numa", arg, "there is no node %d (yet)", node)
	}
	t := b.m.Topology
	matched := false
	for i := range cpuNode {
		at := map[string]int{"thread-id": i % t.Threads, "core-id": i / t.Threads % t.Cores,
			"module-id": i / (t.Threads * t.Cores) % t.Modules, "die-id": i / (t.Threads * t.Cores * t.Modules) % t.Dies,
			"socket-id": t.socketOf(i)}
		if !slices.ContainsFunc(sortedKeys(want), func(k string) bool { return k != "node-id" && at[k] != want[k] }) {
			if cpuNode[i] >= 0 && cpuNode[i] != node {
				return usageErr("-numa", arg, "CPU %d belongs to node %d already", i, cpuNode[i])
			}
			cpuNode[i], matched = node, true
			if err := b.nodeHasCPU(nodes, node, arg); err != nil {
				return err
			}
		}
	}
	if !matched {
		return usageErr("-numa", arg, "none of the %d CPUs is there", len(cpuNode))
	}
	return nil
}
