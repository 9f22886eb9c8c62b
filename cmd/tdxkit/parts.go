package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/kernel"
	"github.com/tdxkit/tdxkit/qemu"
)

// A part is one file that a guest boots, opened.
type part struct {
	role role
	name string // as the command line has it
	path string // as messages have it
	file *os.File
	// size in bytes, and when it was last written to, as it was opened
	size     int64
	modified time.Time
	// listed says that the file lies in an image folder, whose list of digests has to have it.
	listed bool
}

// parts are the files of a boot. Kernel, initrd and shim are nil without one.
type parts struct{ firmware, kernel, initrd, shim *part }

// all are the parts in order, nil for those that a boot does not have.
func (p *parts) all() []*part { return []*part{p.firmware, p.kernel, p.initrd, p.shim} }

func (p *parts) close() {
	for _, f := range p.all() {
		if f != nil {
			f.file.Close()
		}
	}
}

// wantUnchanged returns an error that names the first file that has changed since it was opened.
func (p *parts) wantUnchanged() error {
	for _, f := range p.all() {
		if f == nil {
			continue
		}
		if err := f.wantUnchanged(); err != nil {
			return inFile(f.path, f.role, err)
		}
	}
	return nil
}

// openParts opens what the command line names. All files are open before the first is read, so that a missing one is
// found at once.
func (s *source) openParts(files qemu.Files) (*parts, error) {
	if files.Firmware == "" {
		return nil, usage("the command line names no firmware", "add -bios OVMF.fd; firmware in -drive if=pflash or -pflash starts no TD")
	}
	p := &parts{}
	for _, f := range []struct {
		to   **part
		role role
		name string
	}{{&p.firmware, roleFirmware, files.Firmware}, {&p.kernel, roleKernel, files.Kernel}, {&p.initrd, roleInitrd, files.Initrd}, {&p.shim, roleShim, files.Shim}} {
		if f.name == "" {
			continue
		}
		opened, err := s.open(f.role, f.name)
		if err != nil {
			p.close()
			return nil, err
		}
		*f.to = opened
	}
	return p, nil
}

// openAtOnce opens for reading without waiting, as opening a named pipe would for somebody who writes.
const openAtOnce = os.O_RDONLY | syscall.O_NONBLOCK

func (s *source) open(r role, name string) (*part, error) {
	p := &part{role: r, name: name, path: name}
	var err error
	if s.folder != nil && !s.elsewhere[r] {
		p.path, p.listed = filepath.Join(s.dir, name), s.image != nil && s.image.HasHash
		p.file, err = s.folder.OpenFile(name, openAtOnce, 0)
	} else {
		p.file, err = os.OpenFile(name, openAtOnce, 0)
	}
	if err != nil {
		return nil, s.notOpened(p, err)
	}
	info, err := p.file.Stat()
	switch {
	case err != nil:
		err = inFile(p.path, r, err)
	case info.IsDir():
		err = &inputError{msg: p.path + ": is a folder, want the " + string(r)}
	case !info.Mode().IsRegular():
		err = &inputError{msg: p.path + ": is not a regular file, and the size of the " + string(r) + " has to be known before it is read"}
	case info.Size() > bin.MaxInitrd && r == roleInitrd:
		err = &inputError{msg: fmt.Sprintf("%s: has %d bytes, QEMU takes at most %d as an initrd", p.path, info.Size(), int64(bin.MaxInitrd))}
	case info.Size() == 0 && r == roleInitrd:
		err = inFile(p.path, r, kernel.ErrEmptyInitrd)
	}
	if err != nil {
		p.file.Close()
		return nil, err
	}
	p.size, p.modified = info.Size(), info.ModTime()
	return p, nil
}

// notOpened says which file cannot be opened and, where a document names it, by which of its fields.
func (s *source) notOpened(p *part, err error) error {
	path := p.path
	if s.folder != nil && !s.elsewhere[p.role] {
		field := string(p.role)
		if p.role == roleFirmware {
			field = "bios"
		}
		path = fmt.Sprintf("%s: %s is %q", s.doc, field, p.name)
	}
	return inFile(path, p.role, err)
}

// errChanged is the error of a file that was written to, or cut, while it was read.
var errChanged = errors.New("changed while it was read")

// wantUnchanged returns errChanged if the file has another size or time than when it was opened. A digest is of bytes that
// were in the file all at once only if this is nil after they were read.
func (p *part) wantUnchanged() error {
	info, err := p.file.Stat()
	if err == nil && (info.Size() != p.size || !info.ModTime().Equal(p.modified)) {
		err = errChanged
	}
	return err
}

// ReadAt reads from a file that has not changed since it was opened. Errors are the file's, or errChanged.
func (p *part) ReadAt(b []byte, off int64) (int, error) {
	n, err := p.file.ReadAt(b, off)
	if changed := p.wantUnchanged(); changed != nil {
		return 0, changed
	}
	return n, err
}
