package smbios

import "strconv"

// Offsets and names below are those of DSP0134 3.7, chapter 7; values are those of QEMU 10.2.2, hw/smbios/smbios.c,
// smbios_build_type_*_table.

// notProvided stands for an absent memory error information handle.
const notProvided = 0xfffe

// familyOther is the processor family "Other".
const familyOther = 1

// memoryArray is the handle of the one type 16 structure.
const memoryArray = 0x1000

// bios makes type 0, which firmware makes itself unless the user gives it.
func (b *builder) bios() {
	o := &b.o.bios
	if !o.given || b.skip(0) {
		return
	}
	b.begin(0, 24, 0)
	b.str(0x04, o.vendor)
	b.str(0x05, o.version)
	b.u16(0x06, 0xe800) // BIOS Starting Address Segment
	b.str(0x08, o.date)
	b.u64(0x0a, 1<<3) // BIOS Characteristics: not supported
	ext := uint8(1 << 2)
	if o.uefi {
		ext |= 1 << 3
	}
	if o.vm {
		ext |= 1 << 4
	}
	b.u8(0x13, ext)
	b.u8(0x14, o.major)
	b.u8(0x15, o.minor)
	b.u16(0x16, 0xffff) // Embedded Controller Firmware Release: none
	b.end()
}

// system makes type 1.
func (b *builder) system() {
	if b.skip(1) {
		return
	}
	o := &b.o.system
	b.begin(1, 27, 0x100)
	b.str(0x04, o.manufacturer)
	b.str(0x05, o.product)
	b.str(0x06, o.version)
	b.str(0x07, o.serial)
	copy(b.out[b.start+0x08:], b.o.uuid[:])
	b.u8(0x18, 6) // Wake-up Type: power switch
	b.str(0x19, o.sku)
	b.str(0x1a, o.family)
	b.end()
}

// baseBoard makes type 2, only where the user asks for it.
func (b *builder) baseBoard() {
	o := &b.o.board
	if !o.given || b.skip(2) {
		return
	}
	b.begin(2, 15, 0x200)
	b.str(0x04, o.manufacturer)
	b.str(0x05, o.product)
	b.str(0x06, o.version)
	b.str(0x07, o.serial)
	b.str(0x08, o.asset)
	b.u8(0x09, 1) // Feature Flags: hosting board
	b.str(0x0a, o.location)
	b.u16(0x0b, 0x300) // Chassis Handle
	b.u8(0x0d, 10)     // Board Type: motherboard
	b.end()
}

// chassis makes type 3.
func (b *builder) chassis() {
	if b.skip(3) {
		return
	}
	o := &b.o.chassis
	b.begin(3, 22, 0x300)
	b.str(0x04, o.manufacturer)
	b.u8(0x05, 1) // Type: other
	b.str(0x06, o.version)
	b.str(0x07, o.serial)
	b.str(0x08, o.asset)
	b.u8(0x09, 3) // Boot-up State: safe
	b.u8(0x0a, 3) // Power Supply State: safe
	b.u8(0x0b, 3) // Thermal State: safe
	b.u8(0x0c, 2) // Security Status: unknown
	b.str(0x15, o.sku)
	b.end()
}

// processor makes the type 4 structure of one socket.
func (b *builder) processor(socket int) error {
	if b.skip(4) {
		return nil
	}
	o := &b.o.cpu
	t := &b.m.Topology
	cores := t.Dies * t.Modules * t.Cores
	threads := cores * t.Threads
	length := 42
	if b.major >= 3 {
		length = 48
	}
	b.begin(4, length, 0x400+socket)
	b.str(0x04, limited(o.socketPrefix+twoHex(socket)))
	b.u8(0x05, 3) // Processor Type: central processor
	if b.m.Traits.SMBIOSFamilyOther {
		b.u8(0x06, familyOther)
	} else {
		b.u8(0x06, 0xfe) // Processor Family: see Processor Family 2
	}
	b.str(0x07, o.manufacturer)
	id := o.id
	if id == 0 {
		id = uint64(b.m.CPU.EDX)<<32 | uint64(b.m.CPU.EAX)
	}
	b.u64(0x08, id)
	b.str(0x10, o.version)
	b.u16(0x14, o.maxSpeed)
	b.u16(0x16, o.currentSpeed)
	b.u8(0x18, 0x41)    // Status: populated, enabled
	b.u8(0x19, 1)       // Processor Upgrade: other
	b.u16(0x1a, 0xffff) // L1, L2 and L3 Cache Handle: none
	b.u16(0x1c, 0xffff)
	b.u16(0x1e, 0xffff)
	b.str(0x20, o.serial)
	b.str(0x21, o.asset)
	b.str(0x22, o.part)
	b.u8(0x23, uint8(min(cores, 0xff))) // Core Count
	b.u8(0x24, uint8(min(cores, 0xff))) // Core Enabled
	b.u8(0x25, uint8(min(threads, 0xff)))
	b.u16(0x26, 2) // Processor Characteristics: unknown
	b.u16(0x28, o.family)
	switch {
	case b.major >= 3:
		b.u16(0x2a, uint16(cores))
		b.u16(0x2c, uint16(cores))
		b.u16(0x2e, uint16(threads))
	case threads >= 0xff && !b.m.Traits.SMBIOSCapCounts:
		return errCounts
	}
	b.end()
	return nil
}

// ports makes the type 8 structures, whose handles begin at that of type 0.
func (b *builder) ports() {
	for i, o := range b.o.ports {
		b.begin(8, 9, i)
		b.str(0x04, o.internal)
		b.str(0x06, o.external)
		b.u8(0x07, o.connector)
		b.u8(0x08, o.kind)
		b.end()
	}
}

// slots makes the type 9 structures. QEMU never gives them the address of a device: the option is checked for
// pci_device and read as pcidev.
func (b *builder) slots() {
	for i, o := range b.o.slots {
		b.begin(9, 17, 0x900+i)
		b.str(0x04, o.designation)
		b.u8(0x05, o.kind)
		b.u8(0x06, o.width)
		b.u8(0x07, o.usage)
		b.u8(0x08, o.length)
		b.u16(0x09, o.id)
		b.u8(0x0b, o.characteristics1)
		b.u8(0x0c, o.characteristics2)
		b.u16(0x0d, 0xff) // Segment Group Number, of which QEMU fills the low byte only
		b.u8(0x0f, 0xff)  // Bus Number
		b.u8(0x10, 0xff)  // Device/Function Number
		b.end()
	}
}

// oemStringList makes type 11.
func (b *builder) oemStringList() {
	if len(b.o.oemStrings) == 0 || b.skip(11) {
		return
	}
	b.begin(11, 5, 0xe00)
	b.u8(0x04, uint8(len(b.o.oemStrings)))
	for _, s := range b.o.oemStrings {
		b.listed(s)
	}
	b.end()
}

// memory makes types 16, 17 and 19.
func (b *builder) memory(devices uint64) {
	const maxCapacity = 1 << 31 // KiB; what Maximum Capacity holds
	if !b.skip(16) {
		b.begin(16, 23, memoryArray)
		b.u8(0x04, 1) // Location: other
		b.u8(0x05, 3) // Use: system memory
		b.u8(0x06, 6) // Memory Error Correction: multi-bit ECC
		if kib := roundUp(b.m.RAM, 1<<10); kib < maxCapacity {
			b.u32(0x07, uint32(kib))
		} else {
			b.u32(0x07, maxCapacity)
			b.u64(0x0f, b.m.RAM)
		}
		b.u16(0x0b, notProvided)
		b.u16(0x0d, uint16(devices))
		b.end()
	}
	left := b.m.RAM
	for i := range int(devices) {
		b.memoryDevice(i, min(left, b.deviceSize))
		left -= min(left, b.deviceSize)
	}
	// Handles of type 19 move up where those of type 17 run into them.
	first := 0x1300 + max(0, int(devices)-0x200)
	b.memoryRange(first, 0, b.m.LowRAM())
	if high := b.m.HighRAM(); high > 0 {
		b.memoryRange(first+1, b.m.HighRAMBase(), high)
	}
}

// memoryDevice makes one type 17 structure of size bytes.
func (b *builder) memoryDevice(i int, size uint64) {
	const maxSize = 0x7fff // MiB; says that Extended Size has the size
	if b.skip(17) {
		return
	}
	o := &b.o.memory
	b.begin(17, 40, 0x1100+i)
	b.u16(0x04, memoryArray)
	b.u16(0x06, notProvided)
	b.u16(0x08, 0xffff) // Total Width: unknown
	b.u16(0x0a, 0xffff) // Data Width: unknown
	if mib := roundUp(size, 1<<20); mib < maxSize {
		b.u16(0x0c, uint16(mib))
	} else {
		b.u16(0x0c, maxSize)
		b.u32(0x1c, uint32(mib))
	}
	b.u8(0x0e, 9) // Form Factor: DIMM
	b.str(0x10, limited(o.locatorPrefix+" "+strconv.Itoa(i)))
	b.str(0x11, o.bank)
	b.u8(0x12, 7)  // Memory Type: RAM
	b.u16(0x13, 2) // Type Detail: other
	b.u16(0x15, o.speed)
	b.str(0x17, o.manufacturer)
	b.str(0x18, o.serial)
	b.str(0x19, o.asset)
	b.str(0x1a, o.part)
	b.u16(0x20, o.speed) // Configured Memory Speed
	b.end()
}

// memoryRange makes the type 19 structure of size bytes of RAM from the guest physical address start on.
func (b *builder) memoryRange(handle int, start, size uint64) {
	const extended = 0xffffffff // says that the extended addresses count
	if b.skip(19) {
		return
	}
	b.begin(19, 31, handle)
	last := start + size - 1
	if last>>10 < extended {
		b.u32(0x04, uint32(start>>10))
		b.u32(0x08, uint32(last>>10))
	} else {
		b.u32(0x04, extended)
		b.u32(0x08, extended)
		b.u64(0x0f, start)
		b.u64(0x17, last)
	}
	b.u16(0x0c, memoryArray)
	b.u8(0x0e, 1) // Partition Width
	b.end()
}

// boot makes type 32.
func (b *builder) boot() {
	if b.skip(32) {
		return
	}
	b.begin(32, 11, 0x2000)
	b.end()
}

// ipmi makes the type 38 structures. QEMU 10.2.2, hw/smbios/smbios_type_38.c.
func (b *builder) ipmi() {
	if b.skip(38) {
		return
	}
	for _, o := range b.o.ipmi {
		b.begin(38, 18, 0x3000)
		b.u8(0x04, o.kind)
		b.u8(0x05, 0x20) // IPMI Specification Revision 2.0, in BCD
		b.u8(0x06, o.slave)
		base := uint64(o.port)
		if o.kind != ssif {
			base |= 1 // in I/O space
		}
		b.u64(0x08, base)
		b.u8(0x10, 1) // level-triggered
		b.u8(0x11, o.irq)
		b.end()
	}
}

// onboard makes the type 41 structures.
func (b *builder) onboard() {
	for i, o := range b.o.onboard {
		b.begin(41, 11, 0x2900+i)
		b.str(0x04, o.designation)
		b.u8(0x05, o.kind|1<<7) // enabled
		b.u8(0x06, o.instance)
		b.u8(0x09, o.bus)
		b.u8(0x0a, o.devfn)
		b.end()
	}
}

// twoHex returns n in hexadecimal, a space before a single digit.
func twoHex(n int) string {
	s := strconv.FormatInt(int64(n), 16)
	if len(s) < 2 {
		s = " " + s
	}
	return s
}

// limited cuts s to what fits the buffer in which QEMU puts a name together.
func limited(s string) string { return s[:min(len(s), 127)] }

func roundUp(n, unit uint64) uint64 { return n/unit + min(n%unit, 1) }

// devices returns how many type 17 structures the RAM makes.
func (b *builder) devices() uint64 { return roundUp(b.m.RAM, b.deviceSize) }
