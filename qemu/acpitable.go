package qemu

import (
	"math"
	"strings"
)

// An ACPITable is -acpitable: a table of the user's.
type ACPITable struct {
	// Paths are the files that hold it, one behind the other; Content is what is in them, nil until somebody reads them.
	Paths   []string
	Content []byte
	// HasHeader says that Content begins with a table's header (file=); without, it is what comes behind one (data=).
	HasHeader bool
	// What replaces fields of the header; nil leaves them as they are.
	Signature, OEMID, OEMTableID, Compiler *string
	Revision                               *uint8
	OEMRevision, CompilerRevision          *uint32
}

// maxACPITables bounds -acpitable; QEMU counts them in 16 bits.
const maxACPITables = math.MaxUint16

// readACPITable notes -acpitable. Follows QEMU 10.2, hw/acpi/core.c, acpi_table_add.
func (b *builder) readACPITable(arg string) error {
	p := parseProps(arg, "data")
	if err := checkKeys("-acpitable", arg, p, "sig", "rev", "oem_id", "oem_table_id", "oem_rev", "asl_compiler_id", "asl_compiler_rev", "file", "data"); err != nil {
		return err
	}
	file, isFile := p.get("file")
	data, isData := p.get("data")
	if isFile == isData {
		return usageErr("-acpitable", arg, "needs one of file= and data=")
	}
	if len(b.m.ACPITables) == maxACPITables {
		return usageErr("-acpitable", arg, "there are %d tables already", maxACPITables)
	}
	t := ACPITable{Paths: strings.Split(file+data, ":"), HasHeader: isFile}
	for key, field := range map[string]**string{"sig": &t.Signature, "oem_id": &t.OEMID, "oem_table_id": &t.OEMTableID, "asl_compiler_id": &t.Compiler} {
		if v, ok := p.get(key); ok {
			*field = &v
		}
	}
	for key, field := range map[string]**uint32{"oem_rev": &t.OEMRevision, "asl_compiler_rev": &t.CompilerRevision} {
		if v, ok := p.get(key); ok {
			n, ok := parseUint(v)
			if !ok || n > math.MaxUint32 {
				return usageErr("-acpitable", arg, "%s=%s is not a number of four bytes", key, v)
			}
			word := uint32(n)
			*field = &word
		}
	}
	if v, ok := p.get("rev"); ok {
		n, ok := parseUint(v)
		if !ok || n > math.MaxUint8 {
			return usageErr("-acpitable", arg, "rev=%s is not a number of one byte", v)
		}
		rev := uint8(n)
		t.Revision = &rev
	}
	if b.opts.ReadFile != nil {
		t.Content = []byte{}
		for _, path := range t.Paths {
			content, err := b.opts.ReadFile(path)
			if err != nil {
				return err
			}
			t.Content = append(t.Content, content...)
		}
	}
	b.m.ACPITables = append(b.m.ACPITables, t)
	return nil
}
