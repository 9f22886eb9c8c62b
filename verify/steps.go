package verify

import (
	"bytes"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/quote"
)

func (j *judge) quoteParse() finding {
	if len(j.e.Quote) == 0 {
		return notRun("no quote is given")
	}
	q, err := quote.Parse(j.e.Quote)
	if err != nil {
		return failed(err.Error())
	}
	j.v.Quote = q
	t := &q.TD
	j.v.Registers = mr.Values{t.MRTD, t.RTMR[0], t.RTMR[1], t.RTMR[2], t.RTMR[3]}
	return passed(fmt.Sprintf("version %d, %v", q.Header.Version, q.Kind))
}

func (j *judge) collateralParse() finding {
	if j.e.Collateral == nil {
		return notRun("no collateral is given")
	}
	c, err := dcap.ParseCollateral(j.e.Collateral)
	if err != nil {
		return failed(err.Error())
	}
	j.collateral = c
	return passed("")
}

// asked is a Due that depends on whether a policy asks for something.
func asked(yes bool) string {
	if yes {
		return ""
	}
	return "the policy does not ask for it"
}

func (j *judge) dueAttributes() string { return asked(j.p.Attributes != Masked{}) }
func (j *judge) dueXFAM() string       { return asked(j.p.XFAM != Masked{}) }
func (j *judge) dueMRSEAM() string     { return asked(j.p.MRSEAM != nil) }
func (j *judge) dueMajors() string     { return asked(j.p.ModuleMajors != nil) }
func (j *judge) dueSVN() string        { return asked(j.p.HasMinTCBSVN) }
func (j *judge) dueEvaluation() string {
	return asked(j.p.MinEvaluation > 0 || j.p.MinQEEvaluation > 0)
}
func (j *judge) dueTCBDate() string { return asked(!j.p.MinTCBDate.IsZero()) }
func (j *judge) dueCollateralAge() string {
	return asked(j.p.MaxCollateralAge > 0)
}

func (j *judge) dueNonceAge() string {
	if j.x.Nonce == nil && j.waived[ReportDataBinding] {
		return "the policy waives the nonce"
	}
	return asked(j.p.MaxNonceAge > 0)
}

func (j *judge) tdAttributes() finding {
	a := uint64(j.v.Quote.TD.Attributes)
	if d := a&j.p.Attributes.Mask ^ j.p.Attributes.Value; d != 0 {
		return finding{Fail, fmt.Sprintf("%016x under mask %016x", j.p.Attributes.Value, j.p.Attributes.Mask), fmt.Sprintf("%016x", a), "differs in " + attributeNames(d)}
	}
	return passed(fmt.Sprintf("%016x", a))
}

func (j *judge) tdXFAM() finding {
	x := uint64(j.v.Quote.TD.XFAM)
	if d := x&j.p.XFAM.Mask ^ j.p.XFAM.Value; d != 0 {
		return finding{Fail, fmt.Sprintf("%016x under mask %016x", j.p.XFAM.Value, j.p.XFAM.Mask), fmt.Sprintf("%016x", x), "differs in " + fmt.Sprint(quote.XFAM(d).Names())}
	}
	return passed(fmt.Sprintf("%016x", x))
}

// oneOf passes if got is in list.
func oneOf(list []mr.Digest, got mr.Digest) finding {
	if slices.Contains(list, got) {
		return passed(got.String())
	}
	if len(list) == 0 {
		return differs("none: the list of what is accepted is empty", got.String())
	}
	var want []string
	for _, d := range list {
		want = append(want, d.String())
	}
	return differs(strings.Join(want, " or "), got.String())
}

func (j *judge) moduleMRSEAM() finding { return oneOf(j.p.MRSEAM, j.v.Quote.TD.MRSEAM) }

func (j *judge) moduleVersion() finding {
	for _, svn := range j.moduleSVNs() {
		if !slices.Contains(j.p.ModuleMajors, svn[1]) {
			return differs(fmt.Sprintf("major version %v", j.p.ModuleMajors), fmt.Sprint(svn[1]))
		}
	}
	return passed(fmt.Sprintf("%d.%d", j.v.Quote.TD.TEETCBSVN[1], j.v.Quote.TD.TEETCBSVN[0]))
}

func (j *judge) moduleSVN() finding {
	for _, svn := range j.moduleSVNs() {
		for i, least := range j.p.MinTEETCBSVN {
			if svn[i] < least {
				return differs(fmt.Sprintf("at least %x", j.p.MinTEETCBSVN), fmt.Sprintf("%x", svn))
			}
		}
	}
	return passed(fmt.Sprintf("%x", j.v.Quote.TD.TEETCBSVN))
}

// moduleSVNs returns the security versions at launch and, where the quote tells them, now.
func (j *judge) moduleSVNs() [][16]byte {
	svns := [][16]byte{j.v.Quote.TD.TEETCBSVN}
	if j.v.Quote.Kind == quote.TD15Body {
		svns = append(svns, j.v.Quote.TD.TEETCBSVN2)
	}
	return svns
}

func (j *judge) tcbEvaluation() finding {
	got := fmt.Sprintf("TCB info %d, QE identity %d", j.v.TCB.Evaluation, j.v.TCB.QEEvaluation)
	if j.v.TCB.Evaluation < j.p.MinEvaluation || j.v.TCB.QEEvaluation < j.p.MinQEEvaluation {
		return differs(fmt.Sprintf("at least %d and %d", j.p.MinEvaluation, j.p.MinQEEvaluation), got)
	}
	return passed(got)
}

func (j *judge) tcbDate() finding {
	d := j.v.TCB.TCBDate
	if d.Before(j.p.MinTCBDate) {
		return differs("not before "+stamp(j.p.MinTCBDate), stamp(d))
	}
	return passed(stamp(d))
}

func (j *judge) tcbAdvisories() finding {
	var open []string
	for _, a := range j.v.TCB.Advisories {
		if !slices.Contains(j.p.Advisories, a) {
			open = append(open, a)
		}
	}
	if len(open) > 0 {
		return finding{Fail, "no advisory that the policy does not name", strings.Join(open, ", "), ""}
	}
	return passed(strings.Join(j.v.TCB.Advisories, ", "))
}

func (j *judge) collateralAge() finding {
	oldest := time.Duration(0)
	for _, v := range j.v.TCB.Validity {
		if v.What == "TCB info" || v.What == "QE identity" {
			oldest = max(oldest, j.now.Sub(v.NotBefore))
		}
	}
	if oldest == 0 || oldest > j.p.MaxCollateralAge {
		return differs("at most "+j.p.MaxCollateralAge.String(), oldest.String())
	}
	return passed(oldest.String())
}

func (j *judge) dueBinding() string {
	if j.x.Nonce == nil && j.x.ReportData != nil {
		return "REPORTDATA is compared as a whole"
	}
	return ""
}

// reportDataBinding compares with the quote's own field, all 64 bytes of it, in constant time.
func (j *judge) reportDataBinding() finding {
	switch {
	case j.x.Nonce == nil:
		return notRun("no nonce is given: the quote may be an old one")
	case len(j.x.Nonce) < MinNonce:
		return failed(fmt.Sprintf("the nonce has %d bytes, want at least %d", len(j.x.Nonce), MinNonce))
	}
	want, err := j.p.Binding.ReportData(j.x.Nonce)
	if err != nil {
		return failed(err.Error())
	}
	return equal64(want, j.v.Quote.TD.REPORTDATA)
}

func (j *judge) dueExact() string {
	if j.x.ReportData == nil {
		return "no REPORTDATA is expected"
	}
	return ""
}

func (j *judge) reportDataExact() finding { return equal64(*j.x.ReportData, j.v.Quote.TD.REPORTDATA) }

func equal64(want, got [64]byte) finding {
	if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		return differs(hex.EncodeToString(want[:]), hex.EncodeToString(got[:]))
	}
	return passed(hex.EncodeToString(got[:]))
}

func (j *judge) nonceAge() finding {
	switch age := j.now.Sub(j.x.NonceIssued); {
	case j.x.NonceIssued.IsZero():
		return failed("it is not known when the nonce was made")
	case age < 0:
		return differs("made before "+stamp(j.now), stamp(j.x.NonceIssued))
	case age > j.p.MaxNonceAge:
		return differs("at most "+j.p.MaxNonceAge.String(), age.String())
	default:
		return passed(age.String())
	}
}

// owned passes if a field that the host or owner sets is one of list, or zero where there is no list.
func owned(list []mr.Digest, got mr.Digest) finding {
	if list == nil {
		list = []mr.Digest{{}}
	}
	return oneOf(list, got)
}

func (j *judge) tdOwner() finding { return owned(j.p.MROWNER, j.v.Quote.TD.MROWNER) }

func (j *judge) tdOwnerConfig() finding {
	return owned(j.p.MROWNERCONFIG, j.v.Quote.TD.MROWNERCONFIG)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (j *judge) dueVMConfig() string {
	if j.e.VMConfig == nil {
		return "no vm_config is given"
	}
	return ""
}

// dueOSImage: one that names the image alone says nothing.
func (j *judge) dueOSImage() string {
	if len(j.imageNames()) < 2 {
		return "fewer than two of vm_config, RTMR3 and expectation name the image"
	}
	return ""
}

// A named is a value with who says it.
type named struct {
	by    string
	value []byte
}

func (j *judge) imageNames() []named {
	var names []named
	if j.claims != nil && j.claims.OSImageHash != nil {
		names = append(names, named{"vm_config", j.claims.OSImageHash})
	}
	if r := j.v.Runtime; r != nil && len(r.OSImageHash) > 0 {
		names = append(names, named{"the os-image-hash event", r.OSImageHash})
	}
	if j.match != nil && j.v.Variant != "" && j.match.OSImageHash != nil {
		names = append(names, named{"the expected variant", j.match.OSImageHash})
	}
	return names
}

func (j *judge) osImageHash() finding {
	names := j.imageNames()
	for _, n := range names[1:] {
		if !bytes.Equal(n.value, names[0].value) {
			return differs(fmt.Sprintf("%x (%s)", names[0].value, names[0].by), fmt.Sprintf("%x (%s)", n.value, n.by))
		}
	}
	return passed(hex.EncodeToString(names[0].value))
}
