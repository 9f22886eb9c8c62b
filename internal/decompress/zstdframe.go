package decompress

import (
	"bytes"
	"fmt"
	"io"
)

// zstdMagic starts a Zstandard frame. RFC 8878, 3.1.1, "Magic_Number".
var zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

// Sizes of frame header fields in bytes, by the flags in the descriptor. RFC 8878, 3.1.1.1.1.
var (
	zstdContentSize = [4]int{0, 2, 4, 8} // and 1 for flag 0 in a frame of a single segment
	zstdDictID      = [4]int{0, 1, 2, 4}
)

// Frame_Header_Descriptor and blocks. RFC 8878, 3.1.1.1.1 and 3.1.1.2.
const (
	zstdSingleSegment = 0x20
	zstdHasChecksum   = 0x04
	zstdChecksumSize  = 4
	zstdBlockHeader   = 3
	zstdBlockMax      = 128 << 10
	zstdBlockRLE      = 1 // one byte, repeated
	zstdBlockReserved = 3
)

// newZstdFrame returns a reader of the one Zstandard frame that starts r.
func newZstdFrame(r io.Reader) io.Reader { return &framer{r: r, state: zstdHeader} }

func zstdHeader(f *framer) (stateFn, error) {
	head, err := f.take(len(zstdMagic) + 1)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(head, zstdMagic) {
		return nil, fmt.Errorf("zstd: magic number % x, want % x", head[:4], zstdMagic)
	}
	d := head[4]
	n := zstdDictID[d&3] + zstdContentSize[d>>6]
	if d&zstdSingleSegment == 0 || d>>6 == 0 {
		n++ // Window_Descriptor, or a Frame_Content_Size of one byte
	}
	_, err = f.take(n)
	return zstdBlock(d&zstdHasChecksum != 0), err
}

// zstdBlock reads block headers; a checksum follows the last block where summed is set.
func zstdBlock(summed bool) stateFn {
	return func(f *framer) (stateFn, error) {
		b, err := f.take(zstdBlockHeader)
		if err != nil {
			return nil, err
		}
		h := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		last, kind := h&1 != 0, h>>1&3
		f.content = int(h >> 3)
		if kind == zstdBlockReserved || f.content > zstdBlockMax {
			return nil, fmt.Errorf("zstd: block header %06x is not valid", h)
		}
		if kind == zstdBlockRLE {
			f.content = 1
		}
		switch {
		case !last:
			return zstdBlock(summed), nil
		case summed:
			return zstdChecksum, nil
		}
		return nil, nil
	}
}

func zstdChecksum(f *framer) (stateFn, error) {
	_, err := f.take(zstdChecksumSize)
	return nil, err
}
