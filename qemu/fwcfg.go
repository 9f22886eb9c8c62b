package qemu

import (
	"encoding/binary"
	"slices"
	"strings"
)

// reservedFiles are fw_cfg names that QEMU gives files of its own; names that end in a slash are folders.
var reservedFiles = []string{
	"etc/acpi/", "etc/boot/", "etc/smbios/", "etc/smi/", "etc/tpm/", "etc/table-loader", "etc/e820", "etc/extra-pci-roots",
	"etc/boot-menu-wait", "etc/boot-fail-wait", "etc/reserved-memory-end", "etc/system-states", "etc/vmgenid_guid",
	"etc/vmgenid_addr", "etc/msr_feature_control", "bootorder", "bios-geometry", "genroms/",
}

// checkFwCfg refuses files of the user's that take the place of QEMU's.
func (b *builder) checkFwCfg() error {
	for _, f := range b.m.FwCfg {
		if slices.ContainsFunc(reservedFiles, func(r string) bool {
			return f.Name == r || strings.HasSuffix(r, "/") && strings.HasPrefix(f.Name, r)
		}) {
			return unsupportedErr("-fw_cfg", "name="+f.Name, "QEMU has a file of that name itself")
		}
	}
	return nil
}

// BootOrder returns the fw_cfg file bootorder: device paths by bootindex, joined by newlines and ended by a zero byte, with
// HALT behind them for -boot strict=on; nil where nothing has a bootindex.
// Follows QEMU 10.2, system/bootdevice.c, get_boot_devices_list.
func (m *Machine) BootOrder() []byte {
	if len(m.BootDevices) == 0 {
		return nil
	}
	list := m.BootDevices
	if m.Boot.Strict {
		list = append(slices.Clone(list), "HALT")
	}
	return append([]byte(strings.Join(list, "\n")), 0)
}

// MeasuredFwCfg returns the fw_cfg items that OVMF may measure, as QEMU provides them, in the order in which OVMF measures
// them; those that QEMU does not provide are absent. Integers are little-endian. It fails where the content of a file of
// the user's is not at hand.
// Follows edk2-stable202505, OvmfPkg/Library/QemuFwCfgLib/QemuFwCfgCacheInit.c, mCacheFwCfgList; QEMU 10.2,
// hw/i386/pc.c and hw/nvram/fw_cfg.c.
func (m *Machine) MeasuredFwCfg() ([]FwCfgItem, error) {
	var items []FwCfgItem
	add := func(name string, data []byte) { items = append(items, FwCfgItem{Name: name, Data: data}) }
	if n := len(m.ExtraRoots()); n > 0 {
		add("etc/extra-pci-roots", binary.LittleEndian.AppendUint64(nil, uint64(n)))
	}
	menu := uint16(0)
	if m.Boot.Menu {
		menu = 1
	}
	add("BootMenu", binary.LittleEndian.AppendUint16(nil, menu))
	if m.Boot.HasSplashTime {
		add("etc/boot-menu-wait", binary.LittleEndian.AppendUint16(nil, uint16(m.Boot.SplashTime)))
	}
	if end := m.ReservedMemoryEnd(); end != 0 {
		add("etc/reserved-memory-end", binary.LittleEndian.AppendUint64(nil, end))
	}
	const window = "opt/ovmf/X-PciMmio64Mb"
	for _, f := range m.FwCfg {
		if f.Name != window {
			continue
		}
		if f.Data == nil && f.File != "" {
			return nil, unsupportedErr("-fw_cfg", "name="+window+",file="+f.File, "the content of the file was not read")
		}
		items = append(items, f)
	}
	if list := m.BootOrder(); list != nil {
		add("bootorder", list)
	}
	return items, nil
}

// ExtraRoots returns the extra root buses, in the order of their functions on pcie.0.
func (m *Machine) ExtraRoots() []*Bus {
	var out []*Bus
	for _, d := range m.Root.Devices {
		if d.ExtraRoot != nil {
			out = append(out, d.ExtraRoot)
		}
	}
	return out
}
