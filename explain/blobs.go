package explain

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/smbios"
)

// acpiName calls an ACPI file by its predicted name, or by its bytes.
func acpiName(d *mr.Delta) string {
	for _, e := range []*mr.Event{d.Want, d.Got} {
		if e == nil {
			continue
		}
		switch {
		case bytes.HasPrefix(e.Measured.Bytes, []byte("RSD PTR ")):
			return "ACPI root pointer"
		case bytes.HasPrefix(e.Measured.Bytes, []byte{1, 0, 0, 0, 'e', 't', 'c', '/'}):
			return "ACPI table loader"
		case len(e.Measured.Bytes) > 0:
			return "ACPI tables"
		}
	}
	for _, e := range []*mr.Event{d.Want, d.Got} {
		if e == nil || e.Measured.What == "" {
			continue
		}
		switch e.Measured.What {
		case "etc/table-loader", "acpi-loader":
			return "ACPI table loader"
		case "etc/acpi/rsdp", "acpi-rsdp":
			return "ACPI root pointer"
		case "etc/acpi/tables", "acpi-tables":
			return "ACPI tables"
		}
		return "ACPI file " + clip(e.Measured.What)
	}
	return "an ACPI file"
}

func acpiDiffers(c *context, d *mr.Delta, f *Finding) {
	w, g := d.Want.Measured.Bytes, d.Got.Measured.Bytes
	if len(w) == 0 || len(g) == 0 {
		f.digests(d, "the bytes are not at hand on both sides")
		f.Hint = "vCPUs, memory, devices, or QEMU's release"
		return
	}
	wt, werr := splitACPI(w)
	gt, gerr := splitACPI(g)
	switch {
	case f.Subject == "ACPI tables" && werr == nil && gerr == nil:
		f.Details = diffTables(wt, gt)
		f.Hint = "vCPUs, memory, devices, or QEMU's release"
	case f.Subject == "ACPI table loader" && commands(w) == commands(g):
		f.Details = []string{"has the same commands over tables of other sizes"}
	case f.Subject == "ACPI table loader":
		f.Details = []string{fmt.Sprintf("has %d commands, expected %d", commands(g), commands(w))}
	default:
		f.Details = []string{firstDifference(w, g)}
	}
	if f.Subject != "ACPI tables" && c.differ(func(x *mr.Delta) bool { return acpiName(x) == "ACPI tables" }) {
		f.Hint = "follows from the ACPI tables"
	}
	f.digests(d, fmt.Sprintf("%d differences", len(f.Details)))
	if len(f.Details) == 1 {
		f.Text, f.Details = fmt.Sprintf("%s: %s.", f.Subject, f.Details[0]), nil
	}
}

// loaderCommand is the size in bytes of one command of a table loader. QEMU v10.2.2, hw/acpi/bios-linker-loader.c.
const loaderCommand = 128

// commands counts the commands of a loader up to its fill of zeros.
func commands(b []byte) (n int) {
	for len(b) >= loaderCommand && b[0] != 0 {
		n, b = n+1, b[loaderCommand:]
	}
	return n
}

// splitACPI divides a blob of tables by their own lengths: signature, le32 length. Zeros after the last are its fill.
// ACPI 6.5, 5.2.6 System Description Table Header. The second table of a signature is called SSDT2.
func splitACPI(b []byte) (map[string][]byte, error) {
	out := map[string][]byte{}
	c := bin.NewCursor("ACPI tables", b, 0)
	for len(bytes.Trim(b[c.Off():], "\x00")) > 0 {
		off := c.Off()
		sig := string(c.Bytes("Signature", 4))
		length := int64(c.U32("Length"))
		if c.Err() == nil && (length < 8 || off+length > int64(len(b))) {
			c.Failf(off+4, "Length", bin.ErrMalformed, "is %d, %d bytes are left", length, int64(len(b))-off)
		}
		if c.Err() != nil {
			return nil, c.Err()
		}
		c.Bytes(sig, int(length)-8)
		name := sig
		for n := 2; out[name] != nil; n++ {
			name = fmt.Sprintf("%s%d", sig, n)
		}
		out[name] = b[off : off+length]
	}
	return out, c.Err()
}

// diffTables says which tables differ, and for those that count something, in what.
func diffTables(want, got map[string][]byte) []string {
	names := slices.Sorted(maps.Keys(want))
	for _, n := range slices.Sorted(maps.Keys(got)) {
		if want[n] == nil {
			names = append(names, n)
		}
	}
	var out []string
	for _, n := range names {
		w, g := want[n], got[n]
		switch {
		case g == nil:
			out = append(out, fmt.Sprintf("%s is not in the evidence", clip(n)))
		case w == nil:
			out = append(out, fmt.Sprintf("%s is in the evidence alone", clip(n)))
		case bytes.Equal(w, g):
		case n == "RSDT" && len(w) == len(g) && len(out) > 0: // it points to the others, which have moved
		case n == "APIC" && processors(w) != processors(g):
			out = append(out, fmt.Sprintf("APIC (MADT) lists %d vCPUs, expected %d", processors(g), processors(w)))
		default:
			out = append(out, fmt.Sprintf("%s %s", clip(n), firstDifference(w, g)))
		}
	}
	return out
}

// processors counts the enabled local APICs and x2APICs of a MADT. ACPI 6.5, 5.2.12.2 and 5.2.12.12.
func processors(madt []byte) (n int) {
	const header = 44
	for i := header; i+2 <= len(madt); {
		kind, size := madt[i], int(madt[i+1])
		if size < 2 || i+size > len(madt) {
			return n
		}
		e := madt[i : i+size]
		if kind == 0 && size >= 8 && binary.LittleEndian.Uint32(e[4:])&1 != 0 || kind == 9 && size >= 12 && binary.LittleEndian.Uint32(e[8:])&1 != 0 {
			n++
		}
		i += size
	}
	return n
}

// firstDifference says where two byte strings begin to differ.
func firstDifference(want, got []byte) string {
	i := 0
	for i < len(want) && i < len(got) && want[i] == got[i] {
		i++
	}
	if len(want) != len(got) {
		return fmt.Sprintf("has %d bytes, expected %d; they differ from 0x%x on", len(got), len(want), i)
	}
	if i == len(want) {
		return "is the same"
	}
	differ := 0
	for k := range want {
		if want[k] != got[k] {
			differ++
		}
	}
	return fmt.Sprintf("differs in %d of %d bytes, the first at 0x%x: 0x%02x, expected 0x%02x", differ, len(want), i, got[i], want[i])
}

func smbiosDiffers(_ *context, d *mr.Delta, f *Finding) {
	f.Hint = "memory, vCPU topology, CPU model, -smbios, machine type, or the firmware's version"
	if len(d.Want.Measured.Bytes) > 0 && len(d.Got.Measured.Bytes) > 0 {
		w, werr := smbios.Parse(d.Want.Measured.Bytes)
		g, gerr := smbios.Parse(d.Got.Measured.Bytes)
		if werr == nil && gerr == nil {
			f.Details = diffStructures(w, g)
		}
	}
	switch len(f.Details) {
	case 0:
		f.digests(d, "the table is not at hand on both sides")
	case 1:
		f.Text, f.Details = fmt.Sprintf("SMBIOS: %s.", f.Details[0]), nil
		f.Want, f.Got = digestOf(d.Want), digestOf(d.Got)
	default:
		f.digests(d, fmt.Sprintf("%d fields", len(f.Details)))
	}
}

// diffStructures compares structures with the same type and handle, field by field.
func diffStructures(want, got []smbios.Structure) []string {
	type id struct {
		typ    uint8
		handle uint16
	}
	index := map[id]*smbios.Structure{}
	for i := range got {
		index[id{got[i].Type, got[i].Handle}] = &got[i]
	}
	var out []string
	for i := range want {
		w := &want[i]
		k := id{w.Type, w.Handle}
		g := index[k]
		delete(index, k)
		if g == nil {
			out = append(out, fmt.Sprintf("type %d (%s), handle 0x%04x, is not in the evidence", w.Type, w.Name(), w.Handle))
			continue
		}
		out = append(out, diffFields(w, g)...)
	}
	for i := range got {
		if index[id{got[i].Type, got[i].Handle}] != nil {
			out = append(out, fmt.Sprintf("type %d (%s), handle 0x%04x, is in the evidence alone", got[i].Type, got[i].Name(), got[i].Handle))
		}
	}
	return out
}

func diffFields(want, got *smbios.Structure) []string {
	values := map[string]string{}
	for _, f := range got.Fields() {
		values[fmt.Sprint(f.Off, f.Name)] = f.Value
	}
	var out []string
	for _, f := range want.Fields() {
		if g := values[fmt.Sprint(f.Off, f.Name)]; g != f.Value {
			if g == "" {
				g = "nothing"
			}
			out = append(out, fmt.Sprintf("type %d (%s): %s is %s, expected %s", want.Type, want.Name(), f.Name, clip(g), clip(f.Value)))
		}
	}
	if out == nil && !bytes.Equal(want.Formatted, got.Formatted) {
		out = append(out, fmt.Sprintf("type %d (%s): %s", want.Type, want.Name(), firstDifference(want.Formatted, got.Formatted)))
	}
	return out
}
