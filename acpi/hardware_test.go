package acpi_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/acpi"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/ovmf/pcibus"
	"github.com/tdxkit/tdxkit/qemu"
)

// tdWindow is the 64-bit window of every TD seen: firmware clamps the 52 address bits to 46.
var tdWindow = pcibus.Window{Base: 0x380000000000, Size: 0x80000000000}

// build builds the files of a command line as a TD's firmware sees them.
func build(t testing.TB, args, release string) *acpi.Blobs {
	t.Helper()
	m, err := qemu.ParseArgs(strings.Fields(args), release, qemu.ParseOptions{})
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
	return b
}

// machine returns a command line with what all real machines here have alike, and devices.
func machine(cpus int, memory, devices string) string {
	return fmt.Sprintf("-M q35,smm=off,pic=off,hpet=off -cpu qemu64,vendor=GenuineIntel,phys-bits=52,+x2apic -nodefaults -serial null -smp %d -m %s %s", cpus, memory, devices)
}

// What the hosts give their guests: dstack's two disks, network, entropy and shared folder; Oasis' four functions; a
// dstack host's GPU, which a device with a BAR of its size stands for.
const (
	dstackDevices = "-drive if=none,id=hd0,file=x -device virtio-blk-pci,drive=hd0 -drive if=none,id=hd1,file=x -device virtio-blk-pci,drive=hd1 " +
		"-device virtio-net-pci -device virtio-rng-pci -virtfs local,path=/x,mount_tag=host-shared,security_model=none"
	oasisDevices = "-device virtio-net-pci -device virtio-rng-pci -device virtio-rng-pci -device virtio-rng-pci"
	dstackGPU    = dstackDevices + " -device pcie-root-port,id=pci.1,bus=pcie.0,chassis=1 -device pci-testdev,membar=128G,bus=pci.1 " +
		"-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off -global q35-pcihost.pci-hole64-size=0x100000000000"
)

// TestHardwareVectors compares with the ACPI DATA events of real TDs, whose logs replay to the registers of genuine
// quotes.
func TestHardwareVectors(t *testing.T) {
	dir := fixtures.Truth(t, "hardware", "dstack-vectors")
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s holds no vector: %v", dir, err)
	}
	shapes := []struct{ what, args, release string }{
		{"dstack, 2 CPUs", machine(2, "2G", dstackDevices), "8.2.2-tdx"},
		{"dstack, 8 CPUs", machine(8, "64G", dstackDevices), "8.2.2-tdx"},
		{"1 CPU, 1 GiB", machine(1, "1G", oasisDevices), "8.2.2-tdx"},
		{"dstack, 16 CPUs and a GPU", machine(16, "64G", dstackGPU), "9.2.1"},
	}
	known := map[[3]string]string{}
	for _, s := range shapes {
		b := build(t, s.args, s.release)
		known[[3]string{digest(b.Loader), digest(b.RSDP), digest(b.Tables)}] = s.what
	}
	seen := map[string]bool{}
	for _, path := range paths {
		var v struct {
			Loader string `json:"acpi_loader"`
			RSDP   string `json:"acpi_rsdp"`
			Tables string `json:"acpi_tables"`
		}
		raw, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(raw, &v)
		}
		if err != nil {
			t.Fatal(err)
		}
		what, ok := known[[3]string{v.Loader, v.RSDP, v.Tables}]
		if !ok {
			t.Errorf("%s: its ACPI digests are of no shape that was built", filepath.Base(path))
			continue
		}
		seen[what] = true
	}
	if len(seen) != len(shapes) {
		t.Errorf("%d of %d shapes were seen in the vectors", len(seen), len(shapes))
	}
	t.Logf("the ACPI digests of %d real TDs are those of %d shapes", len(paths), len(seen))
}

// TestHardwareDigests is TestHardwareVectors for the three kinds of machines, with the digests themselves.
func TestHardwareDigests(t *testing.T) {
	tests := []struct{ what, args, release, loader, rsdp, tables string }{
		{"github.com/Dstack-TEE/dstack 39d9d633, QEMU 8.2.2, 2 CPUs", machine(2, "2G", dstackDevices), "8.2.2-tdx",
			"095d04cf26fe03aef6e3561fa24c1aa1cea93f4aeaf563b1f9f7616184c53454875925759434769cec2490acb563a337", "8d9a4d4777a1bc77ecd9d8d37a4628129a80052a510320159a20a923bd07a0e90d8d1f2e1ebf088992b25f0d0fa672ef", "3070721e169bc41884724cb0e6b3082e1baf249083d8b389181ba50b9afa951057876c380b8870e8c2facf2eff67a2b6"},
		{"github.com/near/mpc 84a01c22, 8 CPUs", machine(8, "64G", dstackDevices), "8.2.2-tdx",
			"6dae15170c9fea6455681e3f838941a642ff9001a02a333e9ca8549af1db4ba47f01403e31dabe6e8a0b41ddd38b6d99", "b3a62232ef6be064cce25a8b92cf55d4a6c099ee7a9c0852ce0c7d572393dae84895c0f59a9db5000f0b34a90c1b1bec", "b6ed8ff3fca3c308f3f1ec7889054cc900b1c6dad9b14aedd0144d046626c81a5dbae47937f4949bb2d674a0bd699a7b"},
		{"github.com/Dstack-TEE/dstack 93624477, QEMU 9.2.1, 16 CPUs, one GPU", machine(16, "64G", dstackGPU), "9.2.1",
			"2065dd48d647e4377db277ba203526901a17845e93e0df4c2dfc3ce136e0910324ead1e1c86b8d90c2acdf9c85ffac53", "772b0169c66b52e4453fff9e3c6257635ea950ebcc8edd7ef2e2f8241cf6a155f39df01a7c7a194b6bc0abe5de11861d", "abfb2256644b5786eefdcb92303d2008c36cb9500d98997e215ef5080745d4bf2e5b3629090918e193e7f05b173d48c5"},
	}
	for _, tt := range tests {
		b := build(t, tt.args, tt.release)
		if got := digest(b.Loader); got != tt.loader {
			t.Errorf("%s: loader: got %s, want %s", tt.what, got, tt.loader)
		}
		if got := digest(b.RSDP); got != tt.rsdp {
			t.Errorf("%s: rsdp: got %s, want %s", tt.what, got, tt.rsdp)
		}
		if got := digest(b.Tables); got != tt.tables {
			t.Errorf("%s: tables: got %s, want %s", tt.what, got, tt.tables)
		}
	}
}

func digest(b []byte) string { s := sha512.Sum384(b); return hex.EncodeToString(s[:]) }

// TestHardwareTables compares with tables that others captured or made for real hosts, byte for byte.
func TestHardwareTables(t *testing.T) {
	dir := fixtures.Truth(t, "hardware")
	type shape struct{ what, args, release, file string }
	var shapes []shape
	for _, n := range []int{1, 2, 4, 8} {
		shapes = append(shapes, shape{fmt.Sprintf("dstack, %d CPUs", n), machine(n, "4G", dstackDevices), "8.2.2-tdx",
			fmt.Sprintf("dstack-acpi/qemu8.2.2fork-%dcpu-mem2048plus.acpi_tables.bin", n)})
	}
	for n := 1; n <= 16; n++ {
		memory := "512M"
		if n == 1 {
			memory = "2815M"
		}
		shapes = append(shapes, shape{fmt.Sprintf("Oasis, %d CPUs", n), machine(n, memory, oasisDevices), "8.2.2-tdx",
			fmt.Sprintf("oasis-cli/template_qemu_cpu%d.hex", n)})
	}
	// The makers of these two do not say which release they used; no other known one gives them.
	shapes = append(shapes,
		shape{"tdx-measure's default", machine(4, "2G", ""), "9.2.1", "fortanix-tdx-measure/canonical-defaults/acpi_tables.bin"},
		shape{"tdx-measure with HPET", "-M q35,smm=off,pic=off -cpu Skylake-Server,phys-bits=46 -smp 8 -m 4G -nodefaults " +
			"-global q35-pcihost.pci-hole64-size=4096G -device virtio-rng-pci -device virtio-balloon-pci -device virtio-scsi-pci,id=scsi0",
			"10.1.0", "fortanix-tdx-measure/q35-with-hpet/acpi_tables.bin"})
	for _, s := range shapes {
		want, err := os.ReadFile(filepath.Join(dir, s.file))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(s.file, ".hex") {
			if want, err = hex.DecodeString(string(bytes.TrimSpace(want))); err != nil {
				t.Fatal(err)
			}
		}
		if diff := difference("tables", build(t, s.args, s.release).Tables, want); diff != "" {
			t.Errorf("%s: got, want:\n%s", s.what, diff)
		}
	}
}
