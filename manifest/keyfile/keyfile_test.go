package keyfile

import (
	"bytes"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/manifest/dsse"
)

// cosignKey was made by cosign 3.1.3 with the password "xyz" (cosign generate-key-pair); cosignPublic is its other half.
const (
	cosignKey = `-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6
OCwicCI6MX0sInNhbHQiOiJxOTRHZUtHN0NPM1luWXl5SlZFS3J5U3hwN1lYNXNQ
UTN4dG0wa3RGVitBPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
Iiwibm9uY2UiOiJ2MGpibHBydVQvMXJReGZHZUIwdmJ3ekJQRmdQM2sxSiJ9LCJj
aXBoZXJ0ZXh0Ijoia1dJc1YwUXdzME9zZEVaZ0hydS9icmlobDZ3UnJUUXZqZDJs
b2JqeGhMM3NPOC9FUDB6K0Q1UGV0Vis1eWtRL01WUURlTTdqd0N1KzVyWC93MHA2
STF0R1FTMjBTZXRVdG9YemJBeUc1RlBhNHRsaDdmUDdUeG9NL2xIUVZOdngxTnNO
b0t6Qm1QT1hLdGhtYTR1RWtUVFFkU3lmOU9ySGlXSE81SW9HcldvZUVZN2Q4VEN3
Y2wvTTYyMm9oR01lVzBlMDhUMjR1dWZzTnc9PSJ9
-----END ENCRYPTED SIGSTORE PRIVATE KEY-----
`
	cosignPublic = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEQDJcqqf8KGdaNiKhM5CODCuIuO9A
zloD70KeA1+IWDVJh0tzGPvIacBQvHkY3dDfruJc9w8Y/FFzEObLLBN3iA==
-----END PUBLIC KEY-----
`
)

func TestDecryptCosign(t *testing.T) {
	k, err := Decrypt([]byte(cosignKey), []byte("xyz"))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(k.Public().PEM()); got != cosignPublic {
		t.Errorf("public key is\n%swant\n%s", got, cosignPublic)
	}
	if _, err := Decrypt([]byte(cosignKey), []byte("xyZ")); !errors.Is(err, ErrPassword) {
		t.Errorf("%v with another password, want ErrPassword", err)
	}
}

func TestRoundTrip(t *testing.T) {
	for _, a := range []dsse.Algorithm{dsse.Ed25519, dsse.ECDSAP384SHA384} {
		k, err := dsse.GenerateKey(a, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		text, err := Encrypt(k, []byte("password"), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if !IsEncrypted(text) {
			t.Error("is not encrypted")
		}
		again, err := Decrypt(text, []byte("password"))
		if err != nil {
			t.Fatal(err)
		}
		if again.Public().ID() != k.Public().ID() {
			t.Error("read back, the key is another one")
		}
	}
}

func TestDecryptRejects(t *testing.T) {
	block, _ := pem.Decode([]byte(cosignKey))
	for _, tc := range []struct{ name, old, new, want string }{
		{"another KDF", `"scrypt"`, `"pbkdf2"`, "pbkdf2"},
		{"another cipher", "nacl/secretbox", "aes", `is "aes"`},
		{"a cost beyond memory", `"N":65536`, `"N":1073741824`, "N=1073741824"},
		{"no cost", `"N":65536`, `"N":2`, "N=2"},
		{"another block size", `"r":8`, `"r":1024`, "r=1024"},
		{"unknown member", `"kdf":`, `"x":1,"kdf":`, "not a member known"},
		{"duplicate member", `"kdf":`, `"ciphertext":"","kdf":`, "occurs twice"},
		{"short nonce", `"nonce":"v0jblpruT/1rQxfGeB0vbwzBPFgP3k1J"`, `"nonce":"AA=="`, "nonce has 1 bytes"},
		{"long nonce", `"nonce":"`, `"nonce":"AAAA`, "nonce has 27 bytes"},
		{"nonce that is not base64", `"nonce":"`, `"nonce":"?`, "is not base64"},
		{"salt with bits to spare", `FV+A="`, `FV+B="`, "is not base64"},
		{"another salt", `"salt":"`, `"salt":"AAAA`, "password is wrong"},
		{"a cost that is just too much", `"N":65536`, `"N":524288`, "N=524288"},
		{"a cost that is just too little", `"N":65536`, `"N":8192`, "N=8192"},
		{"a cost that is no power of two", `"N":65536`, `"N":65537`, "power of 2"},
		{"another parallelism", `"p":1`, `"p":2`, "p=2"},
		{"a changed box", `"ciphertext":"`, `"ciphertext":"AAAA`, "password is wrong"},
	} {
		if !bytes.Contains(block.Bytes, []byte(tc.old)) {
			t.Fatalf("the key has no %s", tc.old)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: bytes.Replace(block.Bytes, []byte(tc.old), []byte(tc.new), 1)})
		if _, err := Decrypt(text, []byte("xyz")); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want it to say %q", tc.name, err, tc.want)
		}
	}
	if _, err := Decrypt([]byte(cosignPublic), nil); err == nil {
		t.Error("a public key is decrypted")
	}
	if _, err := Decrypt([]byte(cosignKey+cosignKey), []byte("xyz")); err == nil {
		t.Error("two keys are decrypted")
	}
	if IsEncrypted([]byte(cosignPublic)) || IsEncrypted(nil) {
		t.Error("what is not encrypted is said to be")
	}
}

func FuzzParse(f *testing.F) {
	block, _ := pem.Decode([]byte(cosignKey))
	f.Add(block.Bytes)
	f.Fuzz(func(t *testing.T, data []byte) {
		if b, err := parse(data); err == nil && b == nil {
			t.Error("neither a box nor an error")
		}
	})
}
