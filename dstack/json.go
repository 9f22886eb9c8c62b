package dstack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// An object is a JSON object read strictly: its keys are unique and spelt exactly, its values keep their type. The
// first failure sticks, so that all keys are read and the error looked at once.
type object struct {
	format string
	prefix string // of the keys' names in errors, "boot_config."
	keys   []string
	values map[string]value
	taken  map[string]bool
	end    int64 // offset of the byte after the object
	err    *error
}

// A value is a JSON value as written, and its offset from the start of the document.
type value struct {
	raw json.RawMessage
	off int64
}

// parseObject reads data as one JSON object with nothing after it.
func parseObject(format string, data []byte) *object {
	var err error
	o := &object{format: format, err: &err}
	switch {
	case len(data) > bin.MaxJSON:
		o.failf(0, "length", bin.ErrUnsupported, "is %d bytes, at most %d are read", len(data), bin.MaxJSON)
	case !utf8.Valid(data):
		o.failf(int64(firstInvalid(data)), "text", bin.ErrMalformed, "is not UTF-8")
	default:
		o.read(data, 0)
	}
	return o
}

func firstInvalid(data []byte) int {
	off := 0
	for off < len(data) {
		r, n := utf8.DecodeRune(data[off:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		off += n
	}
	return off
}

func (o *object) failf(off int64, field string, category error, format string, args ...any) {
	if *o.err == nil {
		*o.err = &bin.FormatError{Format: o.format, Off: off, Field: o.prefix + field,
			Msg: fmt.Sprintf(format, args...), Err: category}
	}
}

// read takes data, whose first byte is at offset base of the document, as the object.
func (o *object) read(data []byte, base int64) {
	o.values, o.taken = map[string]value{}, map[string]bool{}
	dec := json.NewDecoder(bytes.NewReader(data))
	t, err := dec.Token()
	if err == nil && t != json.Delim('{') {
		o.failf(base, "document", bin.ErrMalformed, "is not a JSON object")
		return
	}
	for err == nil && dec.More() {
		var k json.Token
		if k, err = dec.Token(); err != nil {
			break
		}
		key, off := k.(string), base+dec.InputOffset()
		var raw json.RawMessage
		if err = dec.Decode(&raw); err != nil {
			break
		}
		if _, ok := o.values[key]; ok {
			o.failf(off, key, bin.ErrMalformed, "occurs twice")
			return
		}
		o.keys = append(o.keys, key)
		o.values[key] = value{raw, base + dec.InputOffset() - int64(len(raw))}
	}
	if err == nil {
		_, err = dec.Token() // the closing brace
	}
	if err == nil {
		o.end = base + dec.InputOffset()
		if _, err = dec.Token(); err == io.EOF {
			return
		}
		o.failf(o.end, "document", bin.ErrMalformed, "is followed by more text")
		return
	}
	o.jsonError(base+dec.InputOffset(), err)
}

func (o *object) jsonError(off int64, err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		o.failf(off, "document", bin.ErrTruncated, "the JSON text ends early")
		return
	}
	o.failf(off, "document", bin.ErrMalformed, "is not JSON: %s", strings.TrimPrefix(err.Error(), "json: "))
}

// get returns the value of key and whether it is there and not null.
func (o *object) get(key string) (value, bool) {
	if *o.err != nil {
		return value{}, false
	}
	v, ok := o.values[key]
	o.taken[key] = true
	return v, ok && string(v.raw) != "null"
}

// require records a failure if key is missing or null.
func (o *object) require(key string) {
	if _, ok := o.get(key); !ok {
		o.failf(o.end, key, bin.ErrMalformed, "is missing")
	}
}

// decode reads the value of key into v. Want names the type in errors.
func (o *object) decode(key, want string, v any) bool {
	val, ok := o.get(key)
	if !ok {
		return false
	}
	if json.Unmarshal(val.raw, v) != nil {
		o.failf(val.off, key, bin.ErrMalformed, "is %s, want %s", shorten(val.raw), want)
		return false
	}
	return true
}

func shorten(raw []byte) string {
	const most = 40
	if len(raw) <= most {
		return string(raw)
	}
	return strings.ToValidUTF8(string(raw[:most]), "") + "…"
}

// text returns the string at key, "" where there is none. A NUL can stand in no path and no command line.
func (o *object) text(key string) string {
	var s string
	if o.decode(key, "a string", &s) && strings.ContainsRune(s, 0) {
		o.failf(o.values[key].off, key, bin.ErrMalformed, "has a NUL character")
	}
	return s
}

// needText returns the string at key, which must be there and not empty.
func (o *object) needText(key string) string {
	o.require(key)
	s := o.text(key)
	if s == "" {
		o.failf(o.values[key].off, key, bin.ErrMalformed, "is empty")
	}
	return s
}

// file returns the path at key in its shortest form, "" where there is none.
func (o *object) file(key string) string {
	s := o.text(key)
	if s == "" {
		return ""
	}
	clean, err := localPath(s)
	if err != nil {
		o.failf(o.values[key].off, key, bin.ErrMalformed, "%s", strings.TrimPrefix(err.Error(), bin.ErrMalformed.Error()+": "))
	}
	return clean
}

// flag returns the boolean at key, false where there is none.
func (o *object) flag(key string) bool {
	var b bool
	o.decode(key, "true or false", &b)
	return b
}

// optFlag returns the boolean at key, nil where there is none.
func (o *object) optFlag(key string) *bool {
	var b bool
	if !o.decode(key, "true or false", &b) {
		return nil
	}
	return &b
}

// number returns the whole number at key, fallback where there is none. Fractions, exponents and signs are refused.
func (o *object) number(key string, most, fallback uint64) uint64 {
	v, ok := o.get(key)
	if !ok {
		return fallback
	}
	n, err := strconv.ParseUint(string(v.raw), 10, 64)
	switch {
	case err != nil:
		o.failf(v.off, key, bin.ErrMalformed, "is %s, want a whole number", shorten(v.raw))
	case n > most:
		o.failf(v.off, key, bin.ErrUnsupported, "is %d, want at most %d", n, most)
	default:
		return n
	}
	return fallback
}

// list returns the strings at key.
func (o *object) list(key string) []string {
	var raws []json.RawMessage
	if !o.decode(key, "a list of strings", &raws) {
		return nil
	}
	list := make([]string, len(raws))
	for i, raw := range raws {
		if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &list[i]) != nil || strings.ContainsRune(list[i], 0) {
			o.failf(o.values[key].off, fmt.Sprintf("%s[%d]", key, i), bin.ErrMalformed, "is %s, want a string", shorten(raw))
		}
	}
	return list
}

// child returns the object at key, whose failures stick to o as well; nil where there is none.
func (o *object) child(key string) *object {
	v, ok := o.get(key)
	if !ok {
		return nil
	}
	c := &object{format: o.format, prefix: o.prefix + key + ".", err: o.err}
	if v.raw[0] != '{' {
		o.failf(v.off, key, bin.ErrMalformed, "is %s, want an object", shorten(v.raw))
		return nil
	}
	c.read(v.raw, v.off)
	return c
}

// rest returns the keys that nothing has asked for, in the document's order.
func (o *object) rest() []string {
	if *o.err != nil {
		return nil
	}
	var list []string
	for _, k := range o.keys {
		if !o.taken[k] {
			list = append(list, k)
		}
	}
	return list
}

// empty reports whether the value of key is one that a writer leaves where a feature is not used.
func (o *object) empty(key string) bool {
	switch string(o.values[key].raw) {
	case "null", "false", "0", `""`, "[]", "{}":
		return true
	}
	return false
}
