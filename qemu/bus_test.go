package qemu

import (
	"slices"
	"strings"
	"testing"
)

// TestBusNames: which bus a name stands for, and which one a device without bus= goes to, shows in the boot order. The
// paths are those that QEMU 7.2.22 and 11.1.3 hand to firmware.
func TestBusNames(t *testing.T) {
	for _, tc := range []struct{ line, want string }{
		{"-device ide-hd,drive=d,bootindex=1", "/pci@i0cf8/pci8086,2922@1f,2/drive@5/disk@0"},
		{"-device piix3-ide,id=p -device ide-hd,drive=d,bootindex=1", "/pci@i0cf8/ide@3/drive@1/disk@0"},
		{"-device piix4-ide,id=p -device ide-hd,drive=d,bootindex=1,bus=p.0,unit=1 -device ide-hd,drive=e,bootindex=2,bus=p.0",
			"/pci@i0cf8/ide@3/drive@0/disk@1 /pci@i0cf8/ide@3/drive@0/disk@0"},
		{"-device piix4-ide -device ide-hd,drive=d,bootindex=1 -device ide-hd,drive=e,bootindex=2 -device ide-cd,bus=ide.6,bootindex=5",
			"/pci@i0cf8/ide@3/drive@1/disk@0 /pci@i0cf8/ide@3/drive@1/disk@1 /pci@i0cf8/ide@3/drive@0/disk@0"},
		{"-device virtio-scsi-pci,id=a -device virtio-scsi-pci -device virtio-scsi-pci -device scsi-hd,drive=d,bus=scsi.1,bootindex=1",
			"/pci@i0cf8/scsi@5/channel@0/disk@0,0"},
		{"-device ich9-ahci -device ide-hd,drive=d,bus=ide.7,bootindex=1", "/pci@i0cf8/pci8086,2922@3/drive@1/disk@0"},
		{"-device ich9-ahci,id=ide -device ide-hd,drive=d,bus=ide.3,bootindex=1", "/pci@i0cf8/pci8086,2922@3/drive@3/disk@0"},
		{"-device nec-usb-xhci,id=x -device qemu-xhci -device usb-storage,drive=d,bus=usb-bus.0,bootindex=4", "/pci@i0cf8/usb@4/storage@1/channel@0/disk@0,0"},
		// The bus behind a port without an id is pcie.0 too: below an expander it comes before the machine's.
		{"-device pcie-root-port,chassis=1 -device pcie-root-port,chassis=2 -device virtio-net-pci,bus=pcie.1,bootindex=1", "/pci@i0cf8/pci-bridge@4/ethernet@0/ethernet-phy@0"},
		{"-device pcie-root-port,chassis=1 -device virtio-net-pci,bus=pcie.0,bootindex=1", "/pci@i0cf8/ethernet@4/ethernet-phy@0"},
		{"-device pxb-pcie,bus_nr=2 -device ioh3420 -device virtio-net-pci,bus=pcie.0,bootindex=1", "/pci@i0cf8,1/pci-bridge@0/ethernet@0/ethernet-phy@0"},
		{"-device pxb-pcie,bus_nr=2 -device ioh3420,bus=pxb-pcie-bus.0,id=a -device virtio-net-pci,bus=pcie.0,bootindex=1", "/pci@i0cf8/ethernet@4/ethernet-phy@0"},
		{"-device pcie-pci-bridge -device e1000,bus=pci.0,bootindex=1", "/pci@i0cf8/pci-bridge@3/ethernet@0/ethernet-phy@0"},
	} {
		m, err := ParseArgs(strings.Fields("-M q35 "+tc.line), testRelease, ParseOptions{})
		if err != nil {
			t.Errorf("%s: %v", tc.line, err)
			continue
		}
		items, err := m.MeasuredFwCfg()
		if err != nil {
			t.Errorf("%s: %v", tc.line, err)
		}
		got := ""
		for _, i := range items {
			if i.Name == "bootorder" {
				got = strings.ReplaceAll(strings.TrimRight(string(i.Data), "\x00"), "\n", " ")
			}
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.line, got, tc.want)
		}
	}
}

// TestAMDIOMMUBus: the function of an AMD IOMMU is on the machine's own bus, though that of a port without id below an expander has its name
// and is found before it.
func TestAMDIOMMUBus(t *testing.T) {
	m := parseLine(t, testRelease, "-M q35 -device pxb-pcie,bus_nr=4,id=x -device pcie-root-port,bus=x -device amd-iommu")
	if !slices.Contains(m.Root.Devices, m.IOMMU.Device) {
		t.Errorf("slot %d of another bus", m.IOMMU.Device.Slot)
	}
}
