package dcap

import (
	"strconv"
	"strings"
	"time"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/strictjson"
)

// TCBInfo is Intel's statement on the platforms of one FMSPC: version 3, for TDX. Intel PCS API v4, "Get TDX TCB Info",
// TcbInfoV3.
type TCBInfo struct {
	IssueDate, NextUpdate time.Time
	FMSPC                 [6]byte
	PCEID                 [2]byte
	EvaluationDataNumber  uint32
	Module                ModuleIdentity   // tdxModule: of modules of major version 0; has no levels
	Modules               []ModuleIdentity // tdxModuleIdentities: of later ones, which must be matched by ID
	Levels                []TCBLevel       // in the document's order, best first
	UnknownMembers        []string         // members that are not known here, as dotted paths
}

// A ModuleIdentity is what a quote must say of the TDX module of one major version.
type ModuleIdentity struct {
	ID         string // "TDX_01"; the major version in two hex digits
	MRSIGNER   [48]byte
	Attributes [8]byte
	Mask       [8]byte
	Levels     []SVNLevel
}

// An SVNLevel is a level of something with a single SVN: a TDX module or a quoting enclave.
type SVNLevel struct {
	ISVSVN     uint16
	Date       time.Time
	Status     Status
	Advisories []string
}

// A TCBLevel is a level of the platform. SGX is compared with the PCK certificate, TDX with the quote.
type TCBLevel struct {
	SGX, TDX   [16]uint8
	PCESVN     uint16
	Date       time.Time
	Status     Status
	Advisories []string
}

// QEIdentity is Intel's statement on the TD quoting enclave: version 2, TD_QE. Intel PCS API v4, "Get TDX QE Identity",
// EnclaveIdentityV2.
type QEIdentity struct {
	IssueDate, NextUpdate      time.Time
	EvaluationDataNumber       uint32
	MiscSelect, MiscSelectMask [4]byte // big-endian, as written
	Attributes, AttributesMask [16]byte
	MRSIGNER                   [32]byte
	ISVProdID                  uint16
	Levels                     []SVNLevel
	UnknownMembers             []string
}

// Statuses that each kind of level may have; another one is an error, since nothing is known of what it would mean.
// EvaluateTcb.cpp, VALID_TCB_INFO_STATUSES and VALID_TDX_MODULE_STATUSES. Intel allows a QE two more and then takes no
// notice of them; here they are refused until one is seen.
var (
	platformStatuses = []Status{UpToDate, SWHardeningNeeded, ConfigurationNeeded, ConfigurationAndSWHardeningNeeded, OutOfDate,
		OutOfDateConfigurationNeeded, Revoked}
	svnStatuses = []Status{UpToDate, OutOfDate, Revoked}
)

// ParseTCBInfo reads the signed text of TCB info. It verifies nothing: Judge does so before it calls it.
func ParseTCBInfo(text []byte) (*TCBInfo, error) {
	v, err := parseSigned("TCB info", text)
	if err != nil {
		return nil, err
	}
	t := &TCBInfo{}
	d := document{unknown: &t.UnknownMembers}
	r := strictjson.NewReader("TCB info", v)
	d.kind(r, "TDX", 3)
	d.dates(r, &t.IssueDate, &t.NextUpdate, &t.EvaluationDataNumber)
	r.Hex("fmspc", t.FMSPC[:])
	r.Hex("pceId", t.PCEID[:])
	if n := r.Uint("tcbType", 255); n != 0 {
		r.Failf("tcbType", bin.ErrUnsupported, "is %d, want 0", n)
	}
	m := r.Object(r.Value("tdxModule"))
	d.moduleIdentity(m, &t.Module)
	d.end(m, "tdxModule.")
	if r.Optional("tdxModuleIdentities") != nil {
		items := r.Array("tdxModuleIdentities")
		for i := range items {
			m := r.Object(&items[i])
			id := ModuleIdentity{ID: strings.ToUpper(m.String("id"))}
			d.moduleIdentity(m, &id)
			id.Levels = d.svnLevels(m)
			d.end(m, "tdxModuleIdentities.")
			for _, other := range t.Modules {
				if other.ID == id.ID {
					m.Failf("id", bin.ErrMalformed, "%q occurs twice", id.ID)
				}
			}
			t.Modules = append(t.Modules, id)
		}
	}
	items := r.Array("tcbLevels")
	for i := range items {
		t.Levels = append(t.Levels, d.tcbLevel(r.Object(&items[i])))
	}
	d.end(r, "")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return t, nil
}

// ParseQEIdentity reads the signed text of a QE identity. It verifies nothing: Judge does so before it calls it.
func ParseQEIdentity(text []byte) (*QEIdentity, error) {
	v, err := parseSigned("QE identity", text)
	if err != nil {
		return nil, err
	}
	q := &QEIdentity{}
	d := document{unknown: &q.UnknownMembers}
	r := strictjson.NewReader("QE identity", v)
	d.kind(r, "TD_QE", 2)
	d.dates(r, &q.IssueDate, &q.NextUpdate, &q.EvaluationDataNumber)
	r.Hex("miscselect", q.MiscSelect[:])
	r.Hex("miscselectMask", q.MiscSelectMask[:])
	r.Hex("attributes", q.Attributes[:])
	r.Hex("attributesMask", q.AttributesMask[:])
	r.Hex("mrsigner", q.MRSIGNER[:])
	q.ISVProdID = uint16(r.Uint("isvprodid", 1<<16-1))
	q.Levels = d.svnLevels(r)
	d.end(r, "")
	if err := r.Err(); err != nil {
		return nil, err
	}
	return q, nil
}

func parseSigned(format string, text []byte) (*strictjson.Value, error) {
	if len(text) > bin.MaxCollateral {
		return nil, &bin.FormatError{Format: format, Field: "size", Err: bin.ErrUnsupported, Msg: "is more than 4 MiB"}
	}
	return strictjson.Parse(format, text)
}

// A document reads the parts that TCB info and QE identity share, and notes members that it does not know. Intel has added
// members to a version before (tdxModuleIdentities), so that one more is no error; that it is there is reported.
type document struct{ unknown *[]string }

func (d document) end(r *strictjson.Reader, path string) {
	for _, name := range r.Unknown() {
		*d.unknown = append(*d.unknown, path+name)
	}
}

func (d document) kind(r *strictjson.Reader, id string, version uint64) {
	if got := r.String("id"); r.Err() == nil && got != id {
		r.Failf("id", bin.ErrUnsupported, "is %.40q, want %q", got, id)
	}
	if got := r.Uint("version", 1<<16); r.Err() == nil && got != version {
		r.Failf("version", bin.ErrUnsupported, "is %d, want %d", got, version)
	}
}

func (d document) dates(r *strictjson.Reader, issue, next *time.Time, number *uint32) {
	*issue, *next = r.Time("issueDate"), r.Time("nextUpdate")
	if r.Err() == nil && !next.After(*issue) {
		r.Failf("nextUpdate", bin.ErrMalformed, "is not after issueDate")
	}
	*number = uint32(r.Uint("tcbEvaluationDataNumber", 1<<31))
}

func (d document) moduleIdentity(r *strictjson.Reader, m *ModuleIdentity) {
	r.Hex("mrsigner", m.MRSIGNER[:])
	r.Hex("attributes", m.Attributes[:])
	r.Hex("attributesMask", m.Mask[:])
}

// svnLevels reads tcbLevels whose tcb is one isvsvn. They must fall strictly: the first that the SVN reaches is taken.
func (d document) svnLevels(r *strictjson.Reader) []SVNLevel {
	var levels []SVNLevel
	items := r.Array("tcbLevels")
	for i := range items {
		item := r.Object(&items[i])
		var l SVNLevel
		tcb := item.Object(item.Value("tcb"))
		l.ISVSVN = uint16(tcb.Uint("isvsvn", 1<<16-1))
		d.end(tcb, "tcbLevels.tcb.")
		l.Date, l.Status, l.Advisories = d.verdict(item, svnStatuses)
		d.end(item, "tcbLevels.")
		if n := len(levels); n > 0 && l.ISVSVN >= levels[n-1].ISVSVN {
			tcb.Failf("isvsvn", bin.ErrMalformed, "is %d after a level of %d; levels must fall", l.ISVSVN, levels[n-1].ISVSVN)
		}
		levels = append(levels, l)
	}
	return levels
}

func (d document) tcbLevel(r *strictjson.Reader) TCBLevel {
	var l TCBLevel
	tcb := r.Object(r.Value("tcb"))
	d.components(tcb, "sgxtcbcomponents", &l.SGX)
	d.components(tcb, "tdxtcbcomponents", &l.TDX)
	l.PCESVN = uint16(tcb.Uint("pcesvn", 1<<16-1))
	d.end(tcb, "tcbLevels.tcb.")
	l.Date, l.Status, l.Advisories = d.verdict(r, platformStatuses)
	d.end(r, "tcbLevels.")
	return l
}

// components reads the 16 SVNs of a level; category and type beside them are for people.
func (d document) components(r *strictjson.Reader, name string, dst *[16]uint8) {
	items := r.Array(name)
	if r.Err() == nil && len(items) != len(dst) {
		r.Failf(name, bin.ErrMalformed, "has %d components, want %d", len(items), len(dst))
		return
	}
	for i := range items {
		c := r.Object(&items[i])
		dst[i] = uint8(c.Uint("svn", 255))
		c.Optional("category")
		c.Optional("type")
		d.end(c, "tcbLevels.tcb."+name+".")
	}
}

func (d document) verdict(r *strictjson.Reader, allowed []Status) (date time.Time, status Status, advisories []string) {
	date = r.Time("tcbDate")
	name := r.String("tcbStatus")
	for _, s := range allowed {
		if s.String() == name {
			status = s
		}
	}
	if r.Err() == nil && status == NoStatus {
		r.Failf("tcbStatus", bin.ErrUnsupported, "is %.60q, want one of %v", name, allowed)
	}
	if v := r.Optional("advisoryIDs"); v != nil {
		for i := range v.Items {
			if v.Items[i].Kind != strictjson.String {
				r.Failf("advisoryIDs", bin.ErrMalformed, "has item %s that is not a string", strconv.Itoa(i))
			}
			advisories = append(advisories, v.Items[i].Text)
		}
		if v.Kind != strictjson.Array {
			r.Failf("advisoryIDs", bin.ErrMalformed, "is %v, want an array", v.Kind)
		}
	}
	return date, status, advisories
}
