package kernel_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/kernel"
)

var errTest = errors.New("test")

// A watchedFile counts what is read of it, ends before its size once it is cut, and cannot be read where it is broken.
type watchedFile struct {
	data   []byte
	cut    int64 // bytes that are left of it
	broken kernel.Span
	read   int64
}

func watch(data []byte) *watchedFile { return &watchedFile{data: data, cut: int64(len(data))} }

func (f *watchedFile) ReadAt(b []byte, off int64) (int, error) {
	if off < f.broken.End() && f.broken.Off < off+int64(len(b)) {
		return 0, errTest
	}
	n, err := bytes.NewReader(f.data[:f.cut]).ReadAt(b, off)
	f.read += int64(n)
	return n, err
}

// TestRead holds that a kernel that is left in its file answers as one in memory does, and that it is left there.
func TestRead(t *testing.T) {
	for _, name := range kernelFiles {
		t.Run(name, func(t *testing.T) {
			data := fixtures.Kernel(t, name)
			whole, err := kernel.Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			file := watch(data)
			img, err := kernel.Read(file, int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			if most := int64(len(data)) - whole.Payload.Len + 1024; file.read > most {
				t.Errorf("%d bytes are held, want at most the %d around the compressed kernel", file.read, most)
			}
			if digestOf(t, img) != digestOf(t, whole) {
				t.Error("digests differ")
			}
			patches := []kernel.Patch{
				{Field: "loadflags", Off: 0x211, Bytes: []byte{0x81}},
				{Field: "in the file", Off: whole.Payload.Off + whole.Payload.Len/2, Bytes: []byte("abc")},
				{Field: "across its end", Off: whole.Payload.End() - 2, Bytes: []byte("defg")},
			}
			got, gotErr := img.AuthenticodePatched(patches)
			want, wantErr := whole.AuthenticodePatched(patches)
			if got != want || gotErr != nil || wantErr != nil {
				t.Errorf("patched: %x, %v, want %x, %v", got, gotErr, want, wantErr)
			}
			if diff := cmp.Diff(whole.Setup, img.Setup) + cmp.Diff(whole.StubMeasures(), img.StubMeasures()) + cmp.Diff(whole.Compression, img.Compression); diff != "" {
				t.Error(diff)
			}
			for _, s := range whole.Sections {
				got, _, gotErr := img.SectionData(s.Name)
				want, _, wantErr := whole.SectionData(s.Name)
				if !bytes.Equal(got, want) || gotErr != nil || wantErr != nil {
					t.Errorf("section %s differs, %v, %v", s.Name, gotErr, wantErr)
				}
			}
			if err := img.CrossCheck(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestReadOdd holds that images whose compressed kernel holds what has to be parsed are read as those in memory.
func TestReadOdd(t *testing.T) {
	for name, change := range map[string]func(*build){
		"a payload over the certificates": func(b *build) { b.payloadLength, b.certOff, b.certLen = 0x1800, 0x1e00, 0x200 },
		"a payload to the end":            func(b *build) { b.payloadLength = buildSize - buildSetup - 0x100 },
		"headers in the payload": func(b *build) {
			b.setupSects, b.payloadOffset, b.sizeOfHeaders = 1, 0, 0x500
			b.sections = b.sections[1:]
		},
		"payload behind the file": func(b *build) { b.payloadLength = buildSize },
		"no payload":              func(b *build) { b.payloadLength = 0 },
		"no setup header":         func(b *build) { b.hdrs = "none" },
	} {
		b := newBuild()
		change(&b)
		sameRead(t, name, b.bytes())
	}
	b := newBuild()
	b.sizeOfHeaders, b.sections = 0x1000, []buildSection{{".text", 0x1000, 0xe00}}
	data := b.bytes()
	copy(data[0x800:], data[buildPE:0x1f0])
	writer(data).u32(0x3c, 0x800)
	if _, err := kernel.Parse(data); err != nil {
		t.Error("PE headers in the payload:", err)
	}
	sameRead(t, "PE headers in the payload", data)
	for _, data := range [][]byte{nil, []byte("MZ"), make([]byte, 0x268), bytes.Repeat([]byte("HdrS"), 400)} {
		sameRead(t, "no kernel", data)
	}
}

// sameRead reads data in both ways.
func sameRead(t *testing.T, name string, data []byte) {
	t.Helper()
	whole, want := kernel.Parse(data)
	img, got := kernel.Read(bytes.NewReader(data), int64(len(data)))
	switch {
	case (got == nil) != (want == nil), got != nil && got.Error() != want.Error():
		t.Errorf("%s: error %v, want %v", name, got, want)
	case got != nil:
		return
	case digestOf(t, img) != digestOf(t, whole), img.StubMeasures() != whole.StubMeasures(), img.Payload != whole.Payload:
		t.Errorf("%s: %+v, want %+v", name, img.Setup, whole.Setup)
	}
	a, _ := img.CertificateTable()
	b, _ := whole.CertificateTable()
	if !slices.Equal(a, b) {
		t.Errorf("%s: the certificates differ", name)
	}
}

// TestReadPayloadToTheEnd reads an image that ends with its compressed kernel.
func TestReadPayloadToTheEnd(t *testing.T) {
	b := newBuild()
	b.payloadLength = buildSize - buildSetup - 0x100
	img, err := kernel.Read(bytes.NewReader(b.bytes()), buildSize)
	if err != nil || img.Payload.End() != buildSize {
		t.Errorf("%+v, error %v", img, err)
	}
}

// TestReadLarge holds that a file that is too large is refused before it is read.
func TestReadLarge(t *testing.T) {
	file := watch(newBuild().bytes())
	var f *bin.FormatError
	if _, err := kernel.Read(file, bin.MaxKernel+1); !errors.As(err, &f) || f.Field != "file size" || file.read != 0 {
		t.Errorf("error %v after %d bytes, want one of the file size", err, file.read)
	}
}

// TestReadBroken reads an image of which a part cannot be read, while what a patch is behind can.
func TestReadBroken(t *testing.T) {
	file := watch(newBuild().bytes())
	img, err := kernel.Read(file, buildSize)
	if err != nil {
		t.Fatal(err)
	}
	file.broken = kernel.Span{Off: 0x800, Len: 1}
	if d, err := img.AuthenticodePatched([]kernel.Patch{{Off: 0x1000, Bytes: []byte{1}}}); !errors.Is(err, kernel.ErrRead) || !errors.Is(err, errTest) {
		t.Errorf("%x, error %v, want that it cannot be read", d, err)
	}
}

// A brokenWriter fails once, at the given one of its writes.
type brokenWriter struct{ at, writes int }

func (w *brokenWriter) Write(b []byte) (int, error) {
	if w.writes++; w.writes == w.at {
		return 0, errTest
	}
	return len(b), nil
}

// TestWriteAuthenticodeFails has each of the writes fail.
func TestWriteAuthenticodeFails(t *testing.T) {
	data := newBuild().bytes()
	whole, err := kernel.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	left, err := kernel.Read(watch(data), buildSize)
	if err != nil {
		t.Fatal(err)
	}
	patches := []kernel.Patch{{Off: 0x1000, Bytes: []byte{1}}}
	for _, img := range []*kernel.Image{whole, left} {
		w := &brokenWriter{}
		for err = errTest; err != nil; {
			*w = brokenWriter{at: w.at + 1}
			if err = img.WriteAuthenticode(w, patches); err == nil && w.writes >= w.at || err != nil && !errors.Is(err, errTest) {
				t.Fatalf("write %d of %d: error %v, want the writer's", w.at, w.writes, err)
			}
		}
		if w.writes < 7 {
			t.Errorf("%d writes, want one for each run of bytes", w.writes)
		}
	}
}

// TestReadFails cuts the file before and after it is read.
func TestReadFails(t *testing.T) {
	data := newBuild().bytes()
	for _, cut := range []int64{0, 0x100, 0x500, buildSize - 1} {
		file := watch(data)
		file.cut = cut
		if _, err := kernel.Read(file, buildSize); !errors.Is(err, kernel.ErrRead) || !errors.Is(err, io.EOF) {
			t.Errorf("cut to %d bytes: error is %v, want that it cannot be read", cut, err)
		}
	}
	file := watch(data)
	img, err := kernel.Read(file, buildSize)
	if err != nil {
		t.Fatal(err)
	}
	file.cut = 0x1000
	for name, err := range map[string]error{
		"digest":      second(img.Authenticode()),
		"patched":     second(img.AuthenticodePatched([]kernel.Patch{{Off: 0x211, Bytes: []byte{0x81}}})),
		"cross-check": img.CrossCheck(),
		"section":     third(img.SectionData(".text")),
	} {
		if !errors.Is(err, kernel.ErrRead) {
			t.Errorf("%s of a file that was cut: error is %v, want that it cannot be read", name, err)
		}
	}
	file.cut = buildSize
	if _, err := img.Authenticode(); !errors.Is(err, kernel.ErrRead) {
		t.Errorf("the digest that failed is %v", err)
	}
}

func second[T any](_ T, err error) error        { return err }
func third[T, U any](_ T, _ U, err error) error { return err }
