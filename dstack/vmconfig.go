package dstack

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// A VMConfig is the vm_config that a dstack VMM reports of a guest, as far as it reaches a measurement. The VMM
// declares it; nothing vouches for it.
type VMConfig struct {
	OSImageHash string // hexadecimal SHA-256 digest; empty where it is not stated
	Image       string // name of the image, "dstack-0.5.8"
	CPUs        uint64
	Memory      uint64 // bytes
	QEMU        string // "8.2.2"; empty where it is not stated
	PIC         *bool  // nil where it is not stated
	PCIHole64   uint64 // bytes; 0 leaves QEMU's default
	Hugepages   bool
	GPUs        uint64
	NVSwitches  uint64
	NICs        uint64
	VerityVols  uint64
	SWTPM       bool
	HotplugOff  bool
	HostShare   string // "9p", "vvfat" or "vhd"
	OVMFVariant string
	Attestation string // "legacy" or "lite"; empty where it is not stated
	// TwoPass is qemu_single_pass_add_pages, which dstack's verifier reads as the opposite of its name: true means that
	// a section's pages are all added before the first is extended. Nil where it is not stated.
	TwoPass *bool

	Ignored []string // keys that were not understood, all of them with empty values
}

// Bounds on what a VMM can attach: root ports take slots of bus 0, which has 32.
const (
	maxCPUs    = 4096
	maxMemory  = 1 << 52 // bytes; no x86 guest has more physical addresses
	maxDevices = 31
)

// silent are the keys of a vm_config that reach no measurement register of a TD: they describe evidence for other
// platforms, or repeat values that the VMM expects.
var silent = []string{
	"spec_version", "tdx_measurement", "gcp_measurement", "aws_measurement", "aws_pcr_replay", "gcp_tpm_replay",
	"mr_config", "sev_snp_measurement",
}

// ParseVMConfig reads a vm_config. cpu_count and memory_size must be there. A key that it does not know is left to
// Ignored if its value is empty (null, false, 0, "", [] or {}), as a writer leaves it where a feature is not used;
// with another value it could change a measurement, and is an error.
//
// Dstack-TEE/dstack 312dc605, dstack-types/src/lib.rs, VmConfig; vmm/src/app.rs, make_vm_config.
func ParseVMConfig(data []byte) (*VMConfig, error) {
	o := parseObject("vm_config", data)
	o.require("cpu_count")
	o.require("memory_size")
	c := &VMConfig{
		OSImageHash: o.text("os_image_hash"),
		Image:       o.text("image"),
		CPUs:        o.number("cpu_count", maxCPUs, 0),
		Memory:      o.number("memory_size", maxMemory, 0),
		QEMU:        o.text("qemu_version"),
		PIC:         o.optFlag("pic"),
		PCIHole64:   o.number("pci_hole64_size", maxMemory, 0),
		Hugepages:   o.flag("hugepages"),
		GPUs:        o.number("num_gpus", maxDevices, 0),
		NVSwitches:  o.number("num_nvswitches", maxDevices, 0),
		NICs:        o.number("num_nics", maxDevices, 1),
		VerityVols:  o.number("num_verity_volumes", maxDevices, 0),
		SWTPM:       o.flag("swtpm"),
		HotplugOff:  o.flag("hotplug_off"),
		HostShare:   o.text("host_share_mode"),
		OVMFVariant: o.text("ovmf_variant"),
		Attestation: o.text("tdx_attestation_variant"),
		TwoPass:     o.optFlag("qemu_single_pass_add_pages"),
	}
	for _, key := range silent {
		o.get(key)
	}
	c.check(o)
	for _, key := range o.rest() {
		if !o.empty(key) {
			o.failf(o.values[key].off, key, bin.ErrUnsupported, "is not known, and could change a measurement")
		}
		c.Ignored = append(c.Ignored, key)
	}
	if *o.err != nil {
		return nil, *o.err
	}
	return c, nil
}

// check refuses values that the VMM would not start a guest with, or that are not understood here.
func (c *VMConfig) check(o *object) {
	at := func(key string) int64 { return o.values[key].off }
	if c.CPUs == 0 {
		o.failf(at("cpu_count"), "cpu_count", bin.ErrMalformed, "is 0, want at least 1")
	}
	if c.Memory == 0 || c.Memory%mib != 0 {
		o.failf(at("memory_size"), "memory_size", bin.ErrMalformed, "is %d bytes, want a whole number of MiB", c.Memory)
	}
	if h := c.OSImageHash; h != "" {
		if b, err := hex.DecodeString(h); err != nil || len(b) != 32 || h != strings.ToLower(h) {
			o.failf(at("os_image_hash"), "os_image_hash", bin.ErrMalformed, "is %q, want 64 lower-case hexadecimal digits", h)
		}
	}
	switch c.HostShare {
	case "":
		c.HostShare = "9p"
	case "9p", "vvfat", "vhd":
	default:
		o.failf(at("host_share_mode"), "host_share_mode", bin.ErrUnsupported, "is %q, want 9p, vvfat or vhd", c.HostShare)
	}
	if c.Hugepages && c.GPUs > 0 {
		o.failf(at("hugepages"), "hugepages", bin.ErrUnsupported,
			"is on with %d GPUs: the guest's NUMA nodes follow the host's, which vm_config does not tell", c.GPUs)
	}
	if c.Hugepages && c.Memory%(1<<30) != 0 {
		o.failf(at("hugepages"), "hugepages", bin.ErrUnsupported, "is on with %d bytes of memory, want a whole number of GiB", c.Memory)
	}
}

const mib = 1 << 20

// CommandLine returns the QEMU command line with which dstack's VMM starts a guest of image m as a TD. Devices stand
// in the VMM's order, which decides their PCI slots: root disk, data disk, verity volumes, networks, TPM, vsock, host
// share, then a root port for each GPU and NVSwitch. Files are named as m names them.
//
// Dstack-TEE/dstack 312dc605, vmm/src/app/qemu.rs, QemuCommandBuilder.
func (c *VMConfig) CommandLine(m *Metadata) (*Launch, error) {
	b := &builder{args: []string{"qemu-system-x86_64"}}
	b.add("-accel", "kvm", "-cpu", "host", "-nographic", "-nodefaults",
		"-chardev", "null,id=com0", "-serial", "chardev:com0",
		"-bios", m.BIOS, "-kernel", m.Kernel, "-initrd", m.Initrd)
	if c.HotplugOff {
		b.add("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off")
	}
	if c.PCIHole64 > 0 {
		b.add("-global", fmt.Sprintf("q35-pcihost.pci-hole64-size=0x%x", c.PCIHole64))
	}
	switch {
	case strings.HasSuffix(m.Rootfs, ".iso"):
		b.add("-cdrom", m.Rootfs)
	case strings.HasSuffix(m.Rootfs, ".verity"):
		b.disk("hd0", m.Rootfs)
	case m.Rootfs != "":
		return nil, &bin.FormatError{Format: MetadataFile, Field: "rootfs", Err: bin.ErrUnsupported,
			Msg: fmt.Sprintf("is %q, want a name that ends in .iso or .verity", m.Rootfs)}
	}
	b.disk("hd1", "hda.img")
	for i := range c.VerityVols {
		b.disk(fmt.Sprintf("vol%d", i), fmt.Sprintf("vol%d.img", i))
	}
	for i := range c.NICs {
		b.add("-netdev", fmt.Sprintf("user,id=net%d", i), "-device", fmt.Sprintf("virtio-net-pci,netdev=net%d", i))
	}
	b.add("-smbios", "type=1,manufacturer=dstack,product=dstack")
	c.addHostDevices(b, m)
	c.addMachine(b)
	b.add("-append", m.Cmdline)
	return &Launch{Args: b.args, QEMU: c.QEMU, TwoPass: c.TwoPass, Assumed: c.Assumed()}, nil
}

// addHostDevices adds the TPM, the socket to the host and the folder that the host shares.
func (c *VMConfig) addHostDevices(b *builder, m *Metadata) {
	if c.SWTPM {
		b.add("-chardev", "socket,id=chrtpm,path=swtpm.sock", "-tpmdev", "emulator,id=tpm0,chardev=chrtpm",
			"-device", "tpm-tis,tpmdev=tpm0")
	}
	b.add("-device", "vhost-vsock-pci,guest-cid=3")
	switch c.HostShare {
	case "vvfat":
		b.add("-blockdev", "driver=vvfat,node-name=vvfat0,read-only=on,dir=shared", "-device", "virtio-blk-pci,drive=vvfat0")
	case "vhd":
		b.disk("hd2", "shared.img")
	default:
		readonly := "off"
		if m.SharedRO {
			readonly = "on"
		}
		b.add("-virtfs", "local,path=shared,mount_tag=host-shared,readonly="+readonly+",security_model=mapped,id=virtfs0")
	}
}

// addMachine adds the machine, the NUMA node that huge pages bring, GPUs and NVSwitches, vCPUs and memory.
func (c *VMConfig) addMachine(b *builder) {
	if c.Hugepages {
		b.add("-numa", fmt.Sprintf("node,nodeid=0,cpus=0-%d,memdev=mem0", c.CPUs-1),
			"-object", fmt.Sprintf("memory-backend-file,id=mem0,size=%dG,mem-path=/dev/hugepages,share=on,prealloc=yes,host-nodes=0,policy=bind", c.Memory>>30),
			"-device", "pxb-pcie,id=pcie.node0,bus=pcie.0,addr=10,numa_node=0,bus_nr=5")
	}
	b.add("-machine", "q35,kernel-irqchip=split,confidential-guest-support=tdx,hpet=off", "-object", "tdx-guest,id=tdx")
	if c.GPUs+c.NVSwitches > 0 {
		b.add("-object", "iommufd,id=iommufd0")
	}
	for i := uint64(1); i <= c.GPUs+c.NVSwitches; i++ {
		b.add("-device", fmt.Sprintf("pcie-root-port,id=pci.%d,bus=pcie.0,chassis=%d", i, i),
			"-device", fmt.Sprintf("vfio-pci,host=00:00.0,bus=pci.%d,iommufd=iommufd0", i))
	}
	b.add("-smp", fmt.Sprint(c.CPUs), "-m", fmt.Sprintf("%dM", c.Memory/mib))
}

// Assumed lists what CommandLine settles and vm_config leaves open, and what it takes on vm_config's word.
func (c *VMConfig) Assumed() []string {
	list := []string{"SMBIOS strings of the VMM's default configuration (manufacturer and product \"dstack\")"}
	if c.TwoPass != nil {
		order := "one pass"
		if *c.TwoPass {
			order = "two passes"
		}
		list = append(list, fmt.Sprintf("pages of the firmware added and measured in %s: qemu_single_pass_add_pages is %v, which dstack reads as its opposite", order, *c.TwoPass))
	}
	if c.PIC != nil && *c.PIC {
		list = append(list, "the interrupt controller of a TD, which has no PIC, though vm_config says pic=true")
	}
	return list
}

// A builder collects arguments.
type builder struct{ args []string }

func (b *builder) add(args ...string) { b.args = append(b.args, args...) }

// disk adds a virtio disk with the file as its drive.
func (b *builder) disk(id, file string) {
	b.add("-drive", "file="+strings.ReplaceAll(file, ",", ",,")+",if=none,id="+id+",format=raw,readonly=on",
		"-device", "virtio-blk-pci,drive="+id)
}
