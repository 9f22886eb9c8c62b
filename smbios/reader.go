package smbios

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tdxkit/tdxkit/qemu"
)

// A reader takes fields out of one -smbios option and keeps the first thing that is wrong.
type reader struct {
	opt   *qemu.SMBIOSEntry
	known []string // keys that were asked for
	err   error
}

func (r *reader) fail(format string, args ...any) error {
	return &qemu.OptionError{Option: "-smbios", Arg: "type=" + strconv.Itoa(r.opt.Type),
		Msg: fmt.Sprintf(format, args...), Err: qemu.ErrUsage}
}

// lookup returns the last value of key, which is the one that holds.
func (r *reader) lookup(key string) (string, bool) {
	r.known = append(r.known, key)
	for i := len(r.opt.Fields) - 1; i >= 0; i-- {
		if r.opt.Fields[i].Key == key {
			return r.opt.Fields[i].Value, true
		}
	}
	return "", false
}

func (r *reader) str(key, otherwise string) string {
	if v, ok := r.lookup(key); ok {
		return v
	}
	return otherwise
}

func (r *reader) set(to *string, key string) { *to = r.str(key, *to) }

func (r *reader) flag(key string, otherwise bool) bool {
	v, ok := r.lookup(key)
	switch {
	case !ok:
		return otherwise
	case v == "on" || v == "yes" || v == "true" || v == "y":
		return true
	case v == "off" || v == "no" || v == "false" || v == "n":
		return false
	}
	r.note(r.fail("%s=%s: want on or off", key, v))
	return false
}

func (r *reader) u8(key string, otherwise uint8) uint8 {
	return uint8(r.number(key, uint64(otherwise), math.MaxUint8))
}

func (r *reader) u16(key string, otherwise uint16) uint16 {
	return uint16(r.number(key, uint64(otherwise), math.MaxUint16))
}

// number reads a number of at most most. QEMU itself cuts larger ones short, save for speeds.
func (r *reader) number(key string, otherwise, most uint64) uint64 {
	v, ok := r.lookup(key)
	if !ok {
		return otherwise
	}
	n, err := parseNumber(v, most)
	if err != nil {
		r.note(r.fail("%s=%s: %v", key, v, err))
	}
	return n
}

// parseNumber reads a C integer of at most most: decimal, 0x hexadecimal or 0 octal.
func parseNumber(s string, most uint64) (uint64, error) {
	digits, base := s, 10
	switch {
	case strings.HasPrefix(s, "0x"), strings.HasPrefix(s, "0X"):
		digits, base = s[2:], 16
	case len(s) > 1 && s[0] == '0':
		digits, base = s[1:], 8
	}
	n, err := strconv.ParseUint(digits, base, 64)
	if err != nil || n > most {
		return 0, fmt.Errorf("want a number of at most %d", most)
	}
	return n, nil
}

func (r *reader) note(err error) {
	if r.err == nil {
		r.err = err
	}
}

// checkKeys refuses keys that nothing asked for and values that no table can hold.
func (r *reader) checkKeys() {
	for _, kv := range r.opt.Fields {
		if kv.Key != "type" && !slices.Contains(r.known, kv.Key) {
			r.note(r.fail("%s= is not a field of this type", kv.Key))
		}
		if strings.IndexByte(kv.Value, 0) >= 0 {
			r.note(r.fail("%s= has a NUL", kv.Key))
		}
	}
}
