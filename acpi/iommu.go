package acpi

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/tdxkit/tdxkit/qemu"
)

// Places of the IOMMU and of the I/O APIC on the bus that only the IOMMU sees.
const (
	iommuBase     = 0xfed90000
	ioapicBus     = 0xff
	dmarEndpoint  = 1
	dmarBridge    = 2
	dmarIOAPIC    = 3
	dmarScopeLen  = 8
	dmarUnitLen   = 16
	dmarIntRemap  = 1 << 0
	defaultAWBits = 48
	viotHeaderLen = 48 // where the first node is, from the start of the table
	viotIOMMULen  = 16
	viotRangeLen  = 24
	viotPCIRange  = 1
	viotVirtioPCI = 3
	lastFunction  = 0xff
)

// buildDMAR appends the DMA remapping table: one unit, with the I/O APIC and every function on the root bus that it translates for
// in its scope (QEMU v10.2.2, hw/i386/acpi-build.c, build_dmar_q35).
func (s *state) buildDMAR() error {
	io := s.m.IOMMU
	bits := io.AWBits
	if bits == 0 {
		bits = defaultAWBits
	}
	root, err := s.translated("intel-iommu")
	if err != nil {
		return err
	}
	if root == nil {
		root = &qemu.Bus{}
	}
	return s.rooted(header{sig: "DMAR", revision: 1}, func() error {
		flags := byte(0)
		if io.Remaps {
			flags = dmarIntRemap
		}
		s.bytes(byte(bits-1), flags)
		s.zeros(10)
		s.word(0) // a remapping unit
		s.word(uint16(dmarUnitLen + dmarScopeLen*(1+len(root.Devices))))
		s.zeros(4) // flags, segment
		s.qword(iommuBase)
		s.bytes(dmarIOAPIC, dmarScopeLen, 0, 0, 0, ioapicBus, 0, 0)
		for _, d := range root.Devices {
			kind := byte(dmarEndpoint)
			if isBridge(d) {
				kind = dmarBridge
			}
			s.bytes(kind, dmarScopeLen, 0, 0, 0, root.BusNr, d.Slot, d.Function)
		}
		if io.DeviceTLB {
			s.bytes(2, 0, 8, 0, 1, 0, 0, 0) // every root port has ATS
		}
		return nil
	})
}

// translated returns the root bus that an IOMMU translates for, nil where every one is bypassed. It refuses machines where
// there are functions on more than one such bus: QEMU walks its root buses in the order of a hash table of all its objects.
func (s *state) translated(iommu string) (*qemu.Bus, error) {
	var root *qemu.Bus
	if !s.m.BypassIOMMU {
		root = s.m.Root
	}
	for _, d := range s.m.Root.Devices {
		r := d.ExtraRoot
		if r == nil || r.NoIOMMU || len(r.Devices) == 0 {
			continue
		}
		if root != nil {
			return nil, unsupported(iommu, "", "with functions on the root bus of "+d.Driver+" "+d.ID)
		}
		root = r
	}
	return root, nil
}

// onOff returns a property that is on or off.
func onOff(props map[string]string, name string, def bool) (bool, error) {
	switch v, ok := props[name]; {
	case !ok || v == "auto":
		return def, nil
	case v == "on" || v == "true" || v == "yes":
		return true, nil
	case v == "off" || v == "false" || v == "no":
		return false, nil
	default:
		return false, unsupported("the IOMMU", "", name+"="+strconv.Quote(v))
	}
}

// buildVIOT appends the virtual I/O translation table: the virtio-iommu function, and for each root bus the range of
// functions that it translates for (QEMU v10.2.2, hw/acpi/viot.c, build_viot).
func (s *state) buildVIOT() error {
	d := s.m.IOMMU.Device
	if !slices.Contains(s.m.Root.Devices, d) {
		return unsupported("virtio-iommu-pci", "", "not on the root bus, where QEMU wants it")
	}
	var roots []*qemu.Bus
	if !s.m.BypassIOMMU {
		roots = append(roots, s.m.Root)
	}
	for _, f := range s.m.Root.Devices {
		if f.ExtraRoot != nil && !f.ExtraRoot.NoIOMMU {
			roots = append(roots, f.ExtraRoot)
		}
	}
	slices.SortFunc(roots, func(a, b *qemu.Bus) int { return cmp.Compare(a.BusNr, b.BusNr) })
	return s.rooted(header{sig: "VIOT", revision: 0}, func() error {
		s.word(uint16(1 + len(roots))) // nodes
		s.word(viotHeaderLen)
		s.qword(0)
		s.bytes(viotVirtioPCI, 0, viotIOMMULen, 0, 0, 0, d.Devfn(), 0)
		s.qword(0)
		for _, r := range roots {
			s.bytes(viotPCIRange, 0, viotRangeLen, 0)
			s.DWord(uint32(r.BusNr) << 8)            // first endpoint ID
			s.DWord(0)                               // first and last segment
			s.word(uint16(r.BusNr) << 8)             // first function
			s.bytes(lastFunction, s.lastBusBelow(r)) // last function
			s.word(viotHeaderLen)                    // the node that translates
			s.zeros(6)
		}
		return nil
	})
}
