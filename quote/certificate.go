package quote

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// Extensions of dstack's RA-TLS certificates. Dstack-TEE/dstack 312dc60, ra-tls/src/oids.rs. Each value is a DER OCTET
// STRING around the content.
var (
	oidQuote       = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 62397, 1, 1}
	oidEventLog    = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 62397, 1, 2}
	oidAttestation = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 62397, 1, 8} // in newer ones, in place of the two
)

// extractPEM reads the first certificate of a PEM file: an RA-TLS server sends its own first.
func extractPEM(text []byte) (*Evidence, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, &bin.FormatError{Format: "certificate", Field: "PEM", Err: bin.ErrMalformed, Msg: "is no PEM certificate"}
	}
	return extractCertificate(block.Bytes)
}

// extractCertificate takes the quote out of an RA-TLS certificate. The certificate's own signature is not checked: the
// quote has to vouch for its key, by REPORTDATA.
func extractCertificate(der []byte) (*Evidence, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, &bin.FormatError{Format: "certificate", Field: "DER", Err: bin.ErrMalformed, Msg: err.Error()}
	}
	quote, err := extension(cert, oidQuote)
	if err != nil {
		return nil, err
	}
	attestation, err := extension(cert, oidAttestation)
	if err != nil {
		return nil, err
	}
	log, err := extension(cert, oidEventLog)
	if err != nil {
		return nil, err
	}
	var e *Evidence
	switch {
	case attestation != nil && (quote != nil || log != nil):
		return nil, &bin.FormatError{Format: "certificate", Field: "extensions", Err: bin.ErrMalformed,
			Msg: "hold both an attestation and a quote or an event log"}
	case quote != nil && isQuote(quote):
		e = &Evidence{Quote: quote, UntrustedEventLog: log}
	case attestation != nil:
		if e, err = extractAttestation(attestation); err != nil {
			return nil, err
		}
	default:
		return nil, &bin.FormatError{Format: "certificate", Field: "extensions", Err: bin.ErrUnsupported,
			Msg: fmt.Sprintf("hold no quote (%v)", oidQuote)}
	}
	e.Form = "certificate extension"
	return e, nil
}

// extension returns the content of an extension's OCTET STRING, or nil where the certificate has no such extension.
// crypto/x509 refuses certificates that have one twice.
func extension(cert *x509.Certificate, oid asn1.ObjectIdentifier) ([]byte, error) {
	for _, ext := range cert.Extensions {
		if !ext.Id.Equal(oid) {
			continue
		}
		var content []byte
		if rest, err := asn1.Unmarshal(ext.Value, &content); err != nil || len(rest) > 0 {
			return nil, &bin.FormatError{Format: "certificate", Field: "extension " + oid.String(), Err: bin.ErrMalformed,
				Msg: "is not one OCTET STRING"}
		}
		return content, nil
	}
	return nil, nil
}
