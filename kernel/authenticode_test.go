package kernel_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/reference"
	"github.com/tdxkit/tdxkit/kernel"
)

var kernelFiles = []string{"vmlinuz-6.1-cloud", "vmlinuz-6.12-amd64", "vmlinuz-6.12-cloud", "vmlinuz-7.2-cloud"}

func parsePE(t testing.TB, data []byte) *kernel.PE {
	t.Helper()
	p, err := kernel.ParsePE(data)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func digestOf(t testing.TB, p interface{ Authenticode() ([48]byte, error) }) [48]byte {
	t.Helper()
	d, err := p.Authenticode()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// shapes are images whose digest is easy to get wrong.
var shapes = []struct {
	name  string
	build func(*build)
}{
	{"plain", func(*build) {}},
	{"sections out of order", func(b *build) { b.sections[0], b.sections[1] = b.sections[1], b.sections[0] }},
	{"section without bytes", func(b *build) { b.sections = append(b.sections, buildSection{".bss", 0, 0}) }},
	{"size no multiple of 8", func(b *build) { b.size = buildSize + 3 }},
	{"bytes behind the sections", func(b *build) { b.size = buildSize + 0x123 }},
	{"gap before the sections", func(b *build) { b.sections[0] = buildSection{".setup", 0x500, 0x100} }},
	{"gap between the sections", func(b *build) { b.sections[0].len = 0x180 }},
	{"signed", func(b *build) { b.size = buildSize + 0x5c8; b.certOff, b.certLen = buildSize, 0x5c8 }},
	{"signed, bytes before the certificates", func(b *build) { b.size = buildSize + 0x5e0; b.certOff, b.certLen = buildSize+0x18, 0x5c8 }},
	{"bytes behind the certificates", func(b *build) { b.size = buildSize + 0x5e0; b.certOff, b.certLen = buildSize, 0x5c8 }},
	{"no certificate directory", func(b *build) { b.directories, b.optionalSize = 4, 144 }},
	{"five directories", func(b *build) { b.directories, b.optionalSize = 5, 152 }},
	{"sixteen directories", func(b *build) { b.directories, b.optionalSize = 16, 240 }},
}

func TestAuthenticodeShapes(t *testing.T) {
	digests := map[string][48]byte{}
	for _, s := range shapes {
		b := newBuild()
		s.build(&b)
		data := b.bytes()
		got := digestOf(t, parsePE(t, data))
		want, err := reference.Authenticode(data)
		if err != nil || got != want {
			t.Errorf("%s: %x, reference %x, %v", s.name, got, want, err)
		}
		digests[s.name] = got
	}
	if digests["signed"] != digests["plain"] {
		t.Error("signing changes the digest")
	}
}

// TestAuthenticodeCovers flips each byte of a signed image: the digest moves unless the byte is in CheckSum, the
// certificate table's directory entry or the certificates.
func TestAuthenticodeCovers(t *testing.T) {
	b := newBuild()
	b.size, b.certOff, b.certLen = buildSize+0x40, buildSize, 0x40
	data := b.bytes()
	want := digestOf(t, parsePE(t, data))
	for i := range data {
		data[i] ^= 1
		p, err := kernel.ParsePE(data)
		same := err == nil && digestOf(t, p) == want
		data[i] ^= 1
		if err != nil {
			continue
		}
		skipped := i >= buildOptional+64 && i < buildOptional+68 || i >= buildOptional+144 && i < buildOptional+152 || i >= buildSize
		if same != skipped {
			t.Fatalf("byte 0x%x: same digest is %v, want %v", i, same, skipped)
		}
	}
}

// TestSpans holds that the spans of real kernels cover every byte once but for the two holes and the certificates.
func TestSpans(t *testing.T) {
	for _, name := range kernelFiles {
		t.Run(name, func(t *testing.T) {
			p := parsePE(t, fixtures.Kernel(t, name))
			var covered, end int64
			for _, s := range p.Spans() {
				if s.Off < end {
					t.Errorf("span %+v starts before 0x%x", s, end)
				}
				covered, end = covered+s.Len, s.End()
			}
			if want := p.Size() - 4 - 8 - p.Certificates.Len; covered != want || end != p.Certificates.Off {
				t.Errorf("%d bytes to 0x%x covered, want %d to 0x%x", covered, end, want, p.Certificates.Off)
			}
		})
	}
}

func TestAuthenticodeReference(t *testing.T) {
	for _, name := range kernelFiles {
		t.Run(name, func(t *testing.T) {
			data := fixtures.Kernel(t, name)
			p := parsePE(t, data)
			want, err := reference.Authenticode(data)
			if got := digestOf(t, p); err != nil || got != want {
				t.Errorf("%x, reference %x, %v", got, want, err)
			}
		})
	}
}

func TestAuthenticodePatched(t *testing.T) {
	data := newBuild().bytes()
	p := parsePE(t, data)
	patches := []kernel.Patch{
		{Field: "in two sections", Off: 0x5fe, Bytes: []byte("abcdef")},
		{Field: "last", Off: buildSize - 2, Bytes: []byte("yz")},
		{Field: "type_of_loader", Off: 0x210, Bytes: []byte{0xb0}},
		{Field: "loadflags", Off: 0x211, Bytes: []byte{0x81}},
		{Field: "nothing", Off: 0x300, Bytes: nil},
	}
	plain := bytes.Clone(data)
	got, err := p.AuthenticodePatched(patches)
	if err != nil {
		t.Fatal(err)
	}
	copied := bytes.Clone(data)
	for _, q := range patches {
		copy(copied[q.Off:], q.Bytes)
	}
	if want := digestOf(t, parsePE(t, copied)); got != want {
		t.Errorf("%x, want %x", got, want)
	}
	if !bytes.Equal(data, plain) {
		t.Error("the kernel's bytes were changed")
	}
	if got, err := p.AuthenticodePatched(nil); err != nil || got != digestOf(t, p) {
		t.Errorf("no patches: %x, %v", got, err)
	}
}

func TestAuthenticodePatchedRejects(t *testing.T) {
	p := parsePE(t, newBuild().bytes())
	for name, q := range map[string][]kernel.Patch{
		"before the file":  {{Off: -1, Bytes: []byte{1}}},
		"past the end":     {{Off: buildSize - 1, Bytes: []byte{1, 2}}},
		"far past the end": {{Off: 1<<63 - 1, Bytes: []byte{1}}},
		"overlap":          {{Off: 0x210, Bytes: []byte{1, 2}}, {Off: 0x211, Bytes: []byte{1}}},
		"e_lfanew":         {{Off: 0x3c, Bytes: []byte{1}}},
		"PE header":        {{Off: buildOptional + 60, Bytes: []byte{1}}},
		"section table":    {{Off: buildOptional + 160 + 79, Bytes: []byte{1}}},
		"into the headers": {{Off: buildPE - 1, Bytes: []byte{1, 2}}},
	} {
		if _, err := p.AuthenticodePatched(q); !errors.Is(err, kernel.ErrPatch) {
			t.Errorf("%s: %v, want ErrPatch", name, err)
		}
	}
}

// TestCrossCheckBuilt: saferwall/pe hashes the file front to back and takes the certificates from where their directory
// entry puts them, so it differs from the firmware just where a gap or trailing bytes tell the two ways apart.
func TestCrossCheckBuilt(t *testing.T) {
	for _, s := range shapes {
		b := newBuild()
		s.build(&b)
		err := parsePE(t, b.bytes()).CrossCheck()
		differs := strings.HasPrefix(s.name, "gap ") || s.name == "bytes behind the certificates"
		if differs != (err != nil) {
			t.Errorf("%s: %v, want a difference: %v", s.name, err, differs)
		}
	}
}
