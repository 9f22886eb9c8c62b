package qemu

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// hubPorts is how many ports a USB hub has by default, and the most that it can have.
const hubPorts = 8

// usbPorts returns how many ports a USB controller has.
// Follows QEMU 10.2, hw/usb/hcd-xhci.c, hcd-ehci.h, hcd-uhci.h and hcd-ohci-pci.c.
func usbPorts(d *deviceBuild) (int, error) {
	switch name := d.model.Name; {
	case strings.HasSuffix(name, "xhci"):
		two, err := d.number("p2", 4, 15)
		if err != nil {
			return 0, err
		}
		three, err := d.number("p3", 4, 15)
		return int(max(two, three)), err
	case strings.Contains(name, "ehci"):
		return 6, nil
	case strings.Contains(name, "ohci"):
		n, err := d.number("num-ports", 3, 15)
		return int(n), err
	}
	return 2, nil
}

// addPorts makes ports of a bus free: those of its controller, or of a hub at a port.
func (x *bus) addPorts(hub string, n int) {
	for i := range n {
		port := strconv.Itoa(i + 1)
		if hub != "" {
			port = hub + "." + port
		}
		x.ports = append(x.ports, port)
	}
}

// claimPort takes port=, or the first free port. QEMU puts a hub into the last one by itself.
// Follows QEMU 10.2, hw/usb/bus.c, usb_claim_port.
func (d *deviceBuild) claimPort() error {
	x := d.bus
	hub := d.model.Name == "usb-hub"
	if port, ok := d.props.get("port"); ok {
		i := slices.Index(x.ports, port)
		if i < 0 {
			return d.usage("port=%s of bus %s is not there, or taken", port, x.name)
		}
		x.ports = slices.Delete(x.ports, i, i+1)
		d.port = port
	} else {
		if len(x.ports) == 1 && !hub {
			at := x.ports[0]
			x.ports = nil
			x.addPorts(at, hubPorts)
		}
		if len(x.ports) == 0 {
			return d.usage("bus %s has no free port", x.name)
		}
		d.port, x.ports = x.ports[0], x.ports[1:]
	}
	if hub {
		n, err := d.number("ports", hubPorts, hubPorts)
		if err != nil {
			return err
		}
		x.addPorts(d.port, int(n))
	}
	return nil
}

// checkUSBStorage refuses globals that put the SCSI disk which the device makes itself into the boot order: in QEMU 7.2.22 they
// do, in 11.1.3 they do not. Follows QEMU 10.2, hw/scsi/scsi-bus.c, scsi_bus_legacy_add_drive.
func checkUSBStorage(d *deviceBuild) error {
	return d.b.refuseGlobals([]string{"scsi-hd", "scsi-cd", "scsi-generic"}, noBootIndex)
}

// usbNames are the Open Firmware names of USB devices that can be booted.
var usbNames = map[string]string{"usb-storage": "storage", "usb-bot": "storage", "usb-uas": "storage", "usb-net": "network"}

// usbPath is the Open Firmware path of a USB device, through the hubs before it, and whether it is known.
// Follows QEMU 10.2, hw/usb/bus.c, usb_get_fw_dev_path.
func (d *deviceBuild) usbPath() (string, bool) {
	name, ok := usbNames[d.model.Name]
	if !ok || d.bus.path == "" || d.b.usbDevices {
		return "", false
	}
	path := d.bus.path
	hops := strings.Split(d.port, ".")
	for i, hop := range hops {
		n, err := strconv.Atoi(hop)
		if err != nil {
			return "", false
		}
		if i < len(hops)-1 {
			path += fmt.Sprintf("/hub@%x", n)
		} else {
			path += fmt.Sprintf("/%s@%x", name, n)
		}
	}
	return path, true
}
