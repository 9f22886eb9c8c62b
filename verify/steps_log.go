package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/mr"
)

// dueLog: a log that is given is judged, and RTMR3 may need one that is not.
func (j *judge) dueLog() string {
	if j.e.EventLog == nil && j.dueRuntime() != "" {
		return "no event log is given"
	}
	return ""
}

func (j *judge) logParse() finding {
	if j.e.EventLog == nil {
		return notRun("no event log is given")
	}
	events, err := ParseLog(j.e.EventLog)
	if err != nil {
		return failed(err.Error())
	}
	j.events = events
	j.v.Events = len(events)
	return passed(fmt.Sprintf("%d extensions", len(events)))
}

// ParseLog reads an event log of either kind, a CCEL or a dstack event log as JSON, by how it begins.
func ParseLog(data []byte) ([]mr.Event, error) {
	if dstack.LooksLikeEventLog(data) {
		return dstack.ParseEventLog(data)
	}
	l, err := eventlog.Parse(data)
	if err != nil {
		return nil, err
	}
	return mr.FromLog(l)
}

func (j *judge) logReplay() finding {
	got, err := mr.Replay(j.events)
	if err != nil {
		return failed(err.Error())
	}
	var want, have []string
	for _, r := range []mr.Register{mr.RTMR0, mr.RTMR1, mr.RTMR2, mr.RTMR3} {
		if got[r] != j.v.Registers[r] {
			want = append(want, fmt.Sprintf("%v %v", r, j.v.Registers[r]))
			have = append(have, fmt.Sprintf("%v %v", r, got[r]))
		}
	}
	if want != nil {
		return finding{Fail, strings.Join(want, ", "), strings.Join(have, ", "), "the log is not this TD's, or was changed"}
	}
	j.v.Runtime, j.runtimeErr = dstack.ParseRuntime(j.events) // rtmr3.events says whether that matters
	return passed("rtmr0 to rtmr3")
}

// logData recomputes the digests of events whose data says what was hashed.
func (j *judge) logData() finding {
	recomputed := 0
	for i := range j.events {
		e := &j.events[i]
		if len(e.Data) == 0 || e.Type == dstack.RuntimeEvent {
			continue // stripped, or recomputed when it was read
		}
		logged := eventlog.Event{Type: e.Type, Data: e.Data}
		digest, ok := eventlog.Recompute(logged)
		if !ok {
			if _, err := eventlog.Decode(logged); err != nil { // or data could be spoilt to escape the comparison
				return failed(fmt.Sprintf("event %d (%v, %v) has data that is none of its type", i, e.Register, e.Type))
			}
			continue
		}
		if digest != e.Measured.Digest {
			return finding{Fail, mr.Digest(digest).String(), e.Measured.Digest.String(),
				fmt.Sprintf("event %d (%v, %v) has data that its digest is not of", i, e.Register, e.Type)}
		}
		recomputed++
	}
	return passed(fmt.Sprintf("%d of %d events; the others name what was hashed", recomputed, len(j.events)))
}

// registers that are compared with a variant's one by one.
var fixed = []struct {
	register mr.Register
	id       CheckID
}{{mr.MRTD, RegistersMRTD}, {mr.RTMR0, RegistersRTMR0}, {mr.RTMR1, RegistersRTMR1}, {mr.RTMR2, RegistersRTMR2}}

// agreement compares the quote with one variant as a whole: how many registers agree, and whether the variant matches.
// Every register that is not waived must be stated and equal; RTMR3 must be equal where it is stated.
func (j *judge) agreement(v *Variant) (agree int, match bool) {
	match = true
	for _, f := range fixed {
		want, stated := v.Registers[f.register]
		switch {
		case stated && want == j.v.Registers[f.register]:
			agree++
		case !j.waived[f.id]:
			match = false
		}
	}
	want, stated := v.Registers[mr.RTMR3]
	switch {
	case stated && want == j.v.Registers[mr.RTMR3]:
		agree++
	case stated && !j.waived[RegistersRTMR3]:
		match = false
	}
	return agree, match && agree > 0 // whatever is waived: a variant that nothing agrees with is not the one
}

// registersVariant looks for a variant that matches as a whole. Registers of two variants are never mixed.
func (j *judge) registersVariant() finding {
	if len(j.x.Variants) == 0 {
		return notRun("no registers are expected")
	}
	most := -1
	for i := range j.x.Variants {
		v := &j.x.Variants[i]
		agree, match := j.agreement(v)
		if match {
			j.match, j.v.Variant, j.v.Nearest = v, v.name(i), ""
			return passed(j.v.Variant)
		}
		if agree > most {
			most, j.match, j.v.Nearest = agree, v, v.name(i)
		}
	}
	return failed(fmt.Sprintf("none of %d variants matches as a whole; nearest is %.80q", len(j.x.Variants), j.v.Nearest))
}

// name returns the variant's name, or its number.
func (v *Variant) name(i int) string {
	if v.Name == "" {
		return fmt.Sprintf("variant %d", i+1)
	}
	return v.Name
}

func (j *judge) registerMRTD() finding  { return j.register(mr.MRTD) }
func (j *judge) registerRTMR0() finding { return j.register(mr.RTMR0) }
func (j *judge) registerRTMR1() finding { return j.register(mr.RTMR1) }
func (j *judge) registerRTMR2() finding { return j.register(mr.RTMR2) }

// register compares one register with the variant that matches, or the nearest one, so that a verdict shows where it fails.
func (j *judge) register(r mr.Register) finding {
	if j.match == nil {
		return notRun("no registers are expected")
	}
	want, stated := j.match.Registers[r]
	switch {
	case !stated:
		return notRun("the variant does not state it")
	case want != j.v.Registers[r]:
		return differs(want.String(), j.v.Registers[r].String())
	}
	return passed(want.String())
}

// registerRTMR3: software in the guest extends RTMR3, so that it is expected as a value, or as events.
func (j *judge) registerRTMR3() finding {
	if j.match != nil {
		if _, stated := j.match.Registers[mr.RTMR3]; stated {
			return j.register(mr.RTMR3)
		}
	}
	switch {
	case j.v.Registers[mr.RTMR3] == mr.Digest{}:
		return passed("zero")
	case j.outcome[RTMR3Events] == Pass && j.outcome[RTMR3ComposeHash] == Pass:
		return passed("by the events of the log")
	}
	return finding{Fail, "zero, an expected value, or a log whose events name the expected application", j.v.Registers[mr.RTMR3].String(), ""}
}

// dueRuntime: events are asked for where RTMR3 is not zero and no value is expected of it, or the policy names some.
func (j *judge) dueRuntime() string {
	if j.dueRequired() == "" {
		return ""
	}
	if j.x.AppCompose != nil {
		return ""
	}
	if j.v.Quote == nil || j.v.Registers[mr.RTMR3] == (mr.Digest{}) {
		return "RTMR3 is zero"
	}
	if j.waived[RegistersRTMR3] {
		return "the policy waives RTMR3"
	}
	for i := range j.x.Variants {
		if _, stated := j.x.Variants[i].Registers[mr.RTMR3]; !stated {
			return ""
		}
	}
	if len(j.x.Variants) == 0 {
		return ""
	}
	return "RTMR3 is expected as a value"
}

func (j *judge) rtmr3Events() finding {
	r := j.v.Runtime
	if j.runtimeErr != nil {
		return failed(j.runtimeErr.Error())
	}
	return passed(fmt.Sprintf("%d of the system, %d of the application", len(r.System), len(r.Application)))
}

func (j *judge) rtmr3ComposeHash() finding {
	var want []string
	if j.x.AppCompose != nil {
		c, err := dstack.ParseAppCompose(j.x.AppCompose)
		if err != nil {
			return failed(err.Error())
		}
		want = append(want, hex.EncodeToString(c.Hash[:]))
	}
	got := hex.EncodeToString(j.v.Runtime.ComposeHash[:])
	for _, ev := range j.p.RequiredEvents {
		if ev.Name == dstack.ComposeHash && !ev.Application && j.x.AppCompose == nil {
			for _, p := range ev.Payloads {
				want = append(want, hex.EncodeToString(p))
			}
		}
	}
	switch {
	case want == nil:
		return finding{got: got, why: "no application is expected: give its app-compose.json, or a policy that names its compose-hash"}
	case !slices.Contains(want, got):
		return differs(strings.Join(want, " or "), got)
	}
	return passed(got)
}

// rtmr3AppID: a KMS or a deployment may give an application another ID, which only a policy can know.
func (j *judge) rtmr3AppID() finding {
	got := j.v.Runtime.AppID
	for _, ev := range j.p.RequiredEvents {
		if ev.Name == dstack.AppID && !ev.Application {
			return passed(hex.EncodeToString(got[:])) // rtmr3.required compares it
		}
	}
	if want := dstack.AppIDOf(j.v.Runtime.ComposeHash); got != want {
		return finding{Fail, hex.EncodeToString(want[:]), hex.EncodeToString(got[:]), "the ID is not of the application; if it is meant, name it in the policy"}
	}
	return passed(hex.EncodeToString(got[:]))
}

func (j *judge) dueRequired() string { return asked(len(j.p.RequiredEvents) > 0) }

// rtmr3Required: an event that a policy names must be there exactly once, with one of the payloads.
func (j *judge) rtmr3Required() finding {
	for _, ev := range j.p.RequiredEvents {
		find, where := j.v.Runtime.Find, "system"
		if ev.Application {
			find, where = j.v.Runtime.FindApplication, "application"
		}
		got := find(ev.Name)
		if len(got) != 1 {
			return differs(fmt.Sprintf("one event %q of the %s", ev.Name, where), fmt.Sprint(len(got)))
		}
		if !slices.ContainsFunc(ev.Payloads, func(p []byte) bool { return bytes.Equal(p, got[0]) }) {
			var want []string
			for _, p := range ev.Payloads {
				want = append(want, hex.EncodeToString(p))
			}
			return differs(fmt.Sprintf("%s %s", ev.Name, strings.Join(want, " or ")), hex.EncodeToString(got[0]))
		}
	}
	return passed(fmt.Sprintf("%d events", len(j.p.RequiredEvents)))
}

func (j *judge) rtmr3Application() finding {
	if names := j.v.Runtime.Imitations(); names != nil {
		const most = 4
		more := ""
		if len(names) > most {
			names, more = names[:most], fmt.Sprintf(" and %d more", len(names)-most)
		}
		return failed(fmt.Sprintf("the application extends RTMR3 with %.60q%s, which other readers could take for the system's", names, more))
	}
	return passed("")
}

func (j *judge) vmConfigParse() finding {
	c, err := dstack.ParseVMClaims(j.e.VMConfig)
	if err != nil {
		return failed(err.Error())
	}
	j.claims = c
	return passed("")
}

// tdConfigID: the host sets MRCONFIGID, and a dstack guest refuses to start unless it fits its application.
func (j *judge) tdConfigID() finding {
	got := mr.Digest(j.v.Quote.TD.MRCONFIGID)
	if j.p.MRCONFIGID != nil {
		return oneOf(j.p.MRCONFIGID, got)
	}
	if got == (mr.Digest{}) {
		return passed("zero")
	}
	if j.outcome[RTMR3Events] == Pass && j.outcome[RTMR3ComposeHash] == Pass {
		var document []byte
		if j.claims != nil {
			document = j.claims.MRConfig
		}
		rule, err := dstack.CheckConfigID(got, j.v.Runtime, document)
		if err != nil {
			return failed(err.Error())
		}
		return passed(rule + " of the application")
	}
	if j.x.AppCompose != nil && got == dstack.ConfigIDV1(sha256.Sum256(j.x.AppCompose)) {
		return passed("version 1 of the application")
	}
	return finding{Fail, "zero, or of the policy or the application", got.String(), ""}
}
