package dcap

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"time"

	"github.com/tdxkit/tdxkit/quote"
)

func (j *judge) quoteTEE() finding {
	if j.q.Header.TEE != quote.TDX {
		return differs("TDX (0x81)", fmt.Sprintf("0x%x", uint32(j.q.Header.TEE)))
	}
	if j.q.Kind != quote.TD10Body && j.q.Kind != quote.TD15Body {
		return differs("TD report 1.0 or 1.5", j.q.Kind.String())
	}
	return passed(fmt.Sprintf("version %d, %v", j.q.Header.Version, j.q.Kind))
}

func (j *judge) quoteVendor() finding {
	return same(hex.EncodeToString(quote.IntelQEVendorID[:]), hex.EncodeToString(j.q.Header.QEVendorID[:]))
}

// quoteCertification asks for certification data of type 6. Its PCK chain is the quote's own where it has one; a quote that
// names its platform by PPID alone leaves the chain to the collateral.
func (j *judge) quoteCertification() finding {
	qe := j.q.Certification.QE
	switch {
	case qe == nil:
		return differs("certification data of type 6", fmt.Sprintf("type %d", j.q.Certification.Type))
	case qe.Platform.Type == quote.PCKChain:
		return passed("with PCK chain")
	case qe.Platform.Type > quote.PPIDRSA3072:
		return differs("a PCK chain or a PPID", fmt.Sprintf("certification data of type %d", qe.Platform.Type))
	case len(j.c.PCKChain) > 0:
		return passed("PCK chain from collateral")
	}
	return differs("a PCK chain in the quote or in the collateral", fmt.Sprintf("type %d", qe.Platform.Type))
}

func (j *judge) pckChain() finding {
	chain := j.c.PCKChain
	if pem := j.q.PCKChainPEM(); pem != nil {
		var err error
		if chain, err = ParseChain(pem); err != nil {
			return failed(err.Error())
		}
	}
	p, err := j.path(chain, 3, cnPCK)
	if err != nil {
		return failed(err.Error())
	}
	if j.r.CA = caOf(p[1].Subject.CommonName); j.r.CA == "" {
		return failed(fmt.Sprintf("is issued by %q, want %q or %q", p[1].Subject.CommonName, cnPlatformCA, cnProcessorCA))
	}
	if err := mayOnlySign(p[0]); err != nil {
		return failed(err.Error())
	}
	j.pck = p
	return passed("Intel SGX PCK " + j.r.CA + " CA, root " + Fingerprint(sha256.Sum256(p.root().Raw)).String())
}

func (j *judge) pckTime() finding { return j.during(j.pck.validity()...) }

func (j *judge) pckExtension() finding {
	pck, err := parsePCK(j.pck[0])
	if err != nil {
		return failed(err.Error())
	}
	j.r.PCK = pck
	return passed("FMSPC " + hex.EncodeToString(pck.FMSPC[:]))
}

// rootCRLSigned takes the root that the PCK chain led to, or failing that one that a signer's chain leads to.
func (j *judge) rootCRLSigned() finding {
	if j.root == nil {
		if _, err := j.path(j.c.TCBInfoChain, 2, cnTCBSigning); err != nil {
			return notRun("no chain leads to a trusted root")
		}
	}
	crl, err := j.crl(j.c.RootCRL, j.root)
	if err != nil {
		return failed(err.Error())
	}
	j.rootCRL = crl
	return passed(fmt.Sprintf("%d revoked", len(crl.RevokedCertificateEntries)))
}

func (j *judge) rootCRLTime() finding {
	return j.during(Validity{"root CRL", j.rootCRL.ThisUpdate, j.rootCRL.NextUpdate})
}

// pckCRLSigned verifies with the CA of the PCK chain. The list's own chain, where there is one, must lead to the same key:
// Intel may issue a CA's certificate anew.
func (j *judge) pckCRLSigned() finding {
	ca := j.pck[1]
	if j.c.PCKCRLChain != nil {
		p, err := j.path(j.c.PCKCRLChain, 2, cnPlatformCA, cnProcessorCA)
		if err != nil {
			return failed("issuer chain " + err.Error())
		}
		if !bytes.Equal(p[0].RawSubject, ca.RawSubject) || !bytes.Equal(p[0].RawSubjectPublicKeyInfo, ca.RawSubjectPublicKeyInfo) {
			return failed(fmt.Sprintf("is of %q, the PCK certificate of %q", p[0].Subject.CommonName, ca.Subject.CommonName))
		}
	}
	crl, err := j.crl(j.c.PCKCRL, ca)
	if err != nil {
		return failed(err.Error())
	}
	j.pckCRL = crl
	return passed(fmt.Sprintf("%d revoked", len(crl.RevokedCertificateEntries)))
}

func (j *judge) pckCRLTime() finding {
	return j.during(Validity{"PCK CRL", j.pckCRL.ThisUpdate, j.pckCRL.NextUpdate})
}

func (j *judge) pckCARevocation() finding {
	if revoked(j.rootCRL, j.pck[1]) {
		return failed(fmt.Sprintf("%q is revoked", j.pck[1].Subject.CommonName))
	}
	return passed("")
}

func (j *judge) pckRevocation() finding {
	if revoked(j.pckCRL, j.pck[0]) {
		return failed(fmt.Sprintf("the PCK certificate, serial %x, is revoked", j.pck[0].SerialNumber))
	}
	return passed("")
}

func (j *judge) tcbInfoChain() finding     { return j.signer(j.c.TCBInfoChain, &j.tcbSign) }
func (j *judge) qeIdentityChain() finding  { return j.signer(j.c.QEIdentityChain, &j.qeSign) }
func (j *judge) tcbInfoChainTime() finding { return j.during(j.tcbSign.validity()...) }
func (j *judge) qeIdentityChainTime() finding {
	return j.during(j.qeSign.validity()...)
}
func (j *judge) tcbInfoRevocation() finding    { return j.signerRevocation(j.tcbSign) }
func (j *judge) qeIdentityRevocation() finding { return j.signerRevocation(j.qeSign) }

func (j *judge) signer(chain [][]byte, dst *path) finding {
	p, err := j.path(chain, 2, cnTCBSigning)
	if err == nil {
		err = mayOnlySign(p[0])
	}
	if err != nil {
		return failed(err.Error())
	}
	*dst = p
	return passed("root " + Fingerprint(sha256.Sum256(p.root().Raw)).String())
}

func (j *judge) signerRevocation(p path) finding {
	if revoked(j.rootCRL, p[0]) {
		return failed(fmt.Sprintf("%q, serial %x, is revoked", p[0].Subject.CommonName, p[0].SerialNumber))
	}
	return passed("")
}

func (j *judge) tcbInfoSignature() finding {
	return j.signature("the TCB info's signature", j.tcbSign.key(), j.c.TCBInfo, j.c.TCBInfoSignature)
}

func (j *judge) qeIdentitySignature() finding {
	return j.signature("the QE identity's signature", j.qeSign.key(), j.c.QEIdentity, j.c.QEIdentitySignature)
}

// signature verifies r and s, 32 bytes each, by key over SHA-256 of data.
func (j *judge) signature(what string, key *ecdsa.PublicKey, data, sig []byte) finding {
	if len(sig) != 64 || len(data) == 0 {
		return failed(what + " is missing")
	}
	hash := sha256.Sum256(data)
	j.r.Signatures++
	if !ecdsa.Verify(key, hash[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		return failed(what + " is not by its key")
	}
	return passed("")
}

func (j *judge) tcbInfoFormat() finding {
	t, err := ParseTCBInfo(j.c.TCBInfo)
	if err != nil {
		return failed(err.Error())
	}
	j.tcb = t
	j.r.Evaluation = t.EvaluationDataNumber
	j.r.UnknownMembers = append(j.r.UnknownMembers, t.UnknownMembers...)
	return passed(fmt.Sprintf("evaluation data number %d", t.EvaluationDataNumber))
}

func (j *judge) tcbInfoTime() finding {
	return j.during(Validity{"TCB info", j.tcb.IssueDate, j.tcb.NextUpdate})
}

func (j *judge) tcbInfoPlatform() finding {
	return same(fmt.Sprintf("FMSPC %x PCEID %x", j.r.PCK.FMSPC, j.r.PCK.PCEID), fmt.Sprintf("FMSPC %x PCEID %x", j.tcb.FMSPC, j.tcb.PCEID))
}

func (j *judge) qeIdentityFormat() finding {
	q, err := ParseQEIdentity(j.c.QEIdentity)
	if err != nil {
		return failed(err.Error())
	}
	j.qe = q
	j.r.QEEvaluation = q.EvaluationDataNumber
	j.r.UnknownMembers = append(j.r.UnknownMembers, q.UnknownMembers...)
	return passed(fmt.Sprintf("evaluation data number %d", q.EvaluationDataNumber))
}

func (j *judge) qeIdentityTime() finding {
	return j.during(Validity{"QE identity", j.qe.IssueDate, j.qe.NextUpdate})
}

func (j *judge) qeReportSignature() finding {
	qe := j.q.Certification.QE
	return j.signature("the QE report's signature", j.pck.key(), qe.Report.Raw, qe.Signature[:])
}

// qeBinding: REPORTDATA of the QE is SHA-256 of the attestation key and the authentication data, then 32 zero bytes.
func (j *judge) qeBinding() finding {
	qe := j.q.Certification.QE
	h := sha256.New()
	h.Write(j.q.AttestationKey[:])
	h.Write(qe.AuthData)
	var want [64]byte
	h.Sum(want[:0])
	return same(hex.EncodeToString(want[:]), hex.EncodeToString(qe.Report.ReportData[:]))
}

// qeMatch compares the QE with its identity, under the identity's masks. EnclaveReportVerifier.cpp.
func (j *judge) qeMatch() finding {
	r, id := &j.q.Certification.QE.Report, j.qe
	var misc [4]byte
	for i := range misc {
		misc[i] = byte(r.MiscSelect>>(24-8*i)) & id.MiscSelectMask[i]
	}
	var attr [16]byte
	for i := range attr {
		attr[i] = r.Attributes[i] & id.AttributesMask[i]
	}
	return same(
		fmt.Sprintf("MRSIGNER %x ISVPRODID %d ATTRIBUTES %x MISCSELECT %x", id.MRSIGNER, id.ISVProdID, id.Attributes, id.MiscSelect),
		fmt.Sprintf("MRSIGNER %x ISVPRODID %d ATTRIBUTES %x MISCSELECT %x", r.MRSIGNER, r.ISVProdID, attr, misc))
}

func (j *judge) quoteSignature() finding {
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append([]byte{4}, j.q.AttestationKey[:]...))
	if err != nil {
		return failed("the attestation key is not a point of P-256")
	}
	return j.signature("the quote's signature", key, j.q.Signed, j.q.Signature[:])
}

func (j *judge) tdDebug() finding {
	if a := j.q.TD.Attributes; a&quote.UnderDebug != 0 {
		return failed(fmt.Sprintf("attributes %016x have bits of the debug group: %v", uint64(a), a.Names()))
	}
	return passed("")
}

func (j *judge) tdAttributes() finding {
	a := j.q.TD.Attributes
	if u := a.Unknown(); u != 0 {
		return failed(fmt.Sprintf("attributes %016x have bits without a name: %016x", uint64(a), uint64(u)))
	}
	return passed(fmt.Sprint(a.Names()))
}

func (j *judge) tdXFAM() finding {
	x := j.q.TD.XFAM
	switch u := x.Unknown(); {
	case u != 0:
		return failed(fmt.Sprintf("XFAM %016x has bits without a name: %016x", uint64(x), uint64(u)))
	case x&quote.XFAMFixed1 != quote.XFAMFixed1:
		return failed(fmt.Sprintf("XFAM %016x lacks x87 or SSE, which every TD has", uint64(x)))
	}
	return passed(fmt.Sprint(x.Names()))
}

func (j *judge) tdMigratable() finding {
	if j.q.TD.Attributes&quote.Migratable != 0 {
		return failed("the MIGRATABLE attribute is set: a migration TD may move it")
	}
	return passed("")
}

// tdServiceTD looks at MRSERVICETD; a TD report 1.0 does not tell of service TDs.
func (j *judge) tdServiceTD() finding {
	if j.q.TD.MRSERVICETD != [48]byte{} {
		return failed(fmt.Sprintf("MRSERVICETD is %x", j.q.TD.MRSERVICETD))
	}
	return passed("")
}

// earliest returns the earliest of the times that are set.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
