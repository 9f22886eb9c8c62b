package kernel

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
)

// ErrEmptyInitrd is returned for an initrd without a byte, which QEMU cannot load.
var ErrEmptyInitrd = errors.New("initrd is empty")

// HashInitrd reads r to its end and returns the SHA-384 digest and the size of what it read, in bytes. It holds 256 KiB
// of it at a time. An empty initrd is ErrEmptyInitrd; other errors are r's.
func HashInitrd(r io.Reader) (digest [48]byte, size int64, err error) {
	h, buf := sha512.New384(), make([]byte, readBuffer)
	for {
		n, err := r.Read(buf)
		h.Write(buf[:n])
		size += int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return digest, 0, fmt.Errorf("initrd: after %d bytes: %w", size, err)
		}
	}
	if size == 0 {
		return digest, 0, ErrEmptyInitrd
	}
	h.Sum(digest[:0])
	return digest, size, nil
}
