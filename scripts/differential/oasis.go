package main

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/json"

	"github.com/oasisprotocol/oasis-core/go/common/sgx/pcs"

	"github.com/tdxkit/tdxkit/internal/testpki"
)

// intelRoots are the roots that oasis-core starts with; a world's own takes their place while it is asked.
var intelRoots = pcs.IntelTrustRoots

// askOasis asks oasis-core's PCS verifier. Its policy is the widest that it has, so that what it refuses is refused by its
// rules: any TDX module of Intel's, any evaluation number, and the 30 days that upstream gives TCB info.
func askOasis(t trial) opinion {
	pcs.IntelTrustRoots = intelRoots
	if t.root != nil {
		cert, err := x509.ParseCertificate(t.root)
		if err != nil {
			return opinion{why: err.Error()}
		}
		pcs.IntelTrustRoots = x509.NewCertPool()
		pcs.IntelTrustRoots.AddCert(cert)
	}
	bundle := pcs.QuoteBundle{
		Quote: t.q.Raw[:len(t.q.Raw)-t.q.Padding],
		TCB: pcs.TCBBundle{
			TCBInfo:      pcs.SignedTCBInfo{TCBInfo: json.RawMessage(t.c.TCBInfo), Signature: hex.EncodeToString(t.c.TCBInfoSignature)},
			QEIdentity:   pcs.SignedQEIdentity{EnclaveIdentity: json.RawMessage(t.c.QEIdentity), Signature: hex.EncodeToString(t.c.QEIdentitySignature)},
			Certificates: []byte(testpki.PEM(t.c.TCBInfoChain)),
		},
	}
	policy := &pcs.QuotePolicy{TCBValidityPeriod: 30, TDX: &pcs.TdxQuotePolicy{}}
	if _, err := bundle.Verify(policy, t.at); err != nil {
		return opinion{why: err.Error()}
	}
	return opinion{accepted: true}
}
