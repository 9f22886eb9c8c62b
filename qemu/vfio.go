package qemu

import (
	"fmt"
	"slices"
	"strings"
)

// A HostDevice is a kind of device that hosts pass on to guests with vfio-pci, which shows the guest the device's own
// BARs: the command line does not tell them.
type HostDevice struct {
	Name  string
	PCIID string // vendor and device
	BARs  []BAR
	Cite  string // who showed the BARs of such a device
}

const (
	mib = 1 << 20
	// sek8s is a project that runs GPUs in TDs and keeps what lspci -vvv says on its hosts.
	sek8s = "github.com/chutesai/sek8s, tests of chutes_cvm: layouts from lspci -vvv on a host of each model"
)

// hostDevices are the devices that people pass into TDs, as far as somebody showed their BARs. The large BAR of a GPU can
// be resized by its host; these are the sizes that the devices come up with. vfio-pci hides the capability for virtual
// functions from guests, so that they need no room (QEMU v10.2.2, hw/vfio/pci.c, vfio_add_ext_cap).
var hostDevices = []HostDevice{
	{"nvidia-h100-pcie", "10de:2331", gpuBARs(16*mib, 128*gib), sek8s},
	{"nvidia-h100-sxm", "10de:2330", gpuBARs(16*mib, 128*gib), "github.com/fastfetch-cli/fastfetch/issues/1658, lspci of a host with H100s"},
	{"nvidia-h20", "10de:2329", gpuBARs(16*mib, 128*gib), "github.com/NVIDIA/nvtrust/issues/128, lspci in a guest"},
	{"nvidia-h200-sxm", "10de:2335", gpuBARs(16*mib, 256*gib), sek8s},
	{"nvidia-b200", "10de:2901", gpuBARs(64*mib, 256*gib), "ubicloud.com/blog/virtualizing-nvidia-hgx-b200-gpus-with-open-source, lspci of a host"},
	{"nvidia-b300", "10de:3182", gpuBARs(64*mib, 512*gib), sek8s},
	{"nvidia-rtx-pro-6000", "10de:2bb5", gpuBARs(64*mib, 128*gib), sek8s},
	{"nvidia-nvswitch", "10de:22a3", []BAR{mem64(0, 32*mib)}, "github.com/Dstack-TEE/dstack, lspci/src/lib.rs: lspci of a host with H100 NVSwitches"},
	{"connectx-7", "15b3:1021", []BAR{pref64(0, 32*mib)}, "lspci of a host in an answer to \"iommu: Compute iommu_groups properly for PCIe switches\", linux-iommu, 2025"},
}

// gpuBARs are those of NVIDIA's GPUs: registers, memory, and a window of 32 MiB.
func gpuBARs(registers, memory uint64) []BAR {
	return []BAR{pref64(0, registers), pref64(2, memory), pref64(4, 32*mib)}
}

// HostDevices returns the devices that [ParseOptions.HostDevices] can name.
func HostDevices() []HostDevice {
	out := slices.Clone(hostDevices)
	for i := range out {
		out[i].BARs = slices.Clone(out[i].BARs)
	}
	return out
}

// hostDeviceNames are their names.
func hostDeviceNames() []string {
	var names []string
	for _, d := range hostDevices {
		names = append(names, d.Name)
	}
	return names
}

// vfioBARs takes the BARs of a passed-on device from the caller: they are the host device's own. What is said of one
// device goes before what is said of all, and BARs before a name.
func vfioBARs(d *deviceBuild) ([]BAR, error) {
	keys := []string{d.id, d.props.str("host"), d.props.str("sysfsdev"), AnyHostDevice}
	for _, k := range keys {
		if k == "" {
			continue
		}
		if bars, ok := d.b.opts.BARs[k]; ok {
			return bars, nil
		}
		name, ok := d.b.opts.HostDevices[k]
		if !ok {
			continue
		}
		i := slices.IndexFunc(hostDevices, func(h HostDevice) bool { return h.Name == name })
		if i < 0 {
			hint := nearest(name, hostDeviceNames())
			if hint == "" {
				hint = "known are " + strings.Join(hostDeviceNames(), ", ")
			}
			return nil, unknownErr(d.option, d.arg, fmt.Sprintf("the BARs of a %q are not known", name), hint)
		}
		return hostDevices[i].BARs, nil
	}
	return nil, &OptionError{Option: d.option, Arg: d.arg, Msg: "the BARs of a device passed on from the host are not on the command line",
		Hint: "name the device with --vfio, or give them with --bar, from lspci -vv on the host", Err: ErrUnsupported}
}
