package manifest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/tdxkit/tdxkit/internal/strictjson"
	"github.com/tdxkit/tdxkit/mr"
)

// A Writer writes a statement as its variants come. It keeps what variants refer to (digests, platforms, layouts of
// events), each once, and writes it after the last variant; the variants themselves it does not keep, but for their IDs.
// The same header and variants in the same order make the same bytes.
type Writer struct {
	w    io.Writer
	buf  []byte
	err  error
	head *Header

	digests   pool[mr.Digest]
	platforms pool[string]
	layouts   pool[string]
	ids       map[string]bool
	recent    *Platform // that of the last variant
	recentNo  int       // its number
	scratch   []byte
}

// A pool numbers distinct values in the order in which they come.
type pool[T comparable] struct {
	index map[T]int
	list  []T
}

func (p *pool[T]) add(v T) int {
	if i, ok := p.index[v]; ok {
		return i
	}
	if p.index == nil {
		p.index = map[T]int{}
	}
	p.index[v] = len(p.list)
	p.list = append(p.list, v)
	return len(p.list) - 1
}

// flushAt is how many bytes are gathered before they are written.
const flushAt = 64 << 10

// NewWriter starts a statement. The header is checked as a reader would check it.
func NewWriter(w io.Writer, h *Header) (*Writer, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	out := &Writer{w: w, head: h, ids: map[string]bool{}}
	out.buf = appendHeader(make([]byte, 0, flushAt+4096), h)
	out.buf = append(out.buf, `,"variants":[`...)
	return out, nil
}

// Add writes one variant.
func (w *Writer) Add(v *Variant) error {
	if w.err == nil {
		w.err = w.add(v)
	}
	return w.err
}

func (w *Writer) add(v *Variant) error {
	switch {
	case checkText(v.ID) != nil:
		return fmt.Errorf("variant %q: its ID %w", v.ID, checkText(v.ID))
	case w.ids[v.ID]:
		return fmt.Errorf("variant %q occurs twice", v.ID)
	case v.Platform == nil:
		return fmt.Errorf("variant %q has no platform", v.ID)
	case v.CPUs < 1 || v.CPUs > maxCPUs:
		return fmt.Errorf("variant %q has %d vCPUs, want 1 to %d", v.ID, v.CPUs, maxCPUs)
	case v.Memory == 0 || v.Memory > maxMemory:
		return fmt.Errorf("variant %q has %d bytes of memory, want 1 to %d", v.ID, v.Memory, uint64(maxMemory))
	case v.Registers[mr.MRTD] == mr.Digest{}:
		return fmt.Errorf("variant %q has no MRTD", v.ID)
	case len(w.ids) == MaxVariants:
		return fmt.Errorf("variant %q is one more than the %d that a manifest may have", v.ID, MaxVariants)
	case len(v.Events) > maxEvents:
		return fmt.Errorf("variant %q has %d events, want at most %d", v.ID, len(v.Events), maxEvents)
	}
	if err := v.CheckEvents(); err != nil {
		return err
	}
	platform, err := w.platform(v.Platform)
	if err != nil {
		return fmt.Errorf("variant %q: %w", v.ID, err)
	}
	if len(w.ids) > 0 {
		w.buf = append(w.buf, ',')
	}
	w.ids[v.ID] = true
	b := append(w.buf, "\n{\"id\":"...)
	b = appendString(b, v.ID)
	b = strconv.AppendInt(append(b, `,"platform":`...), int64(platform), 10)
	b = strconv.AppendInt(append(b, `,"cpus":`...), int64(v.CPUs), 10)
	b = strconv.AppendUint(append(b, `,"memory":`...), v.Memory, 10)
	b = append(b, `,"registers":[`...)
	for i, d := range v.Registers {
		b = appendIndex(b, i, w.digests.add(d))
	}
	b = append(b, ']')
	if v.Events != nil {
		b = strconv.AppendInt(append(b, `,"layout":`...), int64(w.layout(v.Events)), 10)
		b = append(b, `,"events":[`...)
		for i := range v.Events {
			b = appendIndex(b, i, w.digests.add(v.Events[i].Measured.Digest))
		}
		b = append(b, ']')
	}
	w.buf = append(b, '}')
	return w.flush(flushAt)
}

func appendIndex(b []byte, i, n int) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	return strconv.AppendInt(b, int64(n), 10)
}

// platform returns the number of a platform.
func (w *Writer) platform(p *Platform) (int, error) {
	if p == w.recent {
		return w.recentNo, nil
	}
	if err := p.check(w.head.Subjects); err != nil {
		return 0, err
	}
	w.recent, w.recentNo = p, w.platforms.add(string(appendPlatform(nil, p)))
	return w.recentNo, nil
}

// layout returns the number of the events' layout.
func (w *Writer) layout(events []mr.Event) int {
	w.scratch = appendLayout(w.scratch[:0], events)
	if i, ok := w.layouts.index[string(w.scratch)]; ok {
		return i
	}
	return w.layouts.add(string(w.scratch))
}

// flush writes what is gathered, if it is at least min bytes.
func (w *Writer) flush(min int) error {
	if len(w.buf) < min {
		return nil
	}
	_, err := w.w.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// Close ends the statement. A statement without variants is an error. It does not close the underlying writer.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	if len(w.ids) == 0 {
		w.err = errors.New("the manifest has no variants")
		return w.err
	}
	w.buf = append(w.buf, "\n]"...)
	w.buf = appendRaw(append(w.buf, `,"platforms":[`...), w.platforms.list)
	if len(w.layouts.list) > 0 {
		w.buf = appendRaw(append(w.buf, `,"layouts":[`...), w.layouts.list)
	}
	w.buf = append(w.buf, `,"digests":[`...)
	for i := range w.digests.list {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.buf = append(w.buf, "\n\""...)
		w.buf = append(hex.AppendEncode(w.buf, w.digests.list[i][:]), '"')
		if err := w.flush(flushAt); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, "\n]}}\n"...)
	w.err = w.flush(0)
	return w.err
}

// appendRaw appends items that are JSON already, a line each, and closes the array.
func appendRaw(b []byte, items []string) []byte {
	for i, s := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, '\n'), s...)
	}
	return append(b, "\n]"...)
}

// appendString appends s as a JSON string. Text that passed checkText needs no other escapes.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// An object is a JSON object under construction: members whose values are absent are left out.
type object struct {
	b     []byte
	start int
}

func openObject(b []byte) *object { return &object{append(b, '{'), len(b) + 1} }

func (o *object) key(name string) []byte {
	if len(o.b) > o.start {
		o.b = append(o.b, ',')
	}
	return append(append(append(o.b, '"'), name...), "\":"...)
}

func (o *object) str(name, s string) { o.b = appendString(o.key(name), s) }
func (o *object) uint(name string, n uint64) {
	o.b = strconv.AppendUint(o.key(name), n, 10)
}
func (o *object) hex(name string, v []byte) {
	o.b = append(hex.AppendEncode(append(o.key(name), '"'), v), '"')
}
func (o *object) time(name string, t time.Time) { o.str(name, t.UTC().Format(strictjson.TimeForm)) }
func (o *object) opt(name, s string) {
	if s != "" {
		o.str(name, s)
	}
}
func (o *object) raw(name string, f func(b []byte) []byte) { o.b = f(o.key(name)) }
func (o *object) close() []byte                            { return append(o.b, '}') }

// appendList appends an array of values.
func appendList[T any](b []byte, list []T, item func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = item(b, v)
	}
	return append(b, ']')
}

func appendDigest(b []byte, d mr.Digest) []byte {
	return append(hex.AppendEncode(append(b, '"'), d[:]), '"')
}

func appendLayout(b []byte, events []mr.Event) []byte {
	return appendList(b, events, func(b []byte, e mr.Event) []byte {
		o := openObject(b)
		o.str("rule", string(e.Rule))
		o.str("register", e.Register.String())
		o.uint("type", uint64(e.Type))
		o.str("what", e.Measured.What)
		return o.close()
	})
}

func appendPlatform(b []byte, p *Platform) []byte {
	o := openObject(b)
	o.str("qemu", p.QEMU)
	o.str("machine", p.Machine)
	o.opt("devices", p.Devices)
	if len(p.Arguments) > 0 {
		o.raw("arguments", func(b []byte) []byte { return appendList(b, p.Arguments, appendString) })
	}
	o.raw("inputs", func(b []byte) []byte {
		return appendList(b, p.Inputs, func(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) })
	})
	return o.close()
}

// Append returns the statement of a header and variants; it is what a Writer writes.
func Append(h *Header, variants []Variant) ([]byte, error) {
	var b bytes.Buffer
	w, err := NewWriter(&b, h)
	if err != nil {
		return nil, err
	}
	for i := range variants {
		if err := w.Add(&variants[i]); err != nil {
			return nil, err
		}
	}
	err = w.Close()
	return b.Bytes(), err
}

// check looks at a platform's fields.
func (p *Platform) check(subjects []Subject) error {
	for _, f := range [][2]string{{"QEMU release", p.QEMU}, {"machine type", p.Machine}} {
		if err := checkText(f[1]); err != nil {
			return fmt.Errorf("the platform's %s %w", f[0], err)
		}
	}
	if p.Devices != "" && checkText(p.Devices) != nil {
		return fmt.Errorf("the platform's set of devices %w", checkText(p.Devices))
	}
	if len(p.Arguments) > maxArguments {
		return fmt.Errorf("the platform has %d arguments, want at most %d", len(p.Arguments), maxArguments)
	}
	for _, a := range p.Arguments {
		if err := checkText(a); a != "" && err != nil {
			return fmt.Errorf("the platform's argument %q %w", a, err)
		}
	}
	return checkInputs(p.Inputs, subjects)
}

// checkInputs asks for a firmware, and for at most one subject of each role.
func checkInputs(inputs []int, subjects []Subject) error {
	seen := map[string]bool{}
	for i, n := range inputs {
		if n < 0 || n >= len(subjects) {
			return fmt.Errorf("the platform's input %d is none of the %d subjects", n, len(subjects))
		}
		role := subjects[n].Role()
		switch {
		case !slices.Contains(Roles, role):
			return fmt.Errorf("the platform's input %q has no role, want one of %v", subjects[n].Name, Roles)
		case seen[role]:
			return fmt.Errorf("the platform has two inputs of role %s", role)
		case i > 0 && n <= inputs[i-1]:
			return errors.New("the platform's inputs are not in order")
		}
		seen[role] = true
	}
	if !seen["firmware"] {
		return errors.New("the platform has no firmware among its inputs")
	}
	return nil
}
