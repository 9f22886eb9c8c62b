// Package keccak is Keccak as it was before NIST made SHA-3 of it, with the padding that Ethereum's tools use and that
// the standard library leaves out.
//
// Source: The KECCAK reference, version 3.0 (2011), 1.1 and 1.2; FIPS 202 describes the same permutation. They differ in
// the bits that are appended to a message: none here, 01 in SHA-3.
package keccak

import (
	"encoding/binary"
	"math/bits"
)

// The paddings: the bits that follow a message, lowest first, and the first bit of pad10*1.
const (
	padKeccak = 0x01
	padSHA3   = 0x06
)

// Sum256, Sum384 and Sum512 return the digests of data.
func Sum256(data []byte) (d [32]byte) { sum(d[:], data, padKeccak); return d }

// Sum384 returns the 384-bit digest of data.
func Sum384(data []byte) (d [48]byte) { sum(d[:], data, padKeccak); return d }

// Sum512 returns the 512-bit digest of data.
func Sum512(data []byte) (d [64]byte) { sum(d[:], data, padKeccak); return d }

// lanes is the number of 64-bit words of the state of Keccak-f[1600].
const lanes = 25

// sum absorbs data into a sponge whose capacity is twice the digest and squeezes one block, which is longer than any
// digest here.
func sum(digest, data []byte, pad byte) {
	var s [lanes]uint64
	rate := 8*lanes - 2*len(digest)
	for len(data) >= rate {
		absorb(&s, data[:rate])
		data = data[rate:]
	}
	last := make([]byte, rate)
	copy(last, data)
	last[len(data)] ^= pad
	last[rate-1] ^= 0x80
	absorb(&s, last)
	for i := range digest {
		digest[i] = byte(s[i/8] >> (8 * (i % 8)))
	}
}

func absorb(s *[lanes]uint64, block []byte) {
	for i := 0; i < len(block); i += 8 {
		s[i/8] ^= binary.LittleEndian.Uint64(block[i:])
	}
	permute(s)
}

// roundConstants are what iota adds, KECCAK reference, 1.2 and table 2.1.
var roundConstants = [24]uint64{
	0x0000000000000001, 0x0000000000008082, 0x800000000000808A, 0x8000000080008000, 0x000000000000808B, 0x0000000080000001,
	0x8000000080008081, 0x8000000000008009, 0x000000000000008A, 0x0000000000000088, 0x0000000080008009, 0x000000008000000A,
	0x000000008000808B, 0x800000000000008B, 0x8000000000008089, 0x8000000000008003, 0x8000000000008002, 0x8000000000000080,
	0x000000000000800A, 0x800000008000000A, 0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
}

// permute is Keccak-f[1600]. Lane (x, y) is s[x+5*y].
func permute(s *[lanes]uint64) {
	for _, rc := range roundConstants {
		var c [5]uint64 // theta
		for x := range 5 {
			c[x] = s[x] ^ s[x+5] ^ s[x+10] ^ s[x+15] ^ s[x+20]
		}
		for i := range s {
			s[i] ^= c[(i+4)%5] ^ bits.RotateLeft64(c[(i+1)%5], 1)
		}
		x, y, carried := 1, 0, s[1] // rho and pi, along the one cycle that pi makes of all lanes but the first
		for t := range 24 {
			x, y = y, (2*x+3*y)%5
			here := s[x+5*y]
			s[x+5*y] = bits.RotateLeft64(carried, (t+1)*(t+2)/2)
			carried = here
		}
		for row := 0; row < lanes; row += 5 { // chi
			var r [5]uint64
			copy(r[:], s[row:])
			for x := range 5 {
				s[row+x] = r[x] ^ ^r[(x+1)%5]&r[(x+2)%5]
			}
		}
		s[0] ^= rc
	}
}
