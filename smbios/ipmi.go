package smbios

import (
	"math"
	"strings"

	"github.com/tdxkit/tdxkit/qemu"
)

// An ipmiDevice is an IPMI interface on the ISA bus.
type ipmiDevice struct {
	kind  uint8  // Interface Type
	slave uint8  // I2C Target Address of the management controller
	port  uint32 // I/O port
	irq   uint8
}

// defaultIPMI are the interfaces as they are without properties.
// QEMU 10.2.2, hw/ipmi/isa_ipmi_kcs.c, isa_ipmi_bt.c and ipmi_kcs.c, ipmi_bt.c, *_get_fwinfo.
var defaultIPMI = map[string]ipmiDevice{
	"isa-ipmi-kcs": {kind: 1, slave: 0x20, port: 0xca2, irq: 5},
	"isa-ipmi-bt":  {kind: 3, slave: 0x20, port: 0xe4, irq: 5},
}

// ipmiDevices returns m's IPMI interfaces. It refuses those whose description is not known: on PCI and SMBus, and with
// more than one.
func ipmiDevices(m *qemu.Machine) ([]ipmiDevice, error) {
	var found []ipmiDevice
	for _, d := range m.ISA {
		if !strings.Contains(d.Driver, "ipmi") || strings.HasPrefix(d.Driver, "ipmi-bmc") {
			continue
		}
		dev, ok := defaultIPMI[d.Driver]
		if !ok || len(found) > 0 || !dev.place(d.Props) {
			return nil, unsupportedIPMI(d.Driver)
		}
		found = append(found, dev)
	}
	return found, pciIPMI(m.Root)
}

// place takes the interface's port and interrupt from its properties, and reports whether they are numbers.
func (d *ipmiDevice) place(props map[string]string) bool {
	if s := props["ioport"]; s != "" {
		n, err := parseNumber(s, math.MaxUint32)
		if err != nil {
			return false
		}
		d.port = uint32(n)
	}
	if s := props["irq"]; s != "" {
		n, err := parseNumber(s, 15)
		if err != nil {
			return false
		}
		d.irq = uint8(n)
	}
	return true
}

// pciIPMI refuses IPMI interfaces on bus and below.
func pciIPMI(bus *qemu.Bus) error {
	if bus == nil {
		return nil
	}
	for _, d := range bus.Devices {
		if strings.Contains(d.Driver, "ipmi") {
			return unsupportedIPMI(d.Driver)
		}
		if err := pciIPMI(d.Bridge); err != nil {
			return err
		}
		if err := pciIPMI(d.ExtraRoot); err != nil {
			return err
		}
	}
	return nil
}

func unsupportedIPMI(driver string) error {
	return &qemu.OptionError{Option: "-device", Arg: driver,
		Msg: "its SMBIOS type 38 structure is known only for one isa-ipmi-kcs or isa-ipmi-bt",
		Err: qemu.ErrUnsupported}
}
