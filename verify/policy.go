package verify

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/strictjson"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/quote"
)

// PolicySchema is the first member of a policy file.
const PolicySchema = "tdxkit.policy/v1"

// A Policy says what a relying party bears with and what it asks for beside the expected registers. The zero Policy is the
// strictest as to what is borne with: only UpToDate, no advisory, all fields of the TD report zero that an owner or host
// sets, every check required. docs/POLICY.md describes each field.
type Policy struct {
	Statuses         []dcap.Status // accepted; nil for UpToDate alone
	Advisories       []string      // borne with
	MinEvaluation    uint32        // tcbEvaluationDataNumber of the TCB info; 0 asks for none
	MinQEEvaluation  uint32        // and of the QE identity, which Intel numbers apart
	MinTCBDate       time.Time     // of the oldest of the TCB's levels; zero asks for none
	MaxCollateralAge time.Duration // since Intel issued the TCB info and QE identity; 0 asks for none

	Attributes Masked // of the TD, beside what package dcap refuses
	XFAM       Masked

	MRCONFIGID, MROWNER, MROWNERCONFIG []mr.Digest // accepted; nil for zero alone, and what the application leads to

	MRSEAM         []mr.Digest // accepted TDX modules; nil for all of Intel's
	ModuleMajors   []uint8     // accepted major versions of the TDX module; nil for all
	MinTEETCBSVN   [16]uint8   // the least of each component
	HasMinTCBSVN   bool        // whether MinTEETCBSVN is asked for
	Binding        dstack.Binding
	MaxNonceAge    time.Duration // 0 asks for none
	RequiredEvents []RequiredEvent

	// Unsafe names checks, or groups of them, that need not pass. A check that cannot be waived is required all the same.
	Unsafe []CheckID
	// Roots are trusted in place of Intel's: for tests and for collections of evidence with a PKI of their own.
	Roots []dcap.Fingerprint
}

// Masked asks that the bits of a mask have a value. The zero Masked asks nothing.
type Masked struct{ Mask, Value uint64 }

// A RequiredEvent must be in RTMR3 exactly once, with one of the payloads.
type RequiredEvent struct {
	Name        string
	Application bool // after system-ready; else before
	Payloads    [][]byte
}

// waived returns the checks that need not pass.
func (p *Policy) waived() map[CheckID]bool {
	set := map[CheckID]bool{}
	for _, u := range p.Unsafe {
		if waivable(u) {
			set[u] = true
		}
		for _, id := range groups[u] {
			set[id] = true
		}
	}
	return set
}

// waivable reports whether a policy may name the check in Unsafe.
func waivable(id CheckID) bool {
	if slices.Contains(dcapUnsafe, id) {
		return true
	}
	for _, list := range [][]step{before, after} {
		for i := range list {
			if list[i].ID == id {
				return list[i].Unsafe
			}
		}
	}
	return false
}

// Unsafe returns the names that a policy's Unsafe may hold: groups first, then checks in the order of the table.
func Unsafe() []CheckID {
	names := []CheckID{GroupCollateral, GroupRegisters}
	ids, _ := CheckIDs()
	for _, id := range ids {
		if waivable(id) {
			names = append(names, id)
		}
	}
	return names
}

// CheckUnsafe returns an error unless name may stand in Unsafe.
func CheckUnsafe(name CheckID) error {
	if slices.Contains(Unsafe(), name) {
		return nil
	}
	if ids, _ := CheckIDs(); slices.Contains(ids, name) {
		return fmt.Errorf("check %s cannot be waived", name)
	}
	return fmt.Errorf("%.60q is neither a check nor a group of checks", name)
}

// ParsePolicy reads a policy file. Every member is optional but schema; one that is not known, occurs twice or is spelt in
// other letters is an error, as is an empty list: it could be read as nothing or as anything.
func ParsePolicy(data []byte) (*Policy, error) {
	if len(data) > bin.MaxJSON {
		return nil, &bin.FormatError{Format: "policy", Field: "size", Err: bin.ErrUnsupported,
			Msg: fmt.Sprintf("is %d bytes, want at most %d", len(data), bin.MaxJSON)}
	}
	doc, err := strictjson.Parse("policy", data)
	if err != nil {
		return nil, err
	}
	r := reader{strictjson.NewReader("policy", doc)}
	if s := r.String("schema"); r.Err() == nil && s != PolicySchema {
		r.Failf("schema", bin.ErrUnsupported, "is %.60q, want %q", s, PolicySchema)
	}
	if r.Optional("description") != nil {
		_ = r.String("description")
	}
	p := &Policy{}
	r.section("tcb", p.readTCB)
	r.section("td", p.readTD)
	r.section("module", p.readModule)
	r.section("report_data", p.readReportData)
	r.section("rtmr3", p.readRTMR3)
	for i, s := range r.strings("unsafe") {
		if err := CheckUnsafe(CheckID(s)); err != nil {
			r.Failf("unsafe", bin.ErrUnsupported, "item %d: %v", i, err)
		}
		p.Unsafe = append(p.Unsafe, CheckID(s))
	}
	for _, b := range r.hexes("unsafe_roots", 32) {
		p.Roots = append(p.Roots, dcap.Fingerprint(b))
	}
	r.End()
	if err := r.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Policy) readTCB(r reader) {
	for _, s := range r.strings("statuses") {
		status, ok := dcap.ParseStatus(s)
		if !ok || status == dcap.Revoked {
			r.Failf("statuses", bin.ErrUnsupported, "has %.60q, which is no status of Intel's that can be accepted", s)
		}
		p.Statuses = append(p.Statuses, status)
	}
	p.Advisories = r.strings("advisories")
	if r.Optional("min_evaluation") != nil {
		p.MinEvaluation = uint32(r.Uint("min_evaluation", 1<<32-1))
	}
	if r.Optional("min_qe_evaluation") != nil {
		p.MinQEEvaluation = uint32(r.Uint("min_qe_evaluation", 1<<32-1))
	}
	if r.Optional("min_date") != nil {
		p.MinTCBDate = r.Time("min_date")
	}
	p.MaxCollateralAge = r.duration("max_collateral_age")
}

func (p *Policy) readTD(r reader) {
	p.Attributes = r.masked("attributes")
	p.XFAM = r.masked("xfam")
	p.MRCONFIGID = r.digests("mrconfigid")
	p.MROWNER = r.digests("mrowner")
	p.MROWNERCONFIG = r.digests("mrownerconfig")
}

func (p *Policy) readModule(r reader) {
	p.MRSEAM = r.digests("mrseam")
	if v := r.Optional("majors"); v != nil {
		for _, item := range r.Array("majors") {
			n, err := strconv.ParseUint(string(item.Raw), 10, 8)
			if err != nil {
				r.Failf("majors", bin.ErrMalformed, "has %.40s, want integers from 0 to 255", item.Raw)
			}
			p.ModuleMajors = append(p.ModuleMajors, uint8(n))
		}
	}
	if r.Optional("min_tee_tcb_svn") != nil {
		r.Hex("min_tee_tcb_svn", p.MinTEETCBSVN[:])
		p.HasMinTCBSVN = true
	}
}

func (p *Policy) readReportData(r reader) {
	if r.Optional("binding") != nil {
		b, err := dstack.ParseBinding(r.String("binding"))
		if err != nil {
			r.Failf("binding", bin.ErrUnsupported, "%v", err)
		}
		p.Binding = b
	}
	p.MaxNonceAge = r.duration("max_nonce_age")
}

func (p *Policy) readRTMR3(r reader) {
	if r.Optional("events") == nil {
		return
	}
	items := r.Array("events")
	for i := range items {
		e := reader{r.Object(&items[i])}
		ev := RequiredEvent{Name: e.String("name"), Payloads: e.hexes("payloads", -1)}
		if e.Err() == nil && ev.Payloads == nil {
			e.Failf("payloads", bin.ErrMalformed, "is missing")
		}
		if e.Optional("by") != nil {
			switch by := e.String("by"); by {
			case "system":
			case "application":
				ev.Application = true
			default:
				e.Failf("by", bin.ErrMalformed, `is %.40q, want "system" or "application"`, by)
			}
		}
		e.End()
		if e.Err() == nil && !ev.Application && !slices.Contains(dstack.SystemEvents(), ev.Name) {
			e.Failf("name", bin.ErrUnsupported, "is %.60q, which is no event of the system; application's events say so in by", ev.Name)
		}
		p.RequiredEvents = append(p.RequiredEvents, ev)
	}
}

// A reader reads what policies and expectations are made of.
type reader struct{ *strictjson.Reader }

// section reads a member that is an object, where it is there, to its end.
func (r reader) section(name string, read func(reader)) {
	if v := r.Optional(name); v != nil {
		s := reader{r.Object(v)}
		read(s)
		s.End()
	}
}

// strings returns a list of strings, nil where it is not there.
func (r reader) strings(name string) []string {
	if r.Optional(name) == nil {
		return nil
	}
	var list []string
	for _, item := range r.Array(name) {
		if item.Kind != strictjson.String {
			r.Failf(name, bin.ErrMalformed, "holds %v, want strings", item.Kind)
		}
		list = append(list, item.Text)
	}
	return list
}

// hexes returns a list of byte strings of size bytes, or of any size where it is negative.
func (r reader) hexes(name string, size int) [][]byte {
	var list [][]byte
	for i, s := range r.strings(name) {
		b, err := hex.DecodeString(s)
		if err != nil || size >= 0 && len(b) != size {
			r.Failf(name, bin.ErrMalformed, "item %d is not hexadecimal, or not of the right length", i)
			return nil
		}
		list = append(list, b)
	}
	return list
}

func (r reader) digests(name string) []mr.Digest {
	var list []mr.Digest
	for _, b := range r.hexes(name, len(mr.Digest{})) {
		list = append(list, mr.Digest(b))
	}
	return list
}

// duration returns a positive time as Go writes it, "720h" or "5m", 0 where it is not there.
func (r reader) duration(name string) time.Duration {
	if r.Optional(name) == nil {
		return 0
	}
	s := r.String(name)
	d, err := time.ParseDuration(s)
	if r.Err() == nil && (err != nil || d <= 0) {
		r.Failf(name, bin.ErrMalformed, `is %.40q, want a time such as "720h" or "5m"`, s)
	}
	return d
}

// masked returns {"mask": "0x…", "value": "0x…"}. Numbers are written with 0x because tools print these fields both as
// numbers and as bytes, which read differently.
func (r reader) masked(name string) Masked {
	var m Masked
	r.section(name, func(s reader) {
		for _, f := range []struct {
			name string
			dst  *uint64
		}{{"mask", &m.Mask}, {"value", &m.Value}} {
			text := s.String(f.name)
			digits, prefixed := strings.CutPrefix(text, "0x")
			n, err := strconv.ParseUint(digits, 16, 64)
			if !prefixed || err != nil {
				s.Failf(f.name, bin.ErrMalformed, "is %.40q, want a number in hexadecimal after 0x", text)
			}
			*f.dst = n
		}
		if m.Mask == 0 || m.Value&^m.Mask != 0 {
			s.Failf("value", bin.ErrMalformed, "is 0x%x, which the mask 0x%x does not let through", m.Value, m.Mask)
		}
	})
	return m
}

// attributeNames names the bits that differ, for a message.
func attributeNames(bits uint64) string { return fmt.Sprint(quote.TDAttributes(bits).Names()) }
