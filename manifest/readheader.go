package manifest

import (
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/strictjson"
	"github.com/tdxkit/tdxkit/mr"
)

// ParseSource reads a source alone, as a manifest has it.
func ParseSource(data []byte) (*Source, error) {
	r := &reader{Decoder: strictjson.NewDecoder("source", data)}
	s := r.source()
	if err := r.End(); err != nil {
		return nil, err
	}
	return s, s.check()
}

// ParsePolicy reads a policy alone, as a manifest has it.
func ParsePolicy(data []byte) (*Policy, error) {
	r := &reader{Decoder: strictjson.NewDecoder("policy", data)}
	p := r.policy()
	if err := r.End(); err != nil {
		return nil, err
	}
	return p, p.check()
}

func (r *reader) source() *Source {
	s := &Source{}
	r.Object([]field{
		r.text("repository", &s.Repository), r.text("commit", &s.Commit), r.optText("recipe", &s.Recipe),
		{Name: "dependencies", Read: func() {
			r.list("dependencies", maxList, func() {
				var d Dependency
				r.Object([]field{
					r.text("name", &d.Name), r.optText("uri", &d.URI), r.optText("version", &d.Version),
					r.optText("sha256", &d.SHA256),
				})
				s.Dependencies = append(s.Dependencies, d)
			})
		}, Optional: optional},
	})
	return s
}

func (r *reader) launch() {
	l := &Launch{}
	r.Object([]field{
		{Name: "mrtdSinglePass", Read: func() { r.Hex("mrtdSinglePass", l.SinglePass[:]) }},
		{Name: "mrtdTwoPass", Read: func() { r.Hex("mrtdTwoPass", l.TwoPass[:]) }},
		{Name: "hobBase", Read: func() { l.HOBBase = r.Uint("hobBase", maxMemory) }},
		{Name: "accepted", Read: func() {
			r.list("accepted", maxList, func() {
				var g Region
				r.Object([]field{
					{Name: "start", Read: func() { g.Start = r.Uint("start", maxMemory) }},
					{Name: "length", Read: func() { g.Len = r.Uint("length", maxMemory) }},
				})
				l.Accepted = append(l.Accepted, g)
			})
		}},
	})
	r.m.Launch = l
}

func (r *reader) policy() *Policy {
	p := &Policy{}
	mask := func(name string, to **Mask) field {
		return field{Name: name, Optional: optional, Read: func() {
			*to = &Mask{}
			r.Object([]field{
				{Name: "mask", Read: func() { r.Hex("mask", (*to).Mask[:]) }},
				{Name: "value", Read: func() { r.Hex("value", (*to).Value[:]) }},
			})
		}}
	}
	rule := func(name string, to **FieldRule) field {
		return field{Name: name, Optional: optional, Read: func() {
			*to = &FieldRule{}
			r.Object([]field{
				{Name: "rule", Read: func() { (*to).Rule = FieldRuleKind(r.Text("rule", maxText)) }},
				{Name: "values", Optional: optional, Read: func() { (*to).Values = r.digestList("values") }},
			})
		}}
	}
	r.Object([]field{
		mask("attributes", &p.Attributes), mask("xfam", &p.XFAM),
		rule("mrConfigId", &p.MRConfigID), rule("mrOwner", &p.MROwner),
		{Name: "minimumTcb", Optional: optional, Read: func() { p.MinimumTCB = r.minimumTCB() }},
		{Name: "mrSeam", Optional: optional, Read: func() { p.MRSEAM = r.digestList("mrSeam") }},
	})
	return p
}

func (r *reader) digestList(name string) []mr.Digest {
	var list []mr.Digest
	at := r.Off()
	r.list(name, maxList, func() {
		var d mr.Digest
		r.Hex(name, d[:])
		list = append(list, d)
	})
	if len(list) == 0 {
		r.Failf(at, name, bin.ErrMalformed, "is empty")
	}
	return list
}

func (r *reader) minimumTCB() *MinimumTCB {
	t := &MinimumTCB{}
	r.Object([]field{
		{Name: "evaluationDataNumber", Optional: optional, Read: func() {
			at := r.Off()
			if t.EvaluationDataNumber = r.Uint("evaluationDataNumber", maxEvaluation); t.EvaluationDataNumber == 0 {
				r.Failf(at, "evaluationDataNumber", bin.ErrMalformed, "is 0, want 1 to %d", uint64(maxEvaluation))
			}
		}},
		{Name: "date", Optional: optional, Read: func() { t.Date = r.Time("date") }},
		{Name: "statuses", Optional: optional, Read: func() {
			at := r.Off()
			r.list("statuses", maxList, func() { t.Statuses = append(t.Statuses, r.Text("statuses", maxText)) })
			if len(t.Statuses) == 0 { // it could be read as any status, or as none
				r.Failf(at, "statuses", bin.ErrMalformed, "is empty")
			}
		}},
		{Name: "teeTcbSvn", Optional: optional, Read: func() {
			t.TEETCBSVN = new([16]byte)
			r.Hex("teeTcbSvn", t.TEETCBSVN[:])
		}},
	})
	return t
}
