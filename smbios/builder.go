package smbios

import (
	"encoding/binary"

	"github.com/tdxkit/tdxkit/qemu"
)

// A builder lays structures one after the other as QEMU does, and keeps the counts of the entry point.
// QEMU 10.2.2, hw/smbios/smbios_build.h.
type builder struct {
	m          *qemu.Machine
	o          *options
	deviceSize uint64
	major      int // of the SMBIOS version being made, 2 or 3

	out     []byte
	start   int   // where the current structure begins in out
	strings uint8 // strings of the current structure so far
	count   int   // structures so far; one for each file= blob
	largest int   // bytes of the largest structure
}

// begin starts a structure of length bytes without strings, all zero behind its header.
func (b *builder) begin(typ uint8, length int, handle int) {
	b.start, b.strings = len(b.out), 0
	b.out = append(b.out, zeros[:length]...)
	b.out[b.start] = typ
	b.out[b.start+1] = uint8(length)
	b.u16(2, uint16(handle))
}

var zeros [64]byte // longer than any structure's formatted area here

func (b *builder) u8(off int, v uint8)   { b.out[b.start+off] = v }
func (b *builder) u16(off int, v uint16) { binary.LittleEndian.PutUint16(b.out[b.start+off:], v) }
func (b *builder) u32(off int, v uint32) { binary.LittleEndian.PutUint32(b.out[b.start+off:], v) }
func (b *builder) u64(off int, v uint64) { binary.LittleEndian.PutUint64(b.out[b.start+off:], v) }

// str appends s to the structure's strings and puts its number at off; an empty string has number 0 and no place.
func (b *builder) str(off int, s string) {
	if b.listed(s) {
		b.u8(off, b.strings)
	}
}

// listed appends s to the structure's strings unless it is empty.
func (b *builder) listed(s string) bool {
	if s == "" {
		return false
	}
	b.out = append(append(b.out, s...), 0)
	b.strings++
	return true
}

// end closes the structure: a NUL behind the last string, or two where there is none.
func (b *builder) end() {
	if len(b.out) == b.start+int(b.out[b.start+1]) {
		b.out = append(b.out, 0)
	}
	b.out = append(b.out, 0)
	b.count++
	b.largest = max(b.largest, len(b.out)-b.start)
}

// tables makes all structures for SMBIOS major version 2 or 3.
// QEMU 10.2.2, hw/smbios/smbios.c, smbios_get_tables_ep.
func (b *builder) tables(major int) error {
	t := &b.m.Topology
	devices := b.devices()
	b.major, b.count, b.largest = major, 0, 0
	b.out = append(make([]byte, 0, b.sizeHint(devices)), b.o.blobs...)
	b.count += b.o.blobCount
	b.largest = b.o.blobLargest

	b.bios()
	b.system()
	b.baseBoard()
	b.chassis()
	for i := range t.Sockets {
		if err := b.processor(i); err != nil {
			return err
		}
	}
	b.ports()
	b.slots()
	b.oemStringList()
	b.memory(devices)
	b.boot()
	b.ipmi()
	b.onboard()
	if !b.skip(127) {
		b.begin(127, 4, 0x7f00)
		b.end()
	}
	if major == 2 && len(b.out) > maxTable21 {
		return errLength
	}
	return nil
}

// skip reports whether the user's own structures stand in for a type that QEMU would make.
// QEMU 10.2.2, hw/smbios/smbios.c, smbios_skip_table.
func (b *builder) skip(typ uint8) bool { return b.o.blobTypes[typ] }

// sizeHint estimates the size of the tables, so that they are laid into one allocation.
func (b *builder) sizeHint(devices uint64) int {
	const (
		rest      = 1 << 10 // all that there is one of
		processor = 96
		device    = 64
	)
	return rest + len(b.o.blobs) + b.o.stringBytes + b.m.Topology.Sockets*processor + int(devices)*device
}

// entryPoint returns the entry point for what was built, without addresses and checksums.
// QEMU 10.2.2, hw/smbios/smbios.c, smbios_entry_point_setup.
func (b *builder) entryPoint() []byte {
	if b.major == 2 {
		e := make([]byte, entryPoint21Size)
		copy(e, "_SM_")
		e[5], e[6], e[7] = entryPoint21Size, 2, 8
		binary.LittleEndian.PutUint16(e[8:], uint16(b.largest))
		copy(e[16:], "_DMI_")
		binary.LittleEndian.PutUint16(e[22:], uint16(len(b.out)))
		binary.LittleEndian.PutUint16(e[28:], uint16(b.count))
		e[30] = 0x28 // the version once more, in BCD
		return e
	}
	e := make([]byte, entryPoint30Size)
	copy(e, "_SM3_")
	e[6], e[7] = entryPoint30Size, 3
	e[10] = 1 // entry point revision
	binary.LittleEndian.PutUint32(e[12:], uint32(len(b.out)))
	return e
}
