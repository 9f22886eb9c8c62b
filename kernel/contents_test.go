package kernel_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/kernel"
)

// A watchedFile counts what is read of it, and ends before its size once it is cut.
type watchedFile struct {
	data []byte
	cut  int64 // bytes that are left of it
	read int64
}

func watch(data []byte) *watchedFile { return &watchedFile{data: data, cut: int64(len(data))} }

func (f *watchedFile) ReadAt(b []byte, off int64) (int, error) {
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
