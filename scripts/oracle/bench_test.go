package main

import (
	"os"
	"testing"

	"github.com/tdxkit/tdxkit/qemu"
)

// BenchmarkDump is what a real QEMU takes to start with one shape, stopped, to have its chipset programmed and its files
// read: what a prediction stands for. The files are held against ours.
func BenchmarkDump(b *testing.B) {
	emulators, err := findEmulators(os.Getenv("TDXKIT_QEMU"))
	if err != nil {
		b.Fatal(err)
	}
	if len(emulators) == 0 {
		b.Skipf("no %s in PATH, and TDXKIT_QEMU names none", program)
	}
	s := given([]string{"-nodefaults", "-machine", "q35", "-smp", "4", "-m", "8G", "-device", "virtio-net-pci,netdev=n0", "-netdev", "user,id=n0"})
	for _, e := range emulators {
		b.Run(e.release, func(b *testing.B) {
			if _, _, err := qemu.TraitsOf(e.release); err != nil {
				b.Skip(err)
			}
			for b.Loop() {
				if j := e.judge(s, files{}); j.err != nil || len(j.differences) > 0 {
					b.Fatalf("%v %v", j.err, j.differences)
				}
			}
		})
	}
}
