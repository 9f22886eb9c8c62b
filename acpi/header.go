package acpi

import "encoding/binary"

// The description header of every table but the FACS (ACPI 6.5, 5.2.6).
const (
	headerLen   = 36
	lengthOff   = 4
	checksumOff = 9
)

// A header names a table.
type header struct {
	sig        string
	revision   uint8
	oemTableID string // empty for the machine's
	// slic says that the IDs are those of a table SLIC where the user gave one.
	slic bool
}

// table appends a table: its header, what body appends, and the loader's command to sum it up. The length is written
// when the body is done (QEMU v10.2.2, hw/acpi/aml-build.c, acpi_table_begin, acpi_table_end).
func (s *state) table(h header, body func() error) error {
	start := s.Len()
	oemID, oemTableID := s.m.OEMID, h.oemTableID
	if oemTableID == "" {
		oemTableID = s.m.OEMTableID
	}
	if h.slic && s.slicOEM != nil {
		oemID, oemTableID = s.slicOEM[0], s.slicOEM[1]
	}
	s.str(h.sig, 4)
	s.DWord(0) // length
	s.bytes(h.revision, 0)
	s.str(oemID, 6)
	s.str(oemTableID, 8)
	s.DWord(1)       // OEM revision
	s.str("BXPC", 4) // creator
	s.DWord(1)       // creator revision
	if err := body(); err != nil {
		return err
	}
	n := s.Len() - start
	binary.LittleEndian.PutUint32(s.Bytes()[start+lengthOff:], uint32(n))
	s.checksum(TablesFile, start, n, start+checksumOff)
	s.blobs.List = append(s.blobs.List, Table{Signature: h.sig, Off: start, Len: n})
	return nil
}

// rooted is table for one that the RSDT points to.
func (s *state) rooted(h header, body func() error) error {
	s.rootRefs = append(s.rootRefs, s.Len())
	return s.table(h, body)
}

// str appends text in a field of n bytes, filled with zeros.
func (s *state) str(text string, n int) {
	b := append(s.Bytes(), text...)
	for range n - len(text) {
		b = append(b, 0)
	}
	s.Reset(b)
}

// bytes appends bytes.
func (s *state) bytes(v ...byte) { s.Reset(append(s.Bytes(), v...)) }

// zeros appends n zeros.
func (s *state) zeros(n int) { s.Reset(append(s.Bytes(), make([]byte, n)...)) }

// word appends 16 bits, little-endian.
func (s *state) word(v uint16) { s.Reset(binary.LittleEndian.AppendUint16(s.Bytes(), v)) }

// qword appends 64 bits, little-endian.
func (s *state) qword(v uint64) { s.Reset(binary.LittleEndian.AppendUint64(s.Bytes(), v)) }

// ioAddress appends a generic address structure in the I/O space (ACPI 6.5, 5.2.3.2).
func (s *state) ioAddress(addr uint64, bits uint8) {
	s.bytes(1, bits, 0, 0)
	s.qword(addr)
}

// noAddress appends a generic address structure of a register that does not exist.
func (s *state) noAddress() { s.zeros(12) }
