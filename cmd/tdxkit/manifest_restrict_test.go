package main

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/internal/testpki"
	"github.com/tdxkit/tdxkit/manifest"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/quote"
	"github.com/tdxkit/tdxkit/verify"
)

// TestManifestNeverLoosens holds a manifest's demands on MRCONFIGID and MROWNER to what docs/MANIFEST.md says of them: a
// field is good if it is good by the caller's policy and by the manifest's, and not otherwise. It asks for every rule
// beside every kind of list and value.
func TestManifestNeverLoosens(t *testing.T) {
	compose := []byte(`{"manifest_version":2,"name":"app","runner":"docker-compose","docker_compose_file":"services: {}"}`)
	a, b, app := mr.Sum([]byte("a")), mr.Sum([]byte("b")), dstack.ConfigIDV1(sha256.Sum256(compose))
	values := []mr.Digest{{}, a, b, app}
	lists := [][]mr.Digest{nil, {}, {{}}, {a}, {a, b}, {app}, {{}, a, app}}
	rules := []*manifest.FieldRule{
		nil, {Rule: manifest.Zero}, {Rule: manifest.Dstack},
		{Rule: manifest.OneOf, Values: []mr.Digest{a}}, {Rule: manifest.OneOf, Values: []mr.Digest{b, app}}, {Rule: manifest.OneOf, Values: []mr.Digest{{}, a}},
	}
	// one judges the field of a quote by itself, and reports whether it is good.
	w := testpki.Default().Build()
	one := func(id verify.CheckID, p *verify.Policy, value mr.Digest, m *manifest.Policy, compose []byte) bool {
		spec := testpki.Default().Quote
		if spec.TD.MROWNER = value; id == verify.TDConfigID {
			spec.TD.MROWNER, spec.TD.MRCONFIGID = mr.Digest{}, value
		}
		raw := w.SignQuote(spec)
		q, err := quote.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := restrict(p, m, q); err != nil {
			t.Fatal(err)
		}
		return verify.Judge(p, &verify.Expectation{AppCompose: compose}, &verify.Evidence{Quote: raw}, testpki.Now).Check(id).Status == verify.Pass
	}
	good := 0
	for _, value := range values {
		for _, list := range lists {
			for i, rule := range rules {
				for _, known := range [][]byte{nil, compose} {
					byRule := rule == nil || rule.Rule == manifest.Zero && value == mr.Digest{} ||
						rule.Rule == manifest.Dstack && known != nil && value == app || rule.Rule == manifest.OneOf && slices.Contains(rule.Values, value)
					name := fmt.Sprintf("value %.8s, policy %.8s, rule %d, application %t", value, fmt.Sprint(list), i, known != nil)

					want := byRule && one(verify.TDConfigID, &verify.Policy{MRCONFIGID: list}, value, nil, known)
					if got := one(verify.TDConfigID, &verify.Policy{MRCONFIGID: list}, value, &manifest.Policy{MRConfigID: rule}, known); got != want {
						t.Errorf("MRCONFIGID: %s: %t, want %t", name, got, want)
					}
					if want {
						good++
					}
					if rule != nil && rule.Rule == manifest.Dstack {
						continue // not for MROWNER
					}
					want = byRule && one(verify.TDOwner, &verify.Policy{MROWNER: list}, value, nil, known)
					if got := one(verify.TDOwner, &verify.Policy{MROWNER: list}, value, &manifest.Policy{MROwner: rule}, known); got != want {
						t.Errorf("MROWNER: %s: %t, want %t", name, got, want)
					}
				}
			}
		}
	}
	if good < 20 {
		t.Errorf("%d combinations are good", good)
	}
}
