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
	for _, name := range []string{"noise", "far", "edits"} {
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

// TestDecodePeriods copies matches at every distance around the width of a copy: each of the periods 1 to 40 repeats.
func TestDecodePeriods(t *testing.T) {
	got, err := lzma.Decode(stream(t, "periods"), limit)
	if err != nil {
		t.Fatal(err)
	}
	for period := 1; period <= 40; period++ {
		var want []byte
		for j := range period {
			want = append(want, byte(period*37+j*11+j*j*period))
		}
		want = bytes.Repeat(want, 1+120/period)
		if len(got) < len(want) || !bytes.Equal(got[:len(want)], want) {
			t.Fatalf("the bytes with a period of %d are wrong", period)
		}
		got = got[len(want):]
	}
}

// TestDecodeLimits decodes at the largest size and near the highest ratio of sizes that the format can reach.
func TestDecodeLimits(t *testing.T) {
	got, err := lzma.Decode(stream(t, "zeros-16m"), 16<<20)
	if err != nil || !bytes.Equal(got, make([]byte, 16<<20)) {
		t.Errorf("%d bytes, error %v; want 16 MiB of zeros", len(got), err)
	}
}

// TestDecodeBound holds that a code equal to the bound is a 1 bit, in both ways in which bits are decoded.
func TestDecodeBound(t *testing.T) {
	header := append(stream(t, "text")[:5:5], 1, 0, 0, 0, 0, 0, 0, 0)
	// After a bit of half the range that is 0, that of a literal's first bit is 0x3ffffc00.
	data := append(header, 0, 0x3f, 0xff, 0xfc, 0, 0, 0, 0, 0, 0)
	got, err := lzma.Decode(data, limit)
	if err != nil || !bytes.Equal(got, []byte{0x80}) {
		t.Errorf("% x, error %v; want 80", got, err)
	}
	if want, err := reference(data); err != nil || !bytes.Equal(got, want) {
		t.Errorf("% x; the reference has % x, error %v", got, want, err)
	}
	data = append(header, 0, 0x7f, 0xff, 0xfc, 0, 0, 0, 0, 0, 0) // a match, with nothing before it
	if _, err := lzma.Decode(data, limit); !errors.Is(err, bin.ErrMalformed) {
		t.Errorf("error %v, want that a match reaches outside the output", err)
	}
}

// TestDecodeCut cuts streams everywhere. What can be left out is behind the last symbol: the encoder's end mark and what it
// flushed.
func TestDecodeCut(t *testing.T) {
	for name, spare := range map[string]int{"text-lc4-pb4": 6, "zeros": 6, "records": 6, "noise": 5} {
		data := stream(t, name)
		for n := 17; n <= len(data); n++ {
			got, err := lzma.Decode(data[:n], limit)
			var f *bin.FormatError
			switch {
			case n >= len(data)-spare:
				if err != nil {
					t.Errorf("%s, %d bytes of %d: %v", name, n, len(data), err)
				}
			case got != nil, !errors.As(err, &f), f.Field != "stream" && f.Field != "uncompressed size" && f.Field != "code":
				t.Errorf("%s, %d bytes of %d: %d bytes, error %v, want that it is cut", name, n, len(data), len(got), err)
			}
		}
	}
}

func TestDecodeRejects(t *testing.T) {
	change := func(off int, b ...byte) []byte {
		s := bytes.Clone(stream(t, "text"))
		copy(s[off:], b)
		return s
	}
	text, zeros := stream(t, "text"), stream(t, "zeros")
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
		{"cut before the bytes of a match", append(text[:13:13], 0, 0x01, 0x58, 0xff, 0xff), bin.ErrTruncated, "stream"},
		{"cut in a match", append(change(5, 40, 0)[:13], 0, 0xb1, 0x43, 0x23, 0xa6, 0x33), bin.ErrTruncated, "stream"},
		{"match at the start", append(text[:13:13], 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), bin.ErrMalformed, "distance"},
		{"a match that is a byte too long", append(zeros[:5:5], append([]byte{0xdf, 0x93, 4, 0, 0, 0, 0, 0}, zeros[13:]...)...), bin.ErrMalformed, "distance"},
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

// TestDecodeRejectsInPlace holds that the part of a stream that is not copied is refused as the copied end is.
func TestDecodeRejectsInPlace(t *testing.T) {
	start := append(stream(t, "text")[:13:13], 0, 0xff, 0xff, 0xff, 0xff) // a match, with nothing before it
	_, want := lzma.Decode(append(start[:18:18], make([]byte, 10)...), limit)
	_, got := lzma.Decode(append(start[:18:18], make([]byte, 500)...), limit)
	if want == nil || got == nil || got.Error() != want.Error() {
		t.Errorf("error %v, want %v", got, want)
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
