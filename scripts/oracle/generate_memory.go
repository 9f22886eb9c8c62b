package main

import (
	"encoding/binary"
	"fmt"
)

// numa splits memory and CPUs among nodes.
func (g *generator) numa(nodes int) {
	g.nodes = nodes
	g.hmat = g.chance(25)
	if g.hmat {
		g.add("machine", "hmat=on")
	}
	rest := g.mib
	style := g.IntN(4) // how CPUs are given out
	withCPU := []int{0}
	for i := range nodes {
		part := rest
		if i < nodes-1 {
			part = min(rest, max(2, rest/uint64(nodes-i)&^1))
		}
		rest -= part
		id := fmt.Sprintf("node%d", i)
		g.backend(id, part)
		words := []string{"node", g.maybe(70, "nodeid=%d", i), "memdev=" + id}
		lo, hi := i*g.cpus/nodes, (i+1)*g.cpus/nodes-1
		switch {
		case style == 1 && lo == hi:
			words = append(words, fmt.Sprintf("cpus=%d", lo))
		case style == 1 && lo < hi:
			words = append(words, fmt.Sprintf("cpus=%d-%d", lo, hi))
		case style == 1 || i > 0 && style == 3:
			if g.hmat {
				words = append(words, "initiator=0")
			}
		case i == 0 && style == 3:
			words = append(words, fmt.Sprintf("cpus=0-%d", g.cpus-1))
		}
		if i > 0 && style == 1 && lo <= hi {
			withCPU = append(withCPU, i)
		}
		g.add("numa", words...)
	}
	if style == 2 {
		g.add("numa", "cpu", fmt.Sprintf("node-id=%d", g.IntN(nodes)), "socket-id=0")
	}
	if nodes > 1 && g.chance(50) {
		g.distances(nodes)
	}
	if g.hmat && (style == 1 || style == 3) {
		g.speeds(nodes, withCPU)
	}
}

// distances makes -numa dist, in one direction or both.
func (g *generator) distances(nodes int) {
	both := g.chance(30)
	for i := range nodes {
		for j := range nodes {
			if i < j || both && i != j {
				g.add("numa", "dist", fmt.Sprintf("src=%d", i), fmt.Sprintf("dst=%d", j), fmt.Sprintf("val=%d", 11+g.IntN(200)))
			}
		}
	}
}

// speeds makes -numa hmat-lb and hmat-cache.
func (g *generator) speeds(nodes int, initiators []int) {
	level := pick(g, "memory", "memory", "first-level", "second-level")
	for _, kind := range []string{pick(g, "access", "read"), "write"} {
		for i, from := range initiators {
			for to := range nodes {
				if i > 0 && g.chance(20) {
					continue
				}
				pair := []string{"hmat-lb", fmt.Sprintf("initiator=%d", from), fmt.Sprintf("target=%d", to), "hierarchy=" + level}
				g.add("numa", append(pair, "data-type="+kind+"-latency", fmt.Sprintf("latency=%d", 5*(1+g.IntN(40))))...)
				g.add("numa", append(pair, "data-type="+kind+"-bandwidth", fmt.Sprintf("bandwidth=%dM", 100*(1+g.IntN(200))))...)
			}
		}
		if g.chance(60) {
			break
		}
	}
	for i := range nodes {
		if g.chance(40) {
			g.add("numa", "hmat-cache", fmt.Sprintf("node-id=%d", i), fmt.Sprintf("size=%dK", 16*(1+g.IntN(64))), "level=1",
				"associativity="+pick(g, "none", "direct", "complex"), "policy="+pick(g, "none", "write-back", "write-through"), fmt.Sprintf("line=%d", pick(g, 0, 8, 64)))
		}
	}
}

// memoryDevices plugs memory into the area of -m maxmem.
func (g *generator) memoryDevices() {
	for range pick(g, 0, 0, 1, 1, 2, 3, 5) {
		size := pick[uint64](g, 64, 128, 256, 512, 1024, 2)
		if size > g.room {
			return
		}
		g.room -= size
		node := ""
		if g.nodes > 0 {
			node = g.maybe(60, "node=%d", g.IntN(g.nodes))
		}
		backend := g.name("mem")
		switch g.IntN(5) {
		case 0, 1:
			if g.slots--; g.slots < 0 {
				return
			}
			g.backend(backend, size)
			g.add("device", "pc-dimm", g.maybe(60, "id=%s", g.name("dimm")), "memdev="+backend, node, g.maybe(10, "slot=%d", g.slots))
		case 2, 3:
			if g.slots--; g.slots < 0 {
				return
			}
			if !g.taken["nvdimm"] {
				g.taken["nvdimm"] = true
				g.add("machine", "nvdimm=on")
			}
			g.backend(backend, size)
			g.add("device", "nvdimm", "id="+g.name("nv"), "memdev="+backend, node, g.maybe(15, "label-size=%s", "256K"), g.maybe(10, "unarmed=on"))
		default:
			g.backend(backend, size)
			driver, words := "virtio-pmem-pci", []string{}
			if g.chance(50) {
				driver, words = "virtio-mem-pci", []string{node, g.maybe(50, "requested-size=0"), g.maybe(20, "block-size=4M")}
			}
			g.add("device", append([]string{driver, "id=" + g.name("vm"), "memdev=" + backend}, append(g.on(g.busOf(rootBus, rootBus, portBus)), words...)...)...)
		}
	}
}

// userTables makes -acpitable.
func (g *generator) userTables() {
	if !g.chance(5) {
		return
	}
	for range 1 + g.IntN(2) {
		name := g.name("table")
		body := make([]byte, 1+g.IntN(60))
		for i := range body {
			body[i] = byte(g.IntN(256))
		}
		words := []string{g.maybe(30, "oem_id=%s", pick(g, "ACME", "SIXSIX")), g.maybe(30, "oem_table_id=%s", "LONGNAME"), g.maybe(30, "oem_rev=%d", 7),
			g.maybe(30, "asl_compiler_id=%s", "TEST"), g.maybe(30, "asl_compiler_rev=%d", 9), g.maybe(30, "rev=%d", 2)}
		if g.chance(60) {
			g.files[name] = body
			words = append(words, "sig="+pick(g, "TEST", "SSDT", "ABCD"), "data="+name)
		} else {
			header := append([]byte("USERl\x00\x00\x00\x02\x00OEMID_TABLEID_"), make([]byte, 12)...)
			binary.LittleEndian.PutUint32(header[4:], uint32(len(header)+len(body)))
			g.files[name] = append(header, body...)
			words = append(words, g.maybe(30, "sig=%s", "ELSE"), "file="+name)
		}
		g.add("acpitable", words...)
	}
}
