package qemu

import (
	"fmt"
	"slices"
	"strings"
)

// readGlobal notes -global driver.property=value, or with driver=, property= and value= as keys.
func (b *builder) readGlobal(arg string) error {
	head, v, ok := strings.Cut(arg, "=")
	driver, property, dot := strings.Cut(head, ".")
	if ok && dot && !strings.Contains(driver, ",") {
		// The short form is not comma-separated: the value is all that follows.
		b.globals = append(b.globals, global{driver, property, v})
		return nil
	}
	p := parseProps(arg, "")
	if err := checkKeys("-global", arg, p, "driver", "property", "value"); err != nil {
		return err
	}
	for _, k := range []string{"driver", "property", "value"} {
		if _, ok := p.get(k); !ok {
			return needArg("-global", arg, k)
		}
	}
	b.globals = append(b.globals, global{p.str("driver"), p.str("property"), p.str("value")})
	return nil
}

// A globalProperty is a property of a chipset device that -global can set.
type globalProperty struct {
	Driver, Property string
	Set              func(b *builder, v string) error // nil where it cannot reach a measurement
	Why              string
}

// globalBool returns a setter of a boolean; 0 and 1 are none of QEMU's booleans but bits' old spelling.
func globalBool(driver, property string, field func(*Machine) *bool) globalProperty {
	return globalProperty{driver, property, func(b *builder, v string) error {
		on, ok := parseBool(v)
		if !ok {
			return usageErr("-global", driver+"."+property+"="+v, "expects on or off")
		}
		*field(b.m) = on
		return nil
	}, "DSDT or FADT"}
}

// globalByte returns a setter of an 8-bit number.
func globalByte(property string, set func(*Machine, uint8)) globalProperty {
	return globalProperty{"ICH9-LPC", property, func(b *builder, v string) error {
		n, ok := parseUint(v)
		if !ok || n > 255 {
			return usageErr("-global", "ICH9-LPC."+property+"="+v, "expects a number up to 255")
		}
		set(b.m, uint8(n))
		return nil
	}, "DSDT"}
}

// globalProperties are those of the chipset. Those of other devices are looked up when the device is made.
var globalProperties = []globalProperty{
	globalByte("disable_s3", func(m *Machine, n uint8) { m.DisableS3 = n != 0 }),
	globalByte("disable_s4", func(m *Machine, n uint8) { m.DisableS4 = n != 0 }),
	globalByte("s4_val", func(m *Machine, n uint8) { m.S4Value = n }),
	globalBool("ICH9-LPC", "acpi-pci-hotplug-with-bridge-support", func(m *Machine) *bool { return &m.ACPIPCIHotplug }),
	globalBool("ICH9-LPC", "x-keep-pci-slot-hpc", func(m *Machine) *bool { return &m.KeepPCISlotHPC }),
	globalBool("ICH9-LPC", "smm-compat", func(m *Machine) *bool { return &m.SMMCompat }),
	globalBool("q35-pcihost", "x-pci-hole64-fix", func(m *Machine) *bool { return &m.PCIHole64Fix }),
	{"q35-pcihost", "pci-hole64-size", func(b *builder, v string) error {
		n, ok := parseSize(v)
		if !ok || n > maxRAM {
			return usageErr("-global", "q35-pcihost.pci-hole64-size="+v, "expects a size of at most 52 bits")
		}
		b.m.PCIHole64 = n
		return nil
	}, "DSDT"},
	{"ICH9-LPC", "noreboot", nil, "a strap of the watchdog timer that no table names"},
	{"ICH9-LPC", "enable_tco", nil, "the watchdog timer: no table names it"},
	{"ICH9-LPC", "x-smi-broadcast", nil, "an SMI feature of firmware with SMM"},
	{"ICH9-LPC", "x-smi-swsmi-timer", nil, "an SMI feature of firmware with SMM"},
	{"ICH9-LPC", "x-smi-periodic-timer", nil, "an SMI feature of firmware with SMM"},
	{"mch", "extended-tseg-mbytes", nil, "memory of SMM"},
	{"mch", "smbase-smram", nil, "memory of SMM"},
	{"isa-debugcon", "iobase", nil, "an I/O port that no table names"},
	{"isa-debugcon", "readback", nil, "an I/O port that no table names"},
	{"kvm-pit", "lost_tick_policy", nil, "a timer's behaviour"},
	{"kvm-apic", "*", nil, "an interrupt controller's behaviour"},
	{"mc146818rtc", "lost_tick_policy", nil, "a clock's behaviour"},
	{"mc146818rtc", "base_year", nil, "a clock's behaviour"},
	{"migration", "*", nil, whyHost},
	{"fw_cfg", "dma_enabled", (*builder).mustBeOn, "named boot ROM"},
	{"fw_cfg_io", "dma_enabled", (*builder).mustBeOn, "named boot ROM"},
}

// mustBeOn accepts a property's only modelled value.
func (b *builder) mustBeOn(v string) error {
	if on, ok := parseBool(v); !ok || !on {
		return unsupportedErr("-global", "fw_cfg.dma_enabled="+v, "fw_cfg without DMA is not modelled")
	}
	return nil
}

// isCPUClass reports whether properties of a class are CPU features.
func isCPUClass(driver string) bool {
	return strings.HasSuffix(driver, cpuSuffix) || slices.Contains(cpuClasses, driver)
}

// cpuSuffix ends the class of a CPU model, and cpuClasses are those above all of them.
const cpuSuffix = "-x86_64-cpu"

var cpuClasses = []string{"x86_64-cpu", "cpu"}

// cpuGlobals returns what -global says of a CPU model, as words of -cpu, whose own come after them.
// Follows QEMU 10.2, target/i386/cpu.c, x86_cpu_parse_featurestr, which makes globals of them too.
func (b *builder) cpuGlobals(model string) []string {
	var words []string
	for _, g := range b.globals {
		if g.driver == model+cpuSuffix || slices.Contains(cpuClasses, g.driver) {
			words = append(words, g.property+"="+g.value)
		}
	}
	return words
}

// resolveGlobals applies the machine type's defaults of the chipset, then the user's globals.
// Follows QEMU 10.2, hw/i386/pc.c, pc_compat_6_1, pc_compat_6_0 and hw/core/machine.c, hw_compat_5_2.
func (b *builder) resolveGlobals() error {
	m := b.m
	v := m.MachineVersion
	m.PCIHole64, m.PCIHole64Fix, m.S4Value = 32<<30, true, 2
	m.ACPIPCIHotplug = !v.Less(Version{Major: 6, Minor: 1})
	m.KeepPCISlotHPC = v != Version{Major: 6, Minor: 1}
	m.SMMCompat = v.Less(Version{Major: 6})
	for _, g := range b.globals {
		if err := b.applyGlobal(g); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) applyGlobal(g global) error {
	arg := g.driver + "." + g.property + "=" + g.value
	if isCPUClass(g.driver) {
		return nil // read with -cpu
	}
	var names []string
	for _, p := range globalProperties {
		if p.Driver != g.driver {
			continue
		}
		if p.Property == g.property || p.Property == "*" {
			if p.Set == nil {
				return nil
			}
			return p.Set(b, g.value)
		}
		names = append(names, p.Property)
	}
	if names != nil {
		return unknownErr("-global", arg, fmt.Sprintf("unknown property %q", g.property), nearest(g.property, names))
	}
	_, ok := modelOf(g.driver)
	if base, cut := strings.CutSuffix(g.driver, "-device"); cut && !ok {
		_, ok = modelOf(base + "-pci") // what a virtio function wraps
	}
	if ok || slices.Contains(deviceClasses, g.driver) {
		return nil // applied where such a device is made
	}
	return unknownErr("-global", arg, fmt.Sprintf("unknown device %q", g.driver), nearest(g.driver, Drivers()))
}

// deviceClasses are the classes above drivers whose properties the drivers inherit.
var deviceClasses = []string{"virtio-pci", "virtio-device", "pci-device", "pcie-slot", "pcie-root-port-base", "ide-device"}

// baseDrivers are the drivers whose class is above another's, which inherits their globals. Follows QEMU 10.2, the parent
// of each TypeInfo, and what qom-list-types of QEMU 7.2.22, 10.0.13 and 11.1.3 says of every driver of the table.
var baseDrivers = map[string]string{
	"dc390": "am53c974", "lsi53c810": "lsi53c895a", "nvdimm": "pc-dimm", "pxb-cxl": "pxb-pcie", "vfio-pci-nohotplug": "vfio-pci",
	"virtconsole": "virtserialport",
}

// wrapped are the devices that a virtio function wraps, where they are not named like the function.
var wrapped = map[string]string{"virtio-vga": "virtio-gpu-device"}

// innerClasses returns the classes of the device that a virtio function wraps.
func innerClasses(m *deviceModel) []string {
	if !strings.HasPrefix(m.Name, "virtio-") && !strings.HasPrefix(m.Name, "vhost-") {
		return nil
	}
	base, _, _ := strings.Cut(m.Name, "-pci")
	inner := base + "-device"
	if w, ok := wrapped[m.Name]; ok {
		inner = w
	}
	return []string{"virtio-device", inner}
}

// classesOf returns the classes whose globals a driver takes itself.
func classesOf(m *deviceModel) []string {
	c := []string{m.Name}
	if base, ok := baseDrivers[m.Name]; ok {
		c = append(c, base)
	}
	if m.Bus == onPCI {
		c = append(c, "pci-device")
	}
	if strings.HasPrefix(m.Name, "virtio-") || strings.HasPrefix(m.Name, "vhost-") {
		c = append(c, "virtio-pci")
	}
	switch {
	case m.Bus == onIDE:
		c = append(c, "ide-device")
	case m.Kind == RootPort:
		c = append(c, "pcie-slot", "pcie-root-port-base")
	case m.Kind == DownstreamPort:
		c = append(c, "pcie-slot")
	}
	return c
}

// withGlobals puts the globals of a device's classes before its own properties: first those of the device that a virtio
// function wraps, which QEMU makes before the function, wherever they stand.
// Follows QEMU 10.2, hw/virtio/virtio.c, virtio_instance_init_common, and qom/object.c, object_apply_global_props.
func (b *builder) withGlobals(m *deviceModel, p props) props {
	var out props
	for _, classes := range [][]string{innerClasses(m), classesOf(m)} {
		for _, g := range b.globals {
			if slices.Contains(classes, g.driver) {
				out = append(out, KeyValue{g.property, g.value})
			}
		}
	}
	return append(out, p...)
}

// refuseGlobals refuses globals of classes that reach a device which no -device option makes, and set a property of it that
// a measurement shows to another value than its default, which comes with the property.
func (b *builder) refuseGlobals(classes []string, defaults ...KeyValue) error {
	for _, g := range b.globals {
		if !slices.Contains(classes, g.driver) {
			continue
		}
		for _, d := range defaults {
			if g.property == d.Key && !sameNumber(g.value, d.Value) {
				return unsupportedErr("-global", g.driver+"."+g.property+"="+g.value, "what it does to a device that the machine makes is not modelled")
			}
		}
	}
	return nil
}

// sameNumber reports whether two values are the same, as text or as numbers.
func sameNumber(v, w string) bool {
	n, ok1 := parseInt(v)
	m, ok2 := parseInt(w)
	return v == w || ok1 && ok2 && n == m
}

// noBootIndex is the property that puts a device into the boot order, with its default.
var noBootIndex = KeyValue{"bootindex", "-1"}
