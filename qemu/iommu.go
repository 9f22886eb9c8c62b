package qemu

// addIntelIOMMU notes the IOMMU that the DMAR table describes. Its address width is 48 bits since QEMU 10.0, which
// gives machine types up to pc-q35-9.1 the 39 bits of before.
// Follows QEMU 10.2, hw/i386/intel_iommu.c and hw/i386/pc.c, pc_compat_9_1; ddd84fd0c1 is the change.
func addIntelIOMMU(d *deviceBuild) error {
	m := d.b.m
	if m.IOMMU.Kind != NoIOMMU {
		return d.usage("there is an IOMMU already")
	}
	def := uint64(48)
	if m.Release.Less(Version{Major: 10}) || m.MachineVersion.Less(Version{Major: 9, Minor: 2}) {
		def = 39
	}
	n, err := d.number("aw-bits", def, 57)
	if err != nil {
		return err
	}
	if n != 39 && n != 48 && n != 57 {
		return d.usage("aw-bits=%d: expects 39, 48 or 57", n)
	}
	m.IOMMU = IOMMU{Kind: IntelIOMMU, AWBits: int(n), Props: d.props.asMap()}
	return d.remapping()
}

// addVirtioIOMMU notes the IOMMU that the VIOT table describes.
func addVirtioIOMMU(d *deviceBuild) error {
	m := d.b.m
	if m.IOMMU.Kind != NoIOMMU {
		return d.usage("there is an IOMMU already")
	}
	m.IOMMU = IOMMU{Kind: VirtioIOMMU, Device: d.dev, Props: d.props.asMap()}
	return nil
}

// amdFunction is the row of the function of an AMD IOMMU.
var amdFunction = deviceModel{Name: "AMDVI-PCI", Bus: onPCI, Fixed: true}

// addAMDIOMMU makes the function of an AMD IOMMU and notes what the IVRS table says of it. pci-id= names a function that
// is there already; else it is on the machine's own bus, whatever else is named pcie.0.
// Follows QEMU 10.2, hw/i386/amd_iommu.c, amdvi_sysbus_realize.
func addAMDIOMMU(d *deviceBuild) error {
	m := d.b.m
	if m.IOMMU.Kind != NoIOMMU {
		return d.usage("there is an IOMMU already")
	}
	if err := d.b.unseen(d.option, d.arg, Version{Major: 7, Minor: 2}, Version{Major: 10}); err != nil {
		return err
	}
	m.IOMMU = IOMMU{Kind: AMDIOMMU, Props: d.props.asMap()}
	if id := d.props.str("pci-id"); id != "" {
		f := findPCI(m.Root, id)
		if f == nil || f.Driver != "AMDVI-PCI" {
			return d.usage("pci-id=%s: there is no AMDVI-PCI of that id", id)
		}
		m.IOMMU.Device = f
		return d.remapping()
	}
	f := &deviceBuild{b: d.b, model: &amdFunction, option: d.option, arg: d.arg, bus: d.b.rootBus(), order: d.order}
	f.props = d.b.withGlobals(&amdFunction, nil)
	if err := f.makePCI(); err != nil {
		return err
	}
	m.IOMMU.Device = f.dev
	return d.remapping()
}

// remapping notes whether the IOMMU remaps interrupts. It does by default unless the interrupt controller is KVM's as a
// whole. Follows QEMU 10.2, hw/i386/x86-iommu.c, x86_iommu_realize.
func (d *deviceBuild) remapping() error {
	m := d.b.m
	kernel := m.Accel == "kvm" && (m.KernelIRQChip == "" || m.KernelIRQChip == "on")
	io := &m.IOMMU
	io.Remaps = !kernel
	if v := d.props.str("intremap"); v != "" && v != "auto" {
		on, ok := parseBool(v)
		if !ok {
			return d.usage("intremap=%s: expects on, off or auto", v)
		}
		io.Remaps = on
	}
	if io.Remaps && kernel {
		return d.usage("interrupts cannot be remapped with kernel-irqchip=on")
	}
	var err error
	io.DeviceTLB, err = d.boolean("device-iotlb", false)
	return err
}
