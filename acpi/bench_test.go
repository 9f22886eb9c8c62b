package acpi_test

import (
	"crypto/sha512"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/acpi"
	"github.com/tdxkit/tdxkit/ovmf/pcibus"
	"github.com/tdxkit/tdxkit/qemu"
)

// benchShapes are shapes from small to large.
var benchShapes = []struct{ name, args string }{
	{"2cpu", machine(2, "2G", dstackDevices)},
	{"64cpu", machine(64, "256G", dstackDevices)},
	{"288cpu", machine(288, "1024G", dstackDevices)},
	{"8gpu", machine(128, "512G", dstackDevices+strings.Repeat(" -device pci-testdev,membar=64G", 8))},
}

// BenchmarkBuild builds the files of a shape, the machine being read and its devices placed. The bytes per second are
// those of the files, to hold beside the speed of hashing them.
func BenchmarkBuild(b *testing.B) {
	for _, s := range benchShapes {
		m, p := benchMachine(b, s.args)
		b.Run(s.name, func(b *testing.B) {
			var builder acpi.Builder
			b.ReportAllocs()
			for b.Loop() {
				files, err := builder.Build(m, acpi.Chipset{PMBase: 0x600, PCIEXBAR: 0xe0000000, Functions: p})
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(files.Tables) + len(files.Loader) + len(files.RSDP)))
			}
		})
	}
}

// BenchmarkPlace places the devices of a shape.
func BenchmarkPlace(b *testing.B) {
	for _, s := range benchShapes {
		m, _ := benchMachine(b, s.args)
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := pcibus.Place(m, tdWindow); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkHash hashes the files of a small shape, the limit that building them is held against.
func BenchmarkHash(b *testing.B) {
	files := build(b, benchShapes[0].args, "10.1.0")
	b.SetBytes(int64(len(files.Tables) + len(files.Loader) + len(files.RSDP)))
	for b.Loop() {
		sha512.Sum384(files.Tables)
		sha512.Sum384(files.Loader)
		sha512.Sum384(files.RSDP)
	}
}

func benchMachine(b *testing.B, args string) (*qemu.Machine, pcibus.Placement) {
	b.Helper()
	m, err := qemu.ParseArgs(strings.Fields(args), "10.1.0", qemu.ParseOptions{})
	if err != nil {
		b.Fatal(err)
	}
	p, err := pcibus.Place(m, tdWindow)
	if err != nil {
		b.Fatal(err)
	}
	return m, p
}
