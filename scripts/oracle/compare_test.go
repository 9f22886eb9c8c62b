package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/acpi"
	"github.com/tdxkit/tdxkit/qemu"
)

// theirs makes a record that agrees with a prediction.
func theirs(p *prediction) *record {
	r := &record{files: map[string][]byte{
		acpi.TablesFile: p.blobs.Tables, acpi.LoaderFile: p.blobs.Loader, acpi.RSDPFile: p.blobs.RSDP,
		smbiosTables: p.tables.Structures, smbiosAnchor: p.tables.EntryPoint,
	}, cpu: cpuFacts{p.m.CPU.PhysBits, !p.m.CPU.NoHugePages1G, "GenuineIntel"}}
	items, _ := p.m.MeasuredFwCfg()
	for _, i := range items {
		r.files[i.Name] = i.Data
	}
	for _, n := range []uint64{0, p.m.LowRAM()} {
		r.files[e820] = append(r.files[e820], byte(n), byte(n>>8), byte(n>>16), byte(n>>24), byte(n>>32), 0, 0, 0)
	}
	r.files[e820] = append(r.files[e820], 1, 0, 0, 0)
	return r
}

// TestCompareFinds changes one thing of what QEMU says, and asks that it is found and named.
func TestCompareFinds(t *testing.T) {
	s := given(strings.Fields("-machine q35 -cpu qemu64,vendor=GenuineIntel,phys-bits=46 -smp 4 -m 1G -nodefaults -device virtio-net-pci,bootindex=1"))
	p, err := predict(s, "10.0.13")
	if err != nil {
		t.Fatal(err)
	}
	if d := p.compare(theirs(p)); len(d) > 0 {
		t.Fatalf("got %v, want no difference", d)
	}
	find := func(b []byte, what string) int { return bytes.Index(b, []byte(what)) }
	flip := func(file string, at func([]byte) int) func(*record) {
		return func(r *record) {
			b := bytes.Clone(r.files[file])
			b[at(b)] ^= 4
			r.files[file] = b
		}
	}
	for _, tc := range []struct {
		name         string
		change       func(*record)
		what, detail string
	}{
		{"DSDT", flip(acpi.TablesFile, func(b []byte) int { return bytes.LastIndex(b, []byte("_STA")) + 3 }), "DSDT", `in \_SB.PCI0.SF8.MOU`},
		{"MADT", flip(acpi.TablesFile, func(b []byte) int { return find(b, "APIC") + 40 }), "APIC", "at 0x28"},
		{"signature", flip(acpi.TablesFile, func(b []byte) int { return find(b, "WAET") }), "tables", "SAET"},
		{"loader", flip(acpi.LoaderFile, func([]byte) int { return 130 }), acpi.LoaderFile, "at 0x82"},
		{"RSDP", flip(acpi.RSDPFile, func([]byte) int { return 16 }), acpi.RSDPFile, "at 0x10"},
		{"length", func(r *record) { r.files[acpi.TablesFile] = append(bytes.Clone(r.files[acpi.TablesFile]), 0) }, "tables", "131073"},
		{"SMBIOS", flip(smbiosTables, func(b []byte) int { return find(b, "QEMU") }), "SMBIOS Type 1", "UEMU"},
		{"entry point", flip(smbiosAnchor, func([]byte) int { return 8 }), "SMBIOS entry point", "at 0x8"},
		{"boot order", func(r *record) { delete(r.files, "bootorder") }, "bootorder", "at 0x0"},
		{"boot menu", flip(bootMenu, func([]byte) int { return 0 }), bootMenu, "at 0x0"},
		{"item of QEMU's", func(r *record) { r.files["etc/extra-pci-roots"] = []byte{1} }, "etc/extra-pci-roots", "at 0x0"},
		{"RAM", flip(e820, func([]byte) int { return 8 + 3 }), "RAM", "40000000"},
		{"address bits", func(r *record) { r.cpu.PhysBits = 48 }, "CPU", "48"},
		{"vendor", func(r *record) { r.cpu.Vendor = "AuthenticAMD" }, "CPU", "AuthenticAMD"},
		{"functions", func(r *record) { r.differences = []difference{{"BARs of edu", "x"}} }, "BARs of edu", "x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := theirs(p)
			tc.change(r)
			d := p.compare(r)
			if len(d) == 0 || !strings.HasPrefix(d[0].what, tc.what) || !strings.Contains(d[0].detail, tc.detail) {
				t.Errorf("got %v, want %s with %q", d, tc.what, tc.detail)
			}
		})
	}
}

func TestFindsNoEmulator(t *testing.T) {
	if _, err := findEmulators(t.TempDir()); err == nil {
		t.Error("an empty folder has no QEMU, and no error either")
	}
	t.Setenv("PATH", t.TempDir())
	var out bytes.Buffer
	ok, err := run(&options{n: 1}, "", nil, &out)
	if err != nil || !ok || !strings.Contains(out.String(), "left out") {
		t.Errorf("got %v, %v, %q; want to be told that it is left out", ok, err, &out)
	}
}

func TestReason(t *testing.T) {
	_, err := qemu.ParseArgs([]string{"-M", "q35", "-device", "sgx-epc,id=a,bus=b"}, "10.0.13", qemu.ParseOptions{})
	if got := reason(err); !strings.HasPrefix(got, "-device sgx-epc: ") {
		t.Errorf("got %q", got)
	}
	said := "qemu: warning: x\nqemu-system-x86_64: -device edu,id=d3,addr=7: slot 7 taken\n"
	if got, want := reason(refusal(said)), "qemu-system-x86_64: -device edu ...: slot N taken"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
