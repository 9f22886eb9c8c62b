package dstack_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/mr"
)

// FuzzClaims reads one text as each of the small documents that lie beside a quote.
func FuzzClaims(f *testing.F) {
	for _, seed := range []string{
		`{"manifest_version":2,"name":"a","runner":"docker-compose","docker_compose_file":"services: {}","event_log_version":2}`,
		`{"os_image_hash":"` + hex.EncodeToString(make([]byte, 32)) + `","mr_config":"{}"}`,
		`{"version":3,"compose_hash":"` + hex.EncodeToString(make([]byte, 32)) + `","app_id":"","key_provider":"kms","key_provider_id":"00","init_script_hashes":[]}`,
		"sha512:app-data", "padded",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ok := func(name string, got bool, err error) {
			var fe *bin.FormatError
			if got == (err != nil) || err != nil && !errors.As(err, &fe) {
				t.Fatalf("%s: got %v, %v", name, got, err)
			}
		}
		c, err := dstack.ParseAppCompose(data)
		ok("app-compose.json", c != nil, err)
		if c != nil && (c.Hash != sha256.Sum256(data) || c.EventLogVersion > 2) {
			t.Fatalf("got %+v", c)
		}
		v, err := dstack.ParseVMClaims(data)
		ok("vm_config", v != nil, err)
		if v != nil && v.OSImageHash != nil && len(v.OSImageHash) != 32 {
			t.Fatalf("got %+v", v)
		}
		d, err := dstack.ParseConfigDocument(data)
		ok("mr_config", d != nil, err)
		if b, err := dstack.ParseBinding(string(data)); err == nil {
			if again, err := dstack.ParseBinding(b.String()); err != nil || again != b {
				t.Fatalf("%q is read as %+v, written as %q and read as %+v, %v", data, b, b, again, err)
			}
		}
	})
}

func TestParseVMClaims(t *testing.T) {
	hash := strings.Repeat("0a", 32)
	for _, tc := range []struct{ name, text, hash, document, err string }{
		{"both", `{"os_image_hash":"` + hash + `","mr_config":"{\"a\":1}","cpu_count":1}`, hash, `{"a":1}`, ""},
		{"neither", `{}`, "", "", ""},
		{"null", `{"os_image_hash":null,"mr_config":null}`, "", "", ""},
		{"empty", `{"os_image_hash":"","mr_config":""}`, "", "", ""},
		{"as long as can be", `{}` + strings.Repeat(" ", bin.MaxJSON-2), "", "", ""},
		{"hash of 31 bytes", `{"os_image_hash":"` + hash[2:] + `"}`, "", "", "64 hexadecimal"},
		{"hash and something else", `{"os_image_hash":"` + hash + `x"}`, "", "", "64 hexadecimal"},
		{"hash as a number", `{"os_image_hash":1}`, "", "", "os_image_hash"},
		{"hash twice", `{"os_image_hash":"` + hash + `","os_image_hash":"` + hash + `"}`, "", "", "occurs"},
		{"hash in other letters", `{"OS_image_hash":"` + hash + `"}`, "", "", "in case only"},
		{"document in other letters", `{"Mr_config":"{}"}`, "", "", "in case only"},
		{"document as an object", `{"mr_config":{}}`, "", "", "mr_config"},
		{"list", `[]`, "", "", "object"},
		{"too long", `{}` + strings.Repeat(" ", bin.MaxJSON-1), "", "", "at most"},
	} {
		c, err := dstack.ParseVMClaims([]byte(tc.text))
		if tc.err != "" {
			var fe *bin.FormatError
			if c != nil || !errors.As(err, &fe) || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: got %+v, %v, want a FormatError with %q", tc.name, c, err, tc.err)
			}
			continue
		}
		if err != nil || hex.EncodeToString(c.OSImageHash) != tc.hash || string(c.MRConfig) != tc.document || (c.MRConfig == nil) != (tc.document == "") || (c.OSImageHash == nil) != (tc.hash == "") {
			t.Errorf("%s: got %+v, %v", tc.name, c, err)
		}
	}
}

// TestFindApplication: what an event of version 1 hashes does not say where its name ends, and so it is found under every
// name that it could have; one of version 2 has one name.
func TestFindApplication(t *testing.T) {
	hashed := func(name, payload string, preimage string) mr.Event {
		return mr.Event{Register: mr.RTMR3, Type: dstack.RuntimeEvent, Data: []byte(payload),
			Measured: mr.Measured{What: name, Digest: mr.Sum([]byte(preimage))}}
	}
	const prefix = "\x01\x00\x00\x08:"
	r := &dstack.Runtime{Application: []mr.Event{
		hashed("a:b", "c", prefix+"a:b:c"),
		hashed("a:b", "d", `{"name":"a:b","payload":"64","type":134217729}`),
		hashed("a", "e", prefix+"a:e"),
		hashed("ab", "f", prefix+"ab:f"),
	}}
	for name, want := range map[string]string{"a": `["b:c" "e"]`, "a:b": `["c" "d"]`, "ab": `["f"]`, "b": `[]`, "": `[]`} {
		if got := fmt.Sprintf("%q", r.FindApplication(name)); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}
