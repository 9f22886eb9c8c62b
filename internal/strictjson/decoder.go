package strictjson

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// A Decoder reads a document front to back and keeps none of it: for documents of many values whose members are all
// known. Every object is read by the list of its fields, so that a name that is not in the list, one that occurs twice
// and one that is missing are refused; a name that differs from a known one in case is not in the list. The first
// failure sticks: later reads return zero values.
type Decoder struct {
	p     parser
	depth int
}

// NewDecoder returns a Decoder at the start of data. Format names the document in errors.
func NewDecoder(format string, data []byte) *Decoder {
	d := &Decoder{p: parser{format: format, data: data}}
	d.p.space()
	return d
}

// Err returns the first failure, or nil.
func (d *Decoder) Err() error { return d.p.err }

// Off is the offset of the next byte, from the start of the document.
func (d *Decoder) Off() int { return d.p.pos }

// End records a failure if anything but white space follows, and returns the first failure.
func (d *Decoder) End() error {
	d.p.space()
	if n := len(d.p.data) - d.p.pos; d.p.err == nil && n > 0 {
		d.p.fail(d.p.pos, "trailing data", bin.ErrMalformed, strconv.Itoa(n)+" bytes follow the value, want none")
	}
	return d.p.err
}

// Failf records a failure at offset off, unless one is recorded already.
func (d *Decoder) Failf(off int, field string, category error, format string, args ...any) {
	if d.p.err == nil {
		d.p.fail(off, field, category, fmt.Sprintf(format, args...))
	}
}

// A Field is one member that an object may have.
type Field struct {
	Name     string
	Read     func() // reads the value
	Optional Need
}

// A Need says whether a field must be there. The zero value is that it must.
type Need uint8

// The needs.
const (
	Required Need = iota
	Optional
)

// Object reads an object that has these fields, at most 64, and no others. A null is refused.
func (d *Decoder) Object(fields []Field) {
	if !d.open('{', "an object") {
		return
	}
	var seen uint64
	d.p.space()
	for more := d.p.peek() != '}'; more && d.p.err == nil; {
		at := d.p.pos
		i := d.field(fields)
		if i < 0 {
			return
		}
		if seen&(1<<i) != 0 {
			d.Failf(at, strconv.Quote(fields[i].Name), bin.ErrMalformed, "occurs twice")
			return
		}
		seen |= 1 << i
		d.p.space()
		d.p.expect(':')
		d.p.space()
		if d.p.err == nil {
			fields[i].Read()
		}
		d.p.space()
		if more = d.p.peek() == ','; more {
			d.p.pos++
			d.p.space()
		}
	}
	d.close('}')
	for i, f := range fields {
		if seen&(1<<i) == 0 && f.Optional == Required && d.p.err == nil {
			d.Failf(d.p.pos, strconv.Quote(f.Name), bin.ErrMalformed, "is missing")
		}
	}
}

// field reads a member's name and returns its number in fields, or -1 after a failure.
func (d *Decoder) field(fields []Field) int {
	at := d.p.pos
	name := d.raw()
	for i := range fields {
		if string(name) == fields[i].Name {
			return i
		}
	}
	for i := range fields {
		if fold(string(name)) == fold(fields[i].Name) {
			d.Failf(at, strconv.Quote(string(name)), bin.ErrMalformed, "differs from %q in case only", fields[i].Name)
		}
	}
	d.Failf(at, strconv.Quote(string(name)), bin.ErrUnsupported, "is not a member known here")
	return -1
}

// raw reads a string and returns its decoded bytes, which alias the document where it has no escape.
func (d *Decoder) raw() []byte {
	start := d.p.pos
	if start < len(d.p.data) && d.p.data[start] == '"' {
		rest := d.p.data[start+1:]
		if i := plain(rest); i < len(rest) && rest[i] == '"' && d.p.err == nil {
			d.p.pos = start + 1 + i + 1
			return rest[:i]
		}
	}
	return []byte(d.p.str())
}

// plain returns how many of the first bytes are printable ASCII without quote and backslash.
func plain(b []byte) int {
	i := 0
	for ; len(b)-i >= 8 && !anySpecial(binary.LittleEndian.Uint64(b[i:])); i += 8 {
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// anySpecial reports whether one of eight bytes is a quote, a backslash, a control character or above ASCII.
func anySpecial(w uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	zero := func(x uint64) uint64 { return (x - ones) &^ x } // has the top bit of a byte that is 0, if there is one
	below := (w - ' '*ones) &^ w
	return (w|below|zero(w^'"'*ones)|zero(w^'\\'*ones)|zero(w^0x7f*ones))&tops != 0
}

// Array reads an array and calls item for each of its items, which must read it.
func (d *Decoder) Array(item func()) {
	if !d.open('[', "an array") {
		return
	}
	d.p.space()
	for more := d.p.peek() != ']'; more && d.p.err == nil; {
		item()
		d.p.space()
		if more = d.p.peek() == ','; more {
			d.p.pos++
			d.p.space()
		}
	}
	d.close(']')
}

func (d *Decoder) open(c byte, what string) bool {
	if d.p.err == nil && d.p.peek() != c {
		d.p.fail(d.p.pos, "value", bin.ErrMalformed, "is not "+what)
	}
	if d.depth++; d.depth > MaxDepth {
		d.p.fail(d.p.pos, "JSON", bin.ErrUnsupported, "is nested more than "+strconv.Itoa(MaxDepth)+" deep")
	}
	return d.p.err == nil && d.p.expect(c)
}

func (d *Decoder) close(c byte) {
	d.depth--
	d.p.expect(c)
}

// String reads a string.
func (d *Decoder) String() string {
	if d.p.err != nil {
		return ""
	}
	return string(d.raw())
}

// Bytes reads a string and returns its bytes, which alias the document where the string has no escape.
func (d *Decoder) Bytes() []byte {
	if d.p.err != nil {
		return nil
	}
	return d.raw()
}

// Rest is how many bytes of the document are left.
func (d *Decoder) Rest() int { return len(d.p.data) - d.p.pos }

// Text reads a string of 1 to limit bytes without control characters: one that can be printed on a line.
func (d *Decoder) Text(field string, limit int) string {
	at := d.p.pos
	s := d.String()
	if d.p.err != nil {
		return ""
	}
	if s == "" || len(s) > limit {
		d.Failf(at, field, bin.ErrMalformed, "has %d bytes, want 1 to %d", len(s), limit)
	}
	if i := strings.IndexFunc(s, IsControl); i >= 0 {
		d.Failf(at, field, bin.ErrMalformed, "has a control character")
	}
	return s
}

// IsControl reports whether a character could make a line look like another text: control characters, line and paragraph
// separators, and what changes the direction of writing.
func IsControl(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// Uint reads an integer from 0 to limit, written without sign, point, exponent or leading zero.
func (d *Decoder) Uint(field string, limit uint64) uint64 {
	at := d.p.pos
	if c := d.p.peek(); d.p.err == nil && (c < '0' || c > '9') {
		d.p.fail(at, field, bin.ErrMalformed, "is not an integer")
	}
	if d.p.err != nil {
		return 0
	}
	var n uint64
	for d.p.pos < len(d.p.data) && d.p.data[d.p.pos] >= '0' && d.p.data[d.p.pos] <= '9' && d.p.pos-at < 19 {
		n = n*10 + uint64(d.p.data[d.p.pos]-'0')
		d.p.pos++
	}
	c := d.p.peek()
	switch {
	case c >= '0' && c <= '9' || c == '.' || c == 'e' || c == 'E':
		d.Failf(at, field, bin.ErrMalformed, "is not an integer of at most 19 digits")
	case d.p.pos-at > 1 && d.p.data[at] == '0':
		d.Failf(at, field, bin.ErrMalformed, "has a leading zero")
	case n > limit:
		d.Failf(at, field, bin.ErrMalformed, "is %d, want at most %d", n, limit)
	}
	if d.p.err != nil {
		return 0
	}
	return n
}

// Hex reads a string of 2*len(dst) lower-case hex digits into dst.
func (d *Decoder) Hex(field string, dst []byte) {
	at := d.p.pos
	s := d.raw()
	switch {
	case d.p.err != nil:
	case len(s) != hex.EncodedLen(len(dst)):
		d.Failf(at, field, bin.ErrMalformed, "has %d characters, want %d hex digits", len(s), hex.EncodedLen(len(dst)))
	case !decodeHex(dst, s):
		d.Failf(at, field, bin.ErrMalformed, "is not lower-case hex")
	}
}

// decodeHex reports whether s, of twice the length of dst, was lower-case hex.
func decodeHex(dst, s []byte) bool {
	bad := byte(0)
	for i := range dst {
		hi, lo := nibble[s[2*i]], nibble[s[2*i+1]]
		bad |= hi | lo
		dst[i] = hi<<4 | lo&15
	}
	return bad < 16
}

// nibble has the value of each lower-case hex digit, and 0x80 for other bytes.
var nibble = func() (t [256]byte) {
	for i := range t {
		t[i] = 0x80
	}
	for i, c := range []byte("0123456789abcdef") {
		t[c] = byte(i)
	}
	return t
}()

// TimeForm is the one form of a time: in UTC, to the second.
const TimeForm = "2006-01-02T15:04:05Z"

// Time reads a time in TimeForm.
func (d *Decoder) Time(field string) time.Time {
	at := d.p.pos
	s := d.String()
	if d.p.err != nil {
		return time.Time{}
	}
	t, err := time.Parse(TimeForm, s)
	if err != nil || t.Format(TimeForm) != s {
		d.Failf(at, field, bin.ErrMalformed, "is %.40q, want the form %s", s, TimeForm)
		return time.Time{}
	}
	return t
}
