package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/mr"
)

// issued is the time of issue of all manifests that tests make.
var issued = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// digestOf returns a digest that stands for a name.
func digestOf(name string) mr.Digest { return mr.Sum([]byte(name)) }

func subjectOf(name, content string) Subject {
	return Subject{Name: name, SHA256: sha256.Sum256([]byte(content)), SHA384: mr.Sum([]byte(content))}
}

// newHeader returns a header that has everything a header may have.
func newHeader() *Header {
	return &Header{
		Subjects: []Subject{
			subjectOf("firmware", "fd"), subjectOf("kernel", "bz"), subjectOf("initrd", "cpio"), subjectOf("cmdline", "console=ttyS0"),
		},
		Product: Product{"acme-node", "1.2.3"}, Serial: 7,
		IssuedAt: issued, NotBefore: issued, Expires: issued.AddDate(1, 0, 0),
		Tool: Tool{"tdxkit", "v0.1.0"},
		Source: &Source{Repository: "https://example.org/acme/node", Commit: "0123456789abcdef", Recipe: "make image", Dependencies: []Dependency{
			{Name: "edk2", URI: "https://github.com/tianocore/edk2", Version: "edk2-stable202505", SHA256: strings.Repeat("ab", 32)}, {Name: "gcc"},
		}},
		Launch: &Launch{SinglePass: digestOf("mrtd"), TwoPass: digestOf("mrtd2"), HOBBase: 0x809000,
			Accepted: []Region{{0x800000, 0x6000}, {0x809000, 0x2000}}},
		Policy: &Policy{
			Attributes: &Mask{Mask: [8]byte{0xff, 1}, Value: [8]byte{0x10}}, XFAM: &Mask{Mask: [8]byte{7}, Value: [8]byte{7}},
			MRConfigID: &FieldRule{Rule: Dstack}, MROwner: &FieldRule{Rule: OneOf, Values: []mr.Digest{digestOf("owner")}},
			MinimumTCB: &MinimumTCB{EvaluationDataNumber: 17, Date: issued, Statuses: []string{"UpToDate"}, TEETCBSVN: &[16]byte{5, 1}},
			MRSEAM:     []mr.Digest{digestOf("seam")},
		},
	}
}

// rules are the events of a small boot; those that contain a % differ by shape.
var bootRules = []struct {
	register mr.Register
	typ      eventlog.Type
	rule     mr.RuleID
	what     string
}{
	{mr.RTMR0, eventlog.EVEFIHandoffTables2, "rtmr0.td-hob", "TD HOB list"},
	{mr.RTMR0, eventlog.EVEFIPlatformFirmwareBlob2, "rtmr0.cfv", "CFV"},
	{mr.RTMR0, eventlog.EVPlatformConfigFlags, "rtmr0.acpi", "etc/acpi/tables"},
	{mr.RTMR1, eventlog.EVEFIBootServicesApplication, "rtmr1.kernel", "the kernel"},
	{mr.RTMR2, eventlog.EVEventTag, "rtmr2.load-options", "the command line"},
	{mr.RTMR2, eventlog.EVEventTag, "rtmr2.initrd", "the initrd"},
}

// newVariant returns a variant of the platform whose registers follow from its events.
func newVariant(p *Platform, cpus int, memory uint64) Variant {
	v := Variant{ID: fmt.Sprintf("qemu%s-%dcpu-%d", p.QEMU, cpus, memory), Platform: p, CPUs: cpus, Memory: memory}
	for _, r := range bootRules {
		name := string(r.rule)
		switch r.rule {
		case "rtmr0.td-hob":
			name = fmt.Sprint(name, memory)
		case "rtmr0.acpi":
			name = fmt.Sprint(name, cpus, memory, p.QEMU)
		}
		v.Events = append(v.Events, mr.Event{Rule: r.rule, Register: r.register, Type: r.typ,
			Measured: mr.Measured{What: r.what, Digest: digestOf(name)}})
	}
	values, err := mr.Replay(v.Events)
	if err != nil {
		panic(err)
	}
	values[mr.MRTD] = digestOf("mrtd")
	copy(v.Registers[:], values[:])
	return v
}

func newVariants(n int) []Variant {
	platforms := []*Platform{
		{QEMU: "10.1.0", Machine: "pc-q35-10.1", Arguments: []string{"-nodefaults", "-cpu", "host"}, Inputs: []int{0, 1, 2, 3}},
		{QEMU: "11.1.0", Machine: "pc-q35-11.1", Devices: "gpu", Inputs: []int{0, 1, 2, 3}},
	}
	var list []Variant
	for i := range n {
		list = append(list, newVariant(platforms[i%2], 1+i/2%64, uint64(2+i/128)<<30))
	}
	return list
}

func mustAppend(t testing.TB, h *Header, variants []Variant) []byte {
	t.Helper()
	b, err := Append(h, variants)
	if err != nil {
		t.Fatal(err)
	}
	if len(variants) <= 64 { // what tests make satisfies the schema; the largest ones would only repeat themselves
		if err := validate(schema(t, "reference-values-v1"), b); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func mustParse(t testing.TB, data []byte) *Manifest {
	t.Helper()
	m, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRoundTrip(t *testing.T) {
	h, variants := newHeader(), newVariants(300)
	variants[5].Events = nil // lists of events are optional variant by variant
	data := mustAppend(t, h, variants)
	if !json.Valid(data) {
		t.Fatal("what was written is not JSON")
	}
	m := mustParse(t, data)
	if d := cmp.Diff(h, &m.Header); d != "" {
		t.Error("header (-wrote +read):\n", d)
	}
	if m.Len() != len(variants) {
		t.Fatalf("%d variants, want %d", m.Len(), len(variants))
	}
	for i, got := range m.All() {
		if d := cmp.Diff(variants[i], got); d != "" {
			t.Fatalf("variant %d (-wrote +read):\n%s", i, d)
		}
	}
	if err := m.Check(); err != nil {
		t.Error(err)
	}
	if m.SHA256 != sha256.Sum256(data) {
		t.Error("digest of the statement differs")
	}
	var again []Variant
	for _, v := range m.All() {
		again = append(again, v)
	}
	if !bytes.Equal(mustAppend(t, &m.Header, again), data) {
		t.Error("written again, the bytes differ")
	}
}

// TestStreamed holds a Writer to its word: it writes before it is closed, and the bytes do not depend on when.
func TestStreamed(t *testing.T) {
	var b bytes.Buffer
	w, err := NewWriter(&b, newHeader())
	if err != nil {
		t.Fatal(err)
	}
	variants := newVariants(3000)
	for i := range variants {
		if err := w.Add(&variants[i]); err != nil {
			t.Fatal(err)
		}
	}
	if b.Len() < 100<<10 {
		t.Errorf("%d bytes are written before Close", b.Len())
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), mustAppend(t, newHeader(), newVariants(3000))) {
		t.Error("the same manifest written twice has different bytes")
	}
}

// random returns digests that nothing shares.
func random(n uint64) mr.Digest {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	return mr.Sum(b[:])
}

// TestSize holds 10,000 variants to 6 MiB, also where no two of them share a register.
func TestSize(t *testing.T) {
	const limit = 6 << 20
	for name, shared := range map[string]bool{"shared": true, "nothing shared": false} {
		p := &Platform{QEMU: "10.1.0", Machine: "pc-q35-10.1", Inputs: []int{0}}
		var variants []Variant
		for i := range uint64(10_000) {
			v := Variant{ID: fmt.Sprintf("qemu10.1.0-%dcpu-%dGiB", 1+i%512, i/512), Platform: p, CPUs: int(1 + i%512), Memory: (1 + i/512) << 30}
			for r := range v.Registers {
				v.Registers[r] = random(uint64(r) + 4*i)
				if shared && r != 1 {
					v.Registers[r] = random(uint64(r))
				}
			}
			variants = append(variants, v)
		}
		data := mustAppend(t, newHeader(), variants)
		t.Logf("%s: %d bytes", name, len(data))
		if len(data) > limit {
			t.Errorf("%s: 10,000 variants have %d bytes, want at most %d", name, len(data), limit)
		}
	}
}

// An edit replaces one thing of a statement by another, which makes it one that is not read.
type edit struct {
	name, old, new string
	want           string // in the message
}

// edits change one thing of a good statement at a time.
func edits(good string) []edit {
	_, digests, _ := strings.Cut(good, `"digests":[`)
	digests, _, _ = strings.Cut(digests, "]")
	beyond := fmt.Sprint(strings.Count(digests, `"`) / 2) // the index behind the last digest
	return []edit{
		{"unknown member", `"serial":7`, `"serial":7,"extra":1`, `"extra"`},
		{"duplicate member", `"serial":7`, `"serial":7,"serial":8`, "occurs twice"},
		{"case variant", `"serial":7`, `"Serial":7`, "in case only"},
		{"case variant beside", `"serial":7`, `"serial":7,"Serial":9`, "in case only"},
		{"long s", `"issuedAt"`, `"iſsuedAt"`, "in case only"},
		{"duplicate by escape", `"serial":7`, `"serial":7,"seri\u0061l":8`, "occurs twice"},
		{"missing member", `"serial":7,`, ``, `"serial" at offset`},
		{"other statement type", "Statement/v1", "Statement/v0.1", "Statement/v0.1"},
		{"other predicate type", "reference-values/v1", "reference-values/v2", "reference-values/v2"},
		{"serial 0", `"serial":7`, `"serial":0`, "serial is 0"},
		{"serial as text", `"serial":7`, `"serial":"7"`, "is not an integer"},
		{"serial with fraction", `"serial":7`, `"serial":7.0`, "is not an integer"},
		{"serial with exponent", `"serial":7`, `"serial":7e0`, "is not an integer"},
		{"serial with leading zero", `"serial":7`, `"serial":07`, "leading zero"},
		{"negative serial", `"serial":7`, `"serial":-7`, "is not an integer"},
		{"serial beyond 2^53", `"serial":7`, `"serial":9007199254740993`, "want at most"},
		{"serial of 20 digits", `"serial":7`, `"serial":18446744073709551623`, "19 digits"},
		{"time with zone", `2026-11-01T12:00:00Z","notBefore`, `2026-11-01T12:00:00+00:00","notBefore`, "want the form"},
		{"time with fraction", `2026-11-01T12:00:00Z","notBefore`, `2026-11-01T12:00:00.5Z","notBefore`, "want the form"},
		{"expires before it begins", `"expires":"2027`, `"expires":"2025`, "expires is 2025-11-01T12:00:00Z, want a time after notBefore"},
		{"expires as it begins", `"expires":"2027`, `"expires":"2026`, "want a time after notBefore"},
		{"issued as it expires", `"issuedAt":"2026`, `"issuedAt":"2027`, "want a time after issuedAt"},
		{"empty product", `"name":"acme-node"`, `"name":""`, "want 1 to"},
		{"control character", `"name":"acme-node"`, `"name":"acme\u001b[2J"`, "control character"},
		{"direction override", `"name":"acme-node"`, `"name":"acme` + "\u202e" + `"`, "control character"},
		{"upper-case hex", `"sha256":"`, `"sha256":"A`, "hex digits"},
		{"not hex", `"mask":"ff01`, `"mask":"fg01`, "lower-case hex"},
		{"capital hex", `"mask":"ff01`, `"mask":"FF01`, "lower-case hex"},
		{"short digest", "\"digests\":[\n\"", "\"digests\":[\n\"00\",\"", "hex digits"},
		{"value outside mask", `"value":"07`, `"value":"0f`, "outside its mask"},
		{"unknown rule", `"rule":"dstack"`, `"rule":"anything"`, `"anything"`},
		{"unknown TCB status", `"UpToDate"`, `"Fine"`, `"Fine"`},
		{"register count", `"registers":[0,1,2,3]`, `"registers":[0,1,2]`, "has 3 items"},
		{"a fifth register", `"registers":[0,1,2,3]`, `"registers":[0,1,2,3,0]`, "more than 4"},
		{"digest out of range", `"registers":[0,1,2,3]`, `"registers":[0,1,2,` + beyond + `]`, "refers to digest " + beyond + " of " + beyond},
		{"platform out of range", `"platform":1`, `"platform":2`, "refers to platform 2 of 2"},
		{"layout out of range", `"layout":0`, `"layout":1`, "refers to layout 1 of 1"},
		{"event out of range", `"layout":0,"events":[4,`, `"layout":0,"events":[` + beyond + `,`, "digest " + beyond},
		{"an event too few", `"layout":0,"events":[4,`, `"layout":0,"events":[`, "has 5 events"},
		{"events without layout", `"layout":0,"events"`, `"events"`, "without a layout"},
		{"a layout without events", `,"events":[4,5,6,7,8,9]`, ``, "is there without events"},
		{"no events without layout", `"layout":0,"events":[4,5,6,7,8,9]`, `"events":[]`, "without a layout"},
		{"two variants with one ID", `"id":"qemu11.1.0-1cpu`, `"id":"qemu10.1.0-1cpu`, "same id"},
		{"no vCPUs", `"cpus":1,`, `"cpus":0,`, "no vCPUs"},
		{"null", `"serial":7`, `"serial":null`, "is not an integer"},
		{"variants as object", `"variants":[`, `"variants":{`, "is not an array"},
		{"input out of range", `"inputs":[0,1,2,3]`, `"inputs":[0,1,2,4]`, "none of the 4 subjects"},
		{"inputs without firmware", `"inputs":[0,1,2,3]`, `"inputs":[1,2,3]`, "no firmware"},
		{"inputs out of order", `"inputs":[0,1,2,3]`, `"inputs":[1,0,2,3]`, "not in order"},
		{"subject twice", `"name":"kernel"`, `"name":"firmware"`, "occurs twice"},
		{"register of a layout", `"register":"rtmr0"`, `"register":"rtmr3"`, "is not one of"},
		{"overlapping regions", `"start":8425472`, `"start":8388608`, "overlaps"},
		{"trailing comma", `"version":"v0.1.0"}`, `"version":"v0.1.0",}`, "malformed"},
		{"not UTF-8", "acme-node", "acme\xffnode", "UTF-8"},
		{"trailing data", "\n]}}\n", "\n]}}\n{}", "follow the value"},
		{"cut short", "\n]}}\n", "\n]", "document ends"},
		{"predicate before its type", good[strings.Index(good, `"predicateType"`):strings.Index(good, `"predicate":`)], "", "before predicateType"},
		{"NaN", `"serial":7`, `"serial":NaN`, "is not an integer"},
		{"a negative index", `"registers":[0,1,2,3]`, `"registers":[-1,1,2,3]`, "is not an integer"},
		{"true for 1", `"cpus":1,`, `"cpus":true,`, "is not an integer"},
		{"zero MRTD", good[strings.Index(good, `"digests":[`):][:109], "\"digests\":[\n\"" + strings.Repeat("0", 96), "MRTD is zero"},
		{"byte order mark", `{"_type"`, "\ufeff" + `{"_type"`, "is not an object"},
		{"unpaired surrogate", `"name":"acme-node"`, `"name":"acme\ud800"`, "surrogate"},
		{"values beside the rule dstack", `"rule":"dstack"`, `"rule":"dstack","values":["` + strings.Repeat("0", 96) + `"]`, "with 1 values"},
	}
}

func TestParseRejects(t *testing.T) {
	good := string(mustAppend(t, newHeader(), newVariants(4)))
	for _, tc := range edits(good) {
		t.Run(tc.name, func(t *testing.T) {
			if !strings.Contains(good, tc.old) {
				t.Fatalf("the statement has no %s", tc.old)
			}
			_, err := Parse([]byte(strings.Replace(good, tc.old, tc.new, 1)))
			if err == nil {
				t.Fatal("accepted")
			}
			var fe *bin.FormatError
			if errors.As(err, &fe) && tc.want == "malformed" {
				return
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v\nwant it to say %q", err, tc.want)
			}
		})
	}
}

func TestCheckFindsWrongEvents(t *testing.T) {
	good := string(mustAppend(t, newHeader(), newVariants(2)))
	i := strings.Index(good, `"events":[4,`)
	m := mustParse(t, []byte(good[:i]+`"events":[5,`+good[i+len(`"events":[4,`):]))
	if err := m.Check(); err == nil || !strings.Contains(err.Error(), "its events extend rtmr0") {
		t.Errorf("%v, want that the events do not lead to RTMR0", err)
	}
}

// TestWriterRejects changes one thing of a good variant or header at a time.
func TestWriterRejects(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(h *Header, v []Variant)
		want   string
	}{
		{"no subjects", func(h *Header, _ []Variant) { h.Subjects = nil }, "subject has 0 items"},
		{"nanoseconds", func(h *Header, _ []Variant) { h.IssuedAt = h.IssuedAt.Add(1) }, "whole seconds"},
		{"serial beyond 2^53", func(h *Header, _ []Variant) { h.Serial = maxSerial + 1 }, "serial is"},
		{"a year before 1970", func(h *Header, _ []Variant) { h.IssuedAt = time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC) }, "issuedAt is 1969"},
		{"a year of five digits", func(h *Header, _ []Variant) { h.Expires = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "expires is 10000"},
		{"no time", func(h *Header, _ []Variant) { h.NotBefore = time.Time{} }, "notBefore"},
		{"no version", func(h *Header, _ []Variant) { h.Product.Version = "" }, "product.version is empty"},
		{"newline", func(h *Header, _ []Variant) { h.Source.Recipe = "a\nb" }, "control character"},
		{"dependency's digest", func(h *Header, _ []Variant) { h.Source.Dependencies[0].SHA256 = "00" }, "64 lower-case"},
		{"no regions", func(h *Header, _ []Variant) { h.Launch.Accepted = nil }, "launch.accepted has 0"},
		{"a region of nothing", func(h *Header, _ []Variant) { h.Launch.Accepted[0].Len = 0 }, "has the region"},
		{"a region beyond all memory", func(h *Header, _ []Variant) { h.Launch.Accepted[0].Start = maxMemory + 1 }, "has the region"},
		{"a region of more than all memory", func(h *Header, _ []Variant) { h.Launch.Accepted[0].Len = maxMemory + 1 }, "has the region"},
		{"a HOB beyond all memory", func(h *Header, _ []Variant) { h.Launch.HOBBase = maxMemory + 1 }, "launch.hobBase is"},
		{"rule with too few values", func(h *Header, _ []Variant) { h.Policy.MROwner.Values = nil }, "with 0 values"},
		{"dstack's rule for MROWNER", func(h *Header, _ []Variant) { h.Policy.MROwner = &FieldRule{Rule: Dstack} }, "mrOwner"},
		{"zero MRSEAM", func(h *Header, _ []Variant) { h.Policy.MRSEAM[0] = mr.Digest{} }, "value of zeros"},
		{"same ID", func(_ *Header, v []Variant) { v[1].ID = v[0].ID }, "occurs twice"},
		{"no ID", func(_ *Header, v []Variant) { v[1].ID = "" }, "is empty"},
		{"no platform", func(_ *Header, v []Variant) { v[1].Platform = nil }, "no platform"},
		{"platform without QEMU", func(_ *Header, v []Variant) { v[1].Platform.QEMU = "" }, "QEMU release is empty"},
		{"platform with two kernels", func(h *Header, v []Variant) { h.Subjects[2].Name = "kernel/b" }, "two inputs of role kernel"},
		{"platform with a stranger", func(h *Header, v []Variant) { h.Subjects[2].Name = "disk" }, "has no role"},
		{"no memory", func(_ *Header, v []Variant) { v[1].Memory = 0 }, "bytes of memory"},
		{"no vCPUs", func(_ *Header, v []Variant) { v[1].CPUs = 0 }, "vCPUs"},
		{"no MRTD", func(_ *Header, v []Variant) { v[1].Registers[mr.MRTD] = mr.Digest{} }, "no MRTD"},
		{"events that lead elsewhere", func(_ *Header, v []Variant) { v[1].Events[0].Measured.Digest[0] ^= 1 }, "its events extend"},
		{"an event of MRTD", func(_ *Header, v []Variant) { v[1].Events[0].Register = mr.MRTD }, "names mrtd"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, v := newHeader(), newVariants(2)
			tc.change(h, v)
			if _, err := Append(h, v); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want it to say %q", err, tc.want)
			}
		})
	}
	if _, err := Append(newHeader(), nil); err == nil {
		t.Error("a manifest without variants is written")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(mustAppend(f, newHeader(), newVariants(4)))
	small := newVariants(1)
	small[0].Events = nil
	f.Add(mustAppend(f, &Header{Subjects: newHeader().Subjects, Product: Product{"a", "1"}, Serial: 1, IssuedAt: issued, NotBefore: issued,
		Expires: issued.Add(time.Hour), Tool: Tool{"t", "1"}}, small))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err != nil {
			return
		}
		var variants []Variant
		for _, v := range m.All() {
			if v.CheckEvents() != nil {
				v.Events = nil
			}
			variants = append(variants, v)
		}
		again, err := Append(&m.Header, variants)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		n, err := Parse(again)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if d := cmp.Diff(m.Header, n.Header); d != "" {
			t.Error(d)
		}
	})
}
