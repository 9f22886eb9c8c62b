package qemu

import (
	"fmt"
	"strings"
)

// cpuidFeatures are the bits of CPUID leaf 1 EDX by QEMU's names. Follows QEMU 10.2, target/i386/cpu.c,
// feature_word_info.
var cpuidFeatures = map[string]uint{
	"fpu": 0, "vme": 1, "de": 2, "pse": 3, "tsc": 4, "msr": 5, "pae": 6, "mce": 7, "cx8": 8, "apic": 9, "sep": 11,
	"mtrr": 12, "pge": 13, "mca": 14, "cmov": 15, "pat": 16, "pse36": 17, "pn": 18, "clflush": 19, "ds": 21, "acpi": 22,
	"mmx": 23, "fxsr": 24, "sse": 25, "sse2": 26, "ss": 27, "ht": 28, "tm": 29, "ia64": 30, "pbe": 31,
}

const (
	cpuidHT = 1 << 28
	// tcgEDX is what TCG emulates of leaf 1 EDX. QEMU 10.2, target/i386/cpu.c, TCG_FEATURES; 7.2 has not HT.
	tcgEDX = 0x1fcbfbfd
	// tdEDX is what a TD has of leaf 1 EDX: the bits that are always 1 (QEMU 10.2, target/i386/kvm/tdx.c,
	// tdx_fixed1_bits), self-snoop and, by topology, HT. The SMBIOS table of a TD on an Emerald Rapids host under
	// QEMU 10.2 has just these (chutesai/tdx-measure, 262fa35c, src/smbios.rs).
	tdEDX = 0x1fa9fbff
	// tdFixedEDX are those of them that the TDX module sets whatever QEMU asks for, unless it is new, and that QEMU then
	// takes over (QEMU 10.2, target/i386/kvm/tdx.c, tdx_fixed1_bits and tdx_check_features).
	tdFixedEDX = tdEDX &^ (cpuidHT | 1<<27)
	// tcgPhysBits is TCG_PHYS_ADDR_BITS.
	tcgPhysBits = 40
	// tdPhysBits is what CPUID leaf 0x80000008 says on every processor with TDX, and so in a TD.
	tdPhysBits = 52
	// tdLeastGuestBits is the smaller of the two widths of guest addresses that a TD can have. Either is more than firmware uses.
	tdLeastGuestBits = 48
)

// cpuSettings are the properties of -cpu that reach a measurement.
type cpuSettings struct {
	model                   string
	vendor                  string
	family, mod, step       int // -1 is the model's
	set, clear              uint32
	hugePages               string // pdpe1gb, "" is the model's
	longMode                string
	physBits, guestPhysBits int
	physLimit               int
}

// readCPU reads -cpu: a model, then features as name=on, name=off, +name or -name. As in QEMU, +name is applied after
// name=, and -name after +name. Features that are in no measured word are passed over.
// Follows QEMU 10.2, target/i386/cpu.c, x86_cpu_parse_featurestr.
func (b *builder) readCPU() (cpuSettings, error) {
	s := cpuSettings{model: "qemu64", family: -1, mod: -1, step: -1}
	words := strings.Split(b.cpu, ",")
	if words[0] != "" {
		s.model = words[0]
	}
	var plus, minus []string
	flag := func(name string, on bool) {
		name = strings.ReplaceAll(name, "_", "-")
		switch bit, ok := cpuidFeatures[name]; {
		case ok && on:
			s.set, s.clear = s.set|1<<bit, s.clear&^(1<<bit)
		case ok:
			s.set, s.clear = s.set&^(1<<bit), s.clear|1<<bit
		case name == "pdpe1gb":
			s.hugePages = map[bool]string{true: "on", false: "off"}[on]
		case name == "lm" || name == "i64":
			s.longMode = map[bool]string{true: "on", false: "off"}[on]
		}
	}
	for _, w := range append(b.cpuGlobals(s.model), words[1:]...) {
		switch {
		case strings.HasPrefix(w, "+"):
			plus = append(plus, w[1:])
			continue
		case strings.HasPrefix(w, "-"):
			minus = append(minus, w[1:])
			continue
		}
		key, v, hasValue := strings.Cut(w, "=")
		key = strings.ReplaceAll(key, "_", "-")
		if !hasValue {
			v = "on"
		}
		if on, ok := parseBool(v); ok {
			flag(key, on)
		}
		if err := s.number(key, v); err != nil {
			return s, err
		}
		if err := checkUnmodelled(key, v); err != nil {
			return s, err
		}
		if key == "vendor" {
			if len(v) != 12 {
				return s, usageErr("-cpu", w, "a vendor has 12 characters")
			}
			s.vendor = v
		}
	}
	for _, n := range plus {
		flag(n, true)
	}
	for _, n := range minus {
		flag(n, false)
	}
	return s, nil
}

// checkUnmodelled refuses properties that change what firmware reads of the address bits.
func checkUnmodelled(key, v string) error {
	switch n, ok := parseUint(v); {
	case key == "xlevel" && (!ok || n < 0x80000008):
		return unsupportedErr("-cpu", key+"="+v, "firmware reads no address bits below CPUID level 0x80000008, which is not modelled")
	case key == "x-vendor-cpuid-only-v2":
		return unsupportedErr("-cpu", key+"="+v, "the vendor in CPUID leaf 0x80000000, by which firmware believes the address bits, is not modelled for it")
	}
	return nil
}

// checkTDBits refuses address bits other than the host's, and what else may not come to a TD as it is asked for. Follows QEMU 10.2, target/i386/kvm/tdx.c, tdx_check_features.
func (s *cpuSettings) checkTDBits() error {
	const why = "QEMU starts no TD with other address bits than the host's, which are %d on every processor with TDX"
	switch {
	case s.hugePages == "off":
		return unsupportedErr("-cpu", "pdpe1gb=off", "older TDX modules set it all the same, and firmware asks for it")
	case s.guestPhysBits != 0 && s.guestPhysBits < tdLeastGuestBits:
		return unsupportedErr("-cpu", fmt.Sprintf("guest-phys-bits=%d", s.guestPhysBits), "what the TDX module makes of less than %d is not known", tdLeastGuestBits)
	case s.physBits != 0 && s.physBits != tdPhysBits:
		return unsupportedErr("-cpu", fmt.Sprintf("phys-bits=%d", s.physBits), why, tdPhysBits)
	case s.physLimit != 0 && s.physLimit < tdPhysBits:
		return unsupportedErr("-cpu", fmt.Sprintf("host-phys-bits-limit=%d", s.physLimit), why, tdPhysBits)
	}
	return nil
}

// number reads a numeric property.
func (s *cpuSettings) number(key, v string) error {
	for _, f := range []struct {
		key    string
		field  *int
		lo, hi uint64
	}{
		{"family", &s.family, 0, 0xff + 0xf}, {"model", &s.mod, 0, 0xff}, {"stepping", &s.step, 0, 0xf},
		{"phys-bits", &s.physBits, 32, 52}, {"guest-phys-bits", &s.guestPhysBits, 32, 52}, {"host-phys-bits-limit", &s.physLimit, 32, 52},
	} {
		if f.key != key {
			continue
		}
		n, ok := parseUint(v)
		if !ok || n > f.hi || n < f.lo && n != 0 {
			return usageErr("-cpu", key+"="+v, "expects a number from %d to %d", f.lo, f.hi)
		}
		*f.field = int(n)
	}
	return nil
}

// signature encodes family, model and stepping as CPUID leaf 1 EAX does.
func signature(family, model, stepping int) uint32 {
	v := uint32(stepping&15) | uint32(model&15)<<4 | uint32(model>>4)<<16
	if family > 15 {
		return v | 15<<8 | uint32(family-15)<<20
	}
	return v | uint32(family)<<8
}

// kvm reports whether the guest runs under KVM: it was said, or it is a TD and nothing was said. A plain guest without
// -accel is emulated.
func (b *builder) kvm() bool { return b.accel == "kvm" || b.accel == "" && b.m.TDX }

// resolveCPU reads -cpu and works out what a guest's firmware sees of it.
func (b *builder) resolveCPU() error {
	s, err := b.readCPU()
	if err != nil {
		return err
	}
	c := &b.m.CPU
	c.Model, c.GuestPhysBits = s.model, s.guestPhysBits
	c.Vendor = vendorIntel // and under KVM the host's, which has TDX
	model, named := modelByName(s.model, b.m.MachineVersion)
	switch {
	case s.model == "host" || s.model == "max" && b.kvm():
		err = b.hostCPU(s)
	case s.model == "max":
		b.maxCPU(s)
	case named:
		b.namedCPU(s, model)
	case !b.m.TDX || !b.kvm():
		return unknownErr("-cpu", s.model, "unknown processor: where firmware and QEMU put memory depends on it", nearest(s.model, cpuNames()))
	default:
		c.Why = fmt.Sprintf("CPUID of -cpu %s is not known", s.model)
		if hint := nearest(s.model, cpuNames()); hint != "" {
			c.Why += ": " + hint
		}
	}
	if err != nil {
		return err
	}
	if b.m.TDX && b.kvm() {
		// Whatever the model, the TDX module gives a TD these.
		c.Vendor, c.NoHugePages1G, c.PhysBits = vendorIntel, false, tdPhysBits
		if err := s.checkTDBits(); err != nil {
			return err
		}
	}
	if s.vendor != "" {
		c.Vendor = s.vendor
	}
	if s.physBits != 0 {
		c.PhysBits = s.physBits
	}
	if s.hugePages != "" {
		c.NoHugePages1G = s.hugePages == "off"
	}
	if b.opts.PhysBits != 0 {
		c.PhysBits = b.opts.PhysBits
	}
	if b.opts.CPUID != nil {
		return b.givenCPUID(s, *b.opts.CPUID)
	}
	return nil
}

// givenCPUID takes CPUID leaf 1 from the caller, who may have read it in a guest of another shape or on the host. HT is
// QEMU's to set by the topology where it is in the features at all: KVM tells no guest of it.
func (b *builder) givenCPUID(s cpuSettings, id CPUID) error {
	if b.m.TDX && b.kvm() && !b.m.Traits.TDFeaturesOwn && id.EDX&^tdEDX != 0 {
		return &OptionError{Option: "--cpuid", Arg: fmt.Sprintf("%#08x,%#08x", id.EAX, id.EDX), Err: ErrUsage,
			Msg:  fmt.Sprintf("EDX has bits %#x, which no TD has", id.EDX&^tdEDX),
			Hint: "give what CPUID says in a TD, not on the host, or name the host's processor with --host-cpu"}
	}
	if !b.m.Traits.HTNotInFeatures {
		id.EDX = id.EDX&^cpuidHT | s.set&cpuidHT | b.topologyHT()
	}
	c := &b.m.CPU
	c.Known, c.EAX, c.EDX, c.Why = true, id.EAX, id.EDX, ""
	return nil
}

// topologyHT returns the HT bit, which QEMU sets in packages of more than one thread.
// Follows QEMU 10.2, target/i386/cpu.c, x86_cpu_expand_features.
func (b *builder) topologyHT() uint32 {
	t := b.m.Topology
	if !b.m.Traits.HTNotInFeatures && t.Dies*t.Modules*t.Cores*t.Threads > 1 {
		return cpuidHT
	}
	return 0
}

// override replaces family, model and stepping by those that were given.
func (s cpuSettings) override(family, model, stepping int) uint32 {
	if s.family >= 0 {
		family = s.family
	}
	if s.mod >= 0 {
		model = s.mod
	}
	if s.step >= 0 {
		stepping = s.step
	}
	return signature(family, model, stepping)
}

// hostCPU is -cpu host, or max under KVM: the host's family, model and stepping, and every feature that a guest can have.
// Follows QEMU 10.2, target/i386/host-cpu.c, host_cpu_instance_init, and target/i386/kvm/tdx.c.
func (b *builder) hostCPU(s cpuSettings) error {
	c := &b.m.CPU
	if !b.kvm() && s.model == "host" {
		return usageErr("-cpu", "host", "needs -accel kvm")
	}
	if b.opts.HostCPU == "" {
		c.Why = "-cpu " + s.model + " passes on the host's CPUID; say which processor it is with --host-cpu, or give --cpuid"
		return nil
	}
	h, ok := hostByName(b.opts.HostCPU)
	if !ok {
		return unknownErr("--host-cpu", b.opts.HostCPU, "unknown processor", "known: "+strings.Join(HostCPUs(), ", "))
	}
	if !b.m.TDX {
		c.Why = "which features the host's KVM gives a guest that is no TD is not known; give --cpuid"
		return nil
	}
	if b.m.Traits.TDFeaturesOwn {
		c.Why = fmt.Sprintf("which features a TD has under QEMU %s, before TDX was upstream, is not known; give --cpuid", b.m.Release)
		return nil
	}
	if off := s.clear & tdFixedEDX; off != 0 {
		c.Why = fmt.Sprintf("-cpu turns off bits %#x of CPUID leaf 1 EDX, which older TDX modules set all the same; give --cpuid", off)
		return nil
	}
	family := h.family
	c.EAX = s.override(family, h.model, h.stepping)
	c.EDX = (tdEDX&^cpuidHT | s.set&tdEDX) &^ s.clear
	c.EDX |= b.topologyHT()
	c.Known = true
	return nil
}

// maxCPU is -cpu max under TCG: all that TCG emulates. Its vendor is AMD, and its family changed with releases.
// Follows QEMU 10.2, target/i386/cpu.c, max_x86_cpu_initfn and max_x86_cpu_realize, where features are not yet filled in
// when the family is chosen, so that it is that of a 32-bit processor.
func (b *builder) maxCPU(s cpuSettings) {
	c := &b.m.CPU
	c.Vendor = vendorAMD
	c.EDX = (tcgEDX&^cpuidHT | s.set&tcgEDX) &^ s.clear
	c.EDX |= b.topologyHT()
	c.NoLongMode = s.longMode == "off"
	c.PhysBits = b.addressBits()
	c.Known = true
	switch v := b.m.Release; {
	case v.Less(Version{Major: 8}):
		c.EAX = s.override(15, 107, 1)
	case s.family > 0:
		c.EAX = s.override(0, 0, 0)
	case v.Less(Version{Major: 9}):
		c.Known, c.Why = false, fmt.Sprintf("the family of -cpu max in QEMU %s is not known; give family=, model= and stepping=", v)
	default:
		c.EAX = signature(6, 6, 3)
	}
}

// namedCPU is a model of QEMU's table, less what the accelerator cannot do.
func (b *builder) namedCPU(s cpuSettings, m cpuModel) {
	c := &b.m.CPU
	c.EAX = s.override(m.Family, m.Model, m.Stepping)
	if m.Vendor != "" && !b.kvm() {
		c.Vendor = m.Vendor
	}
	c.NoHugePages1G = !m.HugePages
	c.EDX = (m.EDX | s.set) &^ s.clear
	c.EDX |= b.topologyHT()
	c.Known = true
	c.NoLongMode = s.longMode == "off" || s.longMode == "" && !m.LongMode
	c.PhysBits = b.addressBits()
	switch {
	case !b.kvm() && b.m.Traits.HTNotInFeatures && s.set&cpuidHT != 0:
		b.oldHT()
	case !b.kvm():
		c.EDX &= tcgEDX
	case b.m.TDX:
		// QEMU 10.2, target/i386/kvm/tdx.c, tdx_cpu_instance_init refuses these; what older builds made of them was not seen.
		c.Known, c.Why = false, "a TD has -cpu host, and which features of "+s.model+" it would keep is not known; give --cpuid"
	case c.EDX&^kvmEDX != 0:
		c.Known, c.Why = false, "the model has features that KVM may refuse; give --cpuid"
	}
}

// addressBits returns the physical address bits of a processor of which phys-bits= says nothing.
func (b *builder) addressBits() int {
	if !b.m.CPU.NoLongMode {
		return tcgPhysBits
	}
	return b.physBits32(b.m.CPU.EDX)
}

// physBits32 returns the address bits of a processor without long mode: 36 with PSE36 and, in newer releases, with PAE.
// Follows QEMU 10.2, target/i386/cpu.c, x86_cpu_realizefn; 7.2.22 and 10.0.13 were seen, which release changed it was not.
func (b *builder) physBits32(edx uint32) int {
	const pae, pse36 = 1 << 6, 1 << 17
	v := b.m.Release
	switch {
	case edx&pse36 != 0:
		return 36
	case edx&pae == 0:
		return 32
	case v.Less(Version{Major: 8}):
		return 32
	case v.Less(Version{Major: 10}):
		return 0
	}
	return 36
}

// oldHT masks a model under TCG where HT was asked for by name: 7.2.22 does not emulate it, 10.0 does, and what was
// between was not seen.
func (b *builder) oldHT() {
	c := &b.m.CPU
	c.EDX &= tcgEDX &^ cpuidHT
	if !b.m.Release.Less(Version{Major: 8}) {
		c.Known, c.Why = false, "whether QEMU "+b.m.Release.String()+" emulates HT is not known; give --cpuid"
	}
}

// kvmEDX is what KVM gives a guest of leaf 1 EDX on any recent processor (Linux 6.12, arch/x86/kvm/cpuid.c,
// kvm_set_cpu_caps), and HT, which QEMU adds.
const kvmEDX = 0x1f8bfbff
