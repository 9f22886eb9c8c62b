// Package keyfile reads and writes private keys encrypted with a password, as cosign keeps them: PKCS#8 in a secretbox
// of NaCl, its key by scrypt.
//
// The form is that of sigstore/cosign v3, pkg/cosign/keys.go, and secure-systems-lab/go-securesystemslib, encrypted. Only
// signing needs it; a verifier does not import it.
package keyfile

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/nacl/secretbox"
	"golang.org/x/crypto/scrypt"

	"github.com/tdxkit/tdxkit/internal/strictjson"
	"github.com/tdxkit/tdxkit/manifest/dsse"
)

// The types of PEM blocks with an encrypted key.
const (
	pemSigstore = "ENCRYPTED SIGSTORE PRIVATE KEY"
	pemCosign   = "ENCRYPTED COSIGN PRIVATE KEY" // of cosign before 2.0
)

// The cost of scrypt. cosign writes 65536, 8, 1, which take 64 MiB; older ones wrote 32768.
const (
	scryptN    = 1 << 16
	scryptR    = 8
	scryptP    = 1
	maxScryptN = 1 << 18 // 256 MiB of memory
	saltSize   = 32
	nonceSize  = 24
	keySize    = 32
)

// box is the JSON inside the PEM block.
type box struct {
	KDF struct {
		Name   string `json:"name"`
		Params params `json:"params"`
		Salt   []byte `json:"salt"`
	} `json:"kdf"`
	Cipher struct {
		Name  string `json:"name"`
		Nonce []byte `json:"nonce"`
	} `json:"cipher"`
	Ciphertext []byte `json:"ciphertext"`
}

type params struct {
	N int `json:"N"`
	R int `json:"r"`
	P int `json:"p"`
}

// IsEncrypted reports whether text is a PEM block with an encrypted key.
func IsEncrypted(text []byte) bool {
	block, _ := pem.Decode(text)
	return block != nil && (block.Type == pemSigstore || block.Type == pemCosign)
}

// ErrPassword says that a password does not open a key, or that the key's file was changed.
var ErrPassword = errors.New("the password is wrong, or the file is damaged")

// Decrypt reads an encrypted key.
func Decrypt(text, password []byte) (*dsse.PrivateKey, error) {
	block, rest := pem.Decode(text)
	if block == nil || !IsEncrypted(text) || strings.TrimSpace(string(rest)) != "" {
		return nil, fmt.Errorf("is not one PEM block of type %s", pemSigstore)
	}
	b, err := parse(block.Bytes)
	if err != nil {
		return nil, err
	}
	p := b.KDF.Params
	if p.N > maxScryptN || p.R != scryptR || p.P != scryptP || p.N < 1<<14 {
		return nil, fmt.Errorf("scrypt has the cost N=%d r=%d p=%d, want N from %d to %d, r=%d, p=%d", p.N, p.R, p.P, 1<<14, maxScryptN, scryptR, scryptP)
	}
	key, err := scrypt.Key(password, b.KDF.Salt, p.N, p.R, p.P, keySize)
	if err != nil {
		return nil, err
	}
	if len(b.Cipher.Nonce) != nonceSize {
		return nil, fmt.Errorf("nonce has %d bytes, want %d", len(b.Cipher.Nonce), nonceSize)
	}
	der, ok := secretbox.Open(nil, b.Ciphertext, (*[nonceSize]byte)(b.Cipher.Nonce), (*[keySize]byte)(key))
	if !ok {
		return nil, ErrPassword
	}
	return dsse.ParsePKCS8(der)
}

func parse(data []byte) (*box, error) {
	var b box
	d := strictjson.NewDecoder("encrypted key", data)
	literal := func(name, want string) strictjson.Field {
		return strictjson.Field{Name: name, Read: func() {
			at := d.Off()
			if s := d.String(); s != want {
				d.Failf(at, name, errors.ErrUnsupported, "is %.40q, want %q", s, want)
			}
		}}
	}
	number := func(name string, to *int) strictjson.Field {
		return strictjson.Field{Name: name, Read: func() { *to = int(d.Uint(name, 1<<30)) }}
	}
	b64 := func(name string, to *[]byte) strictjson.Field {
		return strictjson.Field{Name: name, Read: func() {
			at := d.Off()
			var err error
			if *to, err = base64.StdEncoding.Strict().DecodeString(d.String()); err != nil {
				d.Failf(at, name, errors.ErrUnsupported, "is not base64")
			}
		}}
	}
	type fields = []strictjson.Field
	d.Object(fields{
		{Name: "kdf", Read: func() {
			d.Object(fields{literal("name", "scrypt"), b64("salt", &b.KDF.Salt), {Name: "params", Read: func() {
				d.Object(fields{number("N", &b.KDF.Params.N), number("r", &b.KDF.Params.R), number("p", &b.KDF.Params.P)})
			}}})
		}},
		{Name: "cipher", Read: func() { d.Object(fields{literal("name", "nacl/secretbox"), b64("nonce", &b.Cipher.Nonce)}) }},
		b64("ciphertext", &b.Ciphertext),
	})
	return &b, d.End()
}

// Encrypt returns the key as a PEM block that cosign reads. Salt and nonce come from random.
func Encrypt(k *dsse.PrivateKey, password []byte, random io.Reader) ([]byte, error) {
	der, err := k.PKCS8()
	if err != nil {
		return nil, err
	}
	seed := make([]byte, saltSize+nonceSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, err
	}
	var b box
	b.KDF.Name, b.KDF.Params, b.KDF.Salt = "scrypt", params{scryptN, scryptR, scryptP}, seed[:saltSize]
	b.Cipher.Name, b.Cipher.Nonce = "nacl/secretbox", seed[saltSize:]
	key, err := scrypt.Key(password, b.KDF.Salt, scryptN, scryptR, scryptP, keySize)
	if err != nil {
		return nil, err
	}
	b.Ciphertext = secretbox.Seal(nil, der, (*[nonceSize]byte)(b.Cipher.Nonce), (*[keySize]byte)(key))
	text, err := json.Marshal(&b)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemSigstore, Bytes: text}), nil
}
