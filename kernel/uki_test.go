package kernel_test

import (
	"archive/tar"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/decompress"
	"github.com/tdxkit/tdxkit/kernel"
)

// TestUKI holds the digests of a unified kernel image, and of the kernel inside it, against those that firmware measured
// when it booted the image from a disk. It needs the larger collection of evidence, where the image is.
func TestUKI(t *testing.T) {
	data := fromTar(t, fixtures.Truth(t, "inputs", "disk", "images.tar.zst"), "uki.efi")
	p := parsePE(t, data)
	if !p.UKI() {
		t.Fatalf("no UKI: sections %+v", p.Sections)
	}
	linux, _ := p.Section(".linux")
	inner, err := kernel.Parse(data[linux.Raw.Off:][:linux.VirtualSize])
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range [][48]byte{digestOf(t, p), digestOf(t, inner)} {
		got = append(got, hex.EncodeToString(d[:]))
	}

	cases, names := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "emulated", "ovmf-2025.02.tar.zst"))
	for _, name := range names {
		if filepath.Base(name) != "disk-uki-2part" {
			continue
		}
		var events []bootEvent
		decode(t, cases[name]["events.json"], &events)
		var want []string
		for _, e := range events {
			if e.Type == "EV_EFI_BOOT_SERVICES_APPLICATION" {
				want = append(want, e.Digest)
			}
		}
		if len(want) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("got %q, want %q", got, want)
		}
		return
	}
	t.Error("no boot of the image among the emulated ones")
}

// fromTar returns one file of a .tar.zst archive.
func fromTar(t *testing.T, path, name string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := decompress.Zstd(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err != nil {
			t.Fatalf("%s in %s: %v", name, path, err)
		}
		if filepath.Base(h.Name) != name {
			continue
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
}
