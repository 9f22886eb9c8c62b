package dcap_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/internal/testpki"
)

// A certified is a world whose certificates or lists have one thing wrong. What is wrong is signed by who should sign it,
// so that nothing but the check in question stands in the way.
type certified struct {
	name   string
	change func(*testpki.Scenario)
	alter  func(*testpki.Scenario, *testpki.World) // after everything was made
	check  dcap.CheckID
	why    string // of the check
}

// reissue replaces the PCK certificate.
func reissue(s *testpki.Scenario, w *testpki.World, spec testpki.CertSpec, issuer *testpki.Cert, above ...[]byte) {
	spec.Extensions = append(slices.Clone(spec.Extensions), s.PCK.Extension())
	w.PCK = testpki.Issue(spec, testpki.NewKey("PCK"), issuer)
	w.PCKChain = append([][]byte{w.PCK.DER}, above...)
	w.Quote = w.SignQuote(s.Quote)
}

var certificates = []certified{
	{"CA with a key on another curve", nil, func(s *testpki.Scenario, w *testpki.World) {
		ca := testpki.Issue(s.CA, testpki.NewP384Key("platform CA"), w.Root)
		reissue(s, w, s.PCKCert, ca, ca.DER, w.Root.DER)
	}, dcap.PCKChain, "a key that is not ECDSA P-256"},
	{"PCK certificate signed with another hash", func(s *testpki.Scenario) {
		s.PCKCert.Edit = func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA384 }
	}, nil, dcap.PCKChain, "is signed with ECDSA-SHA384"},
	{"PCK certificate that does not say whether it is a CA's", func(s *testpki.Scenario) {
		s.PCKCert.Edit = func(c *x509.Certificate) { c.BasicConstraintsValid = false }
	}, nil, dcap.PCKChain, "does not say whether it is a CA's"},
	{"PCK certificate that is a CA's", func(s *testpki.Scenario) {
		s.PCKCert.Edit = func(c *x509.Certificate) { c.IsCA, c.MaxPathLenZero = true, true }
	}, nil, dcap.PCKChain, "is a CA's"},
	{"PCK certificate that may not sign", func(s *testpki.Scenario) {
		s.PCKCert.Edit = func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageContentCommitment }
	}, nil, dcap.PCKChain, "may not sign"},
	{"PCK certificate by the same key under another name", nil, func(s *testpki.Scenario, w *testpki.World) {
		spec := s.CA
		spec.CN = "Intel SGX PCK Processor CA"
		other := testpki.Issue(spec, w.CA.Key, w.Root)
		reissue(s, w, s.PCKCert, other, w.CA.DER, w.Root.DER)
	}, dcap.PCKChain, `names "Intel SGX PCK Processor CA" as its issuer`},
	{"PCK CA that is none", func(s *testpki.Scenario) {
		s.CA.Edit = func(c *x509.Certificate) { c.IsCA, c.MaxPathLenZero, c.MaxPathLen = false, false, 0 }
	}, nil, dcap.PCKChain, "which may not sign certificates"},
	{"PCK CA that may sign lists alone", func(s *testpki.Scenario) {
		s.CA.Edit = func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }
	}, nil, dcap.PCKChain, "which may not sign certificates"},
	{"root that allows no CA below it", func(s *testpki.Scenario) { s.Root.PathLen = 0 }, nil, dcap.PCKChain, "whose path is limited to 0 CAs"},
	{"signer that is a CA", func(s *testpki.Scenario) { s.Signing.PathLen = 0 }, nil, dcap.TCBInfoChain, "is a CA's"},
	{"signer that may not sign", func(s *testpki.Scenario) {
		s.Signing.Edit = func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageContentCommitment }
	}, nil, dcap.QEIdentityChain, "may not sign"},

	{"PCK list by another key of the same name", func(s *testpki.Scenario) {}, func(s *testpki.Scenario, w *testpki.World) {
		spec := s.CA
		spec.Edit = func(c *x509.Certificate) { c.SubjectKeyId = w.CA.X509.SubjectKeyId }
		w.PCKCRL = testpki.CRL(s.PCKCRL, testpki.Issue(spec, testpki.NewKey("evil"), w.Root))
	}, dcap.PCKCRL, "verification failure"},
	{"PCK list that names another key", nil, func(s *testpki.Scenario, w *testpki.World) {
		spec := s.CA
		spec.Edit = func(c *x509.Certificate) { c.SubjectKeyId = []byte{1, 2, 3} }
		w.PCKCRL = testpki.CRL(s.PCKCRL, testpki.Issue(spec, w.CA.Key, w.Root))
	}, dcap.PCKCRL, "names another key of its issuer"},
	{"PCK list of another CA's name", nil, func(s *testpki.Scenario, w *testpki.World) {
		spec := s.CA
		spec.CN = "Intel SGX PCK Processor CA"
		w.PCKCRL = testpki.CRL(s.PCKCRL, testpki.Issue(spec, w.CA.Key, w.Root))
	}, dcap.PCKCRL, `is issued by "Intel SGX PCK Processor CA"`},
	{"PCK list signed with another hash", func(s *testpki.Scenario) {
		s.PCKCRL.Edit = func(l *x509.RevocationList) { l.SignatureAlgorithm = x509.ECDSAWithSHA384 }
	}, nil, dcap.PCKCRL, "is signed with ECDSA-SHA384"},
	{"PCK list of part of the certificates", func(s *testpki.Scenario) {
		s.PCKCRL.Extensions = []pkix.Extension{criticalExtension}
	}, nil, dcap.PCKCRL, "has a critical extension 1.2.3.4"},
	{"PCK list whose entry means something else", func(s *testpki.Scenario) {
		s.PCKCRL.Edit = func(l *x509.RevocationList) {
			l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(77), RevocationTime: l.ThisUpdate, ExtraExtensions: []pkix.Extension{criticalExtension}}}
		}
	}, nil, dcap.PCKCRL, "has an entry with a critical extension"},
	{"root list by a CA that may not sign lists", func(s *testpki.Scenario) {
		s.Root.Edit = func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }
	}, nil, dcap.RootCRL, "invalid signature"},
	{"bytes behind the PCK list", nil, func(_ *testpki.Scenario, w *testpki.World) { w.PCKCRL = append(w.PCKCRL, 0) }, dcap.PCKCRL, "1 bytes follow"},
	{"bytes behind the root list", nil, func(_ *testpki.Scenario, w *testpki.World) { w.RootCRL = append(w.RootCRL, "and more"...) }, dcap.RootCRL, "8 bytes follow"},
	{"no PCK list", nil, func(_ *testpki.Scenario, w *testpki.World) { w.PCKCRL = nil }, dcap.PCKCRL, "is missing"},
	{"PCK list that is none", nil, func(_ *testpki.Scenario, w *testpki.World) { w.PCKCRL = []byte{0x30, 0x80, 1} }, dcap.PCKCRL, "x509: "},
}

// TestAttackCertificates: everyone in Intel's PKI may do what its certificate says and no more.
func TestAttackCertificates(t *testing.T) {
	for _, tc := range certificates {
		s := testpki.Default()
		if tc.change != nil {
			tc.change(s)
		}
		w := s.Build()
		if tc.alter != nil {
			tc.alter(s, w)
		}
		c := mustCollateral(t, w.Collateral())
		c.PCKCRL, c.RootCRL = w.PCKCRL, w.RootCRL // as they are, without what a reader of JSON would say
		r, err := dcap.Judge(mustQuote(t, w.Quote), c, options(w))
		if k := r.Check(tc.check); err == nil || k.Status != dcap.Fail || !strings.Contains(k.Why, tc.why) {
			t.Errorf("%s: %s is %v, %q, want a failure with %q; %v", tc.name, tc.check, k.Status, k.Why, tc.why, err)
		}
	}
}

// TestPCKCRLChain: the list's own chain, where it is sent, must lead to the CA that issued the PCK certificate. Intel may
// issue the certificate of a CA anew, with the same key.
func TestPCKCRLChain(t *testing.T) {
	s := testpki.Default()
	w := s.Build()
	again, named, keyed := s.CA, s.CA, s.CA
	again.Serial = 99
	named.CN = "Intel SGX PCK Processor CA"
	for _, tc := range []struct {
		name  string
		chain [][]byte
		why   string // empty where it is accepted
	}{
		{"issued anew", [][]byte{testpki.Issue(again, w.CA.Key, w.Root).DER, w.Root.DER}, ""},
		{"of another name", [][]byte{testpki.Issue(named, w.CA.Key, w.Root).DER, w.Root.DER}, `is of "Intel SGX PCK Processor CA", the PCK certificate of "Intel SGX PCK Platform CA"`},
		{"of another key", [][]byte{testpki.Issue(keyed, testpki.NewKey("evil"), w.Root).DER, w.Root.DER}, `is of "Intel SGX PCK Platform CA"`},
		{"without its root", [][]byte{w.CA.DER}, "issuer chain ends at"},
		{"of the TCB signer", w.SigningChain, "issuer chain is of"},
		{"that is none", [][]byte{{1}}, "issuer chain certificate 0"},
	} {
		c := mustCollateral(t, w.Collateral())
		c.PCKCRLChain = tc.chain
		r, _ := dcap.Judge(mustQuote(t, w.Quote), c, options(w))
		k := r.Check(dcap.PCKCRL)
		if (k.Status == dcap.Pass) != (tc.why == "") || !strings.Contains(k.Why, tc.why) {
			t.Errorf("%s: %v, %q, want %q", tc.name, k.Status, k.Why, tc.why)
		}
	}
}
