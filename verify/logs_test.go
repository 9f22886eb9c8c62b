package verify_test

import (
	"path/filepath"
	"strings"
	"testing"

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
