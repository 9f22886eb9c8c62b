package lzma

// A prob is the probability that a bit is 0, of 2048.
type prob = uint16

const (
	probBits = 11
	half     = 1 << (probBits - 1)
	moveBits = 5 // a probability moves by a 32nd
	top      = 1 << 24

	// toward moves a probability toward 2048 where it is added before the shift, rounding as the other direction does.
	toward = 1<<moveBits - 1 - 1<<probBits
)

// A rangeCoder is the decoder's position: it is handed on by value, so that it stays in registers. Its methods read
// input that is padded.
//
// Trees of bits are decoded without branches on the bits, which are close to random: a mask that is all ones for a 0
// bit chooses. Single bits, which are not random, take a branch. Where the next probability is one of two, both are
// loaded before the bit is known, so that the loads wait for nothing.
type rangeCoder struct {
	rng, code uint32
	pos       int // in the input
}

// bit decodes one bit.
func (r rangeCoder) bit(in []byte, p *prob) (rangeCoder, uint32) {
	v := uint32(*p)
	bit := uint32(0)
	if bound := r.rng >> probBits * v; r.code < bound {
		r.rng = bound
		*p = prob(v + (1<<probBits-v)>>moveBits)
	} else {
		r.rng -= bound
		r.code -= bound
		*p = prob(v - v>>moveBits)
		bit = 1
	}
	if r.rng < top {
		r.rng, r.code, r.pos = r.rng<<8, r.code<<8|uint32(in[r.pos]), r.pos+1
	}
	return r, bit
}

// literal decodes a byte that follows a literal, highest bit first.
func (r rangeCoder) literal(in []byte, p *literals) (rangeCoder, byte) {
	rng, code, pos := r.rng, r.code, r.pos
	symbol, v := uint32(1), uint32(p[1])
	for symbol < 0x100 {
		v0, v1 := uint32(p[symbol<<1]), uint32(p[symbol<<1+1])
		if rng < top {
			rng, code, pos = rng<<8, code<<8|uint32(in[pos]), pos+1
		}
		bound := rng >> probBits * v
		diff := uint64(code) - uint64(bound)
		zero := uint32(diff >> 32)
		code = uint32(diff) + bound&zero
		rng -= bound
		rng += (bound - rng) & zero
		p[symbol] = prob(int32(v) - (int32(v)+int32(zero)&toward)>>moveBits)
		v = v1 ^ (v0^v1)&zero
		symbol = symbol<<1 + 1 + zero
	}
	return rangeCoder{rng, code, pos}.normal(in), byte(symbol)
}

// matched decodes a byte that follows a match. The byte at the match's distance chooses the probabilities as long as
// their bits agree: offset is 0x100 so long, and 0 after.
func (r rangeCoder) matched(in []byte, p *literals, match uint32) (rangeCoder, byte) {
	const mask = uint32(len(p)) - 1
	rng, code, pos := r.rng, r.code, r.pos
	symbol, offset := uint32(1), uint32(0x100)
	match <<= 1
	bit := match & offset
	v := uint32(p[offset+bit+symbol])
	for symbol < 0x100 {
		q := &p[(offset+bit+symbol)&mask]
		match <<= 1
		offset0, offset1 := offset&^bit, bit // what offset is after a 0 bit and after a 1 bit
		v0 := uint32(p[(offset0+match&offset0+symbol<<1)&mask])
		v1 := uint32(p[(offset1+match&offset1+symbol<<1+1)&mask])
		if rng < top {
			rng, code, pos = rng<<8, code<<8|uint32(in[pos]), pos+1
		}
		bound := rng >> probBits * v
		diff := uint64(code) - uint64(bound)
		zero := uint32(diff >> 32)
		code = uint32(diff) + bound&zero
		rng -= bound
		rng += (bound - rng) & zero
		*q = prob(int32(v) - (int32(v)+int32(zero)&toward)>>moveBits)
		v = v1 ^ (v0^v1)&zero
		offset &= bit ^ zero
		bit = match & offset
		symbol = symbol<<1 + 1 + zero
	}
	return rangeCoder{rng, code, pos}.normal(in), byte(symbol)
}

// tree decodes a number of log2(len(p)) bits, highest bit first.
func (r rangeCoder) tree(in []byte, p []prob) (rangeCoder, int) {
	rng, code, pos := r.rng, r.code, r.pos
	symbol, v := uint32(1), uint32(p[1])
	for symbol < uint32(len(p)) {
		below := symbol << 1 & (uint32(len(p)) - 1) // of no meaning below the last level
		v0, v1 := uint32(p[below]), uint32(p[below+1])
		if rng < top {
			rng, code, pos = rng<<8, code<<8|uint32(in[pos]), pos+1
		}
		bound := rng >> probBits * v
		diff := uint64(code) - uint64(bound)
		zero := uint32(diff >> 32)
		code = uint32(diff) + bound&zero
		rng -= bound
		rng += (bound - rng) & zero
		p[symbol] = prob(int32(v) - (int32(v)+int32(zero)&toward)>>moveBits)
		v = v1 ^ (v0^v1)&zero
		symbol = symbol<<1 + 1 + zero
	}
	return rangeCoder{rng, code, pos}.normal(in), int(symbol) - len(p)
}

// reverse decodes a number of n bits, lowest bit first.
func (r rangeCoder) reverse(in []byte, p []prob, n uint) (rangeCoder, int) {
	rng, code, pos := r.rng, r.code, r.pos
	symbol, number := uint32(1), uint32(0)
	for i := range n {
		if rng < top {
			rng, code, pos = rng<<8, code<<8|uint32(in[pos]), pos+1
		}
		v := uint32(p[symbol])
		bound := rng >> probBits * v
		diff := uint64(code) - uint64(bound)
		zero := uint32(diff >> 32)
		code = uint32(diff) + bound&zero
		rng -= bound
		rng += (bound - rng) & zero
		p[symbol] = prob(int32(v) - (int32(v)+int32(zero)&toward)>>moveBits)
		symbol = symbol<<1 + 1 + zero
		number += (1 + zero) << (i & 31)
	}
	return rangeCoder{rng, code, pos}.normal(in), int(number)
}

// direct decodes a number of n bits that have no probability, highest bit first.
func (r rangeCoder) direct(in []byte, n uint) (rangeCoder, int) {
	number := uint32(0)
	for range n {
		r.rng >>= 1
		zero := uint32((uint64(r.code) - uint64(r.rng)) >> 32)
		r.code -= r.rng &^ zero
		number = number<<1 + 1 + zero
		r = r.normal(in)
	}
	return r, int(number)
}

// normal takes the next byte in where the range has become small.
func (r rangeCoder) normal(in []byte) rangeCoder {
	if r.rng < top {
		r.rng, r.code, r.pos = r.rng<<8, r.code<<8|uint32(in[r.pos]), r.pos+1
	}
	return r
}

// length decodes the length of a match less minMatch.
func (r rangeCoder) length(in []byte, l *lengths, posState int) (rangeCoder, int) {
	var bit uint32
	var n int
	if r, bit = r.bit(in, &l.choice); bit == 0 {
		return r.tree(in, l.low[posState<<3:][:8])
	}
	if r, bit = r.bit(in, &l.choice2); bit == 0 {
		r, n = r.tree(in, l.mid[posState<<3:][:8])
		return r, n + 8
	}
	r, n = r.tree(in, l.high[:])
	return r, n + 16
}

// distance decodes the distance less one of a match with the length n less minMatch.
func (r rangeCoder) distance(in []byte, m *model, n int) (rangeCoder, int) {
	r, slot := r.tree(in, m.slots[min(n, 3)<<6:][:64])
	if slot < firstSlot {
		return r, slot
	}
	count := uint(slot>>1 - 1)
	base := (2 | slot&1) << count
	var low int
	if slot < lastSlot {
		r, low = r.reverse(in, m.special[base-slot:], count)
		return r, base + low
	}
	r, high := r.direct(in, count-alignBits)
	r, low = r.reverse(in, m.align[:], alignBits)
	return r, base + high<<alignBits + low
}

// repeat decodes a match at one of the last distances, moves that to the front, and returns the match's length. A
// length of 1 is a single byte.
func (r rangeCoder) repeat(in []byte, m *model, rep *reps, state, posState int) (rangeCoder, int) {
	var bit uint32
	if r, bit = r.bit(in, &m.isRepG[0][state]); bit == 0 {
		if r, bit = r.bit(in, &m.isRep0Long[state<<posLog|posState]); bit == 0 {
			return r, 1
		}
	} else if r, bit = r.bit(in, &m.isRepG[1][state]); bit == 0 {
		*rep = reps{rep[1], rep[0], rep[2], rep[3]}
	} else if r, bit = r.bit(in, &m.isRepG[2][state]); bit == 0 {
		*rep = reps{rep[2], rep[0], rep[1], rep[3]}
	} else {
		*rep = reps{rep[3], rep[0], rep[1], rep[2]}
	}
	r, n := r.length(in, &m.rep, posState)
	return r, n + minMatch
}
