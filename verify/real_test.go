package verify_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/quote"
	"github.com/tdxkit/tdxkit/verify"
)

// realCase is a quote of a real machine with what else is known of it.
type realCase struct {
	quote, collateral, time string
	log, compose            []byte
	unsafe                  []verify.CheckID
	want                    []verify.CheckID // the required checks that fail; nil where all pass
}

// kit makes what a verifier has who expects exactly the quote's own registers and REPORTDATA: what is left to judge is
// whether it is genuine, and whether its log and application fit.
func (c *realCase) kit(t testing.TB, quoteData, collateral []byte) *kit {
	t.Helper()
	e, err := quote.Extract(quoteData)
	if err != nil {
		t.Fatal(err)
	}
	q, err := quote.Parse(e.Quote)
	if err != nil {
		t.Fatal(err)
	}
	now, err := time.Parse(time.RFC3339, c.time)
	if err != nil {
		t.Fatal(err)
	}
	log := c.log
	if log == nil {
		log = e.UntrustedEventLog
	}
	return &kit{
		p: verify.Policy{Unsafe: c.unsafe},
		x: verify.Expectation{ReportData: &q.TD.REPORTDATA, AppCompose: c.compose, Variants: []verify.Variant{{Registers: map[mr.Register]mr.Digest{
			mr.MRTD: q.TD.MRTD, mr.RTMR0: q.TD.RTMR[0], mr.RTMR1: q.TD.RTMR[1], mr.RTMR2: q.TD.RTMR[2]}}}},
		e:   verify.Evidence{Quote: e.Quote, Collateral: collateral, EventLog: log, VMConfig: e.UntrustedVMConfig},
		now: now,
	}
}

// tcbInfo is what a guest agent says beside its quote.
type tcbInfo struct {
	AppCompose string `json:"app_compose"`
	EventLog   json.RawMessage
	RTMR3      string
}

// nearCompose returns the app-compose.json of a capture.
func nearCompose(t testing.TB, info []byte) []byte {
	t.Helper()
	var v tcbInfo
	if err := json.Unmarshal(info, &v); err != nil {
		t.Fatal(err)
	}
	return []byte(v.AppCompose)
}

func TestRealQuotes(t *testing.T) {
	near := fixtures.File(t, "quotes", "near-mpc.tcb_info.json")
	workload := []verify.CheckID{verify.RegistersRTMR3, verify.TDConfigID}
	cos := fixtures.File(t, "eventlog", "gcp-cos113.bin.zst")
	for _, c := range []realCase{
		{quote: "near-mpc.bin", collateral: "b0c06f-2026-08-14", time: "2026-08-28T00:00:00Z", log: near, compose: nearCompose(t, near)},
		{quote: "near-mpc.bin", collateral: "b0c06f-2026-08-14", time: "2026-08-28T00:00:00Z", log: near, compose: newWorldCompose(),
			want: []verify.CheckID{verify.RTMR3ComposeHash, verify.RegistersRTMR3, verify.TDConfigID}},
		{quote: "near-mpc.bin", collateral: "b0c06f-2026-08-14", time: "2026-08-28T00:00:00Z", log: near,
			want: []verify.CheckID{verify.RegistersRTMR3, verify.TDConfigID}},
		{quote: "near-mpc.bin", collateral: "b0c06f-2025-11-05", time: "2026-08-28T00:00:00Z", log: near, compose: nearCompose(t, near),
			want: []verify.CheckID{dcap.RootCRLTime, dcap.PCKCRLTime, dcap.TCBInfoTime, dcap.QEIdentityTime}},
		{quote: "near-2025-11-05.bin", collateral: "b0c06f-2026-08-14", time: "2026-08-28T00:00:00Z", unsafe: workload, want: []verify.CheckID{dcap.TCBStatus, verify.TCBAdvisories}},
		{quote: "near-2025-11-05.bin", collateral: "b0c06f-2025-11-05", time: "2025-11-10T00:00:00Z", unsafe: workload},
		{quote: "phala-tdx_quote.bin", collateral: "b0c06f-2025-06-19", time: "2025-06-25T00:00:00Z", unsafe: workload},
		{quote: "phala-tdx_quote.bin", collateral: "b0c06f-2025-06-19", time: "2025-06-10T00:00:00Z", unsafe: workload,
			want: []verify.CheckID{dcap.PCKCRLTime, dcap.TCBInfoTime, dcap.QEIdentityTime}},
		{quote: "phala-gas-test.bin", collateral: "20a06f-2025-09-02", time: "2025-09-10T00:00:00Z", unsafe: workload},
		{quote: "phala-outdated.bin", collateral: "90c06f-2026-02-18", time: "2026-03-01T00:00:00Z", unsafe: workload, want: []verify.CheckID{dcap.TCBPlatform}},
		{quote: "google-v5.bin", collateral: "90c06f-2026-02-18", time: "2026-03-01T00:00:00Z", unsafe: workload},
		{quote: "automata-v5-alibaba.bin", collateral: "90c06f-2026-02-18", time: "2026-03-01T00:00:00Z", unsafe: append(slices.Clone(workload), verify.TDOwner, verify.TDOwnerConfig),
			want: []verify.CheckID{dcap.TCBStatus, dcap.TDServiceTD, verify.TCBAdvisories}},
		{quote: "dstack-quote-report.json", collateral: "90c06f-2026-02-18", time: "2026-03-01T00:00:00Z", want: []verify.CheckID{verify.RegistersRTMR3}},
		{quote: "dstack-quote-report.json", collateral: "90c06f-2026-02-18", time: "2026-03-01T00:00:00Z", unsafe: workload},
		{quote: "dstack-tdx-lite-getquote.json", time: "2026-05-01T00:00:00Z", unsafe: append(slices.Clone(workload), verify.GroupCollateral),
			want: []verify.CheckID{verify.OSImageHash}}, // the host's vm_config names another image than the guest's event
		{quote: "trustee-4-debug.bin", collateral: "50806f-2023-06-18", time: "2023-07-01T00:00:00Z", unsafe: workload, want: []verify.CheckID{dcap.TDDebug}},
		{quote: "trustee-4-debug.bin", collateral: "50806f-2023-06-18", time: "2023-07-01T00:00:00Z", unsafe: append(slices.Clone(workload), dcap.TDDebug)},
		{quote: "google-cos113.bin", time: "2025-01-01T00:00:00Z", log: cos, unsafe: append(slices.Clone(workload), verify.GroupCollateral)},
		{quote: "google-cos113.bin", time: "2025-01-01T00:00:00Z", log: near, unsafe: append(slices.Clone(workload), verify.GroupCollateral),
			want: []verify.CheckID{verify.LogReplay}},
		{quote: "oasis-v4.bin", collateral: "c0806f-2024-09-02", time: "2024-09-10T00:00:00Z", unsafe: workload, want: []verify.CheckID{dcap.RootCRL, dcap.PCKCRL}},
		{quote: "oasis-v4-outofdate.bin", collateral: "50806f-2023-06-18", time: "2023-07-01T00:00:00Z", unsafe: workload, want: []verify.CheckID{dcap.TCBPlatform}},
		{quote: "trustee-5.bin", time: "2025-06-01T00:00:00Z", unsafe: append(slices.Clone(workload), verify.GroupCollateral),
			want: []verify.CheckID{dcap.TDServiceTD}},
		{quote: "dstack-ra-tls.bin", time: "2025-06-01T00:00:00Z", unsafe: append(slices.Clone(workload), verify.GroupCollateral)},
	} {
		t.Run(c.quote+" "+c.collateral+" "+c.time[:10], func(t *testing.T) {
			var collateral []byte
			if c.collateral != "" {
				collateral = fixtures.File(t, "quotes", "collateral-"+c.collateral+".json")
			}
			v := c.kit(t, fixtures.File(t, "quotes", c.quote), collateral).judge()
			checkFails(t, v, c.want)
		})
	}
}

// checkFails compares the required checks that failed, not those that were not made because of them.
func checkFails(t *testing.T, v *verify.Verdict, want []verify.CheckID) {
	t.Helper()
	var got []verify.CheckID
	for _, c := range v.Failed() {
		if c.Status == verify.Fail {
			got = append(got, c.ID)
		}
	}
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("failed: %v, want %v; all: %+v", got, want, v.Failed())
	}
	if v.Accepted() != (want == nil) {
		t.Errorf("accepted is %v with %+v", v.Accepted(), v.Failed())
	}
}

// TestRealLogs judges every quote of NEAR's history with every log of it: a log is accepted with the quotes of its own
// registers, and with no other.
func TestRealLogs(t *testing.T) {
	dir := fixtures.Truth(t, "quotes", "near-history")
	list := func(elem ...string) []string {
		files, err := filepath.Glob(filepath.Join(append([]string{dir}, elem...)...))
		if err != nil || len(files) == 0 {
			t.Fatalf("%v: %v, %v", elem, files, err)
		}
		return files
	}
	collateral := fixtures.Read(t, filepath.Join(dir, "collateral", "2026-08-14-d55a2b84499b.json"))
	fits, swapped := 0, 0
	for _, qf := range list("quotes", "*.bin") {
		data := fixtures.Read(t, qf)
		q, err := quote.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		registers := mr.Values{q.TD.MRTD, q.TD.RTMR[0], q.TD.RTMR[1], q.TD.RTMR[2], q.TD.RTMR[3]}
		for _, lf := range list("dstack_tcb_info", "*.json") {
			info := fixtures.Read(t, lf)
			c := realCase{time: "2026-08-28T00:00:00Z", log: info, compose: nearCompose(t, info), unsafe: []verify.CheckID{dcap.PCKTime}}
			v := c.kit(t, data, collateral).judge()
			events, err := verify.ParseLog(info)
			if err != nil {
				t.Fatal(err)
			}
			values, err := mr.Replay(events)
			if err != nil {
				t.Fatal(err)
			}
			values[mr.MRTD] = registers[mr.MRTD]
			own := values == registers
			if pass := v.Check(verify.LogReplay).Status == verify.Pass; pass != own {
				t.Errorf("%s with %s: log.replay passes %v", filepath.Base(qf), filepath.Base(lf), pass)
			}
			if v.Accepted() && !own {
				t.Errorf("%s with %s: accepted", filepath.Base(qf), filepath.Base(lf))
			}
			if own {
				fits++
				old := strings.HasPrefix(string(v.TCB.Status.String()), "OutOfDate")
				compose := v.Check(verify.RTMR3ComposeHash).Status == verify.Pass
				if v.Accepted() != (!old && compose) {
					t.Errorf("%s with %s: accepted %v; %+v", filepath.Base(qf), filepath.Base(lf), v.Accepted(), v.Failed())
				}
			} else {
				swapped++
			}
		}
	}
	t.Logf("%d logs with their quotes, %d with quotes of others", fits, swapped)
	if fits < 10 {
		t.Errorf("%d logs have a quote of their own, want at least 10", fits)
	}
}

// TestFlips changes single bits. What is accepted has no meaning: in collateral, it is the same value in
// other letters (hexadecimal in upper case); in the log, it is in what it tells of an event beside its digest. Only some bytes are changed, unless TDXKIT_FLIPS is set.
func TestFlips(t *testing.T) {
	step := 41
	if os.Getenv("TDXKIT_FLIPS") != "" {
		step = 1
	}
	w := newWorld()
	k := w.build(t)
	same := verdictKey(k.judge())
	for name, b := range map[string]*[]byte{"quote": &k.e.Quote, "collateral": &k.e.Collateral, "event log": &k.e.EventLog} {
		before := bytes.Clone(*b)
		without := 0
		for n, i := 0, 0; i < len(before); n, i = n+1, i+step {
			bits := []int{n % 8}
			if name == "collateral" && step == 1 {
				bits = append(bits, 5) // the bit of upper case
			}
			for _, bit := range bits {
				*b = bytes.Clone(before)
				(*b)[i] ^= 1 << bit
				v := k.judge()
				if !v.Accepted() {
					continue
				}
				without++
				meant := name == "quote" || name == "collateral" && (!bytes.EqualFold(*b, before) || verdictKey(v) != same)
				if meant || name == "event log" && !told(w, before, i) {
					t.Errorf("%s: bit %d of byte %d (%q) is changed and accepted", name, bit, i, before[i])
				}
			}
		}
		*b = before
		t.Logf("%s: %d bytes, one bit of every %d changed, %d of the changes without meaning", name, len(before), step, without)
	}
}

// told reports whether offset i of a log is in what it tells of a boot event beside register and digest: type, name and
// data. No check relies on these, but for log.data, which a changed type can put off.
func told(w *world, log []byte, i int) bool {
	n := bytes.Count(log[:i], []byte(`{"digest"`)) - 1
	if n < 0 || n >= len(w.boot) {
		return false
	}
	start := bytes.LastIndex(log[:i], []byte(`{"digest"`))
	from, to := bytes.Index(log[start:], []byte(`"event"`))+start, bytes.Index(log[start:], []byte(`,"imr"`))+start
	return from <= i && i < to
}

// verdictKey is what a verdict says, as text.
func verdictKey(v *verify.Verdict) string { b, _ := v.MarshalJSON(); return string(b) }
