package main

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"

	"github.com/google/go-tdx-guest/verify"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/internal/testpki"
)

// askGoogle asks go-tdx-guest, with the trial's collateral in place of Intel's service.
func askGoogle(t trial) opinion {
	options := &verify.Options{
		CheckRevocations: true, GetCollateral: true, Getter: service{t.c},
		Now: &verify.TimeSet{PckCertChain: t.at, TcbInfo: t.at, QeIdentity: t.at, PckCrl: t.at, RootCaCrl: t.at},
	}
	if t.root != nil {
		cert, err := x509.ParseCertificate(t.root)
		if err != nil {
			return opinion{why: err.Error()}
		}
		options.TrustedRoots = x509.NewCertPool()
		options.TrustedRoots.AddCert(cert)
	}
	if err := verify.RawTdxQuote(t.q.Raw[:len(t.q.Raw)-t.q.Padding], options); err != nil {
		return opinion{why: err.Error()}
	}
	return opinion{accepted: true}
}

// service answers as Intel's would.
type service struct{ c *dcap.Collateral }

// Get answers one of the four requests that go-tdx-guest makes.
func (s service) Get(u string) (map[string][]string, []byte, error) {
	chain := func(name string, certs [][]byte) map[string][]string {
		return map[string][]string{name: {strings.ReplaceAll(url.QueryEscape(testpki.PEM(certs)), "+", "%20")}}
	}
	signed := func(name string, text, sig []byte) []byte {
		return []byte(`{"` + name + `":` + string(text) + `,"signature":"` + hex.EncodeToString(sig) + `"}`)
	}
	c := s.c
	switch {
	case strings.Contains(u, "/tcb?"):
		return chain("Tcb-Info-Issuer-Chain", c.TCBInfoChain), signed("tcbInfo", c.TCBInfo, c.TCBInfoSignature), nil
	case strings.Contains(u, "/qe/identity"):
		return chain("Sgx-Enclave-Identity-Issuer-Chain", c.QEIdentityChain), signed("enclaveIdentity", c.QEIdentity, c.QEIdentitySignature), nil
	case strings.Contains(u, "/pckcrl"):
		return chain("Sgx-Pck-Crl-Issuer-Chain", c.PCKCRLChain), c.PCKCRL, nil
	case strings.Contains(u, ".der"):
		return nil, c.RootCRL, nil
	}
	return nil, nil, fmt.Errorf("unexpected request %s", u)
}
