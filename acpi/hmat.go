package acpi

import "github.com/tdxkit/tdxkit/qemu"

// Lengths of the structures of an HMAT in bytes (ACPI 6.5, 5.2.28), and the units of its values.
const (
	hmatProximityLen = 40
	hmatLocalityLen  = 32 // before its lists
	hmatCacheLen     = 32
	picoseconds      = 1000
	lastLatencyType  = 2
)

// buildHMAT appends the heterogeneous memory attribute table (QEMU v10.2.2, hw/acpi/hmat.c, build_hmat).
func (s *state) buildHMAT() error {
	return s.rooted(header{sig: "HMAT", revision: 2}, func() error {
		s.DWord(0)
		var initiators []int
		for i, n := range s.m.NUMA {
			if len(n.CPUs) > 0 || s.hasGenericInitiator(i) {
				initiators = append(initiators, i)
			}
			if n.RAM == 0 && !s.m.Traits.HMATAllNodes {
				continue
			}
			s.hmatType(0, hmatProximityLen)
			if n.Initiator != qemu.NoInitiator {
				s.word(1)
			} else {
				s.word(0)
			}
			s.word(0)
			s.DWord(uint32(n.Initiator))
			s.DWord(uint32(i))
			s.zeros(20)
		}
		for i := range s.m.HMAT.Localities {
			s.hmatLocality(&s.m.HMAT.Localities[i], initiators)
		}
		for i := range s.m.HMAT.Caches {
			s.hmatCache(&s.m.HMAT.Caches[i])
		}
		return nil
	})
}

// hasGenericInitiator reports whether a device is an initiator of the node.
func (s *state) hasGenericInitiator(node int) bool {
	for _, g := range s.m.GenericInitiators {
		if g.Node == node {
			return true
		}
	}
	return false
}

// hmatType appends what each structure begins with.
func (s *state) hmatType(kind uint16, length int) {
	s.word(kind)
	s.word(0)
	s.DWord(uint32(length))
}

// hmatLocality appends latencies or bandwidths, a row of targets for each initiator.
func (s *state) hmatLocality(l *qemu.Locality, initiators []int) {
	targets := len(s.m.NUMA)
	s.hmatType(1, hmatLocalityLen+4*len(initiators)+4*targets+2*len(initiators)*targets)
	s.bytes(l.Hierarchy, l.DataType, 0, 0)
	s.DWord(uint32(len(initiators)))
	s.DWord(uint32(targets))
	s.DWord(0)
	if l.DataType <= lastLatencyType {
		s.qword(uint64(uint32(l.Base * picoseconds)))
	} else {
		s.qword(uint64(uint32(l.Base >> 20)))
	}
	row := map[int]int{}
	for i, n := range initiators {
		s.DWord(uint32(n))
		row[n] = i
	}
	for i := range targets {
		s.DWord(uint32(i))
	}
	values := make([]uint16, len(initiators)*targets)
	for _, e := range l.Entries {
		if i, ok := row[e.Initiator]; ok {
			values[i*targets+e.Target] = uint16(e.Value / l.Base)
		}
	}
	for _, v := range values {
		s.word(v)
	}
}

// hmatCache appends a cache in front of memory.
func (s *state) hmatCache(c *qemu.SideCache) {
	levels := 0
	for _, o := range s.m.HMAT.Caches {
		if o.Node == c.Node {
			levels++
		}
	}
	s.hmatType(2, hmatCacheLen)
	s.DWord(uint32(c.Node))
	s.DWord(0)
	s.qword(c.Size)
	s.DWord(uint32(levels) | uint32(c.Level)<<4 | uint32(c.Associativity)<<8 | uint32(c.Policy)<<12 | uint32(c.Line)<<16)
	s.DWord(0)
}
