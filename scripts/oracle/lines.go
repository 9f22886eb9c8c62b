package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// readShapes reads shapes, each a JSON object with the words of a command line and the texts of files that it names.
func readShapes(r io.Reader) ([]shape, error) {
	var shapes []shape
	for d := json.NewDecoder(r); ; {
		var l struct {
			Args  []string
			Files map[string]string
		}
		switch err := d.Decode(&l); {
		case errors.Is(err, io.EOF):
			return shapes, nil
		case err != nil:
			return nil, fmt.Errorf("shape %d: %w", len(shapes), err)
		}
		s := given(l.Args)
		s.files = map[string][]byte{}
		for name, text := range l.Files {
			s.files[name] = []byte(text)
		}
		shapes = append(shapes, s)
	}
}

// lines judges the shapes of a file. Those that we refuse are not shown to QEMU: what is looked for is what we say and QEMU
// does not.
func (r *report) lines(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	shapes, err := readShapes(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	inParallel(r.o.jobs, 0, uint64(len(shapes)), func(n uint64) {
		if _, err := predict(shapes[n], r.e.release); err != nil {
			r.note(n, shapes[n], judgement{outcome: refusedByUs, err: err})
			return
		}
		r.one(n, shapes[n])
	})
	return nil
}
