package export

import (
	"bytes"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/veraison/go-cose"

	"github.com/tdxkit/tdxkit/manifest"
	"github.com/tdxkit/tdxkit/manifest/dsse"
	"github.com/tdxkit/tdxkit/mr"
)

// Tags and numbers of draft-ietf-rats-corim-10.
const (
	tagEpochTime     = 1   // RFC 8949, 3.4.2
	tagUnsignedCoRIM = 501 // tagged-unsigned-corim-map
	tagCoMID         = 506 // tagged-concise-mid-tag
	algSHA384        = 7   // IANA named information hash algorithms
	roleCreator      = 1   // $corim-role-type-choice, manifest-creator
	headerCoRIMMeta  = 8   // corim-meta in the protected header
	corimContentType = "application/rim+cbor"
)

// corimMap is unsigned-corim-map, section 4.1.
type corimMap struct {
	ID       string        `cbor:"0,keyasint"`
	Tags     []cbor.Tag    `cbor:"1,keyasint"`
	Validity validity      `cbor:"4,keyasint"`
	Entities []corimEntity `cbor:"5,keyasint"`
}

// validity is validity-map, section 7.3.
type validity struct {
	NotBefore cbor.Tag `cbor:"0,keyasint"`
	NotAfter  cbor.Tag `cbor:"1,keyasint"`
}

// corimEntity is corim-entity-map, section 4.1.5.
type corimEntity struct {
	Name  string  `cbor:"0,keyasint"`
	Roles []int64 `cbor:"2,keyasint"`
}

// comid is concise-mid-tag, section 5.1.
type comid struct {
	Identity tagIdentity `cbor:"1,keyasint"`
	Triples  triples     `cbor:"4,keyasint"`
}

// tagIdentity is tag-identity-map, section 5.1.1.
type tagIdentity struct {
	ID      string `cbor:"0,keyasint"`
	Version uint64 `cbor:"1,keyasint"`
}

type triples struct {
	Reference []referenceTriple `cbor:"0,keyasint"`
}

// referenceTriple is reference-triple-record, section 5.1.5.
type referenceTriple struct {
	_            struct{} `cbor:",toarray"`
	Environment  environment
	Measurements []measurement
}

type environment struct {
	Class class `cbor:"0,keyasint"`
}

type class struct {
	Vendor string `cbor:"1,keyasint"`
	Model  string `cbor:"2,keyasint"`
}

type measurement struct {
	Value measurementValues `cbor:"1,keyasint"`
}

// measurementValues is measurement-values-map, section 5.1.4.5.
type measurementValues struct {
	Digests   []digest            `cbor:"2,keyasint"`
	Registers map[string][]digest `cbor:"14,keyasint"`
}

type digest struct {
	_         struct{} `cbor:",toarray"`
	Algorithm int64
	Value     []byte
}

// corimMeta is corim-meta-map, section 4.2.2.
type corimMeta struct {
	Signer   corimSigner `cbor:"0,keyasint"`
	Validity validity    `cbor:"1,keyasint"`
}

type corimSigner struct {
	Name string `cbor:"0,keyasint"`
}

// corim writes a signed CoRIM with a CoMID for each variant: MRTD is its digest, RTMR0 to RTMR2 are integrity registers
// of the same measurement, so that a variant stays whole. The tag's ID is the variant's, its version the serial number.
func corim(in *Input) ([]File, error) {
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		return nil, err
	}
	payload, err := unsignedCoRIM(enc, in.Manifest)
	if err != nil {
		return nil, err
	}
	m := in.Manifest
	meta, err := enc.Marshal(corimMeta{corimSigner{m.Product.Name}, validityOf(&m.Header)})
	if err != nil {
		return nil, err
	}
	signer, err := newCOSESigner(in.Signer)
	if err != nil {
		return nil, err
	}
	msg := cose.NewSign1Message()
	msg.Payload = payload
	msg.Headers.Protected.SetAlgorithm(signer.Algorithm())
	msg.Headers.Protected[cose.HeaderLabelContentType] = corimContentType
	msg.Headers.Protected[cose.HeaderLabelKeyID] = []byte(in.Signer.Public().ID())
	msg.Headers.Protected[int64(headerCoRIMMeta)] = meta
	if err := msg.Sign(bytes.NewReader(nil), nil, signer); err != nil {
		return nil, err
	}
	data, err := msg.MarshalCBOR()
	return []File{{"manifest.corim", data}}, err
}

func unsignedCoRIM(enc cbor.EncMode, m *manifest.Manifest) ([]byte, error) {
	name := m.Product.Name + "/" + m.Product.Version
	doc := corimMap{ID: name, Validity: validityOf(&m.Header), Entities: []corimEntity{{m.Product.Name, []int64{roleCreator}}}}
	for _, v := range m.All() {
		values := measurementValues{Digests: digestOf(v.Registers[mr.MRTD]), Registers: map[string][]digest{}}
		for r := mr.RTMR0; r <= mr.RTMR2; r++ {
			values.Registers[r.String()] = digestOf(v.Registers[r])
		}
		tag, err := enc.Marshal(comid{
			tagIdentity{name + "/" + v.ID, m.Serial},
			triples{[]referenceTriple{{
				Environment: environment{class{m.Product.Name, m.Product.Version}}, Measurements: []measurement{{values}},
			}}},
		})
		if err != nil {
			return nil, err
		}
		doc.Tags = append(doc.Tags, cbor.Tag{Number: tagCoMID, Content: tag})
	}
	return enc.Marshal(cbor.Tag{Number: tagUnsignedCoRIM, Content: doc})
}

func digestOf(d mr.Digest) []digest { return []digest{{Algorithm: algSHA384, Value: d[:]}} }

func validityOf(h *manifest.Header) validity {
	epoch := func(t time.Time) cbor.Tag { return cbor.Tag{Number: tagEpochTime, Content: t.Unix()} }
	return validity{epoch(h.NotBefore), epoch(h.Expires)}
}

// A coseSigner signs for COSE with a key of package dsse.
type coseSigner struct {
	signer    dsse.Signer
	algorithm cose.Algorithm
	size      int // bytes of a half of an ECDSA signature; 0 for Ed25519
}

func newCOSESigner(s dsse.Signer) (*coseSigner, error) {
	switch a := s.Public().Algorithm(); a {
	case dsse.Ed25519:
		return &coseSigner{s, cose.AlgorithmEdDSA, 0}, nil
	case dsse.ECDSAP256SHA256:
		return &coseSigner{s, cose.AlgorithmES256, 32}, nil
	case dsse.ECDSAP384SHA384:
		return &coseSigner{s, cose.AlgorithmES384, 48}, nil
	default:
		return nil, fmt.Errorf("COSE has no algorithm for %s", a)
	}
}

// Algorithm returns COSE's number of the algorithm.
func (s *coseSigner) Algorithm() cose.Algorithm { return s.algorithm }

// Sign signs, and turns an ECDSA signature from ASN.1 into the two numbers one after the other. RFC 9053, 2.1.
func (s *coseSigner) Sign(_ io.Reader, content []byte) ([]byte, error) {
	sig, err := s.signer.Sign(content)
	if err != nil || s.size == 0 {
		return sig, err
	}
	var parts struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(sig, &parts); err != nil || len(rest) > 0 || parts.R.Sign() <= 0 || parts.S.Sign() <= 0 ||
		parts.R.BitLen() > 8*s.size || parts.S.BitLen() > 8*s.size {
		return nil, fmt.Errorf("the signer returned no ECDSA signature")
	}
	out := make([]byte, 2*s.size)
	parts.R.FillBytes(out[:s.size])
	parts.S.FillBytes(out[s.size:])
	return out, nil
}
