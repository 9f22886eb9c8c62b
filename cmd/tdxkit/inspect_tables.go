package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/smbios"
)

const maxTables = 64 << 20 // bytes; QEMU's blob has 128 KiB, and 2 MiB with 4096 vCPUs

type acpiJSON struct {
	Schema   string        `json:"schema"`
	File     string        `json:"file"`
	Kind     string        `json:"kind"` // tables, loader or rsdp
	Size     int           `json:"size"`
	SHA384   mr.Digest     `json:"sha384"`
	Tables   []tableJSON   `json:"tables,omitempty"`
	Commands []commandJSON `json:"commands,omitempty"`
	RSDT     string        `json:"rsdt_address,omitempty"`
}

type tableJSON struct {
	Signature string `json:"signature"`
	Offset    int64  `json:"offset"`
	Length    int    `json:"length"`
	Revision  uint8  `json:"revision"`
	OEMID     string `json:"oem_id"`
	OEMTable  string `json:"oem_table_id"`
	Checksum  string `json:"checksum"` // "good", "to be filled in" or "bad"
	SHA384    string `json:"sha384"`
}

type commandJSON struct {
	Command string `json:"command"`
	Text    string `json:"text"`
}

func inspectACPI(p *printer, path string) error {
	data, err := readFile(path, roleOther, maxTables)
	if err != nil {
		return err
	}
	v := &acpiJSON{Schema: "tdxkit.inspect.acpi/v1", File: path, Size: len(data), SHA384: mr.Sum(data)}
	switch {
	case bytes.HasPrefix(data, []byte("RSD PTR ")):
		v.Kind = "rsdp"
		err = v.readRSDP(data)
	case len(data) >= loaderCommand && bytes.HasPrefix(data, []byte{1, 0, 0, 0, 'e', 't', 'c', '/'}):
		v.Kind = "loader"
		err = v.readLoader(data)
	default:
		v.Kind = "tables"
		err = v.readTables(data)
	}
	if err != nil {
		return inFile(path, roleOther, err)
	}
	return p.result(v, func() { v.print(p) })
}

// readRSDP reads a root pointer. ACPI 6.5, 5.2.5.3.
func (v *acpiJSON) readRSDP(data []byte) error {
	c := bin.NewCursor("RSDP", data, 0)
	c.Bytes("Signature", 8)
	c.U8("Checksum")
	c.Bytes("OEMID", 6)
	c.U8("Revision")
	v.RSDT = fmt.Sprintf("0x%x", c.U32("RsdtAddress"))
	return c.Err()
}

// readTables walks tables that lie one behind the other, with zeros after the last. ACPI 6.5, 5.2.6.
func (v *acpiJSON) readTables(data []byte) error {
	c := bin.NewCursor("ACPI tables", data, 0)
	for c.Len() > 0 && len(bytes.Trim(data[c.Off():], "\x00")) > 0 {
		off := c.Off()
		head := bin.NewCursor("ACPI table", data[off:], off)
		sig := string(head.Bytes("Signature", 4))
		length := int64(head.U32("Length"))
		least := int64(36)
		if sig == "FACS" {
			least = 8 // it has no common header
		}
		if strings.ContainsFunc(sig, func(r rune) bool { return r < ' ' || r > '~' }) {
			head.Failf(off, "Signature", bin.ErrMalformed, "is %q, want four printable characters", sig)
		}
		if length < least || length > int64(c.Len()) {
			head.Failf(off+4, "Length", bin.ErrMalformed, "is %d, want %d to %d", length, least, c.Len())
		}
		if err := head.Err(); err != nil {
			return err
		}
		body := c.Bytes(sig, int(length))
		t := tableJSON{Signature: sig, Offset: off, Length: int(length), SHA384: mr.Sum(body).String()}
		if sig != "FACS" {
			t.Revision = body[8]
			t.OEMID, t.OEMTable = strings.TrimRight(string(body[10:16]), " \x00"), strings.TrimRight(string(body[16:24]), " \x00")
			t.Checksum = checksumState(body)
		}
		v.Tables = append(v.Tables, t)
	}
	if len(v.Tables) == 0 {
		c.Failf(0, "Signature", bin.ErrMalformed, "there is no table")
	}
	return c.Err()
}

// checksumState says whether the bytes of a table add up to 0. In QEMU's blob the checksum is 0, for firmware to fill.
func checksumState(table []byte) string {
	var sum byte
	for _, b := range table {
		sum += b
	}
	switch {
	case sum == 0:
		return "good"
	case table[9] == 0:
		return "to be filled in"
	}
	return "bad"
}

const loaderCommand = 128 // bytes of one command. QEMU 10.2.2, hw/acpi/bios-linker-loader.c, BiosLinkerLoaderEntry

// readLoader reads a table loader script.
func (v *acpiJSON) readLoader(data []byte) error {
	c := bin.NewCursor("table loader", data, 0)
	text := func(e *bin.Cursor, field string) string {
		b, _, _ := bytes.Cut(e.Bytes(field, 56), []byte{0})
		return string(b)
	}
	for c.Len() > 0 && len(bytes.Trim(data[c.Off():], "\x00")) > 0 {
		off := c.Off()
		e := c.Sub("table loader", "command", loaderCommand)
		switch kind := e.U32("command"); kind {
		case 1:
			file := text(e, "file")
			v.add("ALLOCATE", "%s align %d zone %d", file, e.U32("align"), e.U8("zone"))
		case 2:
			dest, src := text(e, "dest_file"), text(e, "src_file")
			v.add("ADD_POINTER", "in %s at 0x%x, %d bytes: address of %s", dest, e.U32("offset"), e.U8("size"), src)
		case 3:
			file := text(e, "file")
			v.add("ADD_CHECKSUM", "in %s at 0x%x: of 0x%x, %d bytes", file, e.U32("offset"), e.U32("start"), e.U32("length"))
		case 4:
			dest, src := text(e, "dest_file"), text(e, "src_file")
			v.add("WRITE_POINTER", "in %s at 0x%x: address of %s + 0x%x, %d bytes", dest, e.U32("dst_offset"), src, e.U32("src_offset"), e.U8("size"))
		default:
			c.Failf(off, "command", bin.ErrMalformed, "is %d, want 1 to 4", kind)
		}
		if err := e.Err(); err != nil {
			return err
		}
	}
	return c.Err()
}

func (v *acpiJSON) add(command, format string, args ...any) {
	v.Commands = append(v.Commands, commandJSON{command, fmt.Sprintf(format, args...)})
}

func (v *acpiJSON) print(p *printer) {
	rows := [][]string{{"file", v.File}, {"kind", v.Kind}, {"size", fmt.Sprint(v.Size)}, {"SHA-384", v.SHA384.String()}}
	if v.RSDT != "" {
		rows = append(rows, []string{"RSDT at", v.RSDT})
	}
	p.table(rows)
	if len(v.Tables) > 0 {
		rows = [][]string{{"table", "offset", "length", "revision", "OEM", "checksum", "SHA-384"}}
		for _, t := range v.Tables {
			rows = append(rows, []string{t.Signature, fmt.Sprintf("0x%x", t.Offset), fmt.Sprint(t.Length), fmt.Sprint(t.Revision),
				t.OEMID + "/" + t.OEMTable, t.Checksum, t.SHA384[:16] + "…"})
		}
		p.section(rows)
	}
	if len(v.Commands) > 0 {
		rows = nil
		for _, c := range v.Commands {
			rows = append(rows, []string{c.Command, c.Text})
		}
		p.section(rows)
	}
}

type smbiosJSON struct {
	Schema     string          `json:"schema"`
	File       string          `json:"file"`
	Size       int             `json:"size"`
	SHA384     mr.Digest       `json:"sha384"`
	Structures []structureJSON `json:"structures"`
}

type structureJSON struct {
	Type   uint8            `json:"type"`
	Name   string           `json:"name"`
	Handle string           `json:"handle"`
	Offset int64            `json:"offset"`
	Fields []smbiosFieldRow `json:"fields"`
}

type smbiosFieldRow struct {
	Offset int    `json:"offset"`
	Name   string `json:"name"`
	Value  string `json:"value"`
}

func inspectSMBIOS(p *printer, path string) error {
	data, err := readFile(path, roleOther, bin.MaxSMBIOS)
	if err != nil {
		return err
	}
	structures, err := smbios.Parse(data)
	if err != nil {
		return inFile(path, roleOther, err)
	}
	v := &smbiosJSON{Schema: "tdxkit.inspect.smbios/v1", File: path, Size: len(data), SHA384: mr.Sum(data)}
	for _, s := range structures {
		j := structureJSON{Type: s.Type, Name: s.Name(), Handle: fmt.Sprintf("0x%04x", s.Handle), Offset: s.Off}
		for _, f := range s.Fields() {
			j.Fields = append(j.Fields, smbiosFieldRow{f.Off, f.Name, f.Value})
		}
		v.Structures = append(v.Structures, j)
	}
	return p.result(v, func() {
		p.table([][]string{{"file", v.File}, {"size", fmt.Sprint(v.Size)}, {"SHA-384", v.SHA384.String()}})
		for _, s := range v.Structures {
			p.printf("\ntype %d, %s, handle %s\n", s.Type, s.Name, s.Handle)
			var rows [][]string
			for _, f := range s.Fields {
				rows = append(rows, []string{"  " + f.Name, f.Value})
			}
			p.table(rows)
		}
	})
}
