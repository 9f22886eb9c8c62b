//go:build unix

package main

import (
	"context"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/manifest"
	"github.com/tdxkit/tdxkit/manifest/dsse"
)

// BenchmarkManifestCreate makes a manifest of 10,000 shapes of a product, reading of the files included.
func BenchmarkManifestCreate(b *testing.B) {
	out := filepath.Join(b.TempDir(), "m.json")
	releaseShapes.create(b, out)
	info, err := os.Stat(out)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/(1<<20), "MiB")
}

func BenchmarkManifestCreateSHA384(b *testing.B) { releaseShapes.sha384(b) }

// BenchmarkManifestCreateDistinct makes a manifest of 10,000 shapes that differ in their devices too, no two of which have
// the same tables.
func BenchmarkManifestCreateDistinct(b *testing.B) {
	deviceShapes.create(b, filepath.Join(b.TempDir(), "m.json"))
}

func BenchmarkManifestCreateDistinctSHA384(b *testing.B) { deviceShapes.sha384(b) }

// BenchmarkManifestVerify opens a signed manifest of 10,000 variants that was read already, and looks up the registers of
// the last one: signature, base64, parsing and index are all in it.
func BenchmarkManifestVerify(b *testing.B) {
	out := filepath.Join(b.TempDir(), "m.json")
	if code := run(context.Background(), releaseShapes.createArgs(b, out), strings.NewReader(""), io.Discard, os.Stderr); code != exitDone {
		b.Fatalf("exit code %d", code)
	}
	statement, err := os.ReadFile(out)
	if err != nil {
		b.Fatal(err)
	}
	key, err := dsse.GenerateKey(dsse.Ed25519, rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	e := dsse.New(manifest.PayloadType, statement)
	if err := e.Sign(key); err != nil {
		b.Fatal(err)
	}
	data, err := e.Append(nil)
	if err != nil {
		b.Fatal(err)
	}
	trust := &manifest.Trust{Keys: []manifest.TrustedKey{{Name: "k", Key: key.Public()}},
		Products: []manifest.TrustedProduct{{Name: "bench", Threshold: 1, Keys: []string{"k"}}}}
	m, err := manifest.Parse(statement)
	if err != nil {
		b.Fatal(err)
	}
	want := m.Variant(m.Len() - 1)
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			o, err := trust.Open(data, manifest.OpenOptions{Now: m.NotBefore})
			if err != nil {
				b.Fatal(err)
			}
			if got, ok := manifest.NewIndex(o.Manifest).Find(&want.Registers); !ok || got.ID != want.ID {
				b.Fatal("not found")
			}
		}
	})
	b.Run("lookup", func(b *testing.B) {
		index := manifest.NewIndex(m)
		b.ReportAllocs()
		for b.Loop() {
			if got, ok := index.Find(&want.Registers); !ok || got.ID != want.ID {
				b.Fatal("not found")
			}
		}
	})
	b.Run("nearest", func(b *testing.B) {
		index := manifest.NewIndex(m)
		other := want.Registers
		other[1][0] ^= 1
		b.ReportAllocs()
		for b.Loop() {
			if index.Nearest(&other, nil) == nil {
				b.Fatal("nothing")
			}
		}
	})
}
