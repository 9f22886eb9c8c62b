package qemu

// A Range is an inclusive range of addresses. The zero Range is none.
type Range struct{ Min, Max uint64 }

// Programmed is what firmware programmed into the configuration space of one PCI function, as far as QEMU's tables
// show it. Functions that firmware left alone have the zero value.
type Programmed struct {
	IO, Memory []Range // what its BARs decode, in the order of the BARs; the ROM is off
	// Windows of a bridge; a window that is closed is zero.
	WindowIO, WindowMemory, WindowPrefetch Range
	// Secondary and Subordinate are a bridge's bus numbers.
	Secondary, Subordinate uint8
}

// ExtendedVendor returns the vendor that CPUID leaf 0x80000000 names. Intel's processors name none there, which QEMU
// follows from pc-q35-10.1 on, and the TDX module always (QEMU v10.2.2, target/i386/cpu.c, cpu_x86_cpuid, and
// hw/i386/pc.c, pc_compat_10_0).
func (m *Machine) ExtendedVendor() string {
	if m.CPU.Vendor == vendorIntel && (m.TDX || !m.MachineVersion.Less(Version{Major: 10, Minor: 1})) {
		return ""
	}
	return m.CPU.Vendor
}
