package smbios

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/qemu"
)

// archives are the collections of shapes that real QEMU built tables for, and the release that did. Those named "like"
// were built by 10.0.13 with pieces of its ACPI turned back, which SMBIOS knows nothing of.
var archives = map[string]string{
	"7.2": "7.2.22", "10.0.2": "10.0.2", "10.0.13": "10.0.13", "10.2.2": "10.2.2", "11.1.3": "11.1.3",
	"like-8.2-tdx": "10.0.13", "like-9.0": "10.0.13", "like-9.2": "10.0.13",
}

// machine reads a command line.
func machine(t testing.TB, args []string, release string) *qemu.Machine {
	t.Helper()
	m, err := qemu.ParseArgs(args, release, qemu.ParseOptions{})
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return m
}

// A cpuid is leaf 1 EAX and EDX.
type cpuid struct{ eax, edx uint32 }

// cpuidOf returns what the first type 4 structure of QEMU's tables says. Tests give it to machines whose CPU model has no
// CPUID of its own; a Build that puts it where it does not belong differs from the tables all the same.
func cpuidOf(t testing.TB, tables []byte) cpuid {
	t.Helper()
	for off := 0; off < len(tables); {
		e, err := measure(tables, off)
		if err != nil {
			t.Fatal(err)
		}
		if s := tables[off:]; s[0] == 4 {
			return cpuid{binary.LittleEndian.Uint32(s[8:]), binary.LittleEndian.Uint32(s[12:])}
		}
		off += e.size
	}
	return cpuid{}
}

// with returns a copy of m whose CPU is known.
func (id cpuid) with(m *qemu.Machine) *qemu.Machine {
	c := *m
	if !c.CPU.Known {
		c.CPU.Known, c.CPU.EAX, c.CPU.EDX = true, id.eax, id.edx
	}
	return &c
}

// TestBuildIsQEMUs compares with the tables of every shape in the collections.
func TestBuildIsQEMUs(t *testing.T) {
	for archive, release := range archives {
		t.Run(archive, func(t *testing.T) {
			t.Parallel()
			cases, names := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "acpi", archive+".tar.zst"))
			seen := map[cpuid]bool{}
			shapes := make([]shape, len(names))
			for i, name := range names {
				c := &shapes[i]
				decode(t, cases[name]["config.json"], c)
				c.tables = unhex(t, c.Small[tablesFile])
				if len(c.tables) > 0 {
					seen[cpuidOf(t, c.tables)] = true
				}
			}
			for i, name := range names {
				t.Run(name, func(t *testing.T) { testShape(t, &shapes[i], release, seen) })
			}
			if len(names) < 200 {
				t.Errorf("%d shapes, want some 240", len(names))
			}
		})
	}
}

// A shape is one config.json of the collections. Tables of more than a few KiB are there as digests only.
type shape struct {
	Args  []string
	Small map[string]string                     `json:"fw_cfg_small"`
	Files map[string]struct{ SHA384 mr.Digest } `json:"fw_cfg"`

	tables []byte
}

func testShape(t *testing.T, s *shape, release string, seen map[cpuid]bool) {
	m := machine(t, s.Args, release)
	if len(s.tables) > 0 {
		got, err := Build(cpuidOf(t, s.tables).with(m))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, tablesFile, got.Structures, s.tables)
		compare(t, anchorFile, got.EntryPoint, unhex(t, s.Small[anchorFile]))
		return
	}
	// The CPU is one of those that this QEMU showed in other shapes.
	for id := range seen {
		got, err := Build(id.with(m))
		if err != nil {
			t.Fatal(err)
		}
		if mr.Sum(got.Structures) == s.Files[tablesFile].SHA384 && mr.Sum(got.EntryPoint) == s.Files[anchorFile].SHA384 {
			return
		}
	}
	t.Errorf("no digest is %s", s.Files[tablesFile].SHA384)
}

const (
	tablesFile = "etc/smbios/smbios-tables"
	anchorFile = "etc/smbios/smbios-anchor"
)

// builds are the strings of the firmware images in the collection, as their published tables have them.
var builds = map[string]FirmwareInfo{
	"ovmf-2022.11":           {"EFI Development Kit II / OVMF", "0.0.0", "02/06/2015"},
	"ovmf-2025.02":           {"Debian distribution of EDK II", "2025.02-8+deb13u1", "11/08/2025"},
	"ovmf-2026.08":           {"Debian distribution of EDK II", "2026.08+ds-2", "09/26/2026"},
	"inteltdx-2026.08":       {"Debian distribution of EDK II", "2026.08+ds-2", "09/26/2026"},
	"inteltdx-2026.08-blank": {"Debian distribution of EDK II", "2026.08+ds-2", "09/26/2026"},
}

// TestBoots follows the tables through boots of real firmware: what QEMU handed out, what the firmware published, and
// the digest that it extended RTMR0 with.
func TestBoots(t *testing.T) {
	for _, firmware := range fixtures.FirmwareNames() {
		t.Run(firmware, func(t *testing.T) {
			t.Parallel()
			cases, names := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "emulated", firmware+".tar.zst"))
			measured := 0
			for _, name := range names {
				t.Run(name, func(t *testing.T) { measured += testBoot(t, cases[name], builds[firmware]) })
			}
			// Firmware measures SMBIOS from edk2-stable202505 on.
			if want := map[bool]int{true: len(names)}[strings.Contains(firmware, "2026")]; measured != want {
				t.Errorf("%d of %d boots measured the tables, want %d", measured, len(names), want)
			}
		})
	}
}

// testBoot returns how many events of the boot measure the tables.
func testBoot(t *testing.T, files map[string][]byte, fw FirmwareInfo) int {
	var config struct {
		Args    []string `json:"qemu_args"`
		Release string   `json:"qemu_version"`
	}
	decode(t, files["config.json"], &config)
	tables := find(t, files, "fwcfg/", "smbios-tables")
	q, err := Build(cpuidOf(t, tables).with(machine(t, config.Args, config.Release)))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, tablesFile, q.Structures, tables)
	compare(t, anchorFile, q.EntryPoint, find(t, files, "fwcfg/", "smbios-anchor"))
	published, err := Published(q, fw)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "published table", published, find(t, files, "smbios_tables", ".bin"))
	filtered, err := Filter(published)
	if err != nil {
		t.Fatal(err)
	}
	var events []struct {
		Digest mr.Digest
		Type   uint32 `json:"event_type_id"`
		RTMR   int
	}
	decode(t, files["events.json"], &events)
	measured := 0
	for _, e := range events {
		if e.Type != 0x80000009 { // EV_EFI_HANDOFF_TABLES
			continue
		}
		measured++
		if got := mr.Sum(filtered); got != e.Digest || e.RTMR != 0 {
			t.Errorf("event digest %s, want %s in RTMR0, is in RTMR%d", got, e.Digest, e.RTMR)
		}
	}
	return measured
}

// TestRealTD is a TD on an Emerald Rapids host, whose owner published its tables and the digest in its event log:
// chutesai/tdx-measure, revision 262fa35c, src/smbios.rs.
func TestRealTD(t *testing.T) {
	const eventDigest = "6801eb1ddd477a6a52232e291d4287b0e8f047d8f289546a0621cede30a9913d52c5eff1d8e299b064a9162fbe2f6f76"
	m := &qemu.Machine{
		Type: "pc-q35-10.2", RAM: 1155072 << 20,
		Topology: qemu.Topology{CPUs: 124, MaxCPUs: 124, Sockets: 2, Dies: 1, Modules: 1, Cores: 62, Threads: 1},
		CPU:      qemu.CPU{Model: "host", Known: true, EAX: 0x000c06f2, EDX: 0x1fa9fbff},
		SMBIOS: qemu.SMBIOSOptions{Entries: []qemu.SMBIOSEntry{
			{Type: 1, Fields: []qemu.KeyValue{{Key: "manufacturer", Value: "Chutes"}, {Key: "product", Value: "TDX-VM"}, {Key: "version", Value: "1.0"}, {Key: "serial", Value: "0"}}},
			{Type: 2, Fields: []qemu.KeyValue{{Key: "manufacturer", Value: "Chutes"}, {Key: "product", Value: "TDX-VM"}, {Key: "version", Value: "1.0"}, {Key: "serial", Value: "0"}}},
			{Type: 3, Fields: []qemu.KeyValue{{Key: "manufacturer", Value: "Chutes"}, {Key: "version", Value: "1.0"}, {Key: "serial", Value: "0"}}},
		}},
	}
	q, err := Build(m)
	if err != nil {
		t.Fatal(err)
	}
	published, err := Published(q, FirmwareInfo{Vendor: "EDK II"})
	if err != nil {
		t.Fatal(err)
	}
	filtered, err := Filter(published)
	if err != nil {
		t.Fatal(err)
	}
	if got := mr.Sum(filtered).String(); got != eventDigest {
		t.Errorf("event digest %s, want %s", got, eventDigest)
	}
}

func decode(t testing.TB, b []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// find returns the file whose name begins with prefix and ends with suffix; where a boot left several, they are equal.
func find(t testing.TB, files map[string][]byte, prefix, suffix string) []byte {
	t.Helper()
	var found []byte
	for name, b := range files {
		if !strings.HasPrefix(name, prefix) || !strings.HasSuffix(name, suffix) {
			continue
		}
		if found != nil && !bytes.Equal(found, b) {
			t.Fatalf("files %s*%s differ", prefix, suffix)
		}
		found = b
	}
	if found == nil {
		t.Fatalf("no file %s*%s", prefix, suffix)
	}
	return found
}

// compare shows which fields differ.
func compare(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	g, errGot := Parse(got)
	w, errWant := Parse(want)
	if errGot != nil || errWant != nil {
		t.Errorf("%s:\ngot  %x\nwant %x", what, got, want)
		return
	}
	for i := range max(len(g), len(w)) {
		var a, b []string
		if i < len(g) {
			a = strings.Split(g[i].String(), "\n")
		}
		if i < len(w) {
			b = strings.Split(w[i].String(), "\n")
		}
		if slices.Equal(a, b) {
			continue
		}
		t.Errorf("%s, structure %d:\ngot  %q\nwant %q", what, i, a, b)
		return
	}
}
