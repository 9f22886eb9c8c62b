package main

import (
	"bytes"
	"crypto/sha512"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
)

// coldInitrd is the size of the initrd of BenchmarkColdRun, in bytes.
const coldInitrd = 50 << 20

// BenchmarkColdRun starts the binary anew for each run, on 4 MiB of firmware, a 12 MB kernel and a 50 MB initrd. Bytes
// are those of the largest file. It reports the peak of resident memory. Beside each firmware is the limit, SHA-384 over
// as many bytes as the largest file has.
func BenchmarkColdRun(b *testing.B) {
	dir := b.TempDir()
	binary := filepath.Join(dir, "tdxkit")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as in the Makefile
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	initrd := filepath.Join(dir, "initrd")
	writeInitrd(b, initrd)
	args, err := os.ReadFile("../../fixtures/demo/args")
	if err != nil {
		b.Fatal(err)
	}
	for _, build := range []struct{ name, firmware string }{{"OvmfPkgX64", "ovmf-2026.08"}, {"IntelTdx", "inteltdx-2026.08-blank"}} {
		firmware := filepath.Join(dir, build.name+".fd")
		if err := os.WriteFile(firmware, fixtures.Firmware(b, build.firmware), 0o600); err != nil {
			b.Fatal(err)
		}
		line := strings.NewReplacer("--events", "", "fixtures/kernel/initrd.gz", initrd, "fixtures/firmware/ovmf-2026.08.fd", firmware).Replace(string(args))
		b.Run(build.name, func(b *testing.B) { runCold(b, binary, strings.Fields(line)) })
		b.Run(build.name+"SHA384", hashCold)
	}
}

func runCold(b *testing.B, binary string, args []string) {
	b.SetBytes(coldInitrd)
	var peak int64
	for b.Loop() {
		cmd := exec.Command(binary, args...)
		cmd.Dir = "../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			peak = max(peak, int64(u.Maxrss)<<10)
		}
	}
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
}

func hashCold(b *testing.B) {
	piece := bytes.Repeat([]byte("initrd!\n"), 1<<17)
	b.SetBytes(coldInitrd)
	for b.Loop() {
		h := sha512.New384()
		for range coldInitrd / len(piece) {
			h.Write(piece)
		}
		h.Sum(nil)
	}
}

// writeInitrd writes a file of coldInitrd bytes in small pieces: a child's peak of memory counts from that of its parent.
func writeInitrd(b *testing.B, name string) {
	b.Helper()
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	piece := bytes.Repeat([]byte("initrd!\n"), 1<<17)
	for range coldInitrd / len(piece) {
		if _, err := f.Write(piece); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil { // else the disk is written to while the first runs are timed
		b.Fatal(err)
	}
}
