package dstack

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/bin"
)

// Two vm_configs of real guests: Dstack-TEE/dstack 312dc605, verifier/fixtures/quote-report.json and
// tdx-lite-getquote.json (its tdx_measurement cut).
const (
	gpuConfig  = `{"spec_version":1,"os_image_hash":"14ad42d0270b444eaeb53918a5a94d9b17eec7a817cd336173b17c5327541c67","cpu_count":16,"memory_size":68719476736,"qemu_single_pass_add_pages":false,"pic":false,"pci_hole64_size":17592186044416,"num_gpus":1,"num_nvswitches":0,"hugepages":false,"hotplug_off":true,"qemu_version":"9.2.1"}`
	liteConfig = `{"os_image_hash":"e6f5cfec20c02e7b97baa213d0f718020b55e040172d90ccbcb946d56c8b09db","cpu_count":2,"memory_size":2147483648,"qemu_version":"8.2.2","pci_hole64_size":0,"hugepages":false,"num_gpus":0,"num_nvswitches":0,"hotplug_off":false,"image":"dstack-0.6.0","host_share_mode":"9p","ovmf_variant":"pre202505","tdx_attestation_variant":"lite","tdx_measurement":{"measurement":"o2d2","checksum_file":"OGM5"},"spec_version":1}`
)

const head = "qemu-system-x86_64|-accel|kvm|-cpu|host|-nographic|-nodefaults|-chardev|null,id=com0|-serial|chardev:com0|" +
	"-bios|ovmf.fd|-kernel|bzImage|-initrd|initramfs.cpio.gz|"

const (
	disk0   = "-drive|file=rootfs.img.verity,if=none,id=hd0,format=raw,readonly=on|-device|virtio-blk-pci,drive=hd0|"
	disk1   = "-drive|file=hda.img,if=none,id=hd1,format=raw,readonly=on|-device|virtio-blk-pci,drive=hd1|"
	net0    = "-netdev|user,id=net0|-device|virtio-net-pci,netdev=net0|"
	smbios  = "-smbios|type=1,manufacturer=dstack,product=dstack|"
	vsock   = "-device|vhost-vsock-pci,guest-cid=3|"
	share   = "-virtfs|local,path=shared,mount_tag=host-shared,readonly=on,security_model=mapped,id=virtfs0|"
	machine = "-machine|q35,kernel-irqchip=split,confidential-guest-support=tdx,hpet=off|-object|tdx-guest,id=tdx|"
)

func TestVMConfigCommandLine(t *testing.T) {
	small := func(s string) string { return `{"cpu_count":1,"memory_size":1073741824` + s + `}` }
	tail := "-smp|1|-m|1024M|-append|" + cmdSize
	for _, tc := range []struct{ name, text, want, qemu string }{
		{"lite", liteConfig, head + disk0 + disk1 + net0 + smbios + vsock + share + machine + "-smp|2|-m|2048M|-append|" + cmdSize, "8.2.2"},
		{"gpu", gpuConfig, head + "-global|ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off|-global|q35-pcihost.pci-hole64-size=0x100000000000|" +
			disk0 + disk1 + net0 + smbios + vsock + share + machine +
			"-object|iommufd,id=iommufd0|-device|pcie-root-port,id=pci.1,bus=pcie.0,chassis=1|-device|vfio-pci,host=00:00.0,bus=pci.1,iommufd=iommufd0|" +
			"-smp|16|-m|65536M|-append|" + cmdSize, "9.2.1"},
		{"smallest", small(``), head + disk0 + disk1 + net0 + smbios + vsock + share + machine + tail, ""},
		{"volumes, networks and TPM", small(`,"num_verity_volumes":1,"num_nics":2,"swtpm":true`), head + disk0 + disk1 +
			"-drive|file=vol0.img,if=none,id=vol0,format=raw,readonly=on|-device|virtio-blk-pci,drive=vol0|" + net0 +
			"-netdev|user,id=net1|-device|virtio-net-pci,netdev=net1|" + smbios +
			"-chardev|socket,id=chrtpm,path=swtpm.sock|-tpmdev|emulator,id=tpm0,chardev=chrtpm|-device|tpm-tis,tpmdev=tpm0|" +
			vsock + share + machine + tail, ""},
		{"no network", small(`,"num_nics":0`), head + disk0 + disk1 + smbios + vsock + share + machine + tail, ""},
		{"vhd", small(`,"host_share_mode":"vhd"`), head + disk0 + disk1 + net0 + smbios + vsock +
			"-drive|file=shared.img,if=none,id=hd2,format=raw,readonly=on|-device|virtio-blk-pci,drive=hd2|" + machine + tail, ""},
		{"vvfat", small(`,"host_share_mode":"vvfat"`), head + disk0 + disk1 + net0 + smbios + vsock +
			"-blockdev|driver=vvfat,node-name=vvfat0,read-only=on,dir=shared|-device|virtio-blk-pci,drive=vvfat0|" + machine + tail, ""},
		{"huge pages", small(`,"hugepages":true`), head + disk0 + disk1 + net0 + smbios + vsock + share +
			"-numa|node,nodeid=0,cpus=0-0,memdev=mem0|-object|memory-backend-file,id=mem0,size=1G,mem-path=/dev/hugepages,share=on,prealloc=yes,host-nodes=0,policy=bind|" +
			"-device|pxb-pcie,id=pcie.node0,bus=pcie.0,addr=10,numa_node=0,bus_nr=5|" + machine + tail, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := ParseVMConfig([]byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			m, err := ParseMetadata([]byte(shapes[5].text))
			if err != nil {
				t.Fatal(err)
			}
			l, err := c.CommandLine(m)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(strings.Split(tc.want, "|"), l.Args); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			if l.QEMU != tc.qemu {
				t.Errorf("QEMU %q, want %q", l.QEMU, tc.qemu)
			}
		})
	}
}

// TestVMConfigRootDisk checks that an ISO image takes no PCI slot, and that other root disks are refused.
func TestVMConfigRootDisk(t *testing.T) {
	c := &VMConfig{CPUs: 1, Memory: 1 << 30, HostShare: "9p"}
	for _, tc := range []struct{ rootfs, want string }{
		{"", "initramfs.cpio.gz -drive file=hda.img"},
		{"r.iso", "-cdrom r.iso -drive file=hda.img"},
		{"a,b.verity", "-drive file=a,,b.verity,if=none,id=hd0"},
	} {
		l, err := c.CommandLine(&Metadata{BIOS: "ovmf.fd", Kernel: "k", Initrd: "initramfs.cpio.gz", Rootfs: tc.rootfs})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(l.Args, " "); !strings.Contains(got, tc.want) {
			t.Errorf("rootfs %q: %s", tc.rootfs, got)
		}
	}
	if l, err := c.CommandLine(&Metadata{Rootfs: "r.qcow2"}); err == nil {
		t.Errorf("rootfs r.qcow2: %v", l)
	}
}

func TestVMConfigClaims(t *testing.T) {
	c, err := ParseVMConfig([]byte(gpuConfig))
	if err != nil {
		t.Fatal(err)
	}
	if c.TwoPass == nil || *c.TwoPass || c.PIC == nil || *c.PIC || c.GPUs != 1 || c.NICs != 1 || c.HostShare != "9p" {
		t.Errorf("read as %+v", c)
	}
	c, err = ParseVMConfig([]byte(`{"cpu_count":1,"memory_size":1048576,"pic":true,"numa_nodes":[],"later":null}`))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"numa_nodes", "later"}, c.Ignored); d != "" {
		t.Error(d)
	}
	l, err := c.CommandLine(&Metadata{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(l.Assumed, "\n"), "pic=true") {
		t.Errorf("assumed %q", l.Assumed)
	}
	if got := strings.Join(l.Args, " "); !strings.Contains(got, "readonly=off") {
		t.Errorf("of an image without shared_ro: %s", got)
	}
	// What is assumed of one claim is said where the claim is made, and as it is made.
	for claim, want := range map[string]string{"": "", `,"pic":false`: "", `,"pic":true`: "no PIC",
		`,"qemu_single_pass_add_pages":true`: "in two passes: qemu_single_pass_add_pages is true", `,"qemu_single_pass_add_pages":false`: "in one pass: qemu_single_pass_add_pages is false"} {
		c, err := ParseVMConfig([]byte(`{"cpu_count":1,"memory_size":1048576` + claim + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if list := c.Assumed()[1:]; len(list) > 1 || (len(list) == 1) != (want != "") || !strings.Contains(strings.Join(list, ""), want) {
			t.Errorf("%s: assumed %q, want %q", claim, list, want)
		}
	}
}

func TestParseVMConfigRejects(t *testing.T) {
	with := func(s string) string { return `{"cpu_count":1,"memory_size":1073741824,` + s + `}` }
	checkRejects(t, []reject{
		{"no cpu_count", `{"memory_size":1048576}`, "cpu_count", bin.ErrMalformed, "is missing"},
		{"no memory_size", `{"cpu_count":1}`, "memory_size", bin.ErrMalformed, "is missing"},
		{"no vCPU", `{"cpu_count":0,"memory_size":1048576}`, "cpu_count", bin.ErrMalformed, "at least 1"},
		{"negative vCPUs", `{"cpu_count":-1,"memory_size":1048576}`, "cpu_count", bin.ErrMalformed, "whole number"},
		{"vCPUs as text", `{"cpu_count":"1","memory_size":1048576}`, "cpu_count", bin.ErrMalformed, "whole number"},
		{"too many vCPUs", `{"cpu_count":4097,"memory_size":1048576}`, "cpu_count", bin.ErrUnsupported, "at most 4096"},
		{"no memory", `{"cpu_count":1,"memory_size":0}`, "memory_size", bin.ErrMalformed, "whole number of MiB"},
		{"odd memory", `{"cpu_count":1,"memory_size":1048577}`, "memory_size", bin.ErrMalformed, "whole number of MiB"},
		{"memory as exponent", `{"cpu_count":1,"memory_size":1e9}`, "memory_size", bin.ErrMalformed, "whole number"},
		{"unknown key", with(`"num_tpus":1`), "num_tpus", bin.ErrUnsupported, "could change"},
		{"NUMA nodes", with(`"numa_nodes":[{"pxb_bus":5}]`), "numa_nodes", bin.ErrUnsupported, "could change"},
		{"key in capitals", with(`"Num_gpus":1`), "Num_gpus", bin.ErrUnsupported, "could change"},
		{"flag as number", with(`"hotplug_off":1`), "hotplug_off", bin.ErrMalformed, "true or false"},
		{"host_share_mode", with(`"host_share_mode":"nfs"`), "host_share_mode", bin.ErrUnsupported, "9p, vvfat or vhd"},
		{"too many GPUs", with(`"num_gpus":32`), "num_gpus", bin.ErrUnsupported, "at most 31"},
		{"os_image_hash", with(`"os_image_hash":"00"`), "os_image_hash", bin.ErrMalformed, "64 lower-case"},
		{"os_image_hash in capitals", with(`"os_image_hash":"` + strings.Repeat("0A", 32) + `"`), "os_image_hash", bin.ErrMalformed, "64 lower-case"},
		{"os_image_hash and something else", with(`"os_image_hash":"` + strings.Repeat("0a", 32) + `x"`), "os_image_hash", bin.ErrMalformed, "64 lower-case"},
		{"huge pages with GPUs", with(`"hugepages":true,"num_gpus":1`), "hugepages", bin.ErrUnsupported, "NUMA"},
		{"huge pages with odd memory", `{"cpu_count":1,"memory_size":1048576,"hugepages":true}`, "hugepages", bin.ErrUnsupported, "whole number of GiB"},
	}, func(b []byte) error { _, err := ParseVMConfig(b); return err })
}

// TestVMConfigsOfRealGuests reads every vm_config in the full collection.
func TestVMConfigsOfRealGuests(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(fixtures.Truth(t, "hardware", "dstack-vectors"), "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	read := 0
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var v struct {
			VMConfig json.RawMessage `json:"vm_config"`
		}
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatal(err)
		}
		if len(v.VMConfig) == 0 || string(v.VMConfig) == "null" {
			continue
		}
		if _, err := ParseVMConfig(v.VMConfig); err != nil {
			t.Errorf("%s: %v", filepath.Base(name), err)
		}
		read++
	}
	t.Logf("%d of %d vectors have a vm_config", read, len(files))
}

func FuzzParseVMConfig(f *testing.F) {
	f.Add([]byte(gpuConfig))
	f.Add([]byte(liteConfig))
	m, err := ParseMetadata([]byte(shapes[5].text))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseVMConfig(data)
		if err != nil {
			return
		}
		if _, err := c.CommandLine(m); err != nil {
			t.Errorf("a vm_config that is read has no command line: %v", err)
		}
	})
}
