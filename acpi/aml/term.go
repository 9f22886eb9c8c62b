package aml

import "fmt"

// A Term is the encoding of an AML term: a constant, a name, an expression, an object. Terms are values; a program
// composes them.
type Term string

// Constants and the objects that every method has.
const (
	Zero  Term = "\x00"
	One   Term = "\x01"
	Ones  Term = "\xff"
	Debug Term = "\x5b\x31"

	Local0 Term = "\x60"
	Local1 Term = "\x61"
	Local2 Term = "\x62"
	Local3 Term = "\x63"
	Local4 Term = "\x64"
	Local5 Term = "\x65"
	Local6 Term = "\x66"
	Local7 Term = "\x67"

	Arg0 Term = "\x68"
	Arg1 Term = "\x69"
	Arg2 Term = "\x6a"
	Arg3 Term = "\x6b"
	Arg4 Term = "\x6c"
	Arg5 Term = "\x6d"
	Arg6 Term = "\x6e"
)

// None stands for the target of an expression whose value is not stored (NullName).
const None Term = "\x00"

// byteConsts holds the encodings of the integers below 256, two bytes each, so that Int need not allocate for them.
var byteConsts = func() string {
	var s [512]byte
	for i := range 256 {
		s[2*i], s[2*i+1] = 0x0a, byte(i)
	}
	return string(s[:])
}()

// Int returns an integer in the shortest encoding that holds it: ZeroOp, OneOp, or a byte, word, double word or
// quad word constant (ACPI 6.5, 20.2.3).
func Int(v uint64) Term {
	switch {
	case v == 0:
		return Zero
	case v == 1:
		return One
	case v <= 0xff:
		return Term(byteConsts[2*v : 2*v+2])
	case v <= 0xffff:
		return Term([]byte{0x0b, byte(v), byte(v >> 8)})
	case v <= 0xffffffff:
		return Term([]byte{0x0c, byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)})
	}
	return Term([]byte{0x0e, byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24),
		byte(v >> 32), byte(v >> 40), byte(v >> 48), byte(v >> 56)})
}

// Str returns a string constant.
func Str(s string) Term { return "\x0d" + Term(s) + "\x00" }

// Path returns a name string: "\\_SB.PCI0", "^S08.PCNT", "CSEL". A segment of fewer than four characters is filled
// with underscores (ACPI 6.5, 20.2.2).
func Path(name string) Term { return Term(appendName(nil, name)) }

// appendName appends a name string.
func appendName(dst []byte, name string) []byte {
	if isSegment(name) {
		return append(dst, name...)
	}
	for name != "" && (name[0] == '\\' || name[0] == '^') {
		dst = append(dst, name[0])
		name = name[1:]
	}
	segments := 1
	for i := range len(name) {
		if name[i] == '.' {
			segments++
		}
	}
	switch {
	case name == "":
		return append(dst, 0) // NullName
	case segments == 2:
		dst = append(dst, 0x2e) // DualNamePrefix
	case segments > 2:
		dst = append(dst, 0x2f, byte(segments)) // MultiNamePrefix
	}
	start := 0
	for i := 0; i <= len(name); i++ {
		if i == len(name) || name[i] == '.' {
			dst = appendNameSeg(dst, name[start:i])
			start = i + 1
		}
	}
	return dst
}

// isSegment reports whether a name is one segment of four characters, as most are.
func isSegment(name string) bool {
	return len(name) == 4 && name[0] != '\\' && name[0] != '^' &&
		name[0] != '.' && name[1] != '.' && name[2] != '.' && name[3] != '.'
}

// appendNameSeg appends a name segment of up to four characters.
func appendNameSeg(dst []byte, seg string) []byte {
	if len(seg) > 4 {
		panic(fmt.Sprintf("aml: internal error: the name segment %q has more than four characters", seg))
	}
	dst = append(dst, seg...)
	return append(dst, "____"[len(seg):]...)
}

// EISAID returns the integer that the compressed form of a seven-character EISA identifier makes: three letters of
// five bits each and four hexadecimal digits, big-endian (ACPI 6.5, 19.6.37).
func EISAID(id string) Term {
	if len(id) != 7 {
		panic(fmt.Sprintf("aml: internal error: the EISA identifier %q has not seven characters", id))
	}
	v := uint32(id[0]-'@')<<26 | uint32(id[1]-'@')<<21 | uint32(id[2]-'@')<<16
	for i := 3; i < 7; i++ {
		v |= uint32(hexDigit(id[i])) << (4 * (6 - i))
	}
	return Term([]byte{0x0c, byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// hexDigit returns the value of a hexadecimal digit.
func hexDigit(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

// pack returns an opcode with a PkgLength over the parts.
func pack(op Term, parts ...Term) Term {
	var b Builder
	at := b.open([]byte(op)...)
	b.Add(parts...)
	b.close(at)
	return Term(b.buf)
}

// Buffer returns DefBuffer with contents as its size and initial value.
func Buffer(contents []byte) Term {
	return pack("\x11", Int(uint64(len(contents))), Term(contents))
}

// UUID returns the buffer that the ToUUID macro makes of text such as 33DB4D5B-1FF7-401C-9657-7441C03DD766: the first
// three groups little-endian, the rest in order (ACPI 6.5, 19.6.142).
func UUID(text string) Term {
	order := [16]int{6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34}
	var v [16]byte
	for i, at := range order {
		v[i] = hexDigit(text[at])<<4 | hexDigit(text[at+1])
	}
	return Buffer(v[:])
}

// Package returns DefPackage of the elements.
func Package(elements ...Term) Term {
	return pack("\x12", append([]Term{Term([]byte{byte(len(elements))})}, elements...)...)
}

// EmptyPackage returns DefPackage of n elements without values.
func EmptyPackage(n uint8) Term { return pack("\x12", Term([]byte{n})) }

// Call returns a method invocation as an expression.
func Call(method string, args ...Term) Term {
	dst := appendName(nil, method)
	for _, a := range args {
		dst = append(dst, a...)
	}
	return Term(dst)
}

// Logical operators (ACPI 6.5, 20.2.5.4).

// LAnd returns "a && b".
func LAnd(a, b Term) Term { return "\x90" + a + b }

// LOr returns "a || b".
func LOr(a, b Term) Term { return "\x91" + a + b }

// LNot returns "!a".
func LNot(a Term) Term { return "\x92" + a }

// LEqual returns "a == b".
func LEqual(a, b Term) Term { return "\x93" + a + b }

// LGreater returns "a > b".
func LGreater(a, b Term) Term { return "\x94" + a + b }

// LLess returns "a < b".
func LLess(a, b Term) Term { return "\x95" + a + b }

// LGreaterEqual returns "a >= b", which AML spells as not less.
func LGreaterEqual(a, b Term) Term { return "\x92\x95" + a + b }

// Arithmetic and conversions. Each has a target, which may be None.

// Add returns "target = a + b".
func Add(a, b, target Term) Term { return "\x72" + a + b + target }

// Concatenate joins two buffers or strings.
func Concatenate(a, b, target Term) Term { return "\x73" + a + b + target }

// Subtract returns "target = a - b".
func Subtract(a, b, target Term) Term { return "\x74" + a + b + target }

// ShiftLeft returns "target = a << b".
func ShiftLeft(a, b, target Term) Term { return "\x79" + a + b + target }

// ShiftRight returns "target = a >> b".
func ShiftRight(a, b, target Term) Term { return "\x7a" + a + b + target }

// And returns "target = a & b".
func And(a, b, target Term) Term { return "\x7b" + a + b + target }

// Or returns "target = a | b".
func Or(a, b, target Term) Term { return "\x7d" + a + b + target }

// ToBuffer converts to a buffer.
func ToBuffer(a, target Term) Term { return "\x96" + a + target }

// ToHexString converts to a string of hexadecimal digits.
func ToHexString(a, target Term) Term { return "\x98" + a + target }

// ToInteger converts to an integer.
func ToInteger(a, target Term) Term { return "\x99" + a + target }

// References.

// DerefOf returns what a reference refers to.
func DerefOf(a Term) Term { return "\x83" + a }

// SizeOf returns the size of an object.
func SizeOf(a Term) Term { return "\x87" + a }

// Index returns "source [index]" as a reference.
func Index(source, index Term) Term { return "\x88" + source + index + None }

// ObjectType returns the type of an object.
func ObjectType(a Term) Term { return "\x8e" + a }
