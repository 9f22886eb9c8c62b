package acpi

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// A Difference is one place in which two sets of tables differ.
type Difference struct {
	Table string // signature, numbered from the second of a kind on: "DSDT", "SSDT2"; "" for the order of tables
	// Offset is where it is in A's table, OffsetB in B's, in bytes; -1 where there is nothing.
	Offset, OffsetB int
	// Path is what is there: a field of a table with fixed fields, an entry and its field, or the AML path of the object,
	// with [n] for elements of packages and .name for fields of resource descriptors; "" for a whole table.
	Path string
	// A and B are the two values in words; "" where there is nothing.
	A, B string
}

// String says the difference in one line.
func (d Difference) String() string {
	what := strings.TrimSpace(d.Table + " " + d.Path)
	switch {
	case d.Offset < 0:
		return fmt.Sprintf("%s: only in B: %s", what, d.B)
	case d.OffsetB < 0:
		return fmt.Sprintf("%s: only in A: %s", what, d.A)
	case d.Offset == d.OffsetB:
		return fmt.Sprintf("%s at 0x%x: %s, in B %s", what, d.Offset, d.A, d.B)
	}
	return fmt.Sprintf("%s at 0x%x, in B at 0x%x: %s, in B %s", what, d.Offset, d.OffsetB, d.A, d.B)
}

// A rawTable is a table in a file of tables.
type rawTable struct {
	name string // as in Difference
	off  int    // in the file
	data []byte
}

// Diff says in what two files of tables differ: etc/acpi/tables as QEMU makes it, or single tables. It is empty only
// where they hold the same. What follows from another difference, lengths and checksums, is left out beside it. Errors
// *[bin.FormatError].
func Diff(a, b []byte) ([]Difference, error) {
	ta, err := splitTables(a)
	if err != nil {
		return nil, err
	}
	tb, err := splitTables(b)
	if err != nil {
		return nil, err
	}
	byName := map[string]rawTable{}
	for _, t := range tb {
		byName[t.name] = t
	}
	var out []Difference
	var common []string // of A, in its order
	for _, t := range ta {
		other, ok := byName[t.name]
		if !ok {
			out = append(out, Difference{Table: t.name, Offset: t.off, OffsetB: -1, A: describeTable(t)})
			continue
		}
		common = append(common, t.name)
		if bytes.Equal(t.data, other.data) {
			continue
		}
		if sameRoots(t, other, ta, tb) {
			out = append(out, diffFields(t.name, "", headerFields, t.data, other.data, 0, 0)...)
			continue
		}
		d, err := diffTable(t, other)
		if err != nil {
			return nil, err
		}
		out = append(out, d...)
	}
	var order []string
	for _, t := range tb {
		if slices.Contains(common, t.name) {
			order = append(order, t.name)
		} else {
			out = append(out, Difference{Table: t.name, Offset: -1, OffsetB: t.off, B: describeTable(t)})
		}
	}
	out = slices.DeleteFunc(out, func(d Difference) bool { return isMove(d, ta, tb) })
	if !slices.Equal(common, order) {
		out = append(out, Difference{Path: "order of tables", A: strings.Join(common, " "), B: strings.Join(order, " ")})
	}
	return out, nil
}

// pointerFields are the fields that hold a table's offset in QEMU's file.
var pointerFields = []string{"FIRMWARE_CTRL", "DSDT", "X_FIRMWARE_CTRL", "X_DSDT"}

// isMove reports whether a difference is that of a pointer of the FADT to one and the same table, which lies elsewhere.
func isMove(d Difference, a, b []rawTable) bool {
	if d.Table != "FACP" || !slices.Contains(pointerFields, d.Path) {
		return false
	}
	target := func(value string, tables []rawTable) string {
		n, err := strconv.ParseUint(value, 0, 64)
		if err != nil {
			return ""
		}
		return tableAt(n, tables)
	}
	name := target(d.A, a)
	return name != "" && name == target(d.B, b)
}

// tableAt returns the name of the table at an offset, "" where none begins.
func tableAt(off uint64, tables []rawTable) string {
	i := slices.IndexFunc(tables, func(t rawTable) bool { return uint64(t.off) == off })
	if i < 0 {
		return ""
	}
	return tables[i].name
}

// sameRoots reports whether two root tables name the same tables of their files in the same order, but for those that
// one file lacks.
func sameRoots(a, b rawTable, ta, tb []rawTable) bool {
	names := func(t rawTable, own, other []rawTable) (list []string, ok bool) {
		width := map[string]int{"RSDT": 4, "XSDT": 8}[string(t.data[:4])]
		if width == 0 || (len(t.data)-headerLen)%width != 0 {
			return nil, false
		}
		for p := t.data[headerLen:]; len(p) > 0; p = p[width:] {
			var v [8]byte
			copy(v[:], p[:width])
			name := tableAt(binary.LittleEndian.Uint64(v[:]), own)
			if name == "" {
				return nil, false
			}
			if slices.ContainsFunc(other, func(t rawTable) bool { return t.name == name }) {
				list = append(list, name)
			}
		}
		return list, true
	}
	la, okA := names(a, ta, tb)
	lb, okB := names(b, tb, ta)
	return okA && okB && slices.Equal(la, lb)
}

func describeTable(t rawTable) string { return fmt.Sprintf("a table of %d bytes", len(t.data)) }

// maxFileTables bounds the tables of a file; QEMU makes some twenty.
const maxFileTables = 1 << 10

// splitTables takes a file of tables apart, which lie one behind the other, with zeros after the last (ACPI 6.5, 5.2.6).
func splitTables(data []byte) ([]rawTable, error) {
	var out []rawTable
	seen := map[string]int{}
	for off := 0; off < len(data) && len(bytes.TrimLeft(data[off:min(len(data), off+64)], "\x00")) > 0; {
		c := bin.NewCursor("ACPI table", data[off:], int64(off))
		sig := string(c.Bytes("Signature", 4))
		n := int64(c.U32("Length"))
		least := int64(headerLen)
		if sig == "FACS" {
			least = 8
		}
		if strings.ContainsFunc(sig, func(r rune) bool { return r < ' ' || r > '~' }) {
			c.Failf(int64(off), "Signature", bin.ErrMalformed, "is %q, want four printable characters", sig)
		}
		if n < least || n > int64(len(data)-off) {
			c.Failf(int64(off)+lengthOff, "Length", bin.ErrMalformed, "is %d, want %d to %d", n, least, len(data)-off)
		}
		if len(out) == maxFileTables {
			c.Failf(int64(off), "Signature", bin.ErrUnsupported, "is of one of more than %d tables", maxFileTables)
		}
		if err := c.Err(); err != nil {
			return nil, err
		}
		seen[sig]++
		name := sig
		if seen[sig] > 1 {
			name += fmt.Sprint(seen[sig])
		}
		out = append(out, rawTable{name: name, off: off, data: data[off:][:n:n]})
		off += int(n)
	}
	if len(out) == 0 {
		return nil, &bin.FormatError{Format: "ACPI table", Field: "Signature", Msg: "there is no table", Err: bin.ErrMalformed}
	}
	return out, nil
}

// A field is a field of a table or of an entry, little-endian unless it is text.
type field struct {
	name     string
	off, len int
	text     bool
}

// headerFields are those of every table but the FACS.
var headerFields = []field{
	{"revision", 8, 1, false}, {"OEM ID", 10, 6, true}, {"OEM table ID", 16, 8, true}, {"OEM revision", 24, 4, false},
	{"creator ID", 28, 4, true}, {"creator revision", 32, 4, false},
}

// derivedFields follow from the rest, and are only told where nothing else is.
var derivedFields = []field{{"length", 4, 4, false}, {"checksum", 9, 1, false}}

// diffTable compares two tables of a name.
func diffTable(a, b rawTable) ([]Difference, error) {
	sig := string(a.data[:4])
	if sig == "FACS" {
		return diffRuns(a.name, "", a.data, b.data, 0, 0), nil
	}
	out := diffFields(a.name, "", headerFields, a.data, b.data, 0, 0)
	body, err := []Difference(nil), error(nil)
	switch l, known := layouts[sig]; {
	case sig == "DSDT" || sig == "SSDT":
		body, err = diffAML(a, b)
	case known:
		body = l.diff(a, b)
	case !bytes.Equal(a.data[headerLen:], b.data[headerLen:]):
		body = diffRuns(a.name, "", a.data[headerLen:], b.data[headerLen:], headerLen, headerLen)
	}
	if out = append(out, body...); len(out) == 0 && err == nil {
		out = diffFields(a.name, "", derivedFields, a.data, b.data, 0, 0)
	}
	return out, err
}

// diffFields compares fields of two structures of the offsets baseA and baseB in their tables. A field that one of
// them is too short for is passed over.
func diffFields(table, prefix string, fields []field, a, b []byte, baseA, baseB int) []Difference {
	var out []Difference
	for _, f := range fields {
		if f.off+f.len > len(a) || f.off+f.len > len(b) {
			continue
		}
		va, vb := a[f.off:][:f.len], b[f.off:][:f.len]
		if bytes.Equal(va, vb) {
			continue
		}
		out = append(out, Difference{Table: table, Path: prefix + f.name, Offset: baseA + f.off, OffsetB: baseB + f.off, A: f.show(va), B: f.show(vb)})
	}
	return out
}

// show is a field's value.
func (f field) show(v []byte) string {
	switch {
	case f.text:
		return fmt.Sprintf("%q", strings.TrimRight(string(v), "\x00"))
	case f.len <= 8:
		var b [8]byte
		copy(b[:], v)
		return fmt.Sprintf("0x%x", binary.LittleEndian.Uint64(b[:]))
	}
	return showBytes(v)
}

// showBytes shows the first bytes of data.
func showBytes(data []byte) string {
	const most = 12
	if len(data) == 0 {
		return "nothing"
	}
	s := fmt.Sprintf("% x", data[:min(most, len(data))])
	if len(data) > most {
		s += fmt.Sprintf(" ... (%d bytes)", len(data))
	}
	return s
}

// maxRuns bounds how many runs of bytes are told of one structure.
const maxRuns = 16

// diffRuns tells each run of bytes in which two structures differ, and then how their ends differ.
func diffRuns(table, prefix string, a, b []byte, baseA, baseB int) []Difference {
	var out []Difference
	n := min(len(a), len(b))
	for i := 0; i < n; i++ {
		if a[i] == b[i] {
			continue
		}
		start, last := i, i
		for ; i < n && i-last < 4; i++ { // runs that are close to each other are one
			if a[i] != b[i] {
				last = i
			}
		}
		if len(out) == maxRuns {
			last = n - 1
		}
		out = append(out, Difference{Table: table, Path: strings.TrimSpace(prefix + " bytes"), Offset: baseA + start, OffsetB: baseB + start,
			A: showBytes(a[start : last+1]), B: showBytes(b[start : last+1])})
		if len(out) > maxRuns {
			break
		}
	}
	if len(a) != len(b) {
		out = append(out, Difference{Table: table, Path: strings.TrimSpace(prefix + " end"), Offset: baseA + n, OffsetB: baseB + n, A: showBytes(a[n:]), B: showBytes(b[n:])})
	}
	return out
}
