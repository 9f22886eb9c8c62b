// Package predict computes what a TD's registers will hold: a table of rules, in the order of the measured boot, and
// the fold of a platform into events. It is the only package that compares edk2 releases.
package predict

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/qemu"
	"github.com/tdxkit/tdxkit/tdvf"
)

// Options say what is asked for, and what the inputs leave open.
type Options struct {
	// Only lists the registers that are asked for; empty is all that a prediction covers, MRTD and RTMR0 to RTMR2.
	Only []mr.Register
	// EDK2 is the release that the firmware was built from, where its bytes do not say; 0 leaves it to the bytes.
	EDK2 Release
	// PageOrder overrides the order in which the VMM adds and extends pages, which QEMU's release decides otherwise.
	PageOrder *tdvf.Order
	// OmitBytes leaves Measured.Bytes out of the events, so that a caller who wants the digests of many shapes does not
	// keep the tables of each.
	OmitBytes bool
}

// Registers are the registers that a prediction covers.
var Registers = []mr.Register{mr.MRTD, mr.RTMR0, mr.RTMR1, mr.RTMR2}

func (o *Options) wants(r mr.Register) bool {
	return len(o.Only) == 0 && r != mr.RTMR3 || slices.Contains(o.Only, r)
}

// A Result is what is known of one shape's registers. A register is in Values only if every event of it is known.
type Result struct {
	Values  map[mr.Register]mr.Digest
	Unknown map[mr.Register]string // why a register that was asked for is not in Values
	Events  []mr.Event             // of the registers in Values, in boot order; their bytes may be shared with other results
	Notes   []string               // what a reader should know of how the values came about
}

// An UnknownError says that a value cannot be known from what was given, and why.
type UnknownError struct{ Reason string }

func (e *UnknownError) Error() string { return e.Reason }

func unknown(format string, args ...any) error { return &UnknownError{fmt.Sprintf(format, args...)} }

// Measure predicts the registers of machine m when it boots img. What the inputs cannot tell is in Unknown; an error
// means that an input is wrong.
func Measure(img *Image, m *qemu.Machine, o Options) (*Result, error) {
	if err := img.Firmware.Metadata.Supported(); err != nil {
		return nil, err
	}
	profile, err := img.Firmware.Profile(o.EDK2)
	if err != nil {
		return nil, err
	}
	p := &platform{Image: img, machine: m, profile: profile, omitBytes: o.OmitBytes}
	r := &Result{Values: map[mr.Register]mr.Digest{}, Unknown: map[mr.Register]string{}}
	if profile.Newer && profile.Measures == Yes {
		r.Notes = append(r.Notes, "the firmware may be newer than the newest edk2 release known here ("+profile.Releases+"): its bytes are read as those of that release")
	}
	if !m.StartsTD {
		r.Notes = append(r.Notes, "the command line has no confidential-guest-support and starts no TD: the registers are those of a TD of its shape")
	}
	if profile.Measures == Yes && shimmed(p) == Yes && p.Shim != nil && p.Shim.Release != "" {
		r.Notes = append(r.Notes, "the shim says that it is release "+p.Shim.Release+", and is taken to measure as that does: a vendor's changes to it do not show")
	}
	if o.wants(mr.MRTD) {
		r.Values[mr.MRTD] = img.Firmware.MRTD(pageOrder(m, o))
	}
	if err := p.fold(r, &o); err != nil {
		return nil, err
	}
	return r, nil
}

// pageOrder is the order in which the VMM of m adds and extends the firmware's pages.
func pageOrder(m *qemu.Machine, o Options) tdvf.Order {
	switch {
	case o.PageOrder != nil:
		return *o.PageOrder
	case m.Traits.TwoPassAdd:
		return tdvf.TwoPass
	}
	return tdvf.SinglePass
}

// fold walks the rules and extends the registers.
func (p *platform) fold(r *Result, o *Options) error {
	var values mr.Values
	for _, reg := range Registers[1:] {
		if o.wants(reg) {
			why, err := p.blocked(reg)
			if err != nil {
				return err
			}
			if why != "" {
				r.Unknown[reg] = why
			}
		}
	}
	events, err := p.events(r.Unknown, o)
	if err != nil {
		return err
	}
	r.Events = slices.DeleteFunc(events, func(e mr.Event) bool { _, bad := r.Unknown[e.Register]; return bad })
	for i := range r.Events {
		e := &r.Events[i]
		values[e.Register] = values[e.Register].Extend(e.Measured.Digest)
	}
	for _, reg := range Registers[1:] {
		if _, bad := r.Unknown[reg]; !bad && o.wants(reg) {
			r.Values[reg] = values[reg]
		}
	}
	return nil
}

// usualEvents is about as many events as a boot has.
const usualEvents = 32

// events evaluates the rules of the registers that are wanted and not yet unknown. A rule whose outcome is not known
// makes its register unknown.
func (p *platform) events(unknowns map[mr.Register]string, o *Options) ([]mr.Event, error) {
	if p.profile.Measures == No {
		return nil, nil
	}
	events := make([]mr.Event, 0, usualEvents)
	for i := range rules {
		rule := &rules[i]
		if _, bad := unknowns[rule.Register]; bad || !o.wants(rule.Register) {
			continue
		}
		switch rule.applies(p) {
		case No:
			continue
		case Unknown:
			unknowns[rule.Register] = fmt.Sprintf("%s: %s", rule.ID, p.why(rule))
			continue
		}
		ms, err := rule.measure(p)
		var u *UnknownError
		if errors.As(err, &u) {
			unknowns[rule.Register] = fmt.Sprintf("%s: %s", rule.ID, u.Reason)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", rule.ID, err)
		}
		for _, m := range ms {
			if p.omitBytes {
				m.Bytes = nil
			}
			events = append(events, mr.Event{
				Rule: rule.ID, Register: rule.Register, Type: rule.Type, Measured: m.Measured, Data: m.Data, Cite: rule.Cite,
			})
		}
	}
	return events, nil
}
