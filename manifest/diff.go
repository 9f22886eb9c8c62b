package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tdxkit/tdxkit/mr"
)

// A Diff says what moved from one manifest to another.
type Diff struct {
	Header  []string // what differs beside inputs and variants, one sentence each
	Inputs  []InputChange
	Moves   []Move   // which registers and events moved, for which shapes
	Same    int      // shapes whose registers did not move
	Added   []string // IDs of variants whose shape only the second manifest has
	Removed []string // IDs of variants whose shape only the first has
}

// An InputChange is a subject that differs; one side is nil where it was added or removed.
type InputChange struct {
	Name     string
	Old, New *Subject
}

// A Move is what moved alike for a number of shapes.
type Move struct {
	Registers []mr.Register
	Events    []EventMove // empty where one of the manifests does not list events
	Variants  []string    // IDs in the second manifest, in its order
}

// An EventMove is one event that moved.
type EventMove struct {
	Kind     mr.DeltaKind
	Register mr.Register
	Rule     mr.RuleID
	What     string
}

// A shape is what two releases' variants are paired by.
type shape struct {
	qemu, devices string
	inputs        string // the names of what is booted, which tell images apart
	cpus          int
	memory        uint64
	number        int // of several of the same shape
}

func shapesOf(m *Manifest) ([]shape, map[shape]int) {
	list, index, count := make([]shape, m.Len()), make(map[shape]int, m.Len()), map[shape]int{}
	for i := range m.variants {
		p := &m.variants[i]
		plat := &m.Platforms[p.platform]
		s := shape{qemu: plat.QEMU, devices: plat.Devices, inputs: m.inputNames(plat), cpus: int(p.cpus), memory: p.memory}
		alike := s
		s.number = count[alike]
		count[alike]++
		list[i], index[s] = s, i
	}
	return list, index
}

// inputNames joins the names of a platform's inputs, which have no line breaks.
func (m *Manifest) inputNames(p *Platform) string {
	names := make([]string, len(p.Inputs))
	for i, n := range p.Inputs {
		names[i] = m.Subjects[n].Name
	}
	return strings.Join(names, "\n")
}

// Compare returns what moved from a to b. Variants are paired by their shape: QEMU release, set of devices, vCPUs and
// memory, and by the names of the inputs that they boot.
func Compare(a, b *Manifest) *Diff {
	d := &Diff{Header: compareHeaders(&a.Header, &b.Header), Inputs: compareInputs(&a.Header, &b.Header)}
	olds, oldIndex := shapesOf(a)
	news, newIndex := shapesOf(b)
	for i, s := range olds {
		if _, ok := newIndex[s]; !ok {
			d.Removed = append(d.Removed, a.variants[i].id)
		}
	}
	moves := map[string]*Move{}
	var order []string
	for i, s := range news {
		old, ok := oldIndex[s]
		if !ok {
			d.Added = append(d.Added, b.variants[i].id)
			continue
		}
		if b.has(i, a.Registers(old)) {
			d.Same++
			continue
		}
		move := compareVariants(a.Variant(old), b.Variant(i))
		key := fmt.Sprint(move.Registers, move.Events)
		if moves[key] == nil {
			moves[key] = &move
			order = append(order, key)
		}
		moves[key].Variants = append(moves[key].Variants, b.variants[i].id)
	}
	for _, k := range order {
		d.Moves = append(d.Moves, *moves[k])
	}
	slices.SortStableFunc(d.Moves, func(x, y Move) int { return cmp.Compare(len(y.Variants), len(x.Variants)) })
	return d
}

func compareVariants(a, b Variant) Move {
	var m Move
	for r := range a.Registers {
		if a.Registers[r] != b.Registers[r] {
			m.Registers = append(m.Registers, mr.Register(r))
		}
	}
	if a.Events == nil || b.Events == nil {
		return m
	}
	for _, delta := range mr.Diff(a.Events, b.Events) {
		e := delta.Got
		if e == nil {
			e = delta.Want
		}
		m.Events = append(m.Events, EventMove{delta.Kind, e.Register, e.Rule, e.Measured.What})
	}
	return m
}

func compareInputs(a, b *Header) []InputChange {
	var out []InputChange
	for i := range a.Subjects {
		s := &a.Subjects[i]
		switch t := b.Subject(s.Name); {
		case t == nil:
			out = append(out, InputChange{Name: s.Name, Old: s})
		case *s != *t:
			out = append(out, InputChange{s.Name, s, t})
		}
	}
	for i := range b.Subjects {
		if s := &b.Subjects[i]; a.Subject(s.Name) == nil {
			out = append(out, InputChange{Name: s.Name, New: s})
		}
	}
	return out
}

func compareHeaders(a, b *Header) []string {
	var out []string
	say := func(what, x, y string) {
		if x != y {
			out = append(out, fmt.Sprintf("%s: %s, was %s", what, orNone(y), orNone(x)))
		}
	}
	say("product", a.Product.Name, b.Product.Name)
	say("version", a.Product.Version, b.Product.Version)
	say("serial", fmt.Sprint(a.Serial), fmt.Sprint(b.Serial))
	say("good from", stamp(a.NotBefore), stamp(b.NotBefore))
	say("expires", stamp(a.Expires), stamp(b.Expires))
	say("tool", a.Tool.Version, b.Tool.Version)
	old, now := a.Source, b.Source
	if old == nil {
		old = &Source{}
	}
	if now == nil {
		now = &Source{}
	}
	say("repository", old.Repository, now.Repository)
	say("commit", old.Commit, now.Commit)
	say("recipe", old.Recipe, now.Recipe)
	say("dependencies", dependencies(old), dependencies(now))
	say("launch facts", launchText(a.Launch), launchText(b.Launch))
	say("policy", policyText(a.Policy), policyText(b.Policy))
	return out
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func dependencies(s *Source) string {
	var list []string
	for _, d := range s.Dependencies {
		list = append(list, strings.TrimSpace(d.Name+" "+d.Version+" "+d.URI+" "+d.SHA256))
	}
	return strings.Join(list, ", ")
}

// launchText leaves MRTD to the registers.
func launchText(l *Launch) string {
	if l == nil {
		return ""
	}
	text := fmt.Sprintf("TD HOB at 0x%x, accepted", l.HOBBase)
	for _, r := range l.Accepted {
		text += fmt.Sprintf(" 0x%x+0x%x", r.Start, r.Len)
	}
	return text
}

func policyText(p *Policy) string {
	if p == nil {
		return ""
	}
	return string(p.append(nil))
}
