// Package export writes a manifest in the forms that other verifiers read. Each form says what it loses.
package export

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tdxkit/tdxkit/manifest"
	"github.com/tdxkit/tdxkit/manifest/dsse"
)

// A Format is a form that a manifest can be written in.
type Format struct {
	Name  string
	What  string // who reads it
	Loses string // what it cannot say, or does not protect
	Many  bool   // whether it makes several files
	Signs bool   // whether it needs a signer
	write func(*Input) ([]File, error)
}

// An Input is what is exported.
type Input struct {
	Manifest *manifest.Manifest
	Envelope *dsse.Envelope  // as it was read; its signatures are copied, not checked
	Signer   dsse.Signer     // for formats that sign anew
	Key      *dsse.PublicKey // whose signature is taken, where only one can be; nil is the only one
}

// A File is one file of an export.
type File struct {
	Name string
	Data []byte
}

// Formats are all formats, in alphabetical order.
var Formats = []Format{
	{"attested-tls", "attested-tls, cvm-reverse-proxy", "signature, source, events, shapes, expiry, serial number and policy; RTMR3 is not compared", false, false, attestedTLS},
	{"corim", "veraison, Trustee's corim extractor", "the signatures, for which one new one stands, source, events, policy and the shapes' details; Trustee reads MRTD alone, and checks no signature", false, true, corim},
	{"csv", "spreadsheets", "everything but shapes and registers", false, false, csvTable},
	{"dstack", "dstack's verifier, KMS and contracts", "signature, source, events, expiry, serial number, policy and all shapes: dstack computes RTMR0 itself", true, false, dstack},
	{"go-tdx-guest", "go-tdx-guest's check", "signature, source, events, shapes, expiry, and of the policy dates, masks and lists; the serial number is a comment; a file for each variant, since one file cannot hold two", true, false, goTDXGuest},
	{"rvps", "Trustee's reference value provider", "signature, source, events, shapes, expiry, serial number, most of the policy, and which registers belong together: values of different variants can be mixed; RTMR0 is listed and not asked for by the default policy", false, false, rvps},
	{"sigstore-bundle", "cosign and other sigstore clients", "all signatures but one; thresholds, expiry and serial number are there and not looked at", false, false, sigstoreBundle},
}

// Find returns the format with a name.
func Find(name string) (*Format, error) {
	var names []string
	for i := range Formats {
		if Formats[i].Name == name {
			return &Formats[i], nil
		}
		names = append(names, Formats[i].Name)
	}
	return nil, fmt.Errorf("format %q is not one of %s", name, strings.Join(names, ", "))
}

// ErrSigner says that a format needs a signer and got none.
var ErrSigner = errors.New("signs what it writes, and no key is given")

// Write returns the files of the format.
func (f *Format) Write(in *Input) ([]File, error) {
	if f.Signs && in.Signer == nil {
		return nil, fmt.Errorf("%s: %w", f.Name, ErrSigner)
	}
	files, err := f.write(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	return files, nil
}

// fileName makes a name of a file of a variant's ID, which may hold anything.
func fileName(id string, taken map[string]bool) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '_'
	}, id)
	if strings.HasPrefix(name, ".") {
		name = "_" + name
	}
	if len(name) > 128 {
		name = name[:128]
	}
	for unique, n := name, 2; ; unique, n = fmt.Sprintf("%s-%d", name, n), n+1 {
		if folded := strings.ToLower(unique); !taken[folded] {
			taken[folded] = true
			return unique
		}
	}
}
