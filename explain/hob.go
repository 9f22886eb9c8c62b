package explain

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/mr"
)

// Layout of the measured part of a TD HOB list. PI 1.8, volume 3, 5.3 and 5.5; QEMU v10.2.2, hw/i386/tdvf-hob.c.
const (
	handoffSize  = 56
	resourceSize = 48
	hobEndSize   = 8
	handoffEnd   = 48 // offset of EfiEndOfHobList
)

// A resource is a range of memory in a TD HOB. Accepted is whether the VMM added it.
type resource struct {
	start, len uint64 // bytes
	accepted   bool
}

// A hob is a TD HOB list as firmware measures it.
type hob struct {
	raw       []byte
	resources []resource
}

// parseHOB reads the measured part of a list.
func parseHOB(b []byte) (*hob, error) {
	c := bin.NewCursor("TD HOB", b, 0)
	h := &hob{raw: b}
	c.Bytes("handoff", handoffSize)
	for c.Err() == nil && c.Len() > 0 {
		off := c.Off()
		typ, size := c.U16("HobType"), c.U16("HobLength")
		if c.Err() == nil && (typ != 3 || size != resourceSize) {
			c.Failf(off, "HobType", bin.ErrUnsupported, "is %d with %d bytes, want a resource descriptor", typ, size)
		}
		c.Bytes("Owner", 4+16)
		kind := c.U32("ResourceType")
		c.U32("ResourceAttribute")
		h.resources = append(h.resources, resource{c.U64("PhysicalStart"), c.U64("ResourceLength"), kind == 0})
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	return h, nil
}

// memory returns the sum of all ranges, in bytes.
func (h *hob) memory() (n uint64) {
	for _, r := range h.resources {
		n += r.len
	}
	return n
}

const (
	mib    = 1 << 20
	gib    = 1 << 30
	fourGB = 4 * gib
)

// size writes a number of bytes of memory in the largest unit that is exact.
func size(n uint64) string {
	switch {
	case n%gib == 0:
		return fmt.Sprintf("%d GiB", n/gib)
	case n%mib == 0:
		return fmt.Sprintf("%d MiB", n/mib)
	}
	return fmt.Sprintf("%d bytes", n)
}

// hobDiffers says which memory each list describes. Where the evidence is a digest alone, lists of other sizes are made
// out of the expected one and tried.
func hobDiffers(_ *context, d *mr.Delta, f *Finding) {
	var w, g *hob
	if len(d.Want.Measured.Bytes) > 0 {
		w, _ = parseHOB(d.Want.Measured.Bytes)
	}
	if len(d.Got.Measured.Bytes) > 0 {
		g, _ = parseHOB(d.Got.Measured.Bytes)
	}
	switch {
	case w != nil && g != nil && w.memory() != g.memory():
		f.both(size(w.memory()), size(g.memory()))
	case w != nil && g != nil:
		f.Details = diffRanges(w.resources, g.resources)
		f.digests(d, "the same memory in other ranges")
		f.Hint = "firmware with other TDVF sections, or max-ram-below-4g"
	case w != nil:
		if n, ok := w.guess(d.Got.Measured.Digest); ok {
			f.both(size(w.memory()), size(n))
			return
		}
		f.digests(d, size(w.memory())+" expected")
		f.Hint = "another memory size that QEMU lays out otherwise, NUMA, firmware with other TDVF sections, or another VMM"
	default:
		f.digests(d, "its bytes are not at hand")
		f.Hint = "another memory size, or firmware with other TDVF sections"
	}
}

// diffRanges lists the ranges that only one list has.
func diffRanges(want, got []resource) []string {
	var out []string
	for _, p := range []struct {
		a, b []resource
		who  string
	}{{want, got, "only expected"}, {got, want, "only in the evidence"}} {
		for _, r := range p.a {
			if !slices.Contains(p.b, r) {
				kind := "unaccepted"
				if r.accepted {
					kind = "accepted"
				}
				out = append(out, fmt.Sprintf("%s: %s, 0x%x to 0x%x", p.who, kind, r.start, r.start+r.len))
			}
		}
	}
	return out
}

// Where q35 divides memory at 4 GiB: with lowLimit bytes or more, only lowRAM are below. QEMU v10.2.2, hw/i386/pc_q35.c,
// pc_q35_init.
const (
	lowLimit = 0xB0000000
	lowRAM   = 0x80000000
)

// guess returns the memory size whose list has the digest, if it is among those that people give guests.
func (h *hob) guess(digest mr.Digest) (uint64, bool) {
	for _, n := range memorySizes() {
		if b := h.resized(n); b != nil && mr.Sum(b) == digest {
			return n, true
		}
	}
	return 0, false
}

// memorySizes are the sizes that are tried: every 128 MiB up to 16 GiB, every GiB up to 1 TiB, every 16 GiB up to 8 TiB.
func memorySizes() []uint64 {
	var out []uint64
	for n := uint64(256 * mib); n <= 16*gib; n += 128 * mib {
		out = append(out, n)
	}
	for n := uint64(17 * gib); n <= 1024*gib; n += gib {
		out = append(out, n)
	}
	for n := uint64(1040 * gib); n <= 8192*gib; n += 16 * gib {
		out = append(out, n)
	}
	return out
}

// resized returns the list of the same guest with another memory size: the last range below 4 GiB ends elsewhere, and the
// one above comes, goes or grows. It returns nil where the list is not of QEMU's form.
func (h *hob) resized(memory uint64) []byte {
	low, high := memory, uint64(0)
	if memory >= lowLimit {
		low, high = lowRAM, memory-lowRAM
	}
	var list []resource
	for _, r := range h.resources {
		if r.start < fourGB {
			list = append(list, r)
		}
	}
	last := len(list) - 1
	if last < 0 || list[last].accepted || list[last].start >= low {
		return nil
	}
	list[last].len = low - list[last].start
	if high > 0 {
		list = append(list, resource{fourGB, high, false})
	}
	le := binary.LittleEndian
	b := append([]byte(nil), h.raw[:handoffSize]...)
	end := le.Uint64(b[handoffEnd:]) - uint64(len(h.resources)*resourceSize) + uint64(len(list)*resourceSize)
	le.PutUint64(b[handoffEnd:], end)
	for _, r := range list {
		d := append([]byte(nil), h.raw[handoffSize:handoffSize+resourceSize]...)
		kind := uint32(7)
		if r.accepted {
			kind = 0
		}
		le.PutUint32(d[24:], kind)
		le.PutUint64(d[32:], r.start)
		le.PutUint64(d[40:], r.len)
		b = append(b, d...)
	}
	return b
}
