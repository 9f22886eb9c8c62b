package qemu_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/qemu"
)

// corpora are the archives of real QEMU's files. Those that are called like-X come from 10.0.13 with X's tables, so that
// all but the tables is that of 10.0.13.
var corpora = []struct{ name, release string }{
	{"7.2", "7.2.22"}, {"like-8.2-tdx", "10.0.13"}, {"like-9.0", "10.0.13"}, {"like-9.2", "10.0.13"},
	{"10.0.2", "10.0.2"}, {"10.0.13", "10.0.13"}, {"10.2.2", "10.2.2"}, {"11.1.3", "11.1.3"},
}

// A dump is what config.json of a case says.
type dump struct {
	Args  []string
	FwCfg map[string]string `json:"fw_cfg_small"`
	PCI64 [][]string        `json:"pci64"`
}

// TestCorpus reads every stored command line and compares what follows from it with the fw_cfg files of real QEMU.
func TestCorpus(t *testing.T) {
	for _, corpus := range corpora {
		t.Run(corpus.name, func(t *testing.T) {
			t.Parallel()
			cases, names := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "acpi", corpus.name+".tar.zst"))
			for _, name := range names {
				t.Run(filepath.Base(name), func(t *testing.T) {
					var d dump
					if err := json.Unmarshal(cases[name]["config.json"], &d); err != nil {
						t.Fatal(err)
					}
					m, err := qemu.ParseArgs(d.Args, corpus.release, qemu.ParseOptions{})
					if err != nil {
						t.Fatal(err)
					}
					files := map[string][]byte{}
					for k, v := range d.FwCfg {
						b, err := hex.DecodeString(v)
						if err != nil {
							t.Fatal(err)
						}
						files[k] = b
					}
					compareFwCfg(t, m, files)
					compareRAM(t, m, files["etc/e820"])
					if tables := files["etc/smbios/smbios-tables"]; tables != nil { // only small files are stored
						compareCPU(t, m, tables)
					}
					comparePlaces(t, m, d.PCI64)
				})
			}
			t.Logf("%d command lines", len(names))
		})
	}
}

// compareFwCfg compares the items that firmware measures. A file that QEMU has not is an empty one.
func compareFwCfg(t *testing.T, m *qemu.Machine, files map[string][]byte) {
	t.Helper()
	items, err := m.MeasuredFwCfg()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]byte{}
	for _, it := range items {
		got[it.Name] = it.Data
	}
	for _, name := range []string{"etc/extra-pci-roots", "etc/boot-menu-wait", "etc/reserved-memory-end", "opt/ovmf/X-PciMmio64Mb", "bootorder"} {
		if !bytes.Equal(got[name], files[name]) {
			t.Errorf("%s is %q, QEMU has %q", name, got[name], files[name])
		}
	}
	if menu, ok := files["BootMenu"]; ok && !bytes.Equal(got["BootMenu"], menu) {
		t.Errorf("BootMenu is %x, QEMU has %x", got["BootMenu"], menu)
	}
}

// compareRAM compares the RAM ranges with those of etc/e820: entries of 8 bytes address, 8 bytes length, 4 bytes type.
func compareRAM(t *testing.T, m *qemu.Machine, e820 []byte) {
	t.Helper()
	want := [][2]uint64{{0, m.LowRAM()}}
	if m.HighRAM() > 0 {
		want = append(want, [2]uint64{m.HighRAMBase(), m.HighRAM()})
	}
	var got [][2]uint64
	hole := false
	for ; len(e820) >= 20; e820 = e820[20:] {
		addr, size, kind := binary.LittleEndian.Uint64(e820), binary.LittleEndian.Uint64(e820[8:]), binary.LittleEndian.Uint32(e820[16:])
		switch {
		case kind == 1:
			got = append(got, [2]uint64{addr, size})
		case addr == 0xfd00000000:
			hole = true
		}
	}
	if !slices.Equal(want, got) {
		t.Errorf("RAM is %x, QEMU has %x", want, got)
	}
	if hole != m.AMDHole() {
		t.Errorf("HyperTransport hole: %v, QEMU has %v", m.AMDHole(), hole)
	}
}

// compareCPU compares CPUID leaf 1 with the Processor ID at offset 8 of SMBIOS type 4.
func compareCPU(t *testing.T, m *qemu.Machine, tables []byte) {
	t.Helper()
	for len(tables) > 4 {
		if tables[0] == 4 {
			eax, edx := binary.LittleEndian.Uint32(tables[8:]), binary.LittleEndian.Uint32(tables[12:])
			if !m.CPU.Known {
				t.Errorf("CPUID of %s is not known: %s; QEMU has %08x %08x", m.CPU.Model, m.CPU.Why, eax, edx)
			} else if m.CPU.EAX != eax || m.CPU.EDX != edx {
				t.Errorf("CPUID of %s is %08x %08x, QEMU has %08x %08x", m.CPU.Model, m.CPU.EAX, m.CPU.EDX, eax, edx)
			}
			return
		}
		end := bytes.Index(tables[tables[1]:], []byte{0, 0})
		tables = tables[int(tables[1])+end+2:]
	}
	t.Error("QEMU's tables have no type 4")
}

// comparePlaces looks for a function at every place on bus 0 where QEMU had a 64-bit BAR or window.
func comparePlaces(t *testing.T, m *qemu.Machine, pci64 [][]string) {
	t.Helper()
	at := map[string]bool{}
	for _, d := range m.Root.Devices {
		at[fmt.Sprintf("00:%02x.%d", d.Slot, d.Function)] = true
	}
	for _, row := range pci64 {
		if place := row[1]; strings.HasPrefix(place, "00:") && !at[place] {
			t.Errorf("nothing at %s, where QEMU has a 64-bit %s", place, row[0])
		}
	}
}

// TestEmulated does the same for the machines that booted real firmware as emulated TDs.
func TestEmulated(t *testing.T) {
	for _, archive := range []string{"inteltdx-2026.08", "inteltdx-2026.08-blank", "ovmf-2022.11", "ovmf-2025.02", "ovmf-2026.08"} {
		t.Run(archive, func(t *testing.T) {
			t.Parallel()
			cases, names := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "emulated", archive+".tar.zst"))
			for _, name := range names {
				t.Run(filepath.Base(name), func(t *testing.T) {
					var c struct {
						Args    []string `json:"qemu_args"`
						Release string   `json:"qemu_version"`
					}
					if err := json.Unmarshal(cases[name]["config.json"], &c); err != nil {
						t.Fatal(err)
					}
					m, err := qemu.ParseArgs(c.Args, c.Release, qemu.ParseOptions{})
					if err != nil {
						t.Fatal(err)
					}
					files := map[string][]byte{}
					for k, v := range cases[name] {
						// fwcfg/0021-bootorder: the selector and the name, its slashes as underscores
						if n, ok := strings.CutPrefix(k, "fwcfg/"); ok {
							files[fwCfgName(n[5:])] = v
						}
					}
					if len(files) == 0 {
						t.Fatal("the case has no fw_cfg files")
					}
					compareFwCfg(t, m, files)
					compareRAM(t, m, files["etc/e820"])
					compareCPU(t, m, files["etc/smbios/smbios-tables"])
					if m.SMM || m.PIC || m.KernelIRQChip != "split" {
						t.Errorf("a TD has smm %v, pic %v, kernel-irqchip %q", m.SMM, m.PIC, m.KernelIRQChip)
					}
				})
			}
			t.Logf("%d machines", len(names))
		})
	}
}

// fwCfgName undoes the renaming of the stored files.
func fwCfgName(s string) string {
	for _, n := range []string{"etc/extra-pci-roots", "etc/boot-menu-wait", "etc/reserved-memory-end", "opt/ovmf/X-PciMmio64Mb", "etc/e820", "etc/smbios/smbios-tables"} {
		if s == strings.ReplaceAll(n, "/", "_") {
			return n
		}
	}
	if s == "boot_menu" {
		return "BootMenu"
	}
	return s
}
