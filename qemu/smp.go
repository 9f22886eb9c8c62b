package qemu

import (
	"fmt"
	"math/bits"
)

// readSMP notes -smp. Repeated options merge.
func (b *builder) readSMP(arg string) error {
	p, err := parseWords("-smp", arg, "cpus")
	b.smp = append(b.smp, p...)
	return err
}

// maxTopologyPart bounds each number of -smp, so that no product overflows: it is QEMU's limit on CPUs.
const maxTopologyPart = 4096

// resolveTopology completes -smp. Of what is left out, QEMU prefers cores to sockets to threads since pc-q35-6.2, and
// sockets to cores to threads before. Follows QEMU 10.2, hw/core/machine-smp.c, machine_parse_smp_config.
func (b *builder) resolveTopology() error {
	keys := []string{"cpus", "maxcpus", "sockets", "dies", "clusters", "modules", "cores", "threads", "books", "drawers"}
	if err := checkKeys("-smp", "", b.smp, keys...); err != nil {
		return err
	}
	n := map[string]int{}
	for _, k := range keys {
		v, ok := b.smp.get(k)
		if !ok {
			continue
		}
		i, ok := parseInt(v)
		if !ok || i < 1 || i > maxTopologyPart {
			return usageHint("-smp", k+"="+v, fmt.Sprintf("expects a number from 1 to %d", maxTopologyPart), "give the number of vCPUs, as in -smp 4")
		}
		n[k] = int(i)
	}
	for _, k := range []string{"clusters", "books", "drawers"} {
		if n[k] > 1 {
			return usageErr("-smp", "", "%s > 1 is not supported by q35", k)
		}
	}
	if n["modules"] > 1 && b.m.Release.Less(Version{Major: 9, Minor: 1}) {
		return usageErr("-smp", "", "modules > 1 is not supported before QEMU 9.1")
	}
	t := completeTopology(n, b.m.MachineVersion.Less(Version{Major: 6, Minor: 2}))
	switch total := t.Sockets * t.Dies * t.Modules * t.Cores * t.Threads; {
	case total != t.MaxCPUs:
		return usageErr("-smp", "", "sockets (%d) * dies (%d) * modules (%d) * cores (%d) * threads (%d) is not maxcpus (%d)",
			t.Sockets, t.Dies, t.Modules, t.Cores, t.Threads, t.MaxCPUs)
	case t.MaxCPUs < t.CPUs:
		return usageErr("-smp", "", "maxcpus (%d) is less than cpus (%d)", t.MaxCPUs, t.CPUs)
	case t.MaxCPUs > b.maxCPUs():
		return usageErr("-smp", "", "%d CPUs are more than the %d that %s supports", t.MaxCPUs, b.maxCPUs(), b.m.Type)
	}
	b.m.Topology = t
	return nil
}

// completeTopology fills in what is left out, which is 0. preferSockets is QEMU's way up to pc-q35-6.1.
func completeTopology(n map[string]int, preferSockets bool) Topology {
	t := Topology{CPUs: n["cpus"], MaxCPUs: n["maxcpus"], Sockets: n["sockets"], Dies: max(n["dies"], 1), Modules: max(n["modules"], 1),
		Cores: n["cores"], Threads: n["threads"]}
	outer := t.Dies * t.Modules
	if t.CPUs == 0 && t.MaxCPUs == 0 {
		t.Sockets, t.Cores, t.Threads = max(t.Sockets, 1), max(t.Cores, 1), max(t.Threads, 1)
		t.MaxCPUs = t.Sockets * outer * t.Cores * t.Threads
		t.CPUs = t.MaxCPUs
		return t
	}
	if t.MaxCPUs == 0 {
		t.MaxCPUs = t.CPUs
	}
	if t.CPUs == 0 {
		t.CPUs = t.MaxCPUs
	}
	switch {
	case t.Sockets == 0 && (preferSockets || t.Cores != 0):
		t.Cores, t.Threads = max(t.Cores, 1), max(t.Threads, 1)
		t.Sockets = t.MaxCPUs / (outer * t.Cores * t.Threads)
	case t.Cores == 0:
		t.Sockets, t.Threads = max(t.Sockets, 1), max(t.Threads, 1)
		t.Cores = t.MaxCPUs / (t.Sockets * outer * t.Threads)
	}
	if d := t.Sockets * outer * t.Cores; t.Threads == 0 && d != 0 {
		t.Threads = t.MaxCPUs / d
	}
	return t
}

// maxCPUs is the machine type's limit. Follows QEMU 10.2, hw/i386/pc_q35.c.
func (b *builder) maxCPUs() int {
	switch v := b.m.MachineVersion; {
	case v.Less(Version{Major: 8, Minor: 1}):
		return 288
	case v.Less(Version{Major: 9}):
		return 1024
	}
	return 4096
}

// width returns the number of bits that n ids take.
func width(n int) int { return bits.Len(uint(n - 1)) }

// APICID returns the APIC id of the CPU with an index. Each level of the topology has a bit field just wide enough for
// it, so that ids have gaps where a count is no power of two. Follows QEMU 10.2, include/hw/i386/topology.h.
func (t Topology) APICID(index int) uint32 {
	id, shift := 0, 0
	for _, n := range []int{t.Threads, t.Cores, t.Modules, t.Dies} {
		id |= index % n << shift
		index /= n
		shift += width(n)
	}
	return uint32(id | index<<shift)
}

// APICIDs returns the APIC ids of all possible CPUs in QEMU's order, those present at start first.
func (m *Machine) APICIDs() []uint32 {
	ids := make([]uint32, m.Topology.MaxCPUs)
	for i := range ids {
		ids[i] = m.Topology.APICID(i)
	}
	return ids
}

// socketOf returns the socket of the CPU with an index.
func (t Topology) socketOf(index int) int { return index / (t.Dies * t.Modules * t.Cores * t.Threads) }
