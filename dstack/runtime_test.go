package dstack_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/keccak"
	"github.com/tdxkit/tdxkit/mr"
)

var composeHash = bytes.Repeat([]byte{0xC0}, 32)

// boot returns the events of a guest: "name=payload" in words, or a name alone for one whose payload is as usual.
func boot(words ...string) []mr.Event {
	usual := map[string][]byte{
		dstack.AppID: composeHash[:20], dstack.ComposeHash: composeHash, dstack.InstanceID: bytes.Repeat([]byte{7}, 20),
		dstack.KeyProvider: []byte(`{"name":"kms","id":"3059"}`), dstack.StorageFS: []byte("zfs"),
		dstack.OSImageHash: bytes.Repeat([]byte{0x05}, 32), dstack.InitScriptHash: make([]byte, 32),
		dstack.RootfsHash: make([]byte, 32), dstack.GPUPolicyHash: make([]byte, 32), dstack.GPUAttestation: []byte("{}"),
	}
	events := []mr.Event{{Register: mr.RTMR0, Type: eventlog.EVSeparator, Measured: mr.Measured{Digest: mr.Sum(make([]byte, 4))}}}
	for _, w := range words {
		name, payload, given := strings.Cut(w, "=")
		data := usual[name]
		if given {
			data = []byte(payload)
		}
		events = dstack.AppendRuntimeEvent(events, name, data)
	}
	return events
}

// ordinary is the boot that most guests report.
var ordinary = []string{dstack.SystemPreparing, dstack.AppID, dstack.ComposeHash, dstack.InstanceID, dstack.BootMRDone,
	dstack.KeyProvider, dstack.SystemReady}

// with returns words with more of them in front of the word at i.
func with(i int, more ...string) []string { return slices.Insert(slices.Clone(ordinary), i, more...) }

func TestParseRuntime(t *testing.T) {
	for name, words := range map[string][]string{
		"ordinary":    ordinary,
		"application": append(slices.Clone(ordinary), "my-event=x", "my-event=y", "compose-hash"),
		"all": {dstack.SystemPreparing, dstack.RootfsHash, dstack.AppID, dstack.ComposeHash, dstack.InitScriptHash, dstack.InitScriptHash,
			dstack.GPUPolicyHash, dstack.GPUAttestation, dstack.InstanceID, dstack.BootMRDone, dstack.OSImageHash, dstack.KeyProvider,
			dstack.StorageFS, dstack.SystemReady},
		"no instance": {dstack.SystemPreparing, dstack.AppID, dstack.ComposeHash, dstack.InstanceID + "=", dstack.BootMRDone,
			dstack.OSImageHash + "=", dstack.KeyProvider, dstack.SystemReady},
	} {
		events := boot(words...)
		r, err := dstack.ParseRuntime(events)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		values, err := mr.Replay(events)
		if err != nil || values[mr.RTMR3] != r.RTMR3 {
			t.Errorf("%s: RTMR3 is %v, a replay gives %v", name, r.RTMR3, values[mr.RTMR3])
		}
		if !bytes.Equal(r.ComposeHash[:], composeHash) || r.KeyProvider != (dstack.KeyProviderInfo{Name: "kms", ID: "3059"}) {
			t.Errorf("%s: got %+v", name, r)
		}
		if len(r.System)+len(r.Application) != len(words) || r.System[len(r.System)-1].Measured.What != dstack.SystemReady {
			t.Errorf("%s: %d and %d events of %d", name, len(r.System), len(r.Application), len(words))
		}
		done := slices.Index(words, dstack.BootMRDone)
		values, _ = mr.Replay(events[:done+2])
		if values[mr.RTMR3] != r.BootRTMR3 {
			t.Errorf("%s: RTMR3 at boot-mr-done is %v, a replay gives %v", name, r.BootRTMR3, values[mr.RTMR3])
		}
	}
	r, err := dstack.ParseRuntime(boot(append(slices.Clone(ordinary), "x", "Compose-Hash", "app-id", "app-id")...))
	if err != nil || !slices.Equal(r.Imitations(), []string{"Compose-Hash", "app-id"}) || len(r.FindApplication("app-id")) != 2 || len(r.Find("app-id")) != 1 {
		t.Errorf("imitations: got %v, %v", r.Imitations(), err)
	}
}

func TestParseRuntimeRejects(t *testing.T) {
	edit := func(f func([]mr.Event)) []mr.Event {
		e := boot(ordinary...)
		f(e)
		return e
	}
	for _, tc := range []struct {
		name   string
		events []mr.Event
		want   string
	}{
		{"nothing", nil, "system-preparing is missing"},
		{"no runtime events", boot(), "system-preparing is missing"},
		{"not ready", boot(ordinary[:6]...), "system-ready is missing"},
		{"event before the boundary", boot(with(0, "early")...), "is not an event of the system"},
		{"unknown event in the boot", boot(with(3, "extra")...), "is not an event of the system"},
		{"unknown event before the end", boot(with(6, "extra")...), "is not an event of the system"},
		{"compose-hash twice", boot(with(3, dstack.ComposeHash)...), "more than 1 times"},
		{"compose-hash before app-id", boot(with(1, dstack.ComposeHash)...), "stands where app-id is due"},
		{"compose-hash after boot-mr-done", boot(with(5, dstack.ComposeHash)...), "stands where key-provider is due"},
		{"compose-hash missing", boot(slices.Delete(slices.Clone(ordinary), 2, 3)...), "stands where compose-hash is due"},
		{"key-provider missing", boot(slices.Delete(slices.Clone(ordinary), 5, 6)...), "stands where key-provider is due"},
		{"compose-hash short", boot(with(2, "compose-hash=short")...), "5 bytes, want 32"},
		{"app-id of 19 bytes", boot("system-preparing", "app-id="+strings.Repeat("a", 19)), "19 bytes, want 20"},
		{"boundary with a payload", boot("system-preparing=x"), "1 bytes, want 0"},
		{"instance-id of 5 bytes", boot("system-preparing", "app-id", "compose-hash", "instance-id=12345"), "5 bytes, want 20 or none"},
		{"os-image-hash of 5 bytes", boot("system-preparing", "app-id", "compose-hash", "instance-id", "boot-mr-done", "os-image-hash=12345"), "5 bytes, want 32 or none"},
		{"key provider not JSON", boot("system-preparing", "app-id", "compose-hash", "instance-id", "boot-mr-done", "key-provider=kms"), "want a value"},
		{"key provider twice named", boot("system-preparing", "app-id", "compose-hash", "instance-id", "boot-mr-done", `key-provider={"name":"none","name":"kms","id":""}`), "occurs beside"},
		{"runtime event in RTMR2", edit(func(e []mr.Event) { e[3].Register = mr.RTMR2 }), "extends rtmr2, want rtmr3"},
		{"boot event in RTMR3", edit(func(e []mr.Event) { e[0].Register = mr.RTMR3 }), "is of type EV_SEPARATOR"},
		{"digest of another payload", edit(func(e []mr.Event) { e[3].Measured.Digest[0] ^= 1 }), "do not lead to"[3:]},
		{"payload of another digest", edit(func(e []mr.Event) { e[3].Data = make([]byte, 32) }), "name and payload"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := dstack.ParseRuntime(tc.events)
			var re *dstack.RuntimeError
			if !errors.As(err, &re) || r != nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want a RuntimeError with %q", err, tc.want)
			}
		})
	}
}

// A report is what a guest agent says of its TD.
type report struct {
	EventLog json.RawMessage `json:"event_log"`
	RTMR3    string          `json:"rtmr3"`
	Compose  string          `json:"app_compose"`
	Hash     string          `json:"compose_hash"`
}

// TestRuntimeReal holds the rules to what real guests reported.
func TestRuntimeReal(t *testing.T) {
	edited := 0 // whose app-compose.json is not the one that the guest measured: someone shortened it after the capture
	check := func(t *testing.T, name string, data []byte) {
		events, err := dstack.ParseEventLog(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		r, err := dstack.ParseRuntime(events)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if dstack.AppIDOf(r.ComposeHash) != r.AppID {
			t.Errorf("%s: app-id %x is not of compose-hash %x", name, r.AppID, r.ComposeHash)
		}
		var doc report
		if json.Unmarshal(data, &doc); doc.RTMR3 != "" && doc.RTMR3 != r.RTMR3.String() {
			t.Errorf("%s: RTMR3 is %v, the report says %s", name, r.RTMR3, doc.RTMR3)
		}
		if doc.Compose != "" {
			c, err := dstack.ParseAppCompose([]byte(doc.Compose))
			if err != nil || c.DockerCompose == "" || doc.Hash != hex.EncodeToString(r.ComposeHash[:]) {
				t.Errorf("%s: app-compose.json: got %+v, %v; the event says %x", name, c, err, r.ComposeHash)
			} else if c.Hash != r.ComposeHash {
				edited++
			}
		}
	}
	for _, name := range []string{"dstack-quote-report.json", "dstack-tdx-lite-getquote.json", "near-mpc.tcb_info.json"} {
		check(t, name, fixtures.File(t, "quotes", name))
	}
	t.Run("all", func(t *testing.T) {
		files, err := filepath.Glob(filepath.Join(fixtures.Truth(t, "quotes"), "near-history", "dstack_tcb_info", "*.json"))
		if err != nil || len(files) != 34 {
			t.Fatalf("%d files, %v, want 34", len(files), err)
		}
		more, err := filepath.Glob(filepath.Join(fixtures.Truth(t, "hardware"), "dstack*", "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		n := len(files)
		for _, f := range files {
			check(t, filepath.Base(f), fixtures.Read(t, f))
		}
		for _, f := range more {
			data := fixtures.Read(t, f)
			if _, err := dstack.ParseEventLog(data); err != nil {
				continue // other documents, and vectors whose log is of another shape; dstack's own tests count the logs
			}
			if bytes.Contains(data, []byte(dstack.SystemPreparing)) {
				check(t, filepath.Base(f), data)
				n++
			}
		}
		t.Logf("%d logs of real guests, %d of them beside another app-compose.json", n, edited)
		if edited != 8 {
			t.Errorf("%d app-compose.json are not the measured ones, want 8", edited)
		}
	})
}

// TestApplicationReadings holds that how a log divides what version 1 hashes into name and payload does not change what is
// found.
func TestApplicationReadings(t *testing.T) {
	asWritten, err := dstack.ParseRuntime(boot(append(slices.Clone(ordinary), "mark=a:b", "Compose-Hash=x:y", "mark=c", "marks=d")...))
	if err != nil {
		t.Fatal(err)
	}
	divided, err := dstack.ParseRuntime(boot(append(slices.Clone(ordinary), "mark:a=b", "Compose-Hash:x=y", "mark=c", "marks=d")...))
	if err != nil {
		t.Fatal(err)
	}
	if asWritten.RTMR3 != divided.RTMR3 {
		t.Fatal("the two logs are not of one guest")
	}
	for _, r := range []*dstack.Runtime{asWritten, divided} {
		if got := r.FindApplication("mark"); len(got) != 2 || string(got[0]) != "a:b" || string(got[1]) != "c" {
			t.Errorf("mark: got %q", got)
		}
		if got := r.FindApplication("mark:a"); len(got) != 1 || string(got[0]) != "b" {
			t.Errorf("mark:a: got %q", got)
		}
		if got := r.Imitations(); len(got) != 1 {
			t.Errorf("got imitations %q, want the one of compose-hash", got)
		}
	}
}

func sumOf[T [32]byte | [48]byte | [64]byte](d T) string { return fmt.Sprintf("%x", d) }

func TestBinding(t *testing.T) {
	// from the tests of Dstack-TEE/dstack's attestation.rs, computed there and here alike
	content := []byte("test content")
	for s, want := range map[string]string{
		"sha256:app-data": hexSum("sha256", "app-data:test content"),
		"sha512":          hexSum("sha512", "app-data:test content"),
		"sha384:x:y":      hexSum("sha384", "x:y:test content"),
		// with Python's hashlib
		"sha3-256":    "bb98d4376d590cb17968d89250ac8f3d6241c9267d74995121a60766d0a6c665",
		"sha3-384":    "9a1bc92ced9fae72a75d0b446894269c15d47c270829e7375f107d920e2e20fc2bba3ae0a514721e44d185f89bea7e78",
		"sha3-512":    "dc18076a2308b0373d2417d85f62d041398a8387894bd7a46afe857a5cc951f77726fbcf9019bcc224fa11ee0784c94035ad3669f607dcc704079faf244dc3ba",
		"keccak256:t": sumOf(keccak.Sum256([]byte("t:test content"))),
		"keccak384:t": sumOf(keccak.Sum384([]byte("t:test content"))),
		"keccak512:t": sumOf(keccak.Sum512([]byte("t:test content"))),
		"padded":      hex.EncodeToString(content),
	} {
		b, err := dstack.ParseBinding(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		got, err := b.ReportData(content)
		if err != nil || hex.EncodeToString(got[:len(want)/2]) != want || !bytes.Equal(got[len(want)/2:], make([]byte, 64-len(want)/2)) {
			t.Errorf("%s: got %x, %v, want %s and zeros", s, got, err, want)
		}
		if back, err := dstack.ParseBinding(b.String()); err != nil || back != b {
			t.Errorf("%s: reads back as %v, %v", s, back, err)
		}
	}
	for _, h := range dstack.Hashes() {
		b := dstack.Binding{Hash: h, Tag: "t"}
		x, err := b.ReportData([]byte("a"))
		y, _ := b.ReportData([]byte("b"))
		if err != nil || x == y || x == [64]byte{} {
			t.Errorf("%s: got %x and %x, %v", h, x, y, err)
		}
	}
	for _, s := range []string{"raw", "padded"} {
		b, err := dstack.ParseBinding(s)
		if err != nil || b.String() != s {
			t.Errorf("%s: read as %v, %v", s, b, err)
		}
		if got, err := b.ReportData(bytes.Repeat([]byte{9}, 64)); err != nil || got != [64]byte(bytes.Repeat([]byte{9}, 64)) {
			t.Errorf("%s: got %x, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "md5", "sha512:", "sha512:\n", "sha512:a\x7f", "sha512:\x1f", "raw:x", "padded:x", "SHA512"} {
		if b, err := dstack.ParseBinding(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, b)
		}
	}
	for _, tc := range []struct {
		b dstack.Binding
		n int
	}{{dstack.Binding{}, 65}, {dstack.Binding{Hash: "raw"}, 63}, {dstack.Binding{Hash: "raw"}, 65}, {dstack.Binding{Hash: "md5"}, 1}} {
		if _, err := tc.b.ReportData(make([]byte, tc.n)); err == nil {
			t.Errorf("%v of %d bytes: want an error", tc.b, tc.n)
		}
	}
}

func FuzzParseRuntime(f *testing.F) {
	f.Add(strings.Join(ordinary, " "))
	f.Add(strings.Join(with(3, "x=y"), " "))
	f.Fuzz(func(t *testing.T, words string) {
		events := boot(strings.Fields(words)...)
		r, err := dstack.ParseRuntime(events)
		if err != nil {
			return
		}
		for _, name := range []string{dstack.AppID, dstack.ComposeHash, dstack.KeyProvider, dstack.SystemReady} {
			if len(r.Find(name)) != 1 {
				t.Errorf("%s occurs %d times", name, len(r.Find(name)))
			}
		}
		if v, err := mr.Replay(events); err != nil || v[mr.RTMR3] != r.RTMR3 {
			t.Error("RTMR3 is not what a replay gives")
		}
	})
}

func ExampleParseRuntime() {
	var events []mr.Event
	for _, e := range []struct{ name, payload string }{
		{"system-preparing", ""}, {"app-id", strings.Repeat("a", 20)}, {"compose-hash", strings.Repeat("a", 32)}, {"instance-id", ""},
		{"boot-mr-done", ""}, {"key-provider", `{"name":"none","id":""}`}, {"system-ready", ""}, {"compose-hash", "forged by the application"},
	} {
		events = dstack.AppendRuntimeEvent(events, e.name, []byte(e.payload))
	}
	r, err := dstack.ParseRuntime(events)
	fmt.Println(err)
	fmt.Printf("%x…\n", r.ComposeHash[:4])
	fmt.Println(r.KeyProvider.Name, r.Imitations())
	// Output:
	// <nil>
	// 61616161…
	// none [compose-hash]
}
