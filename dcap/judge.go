// Package dcap judges the quote of a trust domain: is it genuine, of hardware and firmware that Intel vouches for, and at
// what level of patches. It takes the collateral, the time and the trusted roots as arguments, and needs no network, no
// clock and no module beside the standard library.
//
// Sources: Intel TDX DCAP Quoting Library API, Appendix 3; Intel PCS API version 4, "Get TDX TCB Info", with its appendix
// on selecting a TCB level; and intel/confidential-computing.tee.dcap.qvl d12717e, AttestationLibrary/src/Verifiers.
//
// Stricter than that library: nothing is read before its signature holds; what is not yet valid is refused like what has
// expired; members of signed JSON must be spelt once and exactly; DEBUG TDs, migratable ones, service TDs and attribute
// bits without a name are refused, each by a check of its own that a policy can waive by name.
package dcap

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"time"

	"github.com/tdxkit/tdxkit/quote"
)

// A Fingerprint is the SHA-256 of a certificate's DER.
type Fingerprint [32]byte

// String returns 64 hex digits.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// IntelSGXRootCA is the fingerprint of the "Intel SGX Root CA" certificate of 2018-05-21, valid to 2049-12-31: serial
// 22650CD65A9D3489F383B49552BF501B392706AC, published at
// certificates.trustedservices.intel.com/Intel_SGX_Provisioning_Certification_RootCA.cer.
var IntelSGXRootCA = Fingerprint{
	0x44, 0xa0, 0x19, 0x6b, 0x2b, 0x99, 0xf8, 0x89, 0xb8, 0xe1, 0x49, 0xe9, 0x5b, 0x80, 0x7a, 0x35,
	0x0e, 0x74, 0x24, 0x96, 0x43, 0x99, 0xe8, 0x85, 0xa7, 0xcb, 0xb8, 0xcc, 0xfa, 0xb6, 0x74, 0xd3,
}

// Options are the terms of a judgement. The zero Options have no time and judge nothing; with a time they are the strictest.
type Options struct {
	Time   time.Time     // at which everything must be valid
	Roots  []Fingerprint // trusted root certificates; nil for Intel's
	Accept []Status      // statuses that pass; nil for UpToDate alone
}

// Judge judges q with c. The Result holds every check; the error is nil if and only if all of them passed, a *Rejection if
// some did not, and another one if there was nothing to judge. The Result is never nil.
func Judge(q *quote.Quote, c *Collateral, opts Options) (*Result, error) {
	r := &Result{Time: opts.Time}
	switch {
	case q == nil:
		return r, errors.New("dcap: there is no quote to judge")
	case c == nil:
		return r, errors.New("dcap: there is no collateral to judge with")
	case opts.Time.IsZero():
		return r, errors.New("dcap: there is no time to judge at")
	}
	if opts.Roots == nil {
		opts.Roots = []Fingerprint{IntelSGXRootCA}
	}
	if opts.Accept == nil {
		opts.Accept = []Status{UpToDate}
	}
	j := &judge{q: q, c: c, opts: opts, r: r, certs: map[string]*x509.Certificate{}, edges: map[edge]error{}}
	outcome := make(map[CheckID]CheckStatus, len(steps))
	r.Checks = make([]Check, 0, len(steps))
	for _, s := range steps {
		f := j.run(s, outcome)
		outcome[s.ID] = f.status
		r.Checks = append(r.Checks, Check{ID: s.ID, Status: f.status, Want: f.want, Got: f.got, Why: f.why})
	}
	if !r.Accepted() {
		return r, &Rejection{Failed: r.Failed()}
	}
	return r, nil
}

// A judge is the state that steps share: what earlier ones have established.
type judge struct {
	q    *quote.Quote
	c    *Collateral
	opts Options
	r    *Result

	certs map[string]*x509.Certificate // by DER, so that none is parsed twice
	edges map[edge]error               // signatures of one certificate on another that were verified

	root                 *x509.Certificate // the root that all chains lead to
	pck, tcbSign, qeSign path              // leaf first
	rootCRL, pckCRL      *x509.RevocationList
	tcb                  *TCBInfo
	qe                   *QEIdentity
}

// run makes one check, unless one that it needs did not pass.
func (j *judge) run(s step, outcome map[CheckID]CheckStatus) finding {
	for _, need := range s.Needs {
		if outcome[need] != Pass {
			return notRun("needs " + string(need) + ", which did not pass")
		}
	}
	return s.Run(j)
}

// during passes if the time of judgement is within the spans, and notes them.
func (j *judge) during(spans ...Validity) finding {
	f := passed("")
	for _, v := range spans {
		j.note(v)
		switch {
		case j.opts.Time.Before(v.NotBefore):
			f = failed(v.What + " is not valid before " + stamp(v.NotBefore))
		case j.opts.Time.After(v.NotAfter):
			f = failed(v.What + " is not valid after " + stamp(v.NotAfter))
		}
	}
	if f.status == Fail {
		f.got = stamp(j.opts.Time)
	}
	return f
}

// note lists a validity once.
func (j *judge) note(v Validity) {
	for _, have := range j.r.Validity {
		if have == v {
			return
		}
	}
	j.r.Validity = append(j.r.Validity, v)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
