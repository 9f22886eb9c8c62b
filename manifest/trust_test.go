package manifest

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tdxkit/tdxkit/manifest/dsse"
)

// keys are made once for all tests. alice, bob and carol sign manifests, dave and erin rebuild, mallory is unknown.
var keys = sync.OnceValue(func() map[string]*dsse.PrivateKey {
	list := map[string]*dsse.PrivateKey{}
	for name, a := range map[string]dsse.Algorithm{
		"alice": dsse.Ed25519, "bob": dsse.ECDSAP256SHA256, "carol": dsse.ECDSAP384SHA384,
		"dave": dsse.Ed25519, "erin": dsse.ECDSAP256SHA256, "mallory": dsse.Ed25519, "other": dsse.Ed25519,
	} {
		k, err := dsse.GenerateKey(a, rand.Reader)
		if err != nil {
			panic(err)
		}
		list[name] = k
	}
	return list
})

func publicPEM(name string) string { return string(keys()[name].Public().PEM()) }

// trustDocument is a trust policy as a tree, to be changed.
func trustDocument() map[string]any {
	var list []any
	for _, name := range []string{"alice", "bob", "carol", "dave", "erin", "other"} {
		list = append(list, map[string]any{"name": name, "publicKey": publicPEM(name)})
	}
	return map[string]any{
		"schema": TrustSchema, "keys": list,
		"products": []any{
			map[string]any{"name": "acme-node", "threshold": 2, "keys": []string{"alice", "bob", "carol"}, "minimumSerial": 5},
			map[string]any{"name": "other", "threshold": 1, "keys": []string{"other"}},
		},
	}
}

func product(doc map[string]any) map[string]any { return doc["products"].([]any)[0].(map[string]any) }
func trustKey(doc map[string]any, i int) map[string]any {
	return doc["keys"].([]any)[i].(map[string]any)
}

func mustTrust(t testing.TB, doc map[string]any) *Trust {
	t.Helper()
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := ParseTrust(b)
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

// signed returns an envelope with a statement.
func signed(t testing.TB, statement []byte, names ...string) []byte {
	t.Helper()
	e := dsse.New(PayloadType, statement)
	for _, n := range names {
		if err := e.Sign(keys()[n]); err != nil {
			t.Fatal(err)
		}
	}
	b, err := e.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// at is a time at which manifests of tests are good.
var at = issued.AddDate(0, 1, 0)

func TestOpen(t *testing.T) {
	trust := mustTrust(t, trustDocument())
	statement := mustAppend(t, newHeader(), newVariants(4))
	o, err := trust.Open(signed(t, statement, "carol", "alice"), OpenOptions{Now: at})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"carol", "alice"}, o.Signers); d != "" || o.Len() != 4 || o.Serial != 7 {
		t.Error(d, o.Len(), o.Serial)
	}
	if _, err := trust.Open(signed(t, statement, "alice", "bob", "carol"), OpenOptions{Now: at}); err != nil {
		t.Error("signed by more than enough:", err)
	}
	if _, err := trust.Open(signed(t, statement, "alice", "bob", "other"), OpenOptions{Now: at}); err != nil {
		t.Error("signed by another product's key beside enough:", err)
	}
	floor := newHeader()
	floor.Serial = 5
	if _, err := trust.Open(signed(t, mustAppend(t, floor, newVariants(1)), "alice", "bob"), OpenOptions{Now: at}); err != nil {
		t.Error("with the least serial number of the policy:", err)
	}
	if _, err := trust.Open(signed(t, statement, "alice", "bob"), OpenOptions{Now: issued}); err != nil {
		t.Error("at its first second:", err)
	}
	if _, err := trust.Open(signed(t, statement, "alice", "bob"), OpenOptions{Now: newHeader().Expires.Add(-time.Second)}); err != nil {
		t.Error("at its last second:", err)
	}
}

// TestOpenRejects has one case for each way in which a manifest is not to be trusted.
func TestOpenRejects(t *testing.T) {
	statement := mustAppend(t, newHeader(), newVariants(2))
	remade := func(change func(*Header)) []byte {
		h := newHeader()
		change(h)
		return mustAppend(t, h, newVariants(2))
	}
	rebuilds := func(doc map[string]any) {
		product(doc)["rebuilds"] = map[string]any{"threshold": 1, "keys": []string{"dave", "erin", "alice"}}
	}
	for _, tc := range []struct {
		name    string
		data    []byte
		policy  func(doc map[string]any)
		options OpenOptions
		reason  Reason
		want    string
	}{
		{name: "k-1 of k signatures", data: signed(t, statement, "alice"), reason: TooFewKeys, want: "1 of the 2 signatures"},
		{name: "an unknown key beside enough known ones", data: signed(t, statement, "alice", "bob", "mallory"), reason: BadSignature, want: "unknown key"},
		{name: "only an unknown key", data: signed(t, statement, "mallory"), reason: BadSignature, want: "unknown key"},
		{name: "the key of another product", data: signed(t, statement, "alice", "other"), reason: TooFewKeys, want: `key "other" does not sign for this product`},
		{name: "another product", data: signed(t, remade(func(h *Header) { h.Product.Name = "acme-nodes" }), "alice", "bob"), reason: OtherProduct, want: `product is "acme-nodes"`},
		{name: "another product's manifest by this one's keys", data: signed(t, remade(func(h *Header) { h.Product.Name = "other" }), "alice", "bob"), reason: TooFewKeys, want: "0 of the 1"},
		{name: "expired", data: signed(t, statement, "alice", "bob"), options: OpenOptions{Now: newHeader().Expires}, reason: Expired, want: "expired at 2027-11-01T12:00:00Z"},
		{name: "not yet valid", data: signed(t, statement, "alice", "bob"), options: OpenOptions{Now: issued.Add(-time.Second)}, reason: NotYetValid, want: "good from 2026-11-01T12:00:00Z"},
		{name: "serial below the floor", data: signed(t, remade(func(h *Header) { h.Serial = 4 }), "alice", "bob"), reason: SerialTooOld, want: "serial number is 4, the policy asks for at least 5"},
		{name: "serial older than one that was seen", data: signed(t, statement, "alice", "bob"),
			options: OpenOptions{Now: at, State: &State{[]SeenProduct{{Name: "acme-node", Serial: 8}}}}, reason: SerialTooOld, want: "8 was accepted before"},
		{name: "another manifest with the serial that was seen", data: signed(t, statement, "alice", "bob"),
			options: OpenOptions{Now: at, State: &State{[]SeenProduct{{Name: "acme-node", Serial: 7}}}}, reason: SerialReused, want: "another manifest with serial number 7"},
		{name: "a key that has expired", data: signed(t, statement, "alice", "bob"),
			policy: func(doc map[string]any) { trustKey(doc, 1)["notAfter"] = "2026-11-15T00:00:00Z" }, reason: TooFewKeys, want: `key "bob" is good until 2026-11-15T00:00:00Z`},
		{name: "a key that was not good when it was issued", data: signed(t, statement, "alice", "bob"),
			policy: func(doc map[string]any) { trustKey(doc, 1)["notBefore"] = "2026-11-15T00:00:00Z" }, reason: TooFewKeys, want: "and the statement was issued at 2026-11-01"},
		{name: "no rebuild where one is asked for", data: signed(t, statement, "alice", "bob"), policy: rebuilds, reason: TooFewRebuilt, want: "0 of the 1 rebuilds"},
		{name: "a rebuild by a signer", data: signed(t, statement, "alice", "bob"), policy: rebuilds,
			options: OpenOptions{Now: at, Rebuilds: [][]byte{signed(t, newRebuild(t, nil), "alice")}}, reason: TooFewRebuilt, want: `key "alice" signed the manifest itself`},
		{name: "a rebuild by one who is not asked", data: signed(t, statement, "alice", "bob"), policy: rebuilds,
			options: OpenOptions{Now: at, Rebuilds: [][]byte{signed(t, newRebuild(t, nil), "carol")}}, reason: TooFewRebuilt, want: `key "carol" does not rebuild`},
		{name: "the same rebuilder twice", data: signed(t, statement, "alice", "bob"),
			policy: func(doc map[string]any) {
				product(doc)["rebuilds"] = map[string]any{"threshold": 2, "keys": []string{"dave", "erin"}}
			},
			options: OpenOptions{Now: at, Rebuilds: [][]byte{signed(t, newRebuild(t, nil), "dave"), signed(t, newRebuild(t, func(b *Rebuild) { b.BuiltAt = at }), "dave")}},
			reason:  TooFewRebuilt, want: `key "dave" is counted already`},
		{name: "a rebuild that came out differently", data: signed(t, statement, "alice", "bob"), policy: rebuilds,
			options: OpenOptions{Now: at, Rebuilds: [][]byte{signed(t, newRebuild(t, func(b *Rebuild) { b.Subjects[1] = subjectOf("kernel", "other") }), "dave")}},
			reason:  BadRebuild, want: `by "dave" kernel came out as`},
		{name: "a rebuild whose SHA-256 alone differs", data: signed(t, statement, "alice", "bob"), policy: rebuilds,
			options: OpenOptions{Now: at, Rebuilds: [][]byte{signed(t, newRebuild(t, func(b *Rebuild) { b.Subjects[1].SHA256[0] ^= 1 }), "dave")}},
			reason:  BadRebuild, want: `by "dave" kernel came out as sha256`},
		{name: "a contradiction beside enough rebuilds", data: signed(t, statement, "alice", "bob"), policy: rebuilds,
			options: OpenOptions{Now: at, Rebuilds: [][]byte{signed(t, newRebuild(t, nil), "erin"), signed(t, newRebuild(t, func(b *Rebuild) { b.Subjects[0] = subjectOf("firmware", "other") }), "dave")}},
			reason:  BadRebuild, want: "firmware came out as"},
		{name: "a second statement by a rebuilder that contradicts the first", data: signed(t, statement, "alice", "bob"), policy: rebuilds,
			options: OpenOptions{Now: at, Rebuilds: [][]byte{signed(t, newRebuild(t, nil), "dave"), signed(t, newRebuild(t, func(b *Rebuild) { b.Subjects[1] = subjectOf("kernel", "other") }), "dave")}},
			reason:  BadRebuild, want: `by "dave" kernel came out as`},
		{name: "a contradiction by a rebuilder who signed the manifest, too", data: signed(t, statement, "alice", "bob"), policy: rebuilds,
			options: OpenOptions{Now: at, Rebuilds: [][]byte{signed(t, newRebuild(t, nil), "dave"), signed(t, newRebuild(t, func(b *Rebuild) { b.Subjects[1] = subjectOf("kernel", "other") }), "alice")}},
			reason:  BadRebuild, want: `by "alice" kernel came out as`},
		{name: "a rebuild before its key was good", data: signed(t, statement, "alice", "bob"),
			policy: func(doc map[string]any) {
				rebuilds(doc)
				trustKey(doc, 3)["notBefore"] = "2026-11-15T00:00:00Z"
			},
			options: OpenOptions{Now: at, Rebuilds: [][]byte{signed(t, newRebuild(t, nil), "dave")}}, reason: TooFewRebuilt, want: "and it was built at 2026-11-01"},
		{name: "a rebuild of fewer inputs", data: signed(t, statement, "alice", "bob"), policy: rebuilds,
			options: OpenOptions{Now: at, Rebuilds: [][]byte{signed(t, newRebuild(t, func(b *Rebuild) { b.Subjects = b.Subjects[:1] }), "dave")}},
			reason:  BadRebuild, want: `leaves out "kernel"`},
		{name: "a rebuild of another commit", data: signed(t, statement, "alice", "bob"), policy: rebuilds,
			options: OpenOptions{Now: at, Rebuilds: [][]byte{signed(t, newRebuild(t, func(b *Rebuild) { b.Source.Commit = "fedcba" }), "dave")}},
			reason:  BadRebuild, want: "is built from"},
		{name: "a rebuild of another repository", data: signed(t, statement, "alice", "bob"), policy: rebuilds,
			options: OpenOptions{Now: at, Rebuilds: [][]byte{signed(t, newRebuild(t, func(b *Rebuild) { b.Source.Repository = "https://example.org/fork/node" }), "dave")}},
			reason:  BadRebuild, want: "is built from https://example.org/fork/node"},
		{name: "a rebuild of another product", data: signed(t, statement, "alice", "bob"), policy: rebuilds,
			options: OpenOptions{Now: at, Rebuilds: [][]byte{signed(t, newRebuild(t, func(b *Rebuild) { b.Product.Name = "acme-nod" }), "dave")}},
			reason:  BadRebuild, want: "is about acme-nod 1.2.3"},
		{name: "a rebuild whose other digest differs", data: signed(t, statement, "alice", "bob"), policy: rebuilds,
			options: OpenOptions{Now: at, Rebuilds: [][]byte{signed(t, newRebuild(t, func(b *Rebuild) { b.Subjects = slices.Clone(b.Subjects); b.Subjects[1].SHA256[0] ^= 1 }), "dave")}},
			reason:  BadRebuild, want: `by "dave" kernel came out as`},
		{name: "a rebuild of what the manifest does not have", data: signed(t, statement, "alice", "bob"),
			policy: func(doc map[string]any) {
				rebuilds(doc)
				product(doc)["rebuilds"].(map[string]any)["subjects"] = []string{"disk"}
			},
			options: OpenOptions{Now: at, Rebuilds: [][]byte{signed(t, newRebuild(t, nil), "dave")}}, reason: BadRebuild, want: `no subject "disk"`},
		{name: "a rebuild of another version", data: signed(t, statement, "alice", "bob"), policy: rebuilds,
			options: OpenOptions{Now: at, Rebuilds: [][]byte{signed(t, newRebuild(t, func(b *Rebuild) { b.Product.Version = "1.2.2" }), "dave")}},
			reason:  BadRebuild, want: "is about acme-node 1.2.2"},
		{name: "a manifest without source where rebuilds are asked for", data: signed(t, remade(func(h *Header) { h.Source = nil }), "alice", "bob"), policy: rebuilds,
			options: OpenOptions{Now: at, Rebuilds: [][]byte{signed(t, newRebuild(t, nil), "dave")}}, reason: BadRebuild, want: "names no source"},
		{name: "a rebuilder's key that has expired", data: signed(t, statement, "alice", "bob"),
			policy: func(doc map[string]any) {
				rebuilds(doc)
				trustKey(doc, 3)["notAfter"] = "2026-11-15T00:00:00Z"
			},
			options: OpenOptions{Now: at, Rebuilds: [][]byte{signed(t, newRebuild(t, nil), "dave")}}, reason: TooFewRebuilt, want: `key "dave" is good until`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc := trustDocument()
			if tc.policy != nil {
				tc.policy(doc)
			}
			if tc.options.Now.IsZero() {
				tc.options.Now = at
			}
			_, err := mustTrust(t, doc).Open(tc.data, tc.options)
			var rejected *RejectedError
			if !errors.As(err, &rejected) {
				t.Fatalf("%v, want a rejection", err)
			}
			if rejected.Reason != tc.reason || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %v\nwant %s, saying %q", rejected.Reason, err, tc.reason, tc.want)
			}
		})
	}
}

// TestOpenReadsNothingUnsigned shows that a payload is not looked at before its signatures are good: what would be an
// error of the format stays one of the signature.
func TestOpenReadsNothingUnsigned(t *testing.T) {
	trust := mustTrust(t, trustDocument())
	var rejected *RejectedError
	if _, err := trust.Open(signed(t, []byte("not even JSON"), "mallory"), OpenOptions{Now: at}); !errors.As(err, &rejected) {
		t.Errorf("%v, want a rejection of the signature", err)
	}
	if _, err := trust.Open(signed(t, []byte("not even JSON"), "alice", "bob"), OpenOptions{Now: at}); err == nil || errors.As(err, &rejected) {
		t.Errorf("%v, want an error of the format", err)
	}
	// A rebuild statement is no manifest, whoever signed it.
	if _, err := trust.Open(signed(t, newRebuild(t, nil), "alice", "bob"), OpenOptions{Now: at}); err == nil || !strings.Contains(err.Error(), "predicateType") {
		t.Errorf("%v, want that the predicate is of another type", err)
	}
	e := dsse.New("text/plain", mustAppend(t, newHeader(), newVariants(1)))
	if err := e.Sign(keys()["alice"], keys()["bob"]); err != nil {
		t.Fatal(err)
	}
	data, err := e.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trust.Open(data, OpenOptions{Now: at}); err == nil || !strings.Contains(err.Error(), "payload type") {
		t.Errorf("%v, want that the payload type is another", err)
	}
}

// TestOpenEveryByteCounts changes each byte of a signed manifest in one bit: all are refused.
func TestOpenEveryByteCounts(t *testing.T) {
	trust := mustTrust(t, trustDocument())
	variants := newVariants(1)
	variants[0].Events = nil
	data := signed(t, mustAppend(t, newHeader(), variants), "alice", "bob")
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 1 << (i % 8)
		if _, err := trust.Open(changed, OpenOptions{Now: at}); err == nil {
			t.Fatalf("byte %d of %d changed from %q to %q is accepted", i, len(data), data[i], changed[i])
		}
	}
}

func TestRebuilds(t *testing.T) {
	doc := trustDocument()
	product(doc)["rebuilds"] = map[string]any{"threshold": 2, "keys": []string{"dave", "erin"}, "subjects": []string{"kernel", "firmware"}}
	o, err := mustTrust(t, doc).Open(signed(t, mustAppend(t, newHeader(), newVariants(1)), "alice", "bob"), OpenOptions{
		Now: at, Rebuilds: [][]byte{signed(t, newRebuild(t, nil), "dave"), signed(t, newRebuild(t, func(b *Rebuild) { b.Subjects = b.Subjects[:2] }), "erin")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"dave", "erin"}, o.Rebuilders); d != "" {
		t.Error(d)
	}
}

// newRebuild returns a statement that confirms newHeader's files, changed.
func newRebuild(t testing.TB, change func(*Rebuild)) []byte {
	t.Helper()
	h := newHeader()
	b := &Rebuild{Subjects: h.Subjects[:3], Product: h.Product, Source: *h.Source, BuiltAt: issued, Tool: h.Tool}
	if change != nil {
		change(b)
	}
	data, err := b.Append()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseRebuild(data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(b, got); d != "" {
		t.Fatal("written and read back:", d)
	}
	return data
}

func TestParseTrustRejects(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(doc map[string]any)
		want   string
	}{
		{"no keys", func(d map[string]any) { d["keys"] = []any{} }, "no keys"},
		{"too long", func(d map[string]any) { d["schema"] = strings.Repeat(" ", maxTrust) }, "at most"},
		{"a key of small order", func(d map[string]any) {
			der := append([]byte("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00\x01"), make([]byte, 31)...)
			trustKey(d, 1)["publicKey"] = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		}, "small order"},
		{"no products", func(d map[string]any) { d["products"] = []any{} }, "no products"},
		{"another schema", func(d map[string]any) { d["schema"] = "tdxkit.trust/v2" }, "schema"},
		{"unknown member", func(d map[string]any) { product(d)["treshold"] = 1 }, "treshold"},
		{"threshold 0", func(d map[string]any) { product(d)["threshold"] = 0 }, "threshold is 0"},
		{"threshold above the keys", func(d map[string]any) { product(d)["threshold"] = 4 }, "threshold is 4"},
		{"a key twice in a product", func(d map[string]any) { product(d)["keys"] = []string{"alice", "alice"} }, `key "alice" twice`},
		{"a key under two names", func(d map[string]any) { trustKey(d, 1)["publicKey"] = publicPEM("alice") }, "are the same key"},
		{"two keys of one name", func(d map[string]any) { trustKey(d, 1)["name"] = "alice" }, "occurs twice"},
		{"a key that is not there", func(d map[string]any) { product(d)["keys"] = []string{"alice", "zoe"} }, `"zoe"`},
		{"a product twice", func(d map[string]any) { d["products"] = append(d["products"].([]any), product(d)) }, "occurs twice"},
		{"a private key", func(d map[string]any) {
			trustKey(d, 1)["publicKey"] = "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"
		}, "publicKey"},
		{"validity that ends before it begins", func(d map[string]any) {
			trustKey(d, 1)["notBefore"], trustKey(d, 1)["notAfter"] = "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"
		}, "notAfter"},
		{"rebuild threshold 0", func(d map[string]any) {
			product(d)["rebuilds"] = map[string]any{"threshold": 0, "keys": []string{"dave"}}
		}, "rebuilds: threshold is 0"},
	} {
		doc := trustDocument()
		tc.change(doc)
		data, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseTrust(data); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want it to say %q", tc.name, err, tc.want)
		}
	}
}

func TestState(t *testing.T) {
	trust := mustTrust(t, trustDocument())
	s := &State{}
	open := func(serial uint64, changes string) error {
		h := newHeader()
		h.Serial = serial
		o, err := trust.Open(signed(t, mustAppend(t, h, newVariants(1)), "alice", "bob"), OpenOptions{Now: at, State: s})
		if err != nil {
			return err
		}
		changed := s.Accept(o)
		again, err := ParseState(s.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, again); d != "" {
			t.Error("written and read back:", d)
		}
		if changed != (changes != "") {
			t.Errorf("serial %d: changed is %v, want that %q changes", serial, changed, changes)
		}
		return nil
	}
	for _, tc := range []struct {
		serial  uint64
		changes string
	}{{7, "the product"}, {7, ""}, {9, "its serial number"}} {
		if err := open(tc.serial, tc.changes); err != nil {
			t.Error(err)
		}
	}
	if err := open(8, ""); err == nil {
		t.Error("a manifest older than the last one is accepted")
	}
	if s.Products[0].Serial != 9 {
		t.Errorf("the state has serial %d, want 9", s.Products[0].Serial)
	}
	for _, bad := range []string{
		`{}`, `{"schema":"tdxkit.manifest-state/v2","products":[]}`, `{"schema":"tdxkit.manifest-state/v1","products":[]}` + strings.Repeat(" ", maxTrust),
		`{"schema":"tdxkit.manifest-state/v1","products":[{"name":"a","serial":1,"sha256":"` + strings.Repeat("0", 64) + `"},{"name":"a","serial":2,"sha256":"` + strings.Repeat("0", 64) + `"}]}`,
		`{"schema":"tdxkit.manifest-state/v1","products":[{"name":"b","serial":1,"sha256":"` + strings.Repeat("0", 64) + `"},{"name":"a","serial":1,"sha256":"` + strings.Repeat("0", 64) + `"}]}`,
	} {
		if _, err := ParseState([]byte(bad)); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}

func FuzzParseTrust(f *testing.F) {
	data, err := json.Marshal(trustDocument())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		trust, err := ParseTrust(data)
		if err != nil {
			return
		}
		for _, p := range trust.Products {
			if p.Threshold < 1 || p.Threshold > len(p.Keys) {
				t.Errorf("threshold %d of %d keys", p.Threshold, len(p.Keys))
			}
		}
	})
}

func FuzzParseRebuild(f *testing.F) {
	f.Add(newRebuild(f, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ParseRebuild(data)
		if err != nil {
			return
		}
		if _, err := b.Append(); err != nil {
			t.Errorf("what was read cannot be written: %v", err)
		}
	})
}
