package manifest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

var schemas sync.Map // by name

// schema returns one of the schemas in docs/schema, compiled once.
func schema(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	if s, ok := schemas.Load(name); ok {
		return s.(*jsonschema.Schema)
	}
	s := compileSchema(t, name)
	schemas.Store(name, s)
	return s
}

func compileSchema(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	path := filepath.Join("..", "docs", "schema", name+".schema.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(s *jsonschema.Schema, data []byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

// TestSchema holds what is written to the schemas: full and spare manifests, rebuild statements, envelopes, policies.
func TestSchema(t *testing.T) {
	spare := newHeader()
	spare.Source, spare.Launch, spare.Policy = nil, nil, nil
	bare := newVariants(3)
	for i := range bare {
		bare[i].Events = nil
	}
	trust, err := json.Marshal(trustDocument())
	if err != nil {
		t.Fatal(err)
	}
	full := mustAppend(t, newHeader(), newVariants(300))
	for _, tc := range []struct {
		schema, name string
		data         []byte
	}{
		{"reference-values-v1", "full", full},
		{"reference-values-v1", "spare", mustAppend(t, spare, bare)},
		{"rebuild-v1", "rebuild", newRebuild(t, nil)},
		{"envelope-v1", "envelope", signed(t, full, "alice", "bob")},
		{"trust-v1", "trust", trust},
	} {
		if err := validate(schema(t, tc.schema), tc.data); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// TestSchemaRejects feeds the schema what the reader refuses for its form, so that the schema is known to say something.
func TestSchemaRejects(t *testing.T) {
	s := schema(t, "reference-values-v1")
	good := string(mustAppend(t, newHeader(), newVariants(2)))
	for _, edit := range [][2]string{
		{`"serial":7`, `"serial":7,"extra":1`}, {`"serial":7`, `"Serial":7`}, {`"serial":7`, `"serial":0`}, {`"serial":7`, `"serial":"7"`},
		{"reference-values/v1", "reference-values/v2"}, {`"mask":"ff01`, `"mask":"FF01`}, {`"registers":[0,1,2,3]`, `"registers":[0,1,2]`},
		{`"rule":"dstack"`, `"rule":"one-of"`}, {`"UpToDate"`, `"Fine"`}, {`"cpus":1,`, `"cpus":0,`}, {`"layout":0,`, ``}, {`"register":"rtmr0"`, `"register":"mrtd"`},
	} {
		if !strings.Contains(good, edit[0]) {
			t.Fatalf("the statement has no %s", edit[0])
		}
		changed := []byte(strings.Replace(good, edit[0], edit[1], 1))
		if validate(s, changed) == nil {
			t.Errorf("with %s the schema is satisfied", edit[1])
		}
		if _, err := Parse(changed); err == nil {
			t.Errorf("with %s the reader is satisfied", edit[1])
		}
	}
}
