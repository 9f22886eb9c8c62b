package manifest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// readAll has the reader of docs/examples read envelopes, and says of each whether it is taken.
const readAll = `
import sys
import read_manifest
keys = read_manifest.read_keys(sys.argv[1:3])
for path in sys.argv[4:]:
    try:
        with open(path, "rb") as f:
            read_manifest.read(f.read(), keys, 2, "acme-node", 7, sys.argv[3])
        print("taken")
    except (read_manifest.Rejected, ValueError, RecursionError) as e:
        print("rejected", repr(e))
`

// TestDocumentedReader holds the reader of docs/examples, which was written from docs/MANIFEST.md, to the one here: what one
// refuses the other does, so that the page leaves nothing out.
func TestDocumentedReader(t *testing.T) {
	if out, err := exec.Command("python3", "-c", "import cryptography").CombinedOutput(); err != nil {
		t.Skipf("left out: the example needs python3 and its package cryptography: %v: %s", err, out)
	}
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	args := []string{"-c", readAll, write("alice.pub", []byte(publicPEM("alice"))), write("bob.pub", []byte(publicPEM("bob"))), at.Format(time.RFC3339)}
	good := mustAppend(t, newHeader(), newVariants(4))
	var names []string
	add := func(name string, envelope []byte) {
		args = append(args, write(fmt.Sprintf("%d.json", len(names)), envelope))
		names = append(names, name)
	}
	bare := newVariants(2)
	bare[0].Events = nil
	spare := newHeader()
	spare.Source, spare.Launch, spare.Policy = nil, nil, nil
	for name, statement := range map[string][]byte{"full": good, "spare": mustAppend(t, spare, bare)} {
		add("good: "+name, signed(t, statement, "alice", "bob"))
	}
	remade := func(change func(*Header)) []byte {
		h := newHeader()
		change(h)
		return signed(t, mustAppend(t, h, newVariants(1)), "alice", "bob")
	}
	add("one signature", signed(t, good, "alice"))
	add("an unknown key", signed(t, good, "alice", "bob", "mallory"))
	add("another product", remade(func(h *Header) { h.Product.Name = "other" }))
	add("an older serial number", remade(func(h *Header) { h.Serial = 6 }))
	add("expired", remade(func(h *Header) { h.Expires = at }))
	add("not yet good", remade(func(h *Header) { h.NotBefore = at.Add(time.Second) }))
	add("a rebuild statement", signed(t, newRebuild(t, nil), "alice", "bob"))
	for _, e := range edits(string(good)) {
		add(e.name, signed(t, []byte(strings.Replace(string(good), e.old, e.new, 1)), "alice", "bob"))
	}
	cmd := exec.Command("python3", args...)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join("..", "docs", "examples"), "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(names) {
		t.Fatalf("%d verdicts on %d manifests", len(lines), len(names))
	}
	for i, name := range names {
		if taken := lines[i] == "taken"; taken != strings.HasPrefix(name, "good: ") {
			t.Errorf("%s: %s", name, lines[i])
		}
	}
}
