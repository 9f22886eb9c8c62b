package acpi

import (
	"encoding/binary"
	"math/bits"

	"github.com/tdxkit/tdxkit/acpi/aml"
)

// firstX2APIC is the least APIC ID that only the x2APIC structures can describe.
const firstX2APIC = 255

// numberCPUs computes the APIC ID of every possible CPU, in which each level of the topology has as many bits as its
// count needs (QEMU v10.2.2, include/hw/i386/topology.h), and its NUMA node.
func (s *state) numberCPUs(ids []uint32) {
	t := s.m.Topology
	counts := [...]int{max(t.Threads, 1), max(t.Cores, 1), max(t.Modules, 1), max(t.Dies, 1)}
	for i := range t.MaxCPUs {
		id, shift, rest := uint32(0), 0, i
		for _, n := range counts {
			id |= uint32(rest%n) << shift
			shift += bits.Len(uint(n - 1))
			rest /= n
		}
		ids = append(ids, id|uint32(rest)<<shift)
	}
	s.apicIDs = ids
	s.cpuNodes = s.numaNodes()
}

// appendMADTCPU appends the MADT's entry of the CPU with the index uid: a local APIC structure, or a local x2APIC
// structure where the ID needs one (QEMU v10.2.2, hw/i386/acpi-common.c, pc_madt_cpu_entry).
func appendMADTCPU(dst []byte, uid int, id uint32, enabled bool) []byte {
	flags := uint32(0)
	if enabled {
		flags = 1
	}
	le := binary.LittleEndian
	if id < firstX2APIC {
		return le.AppendUint32(append(dst, 0, 8, byte(uid), byte(id)), flags)
	}
	dst = le.AppendUint32(append(dst, 9, 16, 0, 0), id)
	return le.AppendUint32(le.AppendUint32(dst, flags), uint32(uid))
}

// The registers of CPU hotplug and the names of their fields as seen from the processors' container.
const (
	cpuHotplugPort = 0xcd8
	cpuHotplugLen  = 12

	cpuCmdNextWithEvent = 0
	cpuCmdOSTEvent      = 1
	cpuCmdOSTStatus     = 2

	notifyDeviceCheck = 1
	notifyEject       = 3

	maxCPUsPerPass = 255 // elements of a package
)

var (
	cpuLock     = aml.Path("\\_SB.PCI0.PRES.CPLK")
	cpuSelector = aml.Path("\\_SB.PCI0.PRES.CSEL")
	cpuEnabled  = aml.Path("\\_SB.PCI0.PRES.CPEN")
	cpuCommand  = aml.Path("\\_SB.PCI0.PRES.CCMD")
	cpuData     = aml.Path("\\_SB.PCI0.PRES.CDAT")
	cpuInserted = aml.Path("\\_SB.PCI0.PRES.CINS")
	cpuRemoved  = aml.Path("\\_SB.PCI0.PRES.CRMV")
	cpuEject    = aml.Path("\\_SB.PCI0.PRES.CEJ0")
)

// processors appends the CPU hotplug controller, the processors and the event that scans them (QEMU v10.2.2,
// hw/acpi/cpu.c, build_cpus_aml).
func (s *state) processors() {
	s.Scope("_SB", func() {
		s.Device("\\_SB.PCI0.PRES", func() {
			s.Add(cpuController)
			if s.m.Traits.PRESInit {
				s.Add(cpuControllerInit)
			}
		})
		s.Device("\\_SB.CPUS", func() {
			s.Name("_HID", aml.Str("ACPI0010"))
			s.Name("_CID", aml.EISAID("PNP0A05"))
			s.Method("CTFY", 2, aml.NotSerialized, func() {
				for i := range s.apicIDs {
					s.If(aml.LEqual(aml.Arg0, aml.Int(uint64(i))), func() {
						s.Notify(cpuName(i), aml.Arg1)
					})
				}
			})
			s.Add(cpuStatus, cpuEjectMethod)
			s.cpuScan()
			s.Add(cpuOST)
			for i, id := range s.apicIDs {
				s.processor(i, id)
			}
		})
	})
	s.Method("\\_GPE._E02", 0, aml.NotSerialized, func() { s.Call("\\_SB.CPUS.CSCN") })
}

// cpuName returns the name of the processor with the index i: C000, C001, ...
func cpuName(i int) aml.Term {
	const hex = "0123456789ABCDEF"
	return aml.Term([]byte{'C', hex[i>>8&0xf], hex[i>>4&0xf], hex[i&0xf]})
}

// processor appends the object of one possible CPU.
func (s *state) processor(i int, id uint32) {
	uid := aml.Int(uint64(i))
	body := func() {
		s.Method("_STA", 0, aml.Serialized, func() { s.Return("CSTA", uid) })
		s.NameBuffer("_MAT", func(dst []byte) []byte { return appendMADTCPU(dst, i, id, true) })
		if i != 0 { // the boot processor stays
			s.Method("_EJ0", 1, aml.NotSerialized, func() { s.Add("CEJ0", uid) })
		}
		s.Method("_OST", 3, aml.Serialized, func() { s.Add("COST", uid, aml.Arg0, aml.Arg1, aml.Arg2) })
		if s.cpuNodes != nil {
			s.Name("_PXM", aml.Int(uint64(s.cpuNodes[i])))
		}
	}
	name := string(cpuName(i))
	if id < firstX2APIC {
		s.Processor(name, uint8(i), body)
		return
	}
	s.Device(name, func() {
		s.Name("_HID", aml.Str("ACPI0007"))
		s.Name("_UID", uid)
		body()
	})
}

// cpuController is the body of the hotplug controller's device.
var cpuController = aml.Fixed(func(b *aml.Builder) {
	b.Name("_HID", aml.EISAID("PNP0A06"))
	b.Name("_UID", aml.Str("CPU Hotplug resources"))
	b.Mutex("CPLK", 0)
	b.Name("_CRS", aml.Resources(aml.IO(cpuHotplugPort, cpuHotplugPort, 1, cpuHotplugLen)))
	b.OperationRegion("PRST", aml.SystemIO, aml.Int(cpuHotplugPort), cpuHotplugLen)
	b.Field("PRST", aml.ByteAcc|aml.WriteAsZeros, []aml.FieldUnit{
		{Bits: 32},
		{Name: "CPEN", Bits: 1}, // there
		{Name: "CINS", Bits: 1}, // was plugged in; written to clear
		{Name: "CRMV", Bits: 1}, // shall be unplugged; written to clear
		{Name: "CEJ0", Bits: 1}, // unplugs
		{Name: "CEJF", Bits: 1}, // has firmware unplug
		{Bits: 3},
		{Name: "CCMD", Bits: 8},
	}...)
	b.Field("PRST", aml.DWordAcc, []aml.FieldUnit{
		{Name: "CSEL", Bits: 32},
		{Bits: 32},
		{Name: "CDAT", Bits: 32},
	}...)
})

// cpuControllerInit switches QEMU from its first hotplug interface to this one.
var cpuControllerInit = aml.Fixed(func(b *aml.Builder) {
	b.Method("_INI", 0, aml.Serialized, func() { b.Store(aml.Zero, aml.Path("CSEL")) })
})

// cpuStatus is CSTA (index), the status of a processor.
var cpuStatus = aml.Fixed(func(b *aml.Builder) {
	b.Method("CSTA", 1, aml.Serialized, func() {
		b.Acquire(cpuLock)
		b.Store(aml.Arg0, cpuSelector)
		b.Store(aml.Zero, aml.Local0)
		b.If(aml.LEqual(cpuEnabled, aml.One), func() { b.Store(aml.Int(0xf), aml.Local0) })
		b.Release(cpuLock)
		b.Return(aml.Local0)
	})
})

// cpuEjectMethod is CEJ0 (index), which unplugs a processor.
var cpuEjectMethod = aml.Fixed(func(b *aml.Builder) {
	b.Method("CEJ0", 1, aml.Serialized, func() {
		b.Acquire(cpuLock)
		b.Store(aml.Arg0, cpuSelector)
		b.Store(aml.One, cpuEject)
		b.Release(cpuLock)
	})
})

// cpuOST is COST (index, event, status, data), which reports what the operating system made of an event.
var cpuOST = aml.Fixed(func(b *aml.Builder) {
	b.Method("COST", 4, aml.Serialized, func() {
		b.Acquire(cpuLock)
		b.Store(aml.Arg0, cpuSelector)
		b.Store(aml.Int(cpuCmdOSTEvent), cpuCommand)
		b.Store(aml.Arg1, cpuData)
		b.Store(aml.Int(cpuCmdOSTStatus), cpuCommand)
		b.Store(aml.Arg2, cpuData)
		b.Release(cpuLock)
	})
})

// cpuScan appends CSCN, which collects the processors that have events, in batches as large as a package, and tells
// the operating system of them. Older releases collected only the processors that were plugged in, and told of those
// to be unplugged in passing.
func (s *state) cpuScan() {
	event, added, index, uid, again, removed := aml.Local0, aml.Local1, aml.Local2, aml.Local3, aml.Local4, aml.Local5
	collectsRemoved := !s.m.Traits.NoCPUScanEject
	s.Method("CSCN", 0, aml.Serialized, func() {
		s.Acquire(cpuLock)
		s.Name("CNEW", aml.EmptyPackage(maxCPUsPerPass))
		if collectsRemoved {
			s.Name("CEJL", aml.EmptyPackage(maxCPUsPerPass))
		}
		s.Store(aml.Zero, uid)
		s.Store(aml.One, again)
		s.While(aml.LEqual(again, aml.One), func() {
			s.Store(aml.Zero, again)
			s.Store(aml.One, event)
			s.Store(aml.Zero, added)
			if collectsRemoved {
				s.Store(aml.Zero, removed)
			}
			s.While(aml.LAnd(aml.LEqual(event, aml.One), aml.LLess(uid, aml.Int(uint64(len(s.apicIDs))))), func() {
				s.cpuScanNext(collectsRemoved)
			})
			s.cpuTell("CNEW", added, index, uid, notifyDeviceCheck)
			if collectsRemoved {
				s.cpuTell("CEJL", removed, index, uid, notifyEject)
			}
		})
		s.Release(cpuLock)
	})
}

// cpuScanNext appends one turn of the loop that collects processors.
func (s *state) cpuScanNext(collectsRemoved bool) {
	event, added, uid, again, removed := aml.Local0, aml.Local1, aml.Local3, aml.Local4, aml.Local5
	full := aml.LEqual(added, aml.Int(maxCPUsPerPass))
	if collectsRemoved {
		full = aml.LOr(full, aml.LEqual(removed, aml.Int(maxCPUsPerPass)))
	}
	s.Store(aml.Zero, event)
	s.Store(uid, cpuSelector)
	s.Store(aml.Int(cpuCmdNextWithEvent), cpuCommand)
	s.If(aml.LLess(cpuData, uid), s.Break) // wrapped around: all were seen
	s.If(full, func() {
		s.Store(aml.One, again)
		s.Break()
	})
	s.Store(cpuData, uid)
	s.If(aml.LEqual(cpuInserted, aml.One), func() {
		s.Store(uid, aml.Index(aml.Path("CNEW"), added))
		s.Increment(added)
		s.Store(aml.One, event)
	})
	if collectsRemoved {
		s.If(aml.LEqual(cpuRemoved, aml.One), func() {
			s.Store(uid, aml.Index(aml.Path("CEJL"), removed))
			s.Increment(removed)
			s.Store(aml.One, event)
		})
	} else {
		s.Else(func() {
			s.If(aml.LEqual(cpuRemoved, aml.One), func() {
				s.Call("CTFY", uid, aml.Int(notifyEject))
				s.Store(aml.One, cpuRemoved)
				s.Store(aml.One, event)
			})
		})
	}
	s.Increment(uid)
}

// cpuTell appends the loop that tells the operating system of the processors in a list and clears their events.
func (s *state) cpuTell(list string, count, index, uid aml.Term, what uint64) {
	s.Store(aml.Zero, index)
	s.While(aml.LLess(index, count), func() {
		s.Store(aml.DerefOf(aml.Index(aml.Path(list), index)), uid)
		s.Call("CTFY", uid, aml.Int(what))
		event := cpuRemoved
		if what == notifyDeviceCheck {
			s.Store(uid, aml.Debug)
			event = cpuInserted
		}
		s.Store(uid, cpuSelector)
		s.Store(aml.One, event)
		s.Increment(index)
	})
}

// hasNUMA reports whether the machine has NUMA nodes.
func (s *state) hasNUMA() bool { return len(s.m.NUMA) > 0 }

// numaNodes returns the node of every possible CPU.
func (s *state) numaNodes() []int {
	if !s.hasNUMA() {
		return nil
	}
	of := make([]int, s.m.Topology.MaxCPUs)
	for _, n := range s.m.NUMA {
		for _, i := range n.CPUs {
			if i >= 0 && i < len(of) {
				of[i] = n.ID
			}
		}
	}
	return of
}
