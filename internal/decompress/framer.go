package decompress

import (
	"fmt"
	"io"
)

// errCut is what a stream ends with that is not all there. It is not io.ErrUnexpectedEOF itself, since decoders take
// that for the end of the stream in some places.
var errCut = fmt.Errorf("compressed stream is cut short: %w", io.ErrUnexpectedEOF)

// A framer passes on the bytes of one compressed stream and ends with it. Decoders read on for another stream, and what
// follows in an initrd need not be one. It knows the stream's framing and nothing of its content.
type framer struct {
	r       io.Reader
	state   stateFn // nil at the end of the stream
	pending []byte  // read already, to be passed on
	content int     // bytes behind pending to be passed on unread
}

// A stateFn reads the next part of the framing, says what is to be passed on, and returns what comes after that.
type stateFn func(*framer) (stateFn, error)

// Read passes on bytes of the stream. An input that ends inside the stream is errCut.
func (f *framer) Read(b []byte) (int, error) {
	for len(f.pending) == 0 && f.content == 0 {
		if f.state == nil {
			return 0, io.EOF
		}
		var err error
		if f.state, err = f.state(f); err != nil {
			return 0, err
		}
	}
	if len(f.pending) > 0 {
		n := copy(b, f.pending)
		f.pending = f.pending[n:]
		return n, nil
	}
	n, err := f.r.Read(b[:min(len(b), f.content)])
	f.content -= n
	return n, cutShort(err)
}

// take reads the next n bytes, adds them to what is to be passed on, and returns them.
func (f *framer) take(n int) ([]byte, error) {
	at := len(f.pending)
	f.pending = append(f.pending, make([]byte, n)...)
	if _, err := io.ReadFull(f.r, f.pending[at:]); err != nil {
		return nil, cutShort(err)
	}
	return f.pending[at:], nil
}

// cutShort makes the end of the input an error, since the stream has not ended.
func cutShort(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errCut
	}
	return err
}
