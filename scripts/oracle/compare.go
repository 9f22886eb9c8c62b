package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tdxkit/tdxkit/acpi"
	"github.com/tdxkit/tdxkit/ovmf/pcibus"
	"github.com/tdxkit/tdxkit/qemu"
	"github.com/tdxkit/tdxkit/smbios"
)

// A difference is one thing in which QEMU and we do not agree.
type difference struct{ what, detail string }

// fw_cfg files that are compared beside those of package acpi.
const (
	smbiosTables = "etc/smbios/smbios-tables"
	smbiosAnchor = "etc/smbios/smbios-anchor"
	e820         = "etc/e820"
	bootMenu     = "BootMenu" // an item without a name, by its name in OVMF
	bootMenuKey  = 0x0e
)

// wanted are the files of QEMU's that are read.
var wanted = []string{
	acpi.LoaderFile, acpi.RSDPFile, acpi.TablesFile, smbiosTables, smbiosAnchor, e820,
	"etc/extra-pci-roots", "etc/boot-menu-wait", "etc/reserved-memory-end", "opt/ovmf/X-PciMmio64Mb", "bootorder",
	acpi.VMGenIDFile, acpi.NVDIMMFile,
}

// A prediction is what we say of a shape.
type prediction struct {
	m      *qemu.Machine
	placed pcibus.Placement
	blobs  *acpi.Blobs
	tables *smbios.Tables // nil where the CPU is not known
}

// predict reads a command line and builds everything that is compared, with the 64-bit window of firmware from edk2 202308
// to 202502.
func predict(s shape, release string) (*prediction, error) {
	return predictFor(s, release, pcibus.Stable202308)
}

// predictFor is predict for firmware of a generation.
func predictFor(s shape, release string, firmware pcibus.Generation) (*prediction, error) {
	read := func(name string) ([]byte, error) {
		data, ok := s.files[name]
		if !ok {
			return nil, fmt.Errorf("%s is not a file of the shape", name)
		}
		return data, nil
	}
	m, err := qemu.ParseArgs(s.args(), release, qemu.ParseOptions{ReadFile: read})
	if err != nil {
		return nil, err
	}
	p := &prediction{m: m}
	guest, err := pcibus.GuestOf(m)
	if err != nil {
		return nil, err
	}
	window, err := pcibus.Window64(guest, firmware)
	if err != nil {
		return nil, err
	}
	if p.placed, err = pcibus.Place(m, window); err != nil {
		return nil, err
	}
	if p.blobs, err = acpi.Build(m, acpi.Chipset{PMBase: pmBase, PCIEXBAR: pciExBar, Functions: p.placed}); err != nil {
		return nil, err
	}
	if p.tables, err = smbios.Build(m); err != nil && !errors.Is(err, smbios.ErrCPUUnknown) {
		return nil, err
	}
	return p, nil
}

// A record is what QEMU says of a shape.
type record struct {
	files       map[string][]byte
	cpu         cpuFacts
	differences []difference // of PCI functions, which are compared while QEMU runs
}

// cpuFacts are what OVMF's choice of the 64-bit window depends on.
type cpuFacts struct {
	PhysBits  int
	HugePages bool
	Vendor    string
}

// observe plays firmware and reads what QEMU hands to it.
func observe(v *vm, p *prediction) (*record, error) {
	all := functions(p.m.Root, 0, p.placed)
	if err := chipset(v.qtest); err != nil {
		return nil, err
	}
	if err := numberBuses(v.qtest, all, p.placed); err != nil {
		return nil, err
	}
	r := &record{files: map[string][]byte{}}
	var err error
	if r.differences, err = checkFunctions(v.qtest, p.m, all); err != nil {
		return nil, err
	}
	if err := programAll(v.qtest, all, p.placed); err != nil {
		return nil, err
	}
	if r.cpu, err = v.cpuFacts(); err != nil {
		return nil, err
	}
	if err := v.readFiles(r.files, acpi.LoaderFile); err != nil {
		return nil, err
	}
	if err := v.readFiles(r.files, wanted...); err != nil {
		return nil, err
	}
	r.files[bootMenu], err = v.transfer(bootMenuKey, 2)
	return r, err
}

// readFiles reads those of some files that are there and were not read. Firmware looks up the size of a file before it
// selects it, and reading the loader makes QEMU build its tables anew, so that sizes are those of before for the loader
// and those of afterwards for other files.
func (v *vm) readFiles(files map[string][]byte, names ...string) error {
	directory, err := v.fwCfgDirectory()
	if err != nil {
		return err
	}
	for _, name := range names {
		if files[name] != nil {
			continue
		}
		if item, ok := directory[name]; ok {
			if files[name], err = v.transfer(item.key, item.size); err != nil {
				return err
			}
		}
	}
	return nil
}

// cpuFacts asks for properties of the first CPU.
func (v *vm) cpuFacts() (cpuFacts, error) {
	var f cpuFacts
	q, err := v.openQMP()
	if err != nil {
		return f, err
	}
	answer, err := q.ask("query-cpus-fast", nil)
	if err != nil {
		return f, err
	}
	var cpus []struct {
		Path string `json:"qom-path"`
	}
	if err := json.Unmarshal(answer, &cpus); err != nil || len(cpus) == 0 {
		return f, fmt.Errorf("QMP: no CPUs: %w", err)
	}
	for name, field := range map[string]any{"phys-bits": &f.PhysBits, "pdpe1gb": &f.HugePages, "vendor": &f.Vendor} {
		answer, err := q.ask("qom-get", map[string]any{"path": cpus[0].Path, "property": name})
		if err != nil {
			return f, err
		}
		if err := json.Unmarshal(answer, field); err != nil {
			return f, err
		}
	}
	return f, nil
}

// compare returns where a prediction and QEMU differ.
func (p *prediction) compare(r *record) []difference {
	out := slices.Clone(r.differences)
	out = append(out, p.compareTables(r.files)...)
	file := func(name string, ours, theirs []byte) {
		if !bytes.Equal(ours, theirs) {
			out = append(out, difference{name, around(theirs, ours, firstDifference(theirs, ours))})
		}
	}
	file(acpi.LoaderFile, p.blobs.Loader, r.files[acpi.LoaderFile])
	file(acpi.RSDPFile, p.blobs.RSDP, r.files[acpi.RSDPFile])
	for _, name := range []string{acpi.NVDIMMFile, acpi.VMGenIDFile} {
		ours, loaded := p.blobs.File(name)
		if !loaded {
			continue // firmware reads what the loader names; the loader has been compared
		}
		theirs := r.files[name]
		if name == acpi.VMGenIDFile && (p.m.VMGenID == "" || p.m.VMGenID == "auto") { // random
			ours, theirs = make([]byte, len(ours)), make([]byte, len(theirs))
		}
		file(name, ours, theirs)
	}
	if p.tables != nil {
		out = append(out, compareSMBIOS(p.tables, r.files)...)
	}
	items, err := p.m.MeasuredFwCfg()
	if err != nil {
		out = append(out, difference{"fw_cfg items", err.Error()})
	}
	ours := map[string][]byte{}
	for _, i := range items {
		ours[i.Name] = i.Data
	}
	for _, name := range wanted[6:11] {
		file(name, ours[name], r.files[name])
	}
	file(bootMenu, ours[bootMenu], r.files[bootMenu])
	out = append(out, p.compareRAM(r.files[e820])...)
	if c := (cpuFacts{p.m.CPU.PhysBits, !p.m.CPU.NoHugePages1G, p.m.CPU.Vendor}); c != r.cpu {
		out = append(out, difference{"CPU", fmt.Sprintf("QEMU has %+v, ours %+v", r.cpu, c)})
	}
	return out
}

// compareTables compares etc/acpi/tables table by table and names the first byte that differs.
func (p *prediction) compareTables(files map[string][]byte) []difference {
	ours, theirs := p.blobs.Tables, files[acpi.TablesFile]
	if bytes.Equal(ours, theirs) {
		return nil
	}
	a, b := splitTables(ours), splitTables(theirs)
	var out []difference
	for i := range max(len(a), len(b)) {
		var x, y []byte
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if bytes.Equal(x, y) {
			continue
		}
		if tableName(x) != tableName(y) {
			return append(out, difference{"tables", fmt.Sprintf("table %d is %s, ours %s", i, tableName(y), tableName(x))})
		}
		if tableName(x) == "RSDT" && len(out) > 0 {
			continue // offsets only
		}
		out = append(out, tableDifference(x, y))
	}
	if out == nil {
		out = append(out, difference{"tables", fmt.Sprintf("the file has %d bytes, ours %d", len(theirs), len(ours))})
	}
	return out
}

// headerSize is the size of the header that all tables but FACS have.
const headerSize = 36

func tableDifference(ours, theirs []byte) difference {
	name := tableName(theirs)
	off := firstDifference(theirs, ours)
	if len(theirs) > headerSize && len(ours) > headerSize { // the length in the header says nothing
		if n := firstDifference(theirs[headerSize:], ours[headerSize:]); n >= 0 {
			off = headerSize + n
		}
	}
	path := ""
	if name == "DSDT" || name == "SSDT" {
		path = " in " + amlPath(theirs, off) + ", ours in " + amlPath(ours, off)
	}
	return difference{name, fmt.Sprintf("%d bytes, ours %d; at %#x%s\n%s", len(theirs), len(ours), off, path, around(theirs, ours, off))}
}

func splitTables(b []byte) [][]byte {
	var out [][]byte
	for len(b) >= 8 {
		for len(b) > 0 && b[0] == 0 {
			b = b[1:]
		}
		if len(b) < 8 {
			break
		}
		n := min(max(8, int(binary.LittleEndian.Uint32(b[4:]))), len(b))
		out, b = append(out, b[:n]), b[n:]
	}
	return out
}

func tableName(b []byte) string {
	if len(b) < 4 {
		return "nothing"
	}
	return string(b[:4])
}

// firstDifference returns the offset of the first byte that differs, -1 where none does.
func firstDifference(a, b []byte) int {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return i
		}
	}
	return -1
}

// around shows both sides of a difference.
func around(theirs, ours []byte, off int) string {
	cut := func(b []byte) string { return fmt.Sprintf("%q", b[min(len(b), max(0, off-16)):min(len(b), off+24)]) }
	return fmt.Sprintf("    at %#x of %d and %d bytes\n    QEMU %s\n    ours %s", off, len(theirs), len(ours), cut(theirs), cut(ours))
}

// compareSMBIOS compares the structures one by one.
func compareSMBIOS(t *smbios.Tables, files map[string][]byte) []difference {
	if bytes.Equal(t.Structures, files[smbiosTables]) && bytes.Equal(t.EntryPoint, files[smbiosAnchor]) {
		return nil
	}
	ours, err1 := smbios.Parse(t.Structures)
	theirs, err2 := smbios.Parse(files[smbiosTables])
	if err1 != nil || err2 != nil {
		return []difference{{"SMBIOS", fmt.Sprintf("cannot be read: QEMU's %v, ours %v", err2, err1)}}
	}
	for i := range max(len(ours), len(theirs)) {
		var x, y string
		if i < len(ours) {
			x = (&ours[i]).String()
		}
		if i < len(theirs) {
			y = (&theirs[i]).String()
		}
		if x != y {
			head, _, _ := strings.Cut(y, "\n")
			return []difference{{"SMBIOS " + head, fmt.Sprintf("structure %d\n    QEMU %q\n    ours %q", i, y, x)}}
		}
	}
	return []difference{{"SMBIOS entry point", around(files[smbiosAnchor], t.EntryPoint, firstDifference(files[smbiosAnchor], t.EntryPoint))}}
}

// compareRAM compares where RAM is with etc/e820: entries of 8 bytes address, 8 bytes length, 4 bytes type.
func (p *prediction) compareRAM(map820 []byte) []difference {
	want := [][2]uint64{{0, p.m.LowRAM()}}
	if n := p.m.HighRAM(); n > 0 {
		want = append(want, [2]uint64{p.m.HighRAMBase(), n})
	}
	var got [][2]uint64
	for ; len(map820) >= 20; map820 = map820[20:] {
		if binary.LittleEndian.Uint32(map820[16:]) == 1 {
			got = append(got, [2]uint64{binary.LittleEndian.Uint64(map820), binary.LittleEndian.Uint64(map820[8:])})
		}
	}
	if slices.Equal(got, want) {
		return nil
	}
	return []difference{{"RAM", fmt.Sprintf("QEMU has %x, ours %x", got, want)}}
}
