package dstack

import (
	"fmt"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// A TDXMeasure is the metadata.json of tdx-measure: a shape and the files that it boots, named relative to it.
type TDXMeasure struct {
	CPUs    uint64
	Memory  string // as -m takes it, "16384M"
	BIOS    string
	Kernel  string
	Initrd  string // empty without one
	Cmdline string

	QEMU    *TDXMeasureQEMU // nil where the document leaves the shape to Canonical's direct boot
	Ignored []string        // keys that were not understood, in the document's order
}

// TDXMeasureQEMU is the qemu block, whose entries go to QEMU as they are.
type TDXMeasureQEMU struct {
	Machine, CPU, Accel, Serial               string
	Globals, Objects, Netdevs, Devices, FwCfg []string
}

// ParseTDXMeasure reads the metadata.json of tdx-measure for a direct boot, in its present form (boot_config with
// direct) and its older one (a top-level kernel block with image). The captured tables that it may name are not used:
// they are computed. A disk boot (indirect) is not supported.
//
// virtee/tdx-measure and its fork fortanix/tdx-measure b48752b, README.md, src/acpi.rs, build_qemu_args.
func ParseTDXMeasure(data []byte) (*TDXMeasure, error) {
	o := parseObject(MetadataFile, data)
	o.require("boot_config")
	if _, ok := o.get("indirect"); ok {
		o.failf(o.values["indirect"].off, "indirect", bin.ErrUnsupported, "boots from a disk, want a direct boot")
	}
	m := &TDXMeasure{}
	if b := o.child("boot_config"); b != nil {
		m.readBoot(b)
		m.Ignored = appendPrefixed(m.Ignored, "boot_config.", b.rest())
	}
	image, block := "kernel", o.child("direct")
	if block == nil {
		image, block = "image", o.child("kernel")
	}
	if block == nil {
		o.failf(o.end, "direct", bin.ErrMalformed, "is missing")
	} else {
		block.needText(image)
		block.require("cmdline")
		m.Kernel, m.Initrd, m.Cmdline = block.file(image), block.file("initrd"), block.text("cmdline")
	}
	m.Ignored = append(m.Ignored, o.rest()...)
	if *o.err != nil {
		return nil, *o.err
	}
	return m, nil
}

func appendPrefixed(list []string, prefix string, keys []string) []string {
	for _, k := range keys {
		list = append(list, prefix+k)
	}
	return list
}

func (m *TDXMeasure) readBoot(b *object) {
	b.require("cpus")
	m.CPUs = b.number("cpus", maxCPUs, 0)
	m.Memory = b.needText("memory")
	b.needText("bios")
	m.BIOS = b.file("bios")
	if m.CPUs == 0 {
		b.failf(b.values["cpus"].off, "cpus", bin.ErrMalformed, "is 0, want at least 1")
	}
	for _, key := range []string{"acpi_tables", "acpi_dtb", "rsdp", "table_loader", "boot_order", "path_boot_xxxx"} {
		b.text(key)
	}
	q := b.child("qemu")
	if q == nil {
		return
	}
	m.QEMU = &TDXMeasureQEMU{
		Machine: q.needText("machine"), CPU: q.needText("cpu"), Accel: q.text("accel"), Serial: q.text("serial"),
		Globals: q.list("globals"), Objects: q.list("objects"), Netdevs: q.list("netdevs"),
		Devices: q.list("devices"), FwCfg: q.list("fw_cfg"),
	}
	for _, key := range q.rest() {
		q.failf(q.values[key].off, key, bin.ErrUnsupported, "is not known, and could change a measurement")
	}
}

// CommandLine returns the QEMU command line that m stands for. Without a qemu block it is that of Canonical's direct
// boot, as tdx-measure has it.
func (m *TDXMeasure) CommandLine() *Launch {
	b := &builder{args: []string{"qemu-system-x86_64"}}
	l := &Launch{}
	if q := m.QEMU; q != nil {
		if q.Accel != "" {
			b.add("-accel", q.Accel)
		}
		b.add("-m", m.Memory, "-smp", fmt.Sprintf("%d,maxcpus=%d", m.CPUs, m.CPUs), "-cpu", q.CPU, "-no-reboot",
			"-nodefaults", "-vga", "none", "-nographic", "-bios", m.BIOS, "-machine", q.Machine)
		b.each("-global", q.Globals)
		b.each("-object", q.Objects)
		b.each("-netdev", q.Netdevs)
		b.each("-device", q.Devices)
		b.each("-fw_cfg", q.FwCfg)
		if q.Serial != "" {
			b.add("-serial", q.Serial)
		}
	} else {
		b.add("-accel", "kvm", "-m", m.Memory, "-smp", fmt.Sprint(m.CPUs), "-cpu", "host",
			"-machine", "q35,kernel-irqchip=split,hpet=off,smm=off,pic=off", "-bios", m.BIOS,
			"-nographic", "-nodefaults", "-serial", "stdio")
		l.Assumed = []string{"the shape of Canonical's direct boot, for the document has no qemu block"}
	}
	b.add("-kernel", m.Kernel)
	if m.Initrd != "" {
		b.add("-initrd", m.Initrd)
	}
	b.add("-append", m.Cmdline)
	l.Args = b.args
	return l
}

func (b *builder) each(option string, values []string) {
	for _, v := range values {
		b.add(option, v)
	}
}
