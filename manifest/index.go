package manifest

import (
	"encoding/binary"

	"github.com/tdxkit/tdxkit/mr"
)

// An Index finds the variant that has given registers, in one or several manifests. It is built once and may be used
// concurrently.
type Index struct {
	manifests []*Manifest
	first     map[uint64]int32 // by the first bytes of RTMR0, which varies most, the first entry
	entries   []entry
}

// An entry is one variant; next is the next one with the same first bytes, or -1.
type entry struct{ manifest, variant, next int32 }

// A Match is one variant of one manifest.
type Match struct {
	Manifest *Manifest
	Number   int // of the variant in the manifest
	Variant
}

// NewIndex returns an index of all variants of the manifests.
func NewIndex(manifests ...*Manifest) *Index {
	n := 0
	for _, m := range manifests {
		n += m.Len()
	}
	x := &Index{manifests: manifests, first: make(map[uint64]int32, n), entries: make([]entry, 0, n)}
	for i := len(manifests) - 1; i >= 0; i-- {
		m := manifests[i]
		for k := m.Len() - 1; k >= 0; k-- { // from the back, so that the first variant comes first in its chain
			key := chainOf(&m.digests[m.variants[k].registers[mr.RTMR0]])
			next, ok := x.first[key]
			if !ok {
				next = -1
			}
			x.first[key] = int32(len(x.entries))
			x.entries = append(x.entries, entry{int32(i), int32(k), next})
		}
	}
	return x
}

func chainOf(d *mr.Digest) uint64 { return binary.LittleEndian.Uint64(d[:]) }

// Manifests returns what the index was made of.
func (x *Index) Manifests() []*Manifest { return x.manifests }

// Find returns the first variant all of whose registers are r, and whether there is one.
func (x *Index) Find(r *Registers) (Match, bool) {
	i, ok := x.first[chainOf(&r[mr.RTMR0])]
	for ok && i >= 0 {
		e := x.entries[i]
		if m := x.manifests[e.manifest]; m.has(int(e.variant), r) {
			return x.match(e), true
		}
		i = e.next
	}
	return Match{}, false
}

func (x *Index) match(e entry) Match {
	m := x.manifests[e.manifest]
	return Match{Manifest: m, Number: int(e.variant), Variant: m.Variant(int(e.variant))}
}

// has reports whether all registers of variant i are r.
func (m *Manifest) has(i int, r *Registers) bool {
	for k, d := range m.variants[i].registers {
		if m.digests[d] != r[k] {
			return false
		}
	}
	return true
}

// A Near is the variant that is nearest to registers which none has, and how it differs.
type Near struct {
	Match
	Differ []mr.Register // registers that differ
	// Deltas are the events that differ, where both the manifest and the evidence list events.
	Deltas []mr.Delta
}

// Nearest returns the variant that has most registers in common with r and, among those, most events in common with
// events; the first one of several. The events are those of an event log that replays to the registers, or nil. With no
// variants at all it returns nil.
func (x *Index) Nearest(r *Registers, events []mr.Event) *Near {
	var best entry
	top := -1
	for i, m := range x.manifests {
		common := m.common(events)
		for k := range m.variants {
			if score := m.score(k, r, common); score > top {
				top, best = score, entry{manifest: int32(i), variant: int32(k)}
			}
		}
	}
	if top < 0 {
		return nil
	}
	n := &Near{Match: x.match(best)}
	for reg := range n.Registers {
		if n.Registers[reg] != r[reg] {
			n.Differ = append(n.Differ, mr.Register(reg))
		}
	}
	if n.Events != nil && len(events) > 0 {
		n.Deltas = mr.Diff(n.Events, predicted(events))
	}
	return n
}

// predicted leaves out the events that no manifest predicts, those of RTMR3.
func predicted(events []mr.Event) []mr.Event {
	var out []mr.Event
	for _, e := range events {
		if e.Register != mr.RTMR3 {
			out = append(out, e)
		}
	}
	return out
}

// common says of each digest of the manifest's pool whether an event has it.
func (m *Manifest) common(events []mr.Event) []bool {
	if len(events) == 0 || len(m.layouts) == 0 {
		return nil
	}
	have := make(map[mr.Digest]bool, len(events))
	for i := range events {
		have[events[i].Measured.Digest] = true
	}
	common := make([]bool, len(m.digests))
	for i := range m.digests {
		common[i] = have[m.digests[i]]
	}
	return common
}

// score says how near variant i is: a register counts for more than all events.
func (m *Manifest) score(i int, r *Registers, common []bool) int {
	p := &m.variants[i]
	score := 0
	for k, d := range p.registers {
		if m.digests[d] == r[k] {
			score += maxEvents + 1
		}
	}
	if p.layout >= 0 && common != nil {
		for _, d := range m.events[p.events : p.events+len(m.layouts[p.layout])] {
			if common[d] {
				score++
			}
		}
	}
	return score
}
