package qemu

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What is wrong with a command line, for callers that branch.
var (
	ErrUsage       = errors.New("not what QEMU takes")     // a value that QEMU itself refuses
	ErrUnknown     = errors.New("not known")               // an option, device, property or release that no table has
	ErrUnsupported = errors.New("cannot be measured here") // known, and known to be out of reach
)

// An OptionError says which option of a command line cannot be read.
type OptionError struct {
	Option string // as on the command line, with its dash: "-device"
	Arg    string // its argument, "" where it has none
	Msg    string // what is wrong
	Hint   string // what to try, "" where there is nothing to say
	Err    error  // ErrUsage, ErrUnknown or ErrUnsupported
}

// Error names the option, what is wrong with it and the hint.
func (e *OptionError) Error() string {
	s := e.Option
	if e.Arg != "" {
		s += " " + shorten(e.Arg)
	}
	s += ": " + e.Msg
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Unwrap returns the category.
func (e *OptionError) Unwrap() error { return e.Err }

// shorten keeps an error on one readable line.
func shorten(s string) string {
	const most = 120
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
	if len(s) > most {
		s = s[:most] + "..."
	}
	return s
}

func usageErr(option, arg, format string, a ...any) error {
	return &OptionError{Option: option, Arg: arg, Msg: fmt.Sprintf(format, a...), Err: ErrUsage}
}

// usageHint is usageErr with what to try.
func usageHint(option, arg, msg, hint string) error {
	return &OptionError{Option: option, Arg: arg, Msg: msg, Hint: hint, Err: ErrUsage}
}

func unknownErr(option, arg, msg, hint string) error {
	return &OptionError{Option: option, Arg: arg, Msg: msg, Hint: hint, Err: ErrUnknown}
}

func unsupportedErr(option, arg, format string, a ...any) error {
	return &OptionError{Option: option, Arg: arg, Msg: fmt.Sprintf(format, a...), Err: ErrUnsupported}
}

// nearest returns a hint with the known names that look most like name, or "".
func nearest(name string, known []string) string {
	if len(name) > 64 {
		return ""
	}
	type near struct {
		name string
		d    int
	}
	var all []near
	for _, k := range known {
		d := distance(strings.ToLower(name), strings.ToLower(k))
		if strings.HasPrefix(k, name) || strings.HasPrefix(name, k) {
			d = min(d, 2)
		}
		if d <= 1+len(name)/3 {
			all = append(all, near{k, d})
		}
	}
	slices.SortStableFunc(all, func(a, b near) int { return a.d - b.d })
	var names []string
	for _, n := range all[:min(3, len(all))] {
		names = append(names, n.name)
	}
	if names == nil {
		return ""
	}
	return "did you mean " + strings.Join(names, ", ") + "?"
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diag
			if a[i] != b[j] {
				d++
			}
			diag = row[j+1]
			row[j+1] = min(d, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
