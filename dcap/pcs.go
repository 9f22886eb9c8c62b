package dcap

import (
	"bytes"
	"fmt"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/strictjson"
)

// Responses are the bodies and headers that Intel's PCS, or a PCCS, answers with. Intel PCS API v4: "Get TDX TCB Info",
// "Get TDX QE Identity", "Get Revocation List"; the root's list is at certificates.trustedservices.intel.com, or at
// rootcacrl of a PCCS.
type Responses struct {
	TCBInfo         []byte // {"tcbInfo":{…},"signature":"…"}
	TCBInfoChain    string // header TCB-Info-Issuer-Chain
	QEIdentity      []byte // {"enclaveIdentity":{…},"signature":"…"}
	QEIdentityChain string // header SGX-Enclave-Identity-Issuer-Chain
	PCKCRL          []byte // DER, PEM or hex
	PCKCRLChain     string // header SGX-PCK-CRL-Issuer-Chain
	RootCRL         []byte // DER, PEM or hex
}

// Collateral takes the responses apart. Every one must be there.
func (r *Responses) Collateral() (*Collateral, error) {
	c := &Collateral{}
	var err error
	if c.TCBInfo, c.TCBInfoSignature, err = ParseTCBInfoResponse(r.TCBInfo); err != nil {
		return nil, err
	}
	if c.QEIdentity, c.QEIdentitySignature, err = ParseQEIdentityResponse(r.QEIdentity); err != nil {
		return nil, err
	}
	for _, crl := range []struct {
		dst  *[]byte
		data []byte
	}{{&c.PCKCRL, r.PCKCRL}, {&c.RootCRL, r.RootCRL}} {
		if *crl.dst, err = ParseCRL(crl.data); err != nil {
			return nil, err
		}
	}
	for _, chain := range []struct {
		name   string
		dst    *[][]byte
		header string
	}{
		{"TCB-Info-Issuer-Chain", &c.TCBInfoChain, r.TCBInfoChain},
		{"SGX-Enclave-Identity-Issuer-Chain", &c.QEIdentityChain, r.QEIdentityChain},
		{"SGX-PCK-CRL-Issuer-Chain", &c.PCKCRLChain, r.PCKCRLChain},
	} {
		if *chain.dst, err = ParseChainHeader(chain.header); err != nil {
			return nil, fmt.Errorf("dcap: header %s: %w", chain.name, err)
		}
	}
	return c, nil
}

// ParseTCBInfoResponse splits the body of a TCB info response into the text that is signed and the signature.
func ParseTCBInfoResponse(body []byte) (text, signature []byte, err error) {
	return splitSigned("TCB info response", "tcbInfo", body)
}

// ParseQEIdentityResponse splits the body of a QE identity response into the text that is signed and the signature.
func ParseQEIdentityResponse(body []byte) (text, signature []byte, err error) {
	return splitSigned("QE identity response", "enclaveIdentity", body)
}

// splitSigned returns the bytes of the member name as they stand in body: they are what Intel signed. The object must hold
// that member and signature, once, in these letters, and nothing else: a reader that takes "TcbInfo" for "tcbInfo" would
// verify one and use the other.
func splitSigned(format, name string, body []byte) (text, signature []byte, err error) {
	if len(body) > bin.MaxCollateral {
		return nil, nil, &bin.FormatError{Format: format, Field: "size", Err: bin.ErrUnsupported, Msg: "is more than 4 MiB"}
	}
	doc, err := strictjson.Parse(format, body)
	if err != nil {
		return nil, nil, err
	}
	r := strictjson.NewReader(format, doc)
	v := r.Value(name)
	r.Object(v)
	sig := r.String("signature")
	r.End()
	if err := r.Err(); err != nil {
		return nil, nil, err
	}
	if signature, err = parseSignature(sig); err != nil {
		return nil, nil, err
	}
	return bytes.Clone(v.Raw), signature, nil
}
