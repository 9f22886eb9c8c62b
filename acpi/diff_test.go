package acpi_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/acpi"
	"github.com/tdxkit/tdxkit/acpi/aml"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/bin"
)

// diffLines is Diff in lines.
func diffLines(t *testing.T, a, b []byte) []string {
	t.Helper()
	d, err := acpi.Diff(a, b)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, x := range d {
		out = append(out, x.String())
	}
	return out
}

// table makes a table.
func table(sig string, body []byte) []byte {
	h := make([]byte, 36)
	copy(h, sig)
	binary.LittleEndian.PutUint32(h[4:], uint32(36+len(body)))
	copy(h[10:], "BOCHS BXPC    ")
	return append(h, body...)
}

// block is a DSDT of two devices, with marks for what tests change.
func block(change func(b *aml.Builder, what string) bool) []byte {
	var b aml.Builder
	b.Scope(`\_SB`, func() {
		b.Device("PCI0", func() {
			b.Name("_UID", aml.Int(7))
			b.Name("_PRT", aml.Package(aml.Package(aml.Int(0xffff), aml.Zero, aml.Path("LNKA"), aml.Zero), aml.Package(aml.Int(0x1ffff), aml.Zero, aml.Path("LNKB"), aml.Zero)))
			b.Device("S10", func() {
				if !change(&b, "adr") {
					b.Name("_ADR", aml.Int(0x20000))
				}
				b.Method("_STA", 0, aml.NotSerialized, func() { b.Return(aml.Int(0xf)) })
			})
			if !change(&b, "device") {
				b.Device("S18", func() { b.Name("_ADR", aml.Int(0x30000)); b.Name("_SUN", aml.Int(3)) })
			}
			if !change(&b, "region") {
				b.OperationRegion("PCST", aml.SystemIO, aml.Int(0xae00), 8)
			}
			b.Field(`PCST`, aml.DWordAcc, aml.FieldUnit{Name: "PCIU", Bits: 32})
		})
	})
	b.Scope(`\_SB.PCI0`, func() {
		if !change(&b, "method") {
			b.Method("PCNT", 2, aml.Serialized, func() { b.Notify(aml.Path("S10"), aml.Arg1) })
		}
	})
	return b.Bytes()
}

func TestDiffAML(t *testing.T) {
	same := func(*aml.Builder, string) bool { return false }
	base := table("DSDT", block(same))
	for _, tc := range []struct {
		what string
		do   func(b *aml.Builder)
		want []string
	}{
		{"adr", func(b *aml.Builder) { b.Name("_ADR", aml.Int(0x20001)) }, []string{`DSDT \_SB.PCI0.S10._ADR at 0x69: 0x20000, in B 0x20001`}},
		{"adr", func(b *aml.Builder) { b.Name("_ADR", aml.Str("x")) }, []string{`DSDT \_SB.PCI0.S10._ADR at 0x69: 0x20000, in B "x"`}},
		{"adr", func(*aml.Builder) {}, []string{`DSDT \_SB.PCI0.S10._ADR: only in A: Name, 0x20000`}},
		{"device", func(*aml.Builder) {}, []string{`DSDT \_SB.PCI0.S18: only in A: Device with 2 objects`}},
		{"device", func(b *aml.Builder) {
			b.Device("S18", func() { b.Name("_SUN", aml.Int(3)); b.Name("_ADR", aml.Int(0x30000)) })
		},
			[]string{`DSDT order of objects at 0x7f: Name, 0x30000 \_SB.PCI0.S18._ADR, in B Name, 0x3 \_SB.PCI0.S18._SUN`}},
		{"region", func(b *aml.Builder) { b.OperationRegion("PCST", aml.SystemMemory, aml.Int(0xae00), 12) },
			[]string{`DSDT \_SB.PCI0.PCST.space at 0x96: 0x1, in B 0x0`, `DSDT \_SB.PCI0.PCST.length at 0x9a: 0x8, in B 0xc`}},
		{"method", func(b *aml.Builder) {
			b.Method("PCNT", 2, aml.Serialized, func() { b.Notify(aml.Path("S10"), aml.Arg0) })
		}, []string{`DSDT in method \_SB.PCI0.PCNT at +0x6 at 0xc1: 69, in B 68`}},
	} {
		other := table("DSDT", block(func(b *aml.Builder, what string) bool {
			if what == tc.what {
				tc.do(b)
			}
			return what == tc.what
		}))
		if got := diffLines(t, base, other); strings.Join(got, "\n") != strings.Join(tc.want, "\n") {
			t.Errorf("%s:\ngot  %q\nwant %q", tc.what, got, tc.want)
		}
	}
	if at := bytes.Index(base, []byte("_ADR")) + 4; at != 0x69 {
		t.Errorf("the value of _ADR is at 0x%x, and told at 0x69", at)
	}
	if got := diffLines(t, base, base); got != nil {
		t.Errorf("a table and itself: %q", got)
	}
}

// TestDiffFields has a change of each kind in tables of fixed fields.
func TestDiffFields(t *testing.T) {
	le := binary.LittleEndian
	madt := func(entries ...[]byte) []byte {
		return table("APIC", append(le.AppendUint32(le.AppendUint32(nil, 0xfee00000), 1), bytes.Join(entries, nil)...))
	}
	cpu := func(id byte) []byte { return []byte{0, 8, id, id, 1, 0, 0, 0} }
	for _, tc := range []struct {
		name string
		a, b []byte
		want []string
	}{
		{"processor", madt(cpu(0), cpu(1)), madt(cpu(0), cpu(2)), []string{"APIC local APIC 1 processor UID at 0x36: 0x1, in B 0x2", "APIC local APIC 1 APIC ID at 0x37: 0x1, in B 0x2"}},
		{"one more", madt(cpu(0)), madt(cpu(0), cpu(1)), []string{"APIC local APIC 1: only in B: processor UID 0x1, APIC ID 0x1, flags 0x1"}},
		{"unknown entry", madt([]byte{0x80, 4, 1, 2}), madt([]byte{0x80, 4, 1, 3}), []string{"APIC entry of type 128 0 bytes at 0x2f: 02, in B 03"}},
		{"rest", madt([]byte{0, 9, 1}), madt([]byte{0, 9, 2}), []string{"APIC rest 0 bytes at 0x2e: 01, in B 02"}},
		{"header", table("WAET", []byte{2, 0, 0, 0}), func() []byte { x := table("WAET", []byte{2, 0, 0, 0}); x[8] = 2; copy(x[10:], "OTHER "); return x }(),
			[]string{"WAET revision at 0x8: 0x0, in B 0x2", `WAET OEM ID at 0xa: "BOCHS ", in B "OTHER "`}},
		{"checksum alone", table("WAET", []byte{2, 0, 0, 0}), acpi.Checksummed(table("WAET", []byte{2, 0, 0, 0})), []string{"WAET checksum at 0x9: 0x0, in B 0x69"}},
		{"unknown table", table("OEM1", []byte("abcdefgh")), table("OEM1", []byte("abXdefghij")), []string{"OEM1 bytes at 0x26: 63, in B 58", "OEM1 end at 0x2c: nothing, in B 69 6a"}},
		{"order", append(table("WAET", nil), table("HPET", nil)...), append(table("HPET", nil), table("WAET", nil)...), []string{"order of tables at 0x0: WAET HPET, in B HPET WAET"}},
		{"table", append(table("WAET", nil), table("HPET", nil)...), append(table("WAET", nil), table("WAET", nil)...), []string{"HPET: only in A: a table of 36 bytes", "WAET2: only in B: a table of 36 bytes"}},
	} {
		if got := diffLines(t, tc.a, tc.b); strings.Join(got, "\n") != strings.Join(tc.want, "\n") {
			t.Errorf("%s:\ngot  %q\nwant %q", tc.name, got, tc.want)
		}
	}
}

// TestDiffCorpus compares each stored shape with the next: there is a difference if and only if the bytes differ, it
// says the same from the other side, and it is within the tables.
func TestDiffCorpus(t *testing.T) {
	for _, corpus := range corpora {
		t.Run(corpus.name, func(t *testing.T) {
			t.Parallel()
			cases, all := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "acpi", corpus.name+".tar.zst"))
			var names []string
			for _, n := range all {
				if _, ok := cases[n]["tables.bin"]; ok {
					names = append(names, n)
				}
			}
			differ, paths, runs := 0, 0, 0
			for i := range len(names) - 1 {
				a, b := cases[names[i]]["tables.bin"], cases[names[i+1]]["tables.bin"]
				d, err := acpi.Diff(a, b)
				back, backErr := acpi.Diff(b, a)
				if err != nil || backErr != nil {
					t.Fatalf("%s, %s: %v, %v", names[i], names[i+1], err, backErr)
				}
				if bytes.Equal(a, b) != (len(d) == 0) || len(d) != len(back) {
					t.Errorf("%s, %s: %d differences, %d from the other side; equal bytes: %v", names[i], names[i+1], len(d), len(back), bytes.Equal(a, b))
				}
				if len(d) > 0 {
					differ++
				}
				for _, x := range d {
					if x.Offset >= len(a) || x.OffsetB >= len(b) || x.A == x.B {
						t.Errorf("%s, %s: %+v", names[i], names[i+1], x)
					}
					paths++
					if strings.Contains(x.Path, "bytes") || strings.Contains(x.Path, "encoding") {
						runs++
					}
				}
			}
			t.Logf("%d pairs of neighbours, %d differ, in %d places; %d of them are told as bytes", len(names)-1, differ, paths, runs)
			if differ == 0 {
				t.Error("no two neighbours differ")
			}
		})
	}
}

// TestDiffShapes holds single differences of stored shapes to what iasl -d shows of them.
func TestDiffShapes(t *testing.T) {
	cases, _ := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "acpi", "10.2.2.tar.zst"))
	for _, tc := range []struct{ a, b, want string }{
		{"mem-128G", "mem-128M", `DSDT \_SB.PCI0._CRS[5] DWordMemory minimum at 0x1da9: 0x80000000, in B 0x8000000`},
		{"smp-1", "smp-12", `APIC local APIC 11: only in B: processor UID 0xb, APIC ID 0xb, flags 0x1`},
		{"smp-1", "smp-12", `DSDT \_SB.CPUS.C00B: only in B: Processor with 4 objects`},
		{"m-i8042-off", "m-mem-encrypt-like-ksm", `FACP IAPC_BOOT_ARCH at 0x6d: 0x0, in B 0x2`},
		{"m-smmoff-picon-hpetoff", "m-smmon-picon-hpeton", `HPET: only in B: a table of 56 bytes`},
		{"m-smmoff-picon-hpetoff", "m-smmon-picon-hpeton", `FACP SMI_CMD at 0x30: 0x0, in B 0xb2`},
	} {
		a, b := cases["10.2.2/"+tc.a]["tables.bin"], cases["10.2.2/"+tc.b]["tables.bin"]
		if a == nil || b == nil {
			t.Fatalf("%s or %s is not stored", tc.a, tc.b)
		}
		if got := strings.Join(diffLines(t, a, b), "\n"); !strings.Contains(got, tc.want) {
			t.Errorf("%s, %s: %s; want %s", tc.a, tc.b, got, tc.want)
		}
	}
}

func TestDiffRefused(t *testing.T) {
	good := table("WAET", nil)
	long := table("WAET", nil)
	long[4] = 37
	bad := table("DSDT", []byte{0x10, 0x3f, '_', 'S', 'B', '_'})
	for _, tc := range []struct {
		name     string
		data     []byte
		category error
		off      int64
	}{
		{"nothing", nil, bin.ErrMalformed, 0},
		{"zeros", make([]byte, 64), bin.ErrMalformed, 0},
		{"short", good[:7], bin.ErrTruncated, 4},
		{"signature", append([]byte{1}, good[1:]...), bin.ErrMalformed, 0},
		{"length", long, bin.ErrMalformed, 4},
		{"length below the header", func() []byte { x := table("WAET", nil); x[4] = 35; return x }(), bin.ErrMalformed, 4},
		{"second table", append(table("HPET", nil), long...), bin.ErrMalformed, 40},
		{"scope", bad, bin.ErrMalformed, 37},
	} {
		_, err := acpi.Diff(tc.data, table("DSDT", nil))
		var fe *bin.FormatError
		if !errors.As(err, &fe) || !errors.Is(err, tc.category) || fe.Off != tc.off {
			t.Errorf("%s: %v; want %v at 0x%x", tc.name, err, tc.category, tc.off)
		}
	}
}

func FuzzDiff(f *testing.F) {
	same := func(*aml.Builder, string) bool { return false }
	f.Add(table("DSDT", block(same)), table("DSDT", block(func(_ *aml.Builder, what string) bool { return what == "adr" })))
	f.Add(table("APIC", []byte("0123456789abcdef")), table("APIC", []byte("0123456789abcdeX")))
	f.Add(append(table("WAET", nil), table("RSDT", []byte{0, 0, 0, 0})...), table("RSDT", []byte{0, 0, 0, 0}))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		d, err := acpi.Diff(a, b)
		if err == nil && len(d) > 0 && bytes.Equal(a, b) {
			t.Errorf("a file and itself differ: %v", d)
		}
		for _, x := range d {
			if x.Offset > len(a) || x.OffsetB > len(b) {
				t.Errorf("%+v is outside of the tables", x)
			}
		}
	})
}

func BenchmarkDiff(b *testing.B) {
	cases, _ := fixtures.Cases(b, filepath.Join(fixtures.Dir(), "acpi", "10.2.2.tar.zst"))
	x, y := cases["10.2.2/smp-1"]["tables.bin"], cases["10.2.2/smp-12"]["tables.bin"]
	b.SetBytes(int64(len(x) + len(y)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := acpi.Diff(x, y); err != nil {
			b.Fatal(err)
		}
	}
}
