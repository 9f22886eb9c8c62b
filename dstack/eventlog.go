package dstack

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/internal/bin"
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
	var err error
	o := &object{format: eventLogFormat, err: &err}
	list := eventLogText(o, data, true)
	if err != nil {
		return nil, err
	}
	var events []mr.Event
	dec := json.NewDecoder(bytes.NewReader(list))
	if _, e := dec.Token(); e != nil { // the opening bracket
		o.jsonError(dec.InputOffset(), e)
	}
	for err == nil && dec.More() {
		var raw json.RawMessage
		if e := dec.Decode(&raw); e != nil {
			o.jsonError(dec.InputOffset(), e)
			break
		}
		if len(events) == bin.MaxLogEvents {
			o.failf(dec.InputOffset(), "events", bin.ErrUnsupported, "are more than %d", bin.MaxLogEvents)
			break
		}
		base := dec.InputOffset() - int64(len(raw))
		entry := &object{format: eventLogFormat, prefix: fmt.Sprintf("[%d].", len(events)), err: &err}
		entry.read(raw, base)
		events = append(events, parseEntry(entry, base))
	}
	if err == nil {
		endOfList(o, dec, list)
	}
	if err != nil {
		return nil, err
	}
	return events, nil
}

// endOfList reads the closing bracket and makes sure that nothing follows it.
func endOfList(o *object, dec *json.Decoder, list []byte) {
	if _, err := dec.Token(); err != nil {
		o.jsonError(dec.InputOffset(), err)
		return
	}
	if rest := bytes.TrimLeft(list[dec.InputOffset():], blanks); len(rest) > 0 {
		o.failf(dec.InputOffset(), "document", bin.ErrMalformed, "is followed by more text")
	}
}

// blanks are the characters that JSON allows between its tokens. RFC 8259, 2.
const blanks = " \t\r\n"

// eventLogText finds the array in what a guest reports. Offsets in errors are those of the array's text.
func eventLogText(o *object, data []byte, report bool) []byte {
	if len(data) > bin.MaxEventLog {
		o.failf(0, "length", bin.ErrUnsupported, "is %d bytes, at most %d are read", len(data), bin.MaxEventLog)
		return nil
	}
	if !utf8.Valid(data) {
		o.failf(int64(firstInvalid(data)), "text", bin.ErrMalformed, "is not UTF-8")
		return nil
	}
	text := bytes.TrimLeft(data, blanks)
	switch {
	case len(text) == 0:
		o.failf(0, "document", bin.ErrTruncated, "is empty")
	case text[0] == '[':
		return data
	case text[0] == '"':
		var s string
		if err := json.Unmarshal(text, &s); err != nil {
			o.jsonError(0, err)
			return nil
		}
		if inner := []byte(s); len(inner) > 0 && inner[0] == '[' {
			return inner
		}
		o.failf(0, "document", bin.ErrMalformed, "is a string without a list of events")
	case text[0] == '{' && report:
		o.read(data, 0)
		o.require("event_log")
		if v, ok := o.get("event_log"); ok {
			return eventLogText(o, v.raw, false)
		}
	default:
		o.failf(0, "document", bin.ErrMalformed, "is no list of events")
	}
	return nil
}

// parseEntry reads one event, whose text is at offset off.
func parseEntry(o *object, off int64) mr.Event {
	for _, key := range []string{"imr", "event_type", "event", "event_payload"} {
		o.require(key)
	}
	imr := o.number("imr", 3, 0)
	e := mr.Event{Register: mr.RTMR0 + mr.Register(imr), Type: eventlog.Type(o.number("event_type", 1<<32-1, 0))}
	e.Measured.What = o.eventName("event")
	e.Data = o.hex("event_payload")
	digest := o.hex("digest")
	if len(digest) != 0 && len(digest) != len(e.Measured.Digest) {
		o.failf(o.values["digest"].off, "digest", bin.ErrMalformed, "has %d bytes, want %d or none", len(digest), len(e.Measured.Digest))
	}
	copy(e.Measured.Digest[:], digest)
	version := o.number("version", 2, 1)
	preimage := o.hex("preimage")
	if unknown := o.rest(); len(unknown) > 0 {
		o.failf(o.values[unknown[0]].off, unknown[0], bin.ErrUnsupported, "is no key of an event")
	}
	switch {
	case *o.err != nil:
	case e.Type == RuntimeEvent:
		runtimeDigest(o, &e, version, preimage, len(digest) > 0)
	case version != 1 || len(preimage) > 0:
		o.failf(off, "version", bin.ErrMalformed, "or a preimage is in an event of type %v, want them in %v only", e.Type, RuntimeEvent)
	case len(digest) == 0:
		o.failf(o.values["digest"].off, "digest", bin.ErrMalformed, "is empty in an event of type %v, which nothing else gives", e.Type)
	}
	return e
}

// runtimeDigest computes a runtime event's digest and compares it with what the log has.
func runtimeDigest(o *object, e *mr.Event, version uint64, preimage []byte, logged bool) {
	if e.Register != mr.RTMR3 {
		o.failf(o.values["imr"].off, "imr", bin.ErrMalformed, "is %d in a runtime event, want 3", e.Register-mr.RTMR0)
		return
	}
	hashed := runtimePreimage(e.Measured.What, e.Data)
	if version == 2 {
		hashed = canonicalPreimage(e.Measured.What, e.Data)
		o.require("preimage")
	}
	if _, ok := o.get("preimage"); ok && !bytes.Equal(preimage, hashed) {
		o.failf(o.values["preimage"].off, "preimage", bin.ErrMalformed, "is not what the event hashes, %x", hashed)
	}
	if *o.err != nil {
		return
	}
	digest := mr.Sum(hashed)
	if logged && digest != e.Measured.Digest {
		o.failf(o.values["digest"].off, "digest", bin.ErrMalformed, "is %v, name and payload lead to %v", e.Measured.Digest, digest)
		return
	}
	e.Measured.Digest, e.Measured.Bytes = digest, hashed
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

// eventName returns the string at key. An escape of half a surrogate pair, which decodes to U+FFFD, is refused as
// dstack's own reader refuses it.
func (o *object) eventName(key string) string {
	s := o.text(key)
	if strings.ContainsRune(s, utf8.RuneError) {
		o.failf(o.values[key].off, key, bin.ErrMalformed, "has a character that is none, or U+FFFD")
	}
	return s
}

// hex returns the bytes at key, nil where there is none or an empty string. Upper case is refused: a log has one form.
func (o *object) hex(key string) []byte {
	var s string
	if !o.decode(key, "a string", &s) || s == "" {
		return nil
	}
	b, err := hex.DecodeString(s)
	if err != nil || hex.EncodeToString(b) != s {
		o.failf(o.values[key].off, key, bin.ErrMalformed, "is %s, want an even number of hexadecimal digits in lower case", shorten([]byte(s)))
		return nil
	}
	return b
}
