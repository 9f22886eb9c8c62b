package lzma_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/decompress"
	"github.com/tdxkit/tdxkit/internal/lzma"
)

const limit = 1 << 20

// reference decompresses with a general reader, another implementation of the format.
func reference(data []byte) ([]byte, error) {
	f := decompress.Detect(data)
	if f == nil || f.Name != "lzma" {
		return nil, errors.New("not an LZMA stream with the usual properties")
	}
	r, err := f.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, limit+1))
}

func stream(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".lzma"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDecodeIn holds that the output lies in the memory that is provided, and that none is asked for by a bad header.
func TestDecodeIn(t *testing.T) {
	var provided [][]byte
	memory := func(size int) []byte {
		provided = append(provided, make([]byte, size))
		return provided[len(provided)-1]
	}
	got, err := lzma.DecodeIn(stream(t, "zeros"), limit, memory)
	if err != nil || len(provided) != 1 || len(got) != 300000 || &got[0] != &provided[0][0] {
		t.Errorf("%d bytes, error %v, %d pieces of memory", len(got), err, len(provided))
	}
	provided = nil
	if _, err := lzma.DecodeIn(stream(t, "zeros"), 299999, memory); err == nil || len(provided) != 0 {
		t.Errorf("over the limit: error %v, %d pieces of memory", err, len(provided))
	}
}

func TestDecode(t *testing.T) {
	text, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{
		"text": text, "text-lc0-lp2-pb0": text[:4000], "text-lc4-pb4": text[:4000], "zeros": make([]byte, 300000), "empty": {},
	} {
		got, err := lzma.Decode(stream(t, name), limit)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, error %v; want %d bytes that differ in nothing", name, len(got), err, len(want))
		}
	}
	for _, name := range []string{"noise", "far"} {
		got, err := lzma.Decode(stream(t, name), limit)
		want, wantErr := reference(stream(t, name))
		if err != nil || wantErr != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, error %v; the reference has %d, error %v", name, len(got), err, len(want), wantErr)
		}
	}
	records, err := lzma.Decode(stream(t, "records"), limit)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint32(900) {
		if got := binary.LittleEndian.Uint32(records[16*i:]); got != i {
			t.Fatalf("record %d has the number %d", i, got)
		}
	}
}

func TestDecodeRejects(t *testing.T) {
	change := func(off int, b ...byte) []byte {
		s := bytes.Clone(stream(t, "text"))
		copy(s[off:], b)
		return s
	}
	text := stream(t, "text")
	for _, tc := range []struct {
		name  string
		data  []byte
		want  error
		field string
	}{
		{"no header", nil, bin.ErrTruncated, "properties"},
		{"header only", text[:13], bin.ErrTruncated, "first byte"},
		{"half a code", text[:16], bin.ErrTruncated, "code"},
		{"properties", change(0, 225), bin.ErrMalformed, "properties"},
		{"over the limit", change(5, 0, 0, 0, 0, 1), bin.ErrUnsupported, "uncompressed size"},
		{"unknown size", change(5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), bin.ErrUnsupported, "uncompressed size"},
		{"more than the format can give", append(change(5, 0, 0, 8, 0)[:17], 0), bin.ErrMalformed, "uncompressed size"},
		{"first byte", change(13, 1), bin.ErrMalformed, "first byte"},
		{"cut", text[:len(text)/2], bin.ErrTruncated, "stream"},
		{"match at the start", append(text[:13:13], 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), bin.ErrMalformed, "distance"},
		{"longer than it is", change(5, 0xff, 0xff), bin.ErrMalformed, "distance"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := lzma.Decode(tc.data, limit)
			var f *bin.FormatError
			if !errors.As(err, &f) || !errors.Is(err, tc.want) || f.Field != tc.field {
				t.Errorf("error is %v, want one of %q that is %v", err, tc.field, tc.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.lzma")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := lzma.Decode(data, limit)
		if err != nil && got != nil {
			t.Error("bytes and an error")
		}
		want, wantErr := reference(data)
		if err == nil && wantErr == nil && !bytes.Equal(got, want) {
			t.Errorf("%d bytes differ from the reference's %d", len(got), len(want))
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	text := stream(b, "text")
	b.ReportAllocs()
	for b.Loop() {
		out, err := lzma.Decode(text, limit)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(out)))
	}
}
