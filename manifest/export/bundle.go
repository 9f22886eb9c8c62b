package export

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tdxkit/tdxkit/manifest/dsse"
)

// bundleMediaType is that of sigstore's bundles of version 0.3.
const bundleMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// sigstoreBundle writes the manifest with one of its signatures as a sigstore bundle for a key that the verifier has.
// A bundle holds one signature. Its key is named by the hint; a key ID beside the signature makes cosign 3.1.3 refuse it.
// sigstore/protobuf-specs, protos/sigstore_bundle.proto.
func sigstoreBundle(in *Input) ([]File, error) {
	sig, err := oneSignature(in)
	if err != nil {
		return nil, err
	}
	if in.Key == nil {
		return nil, errors.New("names the key by a digest of it: give the public key")
	}
	hint := sha256.Sum256(in.Key.DER())
	type signature struct {
		Sig []byte `json:"sig"`
	}
	type publicKey struct {
		Hint string `json:"hint"`
	}
	type material struct {
		PublicKey publicKey `json:"publicKey"`
		Entries   []any     `json:"tlogEntries"`
	}
	type envelope struct {
		Payload     []byte      `json:"payload"`
		PayloadType string      `json:"payloadType"`
		Signatures  []signature `json:"signatures"`
	}
	data, err := json.Marshal(struct {
		MediaType string   `json:"mediaType"`
		Material  material `json:"verificationMaterial"`
		Envelope  envelope `json:"dsseEnvelope"`
	}{
		bundleMediaType,
		material{publicKey{base64.StdEncoding.EncodeToString(hint[:])}, []any{}},
		envelope{in.Envelope.UntrustedPayload, in.Envelope.UntrustedPayloadType, []signature{{sig}}},
	})
	return []File{{"manifest.sigstore.json", append(data, '\n')}}, err
}

// oneSignature returns the signature by the key that is asked for, which has to be good.
func oneSignature(in *Input) ([]byte, error) {
	if in.Envelope == nil || len(in.Envelope.Signatures) == 0 {
		return nil, errors.New("takes a signed manifest, and this one is not signed")
	}
	list := in.Envelope.Signatures
	if in.Key != nil {
		list = slices.DeleteFunc(slices.Clone(list), func(s dsse.Signature) bool { return s.KeyID != in.Key.ID() })
		if len(list) == 0 {
			return nil, fmt.Errorf("the manifest has no signature by key %s", in.Key.ID())
		}
		one := dsse.Envelope{UntrustedPayload: in.Envelope.UntrustedPayload, UntrustedPayloadType: in.Envelope.UntrustedPayloadType, Signatures: list}
		if _, _, err := one.Verify(one.UntrustedPayloadType, []*dsse.PublicKey{in.Key}); err != nil {
			return nil, err
		}
	}
	if len(list) > 1 {
		return nil, fmt.Errorf("holds one signature, and the manifest has %d: say whose to take", len(list))
	}
	return list[0].Sig, nil
}
