package acpi

import "github.com/tdxkit/tdxkit/acpi/aml"

// The page of the clock that a host keeps for its guest (QEMU v10.2.2, include/hw/acpi/vmclock.h).
const (
	vmClockBase = 0xfeffb000
	vmClockLen  = 0x1000
)

// buildVMClock appends the table of that clock (QEMU v10.2.2, hw/acpi/vmclock.c, vmclock_build_acpi).
func (s *state) buildVMClock() error {
	return s.rooted(header{sig: "SSDT", revision: 1, oemTableID: "VMCLOCK"}, func() error {
		s.Add(vmClockDevice())
		return nil
	})
}

var vmClockDevice = aml.Lazily(func(b *aml.Builder) {
	b.Scope("\\_SB", func() {
		b.Device("VCLK", func() {
			b.Name("_HID", aml.Str("AMZNC10C"))
			b.Name("_CID", aml.Str("VMCLOCK"))
			b.Name("_DDN", aml.Str("VMCLOCK"))
			b.Name("_STA", aml.Int(0xf))
			b.Name("_CRS", aml.Resources(aml.QWordMemoryGrain(aml.Cacheable|aml.ReadOnly, 1<<64-1, aml.Range{Min: vmClockBase, Max: vmClockBase + vmClockLen - 1})))
		})
	})
})
