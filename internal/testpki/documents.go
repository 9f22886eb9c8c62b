package testpki

import (
	"fmt"
	"strings"
	"time"
)

// A Level is a TCB level of the platform.
type Level struct {
	SGX, TDX   [16]uint8
	PCESVN     uint16
	Date       string // "2025-01-01"
	Status     string
	Advisories []string
}

// An SVNLevel is a level of a TDX module or of a quoting enclave.
type SVNLevel struct {
	SVN        int
	Date       string
	Status     string
	Advisories []string
}

// A Module is one of tdxModuleIdentities.
type Module struct {
	ID         string
	MRSIGNER   [48]byte
	Attributes [8]byte
	Mask       [8]byte
	Levels     []SVNLevel
}

// TCBInfo is the TCB info to be.
type TCBInfo struct {
	IssueDate, NextUpdate time.Time
	FMSPC                 [6]byte
	PCEID                 [2]byte
	Evaluation            int
	Module                Module   // only its signer and attributes
	Modules               []Module // nil leaves the member out
	Levels                []Level
}

// QEIdentity is the QE identity to be.
type QEIdentity struct {
	IssueDate, NextUpdate time.Time
	Evaluation            int
	MRSIGNER              [32]byte
	ISVProdID             uint16
	Attributes, Mask      [16]byte
	Levels                []SVNLevel
}

const timeForm = "2006-01-02T15:04:05Z"

// JSON writes the text that is signed, in Intel's order and spelling.
func (t *TCBInfo) JSON() string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"id":"TDX","version":3,"issueDate":"%s","nextUpdate":"%s","fmspc":"%X","pceId":"%X","tcbType":0,"tcbEvaluationDataNumber":%d,`,
		t.IssueDate.Format(timeForm), t.NextUpdate.Format(timeForm), t.FMSPC, t.PCEID, t.Evaluation)
	fmt.Fprintf(&b, `"tdxModule":{"mrsigner":"%X","attributes":"%X","attributesMask":"%X"},`, t.Module.MRSIGNER, t.Module.Attributes, t.Module.Mask)
	if t.Modules != nil {
		list(&b, `"tdxModuleIdentities":`, t.Modules, func(m Module) {
			fmt.Fprintf(&b, `{"id":"%s","mrsigner":"%X","attributes":"%X","attributesMask":"%X",`, m.ID, m.MRSIGNER, m.Attributes, m.Mask)
			svnLevels(&b, m.Levels)
			b.WriteString("}")
		})
		b.WriteString(",")
	}
	list(&b, `"tcbLevels":`, t.Levels, func(l Level) {
		components := func(svns [16]uint8) {
			list(&b, "", svns[:], func(n uint8) { fmt.Fprintf(&b, `{"svn":%d}`, n) })
		}
		b.WriteString(`{"tcb":{"sgxtcbcomponents":`)
		components(l.SGX)
		fmt.Fprintf(&b, `,"pcesvn":%d,"tdxtcbcomponents":`, l.PCESVN)
		components(l.TDX)
		b.WriteString("},")
		verdict(&b, l.Date, l.Status, l.Advisories)
		b.WriteString("}")
	})
	b.WriteString("}")
	return b.String()
}

// JSON writes the text that is signed, in Intel's order and spelling.
func (q *QEIdentity) JSON() string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"id":"TD_QE","version":2,"issueDate":"%s","nextUpdate":"%s","tcbEvaluationDataNumber":%d,"miscselect":"00000000","miscselectMask":"FFFFFFFF",`,
		q.IssueDate.Format(timeForm), q.NextUpdate.Format(timeForm), q.Evaluation)
	fmt.Fprintf(&b, `"attributes":"%X","attributesMask":"%X","mrsigner":"%X","isvprodid":%d,`, q.Attributes, q.Mask, q.MRSIGNER, q.ISVProdID)
	svnLevels(&b, q.Levels)
	b.WriteString("}")
	return b.String()
}

func svnLevels(b *strings.Builder, levels []SVNLevel) {
	list(b, `"tcbLevels":`, levels, func(l SVNLevel) {
		fmt.Fprintf(b, `{"tcb":{"isvsvn":%d},`, l.SVN)
		verdict(b, l.Date, l.Status, l.Advisories)
		b.WriteString("}")
	})
}

func verdict(b *strings.Builder, date, status string, advisories []string) {
	fmt.Fprintf(b, `"tcbDate":"%sT00:00:00Z","tcbStatus":"%s"`, date, status)
	if advisories != nil {
		list(b, `,"advisoryIDs":`, advisories, func(a string) { fmt.Fprintf(b, `"%s"`, a) })
	}
}

func list[T any](b *strings.Builder, name string, items []T, each func(T)) {
	b.WriteString(name + "[")
	for i, item := range items {
		if i > 0 {
			b.WriteString(",")
		}
		each(item)
	}
	b.WriteString("]")
}
