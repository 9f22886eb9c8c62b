package acpi

import (
	"strconv"

	"github.com/tdxkit/tdxkit/qemu"
)

// Places of the IOMMU and of the I/O APIC on the bus that only the IOMMU sees.
const (
	iommuBase      = 0xfed90000
	ioapicBus      = 0xff
	dmarEndpoint   = 1
	dmarBridge     = 2
	dmarIOAPIC     = 3
	dmarScopeLen   = 8
	dmarUnitLen    = 16
	dmarIntRemap   = 1 << 0
	defaultAWBits  = 48
	viotHeaderLen  = 48 // where the first node is, from the start of the table
	viotIOMMULen   = 16
	viotRangeLen   = 24
	viotPCIRange   = 1
	viotVirtioPCI  = 3
	lastBusAndSlot = 0xff
)

// buildDMAR appends the DMA remapping table: one unit, with the I/O APIC and every function on a root bus in its scope
// (QEMU v10.2.2, hw/i386/acpi-build.c, build_dmar_q35).
func (s *state) buildDMAR() error {
	io := s.m.IOMMU
	remap, err := onOff(io.Props, "intremap", true)
	if err != nil {
		return err
	}
	ats, err := onOff(io.Props, "device-iotlb", false)
	if err != nil {
		return err
	}
	bits := io.AWBits
	if bits == 0 {
		bits = defaultAWBits
	}
	return s.rooted(header{sig: "DMAR", revision: 1}, func() error {
		flags := byte(0)
		if remap {
			flags = dmarIntRemap
		}
		s.bytes(byte(bits-1), flags)
		s.zeros(10)
		functions := s.rootFunctions()
		s.word(0) // a remapping unit
		s.word(uint16(dmarUnitLen + dmarScopeLen*(1+len(functions))))
		s.zeros(4) // flags, segment
		s.qword(iommuBase)
		s.bytes(dmarIOAPIC, dmarScopeLen, 0, 0, 0, ioapicBus, 0, 0)
		for _, f := range functions {
			kind := byte(dmarEndpoint)
			if isBridge(f.PCIDevice) {
				kind = dmarBridge
			}
			s.bytes(kind, dmarScopeLen, 0, 0, 0, f.bus, f.Slot, f.Function)
		}
		if ats {
			s.bytes(2, 0, 8, 0, 1, 0, 0, 0) // every root port has ATS
		}
		return nil
	})
}

// A rootFunction is a function on a root bus.
type rootFunction struct {
	*qemu.PCIDevice
	bus uint8
}

// rootFunctions returns the functions of all root buses: pcie.0's, then those of the expanders.
func (s *state) rootFunctions() []rootFunction {
	var out []rootFunction
	for _, d := range s.m.Root.Devices {
		out = append(out, rootFunction{d, 0})
	}
	for _, d := range s.m.Root.Devices {
		if d.ExtraRoot != nil {
			for _, f := range d.ExtraRoot.Devices {
				out = append(out, rootFunction{f, d.ExtraRoot.BusNr})
			}
		}
	}
	return out
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
		return false, unsupported("intel-iommu", "", name+"="+strconv.Quote(v))
	}
}

// buildVIOT appends the virtual I/O translation table: the virtio-iommu function, and the range of functions that it
// translates for on each root bus (QEMU v10.2.2, hw/acpi/viot.c, build_viot).
func (s *state) buildVIOT() error {
	d := s.m.IOMMU.Device
	if d == nil {
		return unsupported("virtio-iommu-pci", "", "it is not on a bus")
	}
	last, onRoot := byte(0), false
	for _, f := range s.m.Root.Devices {
		onRoot = onRoot || f == d
		if f.ExtraRoot != nil {
			return unsupported("virtio-iommu-pci", d.ID, "beside an expander bridge")
		}
		last = max(last, s.chip.Functions[f].Subordinate)
	}
	if !onRoot {
		return unsupported("virtio-iommu-pci", d.ID, "not on the root bus, where QEMU wants it")
	}
	return s.rooted(header{sig: "VIOT", revision: 0}, func() error {
		s.word(2) // nodes
		s.word(viotHeaderLen)
		s.qword(0)
		s.bytes(viotVirtioPCI, 0, viotIOMMULen, 0, 0, 0, d.Devfn(), 0)
		s.qword(0)
		s.bytes(viotPCIRange, 0, viotRangeLen, 0)
		s.DWord(0)                    // first endpoint ID
		s.DWord(0)                    // first and last segment
		s.word(0)                     // first function
		s.bytes(lastBusAndSlot, last) // last function
		s.word(viotHeaderLen)         // the node that translates
		s.zeros(6)
		return nil
	})
}
