// Package dsse signs and opens envelopes: Dead Simple Signing Envelope 1.0.2, with one form of the bytes. It builds on
// the standard library alone, so that a verifier does.
//
// The specification lets the same envelope be written in many ways: base64 of two alphabets, members in any order, white
// space, escapes. Here there is one, and other forms are refused, so that no byte of an envelope can change without a
// reader's notice. A key fixes its algorithm: an envelope does not name one.
package dsse

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/strictjson"
)

// Bounds on an envelope.
const (
	MaxEnvelope   = 96 << 20 // bytes: base64 of the largest statement, and its signatures
	MaxSignatures = 64       // a manifest is signed by a handful of people or machines
	maxSignature  = 1024     // bytes; one of ECDSA P-384 has up to 104
)

// An Envelope is a signed payload. What is in it is not to be relied on before Verify.
type Envelope struct {
	UntrustedPayload     []byte
	UntrustedPayloadType string
	Signatures           []Signature
}

// A Signature is one signature over the payload and its type.
type Signature struct {
	KeyID string // PublicKey.ID of the signing key, or empty
	Sig   []byte
}

// PAE is the encoding that is signed. DSSE 1.0.2, protocol.md, Signature Definition.
func PAE(payloadType string, payload []byte) []byte {
	b := make([]byte, 0, len(payload)+len(payloadType)+32)
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(append(b, ' '), payloadType...)
	b = strconv.AppendInt(append(b, ' '), int64(len(payload)), 10)
	return append(append(b, ' '), payload...)
}

// The fixed parts of an envelope's one form.
const (
	formHead  = `{"payload":"`
	formType  = `","payloadType":`
	formSigs  = `,"signatures":[`
	formKeyID = `{"keyid":`
	formSig   = `,"sig":"`
)

// Append appends the envelope's one form: no white space, members in the order of the specification's example, standard
// base64 with padding, and a newline at the end.
func (e *Envelope) Append(b []byte) ([]byte, error) {
	b = slices.Grow(b, base64.StdEncoding.EncodedLen(len(e.UntrustedPayload))+256*(1+len(e.Signatures)))
	b = base64.StdEncoding.AppendEncode(append(b, formHead...), e.UntrustedPayload)
	return e.appendTail(b)
}

// appendTail appends what follows the payload.
func (e *Envelope) appendTail(b []byte) ([]byte, error) {
	text, err := json.Marshal(e.UntrustedPayloadType)
	if err != nil {
		return nil, err
	}
	b = append(append(append(b, formType...), text...), formSigs...)
	for i, s := range e.Signatures {
		if i > 0 {
			b = append(b, ',')
		}
		if text, err = json.Marshal(s.KeyID); err != nil {
			return nil, err
		}
		b = append(append(append(b, formKeyID...), text...), formSig...)
		b = append(base64.StdEncoding.AppendEncode(b, s.Sig), `"}`...)
	}
	return append(b, "]}\n"...), nil
}

// ErrForm says that an envelope is not in the one form that Append writes.
var ErrForm = errors.New("is not in the form that tdxkit writes: no white space, members in order, padded base64, a newline at the end")

// Parse reads an envelope. It refuses every form but that of Append.
func Parse(data []byte) (*Envelope, error) {
	if len(data) > MaxEnvelope {
		return nil, fmt.Errorf("envelope has %d bytes, at most %d are read", len(data), MaxEnvelope)
	}
	e := &Envelope{}
	var payload []byte
	d := strictjson.NewDecoder("envelope", data)
	d.Object([]strictjson.Field{
		{Name: "payload", Read: func() { payload = d.Bytes() }},
		{Name: "payloadType", Read: func() { e.UntrustedPayloadType = d.String() }},
		{Name: "signatures", Read: func() { d.Array(func() { e.readSignature(d) }) }},
	})
	if err := d.End(); err != nil {
		return nil, err
	}
	if n := len(e.Signatures); n == 0 || n > MaxSignatures {
		return nil, fmt.Errorf("envelope: has %d signatures, want 1 to %d", n, MaxSignatures)
	}
	e.UntrustedPayload = make([]byte, base64.StdEncoding.DecodedLen(len(payload)))
	n, err := base64.StdEncoding.Strict().Decode(e.UntrustedPayload, payload)
	if err != nil {
		return nil, fmt.Errorf("envelope: payload: %w", err)
	}
	e.UntrustedPayload = e.UntrustedPayload[:n]
	return e, e.checkForm(data, payload)
}

// readSignature reads one signature. One more than the limit is kept, for the message.
func (e *Envelope) readSignature(d *strictjson.Decoder) {
	var s Signature
	d.Object([]strictjson.Field{
		{Name: "keyid", Read: func() { s.KeyID = d.String() }},
		{Name: "sig", Read: func() {
			at := d.Off()
			var err error
			s.Sig, err = base64.StdEncoding.Strict().DecodeString(d.String())
			if err != nil || len(s.Sig) == 0 || len(s.Sig) > maxSignature {
				d.Failf(at, "sig", bin.ErrMalformed, "is not base64 of 1 to %d bytes", maxSignature)
			}
		}},
	})
	if len(e.Signatures) <= MaxSignatures {
		e.Signatures = append(e.Signatures, s)
	}
}

// checkForm reports whether data is what Append makes of the envelope, given the payload in base64 as it was read.
// Strict base64 without line breaks has one form.
func (e *Envelope) checkForm(data, payload []byte) error {
	tail, err := e.appendTail(nil)
	if err != nil {
		return err
	}
	rest, ok := bytes.CutPrefix(data, []byte(formHead))
	if ok {
		rest, ok = bytes.CutPrefix(rest, payload)
	}
	lineBreaks := base64.StdEncoding.EncodedLen(len(e.UntrustedPayload)) != len(payload)
	if !ok || !bytes.Equal(rest, tail) || lineBreaks {
		return fmt.Errorf("envelope: %w", ErrForm)
	}
	return nil
}

// Sign adds signatures by the signers, in their order. A key signs once.
func (e *Envelope) Sign(signers ...Signer) error {
	pae := PAE(e.UntrustedPayloadType, e.UntrustedPayload)
	for _, s := range signers {
		pub := s.Public()
		for _, have := range e.Signatures {
			if have.KeyID == pub.ID() || have.KeyID == "" && pub.verify(pae, have.Sig) {
				return fmt.Errorf("key %s has signed already", pub.ID())
			}
		}
		if len(e.Signatures) == MaxSignatures {
			return fmt.Errorf("envelope has %d signatures, which is as many as it may have", MaxSignatures)
		}
		sig, err := s.Sign(pae)
		if err != nil {
			return err
		}
		if !pub.verify(pae, sig) {
			return fmt.Errorf("what the signer returned is no signature by key %s (%s)", pub.ID(), pub.Algorithm())
		}
		e.Signatures = append(e.Signatures, Signature{KeyID: pub.ID(), Sig: sig})
	}
	return nil
}

// New returns an envelope without signatures.
func New(payloadType string, payload []byte) *Envelope {
	return &Envelope{UntrustedPayload: payload, UntrustedPayloadType: payloadType}
}

// Verify checks every signature and returns the payload and the distinct keys that signed it, in the order of the
// signatures. The payload's type must be payloadType. A signature that none of the keys made is an error, whatever else
// signed: whoever put it there changed the envelope. So are two by one key.
func (e *Envelope) Verify(payloadType string, keys []*PublicKey) ([]byte, []*PublicKey, error) {
	if e.UntrustedPayloadType != payloadType {
		return nil, nil, fmt.Errorf("envelope: payload type is %.80q, want %q", e.UntrustedPayloadType, payloadType)
	}
	if len(e.Signatures) == 0 {
		return nil, nil, errors.New("envelope: has no signatures")
	}
	pae := PAE(payloadType, e.UntrustedPayload)
	var signed []*PublicKey
	for i, s := range e.Signatures {
		k, err := s.signer(pae, keys)
		if err != nil {
			return nil, nil, fmt.Errorf("envelope: signature %d: %w", i, err)
		}
		for _, have := range signed {
			if have.ID() == k.ID() {
				return nil, nil, fmt.Errorf("envelope: signature %d: key %s has signed twice", i, k.ID())
			}
		}
		signed = append(signed, k)
	}
	return e.UntrustedPayload, signed, nil
}

// signer returns the key that made the signature. A key ID, where there is one, has to be that key's.
func (s *Signature) signer(pae []byte, keys []*PublicKey) (*PublicKey, error) {
	known := false
	for _, k := range keys {
		if s.KeyID != "" && s.KeyID != k.ID() {
			continue
		}
		known = true
		if k.verify(pae, s.Sig) {
			return k, nil
		}
	}
	switch {
	case s.KeyID == "":
		return nil, errors.New("is by none of the keys, or over other bytes")
	case !known:
		return nil, fmt.Errorf("is by the unknown key %.80q", s.KeyID)
	}
	return nil, fmt.Errorf("is not by key %s, or over other bytes", s.KeyID)
}
