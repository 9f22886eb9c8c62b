package acpi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/acpi"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/ovmf/pcibus"
	"github.com/tdxkit/tdxkit/qemu"
)

// corpora are the archives of real QEMU's files, with the release that stands for each.
var corpora = []struct{ name, release string }{
	{"7.2", "7.2.22"},
	{"like-8.2-tdx", "8.2.2-tdx"},
	{"like-9.0", "9.0.2"},
	{"like-9.2", "9.2.1"},
	{"10.0.2", "10.0.2"},
	{"10.0.13", "10.0.13"},
	{"10.2.2", "10.2.2"},
	{"11.1.3", "11.1.3"},
}

// A config is what config.json of a case says.
type config struct {
	ID       string
	Args     []string
	Firmware struct {
		PMBASE   string
		PCIEXBAR string
		Base     string `json:"mmio64_base"`
		Size     string `json:"mmio64_size"`
	} `json:"firmware_model"`
}

func number(t testing.TB, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// machineOf reads a case's command line and plays its firmware.
func machineOf(t testing.TB, raw []byte, release string) (*qemu.Machine, acpi.Chipset, error) {
	t.Helper()
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	m, err := qemu.ParseArgs(c.Args, release, qemu.ParseOptions{})
	if err != nil {
		return nil, acpi.Chipset{}, err
	}
	p, err := pcibus.Place(m, pcibus.Window{Base: number(t, c.Firmware.Base), Size: number(t, c.Firmware.Size)})
	if err != nil {
		return nil, acpi.Chipset{}, err
	}
	return m, acpi.Chipset{PMBase: uint32(number(t, c.Firmware.PMBASE)), PCIEXBAR: number(t, c.Firmware.PCIEXBAR), Functions: p}, nil
}

// newerType is the error about the cases of the like- archives whose machine type is newer than the release that they
// stand for: they come from a newer QEMU.
const newerType = "has no such machine type"

// TestCorpus builds the files of every case from its command line and compares them with real QEMU's.
func TestCorpus(t *testing.T) {
	for _, corpus := range corpora {
		t.Run(corpus.name, func(t *testing.T) {
			t.Parallel()
			cases, names := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "acpi", corpus.name+".tar.zst"))
			equal, newer, total := 0, 0, 0
			for _, name := range names {
				files := cases[name]
				if _, ok := files["tables.bin"]; !ok {
					continue
				}
				total++
				m, chip, err := machineOf(t, files["config.json"], corpus.release)
				var b *acpi.Blobs
				if err == nil {
					b, err = acpi.Build(m, chip)
				}
				if err != nil {
					if !strings.HasPrefix(corpus.name, "like-") || !strings.Contains(err.Error(), newerType) {
						t.Errorf("%s: %v", name, err)
					}
					newer++
					continue
				}
				diff := difference("tables", b.Tables, files["tables.bin"])
				diff += difference("loader", b.Loader, files["loader.bin"]) + difference("rsdp", b.RSDP, files["rsdp.bin"])
				if diff != "" {
					t.Errorf("%s: got, want:\n%s", name, diff)
					continue
				}
				equal++
			}
			t.Logf("%d of %d shapes are equal to real QEMU's; %d have a machine type that the release lacks", equal, total, newer)
			if total == 0 {
				t.Error("the archive holds no case")
			}
		})
	}
}

// difference says where two files differ, table by table for the tables' file; empty where they are equal.
func difference(what string, got, want []byte) string {
	if bytes.Equal(got, want) {
		return ""
	}
	if what != "tables" {
		return "  " + what + ": " + firstDifference(got, want) + "\n"
	}
	var s strings.Builder
	g, w := split(got), split(want)
	for i := range max(len(g), len(w)) {
		switch {
		case i >= len(g):
			fmt.Fprintf(&s, "  %s: is missing\n", w[i][:4])
		case i >= len(w):
			fmt.Fprintf(&s, "  %s: is too much\n", g[i][:4])
		case !bytes.Equal(g[i], w[i]):
			fmt.Fprintf(&s, "  %s: %s\n", g[i][:4], firstDifference(g[i], w[i]))
		}
	}
	return s.String()
}

// split cuts a tables' file into tables by their lengths.
func split(b []byte) [][]byte {
	var out [][]byte
	for len(b) >= 8 && b[0] != 0 {
		n := int(b[4]) | int(b[5])<<8 | int(b[6])<<16
		if n < 8 || n > len(b) {
			break
		}
		out, b = append(out, b[:n]), b[n:]
	}
	return out
}

// firstDifference shows the surroundings of the first byte, behind a table's header, that differs.
func firstDifference(got, want []byte) string {
	i := 0
	if len(got) > 36 && len(want) > 36 && !bytes.Equal(got[36:], want[36:]) {
		i = 36
	}
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	around := func(b []byte) string { return fmt.Sprintf("%q", b[min(len(b), max(0, i-24)):min(len(b), i+24)]) }
	return fmt.Sprintf("%d bytes, want %d; differs at %#x\n    %s\n    %s", len(got), len(want), i, around(got), around(want))
}

// firmwareGeneration says which way of choosing the 64-bit window a firmware has.
var firmwareGeneration = map[string]pcibus.Generation{
	"ovmf-2022.11":     pcibus.Stable202211,
	"ovmf-2025.02":     pcibus.Stable202308,
	"ovmf-2026.08":     pcibus.Stable202505,
	"inteltdx-2026.08": pcibus.Stable202505,
}

// TestBooted compares with what real firmware downloaded from real QEMU: nothing of the placement is given, not even the
// window.
func TestBooted(t *testing.T) {
	testBooted(t, "booted.tar.zst")
}

// testBooted compares the boots of an archive.
func testBooted(t *testing.T, archive string) {
	cases, names := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "acpi", archive))
	for _, name := range names {
		files := cases[name]
		var c struct {
			Args     []string
			QEMU     string
			Firmware string
			Model    struct{ PMBASE, PCIEXBAR string } `json:"firmware_model"`
		}
		if err := json.Unmarshal(files["config.json"], &c); err != nil {
			t.Fatal(err)
		}
		release := c.QEMU
		if release == "7.2" {
			release = "7.2.22"
		}
		gen, ok := firmwareGeneration[c.Firmware]
		if !ok {
			t.Fatalf("%s: the firmware %s is not known", name, c.Firmware)
		}
		b, err := boot(c.Args, release, gen, uint32(number(t, c.Model.PMBASE)), number(t, c.Model.PCIEXBAR))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		diff := difference("tables", b.Tables, files["tables.bin"])
		diff += difference("loader", b.Loader, files["loader.bin"]) + difference("rsdp", b.RSDP, files["rsdp.bin"])
		if diff != "" {
			t.Errorf("%s: got, want:\n%s", name, diff)
		}
	}
	t.Logf("%d boots", len(names))
}

// boot builds the files of a command line for firmware of a generation.
func boot(args []string, release string, gen pcibus.Generation, pmbase uint32, pciexbar uint64) (*acpi.Blobs, error) {
	m, err := qemu.ParseArgs(args, release, qemu.ParseOptions{})
	if err != nil {
		return nil, err
	}
	g, err := pcibus.GuestOf(m)
	if err != nil {
		return nil, err
	}
	w, err := pcibus.Window64(g, gen)
	if err != nil {
		return nil, err
	}
	p, err := pcibus.Place(m, w)
	if err != nil {
		return nil, err
	}
	return acpi.Build(m, acpi.Chipset{PMBase: pmbase, PCIEXBAR: pciexbar, Functions: p})
}
