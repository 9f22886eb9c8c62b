package smbios

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/qemu"
)

// TestMoreShapes compares the tables of the shapes in acpi's archive more, whose devices leave SMBIOS alone but for the
// IPMI interfaces. A trait turned over must show.
func TestMoreShapes(t *testing.T) {
	archive := filepath.Join(fixtures.Dir(), "acpi", "more.tar.zst")
	files := fixtures.Tar(t, archive)
	cases, names := fixtures.Cases(t, archive)
	read := func(path string) ([]byte, error) {
		if b, ok := files["files/"+path]; ok {
			return b, nil
		}
		return nil, fmt.Errorf("there is no %s in the archive", path)
	}
	done, turned := 0, 0
	for _, name := range names {
		var c struct {
			Args  []string
			Small map[string]string `json:"fw_cfg_small"`
		}
		if err := json.Unmarshal(cases[name]["config.json"], &c); err != nil {
			t.Fatal(err)
		}
		release, shape, _ := strings.Cut(name, "/")
		if release == "7.2" {
			release = "7.2.22"
		}
		want, err := hex.DecodeString(c.Small[tablesFile])
		if err != nil || len(want) == 0 {
			continue // larger than what the archive keeps
		}
		m, err := qemu.ParseArgs(c.Args, release, qemu.ParseOptions{ReadFile: read})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := Build(m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if string(got.Structures) != string(want) {
			t.Errorf("%s: got %x, want %x", name, got.Structures, want)
		}
		done++
		if strings.HasPrefix(shape, "ipmi-pci") {
			m.Traits.SMBIOSNoPCIIPMI = !m.Traits.SMBIOSNoPCIIPMI
			if got, err = Build(m); err != nil || string(got.Structures) == string(want) {
				t.Errorf("%s: SMBIOSNoPCIIPMI makes no difference (%v)", name, err)
			}
			turned++
		}
	}
	if done < 300 || turned != 8 {
		t.Errorf("%d shapes have tables, and %d IPMI on PCI", done, turned)
	}
	t.Logf("%d of %d shapes", done, len(names))
}
