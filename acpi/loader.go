package acpi

import "encoding/binary"

// A CommandKind is what a loader command asks of firmware.
type CommandKind uint32

// The commands (QEMU v10.2.2, hw/acpi/bios-linker-loader.c).
const (
	Allocate     CommandKind = 1 // load a file into memory
	AddPointer   CommandKind = 2 // add the address of a file to a field of another
	AddChecksum  CommandKind = 3 // subtract the sum of a range from a byte
	WritePointer CommandKind = 4 // write the address of a file into a fw_cfg file
)

// The zones of memory that Allocate knows.
const (
	zoneHigh = 1
	zoneFSeg = 2
)

// A Command is one entry of the loader script.
type Command struct {
	Kind CommandKind
	File string // what is loaded, patched, summed up or written to
	// Source is the file whose address AddPointer and WritePointer take.
	Source    string
	Offset    uint32 // of the patched field in File
	Size      uint8  // of a pointer, in bytes
	SourceOff uint32 // what WritePointer adds to the address
	Start     uint32 // of the range that AddChecksum sums up
	Length    uint32
	Align     uint32 // of Allocate
	Zone      uint8  // of Allocate
}

// commandLen is the size of an encoded command in bytes.
const commandLen = 128

// fileNameLen is the size of a file name in a command, with its final zero.
const fileNameLen = 56

// append encodes the command.
func (c *Command) append(dst []byte) []byte {
	var e [commandLen]byte
	le := binary.LittleEndian
	le.PutUint32(e[0:], uint32(c.Kind))
	copy(e[4:4+fileNameLen-1], c.File)
	const second = 4 + fileNameLen
	const third = second + fileNameLen
	switch c.Kind {
	case Allocate:
		le.PutUint32(e[second:], c.Align)
		e[second+4] = c.Zone
	case AddPointer:
		copy(e[second:second+fileNameLen-1], c.Source)
		le.PutUint32(e[third:], c.Offset)
		e[third+4] = c.Size
	case AddChecksum:
		le.PutUint32(e[second:], c.Offset)
		le.PutUint32(e[second+4:], c.Start)
		le.PutUint32(e[second+8:], c.Length)
	case WritePointer:
		copy(e[second:second+fileNameLen-1], c.Source)
		le.PutUint32(e[third:], c.Offset)
		le.PutUint32(e[third+4:], c.SourceOff)
		e[third+8] = c.Size
	}
	return append(dst, e[:]...)
}

// alloc adds an Allocate command. These come before all others, the last one first.
func (s *state) alloc(file string, align uint32, zone uint8) {
	s.allocs = append(s.allocs, Command{Kind: Allocate, File: file, Align: align, Zone: zone})
}

// checksum adds a command that makes the byte at the offset off bring the sum of a range to 0.
func (s *state) checksum(file string, start, length, off int) {
	s.cmds = append(s.cmds, Command{Kind: AddChecksum, File: file, Offset: uint32(off), Start: uint32(start), Length: uint32(length)})
}

// pointer appends a pointer of size bytes to the tables, whose target is an offset in file, and the command that
// relocates it.
func (s *state) pointer(size uint8, file string, target int) {
	off := s.Len()
	s.DWord(uint32(target))
	if size == 8 {
		s.DWord(0)
	}
	s.relocate(TablesFile, off, size, file)
}

// relocate adds the command that adds the address of source to a field.
func (s *state) relocate(file string, off int, size uint8, source string) {
	s.cmds = append(s.cmds, Command{Kind: AddPointer, File: file, Source: source, Offset: uint32(off), Size: size})
}

// mcfgCommands is how many commands the MCFG table has: its checksum, and the pointer to it.
const mcfgCommands = 2

// loaderFile returns what firmware reads of the loader script. Firmware looks up the file's size before it selects the
// file, and QEMU makes the tables anew, with MCFG, when the file is selected: where that takes another 4 KiB, firmware
// reads, and measures, no more than the size of before (edk2-stable202605, OvmfPkg/Library/AcpiPlatformLib/QemuFwCfgAcpi.c,
// InstallQemuFwCfgTables; QEMU v10.2.2, hw/i386/acpi-build.c, acpi_setup and acpi_build_update).
func (s *state) loaderFile(dst []byte) []byte {
	file := s.encodeLoader(dst)
	early := len(file)
	if s.chip.PCIEXBAR != 0 {
		early -= mcfgCommands * commandLen
	}
	early = (early + loaderAlign - 1) / loaderAlign * loaderAlign
	return pad(file, loaderAlign)[:early]
}

// encodeLoader brings the commands into order and appends their encoding to dst.
func (s *state) encodeLoader(dst []byte) []byte {
	all := make([]Command, 0, len(s.allocs)+len(s.cmds))
	for i := len(s.allocs) - 1; i >= 0; i-- {
		all = append(all, s.allocs[i])
	}
	all = append(all, s.cmds...)
	s.blobs.Commands = all
	for i := range all {
		dst = all[i].append(dst)
	}
	return dst
}
