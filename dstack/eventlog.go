package dstack

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/strictjson"
	"github.com/tdxkit/tdxkit/mr"
)

// RuntimeEvent is the type of the events that a dstack guest extends RTMR3 with.
// dstack 312dc605ebaa, dstack/cc-eventlog/src/runtime_events.rs, DSTACK_RUNTIME_EVENT_TYPE.
const RuntimeEvent eventlog.Type = 0x08000001

const eventLogFormat = "dstack event log"

// ParseEventLog parses the event log that a dstack guest reports: a JSON array of events in the order of their
// extensions, the same as a JSON string, or a report that holds either at its key event_log.
//
// Each event has imr (0 to 3, RTMR0 to RTMR3), event_type, digest, event (a name) and event_payload, both digest and
// payload in hexadecimal, perhaps version and preimage, and nothing else. A guest that strips its log leaves out the
// payload of boot events and the digest of runtime events.
//
// A runtime event's digest follows from its name and payload; it is computed, and one that the log has and that differs
// is an error. In version 1 it is SHA-384(le32 type ‖ ":" ‖ name ‖ ":" ‖ payload), which does not say where a name with
// a colon ends. In version 2 it is that of the canonical JSON object of name, payload and type, and the event must have
// it as preimage, in hexadecimal. A preimage must be what is hashed. Runtime events extend RTMR3 alone.
//
// Measured.What of each event is its name, Data its payload, and Measured.Bytes what a runtime event hashes.
// Evidence for version 1 are logs with quotes; no log of version 2 is at hand.
//
// dstack 312dc605ebaa, dstack/cc-eventlog/src/tdx.rs:TdxEvent, validate_v2_preimages.
func ParseEventLog(data []byte) ([]mr.Event, error) {
	list, err := eventLogList(data)
	if err != nil {
		return nil, err
	}
	if len(list.Items) > bin.MaxLogEvents {
		return nil, logError(list.Off, "events", bin.ErrUnsupported, "are more than %d", bin.MaxLogEvents)
	}
	events := make([]mr.Event, 0, len(list.Items))
	for i := range list.Items {
		e, err := parseEntry(i, &list.Items[i])
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}

// LooksLikeEventLog reports whether data begins as a log that ParseEventLog reads, and as no binary log does.
func LooksLikeEventLog(data []byte) bool {
	text := bytes.TrimLeft(data, " \t\r\n")
	return len(text) > 0 && strings.IndexByte(`[{"`, text[0]) >= 0
}

func logError(off int, field string, category error, format string, args ...any) error {
	return &bin.FormatError{Format: eventLogFormat, Off: int64(off), Field: field, Msg: fmt.Sprintf(format, args...), Err: category}
}

// eventLogList finds the array in what a guest reports. Offsets in errors are those of the text that the array is in.
func eventLogList(data []byte) (*strictjson.Value, error) {
	if len(data) > bin.MaxEventLog {
		return nil, logError(0, "length", bin.ErrUnsupported, "is %d bytes, at most %d are read", len(data), bin.MaxEventLog)
	}
	v, err := strictjson.Parse(eventLogFormat, data)
	if err != nil {
		return nil, err
	}
	switch {
	case v.Kind == strictjson.Array:
		return v, nil
	case v.Kind == strictjson.String:
		return eventLogString(v)
	case v.Kind == strictjson.Object:
		r := strictjson.NewReader(eventLogFormat, v)
		log := r.Value("event_log")
		r.Unknown()
		if err := r.Err(); err != nil {
			return nil, err
		}
		switch log.Kind {
		case strictjson.Array:
			return log, nil
		case strictjson.String:
			return eventLogString(log)
		}
	}
	return nil, logError(v.Off, "document", bin.ErrMalformed, "is no list of events")
}

// eventLogString reads a list that is the text of a string.
func eventLogString(v *strictjson.Value) (*strictjson.Value, error) {
	list, err := strictjson.Parse(eventLogFormat, []byte(v.Text))
	if err != nil {
		return nil, err
	}
	if list.Kind != strictjson.Array {
		return nil, logError(v.Off, "document", bin.ErrMalformed, "is a string without a list of events")
	}
	return list, nil
}

// An entry is one event of a log as it is read. Its first failure sticks.
type entry struct {
	index  int
	value  *strictjson.Value
	fields [len(entryKeys)]*strictjson.Value // by the place of the key in entryKeys; nil where there is none
	err    error
}

// The keys of an event, as places in entryKeys.
const (
	keyIMR = iota
	keyType
	keyEvent
	keyPayload
	keyDigest
	keyVersion
	keyPreimage
)

var entryKeys = [...]string{"imr", "event_type", "event", "event_payload", "digest", "version", "preimage"}

func (o *entry) failf(key int, category error, format string, args ...any) {
	if o.err == nil {
		off := o.value.Off
		if v := o.fields[key]; v != nil {
			off = v.Off
		}
		o.err = logError(off, fmt.Sprintf("[%d].%s", o.index, entryKeys[key]), category, format, args...)
	}
}

// parseEntry reads one event.
func parseEntry(index int, v *strictjson.Value) (mr.Event, error) {
	o := &entry{index: index, value: v}
	if v.Kind != strictjson.Object {
		return mr.Event{}, logError(v.Off, fmt.Sprintf("[%d].document", index), bin.ErrMalformed, "is %v, want an object", v.Kind)
	}
	for i := range v.Members {
		m := &v.Members[i]
		k := slices.Index(entryKeys[:], m.Name)
		if k < 0 {
			return mr.Event{}, logError(m.Off, fmt.Sprintf("[%d].%.60s", index, m.Name), bin.ErrUnsupported, "is no key of an event")
		}
		if m.Value.Kind != strictjson.Null {
			o.fields[k] = &m.Value
		}
	}
	for _, k := range []int{keyIMR, keyType, keyEvent, keyPayload} {
		if o.fields[k] == nil {
			o.failf(k, bin.ErrMalformed, "is missing")
		}
	}
	imr := o.number(keyIMR, 3, 0)
	e := mr.Event{Register: mr.RTMR0 + mr.Register(imr), Type: eventlog.Type(o.number(keyType, 1<<32-1, 0))}
	e.Measured.What = o.name(keyEvent)
	e.Data = o.hex(keyPayload)
	digest := o.hex(keyDigest)
	if len(digest) != 0 && len(digest) != len(e.Measured.Digest) {
		o.failf(keyDigest, bin.ErrMalformed, "has %d bytes, want %d or none", len(digest), len(e.Measured.Digest))
	}
	copy(e.Measured.Digest[:], digest)
	version := o.number(keyVersion, 2, 1)
	preimage := o.hex(keyPreimage)
	switch {
	case o.err != nil:
	case e.Type == RuntimeEvent:
		o.runtimeDigest(&e, version, preimage, len(digest) > 0)
	case version != 1 || len(preimage) > 0:
		o.failf(keyVersion, bin.ErrMalformed, "or a preimage is in an event of type %v, want them in %v only", e.Type, RuntimeEvent)
	case len(digest) == 0:
		o.failf(keyDigest, bin.ErrMalformed, "is empty in an event of type %v, which nothing else gives", e.Type)
	}
	return e, o.err
}

// runtimeDigest computes a runtime event's digest and compares it with what the log has.
func (o *entry) runtimeDigest(e *mr.Event, version uint64, preimage []byte, logged bool) {
	if e.Register != mr.RTMR3 {
		o.failf(keyIMR, bin.ErrMalformed, "is %d in a runtime event, want 3", e.Register-mr.RTMR0)
		return
	}
	hashed := runtimePreimage(e.Measured.What, e.Data)
	if version == 2 {
		hashed = canonicalPreimage(e.Measured.What, e.Data)
		if o.fields[keyPreimage] == nil {
			o.failf(keyPreimage, bin.ErrMalformed, "is missing")
		}
	}
	if o.fields[keyPreimage] != nil && !bytes.Equal(preimage, hashed) {
		o.failf(keyPreimage, bin.ErrMalformed, "is not what the event hashes, %x", hashed)
	}
	if o.err != nil {
		return
	}
	digest := mr.Sum(hashed)
	if logged && digest != e.Measured.Digest {
		o.failf(keyDigest, bin.ErrMalformed, "is %v, name and payload lead to %v", e.Measured.Digest, digest)
		return
	}
	e.Measured.Digest, e.Measured.Bytes = digest, hashed
}

// number returns the whole number at key, fallback where there is none. Fractions, exponents and signs are refused.
func (o *entry) number(key int, most, fallback uint64) uint64 {
	v := o.fields[key]
	if v == nil {
		return fallback
	}
	n, err := strconv.ParseUint(string(v.Raw), 10, 64)
	switch {
	case err != nil:
		o.failf(key, bin.ErrMalformed, "is %s, want a whole number", shorten(v.Raw))
	case n > most:
		o.failf(key, bin.ErrUnsupported, "is %d, want at most %d", n, most)
	default:
		return n
	}
	return fallback
}

// text returns the string at key.
func (o *entry) text(key int) string {
	v := o.fields[key]
	if v == nil {
		return ""
	}
	if v.Kind != strictjson.String {
		o.failf(key, bin.ErrMalformed, "is %s, want a string", shorten(v.Raw))
	}
	return v.Text
}

// name returns the string at key without characters that dstack's own reader refuses or that no name has.
func (o *entry) name(key int) string {
	s := o.text(key)
	if strings.ContainsRune(s, utf8.RuneError) || strings.IndexByte(s, 0) >= 0 {
		o.failf(key, bin.ErrMalformed, "has a NUL, a character that is none, or U+FFFD")
	}
	return s
}

// hex returns the bytes at key, nil where there is none or an empty string. Upper case is refused: a log has one form.
func (o *entry) hex(key int) []byte {
	s := o.text(key)
	if s == "" {
		return nil
	}
	b, err := hex.DecodeString(s)
	if err != nil || strings.ContainsAny(s, "ABCDEF") {
		o.failf(key, bin.ErrMalformed, "is %s, want an even number of hexadecimal digits in lower case", shorten([]byte(s)))
		return nil
	}
	return b
}

// runtimePreimage returns what a runtime event of version 1 hashes.
// dstack 312dc605ebaa, dstack/cc-eventlog/src/runtime_events.rs:RuntimeEvent.preimage.
func runtimePreimage(name string, payload []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(RuntimeEvent))
	b = append(b, ':')
	b = append(b, name...)
	b = append(b, ':')
	return append(b, payload...)
}

// canonicalPreimage returns what a runtime event of version 2 hashes: the object in the form of RFC 8785.
// dstack 312dc605ebaa, dstack/cc-eventlog/src/runtime_events.rs:canonical_event_json_v2.
func canonicalPreimage(name string, payload []byte) []byte {
	b := appendCanonicalString([]byte(`{"name":`), name)
	b = append(b, `,"payload":"`...)
	b = hex.AppendEncode(b, payload)
	return fmt.Appendf(b, `","type":%d}`, uint32(RuntimeEvent))
}

// appendCanonicalString appends s as a JSON string. RFC 8785, 3.2.2.2 Serialization of Strings.
func appendCanonicalString(b []byte, s string) []byte {
	short := map[byte]byte{'\b': 'b', '\t': 't', '\n': 'n', '\f': 'f', '\r': 'r', '"': '"', '\\': '\\'}
	b = append(b, '"')
	for i := range len(s) {
		c := s[i]
		switch {
		case short[c] != 0:
			b = append(b, '\\', short[c])
		case c < 0x20:
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
