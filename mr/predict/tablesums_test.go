package predict

import (
	"testing"

	"github.com/tdxkit/tdxkit/mr"
)

// TestTableSums asks for blobs that differ in a byte, in their padding's length, and in nothing, more than are remembered.
func TestTableSums(t *testing.T) {
	var sums tableSums
	for round := range 2 {
		for i := range maxTableSums + 40 {
			for _, size := range []int{256, 257, 511} {
				b := make([]byte, size)
				b[0], b[1], b[200+i%50] = byte(i), byte(i>>8), byte(i%3)
				if got, want := sums.sum(b), mr.Sum(b); got != want {
					t.Fatalf("round %d, blob %d of %d bytes: %s, want %s", round, i, size, got, want)
				}
			}
		}
	}
	if len(sums.sums) > maxTableSums {
		t.Errorf("%d blobs are remembered, at most %d may be", len(sums.sums), maxTableSums)
	}
	for _, b := range [][]byte{nil, {0}, {1}, {0, 0, 1}, make([]byte, 16), append(make([]byte, 9), 7, 0, 0)} {
		if got, want := sums.sum(b), mr.Sum(b); got != want {
			t.Errorf("%x: %s, want %s", b, got, want)
		}
	}
}
