package acpi

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tdxkit/tdxkit/acpi/aml"
	"github.com/tdxkit/tdxkit/qemu"
)

// isaBridge appends what the LPC bridge's device holds: its registers that route interrupts, and the devices of the
// ISA bus. QEMU keeps these with the newest first: those of the command line backwards, then the board's (QEMU
// v10.2.2, hw/isa/lpc_ich9.c, build_ich9_isa_aml; hw/i386/pc.c, pc_superio_init).
func (s *state) isaBridge() error {
	s.Add(interruptRegisters)
	for i, d := range slices.Backward(s.m.ISA) {
		if err := s.isaDevice(i, d); err != nil {
			return err
		}
	}
	if s.m.I8042 {
		s.Add(keyboardAndMouse)
	}
	for _, i := range slices.Backward(s.m.Parallel) {
		if err := s.givenPort(boardPort("isa-parallel", i), parallelPorts[:], s.parallelPort); err != nil {
			return err
		}
	}
	for _, i := range slices.Backward(s.m.Serial) {
		if err := s.givenPort(boardPort("isa-serial", i), serialPorts[:], s.serialPort); err != nil {
			return err
		}
	}
	s.Add(realTimeClock)
	return nil
}

// interruptRegisters are the LPC bridge's PIRQ registers, which the links read and write.
var interruptRegisters = aml.Fixed(func(b *aml.Builder) {
	b.OperationRegion("PIRQ", aml.PCIConfig, aml.Int(0x60), 12)
	b.Scope("\\_SB", func() {
		b.Field("PCI0.SF8.PIRQ", aml.ByteAcc, []aml.FieldUnit{
			{Name: "PRQA", Bits: 8}, {Name: "PRQB", Bits: 8}, {Name: "PRQC", Bits: 8}, {Name: "PRQD", Bits: 8},
			{Bits: 32},
			{Name: "PRQE", Bits: 8}, {Name: "PRQF", Bits: 8}, {Name: "PRQG", Bits: 8}, {Name: "PRQH", Bits: 8},
		}...)
	})
})

// keyboardAndMouse are the devices of the i8042 controller (QEMU v10.2.2, hw/input/pckbd.c, i8042_build_aml).
var keyboardAndMouse = aml.Fixed(func(b *aml.Builder) {
	b.Device("KBD", func() {
		b.Name("_HID", aml.EISAID("PNP0303"))
		b.Name("_STA", aml.Int(0xf))
		b.Name("_CRS", aml.Resources(aml.IO(0x60, 0x60, 1, 1), aml.IO(0x64, 0x64, 1, 1), aml.IRQNoFlags(1)))
	})
	b.Device("MOU", func() {
		b.Name("_HID", aml.EISAID("PNP0F13"))
		b.Name("_STA", aml.Int(0xf))
		b.Name("_CRS", aml.Resources(aml.IRQNoFlags(12)))
	})
})

// realTimeClock is the CMOS clock (QEMU v10.2.2, hw/rtc/mc146818rtc.c, rtc_build_aml).
var realTimeClock = aml.Fixed(func(b *aml.Builder) {
	b.Device("RTC", func() {
		b.Name("_HID", aml.EISAID("PNP0B00"))
		b.Name("_CRS", aml.Resources(aml.IO(0x70, 0x70, 1, 8), aml.IRQNoFlags(8)))
	})
})

// A port is where QEMU puts an ISA port by its index.
type port struct {
	base uint16
	irq  uint8
}

var (
	serialPorts   = [...]port{{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}} // hw/char/serial-isa.c
	parallelPorts = [...]port{{0x378, 7}, {0x278, 7}, {0x3bc, 7}}             // hw/char/parallel.c
)

// boardPort is a port of -serial or -parallel.
func boardPort(driver string, index int) qemu.ISADevice {
	return qemu.ISADevice{Driver: driver, Props: map[string]string{"index": strconv.Itoa(index)}}
}

// givenPort appends a port whose base and interrupt are those of its index where the command line does not say others.
func (s *state) givenPort(d qemu.ISADevice, known []port, add func(int, port)) error {
	i, err := propInt(d, "index", 0)
	if err != nil {
		return err
	}
	if i >= uint64(len(known)) {
		return unsupported(d.Driver, "", "index "+d.Props["index"])
	}
	base, err := propInt(d, "iobase", uint64(known[i].base))
	if err != nil {
		return err
	}
	irq, err := propInt(d, "irq", uint64(known[i].irq))
	if err != nil {
		return err
	}
	if irq > 15 {
		return unsupported(d.Driver, "", "irq="+d.Props["irq"])
	}
	add(int(i), port{uint16(base), uint8(irq)})
	return nil
}

// serialPort appends COM1 and so on.
func (s *state) serialPort(i int, p port) {
	irq := aml.IRQ(p.irq, aml.IRQActiveLow|aml.IRQShared)
	if s.m.Traits.SerialPlainIRQ {
		irq = aml.IRQNoFlags(p.irq)
	}
	s.isaPort("COM"+string(byte('1'+i)), "PNP0501", i, aml.IO(p.base, p.base, 0, 8), irq)
}

// parallelPort appends LPT1 and so on.
func (s *state) parallelPort(i int, p port) {
	s.isaPort("LPT"+string(byte('1'+i)), "PNP0400", i, aml.IO(p.base, p.base, 8, 8), aml.IRQNoFlags(p.irq))
}

// isaPort appends the device of a port.
func (s *state) isaPort(name, hid string, i int, resources ...aml.Term) {
	s.Device(name, func() {
		s.Name("_HID", aml.EISAID(hid))
		s.Name("_UID", aml.Int(uint64(i+1)))
		s.Name("_STA", aml.Int(0xf))
		s.Name("_CRS", aml.Resources(resources...))
	})
}

// isaSilent are devices of the ISA bus that have no description in ACPI.
var isaSilent = []string{"isa-debugcon", "isa-debug-exit", "ib700", "isa-vga", "sga", "isa-ide", "ne2k_isa", "sb16", "adlib",
	"gus", "cs4231a", "isa-cirrus-vga", "vmport", "vmmouse"}

// isaDevice appends a device that the command line puts on the ISA bus.
func (s *state) isaDevice(at int, d qemu.ISADevice) error {
	switch d.Driver {
	case "pvpanic":
		return s.pvpanic(d)
	case "isa-serial":
		return s.givenPort(d, serialPorts[:], s.serialPort)
	case "isa-parallel":
		return s.givenPort(d, parallelPorts[:], s.parallelPort)
	case "isa-ipmi-kcs":
		return s.ipmi(d, s.ipmiNumber(at), ipmiKCS)
	case "isa-ipmi-bt":
		return s.ipmi(d, s.ipmiNumber(at), ipmiBT)
	case "tpm-tis":
		s.tpmTIS()
		return nil
	case "isa-applesmc":
		return s.appleSMC(d)
	}
	if slices.Contains(isaSilent, d.Driver) {
		return nil
	}
	return unsupported(d.Driver, d.Props["id"], "a device on the ISA bus")
}

// propInt returns an integer property.
func propInt(d qemu.ISADevice, name string, def uint64) (uint64, error) {
	v, ok := d.Props[name]
	if !ok {
		return def, nil
	}
	n, err := strconv.ParseUint(v, 0, 16)
	if err != nil {
		return 0, unsupported(d.Driver, d.Props["id"], name+"="+v)
	}
	return n, nil
}

// pvpanic appends the device by which a guest tells of its panic (QEMU v10.2.2, hw/misc/pvpanic-isa.c).
func (s *state) pvpanic(d qemu.ISADevice) error {
	base, err := propInt(d, "ioport", 0x505)
	if err != nil {
		return err
	}
	s.Device("PEVT", func() {
		s.Name("_HID", aml.Str("QEMU0001"))
		s.Name("_CRS", aml.Resources(aml.IO(uint16(base), uint16(base), 1, 1)))
		s.OperationRegion("PEOR", aml.SystemIO, aml.Int(base), 1)
		s.Field("PEOR", aml.ByteAcc, aml.FieldUnit{Name: "PEPT", Bits: 8})
		s.Name("_STA", aml.Int(0xf))
		s.Method("RDPT", 0, aml.NotSerialized, func() {
			s.Store(aml.Path("PEPT"), aml.Local0)
			s.Return(aml.Local0)
		})
		s.Method("WRPT", 1, aml.NotSerialized, func() { s.Store(aml.Arg0, aml.Path("PEPT")) })
	})
	return nil
}

// An ipmiKind is an interface to a management controller.
type ipmiKind struct {
	name     string
	base     uint64
	len      uint8
	irq      uint64
	ifaceTyp uint64
}

var (
	ipmiKCS = ipmiKind{"kcs", 0xca2, 2, 5, 1}
	ipmiBT  = ipmiKind{"bt", 0xe4, 3, 5, 3}
)

// ipmiNumber returns the number of the IPMI interface that is the ISA device at an index: they count from 1, in the
// order of the command line.
func (s *state) ipmiNumber(at int) int {
	n := 0
	for _, d := range s.m.ISA[:at+1] {
		if d.Driver == "isa-ipmi-kcs" || d.Driver == "isa-ipmi-bt" {
			n++
		}
	}
	return n
}

// hasIPMI reports whether an IPMI interface is on a PCI bus or below. QEMU counts these with the others.
func hasIPMI(bus *qemu.Bus) bool {
	if bus == nil {
		return false
	}
	for _, d := range bus.Devices {
		if strings.HasPrefix(d.Driver, "pci-ipmi-") || hasIPMI(d.Bridge) || hasIPMI(d.ExtraRoot) {
			return true
		}
	}
	return false
}

// ipmi appends the IPMI interface with a number (QEMU v10.2.2, hw/acpi/ipmi.c, build_ipmi_dev_aml).
func (s *state) ipmi(d qemu.ISADevice, nr int, k ipmiKind) error {
	if hasIPMI(s.m.Root) {
		return unsupported(d.Driver, d.Props["id"], "its number beside an IPMI interface on PCI")
	}
	base, err := propInt(d, "ioport", k.base)
	if err != nil {
		return err
	}
	irq, err := propInt(d, "irq", k.irq)
	if err != nil {
		return err
	}
	if irq > 15 {
		return unsupported(d.Driver, d.Props["id"], "irq="+d.Props["irq"])
	}
	crs := []aml.Term{aml.IO(uint16(base), uint16(base)+uint16(k.len)-1, 1, k.len)}
	if irq != 0 {
		crs = append(crs, aml.IRQNoFlags(uint8(irq)))
	}
	s.ipmiInterface(nr, k.name, k.ifaceTyp, crs...)
	return nil
}

// ipmiInterface appends the device of an interface of IPMI 2.0.
func (s *state) ipmiInterface(nr int, name string, kind uint64, crs ...aml.Term) {
	s.Device("MI"+strconv.Itoa(nr), func() {
		s.Name("_HID", aml.EISAID("IPI0001"))
		s.Name("_STR", aml.Str("ipmi_"+name))
		s.Name("_UID", aml.Int(uint64(nr)))
		s.Name("_CRS", aml.Resources(crs...))
		s.Name("_IFT", aml.Int(kind))
		s.Name("_SRV", aml.Int(0x200))
	})
}

// ipmiSSIF is the type of an IPMI interface on the SMBus.
const ipmiSSIF = 4

// smbusDevices appends the IPMI interface on the SMBus (QEMU v10.2.2, hw/i2c/smbus_ich9.c, build_ich9_smb_aml).
func (s *state) smbusDevices() error {
	if len(s.m.SMBusIPMI) > 0 && hasIPMI(s.m.Root) {
		return unsupported("smbus-ipmi", "", "its number beside an IPMI interface on PCI")
	}
	for _, i := range s.m.SMBusIPMI {
		s.ipmiInterface(s.ipmiNumber(len(s.m.ISA)-1)+1, "smbus", ipmiSSIF, aml.I2CSerialBus(uint16(i.Address), "^"))
	}
	return nil
}

// appleSMC appends Apple's system management controller (QEMU v10.2.2, hw/misc/applesmc.c).
func (s *state) appleSMC(d qemu.ISADevice) error {
	base, err := propInt(d, "iobase", 0x300)
	if err != nil {
		return err
	}
	s.Device("SMC", func() {
		s.Name("_HID", aml.EISAID("APP0001"))
		s.Name("_STA", aml.Int(0xb))
		s.Name("_CRS", aml.Resources(aml.IO(uint16(base), uint16(base), 1, 0x20), aml.IRQNoFlags(6)))
	})
	return nil
}
