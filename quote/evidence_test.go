package quote_test

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/testpki"
	"github.com/tdxkit/tdxkit/quote"
)

// raTLS makes a certificate with extensions of dstack's arc, by their last number.
func raTLS(t testing.TB, contents map[int][]byte) []byte {
	t.Helper()
	var exts []pkix.Extension
	for n := range 10 {
		if c, ok := contents[n]; ok {
			exts = append(exts, extension(t, n, c))
		}
	}
	return certificate(exts...)
}

// extension makes an extension of dstack's arc that holds values in DER, one behind the other.
func extension(t testing.TB, n int, values ...any) pkix.Extension {
	t.Helper()
	ext := pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 62397, 1, n}}
	for _, v := range values {
		der, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		ext.Value = append(ext.Value, der...)
	}
	return ext
}

func certificate(exts ...pkix.Extension) []byte {
	return testpki.Issue(testpki.CertSpec{CN: "app", Serial: 7, NotBefore: testpki.Now, NotAfter: testpki.Now.AddDate(1, 0, 0),
		PathLen: -1, Extensions: exts}, testpki.NewKey("app"), nil).DER
}

// vec is a compact length and the bytes, as SCALE writes them.
func vec(b []byte) []byte {
	n := len(b)
	switch {
	case n < 1<<6:
		return append([]byte{byte(n << 2)}, b...)
	case n < 1<<14:
		return append(binary.LittleEndian.AppendUint16(nil, uint16(n<<2|1)), b...)
	}
	return append(binary.LittleEndian.AppendUint32(nil, uint32(n<<2|2)), b...)
}

// An attested is what a dstack attestation holds, for tests to change.
type attested struct {
	version, variant byte
	quote            []byte
	names, payloads  []string // of the log's second event, then of the second list
	more             []byte   // runtime events in the second list alone
	config           string
}

// encode writes the attestation, with one event of the firmware and one of the runtime.
func (a attested) encode() []byte {
	event := func(imr byte, typ []byte, name, payload string) []byte {
		return slices.Concat([]byte{imr, 0, 0, 0}, typ, vec(make([]byte, 48)), vec([]byte(name)), vec([]byte(payload)))
	}
	count := byte(1)
	if a.more != nil {
		count++
	}
	return slices.Concat([]byte{a.version, a.variant}, vec(a.quote), []byte{2 << 2}, event(0, []byte{10, 0, 0, 0}, "", "ACPI DATA"),
		event(3, []byte{1, 0, 0, 8}, a.names[0], a.payloads[0]), []byte{count << 2}, vec([]byte(a.names[1])), vec([]byte(a.payloads[1])), a.more,
		make([]byte, 64), vec([]byte(a.config)))
}

// attestation wraps a quote as dstack's binary attestation does; altered, where it is there, changes it first.
func attestation(q []byte, altered ...func(*attested)) []byte {
	a := attested{quote: q, names: []string{"app-id", "app-id"}, payloads: []string{"x", "x"}, config: "{}"}
	for _, f := range altered {
		f(&a)
	}
	return a.encode()
}

// attestedLog is the log of attestation.
var attestedLog = fmt.Sprintf(`[{"imr":0,"event_type":10,"digest":"%[1]s","event":"","event_payload":"414350492044415441"},`+
	`{"imr":3,"event_type":134217729,"digest":"%[1]s","event":"app-id","event_payload":"78"}]`, strings.Repeat("0", 96))

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func TestExtract(t *testing.T) {
	q := fixtures.File(t, "quotes", "near-mpc.bin")
	h, b64 := hex.EncodeToString(q), base64.StdEncoding.EncodeToString(q)
	numbers, _ := json.Marshal(func() (out []int) {
		for _, b := range q {
			out = append(out, int(b))
		}
		return
	}())
	var lines strings.Builder
	for i := 0; i < len(h); i += 64 {
		lines.WriteString(h[i:min(i+64, len(h))] + "\r\n")
	}
	cert := raTLS(t, map[int][]byte{1: q, 2: []byte("[]"), 3: []byte("app")})
	pemCert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	zeros := strings.Repeat("0", 128)
	log := `[{"imr":3,"event":"compose-hash"}]`
	long := `{"a":"` + strings.Repeat("b", 1<<18) + `"}`
	for _, tc := range []struct {
		name, data, log, config, report string
	}{
		{"binary", string(q), "", "", ""},
		{"hex", h, "", "", ""},
		{"hex in capitals with 0x", "0x" + strings.ToUpper(h) + "\n", "", "", ""},
		{"hex in lines", lines.String(), "", "", ""},
		{"base64", b64 + "\n", "", "", ""},
		{"base64 for URLs, unpadded", base64.RawURLEncoding.EncodeToString(q), "", "", ""},
		{"base64 without padding", base64.RawStdEncoding.EncodeToString(q), "", "", ""},
		{"tappd TdxQuote", `{"quote":"0x` + h + `","event_log":` + quoted(log) + `,"hash_algorithm":"sha512","prefix":"app-data:"}`, log, "", ""},
		{"guest agent GetQuote", `{"quote":"` + h + `","event_log":` + quoted(log) + `,"report_data":"1234","vm_config":"{\"a\":1}"}`, log, `{"a":1}`, "1234"},
		{"empty members", `{"attestation":"","quote":"` + h + `","event_log":"","report_data":"","vm_config":""}`, "", "", ""},
		{"members that are null", `{"attestation":null,"quote":"` + h + `","event_log":null,"report_data":null,"vm_config":null}`, "", "", ""},
		{"quote and its attestation", `{"attestation":"` + hex.EncodeToString(attestation(q)) + `","quote":"` + h + `"}`, "", "", ""},
		{"log as an array", `{"event_log":` + log + `,"quote":"` + h + `"}`, log, "", ""},
		{"tutorial", `{"quote":"` + b64 + `","measurements":{"mrtd":"00"},"event_log":` + log + `}`, log, "", ""},
		{"guest agent Attest", `{"attestation":"` + hex.EncodeToString(attestation(q)) + `"}`, attestedLog, "{}", zeros},
		{"guest agent Info", `{"app_id":"x","app_cert":` + quoted(pemCert) + `,"tcb_info":"{}"}`, "[]", "", ""},
		{"Phala verify request", `{"hex":"` + h + `"}`, "", "", ""},
		{"Phala attestations, older", `{"app_certificates":[{"quote":null},{"quote":"` + h + `"}],"tcb_info":{"event_log":[]}}`, "", "", ""},
		{"Phala attestations", `{"app_id":"x","instances":[{"quote":"` + h + `","eventlog":` + log + `}]}`, log, "", ""},
		{"envelope", `{"code":0,"data":{"quote":"` + h + `"}}`, "", "", ""},
		{"Trustee", `{"cc_eventlog":"` + base64.StdEncoding.EncodeToString([]byte("CCEL")) + `","quote":"` + b64 + `"}`, "CCEL", "", ""},
		{"serde array", string(numbers), "", "", ""},
		{"member that is an array", `{"quote":` + string(numbers) + `}`, "", "", ""},
		{"the same quote twice", `{"quote":"` + h + `","data":{"quote":"` + b64 + `"}}`, "", "", ""},
		{"certificate, DER", string(cert), "[]", "", ""},
		{"certificate, PEM", pemCert, "[]", "", ""},
		{"certificate with an attestation", string(raTLS(t, map[int][]byte{8: attestation(q)})), attestedLog, "{}", zeros},
		{"dstack attestation", string(attestation(q)), attestedLog, "{}", zeros},
		{"dstack attestation with a long configuration", string(attestation(q, func(a *attested) { a.config = long })), attestedLog, long, zeros},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e, err := quote.Extract([]byte(tc.data))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(e.Quote, q) || e.Form == "" {
				t.Errorf("got a quote of %d bytes, form %q", len(e.Quote), e.Form)
			}
			if string(e.UntrustedEventLog) != tc.log || string(e.UntrustedVMConfig) != tc.config || hex.EncodeToString(e.UntrustedReportData) != tc.report {
				t.Errorf("got log %q, config %q, report data %x", e.UntrustedEventLog, e.UntrustedVMConfig, e.UntrustedReportData)
			}
		})
	}
}

// TestExtractCaptured reads responses of real agents.
func TestExtractCaptured(t *testing.T) {
	for name, want := range map[string]struct {
		form        string
		log, config int
	}{
		"dstack-quote-report.json":         {`JSON member "quote"`, 6741, 337},
		"dstack-tdx-lite-getquote.json":    {`JSON member "quote"`, 4867, 1043},
		"dstack-tdx-lite-attestation.json": {`JSON member "attestation"`, 1979, 1043},
		"dstack-simulator-attestation.bin": {"dstack attestation", 8452, 553},
		"quote-from-tappd.hex":             {"hex", 0, 0},
		"google-cos113.bin":                {"binary", 0, 0},
	} {
		e, err := quote.Extract(fixtures.File(t, "quotes", name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if e.Form != want.form || len(e.UntrustedEventLog) != want.log || len(e.UntrustedVMConfig) != want.config {
			t.Errorf("%s: got %q, log %d, config %d", name, e.Form, len(e.UntrustedEventLog), len(e.UntrustedVMConfig))
		}
		q, err := quote.Parse(e.Quote)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if r := e.UntrustedReportData; r != nil && !bytes.Equal(r, q.TD.REPORTDATA[:]) {
			t.Errorf("%s: report data of the response is not the quote's", name)
		}
	}
}

// TestAttestationAgrees compares two captures of one TD: its attestation, whose log was stripped, and its GetQuote response.
func TestAttestationAgrees(t *testing.T) {
	runtime := func(name string) (out []string) {
		e, err := quote.Extract(fixtures.File(t, "quotes", name))
		if err != nil {
			t.Fatal(err)
		}
		var events []struct {
			IMR     int
			Event   string
			Payload string `json:"event_payload"`
		}
		if err := json.Unmarshal(e.UntrustedEventLog, &events); err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.IMR == 3 {
				out = append(out, e.Event+" "+e.Payload)
			}
		}
		return out
	}
	got, want := runtime("dstack-tdx-lite-attestation.json"), runtime("dstack-tdx-lite-getquote.json")
	if len(want) != 9 || !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestExtractRejects(t *testing.T) {
	q := fixtures.File(t, "quotes", "near-mpc.bin")
	h := hex.EncodeToString(q)
	other := hex.EncodeToString(fixtures.File(t, "quotes", "phala-tdx_quote.bin"))
	huge := make([]byte, bin.MaxEvidence+1)
	extended := func(n int, values ...any) []byte { return certificate(extension(t, n, values...)) }
	said := attestation(q)
	said[bytes.LastIndex(said, vec([]byte("app-id")))-1] = 2 << 2
	for _, tc := range []struct {
		name, data string
		err        error
		says       string
	}{
		{"nothing", " \n", bin.ErrTruncated, "0 bytes"},
		{"too large", string(huge), bin.ErrUnsupported, "at most"},
		{"no bytes", "", bin.ErrTruncated, "0 bytes"},
		{"a zero byte", "\x00", bin.ErrUnsupported, "neither"},
		{"hex of a byte", "30", bin.ErrUnsupported, "decodes to something"},
		{"0x alone", "0x", bin.ErrUnsupported, "neither"},
		{"too few bytes for a quote", "\x04\x00\x02\x00", bin.ErrUnsupported, "neither"},
		{"text", "hello, this is no quote!", bin.ErrUnsupported, "neither"},
		{"hex of something else", "0011223344", bin.ErrUnsupported, ""},
		{"hex with an odd digit", h[:len(h)-1], bin.ErrUnsupported, ""},
		{"PEM of something else", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", bin.ErrMalformed, "certificate"},
		{"PEM without an end", "-----BEGIN CERTIFICATE-----\nAAAA\n", bin.ErrMalformed, "is no PEM certificate"},
		{"certificate with a log beside an attestation", string(raTLS(t, map[int][]byte{2: []byte("[]"), 8: attestation(q)})), bin.ErrMalformed, "both"},
		{"certificate with a log alone", string(raTLS(t, map[int][]byte{2: []byte("[]")})), bin.ErrUnsupported, "hold no quote"},
		{"certificate with an attestation that is none", string(raTLS(t, map[int][]byte{8: []byte("x")})), bin.ErrUnsupported, "is 120"},
		{"certificate with a quote that is no OCTET STRING", string(extended(1, asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: q})), bin.ErrMalformed, "one OCTET STRING"},
		{"certificate with bytes behind the quote", string(extended(1, q, 5)), bin.ErrMalformed, "one OCTET STRING"},
		{"certificate with a log that is no OCTET STRING", string(extended(2, "[]")), bin.ErrMalformed, "62397.1.2 at offset 0x0: is not one OCTET STRING"},
		{"certificate with an attestation that is no OCTET STRING", string(extended(8, "x")), bin.ErrMalformed, "62397.1.8 at offset 0x0: is not one OCTET STRING"},
		{"certificate without extensions", string(raTLS(t, nil)), bin.ErrUnsupported, "hold no quote"},
		{"certificate with both forms", string(raTLS(t, map[int][]byte{1: q, 8: attestation(q)})), bin.ErrMalformed, "both"},
		{"certificate with another thing for a quote", string(raTLS(t, map[int][]byte{1: []byte("quote")})), bin.ErrUnsupported, "hold no quote"},
		{"attestation cut", string(attestation(q)[:1000]), bin.ErrTruncated, "quote"},
		{"attestation cut later", string(attestation(q)[:5200]), bin.ErrTruncated, ""},
		{"attestation with more", string(attestation(q)) + "x", bin.ErrMalformed, "trailing"},
		{"attestation of something else", string(attestation(make([]byte, 600))), bin.ErrUnsupported, "does not begin"},
		{"attestation whose lists differ", string(attestation(q, func(a *attested) { a.names[1] = "app-ID" })), bin.ErrMalformed, `is "app-ID"`},
		{"attestation whose lists differ in payload", string(attestation(q, func(a *attested) { a.payloads[1] = "y" })), bin.ErrMalformed, "another payload"},
		{"attestation with an event in the second list alone", string(attestation(q, func(a *attested) { a.more = slices.Concat(vec([]byte("app-id")), vec([]byte("y"))) })), bin.ErrMalformed, "differs by 1"},
		{"attestation whose second list is said to be longer", string(said), bin.ErrMalformed, "differs by 1"},
		{"attestation with an event's name that is no text", string(attestation(q, func(a *attested) { a.names[0], a.names[1] = "\xff", "\xff" })), bin.ErrMalformed, "UTF-8"},
		{"attestation with events beyond number", "\x00\x00" + string(vec(q)) + "\x05\x40", bin.ErrUnsupported, "is 4097"},
		{"attestation with events up to the number, missing", "\x00\x00" + string(vec(q)) + "\x01\x40", bin.ErrTruncated, "imr"},
		{"attestation with a length of 4 bytes, cut", "\x00\x00\x02\x00", bin.ErrUnsupported, "neither"},
		{"attestation with a length of 4 bytes, cut below", `{"attestation":"0000020000"}`, bin.ErrTruncated, "quote"},
		{"attestation with a length beyond 30 bits", "\x00\x00\x03\x00\x00\x00\x40", bin.ErrUnsupported, "big integer"},
		{"attestation of another variant in a certificate", string(raTLS(t, map[int][]byte{8: attestation(q, func(a *attested) { a.variant = 1 })})), bin.ErrUnsupported, "is 1, want 0 (TDX)"},
		{"attestation of another version in a certificate", string(raTLS(t, map[int][]byte{8: attestation(q, func(a *attested) { a.version = 1 })})), bin.ErrUnsupported, "version at offset 0x0: is 1"},
		{"attestation of another variant", string(attestation(q, func(a *attested) { a.variant = 1 })), bin.ErrUnsupported, "neither"},
		{"JSON of something else", `{"a":1}`, bin.ErrUnsupported, "no member"},
		{"two different quotes", `{"quote":"` + h + `","hex":"` + other + `"}`, bin.ErrMalformed, "differs from another"},
		{"quote twice", `{"quote":"` + h + `","quote":"` + other + `"}`, bin.ErrMalformed, "differ in more than case"},
		{"quote in other letters", `{"quote":"` + h + `","Quote":"` + other + `"}`, bin.ErrMalformed, "differ in more than case"},
		{"quote in other letters alone", `{"Quote":"` + h + `"}`, bin.ErrMalformed, "in case only"},
		{"log in other letters alone", `{"quote":"` + h + `","Event_Log":"[]"}`, bin.ErrMalformed, "in case only"},
		{"parsed quote", `{"quote":{"header":{"version":4},"body":{}}}`, bin.ErrUnsupported, "raw quote"},
		{"number", `{"quote":4}`, bin.ErrMalformed, "want a string"},
		{"empty quote", `{"quote":""}`, bin.ErrUnsupported, "no member"},
		{"member that is another array", `{"quote":[4,0,2,0,-1]}`, bin.ErrMalformed, "0 to 255"},
		{"member that is hex of something else", `{"quote":"0011223344"}`, bin.ErrUnsupported, "does not decode to a quote"},
		{"member that is hex of no certificate", `{"quote":"3082223344"}`, bin.ErrMalformed, "certificate"},
		{"CCEL that is no base64", `{"quote":"` + h + `","cc_eventlog":"?"}`, bin.ErrMalformed, "is not base64"},
		{"CCEL that is no string", `{"quote":"` + h + `","cc_eventlog":[1]}`, bin.ErrMalformed, "is not base64"},
		{"report data that is a number", `{"quote":"` + h + `","report_data":12}`, bin.ErrMalformed, "not hex"},
		{"neither hex nor base64", `{"quote":"?"}`, bin.ErrMalformed, "neither"},
		{"array with 256", `[4,0,2,0,256]`, bin.ErrMalformed, "0 to 255"},
		{"array with a string", `[4,0,2,0,"1"]`, bin.ErrMalformed, "0 to 255"},
		{"array of something else", `[1,2,3,4,5]`, bin.ErrUnsupported, "not the bytes"},
		{"report data that is no hex", `{"quote":"` + h + `","report_data":"?"}`, bin.ErrMalformed, "not hex"},
		{"trailing JSON", `{"quote":"` + h + `"}{}`, bin.ErrMalformed, "follow"},
		{"JSON cut", `{"quote":"` + h, bin.ErrTruncated, "closing"},
		{"deep JSON", strings.Repeat("[", 100000), bin.ErrUnsupported, "deep"},
		{"wide JSON", "[" + strings.Repeat("0,", 1<<20), bin.ErrUnsupported, "values"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e, err := quote.Extract([]byte(tc.data))
			if err == nil || !errors.Is(err, tc.err) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, %v, want %v with %q", e, err, tc.err, tc.says)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"near-mpc.bin", "google-v5.bin", "google-cos113.bin"} {
		f.Add(fixtures.File(f, "quotes", name))
	}
	f.Add(version3())
	f.Fuzz(func(t *testing.T, data []byte) {
		q, err := quote.ParseAny(data)
		if err != nil {
			if q != nil {
				t.Error("a quote comes with an error")
			}
			var fe *bin.FormatError
			if !errors.As(err, &fe) {
				t.Errorf("got %T, want a FormatError", err)
			}
			return
		}
		checkTiling(t, q)
		if !bytes.Equal(q.Raw, data) || !bytes.HasPrefix(data, q.Signed) {
			t.Error("the quote is not made of its input")
		}
		again, err := quote.ParseAny(data[:len(data)-q.Padding])
		if err != nil || again.Padding != 0 || !bytes.Equal(again.Signed, q.Signed) {
			t.Errorf("without its padding: %v", err)
		}
	})
}

func FuzzContainer(f *testing.F) {
	q := fixtures.File(f, "quotes", "near-mpc.bin")
	f.Add(q)
	f.Add([]byte(hex.EncodeToString(q)))
	f.Add([]byte(`{"quote":"` + hex.EncodeToString(q[:700]) + `","event_log":"[]","report_data":"00"}`))
	f.Add(attestation(q[:700]))
	f.Add(raTLS(f, map[int][]byte{1: q[:700], 2: []byte("[]")}))
	f.Add([]byte(`[4,0,2,0,129]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := quote.Extract(data)
		if (e == nil) == (err == nil) {
			t.Fatalf("got %v, %v", e, err)
		}
		if err != nil {
			return
		}
		if len(e.Quote) == 0 || e.Form == "" {
			t.Errorf("got %+v", e)
		}
		if again, err := quote.Extract(e.Quote); err != nil || !bytes.Equal(again.Quote, e.Quote) {
			t.Errorf("the quote by itself is not found: %v", err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	data := fixtures.File(b, "quotes", "near-mpc.bin")
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := quote.Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExtractJSON(b *testing.B) {
	data := fixtures.File(b, "quotes", "dstack-quote-report.json")
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := quote.Extract(data); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleParse() {
	q, err := quote.Parse(testpki.Default().V5().Build().Quote)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(q.Kind, q.TD.Attributes.Names())
	for _, f := range q.Fields()[9:12] {
		fmt.Printf("0x%03x %-14s %d bytes\n", f.Off, f.Name, len(f.Bytes))
	}
	// Output:
	// TD report 1.5 [SEPT_VE_DISABLE]
	// 0x036 TEE_TCB_SVN    16 bytes
	// 0x046 MRSEAM         48 bytes
	// 0x076 MRSIGNERSEAM   48 bytes
}
