// Package decompress opens the compressed streams that firmware volumes and initrds use. It is the one importer of
// the compression libraries.
package decompress

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// maxWindow bounds the memory that a stream's dictionary may ask for: 256 MiB, what `zstd --long=28` writes.
const maxWindow = 256 << 20

// ErrTooLarge is returned when a stream holds more than the caller's limit.
var ErrTooLarge = errors.New("decompressed data is larger than allowed")

// A Format is a compression format, told by its magic bytes. Of gzip, lzma, xz and zstd NewReader reads one stream, and
// takes no byte behind its end from an io.ByteReader. Of bzip2 and lz4 it reads streams one behind the other to the end
// of the input, and reports anything else there as an error, save for zero bytes behind lz4.
type Format struct {
	Name  string // as `file` calls it: "gzip", "zstd", ...
	magic []byte
	open  func(io.Reader) (io.ReadCloser, error)
}

// formats are the ones that the Linux kernel accepts for an initrd. lib/decompress.c, compressed_formats.
var formats = []Format{
	{"gzip", []byte{0x1f, 0x8b}, func(r io.Reader) (io.ReadCloser, error) { return gzipMember(r) }},
	{"bzip2", []byte("BZh"), func(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(bzip2.NewReader(r)), nil }},
	{"xz", xzMagic, func(r io.Reader) (io.ReadCloser, error) {
		x, err := xz.ReaderConfig{DictCap: lzma.MinDictCap, SingleStream: true}.NewReader(newXZStream(r))
		return nopCloser(x, err)
	}},
	{"lz4", []byte{0x02, 0x21, 0x4c, 0x18}, func(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(lz4.NewReader(r)), nil }},
	{"zstd", zstdMagic, func(r io.Reader) (io.ReadCloser, error) { return Zstd(newZstdFrame(r)) }},
	{"lzma", []byte{0x5d, 0x00, 0x00}, func(r io.Reader) (io.ReadCloser, error) {
		x, err := lzma.ReaderConfig{DictCap: maxWindow}.NewReader(r)
		return nopCloser(x, err)
	}},
}

// Detect returns the format whose magic bytes start b, or nil.
func Detect(b []byte) *Format {
	for i := range formats {
		if bytes.HasPrefix(b, formats[i].magic) {
			return &formats[i]
		}
	}
	return nil
}

// NewReader opens a stream of the format. Close releases what it holds.
func (f *Format) NewReader(r io.Reader) (io.ReadCloser, error) { return f.open(r) }

// Zstd opens a Zstandard stream with a window of up to 256 MiB.
func Zstd(r io.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

// LZMA decompresses a whole LZMA-alone stream, as EFI firmware volumes hold them, of at most limit bytes.
func LZMA(data []byte, limit int64) ([]byte, error) {
	r, err := lzma.ReaderConfig{DictCap: maxWindow}.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("lzma: %w", err)
	}
	return ReadAll(r, limit)
}

// ReadAll reads r to its end and refuses more than limit bytes with ErrTooLarge.
func ReadAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	return b, nil
}

// gzipMember reads one gzip member and stops behind it if r is an io.ByteReader.
func gzipMember(r io.Reader) (io.ReadCloser, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return z, nil
}

func nopCloser(r io.Reader, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err
	}
	return io.NopCloser(r), nil
}
