package aml

import (
	"fmt"
	"strings"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// A Kind says what an object of a definition block is, by its name in ASL.
type Kind string

// The kinds. Code stands for what is not taken apart: statements outside of methods, and all behind an opcode that is
// not known, up to the end of what encloses it.
const (
	KindScope           Kind = "Scope"
	KindDevice          Kind = "Device"
	KindProcessor       Kind = "Processor"
	KindPowerResource   Kind = "PowerResource"
	KindThermalZone     Kind = "ThermalZone"
	KindMethod          Kind = "Method"
	KindName            Kind = "Name"
	KindAlias           Kind = "Alias"
	KindExternal        Kind = "External"
	KindMutex           Kind = "Mutex"
	KindEvent           Kind = "Event"
	KindOperationRegion Kind = "OperationRegion"
	KindDataRegion      Kind = "DataTableRegion"
	KindField           Kind = "Field"
	KindIndexField      Kind = "IndexField"
	KindBankField       Kind = "BankField"
	KindCreateField     Kind = "CreateField"
	KindCode            Kind = "Code"
)

// An Object is one object of a definition block. Offsets are in bytes, from where the caller of Read counts.
type Object struct {
	Kind Kind
	Path string // from the root, without padding: \_SB.PCI0._ADR; that of the region for fields
	// Off and End are the extent of its encoding, Body is where its content starts: a scope's terms, a method's flags,
	// a name's value, what follows the name for the others.
	Off, Body, End int
	Children       []*Object // of scopes and devices
}

// Limits on a definition block. QEMU's largest, with 4096 CPUs, has 40,000 objects, five deep.
const (
	maxObjects = 1 << 20
	maxNesting = 64
)

const format = "AML"

// A reader walks one definition block.
type reader struct {
	data  []byte
	base  int // what the caller counts data[0] as
	count int
}

// Read takes the terms of a definition block apart, what follows the table's header, down to its methods, whose code it
// leaves alone. The root has the path \. Base is the offset that the caller gives the first byte. An opcode that is not
// known makes the rest of its scope KindCode; a length beyond what encloses it is a *[bin.FormatError].
// Follows ACPI 6.5, chapter 20.
func Read(block []byte, base int) (*Object, error) {
	r := &reader{data: block, base: base}
	root := &Object{Kind: KindScope, Path: `\`, Off: base, Body: base, End: base + len(block)}
	var err error
	root.Children, err = r.list(0, len(block), root.Path, 0)
	return root, err
}

// fail is an error at a position.
func (r *reader) fail(pos int, field string, category error, msg string, args ...any) error {
	return &bin.FormatError{Format: format, Off: int64(r.base + pos), Field: field, Msg: fmt.Sprintf(msg, args...), Err: category}
}

// list reads the objects between two positions.
func (r *reader) list(pos, end int, scope string, depth int) ([]*Object, error) {
	if depth > maxNesting {
		return nil, r.fail(pos, "scope", bin.ErrUnsupported, "is more than %d deep", maxNesting)
	}
	var out []*Object
	for pos < end {
		if r.count++; r.count > maxObjects {
			return nil, r.fail(pos, "object", bin.ErrUnsupported, "is one of more than %d", maxObjects)
		}
		o, next, err := r.object(pos, end, scope, depth)
		if err != nil {
			return nil, err
		}
		if o == nil {
			o, next = &Object{Kind: KindCode, Path: scope, Body: r.base + pos}, end
		}
		o.Off, o.End = r.base+pos, r.base+next
		out = append(out, o)
		pos = next
	}
	return out, nil
}

// objectOps are the opcodes of objects; those behind 0x5b have 0x5b00 added.
var objectOps = map[int]struct {
	kind     Kind
	length   bool // begins with a PkgLength
	fixed    int  // bytes behind the name
	operands int  // terms behind those bytes
	before   int  // terms in front of the name
	list     bool // holds objects
}{
	0x06:   {kind: KindAlias},
	0x08:   {kind: KindName, operands: 1},
	0x10:   {kind: KindScope, length: true, list: true},
	0x14:   {kind: KindMethod, length: true},
	0x15:   {kind: KindExternal, fixed: 2},
	0x8a:   {kind: KindCreateField, before: 2},
	0x8b:   {kind: KindCreateField, before: 2},
	0x8c:   {kind: KindCreateField, before: 2},
	0x8d:   {kind: KindCreateField, before: 2},
	0x8f:   {kind: KindCreateField, before: 2},
	0x5b01: {kind: KindMutex, fixed: 1},
	0x5b02: {kind: KindEvent},
	0x5b13: {kind: KindCreateField, before: 3},
	0x5b80: {kind: KindOperationRegion, fixed: 1, operands: 2},
	0x5b81: {kind: KindField, length: true},
	0x5b82: {kind: KindDevice, length: true, list: true},
	0x5b83: {kind: KindProcessor, length: true, fixed: 6, list: true},
	0x5b84: {kind: KindPowerResource, length: true, fixed: 3, list: true},
	0x5b85: {kind: KindThermalZone, length: true, list: true},
	0x5b86: {kind: KindIndexField, length: true},
	0x5b87: {kind: KindBankField, length: true},
	0x5b88: {kind: KindDataRegion, operands: 3},
}

// object reads one object; nil where it is not known what is there.
func (r *reader) object(pos, end int, scope string, depth int) (*Object, int, error) {
	op, next := int(r.data[pos]), pos+1
	if op == 0x5b && next < end {
		op, next = op<<8|int(r.data[next]), next+1
	}
	if op == 0xa0 || op == 0xa1 || op == 0xa2 { // If, Else, While
		_, end, err := r.pkgLength(next, end)
		return &Object{Kind: KindCode, Path: scope, Body: r.base + next}, end, err
	}
	row, ok := objectOps[op]
	if !ok {
		return nil, 0, nil
	}
	outer := end
	if row.length {
		var err error
		if next, end, err = r.pkgLength(next, end); err != nil {
			return nil, 0, err
		}
	}
	for range row.before {
		if next, ok = r.term(next, end, 0); !ok {
			return nil, 0, nil
		}
	}
	name, next, ok := r.name(next, end)
	if !ok {
		return nil, 0, nil
	}
	o := &Object{Kind: row.kind, Path: resolve(scope, name), Body: r.base + next}
	if next += row.fixed; next > end {
		return nil, 0, r.fail(pos, string(row.kind), bin.ErrTruncated, "ends within its first bytes")
	}
	if row.kind == KindAlias {
		if _, next, ok = r.name(next, end); !ok {
			return nil, 0, nil
		}
	}
	for range row.operands {
		if next, ok = r.term(next, end, 0); !ok {
			return nil, 0, nil
		}
	}
	if row.list {
		var err error
		if o.Children, err = r.list(next, end, o.Path, depth+1); err != nil {
			return nil, 0, err
		}
	}
	if row.length {
		next = end
	}
	if next > outer {
		return nil, 0, r.fail(pos, string(row.kind), bin.ErrTruncated, "reaches beyond what encloses it")
	}
	return o, next, nil
}

// pkgLength reads a PkgLength and returns where its content starts and ends (ACPI 6.5, 20.2.4).
func (r *reader) pkgLength(pos, end int) (body, next int, err error) {
	if pos >= end {
		return 0, 0, r.fail(pos, "PkgLength", bin.ErrTruncated, "is missing")
	}
	lead := r.data[pos]
	more := int(lead >> 6)
	if pos+1+more > end {
		return 0, 0, r.fail(pos, "PkgLength", bin.ErrTruncated, "needs %d bytes, %d are left", 1+more, end-pos)
	}
	n := int(lead & 0x3f)
	if more > 0 {
		n = int(lead & 0xf)
		for i := range more {
			n |= int(r.data[pos+1+i]) << (4 + 8*i)
		}
	}
	if n < 1+more || n > end-pos {
		return 0, 0, r.fail(pos, "PkgLength", bin.ErrMalformed, "is %d, want %d to %d", n, 1+more, end-pos)
	}
	return pos + 1 + more, pos + n, nil
}

// name reads a NameString in ASL's spelling (20.2.2).
func (r *reader) name(pos, end int) (string, int, bool) {
	var b strings.Builder
	for pos < end && (r.data[pos] == '\\' || r.data[pos] == '^') {
		b.WriteByte(r.data[pos])
		pos++
	}
	segments := 1
	switch {
	case pos >= end:
		return "", 0, false
	case r.data[pos] == 0:
		return b.String(), pos + 1, true
	case r.data[pos] == 0x2e:
		segments, pos = 2, pos+1
	case r.data[pos] == 0x2f:
		if pos+1 >= end {
			return "", 0, false
		}
		segments, pos = int(r.data[pos+1]), pos+2
	}
	if segments*4 > end-pos || segments == 0 {
		return "", 0, false
	}
	for i := range segments {
		seg := r.data[pos+4*i:][:4]
		for j, c := range seg {
			if !(c == '_' || c >= 'A' && c <= 'Z' || j > 0 && c >= '0' && c <= '9') {
				return "", 0, false
			}
		}
		if i > 0 {
			b.WriteByte('.')
		}
		short := strings.TrimRight(string(seg), "_")
		if short == "" {
			short = "_"
		}
		b.WriteString(short)
	}
	return b.String(), pos + 4*segments, true
}

// resolve makes a name absolute.
func resolve(scope, name string) string {
	if strings.HasPrefix(name, `\`) {
		return name
	}
	for strings.HasPrefix(name, "^") {
		name = name[1:]
		if i := strings.LastIndexByte(scope, '.'); i >= 0 {
			scope = scope[:i]
		} else {
			scope = `\`
		}
	}
	switch {
	case name == "":
		return scope
	case scope == `\`:
		return scope + name
	}
	return scope + "." + name
}

// operators are opcodes of expressions with the number of terms behind each, targets included (20.2.5.4).
var operators = map[byte]int{
	0x70: 2, 0x71: 1, 0x72: 3, 0x73: 3, 0x74: 3, 0x75: 1, 0x76: 1, 0x77: 3, 0x78: 4, 0x79: 3, 0x7a: 3, 0x7b: 3, 0x7c: 3, 0x7d: 3,
	0x7e: 3, 0x7f: 3, 0x80: 2, 0x81: 2, 0x82: 2, 0x83: 1, 0x84: 3, 0x85: 3, 0x87: 1, 0x88: 3, 0x8e: 1, 0x90: 2, 0x91: 2, 0x92: 1,
	0x93: 2, 0x94: 2, 0x95: 2, 0x96: 2, 0x97: 2, 0x98: 2, 0x99: 2,
}

// term passes over one term that is a value: a constant, a name, a local or argument, or an operator with its terms. A
// name is taken for a value, never for a call.
func (r *reader) term(pos, end, depth int) (int, bool) {
	if pos >= end || depth > maxNesting {
		return 0, false
	}
	op := r.data[pos]
	if n, ok := operators[op]; ok {
		pos++
		for range n {
			if pos, ok = r.term(pos, end, depth+1); !ok {
				return 0, false
			}
		}
		return pos, true
	}
	if op >= 0x60 && op <= 0x6e {
		return pos + 1, true
	}
	v, ok := r.value(pos, end, depth)
	return v.End - r.base, ok
}
