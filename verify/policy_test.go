package verify_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tdxkit/tdxkit/dcap"
	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/verify"
)

var ninetySix = strings.Repeat("0a", 48)

// whole is a policy with every member that there is.
var whole = `{
 "schema": "tdxkit.policy/v1",
 "description": "all of it",
 "tcb": {"statuses": ["UpToDate", "SWHardeningNeeded"], "advisories": ["INTEL-SA-00001"], "min_evaluation": 18,
  "min_qe_evaluation": 17, "min_date": "2024-11-13T00:00:00Z", "max_collateral_age": "720h"},
 "td": {"attributes": {"mask": "0xff", "value": "0x0"}, "xfam": {"mask": "0x3", "value": "0x3"},
  "mrconfigid": ["` + ninetySix + `"], "mrowner": ["` + ninetySix + `"], "mrownerconfig": ["` + ninetySix + `"]},
 "module": {"mrseam": ["` + ninetySix + `"], "majors": [1, 3], "min_tee_tcb_svn": "05010400000000000000000000000000"},
 "report_data": {"binding": "sha256:app-data", "max_nonce_age": "5m"},
 "rtmr3": {"events": [
  {"name": "compose-hash", "payloads": ["00", "01"]},
  {"name": "my-event", "by": "application", "payloads": [""]},
  {"name": "key-provider", "by": "system", "payloads": ["7b7d"]}]},
 "unsafe": ["td.debug", "collateral"],
 "unsafe_roots": ["` + strings.Repeat("11", 32) + `"]
}`

func TestParsePolicy(t *testing.T) {
	d := mr.Digest(slices.Repeat([]byte{0x0a}, 48))
	want := &verify.Policy{
		Statuses: []dcap.Status{dcap.UpToDate, dcap.SWHardeningNeeded}, Advisories: []string{"INTEL-SA-00001"}, MinEvaluation: 18,
		MinQEEvaluation: 17, MinTCBDate: time.Date(2024, 11, 13, 0, 0, 0, 0, time.UTC), MaxCollateralAge: 720 * time.Hour,
		Attributes: verify.Masked{Mask: 0xff}, XFAM: verify.Masked{Mask: 3, Value: 3},
		MRCONFIGID: []mr.Digest{d}, MROWNER: []mr.Digest{d}, MROWNERCONFIG: []mr.Digest{d}, MRSEAM: []mr.Digest{d},
		ModuleMajors: []uint8{1, 3}, HasMinTCBSVN: true, MinTEETCBSVN: [16]uint8{5, 1, 4},
		Binding: dstack.Binding{Hash: "sha256", Tag: "app-data"}, MaxNonceAge: 5 * time.Minute,
		RequiredEvents: []verify.RequiredEvent{
			{Name: "compose-hash", Payloads: [][]byte{{0}, {1}}}, {Name: "my-event", Application: true, Payloads: [][]byte{{}}},
			{Name: "key-provider", Payloads: [][]byte{[]byte("{}")}}},
		Unsafe: []verify.CheckID{dcap.TDDebug, verify.GroupCollateral},
		Roots:  []dcap.Fingerprint{dcap.Fingerprint(slices.Repeat([]byte{0x11}, 32))},
	}
	got, err := verify.ParsePolicy([]byte(whole))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	// A field that no member sets would not be documented, nor tested here.
	v := reflect.ValueOf(*got)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s is set by no member", v.Type().Field(i).Name)
		}
	}
	if got, err := verify.ParsePolicy([]byte(`{"schema":"tdxkit.policy/v1"}`)); err != nil || !reflect.DeepEqual(got, &verify.Policy{}) {
		t.Errorf("the least policy is %+v, %v", got, err)
	}
}

func TestParsePolicyRejects(t *testing.T) {
	in := func(member string) string { return `{"schema":"tdxkit.policy/v1",` + member + `}` }
	for _, tc := range []struct{ name, text, part string }{
		{"empty", "", "ends"},
		{"list", "[]", "want an object"},
		{"no schema", `{}`, `"schema"`},
		{"another schema", `{"schema":"tdxkit.policy/v2"}`, "tdxkit.policy/v1"},
		{"unknown member", in(`"tdx":{}`), "tdx"},
		{"unknown member below", in(`"tcb":{"status":["UpToDate"]}`), "status"},
		{"member twice", in(`"tcb":{},"tcb":{}`), "occurs"},
		{"member in other letters", in(`"TCB":{}`), "in case only"},
		{"member below in other letters", in(`"tcb":{"Statuses":["Revoked"]}`), "in case only"},
		{"text behind", in(`"unsafe":["td.debug"]`) + "x", "trailing"},
		{"empty list", in(`"unsafe":[]`), "is empty"},
		{"empty list below", in(`"tcb":{"statuses":[]}`), "is empty"},
		{"status of nobody", in(`"tcb":{"statuses":["uptodate"]}`), "no status"},
		{"revoked accepted", in(`"tcb":{"statuses":["UpToDate","Revoked"]}`), "Revoked"},
		{"status none accepted", in(`"tcb":{"statuses":["none"]}`), "none"},
		{"null for a section", in(`"tcb":null`), "null"},
		{"null for a list", in(`"unsafe":null`), "null"},
		{"major below nothing", in(`"module":{"majors":[-1]}`), "255"},
		{"major as a string", in(`"module":{"majors":["1"]}`), "255"},
		{"evaluation beyond 32 bits", in(`"tcb":{"min_evaluation":4294967296}`), "integer"},
		{"evaluation as 1e3", in(`"tcb":{"min_evaluation":1e3}`), "integer"},
		{"status as a number", in(`"tcb":{"statuses":[1]}`), "want strings"},
		{"negative evaluation", in(`"tcb":{"min_evaluation":-1}`), "integer"},
		{"date without a time", in(`"tcb":{"min_date":"2024-11-13"}`), "form"},
		{"age without a unit", in(`"tcb":{"max_collateral_age":"30"}`), "want a time"},
		{"age of nothing", in(`"tcb":{"max_collateral_age":"0s"}`), "want a time"},
		{"age below nothing", in(`"report_data":{"max_nonce_age":"-5m"}`), "want a time"},
		{"attributes as bytes", in(`"td":{"attributes":{"mask":"0000000001000000","value":"0x0"}}`), "0x"},
		{"attributes in decimal", in(`"td":{"attributes":{"mask":"255","value":"0x0"}}`), "0x"},
		{"mask of nothing", in(`"td":{"attributes":{"mask":"0x0","value":"0x0"}}`), "mask"},
		{"value outside its mask", in(`"td":{"xfam":{"mask":"0x1","value":"0x2"}}`), "let through"},
		{"mask without a value", in(`"td":{"xfam":{"mask":"0x1"}}`), "value"},
		{"digest of 47 bytes", in(`"td":{"mrowner":["` + ninetySix[2:] + `"]}`), "length"},
		{"digest and something else", in(`"td":{"mrowner":["` + ninetySix + `x"]}`), "hexadecimal"},
		{"payload that is no hexadecimal", in(`"rtmr3":{"events":[{"name":"app-id","payloads":["00x"]}]}`), "hexadecimal"},
		{"mask of one digit", in(`"td":{"attributes":{"mask":"5","value":"0x0"}}`), "0x"},
		{"mask of nothing after 0x", in(`"td":{"attributes":{"mask":"0x","value":"0x0"}}`), "0x"},
		{"mask with underscores", in(`"td":{"attributes":{"mask":"0x1_0","value":"0x0"}}`), "0x"},
		{"mask in octal", in(`"td":{"attributes":{"mask":"0o17","value":"0x0"}}`), "0x"},
		{"mask beyond 64 bits", in(`"td":{"attributes":{"mask":"0x10000000000000000","value":"0x0"}}`), "0x"},
		{"major beyond a byte", in(`"module":{"majors":[256]}`), "255"},
		{"SVN of 15 bytes", in(`"module":{"min_tee_tcb_svn":"00"}`), "digits"},
		{"binding of nobody", in(`"report_data":{"binding":"md5"}`), "md5"},
		{"event without payloads", in(`"rtmr3":{"events":[{"name":"app-id"}]}`), "payloads"},
		{"event with no payload", in(`"rtmr3":{"events":[{"name":"app-id","payloads":[]}]}`), "is empty"},
		{"event of the system that is none", in(`"rtmr3":{"events":[{"name":"mine","payloads":["00"]}]}`), "no event of the system"},
		{"event by nobody", in(`"rtmr3":{"events":[{"name":"mine","by":"me","payloads":["00"]}]}`), "application"},
		{"waiver of nothing", in(`"unsafe":["td.everything"]`), "neither a check"},
		{"waiver of a signature", in(`"unsafe":["quote.signature"]`), "cannot be waived"},
		{"root of 31 bytes", in(`"unsafe_roots":["00"]`), "length"},
		{"too long", strings.Repeat(" ", bin.MaxJSON+1), "at most"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := verify.ParsePolicy([]byte(tc.text))
			var fe *bin.FormatError
			if p != nil || !errors.As(err, &fe) || !strings.Contains(err.Error(), tc.part) {
				t.Errorf("got %+v, %v, want a FormatError with %q", p, err, tc.part)
			}
		})
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"schema":"tdxkit.policy/v1","unsafe":["registers"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := verify.ParsePolicy(data)
		if err != nil {
			return
		}
		for _, u := range p.Unsafe {
			if verify.CheckUnsafe(u) != nil {
				t.Errorf("%s is waived", u)
			}
		}
		if verify.Judge(p, nil, nil, time.Unix(1<<31, 0)).Accepted() {
			t.Errorf("%s accepts nothing at all", data)
		}
	})
}

func TestParseVariants(t *testing.T) {
	measured := `{"schema":"tdxkit.measurements/v1","measurements":[
	 {"name":"4cpu","platform":{"qemu":"10.1.0","machine":"pc","cpus":4,"memory_bytes":1,"firmware_sha384":"","os_image_hash":"` + strings.Repeat("05", 32) + `"},
	  "registers":{"mrtd":"` + ninetySix + `","rtmr0":"` + ninetySix + `"},"unknown":{"rtmr1":"why"},"notes":["a note"],
	  "events":[{"rule":"rtmr0.td-hob","register":"rtmr0","type":"EV_EFI_HANDOFF_TABLES2","digest":"` + ninetySix + `","what":"TD HOB list","bytes":"0102","cite":"x"}]},
	 {"platform":{"qemu":"10.1.0"},"registers":{"rtmr3":"` + ninetySix + `"}}]}`
	list, err := verify.ParseVariants([]byte(measured))
	if err != nil || len(list) != 2 {
		t.Fatalf("got %+v, %v", list, err)
	}
	a := list[0]
	if a.Name != "4cpu" || len(a.Registers) != 2 || a.Registers[mr.MRTD].String() != ninetySix || a.OSImageHash[31] != 5 || len(a.Events) != 1 ||
		a.Events[0].Type != eventlog.EVEFIHandoffTables2 || a.Events[0].Rule != "rtmr0.td-hob" || string(a.Events[0].Measured.Bytes) != "\x01\x02" {
		t.Errorf("got %+v", a)
	}
	if len(list[1].Registers) != 1 || list[1].OSImageHash != nil || list[1].Registers[mr.RTMR3].String() != ninetySix {
		t.Errorf("got %+v", list[1])
	}
	list, err = verify.ParseVariants([]byte(`{"mrtd":"` + ninetySix + `","rtmr0":null,"mr_aggregated":"x"}`))
	if err != nil || len(list) != 1 || len(list[0].Registers) != 1 {
		t.Errorf("a lone object of registers: got %+v, %v", list, err)
	}
	for name, text := range map[string]string{
		"empty": "", "list": "[]", "no register": `{"MRTD":"` + ninetySix + `"}`, "no register at all": `{}`, "short register": `{"mrtd":"00"}`,
		"register twice":      `{"mrtd":"` + ninetySix + `","mrtd":"` + ninetySix + `"}`,
		"register in letters": `{"mrtd":"` + ninetySix + `","Rtmr0":"` + ninetySix + `"}`,
		"another schema":      `{"schema":"tdxkit.measurements/v2","measurements":[{"registers":{"mrtd":"` + ninetySix + `"}}]}`,
		"no measurements":     `{"schema":"tdxkit.measurements/v1"}`,
		"empty measurements":  `{"schema":"tdxkit.measurements/v1","measurements":[]}`,
		"member in letters":   `{"schema":"tdxkit.measurements/v1","measurements":[{"registers":{"mrtd":"` + ninetySix + `"},"Events":[]}]}`,
		"unknown register":    `{"schema":"tdxkit.measurements/v1","measurements":[{"registers":{"mrtd":"` + ninetySix + `","rtmr4":"` + ninetySix + `"}}]}`,
		"no registers":        `{"schema":"tdxkit.measurements/v1","measurements":[{"name":"a"}]}`,
		"no values":           `{"schema":"tdxkit.measurements/v1","measurements":[{"registers":{}}]}`,
		"event of a register": `{"schema":"tdxkit.measurements/v1","measurements":[{"registers":{"mrtd":"` + ninetySix + `"},"events":[{"register":"rtmr9","type":"EV_IPL","digest":"` + ninetySix + `"}]}]}`,
		"event of a type":     `{"schema":"tdxkit.measurements/v1","measurements":[{"registers":{"mrtd":"` + ninetySix + `"},"events":[{"register":"rtmr1","type":"EV_NONE","digest":"` + ninetySix + `"}]}]}`,
		"event with data":     `{"schema":"tdxkit.measurements/v1","measurements":[{"registers":{"mrtd":"` + ninetySix + `"},"events":[{"register":"rtmr1","type":"EV_IPL","digest":"` + ninetySix + `","data":"00x"}]}]}`,
		"too long":            strings.Repeat(" ", bin.MaxEventLog+1),
	} {
		var fe *bin.FormatError
		if list, err := verify.ParseVariants([]byte(text)); list != nil || !errors.As(err, &fe) {
			t.Errorf("%s: got %+v, %v, want a FormatError", name, list, err)
		}
	}
}

func FuzzParseVariants(f *testing.F) {
	f.Add([]byte(`{"mrtd":"` + ninetySix + `"}`))
	f.Add([]byte(`{"schema":"tdxkit.measurements/v1","measurements":[{"registers":{"mrtd":"` + ninetySix + `"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := verify.ParseVariants(data)
		for _, v := range list {
			if err == nil && len(v.Registers) == 0 {
				t.Error("a variant without registers")
			}
		}
	})
}

// FuzzJudge gives the judge anything: nothing that is not the kit's own is accepted.
func FuzzJudge(f *testing.F) {
	k := newWorld().build(f)
	f.Add(k.e.Quote, k.e.Collateral, k.e.EventLog, k.e.VMConfig)
	f.Fuzz(func(t *testing.T, quote, collateral, log, config []byte) {
		v := verify.Judge(&k.p, &k.x, &verify.Evidence{Quote: quote, Collateral: collateral, EventLog: log, VMConfig: config}, k.now)
		if !v.Accepted() {
			return
		}
		w := verify.Judge(nil, &k.x, &verify.Evidence{Quote: quote, Collateral: collateral, EventLog: log, VMConfig: config}, k.now)
		if w.Accepted() || v.Check(dcap.QuoteSignature).Status != verify.Pass || v.Registers != k.judge().Registers {
			t.Error("accepted")
		}
	})
}
