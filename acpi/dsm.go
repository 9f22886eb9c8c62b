package acpi

import "github.com/tdxkit/tdxkit/acpi/aml"

// dsmUUID identifies the _DSM functions of the PCI Firmware Specification (3.3, 4.6).
const dsmUUID = "E5C937D0-3553-4D7A-9117-EA4D19C3434D"

// The _DSM functions that QEMU has: which there are, and the name of a device.
const (
	dsmQuery = 0
	dsmLabel = 7
)

// noIndex is what QEMU returns for a device without acpi-index where the register is missing.
const noIndex = 0xffffffff

// dsmRefuse appends what function 0 does first: it answers that there is no function unless the UUID and the revision
// are those of the specification.
func dsmRefuse(b *aml.Builder, ret aml.Term) {
	b.If(aml.LNot(aml.LEqual(aml.Arg0, aml.UUID(dsmUUID))), func() { b.Return(ret) })
	b.If(aml.LLess(aml.Arg1, aml.Int(2)), func() { b.Return(ret) })
}

// edsmMethod is EDSM, the _DSM of functions that cannot be unplugged; its last argument holds their acpi-index (QEMU
// v10.2.2, hw/acpi/pci-bridge.c, build_pci_bridge_edsm).
var edsmMethod = aml.Fixed(func(b *aml.Builder) {
	ret, index := aml.Local0, aml.Local1
	b.Method("EDSM", 5, aml.Serialized, func() {
		b.If(aml.LEqual(aml.Arg2, aml.Int(dsmQuery)), func() {
			b.Store(aml.Buffer([]byte{0}), ret)
			dsmRefuse(b, ret)
			b.Store(aml.Int(1<<dsmQuery|1<<dsmLabel), aml.Index(ret, aml.Zero))
			b.Return(ret)
		})
		b.If(aml.LEqual(aml.Arg2, aml.Int(dsmLabel)), func() {
			b.Store(aml.Package(aml.Zero, aml.Str("")), ret)
			b.Store(aml.DerefOf(aml.Index(aml.Arg4, aml.Zero)), index)
			b.Store(index, aml.Index(ret, aml.Zero))
			b.Return(ret)
		})
	})
})

// A pdsmForm says which form of the method PDSM a release has.
type pdsmForm struct {
	label      bool // function 7 answers with a label whether or not there is one
	clearFirst bool // the set of functions is cleared before the UUID is looked at
}

// pdsm returns the form of the machine's release.
func (s *state) pdsm() pdsmForm {
	return pdsmForm{label: s.m.Traits.OldPDSM, clearFirst: s.m.Traits.PDSMClearFirst}
}

// pciHotplug holds the registers and methods of PCI hotplug by the form of PDSM.
var pciHotplug = map[pdsmForm]func() aml.Term{
	{}:                              pciHotplugScope(pdsmForm{}),
	{label: true}:                   pciHotplugScope(pdsmForm{label: true}),
	{clearFirst: true}:              pciHotplugScope(pdsmForm{clearFirst: true}),
	{label: true, clearFirst: true}: pciHotplugScope(pdsmForm{label: true, clearFirst: true}),
}

// pciHotplugScope is the scope with the registers of PCI hotplug and the methods that use them: PCEJ (bus, slot)
// unplugs, AIDX (bus, slot) returns an acpi-index, PDSM is the _DSM of slots (QEMU v10.2.2, hw/acpi/pcihp.c,
// build_acpi_pci_hotplug).
func pciHotplugScope(f pdsmForm) func() aml.Term {
	region := func(b *aml.Builder, name string, off, length uint64, fields ...string) {
		b.OperationRegion(name, aml.SystemIO, aml.Int(uint64(pciHotplugPort)+off), length)
		units := make([]aml.FieldUnit, len(fields))
		for i, f := range fields {
			units[i] = aml.FieldUnit{Name: f, Bits: 32}
		}
		b.Field(name, aml.DWordAcc|aml.WriteAsZeros, units...)
	}
	return aml.Lazily(func(b *aml.Builder) {
		lock, bus, index := aml.Path("BLCK"), aml.Path("BNUM"), aml.Path("PIDX")
		b.Scope("_SB.PCI0", func() {
			region(b, "PCST", 0, 8, "PCIU", "PCID")
			region(b, "SEJ", 8, 4, "B0EJ")
			region(b, "BNMR", 16, 8, "BNUM", "PIDX")
			b.Mutex("BLCK", 0)
			b.Method("PCEJ", 2, aml.NotSerialized, func() {
				b.Acquire(lock)
				b.Store(aml.Arg0, bus)
				b.Store(aml.ShiftLeft(aml.One, aml.Arg1, aml.None), aml.Path("B0EJ"))
				b.Release(lock)
				b.Return(aml.Zero)
			})
			b.Method("AIDX", 2, aml.NotSerialized, func() {
				b.Acquire(lock)
				b.Store(aml.Arg0, bus)
				b.Store(aml.ShiftLeft(aml.One, aml.Arg1, aml.None), index)
				b.Store(index, aml.Local0)
				b.Release(lock)
				b.Return(aml.Local0)
			})
			pdsmMethod(b, f)
		})
	})
}

// pdsmMethod appends PDSM, whose last argument holds the numbers of bus and slot.
func pdsmMethod(b *aml.Builder, f pdsmForm) {
	ret, functions, index := aml.Local0, aml.Local1, aml.Local2
	bus := aml.DerefOf(aml.Index(aml.Arg4, aml.Zero))
	slot := aml.DerefOf(aml.Index(aml.Arg4, aml.One))
	readIndex := func() { b.Store(aml.Call("AIDX", bus, slot), index) }
	none, missing := aml.LEqual(index, aml.Zero), aml.LEqual(index, aml.Int(noIndex))
	b.Method("PDSM", 5, aml.Serialized, func() {
		b.If(aml.LEqual(aml.Arg2, aml.Int(dsmQuery)), func() {
			b.Store(aml.Buffer([]byte{0}), ret)
			if f.clearFirst {
				b.Store(aml.Zero, functions)
			}
			dsmRefuse(b, ret)
			if !f.clearFirst {
				b.Store(aml.Zero, functions)
			}
			readIndex()
			b.If(aml.LNot(aml.Or(none, missing, aml.None)), func() {
				b.Add(aml.Or(functions, aml.Int(1<<dsmQuery), functions))
				b.Add(aml.Or(functions, aml.ShiftLeft(aml.One, aml.Int(dsmLabel), aml.None), functions))
			})
			b.Store(functions, aml.Index(ret, aml.Zero))
			b.Return(ret)
		})
		b.If(aml.LEqual(aml.Arg2, aml.Int(dsmLabel)), func() {
			if f.label {
				b.Store(aml.Package(aml.Zero, aml.Str("")), ret)
				readIndex()
				b.Store(index, aml.Index(ret, aml.Zero))
				b.Return(ret)
				return
			}
			readIndex()
			b.Store(aml.EmptyPackage(2), ret)
			b.If(aml.LNot(aml.LOr(none, missing)), func() {
				b.Store(index, aml.Index(ret, aml.Zero))
				b.Store(aml.Str(""), aml.Index(ret, aml.One))
			})
			b.Return(ret)
		})
	})
}
