package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// zeros is an endless reader.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestProgress(t *testing.T) {
	const size = 3 * progressStep
	var out bytes.Buffer
	term := &terminal{err: &out, live: true}
	n, err := io.Copy(io.Discard, term.watch(io.LimitReader(zeros{}, size), "initrd\x1b[2J", size))
	if err != nil || n != size {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if got := strings.Count(out.String(), "initrd?[2J: "); got < 2 || got > 4 {
		t.Errorf("%d updates in %q", got, out.String())
	}
	if !strings.Contains(out.String(), " of 192 MiB") {
		t.Errorf("no total in %q", out.String())
	}
	// A note wipes the line before it is printed, and so does the end.
	term.note("all %s", "well")
	term.clear()
	if !strings.HasSuffix(out.String(), "\r\x1b[Ktdxkit: note: all well\n") {
		t.Errorf("ends in %q", out.String())
	}
}

// TestProgressIsQuiet checks that nothing is shown where nobody looks, or where there is nothing to wait for.
func TestProgressIsQuiet(t *testing.T) {
	r := strings.NewReader("")
	var out bytes.Buffer
	if got := (&terminal{err: &out}).watch(r, "initrd", 1<<40); got != io.Reader(r) {
		t.Error("progress without a terminal")
	}
	if got := (&terminal{err: &out, live: true}).watch(r, "initrd", progressStep); got != io.Reader(r) {
		t.Error("progress for a small file")
	}
	if isTerminal(&out) {
		t.Error("a buffer is taken for a terminal")
	}
}
