package verify

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/mr"
)

// VerdictSchema is the first member of a verdict as JSON.
const VerdictSchema = "tdxkit.verdict/v1"

type verdictJSON struct {
	Schema   string       `json:"schema"`
	Accepted bool         `json:"accepted"`
	Time     time.Time    `json:"time"`
	Variant  string       `json:"variant,omitempty"`
	Nearest  string       `json:"nearest,omitempty"`
	Checks   []checkJSON  `json:"checks"`
	TCB      *tcbJSON     `json:"tcb,omitempty"`
	TD       *tdJSON      `json:"td,omitempty"`
	Values   *mr.Values   `json:"registers,omitempty"`
	Runtime  *runtimeJSON `json:"rtmr3,omitempty"`
}

type checkJSON struct {
	ID       CheckID `json:"id"`
	Status   Status  `json:"status"`
	Required bool    `json:"required"`
	Waived   bool    `json:"waived,omitempty"`
	Want     string  `json:"want,omitempty"`
	Got      string  `json:"got,omitempty"`
	Why      string  `json:"why,omitempty"`
}

type tcbJSON struct {
	Status       dcap.Status `json:"status"`
	Platform     dcap.Status `json:"platform"`
	Module       dcap.Status `json:"module"`
	QE           dcap.Status `json:"qe"`
	Advisories   []string    `json:"advisories"`
	Evaluation   uint32      `json:"evaluation"`
	QEEvaluation uint32      `json:"qe_evaluation"`
	Date         string      `json:"date,omitempty"`
	FMSPC        string      `json:"fmspc,omitempty"`
	NotBefore    string      `json:"not_before,omitempty"` // of all collateral and certificates together
	NotAfter     string      `json:"not_after,omitempty"`
	Unknown      []string    `json:"unknown_members,omitempty"` // of signed documents: not judged here
}

type tdJSON struct {
	ReportData    string `json:"report_data"`
	Attributes    string `json:"attributes"` // a number in hexadecimal
	XFAM          string `json:"xfam"`
	MRSEAM        string `json:"mrseam"`
	TEETCBSVN     string `json:"tee_tcb_svn"`
	MRCONFIGID    string `json:"mrconfigid"`
	MROWNER       string `json:"mrowner"`
	MROWNERCONFIG string `json:"mrownerconfig"`
}

type runtimeJSON struct {
	AppID       string          `json:"app_id"`
	ComposeHash string          `json:"compose_hash"`
	InstanceID  string          `json:"instance_id"`
	KeyProvider keyProviderJSON `json:"key_provider"`
	OSImageHash string          `json:"os_image_hash,omitempty"`
	Aggregated  string          `json:"mr_aggregated"` // what dstack's contracts and KMS know the guest by
	System      string          `json:"mr_system"`
	Application []eventJSON     `json:"application"`
}

type keyProviderJSON struct {
	Name string `json:"name"`
	ID   string `json:"id"`
}

type eventJSON struct {
	Event   string `json:"event"`
	Payload string `json:"payload"`
}

// MarshalJSON returns the verdict in the schema of VerdictSchema. What it says of the TD is what the quote says, whether
// or not the verdict accepts it.
func (v *Verdict) MarshalJSON() ([]byte, error) {
	d := verdictJSON{Schema: VerdictSchema, Accepted: v.Accepted(), Time: v.Time.UTC(), Variant: v.Variant, Nearest: v.Nearest, Checks: []checkJSON{}}
	for _, c := range v.Checks {
		d.Checks = append(d.Checks, checkJSON{c.ID, c.Status, c.Required, c.Waived, c.Want, c.Got, c.Why})
	}
	if r := v.TCB; r != nil {
		d.TCB = newTCB(r)
	}
	if q := v.Quote; q != nil {
		t := &q.TD
		d.Values = &v.Registers
		d.TD = &tdJSON{
			ReportData: hex.EncodeToString(t.REPORTDATA[:]), Attributes: fmt.Sprintf("0x%016x", uint64(t.Attributes)),
			XFAM: fmt.Sprintf("0x%016x", uint64(t.XFAM)), MRSEAM: hex.EncodeToString(t.MRSEAM[:]), TEETCBSVN: hex.EncodeToString(t.TEETCBSVN[:]),
			MRCONFIGID: hex.EncodeToString(t.MRCONFIGID[:]), MROWNER: hex.EncodeToString(t.MROWNER[:]), MROWNERCONFIG: hex.EncodeToString(t.MROWNERCONFIG[:]),
		}
	}
	if r := v.Runtime; r != nil && v.Quote != nil {
		d.Runtime = &runtimeJSON{AppID: hex.EncodeToString(r.AppID[:]), ComposeHash: hex.EncodeToString(r.ComposeHash[:]),
			InstanceID: hex.EncodeToString(r.InstanceID), KeyProvider: keyProviderJSON(r.KeyProvider), OSImageHash: hex.EncodeToString(r.OSImageHash),
			Application: []eventJSON{}}
		aggregated, system := v.identities()
		d.Runtime.Aggregated, d.Runtime.System = hex.EncodeToString(aggregated[:]), hex.EncodeToString(system[:])
		for i := range r.Application {
			e := &r.Application[i]
			d.Runtime.Application = append(d.Runtime.Application, eventJSON{e.Measured.What, hex.EncodeToString(e.Data)})
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(d)
	return bytes.TrimSpace(b.Bytes()), err
}

// identities returns the values by which dstack's contracts and KMS know a guest. They need its quote and its events.
func (v *Verdict) identities() (aggregated, system [32]byte) {
	t := &v.Quote.TD
	m := dstack.Measurement{Registers: v.Registers, MRCONFIGID: t.MRCONFIGID, MROWNER: t.MROWNER, MROWNERCONFIG: t.MROWNERCONFIG}
	var provider []byte
	if p := v.Runtime.Find(dstack.KeyProvider); len(p) > 0 {
		provider = p[0]
	}
	return m.Aggregated(), m.System(provider)
}

func newTCB(r *dcap.Result) *tcbJSON {
	t := &tcbJSON{Status: r.Status, Platform: r.Platform.Status, Module: r.Module.Status, QE: r.QE.Status,
		Advisories: append([]string{}, r.Advisories...), Evaluation: r.Evaluation, QEEvaluation: r.QEEvaluation, Unknown: r.UnknownMembers}
	if !r.TCBDate.IsZero() {
		t.Date = stamp(r.TCBDate)
	}
	if r.PCK != nil {
		t.FMSPC = hex.EncodeToString(r.PCK.FMSPC[:])
	}
	if from, to := r.Window(); !from.IsZero() {
		t.NotBefore, t.NotAfter = stamp(from), stamp(to)
	}
	return t
}

// word returns ACCEPTED or REJECTED.
func (v *Verdict) word() string {
	if v.Accepted() {
		return "ACCEPTED"
	}
	return "REJECTED"
}

// AppendText appends the verdict for people: the word, what the TCB and variant are, and a line for each check.
func (v *Verdict) AppendText(b []byte) []byte {
	b = fmt.Appendf(b, "%s at %s", v.word(), stamp(v.Time))
	if v.Variant != "" {
		b = fmt.Appendf(b, ", as %s", clean(v.Variant))
	}
	b = append(b, '\n')
	if r := v.TCB; r != nil && r.Status != dcap.NoStatus {
		b = fmt.Appendf(b, "TCB %v (platform %v, module %v, QE %v), evaluation %d, date %s", r.Status, r.Platform.Status, r.Module.Status, r.QE.Status,
			r.Evaluation, r.TCBDate.Format(time.DateOnly))
		if len(r.Advisories) > 0 {
			b = fmt.Appendf(b, ", %s", clean(strings.Join(r.Advisories, ", ")))
		}
		b = append(b, '\n')
	}
	if r := v.Runtime; r != nil {
		b = fmt.Appendf(b, "application %x, key provider %s\n", r.ComposeHash, clean(r.KeyProvider.Name))
	}
	for _, c := range v.Failed() {
		if c.Status == NotRun && strings.HasPrefix(c.Why, "needs ") {
			continue // it follows from another one
		}
		b = fmt.Appendf(b, "\n%s %s: %s\n", strings.ToUpper(c.Status.String()), c.ID, c.What)
		for _, l := range []struct{ what, text string }{{"want", c.Want}, {"got ", c.Got}, {"why ", c.Why}} {
			if l.text != "" {
				b = fmt.Appendf(b, "  %s %s\n", l.what, clean(bounded(l.text)))
			}
		}
	}
	b = append(b, '\n')
	for _, c := range v.Checks {
		b = append(b, strings.TrimRight(fmt.Sprintf("%-8s %-24s %s", c.mark(), c.ID, clean(short(c.remark()))), " ")...)
		b = append(b, '\n')
	}
	return b
}

// mark is the status as a list shows it: what is not required is in brackets.
func (c *Check) mark() string {
	switch {
	case c.Waived:
		return "[waived]"
	case !c.Required:
		return "-"
	case c.Status == Fail:
		return "FAIL"
	}
	return c.Status.String()
}

// remark is the one thing to say of a check on one line.
func (c *Check) remark() string {
	switch {
	case c.Why != "":
		return c.Why
	case c.Status == Fail:
		return "got " + c.Got
	}
	return c.Got
}

// longest is the number of characters of a remark in a list.
const longest = 100

func short(s string) string {
	if r := []rune(s); len(r) > longest {
		return string(r[:longest]) + "…"
	}
	return s
}

// longestText is the number of bytes of a text in a report for people: evidence can hold payloads of megabytes. JSON has all.
const longestText = 4 << 10

// bounded cuts a text that is longer than longestText.
func bounded(s string) string {
	if len(s) <= longestText {
		return s
	}
	return strings.ToValidUTF8(s[:longestText], "") + fmt.Sprintf("… (%d bytes)", len(s))
}

// clean keeps a text on one line, and in the order of its letters: evidence can put anything into it.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Cf, r) {
			return '?'
		}
		return r
	}, s)
}

// AppendMarkdown appends the verdict as a heading and a table.
func (v *Verdict) AppendMarkdown(b []byte) []byte {
	b = fmt.Appendf(b, "## %s\n\nJudged at %s", v.word(), stamp(v.Time))
	if v.Variant != "" {
		b = fmt.Appendf(b, ", as %s", cell(v.Variant))
	}
	b = append(b, ".\n"...)
	if r := v.TCB; r != nil && r.Status != dcap.NoStatus {
		b = fmt.Appendf(b, "\nTCB: **%v**, evaluation %d, %s.\n", r.Status, r.Evaluation, r.TCBDate.Format(time.DateOnly))
	}
	b = append(b, "\n| check | status | want | got | why |\n|---|---|---|---|---|\n"...)
	for _, c := range v.Checks {
		b = fmt.Appendf(b, "| %s | %s | %s | %s | %s |\n", cell(string(c.ID)), cell(c.mark()), cell(bounded(c.Want)), cell(bounded(c.Got)), cell(bounded(c.Why)))
	}
	return b
}

// cell escapes what would be markup in a table of Markdown. Forges look for mentions and numbers of issues in the text that
// Markdown leads to, where an escape is gone; a space of no width behind the sign keeps them from it.
// dependabot/dependabot-core 05c98de, link_and_mention_sanitizer.rb, insert_zero_width_space_in_mention.
func cell(s string) string {
	var b strings.Builder
	for _, r := range clean(s) {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '&':
			b.WriteString("&amp;")
		case r == '@' || r == '#':
			b.WriteByte('\\')
			b.WriteRune(r)
			b.WriteString("&#8203;")
		case strings.ContainsRune("\\`*_[]|>!", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return strings.NewReplacer("://", "\\://", "www.", "www\\.").Replace(b.String()) // which become links of themselves
}

type suiteXML struct {
	XMLName  xml.Name  `xml:"testsuite"`
	Name     string    `xml:"name,attr"`
	Tests    int       `xml:"tests,attr"`
	Failures int       `xml:"failures,attr"`
	Skipped  int       `xml:"skipped,attr"`
	Time     string    `xml:"timestamp,attr"`
	Cases    []caseXML `xml:"testcase"`
}

type caseXML struct {
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	Failure *textXML `xml:"failure,omitempty"`
	Skipped *textXML `xml:"skipped,omitempty"`
}

type textXML struct {
	Message string `xml:"message,attr"`
}

// AppendJUnit appends the verdict as a suite of tests in JUnit's XML. A required check that was not made is a failure, as
// it is for the verdict; only what is not required is skipped. A last case stands for the verdict itself.
func (v *Verdict) AppendJUnit(b []byte) ([]byte, error) {
	s := suiteXML{Name: "tdxkit verify", Time: v.Time.UTC().Format("2006-01-02T15:04:05")}
	add := func(name string, failure, skipped *textXML) {
		s.Tests++
		if failure != nil {
			s.Failures++
		}
		if skipped != nil {
			s.Skipped++
		}
		s.Cases = append(s.Cases, caseXML{"tdxkit.verify", name, failure, skipped})
	}
	for _, c := range v.Checks {
		message := bounded(c.Why)
		if c.Want != "" {
			message = strings.TrimPrefix(fmt.Sprintf("%s: want %s, got %s", message, bounded(c.Want), bounded(c.Got)), ": ")
		}
		switch text := (&textXML{clean(message)}); {
		case c.Required && c.Status != Pass:
			add(string(c.ID), text, nil)
		case !c.Required && c.Status != Pass:
			add(string(c.ID), nil, text)
		default:
			add(string(c.ID), nil, nil)
		}
	}
	if v.Accepted() {
		add("accepted", nil, nil)
	} else {
		add("accepted", &textXML{"the evidence is rejected"}, nil)
	}
	out, err := xml.MarshalIndent(s, "", "  ")
	if err != nil {
		return b, err
	}
	b = append(b, xml.Header...)
	return append(append(b, out...), '\n'), nil
}
