package dstack

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// A Sum is one line of a sha256sum.txt.
type Sum struct {
	Name   string
	Digest [sha256.Size]byte
}

// maxName is the longest file name that Linux file systems store, in bytes.
const maxName = 255

// ParseSums reads a sha256sum.txt, whose own SHA-256 digest is the os_image_hash of an image. It accepts one grammar:
// lines of 64 lower-case hexadecimal digits, two blanks, a file name and a line feed, the last line too. All that
// sha256sum -c is lenient about is refused, because two readers could take such a line for two different files: upper
// case, the binary mark, escaped names, carriage returns, blank lines, comments, tags in BSD style, names that occur
// twice, names with a slash, control characters or blanks at an end, and names that are not UTF-8.
//
// Dstack-TEE/dstack issue 1251 lists the differences between readers.
func ParseSums(data []byte) ([]Sum, error) {
	c := bin.NewCursor(SumsFile, data, 0)
	switch {
	case len(data) > bin.MaxSums:
		c.Failf(0, "length", bin.ErrUnsupported, "is %d bytes, at most %d are read", len(data), bin.MaxSums)
	case len(data) == 0:
		c.Failf(0, "line 1", bin.ErrTruncated, "is missing, want at least one file")
	}
	var sums []Sum
	seen := map[string]bool{}
	for n := 1; c.Len() > 0; n++ {
		off, field := c.Off(), fmt.Sprintf("line %d", n)
		i := bytes.IndexByte(data[off:], '\n')
		if i < 0 {
			c.Failf(off, field, bin.ErrTruncated, "has no line feed")
			break
		}
		line := c.Bytes(field, i+1)
		s, msg := parseSum(string(line[:i]))
		if msg == "" && seen[s.Name] {
			msg = fmt.Sprintf("names %q a second time", s.Name)
		}
		if msg != "" {
			c.Failf(off, field, bin.ErrMalformed, "%s", msg)
			break
		}
		seen[s.Name] = true
		sums = append(sums, s)
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	return sums, nil
}

// parseSum reads one line without its line feed. The second result says what is wrong with it.
func parseSum(line string) (Sum, string) {
	const digits = 2 * sha256.Size
	var s Sum
	if len(line) < digits || strings.Trim(line[:digits], "0123456789abcdef") != "" {
		return s, "does not begin with 64 lower-case hexadecimal digits"
	}
	if _, err := hex.Decode(s.Digest[:], []byte(line[:digits])); err != nil {
		return s, "does not begin with 64 lower-case hexadecimal digits"
	}
	name, ok := strings.CutPrefix(line[digits:], "  ")
	if !ok {
		return s, "does not have two blanks after the digest"
	}
	s.Name = name
	switch {
	case name == "":
		return s, "names no file"
	case len(name) > maxName:
		return s, fmt.Sprintf("names a file of %d characters, want at most %d", len(name), maxName)
	case name == "." || name == "..":
		return s, fmt.Sprintf("names the folder %q", name)
	case !utf8.ValidString(name):
		return s, "names a file that is not UTF-8"
	case strings.ContainsAny(name, `/\`):
		return s, fmt.Sprintf("names %q, with a slash or a backslash", name)
	case strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0:
		return s, fmt.Sprintf("names %q, with a control character", name)
	case strings.TrimSpace(name) != name:
		return s, fmt.Sprintf("names %q, with a blank at an end", name)
	case name[0] == '*':
		return s, fmt.Sprintf("names %q, with the mark of binary mode", name)
	}
	return s, ""
}

// AppendSum appends s as a line of a sha256sum.txt.
func AppendSum(b []byte, s Sum) []byte {
	b = hex.AppendEncode(b, s.Digest[:])
	b = append(b, "  "...)
	b = append(b, s.Name...)
	return append(b, '\n')
}

// ParseDigestFile reads a digest.txt: 64 lower-case hexadecimal digits and at most one line feed.
func ParseDigestFile(data []byte) ([sha256.Size]byte, error) {
	var d [sha256.Size]byte
	text := strings.TrimSuffix(string(data), "\n")
	if len(text) != 2*len(d) || strings.Trim(text, "0123456789abcdef") != "" {
		return d, &bin.FormatError{Format: DigestFile, Field: "digest", Err: bin.ErrMalformed,
			Msg: "is not 64 lower-case hexadecimal digits"}
	}
	_, err := hex.Decode(d[:], []byte(text))
	return d, err
}
