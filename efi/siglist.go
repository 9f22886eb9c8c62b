package efi

import (
	"github.com/tdxkit/tdxkit/internal/bin"
)

// Signature types that databases hold. UEFI 2.11, 32.4.1 Signature Database.
var (
	CertX509   = MustGUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072") // EFI_CERT_X509_GUID
	CertSHA1   = MustGUID("826ca512-cf10-4ac9-b187-be01496631bd") // EFI_CERT_SHA1_GUID
	CertSHA256 = MustGUID("c1c41626-504c-4092-aca9-41f936934328") // EFI_CERT_SHA256_GUID
	CertSHA384 = MustGUID("ff3e5307-9fd0-48c9-85f1-8ad56c701e01") // EFI_CERT_SHA384_GUID
	CertSHA512 = MustGUID("093e0fae-a6c4-4f50-9f1b-d41e2b89c19a") // EFI_CERT_SHA512_GUID

	// The digest of the part of a certificate that is signed, and the EFI_TIME from which on it is revoked.
	CertX509SHA256 = MustGUID("3bd2a492-96c0-4079-b420-fcf98ef103ed") // EFI_CERT_X509_SHA256_GUID
	CertX509SHA384 = MustGUID("7076876e-80c2-4ee6-aad2-28b349a6865b") // EFI_CERT_X509_SHA384_GUID
	CertX509SHA512 = MustGUID("446dbf63-2502-4cda-bcfa-2465d2b0fe9d") // EFI_CERT_X509_SHA512_GUID
)

// A SignatureList is an EFI_SIGNATURE_LIST: signatures of one type and size.
type SignatureList struct {
	Type       GUID
	Header     []byte // SignatureHeader, empty for all types in use
	Signatures []Signature
}

// A Signature is an EFI_SIGNATURE_DATA. For CertX509 the data is a DER certificate.
type Signature struct {
	Owner GUID
	Data  []byte
}

// sigListHeader is the size of EFI_SIGNATURE_LIST's fixed part: type, then three le32 sizes.
const sigListHeader = 28

// ParseSignatureLists parses the value of PK, KEK, db, dbx or dbt, which is lists one after the other. What it
// returns aliases b. Off is the offset of b from the start of the outermost input, for errors.
// UEFI 2.11, 32.4.1 Signature Database.
func ParseSignatureLists(b []byte, off int64) ([]SignatureList, error) {
	var lists []SignatureList
	c := bin.NewCursor("EFI_SIGNATURE_LIST", b, off)
	for c.Len() > 0 {
		at := c.Off()
		var l SignatureList
		copy(l.Type[:], c.Bytes("SignatureType", 16))
		list, header, size := int64(c.U32("SignatureListSize")), int64(c.U32("SignatureHeaderSize")), int64(c.U32("SignatureSize"))
		body := list - sigListHeader - header
		switch {
		case c.Err() != nil:
		case list > sigListHeader+int64(c.Len()):
			c.Failf(at+16, "SignatureListSize", bin.ErrTruncated, "is %d, %d bytes are left", list, sigListHeader+c.Len())
		case body < 0:
			c.Failf(at+20, "SignatureHeaderSize", bin.ErrMalformed, "is %d in a list of %d bytes", header, list)
		case size < 16:
			c.Failf(at+24, "SignatureSize", bin.ErrMalformed, "is %d, want at least the 16 of SignatureOwner", size)
		case body%size != 0:
			c.Failf(at+24, "SignatureSize", bin.ErrMalformed, "is %d and does not divide the %d bytes of the signatures", size, body)
		}
		if c.Err() != nil {
			break
		}
		l.Header = c.Bytes("SignatureHeader", int(header))
		l.Signatures = make([]Signature, body/size)
		for i := range l.Signatures {
			s := c.Bytes("Signatures", int(size))
			l.Signatures[i] = Signature{GUID(s[:16]), s[16:]}
		}
		lists = append(lists, l)
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	return lists, nil
}
