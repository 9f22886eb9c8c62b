package acpi

import (
	"github.com/tdxkit/tdxkit/acpi/aml"
	"github.com/tdxkit/tdxkit/qemu"
)

// Places and sizes of the TPM devices (QEMU v10.2.2, include/hw/acpi/tpm.h).
const (
	tpmBase       = 0xfed40000
	tpmTISLen     = 0x5000
	tpmCRBLen     = 0x1000
	tpmCRBControl = tpmBase + 0x40
	tpmPPIBase    = 0xfed45000
	tpmLogLen     = 64 << 10

	tpmStartMMIO = 6
	tpmStartCRB  = 7
)

// Physical presence: what a function of the firmware's list allows.
const (
	ppiMask           = 7
	ppiNotImplemented = 0
	ppiBlocked        = 2
)

// buildTPM2 appends the TPM2 table, and has firmware make room for the log that it points to (QEMU v10.2.2,
// hw/acpi/aml-build.c, build_tpm2).
func (s *state) buildTPM2() error {
	return s.rooted(header{sig: "TPM2", revision: 4}, func() error {
		s.DWord(0) // client platform
		if s.m.TPM == qemu.TPMCRB {
			s.qword(tpmCRBControl)
			s.DWord(tpmStartCRB)
		} else {
			s.qword(0)
			s.DWord(tpmStartMMIO)
		}
		s.zeros(12)
		s.DWord(tpmLogLen)
		s.alloc(TPMLogFile, 1, zoneHigh)
		s.blobs.Extra = append(s.blobs.Extra, File{Name: TPMLogFile, Data: make([]byte, tpmLogLen)})
		s.pointer(8, TPMLogFile, 0)
		return nil
	})
}

// tpmTIS appends the device of the TPM's FIFO interface (QEMU v10.2.2, hw/tpm/tpm_tis_isa.c).
func (s *state) tpmTIS() {
	s.Device("TPM", func() {
		s.Name("_HID", aml.Str("MSFT0101"))
		s.Name("_STR", aml.Str("TPM 2.0 Device"))
		s.Name("_UID", aml.One)
		s.Name("_STA", aml.Int(0xf))
		s.Name("_CRS", aml.Resources(aml.Memory32Fixed(tpmBase, tpmTISLen, aml.ReadWrite)))
		if !s.m.NoTPMPresence {
			s.Add(physicalPresence())
		}
	})
}

// tpmCRB appends the device of the TPM's command response buffer interface.
func (s *state) tpmCRB() {
	s.Device("TPM", func() {
		s.Name("_HID", aml.Str("MSFT0101"))
		s.Name("_STR", aml.Str("TPM 2.0 Device"))
		s.Name("_CRS", aml.Resources(aml.Memory32Fixed(tpmBase, tpmCRBLen, aml.ReadWrite)))
		s.Name("_STA", aml.Int(0xf))
		s.Name("_UID", aml.One)
		if !s.m.NoTPMPresence {
			s.Add(physicalPresence())
		}
	})
}

// physicalPresence is the interface to ask firmware for TPM operations at the next boot, and for wiping memory (TCG
// Physical Presence Interface 1.3; TCG Platform Reset Attack Mitigation 1.0, 6; QEMU v10.2.2, hw/acpi/tpm.c,
// tpm_build_ppi_acpi).
func physicalPresence() aml.Term {
	return aml.Fixed(func(b *aml.Builder) {
		b.OperationRegion("TPP2", aml.SystemMemory, aml.Int(tpmPPIBase+0x100), 0x5a)
		b.Field("TPP2", aml.AnyAcc, []aml.FieldUnit{
			{Name: "PPIN", Bits: 8},
			{Name: "PPIP", Bits: 32},
			{Name: "PPRP", Bits: 32}, // response
			{Name: "PPRQ", Bits: 32}, // requested operation
			{Name: "PPRM", Bits: 32}, // its argument
			{Name: "LPPR", Bits: 32}, // last request
		}...)
		b.OperationRegion("TPP3", aml.SystemMemory, aml.Int(tpmPPIBase+0x15a), 1)
		b.Field("TPP3", aml.ByteAcc, aml.FieldUnit{Name: "MOVV", Bits: 8})
		b.Method("TPFN", 1, aml.Serialized, func() { // the flags of an operation
			b.If(aml.LGreaterEqual(aml.Arg0, aml.Int(0x100)), func() { b.Return(aml.Zero) })
			b.OperationRegion("TPP1", aml.SystemMemory, aml.Add(aml.Int(tpmPPIBase), aml.Arg0, aml.None), 1)
			b.Field("TPP1", aml.ByteAcc, aml.FieldUnit{Name: "TPPF", Bits: 8})
			b.Return(aml.Path("TPPF"))
		})
		b.Name("TPM2", aml.Package(aml.Zero, aml.Zero))
		b.Name("TPM3", aml.Package(aml.Zero, aml.Zero, aml.Zero))
		b.Method("_DSM", 4, aml.Serialized, func() {
			b.If(aml.LEqual(aml.Arg0, aml.UUID("3DDDFAA6-361B-4EB4-A424-8D10089D1653")), func() { ppiFunctions(b) })
			b.If(aml.LEqual(aml.Arg0, aml.UUID("376054ED-CC13-4675-901C-4756D7F2D45D")), func() { resetMitigation(b) })
		})
	})
}

// onFunction appends the body of a _DSM function.
func onFunction(b *aml.Builder, n uint64, body func()) {
	b.If(aml.LEqual(aml.Arg2, aml.Int(n)), body)
}

// ppiFunctions appends the functions of the physical presence interface by number.
func ppiFunctions(b *aml.Builder) {
	rev, args, op, flags := aml.Arg1, aml.Arg3, aml.Local0, aml.Local1
	request, argument := aml.Path("PPRQ"), aml.Path("PPRM")
	tpm2, tpm3 := aml.Path("TPM2"), aml.Path("TPM3")
	readOperation := func() {
		b.Store(aml.DerefOf(aml.Index(args, aml.Zero)), op)
		b.Store(aml.Call("TPFN", op), flags)
	}
	ifFlags := func(v uint64, answer aml.Term) {
		b.If(aml.LEqual(aml.And(flags, aml.Int(ppiMask), aml.None), aml.Int(v)), func() { b.Return(answer) })
	}
	onFunction(b, 0, func() { b.Return(aml.Buffer([]byte{0xff, 0x01})) })
	onFunction(b, 1, func() { b.Return(aml.Str("1.3")) })
	onFunction(b, 2, func() { // submit an operation
		readOperation()
		ifFlags(ppiNotImplemented, aml.One)
		b.Store(op, request)
		b.Store(aml.Zero, argument)
		b.Return(aml.Zero)
	})
	onFunction(b, 3, func() { // the pending operation
		b.If(aml.LEqual(rev, aml.One), func() {
			b.Store(request, aml.Index(tpm2, aml.One))
			b.Return(tpm2)
		})
		b.If(aml.LEqual(rev, aml.Int(2)), func() {
			b.Store(request, aml.Index(tpm3, aml.One))
			b.Store(argument, aml.Index(tpm3, aml.Int(2)))
			b.Return(tpm3)
		})
	})
	onFunction(b, 4, func() { b.Return(aml.Int(2)) }) // reboot
	onFunction(b, 5, func() {                         // the response to the last operation
		b.Store(aml.Path("LPPR"), aml.Index(tpm3, aml.One))
		b.Store(aml.Path("PPRP"), aml.Index(tpm3, aml.Int(2)))
		b.Return(tpm3)
	})
	onFunction(b, 6, func() { b.Return(aml.Int(3)) }) // no preferred language
	onFunction(b, 7, func() {                         // submit an operation with an argument
		readOperation()
		ifFlags(ppiNotImplemented, aml.One)
		ifFlags(ppiBlocked, aml.Int(3))
		b.If(aml.LEqual(rev, aml.One), func() {
			b.Store(op, request)
			b.Store(aml.Zero, argument)
		})
		b.If(aml.LEqual(rev, aml.Int(2)), func() {
			b.Store(op, request)
			b.Store(aml.DerefOf(aml.Index(args, aml.One)), argument)
		})
		b.Return(aml.Zero)
	})
	onFunction(b, 8, func() { // whether the user must confirm an operation
		readOperation()
		b.Return(aml.And(flags, aml.Int(ppiMask), aml.None))
	})
	b.Return(aml.Buffer([]byte{0}))
}

// resetMitigation appends the functions by which the operating system has firmware wipe memory.
func resetMitigation(b *aml.Builder) {
	onFunction(b, 0, func() { b.Return(aml.Buffer([]byte{0x03})) })
	onFunction(b, 1, func() {
		b.Store(aml.DerefOf(aml.Index(aml.Arg3, aml.Zero)), aml.Local0)
		b.Store(aml.Local0, aml.Path("MOVV"))
		b.Return(aml.Zero)
	})
}
