package main

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// An option is one option of a command line, in parts, so that it can be shortened.
type option struct {
	name  string   // "device"
	words []string // "e1000", "addr=5"; joined by commas. An option without an argument has nil.
	json  bool     // the argument is written as a JSON object
}

// A shape is a command line and the files that it names.
type shape struct {
	options []option
	files   map[string][]byte
}

// Marks in arguments that a run replaces.
const (
	kernelMark = "@kernel@" // the path of a kernel
	tpmSocket  = "tpm.sock" // where a TPM is to be started
)

// args returns the command line.
func (s shape) args() []string {
	var out []string
	for _, o := range s.options {
		out = append(out, "-"+o.name)
		switch {
		case o.words == nil:
		case o.json:
			out = append(out, o.object())
		default:
			out = append(out, strings.Join(o.words, ","))
		}
	}
	return out
}

// textual are properties whose values are strings even where they look like numbers.
var textual = []string{"id", "bus", "addr", "serial", "drive", "driver", "mac", "netdev", "guid", "tag", "mount_tag", "name", "romfile", "disable-legacy",
	"x-speed", "x-width", "intremap", "write-cache", "msi", "msix", "eim"}

// sizeWord is a size with a unit, which JSON has not.
var sizeWord = regexp.MustCompile(`^[0-9]+[KMGT]$`)

// object writes the words as JSON, with the types that QEMU's properties have.
func (o option) object() string {
	m := map[string]any{}
	for i, w := range o.words {
		key, v, ok := strings.Cut(w, "=")
		if !ok && i == 0 {
			key, v = "driver", w
		}
		n, err := strconv.ParseInt(v, 0, 64)
		switch {
		case slices.Contains(textual, key):
			m[key] = v
		case sizeWord.MatchString(v):
			size, _ := strconv.ParseInt(v[:len(v)-1], 10, 64)
			m[key] = size << (10 * (1 + strings.IndexByte("KMGT", v[len(v)-1])))
		case v == "on" || v == "off":
			m[key] = v == "on"
		case err == nil:
			m[key] = n
		default:
			m[key] = v
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err.Error() // QEMU will not take it
	}
	return string(b)
}

// without returns the shape without one option.
func (s shape) without(i int) shape {
	return shape{slices.Delete(slices.Clone(s.options), i, i+1), s.files}
}

// withWords returns the shape with other words in one option.
func (s shape) withWords(i int, words []string) shape {
	o := slices.Clone(s.options)
	o[i].words = words
	return shape{o, s.files}
}

// shrink shortens a shape while it still fails in the same way, and tries at most budget shapes: it drops options and
// words, and halves numbers.
func shrink(s shape, budget int, fails func(shape) bool) shape {
	try := func(c shape) bool {
		if budget == 0 {
			return false
		}
		budget--
		return fails(c)
	}
	for again := true; again && budget > 0; {
		again = false
		for i := len(s.options) - 1; i >= 0; i-- {
			if c := s.without(i); try(c) {
				s, again = c, true
			}
		}
		for i := range s.options {
			for j := len(s.options[i].words) - 1; j >= 0; j-- {
				words := s.options[i].words
				if len(words) > 1 {
					if c := s.withWords(i, slices.Delete(slices.Clone(words), j, j+1)); try(c) {
						s, again = c, true
						continue
					}
				}
				if w, ok := halved(words[j]); ok {
					c := slices.Clone(words)
					c[j] = w
					if c := s.withWords(i, c); try(c) {
						s, again = c, true
					}
				}
			}
		}
	}
	s.files = maps.Clone(s.files)
	for name := range s.files {
		if !strings.Contains(strings.Join(s.args(), " "), name) {
			delete(s.files, name)
		}
	}
	return s
}

// halved halves the number that a word ends in, "cores=8" or "8G".
func halved(w string) (string, bool) {
	key, v, ok := strings.Cut(w, "=")
	if !ok {
		key, v = "", w
	} else {
		key += "="
	}
	unit := ""
	if n := len(v); n > 1 && strings.ContainsAny(v[n-1:], "KMGT") {
		v, unit = v[:n-1], v[n-1:]
	}
	n, err := strconv.ParseUint(v, 10, 63)
	if err != nil || n < 2 || v[0] == '0' {
		return "", false
	}
	return key + strconv.FormatUint(n/2, 10) + unit, true
}
