package tdvf

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// ErrOutsideRAM is wrapped by the error about a guest with less memory than the firmware's sections need.
var ErrOutsideRAM = fmt.Errorf("outside the guest's memory: %w", bin.ErrUnsupported)

// Layout of the HOB list. PI 1.8, volume 3, 5 HOB Code Definitions.
const (
	hobHandoff  = 0x0001 // EFI_HOB_TYPE_HANDOFF
	hobResource = 0x0003 // EFI_HOB_TYPE_RESOURCE_DESCRIPTOR
	hobEnd      = 0xffff // EFI_HOB_TYPE_END_OF_HOB_LIST

	handoffSize  = 56
	resourceSize = 48
	endSize      = 8

	handoffVersion = 9 // EFI_HOB_HANDOFF_TABLE_VERSION

	// resourceAttributes are PRESENT, INITIALIZED and TESTED, for memory of either type.
	resourceAttributes = 0x7

	// maxRAMRanges bounds the caller's list; q35 has two.
	maxRAMRanges = 64
)

// A RAMRange is a run of guest memory as QEMU's e820 table lists it.
type RAMRange struct {
	Start, Len uint64 // bytes
}

// A ResourceType says what a VMM did with a range of memory.
type ResourceType uint32

// The resource types in a TD HOB.
const (
	SystemMemory     ResourceType = 0 // EFI_RESOURCE_SYSTEM_MEMORY: the VMM added it
	MemoryUnaccepted ResourceType = 7 // EFI_RESOURCE_MEMORY_UNACCEPTED: the firmware is to accept it
)

// String returns the type's name.
func (t ResourceType) String() string {
	switch t {
	case SystemMemory:
		return "system memory"
	case MemoryUnaccepted:
		return "unaccepted memory"
	}
	return fmt.Sprintf("resource(%d)", uint32(t))
}

// A Resource is a resource descriptor HOB.
type Resource struct {
	Type       ResourceType
	Start, Len uint64 // bytes
}

// A HOB is the list that QEMU leaves in the TD_HOB section: a handoff HOB, a resource descriptor for each range of
// memory in ascending order, an end HOB.
type HOB struct {
	Address   uint64 // GPA of the list
	Resources []Resource
}

// NewHOB builds the list for a guest with the given memory. Each TD_HOB and TempMem section is cut out of the range
// that holds it; neighbours are not joined. It is an error if a section is not inside one range, which happens with
// very little memory. QEMU 10.2.2, target/i386/kvm/tdx.c, tdx_init_ram_entries and tdx_accept_ram_range, and
// hw/i386/tdvf-hob.c, tdvf_hob_create and tdvf_hob_add_memory_resources.
func NewHOB(m *Metadata, ram []RAMRange) (*HOB, error) {
	if err := m.Supported(); err != nil {
		return nil, err
	}
	if err := checkRAM(ram); err != nil {
		return nil, err
	}
	h := &HOB{Address: m.Find(TDHOB).MemoryAddress}
	for _, r := range ram {
		h.Resources = append(h.Resources, Resource{MemoryUnaccepted, r.Start, r.Len})
	}
	for i := range m.Sections {
		s := &m.Sections[i]
		if s.Type != TDHOB && s.Type != TempMem {
			continue
		}
		if !h.accept(s.MemoryAddress, s.MemoryDataSize) {
			return nil, fail(m.sectionOff(i)+8, "MemoryAddress", ErrOutsideRAM, "is 0x%x with 0x%x bytes of type %s, which is not inside the guest's memory",
				s.MemoryAddress, s.MemoryDataSize, s.Type)
		}
	}
	slices.SortFunc(h.Resources, func(a, b Resource) int { return cmp.Compare(a.Start, b.Start) })
	if size, room := uint64(h.size()), m.Find(TDHOB).MemoryDataSize; size > room {
		return nil, fail(m.Off, "TD_HOB", bin.ErrUnsupported, "needs %d bytes, its section has %d", size, room)
	}
	return h, nil
}

// checkRAM refuses ranges that are empty, overlap or are out of order.
func checkRAM(ram []RAMRange) error {
	if len(ram) == 0 || len(ram) > maxRAMRanges {
		return fmt.Errorf("TD HOB: %d ranges of memory, want 1 to %d", len(ram), maxRAMRanges)
	}
	end := uint64(0)
	for _, r := range ram {
		if r.Len == 0 || r.Start < end || r.Len > maxGPA || r.Start > maxGPA-r.Len {
			return fmt.Errorf("TD HOB: memory at 0x%x with 0x%x bytes is empty, too high, or not behind the range before it", r.Start, r.Len)
		}
		end = r.Start + r.Len
	}
	return nil
}

// accept marks a section's memory as added by the VMM. The ranges stay disjoint, and so do sections, so that the range
// that overlaps it is unaccepted or too small.
func (h *HOB) accept(start, size uint64) bool {
	for i := range h.Resources {
		r := h.Resources[i]
		end := r.Start + r.Len
		if start+size <= r.Start || start >= end {
			continue
		}
		if r.Start > start || end < start+size || r.Type != MemoryUnaccepted {
			return false
		}
		h.Resources[i] = Resource{SystemMemory, start, size}
		if start > r.Start {
			h.Resources = append(h.Resources, Resource{MemoryUnaccepted, r.Start, start - r.Start})
		}
		if start+size < end {
			h.Resources = append(h.Resources, Resource{MemoryUnaccepted, start + size, end - start - size})
		}
		return true
	}
	return false
}

// size returns the bytes of the whole list, with its end HOB.
func (h *HOB) size() int { return handoffSize + resourceSize*len(h.Resources) + endSize }

// Append appends the list up to but not including its end HOB, which is what firmware measures. EfiEndOfHobList
// nevertheless counts the end HOB. edk2 edk2-stable202502, OvmfPkg/IntelTdx/TdxHelperLib/SecTdxHelper.c,
// TdxHelperMeasureTdHob.
func (h *HOB) Append(b []byte) []byte {
	le := binary.LittleEndian
	b = appendHeader(b, hobHandoff, handoffSize)
	b = le.AppendUint32(b, handoffVersion)
	b = le.AppendUint32(b, 0)           // BootMode
	b = append(b, make([]byte, 4*8)...) // EfiMemoryTop, EfiMemoryBottom, EfiFreeMemoryTop, EfiFreeMemoryBottom
	b = le.AppendUint64(b, h.Address+uint64(h.size()))
	for _, r := range h.Resources {
		b = appendHeader(b, hobResource, resourceSize)
		b = append(b, make([]byte, 16)...) // Owner
		b = le.AppendUint32(b, uint32(r.Type))
		b = le.AppendUint32(b, resourceAttributes)
		b = le.AppendUint64(b, r.Start)
		b = le.AppendUint64(b, r.Len)
	}
	return b
}

// AppendEnd appends the end HOB, which is in memory and not measured.
func (h *HOB) AppendEnd(b []byte) []byte { return appendHeader(b, hobEnd, endSize) }

// appendHeader appends an EFI_HOB_GENERIC_HEADER: le16 type, le16 length, le32 reserved.
func appendHeader(b []byte, typ, size uint16) []byte {
	b = binary.LittleEndian.AppendUint16(b, typ)
	b = binary.LittleEndian.AppendUint16(b, size)
	return binary.LittleEndian.AppendUint32(b, 0)
}

// AppendHOB appends what firmware measures of the TD HOB for a guest with the given memory.
func AppendHOB(b []byte, m *Metadata, ram []RAMRange) ([]byte, error) {
	h, err := NewHOB(m, ram)
	if err != nil {
		return b, err
	}
	return h.Append(b), nil
}
