package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// An output is a file to write.
type output struct {
	path string
	data []byte
	mode fs.FileMode // zero is modePublic
}

// The modes of results.
const (
	modePublic fs.FileMode = 0o644
	modeSecret fs.FileMode = 0o600 // a key's, for its owner alone
)

// writeAll writes all the files or none of them: each first under another name in its folder, then all are moved to
// their places. A file that exists is refused, unless force says to replace it.
func writeAll(outputs []output, force force) (err error) {
	if err := checkFree(outputs, force); err != nil {
		return err
	}
	var temps []string
	defer func() {
		for _, t := range temps {
			err = errors.Join(err, removeIfThere(t))
		}
	}()
	for _, o := range outputs {
		t, err := writeTemp(o)
		if t != "" {
			temps = append(temps, t)
		}
		if err != nil {
			return err
		}
	}
	for i, o := range outputs {
		if err := place(temps[i], o.path, force); err != nil {
			for _, done := range outputs[:i] {
				if force == keepExisting {
					err = errors.Join(err, removeIfThere(done.path))
				}
			}
			return err
		}
	}
	return nil
}

// A force says what becomes of files that exist.
type force bool

// The two ways.
const (
	keepExisting    force = false
	replaceExisting force = true
)

func checkFree(outputs []output, force force) error {
	for _, o := range outputs {
		info, err := os.Lstat(o.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case !info.Mode().IsRegular():
			return &inputError{msg: fmt.Sprintf("%s: exists and is not a regular file", o.path)}
		case force == keepExisting:
			return exists(o.path)
		}
	}
	return nil
}

func exists(path string) error {
	return &inputError{msg: path + ": file exists", hint: "--force replaces it", err: fs.ErrExist}
}

// writeTemp writes the data beside the place where it is to go and returns the file's name, also where it fails later.
func writeTemp(o output) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(o.path), "."+filepath.Base(o.path)+".*")
	if err != nil {
		return "", inFile(o.path, roleOther, err) // the user knows the file by its own name
	}
	_, err = f.Write(o.data)
	err = errors.Join(err, f.Chmod(cmp.Or(o.mode, modePublic)), f.Sync(), f.Close())
	return f.Name(), err
}

// place moves a finished file to its path. A hard link fails where the path has come to exist since it was checked.
func place(temp, path string, force force) error {
	if force == replaceExisting {
		return os.Rename(temp, path)
	}
	switch err := os.Link(temp, path); {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		return exists(path)
	}
	return os.Rename(temp, path) // the file system has no hard links
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
