package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/explain"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/tdvf"
	"github.com/tdxkit/tdxkit/verify"
)

func explainCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:  "explain",
		Usage: "say in words why evidence differs from a prediction",
		UsageText: "tdxkit explain --event-log FILE [--quote FILE] [--bytes FILE]... (--expect FILE | --against LOG | measure's flags and arguments)\n" +
			"tdxkit explain --quote FILE (--manifest FILE --trust FILE | --expect FILE | measure's flags and arguments)",
		Description: "Events are aligned by what they are about. Where bytes that were hashed are given with --bytes, differences are shown " +
			"inside them: a TD HOB, ACPI tables, an SMBIOS table.\n\n" +
			"Example:\n  tdxkit explain --event-log ccel.bin --qemu 10.1.0 -- qemu-system-x86_64 -smp 4 -m 8G ...",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "event-log", Usage: "the TD's event log `FILE`, CCEL or dstack's JSON"},
			&cli.StringFlag{Name: "quote", Usage: "`FILE` with the TD's quote"},
			&cli.StringSliceFlag{Name: "bytes", Usage: "`FILE` that the TD's firmware measured, as dumped in the guest; may be repeated"},
			&cli.StringSliceFlag{Name: "expect", Usage: "expected registers: `FILE` that measure --output json wrote, or REGISTER=HEX; may be repeated"},
			&cli.StringFlag{Name: "against", Usage: "event log `FILE` of a TD that is as expected"},
			outputFlag(),
		}, manifestFlags(), []cli.Flag{timeFlag()}, sourceFlags(), hostFlags(), []cli.Flag{&cli.StringFlag{Name: "edk2", Usage: "edk2 `RELEASE` of the firmware, \"202505\", where its bytes do not say"}}),
		Action: func(c *cli.Context) error { return explainEvidence(c, t) },
	}
}

type explainJSON struct {
	Schema   string        `json:"schema"`
	Variant  string        `json:"variant,omitempty"`
	Compared []mr.Register `json:"compared"` // what is not among these was not looked at
	Findings []findingJSON `json:"findings"`
}

type findingJSON struct {
	Kind     string      `json:"kind"` // differs, missing, extra or moved
	Register mr.Register `json:"register"`
	Rule     mr.RuleID   `json:"rule,omitempty"`
	Subject  string      `json:"subject"`
	Text     string      `json:"text"`
	Want     string      `json:"want,omitempty"`
	Got      string      `json:"got,omitempty"`
	Details  []string    `json:"details,omitempty"`
	Hint     string      `json:"hint,omitempty"`
}

// An observed TD is what its evidence says of it.
type observed struct {
	events []mr.Event // nil without a log
	values mr.Values
	known  []mr.Register // those of values that are known
}

func explainEvidence(c *cli.Context, t *terminal) error {
	p, err := newPrinter(c)
	if err != nil {
		return err
	}
	if err := noIdleFlags(c); err != nil {
		return err
	}
	got, err := observe(c)
	if err != nil {
		return err
	}
	want, alternatives, err := expected(c, t, got)
	if err != nil {
		return err
	}
	v := explainJSON{Schema: "tdxkit.explain/v1", Findings: []findingJSON{}}
	best := nearest(want, got)
	v.Variant, v.Compared = best.Name, compared(best, got)
	if len(v.Compared) == 0 {
		return &inputError{msg: fmt.Sprintf("nothing can be compared: the evidence tells %s, and none of them is expected", registerNames(got.known)),
			hint: "a log tells rtmr0 to rtmr3, a quote all registers"}
	}
	var findings []explain.Finding
	if got.events != nil && best.Events != nil {
		findings = explain.Events(inRegisters(best.Events, best.Registers), inRegisters(got.events, best.Registers))
	}
	seen := map[mr.Register]bool{}
	for _, f := range findings {
		seen[f.Register] = true
	}
	registers := map[mr.Register]mr.Digest{}
	for r, d := range best.Registers {
		if slices.Contains(got.known, r) && !seen[r] {
			registers[r] = d
		}
	}
	for _, f := range append(explain.Registers(registers, got.values, alternatives), findings...) {
		v.Findings = append(v.Findings, findingJSON{f.Kind.String(), f.Register, f.Rule, f.Subject, f.Text, f.Want, f.Got, f.Details, f.Hint})
	}
	err = p.result(v, func() { printFindings(p, v) })
	switch n := len(v.Findings); {
	case err != nil || n == 0:
		return err
	case n == 1:
		return &mismatchError{"1 difference"}
	default:
		return &mismatchError{fmt.Sprintf("%d differences", n)}
	}
}

func printFindings(p *printer, v explainJSON) {
	if len(v.Findings) == 0 {
		p.printf("no difference in %s\n", registerNames(v.Compared))
	}
	for _, f := range v.Findings {
		p.printf("%s  %s\n", p.bold(f.Register.String()), oneLine(f.Text))
		for _, d := range f.Details {
			p.printf("       - %s\n", oneLine(d))
		}
		if f.Hint != "" {
			p.printf("       %s\n", p.dim("comes from: "+oneLine(f.Hint)))
		}
	}
}

// observe reads the evidence of the TD that is to be explained.
func observe(c *cli.Context) (*observed, error) {
	o := &observed{}
	if !c.IsSet("event-log") && !c.IsSet("quote") {
		return nil, usage("neither --event-log nor --quote is given", "a log says most")
	}
	var err error
	if c.IsSet("event-log") {
		if o.events, err = readEvents(c.String("event-log"), "auto"); err != nil {
			return nil, err
		}
	}
	if c.IsSet("quote") {
		q, e, err := readQuote(c.String("quote"))
		if err != nil {
			return nil, err
		}
		o.values, o.known = quoted(q), []mr.Register{mr.MRTD, mr.RTMR0, mr.RTMR1, mr.RTMR2, mr.RTMR3}
		if o.events == nil && e.UntrustedEventLog != nil {
			if o.events, err = verify.ParseLog(e.UntrustedEventLog); err != nil {
				return nil, inFile(c.String("quote"), roleOther, err)
			}
		}
	}
	if o.events != nil {
		values, err := mr.Replay(o.events)
		if err != nil {
			return nil, inFile(c.String("event-log"), roleOther, err)
		}
		for _, r := range loggedRegisters {
			if o.known != nil && values[r] != o.values[r] {
				return nil, &mismatchError{fmt.Sprintf("the log replays to %s %s, the quote has %s: it is not this TD's, or was changed", r, values[r], o.values[r])}
			}
		}
		if o.known == nil {
			o.values, o.known = values, loggedRegisters
		}
	}
	for _, path := range c.StringSlice("bytes") {
		data, err := readFile(path, roleOther, maxTables)
		if err != nil {
			return nil, err
		}
		if !explain.Attach(o.events, data) {
			return nil, &inputError{msg: path + ": no event of the log hashes these bytes", hint: "want the bytes as the firmware was given them: etc/acpi/tables as read from fw_cfg, not /sys/firmware/acpi"}
		}
	}
	return o, nil
}

// expected reads what the TD is compared with.
func expected(c *cli.Context, t *terminal, got *observed) ([]verify.Variant, []explain.Alternative, error) {
	given := 0
	for _, yes := range []bool{c.IsSet("expect"), c.IsSet("manifest"), c.IsSet("against"), sourceGiven(c)} {
		if yes {
			given++
		}
	}
	if given != 1 {
		return nil, nil, usage("want one of --manifest, --expect, --against, and what measure takes", "")
	}
	switch {
	case c.IsSet("manifest"):
		v, err := expectNearest(c, t, got)
		return v, nil, err
	case c.IsSet("expect"):
		v, err := readExpect(c.StringSlice("expect"))
		return v, nil, err
	case c.IsSet("against"):
		events, err := readEvents(c.String("against"), "auto")
		if err != nil {
			return nil, nil, err
		}
		values, err := mr.Replay(events)
		if err != nil {
			return nil, nil, inFile(c.String("against"), roleOther, err)
		}
		v := verify.Variant{Events: events, Registers: map[mr.Register]mr.Digest{}}
		for _, r := range loggedRegisters {
			v.Registers[r] = values[r]
		}
		return []verify.Variant{v}, nil, nil
	}
	p, err := predictVariants(c, t)
	if err != nil {
		return nil, nil, err
	}
	return p.variants, []explain.Alternative{
		{Register: mr.MRTD, Digest: p.twoPass[tdvf.TwoPass], Text: "the VMM adds all pages of a section before it extends the first (QEMU with Intel's patches, before 9)"},
		{Register: mr.MRTD, Digest: p.twoPass[tdvf.SinglePass], Text: "the VMM extends each page when it adds it (QEMU 9 and later)"},
	}, nil
}

// nearest returns the variant of which most registers agree.
func nearest(list []verify.Variant, got *observed) verify.Variant {
	best, most := verify.Variant{}, -1
	for _, v := range list {
		n := 0
		for r, d := range v.Registers {
			if slices.Contains(got.known, r) && d == got.values[r] {
				n++
			}
		}
		if n > most {
			best, most = v, n
		}
	}
	return best
}

// compared returns the registers that are expected and that the evidence tells.
func compared(v verify.Variant, got *observed) []mr.Register {
	var list []mr.Register
	for _, r := range got.known {
		if _, ok := v.Registers[r]; ok {
			list = append(list, r)
		}
	}
	return list
}

func registerNames(list []mr.Register) string {
	var names []string
	for _, r := range list {
		names = append(names, r.String())
	}
	return strings.Join(names, ", ")
}

// inRegisters returns the events of registers that are expected: what is not known of the others is no difference.
func inRegisters(events []mr.Event, known map[mr.Register]mr.Digest) []mr.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e mr.Event) bool {
		_, ok := known[e.Register]
		return !ok
	})
}
