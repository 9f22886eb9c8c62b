package qemu

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
)

// shapingProps are properties that change what a table or firmware sees and are not modelled: any use of them is refused,
// but for the value that is the default. A driver of "*" is every driver, and a base driver (baseDrivers) those
// above which it is.
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
const deviceWide = "driver id bus"

// propsOf returns the names of the properties that a driver has.
func propsOf(m *deviceModel) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, group := range propGroups(m) {
			for name := range strings.FieldsSeq(group) {
				if !yield(name) {
					return
				}
			}
		}
	}
}

// propGroups returns the lists of names that make up a driver's properties.
func propGroups(m *deviceModel) []string {
	name := strings.TrimSuffix(strings.TrimSuffix(m.Name, "-non-transitional"), "-transitional")
	groups := []string{deviceWide}
	if m.Bus == onPCI {
		groups = append(groups, commonProps)
	}
	if strings.HasPrefix(name, "virtio-") || strings.HasPrefix(name, "vhost-") {
		groups = append(groups, virtioProps)
	}
	switch {
	case name == "virtio-blk-pci", name == "nvme", name == "nvme-ns", name == "usb-storage", m.Bus == onIDE, strings.HasPrefix(name, "scsi-"):
		groups = append(groups, blockProps)
	case m.NIC || name == "usb-net":
		groups = append(groups, nicProps)
	case strings.HasSuffix(strings.ToLower(name), "vga") || name == "bochs-display":
		groups = append(groups, vgaProps)
	case m.Kind == RootPort || m.Kind == UpstreamPort || m.Kind == DownstreamPort || m.Kind == PCIBridge:
		groups = append(groups, bridgeProps)
	}
	if m.Bus == onUSB {
		groups = append(groups, usbProps)
	}
	return append(groups, ownProps()[name]...)
}

// ownProps returns deviceProps by driver.
var ownProps = sync.OnceValue(func() map[string][]string {
	byDriver := map[string][]string{}
	for _, row := range deviceProps {
		for driver := range strings.FieldsSeq(row.drivers) {
			byDriver[driver] = append(byDriver[driver], row.props)
		}
	}
	return byDriver
})

// contains reports whether a name is one of a sequence.
func contains(names iter.Seq[string], name string) bool {
	for n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// checkProps refuses properties that the driver has not, and those whose effect is not modelled.
func (d *deviceBuild) checkProps() error {
	known := propsOf(d.model)
	for _, kv := range d.props {
		list, _, _ := strings.Cut(kv.Key, ".") // a list in JSON is NAME.0, NAME.1
		if !contains(known, kv.Key) && !contains(known, list) {
			return unknownErr(d.option, d.arg, fmt.Sprintf("%s has no property %q", d.model.Name, kv.Key), nearest(kv.Key, slices.Collect(known)))
		}
		for _, s := range shapingProps {
			if s.property == kv.Key && slices.Contains([]string{"*", d.model.Name, baseDrivers[d.model.Name]}, s.driver) && !sameValue(kv.Value, s.same) {
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
