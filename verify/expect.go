package verify

import (
	"encoding/hex"
	"fmt"

	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/strictjson"
	"github.com/tdxkit/tdxkit/mr"
)

// MeasurementsSchema is the first member of what measure writes.
const MeasurementsSchema = "tdxkit.measurements/v1"

// maxVariants bounds a file of expected measurements: all CPU counts to 512 with a dozen sizes of memory are 6,144.
const maxVariants = 1 << 16

// ParseVariants reads expected registers: what measure writes as JSON, of which each measurement is one variant; or an
// object of registers alone, {"mrtd": "…", "rtmr0": "…"}, as measurement tools write it, which is one variant. Members
// that say more of a measurement are not looked at; one that occurs twice or in other letters is an error, and so is a
// register that is not known.
func ParseVariants(data []byte) ([]Variant, error) {
	if len(data) > bin.MaxEventLog {
		return nil, &bin.FormatError{Format: "measurements", Field: "size", Err: bin.ErrUnsupported,
			Msg: fmt.Sprintf("is %d bytes, want at most %d", len(data), bin.MaxEventLog)}
	}
	doc, err := strictjson.Parse("measurements", data)
	if err != nil {
		return nil, err
	}
	r := reader{strictjson.NewReader("measurements", doc)}
	var list []Variant
	if r.Optional("schema") == nil {
		v := Variant{Registers: r.registers(true)}
		list = append(list, v)
	} else {
		if s := r.String("schema"); r.Err() == nil && s != MeasurementsSchema {
			r.Failf("schema", bin.ErrUnsupported, "is %.60q, want %q", s, MeasurementsSchema)
		}
		items := r.Array("measurements")
		if len(items) > maxVariants {
			r.Failf("measurements", bin.ErrUnsupported, "are more than %d", maxVariants)
			items = nil
		}
		for i := range items {
			list = append(list, reader{r.Object(&items[i])}.variant())
		}
		r.Unknown()
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return list, nil
}

// variant reads one measurement.
func (r reader) variant() Variant {
	var v Variant
	if r.Optional("name") != nil {
		v.Name = r.String("name")
	}
	if p := r.Optional("platform"); p != nil {
		platform := reader{r.Object(p)}
		if platform.Optional("os_image_hash") != nil {
			v.OSImageHash = make([]byte, 32)
			platform.Hex("os_image_hash", v.OSImageHash)
		}
		platform.Unknown()
	}
	v.Registers = reader{r.Object(r.Value("registers"))}.registers(false)
	if e := r.Optional("events"); e != nil {
		for i := range e.Items {
			v.Events = append(v.Events, reader{r.Object(&e.Items[i])}.event())
		}
	}
	r.Unknown()
	return v
}

// registers reads an object of registers, of which there must be at least one. Only a lone object may hold other members.
func (r reader) registers(alone bool) map[mr.Register]mr.Digest {
	out := map[mr.Register]mr.Digest{}
	for _, reg := range []mr.Register{mr.MRTD, mr.RTMR0, mr.RTMR1, mr.RTMR2, mr.RTMR3} {
		if v := r.Optional(reg.String()); v != nil && v.Kind != strictjson.Null {
			var d mr.Digest
			r.Hex(reg.String(), d[:])
			out[reg] = d
		}
	}
	if alone {
		r.Unknown()
	} else {
		r.End()
	}
	if r.Err() == nil && len(out) == 0 {
		r.Failf("mrtd", bin.ErrMalformed, "and rtmr0 to rtmr3 are all missing: there is nothing to expect")
	}
	return out
}

// event reads one event of a measurement.
func (r reader) event() mr.Event {
	var e mr.Event
	if r.Optional("rule") != nil {
		e.Rule = mr.RuleID(r.String("rule"))
	}
	reg, err := mr.ParseRegister(r.String("register"))
	typ, terr := eventlog.ParseType(r.String("type"))
	if r.Err() == nil && (err != nil || terr != nil) {
		r.Failf("register", bin.ErrMalformed, "or type is not known")
	}
	e.Register, e.Type = reg, typ
	r.Hex("digest", e.Measured.Digest[:])
	if r.Optional("what") != nil {
		e.Measured.What = r.String("what")
	}
	for _, f := range []struct {
		name string
		dst  *[]byte
	}{{"data", &e.Data}, {"bytes", &e.Measured.Bytes}} {
		if r.Optional(f.name) == nil {
			continue
		}
		b, err := hex.DecodeString(r.String(f.name))
		if r.Err() == nil && err != nil {
			r.Failf(f.name, bin.ErrMalformed, "is not hexadecimal")
		}
		*f.dst = b
	}
	r.Unknown()
	return e
}
