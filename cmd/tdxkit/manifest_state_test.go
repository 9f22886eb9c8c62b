package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tdxkit/tdxkit/internal/testpki"
	"github.com/tdxkit/tdxkit/manifest"
	"github.com/tdxkit/tdxkit/mr"
)

// A shelf is a folder with small manifests of a product, signed by one key.
type shelf struct{ chain }

func newShelf(t *testing.T) *shelf {
	s := &shelf{chain{t: t, dir: t.TempDir()}}
	if code, _, stderr := s.tdx("manifest keygen --out FILE:key"); code != exitDone {
		t.Fatal(stderr)
	}
	pem, err := os.ReadFile(s.path("key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	trust, err := json.Marshal(map[string]any{
		"schema": manifest.TrustSchema, "keys": []any{map[string]string{"name": "alice", "publicKey": string(pem)}},
		"products": []any{map[string]any{"name": "acme-node", "threshold": 1, "keys": []string{"alice"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, s.path("trust.json"), trust)
	return s
}

var shelfTime = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// shelfRegisters are those of the one variant of all manifests on a shelf.
var shelfRegisters = manifest.Registers{mr.Sum([]byte("mrtd")), mr.Sum([]byte("rtmr0")), mr.Sum([]byte("rtmr1")), mr.Sum([]byte("rtmr2"))}

// put writes a signed manifest to a file.
func (s *shelf) put(name string, serial uint64, policy *manifest.Policy) {
	s.t.Helper()
	h := &manifest.Header{
		Subjects: []manifest.Subject{{Name: "firmware", SHA384: mr.Sum([]byte("fd"))}}, Product: manifest.Product{Name: "acme-node", Version: fmt.Sprint("1.", serial)},
		Serial: serial, IssuedAt: shelfTime, NotBefore: shelfTime, Expires: shelfTime.AddDate(1, 0, 0), Tool: tool(), Policy: policy,
	}
	v := manifest.Variant{ID: "one", Platform: &manifest.Platform{QEMU: "10.1.0", Machine: "pc-q35-10.1", Inputs: []int{0}}, CPUs: 1, Memory: 1 << 30, Registers: shelfRegisters}
	data, err := manifest.Append(h, []manifest.Variant{v})
	if err != nil {
		s.t.Fatal(err)
	}
	write(s.t, s.path("statement.json"), data)
	if code, _, stderr := s.tdx("manifest sign --force --key FILE:key --out FILE:" + name + " FILE:statement.json"); code != exitDone {
		s.t.Fatal(stderr)
	}
}

// TestStateIsHeld lets a process accept an older manifest while another one, which holds the state, comes to know a newer
// one: the state is read only once the other has written it.
func TestStateIsHeld(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("left out: a state file is not locked on Windows, which has no flock")
	}
	s := newShelf(t)
	s.put("m7.json", 7, nil)
	lock, err := lockBeside(t.Context(), s.path("state.json"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan string)
	go func() {
		code, _, stderr := s.tdx("manifest verify --trust FILE:trust.json --time 2026-06-01T00:00:00Z --state FILE:state.json FILE:m7.json")
		done <- fmt.Sprint(code, stderr)
	}()
	select {
	case said := <-done:
		t.Fatalf("the state was read while another process held it: %s", said)
	case <-time.After(5 * lockInterval):
	}
	write(t, s.path("state.json"), []byte(`{"schema":"tdxkit.manifest-state/v1","products":[{"name":"acme-node","serial":9,"sha256":"`+strings.Repeat("0", 64)+`"}]}`))
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if said := <-done; !strings.HasPrefix(said, "1") || !strings.Contains(said, "and 9 was accepted before") {
		t.Errorf("%s, want that 9 was accepted before", said)
	}
}

// TestEmptyFlags gives flags whose value a script left empty. None of them may be as if it were not given.
func TestEmptyFlags(t *testing.T) {
	s := newShelf(t)
	s.put("m7.json", 7, nil)
	const at = " --time 2026-06-01T00:00:00Z"
	for _, line := range []string{
		"manifest verify --trust FILE:trust.json" + at + " --state= FILE:m7.json",
		"manifest verify --trust FILE:trust.json" + at + " --rebuild= FILE:m7.json",
		"manifest verify --trust=" + at + " FILE:m7.json",
		"manifest export --to csv --signer= FILE:m7.json",
		"manifest export --to csv --out= FILE:m7.json",
		"manifest sign --key FILE:key --out= FILE:statement.json",
		"manifest create --policy= --product a --version 1 --serial 1 -- qemu-system-x86_64",
		"manifest create --previous= --product a --version 1 --serial 1 -- qemu-system-x86_64",
		"manifest create --source= --product a --version 1 --serial 1 -- qemu-system-x86_64",
		"manifest show --variant= FILE:m7.json",
		"verify --quote FILE:m7.json --policy= --trust FILE:trust.json --manifest FILE:m7.json" + at,
		"verify --quote FILE:m7.json --trust FILE:trust.json --manifest FILE:m7.json --state=" + at,
	} {
		code, stdout, stderr := s.tdx(line)
		if code != exitUsage || !strings.Contains(stderr, "is given without a value") || stdout != "" {
			t.Errorf("%s: exit code %d\n%s%s", line, code, stdout, stderr)
		}
	}
}

// TestNewestFirst gives two manifests of a product that have a variant with the same registers. The newer one asks for a
// TDX module that the TD does not have, and whichever is named first, that is what counts.
func TestNewestFirst(t *testing.T) {
	s := newShelf(t)
	s.put("m7.json", 7, nil)
	s.put("m8.json", 8, &manifest.Policy{MRSEAM: []mr.Digest{mr.Sum([]byte("another module"))}})
	scenario := testpki.Default()
	td := &scenario.Quote.TD
	td.MRTD, td.RTMR = shelfRegisters[0], [4][48]byte{shelfRegisters[1], shelfRegisters[2], shelfRegisters[3]}
	write(t, s.path("quote.bin"), scenario.Build().Quote)
	if err := os.Mkdir(s.path("[a-b]*"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"m7.json", "m8.json"} {
		data, err := os.ReadFile(s.path(name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(s.path("[a-b]*"), name), data)
	}
	for _, given := range []string{"--manifest FILE:m7.json --manifest FILE:m8.json", "--manifest FILE:m8.json --manifest FILE:m7.json", "--manifest FILE:[a-b]*"} {
		_, stdout, stderr := s.tdx("verify --quote FILE:quote.bin --trust FILE:trust.json --time 2026-06-01T00:00:00Z -o json " + given)
		var v struct {
			Variant string
			Checks  []struct{ ID, Status string }
		}
		if err := json.Unmarshal([]byte(stdout), &v); err != nil {
			t.Fatalf("%s: %v\n%s", given, err, stderr)
		}
		i := slices.IndexFunc(v.Checks, func(c struct{ ID, Status string }) bool { return c.ID == "module.mrseam" })
		if v.Variant != "acme-node 1.8, one" || v.Checks[i].Status != "fail" {
			t.Errorf("%s: variant %q, %v", given, v.Variant, v.Checks[i])
		}
	}
}
