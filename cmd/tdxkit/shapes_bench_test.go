//go:build unix

package main

import (
	"context"
	"crypto/sha512"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/mr/predict"
	"github.com/tdxkit/tdxkit/qemu"
)

// A shapeMatrix is shapes of one image, each release with each number of disks, vCPUs and size of memory.
type shapeMatrix struct {
	releases []string
	disks    []int // virtio-blk-pci devices beside the network's
	cpus     []int
	memory   []int // MiB
}

// The matrices of the benchmarks, of 10,000 shapes each.
var (
	// distinctShapes have no two ACPI tables in common: where RAM ends below 2.75 GiB, they say where.
	distinctShapes = shapeMatrix{[]string{"10.2.2"}, []int{0}, steps(1, 1, 100), steps(512, 16, 100)}
	// largeShapes with as many vCPUs have the same tables.
	largeShapes = shapeMatrix{[]string{"10.2.2"}, []int{0}, steps(1, 1, 100), steps(4096, 1024, 100)}
	// deviceShapes are distinct, and differ in their devices too.
	deviceShapes = shapeMatrix{[]string{"11.1.3"}, steps(0, 1, 10), steps(1, 2, 50), steps(512, 64, 20)}
	// releaseShapes are those of a product: two releases, sizes from 1 to 512 GiB.
	releaseShapes = shapeMatrix{[]string{"10.2.2", "11.1.3"}, []int{0}, steps(1, 1, 500), doubled(1024, 10)}
)

func steps(first, step, n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = first + i*step
	}
	return list
}

func doubled(first, n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = first << i
	}
	return list
}

// join writes a list as flags have it, each number with a unit.
func join(list []int, unit string) string {
	var words []string
	for _, n := range list {
		words = append(words, fmt.Sprint(n, unit))
	}
	return strings.Join(words, ",")
}

// benchDisks are the arguments for n disks.
func benchDisks(n int) []string {
	var args []string
	for i := range n {
		args = append(args, "-blockdev", fmt.Sprintf("null-co,node-name=d%d", i), "-device", fmt.Sprintf("virtio-blk-pci,drive=d%d", i))
	}
	return args
}

// command writes the files of the image into a folder and returns the command line that boots them.
func (m *shapeMatrix) command(b *testing.B) []string {
	b.Helper()
	dir := b.TempDir()
	files := map[string][]byte{
		"OVMF.fd": fixtures.Firmware(b, "ovmf-2026.08"), "vmlinuz": fixtures.Kernel(b, "vmlinuz-6.12-cloud"), "initrd": fixtures.Kernel(b, "initrd.gz"),
	}
	for name, data := range files {
		write(b, filepath.Join(dir, name), data)
	}
	return strings.Fields(strings.ReplaceAll("qemu-system-x86_64 -accel kvm -cpu host -nodefaults"+
		" -machine q35,kernel-irqchip=split,confidential-guest-support=tdx0 -object tdx-guest,id=tdx0"+
		" -bios DIR/OVMF.fd -kernel DIR/vmlinuz -initrd DIR/initrd -append console=ttyS0 -device virtio-net-pci,netdev=n0 -netdev user,id=n0", "DIR", dir))
}

// flags are those that measure and manifest create have in common, and the command line.
func (m *shapeMatrix) flags(b *testing.B) []string {
	flags := []string{"--host-cpu", "sapphire-rapids", "--qemu", strings.Join(m.releases, ","),
		"--cpus", join(m.cpus, ""), "--memory", join(m.memory, "MiB"), "--"}
	return append(flags, m.command(b)...)
}

// measure predicts the shapes of a matrix without a choice of devices, reading of the files included.
func (m *shapeMatrix) measure(b *testing.B) {
	m.run(b, append(strings.Fields("tdxkit measure --output json"), m.flags(b)...))
}

// create makes a manifest of the shapes.
func (m *shapeMatrix) create(b *testing.B, out string) { m.run(b, m.createArgs(b, out)) }

func (m *shapeMatrix) createArgs(b *testing.B, out string) []string {
	var sets strings.Builder
	for _, n := range m.disks {
		fmt.Fprintf(&sets, "- {name: disks%d, arguments: [%s]}\n", n, strings.Join(quoteAll(benchDisks(n)), ", "))
	}
	devices := filepath.Join(b.TempDir(), "devices.yaml")
	write(b, devices, []byte(sets.String()))
	args := "tdxkit manifest create --product bench --version 1 --serial 1 --issued-at 2026-11-01T00:00:00Z --force --devices " + devices + " --out " + out
	return append(strings.Fields(args), m.flags(b)...)
}

func quoteAll(words []string) []string {
	var out []string
	for _, w := range words {
		out = append(out, fmt.Sprintf("%q", w))
	}
	return out
}

// run runs a command that predicts all shapes, and says what one takes.
func (m *shapeMatrix) run(b *testing.B, args []string) {
	b.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := processorTime()
	for b.Loop() {
		if code := run(context.Background(), args, strings.NewReader(""), io.Discard, io.Discard); code != exitDone {
			b.Fatalf("exit code %d", code)
		}
	}
	reportProcessorTime(b, start)
	runtime.ReadMemStats(&after)
	shapes := float64(b.N * len(m.releases) * len(m.disks) * len(m.cpus) * len(m.memory))
	b.ReportMetric(float64(b.Elapsed().Microseconds())/shapes, "us/shape")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/shapes, "allocs/shape")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/shapes, "B/shape")
}

// sha384 is the yardstick of measure and create: SHA-384 of as many bytes as the shapes' ACPI files have, on all processors.
func (m *shapeMatrix) sha384(b *testing.B) {
	var sizes []int
	largest, total := 0, 0
	for line, release := range m.lines(b) {
		machine, err := qemu.ParseCommand(line, release, qemu.ParseOptions{TDX: true, HostCPU: "sapphire-rapids"})
		if err != nil {
			b.Fatal(err)
		}
		a, err := predict.ACPI(nil, machine, 0)
		if err != nil {
			b.Fatal(err)
		}
		sizes = append(sizes, len(a.Tables), len(a.Loader), len(a.RSDP))
		largest = max(largest, len(a.Tables))
		total += len(a.Tables) + len(a.Loader) + len(a.RSDP)
	}
	b.SetBytes(int64(total))
	file := make([]byte, largest)
	start := processorTime()
	for b.Loop() {
		var wg sync.WaitGroup
		workers := runtime.GOMAXPROCS(0)
		for w := range workers {
			wg.Go(func() {
				for i := w; i < len(sizes); i += workers {
					sha512.Sum384(file[:sizes[i]])
				}
			})
		}
		wg.Wait()
	}
	reportProcessorTime(b, start)
}

// processorTime is what this process has used of all processors, on which other load has less of an effect than on the
// time of day.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportProcessorTime(b *testing.B, start time.Duration) {
	b.ReportMetric(float64((processorTime()-start).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// lines are the command lines of the shapes, with their releases.
func (m *shapeMatrix) lines(b *testing.B) func(yield func([]string, string) bool) {
	command := m.command(b)
	return func(yield func([]string, string) bool) {
		for _, release := range m.releases {
			for _, disks := range m.disks {
				for _, n := range m.cpus {
					for _, memory := range m.memory {
						line := append(command[:len(command):len(command)], "-smp", fmt.Sprint(n), "-m", fmt.Sprint(memory))
						if !yield(append(line, benchDisks(disks)...), release) {
							return
						}
					}
				}
			}
		}
	}
}

// BenchmarkMeasureDistinct predicts 10,000 shapes of which no two have the same tables.
func BenchmarkMeasureDistinct(b *testing.B)       { distinctShapes.measure(b) }
func BenchmarkMeasureDistinctSHA384(b *testing.B) { distinctShapes.sha384(b) }

// BenchmarkMeasureLarge predicts 10,000 shapes, those with as many vCPUs sharing their tables.
func BenchmarkMeasureLarge(b *testing.B)       { largeShapes.measure(b) }
func BenchmarkMeasureLargeSHA384(b *testing.B) { largeShapes.sha384(b) }
