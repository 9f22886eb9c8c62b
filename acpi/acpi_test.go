package acpi_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/acpi"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/qemu"
)

// checkFiles holds what every set of files must obey: tables one behind the other with their lengths, every command
// within the file that it works on, every pointer at the start of a table or of a file, commands as encoded.
func checkFiles(t *testing.T, b *acpi.Blobs) {
	t.Helper()
	if len(b.Tables)%(128<<10) != 0 || len(b.Loader)%4096 != 0 || len(b.RSDP) != 20 {
		t.Fatalf("the files have %d, %d and %d bytes", len(b.Tables), len(b.Loader), len(b.RSDP))
	}
	starts, at := map[uint32]bool{}, 0
	for _, tb := range b.List {
		if tb.Off != at || string(b.Tables[at:at+4]) != tb.Signature || binary.LittleEndian.Uint32(b.Tables[at+4:]) != uint32(tb.Len) {
			t.Fatalf("%s: is not at offset %#x with %d bytes", tb.Signature, at, tb.Len)
		}
		if tb.Signature != "FACS" && b.Tables[at+9] != 0 {
			t.Errorf("%s: its checksum is %#x in the file", tb.Signature, b.Tables[at+9])
		}
		starts[uint32(at)] = true
		at += tb.Len
	}
	if !bytes.Equal(b.Tables[at:], make([]byte, len(b.Tables)-at)) {
		t.Error("the padding is not zero")
	}
	files := map[string][]byte{}
	for _, f := range append([]acpi.File{{Name: acpi.TablesFile, Data: b.Tables}, {Name: acpi.RSDPFile, Data: b.RSDP}}, b.Extra...) {
		files[f.Name] = f.Data
	}
	allocated, summed := map[string]bool{}, map[uint32]bool{}
	for i, c := range b.Commands {
		file := files[c.File]
		switch c.Kind {
		case acpi.Allocate:
			if file == nil || allocated[c.File] || c.Align == 0 || c.Align&(c.Align-1) != 0 {
				t.Errorf("command %d allocates %q, aligned to %d", i, c.File, c.Align)
			}
			allocated[c.File] = true
		case acpi.AddPointer:
			if !allocated[c.File] || !allocated[c.Source] || int(c.Offset)+int(c.Size) > len(file) {
				t.Fatalf("command %d points from %s+%#x to %s", i, c.File, c.Offset, c.Source)
			}
			target := binary.LittleEndian.Uint32(file[c.Offset:])
			if c.Source == acpi.TablesFile && !starts[target] || c.Source != acpi.TablesFile && target != 0 {
				t.Errorf("command %d points to %s+%#x, where no table starts", i, c.Source, target)
			}
		case acpi.AddChecksum:
			if !allocated[c.File] || int(c.Start)+int(c.Length) > len(file) || c.Offset < c.Start || c.Offset >= c.Start+c.Length {
				t.Errorf("command %d sums up %s from %#x, %d bytes, into %#x", i, c.File, c.Start, c.Length, c.Offset)
			}
			if c.File == acpi.TablesFile {
				summed[c.Start] = true
			}
		case acpi.WritePointer:
			if !allocated[c.Source] || int(c.SourceOff) >= len(files[c.Source]) {
				t.Errorf("command %d writes the address of %s+%#x", i, c.Source, c.SourceOff)
			}
		default:
			t.Errorf("command %d is of kind %d", i, c.Kind)
		}
		if 128*i >= len(b.Loader) {
			continue // beyond what firmware reads
		}
		if got := binary.LittleEndian.Uint32(b.Loader[128*i:]); got != uint32(c.Kind) {
			t.Errorf("command %d is encoded as kind %d", i, got)
		}
	}
	if len(allocated) != len(files) || len(summed) != len(b.List)-1 {
		t.Errorf("%d of %d files are allocated, %d of %d tables summed up", len(allocated), len(files), len(summed), len(b.List)-1)
	}
}

// TestFiles checks the files of shapes that have every kind of table between them.
func TestFiles(t *testing.T) {
	for _, args := range []string{
		machine(2, "2G", ""),
		machine(300, "64G,slots=4,maxmem=128G", dstackDevices+" -machine nvdimm=on"),
		machine(4, "2G", "-device vmgenid,guid=324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87 -device intel-iommu -machine hpet=on"),
		machine(4, "2G", "-tpmdev emulator,id=t,chardev=c -device tpm-crb,tpmdev=t -device virtio-iommu-pci"),
		machine(4, "2G", "-tpmdev emulator,id=t,chardev=c -device tpm-tis,tpmdev=t"),
	} {
		b := build(t, args, "10.0.13")
		checkFiles(t, b)
		if n := len(b.Split()); n != len(b.List) {
			t.Errorf("%s: Split returns %d of %d tables", args, n, len(b.List))
		}
	}
}

// TestBuilderReuse builds large and small shapes with one builder and compares with fresh ones.
func TestBuilderReuse(t *testing.T) {
	var kept acpi.Builder
	for _, name := range []string{"smp-256", "base", "memhp-2G_slots256_maxmem16G", "dev-none", "pxb-2", "base"} {
		cases, _ := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "acpi", "10.2.2.tar.zst"))
		files := cases["10.2.2/"+name]
		m, chip, err := machineOf(t, files["config.json"], "10.2.2")
		if err != nil {
			t.Fatal(err)
		}
		b, err := kept.Build(m, chip)
		if err != nil {
			t.Fatal(err)
		}
		if diff := difference("tables", b.Tables, files["tables.bin"]) + difference("loader", b.Loader, files["loader.bin"]); diff != "" {
			t.Errorf("%s after others: got, want:\n%s", name, diff)
		}
	}
}

// TestChecksummed sums a table up.
func TestChecksummed(t *testing.T) {
	b := build(t, machine(2, "2G", ""), "10.0.13")
	for name, table := range b.Split() {
		sum := byte(0)
		for _, v := range acpi.Checksummed(table) {
			sum += v
		}
		if name != "FACS" && sum != 0 {
			t.Errorf("%s sums up to %#x", name, sum)
		}
		if !bytes.Equal(table[10:], acpi.Checksummed(table)[10:]) {
			t.Errorf("%s is changed beyond its checksum", name)
		}
	}
}

// TestOff builds a machine without ACPI.
func TestOff(t *testing.T) {
	b, err := acpi.Build(&qemu.Machine{ACPIOff: true}, acpi.Chipset{})
	if err != nil || b.Tables != nil || b.Loader != nil || b.RSDP != nil || len(b.Commands) != 0 {
		t.Errorf("got %+v, %v; want no file", b, err)
	}
}

// TestUnsupported shows each kind of machine that is refused, and what the error names.
func TestUnsupported(t *testing.T) {
	tests := []struct {
		name   string
		change func(*qemu.Machine)
		want   string
	}{
		{"no bus", func(m *qemu.Machine) { m.Root = nil }, "root bus"},
		{"no CPU", func(m *qemu.Machine) { m.Topology.CPUs = 0 }, "-smp"},
		{"more CPUs than possible", func(m *qemu.Machine) { m.Topology.CPUs = 3 }, "-smp"},
		{"too many CPUs", func(m *qemu.Machine) { m.Topology.CPUs, m.Topology.MaxCPUs = 5000, 5000 }, "-smp"},
		{"no memory", func(m *qemu.Machine) { m.RAM = 0 }, "-m"},
		{"less room than memory", func(m *qemu.Machine) { m.MaxRAM = 1 << 20 }, "-m"},
		{"too many slots", func(m *qemu.Machine) { m.RAMSlots = 257 }, "slots"},
		{"a short OEM ID, behind which QEMU copies its heap", func(m *qemu.Machine) { m.OEMID = "ABC" }, "x-oem-id"},
		{"a long OEM ID", func(m *qemu.Machine) { m.OEMID = "ABCDEFG" }, "x-oem-id"},
		{"a long OEM table ID", func(m *qemu.Machine) { m.OEMTableID = "ABCDEFGHI" }, "x-oem-table-id"},
		{"AMD's IOMMU", func(m *qemu.Machine) { m.IOMMU.Kind = qemu.AMDIOMMU }, "amd-iommu"},
		{"a virtio-iommu on no bus", func(m *qemu.Machine) { m.IOMMU.Kind = qemu.VirtioIOMMU }, "virtio-iommu-pci"},
		{"a virtio-iommu behind a bridge", func(m *qemu.Machine) {
			m.IOMMU = qemu.IOMMU{Kind: qemu.VirtioIOMMU, Device: &qemu.PCIDevice{ID: "i"}}
		}, "virtio-iommu-pci"},
		{"an IOMMU beside an expander's functions", func(m *qemu.Machine) {
			m.IOMMU.Kind = qemu.IntelIOMMU
			m.Root = &qemu.Bus{Devices: []*qemu.PCIDevice{{Driver: "pxb-pcie", ID: "p", ExtraRoot: &qemu.Bus{PCIe: true, BusNr: 9, Devices: []*qemu.PCIDevice{{}}}}}}
		}, "pxb-pcie p"},
		{"an IPMI interface on the SMBus beside one on PCI", func(m *qemu.Machine) {
			m.SMBusIPMI = []qemu.SMBusIPMI{{}}
			m.Root.Devices = append(m.Root.Devices, &qemu.PCIDevice{Slot: 31, Function: 7, Driver: "pci-ipmi-kcs"})
		}, "smbus-ipmi"},
		{"an IOMMU's property", func(m *qemu.Machine) {
			m.IOMMU = qemu.IOMMU{Kind: qemu.AMDIOMMU, Device: &qemu.PCIDevice{}, Props: map[string]string{"xtsup": "perhaps"}}
		}, "xtsup"},
		{"another IOMMU property", func(m *qemu.Machine) {
			m.IOMMU = qemu.IOMMU{Kind: qemu.AMDIOMMU, Device: &qemu.PCIDevice{}, Props: map[string]string{"dma-translation": "1"}}
		}, "dma-translation"},
		{"an initiator of no node", func(m *qemu.Machine) { m.GenericInitiators = []qemu.GenericInitiator{{Node: 1}} }, "node 1"},
		{"an initiator on no bus", func(m *qemu.Machine) {
			m.NUMA = []qemu.NUMANode{{RAM: m.RAM, Initiator: qemu.NoInitiator}}
			m.GenericInitiators = []qemu.GenericInitiator{{Device: &qemu.PCIDevice{}}}
		}, "on no bus"},
		{"a latency without a base", func(m *qemu.Machine) { m.HMAT = &qemu.HMAT{Localities: []qemu.Locality{{}}} }, "no base"},
		{"a latency of no node", func(m *qemu.Machine) {
			m.HMAT = &qemu.HMAT{Localities: []qemu.Locality{{Base: 1, Entries: []qemu.LocalityEntry{{Target: 3}}}}}
		}, "hmat-lb"},
		{"an AMD IOMMU without its function", func(m *qemu.Machine) { m.IOMMU.Kind = qemu.AMDIOMMU }, "no function"},
		{"a user's table that nobody read", func(m *qemu.Machine) { m.ACPITables = []qemu.ACPITable{{Paths: []string{"mine.dsl"}}} }, "mine.dsl"},
		{"an unknown ISA device", func(m *qemu.Machine) { m.ISA = []qemu.ISADevice{{Driver: "isa-flux"}} }, "isa-flux"},
		{"a fifth serial port", func(m *qemu.Machine) { m.Serial = []int{4} }, "isa-serial"},
		{"a fourth parallel port", func(m *qemu.Machine) { m.Parallel = []int{3} }, "isa-parallel"},
		{"a port number that is none", func(m *qemu.Machine) {
			m.ISA = []qemu.ISADevice{{Driver: "pvpanic", Props: map[string]string{"ioport": "x"}}}
		}, "ioport=x"},
		{"an interrupt that the ISA bus lacks", func(m *qemu.Machine) {
			m.ISA = []qemu.ISADevice{{Driver: "isa-ipmi-kcs", Props: map[string]string{"irq": "16"}}}
		}, "irq=16"},
		{"a generation ID that changes at each start", func(m *qemu.Machine) { m.HasVMGenID, m.VMGenID = true, "auto" }, "vmgenid"},
		{"functions out of order", func(m *qemu.Machine) {
			m.Root = &qemu.Bus{Devices: []*qemu.PCIDevice{{Slot: 2}, {Slot: 1, Driver: "late"}}}
		}, "late"},
		{"a conventional expander", func(m *qemu.Machine) {
			m.Root = &qemu.Bus{Devices: []*qemu.PCIDevice{{Slot: 2, Driver: "pxb", ExtraRoot: &qemu.Bus{}}}}
		}, "pxb"},
		{"bridges without end", func(m *qemu.Machine) {
			d := &qemu.PCIDevice{Driver: "pci-bridge"}
			m.Root = &qemu.Bus{Name: "loop", Devices: []*qemu.PCIDevice{d}}
			d.Bridge = m.Root
		}, "bus loop"},
	}
	for _, tt := range tests {
		m, err := qemu.ParseArgs(strings.Fields(machine(2, "2G", "")), "10.0.13", qemu.ParseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = acpi.Build(m, acpi.Chipset{PMBase: 0x600}); err != nil {
			t.Fatal(err)
		}
		tt.change(m)
		_, err = acpi.Build(m, acpi.Chipset{PMBase: 0x600})
		if !errors.Is(err, acpi.ErrUnsupported) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error that names %s", tt.name, err, tt.want)
		}
	}
}

// acpiTraits are the traits that this package looks at, each with a shape in whose tables it shows.
var acpiTraits = map[string]string{
	"MADTRevision1":    "base",
	"EdgeOverrides":    "base",
	"PCATAlways":       "base",
	"OldPDSM":          "base",
	"NoPXBStaticPRT":   "pxb-port",
	"NoCPUScanEject":   "base",
	"PRESInit":         "base",
	"SerialPlainIRQ":   "base",
	"PDSMClearFirst":   "base",
	"PCI0Address":      "base",
	"NoEDSM":           "base",
	"HotplugInDevices": "port-1",
}

// TestTraits turns each trait of each release over: the tables must then differ from real QEMU's. A trait that shows
// nowhere, or that no evidence decides, would pass unseen.
func TestTraits(t *testing.T) {
	for _, corpus := range corpora {
		cases, _ := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "acpi", corpus.name+".tar.zst"))
		for trait, shape := range acpiTraits {
			files := cases[corpus.name+"/"+shape]
			m, chip, err := machineOf(t, files["config.json"], corpus.release)
			if err != nil {
				t.Fatal(err)
			}
			f := reflect.ValueOf(&m.Traits).Elem().FieldByName(trait)
			if !f.IsValid() {
				t.Fatalf("there is no trait %s", trait)
			}
			f.SetBool(!f.Bool())
			b, err := acpi.Build(m, chip)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Equal(b.Tables, files["tables.bin"]) {
				t.Errorf("%s: %s=%v makes no difference to %s", corpus.name, trait, f.Bool(), shape)
			}
		}
	}
}

// TestChipset turns over what firmware programs.
func TestChipset(t *testing.T) {
	m, err := qemu.ParseArgs(strings.Fields(machine(2, "2G", "")), "10.0.13", qemu.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, c := range []acpi.Chipset{
		{}, {PMBase: 0x600}, {PMBase: 0xb000}, {PMBase: 0x600, PCIEXBAR: 0xb0000000}, {PMBase: 0x600, PCIEXBAR: 0xe0000000},
		{PMBase: 0x600, PCIEXBAR: 1 << 36},
		{PMBase: 0x600, Functions: map[*qemu.PCIDevice]qemu.Programmed{m.Root.Devices[0]: {Memory: []qemu.Range{{Min: 1 << 40, Max: 1<<40 + 4095}}}}},
	} {
		b, err := acpi.Build(m, c)
		if err != nil {
			t.Fatal(err)
		}
		what := fmt.Sprintf("%#x %#x %d", c.PMBase, c.PCIEXBAR, len(c.Functions))
		if _, ok := b.Split()["MCFG"]; ok != (c.PCIEXBAR != 0) {
			t.Errorf("%s: MCFG is there: %v", what, ok)
		}
		if other, ok := seen[digest(b.Tables)]; ok {
			t.Errorf("%s gives the same tables as %s", what, other)
		}
		seen[digest(b.Tables)] = what
	}
}
