package dcap_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/quote"
)

func at(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustQuote(t testing.TB, data []byte) *quote.Quote {
	t.Helper()
	e, err := quote.Extract(data)
	if err != nil {
		t.Fatal(err)
	}
	q, err := quote.Parse(e.Quote)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func mustCollateral(t testing.TB, data []byte) *dcap.Collateral {
	t.Helper()
	c, err := dcap.ParseCollateral(data)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fails lists the checks that failed, in order; those that were not run follow from them.
func fails(r *dcap.Result) (ids []dcap.CheckID) {
	for _, c := range r.Checks {
		if c.Status == dcap.Fail {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// evidence is what real quotes are to be judged as; ../fixtures/quotes/SOURCE.md says where it is from.
var evidence = []struct {
	quote, collateral   string
	notBefore, notAfter string // of everything together
	status              dcap.Status
	platform, module    dcap.Status
	advisories          string
	evaluation          uint32
	fails               []dcap.CheckID
}{
	{"phala-tdx_quote.bin", "b0c06f-2025-06-19", "2025-06-19T10:32:27Z", "2025-07-19T10:00:35Z", dcap.UpToDate, dcap.UpToDate, dcap.UpToDate, "", 17, nil},
	{"phala-gas-test.bin", "20a06f-2025-09-02", "2025-09-02T07:41:59Z", "2025-10-02T07:03:51Z", dcap.UpToDate, dcap.UpToDate, dcap.UpToDate, "", 17, nil},
	{"near-mpc.bin", "b0c06f-2026-08-14", "2026-08-13T10:45:38Z", "2026-09-11T23:57:11Z", dcap.UpToDate, dcap.UpToDate, dcap.UpToDate, "", 20, nil},
	{"google-v5.bin", "90c06f-2026-02-18", "2026-02-18T10:58:51Z", "2026-03-20T10:41:15Z", dcap.UpToDate, dcap.UpToDate, dcap.UpToDate, "", 18, nil},
	{"dstack-quote-report.json", "90c06f-2026-02-18", "2026-02-18T10:58:51Z", "2026-03-20T10:41:15Z", dcap.UpToDate, dcap.UpToDate, dcap.UpToDate, "", 18, nil},
	{"phala-outdated.bin", "90c06f-2026-02-18", "2026-02-18T10:58:51Z", "2026-03-20T10:41:15Z", dcap.NoStatus, dcap.NoStatus, dcap.UpToDate, "", 18,
		[]dcap.CheckID{dcap.TCBPlatform}},
	{"automata-v5-alibaba.bin", "90c06f-2026-02-18", "2026-02-18T10:58:51Z", "2026-03-20T10:41:15Z", dcap.OutOfDate, dcap.OutOfDate, dcap.OutOfDate,
		"INTEL-SA-01036 INTEL-SA-01079 INTEL-SA-01099 INTEL-SA-01103 INTEL-SA-01111", 18, []dcap.CheckID{dcap.TCBStatus, dcap.TDServiceTD}},
	{"dstack-ra-tls.bin", "b0c06f-2025-06-19", "", "", dcap.NoStatus, dcap.NoStatus, dcap.UpToDate, "", 17, []dcap.CheckID{dcap.TCBPlatform}},
	{"trustee-4-debug.bin", "50806f-2023-06-18", "2023-06-18T08:42:58Z", "2023-07-08T07:24:59Z", dcap.UpToDate, dcap.UpToDate, dcap.NoStatus, "", 15,
		[]dcap.CheckID{dcap.TDDebug}},
	{"oasis-v4.bin", "c0806f-2024-09-02", "", "", dcap.UpToDate, dcap.UpToDate, dcap.UpToDate, "", 17, []dcap.CheckID{dcap.RootCRL, dcap.PCKCRL}},
	{"oasis-v4-outofdate.bin", "50806f-2023-06-18", "2023-06-18T08:42:58Z", "2023-07-08T07:24:59Z", dcap.NoStatus, dcap.NoStatus, dcap.NoStatus, "", 15,
		[]dcap.CheckID{dcap.TCBPlatform}},
	{"near-2025-11-05.bin", "b0c06f-2025-11-05", "", "", dcap.UpToDate, dcap.UpToDate, dcap.UpToDate, "", 17, nil},
	{"near-2025-11-05.bin", "b0c06f-2026-01-28", "", "", dcap.UpToDate, dcap.UpToDate, dcap.UpToDate, "", 18, nil},
	{"near-2025-11-05.bin", "b0c06f-2026-08-14", "", "", dcap.OutOfDate, dcap.OutOfDate, dcap.OutOfDate,
		"INTEL-SA-01192 INTEL-SA-01245 INTEL-SA-01312 INTEL-SA-01313", 20, []dcap.CheckID{dcap.TCBStatus}},
	{"near-mpc.bin", "b0c06f-2025-11-05", "", "", dcap.UpToDate, dcap.UpToDate, dcap.UpToDate, "", 17, nil},
	{"near-mpc.bin", "b0c06f-2025-06-19", "", "", dcap.UpToDate, dcap.UpToDate, dcap.UpToDate, "", 17, []dcap.CheckID{dcap.PCKTime}},
	{"near-mpc.bin", "90c06f-2026-02-18", "", "", dcap.NoStatus, dcap.NoStatus, dcap.NoStatus, "", 18, []dcap.CheckID{dcap.TCBInfoPlatform}},
}

// middle returns a time inside the collateral's own TCB info and QE identity.
func middle(t testing.TB, c *dcap.Collateral) time.Time {
	t.Helper()
	info, err := dcap.ParseTCBInfo(c.TCBInfo)
	if err != nil {
		t.Fatal(err)
	}
	return info.IssueDate.Add(info.NextUpdate.Sub(info.IssueDate) / 2)
}

func TestEvidence(t *testing.T) {
	for _, tc := range evidence {
		t.Run(tc.quote+" "+tc.collateral, func(t *testing.T) {
			q := mustQuote(t, fixtures.File(t, "quotes", tc.quote))
			c := mustCollateral(t, fixtures.File(t, "quotes", "collateral-"+tc.collateral+".json"))
			now := middle(t, c)
			r, err := dcap.Judge(q, c, dcap.Options{Time: now})
			if got := fails(r); !slices.Equal(got, tc.fails) {
				t.Fatalf("failed checks: got %v, want %v\n%v", got, tc.fails, err)
			}
			if r.Accepted() != (tc.fails == nil) || (err == nil) != (tc.fails == nil) {
				t.Errorf("accepted %v with %v", r.Accepted(), err)
			}
			if r.Status != tc.status || r.Platform.Status != tc.platform || r.Module.Status != tc.module {
				t.Errorf("got %v, platform %v, module %v", r.Status, r.Platform.Status, r.Module.Status)
			}
			if got := strings.Join(r.Advisories, " "); got != tc.advisories {
				t.Errorf("advisories: got %s", got)
			}
			if r.Evaluation != tc.evaluation || len(r.UnknownMembers) > 0 || r.Status != dcap.NoStatus && r.TCBDate.IsZero() {
				t.Errorf("evaluation %d, unknown members %v, TCB date %v", r.Evaluation, r.UnknownMembers, r.TCBDate)
			}
			if tc.notBefore != "" {
				checkWindow(t, q, c, r, at(t, tc.notBefore), at(t, tc.notAfter))
			}
		})
	}
}

// checkWindow judges at both ends of the window, and a second outside of each.
func checkWindow(t *testing.T, q *quote.Quote, c *dcap.Collateral, r *dcap.Result, notBefore, notAfter time.Time) {
	t.Helper()
	nb, na := r.Window()
	if !nb.Equal(notBefore) || !na.Equal(notAfter) {
		t.Errorf("window: got %v to %v", nb, na)
	}
	for _, tc := range []struct {
		time   time.Time
		inside bool
	}{{nb.Add(-time.Second), false}, {nb, true}, {na, true}, {na.Add(time.Second), false}} {
		r, _ := dcap.Judge(q, c, dcap.Options{Time: tc.time})
		inside := true
		for _, id := range fails(r) {
			inside = inside && !strings.HasSuffix(string(id), "time")
		}
		if inside != tc.inside {
			t.Errorf("at %v: valid %v, want %v", tc.time, inside, tc.inside)
		}
	}
}

// TestWaived shows how a policy bears with what it names, and with nothing else.
func TestWaived(t *testing.T) {
	r, err := dcap.Judge(mustQuote(t, fixtures.File(t, "quotes", "trustee-4-debug.bin")),
		mustCollateral(t, fixtures.File(t, "quotes", "collateral-50806f-2023-06-18.json")), dcap.Options{Time: at(t, "2023-08-01T00:00:00Z")})
	var rejection *dcap.Rejection
	if !errors.As(err, &rejection) {
		t.Fatalf("got %v, want a Rejection", err)
	}
	expired := []dcap.CheckID{dcap.PCKCRLTime, dcap.TCBInfoTime, dcap.QEIdentityTime}
	left := r.Failed(expired...)
	if len(left) != 1 || left[0].ID != dcap.TDDebug {
		t.Errorf("with expired collateral waived: got %v", left)
	}
	if len(r.Failed(append(expired, dcap.TDDebug)...)) != 0 {
		t.Error("with DEBUG waived too, something is left")
	}
	if r.Status != dcap.UpToDate {
		t.Errorf("status: got %v; expired collateral still says something", r.Status)
	}
}

// TestTrailingEvidence judges the quote that is refused for its end, without the end.
func TestTrailingEvidence(t *testing.T) {
	data := fixtures.File(t, "quotes", "google-spr-e4.bin")
	if _, err := quote.Parse(data); err == nil {
		t.Error("accepted with 39 bytes that nothing signs")
	}
	c := mustCollateral(t, fixtures.File(t, "quotes", "collateral-50806f-2023-06-18.json"))
	r, _ := dcap.Judge(mustQuote(t, data[:len(data)-39]), c, dcap.Options{Time: at(t, "2023-07-01T00:00:00Z")})
	if got := fails(r); !slices.Equal(got, []dcap.CheckID{dcap.TCBPlatform}) {
		t.Errorf("got %v, want no matching TCB level", got)
	}
}

// TestSignatures verifies quotes for which there is no collateral of their time: everything that Intel's collateral has no
// part in must hold.
func TestSignatures(t *testing.T) {
	c := mustCollateral(t, fixtures.File(t, "quotes", "collateral-90c06f-2026-02-18.json"))
	for _, name := range []string{"google-cos113.bin", "dstack-ra-tls.bin", "dstack-tdx-lite-getquote.json", "dstack-tdx-lite-attestation.json",
		"dstack-simulator-attestation.bin", "trustee-5.bin", "quote-from-tappd.hex", "oasis-v4.bin"} {
		r, _ := dcap.Judge(mustQuote(t, fixtures.File(t, "quotes", name)), c, dcap.Options{Time: at(t, "2026-05-01T00:00:00Z")})
		for _, id := range []dcap.CheckID{dcap.QuoteTEE, dcap.PCKChain, dcap.PCKTime, dcap.PCKExtension, dcap.QEReportSignature, dcap.QEBinding,
			dcap.QEMatch, dcap.QuoteSignature, dcap.TDDebug, dcap.TDAttributes, dcap.TDXFAM} {
			if check := r.Check(id); check.Status != dcap.Pass {
				t.Errorf("%s: %s: %s", name, id, check.Why)
			}
		}
	}
}

// TestHistory judges 21 quotes of near/mpc with the 19 collaterals that stood beside them over a year.
func TestHistory(t *testing.T) {
	quotes, _ := filepath.Glob(fixtures.Truth(t, "quotes", "near-history", "quotes", "*.bin"))
	collaterals, _ := filepath.Glob(fixtures.Truth(t, "quotes", "near-history", "collateral", "*.json"))
	if len(quotes) != 21 || len(collaterals) != 19 {
		t.Fatalf("got %d quotes and %d collaterals", len(quotes), len(collaterals))
	}
	old := []string{"2025-08-14", "2025-08-15", "2025-08-25", "2025-11-05", "2026-01-28"} // TEE_TCB_SVN 07010300…
	counts := map[string]int{}
	for _, cf := range collaterals {
		text, err := os.ReadFile(cf)
		if err != nil {
			t.Fatal(err)
		}
		c := mustCollateral(t, text)
		now := middle(t, c)
		for _, qf := range quotes {
			data, err := os.ReadFile(qf)
			if err != nil {
				t.Fatal(err)
			}
			r, err := dcap.Judge(mustQuote(t, data), c, dcap.Options{Time: now})
			name := filepath.Base(qf)
			want := dcap.UpToDate
			isOld := slices.ContainsFunc(old, func(d string) bool { return strings.HasPrefix(name, d) })
			switch {
			case strings.Contains(cf, "4dcfe8cb1c29"): // of another FMSPC
				want = dcap.NoStatus
			case r.Evaluation == 20 && isOld:
				want = dcap.OutOfDate
			}
			// Some quotes are of a PCK certificate that was issued after the older collateral; that is all that may be amiss.
			issuedLater := r.Check(dcap.PCKTime).Status == dcap.Fail
			if r.Status != want || (err == nil) != (want == dcap.UpToDate && !issuedLater) {
				t.Errorf("%s with %s: got %v, want %v; %v", name, filepath.Base(cf), r.Status, want, err)
			}
			if issuedLater && len(r.Failed(dcap.PCKTime)) > 0 && want == dcap.UpToDate {
				t.Errorf("%s with %s: got %v", name, filepath.Base(cf), err)
			}
			counts[fmt.Sprintf("%v, evaluation %d, later %v", r.Status, r.Evaluation, issuedLater)]++
		}
	}
	b, _ := json.Marshal(counts)
	t.Logf("%s", b)
	for key, want := range map[string]int{
		"UpToDate, evaluation 20, later false": 16, "OutOfDate, evaluation 20, later false": 5, "UpToDate, evaluation 19, later false": 42,
	} {
		if counts[key] != want {
			t.Errorf("%s: got %d, want %d", key, counts[key], want)
		}
	}
}

// TestTruth judges what is only in the larger collection.
func TestTruth(t *testing.T) {
	read := func(elem ...string) []byte {
		b, err := os.ReadFile(fixtures.Truth(t, append([]string{"quotes"}, elem...)...))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	// Google's own collateral for its version 5 sample joins a TCB info of 2026 with lists and an identity of 2023.
	c := mustCollateral(t, read("google-v5", "collateral.json"))
	r, _ := dcap.Judge(mustQuote(t, read("google-v5", "quote.bin")), c, dcap.Options{Time: middle(t, c)})
	nb, na := r.Window()
	if r.Accepted() || !na.Before(nb) {
		t.Errorf("google-v5 with its own collateral: accepted %v, window %v to %v", r.Accepted(), nb, na)
	}
	r, _ = dcap.Judge(mustQuote(t, read("oasis-v4-outofdate", "quote.bin")), mustCollateral(t, read("oasis-v4-outofdate", "collateral.json")),
		dcap.Options{Time: time.Unix(1687091776, 0)})
	if got := fails(r); !slices.Equal(got, []dcap.CheckID{dcap.RootCRL, dcap.PCKCRL, dcap.TCBPlatform}) {
		t.Errorf("oasis-v4-outofdate: got %v", got)
	}
	for _, name := range []string{"oasis-v4-trailing", "dstack-tdx-lite"} {
		r, _ := dcap.Judge(mustQuote(t, read(name, "quote.bin")), c, dcap.Options{Time: at(t, "2026-05-01T00:00:00Z")})
		if s := r.Check(dcap.QuoteSignature); s.Status != dcap.Pass {
			t.Errorf("%s: %s", name, s.Why)
		}
	}
	// A quote whose chain leads to a root that is not Intel's.
	b, err := os.ReadFile(fixtures.Truth(t, "hardware", "cc-api", "quote.bin"))
	if err != nil {
		t.Fatal(err)
	}
	r, _ = dcap.Judge(mustQuote(t, b), c, dcap.Options{Time: middle(t, c)})
	if s := r.Check(dcap.PCKChain); s.Status != dcap.Fail || !strings.Contains(s.Why, "not a trusted root") {
		t.Errorf("cc-api: got %+v", s)
	}
}
