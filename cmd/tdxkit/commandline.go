package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/shlex"
)

const maxArgsFile = 1 << 20 // bytes of a file with a command line; Linux takes 128 KiB in one argument

// splitCommandLine reads a command line from a file's text, in one of three forms: a JSON array of strings, if it begins
// with a bracket; one argument a line, if onePerLine says so; else words as a shell splits them. Of a log of libvirt's it
// is the last start.
func splitCommandLine(name, text string) ([]string, error) {
	text = lastStart(strings.ReplaceAll(text, "\r\n", "\n"))
	trimmed := strings.TrimSpace(text)
	switch {
	case !utf8.ValidString(text):
		return nil, &inputError{msg: name + ": is not UTF-8, want a command line"}
	case strings.ContainsRune(text, 0):
		return nil, &inputError{msg: name + ": has a NUL character, want a command line"}
	case trimmed == "":
		return nil, &inputError{msg: name + ": is empty, want a command line"}
	case trimmed[0] == '[':
		var args []string
		if err := json.Unmarshal([]byte(trimmed), &args); err != nil {
			return nil, &inputError{msg: fmt.Sprintf("%s: is not a JSON array of strings: %v", name, err)}
		}
		return args, nil
	case onePerLine(trimmed):
		return strings.Split(trimmed, "\n"), nil
	}
	plain, err := shellPlain(text)
	if err != nil {
		return nil, &inputError{msg: fmt.Sprintf("%s: %v", name, err), hint: "write out what the shell would put there, or give a JSON array"}
	}
	args, err := shlex.Split(plain)
	if err != nil {
		return nil, &inputError{msg: fmt.Sprintf("%s: %v", name, err), hint: "the quotes do not match"}
	}
	return args, nil
}

// lastStart cuts the last start of a guest out of libvirt's log of it, which has other lines around the command line. Of
// other texts it returns all.
func lastStart(text string) string {
	const begin = "LC_ALL=C " // libvirt 12.8, src/qemu/qemu_command.c, by virCommandAddEnvPassCommon
	lines := strings.Split(text, "\n")
	for first := len(lines) - 1; first >= 0; first-- {
		if !strings.HasPrefix(lines[first], begin) {
			continue
		}
		last := first
		for last+1 < len(lines) && strings.HasSuffix(lines[last], `\`) {
			last++
		}
		return strings.Join(lines[first:last+1], "\n")
	}
	return text
}

// shellPlain joins continued lines and refuses what a shell would expand or act on, since that is not known here.
func shellPlain(text string) (string, error) {
	var b strings.Builder
	var quote rune // the quote that is open, 0 outside
	escaped := false
	for _, r := range text {
		switch {
		case escaped:
			escaped = false
			if r == '\n' {
				continue
			}
			b.WriteRune('\\')
		case quote != '\'' && r == '\\':
			escaped = true
			continue
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		case r == quote:
			quote = 0
		case quote != '\'' && (r == '$' || r == '`'), quote == 0 && strings.ContainsRune("|&;<>()*?~", r):
			return "", fmt.Errorf("has %q, which a shell does not pass on as it is", r)
		}
		b.WriteRune(r)
	}
	if escaped {
		return "", errors.New("ends with a backslash")
	}
	return b.String(), nil
}

// onePerLine reports whether text has one argument on each line. It has if there are several lines, none of them
// continues on the next, and every option stands alone on its line, so that its argument is the next line, whole.
func onePerLine(text string) bool {
	lines := strings.Split(text, "\n")
	for _, l := range lines {
		if l == "" || strings.HasSuffix(l, `\`) || strings.HasPrefix(l, "#") || strings.HasPrefix(l, "-") && strings.ContainsAny(l, " \t") {
			return false
		}
	}
	return len(lines) > 1 && !strings.ContainsAny(lines[0], " \t")
}

// quoteCommandLine writes a command line so that a shell, and splitCommandLine, read the same words back.
func quoteCommandLine(args []string) string {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = a
		if a == "" || strings.ContainsFunc(a, needsQuote) {
			words[i] = "'" + strings.ReplaceAll(a, "'", `'"'"'`) + "'"
		}
	}
	return strings.Join(words, " ")
}

func needsQuote(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_./,:=+@%", r))
}
