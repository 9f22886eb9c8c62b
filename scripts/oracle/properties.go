package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tdxkit/tdxkit/qemu"
)

// sweepValues are the values that every property of a type is tried with, by QEMU's name of the type. Those of other
// types are names of backends and the like, of which the generator makes what there is.
var sweepValues = map[string][]string{
	"bool": {"on", "off"}, "OnOffAuto": {"on", "off", "auto"},
	"uint8": {"0", "1", "2", "3", "7", "0x10", "31", "200", "255"}, "uint16": {"0", "1", "2", "3", "010", "16", "64", "255", "256", "2000", "65535"},
	"uint32": {"0", "1", "2", "3", "010", "16", "33", "64", "255", "256", "2048", "4096", "65536", "2147483648", "4294967295"},
	"uint64": {"0", "1", "64", "4096", "1048576", "0x100000000", "1099511627776", "18446744073709551615"},
	"int32":  {"-1", "0", "0x0", "1", "3", "200"}, "int64": {"-1", "0", "1", "200"}, "int": {"-1", "0", "1", "3", "16", "200"},
	"size": {"0", "1", "4K", "1M", "3M", "4M", "64M", "4G", "1T", "18446744073709551615"}, "size32": {"0", "1", "512", "1024", "4096", "64k", "1M", "2M"},
	"PCIELinkSpeed": {"2_5", "5", "16", "32", "64"}, "PCIELinkWidth": {"1", "2", "12", "16", "32"}, "FdcDriveType": {"144"}, "ON_OFF_AUTO": {"on", "off"},
	"str": {"", "x", "0", "on", "a-somewhat-long-name-of-thirty-nine-letters"}, "OnOffSplit": {"on", "off", "split"}, "OffAutoPCIBAR": {"off", "auto", "bar0", "bar4"},
	"BlockdevOnError": {"auto", "stop", "ignore"}, "BiosAtaTranslation": {"none", "large"}, "EndianMode": {"big", "little"}, "GranuleMode": {"4k", "64k", "host"},
}

// notSwept are properties that name a place or another object, which the generator varies.
var notSwept = []string{"bus", "addr", "drive", "netdev", "chardev", "id", "bootindex", "memdev", "acpi-index"}

// A least source makes a generator choose nothing that is left to chance.
type least struct{}

func (least) Uint64() uint64 { return math.MaxUint64 }

// baseShape returns the plainest shape that has a driver, and which of its options is the device; false where the
// generator does not make it.
func baseShape(driver string, release qemu.Version, tpm bool) (shape, int, bool) {
	g := newGenerator(rand.New(least{}), release, tpm)
	g.add("machine", "q35", "nvdimm=on")
	g.add("smp", "2")
	g.add("m", "size=1024M", "slots=2", "maxmem=3072M")
	g.flag("nodefaults")
	g.mib, g.cpus, g.slots, g.room = 1024, 2, 2, 2048
	g.addBus("pcie.0", rootBus)
	at := func() int {
		return slices.IndexFunc(g.options, func(o option) bool { return o.name == "device" && o.words[0] == driver })
	}
	base := strings.TrimSuffix(strings.TrimSuffix(driver, "-non-transitional"), "-transitional")
	if _, out := notGenerated[base]; out || driver == "vmclock" && !g.since(10, 0) {
		return shape{}, 0, false
	}
	for _, k := range endpointKinds {
		if k.driver == driver && g.within(k.since, k.until) {
			g.put(k, []string{"bus=pcie.0"})
			return shape{g.options, g.files}, at(), true
		}
	}
	for _, k := range otherKinds {
		if k.driver != driver {
			continue
		}
		for _, host := range []string{"virtio-scsi-pci", "virtio-serial-pci", "nvme", "ich9-ahci", "qemu-xhci", "intel-hda"} {
			i := slices.IndexFunc(endpointKinds, func(k endpointKind) bool { return k.driver == host })
			g.put(endpointKinds[i], []string{"bus=pcie.0"})
		}
		words := k.words(g)
		if words == nil {
			return shape{}, 0, false
		}
		g.add("device", append([]string{driver}, words...)...)
		return shape{g.options, g.files}, at(), true
	}
	if !g.bridgeOf(driver) {
		return shape{}, 0, false
	}
	return shape{g.options, g.files}, at(), true
}

// bridgeOf adds a port, bridge, switch or expander, or a memory device, and something behind what has a bus.
func (g *generator) bridgeOf(driver string) bool {
	behind := func(id string) { g.add("device", "virtio-rng-pci-transitional", "bus="+id, "addr="+pick(g, "1")) }
	switch driver {
	case "pcie-root-port", "ioh3420":
		g.add("device", driver, "id=rp", "bus=pcie.0", "chassis=1")
		g.add("device", "virtio-rng-pci-transitional", "bus=rp")
	case "x3130-upstream", "xio3130-downstream":
		g.add("device", "x3130-upstream", "id=up", "bus=pcie.0")
		g.add("device", "xio3130-downstream", "id=down", "bus=up", "chassis=1")
		g.add("device", "virtio-rng-pci-transitional", "bus=down")
	case "pci-bridge":
		g.add("device", driver, "id=br", "bus=pcie.0", "chassis_nr=1")
		behind("br")
	case "pcie-pci-bridge", "i82801b11-bridge":
		g.add("device", driver, "id=br", "bus=pcie.0")
		behind("br")
	case "pxb-pcie":
		g.add("device", driver, "id=pxb", "bus=pcie.0", "bus_nr=64")
		g.add("device", "pcie-root-port", "id=rp", "bus=pxb", "chassis=1")
		g.add("device", "virtio-rng-pci-transitional", "bus=rp")
	case "pc-dimm", "nvdimm":
		g.backend("mem", 512)
		g.add("device", driver, "memdev=mem")
	case "virtio-mem-pci", "virtio-pmem-pci":
		g.backend("mem", 512)
		g.add("device", driver, "memdev=mem", "bus=pcie.0")
	default:
		return false
	}
	return true
}

// sweep tries every property of every driver with some values, one at a time, and judges each.
func (r *report) sweep() error {
	properties, err := r.e.properties(qemu.Drivers())
	if err != nil {
		return err
	}
	release, _ := qemu.ParseVersion(r.e.release)
	n := uint64(0)
	tried := map[string]int{}
	for _, driver := range qemu.Drivers() {
		if r.o.driver != "" && r.o.driver != driver {
			continue
		}
		s, at, ok := baseShape(driver, release, r.o.tpm)
		if !ok {
			fmt.Fprintln(r.w, "left out:", driver)
			continue
		}
		if j := r.e.judge(s, r.o.files); j.outcome != equal {
			r.note(n, s, j)
			fmt.Fprintf(r.w, "%s alone: %s %v %v\n    %s\n", driver, outcomeNames[j.outcome], j.err, j.differences, quote(s.args()))
			n++
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(properties[driver])) {
			if tried[name]++; slices.Contains(notSwept, name) || tried[name] > r.o.each {
				continue
			}
			for _, v := range sweepValues[properties[driver][name]] {
				words := append(slices.Clone(s.options[at].words), name+"="+v)
				r.one(n, s.withWords(at, words))
				n++
			}
		}
	}
	return nil
}

// properties asks QEMU which properties drivers have, and of which type.
func (e *emulator) properties(drivers []string) (map[string]map[string]string, error) {
	v, err := e.start(given([]string{"-machine", "none"}), files{})
	if err != nil {
		return nil, err
	}
	defer v.stop()
	q, err := v.openQMP()
	if err != nil {
		return nil, err
	}
	out := map[string]map[string]string{}
	for _, d := range drivers {
		answer, err := q.ask("device-list-properties", map[string]any{"typename": d})
		if err != nil {
			continue // a driver that this QEMU has not
		}
		var list []struct{ Name, Type string }
		if err := json.Unmarshal(answer, &list); err != nil {
			return nil, err
		}
		out[d] = map[string]string{}
		for _, p := range list {
			out[d][p.Name] = p.Type
		}
	}
	return out, nil
}
