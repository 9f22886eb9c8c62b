package acpi

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// A layout says how a table of fixed fields is told: the fields behind its header, and entries behind those.
type layout struct {
	fields  []field
	entries int // offset of the first entry, 0 for none
	// entry takes the next entry off what is left: its length, and what it is called. A length of 0 is none.
	entry func(rest []byte) (n int, name string)
	// entryFields are the fields of an entry by the name that entry gave it.
	entryFields map[string][]field
}

// layouts are the tables whose fields are named, by signature. References: ACPI 6.5, 5.2; PCI Firmware 3.3, 4.1.2;
// IA-PC HPET 1.0a, 3.2.4.
var layouts = map[string]layout{
	"FACP": {fields: fadtFields},
	"APIC": {
		fields:  []field{{"local APIC address", 36, 4, false}, {"flags", 40, 4, false}},
		entries: 44, entry: typedEntry(madtNames),
		entryFields: map[string][]field{
			"local APIC":    {{"processor UID", 2, 1, false}, {"APIC ID", 3, 1, false}, {"flags", 4, 4, false}},
			"I/O APIC":      {{"ID", 2, 1, false}, {"address", 4, 4, false}, {"GSI base", 8, 4, false}},
			"override":      {{"bus", 2, 1, false}, {"source", 3, 1, false}, {"GSI", 4, 4, false}, {"flags", 8, 2, false}},
			"local NMI":     {{"processor UID", 2, 1, false}, {"flags", 3, 2, false}, {"LINT", 5, 1, false}},
			"local x2APIC":  {{"x2APIC ID", 4, 4, false}, {"flags", 8, 4, false}, {"processor UID", 12, 4, false}},
			"x2APIC NMI":    {{"flags", 2, 2, false}, {"processor UID", 4, 4, false}, {"LINT", 8, 1, false}},
			"wakeup method": {{"mailbox", 8, 8, false}},
		},
	},
	"MCFG": {
		entries: 44, entry: fixedEntry("segment", 16),
		entryFields: map[string][]field{"segment": {{"base address", 0, 8, false}, {"group", 8, 2, false}, {"start bus", 10, 1, false}, {"end bus", 11, 1, false}}},
	},
	"HPET": {fields: []field{
		{"event timer block ID", 36, 4, false}, {"address space", 40, 1, false}, {"bit width", 41, 1, false}, {"bit offset", 42, 1, false},
		{"access size", 43, 1, false}, {"base address", 44, 8, false}, {"number", 52, 1, false}, {"minimum tick", 53, 2, false}, {"page protection", 55, 1, false},
	}},
	"SRAT": {
		entries: 48, entry: typedEntry(sratNames),
		entryFields: map[string][]field{
			"processor": {{"domain, low byte", 2, 1, false}, {"APIC ID", 3, 1, false}, {"flags", 4, 4, false}, {"domain, high bytes", 9, 3, false}},
			"memory":    {{"domain", 2, 4, false}, {"base", 8, 8, false}, {"length", 16, 8, false}, {"flags", 28, 4, false}},
			"x2APIC":    {{"domain", 4, 4, false}, {"x2APIC ID", 8, 4, false}, {"flags", 12, 4, false}},
		},
	},
	"SLIT": {fields: []field{{"localities", 36, 8, false}}, entries: 44, entry: fixedEntry("distance", 1), entryFields: map[string][]field{"distance": {{"value", 0, 1, false}}}},
	"TPM2": {fields: []field{
		{"platform class", 36, 2, false}, {"control area", 40, 8, false}, {"start method", 48, 4, false}, {"log length", 64, 4, false}, {"log address", 68, 8, false},
	}},
	"WAET": {fields: []field{{"flags", 36, 4, false}}},
	"RSDT": {entries: 36, entry: fixedEntry("pointer", 4), entryFields: map[string][]field{"pointer": {{"address", 0, 4, false}}}},
	"XSDT": {entries: 36, entry: fixedEntry("pointer", 8), entryFields: map[string][]field{"pointer": {{"address", 0, 8, false}}}},
	"DMAR": {
		fields:  []field{{"host address width", 36, 1, false}, {"flags", 37, 1, false}},
		entries: 48, entry: wideEntry("remapping structure"),
	},
	"VIOT": {
		fields:  []field{{"node count", 36, 2, false}, {"node offset", 38, 2, false}},
		entries: 48, entry: func(rest []byte) (int, string) {
			if len(rest) < 4 {
				return 0, ""
			}
			return int(binary.LittleEndian.Uint16(rest[2:])), "node"
		},
	},
	"NFIT": {entries: 40, entry: wideEntry("structure")},
}

// fadtFields are the fields of the FADT by the names of ACPI 6.5, table 5.9.
var fadtFields = []field{
	{"FIRMWARE_CTRL", 36, 4, false}, {"DSDT", 40, 4, false}, {"Preferred_PM_Profile", 45, 1, false}, {"SCI_INT", 46, 2, false},
	{"SMI_CMD", 48, 4, false}, {"ACPI_ENABLE", 52, 1, false}, {"ACPI_DISABLE", 53, 1, false}, {"S4BIOS_REQ", 54, 1, false}, {"PSTATE_CNT", 55, 1, false},
	{"PM1a_EVT_BLK", 56, 4, false}, {"PM1b_EVT_BLK", 60, 4, false}, {"PM1a_CNT_BLK", 64, 4, false}, {"PM1b_CNT_BLK", 68, 4, false},
	{"PM2_CNT_BLK", 72, 4, false}, {"PM_TMR_BLK", 76, 4, false}, {"GPE0_BLK", 80, 4, false}, {"GPE1_BLK", 84, 4, false},
	{"PM1_EVT_LEN", 88, 1, false}, {"PM1_CNT_LEN", 89, 1, false}, {"PM2_CNT_LEN", 90, 1, false}, {"PM_TMR_LEN", 91, 1, false},
	{"GPE0_BLK_LEN", 92, 1, false}, {"GPE1_BLK_LEN", 93, 1, false}, {"GPE1_BASE", 94, 1, false}, {"CST_CNT", 95, 1, false},
	{"P_LVL2_LAT", 96, 2, false}, {"P_LVL3_LAT", 98, 2, false}, {"FLUSH_SIZE", 100, 2, false}, {"FLUSH_STRIDE", 102, 2, false},
	{"DUTY_OFFSET", 104, 1, false}, {"DUTY_WIDTH", 105, 1, false}, {"DAY_ALRM", 106, 1, false}, {"MON_ALRM", 107, 1, false}, {"CENTURY", 108, 1, false},
	{"IAPC_BOOT_ARCH", 109, 2, false}, {"Flags", 112, 4, false}, {"RESET_REG", 116, 12, false}, {"RESET_VALUE", 128, 1, false},
	{"ARM_BOOT_ARCH", 129, 2, false}, {"FADT minor version", 131, 1, false}, {"X_FIRMWARE_CTRL", 132, 8, false}, {"X_DSDT", 140, 8, false},
	{"X_PM1a_EVT_BLK", 148, 12, false}, {"X_PM1b_EVT_BLK", 160, 12, false}, {"X_PM1a_CNT_BLK", 172, 12, false}, {"X_PM1b_CNT_BLK", 184, 12, false},
	{"X_PM2_CNT_BLK", 196, 12, false}, {"X_PM_TMR_BLK", 208, 12, false}, {"X_GPE0_BLK", 220, 12, false}, {"X_GPE1_BLK", 232, 12, false},
	{"SLEEP_CONTROL_REG", 244, 12, false}, {"SLEEP_STATUS_REG", 256, 12, false}, {"hypervisor vendor identity", 268, 8, true},
}

var (
	madtNames = map[byte]string{0: "local APIC", 1: "I/O APIC", 2: "override", 4: "local NMI", 9: "local x2APIC", 10: "x2APIC NMI", 16: "wakeup method"}
	sratNames = map[byte]string{0: "processor", 1: "memory", 2: "x2APIC", 5: "generic initiator"}
)

// typedEntry takes entries that begin with a type and a length of a byte each.
func typedEntry(names map[byte]string) func([]byte) (int, string) {
	return func(rest []byte) (int, string) {
		if len(rest) < 2 {
			return 0, ""
		}
		name, ok := names[rest[0]]
		if !ok {
			name = fmt.Sprintf("entry of type %d", rest[0])
		}
		return int(rest[1]), name
	}
}

// wideEntry takes entries that begin with a type and a length of two bytes each.
func wideEntry(name string) func([]byte) (int, string) {
	return func(rest []byte) (int, string) {
		if len(rest) < 4 {
			return 0, ""
		}
		return int(binary.LittleEndian.Uint16(rest[2:])), fmt.Sprintf("%s of type %d", name, binary.LittleEndian.Uint16(rest))
	}
}

// fixedEntry takes entries of one size.
func fixedEntry(name string, size int) func([]byte) (int, string) {
	return func([]byte) (int, string) { return size, name }
}

// A tableEntry is one entry of a table.
type tableEntry struct {
	name string // with its number among those of its name
	kind string
	off  int
	data []byte
}

// split takes a table's entries apart; what is left over is an entry of its own.
func (l layout) split(table []byte) []tableEntry {
	var out []tableEntry
	seen := map[string]int{}
	for off := l.entries; off < len(table); {
		n, kind := l.entry(table[off:])
		if n < 1 || n > len(table)-off {
			n, kind = len(table)-off, "rest"
		}
		out = append(out, tableEntry{fmt.Sprintf("%s %d", kind, seen[kind]), kind, off, table[off:][:n]})
		seen[kind]++
		off += n
	}
	return out
}

// diff compares two tables of the layout.
func (l layout) diff(a, b rawTable) []Difference {
	head := func(t rawTable) []byte {
		if l.entries == 0 || l.entries > len(t.data) {
			return t.data
		}
		return t.data[:l.entries]
	}
	ha, hb := head(a), head(b)
	out := diffFields(a.name, "", l.fields, ha, hb, 0, 0)
	if len(out) == 0 && !bytes.Equal(ha[headerLen:], hb[headerLen:]) {
		out = diffRuns(a.name, "", ha[headerLen:], hb[headerLen:], headerLen, headerLen)
	}
	if l.entries == 0 {
		return out
	}
	others := map[string]tableEntry{}
	for _, e := range l.split(b.data) {
		others[e.name] = e
	}
	for _, e := range l.split(a.data) {
		o, ok := others[e.name]
		delete(others, e.name)
		switch {
		case !ok:
			out = append(out, Difference{Table: a.name, Path: e.name, Offset: e.off, OffsetB: -1, A: l.show(e)})
		case !bytes.Equal(e.data, o.data):
			d := diffFields(a.name, e.name+" ", l.entryFields[e.kind], e.data, o.data, e.off, o.off)
			if len(d) == 0 {
				d = diffRuns(a.name, e.name, e.data, o.data, e.off, o.off)
			}
			out = append(out, d...)
		}
	}
	for _, e := range l.split(b.data) {
		if _, ok := others[e.name]; ok {
			out = append(out, Difference{Table: a.name, Path: e.name, Offset: -1, OffsetB: e.off, B: l.show(e)})
		}
	}
	return out
}

// show is an entry in words.
func (l layout) show(e tableEntry) string {
	s := ""
	for _, f := range l.entryFields[e.kind] {
		if f.off+f.len <= len(e.data) {
			if s != "" {
				s += ", "
			}
			s += f.name + " " + f.show(e.data[f.off:][:f.len])
		}
	}
	if s == "" {
		return showBytes(e.data)
	}
	return s
}
