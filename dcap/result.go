package dcap

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A CheckStatus is the outcome of one check. The zero value is not a pass.
type CheckStatus uint8

// The outcomes.
const (
	NotRun CheckStatus = iota // something that it needs is missing or failed
	Fail
	Pass
)

func (s CheckStatus) String() string { return [...]string{"not-run", "fail", "pass"}[s] }

// MarshalText returns the status as String does.
func (s CheckStatus) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A CheckID names a check. IDs are never reused or renamed; checks.go lists them.
type CheckID string

// A Check is one question put to the evidence, with its answer.
type Check struct {
	ID     CheckID
	Status CheckStatus
	Want   string // empty where Why says it all
	Got    string
	Why    string // what is wrong, or which check this one needed; empty after a pass
}

// A Validity is a span of time outside of which one part of the evidence says nothing. Both ends belong to it.
type Validity struct {
	What                string // "TCB info", "PCK certificate"
	NotBefore, NotAfter time.Time
}

// Result is all that was found out. The zero Result rejects.
type Result struct {
	Time   time.Time // of the judgement, as given
	Checks []Check   // every check in the order of the table, run or not

	Status               Status    // platform, module and QE converged; for a TD 1.5 launch against now, too
	Platform, Module, QE Component // Module has no status where the platform's level covers it: major version 0
	Current              *Current  // of a TD report 1.5: the same for the module that runs now
	Advisories           []string  // of all components, at launch and now, sorted, each once
	TCBDate              time.Time // the earliest of the levels' dates
	Evaluation           uint32    // tcbEvaluationDataNumber of the TCB info
	QEEvaluation         uint32    // and of the QE identity, which Intel may raise at another time

	PCK      *PCK       // nil unless the certificate's chain holds
	CA       string     // "platform" or "processor"
	Validity []Validity // of every certificate, list and document that was looked at

	UnknownMembers []string // of signed documents: something that Intel added and that is not judged here

	Signatures int // ECDSA signatures that were verified
}

// Current is the TCB by TEE_TCB_SVN2: that of the TDX module that runs the TD now, which a module update may have replaced
// since launch.
type Current struct {
	Status           Status
	Platform, Module Component
}

// Accepted reports whether every check passed. It is false for the zero Result.
func (r *Result) Accepted() bool {
	return r != nil && len(r.Checks) == len(steps) && len(r.Failed()) == 0
}

// Failed returns the checks that did not pass and that waived does not name. A policy that bears with, say, expired
// collateral waives the checks by name, so that a verdict can say which ones. The zero Result returns every check as not
// run.
func (r *Result) Failed(waived ...CheckID) []Check {
	var failed []Check
	for _, s := range steps {
		c := r.Check(s.ID)
		if c.Status != Pass && !slices.Contains(waived, c.ID) {
			failed = append(failed, c)
		}
	}
	return failed
}

// Check returns the check called id; one that is not there was not run.
func (r *Result) Check(id CheckID) Check {
	if r != nil {
		for _, c := range r.Checks {
			if c.ID == id {
				return c
			}
		}
	}
	return Check{ID: id, Why: "was not run"}
}

// Window returns the time during which all parts of the evidence are valid at once; NotAfter is before NotBefore where
// there is none.
func (r *Result) Window() (notBefore, notAfter time.Time) {
	for i, v := range r.Validity {
		if i == 0 || v.NotBefore.After(notBefore) {
			notBefore = v.NotBefore
		}
		if i == 0 || v.NotAfter.Before(notAfter) {
			notAfter = v.NotAfter
		}
	}
	return notBefore, notAfter
}

// A Rejection is the error of a judgement that went against the evidence.
type Rejection struct{ Failed []Check }

func (e *Rejection) Error() string {
	var ids []string
	for _, c := range e.Failed {
		if c.Status == Fail {
			ids = append(ids, describe(c))
		}
	}
	if len(ids) == 0 {
		for _, c := range e.Failed {
			ids = append(ids, describe(c))
		}
	}
	return "dcap: rejected: " + strings.Join(ids, "; ")
}

func describe(c Check) string {
	switch {
	case c.Why != "":
		return fmt.Sprintf("%s: %s", c.ID, c.Why)
	default:
		return fmt.Sprintf("%s: is %s, want %s", c.ID, c.Got, c.Want)
	}
}
