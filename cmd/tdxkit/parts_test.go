package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/kernel"
	"github.com/tdxkit/tdxkit/qemu"
)

// bootOf writes the files of a boot and returns an invocation that measures it.
func bootOf(t *testing.T) (*job, guest) {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	command := []string{
		"qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-smp", "4", "-m", "8G", "-nodefaults",
		"-machine", "q35,kernel-irqchip=split,confidential-guest-support=tdx0", "-object", "tdx-guest,id=tdx0",
		"-bios", write("OVMF.fd", fixtures.Firmware(t, "ovmf-2026.08")), "-kernel", write("vmlinuz", fixtures.Kernel(t, "vmlinuz-6.12-cloud")),
		"-initrd", write("initrd", []byte("initrd")), "-append", "console=ttyS0",
	}
	j := &job{src: &source{}, releases: []string{"10.2.2"}, stated: true, parse: qemu.ParseOptions{TDX: true}}
	machine, err := j.machines(command)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.close)
	return j, guest{command: command, machine: machine}
}

// touch has a file look as if it had been written to.
func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.Chtimes(path, time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
}

// TestLoadChanged changes each file between the time it is opened and the time it is read.
func TestLoadChanged(t *testing.T) {
	for _, r := range []role{roleFirmware, roleKernel, roleInitrd} {
		j, g := bootOf(t)
		open, err := j.src.openParts(g.machine[0].Files)
		if err != nil {
			t.Fatal(err)
		}
		defer open.close()
		var path string
		for _, p := range open.all() {
			if p != nil && p.role == r {
				path = p.path
			}
		}
		touch(t, path)
		l := loader{src: j.src, parts: open, machine: g.machine[0], t: &terminal{err: io.Discard}}
		_, err = l.load(t.Context())
		if err == nil || err.Error() != path+": changed while it was read" || exitCode(err) != exitInput {
			t.Errorf("%s: error %v, want that it was changed", r, err)
		}
	}
}

// TestKernelChanged changes the kernel after it was hashed, in ways that make another digest of it wrong.
func TestKernelChanged(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"cut":     func(path string) error { return os.Truncate(path, 1<<20) },
		"longer":  func(path string) error { return os.Truncate(path, 64<<20) },
		"written": func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			j, g := bootOf(t)
			l, err := j.load(t.Context(), &terminal{err: io.Discard}, g, false)
			if err != nil {
				t.Fatal(err)
			}
			patch := []kernel.Patch{{Off: 0x211, Bytes: []byte{0x81}}}
			if _, err := l.image.Kernel.AuthenticodePatched(patch); err != nil {
				t.Fatal(err)
			}
			if err := change(j.kernel); err != nil {
				t.Fatal(err)
			}
			_, err = l.image.Kernel.AuthenticodePatched(patch)
			_, inSubjects := subjectsIn(j.parts, qemu.Files{}, "")
			for _, err := range []error{j.inPart(err), inSubjects} {
				if err == nil || err.Error() != j.kernel+": changed while it was read" || exitCode(err) != exitInput {
					t.Errorf("error %v, want that the kernel was changed", err)
				}
			}
		})
	}
}
