package predict

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/tdxkit/tdxkit/mr"
)

// TestTableSums asks for blobs that differ in a byte, in their padding's length, and in nothing, more than are remembered.
func TestTableSums(t *testing.T) {
	var sums tableSums
	var hasher stepHasher
	for round := range 2 {
		for i := range maxTableSums + 40 {
			for _, size := range []int{256, 257, 511} {
				b := make([]byte, size)
				b[0], b[1], b[200+i%50] = byte(i), byte(i>>8), byte(i%3)
				if got, want := sums.sum(&hasher, b), mr.Sum(b); got != want {
					t.Fatalf("round %d, blob %d of %d bytes: %s, want %s", round, i, size, got, want)
				}
			}
		}
	}
	if len(sums.sums) > maxTableSums {
		t.Errorf("%d blobs are remembered, at most %d may be", len(sums.sums), maxTableSums)
	}
	for _, b := range [][]byte{nil, {0}, {1}, {0, 0, 1}, make([]byte, 16), append(make([]byte, 9), 7, 0, 0)} {
		if got, want := sums.sum(&hasher, b), mr.Sum(b); got != want {
			t.Errorf("%x: %s, want %s", b, got, want)
		}
	}
}

// TestStepHasher hashes blobs of which each begins like one before, to a place on either side of a step, and has another
// size or more bytes that are used.
func TestStepHasher(t *testing.T) {
	var h stepHasher
	rng := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 9*hashStep)
	resumed := 0
	for i := range 2000 {
		from := rng.IntN(len(b))
		for k := range 3 {
			b[min(from+k*rng.IntN(hashStep), len(b)-1)]++
		}
		blob := b[:rng.IntN(len(b)+1)]
		if i%2 == 0 {
			blob = b[:len(b)-i%3]
		}
		if len(h.last) >= hashStep && len(blob) >= hashStep && bytes.Equal(h.last[:hashStep], blob[:hashStep]) {
			resumed++
		}
		used := rng.IntN(len(blob) + 1)
		if got, want := h.sum(blob, used), mr.Sum(blob); got != want {
			t.Fatalf("blob %d of %d bytes, %d of them used: %s, want %s", i, len(blob), used, got, want)
		}
		if len(h.states) != len(h.last)/hashStep || len(h.last)%hashStep != 0 || len(h.last) > len(blob) {
			t.Fatalf("blob %d of %d bytes: %d states of %d bytes", i, len(blob), len(h.states), len(h.last))
		}
	}
	if resumed < 100 {
		t.Errorf("%d blobs were hashed from a state", resumed)
	}
}
