package manifest

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/strictjson"
	"github.com/tdxkit/tdxkit/mr"
)

// Parse reads a statement that lists reference values. It does not ask who made it: Open does. What it refuses is a
// *bin.FormatError, or says which part of the header is wrong.
func Parse(data []byte) (*Manifest, error) {
	if len(data) > MaxStatement {
		return nil, fmt.Errorf("manifest has %d bytes, at most %d are read", len(data), MaxStatement)
	}
	m := &Manifest{SHA256: sha256.Sum256(data)}
	r := &reader{Decoder: strictjson.NewDecoder("manifest", data), m: m}
	r.statement(&m.Subjects, PredicateType, r.predicate)
	if err := r.End(); err != nil {
		return nil, err
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if err := m.resolve(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}

type field = strictjson.Field

const optional = strictjson.Optional

// A reader reads the parts of a manifest.
type reader struct {
	*strictjson.Decoder
	m *Manifest
}

// statement reads an in-toto statement with a predicate of one type.
func (r *reader) statement(subjects *[]Subject, predicateType string, predicate func()) {
	// The type of the predicate has to be known before the predicate is read: this is the one place where order counts.
	typed := false
	r.Object([]field{
		{Name: "_type", Read: func() { r.literal("_type", StatementType) }},
		{Name: "subject", Read: func() { r.Array(func() { *subjects = append(*subjects, r.subject(len(*subjects))) }) }},
		{Name: "predicateType", Read: func() { r.literal("predicateType", predicateType); typed = true }},
		{Name: "predicate", Read: func() {
			if !typed {
				r.Failf(r.Off(), "predicate", bin.ErrMalformed, "comes before predicateType")
				return
			}
			predicate()
		}},
	})
}

// literal reads a string that must be want.
func (r *reader) literal(name, want string) {
	at := r.Off()
	if s := r.String(); r.Err() == nil && s != want {
		r.Failf(at, name, bin.ErrUnsupported, "is %.80q, want %q", s, want)
	}
}

func (r *reader) subject(n int) Subject {
	var s Subject
	if n >= maxSubjects {
		r.Failf(r.Off(), "subject", bin.ErrUnsupported, "has more than %d items", maxSubjects)
		return s
	}
	r.Object([]field{
		{Name: "name", Read: func() { s.Name = r.Text("name", maxText) }},
		{Name: "digest", Read: func() {
			r.Object([]field{
				{Name: "sha256", Read: func() { r.Hex("sha256", s.SHA256[:]) }},
				{Name: "sha384", Read: func() { r.Hex("sha384", s.SHA384[:]) }},
			})
		}},
	})
	return s
}

func (r *reader) text(name string, to *string) field {
	return field{Name: name, Read: func() { *to = r.Text(name, maxText) }}
}

func (r *reader) optText(name string, to *string) field {
	f := r.text(name, to)
	f.Optional = optional
	return f
}

func (r *reader) time(name string, to *time.Time) field {
	return field{Name: name, Read: func() { *to = r.Time(name) }}
}

func (r *reader) product(p *Product) func() {
	return func() { r.Object([]field{r.text("name", &p.Name), r.text("version", &p.Version)}) }
}

func (r *reader) predicate() {
	m := r.m
	variant := r.variantReader()
	r.Object([]field{
		{Name: "product", Read: r.product(&m.Product)},
		{Name: "serial", Read: func() { m.Serial = r.Uint("serial", maxSerial) }},
		r.time("issuedAt", &m.IssuedAt),
		r.time("notBefore", &m.NotBefore),
		r.time("expires", &m.Expires),
		{Name: "tool", Read: r.product((*Product)(&m.Tool))},
		{Name: "source", Read: func() { m.Source = r.source() }, Optional: optional},
		{Name: "launch", Read: r.launch, Optional: optional},
		{Name: "policy", Read: func() { m.Policy = r.policy() }, Optional: optional},
		{Name: "variants", Read: func() {
			m.variants = make([]packed, 0, min(MaxVariants, r.Rest()/leastVariant))
			r.Array(variant)
		}},
		{Name: "platforms", Read: func() { r.Array(r.platform) }},
		{Name: "layouts", Read: func() { r.Array(r.layout) }, Optional: optional},
		{Name: "digests", Read: func() { r.digestPool() }},
	})
}

// list reads an array and refuses one with more than limit items.
func (r *reader) list(name string, limit int, item func()) {
	n := 0
	r.Array(func() {
		if n++; n > limit {
			r.Failf(r.Off(), name, bin.ErrUnsupported, "has more than %d items", limit)
			return
		}
		item()
	})
}

// variantReader returns a function that reads one variant. Its fields are made once for all variants.
func (r *reader) variantReader() func() {
	m := r.m
	var p packed
	var n int
	var listed bool // whether the variant has events
	index := func(name string) uint32 { return uint32(r.Uint(name, maxPool)) }
	fields := []field{
		{Name: "id", Read: func() { p.id = r.Text("id", maxText) }},
		{Name: "platform", Read: func() { p.platform = index("platform") }},
		{Name: "cpus", Read: func() { p.cpus = uint32(r.Uint("cpus", maxCPUs)) }},
		{Name: "memory", Read: func() { p.memory = r.Uint("memory", maxMemory) }},
		{Name: "registers", Read: func() {
			n = 0
			r.Array(func() {
				if n < len(p.registers) {
					p.registers[n] = index("registers")
				} else {
					r.Failf(r.Off(), "registers", bin.ErrMalformed, "has more than %d items", len(p.registers))
				}
				n++
			})
			if n != len(p.registers) {
				r.Failf(r.Off(), "registers", bin.ErrMalformed, "has %d items, want %d", n, len(p.registers))
			}
		}},
		{Name: "layout", Read: func() { p.layout = int32(index("layout")) }, Optional: optional},
		{Name: "events", Read: func() {
			listed = true
			r.list("events", maxEvents, func() { m.events = append(m.events, index("events")) })
		}, Optional: optional},
	}
	return func() {
		at := r.Off()
		if len(m.variants) == MaxVariants {
			r.Failf(at, "variants", bin.ErrUnsupported, "has more than %d items", MaxVariants)
		}
		p, listed = packed{layout: -1, events: len(m.events)}, false
		r.Object(fields)
		switch {
		case p.cpus == 0 || p.memory == 0:
			r.Failf(at, "variant", bin.ErrMalformed, "has no vCPUs or no memory")
		case p.layout < 0 && listed:
			r.Failf(at, "events", bin.ErrMalformed, "are listed without a layout")
		case p.layout >= 0 && !listed:
			r.Failf(at, "layout", bin.ErrMalformed, "is there without events")
		}
		m.variants = append(m.variants, p)
	}
}

func (r *reader) platform() {
	var p Platform
	if len(r.m.Platforms) == maxPool {
		r.Failf(r.Off(), "platforms", bin.ErrUnsupported, "has more than %d items", maxPool)
	}
	r.Object([]field{
		r.text("qemu", &p.QEMU), r.text("machine", &p.Machine), r.optText("devices", &p.Devices),
		{Name: "arguments", Read: func() {
			r.list("arguments", maxArguments, func() { p.Arguments = append(p.Arguments, r.String()) })
		}, Optional: optional},
		{Name: "inputs", Read: func() {
			r.list("inputs", maxSubjects, func() { p.Inputs = append(p.Inputs, int(r.Uint("inputs", maxSubjects))) })
		}},
	})
	r.m.Platforms = append(r.m.Platforms, p)
}

func (r *reader) layout() {
	var events []mr.Event
	if len(r.m.layouts) == maxPool {
		r.Failf(r.Off(), "layouts", bin.ErrUnsupported, "has more than %d items", maxPool)
	}
	r.list("layout", maxEvents, func() {
		var e mr.Event
		var rule, what string
		r.Object([]field{
			r.text("rule", &rule),
			{Name: "register", Read: func() {
				at := r.Off()
				reg, err := mr.ParseRegister(r.String())
				if e.Register = reg; r.Err() == nil && (err != nil || reg == mr.MRTD || reg == mr.RTMR3) {
					r.Failf(at, "register", bin.ErrMalformed, "is not one of rtmr0, rtmr1, rtmr2")
				}
			}},
			{Name: "type", Read: func() { e.Type = eventlog.Type(r.Uint("type", 1<<32-1)) }},
			r.text("what", &what),
		})
		e.Rule, e.Measured.What = mr.RuleID(rule), what
		events = append(events, e)
	})
	r.m.layouts = append(r.m.layouts, events)
}

// The least numbers of bytes that an item takes, to make room for many at once without believing a count.
const (
	leastVariant = 80
	leastDigest  = 99
)

func (r *reader) digestPool() {
	r.m.digests = make([]mr.Digest, 0, min(maxPool, r.Rest()/leastDigest))
	r.Array(func() {
		var d mr.Digest
		if len(r.m.digests) == maxPool {
			r.Failf(r.Off(), "digests", bin.ErrUnsupported, "has more than %d items", maxPool)
		}
		r.Hex("digests", d[:])
		r.m.digests = append(r.m.digests, d)
	})
}

// resolve checks every reference from one list into another.
func (m *Manifest) resolve() error {
	for i := range m.Platforms {
		if err := m.Platforms[i].check(m.Subjects); err != nil {
			return fmt.Errorf("platform %d: %w", i, err)
		}
	}
	if len(m.variants) == 0 {
		return fmt.Errorf("has no variants")
	}
	ids := make(map[string]struct{}, len(m.variants))
	for i := range m.variants {
		p := &m.variants[i]
		if err := m.resolveVariant(p, m.eventsEnd(i)-p.events); err != nil {
			return fmt.Errorf("variant %q: %w", p.id, err)
		}
		ids[p.id] = struct{}{}
	}
	if len(ids) < len(m.variants) {
		return fmt.Errorf("two variants have the same id")
	}
	for _, e := range m.events {
		if int(e) >= len(m.digests) {
			return fmt.Errorf("an event refers to digest %d of %d", e, len(m.digests))
		}
	}
	return nil
}

// eventsEnd is the index behind the last event of variant i in m.events.
func (m *Manifest) eventsEnd(i int) int {
	if i+1 < len(m.variants) {
		return m.variants[i+1].events
	}
	return len(m.events)
}

func (m *Manifest) resolveVariant(p *packed, events int) error {
	if int(p.platform) >= len(m.Platforms) {
		return fmt.Errorf("refers to platform %d of %d", p.platform, len(m.Platforms))
	}
	for _, d := range p.registers {
		if int(d) >= len(m.digests) {
			return fmt.Errorf("refers to digest %d of %d", d, len(m.digests))
		}
	}
	if m.digests[p.registers[mr.MRTD]] == (mr.Digest{}) {
		return fmt.Errorf("its MRTD is zero")
	}
	if p.layout < 0 {
		return nil
	}
	if int(p.layout) >= len(m.layouts) {
		return fmt.Errorf("refers to layout %d of %d", p.layout, len(m.layouts))
	}
	if want := len(m.layouts[p.layout]); events != want {
		return fmt.Errorf("has %d events, want the %d of its layout", events, want)
	}
	return nil
}
