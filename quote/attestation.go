package quote

import (
	"encoding/hex"
	"encoding/json"
	"unicode/utf8"

	"github.com/tdxkit/tdxkit/internal/bin"
)

const maxAttestationEvents = 4096 // a direct boot logs some 25 events, an application a few more

// An attestationEvent is an entry of the log in a dstack attestation, with the names that it has in dstack's JSON.
type attestationEvent struct {
	IMR     uint32 `json:"imr"`
	Type    uint32 `json:"event_type"`
	Digest  string `json:"digest"` // hex; empty where it was stripped
	Event   string `json:"event"`
	Payload string `json:"event_payload"` // hex
}

// extractAttestation reads dstack's binary attestation of version 0, variant 0 (TDX): quote, events, the runtime events
// again by name and payload, 64 bytes of report data, and the configuration, as SCALE writes them: lengths and counts are
// compact integers, other integers little-endian. Facts from the fixtures of Dstack-TEE/dstack 312dc60, which hold the same
// in other forms; SCALE: Substrate documentation, "Type encoding".
func extractAttestation(data []byte) (*Evidence, error) {
	s := &scale{bin.NewCursor("dstack attestation", data, 0)}
	if v := s.U8("version"); v != 0 {
		s.Failf(0, "version", bin.ErrUnsupported, "is %d, want 0", v)
	}
	if v := s.U8("variant"); v != 0 {
		s.Failf(1, "variant", bin.ErrUnsupported, "is %d, want 0 (TDX)", v)
	}
	at := s.Off()
	e := &Evidence{Form: "dstack attestation", Quote: s.vector("quote")}
	if !isQuote(e.Quote) {
		s.Failf(at, "quote", bin.ErrUnsupported, "does not begin as a quote does")
	}
	events := s.events()
	s.runtimeEvents(events)
	e.UntrustedReportData = s.Bytes("report data", 64)
	e.UntrustedVMConfig = s.vector("configuration")
	s.End()
	if err := s.Err(); err != nil {
		return nil, err
	}
	var err error
	if e.UntrustedEventLog, err = json.Marshal(events); err != nil {
		return nil, err
	}
	return e, nil
}

// A scale cursor reads SCALE's encodings.
type scale struct{ *bin.Cursor }

// compact reads a compact integer of at most 30 bits.
func (s *scale) compact(field string) int {
	off := s.Off()
	n := int(s.U8(field))
	switch n & 3 {
	case 1:
		n |= int(s.U8(field)) << 8
	case 2:
		if b := s.Bytes(field, 3); b != nil {
			n |= int(b[0])<<8 | int(b[1])<<16 | int(b[2])<<24
		}
	case 3:
		s.Failf(off, field, bin.ErrUnsupported, "is a big integer")
	}
	if s.Err() != nil {
		return 0
	}
	return n >> 2
}

// vector reads a length and as many bytes.
func (s *scale) vector(field string) []byte {
	return s.Bytes(field, s.compact(field))
}

func (s *scale) text(field string) string {
	off := s.Off()
	b := s.vector(field)
	if !utf8.Valid(b) {
		s.Failf(off, field, bin.ErrMalformed, "is not UTF-8")
	}
	return string(b)
}

func (s *scale) count(field string) int {
	off := s.Off()
	n := s.compact(field)
	if n > maxAttestationEvents {
		s.Failf(off, field, bin.ErrUnsupported, "is %d, want at most %d", n, maxAttestationEvents)
		return 0
	}
	return n
}

func (s *scale) events() []attestationEvent {
	events := []attestationEvent{}
	for range s.count("number of events") {
		e := attestationEvent{IMR: s.U32("imr"), Type: s.U32("event type"), Digest: hex.EncodeToString(s.vector("digest")), Event: s.text("event")}
		e.Payload = hex.EncodeToString(s.vector("event payload"))
		if s.Err() != nil {
			return nil
		}
		events = append(events, e)
	}
	return events
}

// runtimeEventType is the type of dstack's own events. Dstack-TEE/dstack 312dc60, DSTACK_RUNTIME_EVENT_TYPE.
const runtimeEventType = 0x08000001

// runtimeEvents reads the second list, which must say what the first says: a reader of one and a reader of the other must
// not see different events.
func (s *scale) runtimeEvents(events []attestationEvent) {
	n := s.count("number of runtime events")
	for _, e := range events {
		if e.Type != runtimeEventType {
			continue
		}
		off := s.Off()
		name, payload := s.text("runtime event"), s.vector("runtime event payload")
		if n--; name != e.Event || hex.EncodeToString(payload) != e.Payload {
			s.Failf(off, "runtime event", bin.ErrMalformed, "is %.40q, the list of events has %.40q or another payload", name, e.Event)
		}
	}
	if n != 0 {
		s.Failf(s.Off(), "number of runtime events", bin.ErrMalformed, "differs by %d from the list of events", n)
	}
}
