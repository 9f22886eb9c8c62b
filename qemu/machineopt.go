package qemu

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// readMachine notes -machine. Repeated options merge, the later value of a key holding.
// Follows QEMU 10.2, system/vl.c, machine_merge_property and parse_memory_options, and util/keyval.c, keyval_parse.
func (b *builder) readMachine(arg string) error {
	if arg == "" {
		return usageErr("-machine", arg, "is empty")
	}
	p, err := parseKeyval("-machine", arg, "type")
	if err != nil {
		return err
	}
	for _, kv := range p {
		// What -smp and -boot say is merged into the same groups where it stands, so that the last of both holds.
		switch group, rest, _ := strings.Cut(kv.Key, "."); group {
		case "smp":
			b.smp = b.smp.set(rest, kv.Value)
		case "boot":
			b.boot = b.boot.set(rest, kv.Value)
		default:
			b.machine[strings.ReplaceAll(kv.Key, "_", "-")] = kv.Value
		}
	}
	return nil
}

// parseKeyval reads an option that may be JSON or words that all have a value.
func parseKeyval(option, arg, implied string) (props, error) {
	if strings.HasPrefix(arg, "{") {
		return parseJSONProps(option, arg)
	}
	return parseWords(option, arg, implied)
}

// parseWords reads the stricter of QEMU's two option grammars, where every word but the first has a value.
// Follows QEMU 10.2, util/keyval.c, keyval_parse.
func parseWords(option, arg, implied string) (props, error) {
	p := parseProps(arg, implied)
	for rest, first := arg, true; rest != ""; first = false {
		word, tail, _ := value(rest)
		if !strings.Contains(word, "=") && !(first && implied != "") {
			return nil, usageErr(option, arg, "%q has no value", word)
		}
		rest = tail
	}
	return p, nil
}

// accelKeys are the properties of KVM and TCG. QEMU 10.2, accel/kvm/kvm-all.c, target/i386/kvm/kvm.c and
// accel/tcg/tcg-all.c. Of them only the place of the interrupt controllers reaches a table.
var accelKeys = []string{"accel", "kernel-irqchip", "kvm-shadow-mem", "dirty-ring-size", "eager-split-size", "notify-vmexit", "notify-window",
	"device", "xen-version", "xen-gnttab-max-frames", "xen-evtchn-max-pirq", "honor-guest-pat", "thread", "tb-size", "split-wx", "one-insn-per-tb"}

// accelerators are those of which it is known what they leave of a CPU; qtest runs no guest code.
var accelerators = []string{"", "kvm", "tcg", "qtest"}

// readAccel notes -accel. Of several the first that works is taken; the first is what is taken here.
func (b *builder) readAccel(arg string) error {
	p := parseProps(arg, "accel")
	if err := checkKeys("-accel", arg, p, accelKeys...); err != nil {
		return err
	}
	if b.accel == "" {
		b.accel, b.irqchip = p.str("accel"), p.str("kernel-irqchip")
	}
	return nil
}

// readShim notes -shim.
func (b *builder) readShim(arg string) error {
	if b.m.Release.Less(Version{Major: 10}) {
		return usageErr("-shim", arg, "QEMU %s has no such option, 10.0 and later have", b.m.Release)
	}
	b.machine["shim"] = arg
	return nil
}

// removed reads a short form of a machine property that a release dropped.
func (b *builder) removed(name, property string, since Version) error {
	if !b.m.Release.Less(since) {
		return usageErr("-"+name, "", "QEMU %s has no such option; use -machine %s=off", b.m.Release, property)
	}
	b.machine[property] = "off"
	return nil
}

// readUUID notes -uuid.
func (b *builder) readUUID(arg string) error {
	if !isUUID(arg) {
		return usageErr("-uuid", arg, "is not a UUID")
	}
	b.m.SMBIOS.UUID = strings.ToLower(arg)
	return nil
}

// isUUID reports whether s is 8-4-4-4-12 hexadecimal digits.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		hex := s[i] >= '0' && s[i] <= '9' || s[i] >= 'a' && s[i] <= 'f' || s[i] >= 'A' && s[i] <= 'F'
		if dash != (s[i] == '-') || !dash && !hex {
			return false
		}
	}
	return true
}

// A machineProperty is one property of -machine.
type machineProperty struct {
	Name string
	Why  string
	Set  func(b *builder, v string) error // nil where the property cannot reach a measurement
}

// onOff returns a setter of a boolean.
func onOff(name string, field func(*Machine) *bool) func(*builder, string) error {
	return func(b *builder, v string) error {
		on, ok := parseBool(v)
		if !ok {
			return usageErr("-machine", name+"="+v, "expects on or off")
		}
		*field(b.m) = on
		return nil
	}
}

// onOffAuto is onOff for a property where auto keeps the default.
func onOffAuto(name string, field func(*Machine) *bool) func(*builder, string) error {
	return func(b *builder, v string) error {
		if v == "auto" {
			return nil
		}
		return onOff(name, field)(b, v)
	}
}

// text returns a setter of a string of at most n bytes that shorter strings are padded to with blanks.
func text(name string, n int, field func(*Machine) *string) func(*builder, string) error {
	return func(b *builder, v string) error {
		if len(v) > n {
			return usageErr("-machine", name+"="+v, "is longer than %d bytes", n)
		}
		*field(b.m) = v
		return nil
	}
}

// machineProperties is every property of a q35 machine: QEMU 10.2, hw/core/machine.c, hw/i386/x86.c and hw/i386/pc.c.
var machineProperties = []machineProperty{
	{"type", "machine type", func(*builder, string) error { return nil }},
	{"accel", "accelerator", func(b *builder, v string) error { b.machineAccel(v); return nil }},
	{"smm", "FADT", onOffAuto("smm", func(m *Machine) *bool { return &m.SMM })},
	{"pic", "MADT", onOffAuto("pic", func(m *Machine) *bool { return &m.PIC })},
	{"pit", "a timer that no table names", nil},
	{"hpet", "HPET table and DSDT", onOff("hpet", func(m *Machine) *bool { return &m.HPET })},
	{"i8042", "DSDT and FADT", onOff("i8042", func(m *Machine) *bool { return &m.I8042 })},
	{"sata", "built-in AHCI function", onOff("sata", func(m *Machine) *bool { return &m.SATA })},
	{"smbus", "built-in SMBus function", onOff("smbus", func(m *Machine) *bool { return &m.SMBus })},
	{"usb", "built-in USB functions", onOff("usb", func(m *Machine) *bool { return &m.USB })},
	{"nvdimm", "NVDIMM tables", onOff("nvdimm", func(m *Machine) *bool { return &m.NVDIMM })},
	{"acpi", "all tables", func(b *builder, v string) error {
		on := true
		err := onOffAuto("acpi", func(*Machine) *bool { return &on })(b, v)
		b.m.ACPIOff = !on
		return err
	}},
	{"x-oem-id", "table headers", text("x-oem-id", 6, func(m *Machine) *string { return &m.OEMID })},
	{"x-oem-table-id", "table headers", text("x-oem-table-id", 8, func(m *Machine) *string { return &m.OEMTableID })},
	{"max-ram-below-4g", "memory split", (*builder).setMaxRAMBelow4G},
	{"smbios-entry-point-type", "SMBIOS", (*builder).setSMBIOSEntryPoint},
	{"confidential-guest-support", "what kind of TD", func(b *builder, v string) error { return b.setCGS("confidential-guest-support", v) }},
	{"memory-encryption", "as confidential-guest-support", func(b *builder, v string) error { return b.setCGS("memory-encryption", v) }},
	{"kernel-irqchip", "must be split in a TD", func(b *builder, v string) error { b.m.KernelIRQChip = v; return nil }},
	{"memory-backend", "size of memory", nil},
	{"firmware", "firmware", func(b *builder, v string) error { b.m.Files.Firmware = v; return nil }},
	{"kernel", "kernel", func(b *builder, v string) error { b.m.Files.Kernel = v; return nil }},
	{"initrd", "initrd", func(b *builder, v string) error { b.m.Files.Initrd = v; return nil }},
	{"shim", "shim", func(b *builder, v string) error { b.m.Files.Shim = v; return nil }},
	{"append", "kernel command line", func(b *builder, v string) error { b.m.Files.Append, b.m.Files.HasAppend = v, true; return nil }},
	{"default-bus-bypass-iommu", "which functions an IOMMU table covers", onOff("default-bus-bypass-iommu", func(m *Machine) *bool { return &m.BypassIOMMU })},
	{"cxl", "CEDT table, memory map", onOff("cxl", func(m *Machine) *bool { return &m.CXL })},
	{"hmat", "HMAT table", (*builder).setHMAT},
	{"wdat", "WDAT table", (*builder).setWDAT},
	{"x-change-vmfd-on-reset", whyHost, nil},
	{"dt-compatible", "for other architectures", nil},
	{"dtb", "the kernel's setup header", func(_ *builder, v string) error {
		return unsupportedErr("-machine", "dtb="+v, "a device tree is handed to the kernel in its setup header, which is not modelled")
	}},
	{"igvm-cfg", "replaces the firmware's launch", func(_ *builder, v string) error {
		return unsupportedErr("-machine", "igvm-cfg="+v, "a TD that starts from an IGVM file is not modelled")
	}},
	{"nvdimm-persistence", "NFIT table", (*builder).setPersistence},
	{"pcspk-audiodev", whyBackend, nil},
	{"vmport", "an I/O port that no table names", nil},
	{"graphics", "fw_cfg key 4, not measured", nil},
	{"dump-guest-core", whyHost, nil},
	{"mem-merge", whyHost, nil},
	{"aux-ram-share", whyHost, nil},
	{"suppress-vmdesc", whyHost, nil},
	{"bus-lock-ratelimit", whyHost, nil},
	{"kvm-shadow-mem", whyHost, nil},
	{"phandle-start", "for other architectures", nil},
	{"dumpdtb", "for other architectures", nil},
	{"fd-bootchk", "a CMOS byte that OVMF does not read", nil},
	{"max-fw-size", "a limit on the firmware file", nil},
	{"igd-passthru", "Xen only", nil},
	{"x-south-bridge", "i440fx only", nil},
	{"acpi-spcr", "only on Arm", nil},
}

// setHMAT applies hmat=.
func (b *builder) setHMAT(v string) error {
	on := false
	err := onOff("hmat", func(*Machine) *bool { return &on })(b, v)
	if on {
		b.m.HMAT = &HMAT{}
	}
	return err
}

// setWDAT applies wdat=.
func (b *builder) setWDAT(v string) error {
	if b.m.Release.Less(Version{Major: 11, Minor: 1}) {
		return usageErr("-machine", "wdat="+v, "QEMU %s has no such property, 11.1 and later have", b.m.Release)
	}
	return onOff("wdat", func(m *Machine) *bool { return &m.WDAT })(b, v)
}

// setPersistence applies nvdimm-persistence=. Follows QEMU 10.2, hw/core/machine.c, machine_set_nvdimm_persistence.
func (b *builder) setPersistence(v string) error {
	switch v {
	case "cpu":
		b.m.NVDIMMPersistence = 3
	case "mem-ctrl":
		b.m.NVDIMMPersistence = 2
	default:
		return usageErr("-machine", "nvdimm-persistence="+v, "expects cpu or mem-ctrl")
	}
	return nil
}

// machineAccel notes accel=, a list of accelerators of which QEMU takes the first that works.
func (b *builder) machineAccel(v string) {
	if b.accel == "" {
		b.accel, _, _ = strings.Cut(v, ":")
	}
}

func (b *builder) setMaxRAMBelow4G(v string) error {
	n, ok := parseSize(v)
	if !ok || n > 4<<30 {
		return usageErr("-machine", "max-ram-below-4g="+v, "expects a size of at most 4G")
	}
	if n != 0 && n < 1<<20 {
		return unsupportedErr("-machine", "max-ram-below-4g="+v, "with less than 1 MiB of low memory QEMU itself warns that firmware may not work")
	}
	b.m.MaxRAMBelow4G = n
	return nil
}

func (b *builder) setSMBIOSEntryPoint(v string) error {
	switch v {
	case "32", "64", "auto":
		b.m.SMBIOS.EntryPoint = v
		return nil
	}
	return usageErr("-machine", "smbios-entry-point-type="+v, "expects 32, 64 or auto")
}

// setCGS resolves the object that makes the guest confidential.
func (b *builder) setCGS(key, id string) error {
	o, ok := b.objects[id]
	if !ok {
		return usageErr("-machine", key+"="+id, "there is no -object with id=%s", id)
	}
	if t := o.str("qom-type"); t != "tdx-guest" {
		return unsupportedErr("-machine", key+"="+id, "object %s is a %s: only tdx-guest makes a TD", id, t)
	}
	b.m.TDX, b.m.StartsTD = true, true
	return nil
}

// resolveMachine applies the properties to the defaults of the machine type.
func (b *builder) resolveMachine() error {
	m := b.m
	m.SMM, m.PIC, m.HPET, m.I8042, m.SATA, m.SMBus = true, true, true, true, true, true
	m.OEMID, m.OEMTableID = "BOCHS ", "BXPC    "
	m.TDX = b.opts.TDX
	if err := b.resolveType(); err != nil {
		return err
	}
	for _, k := range sortedKeys(b.machine) {
		v := b.machine[k]
		switch group, rest, dotted := strings.Cut(k, "."); {
		case dotted && group == "memory":
			if err := b.machineMemory(rest, v); err != nil {
				return err
			}
			continue
		case dotted && group == "smp-cache":
			continue // CPUID leaf 4, which no table has
		case dotted:
			return unsupportedErr("-machine", k+"="+v, "property group %q is not modelled", group)
		}
		if err := b.setMachine(k, v); err != nil {
			return err
		}
	}
	if !slices.Contains(accelerators, b.accel) {
		return unknownErr("-accel", b.accel, "only KVM and TCG are modelled", nearest(b.accel, accelerators))
	}
	m.Accel = b.accel
	if b.irqchip != "" { // -accel is applied behind -machine
		m.KernelIRQChip = b.irqchip
	}
	return b.forceTDX()
}

// machineMemory applies -machine memory.name=v, in whose place -m is taken wherever that stands. Its size counts bytes.
// Follows QEMU 10.2, system/vl.c, parse_memory_options, and hw/core/machine.c, machine_set_mem.
func (b *builder) machineMemory(name, v string) error {
	switch name {
	case "max-size":
		name = "maxmem"
	case "size":
		n, ok := parseSize(v)
		if !ok {
			return usageErr("-machine", "memory.size="+v, "is not a size")
		}
		v = strconv.FormatUint(n, 10) + "B"
	case "slots":
	default:
		return unknownErr("-machine", "memory."+name+"="+v, "unknown property", nearest(name, []string{"size", "max-size", "slots"}))
	}
	b.memory = append(props{{name, v}}, b.memory...)
	return nil
}

// setMachine sets one property of the machine.
func (b *builder) setMachine(name, v string) error {
	for _, p := range machineProperties {
		switch {
		case p.Name != name:
		case p.Set == nil:
			return nil
		default:
			return p.Set(b, v)
		}
	}
	var names []string
	for _, p := range machineProperties {
		names = append(names, p.Name)
	}
	return unknownErr("-machine", name+"="+v, fmt.Sprintf("unknown property %q", name), nearest(name, names))
}

// forceTDX applies what TDX takes away. Follows QEMU 10.2, target/i386/kvm/tdx.c, tdx_kvm_init.
func (b *builder) forceTDX() error {
	m := b.m
	if !m.TDX {
		return nil
	}
	if f, ok := familyOf(m.Release); ok && f.NoTD && b.opts.Assume == "" {
		hint := ""
		if _, ok := familyOf(Version{m.Release.Major, m.Release.Minor, 0, true}); ok {
			hint = fmt.Sprintf("a build with Intel's patches is spelt %s-tdx", m.Release)
		}
		return &OptionError{Option: "QEMU release", Arg: m.Release.String(), Msg: "starts no TD", Hint: hint, Err: ErrUsage}
	}
	for _, p := range []struct {
		name  string
		field *bool
	}{{"smm", &m.SMM}, {"pic", &m.PIC}} {
		if v, ok := b.machine[p.name]; ok && v != "auto" && *p.field {
			return usageErr("-machine", p.name+"="+v, "a TD has no %s: QEMU refuses it", p.name)
		}
		*p.field = false
	}
	switch m.KernelIRQChip {
	case "", "split":
		m.KernelIRQChip = "split"
	default:
		return usageErr("-machine", "kernel-irqchip="+m.KernelIRQChip, "a TD needs kernel-irqchip=split")
	}
	return nil
}
