package acpi

// The watchdog of the chipset, whose registers are behind those of power management.
const (
	tcoOff       = 0x60 // from PMBASE
	wdatHeader   = 32
	wdatPeriod   = 600 // milliseconds of one count
	wdatMaxCount = 0x3ff
	wdatMinCount = 4
	wdatFlags    = 1<<7 | 1<<0 // stopped while the machine sleeps; enabled
)

// wdatSteps are the instructions that drive the watchdog: the action, the instruction, the register from the watchdog's
// base, the value and the mask (Hardware Watchdog Timers Design Specification 1.0, tables 3 and 4).
var wdatSteps = []struct {
	action, instruction, register uint8
	value, mask                   uint32
}{
	{0x01, 0x02, 0x00, 1, 0x1ff},      // reset: write a value
	{0x08, 0x00, 0x08, 0, 0x800},      // query running: read and compare
	{0x09, 0x82, 0x08, 0, 0x800},      // run: write, other bits kept
	{0x0a, 0x00, 0x08, 0x800, 0x800},  // query stopped
	{0x0b, 0x82, 0x08, 0x800, 0x800},  // stop
	{0x06, 0x03, 0x12, 0, 0x3ff},      // set the count
	{0x05, 0x01, 0x12, 0, 0x3ff},      // query the count
	{0x20, 0x00, 0x06, 0x002, 0x0002}, // query whether it caused the boot
	{0x21, 0x82, 0x06, 0x002, 0x0002}, // forget that
	{0x21, 0x82, 0x06, 0x004, 0x0004},
}

// buildWDAT appends the watchdog action table of -machine wdat=on, as tables of QEMU 11.1.3 show it.
func (s *state) buildWDAT() error {
	return s.rooted(header{sig: "WDAT", revision: 1}, func() error {
		s.DWord(wdatHeader)
		s.bytes(0xff, 0, 0xff, 0xff, 0xff, 0, 0, 0) // no PCI function
		s.DWord(wdatPeriod)
		s.DWord(wdatMaxCount)
		s.DWord(wdatMinCount)
		s.DWord(wdatFlags)
		s.DWord(uint32(len(wdatSteps)))
		for _, w := range wdatSteps {
			s.bytes(w.action, w.instruction, 0, 0)
			s.bytes(1, 16, 0, 2) // 16 bits of I/O space
			s.qword(uint64(s.chip.PMBase) + tcoOff + uint64(w.register))
			s.DWord(w.value)
			s.DWord(w.mask)
		}
		return nil
	})
}
