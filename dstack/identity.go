package dstack

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/keccak"
	"github.com/tdxkit/tdxkit/internal/strictjson"
	"github.com/tdxkit/tdxkit/mr"
)

// A Measurement holds the fields of a TD report that dstack derives identities from.
type Measurement struct {
	Registers                          mr.Values
	MRCONFIGID, MROWNER, MROWNERCONFIG mr.Digest
}

// Aggregated returns mr_aggregated: SHA-256 of MRTD and the RTMRs, and of MRCONFIGID, MROWNER and MROWNERCONFIG if any of
// them is not zero. Dstack-TEE/dstack 312dc605ebaa, dstack/dstack-attest/src/attestation.rs, decode_mr_tdx_from_quote.
func (m *Measurement) Aggregated() [sha256.Size]byte {
	h := sha256.New()
	for _, d := range m.Registers {
		h.Write(d[:])
	}
	zero := mr.Digest{}
	if m.MRCONFIGID != zero || m.MROWNER != zero || m.MROWNERCONFIG != zero {
		h.Write(m.MRCONFIGID[:])
		h.Write(m.MROWNER[:])
		h.Write(m.MROWNERCONFIG[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// System returns mr_system: SHA-256 of MRTD, RTMR0 to RTMR2 and the digest of the key provider's payload, which is 32
// zero bytes where there is no key-provider event. decode_mr_tdx_from_quote and decode_app_info.
func (m *Measurement) System(keyProvider []byte) [sha256.Size]byte {
	h := sha256.New()
	for _, r := range []mr.Register{mr.MRTD, mr.RTMR0, mr.RTMR1, mr.RTMR2} {
		h.Write(m.Registers[r][:])
	}
	var provider [sha256.Size]byte
	if keyProvider != nil {
		provider = sha256.Sum256(keyProvider)
	}
	h.Write(provider[:])
	return [sha256.Size]byte(h.Sum(nil))
}

// AppIDOf returns the app-id that a compose hash leads to unless a KMS or the deployment gives another: its first 20 bytes.
func AppIDOf(composeHash [32]byte) [20]byte { return [20]byte(composeHash[:20]) }

// A KeyProviderKind is how a guest gets its keys, by the number that MRCONFIGID hashes.
type KeyProviderKind uint8

// The kinds. Dstack-TEE/dstack 312dc605ebaa, dstack/dstack-types/src/mr_config.rs, key_provider_kind_byte.
const (
	KeysNone KeyProviderKind = iota
	KeysLocal
	KeysKMS
	KeysTPM
)

// keyProviderKinds are the kinds as a configuration document and as a key-provider event spell them.
var keyProviderKinds = []struct{ document, event string }{
	KeysNone: {"none", "none"}, KeysLocal: {"local", "local-sgx"}, KeysKMS: {"kms", "kms"}, KeysTPM: {"tpm", "tpm"},
}

// Kind returns the kind that the provider's name stands for.
func (k KeyProviderInfo) Kind() (KeyProviderKind, bool) {
	for i, n := range keyProviderKinds {
		if n.event == k.Name {
			return KeyProviderKind(i), true
		}
	}
	return 0, false
}

// ConfigIDV1 returns the MRCONFIGID of version 1: 01, the compose hash, zeros. mr_config.rs, MrConfig::V1.
func ConfigIDV1(composeHash [32]byte) mr.Digest { return configID(1, composeHash) }

// ConfigIDV2 returns the MRCONFIGID of version 2: 02, Keccak-256 of compose hash, app-id, kind and provider's ID, zeros.
// MrConfig::V2.
func ConfigIDV2(composeHash [32]byte, appID [20]byte, kind KeyProviderKind, providerID []byte) mr.Digest {
	b := append(append([]byte{}, composeHash[:]...), appID[:]...)
	b = append(append(b, byte(kind)), providerID...)
	return configID(2, keccak.Sum256(b))
}

// ConfigIDV3 returns the MRCONFIGID of version 3: 03, SHA-256 of a domain, a zero byte and the document's bytes, zeros.
// MrConfigV3::hash_document.
func ConfigIDV3(document []byte) mr.Digest {
	return configID(3, sha256.Sum256(append([]byte("dstack-mr-config-v3:\x00"), document...)))
}

func configID(version byte, hash [32]byte) (id mr.Digest) {
	id[0] = version
	copy(id[1:], hash[:])
	return id
}

// A ConfigDocument is what an MRCONFIGID of version 3 is the digest of, a vm_config's mr_config.
type ConfigDocument struct {
	ComposeHash      [32]byte
	AppID            []byte // 20 bytes; nil where it is not pinned
	GPUPolicyHash    []byte // 32 bytes; nil where it is not pinned
	KeyProvider      KeyProviderKind
	KeyProviderID    []byte   // nil where it is not pinned
	InstanceID       []byte   // nil where it is not pinned
	InitScriptHashes [][]byte // nil where they are not pinned, of no length where none is allowed
}

// ParseConfigDocument reads the document, strictly. mr_config.rs, MrConfigV3.
func ParseConfigDocument(data []byte) (*ConfigDocument, error) {
	const format = "mr_config"
	r, err := readObject(format, data)
	if err != nil {
		return nil, err
	}
	d := &ConfigDocument{}
	if r.Optional("version") != nil {
		if n := r.Uint("version", 255); r.Err() == nil && n != 3 {
			r.Failf("version", bin.ErrUnsupported, "is %d, want 3", n)
		}
	}
	r.Hex("compose_hash", d.ComposeHash[:])
	d.AppID = optionalHex(r, "app_id", 20)
	d.GPUPolicyHash = optionalHex(r, "gpu_policy_hash", 32)
	d.KeyProviderID = optionalHex(r, "key_provider_id", 0)
	d.InstanceID = optionalHex(r, "instance_id", 20)
	kind := r.String("key_provider")
	known := false
	for i, n := range keyProviderKinds {
		if n.document == kind {
			d.KeyProvider, known = KeyProviderKind(i), true
		}
	}
	if r.Err() == nil && !known {
		r.Failf("key_provider", bin.ErrUnsupported, "is %.40q, want none, local, kms or tpm", kind)
	}
	if v := r.Optional("init_script_hashes"); v != nil && v.Kind != strictjson.Null {
		d.InitScriptHashes = [][]byte{}
		for i := range v.Items {
			b, err := hex.DecodeString(v.Items[i].Text)
			if err != nil || len(b) != 32 {
				r.Failf("init_script_hashes", bin.ErrMalformed, "has an item that is not 64 hexadecimal digits")
			}
			d.InitScriptHashes = append(d.InitScriptHashes, b)
		}
		if v.Kind != strictjson.Array {
			r.Failf("init_script_hashes", bin.ErrMalformed, "is %v, want an array", v.Kind)
		}
	}
	r.End()
	if err := r.Err(); err != nil {
		return nil, err
	}
	return d, nil
}

// optionalHex returns the bytes of a string of hexadecimal digits, nil where it is missing, null or empty. A size of 0
// allows any.
func optionalHex(r *strictjson.Reader, name string, size int) []byte {
	v := r.Optional(name)
	if v == nil || v.Kind == strictjson.Null {
		return nil
	}
	b, err := hex.DecodeString(r.String(name))
	if r.Err() == nil && (err != nil || size > 0 && len(b) != 0 && len(b) != size) {
		r.Failf(name, bin.ErrMalformed, "is not hexadecimal, or not of %d bytes", size)
	}
	if len(b) == 0 {
		return nil
	}
	return b
}

// agrees compares the document with what a guest measured of itself. dstack-util/src/system_setup/config_id_verifier.rs,
// verify_mr_config_v3_document.
func (d *ConfigDocument) agrees(r *Runtime) error {
	kind, ok := r.KeyProvider.Kind()
	if !ok {
		return fmt.Errorf("mr_config: the key provider of the guest's event is %.40q, which has no number", r.KeyProvider.Name)
	}
	id, err := hex.DecodeString(r.KeyProvider.ID)
	if err != nil && d.KeyProviderID != nil {
		return fmt.Errorf("mr_config: the key provider's ID in the guest's event, %.40q, is not hexadecimal", r.KeyProvider.ID)
	}
	pinned := func(name string, want, got []byte) error {
		if want != nil && !bytes.Equal(want, got) {
			return fmt.Errorf("mr_config: %s is %x, the guest's event says %x", name, want, got)
		}
		return nil
	}
	var policy []byte
	if p := r.Find(GPUPolicyHash); len(p) > 0 {
		policy = p[0]
	}
	for _, err := range []error{
		pinned("compose_hash", d.ComposeHash[:], r.ComposeHash[:]),
		pinned("app_id", d.AppID, r.AppID[:]),
		pinned("gpu_policy_hash", d.GPUPolicyHash, policy),
		pinned("key_provider", []byte{byte(d.KeyProvider)}, []byte{byte(kind)}),
		pinned("key_provider_id", d.KeyProviderID, id),
		pinned("instance_id", d.InstanceID, r.InstanceID),
	} {
		if err != nil {
			return err
		}
	}
	if d.InitScriptHashes != nil {
		got := r.Find(InitScriptHash)
		if len(got) != len(d.InitScriptHashes) {
			return fmt.Errorf("mr_config: pins %d init scripts, the guest's events name %d", len(d.InitScriptHashes), len(got))
		}
		for i := range got {
			if err := pinned("init_script_hashes", d.InitScriptHashes[i], got[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckConfigID says whether an MRCONFIGID commits to what a guest measured of itself, and by which rule: version 1, 2 or
// 3, or the compose hash alone (0.5.1). Version 3 needs the document. A zero MRCONFIGID commits to nothing and is an error.
func CheckConfigID(id mr.Digest, r *Runtime, document []byte) (rule string, err error) {
	var bare mr.Digest
	copy(bare[:], r.ComposeHash[:])
	if id == bare {
		return "compose hash", nil
	}
	var want mr.Digest
	switch id[0] {
	case 1:
		rule, want = "version 1", ConfigIDV1(r.ComposeHash)
	case 2:
		kind, ok := r.KeyProvider.Kind()
		providerID, err := hex.DecodeString(r.KeyProvider.ID)
		if !ok || err != nil {
			return "", fmt.Errorf("MRCONFIGID is of version 2; the key provider %.40q has no number, or an ID that is not hexadecimal", r.KeyProvider.Name)
		}
		rule, want = "version 2", ConfigIDV2(r.ComposeHash, r.AppID, kind, providerID)
	case 3:
		if document == nil {
			return "", fmt.Errorf("MRCONFIGID is of version 3, whose document (vm_config's mr_config) is not at hand")
		}
		d, err := ParseConfigDocument(document)
		if err != nil {
			return "", err
		}
		if err := d.agrees(r); err != nil {
			return "", err
		}
		rule, want = "version 3", ConfigIDV3(document)
	default:
		return "", fmt.Errorf("MRCONFIGID is %v, which is neither zero nor of a version from 1 to 3", id)
	}
	if id != want {
		return "", fmt.Errorf("MRCONFIGID is %v, the guest's events lead to %v (%s)", id, want, rule)
	}
	return rule, nil
}
