package dstack_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
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
