package export

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/manifest"
	"github.com/tdxkit/tdxkit/manifest/dsse"
	"github.com/tdxkit/tdxkit/mr"
)

func subject(name string) manifest.Subject {
	return manifest.Subject{Name: name, SHA256: sha256.Sum256([]byte(name)), SHA384: mr.Sum([]byte(name))}
}

// statement returns a manifest of four variants with events.
func statement(t testing.TB, change func(*manifest.Header, []manifest.Variant)) *manifest.Manifest {
	t.Helper()
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	h := &manifest.Header{
		Subjects: []manifest.Subject{subject("firmware"), subject("kernel"), subject("initrd"), subject("cmdline"), subject("metadata.json")},
		Product:  manifest.Product{Name: "acme", Version: "1"}, Serial: 3, IssuedAt: at, NotBefore: at, Expires: at.AddDate(1, 0, 0),
		Tool: manifest.Tool{Name: "tdxkit", Version: "v0"},
		Launch: &manifest.Launch{SinglePass: mr.Sum([]byte("single")), TwoPass: mr.Sum([]byte("two")), HOBBase: 0x809000,
			Accepted: []manifest.Region{{Start: 0x800000, Len: 0x6000}, {Start: 0x809000, Len: 0x2000}, {Start: 0x80b000, Len: 0x2000}, {Start: 0x810000, Len: 0x10000}}},
		Policy: &manifest.Policy{
			Attributes: &manifest.Mask{Mask: whole, Value: [8]byte{0, 0, 0, 0x10}}, XFAM: &manifest.Mask{Mask: whole, Value: [8]byte{0xe7}},
			MRConfigID: &manifest.FieldRule{Rule: manifest.Zero}, MRSEAM: []mr.Digest{mr.Sum([]byte("seam"))},
			MinimumTCB: &manifest.MinimumTCB{TEETCBSVN: &[16]byte{5}},
		},
	}
	p := &manifest.Platform{QEMU: "9.2.1", Machine: "pc-q35-9.2", Inputs: []int{0, 1, 2, 3}}
	var list []manifest.Variant
	for i := range 4 {
		v := manifest.Variant{ID: fmt.Sprintf("v/%d", i), Platform: p, CPUs: i + 1, Memory: 8 << 30}
		for _, e := range []struct {
			register mr.Register
			rule     mr.RuleID
			name     string
		}{{mr.RTMR0, "rtmr0.acpi", fmt.Sprint("acpi", i)}, {mr.RTMR1, ruleKernel, "authenticode"}, {mr.RTMR2, ruleCmdline, "options"}, {mr.RTMR2, ruleInitrd, "initrd"}} {
			v.Events = append(v.Events, mr.Event{Rule: e.rule, Register: e.register, Type: 6, Measured: mr.Measured{What: string(e.rule), Digest: mr.Sum([]byte(e.name))}})
		}
		values, err := mr.Replay(v.Events)
		if err != nil {
			t.Fatal(err)
		}
		copy(v.Registers[:], values[:])
		v.Registers[mr.MRTD] = mr.Sum([]byte("single"))
		list = append(list, v)
	}
	if change != nil {
		change(h, list)
	}
	data, err := manifest.Append(h, list)
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newKey(t testing.TB, a dsse.Algorithm) *dsse.PrivateKey {
	t.Helper()
	k, err := dsse.GenerateKey(a, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func write(t testing.TB, format string, in *Input) []File {
	t.Helper()
	f, err := Find(format)
	if err != nil {
		t.Fatal(err)
	}
	files, err := f.Write(in)
	if err != nil {
		t.Fatal(err)
	}
	again, err := f.Write(in)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(files, again); d != "" {
		t.Errorf("%s: written twice, the bytes differ:\n%s", format, d)
	}
	return files
}

// registers are the registers of all variants, a line each, which every export but two must lead back to.
func registers(m *manifest.Manifest) []string {
	var list []string
	for _, v := range m.All() {
		list = append(list, fmt.Sprint(v.Registers))
	}
	return list
}

func row(digests ...string) string {
	var r manifest.Registers
	for i, d := range digests {
		r[i], _ = mr.ParseDigest(d)
	}
	return fmt.Sprint(r)
}

func TestCSV(t *testing.T) {
	m := statement(t, func(_ *manifest.Header, v []manifest.Variant) { v[1].ID = `a "quoted", one` })
	rows, err := csv.NewReader(bytes.NewReader(write(t, "csv", &Input{Manifest: m})[0].Data)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rows[1:] {
		got = append(got, row(r[6:]...))
	}
	if d := cmp.Diff(registers(m), got); d != "" || rows[2][0] != `a "quoted", one` {
		t.Error(d, rows[2][0])
	}
}

// TestCSVFormulas: no text of a manifest is a formula in a spreadsheet, and two texts are two cells.
func TestCSVFormulas(t *testing.T) {
	for id, want := range map[string]string{"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(1)": "'@SUM(1)", "'=1+1": "''=1+1", "a=1": "a=1"} {
		m := statement(t, func(_ *manifest.Header, v []manifest.Variant) {
			v[1].ID = id
			v[1].Platform.Machine, v[1].Platform.Devices = id, id
		})
		rows, err := csv.NewReader(bytes.NewReader(write(t, "csv", &Input{Manifest: m})[0].Data)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if r := rows[2]; r[0] != want || r[2] != want || r[3] != want {
			t.Errorf("%q is written as %q", id, r)
		}
	}
}

func TestAttestedTLS(t *testing.T) {
	m := statement(t, nil)
	var list []struct {
		ID           string `json:"measurement_id"`
		Type         string `json:"attestation_type"`
		Measurements map[string]struct{ Expected string }
	}
	if err := json.Unmarshal(write(t, "attested-tls", &Input{Manifest: m})[0].Data, &list); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range list {
		got = append(got, row(e.Measurements["mrtd"].Expected, e.Measurements["rtmr0"].Expected, e.Measurements["rtmr1"].Expected, e.Measurements["rtmr2"].Expected))
	}
	if d := cmp.Diff(registers(m), got); d != "" || list[0].Type != "dcap-tdx" || list[0].ID != "acme-1-v/0" {
		t.Error(d, list[0])
	}
}

func TestRVPS(t *testing.T) {
	m := statement(t, nil)
	var msg struct{ Version, Type, Payload string }
	if err := json.Unmarshal(write(t, "rvps", &Input{Manifest: m})[0].Data, &msg); err != nil {
		t.Fatal(err)
	}
	payload, err := base64.StdEncoding.DecodeString(msg.Payload)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(payload, &got); err != nil {
		t.Fatal(err)
	}
	v := m.Variant(0)
	want := map[string]any{
		"mr_td": []any{v.Registers[0].String()}, "rtmr_1": []any{v.Registers[2].String()}, "rtmr_2": []any{v.Registers[3].String()},
		"tdvfkernel": mr.Sum([]byte("authenticode")).String(), "tdvfkernelparams": mr.Sum([]byte("options")).String(),
		"xfam": []any{"e700000000000000"}, "mr_seam": []any{mr.Sum([]byte("seam")).String()},
	}
	var rtmr0 []any
	for i := range m.Len() {
		rtmr0 = append(rtmr0, m.Variant(i).Registers[1].String())
	}
	want["rtmr_0"] = rtmr0
	if d := cmp.Diff(want, got); d != "" || msg.Version != "0.1.0" || msg.Type != "sample" {
		t.Error(d, msg)
	}
}

func TestGoTDXGuest(t *testing.T) {
	m := statement(t, nil)
	files := write(t, "go-tdx-guest", &Input{Manifest: m})
	if len(files) != 4 || files[2].Name != "v_2.textproto" {
		t.Fatalf("%d files, the third is %q", len(files), files[2].Name)
	}
	text := string(files[2].Data)
	escaped := func(b []byte) string {
		var s strings.Builder
		for _, c := range b {
			fmt.Fprintf(&s, `\x%02x`, c)
		}
		return `"` + s.String() + `"`
	}
	v := m.Variant(2)
	for _, want := range []string{
		"mr_td: " + escaped(v.Registers[0][:]), "rtmrs: " + escaped(v.Registers[1][:]) + "\n    rtmrs: " + escaped(v.Registers[2][:]),
		"rtmrs: \"\"\n", "td_attributes: " + escaped([]byte{0, 0, 0, 0x10, 0, 0, 0, 0}), "mr_config_id: " + escaped(make([]byte, 48)),
		"minimum_tee_tcb_svn: " + escaped(append([]byte{5}, make([]byte, 15)...)), "enable_td_debug_check: true", "check_crl: true",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the configuration has no %.60s…\n%s", want, text)
		}
	}
}

// TestGoTDXGuestPolicy: a field is asked for only where go-tdx-guest can ask for just that, which is equality.
func TestGoTDXGuestPolicy(t *testing.T) {
	a, b := mr.Digest{1}, mr.Digest{2}
	part := &manifest.Mask{Mask: [8]byte{1}, Value: [8]byte{1}}
	all := &manifest.Mask{Mask: whole, Value: [8]byte{1}}
	zero := &manifest.FieldRule{Rule: manifest.Zero}
	oneOf := func(list ...mr.Digest) *manifest.FieldRule {
		return &manifest.FieldRule{Rule: manifest.OneOf, Values: list}
	}
	first := regexp.MustCompile(` *(\w+): "\\x(..)[^"]*"\n`)
	for _, tc := range []struct {
		name   string
		policy manifest.Policy
		want   string // the fields' names, each with the first byte of its value
	}{
		{"nothing", manifest.Policy{}, ""},
		{"part of a field", manifest.Policy{Attributes: part, XFAM: part}, ""},
		{"whole fields", manifest.Policy{Attributes: all, XFAM: all}, "td_attributes 01 xfam 01 "},
		{"zero", manifest.Policy{MRConfigID: zero, MROwner: zero}, "mr_config_id 00 mr_owner 00 "},
		{"one value", manifest.Policy{MRConfigID: oneOf(a), MROwner: oneOf(b)}, "mr_config_id 01 mr_owner 02 "},
		{"two values", manifest.Policy{MRConfigID: oneOf(a, b), MROwner: oneOf(a, b)}, ""},
		{"dstack's", manifest.Policy{MRConfigID: &manifest.FieldRule{Rule: manifest.Dstack}}, ""},
		{"one module", manifest.Policy{MRSEAM: []mr.Digest{b}}, "mr_seam 02 "},
		{"two modules", manifest.Policy{MRSEAM: []mr.Digest{a, b}}, ""},
		{"TCB without SVN", manifest.Policy{MinimumTCB: &manifest.MinimumTCB{EvaluationDataNumber: 3}}, ""},
		{"TCB with SVN", manifest.Policy{MinimumTCB: &manifest.MinimumTCB{TEETCBSVN: &[16]byte{5}}}, "minimum_tee_tcb_svn 05 "},
	} {
		var out strings.Builder
		policyFields(&out, &tc.policy)
		if got := first.ReplaceAllString(out.String(), "$1 $2 "); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// TestFileName holds that no ID of a variant leads a file out of the folder or over another one.
func TestFileName(t *testing.T) {
	taken := map[string]bool{}
	for _, tc := range []struct{ id, want string }{
		{"../../etc/passwd", "_.._.._etc_passwd"}, {"a/b", "a_b"}, {"a b", "a_b-2"}, {"A_B", "A_B-3"}, {"azAZ09@[`{:", "azAZ09_____"}, {".", "_."}, {"", ""}, {strings.Repeat("x", 500), strings.Repeat("x", 128)},
	} {
		if got := fileName(tc.id, taken); got != tc.want || strings.ContainsAny(got, `/\`) {
			t.Errorf("%q becomes %q, want %q", tc.id, got, tc.want)
		}
	}
}

func TestDstack(t *testing.T) {
	m := statement(t, nil)
	files := map[string][]byte{}
	for _, f := range write(t, "dstack", &Input{Manifest: m}) {
		files[f.Name] = f.Data
	}
	var doc measurementDocument
	if err := cbor.Unmarshal(files[measurementFile], &doc); err != nil {
		t.Fatal(err)
	}
	k, c, i, one, two := mr.Sum([]byte("authenticode")), mr.Sum([]byte("options")), mr.Sum([]byte("initrd")), mr.Sum([]byte("single")), mr.Sum([]byte("two"))
	want := measurementDocument{3, imageDocument{c[:], k[:], i[:]}, tdvfDocument{"pre202505", mrtdDocument{one[:], two[:]}, doc.TDVF.HOB}}
	if d := cmp.Diff(want, doc); d != "" {
		t.Error(d)
	}
	sum := func(name string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(name))) }
	list := sum("firmware") + "  ovmf.fd\n" + sum("kernel") + "  bzImage\n" + sum("initrd") + "  initramfs.cpio.gz\n" + sum("metadata.json") + "  metadata.json\n" +
		fmt.Sprintf("%x", sha256.Sum256(files[measurementFile])) + "  measurement.tdx.cbor\n"
	if got := string(files[sumsFile]); got != list {
		t.Errorf("%s\nwant\n%s", got, list)
	}
	if got := string(files[hashesFile]); got != "0x"+sum(list)+"\n" {
		t.Error(got)
	}
}

// TestDstackOmits has the cases in which there is no measurement document, or no export at all.
func TestDstackOmits(t *testing.T) {
	for name, change := range map[string]func(*manifest.Header, []manifest.Variant){
		"no events": func(_ *manifest.Header, v []manifest.Variant) { v[3].Events = nil },
		"no launch": func(h *manifest.Header, _ []manifest.Variant) { h.Launch = nil },
		"a kernel that differs by shape": func(_ *manifest.Header, v []manifest.Variant) {
			v[3].Events[1].Measured.Digest = mr.Sum([]byte("patched"))
			values, _ := mr.Replay(v[3].Events)
			v[3].Registers[mr.RTMR1] = values[mr.RTMR1]
		},
		"firmware with SMBIOS": func(_ *manifest.Header, v []manifest.Variant) {
			v[3].Events[0].Rule = ruleSMBIOS
		},
	} {
		files := write(t, "dstack", &Input{Manifest: statement(t, change)})
		if len(files) != 2 || files[0].Name != sumsFile || strings.Contains(string(files[0].Data), "cbor") {
			t.Errorf("%s: %d files, %s", name, len(files), files[0].Data)
		}
	}
	f, err := Find("dstack")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*manifest.Header, []manifest.Variant){
		"has no kernel": func(h *manifest.Header, _ []manifest.Variant) { h.Subjects[1].Name = "kernel/x" },
		"sha256sum.txt": func(h *manifest.Header, _ []manifest.Variant) { h.Subjects = append(h.Subjects, subject(sumsFile)) },
	} {
		if _, err := f.Write(&Input{Manifest: statement(t, change)}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want it to say %q", err, name)
		}
	}
}

// TestHOBWitness is the witness of a published image, whose accepted regions are known.
// Dstack-TEE/dstack, verifier/fixtures/tdx-lite-getquote.json.
func TestHOBWitness(t *testing.T) {
	got, err := hobWitness(statement(t, nil).Launch)
	if err != nil {
		t.Fatal(err)
	}
	if want := "80100904000609020b021010"; hex.EncodeToString(got) != want {
		t.Errorf("%x, want %s", got, want)
	}
}

// TestHOBWitnessRejects has what pages cannot say.
func TestHOBWitnessRejects(t *testing.T) {
	for want, change := range map[string]func(*manifest.Launch){
		"below the accepted memory":  func(l *manifest.Launch) { l.HOBBase = 0x7ff000 },
		"0x809001 is not at a page":  func(l *manifest.Launch) { l.HOBBase = 0x809001 },
		"0x800800+0x6000 is not of":  func(l *manifest.Launch) { l.Accepted[0].Start += 0x800 },
		"0x810000+0x10001 is not of": func(l *manifest.Launch) { l.Accepted[3].Len++ },
	} {
		l := statement(t, nil).Launch
		change(l)
		if b, err := hobWitness(l); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%x, %v, want it to say %q", b, err, want)
		}
	}
}

// TestDstackDocument reads the measurement document of a published image and writes it again: the bytes are the same.
func TestDstackDocument(t *testing.T) {
	var response struct {
		VMConfig string `json:"vm_config"`
	}
	if err := json.Unmarshal(fixtures.Read(t, fixtures.Truth(t, "hardware", "dstack", "tdx-lite-getquote.json")), &response); err != nil {
		t.Fatal(err)
	}
	var config struct {
		Measurement struct {
			Measurement []byte `json:"measurement"`
		} `json:"tdx_measurement"`
	}
	if err := json.Unmarshal([]byte(response.VMConfig), &config); err != nil {
		t.Fatal(err)
	}
	want := config.Measurement.Measurement
	var doc measurementDocument
	if err := cbor.Unmarshal(want, &doc); err != nil {
		t.Fatal(err)
	}
	got, err := cbor.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if len(want) != 384 || !bytes.Equal(got, want) {
		t.Errorf("%d bytes\n%x\nwant %d\n%x", len(got), got, len(want), want)
	}
}

func TestSigstoreBundle(t *testing.T) {
	a, b := newKey(t, dsse.Ed25519), newKey(t, dsse.ECDSAP256SHA256)
	e := dsse.New(manifest.PayloadType, []byte("payload"))
	if err := e.Sign(a, b); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		MediaType string
		Material  struct {
			PublicKey struct{ Hint []byte }
			Entries   *[]any `json:"tlogEntries"`
		} `json:"verificationMaterial"`
		Envelope struct {
			Payload     []byte
			PayloadType string
			Signatures  []map[string]string
		} `json:"dsseEnvelope"`
	}
	in := &Input{Manifest: statement(t, nil), Envelope: e, Key: b.Public()}
	if err := json.Unmarshal(write(t, "sigstore-bundle", in)[0].Data, &doc); err != nil {
		t.Fatal(err)
	}
	hint := sha256.Sum256(b.Public().DER())
	if doc.MediaType != bundleMediaType || !bytes.Equal(doc.Material.PublicKey.Hint, hint[:]) || doc.Material.Entries == nil || string(doc.Envelope.Payload) != "payload" {
		t.Errorf("%+v", doc)
	}
	if want := []map[string]string{{"sig": base64.StdEncoding.EncodeToString(e.Signatures[1].Sig)}}; cmp.Diff(want, doc.Envelope.Signatures) != "" {
		t.Error(cmp.Diff(want, doc.Envelope.Signatures))
	}

	f, err := Find("sigstore-bundle")
	if err != nil {
		t.Fatal(err)
	}
	forged := &dsse.Envelope{UntrustedPayload: []byte("other"), UntrustedPayloadType: manifest.PayloadType, Signatures: e.Signatures}
	for _, tc := range []struct {
		name string
		in   *Input
		want string
	}{
		{"not signed", &Input{Envelope: dsse.New("x", nil), Key: a.Public()}, "is not signed"},
		{"no key", &Input{Envelope: e}, "say whose to take"},
		{"a key that did not sign", &Input{Envelope: e, Key: newKey(t, dsse.Ed25519).Public()}, "no signature by key"},
		{"a signature over something else", &Input{Envelope: forged, Key: a.Public()}, "is not by key"},
	} {
		if _, err := f.Write(tc.in); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want it to say %q", tc.name, err, tc.want)
		}
	}
}
