package qemu

import (
	"fmt"
	"slices"
	"strings"
)

// shapingProps are properties that change what a table or firmware sees and are not modelled: any use of them is refused,
// but for the value that is the default. A driver of "*" is every driver.
var shapingProps = []struct{ driver, property, same string }{
	{"*", "romsize", ""},
	{"*", "failover_pair_id", ""}, // the device is hidden until the guest asks for it
	{"*", "sriov-pf", ""},
	{"*", "modern-pio-notify", "off"},
	{"*", "class", ""}, // names the function in bootorder
	{"*", "x-disable-pcie", "off"},
	{"*", "x-native-hotplug", ""},
	{"nvme", "sriov_max_vfs", "0"}, {"nvme", "use-intel-id", "off"},
	{"ati-vga", "vgamem_mb", "16"},
	{"ati-vga", "model", ""}, {"ati-vga", "x-device-id", ""}, {"ati-vga", "x-linear-aper-size", ""},
	{"megasas", "msix", ""}, {"megasas-gen2", "msix", ""},
	{"vmxnet3", "x-old-msi-offsets", ""}, {"pvscsi", "x-old-pci-configuration", ""},
	{"vfio-pci", "x-msix-relocation", "off"}, {"vfio-pci", "x-igd-gms", "0"}, {"vfio-pci", "x-igd-lpc", "off"},
	{"vfio-pci", "x-igd-legacy-mode", ""}, {"vfio-pci", "x-vga", "off"}, {"vfio-pci", "x-pci-class-code", ""},
}

// deviceWide are the keys that -device takes for every driver.
var deviceWide = []string{"driver", "id", "bus"}

// propsOf returns the names of the properties that a driver has.
func propsOf(m *deviceModel) []string {
	name := m.Name
	for _, suffix := range []string{"-non-transitional", "-transitional"} {
		name = strings.TrimSuffix(name, suffix)
	}
	out := slices.Clone(deviceWide)
	add := func(group string) { out = append(out, strings.Fields(group)...) }
	if m.Bus == onPCI {
		add(commonProps)
	}
	if strings.HasPrefix(name, "virtio-") || strings.HasPrefix(name, "vhost-") {
		add(virtioProps)
	}
	switch {
	case name == "virtio-blk-pci", name == "nvme", name == "nvme-ns", name == "usb-storage", m.Bus == onIDE, strings.HasPrefix(name, "scsi-"):
		add(blockProps)
	case m.NIC || name == "usb-net":
		add(nicProps)
	case strings.HasSuffix(strings.ToLower(name), "vga") || name == "bochs-display":
		add(vgaProps)
	case m.Kind == RootPort || m.Kind == UpstreamPort || m.Kind == DownstreamPort || m.Kind == PCIBridge:
		add(bridgeProps)
	}
	if m.Bus == onUSB {
		add(usbProps)
	}
	for _, row := range deviceProps {
		if slices.Contains(strings.Fields(row.drivers), name) {
			add(row.props)
		}
	}
	return out
}

// checkProps refuses properties that the driver has not, and those whose effect is not modelled.
func (d *deviceBuild) checkProps() error {
	known := propsOf(d.model)
	for _, kv := range d.props {
		list, _, _ := strings.Cut(kv.Key, ".") // a list in JSON is NAME.0, NAME.1
		if !slices.Contains(known, kv.Key) && !slices.Contains(known, list) {
			return unknownErr(d.option, d.arg, fmt.Sprintf("%s has no property %q", d.model.Name, kv.Key), nearest(kv.Key, known))
		}
		for _, s := range shapingProps {
			if s.property == kv.Key && (s.driver == "*" || s.driver == d.model.Name) && !sameValue(kv.Value, s.same) {
				return unsupportedErr(d.option, d.arg, "%s=%s changes what firmware sees of the device, which is not modelled", kv.Key, kv.Value)
			}
		}
	}
	return nil
}

// sameValue reports whether a value is the default, in any of its spellings.
func sameValue(v, def string) bool {
	a, ok1 := parseBool(v)
	b, ok2 := parseBool(def)
	return v == def && def != "" || ok1 && ok2 && a == b
}
