package manifest

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/tdxkit/tdxkit/internal/strictjson"
	"github.com/tdxkit/tdxkit/mr"
)

// appendHeader appends the statement up to the variants.
func appendHeader(b []byte, h *Header) []byte {
	b = appendStatement(b, h.Subjects, PredicateType)
	o := openObject(b)
	o.raw("product", h.Product.append)
	o.uint("serial", h.Serial)
	o.time("issuedAt", h.IssuedAt)
	o.time("notBefore", h.NotBefore)
	o.time("expires", h.Expires)
	o.raw("tool", func(b []byte) []byte { return (*Product)(&h.Tool).append(b) })
	if h.Source != nil {
		o.raw("source", h.Source.append)
	}
	if h.Launch != nil {
		o.raw("launch", h.Launch.append)
	}
	if h.Policy != nil {
		o.raw("policy", h.Policy.append)
	}
	return o.b
}

// appendStatement appends an in-toto statement up to its predicate.
func appendStatement(b []byte, subjects []Subject, predicateType string) []byte {
	o := openObject(b)
	o.str("_type", StatementType)
	o.raw("subject", func(b []byte) []byte {
		b = append(b, '[')
		for i, s := range subjects {
			if i > 0 {
				b = append(b, ',')
			}
			b = s.append(append(b, '\n'))
		}
		return append(b, "\n]"...)
	})
	o.str("predicateType", predicateType)
	return o.key("predicate")
}

func (s *Subject) append(b []byte) []byte {
	o := openObject(b)
	o.str("name", s.Name)
	o.raw("digest", func(b []byte) []byte {
		d := openObject(b)
		d.hex("sha256", s.SHA256[:])
		d.hex("sha384", s.SHA384[:])
		return d.close()
	})
	return o.close()
}

func (p *Product) append(b []byte) []byte {
	o := openObject(b)
	o.str("name", p.Name)
	o.str("version", p.Version)
	return o.close()
}

func (s *Source) append(b []byte) []byte {
	o := openObject(b)
	o.str("repository", s.Repository)
	o.str("commit", s.Commit)
	o.opt("recipe", s.Recipe)
	if len(s.Dependencies) > 0 {
		o.raw("dependencies", func(b []byte) []byte {
			return appendList(b, s.Dependencies, func(b []byte, d Dependency) []byte {
				o := openObject(b)
				o.str("name", d.Name)
				o.opt("uri", d.URI)
				o.opt("version", d.Version)
				o.opt("sha256", d.SHA256)
				return o.close()
			})
		})
	}
	return o.close()
}

func (l *Launch) append(b []byte) []byte {
	o := openObject(b)
	o.hex("mrtdSinglePass", l.SinglePass[:])
	o.hex("mrtdTwoPass", l.TwoPass[:])
	o.uint("hobBase", l.HOBBase)
	o.raw("accepted", func(b []byte) []byte {
		return appendList(b, l.Accepted, func(b []byte, r Region) []byte {
			o := openObject(b)
			o.uint("start", r.Start)
			o.uint("length", r.Len)
			return o.close()
		})
	})
	return o.close()
}

func (p *Policy) append(b []byte) []byte {
	o := openObject(b)
	for _, f := range []struct {
		name string
		mask *Mask
	}{{"attributes", p.Attributes}, {"xfam", p.XFAM}} {
		if f.mask != nil {
			o.raw(f.name, func(b []byte) []byte {
				m := openObject(b)
				m.hex("mask", f.mask.Mask[:])
				m.hex("value", f.mask.Value[:])
				return m.close()
			})
		}
	}
	for _, f := range []struct {
		name string
		rule *FieldRule
	}{{"mrConfigId", p.MRConfigID}, {"mrOwner", p.MROwner}} {
		if f.rule != nil {
			o.raw(f.name, func(b []byte) []byte {
				m := openObject(b)
				m.str("rule", string(f.rule.Rule))
				if len(f.rule.Values) > 0 {
					m.raw("values", func(b []byte) []byte { return appendList(b, f.rule.Values, appendDigest) })
				}
				return m.close()
			})
		}
	}
	if p.MinimumTCB != nil {
		o.raw("minimumTcb", p.MinimumTCB.append)
	}
	if len(p.MRSEAM) > 0 {
		o.raw("mrSeam", func(b []byte) []byte { return appendList(b, p.MRSEAM, appendDigest) })
	}
	return o.close()
}

func (t *MinimumTCB) append(b []byte) []byte {
	o := openObject(b)
	if t.EvaluationDataNumber > 0 {
		o.uint("evaluationDataNumber", t.EvaluationDataNumber)
	}
	if !t.Date.IsZero() {
		o.time("date", t.Date)
	}
	if len(t.Statuses) > 0 {
		o.raw("statuses", func(b []byte) []byte { return appendList(b, t.Statuses, appendString) })
	}
	if t.TEETCBSVN != nil {
		o.hex("teeTcbSvn", t.TEETCBSVN[:])
	}
	return o.close()
}

// checkText asks for text that can be printed on a line.
func checkText(s string) error {
	switch {
	case s == "":
		return errors.New("is empty")
	case len(s) > maxText:
		return fmt.Errorf("has %d bytes, want at most %d", len(s), maxText)
	case !utf8.ValidString(s):
		return errors.New("is not UTF-8")
	}
	for _, r := range s {
		if strictjson.IsControl(r) {
			return fmt.Errorf("has the control character %U", r)
		}
	}
	return nil
}

// A text is a field that has to pass checkText, unless it is optional and empty.
type text struct {
	field, value string
	optional     bool
}

func checkTexts(list []text) error {
	for _, t := range list {
		if t.optional && t.value == "" {
			continue
		}
		if err := checkText(t.value); err != nil {
			return fmt.Errorf("%s %w", t.field, err)
		}
	}
	return nil
}

// check looks at all of a header; Parse and NewWriter ask it the same.
func (h *Header) check() error {
	if err := checkTexts([]text{
		{"product.name", h.Product.Name, false}, {"product.version", h.Product.Version, false},
		{"tool.name", h.Tool.Name, false}, {"tool.version", h.Tool.Version, false},
	}); err != nil {
		return err
	}
	switch {
	case h.Serial == 0 || h.Serial > maxSerial:
		return fmt.Errorf("serial is %d, want 1 to %d", h.Serial, uint64(maxSerial))
	case !h.NotBefore.Before(h.Expires):
		return fmt.Errorf("expires is %s, want a time after notBefore, %s", stamp(h.Expires), stamp(h.NotBefore))
	case !h.IssuedAt.Before(h.Expires):
		return fmt.Errorf("expires is %s, want a time after issuedAt, %s", stamp(h.Expires), stamp(h.IssuedAt))
	}
	for _, t := range []struct {
		field string
		t     time.Time
	}{{"issuedAt", h.IssuedAt}, {"notBefore", h.NotBefore}, {"expires", h.Expires}} {
		if y := t.t.UTC().Year(); t.t.IsZero() || t.t.Nanosecond() != 0 || y < 1970 || y > 9999 {
			return fmt.Errorf("%s is %v, want whole seconds and a year from 1970 to 9999", t.field, t.t)
		}
	}
	if err := checkSubjects(h.Subjects); err != nil {
		return err
	}
	return errors.Join(h.Source.check(), h.Launch.check(), h.Policy.check())
}

func checkSubjects(list []Subject) error {
	if len(list) == 0 || len(list) > maxSubjects {
		return fmt.Errorf("subject has %d items, want 1 to %d", len(list), maxSubjects)
	}
	seen := map[string]bool{}
	for _, s := range list {
		switch {
		case checkText(s.Name) != nil:
			return fmt.Errorf("subject %q: its name %w", s.Name, checkText(s.Name))
		case seen[s.Name]:
			return fmt.Errorf("subject %q occurs twice", s.Name)
		}
		seen[s.Name] = true
	}
	return nil
}

func (s *Source) check() error {
	if s == nil {
		return nil
	}
	if len(s.Dependencies) > maxList {
		return fmt.Errorf("source.dependencies has %d items, want at most %d", len(s.Dependencies), maxList)
	}
	list := []text{{"source.repository", s.Repository, false}, {"source.commit", s.Commit, false}, {"source.recipe", s.Recipe, true}}
	for _, d := range s.Dependencies {
		list = append(list, text{"the name of a dependency", d.Name, false},
			text{"uri of " + d.Name, d.URI, true}, text{"version of " + d.Name, d.Version, true})
		if d.SHA256 != "" && !isHex(d.SHA256, 32) {
			return fmt.Errorf("sha256 of %s is %q, want 64 lower-case hex digits", d.Name, d.SHA256)
		}
	}
	return checkTexts(list)
}

func isHex(s string, n int) bool {
	for _, c := range []byte(s) {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return len(s) == 2*n
}

func (l *Launch) check() error {
	if l == nil {
		return nil
	}
	if len(l.Accepted) == 0 || len(l.Accepted) > maxList {
		return fmt.Errorf("launch.accepted has %d items, want 1 to %d", len(l.Accepted), maxList)
	}
	if l.HOBBase > maxMemory {
		return fmt.Errorf("launch.hobBase is 0x%x, want at most 0x%x", l.HOBBase, uint64(maxMemory))
	}
	for i, r := range l.Accepted {
		switch {
		case r.Len == 0 || r.Start > maxMemory || r.Len > maxMemory:
			return fmt.Errorf("launch.accepted has the region 0x%x+0x%x", r.Start, r.Len)
		case i > 0 && r.Start < l.Accepted[i-1].Start+l.Accepted[i-1].Len:
			return fmt.Errorf("launch.accepted: the region at 0x%x overlaps the one before, or comes before it", r.Start)
		}
	}
	return nil
}

func (p *Policy) check() error {
	if p == nil {
		return nil
	}
	for _, f := range []struct {
		name string
		m    *Mask
	}{{"attributes", p.Attributes}, {"xfam", p.XFAM}} {
		for i := range 8 {
			if f.m != nil && f.m.Value[i]&^f.m.Mask[i] != 0 {
				return fmt.Errorf("policy.%s has value %x outside its mask %x", f.name, f.m.Value, f.m.Mask)
			}
		}
	}
	for _, f := range []struct {
		name string
		r    *FieldRule
	}{{"mrConfigId", p.MRConfigID}, {"mrOwner", p.MROwner}} {
		if f.r == nil {
			continue
		}
		switch {
		case f.r.Rule == OneOf && len(f.r.Values) > 0 && len(f.r.Values) <= maxList:
		case (f.r.Rule == Zero || f.r.Rule == Dstack && f.name == "mrConfigId") && len(f.r.Values) == 0:
		default:
			return fmt.Errorf("policy.%s has the rule %q with %d values", f.name, f.r.Rule, len(f.r.Values))
		}
	}
	if t := p.MinimumTCB; t != nil {
		for _, s := range t.Statuses {
			if !slices.Contains(statuses, s) {
				return fmt.Errorf("policy.minimumTcb has the status %q, want one of %v", s, statuses)
			}
		}
	}
	if len(p.MRSEAM) > maxList || slices.Contains(p.MRSEAM, mr.Digest{}) {
		return fmt.Errorf("policy.mrSeam has a value of zeros, or more than %d values", maxList)
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
