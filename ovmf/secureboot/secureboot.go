// Package secureboot decides, as edk2's firmware does, whether an image may start with Secure Boot on, and on which
// entries of db that rests, which the firmware measures.
//
// It follows edk2-stable202605, SecurityPkg/Library/DxeImageVerificationLib/DxeImageVerificationLib.c, which decides the
// same from 202208 on but for images that are not signed; see Hashes.
package secureboot

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"

	"github.com/tdxkit/tdxkit/authenticode"
	"github.com/tdxkit/tdxkit/efi"
)

// An UnsureError says why it cannot be told here whether the firmware starts an image.
type UnsureError = authenticode.UnsureError

func unsure(format string, args ...any) error {
	return &UnsureError{Reason: fmt.Sprintf(format, args...)}
}

// A Database is db, dbx or dbt. Nil is a variable that does not exist.
type Database []efi.SignatureList

// Databases are the variables that decide which images start.
type Databases struct{ DB, DBX, DBT Database }

// An Image is what the firmware looks at of a PE image.
type Image struct {
	// Digest returns the Authenticode digest of the image as it is loaded.
	Digest func(crypto.Hash) ([]byte, error)
	// Certificates is the attribute certificate table, and Off where it starts in the file. It is empty in an image
	// that is not signed.
	Certificates []byte
	Off          int64
	// Hashes are those by which the firmware looks for an image that is not signed.
	Hashes Hashes
}

// Hashes say by which hashes a release of edk2 looks for an image that is not signed.
type Hashes uint8

// The zero value is a release of which it is not known. edk2 bbf1822295.
const (
	UnknownHashes Hashes = iota
	SHA256Alone          // edk2 before 202311
	AllHashes            // edk2 202311 and later
)

// A Verdict says whether an image starts.
type Verdict struct {
	// Refusal says why the firmware does not start the image; it is empty where it does.
	Refusal string
	// Authorities are the entries of db by which it starts, in the order in which the firmware measures them.
	Authorities []efi.Signature
}

// Judge decides about an image. An error is an *UnsureError, or one of Image.Digest.
func (d *Databases) Judge(img Image) (*Verdict, error) {
	if len(img.Certificates) == 0 {
		return d.unsigned(img)
	}
	signatures, err := authenticode.Split(img.Certificates, img.Off)
	if err != nil {
		return &Verdict{Refusal: err.Error()}, nil
	}
	if len(signatures) > maxSignatures {
		return nil, unsure("it carries %d signatures, want at most %d", len(signatures), maxSignatures)
	}
	v := &Verdict{Refusal: "it carries no signature of a kind that the firmware knows"}
	for _, data := range signatures {
		over, err := d.signed(v, img, data)
		if err != nil {
			return nil, err
		}
		if over {
			break
		}
	}
	if v.Refusal != "" {
		v.Authorities = nil
	}
	return v, nil
}

// maxSignatures bounds the work that an image makes: each signature is held against each certificate of db and dbx.
const maxSignatures = 32

// Reasons of a refusal.
const (
	inDBX         = "its digest is in dbx"
	signerInDBX   = "dbx has its signer, or an authority above it"
	notInDB       = "no signature of it leads to a certificate of db, and its digest is not in db"
	unsignedNotDB = "it is not signed, and its digest is not in db"
)

// A hashType is a hash by which images are digested, with the types of entries that hold such digests.
type hashType struct {
	hash        crypto.Hash
	image, cert efi.GUID
}

// hashTypes are the hashes that the firmware tries on an image without a signature, in its order.
var hashTypes = []hashType{
	{crypto.SHA512, efi.CertSHA512, efi.CertX509SHA512},
	{crypto.SHA384, efi.CertSHA384, efi.CertX509SHA384},
	{crypto.SHA256, efi.CertSHA256, efi.CertX509SHA256},
}

// unsigned judges an image that is not signed, by the hashes that the firmware tries.
func (d *Databases) unsigned(img Image) (*Verdict, error) {
	alone, err := d.byDigest(img, hashTypes[len(hashTypes)-1:])
	if err != nil || img.Hashes == SHA256Alone {
		return alone, err
	}
	for _, db := range []Database{d.DBX, d.DB} {
		for _, l := range db {
			if l.Type == efi.CertSHA1 {
				return nil, unsure("db or dbx has SHA-1 digests, and whether this build of the firmware looks at them is not known")
			}
		}
	}
	all, err := d.byDigest(img, hashTypes)
	if err != nil || img.Hashes == AllHashes {
		return all, err
	}
	if all.Refusal != alone.Refusal || len(all.Authorities) != len(alone.Authorities) {
		return nil, unsure("db or dbx has digests of the image that only edk2 202311 and later look for")
	}
	return all, nil
}

// byDigest judges an image by its digests: dbx must have none of them, db at least one. Each that db has is measured.
func (d *Databases) byDigest(img Image, types []hashType) (*Verdict, error) {
	v := &Verdict{Refusal: unsignedNotDB}
	for _, t := range types {
		digest, err := img.Digest(t.hash)
		if err != nil {
			return nil, err
		}
		if d.DBX.find(t.image, digest) != nil {
			return &Verdict{Refusal: inDBX}, nil
		}
		if e := d.DB.find(t.image, digest); e != nil {
			v.Refusal = ""
			v.measure(*e)
		}
	}
	return v, nil
}

// signed judges one signature of an image, after those before it. It reports whether the firmware stops there.
func (d *Databases) signed(v *Verdict, img Image, data []byte) (over bool, err error) {
	hash, err := authenticode.ImageHash(data)
	if err != nil || hash == 0 {
		return false, err
	}
	digest, err := img.Digest(hash)
	if err != nil {
		return false, err
	}
	s, err := authenticode.Parse(data)
	if err != nil {
		return false, err
	}
	why, err := d.forbidden(s, digest)
	if err != nil {
		return false, err
	}
	if why != "" {
		v.Refusal = why
		return true, nil
	}
	if v.Refusal != "" {
		if err := d.allowed(v, s, digest); err != nil {
			return false, err
		}
	}
	t := typeOf(hash)
	if d.DBX.find(t.image, digest) != nil {
		v.Refusal = inDBX
		return true, nil
	}
	if v.Refusal == "" {
		return false, nil
	}
	v.Refusal = notInDB
	if e := d.DB.find(t.image, digest); e != nil {
		v.Refusal = ""
		v.measure(*e)
	}
	return false, nil
}

func typeOf(h crypto.Hash) hashType {
	for _, t := range hashTypes {
		if t.hash == h {
			return t
		}
	}
	return hashType{hash: h}
}

// forbidden says whether dbx has a certificate that the signature leads to, or the digest of the signer's. IsForbiddenByDbx.
func (d *Databases) forbidden(s *authenticode.Signature, digest []byte) (string, error) {
	for _, e := range d.DBX.certificates() {
		ok, err := s.Signs(digest, e.Data)
		if err != nil {
			return "", err
		}
		if ok {
			return signerInDBX, nil
		}
	}
	return d.revoked(s.Signer.RawTBSCertificate)
}

// allowed finds the first certificate of db that the signature leads to. If dbx has its digest the firmware looks no
// further. IsAllowedByDb.
func (d *Databases) allowed(v *Verdict, s *authenticode.Signature, digest []byte) error {
	for _, e := range d.DB.certificates() {
		ok, err := s.Signs(digest, e.Data)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		c, err := x509.ParseCertificate(e.Data)
		if err != nil {
			return unsure("a certificate of db cannot be read: %v", err)
		}
		why, err := d.revoked(c.RawTBSCertificate)
		if err != nil {
			return err
		}
		if why == "" {
			v.Refusal = ""
			v.measure(e)
		}
		return nil
	}
	return nil
}

// revoked says whether dbx has the digest of a certificate, as of any time: that a signature was made before would need a
// time stamp by an authority of dbt. IsCertHashFoundInDbx and PassTimestampCheck.
func (d *Databases) revoked(certificate []byte) (string, error) {
	const timeSize = 16 // of EFI_TIME
	for _, l := range d.DBX {
		for _, t := range hashTypes {
			if l.Type != t.cert {
				continue
			}
			h := t.hash.New()
			h.Write(certificate)
			sum := h.Sum(nil)
			for _, e := range l.Signatures {
				switch {
				case len(e.Data) < len(sum)+timeSize:
					return "", unsure("dbx has digests of certificates in entries of %d bytes, want %d", len(e.Data), len(sum)+timeSize)
				case !bytes.HasPrefix(e.Data, sum):
				case len(d.DBT) > 0 && !bytes.Equal(e.Data[len(sum):][:7], make([]byte, 7)):
					return "", unsure("dbx revokes a certificate as of a time, and time stamps are not checked against dbt here")
				default:
					return signerInDBX, nil
				}
			}
		}
	}
	return "", nil
}

// measure adds an entry of db. The firmware measures each only once.
func (v *Verdict) measure(e efi.Signature) {
	for _, m := range v.Authorities {
		if m.Owner == e.Owner && bytes.Equal(m.Data, e.Data) {
			return
		}
	}
	v.Authorities = append(v.Authorities, e)
}

// find returns the first entry of the type that holds exactly data, nil without one.
func (db Database) find(kind efi.GUID, data []byte) *efi.Signature {
	for _, l := range db {
		if l.Type != kind {
			continue
		}
		for i, e := range l.Signatures {
			if bytes.Equal(e.Data, data) {
				return &l.Signatures[i]
			}
		}
	}
	return nil
}

// certificates returns the X.509 certificates in order.
func (db Database) certificates() []efi.Signature {
	var out []efi.Signature
	for _, l := range db {
		if l.Type == efi.CertX509 {
			out = append(out, l.Signatures...)
		}
	}
	return out
}
