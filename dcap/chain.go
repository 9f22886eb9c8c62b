package dcap

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// Subject common names of Intel's PKI. A certificate may only do what its name says: a PCK key must not sign TCB info.
// Intel SGX PCK Certificate and CRL Profile Specification, 1.2; X509Constants.h.
const (
	cnPlatformCA  = "Intel SGX PCK Platform CA"
	cnProcessorCA = "Intel SGX PCK Processor CA"
	cnPCK         = "Intel SGX PCK Certificate"
	cnTCBSigning  = "Intel SGX TCB Signing"
)

// A path is a chain that leads to a trusted root, leaf first.
type path []*x509.Certificate

func (p path) root() *x509.Certificate { return p[len(p)-1] }

// key returns the leaf's public key.
func (p path) key() *ecdsa.PublicKey { return p[0].PublicKey.(*ecdsa.PublicKey) }

// validity returns the spans of all certificates of the path.
func (p path) validity() []Validity {
	out := make([]Validity, len(p))
	for i, c := range p {
		out[i] = Validity{"certificate " + c.Subject.CommonName, c.NotBefore, c.NotAfter}
	}
	return out
}

// An edge is one certificate's claim to be signed by another.
type edge struct{ child, parent *x509.Certificate }

// path verifies that chain leads over length certificates to a trusted root, and to the same one as other chains. Names
// are the common names that the leaf may have.
func (j *judge) path(chain [][]byte, length int, names ...string) (path, error) {
	if len(chain) == 0 {
		return nil, errors.New("is missing")
	}
	var p path
	for i, der := range chain {
		cert, err := j.certificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", i, err)
		}
		if len(p) > 0 {
			if err := j.signedBy(edge{p[len(p)-1], cert}, len(p)-1); err != nil {
				return nil, fmt.Errorf("certificate %d: %w", i-1, err)
			}
		}
		p = append(p, cert)
		if slices.Contains(j.opts.Roots, sha256.Sum256(der)) {
			return p, j.fits(p, length, names)
		}
	}
	return nil, fmt.Errorf("ends at %q (SHA-256 %x), which is not a trusted root", p.root().Subject.CommonName, sha256.Sum256(p.root().Raw))
}

// fits checks a path that leads to a trusted root for its form.
func (j *judge) fits(p path, length int, names []string) error {
	leaf := p[0]
	switch {
	case len(p) != length:
		return fmt.Errorf("has %d certificates up to its root, want %d", len(p), length)
	case !slices.Contains(names, leaf.Subject.CommonName):
		return fmt.Errorf("is of %q, want %q", leaf.Subject.CommonName, names)
	case j.root != nil && !bytes.Equal(j.root.Raw, p.root().Raw):
		return errors.New("leads to another root than the other chains do")
	}
	j.root = p.root()
	return nil
}

// certificate parses one certificate and checks what all of them share.
func (j *judge) certificate(der []byte) (*x509.Certificate, error) {
	if c := j.certs[string(der)]; c != nil {
		return c, nil
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	key, ok := c.PublicKey.(*ecdsa.PublicKey)
	switch {
	case !ok || key.Curve != elliptic.P256():
		return nil, errors.New("has a key that is not ECDSA P-256")
	case c.SignatureAlgorithm != x509.ECDSAWithSHA256:
		return nil, fmt.Errorf("is signed with %v, want ECDSA-SHA256", c.SignatureAlgorithm)
	case len(c.UnhandledCriticalExtensions) > 0:
		return nil, fmt.Errorf("has a critical extension %v that is not known here", c.UnhandledCriticalExtensions[0])
	case !c.BasicConstraintsValid:
		return nil, errors.New("does not say whether it is a CA's")
	}
	j.certs[string(der)] = c
	return c, nil
}

// signedBy verifies an edge. Below is the number of CA certificates between the child and the leaf.
func (j *judge) signedBy(e edge, below int) error {
	if err, ok := j.edges[e]; ok {
		return err
	}
	err := func() error {
		switch {
		case !bytes.Equal(e.child.RawIssuer, e.parent.RawSubject):
			return fmt.Errorf("names %q as its issuer, the next one is %q", e.child.Issuer.CommonName, e.parent.Subject.CommonName)
		case !e.parent.IsCA || e.parent.KeyUsage&x509.KeyUsageCertSign == 0:
			return fmt.Errorf("is signed by %q, which may not sign certificates", e.parent.Subject.CommonName)
		case (e.parent.MaxPathLen > 0 || e.parent.MaxPathLenZero) && below > e.parent.MaxPathLen:
			return fmt.Errorf("is signed by %q, whose path is limited to %d CAs", e.parent.Subject.CommonName, e.parent.MaxPathLen)
		}
		j.r.Signatures++
		return e.parent.CheckSignature(e.child.SignatureAlgorithm, e.child.RawTBSCertificate, e.child.Signature)
	}()
	j.edges[e] = err
	return err
}

// mayOnlySign checks that a leaf is no CA and may sign.
func mayOnlySign(c *x509.Certificate) error {
	switch {
	case c.IsCA:
		return errors.New("is a CA's")
	case c.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return errors.New("may not sign")
	}
	return nil
}

// crl parses a revocation list and verifies that issuer signed it.
func (j *judge) crl(der []byte, issuer *x509.Certificate) (*x509.RevocationList, error) {
	if len(der) == 0 {
		return nil, errors.New("is missing")
	}
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, err
	}
	switch {
	case len(crl.Raw) != len(der): // which crypto/x509 passes over, and nobody signed
		return nil, fmt.Errorf("ends at byte %d; %d bytes follow", len(crl.Raw), len(der)-len(crl.Raw))
	case !bytes.Equal(crl.RawIssuer, issuer.RawSubject):
		return nil, fmt.Errorf("is issued by %q, want %q", crl.Issuer.CommonName, issuer.Subject.CommonName)
	case crl.SignatureAlgorithm != x509.ECDSAWithSHA256:
		return nil, fmt.Errorf("is signed with %v, want ECDSA-SHA256", crl.SignatureAlgorithm)
	case crl.NextUpdate.IsZero():
		return nil, errors.New("does not say when it expires")
	case len(crl.AuthorityKeyId) > 0 && !bytes.Equal(crl.AuthorityKeyId, issuer.SubjectKeyId):
		return nil, errors.New("names another key of its issuer")
	}
	for _, ext := range crl.Extensions {
		if ext.Critical { // a list of part of the certificates, or of changes, says so in a critical extension
			return nil, fmt.Errorf("has a critical extension %v that is not known here", ext.Id)
		}
	}
	for _, entry := range crl.RevokedCertificateEntries {
		for _, ext := range entry.Extensions {
			if ext.Critical {
				return nil, fmt.Errorf("has an entry with a critical extension %v", ext.Id)
			}
		}
	}
	j.r.Signatures++
	if err := crl.CheckSignatureFrom(issuer); err != nil {
		return nil, err
	}
	return crl, nil
}

// revoked reports whether crl lists cert. An entry counts whatever its reason.
func revoked(crl *x509.RevocationList, cert *x509.Certificate) bool {
	for _, e := range crl.RevokedCertificateEntries {
		if e.SerialNumber.Cmp(cert.SerialNumber) == 0 {
			return true
		}
	}
	return false
}
