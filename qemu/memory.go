package qemu

// readMemory notes -m. Repeated options merge.
func (b *builder) readMemory(arg string) error {
	b.memory = append(b.memory, parseProps(arg, "size")...)
	return nil
}

// Sizes that QEMU's q35 is built around: hw/i386/pc_q35.c, pc_q35_init, and hw/i386/pc.c.
const (
	defaultRAM = 128 << 20
	gib        = 1 << 30
	// maxRAM bounds memory: x86 has 52 physical address bits.
	maxRAM = 1 << 52
	// maxSlots is ACPI_MAX_RAM_SLOTS.
	maxSlots = 256
	// lowSplit is the RAM size from which on only the first 2 GiB lie below 4 GiB.
	lowSplit = 0xb0000000
	// amdHTStart and amdHTEnd bound the HyperTransport hole of AMD processors; RAM above 4 GiB moves to its end.
	amdHTStart, amdHTEnd = 0xfd00000000, 0x10000000000
)

// resolveMemory applies -m, and the size of the backend that -machine memory-backend names.
// Follows QEMU 10.2, system/vl.c, parse_memory_options, and hw/core/machine.c, machine_set_mem.
func (b *builder) resolveMemory() error {
	if err := checkKeys("-m", "", b.memory, "size", "slots", "maxmem"); err != nil {
		return err
	}
	m := b.m
	m.RAM = defaultRAM
	sizeArg, sized := b.memory.get("size")
	if sized {
		n, ok := memorySize(sizeArg)
		switch {
		case !ok:
			return usageHint("-m", sizeArg, "is not a size", "write it as 8G or as 8192, which counts MiB")
		case n == 0:
			// QEMU takes it for its default of 128 MiB, which nobody means.
			return usageHint("-m", sizeArg, "a guest without memory cannot be measured", "give the guest's memory, as in -m 8G")
		case n > maxRAM:
			return usageErr("-m", sizeArg, "is more than 52 address bits reach")
		}
		m.RAM = (n + 8191) &^ 8191
	}
	if id, ok := b.machine["memory-backend"]; ok {
		n, err := b.backendSize("-machine", "memory-backend="+id, id)
		if err != nil {
			return err
		}
		if sized && n != m.RAM {
			return usageErr("-machine", "memory-backend="+id, "the backend has %d bytes, -m %d", n, m.RAM)
		}
		m.RAM = n
	}
	if err := b.resolveMaxMemory(); err != nil {
		return err
	}
	return b.checkCXL()
}

// memorySize reads the size of -m: it counts MiB where its last character is a decimal digit and bytes elsewhere, so that
// 0x3000000F and "1024." are bytes, and 0x800 is the size 0x800M, which QEMU does not take.
// Follows QEMU 10.2, system/vl.c, parse_memory_options.
func memorySize(v string) (uint64, bool) {
	if n, ok := parseSize(v); !ok || n == 0 {
		return 0, ok
	}
	if c := v[len(v)-1]; c >= '0' && c <= '9' {
		v += "M"
	}
	return parseSize(v)
}

// resolveMaxMemory applies maxmem and slots.
func (b *builder) resolveMaxMemory() error {
	m := b.m
	m.MaxRAM = m.RAM
	slots, hasSlots := b.memory.get("slots")
	if hasSlots {
		n, ok := parseUint(slots)
		if !ok || n > maxSlots {
			return usageErr("-m", "slots="+slots, "expects a number from 0 to %d", maxSlots)
		}
		m.RAMSlots = int(n)
	}
	maxmem, ok := b.memory.get("maxmem")
	if !ok {
		if hasSlots {
			return usageErr("-m", "slots="+slots, "slots need maxmem")
		}
		return nil
	}
	n, ok := parseSize(maxmem)
	switch {
	case !ok || n > maxRAM:
		return usageErr("-m", "maxmem="+maxmem, "is not a size")
	case n < m.RAM:
		return usageErr("-m", "maxmem="+maxmem, "is less than the %d bytes of initial memory", m.RAM)
	case m.RAMSlots > 0 && n == m.RAM:
		return usageErr("-m", "maxmem="+maxmem, "slots were given, yet maxmem is the initial memory")
	case n > m.RAM && n&4095 != 0:
		return usageErr("-m", "maxmem="+maxmem, "is not a multiple of 4096 bytes")
	}
	m.MaxRAM = n
	return nil
}

// backendSize returns the size of a memory backend.
func (b *builder) backendSize(option, arg, id string) (uint64, error) {
	o, ok := b.objects[id]
	if !ok {
		return 0, usageErr(option, arg, "there is no -object with id=%s", id)
	}
	n, ok := parseSize(o.str("size"))
	if !ok || n == 0 || n > maxRAM {
		return 0, usageErr("-object", o.str("qom-type")+",id="+id, "size=%q is not the size of a memory backend", o.str("size"))
	}
	return n, nil
}

// LowRAM returns the bytes of RAM from address 0 on.
// Follows QEMU 10.2, hw/i386/pc_q35.c, pc_q35_init.
func (m *Machine) LowRAM() uint64 {
	limit := uint64(lowSplit)
	if m.RAM >= lowSplit {
		limit = 0x80000000
	}
	if m.MaxRAMBelow4G != 0 {
		limit = min(limit, m.MaxRAMBelow4G)
	}
	return min(m.RAM, limit)
}

// HighRAM returns the bytes of RAM from HighRAMBase on.
func (m *Machine) HighRAM() uint64 { return m.RAM - m.LowRAM() }

// HighRAMBase returns where RAM above 4 GiB starts: at 4 GiB, or at 1 TiB where an AMD guest's addresses would reach the
// HyperTransport hole. A processor without long mode has no window behind its RAM that could: where RAM itself does, QEMU
// refuses it. Follows QEMU 10.2, hw/i386/pc.c, pc_memory_init and pc_max_used_gpa.
func (m *Machine) HighRAMBase() uint64 {
	const base = 4 << 30
	if m.CPU.Vendor != vendorAMD || m.CPU.NoLongMode || m.MachineVersion.Less(Version{Major: 7, Minor: 1}) {
		return base
	}
	if m.hole64Start(base)+m.PCIHole64 > amdHTStart {
		return amdHTEnd
	}
	return base
}

// AMDHole reports whether the machine's e820 map reserves the HyperTransport range, 12 GiB below 1 TiB.
func (m *Machine) AMDHole() bool {
	return m.CPU.Vendor == vendorAMD && m.CPU.PhysBits >= 40 && !m.MachineVersion.Less(Version{Major: 7, Minor: 1})
}

// roundGiB rounds n up to a multiple of 1 GiB.
func roundGiB(n uint64) uint64 { return (n + gib - 1) &^ (gib - 1) }

// deviceMemory returns base and size of the hotplug area for a given start of high RAM; a size of 0 is none.
// Follows QEMU 10.2, hw/i386/pc.c, pc_get_device_memory_range.
func (m *Machine) deviceMemory(highBase uint64) (base, size uint64) {
	if m.MaxRAM <= m.RAM {
		return 0, 0
	}
	return roundGiB(highBase + m.HighRAM()), m.MaxRAM - m.RAM + gib*uint64(m.RAMSlots)
}

// DeviceMemory returns base and size of the memory hotplug area, in bytes; both are 0 without.
func (m *Machine) DeviceMemory() (base, size uint64) { return m.deviceMemory(m.HighRAMBase()) }

// hole64Start returns where the 64-bit PCI hole starts without any BAR above 4 GiB.
// Follows QEMU 10.2, hw/i386/pc.c, pc_pci_hole64_start.
func (m *Machine) hole64Start(highBase uint64) uint64 {
	return roundGiB(m.memoryEnd(highBase) + m.cxlRegisters())
}

// memoryEnd returns the end of RAM or of the hotplug area, which is where cxl=on puts its own.
func (m *Machine) memoryEnd(highBase uint64) uint64 {
	if base, size := m.deviceMemory(highBase); size != 0 {
		return base + size
	}
	end := highBase + m.HighRAM()
	if m.CXL && m.Traits.CXLWholeGiB {
		end = roundGiB(end)
	}
	return end
}

// CXLRegisters returns the range of the registers of CXL host bridges, and whether there is one.
func (m *Machine) CXLRegisters() (Range, bool) {
	base := m.memoryEnd(m.HighRAMBase())
	return Range{Min: base, Max: base + m.cxlRegisters() - 1}, m.CXL
}

// cxlRegisters returns how many bytes behind all memory cxl=on takes for the registers of host bridges.
// Follows QEMU 10.2, hw/i386/pc.c, pc_get_cxl_range_end.
func (m *Machine) cxlRegisters() uint64 {
	if m.CXL {
		return 1 << 20
	}
	return 0
}

// Hole64Start returns the end of RAM and of the hotplug area, rounded up to 1 GiB.
func (m *Machine) Hole64Start() uint64 { return m.hole64Start(m.HighRAMBase()) }

// cxlNeedsHotplug reports whether cxl=on without memory hotplug has no etc/reserved-memory-end, as in 7.2.22 and 10.0.2 and
// no more in 10.0.13 and 10.2.2. Follows QEMU 7.2 and 10.2, hw/i386/pc.c, pc_memory_init.
func (m *Machine) cxlNeedsHotplug() bool {
	v := m.Release
	return v.Less(Version{Major: 10}) || v.Major == 10 && v.Minor == 0 && v.Micro <= 2
}

// checkCXL refuses releases of which it was not seen.
func (b *builder) checkCXL() error {
	m := b.m
	v := m.Release
	if !m.CXL || m.MaxRAM > m.RAM || b.opts.Assume != "" || m.cxlNeedsHotplug() || v.Major > 10 || v.Minor >= 2 || v.Minor == 0 && v.Micro >= 13 {
		return nil
	}
	return unsupportedErr("-machine", "cxl=on", "whether QEMU %s reserves memory for it without -m maxmem= was not seen", v)
}

// ReservedMemoryEnd returns the value of etc/reserved-memory-end, 0 where that file is absent.
func (m *Machine) ReservedMemoryEnd() uint64 {
	base, size := m.DeviceMemory()
	if m.CXL && (size != 0 || !m.cxlNeedsHotplug()) {
		const align = 256 << 20
		return roundGiB((m.memoryEnd(m.HighRAMBase()) + m.cxlRegisters() + align - 1) &^ (align - 1))
	}
	if size == 0 {
		return 0
	}
	return roundGiB(base + size)
}
