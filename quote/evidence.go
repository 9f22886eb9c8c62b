package quote

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// Evidence is what a file or a response held: a quote, and what came with it. Only the quote is signed; everything else
// is a claim of whoever sent the file, which is why its names say so.
type Evidence struct {
	Form  string // how the quote was found, for people: "hex", "JSON member \"quote\"", "certificate extension"
	Quote []byte // for Parse

	UntrustedEventLog   []byte // JSON text of a dstack event log, or a binary CCEL; nil if there was none
	UntrustedVMConfig   []byte // JSON text; nil if there was none
	UntrustedReportData []byte // decoded; the quote's own REPORTDATA is what counts; nil if there was none
}

// Extract finds the quote in data, which may be the quote itself, hex (with white space or 0x), base64 (plain or for URLs),
// an RA-TLS certificate as PEM or DER with dstack's extensions, a dstack attestation, or JSON as tappd, dstack's guest
// agent, Phala's API, Trustee and the dstack tutorial write it; see jsonForms. It does not parse the quote. The error is a
// *bin.FormatError.
func Extract(data []byte) (*Evidence, error) {
	if len(data) > bin.MaxEvidence {
		return nil, &bin.FormatError{Format: "evidence", Field: "size", Err: bin.ErrUnsupported,
			Msg: fmt.Sprintf("is %d bytes, want at most %d", len(data), bin.MaxEvidence)}
	}
	if e, err := extractBinary(data); e != nil || err != nil {
		return e, err
	}
	text := bytes.TrimSpace(data)
	switch {
	case len(text) == 0:
		return nil, &bin.FormatError{Format: "evidence", Field: "size", Err: bin.ErrTruncated, Msg: "is 0 bytes"}
	case text[0] == '{' || text[0] == '[':
		return extractJSON(data)
	case bytes.HasPrefix(text, []byte("-----BEGIN CERTIFICATE-----")):
		return extractPEM(text)
	}
	decoded, form, ok := decodeText(string(text))
	if !ok {
		return nil, &bin.FormatError{Format: "evidence", Field: "content", Err: bin.ErrUnsupported,
			Msg: "is neither a quote nor hex, base64, JSON, a certificate or a dstack attestation"}
	}
	e, err := extractBinary(decoded)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, &bin.FormatError{Format: "evidence", Field: form, Err: bin.ErrUnsupported, Msg: "decodes to something that is not a quote"}
	}
	e.Form = form
	return e, nil
}

// extractBinary recognises the binary forms by how they begin; it returns nil, nil for anything else.
func extractBinary(data []byte) (*Evidence, error) {
	switch {
	case isQuote(data):
		return &Evidence{Form: "binary", Quote: data}, nil
	case len(data) > 4 && data[0] == 0x30 && data[1] == 0x82:
		return extractCertificate(data)
	case len(data) > 4 && data[0] == 0 && data[1] == 0:
		return extractAttestation(data)
	}
	return nil, nil
}

// isQuote reports whether data begins with a version and an attestation key type that quotes have.
func isQuote(data []byte) bool {
	return len(data) > 4 && data[0] >= 3 && data[0] <= 5 && data[1] == 0 && (data[2] == 2 || data[2] == 3) && data[3] == 0
}

// decodeText decodes hex or base64, whichever fits. Both may be broken into lines; hex may begin with 0x.
func decodeText(s string) (data []byte, form string, ok bool) {
	s = stripSpace(s)
	digits := s
	if len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		digits = s[2:]
	}
	if b, err := hex.DecodeString(digits); err == nil && len(b) > 0 {
		return b, "hex", true
	}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
		if b, err := enc.Strict().DecodeString(s); err == nil && len(b) > 0 {
			return b, "base64", true
		}
	}
	return nil, "", false
}

// stripSpace removes ASCII white space, which tools put between lines and bytes.
func stripSpace(s string) string {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		switch s[i] {
		case ' ', '\t', '\r', '\n':
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}
