package authenticode

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"strings"
)

// maxChain bounds a chain of certificates; signers of EFI images have two or three.
const maxChain = 8

// Signs reports whether the signature is over an image of the given digest, verifies with the signer's key, and whether
// the signer's certificate leads to the anchor, a DER certificate. Time is not looked at, nor what the certificates are
// for. The error is an *UnsureError.
//
// It follows edk2-stable202605, CryptoPkg/Library/BaseCryptLib/Pk, CryptAuthenticode.c, AuthenticodeVerify, and
// CryptPkcs7VerifyCommon.c, Pkcs7Verify: OpenSSL's PKCS7_verify with X509_V_FLAG_PARTIAL_CHAIN,
// X509_V_FLAG_NO_CHECK_TIME and X509_PURPOSE_ANY.
func (s *Signature) Signs(digest, anchor []byte) (bool, error) {
	if !bytes.HasSuffix(s.content, digest) {
		return false, nil
	}
	h := s.hash.New()
	h.Write(s.content)
	if !bytes.Equal(h.Sum(nil), s.digest) {
		return false, nil
	}
	key, err := rsaKey(s.Signer)
	if err != nil {
		return false, err
	}
	h.Reset()
	h.Write(s.signed)
	switch err := rsa.VerifyPKCS1v15(key, s.hash, h.Sum(nil), s.encoding); {
	case errors.Is(err, rsa.ErrVerification):
		return false, nil
	case err != nil:
		return false, unsure("the signature cannot be verified here: %v", err)
	}
	return s.leadsTo(anchor)
}

// rsaKey returns the key of a certificate where it is of a kind that every build of the firmware takes.
func rsaKey(c *x509.Certificate) (*rsa.PublicKey, error) {
	key, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, unsure("the key of %q is not RSA, and whether the firmware takes such keys is not known", c.Subject)
	}
	if n := key.N.BitLen(); n < 2048 || n > 8192 {
		return nil, unsure("the key of %q has %d bits, and whether the firmware takes such keys is not known", c.Subject, n)
	}
	return key, nil
}

// leadsTo reports whether a chain leads from the signer to the anchor. OpenSSL looks for an issuer in what it trusts
// first, then among the certificates that the signature carries, by name and key identifier, and verifies the chain that
// it found: it does not try another one. OpenSSL 3.5, crypto/x509/x509_vfy.c, build_chain and internal_verify.
func (s *Signature) leadsTo(anchor []byte) (bool, error) {
	trusted, err := x509.ParseCertificate(anchor)
	if err != nil {
		return false, unsure("a certificate that the firmware trusts cannot be read: %v", err)
	}
	if s.Signer.Equal(trusted) {
		return s.isAnchor()
	}
	chain := []*x509.Certificate{s.Signer}
	for !chain[len(chain)-1].Equal(trusted) {
		last := chain[len(chain)-1]
		issuer, err := s.issuer(last, trusted)
		if err != nil || issuer == nil {
			return false, err
		}
		ok, err := issued(issuer, last)
		if err != nil || !ok {
			return false, err
		}
		if chain = append(chain, issuer); len(chain) > maxChain {
			return false, unsure("the chain of %q has more than %d certificates", s.Signer.Subject, maxChain)
		}
	}
	return authorities(chain)
}

// isAnchor reports whether OpenSSL takes a signer that it trusts itself. Before it finds that out it has put the issuers
// that the signature carries on the chain, and verifies those, too: one of them that is wrong spoils the signature.
// OpenSSL 3.5, x509_vfy.c, build_chain, and check_trust, "Last-resort call to find a trusted copy of the leaf itself".
func (s *Signature) isAnchor() (bool, error) {
	chain := []*x509.Certificate{s.Signer}
	for {
		last := chain[len(chain)-1]
		if selfIssued(last) {
			break
		}
		issuer, err := s.issuer(last, s.Signer)
		if err != nil {
			return false, err
		}
		if issuer == nil {
			break
		}
		ok, err := issued(issuer, last)
		if err == nil && !ok {
			err = unsure("the firmware trusts the signer %q, and the signature carries an issuer of it that is wrong", s.Signer.Subject)
		}
		if err != nil {
			return false, err
		}
		if chain = append(chain, issuer); len(chain) > maxChain {
			return false, unsure("the chain of %q has more than %d certificates", s.Signer.Subject, maxChain)
		}
	}
	ok, err := authorities(chain)
	if err == nil && !ok {
		err = unsure("the firmware trusts the signer %q, and the signature carries an issuer of it that is no authority", s.Signer.Subject)
	}
	return ok, err
}

// issuer finds the certificate that OpenSSL takes as c's issuer, nil without one that may be it. OpenSSL 3 takes one
// whose key usage lets it sign no certificates, and fails later, where 1.1.1 looks further.
func (s *Signature) issuer(c, trusted *x509.Certificate) (*x509.Certificate, error) {
	if selfIssued(c) {
		for _, k := range append([]*x509.Certificate{trusted}, s.Certificates...) {
			if !k.Equal(c) && nameKey(k.RawSubject) == nameKey(c.RawSubject) {
				return nil, unsure("two certificates of %q are their own issuers", c.Subject)
			}
		}
		return nil, nil
	}
	var found *x509.Certificate
	for _, k := range append([]*x509.Certificate{trusted}, s.Certificates...) {
		fits, err := mayIssue(k, c)
		switch {
		case err != nil:
			return nil, err
		case !fits:
			continue
		case k == trusted && signsCertificates(k):
			return k, nil
		case found != nil && !found.Equal(k):
			return nil, unsure("there are two certificates of %q, and which one the firmware takes is not known", k.Subject)
		}
		found = k
	}
	if found != nil && !signsCertificates(found) {
		return nil, nil
	}
	return found, nil
}

// signsCertificates reports whether the key usage, where there is one, lets a certificate sign others.
func signsCertificates(c *x509.Certificate) bool {
	return c.KeyUsage == 0 || c.KeyUsage&x509.KeyUsageCertSign != 0
}

// selfIssued reports whether a certificate has the name of its issuer.
func selfIssued(c *x509.Certificate) bool { return nameKey(c.RawIssuer) == nameKey(c.RawSubject) }

// nameKey is the same for all names that OpenSSL may take for the same: it compares strings without regard to their type,
// the case of letters and the length of white space. It is the same for some others, too.
// OpenSSL 3.5, crypto/x509/x_name.c, x509_name_canon and asn1_string_canon.
func nameKey(raw []byte) string {
	var name pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &name); err != nil || len(rest) > 0 {
		return string(raw)
	}
	return strings.Join(strings.Fields(strings.ToLower(name.String())), " ")
}

// oidAuthorityKey is id-ce-authorityKeyIdentifier. RFC 5280, 4.2.1.1.
var oidAuthorityKey = asn1.ObjectIdentifier{2, 5, 29, 35}

// An authorityKey is the AuthorityKeyIdentifier extension.
type authorityKey struct {
	ID     []byte        `asn1:"optional,tag:0"`
	Issuer asn1.RawValue `asn1:"optional,tag:1"`
	Serial *big.Int      `asn1:"optional,tag:2"`
}

// mayIssue reports whether names and key identifiers let k be c's issuer.
// OpenSSL 3.5, crypto/x509/v3_purp.c, X509_check_issued and X509_check_akid.
func mayIssue(k, c *x509.Certificate) (bool, error) {
	if !bytes.Equal(k.RawSubject, c.RawIssuer) {
		if nameKey(k.RawSubject) == nameKey(c.RawIssuer) {
			return false, unsure("the name of %q is written in two ways", k.Subject)
		}
		return false, nil
	}
	for _, e := range c.Extensions {
		if !e.Id.Equal(oidAuthorityKey) {
			continue
		}
		var a authorityKey
		if rest, err := asn1.Unmarshal(e.Value, &a); err != nil || len(rest) > 0 {
			return false, unsure("the authority key identifier of %q cannot be read", c.Subject)
		}
		if len(a.ID) > 0 && len(k.SubjectKeyId) > 0 && !bytes.Equal(a.ID, k.SubjectKeyId) {
			return false, nil
		}
		if a.Serial != nil && a.Serial.Cmp(k.SerialNumber) != 0 {
			return false, nil
		}
		if len(a.Issuer.FullBytes) > 0 && !bytes.Contains(a.Issuer.Bytes, k.RawIssuer) {
			return false, unsure("the authority key identifier of %q names another issuer", c.Subject)
		}
	}
	return true, nil
}

// issued reports whether the signature of c verifies with k's key.
func issued(k, c *x509.Certificate) (bool, error) {
	if _, err := rsaKey(k); err != nil {
		return false, err
	}
	switch c.SignatureAlgorithm {
	case x509.SHA1WithRSA, x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA:
	default:
		return false, unsure("%q is signed with %s, and whether the firmware takes that is not known", c.Subject, c.SignatureAlgorithm)
	}
	switch err := k.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); {
	case errors.Is(err, rsa.ErrVerification):
		return false, nil
	case err != nil:
		return false, unsure("the signature of %q cannot be verified here: %v", c.Subject, err)
	}
	return true, nil
}

// knownExtensions may be critical without a consequence beyond what authorities looks at: subject alternative name, basic
// constraints, key usage, certificate policies, extended key usage, and Netscape's certificate type, which Debian's
// authority has. RFC 5280, 4.2.1; OpenSSL 3.5, crypto/x509/v3_purp.c, X509_supported_extension.
var knownExtensions = []asn1.ObjectIdentifier{
	{2, 5, 29, 17}, {2, 5, 29, 19}, {2, 5, 29, 15}, {2, 5, 29, 32}, {2, 5, 29, 37}, {2, 16, 840, 1, 113730, 1, 1},
}

// authorities reports whether all above the signer may sign certificates. OpenSSL 3.5, x509_vfy.c, check_extensions.
func authorities(chain []*x509.Certificate) (bool, error) {
	for i, c := range chain {
		for _, e := range c.Extensions {
			known := false
			for _, k := range knownExtensions {
				known = known || k.Equal(e.Id)
			}
			if e.Critical && !known || isOdd(e.Id) || e.Id.Equal(oidKeyUsage) && c.KeyUsage == 0 {
				return false, unsure("%q has the extension %s, and what the firmware makes of it is not known", c.Subject, e.Id)
			}
		}
		switch {
		case c.BasicConstraintsValid && !c.IsCA && (c.MaxPathLen > 0 || c.MaxPathLenZero):
			return false, unsure("%q is no authority and limits its path, and what the firmware makes of that is not known", c.Subject)
		case i == 0:
		case !c.BasicConstraintsValid:
			return false, unsure("%q has no basic constraints, and whether the firmware takes it as an authority is not known", c.Subject)
		case !c.IsCA:
			return false, nil
		case (c.MaxPathLen > 0 || c.MaxPathLenZero) && i-1 > c.MaxPathLen:
			return false, unsure("%q allows %d authorities below it, and has %d", c.Subject, c.MaxPathLen, i-1)
		}
	}
	return true, nil
}

var oidKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 15}

// oddExtensions have consequences even where they are not critical: name constraints, blocks of addresses and of numbers
// of autonomous systems, and what makes a proxy's certificate. RFC 5280, RFC 3779 and RFC 3820.
var oddExtensions = []asn1.ObjectIdentifier{
	{2, 5, 29, 30}, {1, 3, 6, 1, 5, 5, 7, 1, 7}, {1, 3, 6, 1, 5, 5, 7, 1, 8}, {1, 3, 6, 1, 5, 5, 7, 1, 14},
}

func isOdd(id asn1.ObjectIdentifier) bool {
	return slices.ContainsFunc(oddExtensions, id.Equal)
}
