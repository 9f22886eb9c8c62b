// Package authenticode reads the signatures of PE images and checks them as edk2's firmware does: PKCS#7 signed data
// over an image's digest, with one certificate as the anchor of trust. It says yes or no only where edk2's OpenSSL would
// say the same; everything else is an *UnsureError.
package authenticode

import (
	"bytes"
	"crypto"
	_ "crypto/sha256" // the hashes that signatures use
	_ "crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// An UnsureError says why it cannot be told here what the firmware makes of a signature.
type UnsureError struct{ Reason string }

func (e *UnsureError) Error() string { return e.Reason }

func unsure(format string, args ...any) error { return &UnsureError{fmt.Sprintf(format, args...)} }

// Object identifiers. RFC 2315 and RFC 2985; "Windows Authenticode Portable Executable Signature Format", version 1.0.
var (
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidIndirectData  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4} // SPC_INDIRECT_DATA_OBJID
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
)

// A contentInfo is PKCS#7's ContentInfo.
type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,tag:0"`
}

// A signedData is PKCS#7's SignedData. The implicit tags of the optional members are looked at by hand.
type signedData struct {
	Version          int
	DigestAlgorithms []pkix.AlgorithmIdentifier `asn1:"set"`
	ContentInfo      contentInfo
	Certificates     asn1.RawValue `asn1:"optional,tag:0"`
	CRLs             asn1.RawValue `asn1:"optional,tag:1"`
	SignerInfos      []signerInfo  `asn1:"set"`
}

type signerInfo struct {
	Version                   int
	IssuerAndSerial           issuerAndSerial
	DigestAlgorithm           pkix.AlgorithmIdentifier
	AuthenticatedAttributes   asn1.RawValue `asn1:"optional,tag:0"`
	DigestEncryptionAlgorithm pkix.AlgorithmIdentifier
	EncryptedDigest           []byte
	UnauthenticatedAttributes asn1.RawValue `asn1:"optional,tag:1"`
}

type issuerAndSerial struct {
	Issuer asn1.RawValue
	Serial *big.Int
}

type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// maxCertificates bounds the work that a signature makes; those of EFI images carry two or three.
const maxCertificates = 32

// A Signature is one Authenticode signature.
type Signature struct {
	// Signer is the certificate that signed.
	Signer *x509.Certificate
	// Certificates are all that the signature carries, in its order.
	Certificates []*x509.Certificate

	content  []byte // what is signed: the indirect data without the header of its SEQUENCE
	signed   []byte // what the signer's key signs: the authenticated attributes as a SET
	digest   []byte // of the content, as the attributes have it
	hash     crypto.Hash
	encoding []byte // the signature proper
}

// Parse reads the PKCS#7 signed data of an Authenticode signature. Bytes behind it are padding and ignored, as by the
// firmware. The firmware's decoder takes more than DER; what is not DER, and what signers of EFI images do not make, is
// an *UnsureError.
func Parse(data []byte) (*Signature, error) {
	var outer contentInfo
	if _, err := asn1.Unmarshal(data, &outer); err != nil {
		return nil, unsure("the signature is no DER of PKCS#7: %v", err)
	}
	if !outer.Type.Equal(oidSignedData) {
		return nil, unsure("the signature is PKCS#7 of type %s, want signed data", outer.Type)
	}
	var sd signedData
	if rest, err := asn1.Unmarshal(outer.Content.Bytes, &sd); err != nil || len(rest) > 0 {
		return nil, unsure("the signature's signed data is not as PKCS#7 has it: %v, %d bytes are left", err, len(rest))
	}
	s := &Signature{}
	if err := s.readContent(&sd.ContentInfo); err != nil {
		return nil, err
	}
	if len(sd.SignerInfos) != 1 {
		return nil, unsure("the signature has %d signers, want 1", len(sd.SignerInfos))
	}
	certificates, err := x509.ParseCertificates(sd.Certificates.Bytes)
	if err != nil {
		return nil, unsure("a certificate of the signature cannot be read: %v", err)
	}
	if len(certificates) > maxCertificates {
		return nil, unsure("the signature has %d certificates, want at most %d", len(certificates), maxCertificates)
	}
	s.Certificates = certificates
	if err := s.readSigner(&sd.SignerInfos[0]); err != nil {
		return nil, err
	}
	// OpenSSL fails on an algorithm that it lacks even if nobody uses it. OpenSSL 3.5, crypto/pkcs7/pk7_doit.c, PKCS7_dataInit.
	if len(sd.DigestAlgorithms) != 1 || !sd.DigestAlgorithms[0].Algorithm.Equal(sd.SignerInfos[0].DigestAlgorithm.Algorithm) {
		return nil, unsure("the signature lists %d digest algorithms, want the signer's alone", len(sd.DigestAlgorithms))
	}
	return s, nil
}

// readContent takes the bytes that the firmware compares with the image's digest and has verified. It finds their length
// by hand, in at most two bytes. edk2-stable202605, CryptoPkg/Library/BaseCryptLib/Pk/CryptAuthenticode.c, AuthenticodeVerify.
func (s *Signature) readContent(c *contentInfo) error {
	var inner asn1.RawValue
	rest, err := asn1.Unmarshal(c.Content.Bytes, &inner)
	switch {
	case !c.Type.Equal(oidIndirectData):
		return unsure("what is signed is of type %s, want Authenticode's indirect data", c.Type)
	case err != nil || len(rest) > 0 || inner.Tag != asn1.TagSequence || !inner.IsCompound || inner.Class != asn1.ClassUniversal:
		return unsure("Authenticode's indirect data is not one sequence")
	case len(inner.Bytes) > 0xffff:
		return unsure("Authenticode's indirect data has %d bytes, want at most 65535", len(inner.Bytes))
	}
	s.content = inner.Bytes
	return nil
}

// hashes are the digest algorithms of signers. RFC 5754.
var hashes = []struct {
	oid  asn1.ObjectIdentifier
	hash crypto.Hash
}{
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, crypto.SHA256},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, crypto.SHA384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, crypto.SHA512},
}

// rsaEncryptions are the algorithms that say PKCS #1 version 1.5: rsaEncryption, and it with each hash. RFC 8017.
var rsaEncryptions = []asn1.ObjectIdentifier{
	{1, 2, 840, 113549, 1, 1, 1},
	{1, 2, 840, 113549, 1, 1, 11},
	{1, 2, 840, 113549, 1, 1, 12},
	{1, 2, 840, 113549, 1, 1, 13},
}

func (s *Signature) readSigner(i *signerInfo) error {
	for _, h := range hashes {
		if h.oid.Equal(i.DigestAlgorithm.Algorithm) {
			s.hash = h.hash
		}
	}
	if s.hash == 0 {
		return unsure("the signer's digest algorithm is %s, want SHA-256, SHA-384 or SHA-512", i.DigestAlgorithm.Algorithm)
	}
	rsa := false
	for _, oid := range rsaEncryptions {
		rsa = rsa || oid.Equal(i.DigestEncryptionAlgorithm.Algorithm)
	}
	if !rsa {
		return unsure("the signer's signature algorithm is %s, want RSA", i.DigestEncryptionAlgorithm.Algorithm)
	}
	for _, c := range s.Certificates {
		if c.SerialNumber.Cmp(i.IssuerAndSerial.Serial) != 0 || !bytes.Equal(c.RawIssuer, i.IssuerAndSerial.Issuer.FullBytes) {
			continue
		}
		if s.Signer != nil && !s.Signer.Equal(c) {
			return unsure("two certificates of the signature have the signer's issuer and serial number")
		}
		s.Signer = c
	}
	if s.Signer == nil {
		return unsure("the signer's certificate is not in the signature")
	}
	s.encoding = i.EncryptedDigest
	return s.readAttributes(i.AuthenticatedAttributes)
}

// readAttributes finds the digest of the content among the authenticated attributes.
func (s *Signature) readAttributes(attributes asn1.RawValue) error {
	if len(attributes.FullBytes) == 0 {
		return unsure("the signature has no authenticated attributes")
	}
	// The signature is over a SET, the attributes are carried as [0]. RFC 2315, 9.3.
	s.signed = bytes.Clone(attributes.FullBytes)
	s.signed[0] = asn1.TagSet | 0x20
	for rest := attributes.Bytes; len(rest) > 0; {
		var a attribute
		var err error
		if rest, err = asn1.Unmarshal(rest, &a); err != nil {
			return unsure("an authenticated attribute cannot be read: %v", err)
		}
		if len(a.Values) != 1 { // OpenSSL hashes them as it encodes them, sorted
			return unsure("the authenticated attribute %s has %d values, want 1", a.Type, len(a.Values))
		}
		if !a.Type.Equal(oidMessageDigest) {
			continue
		}
		if s.digest != nil || a.Values[0].Tag != asn1.TagOctetString || a.Values[0].IsCompound || a.Values[0].Class != asn1.ClassUniversal {
			return unsure("the signature has more than one digest of what is signed, or one that is no string of bytes")
		}
		s.digest = a.Values[0].Bytes
	}
	if s.digest == nil {
		return unsure("the signature has no digest of what is signed")
	}
	return nil
}

// formatTable names the structure in errors.
const formatTable = "attribute certificate table"

// Types of WIN_CERTIFICATE. UEFI 2.11, 32.2.4 Code Definitions.
const (
	typePKCSSignedData = 0x0002
	typeEFIGUID        = 0x0ef1
	headerSize         = 8
	guidHeaderSize     = headerSize + 16
	entryAligned       = 8
)

// guidPKCS7 is EFI_CERT_TYPE_PKCS7_GUID as it lies in memory.
var guidPKCS7 = []byte{0x9d, 0xd2, 0xaf, 0x4a, 0xdf, 0x68, 0xee, 0x49, 0x8a, 0xa9, 0x34, 0x7d, 0x37, 0x56, 0x65, 0xa7}

// Split returns the PKCS#7 signatures of a PE image's attribute certificate table, in the order in which the firmware
// looks at them. Entries of other types are passed over. An error is a *bin.FormatError: the firmware refuses an image
// with such a table, whatever is in front of the fault. Off is the table's offset in the image.
// edk2-stable202605, SecurityPkg/Library/DxeImageVerificationLib/DxeImageVerificationLib.c, DxeImageVerificationHandler.
func Split(table []byte, off int64) ([][]byte, error) {
	var out [][]byte
	c := bin.NewCursor(formatTable, table, off)
	for c.Len() > 0 {
		at, left := c.Off(), int64(c.Len())
		if left <= headerSize {
			c.Failf(at, "dwLength", bin.ErrTruncated, "and what follows need more than %d bytes, %d are left", headerSize, left)
			break
		}
		length := int64(c.U32("dwLength"))
		c.U16("wRevision")
		kind := c.U16("wCertificateType")
		padding := -length & (entryAligned - 1)
		smallest := int64(headerSize)
		switch kind {
		case typePKCSSignedData:
			smallest = headerSize + 1
		case typeEFIGUID:
			smallest = guidHeaderSize + 1
		}
		if length < smallest || length+padding > left {
			c.Failf(at, "dwLength", bin.ErrMalformed, "is %d with %d of padding, want at least %d, and %d bytes are left", length, padding, smallest, left)
			break
		}
		body := c.Bytes("bCertificate", int(length-headerSize))
		c.Bytes("padding", int(padding))
		switch {
		case kind == typePKCSSignedData:
			out = append(out, body)
		case kind == typeEFIGUID && bytes.Equal(body[:16], guidPKCS7):
			out = append(out, body[16:])
		}
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	return out, nil
}

// ImageHash returns the hash by which the firmware digests the image for a signature. It reads the first digest
// algorithm's identifier where DER has it with lengths of two bytes. Zero is none: the firmware passes such a signature
// over. An error is an *UnsureError.
// edk2-stable202605, DxeImageVerificationLib.c, HashPeImageByType.
func ImageHash(data []byte) (crypto.Hash, error) {
	const at = 32
	if len(data) < 2 || data[1]&0x82 != 0x82 {
		return 0, nil
	}
	for _, h := range imageHashes {
		if len(data) < at+len(h.oid) || string(data[at:at+len(h.oid)]) != h.oid {
			continue
		}
		if h.hash == crypto.SHA1 {
			return 0, unsure("the signature is over a SHA-1 digest, and whether this build of the firmware takes those is not known")
		}
		return h.hash, nil
	}
	return 0, nil
}

// imageHashes are the firmware's mHashOidValue; it knows SHA-224 by name only.
var imageHashes = []struct {
	oid  string
	hash crypto.Hash
}{
	{"\x2b\x0e\x03\x02\x1a", crypto.SHA1},
	{"\x60\x86\x48\x01\x65\x03\x04\x02\x04", 0},
	{"\x60\x86\x48\x01\x65\x03\x04\x02\x01", crypto.SHA256},
	{"\x60\x86\x48\x01\x65\x03\x04\x02\x02", crypto.SHA384},
	{"\x60\x86\x48\x01\x65\x03\x04\x02\x03", crypto.SHA512},
}
