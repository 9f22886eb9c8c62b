package kernel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// ErrRead is returned where the file of a kernel cannot be read, be it at first or when the part that was left in it is
// needed.
var ErrRead = errors.New("kernel cannot be read")

// readBuffer is how many bytes are held at a time of what is read to be hashed: enough to make reading cheap, and few
// enough that a processor still has them all in its cache when it hashes them.
const readBuffer = 1 << 18

// A contents is the bytes of an image. All that is parsed is in memory; a gap of bytes that are only hashed may be left in
// the file. Spans must lie in the image.
type contents struct {
	head, tail []byte      // what is before the gap and behind it
	gap        Span        // Len is 0 if head is the whole image
	file       io.ReaderAt // what the gap is read from
}

// inMemory is an image without a gap.
func inMemory(data []byte) contents { return contents{head: data, gap: Span{Off: int64(len(data))}} }

// inFile is a file of size bytes, with the compressed kernel as a gap if its first bytes are a setup header that says
// where it is. Where they only look like one, another run of bytes may be the gap.
func inFile(file io.ReaderAt, size int64) (contents, error) {
	c := contents{file: file, gap: Span{Off: size}}
	var err error
	if c.head, err = c.load(nil, min(size, setupHeaderEnd)); err != nil {
		return c, err
	}
	if p := payloadOf(c.head); p.End() <= size && p.Len > minPayload {
		c.gap = Span{p.Off + minPayload, p.Len - minPayload} // what is held tells the format
	}
	if c.head, err = c.load(c.head, c.gap.Off); err != nil {
		return c, err
	}
	c.tail = make([]byte, size-c.gap.End())
	return c, c.readAt(c.tail, c.gap.End())
}

// payloadOf is where a setup header says that the compressed kernel is, or an empty span.
func payloadOf(head []byte) Span {
	if len(head) < setupHeaderEnd || string(head[offHeader:offVersion]) != "HdrS" {
		return Span{}
	}
	offset, length := binary.LittleEndian.Uint32(head[offPayloadOffset:]), binary.LittleEndian.Uint32(head[offPayloadLength:])
	return Span{setupBytes(head[offSetupSects]) + int64(offset), int64(length)}
}

// load appends to head, which is what has been read from the start of the file, what is missing to size bytes.
func (c *contents) load(head []byte, size int64) ([]byte, error) {
	have := len(head)
	head = slices.Grow(head, int(size)-have)[:size]
	return head, c.readAt(head[have:], int64(have))
}

// readAt fills b from the file. Errors wrap ErrRead.
func (c *contents) readAt(b []byte, off int64) error {
	if n, err := c.file.ReadAt(b, off); n < len(b) {
		return fmt.Errorf("%w: want %d bytes at 0x%x, got %d: %w", ErrRead, len(b), off, n, err)
	}
	return nil
}

func (c *contents) size() int64 { return c.gap.End() + int64(len(c.tail)) }

// bytes returns the bytes of s, which must not be written to. Errors wrap ErrRead.
func (c *contents) bytes(s Span) ([]byte, error) {
	switch {
	case s.End() <= int64(len(c.head)):
		return c.head[s.Off:s.End()], nil
	case s.Off >= c.gap.End():
		return c.tail[s.Off-c.gap.End():][:s.Len], nil
	}
	var b bytes.Buffer
	b.Grow(int(s.Len))
	err := c.write(&b, s)
	return b.Bytes(), err
}

// write writes the bytes of s to w. Errors are those of w, or wrap ErrRead.
func (c *contents) write(w io.Writer, s Span) error {
	if from, to := s.Off, min(s.End(), c.gap.Off); from < to {
		if _, err := w.Write(c.head[from:to]); err != nil {
			return err
		}
	}
	if from, to := max(s.Off, c.gap.Off), min(s.End(), c.gap.End()); from < to {
		if err := c.stream(w, from, to); err != nil {
			return err
		}
	}
	if from, to := max(s.Off, c.gap.End())-c.gap.End(), s.End()-c.gap.End(); from < to {
		if _, err := w.Write(c.tail[from:to]); err != nil {
			return err
		}
	}
	return nil
}

// stream writes what the file has from an offset to another.
func (c *contents) stream(w io.Writer, from, to int64) error {
	buf := make([]byte, min(readBuffer, to-from))
	for from < to {
		piece := buf[:min(int64(len(buf)), to-from)]
		if err := c.readAt(piece, from); err != nil {
			return err
		}
		if _, err := w.Write(piece); err != nil {
			return err
		}
		from += int64(len(piece))
	}
	return nil
}
