package dsse

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
)

// payloadType is one that tests sign.
const payloadType = "application/x.test"

// stream is an endless sequence of bytes that depends on its name alone.
type stream struct {
	name  string
	count uint64
	rest  []byte
}

func (s *stream) Read(b []byte) (int, error) {
	for len(s.rest) < len(b) {
		s.count++
		sum := sha256.Sum256(binary.LittleEndian.AppendUint64([]byte(s.name), s.count))
		s.rest = append(s.rest, sum[:]...)
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

var _ io.Reader = (*stream)(nil)

func newKey(t testing.TB, name string, a Algorithm) *PrivateKey {
	t.Helper()
	k, err := GenerateKey(a, &stream{name: name})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var algorithms = []Algorithm{Ed25519, ECDSAP256SHA256, ECDSAP384SHA384}

func keysOf(list ...*PrivateKey) []*PublicKey {
	var out []*PublicKey
	for _, k := range list {
		out = append(out, k.Public())
	}
	return out
}

func sign(t testing.TB, payload string, keys ...*PrivateKey) []byte {
	t.Helper()
	e := New(payloadType, []byte(payload))
	for _, k := range keys {
		if err := e.Sign(k); err != nil {
			t.Fatal(err)
		}
	}
	b, err := e.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(data []byte, keys []*PublicKey) ([]byte, []*PublicKey, error) {
	e, err := Parse(data)
	if err != nil {
		return nil, nil, err
	}
	return e.Verify(payloadType, keys)
}

// TestPAE is the example of the specification. DSSE 1.0.2, protocol.md, Test Vectors.
func TestPAE(t *testing.T) {
	got := PAE("http://example.com/HelloWorld", []byte("hello world"))
	if want := "DSSEv1 29 http://example.com/HelloWorld 11 hello world"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSignAndVerify(t *testing.T) {
	var keys []*PrivateKey
	for _, a := range algorithms {
		keys = append(keys, newKey(t, string(a), a))
	}
	data := sign(t, "the payload", keys...)
	payload, signed, err := open(data, keysOf(keys...))
	if err != nil || string(payload) != "the payload" || len(signed) != len(keys) {
		t.Fatalf("%q by %d keys, %v", payload, len(signed), err)
	}
	for i, k := range signed {
		if k.ID() != keys[i].Public().ID() || k.Algorithm() != algorithms[i] {
			t.Errorf("signature %d is by %s (%s), want %s", i, k.ID(), k.Algorithm(), keys[i].Public().ID())
		}
	}
	if again := sign(t, "the payload", keys...); !bytes.Equal(again, data) {
		t.Error("signed again, the bytes differ")
	}
}

func TestKeyRoundTrip(t *testing.T) {
	for _, a := range algorithms {
		k := newKey(t, "k", a)
		text, err := k.PEM()
		if err != nil {
			t.Fatal(err)
		}
		private, err := ParsePrivateKey(text)
		if err != nil {
			t.Fatal(err)
		}
		public, err := ParsePublicKey(k.Public().PEM())
		if err != nil {
			t.Fatal(err)
		}
		if private.Public().ID() != k.Public().ID() || public.ID() != k.Public().ID() || public.Algorithm() != a {
			t.Errorf("%s: the key read back is another one", a)
		}
	}
}

// TestEmptyKeyID holds that a signature without key ID is looked up among all keys, as envelopes of others have it.
func TestEmptyKeyID(t *testing.T) {
	k, other := newKey(t, "a", Ed25519), newKey(t, "b", ECDSAP256SHA256)
	e := New(payloadType, []byte("x"))
	if err := e.Sign(k); err != nil {
		t.Fatal(err)
	}
	e.Signatures[0].KeyID = ""
	_, signed, err := e.Verify(payloadType, keysOf(other, k))
	if err != nil || len(signed) != 1 || signed[0].ID() != k.Public().ID() {
		t.Errorf("%d keys, %v", len(signed), err)
	}
}

// TestEveryByteCounts changes each byte of an envelope to every other value: all are refused.
func TestEveryByteCounts(t *testing.T) {
	a, b := newKey(t, "a", Ed25519), newKey(t, "b", ECDSAP256SHA256)
	data := sign(t, `{"n":1}`, a, b)
	keys := keysOf(a, b)
	for i, c := range data {
		for v := range 256 {
			if byte(v) == c {
				continue
			}
			changed := bytes.Clone(data)
			changed[i] = byte(v)
			if _, _, err := open(changed, keys); err == nil {
				t.Fatalf("byte %d changed from %q to %q is accepted", i, c, byte(v))
			}
		}
	}
	for i := range data {
		if _, _, err := open(data[:i], keys); err == nil {
			t.Fatalf("the first %d bytes are accepted", i)
		}
	}
}

// TestVerifyRejects has one case for each way in which an envelope is wrong.
func TestVerifyRejects(t *testing.T) {
	a, b, stranger := newKey(t, "a", Ed25519), newKey(t, "b", ECDSAP256SHA256), newKey(t, "c", ECDSAP384SHA384)
	p256 := newKey(t, "d", ECDSAP256SHA256)
	keys := keysOf(a, b, p256)
	good := sign(t, "payload", a)
	edit := func(old, new string) []byte { return []byte(strings.Replace(string(good), old, new, 1)) }
	envelope := func(change func(*Envelope)) []byte {
		e, err := Parse(good)
		if err != nil {
			t.Fatal(err)
		}
		change(e)
		out, err := e.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	signature := strings.SplitAfter(string(good), `"signatures":[`)[1]
	signature = strings.TrimSuffix(signature, "]}\n")
	for _, tc := range []struct {
		name string
		data []byte
		want string
	}{
		{"another payload type", edit(payloadType, "application/x.best"), "payload type is"},
		{"another payload", envelope(func(e *Envelope) { e.UntrustedPayload = []byte("other") }), "is not by key"},
		{"no signatures", envelope(func(e *Envelope) { e.Signatures = nil }), "has 0 signatures"},
		{"an unknown key", sign(t, "payload", stranger), "unknown key"},
		{"an unknown key beside a known one", sign(t, "payload", a, stranger), "unknown key"},
		{"an unknown key without ID", envelope(func(e *Envelope) {
			e.Signatures = append(e.Signatures, Signature{Sig: mustSign(t, stranger, "payload")})
		}), "by none of the keys"},
		{"the ID of another key", envelope(func(e *Envelope) { e.Signatures[0].KeyID = b.Public().ID() }), "is not by key"},
		{"a signature of another algorithm under a key's ID", envelope(func(e *Envelope) {
			e.Signatures[0] = Signature{KeyID: b.Public().ID(), Sig: mustSign(t, a, "payload")}
		}), "is not by key"},
		{"one key twice", envelope(func(e *Envelope) { e.Signatures = append(e.Signatures, e.Signatures[0]) }), "signed twice"},
		{"one key twice, once without ID", envelope(func(e *Envelope) {
			e.Signatures = append(e.Signatures, Signature{Sig: e.Signatures[0].Sig})
		}), "signed twice"},
		{"duplicate payload", edit(`"payloadType"`, `"payload":"eA==","payloadType"`), "occurs twice"},
		{"case variant", edit(`"payload":`, `"Payload":`), "in case only"},
		{"case variant beside", edit(`"payloadType"`, `"PAYLOAD":"eA==","payloadType"`), "in case only"},
		{"unknown member", edit(`"payloadType"`, `"extra":1,"payloadType"`), "not a member known"},
		{"algorithm named", edit(`"keyid"`, `"alg":"none","keyid"`), "not a member known"},
		{"members in another order", edit(`{"payload":`, `{ "payload":`), "form that tdxkit writes"},
		{"no newline", bytes.TrimSpace(good), "form that tdxkit writes"},
		{"an escape", edit("application/x.test", "application\\/x.test"), "form that tdxkit writes"},
		{"base64 without padding", edit("cGF5bG9hZA==", "cGF5bG9hZA"), "payload: illegal base64"},
		{"base64 of the other alphabet", []byte(strings.Replace(string(sign(t, "\xfb\xff", a)), "+/8=", "-_8=", 1)), "payload: illegal base64"},
		{"base64 with bits to spare", edit("cGF5bG9hZA==", "cGF5bG9hZB=="), "payload: illegal base64"},
		{"base64 with a newline", edit("cGF5bG9hZA==", `cGF5\nbG9hZA==`), "form that tdxkit writes"},
		{"too many signatures", edit(signature, strings.Repeat(signature+",", MaxSignatures)+signature), "has 65 signatures"},
		{"an empty signature", envelope(func(e *Envelope) { e.Signatures[0].Sig = nil }), "not base64 of 1 to"},
		{"a long signature", envelope(func(e *Envelope) { e.Signatures[0].Sig = make([]byte, maxSignature+1) }), "not base64 of 1 to"},
		{"trailing data", append(bytes.Clone(good), "{}"...), "follow the value"},
		{"an array", []byte("[]\n"), "is not an object"},
		{"nothing", nil, "is not an object"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			payload, _, err := open(tc.data, keys)
			if err == nil {
				t.Fatalf("accepted, with payload %q", payload)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v\nwant it to say %q", err, tc.want)
			}
		})
	}
}

func mustSign(t testing.TB, k *PrivateKey, payload string) []byte {
	t.Helper()
	sig, err := k.Sign(PAE(payloadType, []byte(payload)))
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// TestVerifyMade opens envelopes that were not read.
func TestVerifyMade(t *testing.T) {
	k := newKey(t, "a", Ed25519)
	if payload, _, err := New(payloadType, []byte("x")).Verify(payloadType, keysOf(k)); payload != nil || err == nil || !strings.Contains(err.Error(), "no signatures") {
		t.Errorf("without signatures: %q, %v", payload, err)
	}
	if e, err := Parse(make([]byte, MaxEnvelope+1)); e != nil || err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("%v, want that it is too long", err)
	}
	full := New(payloadType, []byte("x"))
	for i := range MaxSignatures {
		if err := full.Sign(newKey(t, strings.Repeat("k", i+1), Ed25519)); err != nil {
			t.Fatal(err)
		}
	}
	data, err := full.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := Parse(data); err != nil || len(e.Signatures) != MaxSignatures {
		t.Errorf("with as many signatures as may be: %v", err)
	}
}

func TestSignRefuses(t *testing.T) {
	k := newKey(t, "a", Ed25519)
	e := New(payloadType, []byte("x"))
	if err := e.Sign(k); err != nil {
		t.Fatal(err)
	}
	if err := e.Sign(k); err == nil || !strings.Contains(err.Error(), "has signed already") {
		t.Errorf("%v, want that the key has signed already", err)
	}
	nameless := New(payloadType, []byte("x"))
	nameless.Signatures = []Signature{{Sig: e.Signatures[0].Sig}}
	if err := nameless.Sign(k); err == nil || !strings.Contains(err.Error(), "has signed already") {
		t.Errorf("%v, want that the key has signed already, without its ID", err)
	}
	full := New(payloadType, []byte("x"))
	full.Signatures = make([]Signature, MaxSignatures)
	if err := full.Sign(k); err == nil || !strings.Contains(err.Error(), "as many as it may have") {
		t.Errorf("%v, want that there are enough signatures", err)
	}
	if err := e.Sign(liar{newKey(t, "b", Ed25519)}); err == nil || !strings.Contains(err.Error(), "no signature by key") {
		t.Errorf("%v, want that the signer returned no signature", err)
	}
	if err := e.Sign(broken{newKey(t, "b", Ed25519)}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%v, want the signer's error", err)
	}
}

// liar signs something else.
type liar struct{ *PrivateKey }

func (l liar) Sign([]byte) ([]byte, error) { return l.PrivateKey.Sign([]byte("something else")) }

type broken struct{ *PrivateKey }

func (broken) Sign([]byte) ([]byte, error) { return nil, io.ErrClosedPipe }

func TestParseKeyRejects(t *testing.T) {
	k := newKey(t, "a", Ed25519)
	private, err := k.PEM()
	if err != nil {
		t.Fatal(err)
	}
	public := k.Public().PEM()
	for _, tc := range []struct {
		name, text, want string
	}{
		{"a private key", string(private), `type "PRIVATE KEY", want PUBLIC KEY`},
		{"no PEM", "hello", "is not PEM"},
		{"two keys", string(public) + string(public), "text around"},
		{"text before", "key:\n" + string(public), "text around"},
		{"another block before it, which is damaged", strings.Replace(string(public), "MCow", "MC!w", 1) + string(public), "text around"},
		{"headers", strings.Replace(string(public), "KEY-----\n", "KEY-----\nA: b\n\n", 1), "has headers"},
		{"RSA", "-----BEGIN PUBLIC KEY-----\n" + rsaKey + "\n-----END PUBLIC KEY-----\n", "not one of Ed25519"},
		{"P-521", "-----BEGIN PUBLIC KEY-----\n" + p521Key + "\n-----END PUBLIC KEY-----\n", "not one of Ed25519"},
		{"no key", "-----BEGIN PUBLIC KEY-----\n" + base64.StdEncoding.EncodeToString([]byte("x")) + "\n-----END PUBLIC KEY-----\n", "public key:"},
	} {
		if _, err := ParsePublicKey([]byte(tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want it to say %q", tc.name, err, tc.want)
		}
	}
	exchange, err := ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(exchange)
	if err != nil {
		t.Fatal(err)
	}
	if k, err := ParsePKCS8(der); k != nil || err == nil || !strings.Contains(err.Error(), "does not sign") {
		t.Errorf("a key for exchanges is read as %v, %v", k, err)
	}
	if k, err := ParsePKCS8([]byte{1}); k != nil || err == nil {
		t.Errorf("no key is read as %v, %v", k, err)
	}
	if k, err := GenerateKey(Ed25519, strings.NewReader("short")); k != nil || err == nil {
		t.Errorf("a key without enough randomness is %v, %v", k, err)
	}
	if _, err := ParsePrivateKey(public); err == nil {
		t.Error("a public key is read as a private one")
	}
	if _, err := GenerateKey("rsa", &stream{}); err == nil {
		t.Error("an RSA key is made")
	}
}

// TestSmallOrderKey: a signature that needs no private key holds under the points of small order, and so none of them is a
// key, however it is encoded. The y coordinates are those of RFC 8032's curve as libsodium lists them (crypto_core/ed25519,
// ge25519_has_small_order), p and p + 1 among them, which are other encodings of 0 and 1.
func TestSmallOrderKey(t *testing.T) {
	forged := append([]byte{1}, make([]byte, 63)...) // R is the neutral element, s is 0
	for _, y := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000", "0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		for _, sign := range []byte{0, 0x80} {
			key, err := hex.DecodeString(y)
			if err != nil {
				t.Fatal(err)
			}
			key[31] |= sign
			held := 0
			for n := range 64 {
				if ed25519.Verify(key, []byte{byte(n)}, forged) {
					held++
				}
			}
			if held == 0 {
				t.Errorf("%x: the forged signature holds for no message", key)
			}
			if k, err := NewPublicKey(ed25519.PublicKey(key)); err == nil || !strings.Contains(err.Error(), "small order") {
				t.Errorf("%x: got %v, %v", key, k, err)
			}
		}
	}
	for n := range 64 { // of keys that people have, none is refused
		newKey(t, string(rune('a'+n)), Ed25519)
	}
	if _, err := NewPublicKey(ed25519.PublicKey(make([]byte, 31))); err == nil || !strings.Contains(err.Error(), "not one of Ed25519") {
		t.Errorf("a key of 31 bytes: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	k := newKey(f, "a", Ed25519)
	f.Add(sign(f, "payload", k))
	f.Add([]byte(`{"payload":"","payloadType":"","signatures":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Parse(data)
		if err != nil {
			return
		}
		if again, err := e.Append(nil); err != nil || !bytes.Equal(again, data) {
			t.Errorf("an envelope has two forms: %q and %q", data, again)
		}
	})
}

// Keys of kinds that are not taken, made with openssl for this test.
const (
	rsaKey  = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAzT5uHa75Q135AypDwFjYcnaKYeKD/4ocTx4Bzh3rgkx5+57nqnk/JD58CxsZhe2Ovy0OclUa82QrWfUaJcHjfusvJmsE7iwjY7RC0AamMHptddUeoKPIJ1rZSGopkzkx2f/xRejb1bC2vFDMixUyjOg5uG2mLnHFiBe3wYQ1Atg7GagUKdSQ+pNdSOCieZYXPAgSOFE0GQUNH97mW4Z5dK/r+ZHZSaWf87sagXk2FNIXhmRG2W43TjW0PHfKcgIoYVn2pz1y1yTK0kSJsx+6w9wBPIMnDYSZBL3C+uqFrvMxjL6eBzjUdibXMmtlbblHaeJmGcS9fUP7DGbrKnn2QQIDAQAB"
	p521Key = "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAf3WHhi5xKSIech4lNz3CI8ZBCbxOp9b2gcyyAeH02tGTRtr6H82g/CVhNzMiTleKUC89w8RSwZxQr1+w2xKZYMcBhW7Ea0L29z7S5grgCEPuG0VY6Z3KugCTPC5hM5R3qZkFmlEReHvnGiwFoS+oonSfZHhiG/Uh0H11KIdCt9rTcNY="
)
