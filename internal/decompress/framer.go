package decompress

import "io"

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

// Read passes on bytes of the stream. An input that ends inside the stream is io.ErrUnexpectedEOF.
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
	return n, unexpected(err)
}

// take reads the next n bytes, adds them to what is to be passed on, and returns them.
func (f *framer) take(n int) ([]byte, error) {
	at := len(f.pending)
	f.pending = append(f.pending, make([]byte, n)...)
	if _, err := io.ReadFull(f.r, f.pending[at:]); err != nil {
		return nil, unexpected(err)
	}
	return f.pending[at:], nil
}

// unexpected makes the end of the input an error, since the stream has not ended.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
