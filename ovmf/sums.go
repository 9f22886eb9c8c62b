package ovmf

import (
	"encoding/binary"
	"fmt"

	"github.com/tdxkit/tdxkit/internal/bin"
)

func formatError(format string, off int64, field string, category error, msg string, args ...any) error {
	return &bin.FormatError{Format: format, Off: off, Field: field, Msg: fmt.Sprintf(msg, args...), Err: category}
}

// sum16 adds little-endian 16-bit words; len(b) is even.
func sum16(b []byte) (sum uint16) {
	for ; len(b) >= 2; b = b[2:] {
		sum += binary.LittleEndian.Uint16(b)
	}
	return sum
}

func sum8(b []byte) (sum byte) {
	for _, x := range b {
		sum += x
	}
	return sum
}

// headerSum adds the bytes of a file header but IntegrityCheck.File and State, which count as 0.
func headerSum(h []byte) byte { return sum8(h) - h[17] - h[23] }

func u24(b []byte) uint32 {
	if len(b) < 3 {
		return 0
	}
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
}

func align(n, to int) int { return (n + to - 1) &^ (to - 1) }

func isFill(b []byte, fill byte) bool {
	for _, x := range b {
		if x != fill {
			return false
		}
	}
	return true
}
