package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"runtime/debug"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/kernel"
	"github.com/tdxkit/tdxkit/kernel/shim"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/mr/predict"
	"github.com/tdxkit/tdxkit/qemu"
)

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
			return err
		})
	}
	if p := l.parts.kernel; p != nil {
		l.queue.add(p.size, func() error { return l.loadKernel(out) })
	}
	if p := l.parts.shim; p != nil {
		l.queue.add(p.size, func() error { return l.loadShim(out) })
	}
	if err := l.queue.wait(); err != nil {
		return nil, err
	}
	return out, l.parts.wantUnchanged()
}

// start hashes what has no result of its own.
func (l *loader) start(work []predict.Work) {
	for _, w := range work {
		l.queue.add(w.Bytes, func() error { w.Do(); return nil })
	}
}

func (l *loader) loadFirmware(out *loaded) error {
	p := l.parts.firmware
	data, err := readOpen(p.file, p.path, p.role, bin.MaxFirmware)
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
	data, err := readOpen(p.file, p.path, p.role, bin.MaxKernel)
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
	data, err := readOpen(p.file, p.path, p.role, bin.MaxKernel)
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
