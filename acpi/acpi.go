// Package acpi builds the ACPI tables, the loader script and the root pointer that QEMU hands to the firmware of a q35
// machine, byte for byte as QEMU does, from the machine's shape and what firmware programmed before it asked for them.
//
// What changes between QEMU's releases comes in as [qemu.Traits]; this package compares no release. A device or an
// option whose effect on the tables is not known is an error, never a guess.
package acpi

import (
	"github.com/tdxkit/tdxkit/acpi/aml"
	"github.com/tdxkit/tdxkit/qemu"
)

// The fw_cfg files that take part.
const (
	TablesFile  = "etc/acpi/tables"
	LoaderFile  = "etc/table-loader"
	RSDPFile    = "etc/acpi/rsdp"
	TPMLogFile  = "etc/tpm/log"
	VMGenIDFile = "etc/vmgenid_guid"
	VMGenIDAddr = "etc/vmgenid_addr"
	NVDIMMFile  = "etc/acpi/nvdimm-mem"
)

// A Chipset is what firmware programmed before it read the tables, as far as QEMU's tables show it. Numbers are as a
// guest sees them.
type Chipset struct {
	PMBase   uint32 // the LPC bridge's PMBASE, the base of the ACPI I/O registers
	PCIEXBAR uint64 // base of the memory-mapped configuration space; 0 where it is off
	// Functions holds what firmware programmed into the functions of all root buses, and into every bridge.
	Functions map[*qemu.PCIDevice]qemu.Programmed
}

// Blobs are the files that QEMU hands to firmware.
type Blobs struct {
	Tables []byte // etc/acpi/tables: checksums are 0, padded to a multiple of 128 KiB
	Loader []byte // etc/table-loader: Commands encoded, padded to a multiple of 4 KiB, as much as firmware reads of it
	RSDP   []byte // etc/acpi/rsdp
	Extra  []File // further files that the loader allocates, in the order of their commands

	List     []Table   // what Tables holds, in order
	Commands []Command // what Loader holds
}

// A File is a fw_cfg file.
type File struct {
	Name string
	Data []byte
}

// A Table is the place of one table in Blobs.Tables.
type Table struct {
	Signature string
	Off, Len  int // bytes
}

// Sizes to which QEMU pads its files, so that small changes do not move what follows (hw/i386/acpi-build.c,
// acpi_align_size).
const (
	tablesAlign = 128 << 10
	loaderAlign = 4 << 10
)

// Build returns the files that QEMU hands to the firmware of m after firmware programmed c. A machine with acpi=off
// has none; its Blobs are empty. The errors name the device or option whose effect is not known.
func Build(m *qemu.Machine, c Chipset) (*Blobs, error) {
	var b Builder
	return b.Build(m, c)
}

// A Builder builds the files of one machine after the other and keeps its buffers. The zero value is ready for use.
type Builder struct {
	tables, loader, rsdp []byte
	apicIDs              []uint32
}

// Build is like [Build]. What it returns is valid until the next call.
func (b *Builder) Build(m *qemu.Machine, c Chipset) (*Blobs, error) {
	if m.ACPIOff {
		return &Blobs{}, nil
	}
	if err := check(m); err != nil {
		return nil, err
	}
	s := &state{m: m, chip: &c, blobs: &Blobs{}}
	s.Reset(b.tables[:0])
	s.numberCPUs(b.apicIDs[:0])
	s.numberHotplugBuses()
	if err := s.readUserTables(); err != nil {
		return nil, err
	}
	s.alloc(TablesFile, 64, zoneHigh)
	for i := range rows {
		r := &rows[i]
		if r.when != nil && !r.when(s) {
			continue
		}
		if err := r.build(s); err != nil {
			return nil, err
		}
	}
	s.buildRSDP(b.rsdp[:0])
	s.blobs.Tables = pad(s.Bytes(), tablesAlign)
	s.blobs.Loader = s.loaderFile(b.loader[:0])
	b.tables, b.loader, b.rsdp, b.apicIDs = s.blobs.Tables, s.blobs.Loader, s.blobs.RSDP, s.apicIDs
	return s.blobs, nil
}

// pad appends zeros up to a multiple of align.
func pad(b []byte, align int) []byte {
	n := (len(b) + align - 1) / align * align
	if n <= cap(b) {
		clear(b[len(b):n])
		return b[:n]
	}
	return append(b, make([]byte, n-len(b))...)
}

// A state is one build. Its embedded builder appends to the tables' file.
type state struct {
	aml.Builder
	m     *qemu.Machine
	chip  *Chipset
	blobs *Blobs

	apicIDs  []uint32             // of every possible CPU
	cpuNodes []int                // NUMA node of every possible CPU; nil without NUMA
	bsel     map[*qemu.Bus]uint32 // buses that devices can be plugged into, numbered
	user     [][]byte             // tables of the user's
	rootRefs []int                // offsets of the tables that the RSDT points to
	dsdt     int                  // offset of the DSDT
	slicOEM  *[2]string           // OEM ID and OEM table ID of a table SLIC of the user's
	allocs   []Command
	cmds     []Command
}

// A row is one table: when QEMU makes it, and how.
type row struct {
	sig   string
	when  func(*state) bool // nil is always
	build func(*state) error
}

// rows are the tables in the order in which QEMU makes them (QEMU v10.2.2, hw/i386/acpi-build.c, acpi_build).
var rows = []row{
	{"FACS", nil, (*state).buildFACS},
	{"DSDT", nil, (*state).buildDSDT},
	{"FACP", nil, (*state).buildFADT},
	{"APIC", nil, (*state).buildMADT},
	{"ERST", func(s *state) bool { return s.m.ERST != nil }, (*state).buildERST},
	{"SSDT", func(s *state) bool { return s.m.HasVMGenID }, (*state).buildVMGenID},
	{"SSDT", func(s *state) bool { return s.m.VMClock }, (*state).buildVMClock},
	{"HPET", func(s *state) bool { return s.m.HPET }, (*state).buildHPET},
	{"TPM2", func(s *state) bool { return s.m.TPM != qemu.NoTPM }, (*state).buildTPM2},
	{"SRAT", (*state).hasNUMA, (*state).buildSRAT},
	{"SLIT", func(s *state) bool { return s.m.Distances != nil }, (*state).buildSLIT},
	{"HMAT", func(s *state) bool { return s.m.HMAT != nil && s.hasNUMA() }, (*state).buildHMAT},
	{"MCFG", func(s *state) bool { return s.chip.PCIEXBAR != 0 }, (*state).buildMCFG},
	{"IVRS", func(s *state) bool { return s.m.IOMMU.Kind == qemu.AMDIOMMU }, (*state).buildIVRS},
	{"DMAR", func(s *state) bool { return s.m.IOMMU.Kind == qemu.IntelIOMMU }, (*state).buildDMAR},
	{"VIOT", func(s *state) bool { return s.m.IOMMU.Kind == qemu.VirtioIOMMU }, (*state).buildVIOT},
	{"SSDT", func(s *state) bool { return s.m.NVDIMM && s.m.RAMSlots > 0 }, (*state).buildNVDIMM},
	{"NFIT", (*state).hasNFIT, (*state).buildNFIT},
	{"CEDT", func(s *state) bool { return s.m.CXL }, (*state).buildCEDT},
	{"WAET", nil, (*state).buildWAET},
	{"WDAT", func(s *state) bool { return s.m.WDAT }, (*state).buildWDAT},
	{"user", func(s *state) bool { return len(s.m.ACPITables) > 0 }, (*state).buildUserTables},
	{"RSDT", nil, (*state).buildRSDT},
}

// Split returns the tables by signature, numbered from the second of a kind on ("SSDT", "SSDT2"). Checksums are as
// in the file, 0.
func (b *Blobs) Split() map[string][]byte {
	out := make(map[string][]byte, len(b.List))
	for _, t := range b.List {
		name := t.Signature
		for n := byte('2'); ; n++ {
			if _, taken := out[name]; !taken {
				break
			}
			name = t.Signature + string(n)
		}
		out[name] = b.Tables[t.Off : t.Off+t.Len : t.Off+t.Len]
	}
	return out
}

// Checksummed returns a copy of a table with the checksum that the guest sees where no pointer in it is relocated.
func Checksummed(table []byte) []byte {
	out := append([]byte(nil), table...)
	if len(out) < headerLen || string(out[:4]) == "FACS" {
		return out
	}
	var sum byte
	for _, v := range out {
		sum += v
	}
	out[checksumOff] -= sum
	return out
}

// File returns a file that the loader asks for, by its fw_cfg name.
func (b *Blobs) File(name string) ([]byte, bool) {
	switch name {
	case TablesFile:
		return b.Tables, true
	case RSDPFile:
		return b.RSDP, true
	}
	for _, f := range b.Extra {
		if f.Name == name {
			return f.Data, true
		}
	}
	return nil, false
}
