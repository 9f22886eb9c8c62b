package acpi_test

import (
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/acpi"
	"github.com/tdxkit/tdxkit/qemu"
)

// TestLoaderSize adds user tables, of one command each, until the script needs another 4 KiB. Firmware reads as much
// as the script needed before the MCFG table was there, whatever it needs afterwards.
func TestLoaderSize(t *testing.T) {
	read := func(string) ([]byte, error) { return make([]byte, 8), nil }
	args := strings.Fields("-machine q35 -m 1G -nodefaults")
	cut, whole := 0, 0
	for range 20 {
		args = append(args, "-acpitable", "sig=TEST,data=t")
		m, err := qemu.ParseArgs(args, "10.0.13", qemu.ParseOptions{ReadFile: read})
		if err != nil {
			t.Fatal(err)
		}
		before, err := acpi.Build(m, acpi.Chipset{PMBase: 0x600})
		if err != nil {
			t.Fatal(err)
		}
		after, err := acpi.Build(m, acpi.Chipset{PMBase: 0x600, PCIEXBAR: 0xe0000000})
		if err != nil {
			t.Fatal(err)
		}
		if len(after.Commands) != len(before.Commands)+2 || len(after.Loader) != len(before.Loader) || len(after.Loader)%4096 != 0 {
			t.Errorf("%d commands in %d bytes, without MCFG %d in %d", len(after.Commands), len(after.Loader), len(before.Commands), len(before.Loader))
		}
		if 128*len(after.Commands) > len(after.Loader) {
			cut++
		} else {
			whole++
		}
	}
	if cut != 2 || whole != 18 {
		t.Errorf("%d scripts are cut and %d are whole, want 2 and 18", cut, whole)
	}
}
