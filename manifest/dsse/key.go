package dsse

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
)

// An Algorithm is how a key signs. A key has one.
type Algorithm string

// The algorithms.
const (
	Ed25519         Algorithm = "ed25519"           // RFC 8032, over the bytes themselves
	ECDSAP256SHA256 Algorithm = "ecdsa-p256-sha256" // ASN.1 signature
	ECDSAP384SHA384 Algorithm = "ecdsa-p384-sha384"
)

// A PublicKey verifies.
type PublicKey struct {
	key       crypto.PublicKey // ed25519.PublicKey or *ecdsa.PublicKey
	algorithm Algorithm
	der       []byte // SubjectPublicKeyInfo
	id        string
}

// ID is the SHA-256 digest of the key's SubjectPublicKeyInfo in hexadecimal.
func (k *PublicKey) ID() string { return k.id }

// Algorithm is how the key signs.
func (k *PublicKey) Algorithm() Algorithm { return k.algorithm }

// DER returns the key's SubjectPublicKeyInfo.
func (k *PublicKey) DER() []byte { return append([]byte(nil), k.der...) }

// PEM returns the key as a PEM block of type PUBLIC KEY.
func (k *PublicKey) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.der})
}

// Key returns the key of package ed25519 or ecdsa.
func (k *PublicKey) Key() crypto.PublicKey { return k.key }

// NewPublicKey takes an ed25519.PublicKey, or an *ecdsa.PublicKey on P-256 or P-384. A key of small order is refused.
func NewPublicKey(key crypto.PublicKey) (*PublicKey, error) {
	a, err := algorithmOf(key)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(der)
	return &PublicKey{key: key, algorithm: a, der: der, id: hex.EncodeToString(sum[:])}, nil
}

func algorithmOf(key crypto.PublicKey) (Algorithm, error) {
	switch k := key.(type) {
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			break
		}
		if smallOrder(k) {
			return "", errors.New("key is an Ed25519 point of small order, under which anyone can sign")
		}
		return Ed25519, nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return ECDSAP256SHA256, nil
		case elliptic.P384():
			return ECDSAP384SHA384, nil
		}
	}
	return "", errors.New("key is not one of Ed25519, ECDSA P-256 and ECDSA P-384")
}

// smallOrder reports whether eight times a key's point is the neutral element, in any encoding of the point. Whoever has no
// private key can sign under such a key, some messages or all, and crypto/ed25519 takes it as RFC 8032 5.1.7 does.
//
// On -x² + y² = 1 + dx²y², d = -121665/121666 (RFC 8032, 5.1), the points of order 1 and 2 have y = ±1 and those of order 4
// y = 0. Those of order 8 lead to y = 0 when doubled, so that x² = -y² and dy⁴ + 2y² - 1 = 0.
func smallOrder(k ed25519.PublicKey) bool {
	b := slices.Clone(k)
	b[len(b)-1] &^= 0x80 // the sign of x
	slices.Reverse(b)
	y := new(big.Int).SetBytes(b)
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	y2 := new(big.Int).Mul(y, y)
	product := new(big.Int).Mul(y, new(big.Int).Sub(y2, big.NewInt(1))) // orders 4, 1 and 2
	order8 := new(big.Int).Mul(y2, y2)
	order8.Mul(order8, big.NewInt(121665))
	order8.Sub(order8, y2.Mul(y2, big.NewInt(2*121666)))
	product.Mul(product, order8.Add(order8, big.NewInt(121666)))
	return product.Mod(product, p).Sign() == 0
}

// ParsePublicKey reads a PEM block of type PUBLIC KEY with nothing but white space around it.
func ParsePublicKey(text []byte) (*PublicKey, error) {
	der, err := onePEM(text, "PUBLIC KEY")
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	return NewPublicKey(key)
}

// onePEM returns the bytes of the one PEM block of a text, which must have the type want.
func onePEM(text []byte, want string) ([]byte, error) {
	block, rest := pem.Decode(text)
	before, _, _ := strings.Cut(string(text), "-----BEGIN ")
	switch {
	case block == nil:
		return nil, fmt.Errorf("is not PEM, want a block of type %s", want)
	case block.Type != want:
		return nil, fmt.Errorf("is a PEM block of type %.40q, want %s", block.Type, want)
	case len(block.Headers) > 0:
		return nil, fmt.Errorf("the PEM block has headers, want none")
	case strings.TrimSpace(string(rest)) != "" || strings.TrimSpace(before) != "" || bytes.Count(text, []byte("-----BEGIN ")) != 1:
		return nil, fmt.Errorf("has text around the PEM block, want one block of type %s", want)
	}
	return block.Bytes, nil
}

// verify reports whether sig is the key's signature over message.
func (k *PublicKey) verify(message, sig []byte) bool {
	switch pub := k.key.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(pub, message, sig)
	case *ecdsa.PublicKey:
		digest, _ := k.algorithm.digest(message)
		return ecdsa.VerifyASN1(pub, digest, sig)
	}
	return false
}

// digest hashes a message as the algorithm does; Ed25519 takes the message as it is.
func (a Algorithm) digest(message []byte) ([]byte, crypto.Hash) {
	switch a {
	case ECDSAP256SHA256:
		d := sha256.Sum256(message)
		return d[:], crypto.SHA256
	case ECDSAP384SHA384:
		d := sha512.Sum384(message)
		return d[:], crypto.SHA384
	}
	return message, 0
}

// A Signer signs messages with one key.
type Signer interface {
	Public() *PublicKey
	Sign(message []byte) ([]byte, error)
}

// A PrivateKey signs. Its signatures are deterministic: the same message, the same signature.
type PrivateKey struct {
	signer crypto.Signer
	public *PublicKey
}

// NewPrivateKey takes an ed25519.PrivateKey or an *ecdsa.PrivateKey.
func NewPrivateKey(key crypto.Signer) (*PrivateKey, error) {
	public, err := NewPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	return &PrivateKey{key, public}, nil
}

// GenerateKey makes a key.
func GenerateKey(a Algorithm, random io.Reader) (*PrivateKey, error) {
	var key crypto.Signer
	var err error
	switch a {
	case Ed25519:
		_, key, err = ed25519.GenerateKey(random)
	case ECDSAP256SHA256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), random)
	case ECDSAP384SHA384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), random)
	default:
		return nil, fmt.Errorf("algorithm %q is not one of %s, %s, %s", a, Ed25519, ECDSAP256SHA256, ECDSAP384SHA384)
	}
	if err != nil {
		return nil, err
	}
	return NewPrivateKey(key)
}

// PEMPrivateKey is the type of a PEM block with a PKCS#8 key.
const PEMPrivateKey = "PRIVATE KEY"

// ParsePrivateKey reads a PEM block of type PRIVATE KEY: PKCS#8, not encrypted.
func ParsePrivateKey(text []byte) (*PrivateKey, error) {
	der, err := onePEM(text, PEMPrivateKey)
	if err != nil {
		return nil, err
	}
	return ParsePKCS8(der)
}

// ParsePKCS8 reads a private key in DER.
func ParsePKCS8(der []byte) (*PrivateKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("private key: a key of type %T does not sign", key)
	}
	return NewPrivateKey(signer)
}

// Public returns the public half.
func (k *PrivateKey) Public() *PublicKey { return k.public }

// Signer returns the key of package ed25519 or ecdsa.
func (k *PrivateKey) Signer() crypto.Signer { return k.signer }

// Sign signs a message. ECDSA takes its nonce from key and message, as RFC 6979 says.
func (k *PrivateKey) Sign(message []byte) ([]byte, error) {
	digest, hash := k.public.algorithm.digest(message)
	return k.signer.Sign(nil, digest, hash)
}

// PKCS8 returns the key in DER.
func (k *PrivateKey) PKCS8() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(k.signer) }

// PEM returns the key as a PEM block of type PRIVATE KEY.
func (k *PrivateKey) PEM() ([]byte, error) {
	der, err := k.PKCS8()
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: PEMPrivateKey, Bytes: der}), nil
}
