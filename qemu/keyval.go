package qemu

import (
	"math/bits"
	"strconv"
	"strings"
)

// maxArgs bounds a command line: QEMU's own are a few hundred arguments long.
const maxArgs = 1 << 14

// maxArgLen bounds one argument, in bytes; Linux passes at most 128 KiB in one.
const maxArgLen = 1 << 17

// props are the key=value pairs of an option in command-line order. As in QEMU, the last of equal keys holds.
type props []KeyValue

// get returns the value of key and whether it is there.
func (p props) get(key string) (string, bool) {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i].Key == key {
			return p[i].Value, true
		}
	}
	return "", false
}

// str returns the value of key, or "".
func (p props) str(key string) string {
	v, _ := p.get(key)
	return v
}

// set makes key hold value.
func (p props) set(key, value string) props {
	return append(p, KeyValue{key, value})
}

// asMap returns the pairs that hold.
func (p props) asMap() map[string]string {
	m := make(map[string]string, len(p))
	for _, kv := range p {
		m[kv.Key] = kv.Value
	}
	return m
}

// value reads one value of a comma-separated option: up to a comma, where two commas stand for one. rest starts behind
// the comma; more says that there was one.
func value(s string) (v, rest string, more bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == ',' {
			if i+1 < len(s) && s[i+1] == ',' {
				i++
			} else {
				return b.String(), s[i+1:], true
			}
		}
		b.WriteByte(s[i])
	}
	return b.String(), "", false
}

// parseProps splits arg as QEMU's option parser does: a first word without '=' is the value of implied where the option
// has such a key, any other word w is w=on, or x=off where w is "nox".
// Follows QEMU 10.2, util/qemu-option.c, get_opt_name_value and opts_do_parse.
func parseProps(arg, implied string) props {
	var out props
	for first, more := true, arg != ""; more; first = false {
		eq, comma := strings.IndexByte(arg, '='), strings.IndexByte(arg, ',')
		if eq >= 0 && (comma < 0 || eq < comma) {
			key := arg[:eq]
			var v string
			v, arg, more = value(arg[eq+1:])
			out = append(out, KeyValue{key, v})
		} else {
			var w string
			w, arg, more = value(arg)
			switch {
			case first && implied != "":
				out = append(out, KeyValue{implied, w})
			case w == "": // a stray comma
			case len(w) > 2 && strings.HasPrefix(w, "no"):
				out = append(out, KeyValue{w[2:], "off"})
			default:
				out = append(out, KeyValue{w, "on"})
			}
		}
		if arg == "" {
			more = false
		}
	}
	return out
}

// parseBool reads a QEMU boolean. Follows QEMU 10.2, qapi/qapi-util.c, qapi_bool_parse.
func parseBool(v string) (bool, bool) {
	switch v {
	case "on", "yes", "true", "y":
		return true, true
	case "off", "no", "false", "n":
		return false, true
	}
	return false, false
}

// parseInt reads a C integer: decimal, 0x hexadecimal or 0 octal.
func parseInt(v string) (int64, bool) {
	if strings.ContainsAny(v, "_bBoO") && !strings.HasPrefix(v, "0x") && !strings.HasPrefix(v, "0X") || strings.Contains(v, "_") {
		return 0, false
	}
	n, err := strconv.ParseInt(v, 0, 64)
	return n, err == nil
}

// parseUint reads a C unsigned integer.
func parseUint(v string) (uint64, bool) {
	if n, ok := parseInt(v); ok && n >= 0 {
		return uint64(n), true
	}
	if strings.HasPrefix(v, "-") || strings.Contains(v, "_") || strings.ContainsAny(v, "oO") {
		return 0, false
	}
	n, err := strconv.ParseUint(v, 0, 64)
	return n, err == nil
}

// suffixShift returns the scale of a size suffix as a power of two, or -1.
func suffixShift(c byte) int {
	const letters = "BKMGTPE"
	if c >= 'a' && c <= 'z' {
		c -= 'a' - 'A'
	}
	if i := strings.IndexByte(letters, c); i >= 0 {
		return 10 * i
	}
	return -1
}

// parseSize reads a size with an optional suffix of B, K, M, G, T, P or E, and a decimal fraction. A number without
// suffix counts bytes; hexadecimal numbers have neither suffix nor fraction.
// Follows QEMU 10.2, util/cutils.c, do_strtosz.
func parseSize(v string) (uint64, bool) {
	if strings.HasPrefix(v, "0x") || strings.HasPrefix(v, "0X") {
		n, err := strconv.ParseUint(v[2:], 16, 64)
		return n, err == nil
	}
	if v == "" {
		return 0, false
	}
	shift := 0
	if s := suffixShift(v[len(v)-1]); s >= 0 {
		shift, v = s, v[:len(v)-1]
	}
	whole, frac, point := strings.Cut(v, ".")
	if whole == "" && frac == "" {
		return 0, false
	}
	var n uint64
	var err error
	if whole != "" {
		if n, err = strconv.ParseUint(whole, 10, 64); err != nil {
			return 0, false
		}
	}
	var f float64
	if point && frac != "" {
		if strings.Trim(frac, "0123456789") != "" {
			return 0, false
		}
		if f, err = strconv.ParseFloat("0."+frac, 64); err != nil {
			return 0, false
		}
	}
	if f == 1 {
		return scale(n+1, 0, shift)
	}
	if f != 0 && shift == 0 {
		return 0, false
	}
	return scale(n, f, shift)
}

// scale returns (n+f) << shift, rounding a half upward, and whether it fits.
func scale(n uint64, f float64, shift int) (uint64, bool) {
	hi, lo := bits.Mul64(n, 1<<shift)
	fh, fl := bits.Mul64(uint64(f*(1<<64)), 1<<shift)
	lo, c := bits.Add64(lo, fh, 0)
	hi += c
	lo, c = bits.Add64(lo, fl>>63, 0)
	hi += c
	return lo, hi == 0
}
