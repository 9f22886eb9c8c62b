package eventlog_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/bin"
)

// captured lists the logs of real machines in the repository, with how many records' digests follow from their data.
var captured = []struct {
	name               string
	events, recomputed int
}{
	{"dstack", 18, 12}, {"gcp-cos113", 43, 31}, {"gcp-cos113-altered", 43, 31}, {"gke-uki", 35, 14}, {"alibaba", 83, 17},
	{"alibaba-aael", 87, 21}, {"td-shim", 5, 4}, {"intel-direct", 19, 12}, {"intel-2022", 27, 18},
}

func load(t testing.TB, name string) []byte { return fixtures.File(t, "eventlog", name+".bin.zst") }

func parse(t testing.TB, data []byte) *eventlog.Log {
	t.Helper()
	l, err := eventlog.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestParseCaptured(t *testing.T) {
	for _, tc := range captured {
		t.Run(tc.name, func(t *testing.T) {
			data := load(t, tc.name)
			l := parse(t, data)
			if len(l.Events) != tc.events {
				t.Errorf("events: got %d, want %d", len(l.Events), tc.events)
			}
			if n := checkLog(t, data, l); n != tc.recomputed {
				t.Errorf("digests that follow from their data: got %d, want %d", n, tc.recomputed)
			}
		})
	}
}

// checkLog asserts what holds of every good log: it writes back to its bytes, every record decodes and its data writes
// back, and no digest contradicts its data. It returns how many digests follow from their data.
func checkLog(t *testing.T, data []byte, l *eventlog.Log) int {
	t.Helper()
	if got := l.AppendCCEL(nil); !bytes.Equal(got, data[:len(data)-l.Padding]) {
		t.Errorf("the log does not write back to its bytes")
	}
	recomputed := 0
	for i, e := range l.Events {
		p, err := eventlog.Decode(e)
		if err != nil {
			t.Errorf("event %d: %v", i, err)
			continue
		}
		if got := p.Append(nil); !bytes.Equal(got, e.Data) {
			t.Errorf("event %d, %v: data %x is written back as %x", i, e.Type, e.Data, got)
		}
		if d, ok := eventlog.Recompute(e); ok {
			recomputed++
			if d != e.Digest {
				t.Errorf("event %d, %v: data leads to digest %x, the record has %x", i, e.Type, d, e.Digest)
			}
		}
	}
	return recomputed
}

// TestParseTruth compares every log of the larger collection with what an independent parser made of it: offset,
// register, type and digest of each record.
func TestParseTruth(t *testing.T) {
	dumps, err := filepath.Glob(filepath.Join(fixtures.Truth(t, "hardware"), "*", "*.events.txt"))
	if err != nil || len(dumps) == 0 {
		t.Fatalf("no dumps of event logs: %v", err)
	}
	line := regexp.MustCompile(`(?m)^ *\d+ @0x([0-9a-f]+) (MRTD|RTMR\d) \w+\(0x([0-9a-f]+)\) +([0-9a-f]{96})`)
	logs, events := 0, 0
	for _, dump := range dumps {
		data := fixtures.Read(t, strings.TrimSuffix(dump, ".events.txt"))
		l, err := eventlog.Parse(data)
		if errors.Is(err, bin.ErrUnsupported) && strings.Contains(dump, "csv") {
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", dump, err)
			continue
		}
		text, err := os.ReadFile(dump)
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for _, m := range line.FindAllStringSubmatch(string(text), -1) {
			want = append(want, strings.Join(m[1:], " "))
		}
		for _, e := range l.Events {
			register := "MRTD"
			if e.MrIndex > 0 {
				register = fmt.Sprintf("RTMR%d", e.MrIndex-1)
			}
			got = append(got, fmt.Sprintf("%x %s %x %x", e.Off, register, uint32(e.Type), e.Digest))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %d records, want the %d of the dump", dump, len(got), len(want))
		}
		checkLog(t, data, l)
		logs, events = logs+1, events+len(got)
	}
	t.Logf("%d logs of real machines, %d records", logs, events)
	if want := len(dumps) - 1; logs != want {
		t.Errorf("read %d logs, want %d", logs, want)
	}
}

// TestParseEmulated reads the log of every emulated boot and compares it with what was extended.
func TestParseEmulated(t *testing.T) {
	logs := 0
	for _, firmware := range fixtures.FirmwareNames() {
		cases, names := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "emulated", firmware+".tar.zst"))
		for _, name := range names {
			data, ok := cases[name]["ccel_log.bin"]
			if !ok {
				continue // firmware that measures nothing has no log
			}
			logs++
			l := parse(t, data)
			checkLog(t, data, l)
			checkExtends(t, firmware+"/"+name, l, cases[name]["events.json"])
		}
	}
	t.Logf("%d logs of emulated boots", logs)
	if logs < 300 {
		t.Errorf("read %d logs, want the 309 of the archives", logs)
	}
}

func checkExtends(t *testing.T, name string, l *eventlog.Log, extends []byte) {
	t.Helper()
	var want []struct {
		RTMR   uint32        `json:"rtmr"`
		Digest string        `json:"digest"`
		Type   eventlog.Type `json:"event_type"`
		Data   string        `json:"event_data"`
	}
	if err := json.Unmarshal(extends, &want); err != nil {
		t.Fatal(err)
	}
	if len(l.Events) != len(want) {
		t.Errorf("%s: got %d records, want %d", name, len(l.Events), len(want))
		return
	}
	for i, e := range l.Events {
		w := want[i]
		got := fmt.Sprintf("%d %v %x %x", e.MrIndex-1, e.Type, e.Digest, e.Data)
		if want := fmt.Sprintf("%d %v %s %s", w.RTMR, w.Type, w.Digest, w.Data); got != want {
			t.Errorf("%s: record %d: got %s, want %s", name, i, got, want)
		}
	}
}

// twoBanks is a log with SHA-256 and SHA-384 digests: a separator in RTMR0 and an action in RTMR1.
func twoBanks() *eventlog.Log {
	h := eventlog.NewHeader()
	h.Algorithms = append(h.Algorithms, eventlog.Algorithm{ID: eventlog.SHA256, Size: 32})
	h.VendorInfo = []byte("vendor")
	digests := func(order ...eventlog.Alg) []eventlog.Digest {
		var d []eventlog.Digest
		for _, a := range order {
			size := map[eventlog.Alg]int{eventlog.SHA256: 32, eventlog.SHA384: 48}[a]
			d = append(d, eventlog.Digest{Alg: a, Value: bytes.Repeat([]byte{byte(a)}, size)})
		}
		return d
	}
	return &eventlog.Log{Header: h, Events: []eventlog.Event{
		{MrIndex: 1, Type: eventlog.EVSeparator, Digests: digests(eventlog.SHA256, eventlog.SHA384), Data: make([]byte, 4)},
		{MrIndex: 2, Type: eventlog.EVEFIAction, Digests: digests(eventlog.SHA384, eventlog.SHA256), Data: []byte("x")},
		{MrIndex: 3, Type: 0x12345678, Data: nil},
	}}
}

func TestParseTwoBanks(t *testing.T) {
	l := twoBanks()
	for i := range l.Events {
		l.Events[i].Digest[0] = byte(i + 1)
	}
	data := l.AppendCCEL(nil)
	got := parse(t, data)
	if again := got.AppendCCEL(nil); !bytes.Equal(again, data) {
		t.Errorf("the log does not write back to its bytes")
	}
	for i, e := range got.Events {
		if e.Digest != l.Events[i].Digest {
			t.Errorf("event %d: got sha384 %x, want %x", i, e.Digest, l.Events[i].Digest)
		}
	}
	if n := len(got.Events[0].Digests); n != 2 {
		t.Errorf("event 0: got %d digests, want 2", n)
	}
	if string(got.Header.VendorInfo) != "vendor" {
		t.Errorf("vendor information: got %q, want vendor", got.Header.VendorInfo)
	}
	_, err := eventlog.Decode(eventlog.Event{Type: eventlog.EVSeparator, Off: 100, Digests: got.Events[0].Digests, Data: []byte{1}})
	var fe *bin.FormatError
	if !errors.As(err, &fe) || fe.Off != 100+12+34+50+4 {
		t.Errorf("offset of event data after two digests: got %v, want 0x%x", err, 100+12+34+50+4)
	}
}

func TestPadding(t *testing.T) {
	log := twoBanks().AppendCCEL(nil)
	for _, tc := range []struct {
		name string
		fill []byte
		want error
	}{
		{"none", nil, nil},
		{"ff", bytes.Repeat([]byte{0xff}, 1000), nil},
		{"one ff", []byte{0xff}, nil},
		{"zero", make([]byte, 1000), nil},
		{"zero then ff", []byte{0, 0, 0, 0, 0xff}, bin.ErrTruncated},
		{"ff then text", append(bytes.Repeat([]byte{0xff}, 100), 'x'), bin.ErrMalformed},
		{"zero then text", append(make([]byte, 100), 'x'), bin.ErrMalformed},
		{"byte 1", []byte{1}, bin.ErrTruncated},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, err := eventlog.Parse(append(slices.Clip(log), tc.fill...))
			if !errors.Is(err, tc.want) {
				t.Fatalf("got error %v, want %v", err, tc.want)
			}
			if err == nil && (l.Padding != len(tc.fill) || len(l.Events) != 3) {
				t.Errorf("got %d bytes of fill after %d records, want %d after 3", l.Padding, len(l.Events), len(tc.fill))
			}
		})
	}
}

// TestParseRejects changes one field of a good log at a time.
func TestParseRejects(t *testing.T) {
	good := twoBanks().AppendCCEL(nil)
	const (
		spec  = 32                                      // of the Spec ID event
		algs  = spec + 16 + 8                           // of NumberOfAlgorithms
		event = spec + 16 + 8 + 4 + 2*4 + 1 + 6         // of the first record, with sha256 then sha384
		size  = event + 12 + 2 + 32 + 2 + 48            // of its EventSize
		last  = size + 8 + 12 + 2 + 48 + 2 + 32 + 4 + 1 // of the third record
	)
	put32 := func(off int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.LittleEndian.PutUint32(b[off:], v); return b }
	}
	put16 := func(off int, v uint16) func([]byte) []byte {
		return func(b []byte) []byte { binary.LittleEndian.PutUint16(b[off:], v); return b }
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }
	for _, tc := range []struct {
		name   string
		change func([]byte) []byte
		want   error
		off    int64
		field  string
	}{
		{"empty", cut(0), bin.ErrTruncated, 0, "MrIndex"},
		{"header register", put32(0, 5), bin.ErrMalformed, 0, "MrIndex"},
		{"header type", put32(4, 4), bin.ErrMalformed, 4, "EventType"},
		{"header digest", put32(8, 1), bin.ErrMalformed, 8, "Digest"},
		{"header size beyond the log", put32(28, 1<<31), bin.ErrTruncated, 32, "Event"},
		{"header size too small", put32(28, 20), bin.ErrTruncated, spec + 20, "SpecVersionMinor"},
		{"header size too great", put32(28, event-spec+1), bin.ErrMalformed, event, "trailing data"},
		{"signature", put32(spec, 0), bin.ErrMalformed, spec, "Signature"},
		{"signature of the SHA-1 log", func(b []byte) []byte { b[spec+14] = '2'; return b }, bin.ErrUnsupported, spec, "Signature"},
		{"major version", func(b []byte) []byte { b[spec+21] = 3; return b }, bin.ErrUnsupported, spec + 21, "SpecVersionMajor"},
		{"no algorithms", put32(algs, 0), bin.ErrMalformed, algs, "NumberOfAlgorithms"},
		{"too many algorithms", put32(algs, 17), bin.ErrMalformed, algs, "NumberOfAlgorithms"},
		{"algorithm twice", put16(algs+8, uint16(eventlog.SHA384)), bin.ErrMalformed, algs + 8, "AlgorithmId"},
		{"size of a known digest", put16(algs+6, 32), bin.ErrMalformed, algs + 6, "DigestSize"},
		{"size of an unknown digest is 0", put32(algs+8, 0x7fff), bin.ErrMalformed, algs + 10, "DigestSize"},
		{"size of an unknown digest is great", put32(algs+8, 129<<16|0x7fff), bin.ErrMalformed, algs + 10, "DigestSize"},
		{"no sha384", put32(algs+4, 64<<16|uint32(eventlog.SHA512)), bin.ErrUnsupported, algs, "DigestSizes"},
		{"vendor information beyond the header", func(b []byte) []byte { b[algs+12] = 7; return b }, bin.ErrTruncated, algs + 13, "VendorInfo"},
		{"record's register", put32(event, 5), bin.ErrMalformed, event, "MrIndex"},
		{"no digests", put32(event+8, 0), bin.ErrMalformed, event + 8, "Digests.Count"},
		{"more digests than declared", put32(event+8, 3), bin.ErrMalformed, event + 8, "Digests.Count"},
		{"undeclared algorithm", put16(event+12, uint16(eventlog.SHA1)), bin.ErrMalformed, event + 12, "AlgorithmId"},
		{"algorithm twice in a record", put16(event+12+34, uint16(eventlog.SHA256)), bin.ErrMalformed, event + 12 + 34, "AlgorithmId"},
		{"record without sha384", put16(last+12, uint16(eventlog.SHA256)), bin.ErrUnsupported, last + 12, "Digests"},
		{"data beyond the log", put32(size, 1<<32-1), bin.ErrTruncated, size + 4, "Event"},
		{"log ends in a digest", cut(event + 30), bin.ErrTruncated, event + 14, "Digest"},
		{"log ends in the data", cut(size + 6), bin.ErrTruncated, size + 4, "Event"},
		{"log ends in the next record", cut(size + 10), bin.ErrTruncated, size + 8, "MrIndex"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, err := eventlog.Parse(tc.change(slices.Clone(good)))
			var fe *bin.FormatError
			if !errors.As(err, &fe) || !errors.Is(err, tc.want) || l != nil {
				t.Fatalf("got log %v, error %v, want %v", l != nil, err, tc.want)
			}
			if fe.Off != tc.off || fe.Field != tc.field {
				t.Errorf("got %s at 0x%x (%v), want %s at 0x%x", fe.Field, fe.Off, err, tc.field, tc.off)
			}
		})
	}
}

func TestParseRejectsWhatTheHeaderLacks(t *testing.T) {
	_, err := eventlog.Parse(load(t, "csv-sm3"))
	if !errors.Is(err, bin.ErrUnsupported) || !strings.Contains(err.Error(), "sm3-256") {
		t.Errorf("got %v, want an error that names sm3-256", err)
	}
}

func TestParseLimits(t *testing.T) {
	if _, err := eventlog.Parse(make([]byte, bin.MaxEventLog+1)); !errors.Is(err, bin.ErrUnsupported) {
		t.Errorf("a log above the limit: got %v, want %v", err, bin.ErrUnsupported)
	}
	l := &eventlog.Log{Header: eventlog.NewHeader(), Events: make([]eventlog.Event, bin.MaxLogEvents+1)}
	for i := range l.Events {
		l.Events[i].MrIndex = 4
	}
	if _, err := eventlog.Parse(l.AppendCCEL(nil)); !errors.Is(err, bin.ErrUnsupported) {
		t.Errorf("%d records: got %v, want %v", len(l.Events), err, bin.ErrUnsupported)
	}
	l.Events = l.Events[1:]
	if got := parse(t, l.AppendCCEL(nil)); len(got.Events) != bin.MaxLogEvents {
		t.Errorf("got %d records, want %d", len(got.Events), bin.MaxLogEvents)
	}
}

// TestNewHeader holds the header to the first record of logs that edk2 wrote.
func TestNewHeader(t *testing.T) {
	got := (&eventlog.Log{Header: eventlog.NewHeader()}).AppendCCEL(nil)
	for _, name := range []string{"dstack", "gcp-cos113", "alibaba", "intel-direct"} {
		if want := load(t, name)[:len(got)]; !bytes.Equal(got, want) {
			t.Errorf("got %s, %s has %s", hex.EncodeToString(got), name, hex.EncodeToString(want))
		}
	}
}

func TestType(t *testing.T) {
	for v := range uint32(0x200) {
		for _, ty := range []eventlog.Type{eventlog.Type(v), eventlog.Type(0x80000000 + v)} {
			text, _ := ty.MarshalText()
			var back eventlog.Type
			if err := back.UnmarshalText(text); err != nil || back != ty {
				t.Errorf("%s parses as %v, %v", text, back, err)
			}
			if ty.Known() != strings.HasPrefix(string(text), "EV_") {
				t.Errorf("%s: known is %v", text, ty.Known())
			}
		}
	}
	if got, err := eventlog.ParseType("2147483655"); got != eventlog.EVEFIAction || err != nil {
		t.Errorf("got %v, %v, want %v", got, err, eventlog.EVEFIAction)
	}
	for _, s := range []string{"", "EV_", "ev_separator", "0x", "0x100000000", "-1", "4 "} {
		if ty, err := eventlog.ParseType(s); err == nil {
			t.Errorf("%q parses as %v, want an error", s, ty)
		}
	}
}

func TestAlg(t *testing.T) {
	for a, want := range map[eventlog.Alg]string{eventlog.SHA384: "sha384", eventlog.SM3: "sm3-256", 0x7fff: "alg(0x7fff)"} {
		if got := a.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
