package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

func names(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestWriteAll(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := writeAll([]output{{path: a, data: []byte("1")}, {path: b, data: []byte("2")}}, keepExisting); err != nil {
		t.Fatal(err)
	}
	if content(t, a) != "1" || content(t, b) != "2" || names(t, dir) != 2 {
		t.Errorf("%q, %q, %d files", content(t, a), content(t, b), names(t, dir))
	}
	if err := writeAll([]output{{path: a, data: []byte("3")}, {path: b, data: []byte("4")}}, replaceExisting); err != nil {
		t.Fatal(err)
	}
	if content(t, a) != "3" || content(t, b) != "4" || names(t, dir) != 2 {
		t.Errorf("%q, %q, %d files", content(t, a), content(t, b), names(t, dir))
	}
}

// TestWriteAllOrNothing checks that one file that cannot be written leaves none behind, and existing ones as they are.
func TestWriteAllOrNothing(t *testing.T) {
	for _, tc := range []struct {
		name  string
		force force
		make  func(t *testing.T, dir string) string // returns the path that cannot be written
		want  error
	}{
		{"exists", keepExisting, func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, "b"), []byte("old"))
			return filepath.Join(dir, "b")
		}, fs.ErrExist},
		{"folder in its place", replaceExisting, func(t *testing.T, dir string) string {
			if err := os.Mkdir(filepath.Join(dir, "b"), 0o755); err != nil {
				t.Fatal(err)
			}
			return filepath.Join(dir, "b")
		}, nil},
		{"dangling link in its place", keepExisting, func(t *testing.T, dir string) string {
			if err := os.Symlink("nowhere", filepath.Join(dir, "b")); err != nil {
				t.Fatal(err)
			}
			return filepath.Join(dir, "b")
		}, nil},
		{"no such folder", keepExisting, func(_ *testing.T, dir string) string { return filepath.Join(dir, "none", "b") }, fs.ErrNotExist},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			bad := tc.make(t, dir)
			before := names(t, dir)
			err := writeAll([]output{{path: filepath.Join(dir, "a"), data: []byte("new")}, {path: bad, data: []byte("new")}}, tc.force)
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
			if names(t, dir) != before || content(t, filepath.Join(dir, "a")) != "" {
				t.Errorf("%d files are left, want %d", names(t, dir), before)
			}
		})
	}
}

// TestPlaceDoesNotReplace checks the file that comes to exist between the check and the move.
func TestPlaceDoesNotReplace(t *testing.T) {
	dir := t.TempDir()
	temp, path := filepath.Join(dir, "temp"), filepath.Join(dir, "a")
	write(t, temp, []byte("new"))
	write(t, path, []byte("old"))
	if err := place(temp, path, keepExisting); !errors.Is(err, fs.ErrExist) || content(t, path) != "old" {
		t.Errorf("error %v, content %q", err, content(t, path))
	}
	if err := place(temp, path, replaceExisting); err != nil || content(t, path) != "new" {
		t.Errorf("error %v, content %q", err, content(t, path))
	}
}
