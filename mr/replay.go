package mr

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/tdxkit/tdxkit/eventlog"
)

// RegisterOfCC returns the register with a CC measurement register index, the MrIndex of a CCEL record.
// UEFI 2.11, 38.4.1 Virtual Platform CC Event Log, table of Intel TDX.
func RegisterOfCC(index uint32) (Register, error) {
	if index >= numRegisters {
		return 0, fmt.Errorf("CC measurement register %d: a TD has 0 to %d", index, numRegisters-1)
	}
	return Register(index), nil
}

// RegisterOfPCR returns the register that stands for a TPM's PCR in a TD. PCR 0 stands for MRTD, which no event
// extends; nothing stands for a PCR above 15.
// edk2 edk2-stable202502, OvmfPkg/IntelTdx/TdxMeasurementLib/TdxMeasurementCommon.c:TdxMeasurementMapPcrToMrIndex.
func RegisterOfPCR(pcr uint32) (Register, error) {
	switch {
	case pcr == 0:
		return MRTD, nil
	case pcr == 1 || pcr == 7:
		return RTMR0, nil
	case pcr <= 6:
		return RTMR1, nil
	case pcr <= 15:
		return RTMR2, nil
	}
	return 0, fmt.Errorf("PCR %d: no register of a TD stands for it, want 0 to 15", pcr)
}

// FromLog returns the extensions that a log reports, in its order. Records that extend nothing (EV_NO_ACTION) are left
// out. Event data aliases the log's.
func FromLog(l *eventlog.Log) ([]Event, error) {
	events := make([]Event, 0, len(l.Events))
	for i, e := range l.Events {
		if e.Type == eventlog.EVNoAction {
			continue
		}
		r, err := RegisterOfCC(e.MrIndex)
		if err != nil {
			return nil, fmt.Errorf("event %d at offset 0x%x, %v: %w", i, e.Off, e.Type, err)
		}
		events = append(events, Event{Register: r, Type: e.Type, Measured: Measured{Digest: e.Digest}, Data: e.Data})
	}
	return events, nil
}

// ToLog returns a log of the events, headed as edk2 heads its logs. Its records extend what the events extend.
func ToLog(events []Event) *eventlog.Log {
	l := &eventlog.Log{Header: eventlog.NewHeader(), Events: make([]eventlog.Event, len(events))}
	for i, e := range events {
		l.Events[i] = eventlog.Event{MrIndex: e.Register.CCIndex(), Type: e.Type, Digest: e.Measured.Digest, Data: e.Data}
	}
	return l
}

// Replay returns the registers after the events have extended them in order, from zero. MRTD stays zero: the TDX
// module alone builds it, and an event that names it is an error. EV_NO_ACTION events extend nothing.
// Intel TDX module ABI, TDG.MR.RTMR.EXTEND leaf; edk2 edk2-stable202502,
// OvmfPkg/Tcg/TdTcg2Dxe/TdTcg2Dxe.c:TdxDxeHashLogExtendEvent.
func Replay(events []Event) (Values, error) {
	var v Values
	for i := range events {
		e := &events[i]
		switch {
		case e.Type == eventlog.EVNoAction:
		case e.Register == MRTD:
			return Values{}, fmt.Errorf("event %d, %v: names mrtd, which no event extends", i, e.Type)
		case e.Register >= numRegisters:
			return Values{}, fmt.Errorf("event %d, %v: names %v, a TD has rtmr0 to rtmr3", i, e.Type, e.Register)
		default:
			v[e.Register] = v[e.Register].Extend(e.Measured.Digest)
		}
	}
	return v, nil
}

// MarshalJSON returns an object of the registers' names and values in hexadecimal, in the registers' order. MRTD is
// left out where it is zero, which no TD's is: a replay does not know it.
func (v Values) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, d := range v {
		if Register(i) == MRTD && d == (Digest{}) {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%q", Register(i), d)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON parses such an object. A register that is not there becomes zero; a name that is no register's, a
// name that occurs twice and a value that is no digest are errors.
func (v *Values) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("registers: want a JSON object of names and values")
	}
	var out Values
	var seen [numRegisters]bool
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return fmt.Errorf("registers: %w", err)
		}
		r, err := ParseRegister(name.(string))
		if err != nil {
			return err
		}
		if seen[r] {
			return fmt.Errorf("registers: %v occurs twice", r)
		}
		seen[r] = true
		if err := d.Decode(&out[r]); err != nil {
			return fmt.Errorf("%v: %w", r, err)
		}
	}
	*v = out
	return nil
}
