package predict

import (
	"bytes"
	"crypto/sha512"
	"hash"

	"github.com/tdxkit/tdxkit/acpi"
	"github.com/tdxkit/tdxkit/mr"
)

// A tableMaker builds and hashes ACPI blobs one after the other, with buffers that it keeps.
type tableMaker struct {
	acpi.Builder
	stepHasher
}

// hashStep is how often a stepHasher keeps the hash's state, in bytes.
const hashStep = 1 << 10

// A stepHasher hashes blobs one after the other. It keeps the states of the last one's hash, for the next to start at the
// last of them up to which both are the same: shapes that differ in RAM have the tables of their processors in common.
type stepHasher struct {
	last   []byte        // the blob up to the last state
	states []hash.Cloner // after each hashStep bytes of last
}

// sum returns the SHA-384 digest of b. States are kept in its first used bytes.
func (s *stepHasher) sum(b []byte, used int) mr.Digest {
	n := 0
	for n < len(s.states) && (n+1)*hashStep <= len(b) && bytes.Equal(s.last[n*hashStep:(n+1)*hashStep], b[n*hashStep:(n+1)*hashStep]) {
		n++
	}
	s.states = s.states[:n]
	h := newCloner()
	if n > 0 {
		h = clone(s.states[n-1])
	}
	for ; (n+1)*hashStep <= used; n++ {
		h.Write(b[n*hashStep : (n+1)*hashStep])
		s.states = append(s.states, clone(h))
	}
	s.last = append(s.last[:0], b[:n*hashStep]...)
	h.Write(b[n*hashStep:])
	return mr.Digest(h.Sum(nil))
}

// newCloner returns a new SHA-384. Every hash of the standard library can be cloned, without error.
func newCloner() hash.Cloner { return sha512.New384().(hash.Cloner) }

func clone(h hash.Cloner) hash.Cloner {
	c, _ := h.Clone()
	return c
}
