package qemu

import (
	"slices"
	"strconv"
	"strings"
)

// A cpuModel is a row of QEMU's table of processors, as far as SMBIOS and firmware see it.
type cpuModel struct {
	Name                    string
	Vendor                  string // empty is GenuineIntel
	Family, Model, Stepping int
	EDX                     uint32 // CPUID leaf 1
	HugePages               bool   // pdpe1gb
	LongMode                bool
	Versions                int // the newest "-vN", 0 where the model has none
	// Changes are what versions change, oldest first; each holds from its version on.
	Changes []cpuChange
	// Aliases name versions.
	Aliases map[string]int
}

// A cpuChange is what a version of a model changes of it. Values of -1 stay.
type cpuChange struct {
	Version         int
	Model, Stepping int
	Set             uint32 // bits of leaf 1 EDX
}

// The vendors, as CPUID leaf 0 names them. QEMU 10.2, target/i386/cpu.h, CPUID_VENDOR_.
const (
	vendorIntel   = "GenuineIntel"
	vendorAMD     = "AuthenticAMD"
	vendorHygon   = "HygonGenuine"
	vendorZhaoxin = "CentaurHauls"
)

// The features that most models have: those of a Pentium Pro with MTRR, CLFLUSH, MCA, PSE36, SSE2 and, but for QEMU's
// own models, VME.
const (
	edxQEMU64 = 0x078bfbfd
	edxUsual  = 0x078bfbff
	edxSnoop  = 0x0f8bfbff // with self-snoop
	ssBit     = 1 << 27
)

// cpuModels follows QEMU 10.2.2, target/i386/cpu.c, builtin_x86_defs; DiamondRapids and versions that came later are as
// 11.1.3 answers for them over QMP. What TCG keeps of them was compared with the SMBIOS tables of 7.2, 10.0.13 and 11.1.3.
var cpuModels = []cpuModel{
	{Name: "qemu64", Vendor: vendorAMD, Family: 15, Model: 107, Stepping: 1, EDX: edxQEMU64, LongMode: true},
	{Name: "phenom", Vendor: vendorAMD, Family: 16, Model: 2, Stepping: 3, EDX: edxUsual, HugePages: true, LongMode: true},
	{Name: "core2duo", Family: 6, Model: 15, Stepping: 11, EDX: 0x0fcbfbff, LongMode: true},
	{Name: "kvm64", Family: 15, Model: 6, Stepping: 1, EDX: edxUsual, LongMode: true},
	{Name: "qemu32", Family: 6, Model: 6, Stepping: 3, EDX: 0x0781abfd},
	{Name: "kvm32", Family: 15, Model: 6, Stepping: 1, EDX: edxUsual},
	{Name: "coreduo", Family: 6, Model: 14, Stepping: 8, EDX: 0x0fc9fbff},
	{Name: "n270", Family: 6, Model: 28, Stepping: 2, EDX: 0x0fc9fbff},
	{Name: "Conroe", Family: 6, Model: 15, Stepping: 3, EDX: edxUsual, LongMode: true},
	{Name: "Penryn", Family: 6, Model: 23, Stepping: 3, EDX: edxUsual, LongMode: true},
	{Name: "Nehalem", Family: 6, Model: 26, Stepping: 3, EDX: edxUsual, LongMode: true, Versions: 2, Aliases: map[string]int{"Nehalem-IBRS": 2}},
	{Name: "Westmere", Family: 6, Model: 44, Stepping: 1, EDX: edxUsual, LongMode: true, Versions: 2, Aliases: map[string]int{"Westmere-IBRS": 2}},
	{Name: "SandyBridge", Family: 6, Model: 42, Stepping: 1, EDX: edxUsual, LongMode: true, Versions: 2, Aliases: map[string]int{"SandyBridge-IBRS": 2}},
	{Name: "IvyBridge", Family: 6, Model: 58, Stepping: 9, EDX: edxUsual, LongMode: true, Versions: 2, Aliases: map[string]int{"IvyBridge-IBRS": 2}},
	{Name: "Haswell", Family: 6, Model: 60, Stepping: 4, EDX: edxUsual, LongMode: true, Versions: 4,
		Changes: []cpuChange{{2, -1, 1, 0}, {3, -1, 4, 0}, {4, -1, 1, 0}},
		Aliases: map[string]int{"Haswell-noTSX": 2, "Haswell-IBRS": 3, "Haswell-noTSX-IBRS": 4}},
	{Name: "Broadwell", Family: 6, Model: 61, Stepping: 2, EDX: edxUsual, LongMode: true, Versions: 4,
		Aliases: map[string]int{"Broadwell-noTSX": 2, "Broadwell-IBRS": 3, "Broadwell-noTSX-IBRS": 4}},
	{Name: "Skylake-Client", Family: 6, Model: 94, Stepping: 3, EDX: edxUsual, LongMode: true, Versions: 4,
		Aliases: map[string]int{"Skylake-Client-IBRS": 2, "Skylake-Client-noTSX-IBRS": 3}},
	{Name: "Skylake-Server", Family: 6, Model: 85, Stepping: 4, EDX: edxUsual, HugePages: true, LongMode: true, Versions: 6,
		Aliases: map[string]int{"Skylake-Server-IBRS": 2, "Skylake-Server-noTSX-IBRS": 3}},
	{Name: "Cascadelake-Server", Family: 6, Model: 85, Stepping: 6, EDX: edxUsual, HugePages: true, LongMode: true, Versions: 7,
		Aliases: map[string]int{"Cascadelake-Server-noTSX": 3}},
	{Name: "Cooperlake", Family: 6, Model: 85, Stepping: 10, EDX: edxUsual, HugePages: true, LongMode: true, Versions: 2},
	{Name: "Icelake-Server", Family: 6, Model: 134, Stepping: 0, EDX: edxUsual, HugePages: true, LongMode: true, Versions: 9,
		Changes: []cpuChange{{4, 106, -1, 0}}, Aliases: map[string]int{"Icelake-Server-noTSX": 2}},
	{Name: "SapphireRapids", Family: 6, Model: 143, Stepping: 4, EDX: edxUsual, HugePages: true, LongMode: true, Versions: 8,
		Changes: []cpuChange{{3, -1, -1, ssBit}}},
	{Name: "GraniteRapids", Family: 6, Model: 173, Stepping: 0, EDX: edxUsual, HugePages: true, LongMode: true, Versions: 7,
		Changes: []cpuChange{{2, -1, 1, ssBit}}},
	{Name: "SierraForest", Family: 6, Model: 175, Stepping: 0, EDX: edxUsual, HugePages: true, LongMode: true, Versions: 6,
		Changes: []cpuChange{{2, -1, 3, ssBit}}},
	{Name: "ClearwaterForest", Family: 6, Model: 221, Stepping: 0, EDX: edxSnoop, HugePages: true, LongMode: true, Versions: 4},
	{Name: "DiamondRapids", Family: 19, Model: 1, Stepping: 0, EDX: edxSnoop, HugePages: true, LongMode: true, Versions: 2},
	{Name: "Denverton", Family: 6, Model: 95, Stepping: 1, EDX: edxUsual, HugePages: true, LongMode: true, Versions: 3},
	{Name: "Snowridge", Family: 6, Model: 134, Stepping: 1, EDX: edxUsual, HugePages: true, LongMode: true, Versions: 4},
	{Name: "KnightsMill", Family: 6, Model: 133, Stepping: 0, EDX: edxSnoop, HugePages: true, LongMode: true},
	{Name: "Opteron_G1", Vendor: vendorAMD, Family: 15, Model: 6, Stepping: 1, EDX: edxUsual, LongMode: true},
	{Name: "Opteron_G2", Vendor: vendorAMD, Family: 15, Model: 6, Stepping: 1, EDX: edxUsual, LongMode: true},
	{Name: "Opteron_G3", Vendor: vendorAMD, Family: 16, Model: 2, Stepping: 3, EDX: edxUsual, LongMode: true},
	{Name: "Opteron_G4", Vendor: vendorAMD, Family: 21, Model: 1, Stepping: 2, EDX: edxUsual, HugePages: true, LongMode: true},
	{Name: "Opteron_G5", Vendor: vendorAMD, Family: 21, Model: 2, Stepping: 0, EDX: edxUsual, HugePages: true, LongMode: true},
	{Name: "EPYC", Vendor: vendorAMD, Family: 23, Model: 1, Stepping: 2, EDX: edxUsual, HugePages: true, LongMode: true, Versions: 5,
		Aliases: map[string]int{"EPYC-IBPB": 2}},
	{Name: "Dhyana", Vendor: vendorHygon, Family: 24, Model: 0, Stepping: 1, EDX: edxUsual, HugePages: true, LongMode: true, Versions: 2},
	{Name: "EPYC-Rome", Vendor: vendorAMD, Family: 23, Model: 49, Stepping: 0, EDX: edxUsual, HugePages: true, LongMode: true, Versions: 5},
	{Name: "EPYC-Milan", Vendor: vendorAMD, Family: 25, Model: 1, Stepping: 1, EDX: edxUsual, HugePages: true, LongMode: true, Versions: 4},
	{Name: "EPYC-Genoa", Vendor: vendorAMD, Family: 25, Model: 17, Stepping: 0, EDX: edxUsual, HugePages: true, LongMode: true, Versions: 3},
	{Name: "EPYC-Turin", Vendor: vendorAMD, Family: 26, Model: 0, Stepping: 0, EDX: edxUsual, HugePages: true, LongMode: true, Versions: 2},
	{Name: "YongFeng", Vendor: vendorZhaoxin, Family: 7, Model: 11, Stepping: 3, EDX: 0x0fcbfbff, HugePages: true, LongMode: true, Versions: 3,
		Changes: []cpuChange{{2, 91, -1, 0}}},
}

// modelByName returns the model of a name, "Name", "Name-vN" or an alias of a version, with the version's changes. A name
// alone is version 1. Machine types up to pc-q35-6.0 have another qemu64.
// Follows QEMU 10.2, target/i386/cpu.c, x86_cpu_apply_version_props, and hw/i386/pc.c, pc_compat_6_0.
func modelByName(name string, machine Version) (cpuModel, bool) {
	for _, m := range cpuModels {
		version := 0
		if name == m.Name {
			version = 1
		} else if v, ok := m.Aliases[name]; ok {
			version = v
		} else if n, ok := strings.CutPrefix(name, m.Name+"-v"); ok {
			if i, err := strconv.Atoi(n); err == nil && i >= 1 && (i <= m.Versions || i == 1) && strconv.Itoa(i) == n {
				version = i
			}
		}
		if version == 0 {
			continue
		}
		for _, c := range m.Changes {
			if c.Version > version {
				break
			}
			if c.Model >= 0 {
				m.Model = c.Model
			}
			if c.Stepping >= 0 {
				m.Stepping = c.Stepping
			}
			m.EDX |= c.Set
		}
		if m.Name == "qemu64" && machine.Less(Version{Major: 6, Minor: 1}) {
			m.Family, m.Model, m.Stepping = 6, 6, 3
		}
		return m, true
	}
	return cpuModel{}, false
}

// cpuNames returns the names of all models and versions' aliases.
func cpuNames() []string {
	names := []string{"host", "max"}
	for _, m := range cpuModels {
		names = append(names, m.Name)
		names = append(names, sortedKeys(m.Aliases)...)
	}
	return names
}

// A hostProcessor is a processor with TDX that -cpu host may pass on.
type hostProcessor struct {
	name                    string
	family, model, stepping int
}

// hostProcessors are the Xeons with TDX and their steppings: Intel's microcode release notes of 20241112, 20250211 and
// 20260811 (intel/Intel-Linux-Processor-Microcode-Data-Files, releasenote.md), column F-M-S. A name without stepping is
// the last one that Intel lists.
var hostProcessors = []hostProcessor{
	{"sapphire-rapids", 6, 0x8f, 8},
	{"sapphire-rapids-e3", 6, 0x8f, 6},
	{"sapphire-rapids-e4", 6, 0x8f, 7},
	{"sapphire-rapids-e5", 6, 0x8f, 8},
	{"emerald-rapids", 6, 0xcf, 2},
	{"emerald-rapids-a0", 6, 0xcf, 1},
	{"emerald-rapids-a1", 6, 0xcf, 2},
	{"granite-rapids", 6, 0xad, 1},
	{"granite-rapids-d", 6, 0xae, 1},
	{"sierra-forest", 6, 0xaf, 3},
}

// HostCPUs returns the names that ParseOptions.HostCPU takes.
func HostCPUs() []string {
	var names []string
	for _, h := range hostProcessors {
		names = append(names, h.name)
	}
	return names
}

// joiners takes out what joins the words of a processor's name.
var joiners = strings.NewReplacer("-", "", "_", "", " ", "")

// hostByName finds a processor, whatever the case and whether words are joined by dashes, blanks or nothing.
func hostByName(name string) (hostProcessor, bool) {
	want := joiners.Replace(strings.ToLower(name))
	i := slices.IndexFunc(hostProcessors, func(h hostProcessor) bool { return joiners.Replace(h.name) == want })
	if i < 0 {
		return hostProcessor{}, false
	}
	return hostProcessors[i], true
}
