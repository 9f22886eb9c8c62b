package dcap_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/testpki"
)

// collaterals are the fixtures' names.
var collaterals = []string{"20a06f-2025-09-02", "50806f-2023-06-18", "90c06f-2026-02-18", "b0c06f-2025-06-19", "b0c06f-2025-11-05",
	"b0c06f-2026-01-28", "b0c06f-2026-08-14", "c0806f-2024-09-02"}

func TestBundle(t *testing.T) {
	for _, name := range collaterals {
		c := mustCollateral(t, fixtures.File(t, "quotes", "collateral-"+name+".json"))
		b, err := c.AppendBundle([]byte("x"))
		if c.RootCRL == nil {
			if err == nil {
				t.Errorf("%s: a bundle without revocation lists", name)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !json.Valid(b[1:]) || b[0] != 'x' || !strings.HasPrefix(string(b[1:]), "{\n \"schema\": \"tdxkit.collateral/v1\",\n") {
			t.Errorf("%s: got %.60s", name, b)
		}
		again := mustCollateral(t, b[1:])
		if !reflect.DeepEqual(again, c) {
			t.Errorf("%s: what is read is not what was written", name)
		}
		if twice, _ := again.AppendBundle([]byte("x")); !bytes.Equal(twice, b) {
			t.Errorf("%s: written twice, it differs", name)
		}
	}
}

func TestBundleRejects(t *testing.T) {
	good := testpki.Default().Build()
	complete, err := mustCollateral(t, good.Collateral()).AppendBundle(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, alter := range map[string]func(map[string]any){
		"another schema":          func(m map[string]any) { m["schema"] = "tdxkit.collateral/v2" },
		"schema that is null":     func(m map[string]any) { m["schema"] = nil },
		"unknown member":          func(m map[string]any) { m["more"] = "" },
		"member in other letters": func(m map[string]any) { m["TCB_info"] = m["tcb_info"]; delete(m, "tcb_info") },
		"member missing":          func(m map[string]any) { delete(m, "root_ca_crl") },
		"member null":             func(m map[string]any) { m["pck_crl"] = nil },
		"empty chain":             func(m map[string]any) { m["tcb_info_issuer_chain"] = "" },
		"text that is an object":  func(m map[string]any) { m["tcb_info"] = map[string]any{} },
		"signature too short":     func(m map[string]any) { m["tcb_info_signature"] = "00" },
		"signature not hex":       func(m map[string]any) { m["tcb_info_signature"] = strings.Repeat("g", 128) },
		"chain not PEM":           func(m map[string]any) { m["tcb_info_issuer_chain"] = "MIIB" },
		"list not DER":            func(m map[string]any) { m["pck_crl"] = "00" },
	} {
		var m map[string]any
		if err := json.Unmarshal(complete, &m); err != nil {
			t.Fatal(err)
		}
		alter(m)
		b, _ := json.Marshal(m)
		var fe *bin.FormatError
		if c, err := dcap.ParseCollateral(b); err == nil || c != nil || !errors.As(err, &fe) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, doc := range map[string]string{
		"empty":         "",
		"array":         "[]",
		"nothing in it": "{}",
		"member twice":  strings.Replace(string(complete), "{", `{"tcb_info":"x",`, 1),
		"too large":     string(complete) + strings.Repeat(" ", bin.MaxCollateral+1-len(complete)),
	} {
		if _, err := dcap.ParseCollateral([]byte(doc)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestPartialCollateral: what dcap-qvl writes may lack members, whose checks then fail. One of the documents must be there.
func TestPartialCollateral(t *testing.T) {
	for _, tc := range []struct {
		doc     string
		tcb, qe bool
	}{
		{`{"tcb_info":"{}"}`, true, false}, {`{"qe_identity":"{}","pck_crl":null,"root_ca_crl":"","tcb_info":null}`, false, true},
	} {
		c, err := dcap.ParseCollateral([]byte(tc.doc))
		if err != nil || (c.TCBInfo != nil) != tc.tcb || (c.QEIdentity != nil) != tc.qe || c.PCKCRL != nil || c.RootCRL != nil || c.TCBInfoChain != nil {
			t.Errorf("%s: %+v, %v", tc.doc, c, err)
		}
	}
	for _, doc := range []string{`{"pck_crl":"3080"}`, `{"tcb_info":null}`, `{"tcb_info_issuer_chain":""}`} {
		if c, err := dcap.ParseCollateral([]byte(doc)); err == nil {
			t.Errorf("%s: %+v", doc, c)
		}
	}
	exact := `{"tcb_info":"{}"}` + strings.Repeat(" ", bin.MaxCollateral-len(`{"tcb_info":"{}"}`))
	if _, err := dcap.ParseCollateral([]byte(exact)); err != nil {
		t.Errorf("as large as may be: %v", err)
	}
}

// TestPhalaResponse reads collateral out of a response that holds other things.
func TestPhalaResponse(t *testing.T) {
	w := testpki.Default().Build()
	doc := `{"id":"x","success":true,"quote":{"verified":true},"quote_collateral":` + string(w.Collateral()) + `}`
	if c := mustCollateral(t, []byte(doc)); !reflect.DeepEqual(c, mustCollateral(t, w.Collateral())) {
		t.Error("differs from the collateral by itself")
	}
	if _, err := dcap.ParseCollateral([]byte(strings.Replace(doc, `"id"`, `"Quote_Collateral"`, 1))); err == nil {
		t.Error("accepted with a second one in other letters")
	}
}

func TestResponses(t *testing.T) {
	w := testpki.Default().Build()
	body := func(name string, text, sig []byte) []byte {
		return []byte(`{"` + name + `":` + string(text) + `,"signature":"` + hex.EncodeToString(sig) + `"}`)
	}
	header := url.PathEscape(testpki.PEM(w.SigningChain))
	good := dcap.Responses{
		TCBInfo: body("tcbInfo", w.TCBInfo, w.TCBInfoSig), TCBInfoChain: header,
		QEIdentity: body("enclaveIdentity", w.QEIdentity, w.QEIdentitySig), QEIdentityChain: header,
		PCKCRL: pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: w.PCKCRL}), PCKCRLChain: url.PathEscape(testpki.PEM([][]byte{w.CA.DER, w.Root.DER})),
		RootCRL: []byte(hex.EncodeToString(w.RootCRL) + "\n"),
	}
	c, err := good.Collateral()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, mustCollateral(t, w.Collateral())) {
		t.Error("differs from the same in one document")
	}
	for name, alter := range map[string]func(*dcap.Responses){
		"TCB info missing":   func(r *dcap.Responses) { r.TCBInfo = nil },
		"identity for info":  func(r *dcap.Responses) { r.TCBInfo = r.QEIdentity },
		"no signature":       func(r *dcap.Responses) { r.QEIdentity = []byte(`{"enclaveIdentity":{}}`) },
		"identity a string":  func(r *dcap.Responses) { r.QEIdentity = []byte(`{"enclaveIdentity":"{}","signature":"00"}`) },
		"header missing":     func(r *dcap.Responses) { r.TCBInfoChain = "" },
		"header cut":         func(r *dcap.Responses) { r.PCKCRLChain = r.PCKCRLChain[:len(r.PCKCRLChain)-9] },
		"header with bad %":  func(r *dcap.Responses) { r.QEIdentityChain += "%g0" },
		"root list missing":  func(r *dcap.Responses) { r.RootCRL = nil },
		"PCK list not one":   func(r *dcap.Responses) { r.PCKCRL = append(r.PCKCRL, r.PCKCRL...) },
		"PCK list of HTML":   func(r *dcap.Responses) { r.PCKCRL = []byte("<html>") },
		"TCB info too large": func(r *dcap.Responses) { r.TCBInfo = bytes.Repeat([]byte(" "), bin.MaxCollateral+1) },
	} {
		r := good
		alter(&r)
		if _, err := r.Collateral(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestRealResponses takes apart what Intel's service answered.
func TestRealResponses(t *testing.T) {
	read := func(name string) []byte {
		return fixtures.Read(t, fixtures.Truth(t, "hardware", "attestation-rs", "collateral", name))
	}
	header := url.PathEscape(string(read("tcb_signing_chain.pem")))
	r := dcap.Responses{
		TCBInfo: read("tcb_info_90c06f000000.json"), TCBInfoChain: header,
		QEIdentity: read("td_qe_identity.json"), QEIdentityChain: url.PathEscape(string(read("qe_identity_signing_chain.pem"))),
		PCKCRL: read("pck_crl_platform.der"), RootCRL: read("root_ca_crl.der"), PCKCRLChain: header,
	}
	c, err := r.Collateral()
	if err != nil {
		t.Fatal(err)
	}
	c.PCKCRLChain = nil // that of the list is not among the captures
	now := at(t, "2026-03-20T00:00:00Z")
	res, err := dcap.Judge(mustQuote(t, fixtures.File(t, "quotes", "google-v5.bin")), c, dcap.Options{Time: now})
	if res.Status != dcap.UpToDate || res.Check(dcap.TCBInfoSignature).Status != dcap.Pass || res.Check(dcap.QEIdentitySignature).Status != dcap.Pass {
		t.Errorf("got %v, %v", res.Status, err)
	}
}

func TestParseCRL(t *testing.T) {
	der := testpki.Default().Build().PCKCRL
	for name, data := range map[string][]byte{
		"DER":    der,
		"PEM":    pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}),
		"hex":    []byte(hex.EncodeToString(der)),
		"HEX":    []byte(" " + strings.ToUpper(hex.EncodeToString(der)) + "\n"),
		"base64": []byte(base64.StdEncoding.EncodeToString(der) + "\n"),
	} {
		if got, err := dcap.ParseCRL(data); err != nil || !bytes.Equal(got, der) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseChainRejects(t *testing.T) {
	w := testpki.Default().Build()
	good := testpki.PEM(w.PCKChain)
	if chain, err := dcap.ParseChain([]byte("\r\n" + strings.ReplaceAll(good, "\n", "\r\n") + "\x00")); err != nil || !reflect.DeepEqual(chain, w.PCKChain) {
		t.Fatalf("good chain with CR, LF and NUL: %v", err)
	}
	for name, text := range map[string]string{
		"empty":             "",
		"only white space":  " \n",
		"text before":       "x" + good,
		"space after":       good + " ",
		"text after":        good + "x",
		"text between":      strings.Replace(good, "-----END CERTIFICATE-----\n", "-----END CERTIFICATE-----\nx", 1),
		"NUL between":       strings.Replace(good, "-----END CERTIFICATE-----\n", "-----END CERTIFICATE-----\x00", 1),
		"two NULs":          good + "\x00\x00",
		"a key":             strings.ReplaceAll(good, "CERTIFICATE", "EC PRIVATE KEY"),
		"headers":           strings.Replace(good, "-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nA: b\n\n", 1),
		"no end":            strings.TrimSuffix(good, "-----END CERTIFICATE-----\n"),
		"space in a line":   strings.Replace(good, "\nMII", "\nMI I", 1),
		"empty block":       "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
		"nine certificates": strings.Repeat(good, 3),
		"stray bits":        "-----BEGIN CERTIFICATE-----\nAB==\n-----END CERTIFICATE-----\n",
	} {
		if _, err := dcap.ParseChain([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestSignedRejects gives signed texts that are not in order; each edit is one that strict readers disagree on.
func TestSignedRejects(t *testing.T) {
	info, qe := testpki.Default().TCBInfo.JSON(), testpki.Default().QEIdentity.JSON()
	if _, err := dcap.ParseTCBInfo([]byte(info)); err != nil {
		t.Fatal(err)
	}
	if _, err := dcap.ParseQEIdentity([]byte(qe)); err != nil {
		t.Fatal(err)
	}
	first := func(from, to string) func(string) string {
		return func(s string) string { return strings.Replace(s, from, to, 1) }
	}
	for name, edit := range map[string]func(string) string{
		"no issue date":                    first(`"issueDate":"2026-02-14T12:00:00Z",`, ""),
		"issue date with fraction":         first(`"issueDate":"2026-02-14T12:00:00Z"`, `"issueDate":"2026-02-14T12:00:00.5Z"`),
		"issue date on 30 Feb":             first(`"issueDate":"2026-02-14`, `"issueDate":"2026-02-30`),
		"next before issue":                first(`"nextUpdate":"2026-`, `"nextUpdate":"2025-`),
		"FMSPC of five bytes":              first(`B0C06F000000`, `B0C06F0000`),
		"FMSPC not hex":                    first(`B0C06F000000`, `B0C06F00000x`),
		"evaluation as a string":           first(`"tcbEvaluationDataNumber":20`, `"tcbEvaluationDataNumber":"20"`),
		"evaluation below zero":            first(`"tcbEvaluationDataNumber":20`, `"tcbEvaluationDataNumber":-20`),
		"version as 3.0":                   first(`"version":3`, `"version":3.0`),
		"no module":                        first(`"tdxModule":`, `"tdxmodule2":`),
		"module in other letters":          first(`"tdxModule":`, `"tdxmodule":`),
		"15 components":                    first(`[{"svn":4},`, `[`),
		"17 components":                    first(`[{"svn":4},`, `[{"svn":4},{"svn":4},`),
		"SVN of 256":                       first(`{"svn":4}`, `{"svn":256}`),
		"SVN in other letters":             first(`{"svn":4}`, `{"SVN":4}`),
		"SVN twice":                        first(`{"svn":4}`, `{"svn":4,"svn":0}`),
		"status in other letters":          first(`"UpToDate"`, `"uptodate"`),
		"no status":                        first(`,"tcbStatus":"UpToDate"`, ``),
		"module level ConfigurationNeeded": first(`"UpToDate"`, `"ConfigurationNeeded"`),
		"advisories a string":              first(`["INTEL-SA-01312"]`, `"INTEL-SA-01312"`),
		"advisory a number":                first(`["INTEL-SA-01312"]`, `[1312]`),
		"module levels rise":               first(`{"tcb":{"isvsvn":5}`, `{"tcb":{"isvsvn":1}`),
		"module twice":                     first(`"TDX_03"`, `"tdx_01"`),
		"no levels":                        func(s string) string { return s[:strings.LastIndex(s, `"tcbLevels":`)] + `"tcbLevels":[]}` },
		"module identities empty": func(s string) string {
			a, b := strings.Index(s, `"tdxModuleIdentities":[`), strings.LastIndex(s, `,"tcbLevels":[{"tcb":{"sgx`)
			return s[:a] + `"tdxModuleIdentities":[]` + s[b:]
		},
		"PCESVN of 65536": first(`"pcesvn":11`, `"pcesvn":65536`),
		"trailing":        func(s string) string { return s + "{}" },
		"null":            func(string) string { return "null" },
	} {
		text := edit(info)
		if text == info {
			t.Fatalf("%s: nothing was altered", name)
		}
		if _, err := dcap.ParseTCBInfo([]byte(text)); err == nil {
			t.Errorf("TCB info, %s: accepted", name)
		}
	}
	for name, edit := range map[string]func(string) string{
		"version 1":                first(`"version":2`, `"version":1`),
		"miscselect of 3 bytes":    first(`"miscselect":"00000000"`, `"miscselect":"000000"`),
		"product as a string":      first(`"isvprodid":2`, `"isvprodid":"2"`),
		"mask missing":             first(`"attributesMask":`, `"attributesMask2":`),
		"levels out of order":      first(`{"isvsvn":4}`, `{"isvsvn":1}`),
		"levels equal":             first(`{"isvsvn":4}`, `{"isvsvn":2}`),
		"level without tcb":        first(`"tcb":{"isvsvn":4}`, `"tcb":4`),
		"status SWHardeningNeeded": first(`"UpToDate"`, `"SWHardeningNeeded"`),
	} {
		text := edit(qe)
		if text == qe {
			t.Fatalf("%s: nothing was altered", name)
		}
		if _, err := dcap.ParseQEIdentity([]byte(text)); err == nil {
			t.Errorf("QE identity, %s: accepted", name)
		}
	}
}

// TestUnknownMembers: what Intel adds to a document is told, not refused.
func TestUnknownMembers(t *testing.T) {
	s := testpki.Default()
	s.EditTCBInfo = replace(`"tcbType":0`, `"tcbType":0,"tdxNewThing":{"a":1}`)
	s.EditQEIdentity = replace(`"isvprodid":2`, `"isvprodid":2,"more":[]`)
	r, err := judge(t, s)
	if err != nil || !reflect.DeepEqual(r.UnknownMembers, []string{"tdxNewThing", "more"}) {
		t.Errorf("got %v, %v", r.UnknownMembers, err)
	}
}
