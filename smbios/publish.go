package smbios

import (
	"encoding/binary"
	"fmt"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// FirmwareInfo are the strings that an OVMF build has compiled in, as its build sets them: PcdFirmwareVendor,
// PcdFirmwareVersionString and PcdFirmwareReleaseDateString.
type FirmwareInfo struct{ Vendor, Version, Date string }

// What OVMF says where its build sets fewer than three characters.
// edk2-stable202605, OvmfPkg/SmbiosPlatformDxe/SmbiosPlatformDxe.c, InstallAllStructures.
const (
	unknownText  = "unknown"
	unknownDate  = "02/02/2022"
	shortestText = 3 // characters
)

// endHandle is the handle of the end-of-table structure that the firmware makes, and the highest that it takes.
// edk2-stable202605, MdeModulePkg/Universal/SmbiosDxe/SmbiosDxe.c, GetMaxSmbiosHandle.
const endHandle = 0xfeff

// Published returns the table that OVMF publishes: QEMU's structures but the last, in order and with their handles, a
// type 0 structure of OVMF's own unless QEMU gave one, and an end of table of the firmware's.
//
// edk2-stable202605, OvmfPkg/SmbiosPlatformDxe/SmbiosPlatformDxe.c, InstallAllStructures; MdeModulePkg/Universal/SmbiosDxe/
// SmbiosDxe.c, SmbiosAdd and SmbiosCreateTable. The error is a *bin.FormatError for tables that the firmware would not take
// whole: what it then does depends on its build.
func Published(q *Tables, fw FirmwareInfo) ([]byte, error) {
	if q.Major() == 0 {
		return nil, malformed(0, "entry point", bin.ErrMalformed, "has %d bytes, want %d or %d", len(q.EntryPoint), entryPoint21Size, entryPoint30Size)
	}
	var low [64]bool // handles that are taken; OVMF's own structure has the lowest free one
	hasBIOS, last := false, 0
	err := walk(q.Structures, closed, func(e extent) error {
		last = e.off
		typ, handle := q.Structures[e.off], binary.LittleEndian.Uint16(q.Structures[e.off+2:])
		if typ == endOfTable {
			return nil
		}
		if handle > endHandle {
			return malformed(e.off+2, "Handle", bin.ErrUnsupported, "is 0x%04x, want at most 0x%04x", handle, endHandle)
		}
		if int(handle) < len(low) {
			low[handle] = true
		}
		hasBIOS = hasBIOS || typ == 0
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(q.Structures)+128)
	out = append(out, q.Structures[:last]...)
	if !hasBIOS {
		if out, err = appendBIOS(out, low[:], fw); err != nil {
			return nil, err
		}
	}
	out = append(out, endOfTable, headerSize, endHandle&0xff, endHandle>>8, 0, 0)
	if q.Major() == 2 && len(out) > maxTable21 {
		return nil, malformed(0, "table", bin.ErrUnsupported, "has %d bytes as published, want at most %d", len(out), maxTable21)
	}
	return out, nil
}

// appendBIOS appends OVMF's type 0 structure. edk2-stable202605, OvmfPkg/SmbiosPlatformDxe/SmbiosPlatformDxe.c,
// mOvmfDefaultType0.
func appendBIOS(out []byte, taken []bool, fw FirmwareInfo) ([]byte, error) {
	handle := 0
	for handle < len(taken) && taken[handle] {
		handle++
	}
	if handle == len(taken) {
		return nil, malformed(0, "Handle", bin.ErrUnsupported, "the first %d handles are taken, want one for type 0", len(taken))
	}
	out = append(out, 0, 26, uint8(handle), 0,
		1, 2, // Vendor, BIOS Version
		0x00, 0xe8, // BIOS Starting Address Segment
		3, 0, // BIOS Release Date, BIOS ROM Size
		1<<3, 0, 0, 0, 0, 0, 0, 0, // BIOS Characteristics: not supported
		0, 1<<2|1<<3|1<<4, // extension: targeted content distribution, UEFI, virtual machine
		0, 0, 0xff, 0xff, // releases of the firmware and of an embedded controller
		0, 0) // Extended BIOS ROM Size
	for _, s := range []struct{ what, text, otherwise string }{
		{"PcdFirmwareVendor", fw.Vendor, unknownText},
		{"PcdFirmwareVersionString", fw.Version, unknownText},
		{"PcdFirmwareReleaseDateString", fw.Date, unknownDate},
	} {
		for i := range len(s.text) {
			if c := s.text[i]; c == 0 || c >= 0x80 {
				return nil, fmt.Errorf("smbios: %s %q is not ASCII text", s.what, s.text)
			}
		}
		if len(s.text) < shortestText {
			s.text = s.otherwise
		}
		out = append(append(out, s.text...), 0)
	}
	return append(out, 0), nil
}
