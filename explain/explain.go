// Package explain says in words how the measurements of one TD differ from those of another: an expected one from an
// observed one. Events are aligned by what they are about, and where the bytes that were hashed are at hand on both sides,
// the difference is looked for in them: memory in the TD HOB, tables in the ACPI blob, fields in the SMBIOS table.
//
// Nothing here is a judgement: an explanation is a hint for people, made of what logs claim.
package explain

import (
	"fmt"
	"strings"

	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/smbios"
)

// A Finding is one difference.
type Finding struct {
	Kind     mr.DeltaKind
	Register mr.Register
	Rule     mr.RuleID // of the prediction, where it has one
	Subject  string    // "TD HOB", "kernel", "db"
	Text     string    // one sentence, with both values where they are known
	Want     string    // what was expected, short
	Got      string    // what is observed, short
	Details  []string  // one line each: tables, fields, ranges
	Hint     string    // what such a difference comes from; empty where nothing is known
}

// Events explains how the events got differ from the events want, in the order of registers and of the boot. Measured.Bytes
// of either side are looked at where they are there; Attach puts them there.
func Events(want, got []mr.Event) []Finding {
	deltas := mr.Diff(want, got)
	c := &context{deltas: deltas}
	var out []Finding
	for i := range deltas {
		d := &deltas[i]
		f := Finding{Kind: d.Kind, Register: d.Register}
		if d.Want != nil {
			f.Rule = d.Want.Rule
		}
		s := subjectOf(d)
		f.Subject = s.name(d)
		switch d.Kind {
		case mr.Differs:
			s.differs(c, d, &f)
		case mr.Missing:
			f.Want, f.Hint = digestOf(d.Want), s.absent
			f.Text = fmt.Sprintf("%s: the evidence has no such event, the expectation has.", f.Subject)
		case mr.Extra:
			f.Got, f.Hint = digestOf(d.Got), s.extra
			f.Text = fmt.Sprintf("%s: the evidence has such an event, the expectation has not.", f.Subject)
		default:
			f.Want, f.Got = digestOf(d.Want), digestOf(d.Got)
			f.Text = d.Text
		}
		out = append(out, f)
	}
	return out
}

// A context is what one explanation may take from the others.
type context struct{ deltas []mr.Delta }

// differ reports whether an event of a kind differs, too.
func (c *context) differ(is func(*mr.Delta) bool) bool {
	for i := range c.deltas {
		if is(&c.deltas[i]) {
			return true
		}
	}
	return false
}

// Attach gives the events the bytes that they hash, where blob is that: whole, as a TD HOB with its end, or as an SMBIOS
// table before firmware blanks what is unique to a machine. It reports whether an event hashes it.
func Attach(events []mr.Event, blob []byte) bool {
	candidates := [][]byte{blob}
	if n := len(blob); n > hobEndSize {
		candidates = append(candidates, blob[:n-hobEndSize])
	}
	if filtered, err := smbios.Filter(blob); err == nil {
		candidates = append(candidates, filtered)
	}
	found := false
	for _, b := range candidates {
		digest := mr.Sum(b)
		for i := range events {
			if events[i].Measured.Digest == digest {
				events[i].Measured.Bytes, found = b, true
			}
		}
	}
	return found
}

// An Alternative is a value that a register would have under another assumption.
type Alternative struct {
	Register mr.Register
	Digest   mr.Digest
	Text     string // what is assumed: "QEMU adds all pages before it extends them"
}

// registerHints say what each register depends on, for a difference without a log.
var registerHints = map[mr.Register]string{
	mr.MRTD:  "another firmware file, or another order in which the VMM adds and extends its pages (QEMU releases with Intel's patches before 9 add all first)",
	mr.RTMR0: "memory size, vCPUs, devices, QEMU's release, or the firmware's variables; give the event log to see which",
	mr.RTMR1: "another kernel, or a setup header that QEMU patched (it does up to 10.1); give the event log to see which",
	mr.RTMR2: "another command line or initrd; give the event log to see which",
	mr.RTMR3: "what software in the guest reports; give the event log to see it",
}

// Registers explains how observed registers differ from expected ones, which need not be all. An alternative that fits is
// said.
func Registers(want map[mr.Register]mr.Digest, got mr.Values, alternatives []Alternative) []Finding {
	var out []Finding
	for _, r := range []mr.Register{mr.MRTD, mr.RTMR0, mr.RTMR1, mr.RTMR2, mr.RTMR3} {
		w, ok := want[r]
		if !ok || w == got[r] {
			continue
		}
		f := Finding{Kind: mr.Differs, Register: r, Subject: r.String(), Want: w.String(), Got: got[r].String(), Hint: registerHints[r]}
		f.Text = fmt.Sprintf("%v differs: the evidence has %v, the expectation %v.", r, shortDigest(got[r]), shortDigest(w))
		for _, a := range alternatives {
			if a.Register == r && a.Digest == got[r] {
				f.Text = fmt.Sprintf("%v differs: it is what the same files give if %s.", r, a.Text)
				f.Hint = ""
			}
		}
		if (got[r] == mr.Digest{}) {
			f.Hint = "nothing extended the register"
		}
		out = append(out, f)
	}
	return out
}

// shortDigest is enough of a digest to tell two apart.
func shortDigest(d mr.Digest) string { return d.String()[:16] + "…" }

func digestOf(e *mr.Event) string {
	if e == nil {
		return ""
	}
	return e.Measured.Digest.String()
}

// payload decodes an event's data; nil where there is none or it cannot be.
func payload(e *mr.Event) eventlog.Payload {
	if e == nil || len(e.Data) == 0 {
		return nil
	}
	p, err := eventlog.Decode(eventlog.Event{Type: e.Type, Data: e.Data})
	if err != nil {
		return nil
	}
	return p
}

// key returns what an event's data says that it is about.
func key(e *mr.Event) string {
	if p := payload(e); p != nil {
		return p.Key()
	}
	return ""
}

// either returns the event of a difference, the expected one first.
func either(d *mr.Delta) *mr.Event {
	if d.Want != nil {
		return d.Want
	}
	return d.Got
}

// clip keeps a value short and on one line.
func clip(s string) string {
	const longest = 120
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
	if r := []rune(s); len(r) > longest {
		return string(r[:longest]) + "…"
	}
	return s
}
