package dcap_test

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/internal/testpki"
	"github.com/tdxkit/tdxkit/quote"
)

// judge builds and judges a scenario at its time, with its root.
func judge(t testing.TB, s *testpki.Scenario) (*dcap.Result, error) {
	t.Helper()
	w := s.Build()
	return judgeWorld(t, w, w.Quote, w.Collateral())
}

func judgeWorld(t testing.TB, w *testpki.World, q, c []byte) (*dcap.Result, error) {
	t.Helper()
	return dcap.Judge(mustQuote(t, q), mustCollateral(t, c), options(w))
}

func options(w *testpki.World) dcap.Options {
	return dcap.Options{Time: testpki.Now, Roots: []dcap.Fingerprint{w.RootFingerprint()}}
}

func TestWorldIsDeterministic(t *testing.T) {
	a, b := testpki.Default().Build(), testpki.Default().Build()
	if !bytes.Equal(a.Quote, b.Quote) || !bytes.Equal(a.Collateral(), b.Collateral()) {
		t.Error("two builds of one scenario differ")
	}
}

// criticalExtension is one that nobody knows.
var criticalExtension = pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}

// worlds are scenarios with what they must be judged as. Each changes one thing in a world that is in order.
var worlds = []struct {
	name   string
	change func(*testpki.Scenario)
	status dcap.Status
	fails  []dcap.CheckID
}{
	{"in order", func(s *testpki.Scenario) {}, dcap.UpToDate, nil},
	{"in order, version 5", func(s *testpki.Scenario) { s.V5() }, dcap.UpToDate, nil},
	{"in order, version 5 with a TD report 1.0", func(s *testpki.Scenario) { s.Quote.Version = 5 }, dcap.UpToDate, nil},
	{"in order, module of version 0", func(s *testpki.Scenario) {
		s.Quote.TD.TEETCBSVN = [16]byte{5, 0, 4}
		s.TCBInfo.Modules = nil
	}, dcap.UpToDate, nil},
	{"in order, padded", func(s *testpki.Scenario) { s.Quote.Padding = 70 }, dcap.UpToDate, nil},
	{"in order, processor CA", func(s *testpki.Scenario) { s.CA.CN = "Intel SGX PCK Processor CA" }, dcap.UpToDate, nil},

	// Levels of the platform.
	{"SWHardeningNeeded", func(s *testpki.Scenario) { s.TCBInfo.Levels[0].Status = "SWHardeningNeeded" }, dcap.SWHardeningNeeded, []dcap.CheckID{dcap.TCBStatus}},
	{"ConfigurationNeeded", func(s *testpki.Scenario) { s.TCBInfo.Levels[0].Status = "ConfigurationNeeded" }, dcap.ConfigurationNeeded, []dcap.CheckID{dcap.TCBStatus}},
	{"ConfigurationAndSWHardeningNeeded", func(s *testpki.Scenario) { s.TCBInfo.Levels[0].Status = "ConfigurationAndSWHardeningNeeded" },
		dcap.ConfigurationAndSWHardeningNeeded, []dcap.CheckID{dcap.TCBStatus}},
	{"OutOfDateConfigurationNeeded", func(s *testpki.Scenario) { s.TCBInfo.Levels[0].Status = "OutOfDateConfigurationNeeded" },
		dcap.OutOfDateConfigurationNeeded, []dcap.CheckID{dcap.TCBStatus}},
	{"platform revoked", func(s *testpki.Scenario) { s.TCBInfo.Levels[0].Status = "Revoked" }, dcap.Revoked, []dcap.CheckID{dcap.TCBStatus}},
	{"unknown status", func(s *testpki.Scenario) { s.TCBInfo.Levels[0].Status = "Fine" }, dcap.NoStatus, []dcap.CheckID{dcap.TCBInfoFormat}},
	{"one SGX component behind", func(s *testpki.Scenario) { s.PCK.SGX[0] = 3 }, dcap.OutOfDate, []dcap.CheckID{dcap.TCBStatus}},
	{"last SGX component behind", func(s *testpki.Scenario) { s.TCBInfo.Levels[0].SGX[15], s.TCBInfo.Levels[1].SGX[15] = 1, 1 },
		dcap.NoStatus, []dcap.CheckID{dcap.TCBPlatform}},
	{"PCESVN behind", func(s *testpki.Scenario) { s.PCK.PCESVN = 10 }, dcap.NoStatus, []dcap.CheckID{dcap.TCBPlatform}},
	{"TDX component behind", func(s *testpki.Scenario) { s.Quote.TD.TEETCBSVN[2] = 3 }, dcap.OutOfDate, []dcap.CheckID{dcap.TCBStatus}},
	{"last TDX component behind", func(s *testpki.Scenario) { s.TCBInfo.Levels[0].TDX[15], s.TCBInfo.Levels[1].TDX[15] = 1, 1 },
		dcap.NoStatus, []dcap.CheckID{dcap.TCBPlatform}},
	{"one component ahead, another behind", func(s *testpki.Scenario) { s.PCK.SGX[0], s.PCK.SGX[1] = 200, 3 }, dcap.OutOfDate, []dcap.CheckID{dcap.TCBStatus}},
	{"module's SVN of a version 0 module behind", func(s *testpki.Scenario) { s.Quote.TD.TEETCBSVN = [16]byte{4, 0, 4} },
		dcap.NoStatus, []dcap.CheckID{dcap.TCBPlatform}},

	// The module and the QE pull the platform down.
	{"module OutOfDate", func(s *testpki.Scenario) { s.Quote.TD.TEETCBSVN[0] = 3 }, dcap.OutOfDate, []dcap.CheckID{dcap.TCBStatus}},
	{"module revoked", func(s *testpki.Scenario) { s.Quote.TD.TEETCBSVN[0] = 2 }, dcap.Revoked, []dcap.CheckID{dcap.TCBStatus}},
	{"module below every level", func(s *testpki.Scenario) { s.Quote.TD.TEETCBSVN[0] = 1 }, dcap.NoStatus, []dcap.CheckID{dcap.TCBModule}},
	{"module UpToDate by its own identity, not by the first", func(s *testpki.Scenario) { s.TCBInfo.Modules[0].Levels[0].SVN = 6 }, dcap.UpToDate, nil},
	{"module of a version without identity", func(s *testpki.Scenario) { s.Quote.TD.TEETCBSVN[1] = 2 }, dcap.NoStatus, []dcap.CheckID{dcap.ModuleMatch}},
	{"module identities missing", func(s *testpki.Scenario) { s.TCBInfo.Modules = nil }, dcap.NoStatus, []dcap.CheckID{dcap.ModuleMatch}},
	{"module of version 16 is TDX_10", func(s *testpki.Scenario) { s.Quote.TD.TEETCBSVN[1] = 16; s.TCBInfo.Modules[1].ID = "TDX_10" }, dcap.UpToDate, nil},
	{"module of version 10 is not TDX_10", func(s *testpki.Scenario) { s.Quote.TD.TEETCBSVN[1] = 10; s.TCBInfo.Modules[1].ID = "TDX_10" },
		dcap.NoStatus, []dcap.CheckID{dcap.ModuleMatch}},
	{"module identity in small letters", func(s *testpki.Scenario) { s.Quote.TD.TEETCBSVN[1] = 10; s.TCBInfo.Modules[1].ID = "tdx_0a" }, dcap.UpToDate, nil},
	{"module OutOfDate, platform needs configuration", func(s *testpki.Scenario) {
		s.Quote.TD.TEETCBSVN[0] = 3
		s.TCBInfo.Levels[0].Status = "ConfigurationAndSWHardeningNeeded"
	}, dcap.OutOfDateConfigurationNeeded, []dcap.CheckID{dcap.TCBStatus}},
	{"platform OutOfDate, module UpToDate", func(s *testpki.Scenario) { s.PCK.SGX[0] = 3 }, dcap.OutOfDate, []dcap.CheckID{dcap.TCBStatus}},
	{"platform OutOfDate, module revoked", func(s *testpki.Scenario) { s.PCK.SGX[0] = 3; s.Quote.TD.TEETCBSVN[0] = 2 }, dcap.Revoked, []dcap.CheckID{dcap.TCBStatus}},
	{"QE OutOfDate", func(s *testpki.Scenario) { s.Quote.QE.ISVSVN = 3 }, dcap.OutOfDate, []dcap.CheckID{dcap.TCBStatus}},
	{"QE revoked", func(s *testpki.Scenario) { s.QEIdentity.Levels[0].Status = "Revoked" }, dcap.Revoked, []dcap.CheckID{dcap.TCBStatus}},
	{"QE below every level", func(s *testpki.Scenario) { s.Quote.QE.ISVSVN = 1 }, dcap.NoStatus, []dcap.CheckID{dcap.TCBQE}},
	{"QE with a status that QEs do not have", func(s *testpki.Scenario) { s.QEIdentity.Levels[0].Status = "ConfigurationNeeded" },
		dcap.NoStatus, []dcap.CheckID{dcap.QEIdentityFormat}},

	// Launch against now.
	{"relaunch advised", func(s *testpki.Scenario) { s.V5().Quote.TD.TEETCBSVN[0] = 3 }, dcap.TDRelaunchAdvised, []dcap.CheckID{dcap.TCBStatus}},
	{"relaunch advised, configuration needed", func(s *testpki.Scenario) {
		s.V5().Quote.TD.TEETCBSVN[0] = 3
		s.TCBInfo.Levels[0].Status = "ConfigurationNeeded"
	}, dcap.TDRelaunchAdvisedConfigurationNeeded, []dcap.CheckID{dcap.TCBStatus}},
	{"out of date then and now", func(s *testpki.Scenario) { s.V5().Quote.TD.TEETCBSVN[0], s.Quote.TD.TEETCBSVN2[0] = 3, 3 }, dcap.OutOfDate, []dcap.CheckID{dcap.TCBStatus}},
	{"revoked then, good now", func(s *testpki.Scenario) { s.V5().Quote.TD.TEETCBSVN[0] = 2 }, dcap.Revoked, []dcap.CheckID{dcap.TCBStatus}},
	{"good then, out of date now", func(s *testpki.Scenario) { s.V5().Quote.TD.TEETCBSVN2[0] = 3 }, dcap.OutOfDate, []dcap.CheckID{dcap.TCBStatus}},
	{"good then, revoked now", func(s *testpki.Scenario) { s.V5().Quote.TD.TEETCBSVN2[0] = 2 }, dcap.Revoked, []dcap.CheckID{dcap.TCBStatus}},
	{"out of date then, module of now needs configuration too", func(s *testpki.Scenario) {
		s.V5().Quote.TD.TEETCBSVN[2], s.Quote.TD.TEETCBSVN2[0] = 3, 3
		s.TCBInfo.Levels[0].Status = "ConfigurationNeeded"
	}, dcap.OutOfDateConfigurationNeeded, []dcap.CheckID{dcap.TCBStatus}},
	{"good then, hardening needed now", func(s *testpki.Scenario) {
		s.V5().Quote.TD.TEETCBSVN2[2] = 3
		s.TCBInfo.Levels[1].Status = "SWHardeningNeeded"
	}, dcap.SWHardeningNeeded, []dcap.CheckID{dcap.TCBStatus}},
	{"configuration needed then, hardening now", func(s *testpki.Scenario) {
		s.V5().Quote.TD.TEETCBSVN2[2] = 3
		s.TCBInfo.Levels[0].Status, s.TCBInfo.Levels[1].Status = "ConfigurationNeeded", "SWHardeningNeeded"
	}, dcap.ConfigurationAndSWHardeningNeeded, []dcap.CheckID{dcap.TCBStatus}},
	{"hardening needed then, configuration now", func(s *testpki.Scenario) {
		s.V5().Quote.TD.TEETCBSVN2[2] = 3
		s.TCBInfo.Levels[0].Status, s.TCBInfo.Levels[1].Status = "SWHardeningNeeded", "ConfigurationNeeded"
	}, dcap.ConfigurationAndSWHardeningNeeded, []dcap.CheckID{dcap.TCBStatus}},
	{"hardening needed then, good now", func(s *testpki.Scenario) {
		s.V5().Quote.TD.TEETCBSVN[2] = 3
		s.TCBInfo.Levels[1].Status = "SWHardeningNeeded"
	}, dcap.SWHardeningNeeded, []dcap.CheckID{dcap.TCBStatus}},
	{"no level now", func(s *testpki.Scenario) { s.V5().Quote.TD.TEETCBSVN2[0] = 1 }, dcap.UpToDate, []dcap.CheckID{dcap.TCBCurrent}},
	{"no module identity now", func(s *testpki.Scenario) { s.V5().Quote.TD.TEETCBSVN2[1] = 9 }, dcap.NoStatus, []dcap.CheckID{dcap.ModuleMatch}},

	// What the module and the QE must be.
	{"module of another signer", func(s *testpki.Scenario) { s.Quote.TD.MRSIGNERSEAM[0] = 1 }, dcap.NoStatus, []dcap.CheckID{dcap.ModuleMatch}},
	{"module signed as tdxModule says, not as its identity", func(s *testpki.Scenario) {
		s.Quote.TD.MRSIGNERSEAM[0], s.TCBInfo.Module.MRSIGNER[0] = 1, 1
	}, dcap.NoStatus, []dcap.CheckID{dcap.ModuleMatch}},
	{"module signed as its identity says, not as tdxModule", func(s *testpki.Scenario) {
		s.Quote.TD.MRSIGNERSEAM[0], s.TCBInfo.Modules[1].MRSIGNER[0] = 1, 1
	}, dcap.UpToDate, nil},
	{"module of another signer at launch, of the right one now", func(s *testpki.Scenario) {
		s.V5().Quote.TD.TEETCBSVN2[1] = 3
		s.TCBInfo.Modules[1].MRSIGNER[0] = 1
	}, dcap.NoStatus, []dcap.CheckID{dcap.ModuleMatch}},
	{"module under debug", func(s *testpki.Scenario) { s.Quote.TD.SEAMAttributes[0] = 1 }, dcap.NoStatus, []dcap.CheckID{dcap.ModuleMatch}},
	{"module under debug that the mask hides", func(s *testpki.Scenario) {
		s.Quote.TD.SEAMAttributes[0], s.TCBInfo.Modules[1].Mask[0] = 1, 0
	}, dcap.NoStatus, []dcap.CheckID{dcap.ModuleMatch}},
	{"QE of another signer", func(s *testpki.Scenario) { s.Quote.QE.MRSIGNER[31] = 1 }, dcap.NoStatus, []dcap.CheckID{dcap.QEMatch}},
	{"QE of another product", func(s *testpki.Scenario) { s.Quote.QE.ISVProdID = 1 }, dcap.NoStatus, []dcap.CheckID{dcap.QEMatch}},
	{"QE under debug", func(s *testpki.Scenario) { s.Quote.QE.Attributes[0] |= 2 }, dcap.NoStatus, []dcap.CheckID{dcap.QEMatch}},
	{"QE of another vendor", func(s *testpki.Scenario) { s.Quote.QEVendorID[0]++ }, dcap.UpToDate, []dcap.CheckID{dcap.QuoteVendor}},

	// Another platform's collateral.
	{"TCB info of another FMSPC", func(s *testpki.Scenario) { s.TCBInfo.FMSPC[0]++ }, dcap.NoStatus, []dcap.CheckID{dcap.TCBInfoPlatform}},
	{"TCB info of another PCEID", func(s *testpki.Scenario) { s.TCBInfo.PCEID[1]++ }, dcap.NoStatus, []dcap.CheckID{dcap.TCBInfoPlatform}},
	{"TCB info of SGX", func(s *testpki.Scenario) { s.EditTCBInfo = replace(`"id":"TDX"`, `"id":"SGX"`) }, dcap.NoStatus, []dcap.CheckID{dcap.TCBInfoFormat}},
	{"TCB info of version 4", func(s *testpki.Scenario) { s.EditTCBInfo = replace(`"version":3`, `"version":4`) }, dcap.NoStatus, []dcap.CheckID{dcap.TCBInfoFormat}},
	{"TCB info of another type", func(s *testpki.Scenario) { s.EditTCBInfo = replace(`"tcbType":0`, `"tcbType":1`) }, dcap.NoStatus, []dcap.CheckID{dcap.TCBInfoFormat}},
	{"QE identity of SGX", func(s *testpki.Scenario) { s.EditQEIdentity = replace(`"TD_QE"`, `"QE"`) }, dcap.NoStatus, []dcap.CheckID{dcap.QEIdentityFormat}},

	// Time. Each ends or begins a second too early or late.
	{"PCK certificate expired", func(s *testpki.Scenario) { s.PCKCert.NotAfter = testpki.Now.Add(-time.Second) }, dcap.UpToDate, []dcap.CheckID{dcap.PCKTime}},
	{"PCK certificate not yet valid", func(s *testpki.Scenario) { s.PCKCert.NotBefore = testpki.Now.Add(time.Second) }, dcap.UpToDate, []dcap.CheckID{dcap.PCKTime}},
	{"CA expired", func(s *testpki.Scenario) { s.CA.NotAfter = testpki.Now.Add(-time.Second) }, dcap.UpToDate, []dcap.CheckID{dcap.PCKTime}},
	{"root expired", func(s *testpki.Scenario) { s.Root.NotAfter = testpki.Now.Add(-time.Second) }, dcap.UpToDate,
		[]dcap.CheckID{dcap.PCKTime, dcap.TCBInfoChainTime, dcap.QEIdentityChainTime}},
	{"signer expired", func(s *testpki.Scenario) { s.Signing.NotAfter = testpki.Now.Add(-time.Second) }, dcap.UpToDate,
		[]dcap.CheckID{dcap.TCBInfoChainTime, dcap.QEIdentityChainTime}},
	{"signer not yet valid", func(s *testpki.Scenario) { s.Signing.NotBefore = testpki.Now.Add(time.Second) }, dcap.UpToDate,
		[]dcap.CheckID{dcap.TCBInfoChainTime, dcap.QEIdentityChainTime}},
	{"TCB info expired", func(s *testpki.Scenario) { s.TCBInfo.NextUpdate = testpki.Now.Add(-time.Second) }, dcap.UpToDate, []dcap.CheckID{dcap.TCBInfoTime}},
	{"TCB info not yet issued", func(s *testpki.Scenario) { s.TCBInfo.IssueDate = testpki.Now.Add(time.Second) }, dcap.UpToDate, []dcap.CheckID{dcap.TCBInfoTime}},
	{"QE identity expired", func(s *testpki.Scenario) { s.QEIdentity.NextUpdate = testpki.Now.Add(-time.Second) }, dcap.UpToDate, []dcap.CheckID{dcap.QEIdentityTime}},
	{"QE identity not yet issued", func(s *testpki.Scenario) { s.QEIdentity.IssueDate = testpki.Now.Add(time.Second) }, dcap.UpToDate, []dcap.CheckID{dcap.QEIdentityTime}},
	{"root CRL expired", func(s *testpki.Scenario) { s.RootCRL.NextUpdate = testpki.Now.Add(-time.Second) }, dcap.UpToDate, []dcap.CheckID{dcap.RootCRLTime}},
	{"root CRL not yet issued", func(s *testpki.Scenario) { s.RootCRL.ThisUpdate = testpki.Now.Add(time.Second) }, dcap.UpToDate, []dcap.CheckID{dcap.RootCRLTime}},
	{"PCK CRL expired", func(s *testpki.Scenario) { s.PCKCRL.NextUpdate = testpki.Now.Add(-time.Second) }, dcap.UpToDate, []dcap.CheckID{dcap.PCKCRLTime}},
	{"PCK CRL not yet issued", func(s *testpki.Scenario) { s.PCKCRL.ThisUpdate = testpki.Now.Add(time.Second) }, dcap.UpToDate, []dcap.CheckID{dcap.PCKCRLTime}},

	// Revocation.
	{"PCK certificate revoked", func(s *testpki.Scenario) { s.PCKCRL.Revoked = []int64{99, testpki.SerialPCK} }, dcap.UpToDate, []dcap.CheckID{dcap.PCKRevocation}},
	{"another PCK certificate revoked", func(s *testpki.Scenario) { s.PCKCRL.Revoked = []int64{99} }, dcap.UpToDate, nil},
	{"CA revoked", func(s *testpki.Scenario) { s.RootCRL.Revoked = []int64{testpki.SerialPlatformCA} }, dcap.UpToDate, []dcap.CheckID{dcap.PCKCARevocation}},
	{"signer revoked", func(s *testpki.Scenario) { s.RootCRL.Revoked = []int64{testpki.SerialSigning} }, dcap.UpToDate,
		[]dcap.CheckID{dcap.TCBInfoRevocation, dcap.QEIdentityRevocation}},
	{"CRL of a part of the certificates", func(s *testpki.Scenario) { s.PCKCRL.Extensions = []pkix.Extension{criticalExtension} },
		dcap.UpToDate, []dcap.CheckID{dcap.PCKCRL}},

	// Certificates that may not do what they do.
	{"PCK certificate of another name", func(s *testpki.Scenario) { s.PCKCert.CN = "Intel SGX TCB Signing" }, dcap.NoStatus, []dcap.CheckID{dcap.PCKChain}},
	{"CA of another name", func(s *testpki.Scenario) { s.CA.CN = "Intel SGX Attestation CA" }, dcap.NoStatus, []dcap.CheckID{dcap.PCKChain}},
	{"signer of another name", func(s *testpki.Scenario) { s.Signing.CN = "Intel SGX PCK Certificate" }, dcap.NoStatus,
		[]dcap.CheckID{dcap.TCBInfoChain, dcap.QEIdentityChain}},
	{"signer that is a CA", func(s *testpki.Scenario) { s.Signing.PathLen = 0 }, dcap.NoStatus, []dcap.CheckID{dcap.TCBInfoChain, dcap.QEIdentityChain}},
	{"PCK certificate that is a CA", func(s *testpki.Scenario) { s.PCKCert.PathLen = 0 }, dcap.NoStatus, []dcap.CheckID{dcap.PCKChain}},
	{"CA that is none", func(s *testpki.Scenario) { s.CA.PathLen = -1 }, dcap.NoStatus, []dcap.CheckID{dcap.PCKChain}},
	{"root that allows no CA below", func(s *testpki.Scenario) { s.Root.PathLen = 0 }, dcap.NoStatus, []dcap.CheckID{dcap.PCKChain}},
	{"critical extension in the PCK certificate", func(s *testpki.Scenario) { s.PCKCert.Extensions = []pkix.Extension{criticalExtension} },
		dcap.NoStatus, []dcap.CheckID{dcap.PCKChain}},

	// What the TD is.
	{"DEBUG", func(s *testpki.Scenario) { s.Quote.TD.Attributes |= quote.Debug }, dcap.UpToDate, []dcap.CheckID{dcap.TDDebug}},
	{"another bit of the debug group", func(s *testpki.Scenario) { s.Quote.TD.Attributes |= 1 << 5 }, dcap.UpToDate, []dcap.CheckID{dcap.TDDebug}},
	{"reserved bit of the debug group", func(s *testpki.Scenario) { s.Quote.TD.Attributes |= 1 << 7 }, dcap.UpToDate, []dcap.CheckID{dcap.TDDebug, dcap.TDAttributes}},
	{"attribute without a name", func(s *testpki.Scenario) { s.Quote.TD.Attributes |= 1 << 20 }, dcap.UpToDate, []dcap.CheckID{dcap.TDAttributes}},
	{"migratable", func(s *testpki.Scenario) { s.Quote.TD.Attributes |= quote.Migratable }, dcap.UpToDate, []dcap.CheckID{dcap.TDMigratable}},
	{"XFAM bit without a name", func(s *testpki.Scenario) { s.Quote.TD.XFAM |= 1 << 40 }, dcap.UpToDate, []dcap.CheckID{dcap.TDXFAM}},
	{"XFAM without SSE", func(s *testpki.Scenario) { s.Quote.TD.XFAM &^= 2 }, dcap.UpToDate, []dcap.CheckID{dcap.TDXFAM}},
	{"service TD", func(s *testpki.Scenario) { s.V5().Quote.TD.MRSERVICETD[47] = 1 }, dcap.UpToDate, []dcap.CheckID{dcap.TDServiceTD}},
}

// replace returns an edit that must find what it looks for.
func replace(from, to string) func(string) string {
	return func(s string) string {
		if strings.Count(s, from) != 1 {
			panic("want one " + from)
		}
		return strings.Replace(s, from, to, 1)
	}
}

func TestWorlds(t *testing.T) {
	seen := map[dcap.CheckID]bool{}
	for _, tc := range worlds {
		t.Run(tc.name, func(t *testing.T) {
			s := testpki.Default()
			tc.change(s)
			r, err := judge(t, s)
			if got := fails(r); !slices.Equal(got, tc.fails) {
				t.Fatalf("failed checks: got %v, want %v\n%v", got, tc.fails, err)
			}
			if r.Status != tc.status || r.Accepted() != (tc.fails == nil) || (err == nil) != (tc.fails == nil) {
				t.Errorf("got %v, accepted %v, %v", r.Status, r.Accepted(), err)
			}
			for _, id := range tc.fails {
				seen[id] = true
			}
		})
	}
	// Checks that no scenario of this table can make fail are made to fail elsewhere.
	elsewhere := []dcap.CheckID{dcap.QuoteTEE, dcap.QuoteCertification, dcap.PCKExtension, dcap.RootCRL, dcap.TCBInfoSignature,
		dcap.QEIdentitySignature, dcap.QEReportSignature, dcap.QEBinding, dcap.QuoteSignature}
	ids, questions := dcap.CheckIDs()
	for i, id := range ids {
		if !seen[id] && !slices.Contains(elsewhere, id) {
			t.Errorf("no scenario makes %s fail", id)
		}
		if questions[i] == "" || slices.Index(ids, id) != i {
			t.Errorf("%s has no question, or occurs twice", id)
		}
	}
}

// TestComponents looks at what is told of the parts.
func TestComponents(t *testing.T) {
	s := testpki.Default()
	s.PCK.SGX[0], s.Quote.TD.TEETCBSVN[0], s.Quote.QE.ISVSVN = 3, 3, 2
	r, _ := judge(t, s)
	if r.Platform.Status != dcap.OutOfDate || r.Platform.Level != 1 || r.Module.Level != 1 || r.QE.Level != 1 {
		t.Errorf("got platform %+v, module %+v, QE %+v", r.Platform, r.Module, r.QE)
	}
	want := []string{"INTEL-SA-00999", "INTEL-SA-01192", "INTEL-SA-01245", "INTEL-SA-01312"}
	if !slices.Equal(r.Advisories, want) || r.TCBDate.Format("2006-01-02") != "2024-03-13" {
		t.Errorf("got advisories %v, TCB date %v", r.Advisories, r.TCBDate)
	}
	if r.PCK == nil || r.PCK.FMSPC != s.PCK.FMSPC || r.PCK.SGX != s.PCK.SGX || r.PCK.PCESVN != 13 || r.CA != "platform" ||
		r.PCK.DynamicPlatform == nil || !*r.PCK.DynamicPlatform || *r.PCK.CachedKeys {
		t.Errorf("got PCK %+v of %s", r.PCK, r.CA)
	}
	if r.Signatures != 9 {
		t.Errorf("verified %d signatures, want 9", r.Signatures)
	}
}

// TestComponentsNow asks for what the module that runs now adds: its level's advisories and date count like those of launch.
func TestComponentsNow(t *testing.T) {
	s := testpki.Default().V5()
	s.Quote.TD.TEETCBSVN2[0] = 3
	r, _ := judge(t, s)
	if r.Current == nil || r.Current.Module.Status != dcap.OutOfDate || r.Module.Status != dcap.UpToDate {
		t.Fatalf("got %+v now, %+v at launch", r.Current, r.Module)
	}
	if len(r.Current.Module.Advisories) == 0 || !slices.Equal(r.Advisories, r.Current.Module.Advisories) || !r.TCBDate.Equal(r.Current.Module.Date) {
		t.Errorf("got advisories %v and date %v, want those of now, %v and %v", r.Advisories, r.TCBDate, r.Current.Module.Advisories, r.Current.Module.Date)
	}
}

// TestTCBDate: the TCB's date is the earliest of its parts', whichever that is.
func TestTCBDate(t *testing.T) {
	const early, late = "2019-01-01", "2025-01-01"
	for name, set := range map[string]func(s *testpki.Scenario, date string){
		"platform": func(s *testpki.Scenario, date string) { s.TCBInfo.Levels[0].Date = date },
		"module":   func(s *testpki.Scenario, date string) { s.TCBInfo.Modules[1].Levels[0].Date = date },
		"QE":       func(s *testpki.Scenario, date string) { s.QEIdentity.Levels[0].Date = date },
		"platform, no module": func(s *testpki.Scenario, date string) {
			s.Quote.TD.TEETCBSVN = [16]byte{5, 0, 4}
			s.TCBInfo.Levels[0].Date = date
		},
	} {
		s := testpki.Default()
		s.TCBInfo.Levels[0].Date, s.TCBInfo.Modules[1].Levels[0].Date, s.QEIdentity.Levels[0].Date = late, late, late
		set(s, early)
		if r, err := judge(t, s); err != nil || r.TCBDate.Format(time.DateOnly) != early {
			t.Errorf("%s: date %v, want %s; %v", name, r.TCBDate, early, err)
		}
	}
}

// TestAccept widens what passes, by name.
func TestAccept(t *testing.T) {
	s := testpki.Default()
	s.TCBInfo.Levels[0].Status = "SWHardeningNeeded"
	w := s.Build()
	opts := options(w)
	opts.Accept = []dcap.Status{dcap.UpToDate, dcap.SWHardeningNeeded}
	if r, err := dcap.Judge(mustQuote(t, w.Quote), mustCollateral(t, w.Collateral()), opts); err != nil || !r.Accepted() {
		t.Errorf("got %v", err)
	}
	opts.Accept = []dcap.Status{dcap.NoStatus, dcap.OutOfDate}
	if r, err := dcap.Judge(mustQuote(t, w.Quote), mustCollateral(t, w.Collateral()), opts); err == nil || r.Accepted() {
		t.Error("accepted")
	}
	opts.Accept = []dcap.Status{} // not nil: nothing passes
	if r, err := dcap.Judge(mustQuote(t, w.Quote), mustCollateral(t, w.Collateral()), opts); err == nil || r.Accepted() {
		t.Error("accepted")
	}
}

// TestZero judges with nothing.
func TestZero(t *testing.T) {
	if (&dcap.Result{}).Accepted() || (*dcap.Result)(nil).Accepted() {
		t.Error("the zero Result is accepted")
	}
	ids, _ := dcap.CheckIDs()
	if got := (&dcap.Result{}).Failed(ids[0]); len(got) != len(ids)-1 || got[0].Status != dcap.NotRun {
		t.Errorf("the zero Result has %d checks that did not pass, want %d", len(got), len(ids)-1)
	}
	w := testpki.Default().Build()
	q, c := mustQuote(t, w.Quote), mustCollateral(t, w.Collateral())
	for name, f := range map[string]func() (*dcap.Result, error){
		"no quote":         func() (*dcap.Result, error) { return dcap.Judge(nil, c, options(w)) },
		"no collateral":    func() (*dcap.Result, error) { return dcap.Judge(q, nil, options(w)) },
		"no time":          func() (*dcap.Result, error) { return dcap.Judge(q, c, dcap.Options{Roots: options(w).Roots}) },
		"empty quote":      func() (*dcap.Result, error) { return dcap.Judge(&quote.Quote{}, c, options(w)) },
		"empty collateral": func() (*dcap.Result, error) { return dcap.Judge(q, &dcap.Collateral{}, options(w)) },
		"no roots": func() (*dcap.Result, error) {
			return dcap.Judge(q, c, dcap.Options{Time: testpki.Now, Roots: []dcap.Fingerprint{}})
		},
		"Intel's root": func() (*dcap.Result, error) { return dcap.Judge(q, c, dcap.Options{Time: testpki.Now}) },
	} {
		r, err := f()
		if r == nil || err == nil || r.Accepted() {
			t.Errorf("%s: got %v, %v", name, r, err)
		}
	}
}

func TestStatusNames(t *testing.T) {
	for s := dcap.UpToDate; s <= dcap.Revoked; s++ {
		if got, ok := dcap.ParseStatus(s.String()); !ok || got != s {
			t.Errorf("%v: got %v, %v", s, got, ok)
		}
	}
	for _, bad := range []string{"none", "", "uptodate", "UpToDate "} {
		if _, ok := dcap.ParseStatus(bad); ok {
			t.Errorf("%q is taken for a status", bad)
		}
	}
}
