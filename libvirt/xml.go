package libvirt

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// Limits on a document. libvirt's own writer makes some 30 KiB, ten levels and a thousand elements for a guest with
// every slot filled.
const (
	maxXML      = 4 << 20 // bytes; libvirt takes at most 16 MiB over its own protocol
	maxElements = 1 << 16
	maxDepth    = 64
)

const format = "libvirt domain XML"

// qemuNS is the namespace of <qemu:commandline> and its like; libvirt, src/qemu/qemu_domain.c, virQEMUDriverDomainXMLNamespace.
const qemuNS = "http://libvirt.org/schemas/domain/qemu/1.0"

// An element is one element of the document. What the translation has not looked at in the end is held against the
// table of what cannot reach a guest.
type element struct {
	d        *document
	name     string // "qemu:arg" for those of QEMU's namespace
	path     string // from below the root, "devices/disk/target"
	off      int64  // of its start tag, in bytes
	attrs    []attr
	children []*element
	text     string
	seen     bool
}

type attr struct {
	name, value string
	seen        bool
}

// A document carries the first failure of a translation: readers return zero values after it.
type document struct {
	root *element
	err  error
}

// fail records the first failure.
func (e *element) fail(field string, category error, msg string, args ...any) {
	if e.d.err != nil {
		return
	}
	where := e.path
	if field != "" {
		where += "@" + field
	}
	e.d.err = &bin.FormatError{Format: format, Off: e.off, Field: where, Msg: fmt.Sprintf(msg, args...), Err: category}
}

func (e *element) malformed(field, msg string, args ...any) {
	e.fail(field, bin.ErrMalformed, msg, args...)
}

func (e *element) unsupported(field, msg string, args ...any) {
	e.fail(field, bin.ErrUnsupported, msg, args...)
}

// parse reads a document into a tree. It refuses document types, entities of its own, processing instructions, a
// second root, repeated attributes, and what exceeds the limits.
func parse(data []byte) (*document, error) {
	d := &document{}
	bad := func(off int64, field string, category error, msg string, args ...any) error {
		return &bin.FormatError{Format: format, Off: off, Field: field, Msg: fmt.Sprintf(msg, args...), Err: category}
	}
	if len(data) > maxXML {
		return nil, bad(maxXML, "document", bin.ErrUnsupported, "has %d bytes, at most %d are read", len(data), maxXML)
	}
	dec := xml.NewDecoder(bytes.NewReader(data))
	var open []*element
	count := 0
	for {
		off := dec.InputOffset()
		t, err := dec.Token()
		if errors.Is(err, io.EOF) && err == io.EOF {
			break
		}
		var syntax *xml.SyntaxError
		if errors.As(err, &syntax) {
			category := bin.ErrMalformed
			if strings.Contains(syntax.Msg, "unexpected EOF") {
				category = bin.ErrTruncated
			}
			return nil, bad(dec.InputOffset(), "document", category, "line %d: %s", syntax.Line, syntax.Msg)
		}
		if err != nil {
			return nil, bad(dec.InputOffset(), "document", bin.ErrMalformed, "%v", err)
		}
		switch t := t.(type) {
		case xml.Directive:
			return nil, bad(off, "document", bin.ErrMalformed, "has a document type or another directive, which libvirt writes none of")
		case xml.ProcInst:
			if t.Target != "xml" || len(open) > 0 || d.root != nil {
				return nil, bad(off, "document", bin.ErrMalformed, "has the processing instruction %q", t.Target)
			}
		case xml.StartElement:
			if count++; count > maxElements || len(open) >= maxDepth {
				return nil, bad(off, "document", bin.ErrUnsupported, "has more than %d elements or %d levels", maxElements, maxDepth)
			}
			if len(open) == 0 && d.root != nil {
				return nil, bad(off, t.Name.Local, bin.ErrMalformed, "is a second root")
			}
			var parent *element
			if len(open) > 0 {
				parent = open[len(open)-1]
			}
			e, err := newElement(d, parent, t, off)
			if err != nil {
				return nil, err
			}
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text += string(t)
			} else if len(bytes.TrimSpace(t)) > 0 {
				return nil, bad(off, "document", bin.ErrMalformed, "has text outside of its root")
			}
		}
	}
	if d.root == nil {
		return nil, bad(0, "document", bin.ErrTruncated, "is empty, want <domain>")
	}
	return d, nil
}

// newElement adds an element to the tree.
func newElement(d *document, parent *element, t xml.StartElement, off int64) (*element, error) {
	e := &element{d: d, name: t.Name.Local, off: off}
	inMetadata := parent != nil && (parent.path == "metadata" || strings.HasPrefix(parent.path, "metadata/"))
	switch {
	case t.Name.Space == qemuNS:
		e.name = "qemu:" + t.Name.Local
	case t.Name.Space != "":
		e.name = "{" + t.Name.Space + "}" + t.Name.Local
	}
	switch {
	case parent == nil:
		d.root = e
	case parent == d.root:
		e.path = e.name
	default:
		e.path = parent.path + "/" + e.name
	}
	if parent != nil {
		parent.children = append(parent.children, e)
	} else {
		e.path = e.name
	}
	for _, a := range t.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		name := a.Name.Local
		if a.Name.Space != "" {
			name = "{" + a.Name.Space + "}" + name
		}
		if !inMetadata && slices.ContainsFunc(e.attrs, func(o attr) bool { return o.name == name }) {
			return nil, &bin.FormatError{Format: format, Off: off, Field: e.path + "@" + name, Msg: "is there twice", Err: bin.ErrMalformed}
		}
		e.attrs = append(e.attrs, attr{name: name, value: a.Value})
	}
	return e, nil
}

// one returns the only child of a name, or nil. More than one is a failure.
func (e *element) one(name string) *element {
	var found *element
	for _, c := range e.all(name) {
		if found != nil {
			c.malformed("", "is there twice")
			return found
		}
		found = c
	}
	return found
}

// all returns the children of a name.
func (e *element) all(name string) []*element {
	var out []*element
	if e == nil {
		return nil
	}
	for _, c := range e.children {
		if c.name == name {
			c.seen = true
			out = append(out, c)
		}
	}
	return out
}

// content returns an element's text, "" for nil.
func (e *element) content() string {
	if e == nil {
		return ""
	}
	return strings.TrimSpace(e.text)
}

// get returns an attribute and whether it is there.
func (e *element) get(name string) (string, bool) {
	if e == nil {
		return "", false
	}
	for i := range e.attrs {
		if e.attrs[i].name == name {
			e.attrs[i].seen = true
			return e.attrs[i].value, true
		}
	}
	return "", false
}

// attr returns an attribute, or "".
func (e *element) attr(name string) string {
	v, _ := e.get(name)
	return v
}

// word returns an attribute that must be one of some words, or "" where it is missing.
func (e *element) word(name string, words ...string) string {
	v, ok := e.get(name)
	if ok && !slices.Contains(words, v) {
		e.unsupported(name, "is %q, want %s", v, strings.Join(words, ", "))
	}
	return v
}

// onOff returns a boolean attribute that is written as on and off, or nil where it is missing.
func (e *element) onOff(name string) any { return e.boolean(name, "on", "off") }

// yesNo is onOff for yes and no.
func (e *element) yesNo(name string) any { return e.boolean(name, "yes", "no") }

func (e *element) boolean(name, yes, no string) any {
	switch v, ok := e.get(name); {
	case !ok:
		return nil
	case v == yes:
		return true
	case v != no:
		e.malformed(name, "is %q, want %s or %s", v, yes, no)
	}
	return false
}

// number returns an unsigned attribute, decimal or hexadecimal with 0x, or nil where it is missing.
func (e *element) number(name string) any {
	v, ok := e.get(name)
	if !ok {
		return nil
	}
	return e.parseUint(name, v)
}

// need is number for one that must be there.
func (e *element) need(name string) uint64 {
	v, ok := e.get(name)
	if !ok {
		e.malformed(name, "is missing")
		return 0
	}
	return e.parseUint(name, v)
}

func (e *element) parseUint(field, v string) uint64 {
	digits, base := v, 10
	if hex, ok := strings.CutPrefix(strings.ToLower(v), "0x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 64)
	if err != nil {
		e.malformed(field, "is %q, want a number", v)
	}
	return n
}

// kibibytes returns an element's size, which has a unit of its own and is counted in KiB without, rounded up to KiB.
// libvirt 11.3, src/util/virutil.c, virScaleInteger, and src/conf/domain_conf.c, virDomainParseMemory.
func (e *element) kibibytes() uint64 {
	if e == nil {
		return 0
	}
	return e.scaled("", e.content(), e.attr("unit"))
}

// scaled is kibibytes for a text and a unit.
func (e *element) scaled(field, text, unit string) uint64 {
	n := e.parseUint(field, text)
	scale := uint64(1)
	u := strings.ToLower(unit)
	switch {
	case u == "":
		scale = 1024
	case u == "b" || u == "byte" || u == "bytes":
	default:
		power := strings.IndexByte("kmgtpe", u[0]) + 1
		base := uint64(1024)
		if len(u) == 2 && u[1] == 'b' {
			base = 1000
		} else if len(u) > 1 && u[1:] != "ib" {
			power = 0
		}
		if power == 0 {
			e.malformed("unit", "is %q, want KiB, MiB, GiB or TiB", unit)
		}
		for range power {
			scale *= base
		}
	}
	const most = 1 << 52 // bytes, what a guest can address
	if n > most/scale {
		e.malformed(field, "is %s %s, at most 52 bits of bytes are read", text, unit)
		return 0
	}
	return (n*scale + 1023) / 1024
}

// checkSeen refuses what the translation did not look at, unless the table says that it cannot reach a guest.
func (e *element) checkSeen() {
	for _, a := range e.attrs {
		if !a.seen && !isHarmless(e.path+"@"+a.name) {
			e.unsupported(a.name, "is not known, and may change what the guest sees")
		}
	}
	for _, c := range e.children {
		switch {
		case isHarmless(c.path):
		case !c.seen:
			c.unsupported("", "is not known, and may change what the guest sees")
		default:
			c.checkSeen()
		}
	}
}
