package verify_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/internal/testpki"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/quote"
	"github.com/tdxkit/tdxkit/verify"
)

// An attack is one way in which a verifier can be led astray. World changes what exists, kit what the verifier is told.
type attack struct {
	name  string
	world func(*world)
	kit   func(*testing.T, *kit)
	want  verify.CheckID // the check that stops it
}

// evil is an application that the verifier does not expect.
var evil = []byte(`{"manifest_version":2,"name":"app","runner":"docker-compose","docker_compose_file":"services: {evil: {image: x}}"}`)

func goodHash() []byte { h := sha256.Sum256(newWorldCompose()); return h[:] }

// editLog changes the log that is shown, not what the guest extended.
func editLog(f func([]mr.Event) []mr.Event) func(*testing.T, *kit) {
	return func(t *testing.T, k *kit) {
		events, err := dstack.ParseEventLog(k.e.EventLog)
		if err != nil {
			t.Fatal(err)
		}
		k.e.EventLog = logJSON(f(events))
	}
}

// replaceIn changes a text that must occur in the bytes.
func replaceIn(t *testing.T, b *[]byte, old, with string) {
	t.Helper()
	if !bytes.Contains(*b, []byte(old)) {
		t.Fatalf("%q is not there to be changed", old)
	}
	*b = bytes.Replace(*b, []byte(old), []byte(with), 1)
}

func runtimeEvent(name string, payload []byte) mr.Event {
	return dstack.AppendRuntimeEvent(nil, name, payload)[0]
}

var attacks = []attack{
	// The log, and what reads it by name.
	{"compose-hash forged in another register of the log", nil, func(t *testing.T, k *kit) {
		editLog(func(e []mr.Event) []mr.Event {
			f := runtimeEvent(dstack.ComposeHash, goodHash())
			f.Register = mr.RTMR0
			return slices.Insert(e, 0, f)
		})(t, k)
	}, verify.LogParse},
	{"compose-hash forged as another type of event", nil, editLog(func(e []mr.Event) []mr.Event {
		f := runtimeEvent(dstack.ComposeHash, goodHash())
		f.Register, f.Type = mr.RTMR2, eventlog.EVEventTag
		return slices.Insert(e, 0, f)
	}), verify.LogReplay},
	{"compose-hash forged earlier in the log", func(w *world) { w.setRuntime(evil) }, editLog(func(e []mr.Event) []mr.Event {
		return slices.Insert(e, 0, runtimeEvent(dstack.ComposeHash, goodHash()))
	}), verify.LogReplay},
	{"payload forged under the digest of another", func(w *world) { w.setRuntime(evil) }, func(t *testing.T, k *kit) {
		h := sha256.Sum256(evil)
		replaceIn(t, &k.e.EventLog, `"event_payload":"`+hex.EncodeToString(h[:])+`"`, `"event_payload":"`+hex.EncodeToString(goodHash())+`"`)
	}, verify.LogParse},
	{"payload and digest forged", func(w *world) { w.setRuntime(evil) }, editLog(func(e []mr.Event) []mr.Event {
		for i := range e {
			if e[i].Measured.What == dstack.ComposeHash {
				e[i] = runtimeEvent(dstack.ComposeHash, goodHash())
			}
		}
		return e
	}), verify.LogReplay},
	{"name and payload of a version 1 event divided elsewhere", nil, func(t *testing.T, k *kit) {
		replaceIn(t, &k.e.EventLog, `"event":"app-started","event_payload":"796573"`, `"event":"app-started:yes","event_payload":""`)
	}, verify.LogParse},
	{"application extends compose-hash after system-ready", func(w *world) {
		w.setRuntime(evil)
		w.runtime = append(w.runtime, runtimeEvent(dstack.ComposeHash, goodHash()))
	}, nil, verify.RTMR3ComposeHash},
	{"application of the expected hash imitates the system", func(w *world) {
		w.runtime = append(w.runtime, runtimeEvent(dstack.KeyProvider, []byte(`{"name":"kms","id":"00"}`)))
	}, nil, verify.RTMR3Application},
	{"a whole second boot after the first", func(w *world) {
		first := w.runtime
		w.setRuntime(evil)
		w.runtime = append(w.runtime, first...)
	}, nil, verify.RTMR3ComposeHash},
	{"event before system-preparing", func(w *world) {
		w.runtime = slices.Insert(w.runtime, 0, runtimeEvent("preload", nil))
	}, nil, verify.RTMR3Events},
	{"compose-hash twice before the boundary", func(w *world) {
		w.runtime = slices.Insert(w.runtime, 3, runtimeEvent(dstack.ComposeHash, goodHash()))
	}, nil, verify.RTMR3Events},
	{"compose-hash after boot-mr-done", func(w *world) {
		w.runtime = slices.Insert(w.runtime, 5, runtimeEvent(dstack.ComposeHash, goodHash()))
	}, nil, verify.RTMR3Events},
	{"boot that never became ready", func(w *world) { w.runtime = w.runtime[:7] }, nil, verify.RTMR3Events},
	{"event of another type in RTMR3", func(w *world) {
		w.runtime = append(w.runtime, hashed(mr.RTMR3, eventlog.EVIPL, []byte("x"), nil))
	}, nil, verify.RTMR3Events},
	{"log without the events of RTMR3", nil, editLog(func(e []mr.Event) []mr.Event { return e[:8] }), verify.LogReplay},
	{"log without its last event", nil, editLog(func(e []mr.Event) []mr.Event { return e[:len(e)-1] }), verify.LogReplay},
	{"log with an event more", nil, editLog(func(e []mr.Event) []mr.Event { return append(e, runtimeEvent("more", nil)) }), verify.LogReplay},
	{"log in another order", nil, editLog(func(e []mr.Event) []mr.Event { e[1], e[2] = e[2], e[1]; return e }), verify.LogReplay},
	{"log of another guest", nil, func(t *testing.T, k *kit) {
		other := newWorld()
		other.setRuntime(evil)
		k.e.EventLog = other.log()
	}, verify.LogReplay},
	{"quote of another guest", nil, func(t *testing.T, k *kit) {
		other := newWorld()
		other.setRuntime(evil)
		k.e.Quote = other.build(t).e.Quote
	}, verify.LogReplay},
	{"no log", nil, func(_ *testing.T, k *kit) { k.e.EventLog = nil }, verify.LogParse},
	{"empty log", nil, func(_ *testing.T, k *kit) { k.e.EventLog = []byte("[]") }, verify.LogReplay},
	{"data of a boot event changed under its digest", nil, editLog(func(e []mr.Event) []mr.Event {
		e[1].Data = variable("SecureBoot", "\x01")
		return e
	}), verify.LogData},
	{"data of a boot event that says nothing, so that nothing follows from it", nil, editLog(func(e []mr.Event) []mr.Event {
		e[1].Data = append(e[1].Data, 0)
		return e
	}), verify.LogData},
	{"log as a string of broken JSON", nil, func(_ *testing.T, k *kit) { k.e.EventLog = []byte(`"[{"`) }, verify.LogParse},
	{"log as a string that holds none", nil, func(_ *testing.T, k *kit) { k.e.EventLog = []byte(`{"event_log":"{}"}`) }, verify.LogParse},
	{"log as a number", nil, func(_ *testing.T, k *kit) { k.e.EventLog = []byte(`{"event_log":1}`) }, verify.LogParse},
	{"CCEL that ends early", nil, func(_ *testing.T, k *kit) { k.e.EventLog = []byte{1, 0, 0, 0, 3, 0, 0, 0} }, verify.LogParse},
	{"CCEL with an event of MRTD", func(w *world) { w.runtime = nil }, func(t *testing.T, k *kit) {
		events, err := dstack.ParseEventLog(k.e.EventLog)
		if err != nil {
			t.Fatal(err)
		}
		k.e.EventLog = mr.ToLog(append(events, hashed(mr.MRTD, eventlog.EVSeparator, make([]byte, 4), nil))).AppendCCEL(nil)
	}, verify.LogReplay},
	{"member of the log twice", nil, func(t *testing.T, k *kit) {
		replaceIn(t, &k.e.EventLog, `"event":"compose-hash"`, `"event":"app-id","event":"compose-hash"`)
	}, verify.LogParse},
	{"member of the log in other letters", nil, func(t *testing.T, k *kit) {
		replaceIn(t, &k.e.EventLog, `"event":"compose-hash"`, `"event":"compose-hash","Event":"app-id"`)
	}, verify.LogParse},
	{"log of 17 MiB", nil, func(_ *testing.T, k *kit) { k.e.EventLog = append(k.e.EventLog, make([]byte, 17<<20)...) }, verify.LogParse},

	// Application and image.
	{"another application", func(w *world) { w.setRuntime(evil) }, nil, verify.RTMR3ComposeHash},
	{"app-compose.json written anew with the same meaning", func(w *world) {
		w.setRuntime(bytes.ReplaceAll(newWorldCompose(), []byte(","), []byte(", ")))
	}, nil, verify.RTMR3ComposeHash},
	{"another application that the policy knows beside the one that is given", func(w *world) { w.setRuntime(evil) }, func(_ *testing.T, k *kit) {
		h := sha256.Sum256(evil)
		k.p.RequiredEvents = []verify.RequiredEvent{{Name: dstack.ComposeHash, Payloads: [][]byte{goodHash(), h[:]}}}
	}, verify.RTMR3ComposeHash},
	{"compose-hash that the policy knows as an event of the application alone", func(w *world) { w.setRuntime(evil) }, func(_ *testing.T, k *kit) {
		h := sha256.Sum256(evil)
		k.x.AppCompose = nil
		k.p.RequiredEvents = []verify.RequiredEvent{{Name: dstack.ComposeHash, Application: true, Payloads: [][]byte{h[:]}}}
	}, verify.RTMR3ComposeHash},
	{"app-compose.json with a member twice", nil, func(t *testing.T, k *kit) {
		k.x.AppCompose = []byte(`{"docker_compose_file":"a","docker_compose_file":"b"}`)
	}, verify.RTMR3ComposeHash},
	{"app-id of another application", func(w *world) { w.runtime[1] = runtimeEvent(dstack.AppID, make([]byte, 20)) }, nil, verify.RTMR3AppID},
	{"app-id of another application under a policy of other events", func(w *world) { w.runtime[1] = runtimeEvent(dstack.AppID, make([]byte, 20)) }, func(_ *testing.T, k *kit) {
		k.p.RequiredEvents = []verify.RequiredEvent{{Name: dstack.ComposeHash, Payloads: [][]byte{goodHash()}}}
	}, verify.RTMR3AppID},
	{"app-id of another application under a policy of the application's own", func(w *world) { w.runtime[1] = runtimeEvent(dstack.AppID, make([]byte, 20)) }, func(_ *testing.T, k *kit) {
		k.p.RequiredEvents = []verify.RequiredEvent{{Name: dstack.AppID, Application: true, Payloads: [][]byte{make([]byte, 20)}}}
	}, verify.RTMR3AppID},
	{"compose-hash that the policy knows as another event", func(w *world) {
		w.image = sha256.Sum256(evil)
		w.setRuntime(evil)
	}, func(_ *testing.T, k *kit) {
		h := sha256.Sum256(evil)
		k.x.AppCompose = nil
		k.p.RequiredEvents = []verify.RequiredEvent{{Name: dstack.OSImageHash, Payloads: [][]byte{h[:]}}}
	}, verify.RTMR3ComposeHash},
	{"no application expected", nil, func(_ *testing.T, k *kit) { k.x.AppCompose = nil }, verify.RTMR3ComposeHash},
	{"vm_config of another image", nil, func(_ *testing.T, k *kit) {
		k.e.VMConfig = fmt.Appendf(nil, `{"os_image_hash":"%x"}`, sha256.Sum256([]byte("other")))
	}, verify.OSImageHash},
	{"vm_config that names two images", nil, func(_ *testing.T, k *kit) {
		k.e.VMConfig = fmt.Appendf(nil, `{"os_image_hash":"%064x","OS_image_hash":"%064x"}`, 1, 2)
	}, verify.VMConfigParse},
	{"image other than the expected variant's", nil, func(_ *testing.T, k *kit) {
		h := sha256.Sum256([]byte("other"))
		k.x.Variants[0].OSImageHash, k.e.VMConfig = h[:], nil
	}, verify.OSImageHash},
	{"KMS let another image in", func(w *world) { w.runtime[5] = runtimeEvent(dstack.OSImageHash, make([]byte, 32)) }, nil, verify.OSImageHash},
	{"MRCONFIGID of another application", func(w *world) { w.scenario.Quote.TD.MRCONFIGID = dstack.ConfigIDV1([32]byte{1}) }, nil, verify.TDConfigID},
	{"MRCONFIGID of an unknown version", func(w *world) { w.scenario.Quote.TD.MRCONFIGID = mr.Digest{9} }, nil, verify.TDConfigID},
	{"MROWNER", func(w *world) { w.scenario.Quote.TD.MROWNER[47] = 1 }, nil, verify.TDOwner},
	{"MROWNER of the policy's list for MROWNERCONFIG", func(w *world) { w.scenario.Quote.TD.MROWNER = mr.Digest{1} }, func(_ *testing.T, k *kit) {
		k.p.MROWNERCONFIG = []mr.Digest{{1}, {}}
	}, verify.TDOwner},
	{"MROWNERCONFIG of the policy's list for MROWNER", func(w *world) { w.scenario.Quote.TD.MROWNERCONFIG = mr.Digest{1} }, func(_ *testing.T, k *kit) {
		k.p.MROWNER = []mr.Digest{{1}, {}}
	}, verify.TDOwnerConfig},
	{"no owner where the policy names one", nil, func(_ *testing.T, k *kit) { k.p.MROWNER = []mr.Digest{{1}} }, verify.TDOwner},
	{"no configuration where the policy names one", nil, func(_ *testing.T, k *kit) { k.p.MROWNERCONFIG = []mr.Digest{{1}} }, verify.TDOwnerConfig},
	{"MROWNERCONFIG", func(w *world) { w.scenario.Quote.TD.MROWNERCONFIG[0] = 1 }, nil, verify.TDOwnerConfig},

	// Freshness.
	{"quote for another nonce", func(w *world) { w.nonce = bytes.Repeat([]byte{1}, 32) }, nil, verify.ReportDataBinding},
	{"replayed quote of an earlier question", nil, func(_ *testing.T, k *kit) { k.x.Nonce = []byte("fedcba9876543210fedcba9876543210") }, verify.ReportDataBinding},
	{"nonce is a prefix of what the quote has", func(w *world) { w.nonce = append(bytes.Clone(testNonce), "more"...) }, nil, verify.ReportDataBinding},
	{"quote has a prefix of the nonce", func(w *world) { w.nonce = testNonce[:31] }, nil, verify.ReportDataBinding},
	{"short nonce", func(w *world) { w.nonce = []byte("nonce") }, func(_ *testing.T, k *kit) { k.x.Nonce = []byte("nonce") }, verify.ReportDataBinding},
	{"nonce of 65 bytes", nil, func(_ *testing.T, k *kit) { k.x.Nonce = make([]byte, 65) }, verify.ReportDataBinding},
	{"no nonce", nil, func(_ *testing.T, k *kit) { k.x.Nonce = nil }, verify.ReportDataBinding},
	{"hash of the nonce where the nonce itself is due", func(w *world) {
		d, _ := dstack.Binding{Hash: "sha512", Tag: dstack.TagAppData}.ReportData(testNonce)
		w.nonce = d[:]
	}, nil, verify.ReportDataBinding},
	{"hash under another tag", func(w *world) {
		d, _ := dstack.Binding{Hash: "sha512", Tag: dstack.TagRATLSCert}.ReportData(testNonce)
		w.nonce = d[:]
	}, func(_ *testing.T, k *kit) { k.p.Binding = dstack.Binding{Hash: "sha512", Tag: dstack.TagAppData} }, verify.ReportDataBinding},
	{"report_data as the JSON beside the quote has it", func(w *world) { w.nonce = nil }, func(t *testing.T, k *kit) {
		e, err := quote.Extract(fmt.Appendf(nil, `{"quote":"%x","report_data":"%x","event_log":%s}`, k.e.Quote, testNonce, k.e.EventLog))
		if err != nil || !bytes.Equal(e.UntrustedReportData, testNonce) {
			t.Fatal(err)
		}
		k.e.Quote, k.e.EventLog = e.Quote, e.UntrustedEventLog
	}, verify.ReportDataBinding},
	{"another nonce under a policy that needs none", func(w *world) { w.nonce = bytes.Repeat([]byte{1}, 32) }, func(_ *testing.T, k *kit) {
		k.p.Unsafe = []verify.CheckID{verify.ReportDataBinding}
	}, verify.ReportDataBinding},
	{"exact REPORTDATA in one bit", nil, func(_ *testing.T, k *kit) {
		var d [64]byte
		copy(d[:], testNonce)
		d[63] = 1
		k.x.ReportData = &d
	}, verify.ReportDataExact},
	{"old nonce", nil, func(_ *testing.T, k *kit) { k.p.MaxNonceAge, k.x.NonceIssued = time.Minute, k.now.Add(-time.Hour) }, verify.NonceAge},
	{"nonce from the future", nil, func(_ *testing.T, k *kit) { k.p.MaxNonceAge, k.x.NonceIssued = time.Minute, k.now.Add(time.Second) }, verify.NonceAge},
	{"REPORTDATA of unknown age", nil, func(_ *testing.T, k *kit) {
		var d [64]byte
		copy(d[:], testNonce)
		k.x.ReportData, k.x.Nonce, k.p.MaxNonceAge = &d, nil, time.Minute
	}, verify.NonceAge},
	{"nonce of unknown age", nil, func(_ *testing.T, k *kit) { k.p.MaxNonceAge = time.Minute }, verify.NonceAge},

	// Registers.
	{"another MRTD", func(w *world) { w.scenario.Quote.TD.MRTD[0] ^= 1 }, func(_ *testing.T, k *kit) {
		k.x.Variants[0].Registers[mr.MRTD] = mr.Digest(bytes.Repeat([]byte{0x4D}, 48))
	}, verify.RegistersMRTD},
	{"registers of two images mixed", nil, func(_ *testing.T, k *kit) {
		a, b := k.x.Variants[0], verify.Variant{Name: "b", Registers: map[mr.Register]mr.Digest{}}
		for r, d := range a.Registers {
			b.Registers[r] = d
		}
		other := a
		other.Registers = map[mr.Register]mr.Digest{mr.MRTD: a.Registers[mr.MRTD], mr.RTMR0: {1}, mr.RTMR1: {2}, mr.RTMR2: a.Registers[mr.RTMR2]}
		b.Registers[mr.MRTD], b.Registers[mr.RTMR2] = mr.Digest{3}, mr.Digest{4}
		k.x.Variants = []verify.Variant{other, b}
	}, verify.RegistersVariant},
	{"variant without a register", nil, func(_ *testing.T, k *kit) { delete(k.x.Variants[0].Registers, mr.RTMR2) }, verify.RegistersVariant},
	{"variant without a register that is zero", func(w *world) { w.boot = w.boot[:7] }, func(t *testing.T, k *kit) {
		if k.x.Variants[0].Registers[mr.RTMR2] != (mr.Digest{}) {
			t.Fatal("RTMR2 is not zero")
		}
		delete(k.x.Variants[0].Registers, mr.RTMR2)
	}, verify.RegistersVariant},
	{"variant without registers", nil, func(_ *testing.T, k *kit) { k.x.Variants = []verify.Variant{{Name: "anything"}} }, verify.RegistersVariant},
	{"nothing expected", nil, func(_ *testing.T, k *kit) { k.x.Variants = nil }, verify.RegistersVariant},
	{"another RTMR3 than the variant's", nil, func(_ *testing.T, k *kit) { k.x.Variants[0].Registers[mr.RTMR3] = mr.Digest{1} }, verify.RegistersVariant},
	{"RTMR3 without an explanation", nil, func(_ *testing.T, k *kit) { k.e.EventLog, k.x.AppCompose = nil, nil }, verify.RegistersRTMR3},

	// The platform.
	{"DEBUG TD", func(w *world) { w.scenario.Quote.TD.Attributes |= quote.Debug }, nil, dcap.TDDebug},
	{"migratable TD", func(w *world) { w.scenario.Quote.TD.Attributes |= quote.Migratable }, nil, dcap.TDMigratable},
	{"unknown attribute", func(w *world) { w.scenario.Quote.TD.Attributes |= 1 << 40 }, nil, dcap.TDAttributes},
	{"unknown XFAM bit", func(w *world) { w.scenario.Quote.TD.XFAM |= 1 << 50 }, nil, dcap.TDXFAM},
	{"service TD", func(w *world) { w.scenario.V5(); w.scenario.Quote.TD.MRSERVICETD[0] = 1 }, nil, dcap.TDServiceTD},
	{"TDX module not Intel's", func(w *world) { w.scenario.Quote.TD.MRSIGNERSEAM[0] = 1 }, nil, dcap.ModuleMatch},
	{"platform out of date under a module that is not", func(w *world) { w.scenario.PCK.SGX[0] = 3 }, nil, dcap.TCBStatus},
	{"module out of date", func(w *world) { w.scenario.Quote.TD.TEETCBSVN[0] = 3 }, nil, dcap.TCBStatus},
	{"module revoked", func(w *world) { w.scenario.Quote.TD.TEETCBSVN[0] = 2 }, nil, dcap.TCBStatus},
	{"quoting enclave out of date", func(w *world) { w.scenario.Quote.QE.ISVSVN = 2 }, nil, dcap.TCBStatus},
	{"advisory on a level that is up to date", func(w *world) { w.scenario.TCBInfo.Levels[0].Advisories = []string{"INTEL-SA-99999"} }, nil, verify.TCBAdvisories},
	{"PCK certificate revoked", func(w *world) { w.scenario.PCKCRL.Revoked = []int64{testpki.SerialPCK} }, nil, dcap.PCKRevocation},
	{"PCK CA revoked", func(w *world) { w.scenario.RootCRL.Revoked = []int64{testpki.SerialPlatformCA} }, nil, dcap.PCKCARevocation},
	{"TCB signer revoked", func(w *world) { w.scenario.RootCRL.Revoked = []int64{testpki.SerialSigning} }, nil, dcap.TCBInfoRevocation},
	{"root of someone else", nil, func(_ *testing.T, k *kit) { k.p.Roots = nil }, dcap.PCKChain},
	{"QE of someone else", func(w *world) { w.scenario.Quote.QE.MRSIGNER[0] ^= 1 }, nil, dcap.QEMatch},
	{"bytes behind the quote", nil, func(_ *testing.T, k *kit) { k.e.Quote = append(k.e.Quote, 1) }, verify.QuoteParse},
	{"quote cut short", nil, func(_ *testing.T, k *kit) { k.e.Quote = k.e.Quote[:700] }, verify.QuoteParse},
	{"no quote", nil, func(_ *testing.T, k *kit) { k.e.Quote = nil }, verify.QuoteParse},

	// Collateral.
	{"no collateral", nil, func(_ *testing.T, k *kit) { k.e.Collateral = nil }, verify.CollateralParse},
	{"collateral of another FMSPC", func(w *world) { w.scenario.TCBInfo.FMSPC[0]++ }, nil, dcap.TCBInfoPlatform},
	{"collateral that has expired", nil, func(_ *testing.T, k *kit) { k.now = k.now.AddDate(0, 0, 16) }, dcap.TCBInfoTime},
	{"collateral of the future", nil, func(_ *testing.T, k *kit) { k.now = k.now.AddDate(0, 0, -16) }, dcap.TCBInfoTime},
	{"no time", nil, func(_ *testing.T, k *kit) { k.now = time.Time{} }, dcap.QuoteTEE},
	{"TCB rolled back by older collateral", nil, func(_ *testing.T, k *kit) { k.p.MinEvaluation = 21 }, verify.TCBEvaluation},
	{"QE rolled back by older collateral", nil, func(_ *testing.T, k *kit) { k.p.MinQEEvaluation = 21 }, verify.TCBEvaluation},
	{"TCB of an old date", nil, func(_ *testing.T, k *kit) { k.p.MinTCBDate = time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC) }, verify.TCBDate},
	{"collateral older than the policy bears", nil, func(_ *testing.T, k *kit) { k.p.MaxCollateralAge = 24 * time.Hour }, verify.CollateralAge},
	{"TCB info older than the policy bears, beside a new QE identity", func(w *world) {
		w.scenario.QEIdentity.IssueDate = testpki.Now.Add(-time.Hour)
	}, func(_ *testing.T, k *kit) { k.p.MaxCollateralAge = 24 * time.Hour }, verify.CollateralAge},
	{"QE identity older than the policy bears, beside a new TCB info", func(w *world) {
		w.scenario.TCBInfo.IssueDate = testpki.Now.Add(-time.Hour)
	}, func(_ *testing.T, k *kit) { k.p.MaxCollateralAge = 24 * time.Hour }, verify.CollateralAge},
	{"member of the collateral twice", nil, func(t *testing.T, k *kit) {
		replaceIn(t, &k.e.Collateral, `{"`, `{"tcb_info":"x","`)
	}, verify.CollateralParse},
	{"member of the collateral in other letters", nil, func(t *testing.T, k *kit) {
		replaceIn(t, &k.e.Collateral, `{"`, `{"TCB_info":"x","`)
	}, verify.CollateralParse},
	{"TCB info with a member in other letters", func(w *world) {
		w.scenario.EditTCBInfo = func(s string) string { return strings.Replace(s, `{"`, `{"TcbLevels":[],"`, 1) }
	}, nil, dcap.TCBInfoFormat},
	{"TCB info changed after it was signed", nil, func(t *testing.T, k *kit) { replaceIn(t, &k.e.Collateral, "INTEL-SA-01192", "INTEL-SA-01193") }, dcap.TCBInfoSignature},

	// The policy.
	{"attributes other than the policy's", nil, func(_ *testing.T, k *kit) { k.p.Attributes = verify.Masked{Mask: 1 << 30, Value: 1 << 30} }, verify.TDAttributesPolicy},
	{"XFAM other than the policy's", nil, func(_ *testing.T, k *kit) { k.p.XFAM = verify.Masked{Mask: 1 << 17} }, verify.TDXFAMPolicy},
	{"TDX module other than the policy's", nil, func(_ *testing.T, k *kit) { k.p.MRSEAM = []mr.Digest{{1}} }, verify.ModuleMRSEAM},
	{"version of the module other than the policy's", nil, func(_ *testing.T, k *kit) { k.p.ModuleMajors = []uint8{3} }, verify.ModuleVersion},
	{"security version below the policy's", nil, func(_ *testing.T, k *kit) { k.p.HasMinTCBSVN, k.p.MinTEETCBSVN = true, [16]uint8{5, 1, 5} }, verify.ModuleSVN},
	{"module replaced by an older one since launch", func(w *world) {
		w.scenario.V5()
		w.scenario.Quote.TD.TEETCBSVN2 = [16]byte{4, 1, 4}
	}, func(_ *testing.T, k *kit) { k.p.HasMinTCBSVN, k.p.MinTEETCBSVN = true, [16]uint8{5} }, verify.ModuleSVN},
	{"MRCONFIGID other than the policy's", nil, func(_ *testing.T, k *kit) { k.p.MRCONFIGID = []mr.Digest{{1}} }, verify.TDConfigID},
	{"event of the policy with another payload", nil, func(_ *testing.T, k *kit) {
		k.p.RequiredEvents = []verify.RequiredEvent{{Name: dstack.KeyProvider, Payloads: [][]byte{[]byte(`{"name":"none","id":""}`)}}}
	}, verify.RTMR3Required},
	{"event of the policy by the application instead of the system", nil, func(_ *testing.T, k *kit) {
		k.p.RequiredEvents = []verify.RequiredEvent{{Name: "app-started", Payloads: [][]byte{[]byte("yes")}}}
	}, verify.RTMR3Required},
	{"event of the policy twice", func(w *world) { w.runtime = append(w.runtime, runtimeEvent("app-started", []byte("no"))) }, func(_ *testing.T, k *kit) {
		k.p.RequiredEvents = []verify.RequiredEvent{{Name: "app-started", Application: true, Payloads: [][]byte{[]byte("yes")}}}
	}, verify.RTMR3Required},
	{"event of the policy twice, the second shown under a longer name", func(w *world) {
		w.runtime = append(w.runtime, runtimeEvent("app-started:no", []byte("x"))) // hashes what "app-started" with "no:x" does
	}, func(_ *testing.T, k *kit) {
		k.p.RequiredEvents = []verify.RequiredEvent{{Name: "app-started", Application: true, Payloads: [][]byte{[]byte("yes")}}}
	}, verify.RTMR3Required},
	{"imitation shown under a longer name", func(w *world) {
		w.runtime = append(w.runtime, runtimeEvent(dstack.ComposeHash+":x", []byte("y")))
	}, nil, verify.RTMR3Application},
	{"every register waived, and none that agrees", nil, func(_ *testing.T, k *kit) {
		k.x.Variants = []verify.Variant{{Registers: map[mr.Register]mr.Digest{mr.MRTD: {1}}}}
		k.p.Unsafe = []verify.CheckID{verify.RegistersMRTD, verify.RegistersRTMR0, verify.RegistersRTMR1, verify.RegistersRTMR2, verify.RegistersRTMR3}
	}, verify.RegistersVariant},
	{"variant of RTMR3 alone", nil, func(_ *testing.T, k *kit) {
		k.x.Variants = []verify.Variant{{Registers: map[mr.Register]mr.Digest{mr.RTMR3: rtmr3(k)}}}
	}, verify.RegistersVariant},
	{"variant of MRTD alone", nil, func(_ *testing.T, k *kit) {
		k.x.Variants[0].Registers = map[mr.Register]mr.Digest{mr.MRTD: k.x.Variants[0].Registers[mr.MRTD]}
	}, verify.RegistersRTMR0},
	{"empty lists where nil asks for nothing", nil, func(_ *testing.T, k *kit) { k.p.MRSEAM = []mr.Digest{} }, verify.ModuleMRSEAM},
	{"no status accepted", nil, func(_ *testing.T, k *kit) { k.p.Statuses = []dcap.Status{} }, dcap.TCBStatus},
	{"no root trusted", nil, func(_ *testing.T, k *kit) { k.p.Roots = []dcap.Fingerprint{} }, dcap.PCKChain},
	{"Intel's root alone", nil, func(_ *testing.T, k *kit) { k.p.Roots = nil }, dcap.PCKChain},
	{"advisory of the module that runs now", func(w *world) { w.scenario.V5().Quote.TD.TEETCBSVN2[0] = 3 }, func(_ *testing.T, k *kit) {
		k.p.Statuses = []dcap.Status{dcap.UpToDate, dcap.OutOfDate}
	}, verify.TCBAdvisories},
	{"event that extends nothing among those of RTMR3", nil, editLog(func(e []mr.Event) []mr.Event {
		f := runtimeEvent("note", nil)
		f.Type = eventlog.EVNoAction
		return append(e, f)
	}), verify.RTMR3Events},
	{"register of the log beyond RTMR3", nil, func(t *testing.T, k *kit) { replaceIn(t, &k.e.EventLog, `"imr":2`, `"imr":4`) }, verify.LogParse},
	{"register of the log below RTMR0", nil, func(t *testing.T, k *kit) { replaceIn(t, &k.e.EventLog, `"imr":2`, `"imr":-1`) }, verify.LogParse},
	{"register of the log as a fraction", nil, func(t *testing.T, k *kit) { replaceIn(t, &k.e.EventLog, `"imr":2`, `"imr":2.0`) }, verify.LogParse},
	{"register of the log beyond 64 bits", nil, func(t *testing.T, k *kit) {
		replaceIn(t, &k.e.EventLog, `"imr":2`, `"imr":18446744073709551618`)
	}, verify.LogParse},
	{"name of the system's event in other letters of Unicode", func(w *world) {
		w.runtime = append(w.runtime, runtimeEvent("\u017fystem-ready", nil)) // with a long s
	}, nil, verify.RTMR3Application},
	{"key provider without a number under an MRCONFIGID that allows none", func(w *world) {
		w.runtime[6] = runtimeEvent(dstack.KeyProvider, []byte(`{"name":"moon","id":""}`))
		w.scenario.Quote.TD.MRCONFIGID = dstack.ConfigIDV3(noKeys())
	}, func(_ *testing.T, k *kit) {
		text, _ := json.Marshal(string(noKeys()))
		k.e.VMConfig = []byte(`{"mr_config":` + string(text) + `}`)
	}, verify.TDConfigID},
	{"another application under a policy that waives registers", func(w *world) { w.setRuntime(evil) }, func(_ *testing.T, k *kit) {
		k.p.Unsafe = []verify.CheckID{verify.GroupRegisters}
	}, verify.RTMR3ComposeHash},
	{"no log of the application under a policy that waives registers", nil, func(_ *testing.T, k *kit) {
		k.p.Unsafe, k.e.EventLog = []verify.CheckID{verify.GroupRegisters}, nil
	}, verify.RTMR3ComposeHash},
	{"signature waived", func(w *world) { w.nonce = testNonce }, func(_ *testing.T, k *kit) {
		k.p.Unsafe = []verify.CheckID{dcap.QuoteSignature, dcap.PCKChain, dcap.QEReportSignature, dcap.QEBinding, "quote", ""}
		k.e.Quote[100] ^= 1
	}, dcap.QuoteSignature},
}

func TestAttack(t *testing.T) {
	if v := newWorld().build(t).judge(); !v.Accepted() {
		t.Fatalf("the world without an attack is rejected: %+v", v.Failed())
	}
	if v := func() *verify.Verdict { w := newWorld(); w.scenario.V5(); return w.build(t).judge() }(); !v.Accepted() {
		t.Fatalf("the world of version 5 is rejected: %+v", v.Failed())
	}
	names := map[string]bool{}
	for _, a := range attacks {
		if names[a.name] {
			t.Errorf("%s: two attacks have this name", a.name)
		}
		names[a.name] = true
		t.Run(a.name, func(t *testing.T) {
			w := newWorld()
			if a.world != nil {
				a.world(w)
			}
			k := w.build(t)
			if a.kit != nil {
				a.kit(t, k)
			}
			v := k.judge()
			if v.Accepted() {
				t.Fatal("is accepted")
			}
			c := v.Check(a.want)
			if !c.Required || c.Status == verify.Pass {
				t.Errorf("%s is %v, required %v; failed: %v", a.want, c.Status, c.Required, failedIDs(v))
			}
			if c.Status == verify.Fail && c.Why == "" && (c.Want == "" || c.Got == "") {
				t.Errorf("%s does not say what is wrong", a.want)
			}
		})
	}
	t.Logf("%d attacks", len(attacks))
}

// noKeys is a configuration document of the expected application that allows no key provider.
func noKeys() []byte {
	return []byte(`{"compose_hash":"` + hex.EncodeToString(goodHash()) + `","key_provider":"none"}`)
}

func failedIDs(v *verify.Verdict) (ids []verify.CheckID) {
	for _, c := range v.Failed() {
		ids = append(ids, c.ID)
	}
	return ids
}
