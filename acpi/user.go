package acpi

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/tdxkit/tdxkit/qemu"
)

// defaultHeader is the header of a user's table that has none (QEMU v10.2.2, hw/acpi/core.c, dfl_hdr).
const defaultHeader = "QEMU\x00\x00\x00\x00\x01\x00QEMUQEQEMUQEMU\x01\x00\x00\x00QEMU\x01\x00\x00\x00"

// Fields of a header that -acpitable replaces (ACPI 6.5, 5.2.6).
const (
	revisionOff    = 8
	oemIDOff       = 10
	oemTableOff    = 16
	oemRevisionOff = 24
	creatorOff     = 28
	creatorRevOff  = 32
)

// readUserTables makes the tables of -acpitable, and takes the IDs of the first SLIC among them for FADT and RSDT (QEMU
// v10.2.2, hw/acpi/core.c, acpi_table_install and acpi_get_slic_oem).
func (s *state) readUserTables() error {
	for i := range s.m.ACPITables {
		t := &s.m.ACPITables[i]
		table, err := userTable(t)
		if err != nil {
			return err
		}
		s.user = append(s.user, table)
		if string(table[:4]) == "SLIC" && s.slicOEM == nil {
			s.slicOEM = &[2]string{cString(table[oemIDOff:oemTableOff]), cString(table[oemTableOff:oemRevisionOff])}
		}
	}
	return nil
}

// cString returns what is before the first zero.
func cString(b []byte) string {
	text, _, _ := strings.Cut(string(b), "\x00")
	return text
}

// userTable makes one table: its header, with the fields that the option replaces, its content, and the checksum, which
// QEMU sums up itself.
func userTable(o *qemu.ACPITable) ([]byte, error) {
	what := "-acpitable " + strings.Join(o.Paths, ":")
	if o.Content == nil {
		return nil, unsupported(what, "", "the content of its files was not read")
	}
	t := append(make([]byte, 0, headerLen+len(o.Content)), o.Content...)
	if !o.HasHeader {
		t = append(append(t[:0], defaultHeader...), o.Content...)
	}
	switch {
	case len(t) < headerLen:
		return nil, fmt.Errorf("acpi: %s: it has %d bytes, want at least the %d of a header", what, len(t), headerLen)
	case len(t) > math.MaxUint16:
		return nil, fmt.Errorf("acpi: %s: it has %d bytes, want at most %d", what, len(t), math.MaxUint16)
	}
	text := func(v *string, off, n int) {
		if v != nil {
			clear(t[off : off+n])
			copy(t[off:off+n], *v)
		}
	}
	text(o.Signature, 0, 4)
	text(o.OEMID, oemIDOff, 6)
	text(o.OEMTableID, oemTableOff, 8)
	text(o.Compiler, creatorOff, 4)
	le := binary.LittleEndian
	le.PutUint32(t[lengthOff:], uint32(len(t)))
	if o.Revision != nil {
		t[revisionOff] = *o.Revision
	}
	if o.OEMRevision != nil {
		le.PutUint32(t[oemRevisionOff:], *o.OEMRevision)
	}
	if o.CompilerRevision != nil {
		le.PutUint32(t[creatorRevOff:], *o.CompilerRevision)
	}
	t[checksumOff] = 0
	var sum byte
	for _, v := range t {
		sum += v
	}
	t[checksumOff] = -sum
	return t, nil
}

// buildUserTables appends the tables of -acpitable.
func (s *state) buildUserTables() error {
	for _, t := range s.user {
		s.rootRefs = append(s.rootRefs, s.Len())
		s.blobs.List = append(s.blobs.List, Table{Signature: string(t[:4]), Off: s.Len(), Len: len(t)})
		s.bytes(t...)
	}
	return nil
}
