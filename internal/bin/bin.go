// Package bin reads little-endian binary input that may be hostile: a cursor over a byte slice whose first
// failure sticks, and the one error type that says which field at which offset is wrong.
package bin

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The three ways in which an input can be refused. A FormatError wraps one of them.
var (
	ErrTruncated   = errors.New("truncated")     // the input ends before the field does
	ErrMalformed   = errors.New("malformed")     // the field's value is not one the format allows
	ErrUnsupported = errors.New("not supported") // the value is allowed, and not handled here
)

// A FormatError says which field, at which offset from the start of the outermost input, does not hold what the
// format asks for.
type FormatError struct {
	Format string // the structure being read, "TDVF metadata"
	Off    int64  // bytes from the start of the outermost input
	Field  string // spelled as the specification spells it, "NumberOfSections"
	Msg    string // got and want, "is 4097, want at most 64"
	Err    error  // ErrTruncated, ErrMalformed or ErrUnsupported
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s: %s at offset 0x%x: %s", e.Format, e.Field, e.Off, e.Msg)
}

// Unwrap returns the category, so that errors.Is(err, ErrTruncated) works.
func (e *FormatError) Unwrap() error { return e.Err }

// A Cursor consumes a byte slice front to back. The first failure sticks: later reads return zero values, so that a
// whole record is read and the error looked at once. The zero Cursor is empty.
type Cursor struct {
	data   []byte
	off    int
	base   int64
	format string
	err    error
}

// NewCursor returns a cursor over data. Format names the structure in errors; base is the offset of data[0] from the
// start of the outermost input, in bytes.
func NewCursor(format string, data []byte, base int64) *Cursor {
	return &Cursor{data: data, base: base, format: format}
}

// Err returns the first failure, or nil.
func (c *Cursor) Err() error { return c.err }

// Off returns the absolute offset of the next byte.
func (c *Cursor) Off() int64 { return c.base + int64(c.off) }

// Len returns how many bytes are left; 0 after a failure.
func (c *Cursor) Len() int {
	if c.err != nil {
		return 0
	}
	return len(c.data) - c.off
}

// Failf records a failure of field at the absolute offset off unless one is recorded already.
func (c *Cursor) Failf(off int64, field string, category error, format string, args ...any) {
	if c.err == nil {
		c.err = &FormatError{Format: c.format, Off: off, Field: field, Msg: fmt.Sprintf(format, args...), Err: category}
	}
}

// Bytes returns the next n bytes, which alias the input, or nil after recording a failure.
func (c *Cursor) Bytes(field string, n int) []byte {
	if c.err != nil {
		return nil
	}
	if n < 0 || n > len(c.data)-c.off {
		c.Failf(c.Off(), field, ErrTruncated, "needs %d bytes, %d are left", n, len(c.data)-c.off)
		return nil
	}
	b := c.data[c.off : c.off+n : c.off+n]
	c.off += n
	return b
}

// Rest returns all bytes that are left.
func (c *Cursor) Rest() []byte { return c.Bytes("rest", c.Len()) }

// U8 reads one byte.
func (c *Cursor) U8(field string) uint8 {
	if b := c.Bytes(field, 1); b != nil {
		return b[0]
	}
	return 0
}

// U16 reads a little-endian 16-bit integer.
func (c *Cursor) U16(field string) uint16 {
	if b := c.Bytes(field, 2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

// U32 reads a little-endian 32-bit integer.
func (c *Cursor) U32(field string) uint32 {
	if b := c.Bytes(field, 4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// U64 reads a little-endian 64-bit integer.
func (c *Cursor) U64(field string) uint64 {
	if b := c.Bytes(field, 8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// Sub consumes n bytes and returns a cursor over them whose errors carry absolute offsets. A failure of the
// sub-cursor does not stick to c.
func (c *Cursor) Sub(format, field string, n int) *Cursor {
	base := c.Off()
	b := c.Bytes(field, n)
	return &Cursor{data: b, base: base, format: format, err: c.err}
}

// End records a failure if bytes are left.
func (c *Cursor) End() {
	if n := c.Len(); n > 0 {
		c.Failf(c.Off(), "trailing data", ErrMalformed, "%d bytes follow the last field, want none", n)
	}
}
