package dcap

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// maxChain bounds the certificates of one chain; Intel's have two or three, some captures repeat them.
const maxChain = 8

const (
	beginCertificate = "-----BEGIN CERTIFICATE-----"
	endCertificate   = "-----END CERTIFICATE-----"
	beginCRL         = "-----BEGIN X509 CRL-----"
	endCRL           = "-----END X509 CRL-----"
)

// ParseChain reads a PEM certificate chain into DER. Unlike encoding/pem it takes nothing but certificates, with line ends
// between them and one NUL at the end, which Intel's quotes have; base64 must have no stray bits.
func ParseChain(text []byte) ([][]byte, error) {
	chain, err := parsePEM(strings.TrimSuffix(string(text), "\x00"), beginCertificate, endCertificate)
	if err != nil {
		return nil, err
	}
	if len(chain) > maxChain {
		return nil, pemError(0, bin.ErrUnsupported, "has %d certificates, want at most %d", len(chain), maxChain)
	}
	return chain, nil
}

// ParseChainHeader reads the chain that PCS and PCCS send in a response header (TCB-Info-Issuer-Chain and its like):
// PEM, URL-escaped.
func ParseChainHeader(value string) ([][]byte, error) {
	text, err := url.PathUnescape(value) // not a query: "+" is a base64 digit
	if err != nil {
		return nil, pemError(0, bin.ErrMalformed, "is not URL-escaped: %v", err)
	}
	return ParseChain([]byte(text))
}

func pemError(off int, category error, format string, args ...any) error {
	return &bin.FormatError{Format: "certificate chain", Off: int64(off), Field: "PEM", Msg: fmt.Sprintf(format, args...), Err: category}
}

// parsePEM reads blocks between begin and end markers, and nothing else but line ends.
func parsePEM(text, begin, end string) ([][]byte, error) {
	var blocks [][]byte
	for off := 0; ; {
		rest := text[off:]
		trimmed := strings.TrimLeft(rest, "\r\n")
		off += len(rest) - len(trimmed)
		if trimmed == "" {
			break
		}
		body, ok := strings.CutPrefix(trimmed, begin)
		if !ok {
			return nil, pemError(off, bin.ErrMalformed, "is not %q", begin)
		}
		b64, _, ok := strings.Cut(body, end)
		if !ok {
			return nil, pemError(off, bin.ErrTruncated, "has no %q", end)
		}
		der, err := base64.StdEncoding.Strict().DecodeString(b64) // skips CR and LF alone
		if err != nil || len(der) == 0 {
			return nil, pemError(off, bin.ErrMalformed, "does not hold base64")
		}
		blocks = append(blocks, der)
		off += len(begin) + len(b64) + len(end)
	}
	if len(blocks) == 0 {
		return nil, pemError(0, bin.ErrTruncated, "holds no block %q", begin)
	}
	return blocks, nil
}

// ParseCRL reads a revocation list as DER, PEM, hex (PCCS sends the root's so) or base64, and returns its DER.
func ParseCRL(data []byte) ([]byte, error) {
	text := strings.TrimSpace(string(data))
	switch {
	case len(data) > 1 && data[0] == 0x30 && data[1]&0x80 != 0:
		return bytes.Clone(data), nil
	case strings.HasPrefix(text, beginCRL):
		blocks, err := parsePEM(text, beginCRL, endCRL)
		if err != nil {
			return nil, err
		}
		if len(blocks) != 1 {
			return nil, pemError(0, bin.ErrMalformed, "holds %d revocation lists, want 1", len(blocks))
		}
		return blocks[0], nil
	}
	if der, err := hex.DecodeString(text); err == nil && len(der) > 0 && der[0] == 0x30 {
		return der, nil
	}
	if der, err := base64.StdEncoding.Strict().DecodeString(text); err == nil && len(der) > 0 && der[0] == 0x30 {
		return der, nil
	}
	return nil, &bin.FormatError{Format: "CRL", Field: "encoding", Err: bin.ErrMalformed, Msg: "is not DER, PEM, hex or base64"}
}

// appendPEM writes a chain in the form that ParseChain reads and everyone else does too.
func appendPEM(b []byte, chain [][]byte) []byte {
	for _, der := range chain {
		b = append(b, beginCertificate+"\n"...)
		b64 := base64.StdEncoding.EncodeToString(der)
		for len(b64) > 64 {
			b = append(append(b, b64[:64]...), '\n')
			b64 = b64[64:]
		}
		b = append(append(b, b64...), '\n')
		b = append(b, endCertificate+"\n"...)
	}
	return b
}
