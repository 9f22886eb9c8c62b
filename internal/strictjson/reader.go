package strictjson

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// A Reader takes members out of an object by exact name. The first failure of it, or of a Reader made from it, sticks to
// all of them, so that a whole document is read and the error looked at once.
type Reader struct {
	format string
	value  *Value
	asked  map[string]bool
	err    *error
}

// NewReader returns a Reader over v, which must be an object. Format names the structure in errors.
func NewReader(format string, v *Value) *Reader {
	r := &Reader{format: format, value: v, asked: map[string]bool{}, err: new(error)}
	r.want(v, Object, "document")
	return r
}

// Err returns the first failure, or nil.
func (r *Reader) Err() error { return *r.err }

// Failf records a failure of the member named field, unless one is recorded already.
func (r *Reader) Failf(field string, category error, format string, args ...any) {
	off := r.value.Off
	if v := r.find(field); v != nil {
		off = v.Off
	}
	r.failAt(off, field, category, fmt.Sprintf(format, args...))
}

func (r *Reader) failAt(off int, field string, category error, msg string) {
	if *r.err == nil {
		*r.err = &bin.FormatError{Format: r.format, Off: int64(off), Field: field, Msg: msg, Err: category}
	}
}

func (r *Reader) find(name string) *Value {
	for i := range r.value.Members {
		if r.value.Members[i].Name == name {
			return &r.value.Members[i].Value
		}
	}
	return nil
}

func (r *Reader) want(v *Value, k Kind, field string) bool {
	if v.Kind != k {
		r.failAt(v.Off, field, bin.ErrMalformed, "is "+v.Kind.String()+", want "+k.String())
	}
	return *r.err == nil
}

// Optional returns the member called name, or nil.
func (r *Reader) Optional(name string) *Value {
	r.asked[name] = true
	if *r.err != nil {
		return nil
	}
	return r.find(name)
}

// Value returns the member called name, which must be there; nil after a failure.
func (r *Reader) Value(name string) *Value {
	v := r.Optional(name)
	if v == nil && *r.err == nil {
		r.failAt(r.value.Off, strconv.Quote(name), bin.ErrMalformed, "is missing")
	}
	return v
}

// String returns a member that is a string.
func (r *Reader) String(name string) string {
	if v := r.Value(name); v != nil && r.want(v, String, strconv.Quote(name)) {
		return v.Text
	}
	return ""
}

// Uint returns a member that is an integer from 0 to limit, written without sign, point, exponent or leading zero.
func (r *Reader) Uint(name string, limit uint64) uint64 {
	v := r.Value(name)
	if v == nil || !r.want(v, Number, strconv.Quote(name)) {
		return 0
	}
	n, err := strconv.ParseUint(string(v.Raw), 10, 64)
	if err != nil || n > limit {
		r.failAt(v.Off, strconv.Quote(name), bin.ErrMalformed, fmt.Sprintf("is %.40s, want an integer from 0 to %d", v.Raw, limit))
		return 0
	}
	return n
}

// Hex decodes a member that is a string of 2*len(dst) hex digits of either case into dst.
func (r *Reader) Hex(name string, dst []byte) {
	s := r.String(name)
	if *r.err != nil {
		return
	}
	if len(s) != 2*len(dst) {
		r.Failf(name, bin.ErrMalformed, "has %d digits, want %d", len(s), 2*len(dst))
		return
	}
	if _, err := hex.Decode(dst, []byte(s)); err != nil {
		r.Failf(name, bin.ErrMalformed, "is not hex")
	}
}

// Time returns a member that is a time in UTC to the second, as Intel writes them: 2006-01-02T15:04:05Z.
func (r *Reader) Time(name string) time.Time {
	s := r.String(name)
	if *r.err != nil {
		return time.Time{}
	}
	t, err := time.Parse("2006-01-02T15:04:05Z", s)
	if err != nil || t.Format("2006-01-02T15:04:05Z") != s {
		r.Failf(name, bin.ErrMalformed, "is %.40q, want the form 2006-01-02T15:04:05Z", s)
		return time.Time{}
	}
	return t
}

// Array returns the items of a member that is an array of at least one item.
func (r *Reader) Array(name string) []Value {
	v := r.Value(name)
	if v == nil || !r.want(v, Array, strconv.Quote(name)) {
		return nil
	}
	if len(v.Items) == 0 {
		r.failAt(v.Off, strconv.Quote(name), bin.ErrMalformed, "is empty")
	}
	return v.Items
}

// Object returns a Reader over v, which must be an object.
func (r *Reader) Object(v *Value) *Reader {
	if v == nil {
		v = &Value{Kind: Object}
		if *r.err == nil {
			r.failAt(r.value.Off, "object", bin.ErrMalformed, "is missing")
		}
	}
	r.want(v, Object, "value")
	return &Reader{format: r.format, value: v, asked: map[string]bool{}, err: r.err}
}

// Unknown returns the names of members that were never asked for. One that differs from a name that was asked for in
// case only is a failure: a case-insensitive reader would take it.
func (r *Reader) Unknown() []string {
	folded := map[string]string{}
	for name := range r.asked {
		folded[fold(name)] = name
	}
	var unknown []string
	for _, m := range r.value.Members {
		if r.asked[m.Name] {
			continue
		}
		if known, ok := folded[fold(m.Name)]; ok {
			r.failAt(m.Off, strconv.Quote(m.Name), bin.ErrMalformed, "differs from "+strconv.Quote(known)+" in case only")
		}
		unknown = append(unknown, m.Name)
	}
	return unknown
}

// End records a failure if a member was never asked for.
func (r *Reader) End() {
	for _, name := range r.Unknown() {
		r.Failf(name, bin.ErrUnsupported, "is not a member known here")
	}
}
