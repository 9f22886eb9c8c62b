package export

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/veraison/go-cose"

	"github.com/tdxkit/tdxkit/manifest/dsse"
)

// TestCoRIM decodes the signed CoRIM as its specification says, and checks its signature with another implementation of
// the same primitives.
func TestCoRIM(t *testing.T) {
	m := statement(t, nil)
	for _, a := range []dsse.Algorithm{dsse.Ed25519, dsse.ECDSAP256SHA256, dsse.ECDSAP384SHA384} {
		k := newKey(t, a)
		var msg cose.Sign1Message
		if err := msg.UnmarshalCBOR(write(t, "corim", &Input{Manifest: m, Signer: k})[0].Data); err != nil {
			t.Fatal(err)
		}
		alg, err := msg.Headers.Protected.Algorithm()
		if err != nil {
			t.Fatal(err)
		}
		v, err := cose.NewVerifier(alg, k.Public().Key())
		if err != nil {
			t.Fatal(err)
		}
		if err := msg.Verify(nil, v); err != nil {
			t.Errorf("%s: %v", a, err)
		}
		if msg.Headers.Protected[cose.HeaderLabelContentType] != corimContentType {
			t.Errorf("content type %v", msg.Headers.Protected[cose.HeaderLabelContentType])
		}
		var outer cbor.RawTag
		var doc corimMap
		if err := errors.Join(cbor.Unmarshal(msg.Payload, &outer), cbor.Unmarshal(outer.Content, &doc)); err != nil || outer.Number != tagUnsignedCoRIM {
			t.Fatal(outer.Number, err)
		}
		var got []string
		for _, tag := range doc.Tags {
			var c comid
			if err := cbor.Unmarshal(tag.Content.([]byte), &c); err != nil || tag.Number != tagCoMID || c.Identity.Version != 3 {
				t.Fatal(tag.Number, c.Identity, err)
			}
			v := c.Triples.Reference[0].Measurements[0].Value
			hexOf := func(d []digest) string { return hex.EncodeToString(d[0].Value) }
			got = append(got, row(hexOf(v.Digests), hexOf(v.Registers["rtmr0"]), hexOf(v.Registers["rtmr1"]), hexOf(v.Registers["rtmr2"])))
		}
		if d := cmp.Diff(registers(m), got); d != "" {
			t.Error(d)
		}
	}
	f, err := Find("corim")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(&Input{Manifest: m}); !errors.Is(err, ErrSigner) {
		t.Errorf("%v without a key, want ErrSigner", err)
	}
	if _, err := f.Write(&Input{Manifest: m, Signer: broken{newKey(t, dsse.ECDSAP256SHA256)}}); err == nil || !strings.Contains(err.Error(), "no ECDSA signature") {
		t.Errorf("%v from a signer that returns rubbish", err)
	}
}

// broken returns a signature that is none.
type broken struct{ *dsse.PrivateKey }

func (broken) Sign([]byte) ([]byte, error) { return []byte("rubbish"), nil }
