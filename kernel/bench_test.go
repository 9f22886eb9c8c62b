package kernel_test

import (
	"bytes"
	"crypto/sha512"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/kernel"
)

func BenchmarkSHA384(b *testing.B) {
	data := fixtures.Kernel(b, "vmlinuz-6.12-cloud")
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		sha512.Sum384(data)
	}
}

func BenchmarkParse(b *testing.B) {
	data := fixtures.Kernel(b, "vmlinuz-6.12-cloud")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := kernel.Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStubMeasures(b *testing.B) {
	img, err := kernel.Parse(fixtures.Kernel(b, "vmlinuz-6.12-cloud"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		img.StubMeasures()
	}
}

// BenchmarkAuthenticode hashes with QEMU's patches, since the plain digest is kept.
func BenchmarkAuthenticode(b *testing.B) {
	img, err := kernel.Parse(fixtures.Kernel(b, "vmlinuz-6.12-cloud"))
	if err != nil {
		b.Fatal(err)
	}
	patches, err := kernel.QEMUPatch(img, kernel.PatchOptions{LowRAM: 1 << 31, ACPIDataSize: 0x28000, HasInitrd: true, InitrdSize: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(img.Size())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := img.AuthenticodePatched(patches); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHashInitrd(b *testing.B) {
	data := bytes.Repeat(fixtures.Kernel(b, "initrd.gz"), 48)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := kernel.HashInitrd(bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkListInitrd(b *testing.B) {
	data := fixtures.Kernel(b, "initrd.gz")
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := kernel.ListInitrd(bytes.NewReader(data), kernel.InitrdLimits{}); err != nil {
			b.Fatal(err)
		}
	}
}
