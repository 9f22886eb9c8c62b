package acpi

import "encoding/binary"

// Addresses of the q35 chipset that no firmware moves.
const (
	localAPIC   = 0xfee00000
	ioAPIC      = 0xfec00000
	hpetBase    = 0xfed00000
	hpetLen     = 0x400
	resetPort   = 0xcf9
	smiPort     = 0xb2
	sciIRQ      = 9
	gpe0Off     = 0x20 // from PMBASE
	gpe0Len     = 16   // bytes
	cmosCentury = 0x32
)

// buildFACS appends the firmware control structure, which has no header of the common form. It comes first, so that
// the alignment of the file is its own (ACPI 6.5, 5.2.10).
func (s *state) buildFACS() error {
	s.str("FACS", 4)
	s.DWord(64)
	s.zeros(56)
	s.blobs.List = append(s.blobs.List, Table{Signature: "FACS", Off: 0, Len: 64})
	return nil
}

// The fixed feature flags of the FADT that QEMU sets (ACPI 6.5, 5.2.9, table 5.10).
const (
	fadtWBINVD          = 1 << 0
	fadtProcC1          = 1 << 2
	fadtSleepButton     = 1 << 5
	fadtRTCS4           = 1 << 7
	fadtResetRegister   = 1 << 10
	fadtPlatformClock   = 1 << 15
	fadtForceAPICModel  = 1 << 18
	flatLogicalMaxCPUs  = 8
	fadtBootArch8042    = 1 << 1
	fadtNoCState        = 0xfff // a latency that says that the state is not there
	fadtACPIEnable      = 2
	fadtACPIDisable     = 3
	fadtResetValue      = 0xf
	fadtIntModelMultAPI = 1
)

// buildFADT appends the fixed ACPI description table, revision 3 (QEMU v10.2.2, hw/acpi/aml-build.c, build_fadt;
// hw/i386/acpi-build.c, init_common_fadt_data, acpi_get_pm_info).
func (s *state) buildFADT() error {
	return s.rooted(header{sig: "FACP", revision: 3, slic: true}, func() error {
		pm := s.chip.PMBase
		s.pointer(4, TablesFile, 0)      // FIRMWARE_CTRL: the FACS
		s.pointer(4, TablesFile, s.dsdt) // DSDT
		s.bytes(fadtIntModelMultAPI, 0)
		s.word(sciIRQ)
		if s.m.SMM || s.m.SMMCompat {
			s.DWord(smiPort)
			s.bytes(fadtACPIEnable, fadtACPIDisable)
		} else {
			s.DWord(0)
			s.bytes(0, 0)
		}
		s.bytes(0, 0)   // S4BIOS_REQ, PSTATE_CNT
		s.DWord(pm)     // PM1a_EVT_BLK
		s.DWord(0)      // PM1b_EVT_BLK
		s.DWord(pm + 4) // PM1a_CNT_BLK
		s.DWord(0)      // PM1b_CNT_BLK
		s.DWord(0)      // PM2_CNT_BLK
		s.DWord(pm + 8) // PM_TMR_BLK
		s.DWord(pm + gpe0Off)
		s.DWord(0)                                 // GPE1_BLK
		s.bytes(4, 2, 0, 4, gpe0Len, 0, 0, 0)      // lengths; GPE1_BASE, CST_CNT
		s.word(fadtNoCState)                       // P_LVL2_LAT
		s.word(fadtNoCState)                       // P_LVL3_LAT
		s.zeros(8)                                 // FLUSH_SIZE to MON_ALRM
		s.bytes(cmosCentury)                       // CENTURY
		s.word(s.bootArch())                       // IAPC_BOOT_ARCH
		s.bytes(0)                                 // reserved
		s.DWord(s.fadtFlags())                     // Flags
		s.ioAddress(resetPort, 8)                  // RESET_REG
		s.bytes(fadtResetValue, 0, 0, 0)           // RESET_VALUE, reserved
		s.qword(0)                                 // X_FIRMWARE_CTRL
		s.pointer(8, TablesFile, s.dsdt)           // X_DSDT
		s.ioAddress(uint64(pm), 32)                // X_PM1a_EVT_BLK
		s.noAddress()                              // X_PM1b_EVT_BLK
		s.ioAddress(uint64(pm+4), 16)              // X_PM1a_CNT_BLK
		s.noAddress()                              // X_PM1b_CNT_BLK
		s.noAddress()                              // X_PM2_CNT_BLK
		s.ioAddress(uint64(pm+8), 32)              // X_PM_TMR_BLK
		s.ioAddress(uint64(pm+gpe0Off), gpe0Len*8) // X_GPE0_BLK
		s.noAddress()                              // X_GPE1_BLK
		return nil
	})
}

func (s *state) bootArch() uint16 {
	if s.m.I8042 {
		return fadtBootArch8042
	}
	return 0
}

func (s *state) fadtFlags() uint32 {
	f := uint32(fadtWBINVD | fadtProcC1 | fadtSleepButton | fadtRTCS4 | fadtResetRegister | fadtPlatformClock)
	if s.m.Topology.MaxCPUs > flatLogicalMaxCPUs {
		f |= fadtForceAPICModel
	}
	return f
}

// MPS flags of an interrupt source override (ACPI 6.5, 5.2.12.5).
const (
	mpsActiveHigh = 1
	mpsEdge       = 1 << 2
	mpsLevel      = 3 << 2
)

// buildMADT appends the multiple APIC description table (QEMU v10.2.2, hw/i386/acpi-common.c, acpi_build_madt).
func (s *state) buildMADT() error {
	h := header{sig: "APIC", revision: 3}
	if s.m.Traits.MADTRevision1 {
		h.revision = 1
	}
	return s.rooted(h, func() error {
		s.DWord(localAPIC)
		if s.m.PIC || s.m.Traits.PCATAlways {
			s.DWord(1) // PCAT_COMPAT
		} else {
			s.DWord(0)
		}
		x2APIC := false
		buf := s.Bytes()
		for i, id := range s.apicIDs {
			buf = appendMADTCPU(buf, i, id, i < s.m.Topology.CPUs)
			x2APIC = x2APIC || id >= firstX2APIC
		}
		s.Reset(buf)
		s.bytes(1, 12, 0, 0) // I/O APIC 0
		s.DWord(ioAPIC)
		s.DWord(0)
		s.interruptOverrides()
		if x2APIC {
			s.bytes(10, 12, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0) // local x2APIC NMI, all processors, LINT1
		} else {
			s.bytes(4, 6, 0xff, 0, 0, 1) // local APIC NMI, all processors, LINT1
		}
		return nil
	})
}

// interruptOverrides appends the interrupt source overrides: the timer's, and those of the interrupts that PCI links
// may be routed to.
func (s *state) interruptOverrides() {
	override := func(irq uint8, gsi uint32, flags uint16) {
		s.bytes(2, 10, 0, irq)
		s.DWord(gsi)
		s.word(flags)
	}
	if s.m.Traits.EdgeOverrides {
		override(0, 2, mpsActiveHigh|mpsEdge)
		for irq := uint8(1); irq < 16; irq++ {
			override(irq, uint32(irq), mpsActiveHigh|mpsEdge)
		}
		return
	}
	override(0, 2, 0)
	for _, irq := range [...]uint8{5, 9, 10, 11} {
		override(irq, uint32(irq), mpsActiveHigh|mpsLevel)
	}
}

// buildHPET appends the HPET description table (IA-PC HPET 1.0a, 3.2.4).
func (s *state) buildHPET() error {
	return s.rooted(header{sig: "HPET", revision: 1}, func() error {
		s.DWord(0x8086a201) // event timer block ID
		s.zeros(4)          // in memory
		s.qword(hpetBase)
		s.zeros(4) // number, minimum tick, attributes
		return nil
	})
}

// mcfgBusSize is what a bus takes of the memory-mapped configuration space, and mcfgLen what firmware enables of it:
// 256 buses.
const (
	mcfgBusSize = 1 << 20
	mcfgLen     = 256 * mcfgBusSize
)

// buildMCFG appends the table of the memory-mapped configuration space (PCI Firmware 3.3, 4.1.2).
func (s *state) buildMCFG() error {
	return s.rooted(header{sig: "MCFG", revision: 1}, func() error {
		s.zeros(8)
		s.qword(s.chip.PCIEXBAR)
		s.word(0)       // segment
		s.bytes(0, 255) // first and last bus
		s.zeros(4)
		return nil
	})
}

// buildWAET appends the Windows emulated devices table: the PM timer needs to be read only once (WAET 1.0).
func (s *state) buildWAET() error {
	return s.rooted(header{sig: "WAET", revision: 1}, func() error {
		s.DWord(1 << 1)
		return nil
	})
}

// buildRSDT appends the root table, with a pointer to each table but FACS and DSDT.
func (s *state) buildRSDT() error {
	return s.table(header{sig: "RSDT", revision: 1, slic: true}, func() error {
		for _, off := range s.rootRefs {
			s.pointer(4, TablesFile, off)
		}
		return nil
	})
}

// rsdpLen is the size of the root pointer of ACPI 1.0 in bytes.
const rsdpLen = 20

// buildRSDP makes the root pointer, of revision 0, which points to the RSDT (ACPI 6.5, 5.2.5.3).
func (s *state) buildRSDP(buf []byte) {
	rsdt := s.blobs.List[len(s.blobs.List)-1].Off
	s.alloc(RSDPFile, 16, zoneFSeg)
	buf = append(buf, "RSD PTR \x00"...)
	buf = append(buf, s.m.OEMID...)
	for len(buf) < 15 {
		buf = append(buf, 0)
	}
	buf = append(buf, 0) // revision
	s.blobs.RSDP = binary.LittleEndian.AppendUint32(buf, uint32(rsdt))
	s.relocate(RSDPFile, 16, 4, TablesFile)
	s.checksum(RSDPFile, 0, rsdpLen, 8)
}
