package smbios

import (
	"encoding/binary"
	"fmt"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// A Structure is one SMBIOS structure.
type Structure struct {
	Type   uint8
	Handle uint16
	Off    int64 // bytes from the start of the table
	// Formatted is the formatted area with its four-byte header. It aliases the table.
	Formatted []byte
	Strings   []string // in order; a string field holds an index from 1
}

// format names the tables in errors.
const format = "SMBIOS table"

// endOfTable is the type of the structure that closes a table.
const endOfTable = 127

// headerSize is the size in bytes of type, length and handle, DSP0134 3.7, 6.1.2.
const headerSize = 4

// Parse reads a structure table: structures with handles of their own, closed by one of type 127, and nothing behind
// it. The error is a *bin.FormatError.
//
// DSP0134 3.7, 6.1: a header of type (8 bits), length of the formatted area (8 bits) and handle (16 bits), the formatted
// area, then strings that end in NUL, then one more NUL; two where there is no string.
func Parse(table []byte) ([]Structure, error) { return parse(table, closed) }

// A tableEnd says how a table ends.
type tableEnd uint8

const (
	closed    tableEnd = iota // by a structure of type 127
	openEnded                 // by the end of the data: the content of QEMU's file= option
)

func parse(table []byte, end tableEnd) ([]Structure, error) {
	var all []Structure
	err := walk(table, end, func(e extent) error {
		all = append(all, e.structure(table))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// An extent is where a structure lies: [off, off+size), of which the first length bytes are the formatted area.
type extent struct{ off, length, size int }

func (e extent) structure(table []byte) Structure {
	s := Structure{
		Type: table[e.off], Handle: binary.LittleEndian.Uint16(table[e.off+2:]), Off: int64(e.off),
		Formatted: table[e.off : e.off+e.length : e.off+e.length],
	}
	for at, stop := e.off+e.length, e.off+e.size-1; at < stop; {
		n := stringLen(table[at:])
		if n == 0 {
			break
		}
		s.Strings = append(s.Strings, string(table[at:at+n]))
		at += n + 1
	}
	return s
}

// walk calls visit for each structure in order and checks the table as Parse promises.
func walk(table []byte, end tableEnd, visit func(extent) error) error {
	if len(table) > bin.MaxSMBIOS {
		return malformed(0, "table", bin.ErrUnsupported, "has %d bytes, want at most %d", len(table), bin.MaxSMBIOS)
	}
	var handles [1 << 16 / 64]uint64
	for off := 0; ; {
		if off == len(table) {
			if end == openEnded && off > 0 {
				return nil
			}
			return malformed(off, "Type", bin.ErrTruncated, "the table ends without an end-of-table structure (type 127)")
		}
		e, err := measure(table, off)
		if err != nil {
			return err
		}
		h := binary.LittleEndian.Uint16(table[off+2:])
		if handles[h/64]>>(h%64)&1 != 0 {
			return malformed(off+2, "Handle", bin.ErrMalformed, "is 0x%04x, which another structure has", h)
		}
		handles[h/64] |= 1 << (h % 64)
		if err := visit(e); err != nil {
			return err
		}
		off += e.size
		if end == closed && table[e.off] == endOfTable {
			if off != len(table) {
				return malformed(off, "end of table", bin.ErrMalformed, "%d bytes follow the end-of-table structure, want none", len(table)-off)
			}
			return nil
		}
	}
}

// measure returns where the structure at off ends.
func measure(table []byte, off int) (extent, error) {
	left := len(table) - off
	if left < headerSize {
		return extent{}, malformed(off, "header", bin.ErrTruncated, "needs %d bytes, %d are left", headerSize, left)
	}
	length := int(table[off+1])
	if length < headerSize {
		return extent{}, malformed(off+1, "Length", bin.ErrMalformed, "is %d, want at least %d", length, headerSize)
	}
	if length > left {
		return extent{}, malformed(off+1, "Length", bin.ErrTruncated, "is %d, %d bytes are left", length, left)
	}
	at := off + length
	for {
		n := stringLen(table[at:])
		if n < 0 {
			return extent{}, malformed(at, "strings", bin.ErrTruncated, "the table ends inside them")
		}
		at += n + 1
		if n > 0 {
			continue
		}
		if at-1 > off+length { // a NUL behind the last string
			break
		}
		if at >= len(table) {
			return extent{}, malformed(at, "strings", bin.ErrTruncated, "need two NULs where there is none")
		}
		if table[at] != 0 {
			return extent{}, malformed(at-1, "strings", bin.ErrMalformed, "begin with an empty one")
		}
		at++
		break
	}
	return extent{off, length, at - off}, nil
}

// stringLen returns how many bytes come before the next NUL, or -1 where there is none.
func stringLen(b []byte) int {
	for i, c := range b {
		if c == 0 {
			return i
		}
	}
	return -1
}

func malformed(off int, field string, category error, msg string, args ...any) error {
	return &bin.FormatError{Format: format, Off: int64(off), Field: field, Msg: fmt.Sprintf(msg, args...), Err: category}
}
