// Package aml encodes the ACPI Machine Language: terms as values, and a builder that appends them to one buffer and
// fixes package lengths in place. It knows chapter 20 of the ACPI specification and nothing of what the tables are for.
//
// What is the same in every table is best made once, as a [Term]; what differs from one guest to the next is appended
// by a [Builder]. Both read like the ASL that they stand for:
//
//	b.Device("GPE0", func() {
//		b.Name("_HID", aml.Str("PNP0A06"))
//		b.Method("_STA", 0, aml.NotSerialized, func() { b.Return(aml.Int(0x0b)) })
//	})
package aml

import (
	"encoding/binary"
	"sync"
)

// A Builder appends encoded terms to a buffer. The zero value is ready for use. The bodies that its methods take are
// called at once and not kept.
type Builder struct {
	buf []byte
}

// Fixed returns what build appends as one term, for the parts of a table that no guest changes.
func Fixed(build func(b *Builder)) Term {
	var b Builder
	build(&b)
	return Term(b.buf)
}

// Lazily is Fixed for a large term: it builds it when it is first asked for.
func Lazily(build func(b *Builder)) func() Term {
	return sync.OnceValue(func() Term { return Fixed(build) })
}

// Reset makes the builder append to buf, whose capacity it takes over.
func (b *Builder) Reset(buf []byte) { b.buf = buf }

// Bytes returns the buffer. It aliases the builder's.
func (b *Builder) Bytes() []byte { return b.buf }

// Len returns the length of the buffer in bytes.
func (b *Builder) Len() int { return len(b.buf) }

// Add appends terms as they are.
func (b *Builder) Add(terms ...Term) {
	for _, t := range terms {
		b.buf = append(b.buf, t...)
	}
}

// open appends an opcode and room for a one-byte PkgLength. close, given what open returned, writes the length.
func (b *Builder) open(op ...byte) int {
	b.buf = append(b.buf, op...)
	b.buf = append(b.buf, 0)
	return len(b.buf) - 1
}

// close fixes the PkgLength at the offset at, which covers itself and all bytes after it. Where the length does not
// fit into one byte, what follows moves up.
func (b *Builder) close(at int) {
	var lead [4]byte
	n := pkgLength(&lead, len(b.buf)-at-1)
	b.insert(at+1, n-1)
	copy(b.buf[at:], lead[:n])
}

// insert makes room for n bytes at the offset at.
func (b *Builder) insert(at, n int) {
	if n == 0 {
		return
	}
	var room [16]byte
	end := len(b.buf)
	b.buf = append(b.buf, room[:n]...)
	copy(b.buf[at+n:], b.buf[at:end])
}

// pkgLength encodes a PkgLength that covers itself and body bytes, in as few bytes as hold it, and returns how many
// it took (ACPI 6.5, 20.2.4: up to 63 in one byte, else four bits in the first and eight in each of up to three more).
func pkgLength(dst *[4]byte, body int) int {
	n := 1
	for n < 4 && body+n >= 1<<(4+8*(n-1)) && !(n == 1 && body+n < 64) {
		n++
	}
	encodePkgLength(dst, body+n, n)
	return n
}

// encodePkgLength writes the value v as a PkgLength of n bytes.
func encodePkgLength(dst *[4]byte, v, n int) {
	if n == 1 {
		dst[0] = byte(v)
		return
	}
	dst[0] = byte(n-1)<<6 | byte(v&0xf)
	for i := 1; i < n; i++ {
		dst[i] = byte(v >> (4 + 8*(i-1)))
	}
}

// block appends an opcode with a PkgLength, a head and what body appends.
func (b *Builder) block(op byte, head Term, body func()) {
	at := b.open(op)
	b.buf = append(b.buf, head...)
	body()
	b.close(at)
}

// Scope appends DefScope (ACPI 6.5, 20.2.5.1).
func (b *Builder) Scope(name string, body func()) {
	at := b.open(0x10)
	b.buf = appendName(b.buf, name)
	body()
	b.close(at)
}

// Device appends DefDevice (20.2.5.2).
func (b *Builder) Device(name string, body func()) {
	at := b.open(0x5b, 0x82)
	b.buf = appendName(b.buf, name)
	body()
	b.close(at)
}

// Processor appends DefProcessor (20.2.5.2 of ACPI 6.3; deprecated since), with a processor block of length 0.
func (b *Builder) Processor(name string, id uint8, body func()) {
	at := b.open(0x5b, 0x83)
	b.buf = appendName(b.buf, name)
	b.buf = append(b.buf, id, 0, 0, 0, 0, 0)
	body()
	b.close(at)
}

// A Serialization says whether a method runs for one caller at a time.
type Serialization uint8

// The serializations.
const (
	NotSerialized Serialization = 0
	Serialized    Serialization = 1 << 3
)

// Method appends DefMethod (20.2.5.2) with args arguments, of which there are at most seven.
func (b *Builder) Method(name string, args int, s Serialization, body func()) {
	at := b.open(0x14)
	b.buf = appendName(b.buf, name)
	b.buf = append(b.buf, byte(args)|byte(s))
	body()
	b.close(at)
}

// If appends DefIfElse (20.2.5.3) without its Else.
func (b *Builder) If(predicate Term, body func()) { b.block(0xa0, predicate, body) }

// Else appends DefElse, which belongs directly behind an If.
func (b *Builder) Else(body func()) { b.block(0xa1, "", body) }

// While appends DefWhile.
func (b *Builder) While(predicate Term, body func()) { b.block(0xa2, predicate, body) }

// Name appends DefName, "Name (name, value)".
func (b *Builder) Name(name string, value Term) {
	b.buf = append(b.buf, 0x08)
	b.buf = appendName(b.buf, name)
	b.buf = append(b.buf, value...)
}

// NameDWord appends a Name of the integer 0 in four bytes, whatever its value would need, and returns the offset of
// those bytes in the buffer, for a loader to patch.
func (b *Builder) NameDWord(name string) int {
	b.Name(name, "\x0c\x00\x00\x00\x00")
	return len(b.buf) - 4
}

// Mutex appends DefMutex.
func (b *Builder) Mutex(name string, syncLevel uint8) {
	b.buf = append(b.buf, 0x5b, 0x01)
	b.buf = appendName(b.buf, name)
	b.buf = append(b.buf, syncLevel)
}

// A RegionSpace is the address space of an operation region.
type RegionSpace uint8

// The region spaces (20.2.5.2, RegionSpace).
const (
	SystemMemory RegionSpace = 0
	SystemIO     RegionSpace = 1
	PCIConfig    RegionSpace = 2
)

// OperationRegion appends DefOpRegion.
func (b *Builder) OperationRegion(name string, space RegionSpace, offset Term, length uint64) {
	b.buf = append(b.buf, 0x5b, 0x80)
	b.buf = appendName(b.buf, name)
	b.buf = append(b.buf, byte(space))
	b.buf = append(b.buf, offset...)
	b.buf = append(b.buf, Int(length)...)
}

// FieldFlags are the access type, lock rule and update rule of a field, one of each or-ed together.
type FieldFlags uint8

// The field flags (20.2.5.2, FieldFlags). A zero is AnyAcc, NoLock, Preserve.
const (
	AnyAcc       FieldFlags = 0
	ByteAcc      FieldFlags = 1
	DWordAcc     FieldFlags = 3
	NoLock       FieldFlags = 0
	Lock         FieldFlags = 1 << 4
	Preserve     FieldFlags = 0
	WriteAsZeros FieldFlags = 2 << 5
)

// A FieldUnit is an element of a field: bits with a name, or reserved bits where the name is empty.
type FieldUnit struct {
	Name string
	Bits int
}

// Field appends DefField.
func (b *Builder) Field(region string, flags FieldFlags, units ...FieldUnit) {
	at := b.open(0x5b, 0x81)
	b.buf = appendName(b.buf, region)
	b.buf = append(b.buf, byte(flags))
	for _, u := range units {
		if u.Name == "" {
			b.buf = append(b.buf, 0) // ReservedField
		} else {
			b.buf = appendNameSeg(b.buf, u.Name)
		}
		b.buf = appendFieldLength(b.buf, u.Bits)
	}
	b.close(at)
}

// appendFieldLength appends a count of bits, which is encoded like a PkgLength that does not cover itself.
func appendFieldLength(dst []byte, bits int) []byte {
	n := 1
	for n < 4 && bits >= 1<<(4+8*(n-1)) && !(n == 1 && bits < 64) {
		n++
	}
	var v [4]byte
	encodePkgLength(&v, bits, n)
	return append(dst, v[:n]...)
}

// CreateDWordField appends DefCreateDWordField.
func (b *Builder) CreateDWordField(source, byteIndex Term, name string) {
	b.Add("\x8a", source, byteIndex)
	b.buf = appendName(b.buf, name)
}

// CreateField appends DefCreateField.
func (b *Builder) CreateField(source, bitIndex, bits Term, name string) {
	b.Add("\x5b\x13", source, bitIndex, bits)
	b.buf = appendName(b.buf, name)
}

// Return appends DefReturn. The value may be given in parts, a method's name and its arguments.
func (b *Builder) Return(value ...Term) {
	b.buf = append(b.buf, 0xa4)
	b.Add(value...)
}

// Store appends DefStore, "target = value".
func (b *Builder) Store(value, target Term) { b.Add("\x70", value, target) }

// Notify appends DefNotify.
func (b *Builder) Notify(object, value Term) { b.Add("\x86", object, value) }

// Increment appends DefIncrement.
func (b *Builder) Increment(target Term) { b.Add("\x75", target) }

// Break appends DefBreak.
func (b *Builder) Break() { b.Add("\xa5") }

// Acquire appends DefAcquire, with no end to the time that it waits.
func (b *Builder) Acquire(mutex Term) { b.Add("\x5b\x23", mutex, "\xff\xff") }

// Release appends DefRelease.
func (b *Builder) Release(mutex Term) { b.Add("\x5b\x27", mutex) }

// Call appends a method invocation.
func (b *Builder) Call(method string, args ...Term) {
	b.buf = appendName(b.buf, method)
	b.Add(args...)
}

// NameBuffer appends a Name of a buffer that holds what body appends to the bytes it is given.
func (b *Builder) NameBuffer(name string, body func(dst []byte) []byte) {
	b.buf = append(b.buf, 0x08)
	b.buf = appendName(b.buf, name)
	at := b.open(0x11)
	start := len(b.buf)
	b.buf = body(b.buf)
	size := Int(uint64(len(b.buf) - start))
	b.insert(start, len(size))
	copy(b.buf[start:], size)
	b.close(at)
}

// DWord appends four bytes as they are, little-endian.
func (b *Builder) DWord(v uint32) { b.buf = binary.LittleEndian.AppendUint32(b.buf, v) }
