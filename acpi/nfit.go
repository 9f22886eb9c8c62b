package acpi

import (
	"math/bits"

	"github.com/tdxkit/tdxkit/qemu"
)

// Structures of the NFIT (ACPI 6.5, 5.2.25), and what QEMU says of its NVDIMMs (QEMU v10.2.2, hw/acpi/nvdimm.c).
const (
	nfitRangeLen    = 56
	nfitMapLen      = 48
	nfitControlLen  = 80
	nfitPlatformLen = 16
	nfitNotArmed    = 1 << 3
	nfitSerial      = 0x123456 // of slot 0
	nfitFormat      = 0x301    // byte-addressable, without energy
	efiWriteBack    = 0x8
	efiNonVolatile  = 0x8000
)

// persistentMemory is the type of a range of persistent memory, 66F0D379-B4F3-4074-AC43-0D3318B78CDB.
var persistentMemory = []byte{0x79, 0xd3, 0xf0, 0x66, 0xf3, 0xb4, 0x74, 0x40, 0xac, 0x43, 0x0d, 0x33, 0x18, 0xb7, 0x8c, 0xdb}

// hasNFIT reports whether an NVDIMM is plugged in.
func (s *state) hasNFIT() bool { return s.m.NVDIMM && s.m.RAMSlots > 0 && len(s.m.NVDIMMs) > 0 }

// buildNFIT appends the NVDIMM firmware interface table: for each NVDIMM its range, its place in the range and its
// control region (QEMU v10.2.2, hw/acpi/nvdimm.c, nvdimm_build_nfit).
func (s *state) buildNFIT() error {
	return s.rooted(header{sig: "NFIT", revision: 1}, func() error {
		s.DWord(0)
		for i := range s.m.PluggedNVDIMMs {
			s.nfitDevice(&s.m.PluggedNVDIMMs[i])
		}
		if p := s.m.NVDIMMPersistence; p != 0 {
			s.word(7)
			s.word(nfitPlatformLen)
			s.bytes(byte(bits.Len32(p)-1), 0, 0, 0)
			s.DWord(p)
			s.DWord(0)
		}
		return nil
	})
}

// nfitDevice appends the structures of one NVDIMM.
func (s *state) nfitDevice(d *qemu.NVDIMM) {
	index := uint16(d.Slot+1) << 1
	s.word(0)
	s.word(nfitRangeLen)
	s.word(index)
	s.word(1 | 2) // for management only, with a node
	s.DWord(0)
	s.DWord(uint32(d.Node))
	s.bytes(persistentMemory...)
	s.qword(d.Address)
	s.qword(d.Size)
	s.qword(efiWriteBack | efiNonVolatile)

	s.word(1)
	s.word(nfitMapLen)
	s.DWord(uint32(d.Slot + 1))
	s.DWord(0) // physical ID, region ID
	s.word(index)
	s.word(index + 1)
	s.qword(d.Size)
	s.zeros(16) // offset of the region, address in the device
	s.word(0)
	s.word(1) // interleave ways
	flags := uint16(0)
	if d.Unarmed {
		flags = nfitNotArmed
	}
	s.word(flags)
	s.word(0)

	s.word(4)
	s.word(nfitControlLen)
	s.word(index + 1)
	s.word(0x8086) // vendor
	s.word(1)      // device
	s.word(1)      // revision
	s.zeros(12)
	s.DWord(uint32(nfitSerial + d.Slot))
	s.word(nfitFormat)
	s.zeros(50)
}
