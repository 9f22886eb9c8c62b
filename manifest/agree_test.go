package manifest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/internal/strictjson"
)

// mutations are texts of a document in which one value is another one, one member or item is missing or there twice, or a
// member is added.
func mutations(t *testing.T, text []byte) map[string][]byte {
	doc, err := strictjson.Parse("test", text)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	var walk func(path string, v *strictjson.Value)
	walk = func(path string, v *strictjson.Value) {
		put := func(what, value string) {
			out[path+": "+what] = []byte(string(text[:v.Off]) + value + string(text[v.Off+len(v.Raw):]))
		}
		for _, value := range []string{`null`, `true`, `0`, `1`, `-1`, `1.5`, `65537`, `9007199254740993`, `""`, `"x"`, `"0"`, `[]`, `{}`, `[0]`, `"2026-11-01T12:00:00Z"`,
			`"` + strings.Repeat("0", 96) + `"`, `"` + strings.Repeat("f", 16) + `"`, `"` + strings.Repeat("y", maxText+1) + `"`} {
			put(fmt.Sprintf("%.20s", value), value)
		}
		join := func(parts []string, open, end string) string { return open + strings.Join(parts, ",") + end }
		var parts []string
		for _, m := range v.Members {
			parts = append(parts, fmt.Sprintf("%q:%s", m.Name, m.Value.Raw))
		}
		for i := range v.Members {
			put("without "+v.Members[i].Name, join(append(append([]string{}, parts[:i]...), parts[i+1:]...), "{", "}"))
			put("twice "+v.Members[i].Name, join(append(append([]string{}, parts...), parts[i]), "{", "}"))
			walk(path+"/"+v.Members[i].Name, &v.Members[i].Value)
		}
		if v.Kind == strictjson.Object {
			put("with more", join(append(parts, `"extra":1`), "{", "}"))
		}
		parts = nil
		for _, i := range v.Items {
			parts = append(parts, string(i.Raw))
		}
		for i := range v.Items {
			if i == 0 || i == len(v.Items)-1 {
				put(fmt.Sprint("without ", i), join(append(append([]string{}, parts[:i]...), parts[i+1:]...), "[", "]"))
				put(fmt.Sprint("twice ", i), join(append(append([]string{}, parts...), parts[i]), "[", "]"))
			}
			if i < 2 {
				walk(fmt.Sprint(path, "/", i), &v.Items[i])
			}
		}
	}
	walk("", doc)
	return out
}

// TestReadersAgree changes every part of a statement in every way of a list. The reader here, the one of docs/examples and
// the JSON Schema have to agree on what is a statement, but that a schema cannot say what indexes and names refer to.
func TestReadersAgree(t *testing.T) {
	s := schema(t, "reference-values-v1")
	list := mutations(t, mustAppend(t, newHeader(), newVariants(2)))
	var names []string
	var lines bytes.Buffer
	taken := 0
	for name, data := range list {
		names = append(names, name)
		fmt.Fprintln(&lines, base64.StdEncoding.EncodeToString(data))
		_, err := Parse(data)
		if err == nil {
			taken++
			if err := validate(s, data); err != nil {
				t.Errorf("%s: read, and not by the schema: %v", name, err)
			}
		}
	}
	if len(list) < 1000 || taken < 20 {
		t.Fatalf("%d statements, of which %d are taken", len(list), taken)
	}
	if exec.Command("python3", "--version").Run() != nil {
		t.Skip("left out: the example needs python3")
	}
	const check = `
import base64, sys
import manifest_form
for line in sys.stdin:
    try:
        manifest_form.check(base64.b64decode(line))
        print("taken")
    except (manifest_form.Rejected, ValueError, RecursionError) as e:
        print("rejected", repr(e))
`
	cmd := exec.Command("python3", "-c", check)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join("..", "docs", "examples"), "PYTHONDONTWRITEBYTECODE=1")
	cmd.Stdin = &lines
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	verdicts := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(verdicts) != len(names) {
		t.Fatalf("%d verdicts on %d statements: %v\n%s", len(verdicts), len(names), err, stderr.String())
	}
	for i, name := range names {
		_, err := Parse(list[name])
		if (err == nil) != (verdicts[i] == "taken") {
			t.Errorf("%s: here %v; by docs/examples %s", name, err, verdicts[i])
		}
	}
}

// TestSchemasOfOthers does the same to trust policies, rebuild statements and envelopes: what is read is by the schema.
func TestSchemasOfOthers(t *testing.T) {
	doc := trustDocument()
	trustKey(doc, 1)["notBefore"], trustKey(doc, 1)["notAfter"] = "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"
	product(doc)["rebuilds"] = map[string]any{"threshold": 1, "keys": []string{"dave", "erin"}, "subjects": []string{"kernel"}}
	trust, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		schema string
		data   []byte
		read   func([]byte) error
	}{
		{"trust-v1", trust, func(b []byte) error { _, err := ParseTrust(b); return err }},
		{"rebuild-v1", newRebuild(t, nil), func(b []byte) error { _, err := ParseRebuild(b); return err }},
		{"envelope-v1", signed(t, newRebuild(t, nil), "alice", "bob"), func(b []byte) error {
			_, _, err := mustTrust(t, trustDocument()).openEnvelope(b)
			return err
		}},
	} {
		if err := tc.read(tc.data); err != nil {
			t.Fatal(err)
		}
		for name, data := range mutations(t, tc.data) {
			if tc.read(data) != nil {
				continue
			}
			if err := validate(schema(t, tc.schema), data); err != nil {
				t.Errorf("%s: %s: read, and not by the schema: %v", tc.schema, name, err)
			}
		}
	}
}
