package main

import "strings"

// amlPath returns the path of the innermost named object of a table that holds an offset. It looks for what can hold
// others (Scope, Device, Processor, Method) and is meant for people: it finds its way by lengths that fit, without
// reading everything between.
func amlPath(table []byte, off int) string {
	path := `\`
	from, to := headerSize, len(table)
	for from < to {
		name, body, end := holder(table, from, to, off)
		if body == 0 {
			break
		}
		switch {
		case strings.HasPrefix(name, `\`):
			path = name
		case path == `\`:
			path += name
		default:
			path += "." + name
		}
		from, to = body, end
	}
	return path
}

// holder finds the first object in a range that holds the offset, and where its content is.
func holder(t []byte, from, to, off int) (name string, body, end int) {
	for i := from; i <= min(off, to-2); i++ {
		at := i + 1
		switch {
		case t[i] == 0x10 || t[i] == 0x14:
		case t[i] == 0x5b && (t[i+1] == 0x82 || t[i+1] == 0x83):
			at++
		default:
			continue
		}
		length, n := pkgLength(t[at:to])
		if n == 0 || at+length > to || off >= at+length || off < at {
			continue
		}
		if name, m := amlName(t[at+n : to]); m > 0 {
			return name, at + n + m, at + length
		}
	}
	return "", 0, 0
}

// pkgLength reads a package length and returns how many bytes it takes, 0 for none.
func pkgLength(b []byte) (length, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	n = int(b[0]>>6) + 1
	if n == 1 {
		return int(b[0] & 0x3f), 1
	}
	if b[0]&0x30 != 0 || len(b) < n {
		return 0, 0
	}
	length = int(b[0] & 15)
	for i := 1; i < n; i++ {
		length |= int(b[i]) << (8*i - 4)
	}
	return length, n
}

// amlName reads a name string and returns how many bytes it takes, 0 for none.
func amlName(b []byte) (string, int) {
	n, prefix := 0, ""
	for n < len(b) && (b[n] == '\\' || b[n] == '^') {
		prefix += string(b[n])
		n++
	}
	segments := 1
	if n+1 < len(b) {
		switch b[n] {
		case 0x2e:
			segments, n = 2, n+1
		case 0x2f:
			segments, n = int(b[n+1]), n+2
		}
	}
	var names []string
	for range segments {
		if n+4 > len(b) {
			return "", 0
		}
		for i, c := range b[n : n+4] {
			if !(c == '_' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9') {
				return "", 0
			}
		}
		names = append(names, strings.TrimRight(string(b[n:n+4]), "_"))
		n += 4
	}
	return prefix + strings.Join(names, "."), n
}
