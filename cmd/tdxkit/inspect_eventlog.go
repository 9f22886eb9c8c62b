package main

import (
	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/mr"
)

type eventLogJSON struct {
	Schema    string         `json:"schema"`
	File      string         `json:"file"`
	Padding   int            `json:"padding"`
	Events    []logEventJSON `json:"events"`
	Registers registersJSON  `json:"registers"`
}

type logEventJSON struct {
	Offset  int64       `json:"offset,omitempty"` // in a CCEL
	CCIndex uint32      `json:"cc_index"`
	Type    string      `json:"type"`
	Digest  mr.Digest   `json:"digest"`
	Event   string      `json:"event,omitempty"` // the name that dstack's log has
	What    string      `json:"what"`
	Check   dataCheck   `json:"check"`
	Reg     mr.Register `json:"register"`
}

// A dataCheck says whether an event's digest follows from its data.
type dataCheck string

const (
	dataRecomputed dataCheck = "recomputed"
	dataDiffers    dataCheck = "differs"
	dataSpoilt     dataCheck = "is none of its type"
	dataSilent     dataCheck = "not told by the log"
)

// checkData compares an event's digest with the one that its data leads to.
func checkData(e eventlog.Event) dataCheck {
	d, ok := eventlog.Recompute(e)
	switch {
	case ok && d == e.Digest:
		return dataRecomputed
	case ok:
		return dataDiffers
	}
	if _, err := eventlog.Decode(e); err != nil && len(e.Data) > 0 {
		return dataSpoilt
	}
	return dataSilent
}

// inspectEventLog shows the events of a CCEL, or of a dstack guest's log as JSON, and the registers that they lead to.
func inspectEventLog(p *printer, path string) error {
	data, err := readFile(path, roleOther, bin.MaxEventLog)
	if err != nil {
		return err
	}
	v := &eventLogJSON{Schema: "tdxkit.inspect.eventlog/v1", File: path, Events: []logEventJSON{}}
	read := v.readCCEL
	if dstack.LooksLikeEventLog(data) {
		read = v.readDstack
	}
	events, err := read(data)
	if err != nil {
		return inFile(path, roleOther, err)
	}
	values, err := mr.Replay(events)
	if err != nil {
		return inFile(path, roleOther, err)
	}
	for _, reg := range loggedRegisters {
		v.Registers.set(reg, values[reg])
	}
	return p.result(v, func() {
		for _, reg := range loggedRegisters {
			p.printf("%-5s  %s\n", reg, values[reg])
		}
		for i, e := range v.Events {
			p.printf("\n%d  %s  %s  %s\n  %s\n", i, p.bold(e.Reg.String()), e.Type, e.Check, e.Digest)
			if e.Event != "" {
				p.printf("  %s\n", oneLine(e.Event))
			}
			p.printf("  %s\n", oneLine(e.What))
		}
	})
}

func (v *eventLogJSON) readCCEL(data []byte) ([]mr.Event, error) {
	log, err := eventlog.Parse(data)
	if err != nil {
		return nil, err
	}
	v.Padding = log.Padding
	for _, e := range log.Events {
		reg, err := mr.RegisterOfCC(e.MrIndex)
		if err != nil {
			return nil, err
		}
		v.Events = append(v.Events, logEventJSON{Offset: e.Off, CCIndex: e.MrIndex, Type: e.Type.String(), Digest: e.Digest,
			What: eventlog.Describe(e), Check: checkData(e), Reg: reg})
	}
	return mr.FromLog(log)
}

func (v *eventLogJSON) readDstack(data []byte) ([]mr.Event, error) {
	events, err := dstack.ParseEventLog(data)
	for i := range events {
		e := &events[i]
		logged := eventlog.Event{Type: e.Type, Digest: e.Measured.Digest, Data: e.Data}
		check := dataRecomputed // when it was read
		if e.Type != dstack.RuntimeEvent {
			check = checkData(logged)
		}
		v.Events = append(v.Events, logEventJSON{CCIndex: e.Register.CCIndex(), Type: e.Type.String(), Digest: e.Measured.Digest,
			Event: e.Measured.What, What: eventlog.Describe(logged), Check: check, Reg: e.Register})
	}
	return events, err
}
