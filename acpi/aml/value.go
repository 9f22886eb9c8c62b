package aml

import (
	"encoding/binary"
	"fmt"
)

// A ValueKind says what a value is.
type ValueKind uint8

// The kinds of values.
const (
	ValueInteger ValueKind = iota
	ValueString
	ValueBuffer
	ValuePackage
	ValueReference // a name, or what is no constant
)

// A Value is a constant of a definition block. Offsets are in bytes, from where the caller of ReadValue counts.
type Value struct {
	Kind     ValueKind
	Off, End int
	Int      uint64  // of an integer
	Text     string  // of a string or reference
	Bytes    []byte  // of a buffer: its initial bytes
	Data     int     // offset of Bytes
	Elements []Value // of a package
}

// ReadValue reads the value at the start of data; ok says that it is a constant or a name. Base is the offset that the
// caller gives the first byte.
func ReadValue(data []byte, base int) (v Value, ok bool) {
	r := &reader{data: data, base: base}
	return r.value(0, len(data), 0)
}

// String is the value in ASL's spelling, with buffers and packages cut short.
func (v Value) String() string {
	switch v.Kind {
	case ValueInteger:
		return fmt.Sprintf("0x%x", v.Int)
	case ValueString:
		return fmt.Sprintf("%q", v.Text)
	case ValueBuffer:
		return fmt.Sprintf("Buffer of %d bytes", len(v.Bytes))
	case ValuePackage:
		return fmt.Sprintf("Package of %d elements", len(v.Elements))
	}
	return v.Text
}

// integerSizes are the widths of the integers that stand behind an opcode.
var integerSizes = map[byte]int{0x0a: 1, 0x0b: 2, 0x0c: 4, 0x0e: 8}

// value reads a constant or a name.
func (r *reader) value(pos, end, depth int) (Value, bool) {
	v := Value{Off: r.base + pos}
	if pos >= end || depth > maxNesting {
		return v, false
	}
	op := r.data[pos]
	switch op {
	case 0x00, 0x01:
		v.Int, v.End = uint64(op), r.base+pos+1
		return v, true
	case 0xff:
		v.Int, v.End = ^uint64(0), r.base+pos+1
		return v, true
	case 0x0a, 0x0b, 0x0c, 0x0e:
		n := integerSizes[op]
		if n > end-pos-1 {
			return v, false
		}
		var b [8]byte
		copy(b[:], r.data[pos+1:][:n])
		v.Int, v.End = binary.LittleEndian.Uint64(b[:]), r.base+pos+1+n
		return v, true
	case 0x0d:
		for i := pos + 1; i < end; i++ {
			if r.data[i] == 0 {
				v.Kind, v.Text, v.End = ValueString, string(r.data[pos+1:i]), r.base+i+1
				return v, true
			}
		}
		return v, false
	case 0x11, 0x12, 0x13:
		return r.compound(v, op, pos+1, end, depth)
	}
	name, next, ok := r.name(pos, end)
	v.Kind, v.Text, v.End = ValueReference, name, r.base+next
	return v, ok
}

// compound reads a buffer or package. A package whose elements are not all known keeps those in front.
func (r *reader) compound(v Value, op byte, pos, end, depth int) (Value, bool) {
	pos, end, err := r.pkgLength(pos, end)
	if err != nil {
		return v, false
	}
	v.End = r.base + end
	if op == 0x12 {
		v.Kind = ValuePackage
		pos++ // NumElements
	} else {
		size, ok := r.value(pos, end, depth+1)
		if !ok || size.Kind != ValueInteger {
			// The size is worked out when the table is run.
			v.Kind, v.Text = ValueReference, "Buffer"
			return v, true
		}
		pos = size.End - r.base
		if op == 0x11 {
			v.Kind, v.Bytes, v.Data = ValueBuffer, r.data[pos:end], r.base+pos
			return v, true
		}
		v.Kind = ValuePackage
	}
	for pos < end {
		if r.count++; r.count > maxObjects {
			return v, false
		}
		e, ok := r.value(pos, end, depth+1)
		if !ok {
			break
		}
		v.Elements = append(v.Elements, e)
		pos = e.End - r.base
	}
	return v, true
}
