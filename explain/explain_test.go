package explain_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/explain"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/mr"
)

// boots are the emulated boots of one firmware, by vector.
type boots map[string]map[string][]byte

func load(t testing.TB, firmware string) boots {
	t.Helper()
	cases, _ := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "emulated", firmware+".tar.zst"))
	out := boots{}
	for name, files := range cases {
		out[filepath.Base(name)] = files
	}
	return out
}

// events returns the log of a boot, with the bytes of its files where whole is set.
func (b boots) events(t testing.TB, vector string, whole knowledge) []mr.Event {
	t.Helper()
	l, err := eventlog.Parse(b[vector]["ccel_log.bin"])
	if err != nil {
		t.Fatalf("%s: %v", vector, err)
	}
	events, err := mr.FromLog(l)
	if err != nil {
		t.Fatal(err)
	}
	if whole == withBytes {
		for _, data := range b[vector] {
			explain.Attach(events, data)
		}
	}
	return events
}

type knowledge int

const (
	digestsOnly knowledge = iota
	withBytes
)

// text is an explanation as one string.
func text(findings []explain.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%v %v %s\n", f.Register, f.Kind, f.Text)
		for _, d := range f.Details {
			fmt.Fprintf(&b, " - %s\n", d)
		}
		if f.Hint != "" {
			fmt.Fprintf(&b, " hint %s\n", f.Hint)
		}
	}
	return b.String()
}

// TestEvents explains emulated boots against one with 2 GiB and 1 vCPU.
func TestEvents(t *testing.T) {
	b := load(t, "ovmf-2026.08")
	base := b.events(t, "2G-1cpu", withBytes)
	for _, tc := range []struct {
		vector string
		whole  knowledge
		want   []string // parts of the explanation
		none   []string // what it must not hold
	}{
		{"2G-1cpu", withBytes, nil, nil},
		{"mem-3G", withBytes, []string{"TD HOB: the evidence has 3 GiB, the expectation 2 GiB.", "ACPI tables: DSDT differs in 3 of", "Maximum Capacity is 3145728, expected 2097152"}, []string{"kernel"}},
		{"mem-3G", digestsOnly, []string{"TD HOB: the evidence has 3 GiB, the expectation 2 GiB.", "the bytes are not at hand"}, nil},
		{"mem-64G", digestsOnly, []string{"TD HOB: the evidence has 64 GiB, the expectation 2 GiB."}, nil},
		{"mem-1G", digestsOnly, []string{"TD HOB: the evidence has 1 GiB, the expectation 2 GiB."}, nil},
		{"mem-2817M", digestsOnly, []string{"TD HOB differs: 2 GiB expected; the evidence has"}, nil},
		{"mem-2817M", withBytes, []string{"TD HOB: the evidence has 2817 MiB, the expectation 2 GiB."}, nil},
		{"smp-8", withBytes, []string{"APIC (MADT) lists 8 vCPUs, expected 1", "ACPI table loader: has the same commands over tables of other sizes.", "follows from the ACPI tables"}, []string{"TD HOB", "RSDT"}},
		{"smp-8", digestsOnly, []string{"ACPI tables differ: the bytes are not at hand", "ACPI table loader differs"}, []string{"TD HOB"}},
		{"mach-pc-q35-7.2", withBytes, []string{`type 1 (System Information): Version is "pc-q35-7.2", expected "pc-q35-10.2"`}, []string{"ACPI"}},
		{"mach-pc-q35-8.2", withBytes, []string{"missing SMBIOS:", "extra SMBIOS with a 64-bit entry point:"}, nil},
		{"dev-smbios-type1-serial", withBytes, []string{`SMBIOS: type 1 (System Information): Manufacturer is "ACME", expected "QEMU".`}, nil},
		{"dev-boot-menu-on", withBytes, []string{"fw_cfg item BootMenu: the evidence has 0x0100, the expectation 0x0000."}, nil},
		{"dev-boot-menu-on", digestsOnly, []string{"fw_cfg item BootMenu differs: the value is another one"}, nil},
		{"dev-hotmem", withBytes, []string{"SRAT is in the evidence alone", "has 19 commands, expected 17", "extra fw_cfg item etc/reserved-memory-end"}, nil},
		{"kernel-7.2-cloud", digestsOnly, []string{"kernel: the evidence has an image of 14026688 bytes, the expectation an image of 11708352 bytes; its Authenticode digest differs."}, nil},
		{"no-initrd", digestsOnly, []string{"missing initrd:", "no initrd was loaded"}, nil},
		{"disk-sdboot", digestsOnly, []string{"extra image ", "missing kernel:"}, nil},
	} {
		t.Run(fmt.Sprintf("%s %d", tc.vector, tc.whole), func(t *testing.T) {
			got := text(explain.Events(base, b.events(t, tc.vector, tc.whole)))
			if (got == "") != (tc.want == nil) {
				t.Errorf("got %q", got)
			}
			for _, w := range tc.want {
				if !strings.Contains(got, w) {
					t.Errorf("does not say %q:\n%s", w, got)
				}
			}
			for _, w := range tc.none {
				if strings.Contains(got, w) {
					t.Errorf("says %q:\n%s", w, got)
				}
			}
		})
	}
}

// TestFirmware explains one firmware against another, and one with keys against the same without.
func TestFirmware(t *testing.T) {
	old, recent := load(t, "ovmf-2025.02"), load(t, "ovmf-2026.08")
	vector := ""
	for v := range old {
		if recent[v]["ccel_log.bin"] != nil && old[v]["ccel_log.bin"] != nil && strings.HasPrefix(v, "2G") {
			vector = v
		}
	}
	got := text(explain.Events(recent.events(t, vector, withBytes), old.events(t, vector, withBytes)))
	for _, w := range []string{"missing fw_cfg item BootMenu", "missing SMBIOS", "edk2 202505"} {
		if !strings.Contains(got, w) {
			t.Errorf("%s: does not say %q:\n%s", vector, w, got)
		}
	}
	keys, blank := load(t, "inteltdx-2026.08"), load(t, "inteltdx-2026.08-blank")
	for v := range blank {
		if keys[v]["ccel_log.bin"] == nil || blank[v]["ccel_log.bin"] == nil {
			continue
		}
		got := text(explain.Events(blank.events(t, v, digestsOnly), keys.events(t, v, digestsOnly)))
		for _, w := range []string{"CFV differs: the firmware's variable store holds other Secure Boot keys", "variable db: the evidence has", "signatures", "the expectation nothing"} {
			if !strings.Contains(got, w) {
				t.Errorf("%s: does not say %q:\n%s", v, w, got)
			}
		}
		break
	}
}

// TestCommandLine tries what a log does not hold.
func TestCommandLine(t *testing.T) {
	event := func(s string, bytes []byte) mr.Event {
		return mr.Event{Register: mr.RTMR2, Type: eventlog.EVEventTag, Data: eventlog.AppendLinuxTag(nil, 0x8F3B22ED),
			Measured: mr.Measured{Bytes: bytes, Digest: mr.Sum(efi.AppendUTF16Z(nil, s))}}
	}
	want := "console=ttyS0 quiet initrd=initrd"
	for got, says := range map[string]string{
		"console=ttyS0 quiet":               `the evidence has "console=ttyS0 quiet", the expectation "console=ttyS0 quiet initrd=initrd"`,
		"initrd=initrd console=ttyS0 quiet": `the evidence has "initrd=initrd console=ttyS0 quiet"`,
		"something else":                    `"console=ttyS0 quiet initrd=initrd" was expected`,
	} {
		f := explain.Events([]mr.Event{event(want, efi.AppendUTF16Z(nil, want))}, []mr.Event{event(got, nil)})
		if len(f) != 1 || !strings.Contains(f[0].Text, says) {
			t.Errorf("%q: got %s, want %q", got, text(f), says)
		}
	}
	f := explain.Events([]mr.Event{event(want, efi.AppendUTF16Z(nil, want))}, []mr.Event{event("console=hvc0 quiet", efi.AppendUTF16Z(nil, "console=hvc0 quiet"))})
	if len(f) != 1 || !slices.Contains(f[0].Details, "only in the evidence: console=hvc0") || !slices.Contains(f[0].Details, "only expected: initrd=initrd") {
		t.Errorf("got %s", text(f))
	}
	if f := explain.Events([]mr.Event{event(want, nil)}, []mr.Event{event("x", nil)}); len(f) != 1 || !strings.Contains(f[0].Text, "the log does not hold it") {
		t.Errorf("got %s", text(f))
	}
}

func TestRuntime(t *testing.T) {
	want := dstack.AppendRuntimeEvent(nil, "storage-fs", []byte("zfs"))
	got := dstack.AppendRuntimeEvent(nil, "storage-fs", []byte("ext4"))
	if f := explain.Events(want, got); len(f) != 1 || f[0].Text != `event "storage-fs": the evidence has "ext4", the expectation "zfs".` {
		t.Errorf("got %s", text(f))
	}
}

func TestRegisters(t *testing.T) {
	want := map[mr.Register]mr.Digest{mr.MRTD: {1}, mr.RTMR0: {2}, mr.RTMR1: {3}}
	got := mr.Values{{9}, {2}, {}}
	f := explain.Registers(want, got, []explain.Alternative{{Register: mr.MRTD, Digest: mr.Digest{9}, Text: "all pages are added first"}})
	if s := text(f); len(f) != 2 || !strings.Contains(s, "mrtd differs: it is what the same files give if all pages are added first.") || !strings.Contains(s, "nothing extended the register") {
		t.Errorf("got %s", s)
	}
	if f := explain.Registers(want, mr.Values{{1}, {2}, {3}}, nil); f != nil {
		t.Errorf("equal registers: got %s", text(f))
	}
}

func TestAttach(t *testing.T) {
	e := []mr.Event{{Measured: mr.Measured{Digest: mr.Sum([]byte("twelve bytes"))}}}
	if explain.Attach(e, []byte("other")) || e[0].Measured.Bytes != nil {
		t.Error("bytes that no event hashes are attached")
	}
	if !explain.Attach(e, []byte("twelve bytes")) || string(e[0].Measured.Bytes) != "twelve bytes" {
		t.Error("bytes that an event hashes are not attached")
	}
}

// FuzzEvents gives the explanation any bytes for a HOB, tables and a command line.
func FuzzEvents(f *testing.F) {
	b := load(f, "ovmf-2026.08")["2G-1cpu"]
	f.Add(b["td_hob.bin"], b["fwcfg-acpi-tables.bin"][:9000], b["smbios_tables.bin"])
	f.Add([]byte("\x09\x00"), []byte("DSDT\xff\xff\xff\xff"), []byte{127, 4})
	types := []eventlog.Type{eventlog.EVEFIHandoffTables2, eventlog.EVPlatformConfigFlags, eventlog.EVEFIHandoffTables, eventlog.EVEventTag, eventlog.EVEFIVariableDriverConfig}
	f.Fuzz(func(t *testing.T, x, y, z []byte) {
		side := func(list ...[]byte) (events []mr.Event) {
			for i, b := range list {
				data := b
				switch types[i%len(types)] {
				case eventlog.EVPlatformConfigFlags:
					data = []byte(eventlog.ACPIData)
				case eventlog.EVEFIHandoffTables:
					data = eventlog.AppendHandoffTables(nil, eventlog.SMBIOSTable, 0)
				case eventlog.EVEventTag:
					data = eventlog.AppendLinuxTag(nil, 0x8F3B22ED)
				}
				events = append(events, mr.Event{Register: mr.RTMR0, Type: types[i%len(types)], Data: data, Measured: mr.Measured{Bytes: b, Digest: mr.Sum(b)}})
			}
			return events
		}
		for _, f := range explain.Events(side(x, y, z, x, y), side(z, z, x, y, x)) {
			if f.Text == "" || strings.ContainsAny(f.Text, "\n\x1b") {
				t.Errorf("says %q", f.Text)
			}
		}
	})
}

func BenchmarkEvents(b *testing.B) {
	boots := load(b, "ovmf-2026.08")
	want, got := boots.events(b, "2G-1cpu", withBytes), boots.events(b, "mem-64G", digestsOnly)
	b.ReportAllocs()
	for b.Loop() {
		explain.Events(want, got)
	}
}
