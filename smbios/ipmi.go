package smbios

import (
	"math"
	"strings"

	"github.com/tdxkit/tdxkit/qemu"
)

// An ipmiDevice is an IPMI interface.
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
	// Those on PCI are described before firmware gives them a port.
	"pci-ipmi-kcs": {kind: 1, slave: 0x20},
	"pci-ipmi-bt":  {kind: 3, slave: 0x20},
}

// ipmiDevices returns m's IPMI interface. It refuses machines with more than one.
func ipmiDevices(m *qemu.Machine) ([]ipmiDevice, error) {
	var found []ipmiDevice
	add := func(driver, bmc string, dev ipmiDevice) error {
		if len(found) > 0 {
			return unsupportedIPMI(driver)
		}
		if address, ok := m.BMCs[bmc]; ok {
			dev.slave = address
		}
		found = append(found, dev)
		return nil
	}
	for _, d := range m.ISA {
		if !strings.Contains(d.Driver, "ipmi") || strings.HasPrefix(d.Driver, "ipmi-bmc") {
			continue
		}
		dev, ok := defaultIPMI[d.Driver]
		if !ok || !dev.place(d.Props) {
			return nil, unsupportedIPMI(d.Driver)
		}
		if err := add(d.Driver, d.Props["bmc"], dev); err != nil {
			return nil, err
		}
	}
	for _, i := range m.SMBusIPMI {
		if err := add("smbus-ipmi", i.BMC, ipmiDevice{kind: ssif, slave: 0x20, port: uint32(i.Address) << 1}); err != nil {
			return nil, err
		}
	}
	err := pciIPMI(m.Root, func(d *qemu.PCIDevice) error {
		dev, ok := defaultIPMI[d.Driver]
		if !ok {
			return unsupportedIPMI(d.Driver)
		}
		if m.Traits.SMBIOSNoPCIIPMI {
			return nil
		}
		return add(d.Driver, d.Props["bmc"], dev)
	})
	return found, err
}

// ssif is the interface type of IPMI on the SMBus, which is in no address space.
const ssif = 4

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

// pciIPMI calls yield for each IPMI interface on a bus and below.
func pciIPMI(bus *qemu.Bus, yield func(*qemu.PCIDevice) error) error {
	if bus == nil {
		return nil
	}
	for _, d := range bus.Devices {
		if strings.Contains(d.Driver, "ipmi") {
			if err := yield(d); err != nil {
				return err
			}
		}
		if err := pciIPMI(d.Bridge, yield); err != nil {
			return err
		}
		if err := pciIPMI(d.ExtraRoot, yield); err != nil {
			return err
		}
	}
	return nil
}

func unsupportedIPMI(driver string) error {
	return &qemu.OptionError{Option: "-device", Arg: driver,
		Msg: "its SMBIOS type 38 structure is known only for one interface",
		Err: qemu.ErrUnsupported}
}
