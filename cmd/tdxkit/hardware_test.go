package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/dstack"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/mr/predict"
	"github.com/tdxkit/tdxkit/qemu"
)

// TestVMConfigOfHardware builds the ACPI blobs of the guests that vm_configs of real machines describe, and compares them
// with the digests that those guests logged and that their quotes bear out. What the vm_config leaves open (the
// firmware, the BARs of the GPU) does not reach these bytes: the firmware puts its 64-bit window where all firmware of a
// TD does.
func TestVMConfigOfHardware(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(fixtures.Truth(t, "hardware", "dstack-vectors"), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	done := 0
	for _, path := range files {
		var v struct {
			VMConfig json.RawMessage `json:"vm_config"`
			Loader   string          `json:"acpi_loader"`
			RSDP     string          `json:"acpi_rsdp"`
			Tables   string          `json:"acpi_tables"`
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatal(err)
		}
		if len(v.VMConfig) == 0 || string(v.VMConfig) == "null" {
			continue
		}
		done++
		t.Run(strings.ReplaceAll(filepath.Base(path), "?", "x"), func(t *testing.T) {
			config, err := dstack.ParseVMConfig(v.VMConfig)
			if err != nil {
				t.Fatal(err)
			}
			launch, err := config.CommandLine(&dstack.Metadata{BIOS: "ovmf.fd", Kernel: "bzImage", Initrd: "initrd", Rootfs: "rootfs.img.verity"})
			if err != nil {
				t.Fatal(err)
			}
			j := &job{stated: true, releases: []string{launch.QEMU, launch.QEMU + "-tdx"}, parse: qemu.ParseOptions{
				BARs: map[string][]qemu.BAR{"00:00.0": {{Index: 2, Size: 128 << 30, Kind: qemu.BARPref64}}},
			}}
			machines, err := j.machines(launch.Args)
			if err != nil {
				t.Fatal(err)
			}
			blobs, err := predict.ACPI(nil, machines[0], 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range []struct {
				name, want string
				data       []byte
			}{{"loader", v.Loader, blobs.Loader}, {"rsdp", v.RSDP, blobs.RSDP}, {"tables", v.Tables, blobs.Tables}} {
				if got := mr.Sum(b.data).String(); got != b.want {
					t.Errorf("%s: digest %s, the guest logged %s", b.name, got, b.want)
				}
			}
		})
	}
	if done == 0 {
		t.Fatal("no vector has a vm_config")
	}
	t.Logf("%d of %d vectors have a vm_config", done, len(files))
}
