package dcap

import (
	"crypto/x509"
	"fmt"

	"github.com/tdxkit/tdxkit/quote"
)

// Contents are what collateral says, with nothing verified: for display, and to find out which collateral fits a quote.
type Contents struct {
	TCBInfo    *TCBInfo    // nil where it is missing
	QEIdentity *QEIdentity // nil where it is missing
	Validity   []Validity  // of every part that is there
	CA         string      // of the PCK CRL: "platform", "processor", or empty where it is missing or another's
}

// UntrustedContents reads what can be read of c.
func (c *Collateral) UntrustedContents() (*Contents, error) {
	out := &Contents{}
	var err error
	if c.TCBInfo != nil {
		if out.TCBInfo, err = ParseTCBInfo(c.TCBInfo); err != nil {
			return nil, err
		}
		out.Validity = append(out.Validity, Validity{"TCB info", out.TCBInfo.IssueDate, out.TCBInfo.NextUpdate})
	}
	if c.QEIdentity != nil {
		if out.QEIdentity, err = ParseQEIdentity(c.QEIdentity); err != nil {
			return nil, err
		}
		out.Validity = append(out.Validity, Validity{"QE identity", out.QEIdentity.IssueDate, out.QEIdentity.NextUpdate})
	}
	for _, list := range []struct {
		what string
		der  []byte
	}{{"root CRL", c.RootCRL}, {"PCK CRL", c.PCKCRL}} {
		if list.der == nil {
			continue
		}
		crl, err := x509.ParseRevocationList(list.der)
		if err != nil {
			return nil, fmt.Errorf("dcap: %s: %w", list.what, err)
		}
		out.Validity = append(out.Validity, Validity{list.what, crl.ThisUpdate, crl.NextUpdate})
		if list.what == "PCK CRL" {
			out.CA = caOf(crl.Issuer.CommonName)
		}
	}
	seen := map[string]bool{}
	for _, chain := range [][][]byte{c.TCBInfoChain, c.QEIdentityChain, c.PCKCRLChain} {
		for _, der := range chain {
			if seen[string(der)] {
				continue
			}
			seen[string(der)] = true
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				return nil, fmt.Errorf("dcap: issuer chain: %w", err)
			}
			out.Validity = append(out.Validity, Validity{"certificate " + cert.Subject.CommonName, cert.NotBefore, cert.NotAfter})
		}
	}
	return out, nil
}

// caOf returns Intel's short name of a PCK CA, as requests for its revocation list spell it, or nothing.
func caOf(commonName string) string {
	switch commonName {
	case cnPlatformCA:
		return "platform"
	case cnProcessorCA:
		return "processor"
	}
	return ""
}

// UntrustedPlatform returns what a request for a quote's collateral names: the platform's FMSPC, and the CA of its PCK
// certificate, "platform" or "processor". It verifies nothing.
func UntrustedPlatform(q *quote.Quote) (fmspc [6]byte, ca string, err error) {
	pem := q.PCKChainPEM()
	if pem == nil {
		return fmspc, "", fmt.Errorf("dcap: the quote brings no PCK certificate chain")
	}
	chain, err := ParseChain(pem)
	if err != nil {
		return fmspc, "", err
	}
	cert, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return fmspc, "", fmt.Errorf("dcap: PCK certificate: %w", err)
	}
	pck, err := parsePCK(cert)
	if err != nil {
		return fmspc, "", fmt.Errorf("dcap: PCK certificate: %w", err)
	}
	if ca = caOf(cert.Issuer.CommonName); ca == "" {
		return fmspc, "", fmt.Errorf("dcap: PCK certificate is issued by %q", cert.Issuer.CommonName)
	}
	return pck.FMSPC, ca, nil
}
