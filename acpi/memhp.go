package acpi

import "github.com/tdxkit/tdxkit/acpi/aml"

// The registers of memory hotplug.
const (
	memHotplugPort = 0xa00
	memHotplugLen  = 0x18
)

// memorySlots appends the memory hotplug controller, a device for each slot, and the event that scans them (QEMU
// v10.2.2, hw/acpi/memory_hotplug.c, build_memory_hotplug_aml).
func (s *state) memorySlots() {
	s.Add(memoryController)
	s.Device("\\_SB.MHPC", func() {
		s.Name("_HID", aml.Str("PNP0A06"))
		s.Name("_UID", aml.Str("DIMM devices"))
		s.Name("MDNR", aml.Int(uint64(s.m.RAMSlots)))
		s.Add(memoryMethods())
		for i := range s.m.RAMSlots {
			s.memorySlot(i)
		}
		s.Method("MTFY", 2, aml.NotSerialized, func() {
			for i := range s.m.RAMSlots {
				s.If(aml.LEqual(aml.Arg0, aml.Int(uint64(i))), func() { s.Notify(aml.Path("MP"+hexByte(i)), aml.Arg1) })
			}
		})
	})
	s.Method("\\_GPE._E03", 0, aml.NotSerialized, func() { s.Call("\\_SB.MHPC.MSCN") })
}

// hexByte returns two hexadecimal digits.
func hexByte(i int) string {
	const hex = "0123456789ABCDEF"
	return string([]byte{hex[i>>4&0xf], hex[i&0xf]})
}

// memoryController reserves the ports of memory hotplug.
var memoryController = aml.Fixed(func(b *aml.Builder) {
	b.Device("\\_SB.PCI0.MHPD", func() {
		b.Name("_HID", aml.Str("PNP0A06"))
		b.Name("_UID", aml.Str("Memory hotplug resources"))
		b.Name("_CRS", aml.Resources(aml.IO(memHotplugPort, memHotplugPort, 0, memHotplugLen)))
		b.OperationRegion("HPMR", aml.SystemIO, aml.Int(memHotplugPort), memHotplugLen)
	})
})

// memorySlot appends the device of one slot, whose methods pass on its number.
func (s *state) memorySlot(i int) {
	s.Device("MP"+hexByte(i), func() {
		s.Name("_UID", aml.Str("0x"+hexByte(i)))
		s.Add(memorySlotMethods)
	})
}

// memorySlotMethods is what all slots have alike.
var memorySlotMethods = aml.Fixed(func(b *aml.Builder) {
	uid := aml.Path("_UID")
	b.Name("_HID", aml.EISAID("PNP0C80"))
	b.Method("_CRS", 0, aml.NotSerialized, func() { b.Return(aml.Path("MCRS"), uid) })
	b.Method("_STA", 0, aml.NotSerialized, func() { b.Return(aml.Path("MRST"), uid) })
	b.Method("_PXM", 0, aml.NotSerialized, func() { b.Return(aml.Path("MPXM"), uid) })
	b.Method("_OST", 3, aml.NotSerialized, func() { b.Call("MOST", uid, aml.Arg0, aml.Arg1, aml.Arg2) })
	b.Method("_EJ0", 1, aml.NotSerialized, func() { b.Call("MEJ0", uid, aml.Arg0) })
})

// memoryMethods are the controller's fields and the methods that the slots call.
var memoryMethods = aml.Lazily(func(b *aml.Builder) {
	const region = "\\_SB.PCI0.MHPD.HPMR"
	b.Field(region, aml.DWordAcc, []aml.FieldUnit{ // read
		{Name: "MRBL", Bits: 32}, {Name: "MRBH", Bits: 32}, // address
		{Name: "MRLL", Bits: 32}, {Name: "MRLH", Bits: 32}, // size
		{Name: "MPX", Bits: 32}, // node
	}...)
	b.Field(region, aml.ByteAcc|aml.WriteAsZeros, []aml.FieldUnit{
		{Bits: 160},
		{Name: "MES", Bits: 1},  // there
		{Name: "MINS", Bits: 1}, // was plugged in; written to clear
		{Name: "MRMV", Bits: 1}, // shall be unplugged; written to clear
		{Name: "MEJ", Bits: 1},  // unplugs
	}...)
	b.Field(region, aml.DWordAcc, []aml.FieldUnit{ // written
		{Name: "MSEL", Bits: 32},
		{Name: "MOEV", Bits: 32},
		{Name: "MOSC", Bits: 32},
	}...)
	b.Method("_STA", 0, aml.NotSerialized, func() {
		b.If(aml.LEqual(aml.Path("MDNR"), aml.Zero), func() { b.Return(aml.Zero) })
		b.Return(aml.Int(0xb))
	})
	b.Mutex("MLCK", 0)
	memoryScan(b)
	memoryStatus(b)
	memoryResources(b)
	memoryNode(b)
	memoryOST(b)
	memoryEject(b)
})

// memoryScan appends MSCN, which tells the operating system of the slots that have events.
func memoryScan(b *aml.Builder) {
	index, slots, lock := aml.Local0, aml.Path("MDNR"), aml.Path("MLCK")
	tell := func(event aml.Term, what uint64) func() {
		return func() {
			b.Call("MTFY", index, aml.Int(what))
			b.Store(aml.One, event)
		}
	}
	inserted, removed := aml.Path("MINS"), aml.Path("MRMV")
	b.Method("MSCN", 0, aml.NotSerialized, func() {
		b.If(aml.LEqual(slots, aml.Zero), func() { b.Return(aml.Zero) })
		b.Store(aml.Zero, index)
		b.Acquire(lock)
		b.While(aml.LLess(index, slots), func() {
			b.Store(index, aml.Path("MSEL"))
			b.If(aml.LEqual(inserted, aml.One), tell(inserted, notifyDeviceCheck))
			b.Else(func() { b.If(aml.LEqual(removed, aml.One), tell(removed, notifyEject)) })
			b.Add(aml.Add(index, aml.One, index))
		})
		b.Release(lock)
		b.Return(aml.One)
	})
}

// selectSlot takes the lock and selects the slot whose number, a string, is the first argument.
func selectSlot(b *aml.Builder) {
	b.Acquire(aml.Path("MLCK"))
	b.Store(aml.ToInteger(aml.Arg0, aml.None), aml.Path("MSEL"))
}

// memoryStatus appends MRST (slot).
func memoryStatus(b *aml.Builder) {
	b.Method("MRST", 1, aml.NotSerialized, func() {
		b.Store(aml.Zero, aml.Local0)
		selectSlot(b)
		b.If(aml.LEqual(aml.Path("MES"), aml.One), func() { b.Store(aml.Int(0xf), aml.Local0) })
		b.Release(aml.Path("MLCK"))
		b.Return(aml.Local0)
	})
}

// memoryResources appends MCRS (slot), which fills in a template by arithmetic in 32 bits, as older systems need it.
func memoryResources(b *aml.Builder) {
	lock, wide, narrow := aml.Path("MLCK"), aml.Path("MR64"), aml.Path("MR32")
	minLow, minHigh := aml.Path("MINL"), aml.Path("MINH")
	maxLow, maxHigh := aml.Path("MAXL"), aml.Path("MAXH")
	lenLow, lenHigh := aml.Path("LENL"), aml.Path("LENH")
	b.Method("MCRS", 1, aml.Serialized, func() {
		selectSlot(b)
		b.Name("MR64", aml.Resources(aml.QWordMemoryLen(aml.Cacheable|aml.ReadWrite, aml.Range{Max: 1<<64 - 2}, 1<<64-1)))
		for _, f := range [...]struct {
			name string
			off  uint64
		}{{"MINL", 14}, {"MINH", 18}, {"LENL", 38}, {"LENH", 42}, {"MAXL", 22}, {"MAXH", 26}} {
			b.CreateDWordField(wide, aml.Int(f.off), f.name)
		}
		b.Store(aml.Path("MRBH"), minHigh)
		b.Store(aml.Path("MRBL"), minLow)
		b.Store(aml.Path("MRLH"), lenHigh)
		b.Store(aml.Path("MRLL"), lenLow)
		b.Add(aml.Add(minLow, lenLow, maxLow))
		b.Add(aml.Add(minHigh, lenHigh, maxHigh))
		b.If(aml.LLess(maxLow, minLow), func() { b.Add(aml.Add(maxHigh, aml.One, maxHigh)) })
		b.If(aml.LLess(maxLow, aml.One), func() { b.Add(aml.Subtract(maxHigh, aml.One, maxHigh)) })
		b.Add(aml.Subtract(maxLow, aml.One, maxLow))
		b.If(aml.LEqual(maxHigh, aml.Zero), func() { // below 4 GiB
			b.Name("MR32", aml.Resources(aml.DWordMemoryLen(aml.Cacheable|aml.ReadWrite, aml.Range{Max: 1<<32 - 2}, 1<<32-1)))
			b.CreateDWordField(narrow, aml.Int(10), "MIN")
			b.CreateDWordField(narrow, aml.Int(14), "MAX")
			b.CreateDWordField(narrow, aml.Int(22), "LEN")
			b.Store(minLow, aml.Path("MIN"))
			b.Store(maxLow, aml.Path("MAX"))
			b.Store(lenLow, aml.Path("LEN"))
			b.Release(lock)
			b.Return(narrow)
		})
		b.Release(lock)
		b.Return(wide)
	})
}

// memoryNode appends MPXM (slot).
func memoryNode(b *aml.Builder) {
	b.Method("MPXM", 1, aml.NotSerialized, func() {
		selectSlot(b)
		b.Store(aml.Path("MPX"), aml.Local0)
		b.Release(aml.Path("MLCK"))
		b.Return(aml.Local0)
	})
}

// memoryOST appends MOST (slot, event, status, data).
func memoryOST(b *aml.Builder) {
	b.Method("MOST", 4, aml.NotSerialized, func() {
		selectSlot(b)
		b.Store(aml.Arg1, aml.Path("MOEV"))
		b.Store(aml.Arg2, aml.Path("MOSC"))
		b.Release(aml.Path("MLCK"))
	})
}

// memoryEject appends MEJ0 (slot, state).
func memoryEject(b *aml.Builder) {
	b.Method("MEJ0", 2, aml.NotSerialized, func() {
		selectSlot(b)
		b.Store(aml.One, aml.Path("MEJ"))
		b.Release(aml.Path("MLCK"))
	})
}
