package main

import (
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/ovmf/pcibus"
	"github.com/tdxkit/tdxkit/qemu"
)

// TestCorpus compares with what real QEMUs said of shapes that once differed, and of some that never did.
func TestCorpus(t *testing.T) {
	cases, names := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "acpi-random", "shapes.tar.zst"))
	releases := map[string]int{}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			var c keptShape
			if err := json.Unmarshal(cases[name]["config.json"], &c); err != nil {
				t.Fatal(err)
			}
			s := given(c.Args)
			s.files = c.Inputs
			p, err := predict(s, c.Release)
			if err != nil {
				t.Fatalf("%s: %v", quote(c.Args), err)
			}
			r := &record{files: map[string][]byte{}, cpu: c.CPU}
			for _, item := range append([]string{bootMenu}, wanted...) {
				if b, ok := cases[name][fileName(item)]; ok {
					r.files[item] = b
				}
			}
			for _, d := range p.compare(r) {
				t.Errorf("%s\n%s: %s", quote(c.Args), d.what, d.detail)
			}
			releases[c.Release]++
		})
	}
	if len(releases) < 4 || len(names) < 60 {
		t.Errorf("%d shapes of %v", len(names), releases)
	}
}

// causedByQEMU are the complaints of iasl, by table, that the bytes of real QEMUs cause, each with what is complained of: the
// reports of the oracle list them for every release.
var causedByQEMU = map[string]map[string]string{
	"DSDT": {
		"3073": "_HID beside _ADR", "3107": "_DSM without a value", "3115": "_DSM without a value", "3122": "PDSM, which may have none",
		"3128": "64-bit ranges of 32-bit fields", "3168": "Processor()", "6001": "the third parallel port, at 0x3bc", "6105": "_STR as a string", "6126": "two serial ports with one index, both COM1: nothing is disassembled",
	},
	"SSDT": {
		"3107": "_FIT without a value", "3115": "_FIT without a value", "3175": "a region inside a method of the NVDIMMs' root",
		"6035": "_HID QEMUVGID", "6047": "the range of vmclock",
	},
}

// TestCorpusCompiles disassembles and compiles the tables that are predicted for the corpus, each once and of DSDTs every
// fourth, and takes the complaints that QEMU's own tables cause and no others. Where one of these is an error, the source does not compile.
func TestCorpusCompiles(t *testing.T) {
	if _, err := exec.LookPath("iasl"); err != nil {
		t.Skip("left out: there is no iasl")
	}
	cases, names := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "acpi-random", "shapes.tar.zst"))
	seen := map[string]bool{}
	tables := map[string]int{}
	for _, name := range names {
		var c keptShape
		if err := json.Unmarshal(cases[name]["config.json"], &c); err != nil {
			t.Fatal(err)
		}
		s := given(c.Args)
		s.files = c.Inputs
		p, err := predict(s, c.Release)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		users := slices.Contains(c.Args, "-acpitable") // whose SSDT can hold anything
		for _, table := range splitTables(p.blobs.Tables) {
			if users && tableName(table) != "DSDT" || seen[string(table)] {
				continue
			}
			seen[string(table)] = true
			if tables[tableName(table)]++; tableName(table) == "DSDT" && tables["DSDT"]%4 != 1 {
				continue
			}
			said, err := iasl(t.TempDir(), table)
			if err != nil {
				t.Fatal(err)
			}
			for _, complaint := range said {
				number := strings.Fields(complaint)[1]
				broken := strings.HasPrefix(complaint, "cannot be compiled") && slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, "Error") })
				if !broken && causedByQEMU[tableName(table)][number] == "" {
					t.Errorf("%s, %s: %s", name, tableName(table), complaint)
				}
			}
		}
	}
	if len(tables) < 12 {
		t.Errorf("only tables of %v were compiled", tables)
	}
	t.Logf("%v", tables)
}

// TestRefused are shapes whose tables differed and of which it cannot be known what firmware makes.
func TestRefused(t *testing.T) {
	for _, args := range [][]string{
		{"-machine", "q35", "-device", "pxb-pcie,bus_nr=1", "-device", "pcie-root-port,id=p,io-reserve=0", "-device", "virtio-rng-pci-transitional,bus=p"},
	} {
		_, err := predict(given(args), "10.0.13")
		if !errors.Is(err, pcibus.ErrUnsupported) && !errors.Is(err, qemu.ErrUnsupported) {
			t.Errorf("%s: got %v, want a refusal", quote(args), err)
		}
	}
}
