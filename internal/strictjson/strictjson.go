// Package strictjson reads JSON of which two readers could otherwise take different values: it refuses what
// encoding/json lets pass, and keeps for every value the bytes it was read from, so that what was signed and what was
// parsed are the same bytes.
//
// Refused: invalid UTF-8, lone surrogates, two members of one object whose names are equal or differ in case only, names
// that differ from a known name in case only, numbers other than plain unsigned integers where an integer is asked for,
// trailing data, nesting deeper than MaxDepth and documents of more than MaxValues values.
package strictjson

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// Bounds on a document beside its length in bytes, which the caller checks first.
const (
	MaxDepth  = 32      // arrays and objects inside each other; Intel's TCB info has 6
	MaxValues = 1 << 17 // values and members in all; a dstack event log of 64 KiB has about 2,000
)

// A Kind is the type of a JSON value. The zero Kind is no value.
type Kind uint8

// The kinds of RFC 8259.
const (
	None Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

func (k Kind) String() string {
	return [...]string{"nothing", "null", "a boolean", "a number", "a string", "an array", "an object"}[k]
}

// A Value is one value of a document.
type Value struct {
	Kind    Kind
	Off     int    // bytes from the start of the document
	Raw     []byte // the value's bytes, without surrounding white space; aliases the document
	Text    string // the decoded string, where Kind is String
	Items   []Value
	Members []Member
}

// A Member is one name and value of an object.
type Member struct {
	Name  string
	Off   int // of the name
	Value Value
}

// Parse reads a document whose whole content is one value. Format names the document in errors.
func Parse(format string, data []byte) (*Value, error) {
	p := parser{format: format, data: data}
	p.space()
	v := p.value(0)
	p.space()
	if p.err == nil && p.pos < len(data) {
		p.fail(p.pos, "trailing data", bin.ErrMalformed, strconv.Itoa(len(data)-p.pos)+" bytes follow the value, want none")
	}
	if p.err != nil {
		return nil, p.err
	}
	return &v, nil
}

// A parser walks a document once. Its first failure sticks.
type parser struct {
	format string
	data   []byte
	pos    int
	values int
	err    error
}

func (p *parser) fail(off int, field string, category error, msg string) {
	if p.err == nil {
		p.err = &bin.FormatError{Format: p.format, Off: int64(off), Field: field, Msg: msg, Err: category}
	}
}

// peek returns the next byte, or 0 at the end and after a failure.
func (p *parser) peek() byte {
	if p.err != nil || p.pos >= len(p.data) {
		return 0
	}
	return p.data[p.pos]
}

func (p *parser) space() {
	for p.pos < len(p.data) {
		switch p.data[p.pos] {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return
		}
	}
}

// expect consumes one byte that the grammar asks for.
func (p *parser) expect(c byte) bool {
	if p.peek() == c && p.err == nil && p.pos < len(p.data) {
		p.pos++
		return true
	}
	if p.pos >= len(p.data) {
		p.fail(p.pos, "JSON", bin.ErrTruncated, "the document ends where "+strconv.QuoteRune(rune(c))+" is due")
	} else {
		p.fail(p.pos, "JSON", bin.ErrMalformed, "is "+strconv.QuoteRune(rune(p.data[p.pos]))+", want "+strconv.QuoteRune(rune(c)))
	}
	return false
}

// value reads the value at the cursor.
func (p *parser) value(depth int) Value {
	v := Value{Off: p.pos}
	if p.values++; p.values > MaxValues {
		p.fail(p.pos, "JSON", bin.ErrUnsupported, "has more than "+strconv.Itoa(MaxValues)+" values")
		return v
	}
	if depth > MaxDepth {
		p.fail(p.pos, "JSON", bin.ErrUnsupported, "is nested more than "+strconv.Itoa(MaxDepth)+" deep")
		return v
	}
	switch c := p.peek(); {
	case c == '{':
		v.Kind, v.Members = Object, p.object(depth)
	case c == '[':
		v.Kind, v.Items = Array, p.array(depth)
	case c == '"':
		v.Kind, v.Text = String, p.str()
	case c == '-' || c >= '0' && c <= '9':
		v.Kind = Number
		p.number()
	case c == 'n':
		v.Kind = Null
		p.word("null")
	case c == 't':
		v.Kind = Bool
		p.word("true")
	case c == 'f':
		v.Kind = Bool
		p.word("false")
	case p.pos >= len(p.data):
		p.fail(p.pos, "JSON", bin.ErrTruncated, "the document ends where a value is due")
	default:
		p.fail(p.pos, "JSON", bin.ErrMalformed, "is byte 0x"+strconv.FormatUint(uint64(c), 16)+", want a value")
	}
	if p.err != nil {
		return Value{}
	}
	v.Raw = p.data[v.Off:p.pos:p.pos]
	return v
}

func (p *parser) word(w string) {
	if strings.HasPrefix(string(p.data[p.pos:min(len(p.data), p.pos+len(w))]), w) {
		p.pos += len(w)
		return
	}
	p.fail(p.pos, "JSON", bin.ErrMalformed, "is not "+w)
}

func (p *parser) array(depth int) []Value {
	p.expect('[')
	p.space()
	if p.peek() == ']' {
		p.pos++
		return nil
	}
	var items []Value
	for p.err == nil {
		p.space()
		items = append(items, p.value(depth+1))
		p.space()
		if p.peek() == ',' {
			p.pos++
			continue
		}
		p.expect(']')
		return items
	}
	return nil
}

func (p *parser) object(depth int) []Member {
	p.expect('{')
	p.space()
	if p.peek() == '}' {
		p.pos++
		return nil
	}
	var members []Member
	names := map[string]string{} // folded name to the name as written
	for p.err == nil {
		p.space()
		m := Member{Off: p.pos}
		m.Name = p.str()
		if prev, dup := names[fold(m.Name)]; dup && p.err == nil {
			p.fail(m.Off, strconv.Quote(m.Name), bin.ErrMalformed, "occurs beside "+strconv.Quote(prev)+"; names must differ in more than case")
		}
		names[fold(m.Name)] = m.Name
		p.space()
		p.expect(':')
		p.space()
		m.Value = p.value(depth + 1)
		members = append(members, m)
		p.space()
		if p.peek() == ',' {
			p.pos++
			continue
		}
		p.expect('}')
		return members
	}
	return nil
}

// fold maps names that a case-insensitive reader takes for one another to the same string. Upper case comes first
// because some letters, the long s for one, reach ASCII only that way.
func fold(name string) string {
	for i := range len(name) {
		if c := name[i]; c >= 0x80 || c >= 'A' && c <= 'Z' {
			return strings.ToLower(strings.ToUpper(name))
		}
	}
	return name // the common case, which both maps leave as it is
}

// number checks the grammar of RFC 8259, section 6.
func (p *parser) number() {
	start := p.pos
	if p.peek() == '-' {
		p.pos++
	}
	if p.peek() == '0' {
		p.pos++
	} else if !p.digits() {
		p.fail(start, "JSON", bin.ErrMalformed, "is not a number")
	}
	if p.peek() == '.' {
		p.pos++
		if !p.digits() {
			p.fail(start, "JSON", bin.ErrMalformed, "has no digit after the decimal point")
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.pos++
		if c := p.peek(); c == '+' || c == '-' {
			p.pos++
		}
		if !p.digits() {
			p.fail(start, "JSON", bin.ErrMalformed, "has no digit in the exponent")
		}
	}
	if c := p.peek(); c >= '0' && c <= '9' {
		p.fail(start, "JSON", bin.ErrMalformed, "has a leading zero")
	}
}

// digits consumes a run of digits and reports whether there was one.
func (p *parser) digits() bool {
	start := p.pos
	for p.pos < len(p.data) && p.data[p.pos] >= '0' && p.data[p.pos] <= '9' {
		p.pos++
	}
	return p.pos > start
}

// str reads a string and decodes its escapes.
func (p *parser) str() string {
	start := p.pos
	if !p.expect('"') {
		return ""
	}
	for i := p.pos; i < len(p.data); i++ { // the plain case: no escape, valid UTF-8
		switch c := p.data[i]; {
		case c == '"':
			s := p.data[p.pos:i]
			if !utf8.Valid(s) {
				p.fail(start, "string", bin.ErrMalformed, "is not UTF-8")
				return ""
			}
			p.pos = i + 1
			return string(s)
		case c == '\\':
			return p.escaped(start)
		case c < ' ':
			p.fail(i, "string", bin.ErrMalformed, "has a control character")
			return ""
		}
	}
	p.fail(start, "string", bin.ErrTruncated, "has no closing quotation mark")
	return ""
}

// escaped reads a string that has at least one escape; the cursor stands after the opening quotation mark. What lies
// between escapes is copied in one piece.
func (p *parser) escaped(start int) string {
	b := make([]byte, 0, 256)
	for p.pos < len(p.data) && p.err == nil {
		i := p.pos
		for i < len(p.data) && p.data[i] != '"' && p.data[i] != '\\' && p.data[i] >= ' ' {
			i++
		}
		b = append(b, p.data[p.pos:i]...)
		p.pos = i
		switch {
		case i == len(p.data):
		case p.data[i] == '\\':
			b = utf8.AppendRune(b, p.escape())
		case p.data[i] == '"':
			p.pos++
			if !utf8.Valid(b) {
				p.fail(start, "string", bin.ErrMalformed, "is not UTF-8")
			}
			return string(b)
		default:
			p.fail(i, "string", bin.ErrMalformed, "has a control character")
		}
	}
	p.fail(start, "string", bin.ErrTruncated, "has no closing quotation mark")
	return ""
}

// escape reads one escape, two for a pair of surrogates.
func (p *parser) escape() rune {
	at := p.pos
	p.pos++ // the backslash
	c := p.peek()
	p.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c)
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'u':
		r := p.hex4(at)
		if !utf16.IsSurrogate(r) {
			return r
		}
		if p.pos+1 < len(p.data) && p.data[p.pos] == '\\' && p.data[p.pos+1] == 'u' {
			p.pos += 2
			if full := utf16.DecodeRune(r, p.hex4(at)); full != utf8.RuneError {
				return full
			}
		}
		p.fail(at, "string", bin.ErrMalformed, "has half a pair of surrogates")
	default:
		p.fail(at, "string", bin.ErrMalformed, "has an escape that JSON does not know")
	}
	return utf8.RuneError
}

func (p *parser) hex4(at int) rune {
	if p.pos+4 > len(p.data) {
		p.fail(at, "string", bin.ErrTruncated, "has an escape cut short")
		return 0
	}
	n, err := strconv.ParseUint(string(p.data[p.pos:p.pos+4]), 16, 16)
	if err != nil {
		p.fail(at, "string", bin.ErrMalformed, "has an escape that is not four hex digits")
	}
	p.pos += 4
	return rune(n)
}
