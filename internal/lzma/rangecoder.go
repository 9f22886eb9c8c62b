package lzma

import "math/bits"

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
// Trees of bits are decoded without branches on the bits, which are close to random. A bit is 0 if the subtraction of the
// bound borrows. What is next follows by pick, which compiles to a conditional move; an index follows by arithmetic from
// the borrow, since the compiler makes a branch of every choice that decides what is loaded. Where the next probability
// is one of two, both are loaded before the bit is known, so that the loads wait for nothing. Single bits, which are not
// random, take a branch. What the loops do alike with a bit is not one function: inlined, it was slower by some percent.
type rangeCoder struct {
	rng, code uint32
	pos       int // in the input
}

// pick returns what is next after a 0 bit where code is below bound, and after a 1 bit where it is not.
func pick(code, bound, zero, one uint32) uint32 {
	if code < bound {
		return zero
	}
	return one
}

// refill takes the next byte of in where the range is too small for a bit.
func refill(in []byte, rng, code uint32, pos int) (uint32, uint32, int) {
	if rng < top {
		return rng << 8, code<<8 | uint32(in[pos]), pos + 1
	}
	return rng, code, pos
}

// subtract returns code less bound, and 1 if that borrows, which is to say that a bit is 0.
func subtract(code, bound uint32) (rest uint32, borrow uint64) {
	diff, borrow := bits.Sub64(uint64(code), uint64(bound), 0)
	return uint32(diff), borrow
}

// adapt returns a probability v moved toward the bit that was decoded, which is 0 if there was a borrow.
func adapt(v uint32, borrow uint64) prob {
	return prob(int32(v) - (int32(v)+int32(-borrow)&toward)>>moveBits)
}

// bit decodes one bit, where the range is large enough for it: see normal.
func (r rangeCoder) bit(p *prob) (rangeCoder, uint32) {
	v := uint32(*p)
	bound := r.rng >> probBits * v
	if r.code < bound {
		*p = prob(v + (1<<probBits-v)>>moveBits)
		return rangeCoder{bound, r.code, r.pos}, 0
	}
	*p = prob(v - v>>moveBits)
	return rangeCoder{r.rng - bound, r.code - bound, r.pos}, 1
}

// literal decodes a byte that follows a literal, highest bit first.
func (r rangeCoder) literal(in []byte, p *literals) (rangeCoder, byte) {
	rng, code, pos := r.rng, r.code, r.pos
	symbol, v := uint32(1), uint32(p[1])
	for symbol < 0x100 {
		v0, v1 := uint32(p[symbol<<1]), uint32(p[symbol<<1+1])
		rng, code, pos = refill(in, rng, code, pos)
		bound := rng >> probBits * v
		rest, borrow := subtract(code, bound)
		p[symbol] = adapt(v, borrow)
		symbol = symbol<<1 + 1 - uint32(borrow)
		v = pick(code, bound, v0, v1)
		rng = pick(code, bound, bound, rng-bound)
		code = pick(code, bound, code, rest)
	}
	return rangeCoder{rng, code, pos}, byte(symbol)
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
		rng, code, pos = refill(in, rng, code, pos)
		bound := rng >> probBits * v
		rest, borrow := subtract(code, bound)
		*q = adapt(v, borrow)
		offset &= bit ^ uint32(-borrow)
		bit = match & offset
		symbol = symbol<<1 + 1 - uint32(borrow)
		v = pick(code, bound, v0, v1)
		rng = pick(code, bound, bound, rng-bound)
		code = pick(code, bound, code, rest)
	}
	return rangeCoder{rng, code, pos}, byte(symbol)
}

// A treeOf is the probabilities of a tree of 3, 4, 6 or 8 bits: one for each node but the leaves, from 1 on. The leaves'
// are loaded and not used.
type treeOf interface {
	[16]prob | [32]prob | [128]prob | [512]prob
}

// tree decodes the bits of a tree, highest first.
func tree[T treeOf](r rangeCoder, in []byte, p *T) (rangeCoder, int) {
	rng, code, pos := r.rng, r.code, r.pos
	symbol, v := uint32(1), uint32((*p)[1])
	for symbol < uint32(len(*p))/2 {
		v0, v1 := uint32((*p)[symbol<<1]), uint32((*p)[symbol<<1+1])
		rng, code, pos = refill(in, rng, code, pos)
		bound := rng >> probBits * v
		rest, borrow := subtract(code, bound)
		(*p)[symbol] = adapt(v, borrow)
		symbol = symbol<<1 + 1 - uint32(borrow)
		v = pick(code, bound, v0, v1)
		rng = pick(code, bound, bound, rng-bound)
		code = pick(code, bound, code, rest)
	}
	return rangeCoder{rng, code, pos}, int(symbol) - len(*p)/2
}

// reverse decodes a number of n bits, lowest bit first.
func (r rangeCoder) reverse(in []byte, p []prob, n uint) (rangeCoder, int) {
	rng, code, pos := r.rng, r.code, r.pos
	symbol, number := uint32(1), uint32(0)
	for i := range n {
		rng, code, pos = refill(in, rng, code, pos)
		v := uint32(p[symbol])
		bound := rng >> probBits * v
		rest, borrow := subtract(code, bound)
		p[symbol] = adapt(v, borrow)
		symbol = symbol<<1 + 1 - uint32(borrow)
		number += (1 - uint32(borrow)) << (i & 31)
		rng = pick(code, bound, bound, rng-bound)
		code = pick(code, bound, code, rest)
	}
	return rangeCoder{rng, code, pos}, int(number)
}

// direct decodes a number of n bits that have no probability, highest bit first.
func (r rangeCoder) direct(in []byte, n uint) (rangeCoder, int) {
	rng, code, pos := r.rng, r.code, r.pos
	number := uint32(0)
	for range n {
		rng, code, pos = refill(in, rng, code, pos)
		rng >>= 1
		rest, borrow := subtract(code, rng)
		number = number<<1 + 1 - uint32(borrow)
		code = pick(code, rng, code, rest)
	}
	return rangeCoder{rng, code, pos}, int(number)
}

// normal is refill of the position.
func (r rangeCoder) normal(in []byte) rangeCoder {
	r.rng, r.code, r.pos = refill(in, r.rng, r.code, r.pos)
	return r
}

// length decodes the length of a match less minMatch.
func (r rangeCoder) length(in []byte, l *lengths, posState int) (rangeCoder, int) {
	var bit uint32
	var n int
	if r, bit = r.normal(in).bit(&l.choice); bit == 0 {
		return tree(r, in, &l.low[posState])
	}
	if r, bit = r.normal(in).bit(&l.choice2); bit == 0 {
		r, n = tree(r, in, &l.mid[posState])
		return r, n + 8
	}
	r, n = tree(r, in, &l.high)
	return r, n + 16
}

// distance decodes the distance less one of a match with the length n less minMatch.
func (r rangeCoder) distance(in []byte, m *model, n int) (rangeCoder, int) {
	r, slot := tree(r, in, &m.slots[min(n, 3)])
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
	r, low = tree(r, in, &m.align) // their order is the reverse
	return r, base + high<<alignBits + int(bits.Reverse8(uint8(low))>>(8-alignBits))
}

// repeat decodes a match at one of the last distances, moves that to the front, and returns the match's length. A
// length of 1 is a single byte.
func (r rangeCoder) repeat(in []byte, m *model, rep *reps, state, posState int) (rangeCoder, int) {
	var bit uint32
	if r, bit = r.normal(in).bit(&m.isRepG[0][state]); bit == 0 {
		if r, bit = r.normal(in).bit(&m.isRep0Long[state<<posLog|posState]); bit == 0 {
			return r, 1
		}
	} else if r, bit = r.normal(in).bit(&m.isRepG[1][state]); bit == 0 {
		*rep = reps{rep[1], rep[0], rep[2], rep[3]}
	} else if r, bit = r.normal(in).bit(&m.isRepG[2][state]); bit == 0 {
		*rep = reps{rep[2], rep[0], rep[1], rep[3]}
	} else {
		*rep = reps{rep[3], rep[0], rep[1], rep[2]}
	}
	r, n := r.length(in, &m.rep, posState)
	return r, n + minMatch
}
