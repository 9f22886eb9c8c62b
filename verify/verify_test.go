package verify_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/verify"
)

// TestJudgeAccepts holds what is acceptable: a verifier that refuses everything would pass every attack.
func TestJudgeAccepts(t *testing.T) {
	for _, tc := range []struct {
		name  string
		world func(*world)
		kit   func(*kit)
		want  verify.CheckID // a check that must have passed; empty for none
	}{
		{"version 4", nil, nil, dcap.QuoteSignature},
		{"version 5", func(w *world) { w.scenario.V5() }, nil, dcap.TCBCurrent},
		{"log as CCEL", nil, func(k *kit) { k.x.Variants[0].Registers[mr.RTMR3] = rtmr3(k); k.x.AppCompose = nil }, verify.RegistersRTMR3},
		{"RTMR3 as an expected value, without a log", nil, func(k *kit) {
			k.x.Variants[0].Registers[mr.RTMR3] = rtmr3(k)
			k.x.AppCompose, k.e.EventLog = nil, nil
			k.p.MRCONFIGID = []mr.Digest{dstack.ConfigIDV1([32]byte(goodHash()))}
		}, verify.RegistersRTMR3},
		{"RTMR3 zero", func(w *world) { w.runtime = nil; w.scenario.Quote.TD.MRCONFIGID = mr.Digest{} }, func(k *kit) { k.x.AppCompose = nil }, verify.RegistersRTMR3},
		{"compose-hash from the policy", nil, func(k *kit) {
			k.x.AppCompose = nil
			k.p.RequiredEvents = []verify.RequiredEvent{{Name: dstack.ComposeHash, Payloads: [][]byte{make([]byte, 32), goodHash()}}}
		}, verify.RTMR3ComposeHash},
		{"app-id from the policy", func(w *world) { w.runtime[1] = runtimeEvent(dstack.AppID, bytes.Repeat([]byte{7}, 20)) }, func(k *kit) {
			k.p.RequiredEvents = []verify.RequiredEvent{{Name: dstack.AppID, Payloads: [][]byte{bytes.Repeat([]byte{7}, 20)}}}
		}, verify.RTMR3AppID},
		{"event of the application", nil, func(k *kit) {
			k.p.RequiredEvents = []verify.RequiredEvent{{Name: "app-started", Application: true, Payloads: [][]byte{[]byte("yes")}}}
		}, verify.RTMR3Required},
		{"events of the policy beside RTMR3 as an expected value", nil, func(k *kit) {
			k.x.Variants[0].Registers[mr.RTMR3] = rtmr3(k)
			k.x.AppCompose = nil
			k.p.RequiredEvents = []verify.RequiredEvent{{Name: dstack.ComposeHash, Payloads: [][]byte{goodHash()}}}
		}, verify.RTMR3Required},
		{"MRCONFIGID of version 2", func(w *world) {
			w.scenario.Quote.TD.MRCONFIGID = dstack.ConfigIDV2([32]byte(goodHash()), [20]byte(goodHash()[:20]), dstack.KeysKMS, []byte{0x30, 0x59})
		}, nil, verify.TDConfigID},
		{"MRCONFIGID of version 3", func(w *world) { w.scenario.Quote.TD.MRCONFIGID = dstack.ConfigIDV3(kmsKeys()) }, func(k *kit) {
			text, _ := json.Marshal(string(kmsKeys()))
			k.e.VMConfig = []byte(`{"mr_config":` + string(text) + `}`)
		}, verify.TDConfigID},
		{"KMS that names no image", func(w *world) { w.runtime[5] = runtimeEvent(dstack.OSImageHash, nil) }, nil, verify.OSImageHash},
		{"image that the vm_config alone names", func(w *world) { w.runtime = slices.Delete(w.runtime, 5, 6) }, func(k *kit) {
			k.x.Variants[0].OSImageHash = nil
		}, verify.VMConfigParse},
		{"second variant", nil, func(k *kit) {
			k.x.Variants = append([]verify.Variant{{Name: "a", Registers: map[mr.Register]mr.Digest{mr.MRTD: {1}}}}, k.x.Variants...)
		}, verify.RegistersVariant},
		{"hashed nonce", func(w *world) {
			d, _ := dstack.Binding{Hash: "keccak256", Tag: "t"}.ReportData(testNonce)
			w.nonce = d[:]
		}, func(k *kit) { k.p.Binding = dstack.Binding{Hash: "keccak256", Tag: "t"} }, verify.ReportDataBinding},
		{"exact REPORTDATA", nil, func(k *kit) {
			var d [64]byte
			copy(d[:], testNonce)
			k.x.ReportData, k.x.Nonce = &d, nil
		}, verify.ReportDataExact},
		{"young nonce", nil, func(k *kit) { k.p.MaxNonceAge, k.x.NonceIssued = time.Minute, k.now.Add(-time.Minute) }, verify.NonceAge},
		{"status and advisories of the policy", func(w *world) { w.scenario.Quote.TD.TEETCBSVN[0] = 3 }, func(k *kit) {
			k.p.Statuses, k.p.Advisories = []dcap.Status{dcap.OutOfDate}, []string{"INTEL-SA-01312"}
		}, verify.TCBAdvisories},
		{"all that a policy can ask for", nil, func(k *kit) {
			k.p.MinEvaluation, k.p.MinQEEvaluation = 20, 20
			k.p.MinTCBDate, k.p.MaxCollateralAge = time.Date(2025, 5, 14, 0, 0, 0, 0, time.UTC), 20*24*time.Hour
			k.p.Attributes, k.p.XFAM = verify.Masked{Mask: 1<<28 | 1, Value: 1 << 28}, verify.Masked{Mask: 3, Value: 3}
			k.p.MRSEAM, k.p.ModuleMajors = []mr.Digest{mr.Digest(bytes.Repeat([]byte{0x5E}, 48))}, []uint8{1}
			k.p.HasMinTCBSVN, k.p.MinTEETCBSVN = true, [16]uint8{5, 1, 4}
		}, verify.ModuleSVN},
		{"owner and configuration of the policy", func(w *world) {
			w.scenario.Quote.TD.MROWNER, w.scenario.Quote.TD.MROWNERCONFIG = mr.Digest{1}, mr.Digest{2}
		}, func(k *kit) { k.p.MROWNER, k.p.MROWNERCONFIG = []mr.Digest{{3}, {1}}, []mr.Digest{{2}} }, verify.TDOwner},
		{"zero owner, named in the policy", nil, func(k *kit) { k.p.MROWNER = []mr.Digest{{1}, {}} }, verify.TDOwner},
		{"nonce waived where the policy bounds its age", nil, func(k *kit) {
			k.x.Nonce, k.p.MaxNonceAge, k.p.Unsafe = nil, time.Minute, []verify.CheckID{verify.ReportDataBinding}
		}, verify.RegistersVariant},
		{"nonce of the fewest bytes", func(w *world) { w.nonce = testNonce[:verify.MinNonce] }, func(k *kit) { k.x.Nonce = testNonce[:verify.MinNonce] }, verify.ReportDataBinding},
		{"events of RTMR3 waived with the registers", func(w *world) { w.runtime = slices.Delete(w.runtime, 2, 3) }, func(k *kit) {
			k.x.AppCompose = nil
			k.p.Unsafe = []verify.CheckID{verify.GroupRegisters}
		}, verify.LogReplay},
		{"DEBUG waived", func(w *world) { w.scenario.Quote.TD.Attributes |= 1 }, func(k *kit) { k.p.Unsafe = []verify.CheckID{dcap.TDDebug} }, dcap.TDAttributes},
		{"collateral waived", nil, func(k *kit) { k.e.Collateral = nil; k.p.Unsafe = []verify.CheckID{verify.GroupCollateral} }, dcap.QuoteSignature},
		{"registers waived", nil, func(k *kit) {
			k.x.Variants, k.x.AppCompose, k.e.EventLog = nil, nil, nil
			k.p.Unsafe = []verify.CheckID{verify.GroupRegisters}
		}, verify.ReportDataBinding},
		{"RTMR0 waived", nil, func(k *kit) {
			k.x.Variants[0].Registers[mr.RTMR0] = mr.Digest{1}
			k.p.Unsafe = []verify.CheckID{verify.RegistersRTMR0}
		}, verify.RegistersVariant},
		{"nonce waived", nil, func(k *kit) { k.x.Nonce = nil; k.p.Unsafe = []verify.CheckID{verify.ReportDataBinding} }, verify.RegistersVariant},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld()
			if tc.world != nil {
				tc.world(w)
			}
			k := w.build(t)
			if tc.kit != nil {
				tc.kit(k)
			}
			if tc.name == "log as CCEL" {
				k.e.EventLog = mr.ToLog(append(slices.Clone(w.boot), w.runtime...)).AppendCCEL(nil)
				k.p.Unsafe = []verify.CheckID{verify.TDConfigID}
			}
			v := k.judge()
			if !v.Accepted() {
				t.Fatalf("rejected: %+v", v.Failed())
			}
			if tc.want != "" && v.Check(tc.want).Status != verify.Pass {
				t.Errorf("%s is %+v", tc.want, v.Check(tc.want))
			}
		})
	}
}

// TestRuntimeVersion2 judges a guest whose events hash their canonical JSON, and logs that tell of them as of others.
func TestRuntimeVersion2(t *testing.T) {
	w := newWorld()
	type entry struct {
		IMR      int    `json:"imr"`
		Type     uint32 `json:"event_type"`
		Digest   string `json:"digest"`
		Event    string `json:"event"`
		Payload  string `json:"event_payload"`
		Version  int    `json:"version,omitempty"`
		Preimage string `json:"preimage,omitempty"`
	}
	var log []entry
	if err := json.Unmarshal(logJSON(w.boot), &log); err != nil {
		t.Fatal(err)
	}
	for i := range w.runtime {
		e := &w.runtime[i]
		e.Measured.Bytes = fmt.Appendf(nil, `{"name":%q,"payload":"%x","type":134217729}`, e.Measured.What, e.Data)
		e.Measured.Digest = mr.Sum(e.Measured.Bytes)
		log = append(log, entry{3, uint32(e.Type), "", e.Measured.What, hex.EncodeToString(e.Data), 2, hex.EncodeToString(e.Measured.Bytes)})
	}
	k := w.build(t)
	show := func(change func(*entry)) *verify.Verdict {
		shown := slices.Clone(log)
		for i := range shown {
			if shown[i].Event == dstack.ComposeHash {
				change(&shown[i])
			}
		}
		k.e.EventLog, _ = json.Marshal(shown)
		return k.judge()
	}
	if v := show(func(*entry) {}); !v.Accepted() || hex.EncodeToString(v.Runtime.ComposeHash[:]) != hex.EncodeToString(goodHash()) {
		t.Fatalf("rejected: %+v", v.Failed())
	}
	for name, tc := range map[string]struct {
		change func(*entry)
		want   verify.CheckID
	}{
		"as of version 1":                   {func(e *entry) { e.Version, e.Preimage = 0, "" }, verify.LogReplay},
		"as of version 3":                   {func(e *entry) { e.Version = 3 }, verify.LogParse},
		"without its preimage":              {func(e *entry) { e.Preimage = "" }, verify.LogParse},
		"payload other than the preimage's": {func(e *entry) { e.Payload = strings.Repeat("00", 32) }, verify.LogParse},
		"preimage with a space": {func(e *entry) {
			e.Preimage = hex.EncodeToString(fmt.Appendf(nil, `{"name": "compose-hash","payload":"%s","type":134217729}`, e.Payload))
		}, verify.LogParse},
		"payload and preimage of another": {func(e *entry) {
			e.Payload = strings.Repeat("00", 32)
			e.Preimage = hex.EncodeToString(fmt.Appendf(nil, `{"name":"compose-hash","payload":"%s","type":134217729}`, e.Payload))
		}, verify.LogReplay},
	} {
		if v := show(tc.change); v.Accepted() || v.Check(tc.want).Status != verify.Fail {
			t.Errorf("%s: %s is %+v", name, tc.want, v.Check(tc.want))
		}
	}
}

// kmsKeys is a configuration document of the expected application with keys from a KMS.
func kmsKeys() []byte {
	return []byte(`{"compose_hash":"` + hex.EncodeToString(goodHash()) + `","key_provider":"kms","key_provider_id":"3059"}`)
}

// TestConfigIDWithoutLog: MRCONFIGID of version 1 commits to the application whether or not a log tells of it. That does not
// replace the log.
func TestConfigIDWithoutLog(t *testing.T) {
	k := newWorld().build(t)
	k.e.EventLog = nil
	for name, tc := range map[string]struct {
		compose []byte
		want    verify.Status
	}{"the application": {newWorldCompose(), verify.Pass}, "another": {evil, verify.Fail}, "none": {nil, verify.Fail}} {
		k.x.AppCompose = tc.compose
		v := k.judge()
		if c := v.Check(verify.TDConfigID); c.Status != tc.want || v.Accepted() {
			t.Errorf("%s: td.mrconfigid is %v, accepted %v", name, c.Status, v.Accepted())
		}
	}
}

// rtmr3 returns the RTMR3 of a kit's quote.
func rtmr3(k *kit) mr.Digest { return k.judge().Registers[mr.RTMR3] }

// TestZero holds that what is not there accepts nothing.
func TestZero(t *testing.T) {
	ids, _ := verify.CheckIDs()
	for name, v := range map[string]*verify.Verdict{
		"nil": nil, "zero": {}, "no arguments": verify.Judge(nil, nil, nil, time.Time{}),
		"empty arguments": verify.Judge(&verify.Policy{}, &verify.Expectation{}, &verify.Evidence{}, time.Unix(1<<31, 0)),
		"one pass":        {Checks: []verify.Check{{ID: verify.QuoteParse, Status: verify.Pass, Required: true}}},
		"nothing asked":   {Checks: make([]verify.Check, len(ids))},
	} {
		if v.Accepted() {
			t.Errorf("%s: is accepted", name)
		}
	}
	v := verify.Judge(nil, nil, nil, time.Time{})
	var got []verify.CheckID
	for _, c := range v.Checks {
		got = append(got, c.ID)
		if c.What == "" || c.Status != verify.NotRun || c.Why == "" {
			t.Errorf("%s: got %+v, want it not run, with its question and a reason", c.ID, c)
		}
	}
	if !slices.Equal(got, ids) {
		t.Errorf("the verdict has %v, the table %v", got, ids)
	}
	if c := v.Check("no.such"); c.Status != verify.NotRun || !c.Required {
		t.Errorf("a check that is not there is %+v", c)
	}
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			t.Errorf("%s is in the table twice", id)
		}
	}
}

// TestNothingElseIsWaivable lists the names that a policy may waive, so that none is added unnoticed.
func TestNothingElseIsWaivable(t *testing.T) {
	want := `collateral registers collateral.parse pck.time crl.root.time crl.pck.time tcb-info.chain-time tcb-info.time
		qe-identity.chain-time qe-identity.time td.debug td.attributes td.xfam td.migratable td.service-td tcb.advisories
		report-data.binding log.data registers.variant registers.mrtd registers.rtmr0 registers.rtmr1 registers.rtmr2
		rtmr3.app-id rtmr3.application registers.rtmr3 os-image.hash td.mrconfigid td.mrowner td.mrownerconfig`
	var got []string
	for _, id := range verify.Unsafe() {
		got = append(got, string(id))
	}
	if !slices.Equal(got, strings.Fields(want)) {
		t.Errorf("got %v", got)
	}
	// However much is waived, a quote that Intel's root does not lead to stays refused.
	k := newWorld().build(t)
	k.p.Unsafe = verify.Unsafe()
	k.p.Roots = nil
	if v := k.judge(); v.Accepted() || v.Check(dcap.PCKChain).Status != verify.Fail {
		t.Errorf("accepted %v, %+v", v.Accepted(), v.Check(dcap.PCKChain))
	}
}

func TestDocs(t *testing.T) {
	for file, names := range map[string][]verify.CheckID{"POLICY.md": verify.Unsafe(), "VERIFY.md": func() []verify.CheckID { ids, _ := verify.CheckIDs(); return ids }()} {
		text, err := os.ReadFile("../docs/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range names {
			if !bytes.Contains(text, []byte("`"+string(id)+"`")) {
				t.Errorf("%s does not name `%s`", file, id)
			}
		}
	}
}

// TestReasons holds the words of checks that stand or fall for more than one reason.
func TestReasons(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*kit)
		id     verify.CheckID
		status verify.Status
		says   string // within want, got and why
	}{
		{"no nonce", func(k *kit) { k.x.Nonce = nil }, verify.ReportDataBinding, verify.NotRun, "no nonce is given"},
		{"short nonce", func(k *kit) { k.x.Nonce = testNonce[:15] }, verify.ReportDataBinding, verify.Fail, "has 15 bytes"},
		{"no module is accepted", func(k *kit) { k.p.MRSEAM = []mr.Digest{} }, verify.ModuleMRSEAM, verify.Fail, "the list of what is accepted is empty"},
		{"other modules are accepted", func(k *kit) { k.p.MRSEAM = []mr.Digest{{1}, {2}} }, verify.ModuleMRSEAM, verify.Fail, mr.Digest{1}.String() + " or " + mr.Digest{2}.String()},
		{"no quote", func(k *kit) { k.e.Quote = nil }, dcap.QuoteSignature, verify.NotRun, "needs quote.parse, which did not pass"},
		{"a quote that is none", func(k *kit) { k.e.Quote = []byte{1} }, dcap.QuoteSignature, verify.NotRun, "needs quote.parse, which did not pass"},
		{"variant that does not match names no image", func(k *kit) {
			k.x.Variants[0].Registers[mr.MRTD], k.x.Variants[0].OSImageHash = mr.Digest{1}, make([]byte, 32)
		}, verify.OSImageHash, verify.Pass, ""},
		{"collateral of before the policy's date", func(k *kit) { k.p.MinTCBDate = k.now.AddDate(10, 0, 0) }, verify.TCBDate, verify.Fail, "not before"},
	} {
		k := newWorld().build(t)
		tc.change(k)
		c := k.judge().Check(tc.id)
		if c.Status != tc.status || !strings.Contains(c.Want+" "+c.Got+" "+c.Why, tc.says) {
			t.Errorf("%s: %+v, want %v with %q", tc.name, c, tc.status, tc.says)
		}
	}
}

// TestFailedOrder: what failed comes before what was not made, whatever the order of the table.
func TestFailedOrder(t *testing.T) {
	k := newWorld().build(t)
	k.e.Collateral = nil
	k.x.Variants[0].Registers[mr.MRTD] = mr.Digest{1}
	list := k.judge().Failed()
	missing := slices.IndexFunc(list, func(c verify.Check) bool { return c.Status == verify.NotRun })
	last := slices.IndexFunc(list, func(c verify.Check) bool { return c.ID == verify.RegistersMRTD })
	if missing < 2 || last < 0 || last > missing || slices.ContainsFunc(list[missing:], func(c verify.Check) bool { return c.Status == verify.Fail }) {
		t.Errorf("%+v", list)
	}
}

func TestReports(t *testing.T) {
	k := newWorld().build(t)
	good := k.judge()
	k.x.Variants[0].Name = "<b>|`x`\x1b[31m\n# x https://evil.example www.evil.example @everyone #1 a/b#2 me@evil.example"
	k.x.Nonce = bytes.Repeat([]byte{1}, 32)
	k.p.Unsafe = []verify.CheckID{dcap.TDDebug}
	bad := k.judge()
	mention := regexp.MustCompile(`@\w|(^|[^&])#\w`) // which "&#8203;" is none of
	for name, tc := range map[string]struct {
		v    *verify.Verdict
		word string
		fail int
	}{"good": {good, "ACCEPTED", 0}, "bad": {bad, "REJECTED", 1}, "zero": {&verify.Verdict{}, "REJECTED", 0}, "nothing": {verify.Judge(nil, nil, nil, time.Time{}), "REJECTED", -1}} {
		text := string(tc.v.AppendText(nil))
		if !strings.HasPrefix(text, tc.word+" at ") || strings.ContainsAny(text, "\x1b\r") || tc.fail > 0 && strings.Count(text, "\nFAIL ") < 2 {
			t.Errorf("%s: text is\n%s", name, text)
		}
		for _, c := range tc.v.Checks {
			if !strings.Contains(text, string(c.ID)) {
				t.Errorf("%s: text does not list %s", name, c.ID)
			}
		}
		md := string(tc.v.AppendMarkdown(nil))
		if !strings.HasPrefix(md, "## "+tc.word+"\n") || strings.Contains(md, "<b>") || strings.Contains(md, "https://") || strings.Contains(md, "www.") || mention.MatchString(md) || strings.Contains(md, "\n# ") || strings.Count(md, "\n| ") != len(tc.v.Checks)+1 {
			t.Errorf("%s: Markdown is\n%s", name, md)
		}
		var doc struct {
			Schema   string
			Accepted bool
			Checks   []struct {
				ID, Status string
				Required   bool
			}
		}
		b, err := json.Marshal(tc.v)
		if err != nil || json.Unmarshal(b, &doc) != nil || doc.Schema != "tdxkit.verdict/v1" || doc.Accepted != (tc.word == "ACCEPTED") || len(doc.Checks) != len(tc.v.Checks) {
			t.Errorf("%s: JSON is %s, %v", name, b, err)
		}
		junit, err := tc.v.AppendJUnit(nil)
		var suite struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Cases    []struct {
				Name    string    `xml:"name,attr"`
				Failure *struct{} `xml:"failure"`
			} `xml:"testcase"`
		}
		if err != nil || xml.Unmarshal(junit, &suite) != nil || suite.Tests != len(tc.v.Checks)+1 || len(suite.Cases) != suite.Tests {
			t.Errorf("%s: JUnit is %s, %v", name, junit, err)
		}
		if accepted := suite.Failures == 0; accepted != (tc.word == "ACCEPTED") {
			t.Errorf("%s: JUnit counts %d failures", name, suite.Failures)
		}
	}
	var doc struct {
		Registers map[string]string
		TCB       struct {
			Status     string
			Evaluation int
			NotAfter   string `json:"not_after"`
		}
		RTMR3 struct {
			ComposeHash string `json:"compose_hash"`
		}
	}
	b, _ := json.Marshal(good)
	if err := json.Unmarshal(b, &doc); err != nil || doc.Registers["mrtd"] != strings.Repeat("4d", 48) || doc.TCB.Status != "UpToDate" ||
		doc.TCB.Evaluation != 20 || doc.TCB.NotAfter != "2026-03-16T11:59:00Z" || doc.RTMR3.ComposeHash != hex.EncodeToString(goodHash()) {
		t.Errorf("JSON is %s, %v", b, err)
	}
	if w := bad.Check(dcap.TDDebug); !w.Waived || w.Required {
		t.Errorf("the waived check is %+v", w)
	}
}

// TestReportsAreBounded: whoever fills a log with names and payloads fills no report for people.
func TestReportsAreBounded(t *testing.T) {
	w := newWorld()
	for i := range 5000 {
		w.runtime = dstack.AppendRuntimeEvent(w.runtime, fmt.Sprintf("%s:%d", dstack.ComposeHash, i), nil)
	}
	w.runtime = dstack.AppendRuntimeEvent(w.runtime, "big", bytes.Repeat([]byte{0x5a}, 1<<20))
	k := w.build(t)
	k.p.RequiredEvents = []verify.RequiredEvent{{Name: "big", Application: true, Payloads: [][]byte{{1}}}}
	v := k.judge()
	if c := v.Check(verify.RTMR3Application); c.Status != verify.Fail || !strings.Contains(c.Why, `"compose-hash:0"`) || !strings.Contains(c.Why, "and 4996 more") {
		t.Errorf("%+v", c)
	}
	if c := v.Check(verify.RTMR3Required); c.Status != verify.Fail || len(c.Got) != 2<<20 {
		t.Errorf("rtmr3.required is %v with %d bytes", c.Status, len(c.Got))
	}
	junit, err := v.AppendJUnit(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, report := range map[string][]byte{"text": v.AppendText(nil), "markdown": v.AppendMarkdown(nil), "junit": junit} {
		if len(report) > 64<<10 || !bytes.Contains(report, []byte("… (2097152 bytes)")) {
			t.Errorf("%s has %d bytes", name, len(report))
		}
	}
}

// ExampleJudge asks for what a test's platform shows.
func ExampleJudge() {
	k := newWorld().build(&testing.T{})
	k.x.Nonce = []byte("another question, 32 bytes long.")
	v := verify.Judge(&k.p, &k.x, &k.e, k.now)
	fmt.Println(v.Accepted(), v.Variant)
	for _, c := range v.Failed() {
		fmt.Println(c.ID, c.Status)
	}
	// Output:
	// false 4 CPUs
	// report-data.binding fail
}

func BenchmarkJudge(b *testing.B) {
	w := newWorld()
	for len(w.log()) < 64<<10 { // an application that reports a lot
		w.runtime = dstack.AppendRuntimeEvent(w.runtime, "note", bytes.Repeat([]byte{0x5a}, 64))
	}
	k := w.build(b)
	if v := k.judge(); !v.Accepted() {
		b.Fatal(v.Failed())
	}
	b.SetBytes(int64(len(k.e.Quote) + len(k.e.Collateral) + len(k.e.EventLog)))
	b.ReportAllocs()
	for b.Loop() {
		if !k.judge().Accepted() {
			b.Fatal("rejected")
		}
	}
	b.ReportMetric(float64(k.judge().TCB.Signatures), "signatures/op")
}

var sink [32]byte

// BenchmarkSHA256 stands beside BenchmarkJudge for what hashing alone takes.
func BenchmarkSHA256(b *testing.B) {
	data := make([]byte, 64<<10)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		sink = sha256.Sum256(data)
	}
}
