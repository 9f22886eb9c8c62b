package mr_test

import (
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/mr"
)

func eventsOf(t testing.TB, data []byte) []mr.Event {
	t.Helper()
	l, err := eventlog.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	events, err := mr.FromLog(l)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func captured(t testing.TB, name string) []mr.Event {
	t.Helper()
	return eventsOf(t, fixtures.File(t, "eventlog", name+".bin.zst"))
}

func replay(t testing.TB, events []mr.Event) mr.Values {
	t.Helper()
	v, err := mr.Replay(events)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestReplayCaptured compares the replay of real logs with that of another program and, where a quote of the same TD
// is known, with the quote's registers.
func TestReplayCaptured(t *testing.T) {
	var logs []struct {
		Log       string    `json:"log"`
		Events    int       `json:"events"`
		Registers mr.Values `json:"registers"`
		Quoted    []string  `json:"quoted"`
	}
	if err := json.Unmarshal(fixtures.File(t, "eventlog", "replay.json"), &logs); err != nil {
		t.Fatal(err)
	}
	quoted := 0
	for _, l := range logs {
		if got := replay(t, captured(t, l.Log)); got != l.Registers {
			t.Errorf("%s: got %v, want %v", l.Log, got, l.Registers)
		}
		quoted += len(l.Quoted)
	}
	if len(logs) != 9 || quoted != 7 {
		t.Errorf("compared %d logs and %d registers of quotes, want 9 and 7", len(logs), quoted)
	}
}

// TestReplayTruth does the same with every log of the larger collection.
func TestReplayTruth(t *testing.T) {
	dumps, err := filepath.Glob(filepath.Join(fixtures.Truth(t, "hardware"), "*", "*.events.txt"))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^replay RTMR(\d) events (\d+) ([0-9a-f]{96})`)
	logs := 0
	for _, dump := range dumps {
		l, err := eventlog.Parse(fixtures.Read(t, strings.TrimSuffix(dump, ".events.txt")))
		if err != nil {
			continue // the log without SHA-384, which eventlog's tests count
		}
		logs++
		events, err := mr.FromLog(l)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(dump)
		if err != nil {
			t.Fatal(err)
		}
		got := replay(t, events)
		for i, m := range line.FindAllStringSubmatch(string(text), -1) {
			r := mr.RTMR0 + mr.Register(i)
			n := 0
			for _, e := range events {
				if e.Register == r {
					n++
				}
			}
			if g := fmt.Sprintf("%d %d %v", i, n, got[r]); g != strings.Join(m[1:], " ") {
				t.Errorf("%s: got %s, want %s", dump, g, m[0])
			}
		}
	}
	t.Logf("%d logs of real machines", logs)
	if logs != len(dumps)-1 {
		t.Errorf("replayed %d logs, want %d", logs, len(dumps)-1)
	}
}

// TestReplayEmulated compares the replay of every emulated boot's log with the registers at the end of the boot.
func TestReplayEmulated(t *testing.T) {
	boots := 0
	for _, firmware := range fixtures.FirmwareNames() {
		cases, names := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "emulated", firmware+".tar.zst"))
		for _, name := range names {
			var want map[string]any
			if err := json.Unmarshal(cases[name]["rtmr_final.json"], &want); err != nil {
				t.Fatal(err)
			}
			data, ok := cases[name]["ccel_log.bin"]
			if !ok {
				continue // firmware that measures nothing has no log
			}
			boots++
			got := replay(t, eventsOf(t, data))
			for _, r := range []mr.Register{mr.RTMR0, mr.RTMR1, mr.RTMR2, mr.RTMR3} {
				if got[r].String() != want[r.String()] {
					t.Errorf("%s/%s: %v: got %v, want %v", firmware, name, r, got[r], want[r.String()])
				}
			}
		}
	}
	t.Logf("%d emulated boots", boots)
	if boots != 309 {
		t.Errorf("replayed %d boots, want 309", boots)
	}
}

func TestReplay(t *testing.T) {
	d := mr.Sum([]byte("a"))
	event := func(r mr.Register, typ eventlog.Type) mr.Event {
		return mr.Event{Register: r, Type: typ, Measured: mr.Measured{Digest: d}}
	}
	got := replay(t, []mr.Event{
		event(mr.RTMR1, eventlog.EVEFIAction),
		event(mr.RTMR1, eventlog.EVNoAction),
		event(mr.MRTD, eventlog.EVNoAction),
		event(mr.RTMR3, 0x08000001),
	})
	once := mr.Digest(sha512.Sum384(append(make([]byte, 48), d[:]...)))
	if want := (mr.Values{mr.RTMR1: once, mr.RTMR3: once}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, r := range []mr.Register{mr.MRTD, mr.RTMR3 + 1} {
		v, err := mr.Replay([]mr.Event{event(mr.RTMR0, eventlog.EVSeparator), event(r, eventlog.EVSeparator)})
		if err == nil || v != (mr.Values{}) || !strings.Contains(err.Error(), "event 1") {
			t.Errorf("%v: got %v, %v, want an error that names event 1", r, v, err)
		}
	}
}

func TestReplayOrder(t *testing.T) {
	events := captured(t, "dstack")
	want := replay(t, events)
	events[0], events[1] = events[1], events[0]
	if got := replay(t, events); got[mr.RTMR0] == want[mr.RTMR0] || got[mr.RTMR1] != want[mr.RTMR1] {
		t.Errorf("two events of rtmr0 change places: rtmr0 stays %v or rtmr1 does not stay %v", want[mr.RTMR0], want[mr.RTMR1])
	}
}

func TestFromLog(t *testing.T) {
	l, err := eventlog.Parse(fixtures.File(t, "eventlog", "gke-uki.bin.zst"))
	if err != nil {
		t.Fatal(err)
	}
	events, err := mr.FromLog(l)
	if err != nil || len(events) != len(l.Events)-2 {
		t.Errorf("got %d events, %v, want the %d records without two that extend nothing", len(events), err, len(l.Events))
	}
	l.Events[5].MrIndex = 5
	if _, err := mr.FromLog(l); err == nil || !strings.Contains(err.Error(), "event 5") {
		t.Errorf("register 5: got %v, want an error that names event 5", err)
	}
}

// TestToLog writes the events of real logs as a log of edk2's shape, whose replay must be theirs.
func TestToLog(t *testing.T) {
	for _, name := range []string{"dstack", "gke-uki", "alibaba-aael"} {
		events := captured(t, name)
		back := eventsOf(t, mr.ToLog(events).AppendCCEL(nil))
		if len(mr.Diff(events, back)) > 0 || len(events) != len(back) || replay(t, back) != replay(t, events) {
			t.Errorf("%s: written and read, the events are others", name)
		}
	}
	data := fixtures.File(t, "eventlog", "dstack.bin.zst")
	if got := mr.ToLog(captured(t, "dstack")).AppendCCEL(nil); !slices.Equal(got, data[:len(got)]) {
		t.Errorf("a log of edk2 does not write back to its bytes")
	}
}

func TestRegisters(t *testing.T) {
	for pcr, want := range []mr.Register{
		mr.MRTD, mr.RTMR0, mr.RTMR1, mr.RTMR1, mr.RTMR1, mr.RTMR1, mr.RTMR1, mr.RTMR0,
		mr.RTMR2, mr.RTMR2, mr.RTMR2, mr.RTMR2, mr.RTMR2, mr.RTMR2, mr.RTMR2, mr.RTMR2,
	} {
		if got, err := mr.RegisterOfPCR(uint32(pcr)); got != want || err != nil {
			t.Errorf("PCR %d: got %v, %v, want %v", pcr, got, err, want)
		}
	}
	for cc := range uint32(5) {
		if r, err := mr.RegisterOfCC(cc); r.CCIndex() != cc || err != nil {
			t.Errorf("CC index %d: got %v, %v", cc, r, err)
		}
	}
	for _, n := range []uint32{16, 1 << 31} {
		if r, err := mr.RegisterOfPCR(n); err == nil {
			t.Errorf("PCR %d: got %v, want an error", n, r)
		}
	}
	for _, n := range []uint32{5, 1<<32 - 1} {
		if r, err := mr.RegisterOfCC(n); err == nil {
			t.Errorf("CC index %d: got %v, want an error", n, r)
		}
	}
}

func TestValuesJSON(t *testing.T) {
	v := mr.Values{mr.MRTD: mr.Sum([]byte("m")), mr.RTMR2: mr.Sum([]byte("2"))}
	zero := strings.Repeat("0", 96)
	want := fmt.Sprintf(`{"mrtd":"%v","rtmr0":"%s","rtmr1":"%s","rtmr2":"%v","rtmr3":"%s"}`, v[0], zero, zero, v[3], zero)
	got, err := json.Marshal(v)
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	var back mr.Values
	if err := json.Unmarshal(got, &back); err != nil || back != v {
		t.Errorf("parsed as %v, %v, want %v", back, err, v)
	}
	v[mr.MRTD] = mr.Digest{}
	if got, _ := json.Marshal(v); strings.Contains(string(got), "mrtd") {
		t.Errorf("got %s, want no mrtd, which is not known", got)
	}
	for _, s := range []string{
		`[]`, `"rtmr0"`, `{"rtmr4":"` + zero + `"}`, `{"RTMR0":"` + zero + `"}`, `{"rtmr0":"00"}`, `{"rtmr0":5}`,
		`{"rtmr0":"` + zero + `","rtmr0":"` + zero + `"}`,
	} {
		back := v
		if err := json.Unmarshal([]byte(s), &back); err == nil || back != v {
			t.Errorf("%s: got %v, %v, want an error", s, back, err)
		}
	}
}

func BenchmarkReplay(b *testing.B) {
	records := captured(b, "dstack")
	var events []mr.Event
	for size := 0; size < 64<<10; {
		e := records[len(events)%len(records)]
		events = append(events, e)
		size += 66 + len(e.Data)
	}
	b.SetBytes(64 << 10) // of the log that holds the events
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mr.Replay(events); err != nil {
			b.Fatal(err)
		}
	}
}
