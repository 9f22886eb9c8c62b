package predict

import (
	"bytes"
	"sync"

	"github.com/tdxkit/tdxkit/mr"
)

// maxTableSums bounds how many tables are remembered; a table has 10 to 100 KiB without its padding.
const maxTableSums = 512

// A tableSums remembers the digests of ACPI blobs by their bytes: most sizes of RAM lead to the same tables, and hashing
// their padding costs more than all else that a shape needs.
type tableSums struct {
	mu   sync.Mutex
	sums map[tableKey]mr.Digest
}

// A tableKey is a blob: its size, and its bytes up to the last that is not zero.
type tableKey struct {
	size int
	text string
}

// sum returns the SHA-384 digest of b, which h hashes where it is not remembered.
func (t *tableSums) sum(h *stepHasher, b []byte) mr.Digest {
	used := b[:unpadded(b)]
	t.mu.Lock()
	d, ok := t.sums[tableKey{len(b), string(used)}]
	t.mu.Unlock()
	if ok {
		return d
	}
	d = h.sum(b, len(used))
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.sums == nil:
		t.sums = map[tableKey]mr.Digest{}
	case len(t.sums) >= maxTableSums:
		clear(t.sums)
	}
	t.sums[tableKey{len(b), string(used)}] = d
	return d
}

// zeros is what padding is compared with, a page at a time.
var zeros [4096]byte

// unpadded returns the length of b without the zeros at its end.
func unpadded(b []byte) int {
	n := len(b)
	for n >= len(zeros) && bytes.Equal(b[n-len(zeros):n], zeros[:]) {
		n -= len(zeros)
	}
	for n > 0 && b[n-1] == 0 {
		n--
	}
	return n
}
