package main

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tdxkit/tdxkit/qemu"
)

// A generator makes one random shape. The same seed, number and release make the same shape.
type generator struct {
	*rand.Rand
	release qemu.Version
	tpm     bool // swtpm is installed

	options []option
	files   map[string][]byte
	n       int    // for names
	cpus    int    // maxcpus
	mib     uint64 // of RAM
	nodes   int
	hmat    bool
	buses   []*place
	taken   map[string]bool // devices of which a machine has one
	boots   map[int]bool
	indexes map[int]bool // acpi-index=
	reach   uint64       // the least end of the guest's addresses, in GiB
	slots   int          // of -m
	room    uint64       // what maxmem leaves for memory devices, in MiB
	chassis int
	scsi    []string // ids of devices with a SCSI bus
	usb     []string
	ide     []string
	serial  []string // of virtio-serial devices
	hda     []string
	nvme    []string
	rooted  []string       // ids of functions on pcie.0
	unnamed map[string]int // buses by kind that have the kind's name

	expanded bool // there is a pxb-pcie
	noSATA   bool
	noSlot0  bool // the hotplug controllers of bridges refuse slot 0
}

func newGenerator(r *rand.Rand, release qemu.Version, tpm bool) *generator {
	return &generator{
		Rand: r, release: release, tpm: tpm, files: map[string][]byte{},
		taken: map[string]bool{}, boots: map[int]bool{}, indexes: map[int]bool{}, unnamed: map[string]int{},
	}
}

// generate makes shape number n of a seed.
func generate(seed, n uint64, release qemu.Version, tpm bool) shape {
	g := newGenerator(rand.New(rand.NewPCG(seed, n)), release, tpm)
	g.machine()
	g.topology()
	g.memory()
	g.globals()
	g.expanded = g.chance(9)
	g.defaults()
	g.firmwareOptions()
	g.devices()
	g.cpu()
	g.smbios()
	g.respell()
	return shape{g.options, g.files}
}

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

// pick returns one of a list.
func pick[T any](g *generator, list ...T) T { return list[g.IntN(len(list))] }

// add adds an option. Words that are empty are left out, and properties that the release has not.
func (g *generator) add(name string, words ...string) {
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" || name == "device" && !g.knows(words[0], w) })
	g.options = append(g.options, option{name: name, words: words})
}

// someReleases are the properties that not every release has, of drivers whose names begin so.
var someReleases = []struct {
	driver, property string
	since, until     [2]int
}{
	{"pcie-root-port", "disable-acs", [2]int{}, [2]int{11, 0}}, {"ioh3420", "disable-acs", [2]int{}, [2]int{11, 0}},
	{"intel-iommu", "pt", [2]int{}, [2]int{11, 0}}, {"tpm-tis", "ppi", [2]int{}, [2]int{11, 0}},
	{"virtio-serial", "emergency-write", [2]int{}, [2]int{11, 0}}, {"amd-iommu", "xtsup", [2]int{10, 0}, [2]int{}},
	{"virtio-balloon", "vectors", [2]int{10, 0}, [2]int{}},
}

// knows reports whether the release has a property of a driver.
func (g *generator) knows(driver, word string) bool {
	for _, p := range someReleases {
		if strings.HasPrefix(driver, p.driver) && strings.HasPrefix(word, p.property+"=") {
			return g.within(p.since, p.until)
		}
	}
	return true
}

// within reports whether the release is one of those from since on and before until, where that is one.
func (g *generator) within(since, until [2]int) bool {
	return g.since(since[0], since[1]) && (until == [2]int{} || !g.since(until[0], until[1]))
}

// flag adds an option without an argument.
func (g *generator) flag(name string) { g.options = append(g.options, option{name: name}) }

// maybe returns a word in some percent of cases.
func (g *generator) maybe(percent int, format string, a ...any) string {
	if !g.chance(percent) {
		return ""
	}
	return fmt.Sprintf(format, a...)
}

// maybeOnOff returns a word that is on or off.
func (g *generator) maybeOnOff(percent int, key string) string {
	return g.maybe(percent, "%s=%s", key, pick(g, "on", "off"))
}

// name makes a name that nothing else has.
func (g *generator) name(prefix string) string {
	g.n++
	return fmt.Sprintf("%s%d", prefix, g.n)
}

// since reports whether the release is at least that.
func (g *generator) since(major, minor int) bool {
	return !g.release.Less(qemu.Version{Major: major, Minor: minor})
}

// types are the machine types of all releases.
var types = []qemu.Version{
	{Major: 5, Minor: 2}, {Major: 6}, {Major: 6, Minor: 1}, {Major: 6, Minor: 2}, {Major: 7}, {Major: 7, Minor: 1}, {Major: 7, Minor: 2},
	{Major: 8}, {Major: 8, Minor: 1}, {Major: 8, Minor: 2}, {Major: 9}, {Major: 9, Minor: 1}, {Major: 9, Minor: 2},
	{Major: 10}, {Major: 10, Minor: 1}, {Major: 10, Minor: 2}, {Major: 11}, {Major: 11, Minor: 1},
}

func (g *generator) machine() {
	name := "q35"
	if g.chance(45) {
		v := pick(g, types...)
		if !g.release.Less(v) {
			name = fmt.Sprintf("pc-q35-%d.%d", v.Major, v.Minor)
			g.noSlot0 = v.Less(qemu.Version{Major: 6, Minor: 1})
		}
	}
	words := []string{
		name, g.maybe(40, "smm=%s", pick(g, "on", "off", "auto")), g.maybe(30, "pic=%s", pick(g, "on", "off", "auto")),
		g.maybeOnOff(30, "hpet"), g.maybeOnOff(12, "i8042"), g.maybeOnOff(12, "sata"), g.maybeOnOff(12, "smbus"), g.maybeOnOff(12, "usb"),
		g.maybeOnOff(10, "nvdimm"), g.maybe(1, "acpi=off"), g.maybe(4, "acpi=%s", pick(g, "on", "auto")),
		g.maybe(5, "x-oem-id=%s", pick(g, "TDXKIT", "ABCDE", "a b c ")), g.maybe(5, "x-oem-table-id=%s", pick(g, "TABLE", "LONGTABL", "x")),
		g.maybe(7, "max-ram-below-4g=%s", pick(g, "1G", "2G", "3G", "1536M", "768M", "4G", "2000M")),
		g.maybe(8, "vmport=%s", pick(g, "on", "off", "auto")), g.maybe(6, "pit=%s", pick(g, "on", "off")), g.maybeOnOff(4, "graphics"),
		g.maybeOnOff(4, "mem-merge"), g.maybeOnOff(4, "dump-guest-core"), g.maybe(2, "suppress-vmdesc=on"),
		g.maybe(2, "default-bus-bypass-iommu=%s", pick(g, "on", "off")), g.maybe(6, "nvdimm-persistence=%s", pick(g, "cpu", "mem-ctrl")), g.maybe(1, "hmat=off"), g.maybe(3, "cxl=%s", pick(g, "on", "off")),
		g.maybe(2, "bus-lock-ratelimit=5"),
	}
	if g.since(8, 2) {
		words = append(words, g.maybe(2, "fd-bootchk=off"))
	}
	if g.since(11, 1) {
		words = append(words, g.maybeOnOff(8, "wdat"))
	}
	entry := []string{"32", "64"}
	if g.since(9, 0) {
		entry = append(entry, "auto")
	}
	words = append(words, g.maybe(10, "smbios-entry-point-type=%s", pick(g, entry...)))
	g.add(pick(g, "machine", "M"), words...)
	g.noSATA = slices.Contains(words, "sata=off")
	switch g.IntN(50) {
	case 0:
		g.flag("usb")
	case 1:
		g.add("usbdevice", pick(g, "tablet", "mouse"))
	}
	if g.chance(3) {
		g.add("accel", "tcg", g.maybe(50, "one-insn-per-tb=off"))
	}
	if g.chance(2) && !g.since(9, 0) {
		g.flag("no-hpet")
	}
}

// models are CPU models that every release has.
var models = []string{
	"qemu64", "kvm64", "phenom", "core2duo", "coreduo", "n270", "qemu32", "kvm32", "Conroe", "Penryn", "Nehalem", "Nehalem-IBRS",
	"Westmere", "SandyBridge", "IvyBridge-IBRS", "Haswell", "Haswell-noTSX", "Haswell-v3", "Broadwell", "Broadwell-noTSX-IBRS",
	"Skylake-Client", "Skylake-Client-v4", "Skylake-Server", "Skylake-Server-IBRS", "Skylake-Server-v5", "Cascadelake-Server",
	"Cascadelake-Server-v4", "Cooperlake", "Icelake-Server", "Icelake-Server-v5", "SapphireRapids", "Denverton", "Snowridge",
	"KnightsMill", "Opteron_G1", "Opteron_G3", "Opteron_G5", "EPYC", "EPYC-IBPB", "EPYC-v3", "EPYC-Rome", "EPYC-Milan", "Dhyana",
	"max", "EPYC-Genoa", "GraniteRapids", "SapphireRapids-v2", "SierraForest", "EPYC-Turin", "ClearwaterForest", "GraniteRapids-v2",
}

// oldModels are models whose address bits are in no table.
var oldModels = []string{"486", "pentium", "athlon", "base"}

func (g *generator) cpu() {
	need := max(36, 30+bits.Len64(g.reach))
	var widths []int
	for _, n := range []int{36, 39, 40, 41, 42, 43, 44, 45, 46, 46, 46, 46, 47, 48, 48, 48, 52, 52, 52, 52} {
		if n >= need || g.chance(1) {
			widths = append(widths, n)
		}
	}
	width := fmt.Sprintf("phys-bits=%d", pick(g, widths...))
	words := []string{"qemu64", "vendor=GenuineIntel", width, "+x2apic"}
	switch {
	case need <= 40 && g.cpus < 255 && g.chance(15):
		return // the default
	case g.chance(45):
		words = []string{pick(g, models...)}
		if g.chance(2) {
			words[0] = pick(g, oldModels...)
		}
		for newModels[words[0]] != [2]int{} && !g.since(newModels[words[0]][0], newModels[words[0]][1]) {
			words[0] = pick(g, models...)
		}
		if need > 40 || g.chance(40) {
			words = append(words, width)
		}
		words = append(words, g.maybe(20, "vendor=%s", pick(g, "GenuineIntel", "AuthenticAMD")), g.maybe(30, "+x2apic"))
		if slices.Contains(models32, words[0]) {
			words = slices.DeleteFunc(words, func(w string) bool { return w == width })
		}
	}
	if need > 40 && !g.chance(10) {
		words = append(words, "+pdpe1gb") // without which firmware uses 40 address bits
	}
	words = append(words, g.maybe(12, "%s", pick(g, "+pdpe1gb", "pdpe1gb=off", "pdpe1gb=on", "-pdpe1gb")),
		g.maybe(10, "%s", pick(g, "-ht", "+ht", "ss=off", "+ss", "-sse2", "tm=on", "-vme", "clflush=off", "+ds", "-mtrr")),
		g.maybe(6, "%s", pick(g, "-aes", "+avx", "hypervisor=off", "topoext=on", "l3-cache=off", "kvm=off", "check=off")),
		g.maybe(3, "family=%d", pick(g, 6, 15, 16, 25, 0)), g.maybe(3, "model=%d", pick(g, 1, 15, 106, 143, 255)), g.maybe(3, "stepping=%d", g.IntN(16)))
	g.add("cpu", words...)
	if g.chance(4) {
		class := pick(g, words[0]+"-x86_64-cpu", "x86_64-cpu", "kvm64-x86_64-cpu")
		g.add("global", class+"."+pick(g, "stepping=7", "pdpe1gb=on", "ss=off", "x2apic=on"))
	}
}

// newModels are the first releases that have some of them.
var newModels = map[string][2]int{
	"SapphireRapids": {8, 0}, "SapphireRapids-v2": {8, 1}, "EPYC-Genoa": {8, 1}, "GraniteRapids": {8, 1}, "SierraForest": {9, 0},
	"GraniteRapids-v2": {9, 2}, "ClearwaterForest": {10, 0}, "EPYC-Turin": {10, 1},
}

// models32 are the models whose address width cannot be set.
var models32 = []string{"coreduo", "n270", "qemu32", "kvm32", "486", "pentium", "athlon"}

// topology fills -smp so that the product is right.
func (g *generator) topology() {
	part := func(most int) int { return 1 + g.IntN(most) }
	dies, modules := 1, 1
	if g.chance(12) {
		dies = part(4)
	}
	if g.chance(8) && g.since(9, 1) {
		modules = part(3)
	}
	var sockets, cores, threads int
	switch n := g.IntN(100); {
	case n < 60:
		sockets, cores, threads = part(3), part(4), part(2)
	case n < 85:
		sockets, cores, threads = part(4), part(12), part(2)
	case n < 97:
		sockets, cores, threads = part(4), part(32), part(2)
	default:
		sockets, cores, threads = part(6), 24+part(40), part(2)
	}
	g.cpus = sockets * dies * modules * cores * threads
	present := g.cpus
	if g.chance(30) {
		present = part(g.cpus)
	}
	switch n := g.IntN(100); {
	case n < 5:
		g.cpus = 1
	case n < 35:
		g.add("smp", fmt.Sprint(g.cpus))
	case n < 50:
		g.add("smp", fmt.Sprintf("cpus=%d", present), fmt.Sprintf("maxcpus=%d", g.cpus))
	case n < 60:
		g.cpus = sockets * cores
		g.add("smp", fmt.Sprint(g.cpus), fmt.Sprintf("sockets=%d", sockets))
	default:
		words := []string{fmt.Sprintf("%s%d", pick(g, "", "cpus="), present), fmt.Sprintf("sockets=%d", sockets)}
		if dies > 1 {
			words = append(words, fmt.Sprintf("dies=%d", dies))
		}
		if modules > 1 {
			words = append(words, fmt.Sprintf("modules=%d", modules))
		}
		words = append(words, fmt.Sprintf("cores=%d", cores), fmt.Sprintf("threads=%d", threads))
		if present != g.cpus || g.chance(30) {
			words = append(words, fmt.Sprintf("maxcpus=%d", g.cpus))
		}
		g.add("smp", words...)
	}
}

// memory makes -m and -numa. Memory is not reserved on the host, so that any size will do.
func (g *generator) memory() {
	g.mib = pick[uint64](g, 128, 256, 512, 1024, 1536, 2047, 2048, 2049, 2560, 2814, 2815, 2816, 2818, 3072, 3500, 4096, 4098, 5120, 6144, 8192,
		12288, 16384, 32768, 33792, 65536, 98304, 262144, 786432, 999424, 1048576, 1126400, 2097152, 4194304)
	if g.chance(20) {
		g.mib = 128 + 2*g.Uint64N(40000)
	}
	nodes := 0
	if g.chance(18) {
		nodes = pick(g, 1, 1, 2, 2, 2, 3, 4, 8)
	}
	size := fmt.Sprintf("%d", g.mib)
	switch {
	case g.mib%1024 == 0 && g.chance(60):
		size = fmt.Sprintf("%dG", g.mib/1024)
	case g.chance(50):
		size += "M"
	}
	words := []string{pick(g, "", "size=") + size}
	g.reach = g.mib/1024 + 40
	if g.chance(18) {
		slots, more := pick(g, 1, 2, 3, 8, 16, 32, 100, 256), pick[uint64](g, 1024, 4096, 2048, 10240, 65536, 2, 1000000)
		words = append(words, g.maybe(90, "slots=%d", slots), fmt.Sprintf("maxmem=%dM", g.mib+more))
		g.reach += more/1024 + uint64(slots)
		g.slots, g.room = slots, more
		if !strings.Contains(strings.Join(words, ","), "slots=") {
			g.slots = 0
		}
	}
	g.add("m", words...)
	if nodes > 0 {
		g.numa(nodes)
		return
	}
	if g.mib > 2048 {
		g.backend("ram", g.mib)
		g.add("machine", "memory-backend=ram")
	}
}

// backend makes an object of memory.
func (g *generator) backend(id string, mib uint64) {
	g.add("object", "memory-backend-ram", "id="+id, fmt.Sprintf("size=%dM", mib), "reserve=off")
}
