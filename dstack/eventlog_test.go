package dstack_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/mr"
)

// A reported log is one that a guest gave with its quote's registers.
type reported struct {
	Log       string          `json:"log"`
	EventLog  json.RawMessage `json:"event_log"`
	Registers mr.Values       `json:"registers"`
}

func reportedLogs(t testing.TB) []reported {
	t.Helper()
	var logs []reported
	if err := json.Unmarshal(fixtures.File(t, "eventlog", "dstack-json.json.zst"), &logs); err != nil {
		t.Fatal(err)
	}
	return logs
}

func TestParseEventLog(t *testing.T) {
	logs := reportedLogs(t)
	if len(logs) != 3 {
		t.Fatalf("got %d logs, want 3", len(logs))
	}
	for _, l := range logs {
		for form, text := range map[string][]byte{
			"as reported": l.EventLog,
			"in a report": fmt.Appendf(nil, `{"quote": "00", "event_log": %s}`, l.EventLog),
		} {
			events, err := dstack.ParseEventLog(text)
			if err != nil {
				t.Errorf("%s, %s: %v", l.Log, form, err)
				continue
			}
			got, err := mr.Replay(events)
			if err != nil || got != l.Registers {
				t.Errorf("%s, %s: got %v, %v, want %v", l.Log, form, got, err, l.Registers)
			}
			last := events[len(events)-1]
			if last.Register != mr.RTMR3 || last.Type != dstack.RuntimeEvent || mr.Sum(last.Measured.Bytes) != last.Measured.Digest {
				t.Errorf("%s, %s: last event: got %+v, want one of RTMR3 with what it hashes", l.Log, form, last)
			}
		}
	}
}

// edited are logs whose publisher replaced the registers stated beside them: the log replays to RTMR2 of the quote
// quotes/2025-11-05-50c041fa4236.bin.
var edited = map[string][]mr.Register{
	"2025-11-25-41c25bd444d4.json": {mr.RTMR2},
	"2025-11-26-08d57ac8456d.json": {mr.RTMR2},
	"2025-11-27-66eac3c1213f.json": {mr.RTMR2},
	"2026-02-03-8e029521ed9f.json": {mr.RTMR0, mr.RTMR2},
}

// TestParseEventLogTruth replays every log of the larger collection to the registers stated with it.
func TestParseEventLogTruth(t *testing.T) {
	truth := fixtures.Truth(t)
	vectors, _ := filepath.Glob(filepath.Join(truth, "hardware", "dstack-vectors", "*.json"))
	history, _ := filepath.Glob(filepath.Join(truth, "quotes", "near-history", "dstack_tcb_info", "*.json"))
	if len(vectors) != 16 || len(history) != 34 {
		t.Errorf("found %d vectors and %d logs of NEAR, want 16 and 34", len(vectors), len(history))
	}
	events := 0
	for _, f := range append(vectors, history...) {
		var v struct{ RTMR0, RTMR1, RTMR2, RTMR3 mr.Digest }
		report := fixtures.Read(t, f)
		if err := json.Unmarshal(report, &v); err != nil {
			t.Fatal(err)
		}
		list, err := dstack.ParseEventLog(report)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		got, err := mr.Replay(list)
		if err != nil {
			t.Errorf("%s: %v", f, err)
		}
		want := mr.Values{{}, v.RTMR0, v.RTMR1, v.RTMR2, v.RTMR3}
		var differ []mr.Register
		for r := range got {
			if got[r] != want[r] {
				differ = append(differ, mr.Register(r))
			}
		}
		if !slices.Equal(differ, edited[filepath.Base(f)]) {
			t.Errorf("%s: %v differ, want %v", f, differ, edited[filepath.Base(f)])
		}
		events += len(list)
	}
	t.Logf("%d logs, %d events", len(vectors)+len(history), events)
}

// entry returns the text of a runtime event with the given keys after the four that each event has.
func entry(name, payload, more string) string {
	return fmt.Sprintf(`{"imr":3,"event_type":134217729,"event":%q,"event_payload":%q%s}`, name, payload, more)
}

func TestRuntimeEvents(t *testing.T) {
	// The canonical texts are those that dstack's own tests name, runtime_events.rs at 312dc605ebaa.
	for _, tc := range []struct{ name, payload, hashed string }{
		{"compose-hash", "abcd", `{"name":"compose-hash","payload":"abcd","type":134217729}`},
		{"event\"with\\special\nchars", "ff", `{"name":"event\"with\\special\nchars","payload":"ff","type":134217729}`},
		{"", "", `{"name":"","payload":"","type":134217729}`},
		{"测试-emoji-🦀<&>", "", `{"name":"测试-emoji-🦀<&>","payload":"","type":134217729}`},
		{"\b\f\n\r\t\x01", "", `{"name":"\b\f\n\r\t\u0001","payload":"","type":134217729}`},
	} {
		name, _ := json.Marshal(tc.name)
		text := fmt.Sprintf(`[{"imr":3,"event_type":134217729,"event":%s,"event_payload":%q,"version":2,"preimage":"%x"}]`, name, tc.payload, tc.hashed)
		events, err := dstack.ParseEventLog([]byte(text))
		if err != nil {
			t.Errorf("%q: %v", tc.name, err)
			continue
		}
		e := events[0]
		if string(e.Measured.Bytes) != tc.hashed || e.Measured.Digest != mr.Sum([]byte(tc.hashed)) || e.Measured.What != tc.name || hex.EncodeToString(e.Data) != tc.payload {
			t.Errorf("%q: got %+v, want the digest of %s", tc.name, e, tc.hashed)
		}
	}
	hashed := "\x01\x00\x00\x08:app-id:\xde\xad"
	for _, more := range []string{"", `,"digest":""`, `,"version":1`, fmt.Sprintf(`,"preimage":"%x","digest":"%v"`, hashed, mr.Sum([]byte(hashed)))} {
		events, err := dstack.ParseEventLog([]byte("[" + entry("app-id", "dead", more) + "]"))
		if err != nil || events[0].Measured.Digest != mr.Sum([]byte(hashed)) {
			t.Errorf("%s: got %+v, %v, want the digest of %q", more, events, err, hashed)
		}
	}
}

func TestParseEventLogRejects(t *testing.T) {
	zero := strings.Repeat("0", 96)
	good := entry("a", "00", "")
	boot := func(more string) string {
		return `[{"imr":0,"event_type":4,"event":"","event_payload":"00000000"` + more + `}]`
	}
	in := func(s, old, with string) string { return "[" + strings.Replace(s, old, with, 1) + "]" }
	for _, tc := range []struct {
		name, text string
		want       error
		part       string
	}{
		{"empty", "", bin.ErrTruncated, "ends"},
		{"blank", " \n", bin.ErrTruncated, "ends"},
		{"number", "5", bin.ErrMalformed, "document"},
		{"no UTF-8", "[\"\xff\"]", bin.ErrMalformed, "UTF-8"},
		{"string without a list", `"{}"`, bin.ErrMalformed, "document"},
		{"string in a string", `"\"[]\""`, bin.ErrMalformed, "document"},
		{"report without a log", `{"quote":""}`, bin.ErrMalformed, "event_log"},
		{"report in a report", `{"event_log":{"event_log":[]}}`, bin.ErrMalformed, "document"},
		{"two logs in a report", `{"event_log":[],"event_log":[]}`, bin.ErrMalformed, "occurs beside"},
		{"list cut", "[" + good, bin.ErrTruncated, "ends where"},
		{"list cut in an event", "[" + good[:30], bin.ErrTruncated, "ends where"},
		{"text after the list", "[" + good + "] x", bin.ErrMalformed, "trailing data"},
		{"list after the list", "[][]", bin.ErrMalformed, "trailing data"},
		{"bracket after the list", "[]]", bin.ErrMalformed, "trailing data"},
		{"event that is no object", "[5]", bin.ErrMalformed, "[0].document"},
		{"second event", "[" + good + ",{}]", bin.ErrMalformed, "[1].imr"},
		{"register missing", in(good, `"imr":3,`, ""), bin.ErrMalformed, "[0].imr"},
		{"register 4", in(good, `"imr":3`, `"imr":4`), bin.ErrUnsupported, "[0].imr"},
		{"register as text", in(good, `"imr":3`, `"imr":"3"`), bin.ErrMalformed, "[0].imr"},
		{"register below RTMR3", in(good, `"imr":3`, `"imr":2`), bin.ErrMalformed, "[0].imr"},
		{"type beyond 32 bits", in(good, "134217729", "4294967296"), bin.ErrUnsupported, "[0].event_type"},
		{"key twice", in(good, `"imr":3`, `"imr":3,"imr":3`), bin.ErrMalformed, "occurs beside"},
		{"key in upper case", in(good, `"imr"`, `"IMR"`), bin.ErrUnsupported, "[0].IMR"},
		{"unknown key", in(good, `"imr":3`, `"imr":3,"x":1`), bin.ErrUnsupported, "[0].x"},
		{"payload that is not hexadecimal", in(good, `"00"`, `"0g"`), bin.ErrMalformed, "[0].event_payload"},
		{"odd payload", in(good, `"00"`, `"000"`), bin.ErrMalformed, "[0].event_payload"},
		{"payload in upper case", in(good, `"00"`, `"AA"`), bin.ErrMalformed, "[0].event_payload"},
		{"name with half a pair", in(good, `"a"`, `"\ud800"`), bin.ErrMalformed, "half a pair"},
		{"name with a NUL", in(good, `"a"`, `"\u0000"`), bin.ErrMalformed, "[0].event"},
		{"short digest", boot(`,"digest":"` + zero[2:] + `"`), bin.ErrMalformed, "[0].digest"},
		{"boot event without a digest", boot(""), bin.ErrMalformed, "[0].digest"},
		{"boot event with an empty digest", boot(`,"digest":""`), bin.ErrMalformed, "[0].digest"},
		{"boot event of version 2", boot(`,"digest":"` + zero + `","version":2`), bin.ErrMalformed, "[0].version"},
		{"boot event with a preimage", boot(`,"digest":"` + zero + `","preimage":"00"`), bin.ErrMalformed, "[0].version"},
		{"digest of another payload", "[" + entry("a", "00", `,"digest":"`+zero+`"`) + "]", bin.ErrMalformed, "[0].digest"},
		{"version 3", "[" + entry("a", "00", `,"version":3`) + "]", bin.ErrUnsupported, "[0].version"},
		{"version 2 without a preimage", "[" + entry("a", "00", `,"version":2`) + "]", bin.ErrMalformed, "[0].preimage"},
		{"version 2 with an empty preimage", "[" + entry("a", "00", `,"version":2,"preimage":""`) + "]", bin.ErrMalformed, "[0].preimage"},
		{"version 2 with blanks", "[" + entry("a", "00", fmt.Sprintf(`,"version":2,"preimage":"%x"`, `{"name": "a","payload":"00","type":134217729}`)) + "]", bin.ErrMalformed, "[0].preimage"},
		{"version 2 of another name", "[" + entry("a", "00", fmt.Sprintf(`,"version":2,"preimage":"%x"`, `{"name":"b","payload":"00","type":134217729}`)) + "]", bin.ErrMalformed, "[0].preimage"},
		{"version 1 with the preimage of 2", "[" + entry("a", "00", fmt.Sprintf(`,"preimage":"%x"`, `{"name":"a","payload":"00","type":134217729}`)) + "]", bin.ErrMalformed, "[0].preimage"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			events, err := dstack.ParseEventLog([]byte(tc.text))
			if !errors.Is(err, tc.want) || events != nil || !strings.Contains(err.Error(), tc.part) {
				t.Errorf("%s: got %d events, %v, want %v with %q", tc.text, len(events), err, tc.want, tc.part)
			}
		})
	}
	if _, err := dstack.ParseEventLog(make([]byte, bin.MaxEventLog+1)); !errors.Is(err, bin.ErrUnsupported) {
		t.Errorf("a log above the limit: got %v, want %v", err, bin.ErrUnsupported)
	}
}

// FuzzParseEventLog asserts that what parses replays, and that runtime events carry what they hash.
func FuzzParseEventLog(f *testing.F) {
	for _, l := range reportedLogs(f) {
		f.Add([]byte(l.EventLog))
	}
	f.Add([]byte(`[` + entry("a", "00", "") + `]`))
	f.Add([]byte(`{"event_log":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		events, err := dstack.ParseEventLog(data)
		if err != nil {
			return
		}
		if _, err := mr.Replay(events); err != nil {
			t.Fatalf("%s parses and does not replay: %v", data, err)
		}
		for _, e := range events {
			if e.Type == dstack.RuntimeEvent && mr.Sum(e.Measured.Bytes) != e.Measured.Digest {
				t.Fatalf("%s: digest %v is not that of %q", data, e.Measured.Digest, e.Measured.Bytes)
			}
			eventlog.Describe(eventlog.Event{Type: e.Type, Data: e.Data})
		}
	})
}
