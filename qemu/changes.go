package qemu

// Traits are the facts of a release that reach a measurement. They are all that the rest of the program sees of it.
// The zero value is the newest known behaviour.
type Traits struct {
	// ACPI.
	MADTRevision1  bool // MADT revision is 1, not 3
	EdgeOverrides  bool // MADT has 16 edge-triggered overrides and the DSDT's GSI links are edge-triggered
	PCATAlways     bool // MADT flags carry PCAT_COMPAT whatever pic= says
	OldPDSM        bool // the _DSM helper PDSM has its older function 7
	NoPXBStaticPRT bool // the _PRT of a pxb is not the static one
	NoCPUScanEject bool // the CPU scan method CSCN lacks the eject branch
	PRESInit       bool // the CPU hotplug device PRES has an _INI
	SerialPlainIRQ bool // COM ports have an IRQ descriptor without flags
	PDSMClearFirst bool // PDSM clears its set of functions before it looks at the UUID
	PCI0Address    bool // PCI0 has an _ADR
	NoEDSM         bool // there is no _DSM for functions that cannot be unplugged
	// HotplugInDevices says that PCI functions and hotplug slots are described in one walk, which leaves out functions
	// other than 0 and gives every bus a PCNT.
	HotplugInDevices bool
	// OffPortStopsACPI says that below a port with hotplug=off, ACPI hot-plugs only into what is a port again.
	OffPortStopsACPI bool

	HMATAllNodes bool // the HMAT table has nodes without memory too
	CXLWholeGiB  bool // what cxl=on puts behind memory is at a multiple of 1 GiB without memory hotplug, too
	IVRSShort    bool // the IVRS table has no block of type 0x11 and no word of extended features

	// Launch and boot.
	TwoPassAdd       bool // all pages of a firmware section are added before the first is measured
	PatchesKernel    bool // the setup header of a TD's kernel is patched
	NoNamedBlobs     bool // there is no etc/boot/kernel, only the patched kernel
	KernelRandomSeed bool // a random seed is appended to the kernel
	NVMePathFreed    bool // the path that an nvme-ns gives to the boot order is memory that was freed
	TDFeaturesOwn    bool // which CPUID features a TD has is up to a build with TDX patches, not to upstream

	// SMBIOS.
	HTNotInFeatures   bool // type 4 Processor ID lacks the HT bit that QEMU adds by topology
	SMBIOSFamilyOther bool // type 4 Processor Family is 1, not 0xfe with the family in Processor Family 2
	SMBIOSNoPCIIPMI   bool // IPMI interfaces on PCI have no type 38 structure
	SMBIOSCapCounts   bool // a 2.8 table caps core and thread counts at 255 instead of being refused
}

// A change is one alteration of guest-visible behaviour between releases.
type change struct {
	ID    string
	Since Version       // first release with the new behaviour
	Cite  string        // file and function, or commit
	Old   func(*Traits) // restores what came before
	// Backports are releases of older series from which on those series have the new behaviour too.
	Backports []Version
	// TDXOnly says that only the out-of-tree TDX builds of before Since had the old behaviour.
	TDXOnly bool
}

// changes is sorted newest first.
var changes = []change{
	{
		ID: "acpi.pres-init", Since: Version{Major: 11, Minor: 1},
		Cite: "hw/acpi/cpu.c, build_cpus_aml: 10.2.2; tables of 10.2.2 and 11.1.3",
		Old:  func(t *Traits) { t.PRESInit = true },
	},
	{
		ID: "acpi.serial-irq", Since: Version{Major: 11, Minor: 1},
		Cite: "hw/char/serial-isa.c, serial_isa_build_aml: 10.2.2; tables of 10.2.2 and 11.1.3",
		Old:  func(t *Traits) { t.SerialPlainIRQ = true },
	},
	{
		ID: "smbios.pci-ipmi", Since: Version{Major: 10, Minor: 2},
		Cite: "hw/ipmi/pci_ipmi_kcs.c, pci_ipmi_kcs_get_fwinfo: 10.2.2; tables of 10.0.13 and 11.1.3; what is between is refused",
		Old:  func(t *Traits) { t.SMBIOSNoPCIIPMI = true },
	},
	{
		ID: "kernel.raw", Since: Version{Major: 10, Minor: 2},
		Cite: "hw/i386/x86-common.c, x86_load_linux: 10.1.0 and 10.2.2; boots with 10.0.13 and 10.2.2",
		Old:  func(t *Traits) { t.PatchesKernel = true },
	},
	{
		ID: "cpu.td-features", Since: Version{Major: 10, Minor: 1},
		Cite: "target/i386/kvm/tdx.c, tdx_check_features: 10.2.2; TDX came upstream with 10.1",
		Old:  func(t *Traits) { t.TDFeaturesOwn = true },
	},
	{
		ID: "boot.nvme-path", Since: Version{Major: 10, Minor: 1},
		Backports: []Version{{Major: 10, Micro: 13}},
		Cite:      "hw/nvme/ns.c, nvme_ns_instance_init: 10.2.2; boot order of 10.0.13, the first of 10.0 that was seen to own the path; what is before is refused",
		Old:       func(t *Traits) { t.NVMePathFreed = true },
	},
	{
		ID: "kernel.named-blobs", Since: Version{Major: 10},
		Cite: "hw/i386/x86-common.c, x86_load_linux: 9.2.1 and 10.2.2; boots with 9.0.2 and 10.0.13",
		Old:  func(t *Traits) { t.NoNamedBlobs = true },
	},
	{
		ID: "smbios.ht", Since: Version{Major: 10},
		Cite: "target/i386/cpu.c, x86_cpu_expand_features (10.2.2); tables of 7.2.22, Intel's 9.0.2 branch and 10.0.2",
		Old:  func(t *Traits) { t.HTNotInFeatures = true },
	},
	{
		ID: "acpi.hmat-nodes", Since: Version{Major: 10},
		Cite: "hw/acpi/hmat.c, hmat_build_table_structs: 10.2.2; tables of 7.2.22 and 10.0.2; what is between is refused",
		Old:  func(t *Traits) { t.HMATAllNodes = true },
	},
	{
		ID: "acpi.ivrs", Since: Version{Major: 10},
		Cite: "hw/i386/acpi-build.c, build_amd_iommu: 10.2.2; tables of 7.2.22 and 10.0.2; what is between is refused",
		Old:  func(t *Traits) { t.IVRSShort = true },
	},
	{
		ID: "acpi.cpu-scan", Since: Version{Major: 10},
		Cite: "hw/acpi/cpu.c, build_cpus_aml: 7.2.22 and 10.2.2; quote of a dstack host with 9.2.1",
		Old:  func(t *Traits) { t.NoCPUScanEject = true },
	},
	{
		ID: "acpi.pdsm-label", Since: Version{Major: 9, Minor: 2, Micro: 1},
		Backports: []Version{{Major: 7, Minor: 2, Micro: 16}, {Major: 8, Minor: 2, Micro: 9}, {Major: 9, Minor: 1, Micro: 3}},
		Cite:      "hw/acpi/pcihp.c, aml_pci_pdsm: 10.2.2; 0b05339198 and its rounds of stable patches of January 2025; tables of 9.0.2, of 9.2.1 and of 7.2.22",
		Old:       func(t *Traits) { t.OldPDSM = true },
	},
	{
		ID: "acpi.pxb-prt", Since: Version{Major: 9, Minor: 1},
		Cite: "hw/i386/acpi-build.c, build_prt: 7.2.22 and 10.2.2; tables of 9.0.2",
		Old:  func(t *Traits) { t.NoPXBStaticPRT = true },
	},
	{
		ID: "acpi.madt-pcat", Since: Version{Major: 9, Minor: 1},
		Cite: "hw/i386/acpi-common.c, acpi_build_madt: 7.2.22 and 10.2.2; quotes of dstack hosts with 8.2.2 and 9.2.1",
		Old:  func(t *Traits) { t.PCATAlways = true },
	},
	{
		ID: "acpi.edge", Since: Version{Major: 9, Minor: 1}, TDXOnly: true,
		Cite: "quote of a dstack host with 8.2.2; hw/i386/acpi-common.c, acpi_build_madt, and acpi-build.c, build_link_dev, of Intel's branch",
		Old:  func(t *Traits) { t.EdgeOverrides = true },
	},
	{
		ID: "launch.single-pass", Since: Version{Major: 9}, TDXOnly: true,
		Cite: "target/i386/kvm/tdx.c, tdx_finalize_vm, and Linux 6.18 arch/x86/kvm/vmx/tdx.c, tdx_gmem_post_populate; MRTD of a dstack host with 8.2.2",
		Old:  func(t *Traits) { t.TwoPassAdd = true },
	},
	{
		ID: "smbios.type4", Since: Version{Major: 9},
		Cite: "hw/smbios/smbios.c, smbios_build_type_4_table: 8.1.0 and 10.2.2; tables of 7.2.22",
		Old:  func(t *Traits) { t.SMBIOSFamilyOther, t.SMBIOSCapCounts = true, true },
	},
	{
		ID: "kernel.no-seed", Since: Version{Major: 8, Minor: 2},
		Cite: "hw/i386/x86.c, x86_load_linux: 7.2 and 8.2.2",
		Old:  func(t *Traits) { t.KernelRandomSeed = true },
	},
	{
		ID: "memory.cxl", Since: Version{Major: 8, Minor: 2},
		Cite: "hw/i386/pc.c, pc_get_cxl_range_start: 7.2.22 and 10.2.2; the change is 20231011105335.42296-1-anisinha@redhat.com",
		Old:  func(t *Traits) { t.CXLWholeGiB = true },
	},
	{
		ID: "acpi.madt-revision", Since: Version{Major: 8, Minor: 2},
		Cite: "hw/i386/acpi-common.c, acpi_build_madt: 7.2.22 and 10.2.2",
		Old:  func(t *Traits) { t.MADTRevision1 = true },
	},
	{
		ID: "acpi.pci-devices", Since: Version{Major: 8, Minor: 2},
		Cite: "hw/i386/acpi-build.c, build_append_pci_bus_devices, aml_pci_pdsm, build_dsdt, and hw/acpi/pcihp.c, acpi_pcihp_device_plug_cb: 7.2.22 and 10.2.2",
		Old: func(t *Traits) {
			t.HotplugInDevices, t.PDSMClearFirst, t.NoEDSM, t.PCI0Address = true, true, true, true
			t.OffPortStopsACPI = true
		},
	},
}

// oldIn reports whether a release has the behaviour from before the change.
func (c *change) oldIn(v Version) bool {
	if c.TDXOnly && !v.TDX {
		return false
	}
	for _, b := range c.Backports {
		if v.Major == b.Major && v.Minor == b.Minor {
			return v.Micro < b.Micro
		}
	}
	return v.Less(c.Since) || v.Major == c.Since.Major && v.Minor == c.Since.Minor && v.Micro < c.Since.Micro
}

// A Change is a row of the table of changes, for documents.
type Change struct{ ID, Since, Cite string }

// Changes returns the table, newest first.
func Changes() []Change {
	var out []Change
	for _, c := range changes {
		out = append(out, Change{c.ID, c.Since.String(), c.Cite})
	}
	return out
}

// unseen refuses what differs between two releases where the machine's is one of those between, of which nothing was seen.
func (b *builder) unseen(option, arg string, after, before Version) error {
	v := b.m.Release
	if b.opts.Assume != "" || !after.Less(v) || !v.Less(before) {
		return nil
	}
	return unsupportedErr(option, arg, "QEMU changed it after %d.%d and by %d.%d; nothing of %s was seen",
		after.Major, after.Minor, before.Major, before.Minor, v)
}
