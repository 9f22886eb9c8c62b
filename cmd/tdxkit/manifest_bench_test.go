package main

import (
	"context"
	"crypto/rand"
	"crypto/sha512"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/manifest"
	"github.com/tdxkit/tdxkit/manifest/dsse"
	"github.com/tdxkit/tdxkit/mr/predict"
	"github.com/tdxkit/tdxkit/qemu"
)

// benchShapes is the size of the matrix that the benchmarks make: 2 releases, 500 vCPU counts, 10 sizes of memory.
const benchShapes = 10_000

// benchArgs is a create of that matrix.
func benchArgs(b *testing.B, out string) []string { return benchArgsDir(b, b.TempDir(), out) }

func benchArgsDir(b testing.TB, dir, out string) []string {
	files := map[string][]byte{
		"OVMF.fd": fixtures.Firmware(b, "ovmf-2026.08"), "vmlinuz": fixtures.Kernel(b, "vmlinuz-6.12-cloud"), "initrd": fixtures.Kernel(b, "initrd.gz"),
	}
	for name, data := range files {
		write(b, filepath.Join(dir, name), data)
	}
	args := "tdxkit manifest create --product bench --version 1 --serial 1 --issued-at 2026-11-01T00:00:00Z --host-cpu sapphire-rapids" +
		" --qemu 10.2.2,11.1.3 --cpus 1-500 --memory 1GiB..512GiB --force --out " + out +
		" -- qemu-system-x86_64 -accel kvm -cpu host -nodefaults -machine q35,kernel-irqchip=split,confidential-guest-support=tdx0" +
		" -object tdx-guest,id=tdx0 -bios DIR/OVMF.fd -kernel DIR/vmlinuz -initrd DIR/initrd -append console=ttyS0 -device virtio-net-pci,netdev=n0 -netdev user,id=n0"
	return strings.Fields(strings.ReplaceAll(args, "DIR", dir))
}

// BenchmarkManifestCreate makes a manifest of 10,000 shapes, reading of the files included.
func BenchmarkManifestCreate(b *testing.B) {
	out := filepath.Join(b.TempDir(), "m.json")
	args := benchArgs(b, out)
	b.ReportAllocs()
	for b.Loop() {
		if code := run(context.Background(), args, strings.NewReader(""), io.Discard, os.Stderr); code != exitDone {
			b.Fatalf("exit code %d", code)
		}
	}
	info, err := os.Stat(out)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/(1<<20), "MiB")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/benchShapes, "us/shape")
}

// BenchmarkManifestCreateSHA384 is the yardstick of BenchmarkManifestCreate: SHA-384 of the ACPI blobs of the same shapes,
// on all processors.
func BenchmarkManifestCreateSHA384(b *testing.B) {
	args := benchArgs(b, "")
	command := args[len(args)-len(args[indexOf(args, "--")+1:]):]
	var blobs [][]byte
	var total int64
	for _, release := range []string{"10.2.2", "11.1.3"} {
		for _, n := range []int{1, 100, 200, 300, 400, 500} { // the size of the blobs is linear in the vCPUs
			m, err := qemu.ParseCommand(append(append([]string{}, command...), "-smp", fmt.Sprint(n), "-m", "8G"), release, qemu.ParseOptions{TDX: true, HostCPU: "sapphire-rapids"})
			if err != nil {
				b.Fatal(err)
			}
			a, err := predict.ACPI(nil, m, 0)
			if err != nil {
				b.Fatal(err)
			}
			blobs = append(blobs, append(append(append([]byte{}, a.Tables...), a.Loader...), a.RSDP...))
			total += int64(len(blobs[len(blobs)-1]))
		}
	}
	b.SetBytes(total / int64(len(blobs)) * benchShapes)
	for b.Loop() {
		var wg sync.WaitGroup
		workers := runtime.GOMAXPROCS(0)
		for w := range workers {
			wg.Go(func() {
				for i := w; i < benchShapes; i += workers {
					sha512.Sum384(blobs[i%len(blobs)])
				}
			})
		}
		wg.Wait()
	}
}

func indexOf(list []string, s string) int {
	for i, v := range list {
		if v == s {
			return i
		}
	}
	return -1
}

// BenchmarkManifestVerify opens a signed manifest of 10,000 variants that was read already, and looks up the registers of
// the last one: signature, base64, parsing and index are all in it.
func BenchmarkManifestVerify(b *testing.B) {
	out := filepath.Join(b.TempDir(), "m.json")
	if code := run(context.Background(), benchArgs(b, out), strings.NewReader(""), io.Discard, os.Stderr); code != exitDone {
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
