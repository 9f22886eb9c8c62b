package main

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/quote"
)

type quoteJSON struct {
	Schema     string           `json:"schema"`
	File       string           `json:"file"`
	Form       string           `json:"form"`
	Version    uint16           `json:"version"`
	Body       string           `json:"body"`
	Attributes []string         `json:"attributes,omitempty"`
	XFAM       []string         `json:"xfam,omitempty"`
	Registers  *mr.Values       `json:"registers,omitempty"`
	PCK        *pckJSON         `json:"pck,omitempty"`
	Fields     []quoteFieldJSON `json:"fields"`
	Padding    int              `json:"padding"`
	Beside     []string         `json:"beside,omitempty"` // what came with the quote and is not signed
}

type quoteFieldJSON struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"`
	Length int    `json:"length"`
	Hex    string `json:"hex"`
}

type pckJSON struct {
	FMSPC  string `json:"fmspc"`
	CA     string `json:"ca"`
	PCESVN uint16 `json:"pcesvn"`
	Root   string `json:"chain"`
}

// inspectQuote shows every field of a quote of any kind. It judges nothing.
func inspectQuote(p *printer, path string) error {
	e, notFound, err := readEvidence(path)
	if err == nil {
		err = notFound
	}
	if err != nil {
		return err
	}
	q, err := quote.ParseAny(e.Quote)
	if err != nil {
		return inFile(path, roleOther, err)
	}
	v := &quoteJSON{Schema: "tdxkit.inspect.quote/v1", File: path, Form: e.Form, Version: q.Header.Version, Body: q.Kind.String(), Padding: q.Padding}
	if q.Enclave == nil {
		r := quoted(q)
		v.Registers, v.Attributes, v.XFAM = &r, q.TD.Attributes.Names(), q.TD.XFAM.Names()
	}
	v.PCK = pckOf(q)
	for _, f := range q.Fields() {
		v.Fields = append(v.Fields, quoteFieldJSON{f.Name, f.Off, len(f.Bytes), hex.EncodeToString(f.Bytes)})
	}
	for _, b := range []struct {
		name string
		data []byte
	}{{"event log", e.UntrustedEventLog}, {"vm_config", e.UntrustedVMConfig}, {"report_data", e.UntrustedReportData}} {
		if b.data != nil {
			v.Beside = append(v.Beside, fmt.Sprintf("%s, %d bytes, not signed", b.name, len(b.data)))
		}
	}
	return p.result(v, func() { v.print(p) })
}

// pckOf takes the platform out of the quote's PCK chain; nil where it cannot be read. The judgement needs a time, and any
// will do: nothing of it is shown but what the certificate says.
func pckOf(q *quote.Quote) *pckJSON {
	if q.Enclave != nil {
		return nil
	}
	r, _ := dcap.Judge(q, &dcap.Collateral{}, dcap.Options{Time: time.Unix(1, 0)})
	if r.PCK == nil {
		return nil
	}
	return &pckJSON{hex.EncodeToString(r.PCK.FMSPC[:]), r.CA, r.PCK.PCESVN, r.Check(dcap.PCKChain).Got}
}

func (v *quoteJSON) print(p *printer) {
	p.printf("quote of version %d, %s, found as %s\n", v.Version, v.Body, oneLine(v.Form))
	if v.PCK != nil {
		p.printf("platform: FMSPC %s, PCK %s CA, PCESVN %d\n", v.PCK.FMSPC, v.PCK.CA, v.PCK.PCESVN)
	}
	if v.Registers != nil {
		p.printf("attributes: %s\nXFAM: %s\n", strings.Join(v.Attributes, " "), strings.Join(v.XFAM, " "))
	}
	for _, b := range v.Beside {
		p.printf("beside it: %s\n", b)
	}
	p.printf("\n")
	rows := [][]string{}
	for _, f := range v.Fields {
		text := f.Hex
		if len(text) > 192 {
			text = text[:64] + fmt.Sprintf("… (%d bytes)", f.Length)
		}
		rows = append(rows, []string{fmt.Sprintf("0x%04x", f.Offset), f.Name, text})
	}
	p.table(rows)
	if v.Padding > 0 {
		p.printf("%d zero bytes behind\n", v.Padding)
	}
}

type collateralJSON struct {
	Schema     string       `json:"schema"`
	File       string       `json:"file"`
	TCBInfo    *tcbInfoJSON `json:"tcb_info,omitempty"`
	QEIdentity *qeJSON      `json:"qe_identity,omitempty"`
	RootCRL    int          `json:"root_crl_bytes"`
	PCKCRL     int          `json:"pck_crl_bytes"`
	PCKChain   bool         `json:"pck_chain"`
	CA         string       `json:"ca,omitempty"` // whose PCK list it is: platform or processor
	Validity   []spanOfTime `json:"validity"`     // of every document, list and certificate
}

type spanOfTime struct {
	What      string    `json:"what"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
}

type tcbInfoJSON struct {
	FMSPC      string       `json:"fmspc"`
	Evaluation uint32       `json:"evaluation"`
	Issued     time.Time    `json:"issued"`
	NextUpdate time.Time    `json:"next_update"`
	Levels     []levelJSON  `json:"levels"`
	Modules    []moduleJSON `json:"modules"`
}

type moduleJSON struct {
	ID     string      `json:"id"`
	Levels []levelJSON `json:"levels"`
}

type levelJSON struct {
	Status     dcap.Status `json:"status"`
	Date       string      `json:"date"`
	SVN        string      `json:"svn"`
	Advisories []string    `json:"advisories,omitempty"`
}

type qeJSON struct {
	Evaluation uint32      `json:"evaluation"`
	Issued     time.Time   `json:"issued"`
	NextUpdate time.Time   `json:"next_update"`
	MRSIGNER   string      `json:"mrsigner"`
	Levels     []levelJSON `json:"levels"`
}

// inspectCollateral shows what collateral says. It verifies no signature.
func inspectCollateral(p *printer, path string) error {
	data, err := readFile(path, roleOther, bin.MaxCollateral)
	if err != nil {
		return err
	}
	c, err := dcap.ParseCollateral(data)
	if err != nil {
		return inFile(path, roleOther, err)
	}
	in, err := c.UntrustedContents()
	if err != nil {
		return inFile(path, roleOther, err)
	}
	v := &collateralJSON{Schema: "tdxkit.inspect.collateral/v1", File: path, RootCRL: len(c.RootCRL), PCKCRL: len(c.PCKCRL), PCKChain: len(c.PCKChain) > 0, CA: in.CA}
	if t := in.TCBInfo; t != nil {
		v.TCBInfo = newTCBInfo(t)
	}
	if q := in.QEIdentity; q != nil {
		v.QEIdentity = &qeJSON{Evaluation: q.EvaluationDataNumber, Issued: q.IssueDate, NextUpdate: q.NextUpdate, MRSIGNER: hex.EncodeToString(q.MRSIGNER[:]), Levels: svnLevels(q.Levels)}
	}
	for _, span := range in.Validity {
		v.Validity = append(v.Validity, spanOfTime{span.What, span.NotBefore.UTC(), span.NotAfter.UTC()})
	}
	return p.result(v, func() { v.print(p) })
}

func newTCBInfo(t *dcap.TCBInfo) *tcbInfoJSON {
	v := &tcbInfoJSON{FMSPC: hex.EncodeToString(t.FMSPC[:]), Evaluation: t.EvaluationDataNumber, Issued: t.IssueDate, NextUpdate: t.NextUpdate, Modules: []moduleJSON{}}
	for _, l := range t.Levels {
		v.Levels = append(v.Levels, levelJSON{l.Status, l.Date.Format(time.DateOnly), fmt.Sprintf("SGX %x PCE %d TDX %x", l.SGX, l.PCESVN, l.TDX), l.Advisories})
	}
	for _, m := range t.Modules {
		v.Modules = append(v.Modules, moduleJSON{m.ID, svnLevels(m.Levels)})
	}
	return v
}

func svnLevels(list []dcap.SVNLevel) []levelJSON {
	var out []levelJSON
	for _, l := range list {
		out = append(out, levelJSON{l.Status, l.Date.Format(time.DateOnly), fmt.Sprint(l.ISVSVN), l.Advisories})
	}
	return out
}

func (v *collateralJSON) print(p *printer) {
	rows := func(levels []levelJSON) {
		var r [][]string
		for _, l := range levels {
			r = append(r, []string{"  " + l.Status.String(), l.Date, l.SVN, strings.Join(l.Advisories, " ")})
		}
		p.table(r)
	}
	if t := v.TCBInfo; t != nil {
		p.printf("TCB info: FMSPC %s, evaluation %d, issued %s, next update %s\n", t.FMSPC, t.Evaluation, t.Issued.Format(time.RFC3339), t.NextUpdate.Format(time.RFC3339))
		rows(t.Levels)
		for _, m := range t.Modules {
			p.printf("module %s\n", oneLine(m.ID))
			rows(m.Levels)
		}
	}
	if q := v.QEIdentity; q != nil {
		p.printf("QE identity: evaluation %d, issued %s, next update %s, MRSIGNER %s\n", q.Evaluation, q.Issued.Format(time.RFC3339), q.NextUpdate.Format(time.RFC3339), q.MRSIGNER)
		rows(q.Levels)
	}
	p.printf("root CRL %d bytes, PCK CRL %d bytes %s\n", v.RootCRL, v.PCKCRL, v.CA)
	spans := [][]string{{"valid", "from", "to"}}
	for _, span := range v.Validity {
		spans = append(spans, []string{span.What, span.NotBefore.Format(time.RFC3339), span.NotAfter.Format(time.RFC3339)})
	}
	p.section(spans)
}
