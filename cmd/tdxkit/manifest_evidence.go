package main

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/explain"
	"github.com/tdxkit/tdxkit/manifest"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/quote"
	"github.com/tdxkit/tdxkit/verify"
)

// manifestFlags name the manifests that evidence is matched against.
func manifestFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringSliceFlag{Name: "manifest", Usage: "signed manifest `FILE`, or folder of manifests (*.json); may be repeated. Needs --trust"},
	}, trustFlags()...)
}

// openManifests opens the manifests of --manifest by the policy of --trust. One that is named has to be good; of a
// folder those that are not are noted and left out, and one at least has to be good.
func openManifests(c *cli.Context, t *terminal, now time.Time) (*manifest.Index, error) {
	w, err := newTruster(c, now)
	if err != nil {
		return nil, err
	}
	defer w.close()
	var opened []*manifest.Opened
	for _, path := range c.StringSlice("manifest") {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			list, err := w.openFolder(path, t)
			if err != nil {
				return nil, err
			}
			opened = append(opened, list...)
			continue
		}
		o, err := w.open(path)
		if err != nil {
			return nil, err
		}
		opened = append(opened, o)
	}
	if opened, err = w.newest(opened); err != nil {
		return nil, err
	}
	newestFirst(opened)
	list := make([]*manifest.Manifest, len(opened))
	for i, o := range opened {
		list[i] = o.Manifest
		t.note("manifest of %s %s, serial %d, signed by %s", o.Product.Name, o.Product.Version, o.Serial, strings.Join(o.Signers, ", "))
	}
	return manifest.NewIndex(list...), w.save()
}

// openFolder opens the manifests of a folder that are good.
func (w *truster) openFolder(dir string, t *terminal) ([]*manifest.Opened, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, inFile(dir, roleOther, err)
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return filepath.Ext(e.Name()) != ".json" })
	var list []*manifest.Opened
	for _, e := range entries {
		o, err := w.open(filepath.Join(dir, e.Name()))
		if err != nil {
			t.note("left out: %v", err)
			continue
		}
		list = append(list, o)
	}
	if len(list) == 0 {
		return nil, &mismatchError{fmt.Sprintf("%s: none of %d manifests is good", dir, len(entries))}
	}
	return list, nil
}

// newest leaves out manifests that the state has come to know newer ones of while the others were opened.
func (w *truster) newest(list []*manifest.Opened) ([]*manifest.Opened, error) {
	if w.options.State == nil {
		return list, nil
	}
	list = slices.DeleteFunc(list, func(o *manifest.Opened) bool { return w.options.State.Newest(o.Product.Name) > o.Serial })
	if len(list) == 0 {
		return nil, &mismatchError{"no manifest is left"}
	}
	return list, nil
}

// newestFirst puts a product's manifests in the order of their serial numbers, the newest first; which product comes first
// stays. Where the registers of a variant are in several of them, the newest one's demands are asked.
func newestFirst(list []*manifest.Opened) {
	order := map[string]int{}
	for i, o := range list {
		if _, ok := order[o.Product.Name]; !ok {
			order[o.Product.Name] = i
		}
	}
	slices.SortStableFunc(list, func(a, b *manifest.Opened) int {
		return cmp.Or(cmp.Compare(order[a.Product.Name], order[b.Product.Name]), cmp.Compare(b.Serial, a.Serial))
	})
}

// registersOf are the registers of a quote that a variant has.
func registersOf(q *quote.Quote) manifest.Registers {
	var r manifest.Registers
	v := quoted(q)
	copy(r[:], v[:])
	return r
}

// expectManifest makes the one variant that fits the quote, or the nearest one, the expectation, and the demands of its
// manifest part of the policy. A quote that cannot be read leaves both as they are: the judge will say so.
func expectManifest(t *terminal, x *index, e *verify.Evidence, want *verify.Expectation, p *verify.Policy) error {
	q, err := quote.Parse(e.Quote)
	if err != nil {
		return nil
	}
	r := registersOf(q)
	m, found := x.Find(&r)
	if !found {
		near := x.Nearest(&r, logOf(e, q))
		if near == nil {
			return nil
		}
		m = near.Match
		t.note("no variant of the manifests has these registers; nearest is %s, which differs in %s", variantName(&m), joinRegisters(near.Differ))
		for _, f := range nearFindings(near, logOf(e, q)) {
			t.note("%s: %s", f.Register, f.Text)
		}
	}
	want.Variants = []verify.Variant{newVerifyVariant(&m)}
	return restrict(p, m.Manifest.Policy, q)
}

type index = manifest.Index

// expectNearest is the variant of the manifests that is nearest to what was observed.
func expectNearest(c *cli.Context, t *terminal, got *observed) ([]verify.Variant, error) {
	now, err := readTime(c)
	if err != nil {
		return nil, err
	}
	x, err := openManifests(c, t, now)
	if err != nil {
		return nil, err
	}
	var r manifest.Registers
	copy(r[:], got.values[:])
	near := x.Nearest(&r, got.events)
	if near == nil {
		return nil, &mismatchError{"the manifests have no variants"}
	}
	return []verify.Variant{newVerifyVariant(&near.Match)}, nil
}

func variantName(m *manifest.Match) string {
	return fmt.Sprintf("%s %s, %s", m.Manifest.Product.Name, m.Manifest.Product.Version, m.ID)
}

func newVerifyVariant(m *manifest.Match) verify.Variant {
	v := verify.Variant{Name: variantName(m), Registers: map[mr.Register]mr.Digest{}, Events: m.Events}
	for i, d := range m.Registers {
		v.Registers[mr.Register(i)] = d
	}
	return v
}

// logOf are the events of the evidence's log, if it replays to the quote's registers; others explain nothing.
func logOf(e *verify.Evidence, q *quote.Quote) []mr.Event {
	events, err := verify.ParseLog(e.EventLog)
	if err != nil {
		return nil
	}
	got, err := mr.Replay(events)
	want := quoted(q)
	if err != nil || !slices.Equal(got[mr.RTMR0:mr.RTMR3], want[mr.RTMR0:mr.RTMR3]) {
		return nil
	}
	return slices.DeleteFunc(events, func(e mr.Event) bool { return e.Register == mr.RTMR3 })
}

// nearFindings says how a log differs from the nearest variant's events.
func nearFindings(n *manifest.Near, events []mr.Event) []explain.Finding {
	if n.Events == nil || events == nil {
		return nil
	}
	return explain.Events(n.Events, events)
}

// errContradiction says that the caller's policy and the manifest's leave nothing that both accept.
var errContradiction = errors.New("the policy and the manifest contradict each other")

// restrict adds a manifest's demands to a policy. It only ever makes the policy stricter: what both speak of, both must
// hold.
func restrict(p *verify.Policy, m *manifest.Policy, q *quote.Quote) error {
	if m == nil {
		return nil
	}
	for _, f := range []struct {
		name string
		to   *verify.Masked
		mask *manifest.Mask
	}{{"TD attributes", &p.Attributes, m.Attributes}, {"XFAM", &p.XFAM, m.XFAM}} {
		if f.mask == nil {
			continue
		}
		mask, value := binary.LittleEndian.Uint64(f.mask.Mask[:]), binary.LittleEndian.Uint64(f.mask.Value[:])
		if both := f.to.Mask & mask; f.to.Value&both != value&both {
			return &inputError{msg: fmt.Sprintf("%s: %v", f.name, errContradiction), err: errContradiction}
		}
		f.to.Mask, f.to.Value = f.to.Mask|mask, f.to.Value|value
	}
	p.MRCONFIGID = restrictField(p.MRCONFIGID, m.MRConfigID, mr.Digest(q.TD.MRCONFIGID))
	p.MROWNER = restrictField(p.MROWNER, m.MROwner, mr.Digest(q.TD.MROWNER))
	p.MRSEAM = intersect(p.MRSEAM, m.MRSEAM)
	if m.MinimumTCB == nil {
		return nil
	}
	return restrictTCB(p, m.MinimumTCB)
}

// restrictField returns the list of the caller's policy such that the judge, who goes by it, takes the value got only if the
// rule does, too. A nil list stays nil where the rule holds: by it the judge takes zero and what the application leads to,
// which a list in its place would widen. The rule dstack leaves the value to the judge, who holds the application's compose
// file; zero names no application.
func restrictField(list []mr.Digest, rule *manifest.FieldRule, got mr.Digest) []mr.Digest {
	if rule == nil || list != nil && !slices.Contains(list, got) {
		return list
	}
	zero := got == mr.Digest{}
	switch rule.Rule {
	case manifest.Dstack:
		if zero {
			return []mr.Digest{} // nothing fits
		}
		return nil
	case manifest.Zero:
		if !zero {
			return []mr.Digest{{}}
		}
	default:
		if !slices.Contains(rule.Values, got) {
			return rule.Values
		}
	}
	return list
}

// intersect returns what is in both lists; a nil list is everything. The result of two lists is never nil.
func intersect[T comparable](a, b []T) []T {
	switch {
	case b == nil:
		return a
	case a == nil:
		return b
	}
	out := []T{}
	for _, v := range a {
		if slices.Contains(b, v) {
			out = append(out, v)
		}
	}
	return out
}

func restrictTCB(p *verify.Policy, t *manifest.MinimumTCB) error {
	p.MinEvaluation = max(p.MinEvaluation, uint32(min(t.EvaluationDataNumber, 1<<32-1)))
	if t.Date.After(p.MinTCBDate) {
		p.MinTCBDate = t.Date
	}
	if t.TEETCBSVN != nil {
		p.HasMinTCBSVN = true
		for i, n := range t.TEETCBSVN {
			p.MinTEETCBSVN[i] = max(p.MinTEETCBSVN[i], n)
		}
	}
	if len(t.Statuses) == 0 {
		return nil
	}
	mine := p.Statuses
	if mine == nil {
		mine = []dcap.Status{dcap.UpToDate}
	}
	var theirs []dcap.Status
	for _, s := range t.Statuses {
		status, ok := dcap.ParseStatus(s)
		if !ok {
			return &inputError{msg: fmt.Sprintf("the manifest accepts the TCB status %q, which is not known", s)}
		}
		theirs = append(theirs, status)
	}
	if p.Statuses = intersect(mine, theirs); len(p.Statuses) == 0 {
		return &inputError{msg: fmt.Sprintf("TCB status: %v", errContradiction), err: errContradiction}
	}
	return nil
}
