// Package verify judges evidence of a trust domain against what a relying party expects: quote, collateral and event log
// against registers, nonce, application and policy, at a time. Its answer lists every check that it knows, made or not,
// and accepts only where all that are required passed.
//
// It holds no parser of firmware, kernels or disk images and no module beside the standard library; needs no network and
// no clock; and gives the same verdict for the same arguments.
//
// What is believed, and why: a register's value, because the quote is signed by a key that leads to Intel's root; an
// event's digest, because the log replays to those registers; an event's name and payload, because the digest is computed
// from them. Nothing else that comes with a quote (JSON beside it, a log's own digests, a vm_config) is believed.
package verify

import (
	"time"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/quote"
)

// Evidence is what is judged. All of it comes from the party that is judged, and none is believed unless a check says so.
type Evidence struct {
	Quote      []byte // as quote.Extract returns it
	Collateral []byte // JSON as dcap.ParseCollateral reads it; nil without
	EventLog   []byte // a CCEL, or a dstack event log as JSON; nil without
	VMConfig   []byte // a dstack vm_config, JSON; nil without
}

// An Expectation is what the relying party knows of the TD that it wants to talk to. The zero Expectation expects
// something that no evidence shows.
type Expectation struct {
	Variants []Variant // of which one must match as a whole

	// One of the two binds the quote to a question that was asked now. Where both are given, both must hold.
	Nonce       []byte    // at least MinNonce bytes that were sent to the TD
	NonceIssued time.Time // when; needed where the policy bounds the nonce's age
	ReportData  *[64]byte // the exact REPORTDATA

	AppCompose []byte // the bytes of app-compose.json; nil without
}

// MinNonce is the least number of bytes of a nonce: fewer can be met by chance or asked for in advance.
const MinNonce = 16

// A Variant is one way in which the expected image may be measured. Its registers belong together.
type Variant struct {
	Name        string
	Registers   map[mr.Register]mr.Digest
	OSImageHash []byte     // of a dstack image, 32 bytes; nil where it is not known
	Events      []mr.Event // for explanations; no check looks at them
}

// A Status is the outcome of one check. The zero value is not a pass.
type Status = dcap.CheckStatus

// The outcomes.
const (
	NotRun = dcap.NotRun
	Fail   = dcap.Fail
	Pass   = dcap.Pass
)

// A CheckID names a check. IDs are never reused or renamed; those of package dcap are among them.
type CheckID = dcap.CheckID

// A Check is one question put to the evidence, with its answer.
type Check struct {
	ID       CheckID
	What     string // the question, for people
	Status   Status
	Required bool // for acceptance
	Waived   bool // required, but for the policy's Unsafe
	Want     string
	Got      string
	Why      string // what is wrong, or why the check was not made
}

// A Verdict is every check in the order of the table, made or not, and what the evidence says.
type Verdict struct {
	Time   time.Time
	Checks []Check

	Quote     *quote.Quote // nil where it could not be read
	Registers mr.Values    // of the quote
	TCB       *dcap.Result // nil without a quote
	Variant   string       // that matched; empty where none did
	Nearest   string       // the variant that agrees most, where none matched

	Events  int             // extensions in the log
	Runtime *dstack.Runtime // nil without a log that has a dstack guest's events, or where they break the rules
}

// Accepted reports whether every required check passed, and all checks of the table are there. The zero Verdict is a
// rejection.
func (v *Verdict) Accepted() bool {
	if v == nil || len(v.Checks) != tableLen() {
		return false
	}
	required := 0
	for _, c := range v.Checks {
		if c.Required && c.Status != Pass {
			return false
		}
		if c.Required {
			required++
		}
	}
	return required > 0
}

// Failed returns the required checks that did not pass: those that failed first, then those that were not made.
func (v *Verdict) Failed() []Check {
	var failed, missing []Check
	for _, c := range v.Checks {
		switch {
		case !c.Required || c.Status == Pass:
		case c.Status == Fail:
			failed = append(failed, c)
		default:
			missing = append(missing, c)
		}
	}
	return append(failed, missing...)
}

// Check returns the check called id; one that is not there was not run.
func (v *Verdict) Check(id CheckID) Check {
	for _, c := range v.Checks {
		if c.ID == id {
			return c
		}
	}
	return Check{ID: id, Required: true, Why: "is not a check"}
}

// Judge judges the evidence. Nil arguments are as their zero values: the strictest policy, no expectation, no evidence.
// The Verdict is never nil, and a rejection unless all that is required held at the time now.
func Judge(p *Policy, x *Expectation, e *Evidence, now time.Time) *Verdict {
	if p == nil {
		p = &Policy{}
	}
	if x == nil {
		x = &Expectation{}
	}
	if e == nil {
		e = &Evidence{}
	}
	j := &judge{p: p, x: x, e: e, now: now, v: &Verdict{Time: now, Checks: make([]Check, 0, tableLen())}, waived: p.waived(), outcome: map[CheckID]Status{}}
	if x.Nonce != nil {
		delete(j.waived, ReportDataBinding) // a nonce that is given must hold
	}
	if x.AppCompose != nil {
		delete(j.waived, RTMR3Events) // and so must an application
		delete(j.waived, RTMR3ComposeHash)
	}
	for i := range before {
		j.run(&before[i])
	}
	j.runDCAP()
	for i := range after {
		j.run(&after[i])
	}
	return j.v
}

// A judge is the state that steps share: what earlier ones have established.
type judge struct {
	p   *Policy
	x   *Expectation
	e   *Evidence
	now time.Time
	v   *Verdict

	waived     map[CheckID]bool
	outcome    map[CheckID]Status
	collateral *dcap.Collateral
	events     []mr.Event
	runtimeErr error
	claims     *dstack.VMClaims
	match      *Variant // that matches, or the nearest one; nil without variants
}

// run makes one check, unless it is not due or one that it needs did not pass.
func (j *judge) run(s *step) {
	c := Check{ID: s.ID, What: s.What, Required: true}
	if s.Due != nil {
		if why := s.Due(j); why != "" {
			c.Required, c.Why = false, why
			j.add(c)
			return
		}
	}
	for _, need := range s.Needs {
		if j.outcome[need] != Pass {
			c.Why = "needs " + string(need) + ", which did not pass"
			j.add(c)
			return
		}
	}
	f := s.Run(j)
	c.Status, c.Want, c.Got, c.Why = f.status, f.want, f.got, f.why
	j.add(c)
}

// add appends a check, waived where the policy says so and the check can be.
func (j *judge) add(c Check) {
	if c.Required && j.waived[c.ID] {
		c.Required, c.Waived = false, true
	}
	j.outcome[c.ID] = c.Status
	j.v.Checks = append(j.v.Checks, c)
}

// runDCAP makes the checks of package dcap. Without collateral those that need none are still made.
func (j *judge) runDCAP() {
	ids, questions := dcap.CheckIDs()
	if j.v.Quote == nil {
		for i, id := range ids {
			j.add(Check{ID: id, What: questions[i], Required: true, Why: "needs " + string(QuoteParse) + ", which did not pass"})
		}
		return
	}
	c := j.collateral
	if c == nil {
		c = &dcap.Collateral{}
	}
	r, err := dcap.Judge(j.v.Quote, c, dcap.Options{Time: j.now, Roots: j.p.Roots, Accept: j.p.Statuses})
	j.v.TCB = r
	for i, id := range ids {
		k := r.Check(id)
		if len(r.Checks) == 0 && err != nil {
			k.Why = err.Error()
		}
		j.add(Check{ID: id, What: questions[i], Status: k.Status, Required: true, Want: k.Want, Got: k.Got, Why: k.Why})
	}
}

// A finding is what a step found out.
type finding struct {
	status         Status
	want, got, why string
}

func passed(got string) finding        { return finding{status: Pass, got: got} }
func failed(why string) finding        { return finding{status: Fail, why: why} }
func differs(want, got string) finding { return finding{status: Fail, want: want, got: got} }
func notRun(why string) finding        { return finding{why: why} }
