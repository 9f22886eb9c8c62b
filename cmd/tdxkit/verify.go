package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/verify"
)

func verifyCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:  "verify",
		Usage: "judge a TD's evidence: is it the image I expect, on genuine hardware, now",
		UsageText: "tdxkit verify --quote FILE [--event-log FILE] [--collateral FILE] [--nonce HEX] --manifest FILE --trust FILE [flags]\n" +
			"tdxkit verify --quote FILE ... --expect FILE [flags]\n" +
			"tdxkit verify --quote FILE ... --image DIR --vm-config FILE [flags] [-- qemu-system-x86_64 ARGS]",
		Description: "Every check is listed, made or not; the evidence is accepted (exit code 0) only if all that are required passed. " +
			"Flags of measure say what is expected where --expect does not. A FILE of - is standard input.\n\n" +
			"Example:\n  tdxkit nonce --out nonce.json\n  tdxkit collateral fetch --quote quote.json --out collateral.json\n" +
			"  tdxkit verify --quote quote.json --collateral collateral.json --nonce @nonce.json \\\n" +
			"    --expect measurements.json --app-compose app-compose.json --policy policy.json",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "quote", Usage: "`FILE` with the quote: binary, hexadecimal, base64, JSON of dstack's agents, or an RA-TLS certificate"},
			&cli.StringFlag{Name: "event-log", Usage: "the TD's event log `FILE`, CCEL or dstack's JSON, in place of the one beside the quote"},
			&cli.StringFlag{Name: "collateral", Usage: "Intel's collateral `FILE`, as collateral fetch writes it"},
			timeFlag(),
			&cli.StringFlag{Name: "nonce", Usage: "the nonce that was asked for: `HEX`, or @FILE as the nonce verb writes it"},
			&cli.StringFlag{Name: "report-data", Usage: "the exact REPORTDATA `HEX`, zeros behind it"},
			&cli.StringFlag{Name: "binding", Usage: "how the nonce becomes REPORTDATA, in place of the policy's `RULE`: padded, or sha512:app-data and the like"},
			&cli.StringSliceFlag{Name: "expect", Usage: "expected registers: `FILE` that measure --output json wrote, or REGISTER=HEX; may be repeated"},
			&cli.StringFlag{Name: "app-compose", Usage: "the app-compose.json `FILE` of the expected application"},
			&cli.StringFlag{Name: "policy", Usage: "policy `FILE`; without one, the strictest"},
			&cli.StringSliceFlag{Name: "unsafe", Usage: "waive the check or group `NAME`; may be repeated"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "text", Usage: "`FORMAT` of the verdict: text, json, junit or markdown"},
		}, manifestFlags(), sourceFlags(), hostFlags(), []cli.Flag{&cli.StringFlag{Name: "edk2", Usage: "edk2 `RELEASE` of the firmware, \"202505\", where its bytes do not say"}}),
		Action: func(c *cli.Context) error { return verifyEvidence(c, t) },
	}
}

// writeVerdict are the formats of --output.
var writeVerdict = map[string]func(*verify.Verdict) ([]byte, error){
	"text":     func(v *verify.Verdict) ([]byte, error) { return v.AppendText(nil), nil },
	"markdown": func(v *verify.Verdict) ([]byte, error) { return v.AppendMarkdown(nil), nil },
	"junit":    func(v *verify.Verdict) ([]byte, error) { return v.AppendJUnit(nil) },
	"json": func(v *verify.Verdict) ([]byte, error) {
		b, err := marshal(json.Marshaler(v), "")
		return append(b, '\n'), err
	},
}

func verifyEvidence(c *cli.Context, t *terminal) error {
	format, ok := writeVerdict[c.String("output")]
	if !ok {
		return usage(fmt.Sprintf("--output %q: want text, json, junit or markdown", c.String("output")), "")
	}
	if !c.IsSet("quote") {
		return usage("--quote is not given", "tdxkit verify --help shows an example")
	}
	if err := noIdleFlags(c); err != nil {
		return err
	}
	policy, err := readPolicy(c)
	if err != nil {
		return err
	}
	expect, err := readExpectation(c, t)
	if err != nil {
		return err
	}
	now, err := readTime(c)
	if err != nil {
		return err
	}
	evidence, err := collectEvidence(c, t)
	if err != nil {
		return err
	}
	if c.IsSet("manifest") {
		x, err := openManifests(c, t, now)
		if err != nil {
			return err
		}
		if err := expectManifest(t, x, evidence, expect, policy); err != nil {
			return err
		}
	}
	v := verify.Judge(policy, expect, evidence, now)
	out, err := format(v)
	if err != nil {
		return err
	}
	if _, err := c.App.Writer.Write(out); err != nil {
		return err
	}
	if v.Accepted() {
		return nil
	}
	return rejected(v)
}

// rejected is the error of a rejection, with what to try for what is missing rather than wrong.
func rejected(v *verify.Verdict) error {
	var ids []string
	hint := ""
	for _, k := range v.Failed() {
		if k.Status == verify.Fail || len(ids) == 0 {
			ids = append(ids, string(k.ID))
		}
		if h, ok := missingHints[k.ID]; ok && k.Status == verify.NotRun && hint == "" {
			hint = h
		}
	}
	return &rejectionError{"rejected: " + strings.Join(ids, ", "), hint}
}

// missingHints say how to make a check that could not be made.
var missingHints = map[verify.CheckID]string{
	verify.CollateralParse:   "--collateral gives Intel's collateral; tdxkit collateral fetch gets it",
	verify.ReportDataBinding: "--nonce or --report-data says what was asked; --unsafe report-data.binding accepts a quote that may be an old one",
	verify.RegistersVariant:  "--manifest or --expect gives the expected registers; so do the flags of measure",
	verify.RTMR3ComposeHash:  "--app-compose gives the expected application",
	verify.LogParse:          "--event-log gives the log that explains RTMR3",
}

// A rejectionError is a verdict against the evidence.
type rejectionError struct{ msg, hint string }

func (e *rejectionError) Error() string { return e.msg }

func readPolicy(c *cli.Context) (*verify.Policy, error) {
	p := &verify.Policy{}
	if path := c.String("policy"); path != "" {
		data, err := readFile(path, roleOther, bin.MaxJSON)
		if err != nil {
			return nil, err
		}
		if p, err = verify.ParsePolicy(data); err != nil {
			return nil, inFile(path, roleOther, err)
		}
	}
	for _, name := range c.StringSlice("unsafe") {
		if err := verify.CheckUnsafe(verify.CheckID(name)); err != nil {
			return nil, usage("--unsafe: "+err.Error(), "docs/POLICY.md lists what can be waived")
		}
		p.Unsafe = append(p.Unsafe, verify.CheckID(name))
	}
	if s := c.String("binding"); s != "" {
		b, err := dstack.ParseBinding(s)
		if err != nil {
			return nil, usage("--"+err.Error(), "")
		}
		p.Binding = b
	}
	return p, nil
}

// readExpectation reads what the caller knows of the TD.
func readExpectation(c *cli.Context, t *terminal) (*verify.Expectation, error) {
	x := &verify.Expectation{}
	var err error
	if c.IsSet("nonce") {
		if x.Nonce, x.NonceIssued, err = readNonce(c.String("nonce")); err != nil {
			return nil, err
		}
	}
	if c.IsSet("report-data") {
		b, err := hexFlag("report-data", c.String("report-data"))
		if err != nil {
			return nil, err
		}
		data, err := dstack.Binding{}.ReportData(b)
		if err != nil {
			return nil, usage("--report-data: "+err.Error(), "")
		}
		x.ReportData = &data
	}
	if path := c.String("app-compose"); path != "" {
		if x.AppCompose, err = readFile(path, roleOther, bin.MaxJSON); err != nil {
			return nil, err
		}
		if _, err := dstack.ParseAppCompose(x.AppCompose); err != nil {
			return nil, inFile(path, roleOther, err)
		}
	}
	if x.Variants, err = readExpect(c.StringSlice("expect")); err != nil {
		return nil, err
	}
	switch {
	case c.IsSet("manifest") && (len(x.Variants) > 0 || sourceGiven(c)):
		return nil, usage("--manifest and another expectation are both given", "give one of --manifest, --expect and what measure takes")
	case !sourceGiven(c):
		return x, nil
	case len(x.Variants) > 0:
		return nil, usage("--expect and a source to measure are both given", "give one of them")
	}
	p, err := predictVariants(c, t)
	if err != nil {
		return nil, err
	}
	x.Variants = p.variants
	return x, nil
}

// collectEvidence reads what is judged. What is wrong inside a file is for the verdict to say.
func collectEvidence(c *cli.Context, t *terminal) (*verify.Evidence, error) {
	found, notFound, err := readEvidence(c.String("quote"))
	if err != nil {
		return nil, err
	}
	if notFound != nil {
		t.note("no quote was found: %v", notFound)
	}
	e := &verify.Evidence{Quote: found.Quote, EventLog: found.UntrustedEventLog, VMConfig: found.UntrustedVMConfig}
	for _, f := range []struct {
		flag  string
		dst   *[]byte
		limit int64
	}{{"event-log", &e.EventLog, bin.MaxEventLog}, {"collateral", &e.Collateral, bin.MaxCollateral}, {"vm-config", &e.VMConfig, bin.MaxJSON}} {
		if path := c.String(f.flag); path != "" {
			if *f.dst, err = readFile(path, roleOther, f.limit); err != nil {
				return nil, err
			}
		}
	}
	return e, nil
}
