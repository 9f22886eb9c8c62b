package manifest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tdxkit/tdxkit/mr"
)

func TestIndex(t *testing.T) {
	a := mustParse(t, mustAppend(t, newHeader(), newVariants(500)))
	h := newHeader()
	h.Product.Name = "other"
	v := newVariants(2)
	v[0].Events, v[1].Events = nil, nil
	v[0].Registers[mr.RTMR2] = digestOf("another initrd")
	v[1].Registers[mr.MRTD] = digestOf("another firmware")
	b := mustParse(t, mustAppend(t, h, v))
	x := NewIndex(a, b)
	for _, m := range []*Manifest{a, b} {
		for i, want := range m.All() {
			got, ok := x.Find(&want.Registers)
			if !ok || got.Manifest != m || got.Number != i || got.ID != want.ID {
				t.Fatalf("variant %d of %s: found %v %d %q", i, m.Product.Name, ok, got.Number, got.ID)
			}
		}
	}
}

// TestIndexMatchesWhole holds that no mixture of two variants' registers is found, nor a variant with one bit changed.
func TestIndexMatchesWhole(t *testing.T) {
	m := mustParse(t, mustAppend(t, newHeader(), newVariants(64)))
	x := NewIndex(m)
	for i := range m.Len() {
		for r := range len(Registers{}) {
			mixed := *m.Registers(i)
			mixed[r] = m.Registers((i + 1) % m.Len())[r]
			if mixed != *m.Registers(i) && mixed != *m.Registers((i + 1) % m.Len()) {
				if _, ok := x.Find(&mixed); ok {
					t.Fatalf("variant %d with %v of another one is found", i, mr.Register(r))
				}
			}
			changed := *m.Registers(i)
			changed[r][47] ^= 1
			if _, ok := x.Find(&changed); ok {
				t.Fatalf("variant %d with another %v is found", i, mr.Register(r))
			}
		}
	}
	if _, ok := NewIndex().Find(&Registers{}); ok {
		t.Error("something is found in nothing")
	}
}

func TestNearest(t *testing.T) {
	variants := newVariants(256)
	m := mustParse(t, mustAppend(t, newHeader(), variants))
	x := NewIndex(m)
	// Evidence of variant 77 with another kernel and another initrd: its events tell which shape it is.
	evidence := m.Variant(77)
	events := append([]mr.Event(nil), evidence.Events...)
	for i := range events {
		events[i].Rule, events[i].Measured.What = "", ""
		if e := &events[i]; e.Register == mr.RTMR1 {
			e.Measured.Digest = digestOf("another kernel")
		}
	}
	values, err := mr.Replay(events)
	if err != nil {
		t.Fatal(err)
	}
	r := evidence.Registers
	r[mr.RTMR1] = values[mr.RTMR1]
	n := x.Nearest(&r, append(events, mr.Event{Register: mr.RTMR3, Measured: mr.Measured{Digest: digestOf("app")}}))
	if n.ID != evidence.ID {
		t.Errorf("nearest is %q, want %q", n.ID, evidence.ID)
	}
	if d := cmp.Diff([]mr.Register{mr.RTMR1}, n.Differ); d != "" {
		t.Error(d)
	}
	if len(n.Deltas) != 1 || n.Deltas[0].Kind != mr.Differs || !strings.Contains(n.Deltas[0].Text, "rtmr1.kernel") {
		t.Errorf("%+v", n.Deltas)
	}
	// With no register in common, the events alone decide.
	if n := x.Nearest(&Registers{}, m.Variant(200).Events); n.ID != m.Variant(200).ID {
		t.Errorf("nearest by events is %q, want %q", n.ID, m.Variant(200).ID)
	}
	// Without events the registers alone decide.
	r = m.Variant(200).Registers
	r[mr.RTMR1] = digestOf("another kernel")
	if n := x.Nearest(&r, nil); n.ID != m.Variant(200).ID || n.Deltas != nil {
		t.Errorf("nearest by registers is %q, want %q; %v", n.ID, m.Variant(200).ID, n.Deltas)
	}
	if n := NewIndex().Nearest(&r, nil); n != nil {
		t.Error("something is near in nothing")
	}
}

func TestCompare(t *testing.T) {
	old := newVariants(10)
	now := newVariants(12)[2:]
	for i := range now {
		v := &now[i]
		for k := range v.Events {
			if e := &v.Events[k]; e.Rule == "rtmr1.kernel" || e.Rule == "rtmr0.cfv" && i < 3 {
				e.Measured.Digest = digestOf("new " + string(e.Rule))
			}
		}
		values, err := mr.Replay(v.Events)
		if err != nil {
			t.Fatal(err)
		}
		copy(v.Registers[1:], values[1:])
	}
	h := newHeader()
	h.Product.Version, h.Serial = "1.3.0", 8
	h.Subjects[1] = subjectOf("kernel", "new")
	d := Compare(mustParse(t, mustAppend(t, newHeader(), old)), mustParse(t, mustAppend(t, h, now)))
	if len(d.Removed) != 2 || len(d.Added) != 2 || d.Same != 0 || len(d.Moves) != 2 {
		t.Fatalf("%+v", d)
	}
	if want := []string{"version: 1.3.0, was 1.2.3", "serial: 8, was 7"}; cmp.Diff(want, d.Header) != "" {
		t.Error(cmp.Diff(want, d.Header))
	}
	if len(d.Inputs) != 1 || d.Inputs[0].Name != "kernel" {
		t.Errorf("%+v", d.Inputs)
	}
	if got := fmt.Sprint(d.Moves[0].Registers, d.Moves[0].Events, len(d.Moves[0].Variants)); got != "[rtmr1] [{differs rtmr1 rtmr1.kernel the kernel}] 5" {
		t.Error(got)
	}
	if got := fmt.Sprint(d.Moves[1].Registers, len(d.Moves[1].Variants)); got != "[rtmr0 rtmr1] 3" {
		t.Error(got)
	}
	same := Compare(mustParse(t, mustAppend(t, newHeader(), old)), mustParse(t, mustAppend(t, newHeader(), old)))
	if same.Same != 10 || len(same.Header)+len(same.Inputs)+len(same.Moves)+len(same.Added)+len(same.Removed) != 0 {
		t.Errorf("a manifest differs from itself: %+v", same)
	}
}

func TestMerge(t *testing.T) {
	variants := newVariants(20)
	h := newHeader()
	whole := mustAppend(t, h, variants)
	var b bytes.Buffer
	if err := Merge(&b, *h, mustParse(t, mustAppend(t, h, variants[:12])), mustParse(t, mustAppend(t, h, variants[8:]))); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), whole) {
		t.Error("parts that overlap do not merge to the whole")
	}
	// Two images, told apart by a label.
	labelled := newHeader()
	for i := range labelled.Subjects {
		labelled.Subjects[i] = subjectOf(labelled.Subjects[i].Name+"/debug", "debug")
	}
	other := newVariants(2)
	for i := range other {
		other[i].ID += "-debug"
	}
	b.Reset()
	if err := Merge(&b, *h, mustParse(t, whole), mustParse(t, mustAppend(t, labelled, other))); err != nil {
		t.Fatal(err)
	}
	m := mustParse(t, b.Bytes())
	if m.Len() != 22 || len(m.Subjects) != 8 || cmp.Diff([]int{4, 5, 6, 7}, m.Variant(20).Platform.Inputs) != "" {
		t.Errorf("%d variants, %d subjects, inputs %v", m.Len(), len(m.Subjects), m.Variant(20).Platform.Inputs)
	}

	for _, tc := range []struct {
		name   string
		change func(h *Header, v []Variant)
		want   string
	}{
		{"another product", func(h *Header, _ []Variant) { h.Product.Name = "b" }, "are about acme-node"},
		{"another version", func(h *Header, _ []Variant) { h.Product.Version = "2" }, "are about acme-node"},
		{"another source", func(h *Header, _ []Variant) { h.Source.Commit = "2" }, "differ in source"},
		{"another policy", func(h *Header, _ []Variant) { h.Policy = nil }, "differ in source, launch or policy"},
		{"another kernel under the same name", func(h *Header, _ []Variant) { h.Subjects[1] = subjectOf("kernel", "x") }, `subject "kernel"`},
		{"another split of the arguments", func(_ *Header, v []Variant) { v[0].Platform.Arguments = []string{"-nodefaults -cpu", "host"} }, "different variants with the ID"},
		{"other words for an event", func(_ *Header, v []Variant) { v[0].Events[0].Measured.What = "x" }, "different variants with the ID"},
		{"another variant with the same ID", func(_ *Header, v []Variant) { v[0].Events = nil; v[0].Registers[0] = digestOf("x") }, "different variants with the ID"},
	} {
		h, v := newHeader(), newVariants(2)
		tc.change(h, v)
		err := Merge(&b, *newHeader(), mustParse(t, whole), mustParse(t, mustAppend(t, h, v)))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want it to say %q", tc.name, err, tc.want)
		}
	}
}

// TestCompareHeaders changes one thing beside inputs and variants at a time: none of it goes unsaid.
func TestCompareHeaders(t *testing.T) {
	old := mustParse(t, mustAppend(t, newHeader(), newVariants(1)))
	for _, tc := range []struct {
		change func(h *Header)
		want   string
	}{
		{func(h *Header) { h.NotBefore = h.NotBefore.AddDate(0, 0, 1) }, "good from: 2026-11-02T12:00:00Z, was 2026-11-01T12:00:00Z"},
		{func(h *Header) { h.Expires = h.Expires.AddDate(1, 0, 0) }, "expires: 2028-11-01T12:00:00Z, was 2027-11-01T12:00:00Z"},
		{func(h *Header) { h.Launch = nil }, "launch facts: none, was TD HOB at 0x809000, accepted 0x800000+0x6000 0x809000+0x2000"},
		{func(h *Header) { h.Policy = nil }, "policy: none, was {"},
		{func(h *Header) { h.Source.Recipe = "" }, "recipe: none, was make image"},
		{func(h *Header) { h.Tool.Version = "v0.2.0" }, "tool: v0.2.0, was v0.1.0"},
	} {
		h := newHeader()
		tc.change(h)
		d := Compare(old, mustParse(t, mustAppend(t, h, newVariants(1))))
		if len(d.Header) != 1 || !strings.HasPrefix(d.Header[0], tc.want) {
			t.Errorf("%q, want %q", d.Header, tc.want)
		}
	}
}

// TestCompareImages pairs the variants of two images by the image, in whatever order they stand.
func TestCompareImages(t *testing.T) {
	h := newHeader()
	for _, name := range []string{"firmware", "kernel"} {
		h.Subjects = append(h.Subjects, subjectOf(name+"/debug", "debug "+name))
	}
	v := newVariants(2)[:1]
	debug := newVariants(1)[0]
	debug.ID += "-debug"
	debug.Platform = &Platform{QEMU: "10.1.0", Machine: "pc-q35-10.1", Inputs: []int{4, 5}}
	debug.Events, debug.Registers[2] = nil, digestOf("debug kernel")
	v = append(v, debug)
	d := Compare(mustParse(t, mustAppend(t, h, v)), mustParse(t, mustAppend(t, h, []Variant{v[1], v[0]})))
	if d.Same != 2 || len(d.Moves) != 0 {
		t.Errorf("%+v", d)
	}
}
