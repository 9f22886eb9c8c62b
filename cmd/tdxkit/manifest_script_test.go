package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tdxkit/tdxkit/fixtures"
)

// checkSchema holds a JSON file to a schema of docs/schema.
func checkSchema(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: schema NAME FILE")
	}
	s, err := jsonschema.NewCompiler().Compile(filepath.Join(fixtures.Dir(), "..", "docs", "schema", args[0]+".schema.json"))
	ts.Check(err)
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(ts.ReadFile(args[1])))
	ts.Check(err)
	ts.Check(s.Validate(doc))
}

// writeTrust writes a trust policy in which two of the keys sign for acme-node.
func writeTrust(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: trust KEY.pub... [rebuilt]")
	}
	type key struct {
		Name      string `json:"name"`
		PublicKey string `json:"publicKey"`
	}
	type rebuilds struct {
		Threshold int      `json:"threshold"`
		Keys      []string `json:"keys"`
	}
	type product struct {
		Name      string    `json:"name"`
		Threshold int       `json:"threshold"`
		Keys      []string  `json:"keys"`
		Rebuilds  *rebuilds `json:"rebuilds,omitempty"`
	}
	p := product{Name: "acme-node", Threshold: 2}
	files := args
	if args[len(args)-1] == "rebuilt" {
		files = args[:len(args)-1]
	}
	var keys []key
	for _, f := range files {
		name := strings.TrimSuffix(f, ".pub")
		keys = append(keys, key{name, ts.ReadFile(f)})
		p.Keys = append(p.Keys, name)
	}
	if len(files) < len(args) {
		p.Rebuilds = &rebuilds{1, p.Keys[len(p.Keys)-1:]}
	}
	data, err := json.Marshal(map[string]any{"schema": "tdxkit.trust/v1", "keys": keys, "products": []product{p}})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("trust.json"), data, 0o644))
}

// isPrivate fails for a file that others can read.
func isPrivate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: private FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if mode := info.Mode().Perm(); mode != 0o600 && runtime.GOOS != "windows" {
		ts.Fatalf("%s has mode %v", args[0], mode)
	}
}

// firstLines compares the first lines of two files.
func firstLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: firstlines N A B")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	a, b := bytes.SplitAfterN([]byte(ts.ReadFile(args[1])), []byte("\n"), n+1), bytes.SplitAfterN([]byte(ts.ReadFile(args[2])), []byte("\n"), n+1)
	for i := range n {
		if i >= len(a) || i >= len(b) || !bytes.Equal(a[i], b[i]) {
			ts.Fatalf("line %d differs:\n%s\n%s", i+1, a, b)
		}
	}
}
