package acpi

import "github.com/tdxkit/tdxkit/acpi/aml"

// interruptRouting holds the routing of PCI interrupts, by how links are triggered.
var interruptRouting = map[aml.Trigger]func() aml.Term{
	aml.Level: routing(aml.Level),
	aml.Edge:  routing(aml.Edge),
}

// trigger returns how the interrupt links are triggered.
func (s *state) trigger() aml.Trigger {
	if s.m.Traits.EdgeOverrides {
		return aml.Edge
	}
	return aml.Level
}

// routing is the q35 interrupt routing: the tables for the PIC and the APIC, and the links that they name (QEMU
// v10.2.2, hw/i386/acpi-build.c, build_q35_pci0_int).
func routing(t aml.Trigger) func() aml.Term {
	return aml.Lazily(func(b *aml.Builder) {
		b.Name("PICF", aml.Zero)
		b.Method("_PIC", 1, aml.NotSerialized, func() { b.Store(aml.Arg0, aml.Path("PICF")) })
		b.Scope("_SB", func() {
			b.Scope("PCI0", func() {
				b.Name("PRTP", routingTable("LNK"))
				b.Name("PRTA", routingTable("GSI"))
				b.Method("_PRT", 0, aml.NotSerialized, func() {
					b.If(aml.LEqual(aml.Path("PICF"), aml.Zero), func() { b.Return(aml.Path("PRTP")) })
					b.Else(func() { b.Return(aml.Path("PRTA")) })
				})
			})
			b.Method("IQST", 1, aml.NotSerialized, func() {
				b.If(aml.And(aml.Int(0x80), aml.Arg0, aml.None), func() { b.Return(aml.Int(0x9)) })
				b.Return(aml.Int(0xb))
			})
			b.Method("IQCR", 1, aml.Serialized, func() {
				b.Name("PRR0", aml.Resources(aml.Interrupt(t, 0)))
				b.CreateDWordField(aml.Path("PRR0"), aml.Int(5), "PRRI")
				b.Store(aml.And(aml.Arg0, aml.Int(0xf), aml.None), aml.Path("PRRI"))
				b.Return(aml.Path("PRR0"))
			})
			for i := range byte(8) {
				picLink(b, i, t)
			}
			for i := range byte(8) {
				apicLink(b, i, t)
			}
		})
	})
}

// Slots whose interrupt pins are routed differently from the rest: those below are routed by their number, slot 24
// and the PCI bridge's, 30, like slot 0, the others in order of the pins.
const (
	firstFixedSlot = 0x18
	bridgeSlot     = 0x1e
	lastSlot       = 0x1f
)

// routingTable is the package of routes from the four pins of each slot to the links of a kind. Pins of the lower
// slots and of the PCI bridge go to the links E to H, starting at a different one from slot to slot; those of the
// chipset's slots go to A to D.
func routingTable(kind string) aml.Term {
	routes := make([]aml.Term, 0, 128)
	for slot := range uint64(lastSlot + 1) {
		first, start := byte('A'), uint64(0)
		if slot <= firstFixedSlot || slot == bridgeSlot {
			first = 'E'
		}
		if slot < firstFixedSlot {
			start = slot
		}
		for pin := range uint64(4) {
			link := kind + string(first+byte((start+pin)%4))
			routes = append(routes, aml.Package(aml.Int(slot<<16|0xffff), aml.Int(pin), aml.Path(link), aml.Zero))
		}
	}
	return aml.Package(routes...)
}

// picLink appends the device of a link that a register of the LPC bridge routes to one of the PIC's interrupts.
func picLink(b *aml.Builder, i byte, t aml.Trigger) {
	register := aml.Path("PRQ" + string('A'+i))
	b.Device("LNK"+string('A'+i), func() {
		b.Name("_HID", aml.EISAID("PNP0C0F"))
		b.Name("_UID", aml.Int(uint64(i)))
		b.Name("_PRS", aml.Resources(aml.Interrupt(t, 5, 10, 11)))
		b.Method("_STA", 0, aml.NotSerialized, func() { b.Return(aml.Path("IQST"), register) })
		b.Method("_DIS", 0, aml.NotSerialized, func() { b.Add(aml.Or(register, aml.Int(0x80), register)) })
		b.Method("_CRS", 0, aml.NotSerialized, func() { b.Return(aml.Path("IQCR"), register) })
		b.Method("_SRS", 1, aml.NotSerialized, func() {
			b.CreateDWordField(aml.Arg0, aml.Int(5), "PRRI")
			b.Store(aml.Path("PRRI"), register)
		})
	})
}

// apicLink appends the device of a link that is wired to an input of the I/O APIC, from 16 on.
func apicLink(b *aml.Builder, i byte, t aml.Trigger) {
	gsi := uint32(16) + uint32(i)
	b.Device("GSI"+string('A'+i), func() {
		b.Name("_HID", aml.EISAID("PNP0C0F"))
		b.Name("_UID", aml.Int(uint64(gsi)))
		b.Name("_PRS", aml.Resources(aml.Interrupt(t, gsi)))
		b.Name("_CRS", aml.Resources(aml.Interrupt(t, gsi)))
		b.Method("_DIS", 0, aml.NotSerialized, func() {})
		b.Method("_SRS", 1, aml.NotSerialized, func() {})
	})
}

// staticRouting is the routing table of an extra root bus: each pin to one of four links, by slot and pin (QEMU
// v10.2.2, build_prt).
var staticRouting = aml.Lazily(func(b *aml.Builder) {
	routes := make([]aml.Term, 128)
	for i := range routes {
		slot := i >> 2
		link := "LNK" + string("DABC"[(slot+i)&3])
		routes[i] = aml.Package(aml.Int(uint64(slot<<16|0xffff)), aml.Int(uint64(i&3)), aml.Path(link), aml.Zero)
	}
	b.Method("_PRT", 0, aml.NotSerialized, func() { b.Return(aml.Package(routes...)) })
})

// computedRouting is the same table as older releases made it, by a method that fills it in when called (QEMU v9.0.2,
// build_prt).
var computedRouting = aml.Lazily(func(b *aml.Builder) {
	table, pin, slot, link, route := aml.Local0, aml.Local1, aml.Local2, aml.Local3, aml.Local4
	b.Method("_PRT", 0, aml.NotSerialized, func() {
		b.Store(aml.EmptyPackage(128), table)
		b.Store(aml.Zero, pin)
		b.While(aml.LLess(pin, aml.Int(128)), func() {
			b.Store(aml.ShiftRight(pin, aml.Int(2), aml.None), slot)
			b.Store(aml.And(aml.Add(pin, slot, aml.None), aml.Int(3), aml.None), link)
			for i, name := range [...]string{"LNKD", "LNKA", "LNKB", "LNKC"} {
				b.If(aml.LEqual(link, aml.Int(uint64(i))), func() {
					b.Store(aml.Package(aml.Zero, aml.Zero, aml.Path(name), aml.Zero), route)
				})
			}
			b.Store(aml.Or(aml.ShiftLeft(slot, aml.Int(16), aml.None), aml.Int(0xffff), aml.None), aml.Index(route, aml.Zero))
			b.Store(aml.And(pin, aml.Int(3), aml.None), aml.Index(route, aml.One))
			b.Store(route, aml.Index(table, pin))
			b.Increment(pin)
		})
		b.Return(table)
	})
})
