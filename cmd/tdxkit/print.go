package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/mr/predict"
)

func outputFlag() cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "text", Usage: "`FORMAT` of the result: text or json"}
}

// A printer writes results to stdout.
type printer struct {
	w      *bufio.Writer
	json   bool
	colour bool
}

// newPrinter reads --output.
func newPrinter(c *cli.Context) (*printer, error) {
	p := &printer{w: bufio.NewWriter(c.App.Writer), colour: isTerminal(c.App.Writer) && os.Getenv("NO_COLOR") == ""}
	switch f := c.String("output"); f {
	case "json":
		p.json = true
	case "text":
	default:
		return nil, usage(fmt.Sprintf("--output %q: want text or json", f), "")
	}
	return p, nil
}

func (p *printer) printf(format string, args ...any) { fmt.Fprintf(p.w, format, args...) }

// bold and dim style a word where someone looks at it.
func (p *printer) bold(s string) string { return p.style("\x1b[1m", s) }
func (p *printer) dim(s string) string  { return p.style("\x1b[2m", s) }

func (p *printer) style(code, s string) string {
	if !p.colour {
		return s
	}
	return code + s + "\x1b[0m"
}

// result prints one value: as JSON, or by text.
func (p *printer) result(v any, text func()) error {
	if !p.json {
		text()
		return p.w.Flush()
	}
	b, err := marshal(v, "")
	if err != nil {
		return err
	}
	p.w.Write(append(b, '\n'))
	return p.w.Flush()
}

// table prints rows in columns. Cells are cleaned of control characters.
func (p *printer) table(rows [][]string) {
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		for i := range r {
			r[i] = oneLine(r[i])
		}
		fmt.Fprintln(t, strings.TrimRight(strings.Join(r, "\t"), "\t"))
	}
	t.Flush()
}

// marshal writes v as indented JSON without escaping for HTML. Someone may look at it on a terminal: what is unseen there
// is written as an escape.
func marshal(v any, prefix string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent(prefix, "  ")
	err := e.Encode(v)
	return escapeUnseen(bytes.TrimRight(b.Bytes(), "\n")), err
}

// escapeUnseen writes what is unseen in the strings of a JSON text as escapes, which does not change its meaning.
func escapeUnseen(text []byte) []byte {
	hidden := func(r rune) bool { return r != '\n' && unseen(r) }
	if !bytes.ContainsFunc(text, hidden) {
		return text
	}
	out := make([]byte, 0, len(text)+64)
	for _, r := range string(text) {
		if !hidden(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
}

// A document is a JSON object with a schema and one list, whose elements are written as they come.
type document struct {
	p     *printer
	count int
}

// begin starts a document.
func (p *printer) begin(schema, list string) *document {
	if p.json {
		p.printf("{\n  \"schema\": %q,\n  %q: [", schema, list)
	}
	return &document{p: p}
}

// add writes one element: as JSON, or by text.
func (d *document) add(v any, text func()) error {
	d.count++
	if !d.p.json {
		if d.count > 1 {
			d.p.printf("\n")
		}
		text()
		return d.p.w.Flush()
	}
	b, err := marshal(v, "    ")
	if err != nil {
		return err
	}
	if d.count > 1 {
		d.p.printf(",")
	}
	d.p.printf("\n    %s", b)
	return d.p.w.Flush()
}

// end closes the document.
func (d *document) end() error {
	if d == nil {
		return nil
	}
	if d.p.json {
		d.p.printf("\n  ]\n}\n")
	}
	return d.p.w.Flush()
}

// A measurementJSON is one element of tdxkit.measurements/v1.
type measurementJSON struct {
	Name      string            `json:"name"`
	Platform  platformJSON      `json:"platform"`
	Registers registersJSON     `json:"registers"`
	Unknown   map[string]string `json:"unknown,omitempty"`
	Notes     []string          `json:"notes,omitempty"`
	Events    []eventJSON       `json:"events,omitempty"`
}

type platformJSON struct {
	QEMU           string   `json:"qemu,omitempty"`
	Machine        string   `json:"machine"`
	CPUs           int      `json:"cpus"`
	MemoryBytes    uint64   `json:"memory_bytes"`
	FirmwareSHA384 string   `json:"firmware_sha384"`
	OSImageHash    string   `json:"os_image_hash,omitempty"`
	CommandLine    []string `json:"command_line,omitempty"` // where it was not given
}

// registersJSON holds the registers that are known.
type registersJSON struct {
	MRTD  *mr.Digest `json:"mrtd,omitempty"`
	RTMR0 *mr.Digest `json:"rtmr0,omitempty"`
	RTMR1 *mr.Digest `json:"rtmr1,omitempty"`
	RTMR2 *mr.Digest `json:"rtmr2,omitempty"`
	RTMR3 *mr.Digest `json:"rtmr3,omitempty"`
}

// set stores a register.
func (r *registersJSON) set(reg mr.Register, d mr.Digest) {
	*map[mr.Register]**mr.Digest{mr.MRTD: &r.MRTD, mr.RTMR0: &r.RTMR0, mr.RTMR1: &r.RTMR1, mr.RTMR2: &r.RTMR2, mr.RTMR3: &r.RTMR3}[reg] = &d
}

type eventJSON struct {
	Rule     mr.RuleID   `json:"rule,omitempty"`
	Register mr.Register `json:"register"`
	Type     string      `json:"type"`
	Digest   mr.Digest   `json:"digest"`
	What     string      `json:"what"`
	From     []spanJSON  `json:"from,omitempty"`
	By       string      `json:"decided_by,omitempty"`
	Cite     string      `json:"cite,omitempty"`
	Data     string      `json:"data,omitempty"`  // hexadecimal: what the log carries
	Bytes    string      `json:"bytes,omitempty"` // hexadecimal: what is hashed, where it is made and short
}

type spanJSON struct {
	Artifact string `json:"artifact"`
	Offset   int64  `json:"offset"`
	Length   int64  `json:"length"`
}

// record is what the JSON output says of one outcome.
func (j *job) record(c *cli.Context, l *loaded, o outcome) measurementJSON {
	m := o.guest.machine[0]
	v := measurementJSON{
		Name: o.guest.name,
		Platform: platformJSON{
			Machine: m.Type, CPUs: m.Topology.CPUs, MemoryBytes: m.RAM, FirmwareSHA384: l.firmwareSHA384.String(),
		},
	}
	if j.stated {
		v.Platform.QEMU = m.Release.String()
	}
	if j.src.made {
		v.Platform.CommandLine = o.guest.command
	}
	if im := j.src.image; im != nil && im.HasHash {
		v.Platform.OSImageHash = fmt.Sprintf("%x", im.Hash)
	}
	v.Notes = o.result.Notes
	for reg, d := range o.result.Values {
		v.Registers.set(reg, d)
	}
	for reg, why := range o.result.Unknown {
		if v.Unknown == nil {
			v.Unknown = map[string]string{}
		}
		v.Unknown[reg.String()] = why
	}
	if c.Bool("events") {
		for _, e := range o.result.Events {
			v.Events = append(v.Events, newEventJSON(e))
		}
	}
	return v
}

// shortBytes is how many bytes of what is hashed are printed: a TD HOB and an SMBIOS table are, ACPI tables are not.
const shortBytes = 4 << 10

func newEventJSON(e mr.Event) eventJSON {
	v := eventJSON{
		Rule: e.Rule, Register: e.Register, Type: e.Type.String(), Digest: e.Measured.Digest, What: e.Measured.What, Cite: e.Cite.String(),
	}
	if rule, ok := predict.RuleOf(e); ok {
		v.By = rule.From
	}
	v.Data = hex.EncodeToString(e.Data)
	if len(e.Measured.Bytes) <= shortBytes {
		v.Bytes = hex.EncodeToString(e.Measured.Bytes)
	}
	for _, s := range e.Measured.Spans {
		v.From = append(v.From, spanJSON{s.Artifact, s.Off, s.Len})
	}
	return v
}

// measurement prints one outcome as text.
func (p *printer) measurement(c *cli.Context, named bool, o outcome) {
	if named {
		p.printf("%s\n", p.bold(o.guest.name))
	}
	for _, reg := range predict.Registers {
		if d, ok := o.result.Values[reg]; ok {
			p.printf("%-5s  %s\n", reg, d)
		} else if why, ok := o.result.Unknown[reg]; ok {
			p.printf("%-5s  unknown: %s\n", reg, oneLine(why))
		}
	}
	if !c.Bool("events") {
		return
	}
	if d, ok := o.result.Values[mr.MRTD]; ok {
		r := predict.MRTDRule
		p.reason(fmt.Sprintf("%s  %s", p.bold(r.Register.String()), r.ID), d, r.What, r.From, r.Cite)
	}
	for _, e := range o.result.Events {
		rule, _ := predict.RuleOf(e)
		p.reason(fmt.Sprintf("%s  %s  %s", p.bold(e.Register.String()), e.Type, e.Rule), e.Measured.Digest,
			oneLine(e.Measured.What)+spansText(e.Measured.Spans), rule.From, e.Cite)
	}
}

// reason prints one digest with what is hashed, what decides that, and the source that says so.
func (p *printer) reason(head string, d mr.Digest, what, from string, cite mr.Cite) {
	p.printf("\n%s\n  %s\n  hashed: %s\n  decided by: %s\n  %s\n", head, d, what, from, p.dim(cite.String()))
}

// spansText says which bytes of the inputs are hashed.
func spansText(spans []mr.Span) string {
	const most = 3
	var parts []string
	for i, s := range spans {
		if i == most {
			parts = append(parts, fmt.Sprintf("%d more", len(spans)-most))
			break
		}
		parts = append(parts, fmt.Sprintf("%s 0x%x+0x%x", s.Artifact, s.Off, s.Len))
	}
	if len(parts) == 0 {
		return ""
	}
	return " [" + strings.Join(parts, ", ") + "]"
}

// digestHex returns the SHA-384 digest of data in hexadecimal.
func digestHex(data []byte) string { return mr.Sum(data).String() }
