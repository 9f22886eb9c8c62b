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
var changes = []change{}
