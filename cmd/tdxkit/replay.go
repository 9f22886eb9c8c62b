package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/mr"
)

// loggedRegisters are those that a log extends.
var loggedRegisters = []mr.Register{mr.RTMR0, mr.RTMR1, mr.RTMR2, mr.RTMR3}

func replayCommand() *cli.Command {
	return &cli.Command{
		Name:        "replay",
		Usage:       "recompute the registers from an event log",
		UsageText:   "tdxkit replay --event-log FILE [--quote FILE] [--expect rtmr0=HEX]... [--output text|json]",
		Description: "A quote is taken as it is: verify says whether it is genuine.\n\nExample:\n  tdxkit replay --event-log ccel.bin --expect rtmr2=$(jq -r .rtmr2 expected.json)",
		Flags:       replayFlags(),
		Action:      replay,
	}
}

// verifyRTMR3Command is replay under the name that the dstack tutorial has for it. What says verify must have something to
// verify: RTMR3 has to be expected.
func verifyRTMR3Command() *cli.Command {
	return &cli.Command{
		Name:        "verify-rtmr3",
		Usage:       "replay, and compare RTMR3 with what is expected of it",
		UsageText:   "tdxkit verify-rtmr3 --event-log FILE (--expected-rtmr3 HEX | --quote FILE) [--output text|json]",
		Description: "A quote is taken as it is: verify says whether it is genuine.\n\nExample:\n  tdxkit verify-rtmr3 --event-log event_log.json --expected-rtmr3 86f1808c...",
		Flags:       replayFlags(),
		Action: func(c *cli.Context) error {
			want, err := wantedRegisters(c)
			if err != nil {
				return err
			}
			if _, ok := want[mr.RTMR3]; !ok {
				return usage("neither --expected-rtmr3 nor --quote is given", "tdxkit replay shows registers without comparing them")
			}
			return replayAgainst(c, want)
		},
	}
}

func replayFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "event-log", Usage: "the log `FILE`"},
		&cli.StringFlag{Name: "format", Value: "auto", Usage: "`FORMAT` of the log: auto, ccel or dstack"},
		&cli.StringFlag{Name: "quote", Usage: "`FILE` with a quote whose registers must come out"},
		&cli.StringSliceFlag{Name: "expect", Usage: "`REGISTER=HEX` that must come out; may be repeated"},
		&cli.StringFlag{Name: "expected-rtmr3", Usage: "RTMR3 `HEX` that must come out"},
		outputFlag(),
	}
}

type replayJSON struct {
	Schema    string          `json:"schema"`
	Events    int             `json:"events"`
	Registers registersJSON   `json:"registers"`
	Checks    []replayCheckJS `json:"checks,omitempty"`
}

type replayCheckJS struct {
	Register mr.Register `json:"register"`
	Status   string      `json:"status"` // pass or fail
	Want     mr.Digest   `json:"want"`
	Got      mr.Digest   `json:"got"`
}

func replay(c *cli.Context) error {
	want, err := wantedRegisters(c)
	if err != nil {
		return err
	}
	return replayAgainst(c, want)
}

// replayAgainst prints the registers that the log leads to, and fails where one is not as wanted.
func replayAgainst(c *cli.Context, want map[mr.Register]mr.Digest) error {
	p, err := newPrinter(c)
	if err != nil {
		return err
	}
	if err := noArgs(c); err != nil {
		return err
	}
	if !c.IsSet("event-log") {
		return usage("--event-log is not given", "")
	}
	events, err := readEvents(c.String("event-log"), c.String("format"))
	if err != nil {
		return err
	}
	values, err := mr.Replay(events)
	if err != nil {
		return inFile(c.String("event-log"), roleOther, err)
	}
	v := &replayJSON{Schema: "tdxkit.replay/v1", Events: len(events)}
	var wrong []string
	for _, reg := range loggedRegisters {
		v.Registers.set(reg, values[reg])
		w, ok := want[reg]
		if !ok {
			continue
		}
		check := replayCheckJS{reg, "pass", w, values[reg]}
		if w != values[reg] {
			check.Status = "fail"
			wrong = append(wrong, fmt.Sprintf("%s is %s, expected %s", reg, values[reg], w))
		}
		v.Checks = append(v.Checks, check)
	}
	err = p.result(v, func() {
		for _, reg := range loggedRegisters {
			p.printf("%-5s  %s\n", reg, values[reg])
		}
	})
	if err == nil && len(wrong) > 0 {
		return &mismatchError{strings.Join(wrong, "; ")}
	}
	return err
}

// parseExpect reads --expect.
func parseExpect(list []string) (map[mr.Register]mr.Digest, error) {
	want := map[mr.Register]mr.Digest{}
	for _, s := range list {
		name, text, _ := strings.Cut(s, "=")
		reg, err := mr.ParseRegister(name)
		if err != nil || reg == mr.MRTD {
			return nil, usage(fmt.Sprintf("--expect %q: want rtmr0, rtmr1, rtmr2 or rtmr3 before the equals sign", s), "a log holds no MRTD")
		}
		d, err := mr.ParseDigest(text)
		if err != nil {
			return nil, usage(fmt.Sprintf("--expect %s: %v", name, err), "")
		}
		if _, ok := want[reg]; ok {
			return nil, usage(fmt.Sprintf("--expect: %s occurs twice", reg), "")
		}
		want[reg] = d
	}
	return want, nil
}

// wantedRegisters are those of --expect, --expected-rtmr3 and --quote. All must agree.
func wantedRegisters(c *cli.Context) (map[mr.Register]mr.Digest, error) {
	list := c.StringSlice("expect")
	if s := c.String("expected-rtmr3"); s != "" {
		list = append(list, "rtmr3="+strings.TrimPrefix(s, "0x"))
	}
	want, err := parseExpect(list)
	if err != nil || !c.IsSet("quote") {
		return want, err
	}
	q, _, err := readQuote(c.String("quote"))
	if err != nil {
		return nil, err
	}
	values := quoted(q)
	for _, r := range loggedRegisters {
		if w, ok := want[r]; ok && w != values[r] {
			return nil, &mismatchError{fmt.Sprintf("%s is %s in the quote, expected %s", r, values[r], w)}
		}
		want[r] = values[r]
	}
	return want, nil
}

// parseCCEL reads a CCEL for its extensions.
func parseCCEL(data []byte) ([]mr.Event, error) {
	log, err := eventlog.Parse(data)
	if err != nil {
		return nil, err
	}
	return mr.FromLog(log)
}
