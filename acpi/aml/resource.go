package aml

import "encoding/binary"

// Resources returns a resource template, the buffer that holds descriptors and an end tag whose checksum is 0, which
// ACPI takes as correct (ACPI 6.5, 6.4.2.9).
func Resources(descriptors ...Term) Term {
	n := 2
	for _, d := range descriptors {
		n += len(d)
	}
	return pack("\x11", append(append([]Term{Int(uint64(n))}, descriptors...), "\x79\x00")...)
}

// IO returns an I/O port descriptor that decodes 16 bits (6.4.2.5).
func IO(minBase, maxBase uint16, alignment, length uint8) Term {
	return Term([]byte{0x47, 1, byte(minBase), byte(minBase >> 8), byte(maxBase), byte(maxBase >> 8), alignment, length})
}

// IRQNoFlags returns the short IRQ descriptor of one interrupt below 16: edge-triggered, active high, exclusive
// (6.4.2.1).
func IRQNoFlags(irq uint8) Term {
	mask := uint16(1) << irq
	return Term([]byte{0x22, byte(mask), byte(mask >> 8)})
}

// IRQFlags say how an interrupt is signalled, in the bits of byte 3 of the IRQ descriptor.
type IRQFlags uint8

// The IRQ flags.
const (
	IRQEdge      IRQFlags = 1 << 0
	IRQActiveLow IRQFlags = 1 << 3
	IRQShared    IRQFlags = 1 << 4
)

// IRQ returns the IRQ descriptor of one interrupt below 16 with flags (6.4.2.1).
func IRQ(irq uint8, flags IRQFlags) Term {
	mask := uint16(1) << irq
	return Term([]byte{0x23, byte(mask), byte(mask >> 8), byte(flags)})
}

// DMA returns a DMA descriptor of one channel: compatibility mode, no bus master, 8-bit transfers (6.4.2.2).
func DMA(channel uint8) Term { return Term([]byte{0x2a, 1 << channel, 0}) }

// A Trigger says whether an interrupt is level- or edge-triggered.
type Trigger uint8

// The triggers, in bit 1 of the extended interrupt descriptor's flags.
const (
	Level Trigger = 0
	Edge  Trigger = 1 << 1
)

// Interrupt returns an extended interrupt descriptor of a consumer, active high and shared (6.4.3.6).
func Interrupt(t Trigger, irqs ...uint32) Term {
	const consumer, shared = 1 << 0, 1 << 3
	d := []byte{0x89, byte(2 + 4*len(irqs)), 0, consumer | byte(t) | shared, byte(len(irqs))}
	for _, irq := range irqs {
		d = binary.LittleEndian.AppendUint32(d, irq)
	}
	return Term(d)
}

// Memory32Fixed returns a 32-bit fixed memory descriptor (6.4.3.4).
func Memory32Fixed(base, length uint32, access MemoryAccess) Term {
	d := []byte{0x86, 9, 0, byte(access) & 1}
	d = binary.LittleEndian.AppendUint32(d, base)
	return Term(binary.LittleEndian.AppendUint32(d, length))
}

// MemoryAccess holds the type-specific flags of a memory resource.
type MemoryAccess uint8

// The memory accesses.
const (
	ReadOnly     MemoryAccess = 0
	ReadWrite    MemoryAccess = 1
	NonCacheable MemoryAccess = 0 << 1
	Cacheable    MemoryAccess = 1 << 1
)

// A Range is an inclusive range of addresses.
type Range struct{ Min, Max uint64 }

// Len returns how many addresses the range holds; 0 means 2^64.
func (r Range) Len() uint64 { return r.Max - r.Min + 1 }

// The resource types of address space descriptors, and their general flags for a positively decoding resource with
// fixed minimum and maximum (6.4.3.5).
const (
	typeMemory   = 0
	typeIO       = 1
	typeBus      = 2
	fixedRange   = 1<<2 | 1<<3
	isaAndNonISA = 3
)

// WordBusNumber returns a range of bus numbers (6.4.3.5.3).
func WordBusNumber(r Range) Term { return word(typeBus, 0, r) }

// WordIO returns a range of I/O ports (6.4.3.5.3).
func WordIO(r Range) Term { return word(typeIO, isaAndNonISA, r) }

// DWordIO returns a range of I/O ports (6.4.3.5.2).
func DWordIO(r Range) Term { return dword(typeIO, isaAndNonISA, r) }

// DWordMemory returns a range of memory below 4 GiB (6.4.3.5.2).
func DWordMemory(access MemoryAccess, r Range) Term { return dword(typeMemory, byte(access), r) }

// QWordMemory returns a range of memory (6.4.3.5.1).
func QWordMemory(access MemoryAccess, r Range) Term {
	return QWordMemoryLen(access, r, r.Len())
}

// QWordMemoryLen is QWordMemory with a length that does not follow from the range.
func QWordMemoryLen(access MemoryAccess, r Range, length uint64) Term {
	return qwordMemory(access, 0, r, length)
}

// QWordMemoryGrain is QWordMemory with a granularity.
func QWordMemoryGrain(access MemoryAccess, grain uint64, r Range) Term {
	return qwordMemory(access, grain, r, r.Len())
}

func qwordMemory(access MemoryAccess, grain uint64, r Range, length uint64) Term {
	d := []byte{0x8a, 0x2b, 0, typeMemory, fixedRange, byte(access)}
	for _, v := range [5]uint64{grain, r.Min, r.Max, 0, length} {
		d = binary.LittleEndian.AppendUint64(d, v)
	}
	return Term(d)
}

// DWordMemoryLen is DWordMemory with a length that does not follow from the range.
func DWordMemoryLen(access MemoryAccess, r Range, length uint32) Term {
	return dwordLen(typeMemory, byte(access), r, length)
}

func word(kind, flags byte, r Range) Term {
	d := []byte{0x88, 13, 0, kind, fixedRange, flags}
	for _, v := range [5]uint64{0, r.Min, r.Max, 0, r.Len()} {
		d = binary.LittleEndian.AppendUint16(d, uint16(v))
	}
	return Term(d)
}

func dword(kind, flags byte, r Range) Term { return dwordLen(kind, flags, r, uint32(r.Len())) }

func dwordLen(kind, flags byte, r Range, length uint32) Term {
	d := []byte{0x87, 23, 0, kind, fixedRange, flags}
	for _, v := range [5]uint32{0, uint32(r.Min), uint32(r.Max), 0, length} {
		d = binary.LittleEndian.AppendUint32(d, v)
	}
	return Term(d)
}

// I2CSerialBus returns the descriptor of a device at an address on the I2C bus that source names, a device that is driven
// at 100 kHz (6.4.3.8.2.1).
func I2CSerialBus(address uint16, source string) Term {
	const fixed = 6 + 9 // of the bus and of the descriptor behind its length
	d := []byte{0x8e}
	d = binary.LittleEndian.AppendUint16(d, uint16(fixed+len(source)+1))
	d = append(d, 1, 0, 1, 0, 0, 0, 1, 6, 0)
	d = binary.LittleEndian.AppendUint32(d, 100_000)
	d = binary.LittleEndian.AppendUint16(d, address)
	return Term(append(append(d, source...), 0))
}
