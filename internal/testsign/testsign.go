// Package testsign makes Authenticode signatures for tests, good ones and ones that are wrong in one way.
package testsign

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"math/big"
	"sync"
	"testing"
	"time"
)

// Object identifiers that a signature has.
var (
	SHA256      = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	RSA         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	Digest      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	contentType = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	indirect    = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4}
	peImage     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 15}
	signedData  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
)

// A ContentInfo is PKCS#7's.
type ContentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue
}

// A SignedData is PKCS#7's.
type SignedData struct {
	Version          int
	DigestAlgorithms []pkix.AlgorithmIdentifier `asn1:"set"`
	ContentInfo      ContentInfo
	Certificates     asn1.RawValue
	SignerInfos      []SignerInfo `asn1:"set"`
}

// A SignerInfo is PKCS#7's.
type SignerInfo struct {
	Version                 int
	Issuer                  IssuerAndSerial
	DigestAlgorithm         pkix.AlgorithmIdentifier
	AuthenticatedAttributes asn1.RawValue `asn1:"optional"`
	EncryptionAlgorithm     pkix.AlgorithmIdentifier
	EncryptedDigest         []byte
}

// An IssuerAndSerial is PKCS#7's.
type IssuerAndSerial struct {
	Issuer asn1.RawValue
	Serial *big.Int
}

// An Attribute is PKCS#7's.
type Attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// An Authority is a certificate with its key.
type Authority struct {
	*x509.Certificate
	Key crypto.Signer
}

var (
	keysMu sync.Mutex
	keys   = map[string]*rsa.PrivateKey{}
)

// Key returns the key of a name, of 2048 bits, the same each time.
func Key(t testing.TB, name string) *rsa.PrivateKey {
	t.Helper()
	keysMu.Lock()
	defer keysMu.Unlock()
	if keys[name] == nil {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = k
	}
	return keys[name]
}

// NewAuthority makes an authority with a key that parent signs, or the authority itself where parent is nil. Edit may
// change the template.
func NewAuthority(t testing.TB, name string, key crypto.Signer, parent *Authority, edit func(*x509.Certificate)) *Authority {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(name)) + 1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0), // firmware does not look at the time
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	if edit != nil {
		edit(tmpl)
	}
	issuer, by := tmpl, key
	if parent != nil {
		issuer, by = parent.Certificate, parent.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, issuer, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &Authority{c, key}
}

// Signing is a signature in the making.
type Signing struct {
	Image        []byte      // digest of the image, by SHA-256
	Signer       *Authority  // who signs
	Certificates [][]byte    // that it carries, in DER; the signer's where nil
	Attributes   []Attribute // that it adds to the content type and the digest of what is signed
	// EditContent, EditAttributes, EditSigned and Edit change what was made so far. The signature follows the first two.
	EditContent    func([]byte) []byte
	EditAttributes func([]Attribute) []Attribute
	EditSigned     func([]byte) []byte
	Edit           func(*SignedData)
}

// Make returns the signature in DER.
func (s Signing) Make(t testing.TB) []byte {
	t.Helper()
	content := s.content(t)
	attributes := s.attributes(t, content[2:])
	if s.EditContent != nil {
		content = s.EditContent(content)
	}
	set := Raw(asn1.ClassUniversal, asn1.TagSet, attributes)
	signed := Marshal(t, set)
	if s.EditSigned != nil {
		signed = s.EditSigned(signed)
	}
	sum := sum256(signed)
	encoding, err := s.Signer.Key.Sign(rand.Reader, sum, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	certificates := s.Certificates
	if certificates == nil {
		certificates = [][]byte{s.Signer.Raw}
	}
	sha256 := pkix.AlgorithmIdentifier{Algorithm: SHA256, Parameters: asn1.NullRawValue}
	sd := SignedData{
		Version: 1, DigestAlgorithms: []pkix.AlgorithmIdentifier{sha256},
		ContentInfo:  ContentInfo{indirect, Raw(asn1.ClassContextSpecific, 0, content)},
		Certificates: Raw(asn1.ClassContextSpecific, 0, join(certificates)),
		SignerInfos: []SignerInfo{{
			Version: 1, Issuer: IssuerAndSerial{asn1.RawValue{FullBytes: s.Signer.RawIssuer}, s.Signer.SerialNumber},
			DigestAlgorithm:         sha256,
			AuthenticatedAttributes: Raw(asn1.ClassContextSpecific, 0, attributes),
			EncryptionAlgorithm:     pkix.AlgorithmIdentifier{Algorithm: RSA, Parameters: asn1.NullRawValue},
			EncryptedDigest:         encoding,
		}},
	}
	if s.Edit != nil {
		s.Edit(&sd)
	}
	return Marshal(t, ContentInfo{signedData, Raw(asn1.ClassContextSpecific, 0, Marshal(t, sd))})
}

// content is SpcIndirectDataContent with the image's digest.
func (s Signing) content(t testing.TB) []byte {
	type digestInfo struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	type attributeType struct {
		Type  asn1.ObjectIdentifier
		Value struct{ Flags asn1.BitString }
	}
	v := struct {
		Data   attributeType
		Digest digestInfo
	}{attributeType{Type: peImage}, digestInfo{pkix.AlgorithmIdentifier{Algorithm: SHA256, Parameters: asn1.NullRawValue}, s.Image}}
	return Marshal(t, v)
}

func (s Signing) attributes(t testing.TB, content []byte) []byte {
	list := append([]Attribute{
		{contentType, []asn1.RawValue{{FullBytes: Marshal(t, indirect)}}},
		{Digest, []asn1.RawValue{{FullBytes: Marshal(t, sum256(content))}}},
	}, s.Attributes...)
	if s.EditAttributes != nil {
		list = s.EditAttributes(list)
	}
	var out []byte
	for _, a := range list {
		out = append(out, Marshal(t, a)...)
	}
	return out
}

// Raw is a constructed value.
func Raw(class, tag int, b []byte) asn1.RawValue {
	return asn1.RawValue{Class: class, Tag: tag, IsCompound: true, Bytes: b}
}

// Marshal returns v in DER.
func Marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sum256(b []byte) []byte {
	h := crypto.SHA256.New()
	h.Write(b)
	return h.Sum(nil)
}

func join(parts [][]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// Table is an attribute certificate table of PKCS#7 signatures.
func Table(signatures ...[]byte) []byte {
	var out []byte
	for _, s := range signatures {
		out = append(out, Entry(0x0002, s)...)
	}
	return out
}

// Entry is a WIN_CERTIFICATE with its padding.
func Entry(kind uint16, body []byte) []byte {
	out := binary.LittleEndian.AppendUint32(nil, uint32(8+len(body)))
	out = binary.LittleEndian.AppendUint16(out, 0x0200)
	out = append(binary.LittleEndian.AppendUint16(out, kind), body...)
	return append(out, make([]byte, -len(out)&7)...)
}
