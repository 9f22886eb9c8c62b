package keccak

import (
	"bytes"
	"crypto/sha3"
	"encoding/hex"
	"testing"
)

// TestSum compares with published digests: of the empty string, and of Ethereum's transfer event.
func TestSum(t *testing.T) {
	for _, tc := range []struct{ in, want256 string }{
		{"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"},
		{"Transfer(address,address,uint256)", "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"},
	} {
		if got := Sum256([]byte(tc.in)); hex.EncodeToString(got[:]) != tc.want256 {
			t.Errorf("%q: got %x, want %s", tc.in, got, tc.want256)
		}
	}
	const empty512 = "0eab42de4c3ceb9235fc91acffe746b29c29a8c366b7c60e4e67c466f36a4304c00fa9caf9d87976ba469bcbe06713b435f091ef2769fb160cdab33d3670680e"
	if got := Sum512(nil); hex.EncodeToString(got[:]) != empty512 {
		t.Errorf("Sum512 of nothing: got %x", got)
	}
	const empty384 = "2c23146a63a29acf99e73b88f8c24eaa7dc60aa771780ccc006afbfa8fe2479b2dd2b21362337441ac12b515911957ff"
	if got := Sum384(nil); hex.EncodeToString(got[:]) != empty384 {
		t.Errorf("Sum384 of nothing: got %x", got)
	}
}

// TestAgainstSHA3 gives the sponge SHA-3's padding and compares with the standard library, over all lengths around the
// blocks' ends.
func TestAgainstSHA3(t *testing.T) {
	data := bytes.Repeat([]byte{0, 1, 0x7f, 0x80, 0xff, 0x5a, 0xa5}, 100)
	for n := range 450 {
		in := data[:n]
		var d32 [32]byte
		var d48 [48]byte
		var d64 [64]byte
		sum(d32[:], in, padSHA3)
		sum(d48[:], in, padSHA3)
		sum(d64[:], in, padSHA3)
		if d32 != sha3.Sum256(in) || d48 != sha3.Sum384(in) || d64 != sha3.Sum512(in) {
			t.Fatalf("%d bytes: differs from crypto/sha3", n)
		}
	}
}

func BenchmarkSum256(b *testing.B) {
	data := make([]byte, 4096)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		Sum256(data)
	}
}
