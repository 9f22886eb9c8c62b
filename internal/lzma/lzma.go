// Package lzma decompresses LZMA streams that are whole in memory, as EFI firmware volumes hold them. It exists for
// speed: a command that measures a TD waits for this, and a general reader takes three times as long.
package lzma

import (
	"math/bits"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// The format and its names are those of the LZMA SDK's lzma-specification.txt.
const (
	format     = "LZMA stream"
	headerSize = 13 // properties, le32 dictionary size, le64 uncompressed size
	initBytes  = 5  // of the range coder: a zero byte, then be32 code

	statesLog = 4  // 12 states are used
	litStates = 7  // states below this one follow a literal
	posLog    = 4  // most position bits
	firstSlot = 4  // distance slots below this one are distances
	lastSlot  = 14 // slots from this one on have bits without a probability
	alignBits = 4
	minMatch  = 2

	// padding is more than one symbol can take: 52 bits, each at most a byte.
	padding = 64
	// maxRatio is more than the format can reach: 273 bytes for 14 bits of at least 0.022 bits each.
	maxRatio = 8192
)

// literals are the probabilities of one context: plain ones, then those for a bit of the matched byte that is 0 and 1.
type literals [0x400]prob

// lengths are the probabilities of match lengths.
type lengths struct {
	choice, choice2 prob
	low, mid        [1 << posLog][16]prob
	high            [512]prob
}

// A model is all probabilities but those of literals.
type model struct {
	isMatch, isRep0Long [1 << (statesLog + posLog)]prob
	isRep               [1 << statesLog]prob
	isRepG              [3][1 << statesLog]prob
	slots               [4][128]prob
	special             [128]prob
	align               [2 << alignBits]prob
	match, rep          lengths
}

func newModel() *model {
	m := &model{}
	for _, p := range [][]prob{
		m.isMatch[:], m.isRep0Long[:], m.isRep[:], m.isRepG[0][:], m.isRepG[1][:], m.isRepG[2][:], m.special[:], m.align[:],
	} {
		initialise(p)
	}
	for i := range m.slots {
		initialise(m.slots[i][:])
	}
	for _, l := range []*lengths{&m.match, &m.rep} {
		l.choice, l.choice2 = half, half
		initialise(l.high[:])
		for i := range l.low {
			initialise(l.low[i][:])
			initialise(l.mid[i][:])
		}
	}
	return m
}

func initialise(p []prob) {
	for i := range p {
		p[i] = half
	}
}

// Decode decompresses a stream whose header says its size, which must be at most limit bytes. What follows the stream
// is not looked at. Errors are bin.FormatErrors with offsets in data.
func Decode(data []byte, limit int64) ([]byte, error) {
	return DecodeIn(data, limit, nil)
}

// DecodeIn is Decode into what memory returns for the stream's size in bytes, which is asked once the header has been
// checked. A nil memory is make.
func DecodeIn(data []byte, limit int64, memory func(size int) []byte) ([]byte, error) {
	c := bin.NewCursor(format, data, 0)
	props := c.U8("properties")
	c.U32("dictionary size")
	size := c.U64("uncompressed size")
	zero := c.U8("first byte")
	code := bits.ReverseBytes32(c.U32("code"))
	switch {
	case c.Err() != nil:
	case props >= 9*5*5:
		c.Failf(0, "properties", bin.ErrMalformed, "are %d, want at most %d", props, 9*5*5-1)
	case size > uint64(limit):
		c.Failf(5, "uncompressed size", bin.ErrUnsupported, "is %d, want at most %d", size, limit)
	case size > maxRatio*uint64(len(data)):
		c.Failf(5, "uncompressed size", bin.ErrMalformed, "is %d, more than %d bytes can give", size, len(data))
	case zero != 0:
		c.Failf(headerSize, "first byte", bin.ErrMalformed, "is %d, want 0", zero)
	}
	if c.Err() != nil {
		return nil, c.Err()
	}
	if memory == nil {
		memory = func(size int) []byte { return make([]byte, size) }
	}
	d := &decoder{
		out: memory(int(size)), lc: uint(props % 9), lpMask: 1<<(props/9%5) - 1, pbMask: 1<<(props/45) - 1, model: newModel(),
	}
	d.literals = make([]literals, 1<<(props%9+props/9%5))
	for i := range d.literals {
		initialise(d.literals[i][:])
	}
	at, ok := d.decode(data[headerSize:], rangeCoder{0xffffffff, code, initBytes})
	switch {
	case at > len(data)-headerSize:
		c.Failf(int64(len(data)), "stream", bin.ErrTruncated, "ends after %d of %d uncompressed bytes", d.pos, size)
	case !ok:
		c.Failf(int64(headerSize+at), "distance", bin.ErrMalformed, "or length at byte %d of %d reaches outside the output", d.pos, size)
	}
	if c.Err() != nil {
		return nil, c.Err()
	}
	return d.out, nil
}

// A decoder is one stream.
type decoder struct {
	out      []byte
	lc       uint
	lpMask   int
	pbMask   int
	literals []literals
	*model

	rep        reps
	state, pos int  // pos is how much of out there is
	previous   byte // before pos
}

// reps are the last four distances less one, newest first.
type reps [4]int

// decode decodes a stream from a position on, up to the end of the output or of the stream. It returns where it stopped,
// which is behind the end of a stream that is too short, and whether every match lies in the output.
func (d *decoder) decode(stream []byte, r rangeCoder) (int, bool) {
	ok := true
	if end := len(stream) - padding; end >= r.pos {
		r, ok = d.run(stream, end, r)
	}
	from := r.pos
	if ok && d.pos < len(d.out) {
		tail := make([]byte, len(stream)-from+padding)
		copy(tail, stream[from:])
		r.pos = 0
		r, ok = d.run(tail, len(stream)-from, r)
		r.pos += from
	}
	return r.pos, ok
}

// run decodes up to the end of the output or a symbol that begins behind an end of the input, behind which there has to be
// padding. It stops with false before a match that reaches outside the output.
func (d *decoder) run(in []byte, end int, r rangeCoder) (_ rangeCoder, ok bool) {
	m, out := d.model, d.out
	rep, state, pos, previous := d.rep, d.state, d.pos, d.previous
	ok = true
	for ok && pos < len(out) && r.pos <= end {
		posState := pos & d.pbMask
		var bit uint32
		if r, bit = r.normal(in).bit(&m.isMatch[(state<<posLog|posState)&(len(m.isMatch)-1)]); bit == 0 {
			p := &d.literals[(pos&d.lpMask)<<d.lc|int(previous)>>(8-d.lc)]
			if state < litStates {
				r, previous = r.literal(in, p)
			} else {
				r, previous = r.matched(in, p, uint32(out[pos-rep[0]-1]))
			}
			out[pos] = previous
			pos++
			state = afterLiteral[state]
			continue
		}
		var n int
		if r, bit = r.normal(in).bit(&m.isRep[state]); bit == 0 {
			r, n = r.length(in, &m.match, posState)
			rep = reps{0, rep[0], rep[1], rep[2]}
			r, rep[0] = r.distance(in, m, n)
			n += minMatch
			state = afterMatch[state]
		} else if r, n = r.repeat(in, m, &rep, state, posState); n == 1 {
			state = afterShortRep[state]
		} else {
			state = afterRep[state]
		}
		// A distance of 2 GiB and more is below 0 where an int has 32 bits.
		if ok = uint(rep[0]) < uint(pos) && n <= len(out)-pos; ok {
			pos = copyMatch(out, pos, rep[0]+1, n)
			previous = out[pos-1]
		}
	}
	d.rep, d.state, d.pos, d.previous = rep, state, pos, previous
	return r.normal(in), ok
}

// The states that follow each state.
var (
	afterLiteral  = [1 << statesLog]int{0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 4, 5}
	afterMatch    = [1 << statesLog]int{7, 7, 7, 7, 7, 7, 7, 10, 10, 10, 10, 10}
	afterRep      = [1 << statesLog]int{8, 8, 8, 8, 8, 8, 8, 11, 11, 11, 11, 11}
	afterShortRep = [1 << statesLog]int{9, 9, 9, 9, 9, 9, 9, 11, 11, 11, 11, 11}
)

// wide is how many bytes copyMatch moves at a time.
const wide = 16

// copyMatch copies n bytes from distance bytes before pos to pos, where source and target may overlap. It may write up
// to wide bytes behind the match, which later symbols overwrite.
func copyMatch(out []byte, pos, distance, n int) int {
	end, from := pos+n, pos-distance
	if distance < wide || len(out)-end < wide {
		for pos < end {
			pos += copy(out[pos:end], out[from:pos])
		}
		return end
	}
	for ; pos < end; pos, from = pos+wide, from+wide {
		*(*[wide]byte)(out[pos:]) = *(*[wide]byte)(out[from:])
	}
	return end
}
