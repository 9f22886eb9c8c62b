package main

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
)

// strange are values at which a reader of command lines is most likely to be wrong: edges of types, other spellings.
var strange = []string{
	"0", "1", "2", "3", "7", "8", "31", "32", "127", "128", "254", "255", "256", "4095", "4096", "65535", "65536", "2147483647", "2147483648",
	"4294967295", "9223372036854775807", "18446744073709551615", "0x10", "010", "1T", "0.5", " ", "on", "off", "yes", "auto", "host",
}

// numeral is a number in a word.
var numeral = regexp.MustCompile(`0x[0-9a-f]+|[0-9]+`)

// wild changes n words of a shape, so that it holds what no generator would write: strange values, words that are left out,
// given twice or taken from another option of the same name. The same shape, seed and number give the same one. Most of what
// it makes is refused by both sides, as it should be.
func wild(s shape, n int, seed, number uint64) shape {
	r := rand.New(rand.NewPCG(^seed, number))
	s.options = slices.Clone(s.options)
	for range n {
		o := &s.options[r.IntN(len(s.options))]
		if len(o.words) == 0 {
			continue
		}
		j := r.IntN(len(o.words))
		words := slices.Clone(o.words)
		switch key, _, ok := strings.Cut(words[j], "="); r.IntN(5) {
		case 0:
			if ok {
				words[j] = key + "=" + strange[r.IntN(len(strange))]
			}
		case 1:
			if words = slices.Delete(words, j, j+1); len(words) == 0 {
				continue
			}
		case 2:
			words = append(words, words[j])
		case 3:
			if from := s.words(o.name); len(from) > 0 {
				words = append(words, from[r.IntN(len(from))])
			}
		default:
			if at := numeral.FindAllStringIndex(words[j], -1); len(at) > 0 {
				x := at[r.IntN(len(at))]
				words[j] = words[j][:x[0]] + strange[r.IntN(len(strange))] + words[j][x[1]:]
			}
		}
		o.words = words
	}
	return s
}

// words returns the words of all options of a name that say something of their own: no ids, no kinds.
func (s shape) words(name string) []string {
	var out []string
	for _, o := range s.options {
		if o.name != name {
			continue
		}
		for _, w := range o.words {
			if key, _, ok := strings.Cut(w, "="); ok && key != "id" && key != "type" {
				out = append(out, w)
			}
		}
	}
	return out
}
