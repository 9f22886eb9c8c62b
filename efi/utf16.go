package efi

import (
	"encoding/binary"
	"unicode/utf16"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// AppendUTF16 appends s as little-endian UTF-16 without a terminator. Invalid UTF-8 becomes U+FFFD. It is for names;
// firmware widens a kernel command line byte by byte, which package kernel does.
func AppendUTF16(b []byte, s string) []byte {
	for _, r := range s {
		switch r1, r2 := utf16.EncodeRune(r); {
		case r <= 0xffff:
			b = binary.LittleEndian.AppendUint16(b, uint16(r))
		default:
			b = binary.LittleEndian.AppendUint16(b, uint16(r1))
			b = binary.LittleEndian.AppendUint16(b, uint16(r2))
		}
	}
	return b
}

// AppendUTF16Z appends s as AppendUTF16 does, and a terminator of two zero bytes.
func AppendUTF16Z(b []byte, s string) []byte { return append(AppendUTF16(b, s), 0, 0) }

// DecodeUTF16 reads all of b as little-endian UTF-16. An odd length and an unpaired surrogate are errors, so that
// what it returns encodes to b again. Off is the offset of b from the start of the outermost input, for errors.
func DecodeUTF16(b []byte, off int64) (string, error) {
	c := bin.NewCursor("UTF-16 string", b, off)
	if len(b)%2 != 0 {
		c.Failf(off, "length", bin.ErrMalformed, "is %d bytes, want an even number", len(b))
		return "", c.Err()
	}
	out := make([]rune, 0, len(b)/2)
	for i := 0; i < len(b); i += 2 {
		r := rune(binary.LittleEndian.Uint16(b[i:]))
		if utf16.IsSurrogate(r) {
			var low rune
			if i+4 <= len(b) {
				low = rune(binary.LittleEndian.Uint16(b[i+2:]))
			}
			pair := utf16.DecodeRune(r, low)
			if pair == '\ufffd' {
				c.Failf(off+int64(i), "CHAR16", bin.ErrMalformed, "is the surrogate 0x%04x without its pair", r)
				return "", c.Err()
			}
			r = pair
			i += 2
		}
		out = append(out, r)
	}
	return string(out), nil
}

// utf16z reads a terminated string from c.
func utf16z(c *bin.Cursor, field string, rest []byte) string {
	off := c.Off()
	for i := 0; i+1 < len(rest); i += 2 {
		if rest[i] == 0 && rest[i+1] == 0 {
			s, err := DecodeUTF16(rest[:i], off)
			if err != nil {
				c.Failf(off, field, bin.ErrMalformed, "%v", err)
				return ""
			}
			c.Bytes(field, i+2)
			return s
		}
	}
	c.Failf(off, field, bin.ErrTruncated, "has no terminator in the %d bytes left", len(rest))
	return ""
}
