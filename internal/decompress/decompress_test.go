package decompress_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/tdxkit/tdxkit/internal/decompress"
)

var streams = map[string]string{".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".lzma": "lzma", ".zst": "zstd", ".lz4": "lz4"}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// expand reads data as the format that its first bytes tell, with a limit of 1 MiB.
func expand(t testing.TB, r io.Reader, magic []byte) ([]byte, error) {
	t.Helper()
	f := decompress.Detect(magic)
	if f == nil {
		t.Fatalf("no format starts with % x", magic[:4])
	}
	d, err := f.NewReader(r)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return decompress.ReadAll(d, 1<<20)
}

func TestFormats(t *testing.T) {
	want := testdata(t, "main.cpio")
	for ending, name := range streams {
		t.Run(name, func(t *testing.T) {
			data := testdata(t, "main.cpio"+ending)
			if f := decompress.Detect(data); f == nil || f.Name != name {
				t.Fatalf("format %v, want %s", f, name)
			}
			for how, r := range map[string]io.Reader{
				"whole": bytes.NewReader(data), "byte by byte": iotest.OneByteReader(bytes.NewReader(data)), "end with data": iotest.DataErrReader(bytes.NewReader(data)),
			} {
				if got, err := expand(t, r, data); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: %d bytes, %v, want %d", how, len(got), err, len(want))
				}
			}
		})
	}
}

// TestStreamEnds holds that a reader takes nothing that lies behind its stream.
func TestStreamEnds(t *testing.T) {
	for _, ending := range []string{".gz", ".xz", ".lzma", ".zst"} {
		data := testdata(t, "main.cpio"+ending)
		r := bytes.NewReader(append(bytes.Clone(data), "behind"...))
		if _, err := expand(t, r, data); err != nil {
			t.Errorf("%s: %v", ending, err)
		}
		if rest, _ := io.ReadAll(r); string(rest) != "behind" {
			t.Errorf("%s: %q is left, want \"behind\"", ending, rest)
		}
	}
	for _, ending := range []string{".bz2", ".lz4"} {
		data := testdata(t, "main.cpio"+ending)
		if got, err := expand(t, bytes.NewReader(append(bytes.Clone(data), "behind"...)), data); err == nil {
			t.Errorf("%s: bytes behind the stream are passed over, %d bytes", ending, len(got))
		}
	}
}

// TestCut cuts each stream at each byte: no part may pass for the whole, nor end without an error, save that lz4's legacy
// format has no end mark, so that nothing and its magic number alone are empty streams.
func TestCut(t *testing.T) {
	want := testdata(t, "main.cpio")
	for ending := range streams {
		data := testdata(t, "main.cpio"+ending)
		for n := range data {
			if got, err := expand(t, bytes.NewReader(data[:n]), data); err == nil && bytes.Equal(got, want) {
				t.Errorf("%s cut to %d of %d bytes is accepted whole", ending, n, len(data))
			} else if err == nil && (ending != ".lz4" || n != 0 && n != 4) {
				t.Errorf("%s cut to %d of %d bytes ends without an error", ending, n, len(data))
			}
		}
	}
}

func TestReadAllLimit(t *testing.T) {
	if got, err := decompress.ReadAll(bytes.NewReader(make([]byte, 10)), 10); err != nil || len(got) != 10 {
		t.Errorf("at the limit: %d bytes, %v", len(got), err)
	}
	if _, err := decompress.ReadAll(bytes.NewReader(make([]byte, 11)), 10); !errors.Is(err, decompress.ErrTooLarge) {
		t.Errorf("past the limit: %v, want ErrTooLarge", err)
	}
	if _, err := decompress.LZMA(testdata(t, "main.cpio.lzma"), 100); !errors.Is(err, decompress.ErrTooLarge) {
		t.Errorf("LZMA past the limit: %v, want ErrTooLarge", err)
	}
	if got, err := decompress.LZMA(testdata(t, "main.cpio.lzma"), 1<<20); err != nil || !bytes.Equal(got, testdata(t, "main.cpio")) {
		t.Errorf("LZMA: %d bytes, %v", len(got), err)
	}
}

func TestDetect(t *testing.T) {
	for name, b := range map[string][]byte{"empty": nil, "cpio": []byte("070701"), "one byte of gzip": {0x1f}} {
		if f := decompress.Detect(b); f != nil {
			t.Errorf("%s: %s, want none", name, f.Name)
		}
	}
}

// TestXZRejects changes one byte of a stream's framing. The block header starts at byte 12: size, flags, filter ID, size
// of its properties, dictionary.
func TestXZRejects(t *testing.T) {
	for name, change := range map[string]func([]byte){
		"dictionary of 4 GiB":     func(b []byte) { b[16] = 40 },
		"dictionary out of range": func(b []byte) { b[16] = 41 },
		"no LZMA2 filter":         func(b []byte) { b[14] = 4 },
		"properties past the end": func(b []byte) { b[15] = 0x7f },
		"header past the end":     func(b []byte) { b[12] = 0xff },
		"control byte":            func(b []byte) { b[24] = 3 },
	} {
		data := testdata(t, "main.cpio.xz")
		change(data)
		if _, err := expand(t, bytes.NewReader(data), data); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestZstdRejects(t *testing.T) {
	for name, data := range map[string][]byte{
		"reserved block":     {0x28, 0xb5, 0x2f, 0xfd, 0x20, 1, 0x07, 0, 0, 0},
		"block of 2 MiB":     {0x28, 0xb5, 0x2f, 0xfd, 0x20, 1, 0xf9, 0xff, 0xff},
		"window of 2 TiB":    {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff, 1, 0, 0},
		"magic number alone": {0x28, 0xb5, 0x2f, 0xfd},
	} {
		if got, err := expand(t, bytes.NewReader(data), data); err == nil {
			t.Errorf("%s is accepted: %d bytes", name, len(got))
		}
	}
}

// FuzzFormats: whatever the input, a reader ends, and gives the same bytes twice.
func FuzzFormats(f *testing.F) {
	for ending := range streams {
		f.Add(testdata(f, "main.cpio"+ending))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if decompress.Detect(data) == nil {
			return
		}
		first, err1 := expand(t, bytes.NewReader(data), data)
		second, err2 := expand(t, iotest.HalfReader(bytes.NewReader(data)), data)
		if (err1 == nil) != (err2 == nil) || err1 == nil && !bytes.Equal(first, second) {
			t.Fatalf("%d bytes, %v; read in halves %d bytes, %v", len(first), err1, len(second), err2)
		}
	})
}
