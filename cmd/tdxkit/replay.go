package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/mr"
)

// loggedRegisters are those that a log extends.
var loggedRegisters = []mr.Register{mr.RTMR0, mr.RTMR1, mr.RTMR2, mr.RTMR3}

func replayCommand() *cli.Command {
	return &cli.Command{
		Name:        "replay",
		Usage:       "recompute the registers from an event log",
		UsageText:   "tdxkit replay --event-log FILE [--expect rtmr0=HEX]... [--output text|json]",
		Description: "Example:\n  tdxkit replay --event-log ccel.bin --expect rtmr2=$(jq -r .rtmr2 expected.json)",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "event-log", Usage: "the log `FILE`"},
			&cli.StringFlag{Name: "format", Value: "auto", Usage: "`FORMAT` of the log: auto or ccel"},
			&cli.StringSliceFlag{Name: "expect", Usage: "`REGISTER=HEX` that must come out; may be repeated"},
			outputFlag(),
		},
		Action: replay,
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
	p, err := newPrinter(c)
	if err != nil {
		return err
	}
	if err := noArgs(c); err != nil {
		return err
	}
	if f := c.String("format"); f != "auto" && f != "ccel" {
		return usage(fmt.Sprintf("--format %q: want auto or ccel", f), "")
	}
	if !c.IsSet("event-log") {
		return usage("--event-log is not given", "")
	}
	want, err := parseExpect(c.StringSlice("expect"))
	if err != nil {
		return err
	}
	log, values, err := readLog(c.String("event-log"))
	if err != nil {
		return err
	}
	v := &replayJSON{Schema: "tdxkit.replay/v1", Events: len(log.Events)}
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

// readLog reads a log and replays it.
func readLog(path string) (*eventlog.Log, mr.Values, error) {
	data, err := readFile(path, roleOther, bin.MaxEventLog)
	if err != nil {
		return nil, mr.Values{}, err
	}
	log, err := eventlog.Parse(data)
	if err != nil {
		return nil, mr.Values{}, inFile(path, roleOther, err)
	}
	events, err := mr.FromLog(log)
	if err != nil {
		return nil, mr.Values{}, inFile(path, roleOther, err)
	}
	values, err := mr.Replay(events)
	return log, values, inFile(path, roleOther, err)
}
