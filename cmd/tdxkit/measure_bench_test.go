package main

import (
	"context"
	"crypto/sha512"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/tdxkit/tdxkit/mr/predict"
	"github.com/tdxkit/tdxkit/qemu"
)

// benchSizes lists n sizes of memory from first on, in MiB, as --memory takes them.
func benchSizes(first, step, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ",%dMiB", first+i*step)
	}
	return b.String()[1:]
}

// measureBenchArgs is a measure of 100 vCPU counts and a list of 100 sizes of memory.
func measureBenchArgs(b *testing.B, memory string) []string {
	args := benchArgs(b, "")
	i := indexOf(args, "--")
	return append(strings.Fields("tdxkit measure --host-cpu sapphire-rapids --qemu 10.2.2 --cpus 1-100 --memory "+memory), args[i:]...)
}

// BenchmarkMeasureDistinct predicts 10,000 shapes of which no two have the same tables: below 2.75 GiB, they name the end
// of RAM.
func BenchmarkMeasureDistinct(b *testing.B) { benchMeasure(b, benchSizes(512, 16, 100)) }

// BenchmarkMeasureDistinctSHA384 is the limit of BenchmarkMeasureDistinct.
func BenchmarkMeasureDistinctSHA384(b *testing.B) { benchMeasureSHA384(b, 512) }

// BenchmarkMeasureLarge predicts 10,000 shapes of which those with as many vCPUs have the same tables.
func BenchmarkMeasureLarge(b *testing.B) { benchMeasure(b, benchSizes(4096, 1024, 100)) }

// BenchmarkMeasureLargeSHA384 is the limit of BenchmarkMeasureLarge.
func BenchmarkMeasureLargeSHA384(b *testing.B) { benchMeasureSHA384(b, 4096) }

func benchMeasure(b *testing.B, memory string) {
	args := measureBenchArgs(b, memory)
	b.ReportAllocs()
	for b.Loop() {
		if code := run(context.Background(), args, strings.NewReader(""), io.Discard, os.Stderr); code != exitDone {
			b.Fatalf("exit code %d", code)
		}
	}
}

// benchMeasureSHA384 hashes the ACPI blobs of 10,000 shapes on all processors. The size of RAM does not change theirs.
func benchMeasureSHA384(b *testing.B, memory int) {
	args := measureBenchArgs(b, "1GiB")
	hash := benchHasher(b, args[indexOf(args, "--")+1:], memory)
	for b.Loop() {
		hash()
	}
}

// benchHasher returns
func benchHasher(b testing.TB, command []string, memory int) func() {
	var blobs [][]byte
	for n := range 100 {
		line := append(command[:len(command):len(command)], "-smp", fmt.Sprint(n+1), "-m", fmt.Sprint(memory))
		m, err := qemu.ParseCommand(line, "10.2.2", qemu.ParseOptions{TDX: true, HostCPU: "sapphire-rapids"})
		if err != nil {
			b.Fatal(err)
		}
		a, err := predict.ACPI(nil, m, 0)
		if err != nil {
			b.Fatal(err)
		}
		blobs = append(blobs, append(append(append([]byte{}, a.Tables...), a.Loader...), a.RSDP...))
	}
	return func() {
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
