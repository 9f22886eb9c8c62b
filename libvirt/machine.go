package libvirt

import (
	"fmt"
	"strconv"
	"strings"
)

// machine appends -machine. libvirt 11.3, src/qemu/qemu_command.c, qemuBuildMachineCommandLine.
func (t *translation) machine() {
	typ := t.dom.one("os").one("type")
	if typ == nil {
		t.dom.malformed("", "has no <os> with a <type>")
		return
	}
	if a := typ.attr("arch"); a != "x86_64" {
		typ.unsupported("arch", "is %q, want x86_64", a)
	}
	if typ.content() != "hvm" {
		typ.unsupported("", "is %q, want hvm", typ.content())
	}
	machine := typ.attr("machine")
	if !isQ35(machine) {
		typ.unsupported("machine", "is %q, want q35 or a version of it", machine)
	}
	m := []string{machine, "usb=off"}
	f := t.dom.one("features")
	state := func(element, key string) {
		if e := f.one(element); e != nil {
			v := e.word("state", "on", "off")
			if v == "" {
				v = "on"
			}
			m = append(m, key+"="+v)
		}
	}
	state("vmport", "vmport")
	state("smm", "smm")
	switch f.one("ioapic").word("driver", "qemu", "kvm") {
	case "qemu":
		m = append(m, "kernel_irqchip=split")
	case "kvm":
		m = append(m, "kernel_irqchip=on")
	}
	state("ps2", "i8042")
	if t.dom.one("cpu").one("numa") == nil {
		m = append(m, "memory-backend=pc.ram")
	}
	if t.dom.one("launchSecurity") != nil {
		m = append(m, "confidential-guest-support=lsec0")
	}
	for _, timer := range t.dom.one("clock").all("timer") {
		present := timer.yesNo("present")
		if name := timer.word("name", timers...); name == "hpet" && present != nil {
			m = append(m, "hpet="+onOrOff(present))
		}
	}
	acpi := f.one("acpi") != nil
	m = append(m, "acpi="+onOrOff(acpi))
	t.add("-machine", strings.Join(m, ","))
}

// timers are the names of <timer>. libvirt 11.3, src/conf/domain_conf.c, virDomainTimerName.
var timers = []string{"platform", "pit", "rtc", "hpet", "tsc", "kvmclock", "hypervclock", "armvtimer"}

func onOrOff(v any) string {
	if v == true {
		return "on"
	}
	return "off"
}

// tseg appends the size of SMM's memory.
func (t *translation) tseg() {
	if e := t.dom.one("features").one("smm").one("tseg"); e != nil {
		t.add("-global", fmt.Sprintf("mch.extended-tseg-mbytes=%d", e.kibibytes()>>10))
	}
}

// cpuFeatureNames are the features that libvirt calls other than QEMU does. libvirt 11.3, src/qemu/qemu_capabilities.c,
// virQEMUCapsCPUFeaturesX86.
var cpuFeatureNames = map[string]string{
	"cmp_legacy": "cmp-legacy", "ds_cpl": "ds-cpl", "fxsr_opt": "fxsr-opt", "kvm_pv_eoi": "kvm-pv-eoi", "kvm_pv_unhalt": "kvm-pv-unhalt",
	"lahf_lm": "lahf-lm", "nodeid_msr": "nodeid-msr", "pclmuldq": "pclmulqdq", "perfctr_core": "perfctr-core", "perfctr_nb": "perfctr-nb",
	"tsc_adjust": "tsc-adjust",
}

// cpu appends -cpu. libvirt 11.3, src/qemu/qemu_command.c, qemuBuildCpuModelArgStr, qemuBuildCpuCommandLine.
func (t *translation) cpu() {
	e := t.dom.one("cpu")
	words := []string{"qemu64"}
	model := e.one("model")
	switch mode := e.word("mode", "host-passthrough", "maximum", "custom", "host-model"); mode {
	case "host-passthrough":
		words[0] = "host"
	case "maximum":
		words[0] = "max"
	case "host-model":
		e.unsupported("mode", "is host-model: libvirt makes a model of the host's processor when the guest starts; give the XML of the running domain, or cpu mode host-passthrough")
	default:
		if m := model.content(); m != "" {
			words[0] = m
		} else if model != nil {
			model.malformed("", "is empty")
		}
	}
	if v := model.attr("vendor_id"); v != "" {
		words = append(words, "vendor="+v)
	}
	held := e.attr("check")
	for _, f := range e.all("feature") {
		name := f.attr("name")
		if held != "none" && held != "full" && model != nil && t.dom.one("launchSecurity") == nil {
			f.unsupported("", "is held against the host's processor when the guest starts; give the XML of the running domain")
		}
		if n, ok := cpuFeatureNames[name]; ok {
			name = n
		}
		switch f.word("policy", "force", "require", "optional", "disable", "forbid") {
		case "force", "require", "":
			words = append(words, name+"=on")
		case "disable", "forbid":
			words = append(words, name+"=off")
		}
	}
	if p := t.dom.one("features").one("pmu"); p != nil {
		words = append(words, "pmu="+onOrOff(p.onOffDefault("state")))
	}
	if a := e.one("maxphysaddr"); a != nil {
		switch a.word("mode", "passthrough", "emulate") {
		case "passthrough":
			words = append(words, "host-phys-bits=on")
			if n := a.number("limit"); n != nil {
				words = append(words, fmt.Sprintf("host-phys-bits-limit=%d", n))
			}
		case "emulate":
			if n := a.number("bits"); n != nil {
				words = append(words, fmt.Sprintf("phys-bits=%d", n))
			} else {
				words = append(words, "host-phys-bits=off")
			}
		}
	}
	for _, w := range words {
		if strings.ContainsAny(w, ", ") {
			e.malformed("", "has %q, which is no word of -cpu", w)
		}
	}
	t.add("-cpu", strings.Join(words, ","))
}

// onOffDefault is onOff where an element without the attribute is on.
func (e *element) onOffDefault(name string) any {
	if v := e.onOff(name); v != nil {
		return v
	}
	return true
}

// firmware appends -bios.
func (t *translation) firmware() {
	os := t.dom.one("os")
	l := os.one("loader")
	if l == nil || l.text == "" {
		if v, ok := os.peek("firmware"); ok {
			os.malformed("firmware", "is %q and no <loader> names the file that libvirt chose"+dumpHint, v)
		}
		return
	}
	if typ := l.attr("type"); typ != "rom" {
		l.unsupported("type", "is %q, want rom: a TD has no flash", typ)
	}
	if n := os.one("nvram"); n != nil {
		n.unsupported("", "is the variables' flash, which a TD has not")
	}
	t.add("-bios", l.text)
}

// mebibyte rounds KiB up to whole MiB, as libvirt does with every size of memory. libvirt 11.3, src/qemu/qemu_domain.c,
// qemuDomainAlignMemorySizes.
func mebibyte(kib uint64) uint64 { return (kib + 1023) &^ 1023 }

// memory appends -m and, without NUMA, the backend of all memory.
func (t *translation) memory() {
	kib := mebibyte(t.dom.one("memory").kibibytes())
	cells := t.dom.one("cpu").one("numa").all("cell")
	if len(cells) > 0 {
		kib = 0
		for _, c := range cells {
			kib += mebibyte(c.cellKiB())
		}
	} else {
		for _, d := range t.devices.all("memory") {
			kib -= mebibyte(d.one("target").one("size").kibibytes())
		}
	}
	if kib == 0 || kib > 1<<42 {
		t.dom.malformed("", "has a <memory> of nothing, or of less than its devices")
	}
	arg := fmt.Sprintf("size=%dk", kib)
	if x := t.dom.one("maxMemory"); x != nil {
		if n := x.number("slots"); n != nil {
			arg += fmt.Sprintf(",slots=%d", n)
		}
		arg += fmt.Sprintf(",maxmem=%dk", mebibyte(x.kibibytes()))
	}
	t.add("-m", arg)
	if len(cells) == 0 {
		t.object("-object", []property{{"qom-type", "memory-backend-ram"}, {"id", "pc.ram"}, {"size", kib << 10}})
	}
}

// cellKiB is the size of a NUMA node.
func (e *element) cellKiB() uint64 { return e.scaled("memory", e.attr("memory"), e.attr("unit")) }

// topology appends -smp. libvirt 11.3, src/qemu/qemu_command.c, qemuBuildSmpCommandLine.
func (t *translation) topology() {
	v := t.dom.one("vcpu")
	if v == nil {
		t.dom.malformed("", "has no <vcpu>")
		return
	}
	most := v.parseUint("", v.content())
	now := most
	if n := v.number("current"); n != nil {
		now, _ = n.(uint64)
	}
	if each := t.dom.one("vcpus").all("vcpu"); len(each) > 0 {
		now = 0
		for _, c := range each {
			enabled, hot := c.yesNo("enabled"), c.yesNo("hotpluggable")
			c.number("id")
			if enabled == true && hot == true {
				c.unsupported("hotpluggable", "is yes: libvirt plugs this CPU in before the guest starts, which is not modelled")
			}
			if enabled == true {
				now++
			}
		}
	}
	arg := strconv.FormatUint(now, 10)
	if now != most {
		arg += fmt.Sprintf(",maxcpus=%d", most)
	}
	if p := t.dom.one("cpu").one("topology"); p != nil {
		arg += fmt.Sprintf(",sockets=%d", p.need("sockets"))
		for _, k := range []string{"dies", "clusters"} {
			if n := p.number(k); n != nil && n != uint64(1) {
				arg += fmt.Sprintf(",%s=%d", k, n)
			}
		}
		arg += fmt.Sprintf(",cores=%d,threads=%d", p.need("cores"), p.need("threads"))
	} else {
		arg += fmt.Sprintf(",sockets=%d,cores=1,threads=1", most)
	}
	t.add("-smp", arg)
}

// numa appends the nodes of the guest's memory. libvirt 11.3, src/qemu/qemu_command.c, qemuBuildNumaCommandLine.
func (t *translation) numa() {
	n := t.dom.one("cpu").one("numa")
	cells := n.all("cell")
	distances := false
	for i, c := range cells {
		if id := c.number("id"); id != nil && id != uint64(i) {
			c.unsupported("id", "is %d, want %d: nodes in order", id, i)
		}
		backend := fmt.Sprintf("ram-node%d", i)
		t.object("-object", []property{{"qom-type", "memory-backend-ram"}, {"id", backend}, {"size", mebibyte(c.cellKiB()) << 10}})
		arg := fmt.Sprintf("node,nodeid=%d", i)
		if cpus := c.attr("cpus"); cpus != "" {
			for part := range strings.SplitSeq(cpus, ",") {
				arg += ",cpus=" + part
			}
		}
		t.add("-numa", arg+",memdev="+backend)
		distances = distances || c.one("distances") != nil
	}
	if !distances {
		return
	}
	table := make([][]uint64, len(cells))
	for i := range cells {
		table[i] = make([]uint64, len(cells))
		for j := range cells {
			if table[i][j] = 20; i == j {
				table[i][j] = 10
			}
		}
	}
	set := make(map[[2]int]bool)
	for i, c := range cells {
		for _, s := range c.one("distances").all("sibling") {
			j := s.need("id")
			if j >= uint64(len(cells)) {
				s.malformed("id", "is %d, there are %d nodes", j, len(cells))
				return
			}
			table[i][j] = s.need("value")
			set[[2]int{i, int(j)}] = true
			if !set[[2]int{int(j), i}] { // libvirt 11.3, src/conf/numa_conf.c, virDomainNumaDefNodeDistanceParseXML
				table[j][i] = table[i][j]
			}
		}
	}
	for i, row := range table {
		for j, d := range row {
			t.add("-numa", fmt.Sprintf("dist,src=%d,dst=%d,val=%d", i, j, d))
		}
	}
}

// power appends the sleep states.
func (t *translation) power() {
	pm := t.dom.one("pm")
	for _, s := range []struct{ element, property string }{{"suspend-to-mem", "disable_s3"}, {"suspend-to-disk", "disable_s4"}} {
		if v := pm.one(s.element); v != nil {
			switch v.yesNo("enabled") {
			case true:
				t.add("-global", "ICH9-LPC."+s.property+"=0")
			case false:
				t.add("-global", "ICH9-LPC."+s.property+"=1")
			}
		}
	}
}

// boot appends what is booted, and how. libvirt 11.3, src/qemu/qemu_command.c, qemuBuildBootCommandLine.
func (t *translation) boot() {
	os := t.dom.one("os")
	arg := ""
	if m := os.one("bootmenu"); m != nil {
		if on := m.yesNo("enable"); on != nil {
			arg += "menu=" + onOrOff(on) + ","
		}
		if n := m.number("timeout"); n != nil {
			arg += fmt.Sprintf("splash-time=%d,", n)
		}
	}
	t.add("-boot", arg+"strict=on")
	for _, f := range []string{"kernel", "initrd", "cmdline", "shim", "dtb"} {
		if e := os.one(f); e != nil && e.text != "" {
			option := "-" + f
			if f == "cmdline" {
				option = "-append"
			}
			t.add(option, e.text)
		}
	}
	if a := os.one("acpi"); a != nil {
		for _, table := range a.all("table") {
			sig := map[string]string{"slic": "sig=SLIC,", "msdm": "sig=MSDM,"}[table.word("type", "slic", "raw", "rawset", "msdm")]
			t.add("-acpitable", sig+"file="+escape(table.text))
		}
	}
}

// readBootOrder notes which devices boot: those of <os>, or by default the first disk, or each device its own order.
// libvirt 11.3, src/conf/domain_postparse.c, virDomainDefBootOrderPostParse.
func (t *translation) readBootOrder() {
	for _, b := range t.dom.one("os").all("boot") {
		t.bootDevices = append(t.bootDevices, b.word("dev", "hd", "cdrom", "network", "fd"))
	}
	for _, d := range t.devices.children {
		for _, c := range d.children {
			t.perDevice = t.perDevice || c.name == "boot"
		}
	}
	if len(t.bootDevices) == 0 && !t.perDevice {
		t.bootDevices = []string{"hd"}
	}
	if len(t.bootDevices) > 0 && t.perDevice {
		t.dom.malformed("", "has <boot> both in <os> and in devices, which libvirt refuses")
	}
}

// bootIndex returns the bootindex of a device: its own order, or that of the kind of device that <os> names, which
// goes to the first of the kind. libvirt 11.3, src/qemu/qemu_process.c, qemuProcessPrepareDeviceBootorder.
func (t *translation) bootIndex(e *element, kind string) any {
	if b := e.one("boot"); b != nil {
		return b.need("order")
	}
	index := any(nil)
	for i, k := range t.bootDevices {
		if k == kind && kind != "" {
			index = uint64(i + 1)
			t.bootDevices[i] = "taken"
		}
	}
	return index
}
