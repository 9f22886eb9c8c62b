package acpi_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/acpi"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/ovmf/pcibus"
	"github.com/tdxkit/tdxkit/qemu"
)

// moreReleases are the releases of the archive more, by folder.
var moreReleases = map[string]string{"7.2": "7.2.22", "10.0.2": "10.0.2", "10.0.13": "10.0.13", "11.1.3": "11.1.3"}

// TestMore does as TestCorpus for what fewer machines have: HMAT, IOMMUs of all kinds, memory devices, user tables, and
// the boot order of further devices.
func TestMore(t *testing.T) {
	archive := filepath.Join(fixtures.Dir(), "acpi", "more.tar.zst")
	files := fixtures.Tar(t, archive)
	read := func(path string) ([]byte, error) {
		if b, ok := files["files/"+path]; ok {
			return b, nil
		}
		return nil, fmt.Errorf("there is no %s in the archive", path)
	}
	cases, names := fixtures.Cases(t, archive)
	equal := map[string]int{}
	for _, name := range names {
		folder, _, _ := strings.Cut(name, "/")
		release, ok := moreReleases[folder]
		if !ok {
			t.Fatalf("%s: the release is not known", name)
		}
		var c struct {
			config
			Small map[string]string `json:"fw_cfg_small"`
		}
		if err := json.Unmarshal(cases[name]["config.json"], &c); err != nil {
			t.Fatal(err)
		}
		m, err := qemu.ParseArgs(c.Args, release, qemu.ParseOptions{ReadFile: read})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p, err := pcibus.Place(m, pcibus.Window{Base: number(t, c.Firmware.Base), Size: number(t, c.Firmware.Size)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		b, err := acpi.Build(m, acpi.Chipset{PMBase: uint32(number(t, c.Firmware.PMBASE)), PCIEXBAR: number(t, c.Firmware.PCIEXBAR), Functions: p})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		diff := difference("tables", b.Tables, cases[name]["tables.bin"])
		diff += difference("loader", b.Loader, cases[name]["loader.bin"]) + difference("rsdp", b.RSDP, cases[name]["rsdp.bin"])
		for _, item := range []string{"bootorder", "etc/reserved-memory-end", "etc/extra-pci-roots"} {
			want, err := hex.DecodeString(c.Small[item]) // none where QEMU has no such item
			if err != nil {
				t.Fatal(err)
			}
			diff += difference(item, itemOf(t, m, item), want)
		}
		if diff != "" {
			t.Errorf("%s: got, want:\n%s", name, diff)
			continue
		}
		equal[folder]++
	}
	t.Logf("equal to real QEMU's, by release: %v of %d", equal, len(names))
}

// TestMoreTraits is TestTraits for the traits that only shapes of this archive show.
func TestMoreTraits(t *testing.T) {
	archive := filepath.Join(fixtures.Dir(), "acpi", "more.tar.zst")
	cases, _ := fixtures.Cases(t, archive)
	for folder, release := range moreReleases {
		for trait, shape := range map[string]string{"HMATAllNodes": "hmat-nocpu-memless", "IVRSShort": "amd"} {
			files := cases[folder+"/"+shape]
			m, chip, err := machineOf(t, files["config.json"], release)
			if err != nil {
				t.Fatal(err)
			}
			f := reflect.ValueOf(&m.Traits).Elem().FieldByName(trait)
			f.SetBool(!f.Bool())
			b, err := acpi.Build(m, chip)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Equal(b.Tables, files["tables.bin"]) {
				t.Errorf("%s: %s=%v makes no difference to %s", folder, trait, f.Bool(), shape)
			}
		}
	}
}

// itemOf returns a fw_cfg item that firmware may measure.
func itemOf(t *testing.T, m *qemu.Machine, name string) []byte {
	t.Helper()
	items, err := m.MeasuredFwCfg()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range items {
		if i.Name == name {
			return i.Data
		}
	}
	return nil
}

// TestBootedMore does as TestBooted for what needs firmware to have placed BARs below 4 GiB, and for memory that CXL
// reserves.
func TestBootedMore(t *testing.T) {
	testBooted(t, "booted-more.tar.zst")
}

// TestNamedHostDevices builds the dstack host's machine with its GPU named, as a user does who has the host's command
// line: the tables are those of the TD there.
func TestNamedHostDevices(t *testing.T) {
	const port = " -device pcie-root-port,id=pci.1,bus=pcie.0,chassis=1 -device vfio-pci,host=41:00.0,bus=pci.1,id=gpu0 "
	const globals = "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off -global q35-pcihost.pci-hole64-size=0x100000000000"
	args := strings.Fields(machine(16, "64G", dstackDevices+port+globals))
	for _, d := range qemu.HostDevices() {
		if !strings.HasPrefix(d.Name, "nvidia-h") {
			continue
		}
		m, err := qemu.ParseArgs(args, "9.2.1", qemu.ParseOptions{HostDevices: map[string]string{"gpu0": d.Name}})
		if err != nil {
			t.Fatal(err)
		}
		p, err := pcibus.Place(m, tdWindow)
		if err != nil {
			t.Fatal(err)
		}
		b, err := acpi.Build(m, acpi.Chipset{PMBase: 0x600, PCIEXBAR: 0xe0000000, Functions: p})
		if err != nil {
			t.Fatal(err)
		}
		if got := digest(b.Tables); got != "abfb2256644b5786eefdcb92303d2008c36cb9500d98997e215ef5080745d4bf2e5b3629090918e193e7f05b173d48c5" {
			t.Errorf("%s: the tables' digest is %s", d.Name, got)
		}
	}
}
