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
)

// coldInitrd is the size of the initrd of BenchmarkColdRun, in bytes.
const coldInitrd = 50 << 20

// BenchmarkColdRun starts the binary anew for each run, on 4 MiB of firmware, a 12 MB kernel and a 50 MB initrd. Bytes
// are those of the largest file. It reports the peak of resident memory.
func BenchmarkColdRun(b *testing.B) {
	dir := b.TempDir()
	binary := filepath.Join(dir, "tdxkit")
	if out, err := exec.Command("go", "build", "-trimpath", "-o", binary, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	initrd := filepath.Join(dir, "initrd")
	writeInitrd(b, initrd)
	args, err := os.ReadFile("../../fixtures/demo/args")
	if err != nil {
		b.Fatal(err)
	}
	line := strings.Replace(string(args), "--events", "", 1)
	line = strings.Replace(line, "fixtures/kernel/initrd.gz", initrd, 1)
	b.SetBytes(coldInitrd)
	var peak int64
	for b.Loop() {
		cmd := exec.Command(binary, strings.Fields(line)...)
		cmd.Dir = "../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			peak = max(peak, u.Maxrss<<10)
		}
	}
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
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
}

// BenchmarkColdRunSHA384 is the limit of BenchmarkColdRun: SHA-384 over as many bytes as its largest file has.
func BenchmarkColdRunSHA384(b *testing.B) {
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
