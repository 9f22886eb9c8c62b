package dstack

import (
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"fmt"
	"slices"
	"strings"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/keccak"
)

// Tags of what a guest hashes into REPORTDATA. Dstack-TEE/dstack 312dc605ebaa, dstack/dstack-attest/src/attestation.rs,
// QuoteContentType.tag. An application may choose another.
const (
	TagAppData   = "app-data"
	TagKMSRootCA = "kms-root-ca"
	TagRATLSCert = "ratls-cert"
)

// A Binding is a rule by which content becomes REPORTDATA. The zero Binding is that of GetQuote and RawQuote: the content
// itself, at most 64 bytes, with zeros behind it.
type Binding struct {
	Hash string // "" for the content itself, "raw" for exactly 64 bytes of it, or a name of Hashes
	Tag  string // what is hashed before the content and a colon; empty where Hash is no hash
}

// hashes are the hash algorithms of TdxQuote. QuoteContentType.to_report_data_with_hash.
var hashes = []struct {
	name string
	sum  func([]byte) []byte
}{
	{"sha256", func(b []byte) []byte { d := sha256.Sum256(b); return d[:] }},
	{"sha384", func(b []byte) []byte { d := sha512.Sum384(b); return d[:] }},
	{"sha512", func(b []byte) []byte { d := sha512.Sum512(b); return d[:] }},
	{"sha3-256", func(b []byte) []byte { d := sha3.Sum256(b); return d[:] }},
	{"sha3-384", func(b []byte) []byte { d := sha3.Sum384(b); return d[:] }},
	{"sha3-512", func(b []byte) []byte { d := sha3.Sum512(b); return d[:] }},
	{"keccak256", func(b []byte) []byte { d := keccak.Sum256(b); return d[:] }},
	{"keccak384", func(b []byte) []byte { d := keccak.Sum384(b); return d[:] }},
	{"keccak512", func(b []byte) []byte { d := keccak.Sum512(b); return d[:] }},
}

// Hashes returns the names of the hash algorithms.
func Hashes() []string {
	var names []string
	for _, h := range hashes {
		names = append(names, h.name)
	}
	return names
}

// rawBinding is the name of the rule that takes 64 bytes as they are.
const rawBinding = "raw"

// paddedBinding is how the zero Binding is spelt.
const paddedBinding = "padded"

// ParseBinding reads "padded", "raw", a hash's name, or a hash's name and a tag behind a colon: "sha512:app-data". A hash
// without a tag has that of an application's data.
func ParseBinding(s string) (Binding, error) {
	name, tag, tagged := strings.Cut(s, ":")
	switch {
	case s == paddedBinding:
		return Binding{}, nil
	case s == rawBinding:
		return Binding{Hash: rawBinding}, nil
	case !slices.Contains(Hashes(), name):
		return Binding{}, fmt.Errorf("binding %q: want padded, raw, or one of %s with a tag behind a colon", s, strings.Join(Hashes(), ", "))
	case !tagged:
		tag = TagAppData
	case tag == "" || strings.ContainsFunc(tag, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return Binding{}, fmt.Errorf("binding %q: the tag is empty or has a control character", s)
	}
	return Binding{name, tag}, nil
}

// String returns what ParseBinding reads.
func (b Binding) String() string {
	switch b.Hash {
	case "":
		return paddedBinding
	case rawBinding:
		return rawBinding
	}
	return b.Hash + ":" + b.Tag
}

// ReportData returns the REPORTDATA that content leads to: its hash after the tag and a colon, or itself, with zeros up to
// 64 bytes.
func (b Binding) ReportData(content []byte) (data [64]byte, err error) {
	switch b.Hash {
	case "":
		if len(content) > len(data) {
			return data, tooMuch("report data", "content", len(content), len(data))
		}
		copy(data[:], content)
		return data, nil
	case rawBinding:
		if len(content) != len(data) {
			return data, &bin.FormatError{Format: "report data", Field: "content", Err: bin.ErrMalformed,
				Msg: fmt.Sprintf("is %d bytes, want exactly %d", len(content), len(data))}
		}
		copy(data[:], content)
		return data, nil
	}
	for _, h := range hashes {
		if h.name == b.Hash {
			copy(data[:], h.sum(append([]byte(b.Tag+":"), content...)))
			return data, nil
		}
	}
	return data, &bin.FormatError{Format: "report data", Field: "hash", Err: bin.ErrUnsupported, Msg: fmt.Sprintf("is %.40q", b.Hash)}
}
