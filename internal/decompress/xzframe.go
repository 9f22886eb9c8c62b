package decompress

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// xzMagic starts a .xz stream. The .xz File Format 1.2.1, 2.1.1.1.
var xzMagic = []byte{0xfd, '7', 'z', 'X', 'Z', 0}

// The .xz File Format 1.2.1, 2.1, 3 and 5.3.1.
const (
	xzStreamHeader  = 12
	xzStreamFooter  = 12
	xzAlign         = 4
	xzCRC           = 4
	xzIndexMark     = 0 // in place of a block header's size
	xzHasCompressed = 0x40
	xzHasPlain      = 0x80
	xzLZMA2         = 0x21 // filter ID
	xzDictBitsMax   = 40
	xzMaxRecords    = 1 << 24 // blocks; one a megabyte makes 16 TiB
)

// xzCheckSizes are the sizes of a block's check in bytes by its ID. The .xz File Format 1.2.1, 2.1.1.2.
var xzCheckSizes = [16]int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}

var errXZ = errors.New("xz: malformed stream")

// newXZStream returns a reader of the one .xz stream that starts r. It refuses blocks whose dictionary is larger than
// maxWindow, for which the decoder would reserve memory unasked.
func newXZStream(r io.Reader) io.Reader { return &framer{r: r, state: xzHeader} }

func xzHeader(f *framer) (stateFn, error) {
	h, err := f.take(xzStreamHeader)
	if err != nil {
		return nil, err
	}
	return xzBlock(xzCheckSizes[h[7]&15]), nil
}

// xzBlock reads a block's header, or the index where that stands in its place.
func xzBlock(check int) stateFn {
	return func(f *framer) (stateFn, error) {
		b, err := f.take(1)
		if err != nil {
			return nil, err
		}
		if b[0] == xzIndexMark {
			return nil, xzIndex(f)
		}
		h, err := f.take((int(b[0])+1)*xzAlign - 1)
		if err != nil {
			return nil, err
		}
		if err := xzCheckFilters(h[:len(h)-xzCRC]); err != nil {
			return nil, err
		}
		return xzChunk(check, 0), nil
	}
}

// xzCheckFilters looks for the LZMA2 filter among a block's filters, and at the size of its dictionary.
func xzCheckFilters(h []byte) error {
	flags, rest := h[0], h[1:]
	fields := 0
	for _, bit := range []byte{xzHasCompressed, xzHasPlain} {
		if flags&bit != 0 {
			fields++
		}
	}
	number := func() uint64 {
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			rest = nil
			return 0
		}
		rest = rest[n:]
		return v
	}
	for range fields {
		number()
	}
	for range int(flags&3) + 1 {
		id, size := number(), number()
		if size > uint64(len(rest)) {
			return errXZ
		}
		props := rest[:size]
		rest = rest[size:]
		if id != xzLZMA2 {
			continue
		}
		if size != 1 || props[0] > xzDictBitsMax {
			return errXZ
		}
		bits := uint(props[0])
		if dict := uint64(2|bits&1) << (bits/2 + 11); dict > maxWindow {
			return fmt.Errorf("xz: dictionary of %d bytes, at most %d are supported", dict, maxWindow)
		}
		return nil
	}
	return fmt.Errorf("%w: a block has no LZMA2 filter", errXZ)
}

// xzChunk reads LZMA2 chunk headers; size counts the block's compressed bytes so far. Linux v6.12,
// lib/xz/xz_dec_lzma2.c, xz_dec_lzma2_run, lists the control bytes.
func xzChunk(check int, size int64) stateFn {
	return func(f *framer) (stateFn, error) {
		b, err := f.take(1)
		if err != nil {
			return nil, err
		}
		var header int
		switch control := b[0]; {
		case control == 0: // the end of the block
			size++
			_, err := f.take(int(-size&(xzAlign-1)) + check)
			return xzBlock(check), err
		case control <= 2: // stored: size
			header = 2
		case control < 0x80:
			return nil, fmt.Errorf("%w: control byte %#x", errXZ, control)
		case control < 0xc0: // plain size, size
			header = 4
		default: // and properties
			header = 5
		}
		h, err := f.take(header)
		if err != nil {
			return nil, err
		}
		at := 0
		if header > 2 {
			at = 2
		}
		f.content = int(binary.BigEndian.Uint16(h[at:])) + 1
		return xzChunk(check, size+1+int64(header)+int64(f.content)), nil
	}
}

// xzIndex reads the index, whose first byte has been read, and the footer.
func xzIndex(f *framer) error {
	size := 1
	number := func() (uint64, error) {
		var b []byte
		for {
			c, err := f.take(1)
			if err != nil {
				return 0, err
			}
			b = append(b, c[0])
			size++
			if c[0] < 0x80 {
				break
			}
			if len(b) == binary.MaxVarintLen64 {
				return 0, errXZ
			}
		}
		v, _ := binary.Uvarint(b)
		return v, nil
	}
	records, err := number()
	if err != nil {
		return err
	}
	if records > xzMaxRecords {
		return fmt.Errorf("%w: %d records in the index", errXZ, records)
	}
	for range 2 * records {
		if _, err := number(); err != nil {
			return err
		}
	}
	_, err = f.take(-size&(xzAlign-1) + xzCRC + xzStreamFooter)
	return err
}
