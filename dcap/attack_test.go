package dcap_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"slices"
	"testing"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/testpki"
	"github.com/tdxkit/tdxkit/quote"
)

// The first four attacks succeed against go-tdx-guest 91f9a52 (2026-03-05).

// TestAttackOldPlatformBehindNewModule: where the TDX module has a major version, that verifier looks at the module's level
// in place of the platform's, so that microcode with known holes passes.
func TestAttackOldPlatformBehindNewModule(t *testing.T) {
	s := testpki.Default()
	s.PCK.SGX[0], s.PCK.SGX[1] = 3, 3
	r, err := judge(t, s)
	if err == nil || r.Status != dcap.OutOfDate || r.Platform.Status != dcap.OutOfDate || r.Module.Status != dcap.UpToDate {
		t.Errorf("got %v, platform %v, module %v, %v", r.Status, r.Platform.Status, r.Module.Status, err)
	}
	if !slices.Contains(r.Advisories, "INTEL-SA-01192") {
		t.Errorf("the platform's advisories are lost: %v", r.Advisories)
	}
}

// TestAttackSecondTCBInfo: that verifier takes the signed bytes by exact name and the levels by any case, so that a second
// member brings levels that nobody signed.
func TestAttackSecondTCBInfo(t *testing.T) {
	s := testpki.Default()
	s.PCK.SGX[0] = 1 // matches no level
	w := s.Build()
	genuine, sig := string(w.TCBInfo), hex.EncodeToString(w.TCBInfoSig)
	s.TCBInfo.Levels[0].SGX = [16]uint8{}
	forged := s.TCBInfo.JSON()
	for name, body := range map[string]string{
		"another case":       `{"tcbInfo":` + genuine + `,"signature":"` + sig + `","TcbInfo":` + forged + `}`,
		"another case first": `{"TcbInfo":` + forged + `,"tcbInfo":` + genuine + `,"signature":"` + sig + `"}`,
		"twice":              `{"tcbInfo":` + genuine + `,"signature":"` + sig + `","tcbInfo":` + forged + `}`,
		"escaped":            `{"tcbInfo":` + genuine + `,"signature":"` + sig + `","\u0074cbInfo":` + forged + `}`,
		"only another case":  `{"TcbInfo":` + genuine + `,"signature":"` + sig + `"}`,
		"one more member":    `{"tcbInfo":` + genuine + `,"signature":"` + sig + `","tcb":` + forged + `}`,
	} {
		if _, _, err := dcap.ParseTCBInfoResponse([]byte(body)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	text, gotSig, err := dcap.ParseTCBInfoResponse([]byte(`{ "signature":"` + sig + `", "tcbInfo": ` + genuine + ` }`))
	if err != nil || string(text) != genuine || !bytes.Equal(gotSig, w.TCBInfoSig) {
		t.Errorf("the genuine response: %v", err)
	}
	// The same inside the signed text, by a signer that errs.
	s.EditTCBInfo = replace(`,"tcbLevels":[{"tcb":{"sgx`, `,"TcbLevels":[],"tcbLevels":[{"tcb":{"sgx`)
	if r, err := judge(t, s); err == nil || r.Check(dcap.TCBInfoFormat).Status != dcap.Fail {
		t.Errorf("signed text with a member in two cases: %v", err)
	}
}

// TestAttackFutureCollateral: that verifier never compares issueDate and thisUpdate, so that collateral of later, which may
// be kinder, passes for earlier.
func TestAttackFutureCollateral(t *testing.T) {
	q := mustQuote(t, fixtures.File(t, "quotes", "phala-tdx_quote.bin"))
	c := mustCollateral(t, fixtures.File(t, "quotes", "collateral-b0c06f-2025-06-19.json"))
	r, err := dcap.Judge(q, c, dcap.Options{Time: at(t, "2025-06-10T00:00:00Z")})
	if err == nil || !slices.Equal(fails(r), []dcap.CheckID{dcap.PCKCRLTime, dcap.TCBInfoTime, dcap.QEIdentityTime}) {
		t.Errorf("nine days before: %v", err)
	}
}

// TestAttackModuleOfAnotherSigner: that verifier compares the module with tdxModule and never with the identity that
// speaks of its version, leaves TEE_TCB_SVN2 aside, and accepts a DEBUG TD.
func TestAttackModuleOfAnotherSigner(t *testing.T) {
	s := testpki.Default()
	s.TCBInfo.Modules[1].MRSIGNER[0] = 7 // TDX_01 must be by this signer; the quote has the one of tdxModule
	if r, err := judge(t, s); err == nil || !slices.Equal(fails(r), []dcap.CheckID{dcap.ModuleMatch}) {
		t.Errorf("signer: %v", err)
	}
	s = testpki.Default().V5()
	s.Quote.TD.TEETCBSVN2[0] = 1
	if r, err := judge(t, s); err == nil || !slices.Equal(fails(r), []dcap.CheckID{dcap.TCBCurrent}) {
		t.Errorf("TEE_TCB_SVN2: %v", err)
	}
	s = testpki.Default()
	s.Quote.TD.Attributes |= quote.Debug
	if r, err := judge(t, s); err == nil || !slices.Equal(fails(r), []dcap.CheckID{dcap.TDDebug}) {
		t.Errorf("DEBUG: %v", err)
	}
}

// TestAttackLateCRL: dcap-qvl 9bffe30 accepts a PCK CRL a second after its nextUpdate.
func TestAttackLateCRL(t *testing.T) {
	q := mustQuote(t, fixtures.File(t, "quotes", "near-mpc.bin"))
	c := mustCollateral(t, fixtures.File(t, "quotes", "collateral-b0c06f-2026-08-14.json"))
	r, err := dcap.Judge(q, c, dcap.Options{Time: at(t, "2026-09-11T23:57:12Z")})
	if err == nil || !slices.Equal(fails(r), []dcap.CheckID{dcap.PCKCRLTime}) {
		t.Errorf("got %v", err)
	}
}

// TestAttackSignedByAnotherKey: everyone below Intel's root has a key; only the TCB signer's may sign TCB info.
func TestAttackSignedByAnotherKey(t *testing.T) {
	for name, signer := range map[string]func(*testpki.World) (*testpki.Key, [][]byte){
		"a platform's PCK": func(w *testpki.World) (*testpki.Key, [][]byte) { return w.PCK.Key, w.PCKChain },
		"a platform's PCK, without its CA": func(w *testpki.World) (*testpki.Key, [][]byte) {
			return w.PCK.Key, [][]byte{w.PCK.DER, w.Root.DER}
		},
		"the PCK CA": func(w *testpki.World) (*testpki.Key, [][]byte) { return w.CA.Key, [][]byte{w.CA.DER, w.Root.DER} },
		"the root":   func(w *testpki.World) (*testpki.Key, [][]byte) { return w.Root.Key, [][]byte{w.Root.DER} },
		"a certificate that a PCK key signed": func(w *testpki.World) (*testpki.Key, [][]byte) {
			s := testpki.Default()
			s.Signing.Serial = 77
			c := testpki.Issue(s.Signing, testpki.NewKey("evil"), w.PCK)
			return c.Key, append([][]byte{c.DER}, w.PCKChain...)
		},
		"a certificate that the PCK CA signed": func(w *testpki.World) (*testpki.Key, [][]byte) {
			s := testpki.Default()
			s.Signing.Serial = 77
			c := testpki.Issue(s.Signing, testpki.NewKey("evil"), w.CA)
			return c.Key, [][]byte{c.DER, w.CA.DER, w.Root.DER}
		},
		"a signer of its own root": func(w *testpki.World) (*testpki.Key, [][]byte) {
			s := testpki.Default()
			root := testpki.Issue(s.Root, testpki.NewKey("evil root"), nil)
			c := testpki.Issue(s.Signing, testpki.NewKey("evil"), root)
			return c.Key, [][]byte{c.DER, root.DER}
		},
		"a signer of its own root, with Intel's behind": func(w *testpki.World) (*testpki.Key, [][]byte) {
			s := testpki.Default()
			root := testpki.Issue(s.Root, testpki.NewKey("evil root"), nil)
			c := testpki.Issue(s.Signing, testpki.NewKey("evil"), root)
			return c.Key, [][]byte{c.DER, w.Root.DER}
		},
		"the chain of the signer, another's key": func(w *testpki.World) (*testpki.Key, [][]byte) {
			return testpki.NewKey("evil"), w.SigningChain
		},
		"no chain": func(w *testpki.World) (*testpki.Key, [][]byte) { return w.Signing.Key, nil },
	} {
		s := testpki.Default()
		s.TCBSigner = signer
		w := s.Build()
		c := mustCollateral(t, w.Collateral())
		r, err := dcap.Judge(mustQuote(t, w.Quote), c, options(w))
		if err == nil || r.Status != dcap.NoStatus || r.Evaluation != 0 || r.QEEvaluation != 0 {
			t.Errorf("%s: status %v, evaluation %d, %v", name, r.Status, r.Evaluation, err)
		}
	}
}

// TestAttackTwoRoots: with two roots trusted, evidence of one must not be judged with collateral of the other.
func TestAttackTwoRoots(t *testing.T) {
	s := testpki.Default()
	w := s.Build()
	s.TCBSigner = func(w *testpki.World) (*testpki.Key, [][]byte) {
		root := testpki.Issue(s.Root, testpki.NewKey("another root"), nil)
		c := testpki.Issue(s.Signing, testpki.NewKey("another signer"), root)
		return c.Key, [][]byte{c.DER, root.DER}
	}
	mixed := s.Build()
	opts := options(w)
	opts.Roots = append(opts.Roots, dcap.Fingerprint(fingerprint(mixed.SigningChain[1])))
	r, err := dcap.Judge(mustQuote(t, w.Quote), mustCollateral(t, mixed.Collateral()), opts)
	if err == nil || !slices.Equal(fails(r), []dcap.CheckID{dcap.TCBInfoChain, dcap.QEIdentityChain}) {
		t.Errorf("got %v", err)
	}
}

// TestAttackAlteredQuote changes what is signed, or by whom.
func TestAttackAlteredQuote(t *testing.T) {
	w := testpki.Default().Build()
	const body, sig = 48, 48 + 584 + 4
	const qe = sig + 128 + 6
	evil := testpki.NewKey("evil")
	resign := func(b []byte) { copy(b[sig:], evil.Sign(b[:sig-4])) }
	for _, tc := range []struct {
		name  string
		alter func(b []byte)
		fails []dcap.CheckID
	}{
		{"MRTD", func(b []byte) { b[body+136]++ }, []dcap.CheckID{dcap.QuoteSignature}},
		{"report data", func(b []byte) { b[body+583]++ }, []dcap.CheckID{dcap.QuoteSignature}},
		{"user data", func(b []byte) { b[47]++ }, []dcap.CheckID{dcap.QuoteSignature}},
		{"signed by another key", resign, []dcap.CheckID{dcap.QuoteSignature}},
		{"another attestation key", func(b []byte) { copy(b[sig+64:], evil.Point()); resign(b) }, []dcap.CheckID{dcap.QEBinding}},
		{"another attestation key, named in the QE report", func(b []byte) {
			copy(b[sig+64:], evil.Point())
			resign(b)
			h := fingerprint(slices.Concat(evil.Point(), b[qe+450:qe+482]))
			copy(b[qe+320:], h[:])
		}, []dcap.CheckID{dcap.QEReportSignature}},
		{"the same, signed by it", func(b []byte) {
			copy(b[sig+64:], evil.Point())
			resign(b)
			h := fingerprint(slices.Concat(evil.Point(), b[qe+450:qe+482]))
			copy(b[qe+320:], h[:])
			copy(b[qe+384:], evil.Sign(b[qe:qe+384]))
		}, []dcap.CheckID{dcap.QEReportSignature}},
		{"attestation key that is no point", func(b []byte) { b[sig+127]++ }, []dcap.CheckID{dcap.QEBinding}},
		{"authentication data", func(b []byte) { b[qe+450]++ }, []dcap.CheckID{dcap.QEBinding}},
		{"QE's SVN", func(b []byte) { b[qe+258]++ }, []dcap.CheckID{dcap.QEReportSignature}},
		{"signature of zeros", func(b []byte) { clear(b[sig : sig+64]) }, []dcap.CheckID{dcap.QuoteSignature}},
	} {
		b := bytes.Clone(w.Quote)
		tc.alter(b)
		r, err := judgeWorld(t, w, b, w.Collateral())
		if err == nil || !slices.Equal(fails(r), tc.fails) || r.Status != dcap.NoStatus {
			t.Errorf("%s: failed %v, status %v", tc.name, fails(r), r.Status)
		}
	}
}

// TestSecondSignature: of every ECDSA signature anyone can make a second one, with n-s in place of s. A quote of other bytes
// is the same statement: docs/LIMITATIONS.md says not to tell quotes apart by their bytes.
func TestSecondSignature(t *testing.T) {
	w := testpki.Default().Build()
	const s = 48 + 584 + 4 + 32
	b := bytes.Clone(w.Quote)
	n := elliptic.P256().Params().N
	new(big.Int).Sub(n, new(big.Int).SetBytes(b[s:s+32])).FillBytes(b[s : s+32])
	if bytes.Equal(b, w.Quote) {
		t.Fatal("nothing was altered")
	}
	if _, err := judgeWorld(t, w, b, w.Collateral()); err != nil {
		t.Errorf("got %v", err)
	}
	new(big.Int).Add(n, big.NewInt(1)).FillBytes(b[s : s+32]) // above the order
	if r, err := judgeWorld(t, w, b, w.Collateral()); err == nil || r.Check(dcap.QuoteSignature).Status != dcap.Fail {
		t.Errorf("s above the order: %v", err)
	}
}

// TestAttackSwappedCollateral puts genuine parts in wrong places.
func TestAttackSwappedCollateral(t *testing.T) {
	w := testpki.Default().Build()
	other := testpki.Default()
	other.CA.CN, other.CA.Serial = "Intel SGX PCK Processor CA", 88
	processor := other.Build()
	good := func() *dcap.Collateral { return mustCollateral(t, w.Collateral()) }
	for _, tc := range []struct {
		name  string
		alter func(c *dcap.Collateral)
		fails []dcap.CheckID
	}{
		{"QE identity for TCB info", func(c *dcap.Collateral) { c.TCBInfo, c.TCBInfoSignature = c.QEIdentity, c.QEIdentitySignature }, []dcap.CheckID{dcap.TCBInfoFormat}},
		{"TCB info for QE identity", func(c *dcap.Collateral) { c.QEIdentity, c.QEIdentitySignature = c.TCBInfo, c.TCBInfoSignature }, []dcap.CheckID{dcap.QEIdentityFormat}},
		{"signatures swapped", func(c *dcap.Collateral) {
			c.TCBInfoSignature, c.QEIdentitySignature = c.QEIdentitySignature, c.TCBInfoSignature
		},
			[]dcap.CheckID{dcap.TCBInfoSignature, dcap.QEIdentitySignature}},
		{"lists swapped", func(c *dcap.Collateral) { c.RootCRL, c.PCKCRL = c.PCKCRL, c.RootCRL }, []dcap.CheckID{dcap.RootCRL, dcap.PCKCRL}},
		{"list of another CA", func(c *dcap.Collateral) { c.PCKCRL = processor.PCKCRL }, []dcap.CheckID{dcap.PCKCRL}},
		{"list of another CA with its chain", func(c *dcap.Collateral) {
			c.PCKCRL, c.PCKCRLChain = processor.PCKCRL, [][]byte{processor.CA.DER, processor.Root.DER}
		}, []dcap.CheckID{dcap.PCKCRL}},
		{"list by another key", func(c *dcap.Collateral) {
			ca := testpki.Issue(testpki.Default().CA, testpki.NewKey("evil"), w.Root)
			c.PCKCRL = testpki.CRL(testpki.Default().PCKCRL, ca)
		}, []dcap.CheckID{dcap.PCKCRL}},
		{"no root list", func(c *dcap.Collateral) { c.RootCRL = nil }, []dcap.CheckID{dcap.RootCRL}},
		{"no PCK list", func(c *dcap.Collateral) { c.PCKCRL = nil }, []dcap.CheckID{dcap.PCKCRL}},
		{"no chain of the PCK list", func(c *dcap.Collateral) { c.PCKCRLChain = nil }, nil},
		{"no TCB info", func(c *dcap.Collateral) { c.TCBInfo = nil }, []dcap.CheckID{dcap.TCBInfoSignature}},
		{"no signature", func(c *dcap.Collateral) { c.QEIdentitySignature = nil }, []dcap.CheckID{dcap.QEIdentitySignature}},
		{"short signature", func(c *dcap.Collateral) { c.QEIdentitySignature = c.QEIdentitySignature[:63] }, []dcap.CheckID{dcap.QEIdentitySignature}},
		{"chain upside down", func(c *dcap.Collateral) { slices.Reverse(c.TCBInfoChain) }, []dcap.CheckID{dcap.TCBInfoChain}},
		{"chain without root", func(c *dcap.Collateral) { c.TCBInfoChain = c.TCBInfoChain[:1] }, []dcap.CheckID{dcap.TCBInfoChain}},
		{"more after the root", func(c *dcap.Collateral) { c.TCBInfoChain = append(c.TCBInfoChain, []byte("anything")) }, nil},
		{"a space more in the signed text", func(c *dcap.Collateral) { c.TCBInfo = append(c.TCBInfo, ' ') }, []dcap.CheckID{dcap.TCBInfoSignature}},
	} {
		c := good()
		tc.alter(c)
		r, err := dcap.Judge(mustQuote(t, w.Quote), c, options(w))
		if !slices.Equal(fails(r), tc.fails) || (err == nil) != (tc.fails == nil) {
			t.Errorf("%s: failed %v, want %v", tc.name, fails(r), tc.fails)
		}
	}
}

// TestPCKChainFromCollateral judges a quote whose certification data is no chain.
func TestPCKChainFromCollateral(t *testing.T) {
	w := testpki.Default().Build()
	q := mustQuote(t, w.Quote)
	q.Certification.QE.Platform = quote.Certification{Type: quote.PPIDRSA3072, Data: make([]byte, 404)}
	c := mustCollateral(t, w.Collateral())
	r, _ := dcap.Judge(q, c, options(w))
	if got := fails(r); !slices.Equal(got, []dcap.CheckID{dcap.QuoteCertification}) {
		t.Errorf("without a chain: got %v", got)
	}
	c.PCKChain = w.PCKChain
	if _, err := dcap.Judge(q, c, options(w)); err != nil {
		t.Errorf("with the collateral's: %v", err)
	}
	for _, typ := range []quote.CertificationType{quote.PCKLeaf, quote.PlatformManifest} { // found by turning every bit of a quote
		q.Certification.QE.Platform.Type = typ
		if r, _ := dcap.Judge(q, c, options(w)); !slices.Equal(fails(r), []dcap.CheckID{dcap.QuoteCertification}) {
			t.Errorf("type %d with the collateral's: got %v", typ, fails(r))
		}
	}
	q.Certification = quote.Certification{Type: quote.PCKChain, Data: []byte(testpki.PEM(w.PCKChain))}
	if r, err := dcap.Judge(q, c, options(w)); err == nil || !slices.Contains(fails(r), dcap.QuoteCertification) {
		t.Errorf("without a QE report: %v", err)
	}
	s := testpki.Default()
	s.Quote.Kind = quote.EnclaveBody
	e, err := quote.ParseAny(s.Build().Quote)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := dcap.Judge(e, c, options(w)); err == nil || !slices.Equal(fails(r), []dcap.CheckID{dcap.QuoteTEE}) {
		t.Errorf("an enclave's quote: %v", err)
	}
}

// TestPCKExtension gives PCK certificates whose description of the platform is not in order.
func TestPCKExtension(t *testing.T) {
	good := testpki.Default().PCK.Extension().Value
	fmspc := slices.Concat([]byte{0x04, 0x06}, []byte{0xB0, 0xC0, 0x6F, 0, 0, 0})
	for name, value := range map[string][]byte{
		"empty":                      {},
		"cut":                        good[:len(good)-1],
		"trailing":                   append(bytes.Clone(good), 0),
		"FMSPC of five bytes":        bytes.Replace(good, fmspc, append([]byte{0x0C, 0x06}, fmspc[2:]...), 1),
		"SVN below zero":             bytes.Replace(good, []byte{0x02, 0x01, 0x05}, []byte{0x02, 0x01, 0x85}, 1),
		"OID of another arc":         bytes.Replace(good, []byte{0xF8, 0x4D, 0x01, 0x0D, 0x01, 0x04}, []byte{0xF8, 0x4D, 0x01, 0x0E, 0x01, 0x04}, 1),
		"PCEID twice, FMSPC missing": bytes.Replace(good, []byte{0xF8, 0x4D, 0x01, 0x0D, 0x01, 0x04}, []byte{0xF8, 0x4D, 0x01, 0x0D, 0x01, 0x03}, 1),
		"boolean of one":             bytes.Replace(good, []byte{0x01, 0x01, 0xFF}, []byte{0x01, 0x01, 0x01}, 1),
		"FMSPC twice":                remade(t, good, func(e []asn1.RawValue) []asn1.RawValue { return append(e, e[3]) }),
		"FMSPC twice, the first another": remade(t, good, func(e []asn1.RawValue) []asn1.RawValue {
			other := asn1.RawValue{FullBytes: bytes.Replace(e[3].FullBytes, []byte{0xB0, 0xC0}, []byte{0xB0, 0xC1}, 1)}
			return append([]asn1.RawValue{other}, e...)
		}),
		"OID that ends early": remade(t, good, func(e []asn1.RawValue) []asn1.RawValue {
			return append(e, asn1.RawValue{FullBytes: []byte{0x30, 0x07, 0x06, 0x03, 0x2A, 0x86, 0x48, 0x05, 0x00}})
		}),
		"OID that goes on": remade(t, good, func(e []asn1.RawValue) []asn1.RawValue {
			longer := bytes.Clone(e[3].FullBytes) // 30 len 06 len oid…: one number more, after the oid of the FMSPC
			longer = slices.Insert(longer, 4+int(longer[3]), 1)
			longer[1]++
			longer[3]++
			e[3] = asn1.RawValue{FullBytes: longer}
			return e
		}),
		"configuration that is none": remade(t, good, func(e []asn1.RawValue) []asn1.RawValue {
			e[6] = asn1.RawValue{FullBytes: bytes.Replace(e[6].FullBytes, []byte{0x0D, 0x01, 0x07, 0x02}, []byte{0x0D, 0x01, 0x08, 0x02}, 1)}
			return e
		}),
	} {
		if bytes.Equal(value, good) {
			t.Fatalf("%s: nothing was altered", name)
		}
		s := testpki.Default()
		w := s.Build()
		spec := s.PCKCert
		spec.Extensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}, Value: value}}
		w.PCKChain[0] = testpki.Issue(spec, testpki.NewKey("PCK"), w.CA).DER
		r, err := judgeWorld(t, w, w.SignQuote(s.Quote), w.Collateral())
		if err == nil || !slices.Equal(fails(r), []dcap.CheckID{dcap.PCKExtension}) {
			t.Errorf("%s: failed %v", name, fails(r))
		}
	}
	s := testpki.Default()
	w := s.Build()
	w.PCKChain[0] = testpki.Issue(s.PCKCert, testpki.NewKey("PCK"), w.CA).DER
	if r, err := judgeWorld(t, w, w.SignQuote(s.Quote), w.Collateral()); err == nil || !slices.Equal(fails(r), []dcap.CheckID{dcap.PCKExtension}) {
		t.Errorf("without the extension: failed %v", fails(r))
	}
}

// remade writes a SEQUENCE anew with its elements changed.
func remade(t *testing.T, der []byte, change func([]asn1.RawValue) []asn1.RawValue) []byte {
	t.Helper()
	var elements []asn1.RawValue
	if _, err := asn1.Unmarshal(der, &elements); err != nil {
		t.Fatal(err)
	}
	out, err := asn1.Marshal(change(elements))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func fingerprint(b []byte) [32]byte { return sha256.Sum256(b) }
