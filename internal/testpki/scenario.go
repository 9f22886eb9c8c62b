package testpki

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"time"

	"github.com/tdxkit/tdxkit/quote"
)

// Serial numbers of the default scenario's certificates.
const (
	SerialRoot = 1 + iota
	SerialPlatformCA
	SerialSigning
	SerialPCK
)

// Now is the time at which the default scenario is to be judged: halfway through its collateral.
var Now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A QuoteSpec is a quote to be.
type QuoteSpec struct {
	Version    uint16 // 4 or 5
	Kind       quote.BodyKind
	QEVendorID [16]byte
	TD         quote.TD
	QE         QESpec
	Padding    int // zero bytes at the end
}

// A QESpec is the quoting enclave's report to be.
type QESpec struct {
	MRSIGNER   [32]byte
	Attributes [16]byte
	ISVProdID  uint16
	ISVSVN     uint16
	AuthData   []byte
}

// A Scenario is a world to be. Start from Default, change what the test is about, and Build.
type Scenario struct {
	Root, CA, Signing CertSpec
	PCKCert           CertSpec
	PCK               PCKSpec
	RootCRL, PCKCRL   CRLSpec
	TCBInfo           TCBInfo
	QEIdentity        QEIdentity
	Quote             QuoteSpec

	// EditTCBInfo and EditQEIdentity change a text before it is signed.
	EditTCBInfo, EditQEIdentity func(string) string

	// TCBSigner, where not nil, is asked to sign the documents instead of the signing certificate's key; its chain is sent.
	TCBSigner func(*World) (key *Key, chain [][]byte)
}

// A World is what a scenario gives: evidence and the means to make more of it.
type World struct {
	Quote []byte

	TCBInfo, QEIdentity       []byte
	TCBInfoSig, QEIdentitySig []byte
	SigningChain              [][]byte
	PCKChain                  [][]byte
	RootCRL, PCKCRL           []byte

	Root, CA, Signing, PCK *Cert
	Attestation            *Key
}

func svns(n ...uint8) (out [16]uint8) {
	copy(out[:], n)
	return out
}

// Default is a scenario in which everything is in order: a version 4 quote of a TD on module TDX_01, at an UpToDate level.
// Times are fixed around Now.
func Default() *Scenario {
	year := func(y int) time.Time { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC) }
	issued, next := Now.AddDate(0, 0, -15), Now.AddDate(0, 0, 15)
	s := &Scenario{
		Root:    CertSpec{CN: "Intel SGX Root CA", Serial: SerialRoot, NotBefore: year(2018), NotAfter: year(2050), PathLen: 1},
		CA:      CertSpec{CN: "Intel SGX PCK Platform CA", Serial: SerialPlatformCA, NotBefore: year(2018), NotAfter: year(2033)},
		Signing: CertSpec{CN: "Intel SGX TCB Signing", Serial: SerialSigning, NotBefore: year(2025), NotAfter: year(2032), PathLen: -1},
		PCKCert: CertSpec{CN: "Intel SGX PCK Certificate", Serial: SerialPCK, NotBefore: year(2025), NotAfter: year(2032), PathLen: -1},
		PCK:     PCKSpec{FMSPC: [6]byte{0xB0, 0xC0, 0x6F}, SGX: svns(4, 4, 2, 2, 4, 1, 0, 5), PCESVN: 13},
		RootCRL: CRLSpec{ThisUpdate: Now.AddDate(0, -6, 0), NextUpdate: Now.AddDate(0, 6, 0)},
		PCKCRL:  CRLSpec{ThisUpdate: issued.Add(-time.Minute), NextUpdate: next.Add(-time.Minute)},
		TCBInfo: TCBInfo{
			IssueDate: issued, NextUpdate: next, FMSPC: [6]byte{0xB0, 0xC0, 0x6F}, Evaluation: 20,
			Module: Module{Mask: [8]byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}},
			Levels: []Level{
				{SGX: svns(4, 4, 2, 2, 4, 1, 0, 5), TDX: svns(5, 0, 4), PCESVN: 11, Date: "2025-08-13", Status: "UpToDate"},
				{SGX: svns(3, 3, 2, 2, 4, 1, 0, 5), TDX: svns(5, 0, 3), PCESVN: 11, Date: "2025-05-14", Status: "OutOfDate",
					Advisories: []string{"INTEL-SA-01192", "INTEL-SA-01245"}},
			},
		},
		QEIdentity: QEIdentity{
			IssueDate: issued.Add(time.Minute), NextUpdate: next.Add(time.Minute), Evaluation: 20, ISVProdID: 2,
			MRSIGNER: [32]byte{0xDC, 0x9E}, Attributes: [16]byte{0x11},
			Mask:   [16]byte{0xFB, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF},
			Levels: []SVNLevel{{SVN: 4, Date: "2025-05-14", Status: "UpToDate"}, {SVN: 2, Date: "2024-03-13", Status: "OutOfDate", Advisories: []string{"INTEL-SA-00999"}}},
		},
		Quote: QuoteSpec{
			Version: 4, Kind: quote.TD10Body, QEVendorID: quote.IntelQEVendorID,
			QE: QESpec{MRSIGNER: [32]byte{0xDC, 0x9E}, Attributes: [16]byte{0x15}, ISVProdID: 2, ISVSVN: 4, AuthData: make([]byte, 32)},
		},
	}
	for i := range s.Quote.QE.AuthData {
		s.Quote.QE.AuthData[i] = byte(i)
	}
	for _, id := range []string{"TDX_03", "TDX_01"} {
		s.TCBInfo.Modules = append(s.TCBInfo.Modules, Module{ID: id, Mask: s.TCBInfo.Module.Mask, Levels: []SVNLevel{
			{SVN: 5, Date: "2025-08-13", Status: "UpToDate"},
			{SVN: 3, Date: "2025-05-14", Status: "OutOfDate", Advisories: []string{"INTEL-SA-01312"}},
			{SVN: 2, Date: "2024-05-14", Status: "Revoked", Advisories: []string{"INTEL-SA-01313"}},
		}})
	}
	s.Quote.TD = quote.TD{TEETCBSVN: svns(5, 1, 4), TEETCBSVN2: svns(5, 1, 4), Attributes: quote.SEPTVEDisable, XFAM: 0x602E7}
	for i := range 4 {
		s.Quote.TD.RTMR[i] = filled(byte(0xA0 + i))
	}
	s.Quote.TD.MRTD, s.Quote.TD.MRSEAM = filled(0x4D), filled(0x5E)
	return s
}

// V5 turns the scenario's quote into one of version 5 with a TD report 1.5.
func (s *Scenario) V5() *Scenario {
	s.Quote.Version, s.Quote.Kind = 5, quote.TD15Body
	return s
}

func filled(b byte) (d [48]byte) {
	for i := range d {
		d[i] = b
	}
	return d
}

// Build makes the scenario's world.
func (s *Scenario) Build() *World {
	w := &World{Attestation: NewKey("attestation")}
	w.Root = Issue(s.Root, NewKey("root"), nil)
	w.CA = Issue(s.CA, NewKey("platform CA"), w.Root)
	w.Signing = Issue(s.Signing, NewKey("TCB signing"), w.Root)
	pck := s.PCKCert
	pck.Extensions = append(pck.Extensions, s.PCK.Extension())
	w.PCK = Issue(pck, NewKey("PCK"), w.CA)
	w.PCKChain = [][]byte{w.PCK.DER, w.CA.DER, w.Root.DER}
	w.RootCRL, w.PCKCRL = CRL(s.RootCRL, w.Root), CRL(s.PCKCRL, w.CA)

	signer := w.Signing.Key
	w.SigningChain = [][]byte{w.Signing.DER, w.Root.DER}
	if s.TCBSigner != nil {
		signer, w.SigningChain = s.TCBSigner(w)
	}
	edit := func(f func(string) string, text string) []byte {
		if f != nil {
			text = f(text)
		}
		return []byte(text)
	}
	w.TCBInfo = edit(s.EditTCBInfo, s.TCBInfo.JSON())
	w.QEIdentity = edit(s.EditQEIdentity, s.QEIdentity.JSON())
	w.TCBInfoSig, w.QEIdentitySig = signer.Sign(w.TCBInfo), signer.Sign(w.QEIdentity)
	w.Quote = w.SignQuote(s.Quote)
	return w
}

// RootFingerprint is the SHA-256 of the root certificate.
func (w *World) RootFingerprint() [32]byte { return sha256.Sum256(w.Root.DER) }

// SignQuote makes a quote of the world's platform.
func (w *World) SignQuote(s QuoteSpec) []byte {
	le := binary.LittleEndian
	b := le.AppendUint16(nil, s.Version)
	b = le.AppendUint16(b, quote.AttestationKeyECDSAP256)
	tee := quote.TDX
	if s.Kind == quote.EnclaveBody {
		tee = quote.SGX
	}
	b = le.AppendUint32(b, uint32(tee))
	b = le.AppendUint32(b, 0) // QE SVN and PCE SVN
	b = append(b, s.QEVendorID[:]...)
	b = append(b, make([]byte, 20)...)
	body := AppendTD(nil, s.Kind, &s.TD)
	if s.Kind == quote.EnclaveBody {
		body = make([]byte, 384)
	}
	if s.Version >= 5 {
		b = le.AppendUint16(b, uint16(s.Kind))
		b = le.AppendUint32(b, uint32(len(body)))
	}
	b = append(b, body...)

	report := w.qeReport(s.QE)
	cert := append(report, w.PCK.Key.Sign(report)...)
	cert = le.AppendUint16(cert, uint16(len(s.QE.AuthData)))
	cert = append(cert, s.QE.AuthData...)
	chain := append([]byte(PEM(w.PCKChain)), 0)
	cert = le.AppendUint16(cert, uint16(quote.PCKChain))
	cert = le.AppendUint32(cert, uint32(len(chain)))
	cert = append(cert, chain...)

	sig := append(w.Attestation.Sign(b), w.Attestation.Point()...)
	sig = le.AppendUint16(sig, uint16(quote.QEReport))
	sig = le.AppendUint32(sig, uint32(len(cert)))
	sig = append(sig, cert...)
	b = le.AppendUint32(b, uint32(len(sig)))
	return append(append(b, sig...), make([]byte, s.Padding)...)
}

// qeReport makes the report that names the attestation key.
func (w *World) qeReport(s QESpec) []byte {
	r := make([]byte, 384)
	copy(r[48:], s.Attributes[:])
	copy(r[128:], s.MRSIGNER[:])
	binary.LittleEndian.PutUint16(r[256:], s.ISVProdID)
	binary.LittleEndian.PutUint16(r[258:], s.ISVSVN)
	hash := sha256.Sum256(append(w.Attestation.Point(), s.AuthData...))
	copy(r[320:], hash[:])
	return r
}

// AppendTD encodes a TD report.
func AppendTD(b []byte, kind quote.BodyKind, t *quote.TD) []byte {
	for _, f := range [][]byte{t.TEETCBSVN[:], t.MRSEAM[:], t.MRSIGNERSEAM[:], t.SEAMAttributes[:]} {
		b = append(b, f...)
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(t.Attributes))
	b = binary.LittleEndian.AppendUint64(b, uint64(t.XFAM))
	for _, f := range [][]byte{t.MRTD[:], t.MRCONFIGID[:], t.MROWNER[:], t.MROWNERCONFIG[:], t.RTMR[0][:], t.RTMR[1][:],
		t.RTMR[2][:], t.RTMR[3][:], t.REPORTDATA[:]} {
		b = append(b, f...)
	}
	if kind >= quote.TD15Body {
		b = append(append(b, t.TEETCBSVN2[:]...), t.MRSERVICETD[:]...)
	}
	if kind >= quote.TD15ExBody {
		b = append(b, make([]byte, 885-648)...)
	}
	return b
}

// PEM encodes a chain.
func PEM(chain [][]byte) string {
	var b []byte
	for _, der := range chain {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return string(b)
}

// Collateral writes the world's collateral as dcap-qvl does.
func (w *World) Collateral() []byte {
	b, err := json.Marshal(map[string]string{
		"pck_crl_issuer_chain":     PEM([][]byte{w.CA.DER, w.Root.DER}),
		"root_ca_crl":              hex.EncodeToString(w.RootCRL),
		"pck_crl":                  hex.EncodeToString(w.PCKCRL),
		"tcb_info_issuer_chain":    PEM(w.SigningChain),
		"tcb_info":                 string(w.TCBInfo),
		"tcb_info_signature":       hex.EncodeToString(w.TCBInfoSig),
		"qe_identity_issuer_chain": PEM(w.SigningChain),
		"qe_identity":              string(w.QEIdentity),
		"qe_identity_signature":    hex.EncodeToString(w.QEIdentitySig),
	})
	must(err)
	return b
}
