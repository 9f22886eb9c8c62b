package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/dustin/go-humanize"
)

// A terminal writes notes and progress to stderr. Progress is shown only on a terminal, and never mixes with a note.
type terminal struct {
	mu    sync.Mutex
	err   io.Writer
	live  bool // err is a terminal
	shown bool // a progress line is on the screen
}

// isTerminal reports whether w is a character device.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// note prints a line that is not part of the result.
func (t *terminal) note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wipe()
	fmt.Fprintf(t.err, "tdxkit: note: %s\n", oneLine(fmt.Sprintf(format, args...)))
}

func (t *terminal) wipe() {
	if t.shown {
		fmt.Fprint(t.err, "\r\x1b[K")
		t.shown = false
	}
}

// clear removes the progress line.
func (t *terminal) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wipe()
}

// progress shows how far work on something has come.
func (t *terminal) progress(what string, done, total int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.err, "\r\x1b[K%s: %s of %s", oneLine(what), humanize.IBytes(uint64(done)), humanize.IBytes(uint64(total)))
	t.shown = true
}

// progressStep is how much is read between two updates of the progress line: some ten a second.
const progressStep = 64 << 20

// A progressReader shows how far the reading of a large file has come.
type progressReader struct {
	io.Reader
	t           *terminal
	what        string
	done, total int64
	next        int64
}

// watch wraps r so that progress is shown, if there is someone to see it and enough to wait for.
func (t *terminal) watch(r io.Reader, what string, total int64) io.Reader {
	if !t.live || total < 2*progressStep {
		return r
	}
	return &progressReader{Reader: r, t: t, what: what, total: total, next: progressStep}
}

func (p *progressReader) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.done += int64(n)
	if p.done >= p.next {
		p.next = p.done + progressStep
		p.t.progress(p.what, p.done, p.total)
	}
	return n, err
}
