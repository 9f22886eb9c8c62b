package verify_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/testpki"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/verify"
)

// logVerdict judges a log with a quote of the registers that it replays to.
func logVerdict(t *testing.T, log []byte) *verify.Verdict {
	t.Helper()
	events, err := verify.ParseLog(log)
	if err != nil {
		t.Fatal(err)
	}
	values, err := mr.Replay(events)
	if err != nil {
		t.Fatal(err)
	}
	s := testpki.Default()
	for i := range s.Quote.TD.RTMR {
		s.Quote.TD.RTMR[i] = values[mr.RTMR0+mr.Register(i)]
	}
	return verify.Judge(nil, nil, &verify.Evidence{Quote: s.Build().Quote, EventLog: log}, testpki.Now)
}

// TestLogData holds that no log of a real or emulated boot is taken for one that was changed.
func TestLogData(t *testing.T) {
	check := func(name string, log []byte) bool {
		v := logVerdict(t, log)
		for _, id := range []verify.CheckID{verify.LogParse, verify.LogReplay, verify.LogData} {
			if c := v.Check(id); c.Status != verify.Pass {
				t.Errorf("%s: %s is %+v", name, id, c)
			}
		}
		return true
	}
	logs := 0
	for _, name := range []string{"dstack", "gke-uki", "alibaba-aael", "gcp-cos113"} {
		check(name, fixtures.File(t, "eventlog", name+".bin.zst"))
		logs++
	}
	for _, firmware := range fixtures.FirmwareNames() {
		cases, names := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "emulated", firmware+".tar.zst"))
		for i, name := range names {
			if log := cases[name]["ccel_log.bin"]; log != nil && i%10 == 0 {
				check(firmware+"/"+name, log)
				logs++
			}
		}
	}
	t.Run("all", func(t *testing.T) {
		dumps, err := filepath.Glob(filepath.Join(fixtures.Truth(t, "hardware"), "*", "*.events.txt"))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range dumps {
			log := fixtures.Read(t, strings.TrimSuffix(d, ".events.txt"))
			if _, err := verify.ParseLog(log); err != nil {
				continue // the log without SHA-384, which eventlog's tests count
			}
			check(d, log)
			logs++
		}
	})
	t.Logf("%d logs", logs)
}

// TestFlipCCEL turns one bit in bytes of a CCEL. What is accepted must lie in what the log tells of an event beside
// register and digest, or in the header's description of the platform: nothing there is believed by another check. Only
// some bytes are changed, unless TDXKIT_FLIPS is set.
func TestFlipCCEL(t *testing.T) {
	step := 7
	if os.Getenv("TDXKIT_FLIPS") != "" {
		step = 1
	}
	log := fixtures.File(t, "eventlog", "dstack.bin.zst")
	parsed, err := eventlog.Parse(log)
	if err != nil {
		t.Fatal(err)
	}
	log = log[:len(log)-parsed.Padding+16] // of the fill a little is enough
	values, err := mr.Replay(mustEvents(t, log))
	if err != nil {
		t.Fatal(err)
	}
	s := testpki.Default()
	for i := range s.Quote.TD.RTMR {
		s.Quote.TD.RTMR[i] = values[mr.RTMR0+mr.Register(i)]
	}
	quote := s.Build().Quote
	told := map[string]int{}
	n := 0
	for i := 0; i < len(log); i += step {
		for _, bit := range []int{i / step % 8, 7} {
			altered := bytes.Clone(log)
			altered[i] ^= 1 << bit
			n++
			v := verify.Judge(nil, nil, &verify.Evidence{Quote: quote, EventLog: altered}, testpki.Now)
			for _, id := range []verify.CheckID{verify.LogParse, verify.LogReplay, verify.LogData} {
				if v.Check(id).Status != verify.Pass {
					altered = nil
				}
			}
			if altered == nil {
				continue
			}
			place := placeIn(parsed, int64(i))
			told[place]++
			if place != "header" && place != "type" && place != "data" {
				t.Errorf("bit %d of byte 0x%x, in the %s, is turned and accepted", bit, i, place)
			}
		}
	}
	t.Logf("%d bits turned, of which %v are without meaning; the others are refused", n, told)
}

func mustEvents(t *testing.T, log []byte) []mr.Event {
	t.Helper()
	events, err := verify.ParseLog(log)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// placeIn names the part of a log with one digest a record in which an offset lies.
func placeIn(l *eventlog.Log, off int64) string {
	for i := len(l.Events) - 1; i >= 0; i-- {
		e := &l.Events[i]
		switch n := off - e.Off; {
		case n < 0:
			continue
		case n < 4:
			return "register"
		case n < 8:
			return "type"
		case n < 14:
			return "list of digests"
		case n < 62:
			return "digest"
		case n < 66:
			return "size"
		case n < 66+int64(len(e.Data)):
			return "data"
		default:
			return "fill"
		}
	}
	return "header"
}
