package main

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/tdxkit/tdxkit/dcap"
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

// TestRestrict holds what a manifest asks for, beside the two fields above, to be asked for as well as what the caller's
// policy does; where both cannot hold, there is no policy.
func TestRestrict(t *testing.T) {
	mask := func(mask, value byte) *manifest.Mask {
		return &manifest.Mask{Mask: [8]byte{mask}, Value: [8]byte{value}}
	}
	tcb := func(t manifest.MinimumTCB) *manifest.Policy { return &manifest.Policy{MinimumTCB: &t} }
	early, late := testpki.Now, testpki.Now.AddDate(0, 1, 0)
	a, b, c := mr.Sum([]byte("a")), mr.Sum([]byte("b")), mr.Sum([]byte("c"))
	for _, tc := range []struct {
		name string
		mine verify.Policy
		by   *manifest.Policy
		want *verify.Policy // nil for a contradiction
	}{
		{"nothing asked by the manifest", verify.Policy{MinEvaluation: 3}, nil, &verify.Policy{MinEvaluation: 3}},
		{"attributes", verify.Policy{}, &manifest.Policy{Attributes: mask(3, 1)}, &verify.Policy{Attributes: verify.Masked{Mask: 3, Value: 1}}},
		{"XFAM in the highest byte", verify.Policy{}, &manifest.Policy{XFAM: &manifest.Mask{Mask: [8]byte{7: 0x80}, Value: [8]byte{7: 0x80}}},
			&verify.Policy{XFAM: verify.Masked{Mask: 1 << 63, Value: 1 << 63}}},
		{"attributes by both", verify.Policy{Attributes: verify.Masked{Mask: 6, Value: 4}}, &manifest.Policy{Attributes: mask(3, 1)}, &verify.Policy{Attributes: verify.Masked{Mask: 7, Value: 5}}},
		{"attributes set and not", verify.Policy{Attributes: verify.Masked{Mask: 1, Value: 0}}, &manifest.Policy{Attributes: mask(3, 1)}, nil},
		{"XFAM not set and set", verify.Policy{XFAM: verify.Masked{Mask: 1, Value: 1}}, &manifest.Policy{XFAM: mask(3, 2)}, nil},
		{"modules of the manifest", verify.Policy{}, &manifest.Policy{MRSEAM: []mr.Digest{a, b}}, &verify.Policy{MRSEAM: []mr.Digest{a, b}}},
		{"modules of the policy", verify.Policy{MRSEAM: []mr.Digest{a, b}}, &manifest.Policy{}, &verify.Policy{MRSEAM: []mr.Digest{a, b}}},
		{"modules of both", verify.Policy{MRSEAM: []mr.Digest{a, b}}, &manifest.Policy{MRSEAM: []mr.Digest{b, c}}, &verify.Policy{MRSEAM: []mr.Digest{b}}},
		{"no module of both", verify.Policy{MRSEAM: []mr.Digest{a}}, &manifest.Policy{MRSEAM: []mr.Digest{c}}, &verify.Policy{MRSEAM: []mr.Digest{}}},
		{"evaluation of the manifest", verify.Policy{MinEvaluation: 3}, tcb(manifest.MinimumTCB{EvaluationDataNumber: 5}), &verify.Policy{MinEvaluation: 5}},
		{"evaluation of the policy", verify.Policy{MinEvaluation: 7}, tcb(manifest.MinimumTCB{EvaluationDataNumber: 5}), &verify.Policy{MinEvaluation: 7}},
		{"evaluation beyond what there is", verify.Policy{}, tcb(manifest.MinimumTCB{EvaluationDataNumber: 1 << 32}), &verify.Policy{MinEvaluation: 1<<32 - 1}},
		{"date of the manifest", verify.Policy{MinTCBDate: early}, tcb(manifest.MinimumTCB{Date: late}), &verify.Policy{MinTCBDate: late}},
		{"date of the policy", verify.Policy{MinTCBDate: late}, tcb(manifest.MinimumTCB{Date: early}), &verify.Policy{MinTCBDate: late}},
		{"no date of the manifest", verify.Policy{MinTCBDate: early}, tcb(manifest.MinimumTCB{}), &verify.Policy{MinTCBDate: early}},
		{"SVN of the manifest", verify.Policy{}, tcb(manifest.MinimumTCB{TEETCBSVN: &[16]byte{1, 2}}), &verify.Policy{HasMinTCBSVN: true, MinTEETCBSVN: [16]uint8{1, 2}}},
		{"SVN of both", verify.Policy{HasMinTCBSVN: true, MinTEETCBSVN: [16]uint8{2, 1, 15: 9}}, tcb(manifest.MinimumTCB{TEETCBSVN: &[16]byte{1, 2}}),
			&verify.Policy{HasMinTCBSVN: true, MinTEETCBSVN: [16]uint8{2, 2, 15: 9}}},
		{"SVN of the policy", verify.Policy{HasMinTCBSVN: true, MinTEETCBSVN: [16]uint8{2}}, tcb(manifest.MinimumTCB{}), &verify.Policy{HasMinTCBSVN: true, MinTEETCBSVN: [16]uint8{2}}},
		{"statuses wider than the strictest policy's", verify.Policy{}, tcb(manifest.MinimumTCB{Statuses: []string{"OutOfDate", "UpToDate"}}), &verify.Policy{Statuses: []dcap.Status{dcap.UpToDate}}},
		{"statuses of both", verify.Policy{Statuses: []dcap.Status{dcap.UpToDate, dcap.OutOfDate}}, tcb(manifest.MinimumTCB{Statuses: []string{"OutOfDate", "SWHardeningNeeded"}}),
			&verify.Policy{Statuses: []dcap.Status{dcap.OutOfDate}}},
		{"statuses of the policy", verify.Policy{Statuses: []dcap.Status{dcap.OutOfDate}}, tcb(manifest.MinimumTCB{}), &verify.Policy{Statuses: []dcap.Status{dcap.OutOfDate}}},
		{"no status of both", verify.Policy{}, tcb(manifest.MinimumTCB{Statuses: []string{"OutOfDate"}}), nil},
		{"a status of nobody", verify.Policy{}, tcb(manifest.MinimumTCB{Statuses: []string{"UpToDate", "Fine"}}), nil},
	} {
		got := tc.mine
		err := restrict(&got, tc.by, &quote.Quote{})
		switch {
		case tc.want == nil && err == nil:
			t.Errorf("%s: got %+v, want a contradiction", tc.name, got)
		case tc.want == nil && exitCode(err) != exitInput:
			t.Errorf("%s: %v has exit code %d", tc.name, err, exitCode(err))
		case tc.want != nil && (err != nil || !reflect.DeepEqual(&got, tc.want)):
			t.Errorf("%s: got %+v, %v, want %+v", tc.name, got, err, tc.want)
		}
	}
}
