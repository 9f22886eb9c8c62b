// Package testpki makes whole worlds of test evidence: a root, PCK and signing certificates, revocation lists, TCB info, QE
// identity and signed quotes, in any state that Intel's real ones may come to be in. Keys are fixed, times are fixed, and
// signatures are deterministic (RFC 6979), so that the same scenario gives the same bytes.
//
// For tests only. The keys are as public as this file.
package testpki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"time"
)

// A Key is a fixed key, on P-256 but for NewP384Key's.
type Key struct{ private *ecdsa.PrivateKey }

// NewKey returns the key that belongs to name, the same in every run.
func NewKey(name string) *Key {
	for i := byte(0); ; i++ {
		seed := sha256.Sum256(append([]byte("tdxkit test key "+name), i))
		if k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:]); err == nil {
			return &Key{k}
		}
	}
}

// NewP384Key returns a key on another curve than Intel's. It signs certificates alone.
func NewP384Key(name string) *Key {
	seed := sha512.Sum384([]byte("tdxkit test key " + name))
	seed[0] = 0 // below the order of the curve
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P384(), seed[:])
	must(err)
	return &Key{k}
}

// Sign returns r and s, 32 bytes each, over SHA-256 of data.
func (k *Key) Sign(data []byte) []byte {
	hash := sha256.Sum256(data)
	der, err := k.private.Sign(nil, hash[:], crypto.SHA256)
	must(err)
	var rs struct{ R, S *big.Int }
	_, err = asn1.Unmarshal(der, &rs)
	must(err)
	sig := make([]byte, 64)
	rs.R.FillBytes(sig[:32])
	rs.S.FillBytes(sig[32:])
	return sig
}

// Point returns x and y, 32 bytes each.
func (k *Key) Point() []byte {
	b, err := k.private.PublicKey.Bytes()
	must(err)
	return b[1:]
}

// must panics: nothing here depends on input.
func must(err error) {
	if err != nil {
		panic("testpki: internal error: " + err.Error())
	}
}

// A Cert is a certificate with its key.
type Cert struct {
	Key  *Key
	X509 *x509.Certificate
	DER  []byte
}

// name is a subject as Intel's certificates have it.
func name(cn string) pkix.Name {
	return pkix.Name{CommonName: cn, Organization: []string{"Intel Corporation"}, Locality: []string{"Santa Clara"},
		Province: []string{"CA"}, Country: []string{"US"}}
}

// A CertSpec is what an issuer is asked to certify.
type CertSpec struct {
	CN                  string
	Serial              int64
	NotBefore, NotAfter time.Time
	PathLen             int // of a CA; negative for a certificate that is none
	Extensions          []pkix.Extension
	Edit                func(*x509.Certificate) // where not nil, changes what is to be signed
}

// Issue certifies key. The root has a nil issuer and signs itself.
func Issue(spec CertSpec, key *Key, issuer *Cert) *Cert {
	t := &x509.Certificate{
		SerialNumber: big.NewInt(spec.Serial), Subject: name(spec.CN), NotBefore: spec.NotBefore, NotAfter: spec.NotAfter,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
		SignatureAlgorithm: x509.ECDSAWithSHA256, ExtraExtensions: spec.Extensions, SubjectKeyId: keyID(key),
		CRLDistributionPoints: []string{"https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"},
	}
	if spec.PathLen >= 0 {
		t.IsCA, t.MaxPathLen, t.MaxPathLenZero = true, spec.PathLen, spec.PathLen == 0
		t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
	if spec.Edit != nil {
		spec.Edit(t)
	}
	parent, signer := t, key
	if issuer != nil {
		parent, signer = issuer.X509, issuer.Key
	}
	der, err := x509.CreateCertificate(nil, t, parent, &key.private.PublicKey, signer.private)
	must(err)
	cert, err := x509.ParseCertificate(der)
	must(err)
	return &Cert{Key: key, X509: cert, DER: der}
}

func keyID(k *Key) []byte {
	h := sha256.Sum256(k.Point())
	return h[:20]
}

// A CRLSpec is a revocation list to be.
type CRLSpec struct {
	ThisUpdate, NextUpdate time.Time
	Revoked                []int64 // serial numbers
	Extensions             []pkix.Extension
	Edit                   func(*x509.RevocationList) // where not nil, changes what is to be signed
}

// CRL issues a revocation list.
func CRL(spec CRLSpec, issuer *Cert) []byte {
	t := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: spec.ThisUpdate, NextUpdate: spec.NextUpdate,
		SignatureAlgorithm: x509.ECDSAWithSHA256, ExtraExtensions: spec.Extensions}
	for _, serial := range spec.Revoked {
		t.RevokedCertificateEntries = append(t.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: big.NewInt(serial), RevocationTime: spec.ThisUpdate, ReasonCode: 1})
	}
	if spec.Edit != nil {
		spec.Edit(t)
	}
	signer := *issuer.X509
	signer.KeyUsage |= x509.KeyUsageCRLSign // crypto/x509 insists; a scenario may be about an issuer that may not
	der, err := x509.CreateRevocationList(nil, t, &signer, issuer.Key.private)
	must(err)
	return der
}

// A PCKSpec is what a PCK certificate says of its platform.
type PCKSpec struct {
	FMSPC  [6]byte
	PCEID  [2]byte
	SGX    [16]uint8
	PCESVN uint16
}

// sgxOID continues the SGX extension's OID.
func sgxOID(tail ...int) asn1.ObjectIdentifier {
	return append(asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}, tail...)
}

// Extension encodes the SGX extension. Intel SGX PCK Certificate and CRL Profile Specification, 1.3.5.
func (p PCKSpec) Extension() pkix.Extension {
	type attr struct {
		ID    asn1.ObjectIdentifier
		Value any
	}
	var tcb []attr
	var cpusvn [16]byte
	for i, svn := range p.SGX {
		tcb = append(tcb, attr{sgxOID(2, i+1), int(svn)})
		cpusvn[i] = svn
	}
	tcb = append(tcb, attr{sgxOID(2, 17), int(p.PCESVN)}, attr{sgxOID(2, 18), cpusvn[:]})
	conf := []attr{{sgxOID(7, 1), true}, {sgxOID(7, 2), false}, {sgxOID(7, 3), true}}
	sequence := func(list []attr) asn1.RawValue {
		var body []byte
		for _, a := range list {
			der, err := asn1.Marshal(struct {
				ID    asn1.ObjectIdentifier
				Value any
			}(a))
			must(err)
			body = append(body, der...)
		}
		return asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSequence, IsCompound: true, Bytes: body}
	}
	value, err := asn1.Marshal(sequence([]attr{
		{sgxOID(1), make([]byte, 16)}, {sgxOID(2), sequence(tcb)}, {sgxOID(3), p.PCEID[:]}, {sgxOID(4), p.FMSPC[:]},
		{sgxOID(5), asn1.Enumerated(1)}, {sgxOID(6), make([]byte, 16)}, {sgxOID(7), sequence(conf)},
	}))
	must(err)
	return pkix.Extension{Id: sgxOID(), Value: value}
}
