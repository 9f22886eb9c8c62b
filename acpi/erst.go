package acpi

// The actions of the error record serialization table and the instructions that QEMU's device is driven by (ACPI 6.5,
// 18.5.1, tables 18.9 and 18.10).
const (
	erstHeaderLen = 48
	erstReadReg   = 0x00
	erstReadValue = 0x01
	erstWriteReg  = 0x02
	erstWriteVal  = 0x03
	erstActionReg = 0 // offsets of the device's registers
	erstValueReg  = 8
	erstMagic     = 0x9c // what starts an operation
)

// An erstStep is one instruction.
type erstStep struct {
	action, instruction, bits uint8
	value                     uint64
}

// erstActions are all actions, by number, each with what comes beside the write of its number to the action register:
// before it, or where after is set, behind it.
var erstActions = []struct {
	action uint8
	after  bool
	step   *erstStep
}{
	{0x0, false, nil}, {0x1, false, nil}, {0x2, false, nil}, {0x3, false, nil},
	{0x4, false, &erstStep{0x4, erstWriteReg, 32, 0}},
	{0x5, false, &erstStep{0x5, erstWriteVal, 32, erstMagic}},
	{0x6, true, &erstStep{0x6, erstReadValue, 32, 1}},
	{0x7, true, &erstStep{0x7, erstReadReg, 32, 0}},
	{0x8, true, &erstStep{0x8, erstReadReg, 64, 0}},
	{0x9, false, &erstStep{0x9, erstWriteReg, 64, 0}},
	{0xa, true, &erstStep{0xa, erstReadReg, 32, 0}},
	{0xb, false, nil},
	{0xd, true, &erstStep{0xd, erstReadReg, 64, 0}},
	{0xe, true, &erstStep{0xe, erstReadReg, 64, 0}},
	{0xf, true, &erstStep{0xf, erstReadReg, 32, 0}},
	{0x10, true, &erstStep{0x10, erstReadReg, 64, 0}},
}

// buildERST appends the table of the device that keeps error records, whose registers are where firmware put its first
// BAR (QEMU v10.2.2, hw/acpi/erst.c, build_erst).
func (s *state) buildERST() error {
	placed := s.chip.Functions[s.m.ERST].Memory
	base := ^uint64(0) // what QEMU has for a BAR that is not mapped
	if len(placed) > 0 {
		base = placed[s.erstRegisters()].Min
	}
	return s.rooted(header{sig: "ERST", revision: 1}, func() error {
		s.DWord(erstHeaderLen)
		s.DWord(0)
		count := s.Len()
		s.DWord(0)
		start := s.Len()
		for _, a := range erstActions {
			if a.step != nil && !a.after {
				s.erstInstruction(*a.step, base+erstValueReg)
			}
			s.erstInstruction(erstStep{a.action, erstWriteVal, 32, uint64(a.action)}, base+erstActionReg)
			if a.step != nil && a.after {
				s.erstInstruction(*a.step, base+erstValueReg)
			}
		}
		s.Bytes()[count] = byte((s.Len() - start) / erstEntryLen)
		return nil
	})
}

// erstEntryLen is the length of an instruction in bytes.
const erstEntryLen = 32

// erstRegisters returns which of the function's ranges is that of BAR 0: the ranges are in the order in which firmware
// placed them, and the registers are the smaller of the two.
func (s *state) erstRegisters() int {
	r := s.chip.Functions[s.m.ERST].Memory
	least := 0
	for i := range r {
		if r[i].Max-r[i].Min < r[least].Max-r[least].Min {
			least = i
		}
	}
	return least
}

// erstInstruction appends one instruction on a register.
func (s *state) erstInstruction(e erstStep, register uint64) {
	s.bytes(e.action, e.instruction, 0, 0)
	access := byte(3) // 32 bits
	mask := uint64(0xffffffff)
	if e.bits == 64 {
		access, mask = 4, ^uint64(0)
	}
	s.bytes(0, e.bits, 0, access)
	s.qword(register)
	s.qword(e.value)
	s.qword(mask)
}
