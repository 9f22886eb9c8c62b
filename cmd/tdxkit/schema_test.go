package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/verify"
)

func docs(elem ...string) string {
	return filepath.Join(append([]string{fixtures.Dir(), "..", "docs"}, elem...)...)
}

// policyExample returns the example of docs/POLICY.md with digits for its ellipses.
func policyExample(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(docs("POLICY.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "```json\n")
	example, _, ok := strings.Cut(after, "```")
	if !ok {
		t.Fatal("docs/POLICY.md has no example")
	}
	for _, r := range [][2]string{{"…96 hex digits…", strings.Repeat("0a", 48)}, {"…64 hex digits…", strings.Repeat("0a", 32)}, {"…hex…", "0a"}} {
		example = strings.ReplaceAll(example, r[0], r[1])
	}
	return example
}

// TestPolicySchema holds the schema of policies to their reader: both take the documentation's example, and refuse the same
// changes of it. What depends on two members at once is the reader's alone to say.
func TestPolicySchema(t *testing.T) {
	s, err := jsonschema.NewCompiler().Compile(docs("schema", "policy-v1.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(name, text string, want bool) {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, reads := verify.ParsePolicy([]byte(text))
		if err := s.Validate(doc); (err == nil) != want || (reads == nil) != want {
			t.Errorf("%s: the schema says %v, the reader %v", name, err, reads)
		}
	}
	good := policyExample(t)
	check("example", good, true)
	check("least", `{"schema":"tdxkit.policy/v1"}`, true)
	for _, u := range verify.Unsafe() {
		check("unsafe "+string(u), `{"schema":"tdxkit.policy/v1","unsafe":["`+string(u)+`"]}`, true)
	}
	for _, edit := range [][2]string{
		{"policy/v1", "policy/v2"}, {`"description"`, `"Description"`}, {`"production"`, `1`}, {`"UpToDate", `, `"Fine", `}, {`"UpToDate", `, `"Revoked", `},
		{`"INTEL-SA-00837"`, ``}, {`: 18`, `: -1`}, {`: 17`, `: 4294967296`}, {`T00:00:00Z`, ``}, {`"720h"`, `"720"`}, {`"720h"`, `720`}, {`"5m"`, `"-5m"`},
		{`"mask": "0x10000000"`, `"mask": "10000000"`}, {`"value": "0x10000000"`, `"more": "0x10000000"`}, {`"mrowner": ["0a`, `"mrowner": ["`}, {`[1]`, `[256]`}, {`[1]`, `[]`},
		{`"05010400`, `"050104`}, {`sha512:app-data`, `md5`}, {`sha512:app-data`, `sha512:`}, {`"by": "application"`, `"by": "app"`}, {`"0a"]`, `"a"]`}, {`"td.migratable"`, `"quote.signature"`},
	} {
		if strings.Count(good, edit[0]) == 0 {
			t.Fatalf("the example has no %s", edit[0])
		}
		check(edit[1], strings.Replace(good, edit[0], edit[1], 1), false)
	}
	for name, want := range map[string]bool{"1h30m": true, "0.5h": true, "10µs": true, "1d": false, "h": false, "": false, "1h 30m": false} {
		check("time "+name, strings.Replace(good, "720h", name, 1), want)
	}
}

// TestVerdictSchemaRejects changes a verdict into what it must not be: the schema is known to say something.
func TestVerdictSchemaRejects(t *testing.T) {
	s, err := jsonschema.NewCompiler().Compile(docs("schema", "verdict-v1.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := (&verify.Verdict{}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	validate := func(text string) error {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return s.Validate(doc)
	}
	good := strings.Replace(string(b), `"checks":[]`, `"checks":[{"id":"a.b","status":"fail","required":true}]`, 1)
	if err := validate(good); err != nil {
		t.Fatal(err)
	}
	for _, edit := range [][2]string{{"verdict/v1", "verdict/v2"}, {`"accepted":false`, `"accepted":true`}, {`"accepted":false`, `"accepted":0`}, {`"fail"`, `"FAIL"`},
		{`"a.b"`, `"a b"`}, {`,"required":true`, ``}, {`"checks"`, `"check"`}} {
		if changed := strings.Replace(good, edit[0], edit[1], 1); changed == good || validate(changed) == nil {
			t.Errorf("with %s the schema is satisfied", edit[1])
		}
	}
	pattern := regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)
	ids, _ := verify.CheckIDs()
	if i := slices.IndexFunc(ids, func(id verify.CheckID) bool { return !pattern.MatchString(string(id)) }); i >= 0 {
		t.Errorf("%s is not of the form that the schema has", ids[i])
	}
}
