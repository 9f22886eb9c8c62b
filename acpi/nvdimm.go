package acpi

import "github.com/tdxkit/tdxkit/acpi/aml"

// How the guest calls QEMU about NVDIMMs: a page of memory for arguments and results, whose address it writes to a
// port (QEMU v10.2.2, hw/acpi/nvdimm.c, include/hw/mem/nvdimm.h).
const (
	nvdimmPage     = 4096
	nvdimmPort     = 0xa18
	nvdimmPortLen  = 4
	nvdimmQEMU     = 0x10000 // the handle of QEMU's own functions
	nvdimmChanged  = 0x100
	nvdimmReadFIT  = 1
	nvdimmQEMUUUID = "648B9CF2-CDA1-4312-8AD9-49C4AF32BD62"
	nvdimmRootUUID = "2F10E7A4-9E91-11E4-89D3-123B93F75CBA"
	nvdimmDevUUID  = "4309AC30-0D11-11E4-9191-0800200C9A66"
)

// buildNVDIMM appends the table of the NVDIMM root device, with a device for each memory slot.
func (s *state) buildNVDIMM() error {
	return s.rooted(header{sig: "SSDT", revision: 1, oemTableID: "NVDIMM"}, func() error {
		s.Scope("\\_SB", func() {
			s.Device("NVDR", func() {
				s.Name("_HID", aml.Str("ACPI0012"))
				s.Add(nvdimmCall())
				nvdimmDSM(&s.Builder, 0)
				s.Add(nvdimmFIT())
				for i := range s.m.RAMSlots {
					s.nvdimmSlot(i)
				}
			})
		})
		off := s.NameDWord("MEMA")
		s.alloc(NVDIMMFile, nvdimmPage, zoneHigh)
		s.blobs.Extra = append(s.blobs.Extra, File{Name: NVDIMMFile, Data: make([]byte, nvdimmPage)})
		s.relocate(TablesFile, off, 4, NVDIMMFile)
		return nil
	})
}

// nvdimmDSM appends the _DSM of the device with a handle; the root device has 0.
func nvdimmDSM(b *aml.Builder, handle uint64) {
	b.Method("_DSM", 4, aml.NotSerialized, func() {
		b.Return("NCAL", aml.Arg0, aml.Arg1, aml.Arg2, aml.Arg3, aml.Int(handle))
	})
}

// nvdimmCall is NCAL (UUID, revision, function, arguments, handle), which passes a call on to QEMU.
var nvdimmCall = aml.Lazily(func(b *aml.Builder) {
	page, want, size := aml.Local6, aml.Local0, aml.Local1
	function, args, handle := aml.Arg2, aml.Arg3, aml.Arg4
	b.Method("NCAL", 5, aml.Serialized, func() {
		b.Store(aml.Path("MEMA"), page)
		b.OperationRegion("NPIO", aml.SystemIO, aml.Int(nvdimmPort), nvdimmPortLen)
		b.OperationRegion("NRAM", aml.SystemMemory, page, nvdimmPage)
		b.Field("NPIO", aml.DWordAcc, aml.FieldUnit{Name: "NTFI", Bits: 8 * nvdimmPortLen})
		b.Field("NRAM", aml.DWordAcc, []aml.FieldUnit{
			{Name: "HDLE", Bits: 32},
			{Name: "REVS", Bits: 32},
			{Name: "FUNC", Bits: 32},
			{Name: "FARG", Bits: 8 * (nvdimmPage - 12)},
		}...)
		b.Field("NRAM", aml.DWordAcc, []aml.FieldUnit{
			{Name: "RLEN", Bits: 32},
			{Name: "ODAT", Bits: 8 * (nvdimmPage - 4)},
		}...)
		b.If(aml.LEqual(handle, aml.Zero), func() { b.Store(aml.UUID(nvdimmRootUUID), want) })
		b.Else(func() {
			b.If(aml.LEqual(handle, aml.Int(nvdimmQEMU)), func() { b.Store(aml.UUID(nvdimmQEMUUUID), want) })
			b.Else(func() { b.Store(aml.UUID(nvdimmDevUUID), want) })
		})
		b.If(aml.LOr(aml.LEqual(page, aml.Zero), aml.LNot(aml.LEqual(aml.Arg0, want))), func() {
			b.If(aml.LEqual(function, aml.Zero), func() { b.Return(aml.Buffer([]byte{0})) })
			b.Return(aml.Buffer([]byte{1})) // not supported
		})
		b.Store(handle, aml.Path("HDLE"))
		b.Store(aml.Arg1, aml.Path("REVS"))
		b.Store(function, aml.Path("FUNC"))
		const typePackage = 4
		b.If(aml.LAnd(aml.LEqual(aml.ObjectType(args), aml.Int(typePackage)), aml.LEqual(aml.SizeOf(args), aml.One)), func() {
			b.Store(aml.Index(args, aml.Zero), aml.Local2)
			b.Store(aml.DerefOf(aml.Local2), aml.Local3)
			b.Store(aml.Local3, aml.Path("FARG"))
		})
		b.Store(page, aml.Path("NTFI"))
		b.Add(aml.Subtract(aml.Path("RLEN"), aml.Int(4), size))
		nvdimmResult(b)
	})
})

// nvdimmResult appends the end of NCAL: it returns as many bytes of the result as there are, one by one where they
// would fit into an integer.
func nvdimmResult(b *aml.Builder) {
	size, index, out := aml.Local1, aml.Local2, aml.Local7
	b.If(aml.LLess(size, aml.Int(8)), func() {
		b.Store(aml.Zero, index)
		b.Name("TBUF", aml.Buffer([]byte{0}))
		b.Store(aml.Buffer(nil), out)
		b.While(aml.LLess(index, size), func() {
			b.Store(aml.DerefOf(aml.Index(aml.Path("ODAT"), index)), aml.Index(aml.Path("TBUF"), aml.Zero))
			b.Add(aml.Concatenate(out, aml.Path("TBUF"), out))
			b.Increment(index)
		})
		b.Return(out)
	})
	b.Store(aml.ShiftLeft(size, aml.Int(3), aml.None), size)
	b.CreateField(aml.Path("ODAT"), aml.Zero, size, "OBUF")
	b.Return(aml.Path("OBUF"))
}

// nvdimmFIT is _FIT, which reads the firmware interface table from QEMU piece by piece.
var nvdimmFIT = aml.Lazily(func(b *aml.Builder) {
	buf, size, fit, offset := aml.Local0, aml.Local1, aml.Local2, aml.Local3
	empty := aml.Buffer(nil)
	b.Name("RSTA", aml.Zero)
	b.Method("RFIT", 1, aml.Serialized, func() {
		b.Name("OFST", aml.Zero)
		b.Store(aml.Arg0, aml.Path("OFST"))
		b.Store(aml.Call("NCAL", aml.UUID(nvdimmQEMUUUID), aml.One, aml.Int(nvdimmReadFIT),
			aml.Package(aml.Path("OFST")), aml.Int(nvdimmQEMU)), buf)
		b.CreateDWordField(buf, aml.Zero, "STAU")
		b.Store(aml.Path("STAU"), aml.Path("RSTA"))
		b.If(aml.LNot(aml.LEqual(aml.Zero, aml.Path("STAU"))), func() { b.Return(empty) })
		b.Store(aml.SizeOf(buf), size)
		b.Add(aml.Subtract(size, aml.Int(4), size))
		b.If(aml.LEqual(size, aml.Zero), func() { b.Return(empty) })
		b.CreateField(buf, aml.Int(32), aml.ShiftLeft(size, aml.Int(3), aml.None), "BUFF")
		b.Return(aml.Path("BUFF"))
	})
	b.Method("_FIT", 0, aml.Serialized, func() {
		b.Store(empty, fit)
		b.Store(aml.Zero, offset)
		b.While(aml.One, func() {
			b.Store(aml.Call("RFIT", offset), buf)
			b.Store(aml.SizeOf(buf), size)
			b.If(aml.LEqual(aml.Path("RSTA"), aml.Int(nvdimmChanged)), func() {
				b.Store(empty, fit)
				b.Store(aml.Zero, offset)
			})
			b.Else(func() {
				b.If(aml.LEqual(size, aml.Zero), func() { b.Return(fit) })
				b.Add(aml.Add(offset, size, offset))
				b.Add(aml.Concatenate(fit, buf, fit))
			})
		})
	})
})

// The functions of an NVDIMM that its label methods call (NVDIMM DSM interface 1.8).
const (
	labelSize  = 4
	labelRead  = 5
	labelWrite = 6
)

// nvdimmSlot appends the device of a slot, with its label methods (ACPI 6.5, 6.5.10).
func (s *state) nvdimmSlot(i int) {
	handle := aml.Int(uint64(i + 1))
	status, result, answer := aml.Path("STTS"), aml.Local3, aml.Local1
	call := func(function uint64, args aml.Term) aml.Term {
		return aml.Call("NCAL", aml.UUID(nvdimmDevUUID), aml.One, aml.Int(function), args, handle)
	}
	input := func(offset, length string, from, n aml.Term) {
		s.Name("INPT", aml.Buffer(make([]byte, 8)))
		s.CreateDWordField(aml.Path("INPT"), aml.Zero, offset)
		s.CreateDWordField(aml.Path("INPT"), aml.Int(4), length)
		s.Store(from, aml.Path(offset))
		s.Store(n, aml.Path(length))
	}
	s.Device("NV"+hexByte(i), func() {
		s.Name("_ADR", handle)
		s.Method("_LSI", 0, aml.Serialized, func() {
			s.Store(call(labelSize, aml.Zero), aml.Local0)
			s.CreateDWordField(aml.Local0, aml.Zero, "STTS")
			s.CreateDWordField(aml.Local0, aml.Int(4), "SLSA")
			s.CreateDWordField(aml.Local0, aml.Int(8), "MAXT")
			s.Store(aml.Package(status, aml.Path("SLSA"), aml.Path("MAXT")), answer)
			s.Return(answer)
		})
		s.Method("_LSR", 2, aml.Serialized, func() {
			input("OFST", "LEN", aml.Arg0, aml.Arg1)
			s.Store(aml.Package(aml.Path("INPT")), aml.Local0)
			s.Store(call(labelRead, aml.Local0), result)
			s.CreateDWordField(result, aml.Zero, "STTS")
			s.CreateField(result, aml.Int(32), aml.ShiftLeft(aml.Path("LEN"), aml.Int(3), aml.None), "LDAT")
			s.Name("LSA", aml.Buffer(nil))
			s.Add(aml.ToBuffer(aml.Path("LDAT"), aml.Path("LSA")))
			s.Store(aml.Package(status, aml.Path("LSA")), answer)
			s.Return(answer)
		})
		s.Method("_LSW", 3, aml.Serialized, func() {
			s.Store(aml.Arg2, aml.Local2)
			input("OFST", "TLEN", aml.Arg0, aml.Arg1)
			s.Add(aml.Concatenate(aml.Path("INPT"), aml.Local2, aml.Path("INPT")))
			s.Store(aml.Package(aml.Path("INPT")), aml.Local0)
			s.Store(call(labelWrite, aml.Local0), result)
			s.CreateDWordField(result, aml.Zero, "STTS")
			s.Return(status)
		})
		nvdimmDSM(&s.Builder, uint64(i+1))
	})
}
