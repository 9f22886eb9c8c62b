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

	// SMBIOS.
	SMBIOSFamilyOther bool // type 4 Processor Family is 1, not 0xfe with the family in Processor Family 2
	SMBIOSCapCounts   bool // a 2.8 table caps core and thread counts at 255 instead of being refused
}

// A change is one alteration of guest-visible behaviour between releases.
type change struct {
	ID    string
	Since Version       // first release with the new behaviour, by major and minor number
	Cite  string        // file and function, or commit
	Old   func(*Traits) // restores what came before
	// TDXOnly says that only the out-of-tree TDX builds of before Since had the old behaviour.
	TDXOnly bool
}

// changes is sorted newest first.
var changes = []change{
	{
		ID: "smbios.type4", Since: Version{Major: 9},
		Cite: "hw/smbios/smbios.c, smbios_build_type_4_table: 8.1.0 and 10.2.2; tables of 7.2.22",
		Old:  func(t *Traits) { t.SMBIOSFamilyOther, t.SMBIOSCapCounts = true, true },
	},
}
