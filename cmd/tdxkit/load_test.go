package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/kernel"
	"github.com/tdxkit/tdxkit/qemu"
)

// TestPartChanged holds that a file is refused once it was written to, also where its size stays, and that the kernel that
// is read of it a second time is.
func TestPartChanged(t *testing.T) {
	data := fixtures.Kernel(t, "vmlinuz-6.12-cloud")
	for name, change := range map[string]func(path string) error{
		"a byte": func(path string) error { return rewrite(path, int64(len(data))/2, []byte("changed")) },
		"longer": func(path string) error { return rewrite(path, int64(len(data)), []byte("more")) },
		"cut":    func(path string) error { return os.Truncate(path, int64(len(data))-1) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "vmlinuz")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			before := time.Now().Add(-time.Hour) // so that the change has another time, however coarse
			if err := os.Chtimes(path, before, before); err != nil {
				t.Fatal(err)
			}
			p, err := (&source{}).open(roleKernel, path)
			if err != nil {
				t.Fatal(err)
			}
			defer p.file.Close()
			k, err := kernel.Read(p, p.size)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := p.read(p.size); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%d bytes, error %v", len(got), err)
			}
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			if _, err := k.Authenticode(); !errors.Is(err, errChanged) || !errors.Is(err, kernel.ErrRead) {
				t.Errorf("digest: error is %v, want that the file was changed", err)
			}
			if _, err := subjectsIn(&parts{kernel: p}, qemu.Files{}, ""); !errors.Is(err, errChanged) {
				t.Errorf("subjects: error is %v, want that the file was changed", err)
			}
			if _, err := p.file.Seek(0, 0); err != nil {
				t.Fatal(err)
			}
			if _, err := p.read(p.size + 4); !errors.Is(err, errChanged) {
				t.Errorf("read: error is %v, want that the file was changed", err)
			}
		})
	}
}

// rewrite writes bytes into a file at an offset.
func rewrite(path string, off int64, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, off)
	return errors.Join(err, f.Close())
}
