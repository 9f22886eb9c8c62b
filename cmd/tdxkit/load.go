package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/kernel"
	"github.com/tdxkit/tdxkit/kernel/shim"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/mr/predict"
	"github.com/tdxkit/tdxkit/qemu"
)

// A part is one file that a guest boots, opened.
type part struct {
	role role
	name string // as the command line has it
	path string // as messages have it
	file *os.File
	size int64 // bytes
	// modified is when the file was last written to, as it was opened.
	modified time.Time
	// listed says that the file lies in an image folder, whose list of digests has to have it.
	listed bool
}

// errChanged is for a file that is written to meanwhile: a digest of it may be of bytes that never were one file.
var errChanged = errors.New("was changed while it was read")

// unchanged tells a file that was written to since it was opened.
func (p *part) unchanged() error {
	info, err := p.file.Stat()
	if err == nil && (info.Size() != p.size || !info.ModTime().Equal(p.modified)) {
		err = errChanged
	}
	return err
}

// ReadAt reads nothing of a file that was changed.
func (p *part) ReadAt(b []byte, off int64) (int, error) {
	n, err := p.file.ReadAt(b, off)
	if changed := p.unchanged(); changed != nil {
		return 0, changed
	}
	return n, err
}

// read reads the whole of it.
func (p *part) read(limit int64) ([]byte, error) {
	data, err := readOpen(p.file, p.path, p.role, limit)
	if err != nil {
		return nil, err
	}
	return data, inFile(p.path, p.role, p.unchanged())
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

// A loaded is what was read of the files.
type loaded struct {
	image          *predict.Image
	firmwareSHA384 mr.Digest
}

// A loader reads the files of a boot, all at the same time, and has what all shapes share hashed meanwhile.
type loader struct {
	t       *terminal
	src     *source
	parts   *parts
	machine *qemu.Machine // of the first shape
	options predict.Options
	digest  digestFirmware
	queue   *queue
}

// A digestFirmware says whether the digest of the whole firmware is wanted.
type digestFirmware bool

// load reads, parses and hashes. The initrd is streamed and never held. Decoding the firmware's volumes takes the
// longest for its size and cannot be divided, so it is first. No garbage is collected meanwhile: there is next to none,
// and a collection stops all goroutines until those that hash, in assembly, come to the end of what they were given.
func (l *loader) load(ctx context.Context) (*loaded, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	out := &loaded{image: &predict.Image{}}
	l.queue = newQueue(ctx)
	l.queue.add(math.MaxInt64, func() error { return l.loadFirmware(out) })
	if p := l.parts.initrd; p != nil {
		out.image.Initrd = &predict.Initrd{Size: p.size}
		l.queue.add(p.size, func() error {
			digest, size, err := l.hashInitrd(p)
			out.image.Initrd.Digest = digest
			if err == nil && size != p.size {
				err = &inputError{msg: fmt.Sprintf("%s: gave %d bytes, want the %d bytes that it had", p.path, size, p.size)}
			}
			if err == nil {
				err = inFile(p.path, p.role, p.unchanged())
			}
			return err
		})
	}
	if p := l.parts.kernel; p != nil {
		l.queue.add(p.size, func() error { return l.loadKernel(out) })
	}
	if p := l.parts.shim; p != nil {
		l.queue.add(p.size, func() error { return l.loadShim(out) })
	}
	return out, l.queue.wait()
}

// start hashes what has no result of its own.
func (l *loader) start(work []predict.Work) {
	for _, w := range work {
		l.queue.add(w.Bytes, func() error { w.Do(); return nil })
	}
}

func (l *loader) loadFirmware(out *loaded) error {
	p := l.parts.firmware
	data, err := p.read(bin.MaxFirmware)
	if err != nil {
		return err
	}
	f, err := predict.NewFirmwareIn(data, makeLarge)
	if err != nil {
		return inFile(p.path, p.role, err)
	}
	out.image.Firmware = f
	l.start(predict.FirmwareHashes(f, l.machine, l.options))
	if l.digest {
		l.queue.add(p.size, func() error { out.firmwareSHA384 = mr.Sum(data); return nil })
	}
	predict.DecodeFirmware(f, l.options)
	l.start(predict.TableHashes(out.image, l.machine, l.options))
	return l.check(p, data)
}

func (l *loader) loadKernel(out *loaded) error {
	p := l.parts.kernel
	var err error
	if out.image.Kernel, err = l.parseKernel(p); err != nil {
		return err
	}
	for _, w := range predict.KernelHashes(out.image, l.machine, l.options) {
		w.Do()
	}
	return nil
}

// parseKernel leaves most of the kernel in its file, if its bytes are not needed twice.
func (l *loader) parseKernel(p *part) (*kernel.Image, error) {
	if !p.listed {
		k, err := kernel.Read(p, p.size)
		return k, inFile(p.path, p.role, err)
	}
	data, err := p.read(bin.MaxKernel)
	if err != nil {
		return nil, err
	}
	k, err := kernel.Parse(data)
	if err == nil {
		l.queue.add(p.size, func() error { return l.check(p, data) })
	}
	return k, inFile(p.path, p.role, err)
}

func (l *loader) loadShim(out *loaded) error {
	p := l.parts.shim
	data, err := p.read(bin.MaxKernel)
	if err != nil {
		return err
	}
	if out.image.Shim, err = shim.Parse(data); err != nil {
		return inFile(p.path, p.role, err)
	}
	return l.check(p, data)
}

// check holds a file to the image's list of SHA-256 digests, where there is one.
func (l *loader) check(p *part, data []byte) error {
	if !p.listed {
		return nil
	}
	return l.checkSum(p, sha256.Sum256(data))
}

func (l *loader) checkSum(p *part, sum [sha256.Size]byte) error {
	if err := l.src.image.Check(filepath.Clean(p.name), sum); err != nil {
		return inFolder(l.src.dir, err)
	}
	return nil
}

// hashInitrd streams the initrd through SHA-384 and, where the image has a list, SHA-256.
func (l *loader) hashInitrd(p *part) (mr.Digest, int64, error) {
	r := l.t.watch(&queuedReader{p.file, l.queue, p.size}, p.path, p.size)
	if !p.listed {
		digest, size, err := kernel.HashInitrd(r)
		return digest, size, inFile(p.path, p.role, err)
	}
	sum := sha256.New()
	digest, size, err := kernel.HashInitrd(io.TeeReader(r, sum))
	if err != nil {
		return digest, size, inFile(p.path, p.role, err)
	}
	return digest, size, l.checkSum(p, [sha256.Size]byte(sum.Sum(nil)))
}

// A contextReader fails once its context is done.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r *contextReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}
