package dcap

import (
	"encoding/asn1"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/internal/testpki"
)

// FuzzPCKExtension reads the description of a platform. One that is taken holds every member that a judgement compares.
func FuzzPCKExtension(f *testing.F) {
	want := testpki.Default().PCK
	f.Add(want.Extension().Value)
	f.Fuzz(func(t *testing.T, der []byte) {
		p, err := parseSGXExtension(der)
		if (p == nil) == (err == nil) {
			t.Fatalf("got %+v, %v", p, err)
		}
		if err != nil {
			return
		}
		again := testpki.PCKSpec{FMSPC: p.FMSPC, PCEID: p.PCEID, SGX: p.SGX, PCESVN: p.PCESVN}
		q, err := parseSGXExtension(again.Extension().Value)
		if err != nil || q.FMSPC != p.FMSPC || q.PCEID != p.PCEID || !reflect.DeepEqual(q.SGX, p.SGX) || q.PCESVN != p.PCESVN {
			t.Fatalf("written anew, %+v is read as %+v, %v", p, q, err)
		}
	})
}

// A written is an SGX extension as lists of attributes, for tests to change one at a time.
type written struct{ top, tcb, conf []attribute }

// raw is a value in DER, however wrong.
func raw(der ...byte) asn1.RawValue { return asn1.RawValue{FullBytes: der} }

// sequence writes attributes one after another.
func sequence(t *testing.T, list []attribute) []byte {
	t.Helper()
	var body []byte
	for _, a := range list {
		der, err := asn1.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		body = append(body, der...)
	}
	der, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSequence, IsCompound: true, Bytes: body})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// set replaces the value of the attribute whose OID ends in number.
func set(list []attribute, number int, v asn1.RawValue) {
	for i := range list {
		if id := list[i].ID; id[len(id)-1] == number {
			list[i].Value = v
		}
	}
}

// without leaves out the attribute whose OID ends in number.
func without(list []attribute, number int) []attribute {
	return slices.DeleteFunc(list, func(a attribute) bool { return a.ID[len(a.ID)-1] == number })
}

// pckExtension is the extension of a default platform with one change, and perhaps bytes behind it.
func pckExtension(t *testing.T, change func(*written), behind ...byte) []byte {
	t.Helper()
	w := &written{}
	read := func(der []byte, list *[]attribute) {
		if _, err := asn1.Unmarshal(der, list); err != nil {
			t.Fatal(err)
		}
	}
	read(testpki.Default().PCK.Extension().Value, &w.top)
	for _, a := range w.top {
		switch a.ID[len(a.ID)-1] {
		case sgxTCB:
			read(a.Value.FullBytes, &w.tcb)
		case sgxConfiguration:
			read(a.Value.FullBytes, &w.conf)
		}
	}
	set(w.top, sgxTCB, asn1.RawValue{})
	set(w.top, sgxConfiguration, asn1.RawValue{})
	change(w)
	for i := range w.top {
		if a := &w.top[i]; len(a.Value.FullBytes) == 0 { // as it was left above
			a.Value = raw(sequence(t, map[int][]attribute{sgxTCB: w.tcb, sgxConfiguration: w.conf}[a.ID[len(a.ID)-1]])...)
		}
	}
	return append(sequence(t, w.top), behind...)
}

// TestPCKExtensionTakes holds that the extension as it is, its largest numbers, and one without what a processor CA leaves
// out are read.
func TestPCKExtensionTakes(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*written)
		want   func(*PCK) bool
	}{
		"as it is": {func(*written) {}, func(p *PCK) bool {
			return p.SGXType == 1 && len(p.PlatformInstanceID) == 16 && *p.DynamicPlatform && !*p.CachedKeys && *p.SMTEnabled
		}},
		"least numbers": {func(w *written) { set(w.tcb, 1, raw(2, 1, 0)); set(w.tcb, tcbPCESVN, raw(2, 1, 0)) }, func(p *PCK) bool { return p.SGX[0] == 0 && p.PCESVN == 0 }},
		"numbers of a byte": {func(w *written) { set(w.tcb, 1, raw(2, 1, 0x7f)); set(w.tcb, 2, raw(2, 2, 0, 0x80)) },
			func(p *PCK) bool { return p.SGX[0] == 0x7f && p.SGX[1] == 0x80 }},
		"largest numbers": {func(w *written) { set(w.tcb, 16, raw(2, 2, 0, 0xff)); set(w.tcb, tcbPCESVN, raw(2, 3, 0, 0xff, 0xff)) },
			func(p *PCK) bool { return p.SGX[15] == 255 && p.PCESVN == 65535 }},
		"of a processor CA": {func(w *written) { w.top = without(without(w.top, sgxPlatformInstanceID), sgxConfiguration) },
			func(p *PCK) bool {
				return p.PlatformInstanceID == nil && p.DynamicPlatform == nil && p.SMTEnabled == nil
			}},
		"without one flag": {func(w *written) { w.conf = without(w.conf, 2) }, func(p *PCK) bool { return p.CachedKeys == nil && *p.SMTEnabled }},
	} {
		p, err := parseSGXExtension(pckExtension(t, tc.change))
		if err != nil || !tc.want(p) {
			t.Errorf("%s: got %+v, %v", name, p, err)
		}
	}
}

// TestPCKExtensionRejects has one case for each way of not being the one DER form of what a platform is.
func TestPCKExtensionRejects(t *testing.T) {
	octets := func(tag byte, n int) asn1.RawValue { return raw(append([]byte{tag, byte(n)}, make([]byte, n)...)...) }
	for _, tc := range []struct {
		name   string
		change func(*written)
		want   string
	}{
		{"number of no bytes", func(w *written) { set(w.tcb, 1, raw(2, 0)) }, "component 1 is not an integer from 0 to 255"},
		{"number below nothing", func(w *written) { set(w.tcb, 1, raw(2, 1, 0x80)) }, "component 1 is not an integer"},
		{"number below nothing in two bytes", func(w *written) { set(w.tcb, 1, raw(2, 2, 0xff, 0x7f)) }, "component 1 is not an integer"},
		{"number with a zero too many", func(w *written) { set(w.tcb, 2, raw(2, 2, 0, 0x7f)) }, "component 2 is not an integer"},
		{"zero in two bytes", func(w *written) { set(w.tcb, 2, raw(2, 2, 0, 0)) }, "component 2 is not an integer"},
		{"number with two zeros too many", func(w *written) { set(w.tcb, 2, raw(2, 3, 0, 0, 5)) }, "component 2 is not an integer"},
		{"number beyond a byte", func(w *written) { set(w.tcb, 16, raw(2, 2, 1, 0)) }, "component 16 is 256, want at most 255"},
		{"number of four bytes", func(w *written) { set(w.tcb, 16, raw(2, 4, 1, 0, 0, 5)) }, "component 16 is not an integer"},
		{"number with a byte more than eight, which would overflow", func(w *written) { set(w.tcb, 16, raw(2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 5)) }, "component 16 is not an integer"},
		{"PCESVN beyond two bytes", func(w *written) { set(w.tcb, tcbPCESVN, raw(2, 3, 1, 0, 0)) }, "PCESVN is 65536, want at most 65535"},
		{"PCESVN as octets", func(w *written) { set(w.tcb, tcbPCESVN, raw(4, 2, 0, 5)) }, "PCESVN is not an integer"},
		{"component as ENUMERATED", func(w *written) { set(w.tcb, 3, raw(10, 1, 5)) }, "component 3 is not an integer"},
		{"component of another class", func(w *written) { set(w.tcb, 3, raw(0x82, 1, 5)) }, "component 3 is not an integer"},
		{"component that is constructed", func(w *written) { set(w.tcb, 3, raw(0x22, 3, 2, 1, 5)) }, "component 3 is not an integer"},
		{"no component 16", func(w *written) { w.tcb = without(w.tcb, 16) }, "component 16 is not an integer"},
		{"component twice", func(w *written) { w.tcb = append(w.tcb, w.tcb[0]) }, "occurs twice"},
		{"component of another arc", func(w *written) { w.tcb[0].ID = slices.Clone(w.tcb[0].ID); w.tcb[0].ID[7] = 3 }, "unexpected 1.2.840.113741.1.13.1.3.1"},
		{"component further down", func(w *written) { w.tcb[0].ID = append(slices.Clone(w.tcb[0].ID), 1) }, "unexpected 1.2.840.113741.1.13.1.2.1.1"},
		{"attribute further up", func(w *written) { w.top[0].ID = slices.Clone(oidSGX) }, "unexpected 1.2.840.113741.1.13.1"},
		{"no PCESVN", func(w *written) { w.tcb = without(w.tcb, tcbPCESVN) }, "PCESVN is not an integer"},
		{"CPUSVN of 15 bytes", func(w *written) { set(w.tcb, tcbCPUSVN, octets(4, 15)) }, "CPUSVN is not an OCTET STRING of 16 bytes"},
		{"CPUSVN of 17 bytes", func(w *written) { set(w.tcb, tcbCPUSVN, octets(4, 17)) }, "CPUSVN is not"},
		{"SGX type as INTEGER", func(w *written) { set(w.top, sgxType, raw(2, 1, 1)) }, "SGXType is not an integer"},
		{"no SGX type", func(w *written) { w.top = without(w.top, sgxType) }, "SGXType is not an integer"},
		{"no PPID", func(w *written) { w.top = without(w.top, sgxPPID) }, "PPID is not an OCTET STRING"},
		{"FMSPC of 5 bytes", func(w *written) { set(w.top, sgxFMSPC, octets(4, 5)) }, "FMSPC is not an OCTET STRING of 6 bytes"},
		{"FMSPC as a text", func(w *written) { set(w.top, sgxFMSPC, octets(12, 6)) }, "FMSPC is not"},
		{"FMSPC of another class", func(w *written) { set(w.top, sgxFMSPC, octets(0x84, 6)) }, "FMSPC is not"},
		{"FMSPC in parts", func(w *written) { set(w.top, sgxFMSPC, raw(0x24, 6, 4, 1, 0, 4, 1, 0)) }, "FMSPC is not"},
		{"FMSPC twice", func(w *written) { w.top = append(w.top, w.top[3]) }, "1.2.840.113741.1.13.1.4 occurs twice"},
		{"PCEID of 3 bytes", func(w *written) { set(w.top, sgxPCEID, octets(4, 3)) }, "PCEID is not"},
		{"instance of 15 bytes", func(w *written) { set(w.top, sgxPlatformInstanceID, octets(4, 15)) }, "PlatformInstanceID is not"},
		{"no TCB", func(w *written) { w.top = without(w.top, sgxTCB) }, "1.2.840.113741.1.13.1.2: "},
		{"TCB that is none", func(w *written) { set(w.top, sgxTCB, raw(4, 0)) }, "1.2.840.113741.1.13.1.2: "},
		{"configuration that is none", func(w *written) { set(w.top, sgxConfiguration, raw(4, 0)) }, "1.2.840.113741.1.13.1.7: "},
		{"flag that is neither", func(w *written) { set(w.conf, 2, raw(1, 1, 1)) }, "configuration 2 is not a BOOLEAN"},
		{"flag of two bytes", func(w *written) { set(w.conf, 2, raw(1, 2, 0, 0)) }, "configuration 2 is not a BOOLEAN"},
		{"flag of no bytes", func(w *written) { set(w.conf, 2, raw(1, 0)) }, "configuration 2 is not a BOOLEAN"},
		{"flag as a number", func(w *written) { set(w.conf, 2, raw(2, 1, 0)) }, "configuration 2 is not a BOOLEAN"},
		{"flag of another class", func(w *written) { set(w.conf, 3, raw(0x81, 1, 0)) }, "configuration 3 is not a BOOLEAN"},
		{"value with a length in long form", func(w *written) { set(w.tcb, 1, raw(2, 0x81, 1, 5)) }, "non-minimal length"},
		{"value of no length", func(w *written) { set(w.top, sgxFMSPC, raw(0x24, 0x80, 4, 6, 0, 0, 0, 0, 0, 0, 0, 0)) }, "indefinite length"},
	} {
		if p, err := parseSGXExtension(pckExtension(t, tc.change)); p != nil || err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %+v, %v, want an error with %q", tc.name, p, err, tc.want)
		}
	}
	if p, err := parseSGXExtension(pckExtension(t, func(*written) {}, 0, 0)); p != nil || err == nil || !strings.Contains(err.Error(), "2 bytes follow") {
		t.Errorf("two bytes behind: got %+v, %v", p, err)
	}
	if p, err := parseSGXExtension(nil); p != nil || err == nil {
		t.Errorf("nothing: got %+v, %v", p, err)
	}
}
