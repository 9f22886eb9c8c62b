package kernel_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/reference"
	"github.com/tdxkit/tdxkit/kernel"
)

func addBuilds(f *testing.F) {
	f.Helper()
	for _, s := range shapes {
		b := newBuild()
		s.build(&b)
		f.Add(b.bytes())
	}
	for _, r := range rejects {
		b := newBuild()
		if r.build != nil {
			r.build(&b)
		}
		data := b.bytes()
		if r.patch != nil {
			data = r.patch(data)
		}
		f.Add(data)
	}
}

// FuzzParse: a kernel is read or refused with a format error, from memory and from a file alike, and what is read answers
// every question.
func FuzzParse(f *testing.F) {
	addBuilds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		sameRead(t, "read from a file", data)
		img, err := kernel.Parse(data)
		var fe *bin.FormatError
		if err != nil {
			if !errors.As(err, &fe) || fe.Err == nil {
				t.Fatalf("%v is no format error", err)
			}
			return
		}
		if img.Payload.Off < 0 || img.Payload.End() > int64(len(data)) {
			t.Fatalf("payload %+v in %d bytes", img.Payload, len(data))
		}
		img.StubMeasures()
		_ = img.CrossCheck()
		patches, err := kernel.QEMUPatch(img, kernel.PatchOptions{LowRAM: 1 << 30, ACPIDataSize: 0x28000, HasInitrd: true, InitrdSize: 4096, Cmdline: "vga=1"})
		if err != nil {
			return
		}
		got, err := img.AuthenticodePatched(patches)
		if err != nil {
			return
		}
		copied := bytes.Clone(data)
		for _, p := range patches {
			copy(copied[p.Off:], p.Bytes)
		}
		if want, err := reference.Authenticode(copied); err != nil || got != want {
			t.Fatalf("patched: %x, reference %x, %v", got, want, err)
		}
	})
}

// FuzzAuthenticode: where the headers are accepted, the digest is the reference's, and the spans lie in the file.
func FuzzAuthenticode(f *testing.F) {
	addBuilds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := kernel.ParsePE(data)
		if err != nil {
			return
		}
		for _, s := range p.Spans() {
			if s.Off < 0 || s.Len <= 0 || s.End() > int64(len(data)) {
				t.Fatalf("span %+v in %d bytes", s, len(data))
			}
		}
		want, err := reference.Authenticode(data)
		if got := digestOf(t, p); err != nil || got != want {
			t.Fatalf("%x, reference %x, %v", got, want, err)
		}
		if got, err := p.AuthenticodePatched([]kernel.Patch{{Off: int64(len(data)) - 1, Bytes: data[len(data)-1:]}}); err == nil && got != want {
			t.Fatalf("patched with its own byte: %x, want %x", got, want)
		}
	})
}

// FuzzListInitrd: an initrd is listed or refused, within its limits.
func FuzzListInitrd(f *testing.F) {
	for _, ending := range []string{"", ".gz", ".bz2", ".xz", ".lzma", ".zst", ".lz4"} {
		f.Add(stream(f, ending))
		f.Add(join(early(), zeros(4), stream(f, ending)))
	}
	f.Add(archive(entry{magic: "070702", name: "f", mode: 0o100644, data: "ab", sum: 'a' + 'b'}))
	limits := kernel.InitrdLimits{Entries: 64, Name: 256, Data: 1 << 20}
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := kernel.ListInitrd(bytes.NewReader(data), limits)
		if err != nil {
			var fe *bin.FormatError
			if !errors.As(err, &fe) && !errors.Is(err, kernel.ErrEmptyInitrd) {
				t.Fatalf("%v is no format error", err)
			}
			return
		}
		total := int64(0)
		for _, e := range entries {
			total += e.Size
			if len(e.Name) >= limits.Name || len(e.Link) > limits.Name {
				t.Fatalf("name of %d, link of %d bytes", len(e.Name), len(e.Link))
			}
		}
		if len(entries) > limits.Entries || total > limits.Data {
			t.Fatalf("%d entries, %d bytes", len(entries), total)
		}
	})
}
