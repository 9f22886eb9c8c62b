package tdvf

import (
	"crypto/sha512"
	"encoding/binary"
	"hash"
	"iter"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// ChunkSize is the number of bytes that one TDH.MR.EXTEND measures.
const ChunkSize = 256

// An Order is the order in which a VMM adds and measures the pages of a section.
type Order uint8

const (
	// SinglePass adds a page and measures it before the next one. Linux 6.18, arch/x86/kvm/vmx/tdx.c,
	// tdx_gmem_post_populate.
	SinglePass Order = iota
	// TwoPass adds all pages of a section, then measures them. Intel's TDX patches for Linux before 6.16.
	TwoPass
)

// String returns "single-pass" or "two-pass".
func (o Order) String() string {
	if o == TwoPass {
		return "two-pass"
	}
	return "single-pass"
}

// MarshalText returns what String returns.
func (o Order) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// A Leaf is a call to the TDX module.
type Leaf uint8

// The leaves that make MRTD.
const (
	LeafPageAdd  Leaf = iota // TDH.MEM.PAGE.ADD
	LeafMRExtend             // TDH.MR.EXTEND
)

// String returns the leaf's name.
func (l Leaf) String() string {
	if l == LeafMRExtend {
		return "TDH.MR.EXTEND"
	}
	return "TDH.MEM.PAGE.ADD"
}

// A LaunchOp is one call of a VMM to the TDX module while it builds a TD.
type LaunchOp struct {
	Leaf    Leaf
	GPA     uint64 // of the page, or of the chunk of 256 bytes
	Off     int64  // of the chunk in the image; -1 where the chunk is zeros, and for TDH.MEM.PAGE.ADD
	Section int    // index in Metadata.Sections
}

// Launch yields the calls that touch MRTD, in the VMM's order: the sections as the metadata lists them, each page added
// and, if the section says so, measured in chunks of 256 bytes.
// QEMU 10.2.2, target/i386/kvm/tdx.c, tdx_finalize_vm.
func (m *Metadata) Launch(order Order) iter.Seq[LaunchOp] {
	return func(yield func(LaunchOp) bool) {
		for i := range m.Sections {
			if !m.Sections[i].launch(i, order, yield) {
				return
			}
		}
	}
}

func (s *Section) launch(index int, order Order, yield func(LaunchOp) bool) bool {
	for page := uint64(0); page < s.MemoryDataSize; page += pageSize {
		if !yield(LaunchOp{LeafPageAdd, s.MemoryAddress + page, -1, index}) {
			return false
		}
		if order == SinglePass && !s.extend(index, page, page+pageSize, yield) {
			return false
		}
	}
	return order == SinglePass || s.extend(index, 0, s.MemoryDataSize, yield)
}

// extend yields the TDH.MR.EXTEND calls for the section's memory from start to end.
func (s *Section) extend(index int, start, end uint64, yield func(LaunchOp) bool) bool {
	if s.Attributes&MRExtend == 0 {
		return true
	}
	for p := start; p < end; p += ChunkSize {
		off := int64(-1)
		if p < uint64(s.RawDataSize) {
			off = int64(s.DataOffset) + int64(p)
		}
		if !yield(LaunchOp{LeafMRExtend, s.MemoryAddress + p, off, index}) {
			return false
		}
	}
	return true
}

// A Launch is the TDX module's MRTD of a TD that is being built. NewLaunch starts it, Finalize ends it.
type Launch struct {
	hash    hash.Hash
	pending []byte // measured and not yet hashed: a hash is faster over many blocks at once
}

const (
	recordSize = 128
	recordGPA  = 16 // offset of the GPA in a record, behind the leaf's name
	// maxPending is what an extended page takes: its record, and a record and 256 bytes for each of 16 chunks.
	maxPending = recordSize + pageSize/ChunkSize*(recordSize+ChunkSize)
)

// NewLaunch starts with an empty measurement. Intel TDX Module ABI, TDH.MNG.INIT: MRTD's SHA-384 context is
// initialised; no byte is hashed.
func NewLaunch() *Launch {
	return &Launch{hash: sha512.New384(), pending: make([]byte, 0, maxPending)}
}

// PageAdd measures that the page at gpa was added: 128 bytes, "MEM.PAGE.ADD" padded to 16, le64 GPA, zeros. The page's
// content is not measured. Intel TDX Module ABI, TDH.MEM.PAGE.ADD.
func (l *Launch) PageAdd(gpa uint64) { l.record("MEM.PAGE.ADD", gpa, 0) }

// Extend measures the 256 bytes at gpa: a record as PageAdd's with "MR.EXTEND", then the bytes themselves.
// Intel TDX Module ABI, TDH.MR.EXTEND.
func (l *Launch) Extend(gpa uint64, chunk *[ChunkSize]byte) {
	l.record("MR.EXTEND", gpa, ChunkSize)
	l.pending = append(l.pending, chunk[:]...)
}

// Finalize returns MRTD. Intel TDX Module ABI, TDH.MR.FINALIZE: the SHA-384 is completed; no byte is added.
func (l *Launch) Finalize() (mrtd [48]byte) {
	l.flush()
	l.hash.Sum(mrtd[:0])
	return mrtd
}

// record makes room for a record and what follows it, and appends the record.
func (l *Launch) record(leaf string, gpa uint64, follows int) {
	if len(l.pending)+recordSize+follows > maxPending {
		l.flush()
	}
	var r [recordSize]byte
	copy(r[:recordGPA], leaf)
	binary.LittleEndian.PutUint64(r[recordGPA:], gpa)
	l.pending = append(l.pending, r[:]...)
}

func (l *Launch) flush() {
	l.hash.Write(l.pending)
	l.pending = l.pending[:0]
}

// zeroChunk is what fills memory that no part of the image fills.
var zeroChunk [ChunkSize]byte

// MRTD computes the measurement of a TD that is built from the image. M is the image's own metadata, as Parse returns
// it. The error is that of Supported.
func MRTD(image []byte, m *Metadata, order Order) (mrtd [48]byte, err error) {
	if err := m.Supported(); err != nil {
		return mrtd, err
	}
	for i := range m.Sections {
		s := &m.Sections[i]
		if end := int64(s.DataOffset) + int64(s.RawDataSize); end > int64(len(image)) {
			return mrtd, fail(m.sectionOff(i), "DataOffset", bin.ErrTruncated, "is 0x%x with 0x%x bytes, and the image has 0x%x", s.DataOffset, s.RawDataSize, len(image))
		}
	}
	l := NewLaunch()
	for op := range m.Launch(order) {
		switch {
		case op.Leaf == LeafPageAdd:
			l.PageAdd(op.GPA)
		case op.Off < 0:
			l.Extend(op.GPA, &zeroChunk)
		default:
			l.Extend(op.GPA, (*[ChunkSize]byte)(image[op.Off:]))
		}
	}
	return l.Finalize(), nil
}
