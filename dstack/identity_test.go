package dstack_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/keccak"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/quote"
)

func hexSum(hash, text string) string {
	switch hash {
	case "sha256":
		d := sha256.Sum256([]byte(text))
		return hex.EncodeToString(d[:])
	case "sha384":
		d := sha512.Sum384([]byte(text))
		return hex.EncodeToString(d[:])
	}
	d := sha512.Sum512([]byte(text))
	return hex.EncodeToString(d[:])
}

// guestOf returns the quote's fields and the runtime events of a GetQuote response.
func guestOf(t *testing.T, name string) (dstack.Measurement, *dstack.Runtime) {
	t.Helper()
	data := fixtures.File(t, "quotes", name)
	e, err := quote.Extract(data)
	if err != nil {
		t.Fatal(err)
	}
	q, err := quote.Parse(e.Quote)
	if err != nil {
		t.Fatal(err)
	}
	events, err := dstack.ParseEventLog(data)
	if err != nil {
		t.Fatal(err)
	}
	r, err := dstack.ParseRuntime(events)
	if err != nil {
		t.Fatal(err)
	}
	m := dstack.Measurement{Registers: mr.Values{q.TD.MRTD, q.TD.RTMR[0], q.TD.RTMR[1], q.TD.RTMR[2], q.TD.RTMR[3]},
		MRCONFIGID: q.TD.MRCONFIGID, MROWNER: q.TD.MROWNER, MROWNERCONFIG: q.TD.MROWNERCONFIG}
	if r.RTMR3 != m.Registers[mr.RTMR3] {
		t.Errorf("%s: RTMR3 is %v in the quote, %v by the log", name, m.Registers[mr.RTMR3], r.RTMR3)
	}
	return m, r
}

// TestIdentities compares with what dstack's own tests and a second implementation say of these quotes.
func TestIdentities(t *testing.T) {
	m, r := guestOf(t, "dstack-quote-report.json")
	if got := m.Aggregated(); !strings.HasPrefix(hex.EncodeToString(got[:]), "233c659f") {
		t.Errorf("mr_aggregated is %x, want 233c659f…", got)
	}
	provider := r.Find(dstack.KeyProvider)[0]
	var all []byte
	for _, reg := range m.Registers[:4] {
		all = append(all, reg[:]...)
	}
	hash := sha256.Sum256(provider)
	if got := m.System(provider); got != sha256.Sum256(append(bytes.Clone(all), hash[:]...)) {
		t.Errorf("mr_system is %x", got)
	}
	if got := m.System(nil); got != sha256.Sum256(append(bytes.Clone(all), make([]byte, 32)...)) {
		t.Errorf("mr_system without a key provider is %x", got)
	}
	for name, set := range map[string]func(*dstack.Measurement){ // any of the three makes all of them count
		"MRCONFIGID": func(m *dstack.Measurement) { m.MRCONFIGID[0] = 1 }, "MROWNER": func(m *dstack.Measurement) { m.MROWNER[0] = 1 },
		"MROWNERCONFIG": func(m *dstack.Measurement) { m.MROWNERCONFIG[0] = 1 },
	} {
		m := dstack.Measurement{Registers: m.Registers}
		set(&m)
		if got, want := m.Aggregated(), sha256.Sum256(bytes.Join([][]byte{all, m.Registers[4][:], m.MRCONFIGID[:], m.MROWNER[:], m.MROWNERCONFIG[:]}, nil)); got != want {
			t.Errorf("mr_aggregated with %s is %x, want %x", name, got, want)
		}
	}

	m, r = guestOf(t, "dstack-tdx-lite-getquote.json")
	if rule, err := dstack.CheckConfigID(m.MRCONFIGID, r, nil); err != nil || rule != "version 1" {
		t.Errorf("MRCONFIGID of a real guest: got %q, %v, want version 1", rule, err)
	}
}

// TestCheckConfigIDProvider holds that a document's "none" is not the kind of a provider that has no number, nor its ID the
// digits before something else; and so without a document.
func TestCheckConfigIDProvider(t *testing.T) {
	v3 := func(document string) (mr.Digest, []byte) {
		doc := []byte(`{"compose_hash":"` + hex.EncodeToString(composeHash) + `",` + document + `}`)
		return dstack.ConfigIDV3(doc), doc
	}
	v2 := func(kind dstack.KeyProviderKind, id ...byte) mr.Digest {
		return dstack.ConfigIDV2([32]byte(composeHash), [20]byte(composeHash), kind, id)
	}
	for _, tc := range []struct{ event, document, want string }{ // without a document, version 2 of the kind none and the digits 3059
		{`{"name":"moon","id":""}`, `"key_provider":"none"`, "no number"},
		{`{"name":"kms","id":"3059zz"}`, `"key_provider":"kms","key_provider_id":"3059"`, "not hexadecimal"},
		{`{"name":"kms","id":"3059zz"}`, `"key_provider":"kms"`, "version 3"},
		{`{"name":"kms","id":"3059zz"}`, `"key_provider":"kms","key_provider_id":""`, "version 3"},
		{`{"name":"moon","id":"3059"}`, "", "no number"},
		{`{"name":"none","id":"3059zz"}`, "", "not hexadecimal"},
		{`{"name":"none","id":"3059"}`, "", "version 2"},
	} {
		words := slices.Clone(ordinary)
		words[slices.Index(words, dstack.KeyProvider)] += "=" + tc.event
		r, err := dstack.ParseRuntime(boot(words...))
		if err != nil {
			t.Fatal(err)
		}
		id, doc := v2(dstack.KeysNone, 0x30, 0x59), []byte(nil)
		if tc.document != "" {
			id, doc = v3(tc.document)
		}
		rule, err := dstack.CheckConfigID(id, r, doc)
		if err == nil && rule != tc.want || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s under %s: got %q, %v, want %q", tc.event, tc.document, rule, err, tc.want)
		}
	}
}

// TestConfigDocumentWithoutPolicy: a document that pins a policy that the guest did not measure is another guest's.
func TestConfigDocumentWithoutPolicy(t *testing.T) {
	r, err := dstack.ParseRuntime(boot(ordinary...))
	if err != nil {
		t.Fatal(err)
	}
	for pin, want := range map[string]string{"": "", `,"gpu_policy_hash":"` + strings.Repeat("00", 32) + `"`: "gpu_policy_hash is 0000",
		`,"init_script_hashes":[]`: "", `,"init_script_hashes":null`: "", `,"app_id":"","gpu_policy_hash":null,"instance_id":""`: "",
		`,"init_script_hashes":["` + strings.Repeat("00", 32) + `"]`: "pins 1 init scripts"} {
		doc := []byte(`{"compose_hash":"` + hex.EncodeToString(composeHash) + `","key_provider":"kms"` + pin + `}`)
		rule, err := dstack.CheckConfigID(dstack.ConfigIDV3(doc), r, doc)
		if want == "" && (err != nil || rule != "version 3") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("pins%s: %q, %v, want %q", pin, rule, err, want)
		}
	}
}

func TestCheckConfigID(t *testing.T) {
	r, err := dstack.ParseRuntime(boot(dstack.SystemPreparing, dstack.AppID, dstack.ComposeHash, dstack.InitScriptHash, dstack.GPUPolicyHash,
		dstack.InstanceID, dstack.BootMRDone, dstack.KeyProvider, dstack.SystemReady))
	if err != nil {
		t.Fatal(err)
	}
	v2 := keccak.Sum256(bytes.Join([][]byte{r.ComposeHash[:], r.AppID[:], {2}, {0x30, 0x59}}, nil))
	wantV2 := mr.Digest{2}
	copy(wantV2[1:], v2[:])
	document := map[string]any{
		"version": 3, "app_id": hex.EncodeToString(r.AppID[:]), "compose_hash": hex.EncodeToString(r.ComposeHash[:]),
		"gpu_policy_hash": strings.Repeat("00", 32), "key_provider": "kms", "key_provider_id": "3059",
		"instance_id": hex.EncodeToString(r.InstanceID), "init_script_hashes": []string{strings.Repeat("00", 32)},
	}
	doc := func(key string, value any) []byte {
		m := map[string]any{}
		for k, v := range document {
			m[k] = v
		}
		m[key] = value
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := doc("version", 3)
	v3 := sha256.Sum256(append([]byte("dstack-mr-config-v3:\x00"), good...))
	wantV3 := mr.Digest{3}
	copy(wantV3[1:], v3[:])
	var bare, v1 mr.Digest
	copy(bare[:], r.ComposeHash[:])
	v1[0] = 1
	copy(v1[1:], r.ComposeHash[:])
	for _, tc := range []struct {
		name string
		id   mr.Digest
		doc  []byte
		want string // a rule, or a part of the error
	}{
		{"compose hash", bare, nil, "compose hash"},
		{"version 1", v1, nil, "version 1"},
		{"version 2", wantV2, nil, "version 2"},
		{"version 3", wantV3, good, "version 3"},
		{"few pins", dstack.ConfigIDV3([]byte(`{"compose_hash":"` + hex.EncodeToString(composeHash) + `","key_provider":"kms"}`)),
			[]byte(`{"compose_hash":"` + hex.EncodeToString(composeHash) + `","key_provider":"kms"}`), "version 3"},
		{"zero", mr.Digest{}, nil, "neither zero"},
		{"version 4", mr.Digest{4}, nil, "version from 1 to 3"},
		{"version 1 of another application", dstack.ConfigIDV1([32]byte{1}), nil, "lead to"},
		{"version 1 with a tail", mr.Digest(append(v1[:47:47], 1)), nil, "lead to"},
		{"version 2 of another kind", dstack.ConfigIDV2(r.ComposeHash, r.AppID, dstack.KeysTPM, []byte{0x30, 0x59}), nil, "lead to"},
		{"version 3 without its document", wantV3, nil, "not at hand"},
		{"version 3 with another document", wantV3, append(good, ' '), "lead to"},
		{"no JSON", wantV3, []byte("{"), "due"},
		{"compose hash of another", wantV3, doc("compose_hash", strings.Repeat("11", 32)), "compose_hash is 1111"},
		{"app-id of another", wantV3, doc("app_id", strings.Repeat("11", 20)), "app_id is 1111"},
		{"GPU policy of another", wantV3, doc("gpu_policy_hash", strings.Repeat("11", 32)), "gpu_policy_hash is 1111"},
		{"provider of another", wantV3, doc("key_provider", "tpm"), "key_provider is 03"},
		{"provider unknown", wantV3, doc("key_provider", "moon"), "moon"},
		{"provider's ID of another", wantV3, doc("key_provider_id", "11"), "key_provider_id is 11"},
		{"instance of another", wantV3, doc("instance_id", strings.Repeat("11", 20)), "instance_id is 1111"},
		{"init script of another", wantV3, doc("init_script_hashes", []string{strings.Repeat("11", 32)}), "init_script_hashes is 1111"},
		{"no init script allowed", wantV3, doc("init_script_hashes", []string{}), "pins 0 init scripts"},
		{"init script not hex", wantV3, doc("init_script_hashes", []string{"x"}), "64 hexadecimal"},
		{"init scripts a string", wantV3, doc("init_script_hashes", "x"), "want an array"},
		{"init script of 31 bytes", wantV3, doc("init_script_hashes", []string{strings.Repeat("00", 31)}), "64 hexadecimal"},
		{"init script of 32 bytes and something else", wantV3, doc("init_script_hashes", []string{strings.Repeat("00", 32) + "x"}), "64 hexadecimal"},
		{"app-id and something else", wantV3, doc("app_id", hex.EncodeToString(r.AppID[:])+"x"), "app_id at offset"},
		{"provider's ID and something else", wantV3, doc("key_provider_id", "3059x"), "key_provider_id at offset"},
		{"too long", wantV3, append(slices.Clone(good), strings.Repeat(" ", bin.MaxJSON)...), "at most"},
		{"version 9", wantV3, doc("version", 9), "want 3"},
		{"unknown member", wantV3, doc("more", 1), "not a member"},
		{"app-id of 3 bytes", wantV3, doc("app_id", "112233"), "of 20 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rule, err := dstack.CheckConfigID(tc.id, r, tc.doc)
			if err == nil && rule != tc.want || err != nil && (rule != "" || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %q, %v, want %q", rule, err, tc.want)
			}
		})
	}
}

func TestParseAppCompose(t *testing.T) {
	text := []byte(`{"manifest_version":2,"name":"n","runner":"docker-compose","docker_compose_file":"services: {}","event_log_version":2}`)
	c, err := dstack.ParseAppCompose(text)
	if err != nil || c.Hash != sha256.Sum256(text) || c.Name != "n" || c.EventLogVersion != 2 || c.DockerCompose != "services: {}" {
		t.Errorf("got %+v, %v", c, err)
	}
	if c, err := dstack.ParseAppCompose([]byte(`{"docker_compose_file":null}`)); err != nil || c.EventLogVersion != 1 || c.DockerCompose != "" {
		t.Errorf("got %+v, %v", c, err)
	}
	for _, bad := range []string{``, `[]`, `{"name":"a","name":"b"}`, `{"name":"a","Name":"b"}`, `{"docker_compose_file":"a","Docker_Compose_File":"b"}`,
		`{"Runner":"bash"}`, `{"name":1}`, `{"event_log_version":3}`, `{}` + strings.Repeat(" ", bin.MaxJSON-1)} {
		if c, err := dstack.ParseAppCompose([]byte(bad)); err == nil {
			t.Errorf("%.60s: got %+v, want an error", bad, c)
		}
	}
}

// TestAggregatedOfAgent compares mr_aggregated with what a real guest's agent said of itself; its MRCONFIGID was of version 1.
func TestAggregatedOfAgent(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(fixtures.Truth(t, "quotes", "near-history", "dstack_tcb_info"), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, f := range files {
		var info struct {
			Aggregated                       string `json:"mr_aggregated"`
			ComposeHash                      string `json:"compose_hash"`
			MRTD, RTMR0, RTMR1, RTMR2, RTMR3 mr.Digest
		}
		if err := json.Unmarshal(fixtures.Read(t, f), &info); err != nil || info.Aggregated == "" {
			continue // of agents that do not say it, or that say it in another form
		}
		compose, err := hex.DecodeString(info.ComposeHash)
		if err != nil {
			t.Fatal(err)
		}
		m := dstack.Measurement{Registers: mr.Values{info.MRTD, info.RTMR0, info.RTMR1, info.RTMR2, info.RTMR3}, MRCONFIGID: dstack.ConfigIDV1([32]byte(compose))}
		if got := m.Aggregated(); hex.EncodeToString(got[:]) != info.Aggregated {
			t.Errorf("%s: %x, the agent said %s", filepath.Base(f), got, info.Aggregated)
		}
		compared++
	}
	if compared == 0 {
		t.Error("no agent says its mr_aggregated")
	}
}
