// Package smbios makes the SMBIOS tables that QEMU hands to firmware, what OVMF publishes of them and what it
// measures, and reads such tables back.
package smbios

import (
	"errors"
	"fmt"

	"github.com/tdxkit/tdxkit/qemu"
)

// ErrCPUUnknown says that the tables need CPUID leaf 1 of a CPU model that depends on the host.
var ErrCPUUnknown = errors.New("type 4 Processor ID is CPUID leaf 1 of the CPU, which the host decides")

// Tables are QEMU's two fw_cfg files.
type Tables struct {
	// Structures is etc/smbios/smbios-tables: the structures one after the other, end of table included.
	Structures []byte
	// EntryPoint is etc/smbios/smbios-anchor: 31 bytes for SMBIOS 2.8 ("_SM_"), 24 for 3.0 ("_SM3_"). Its checksums
	// and addresses are zero, for the firmware to fill.
	EntryPoint []byte
}

// The sizes of the two entry points, DSP0134 3.7 5.2.1 and 5.2.2.
const (
	entryPoint21Size = 31
	entryPoint30Size = 24
)

// Major returns the major version of the SMBIOS specification that the tables claim, 2 or 3; 0 for no entry point.
func (t *Tables) Major() int {
	switch len(t.EntryPoint) {
	case entryPoint21Size:
		return 2
	case entryPoint30Size:
		return 3
	}
	return 0
}

// maxTable21 is the most that the 16-bit length of an SMBIOS 2.x entry point holds, in bytes.
const maxTable21 = 0xffff

// Why tables of SMBIOS 2.8 cannot be made, so that an "auto" entry point becomes one of 3.0.
var (
	errCounts = errors.New("more than 255 cores or threads in a socket need smbios-entry-point-type=64")
	errLength = errors.New("more than 65535 bytes of tables need smbios-entry-point-type=64")
)

// Build returns the SMBIOS tables of m, byte for byte as its QEMU release makes them. The error wraps ErrCPUUnknown
// where the CPU model does not say enough, or one of qemu's errors where an option is refused.
//
// QEMU 10.2.2, hw/i386/fw_cfg.c, fw_cfg_build_smbios; hw/smbios/smbios.c, smbios_get_tables.
func Build(m *qemu.Machine) (*Tables, error) {
	if m.RAM == 0 {
		return nil, errors.New("smbios: the machine has no RAM")
	}
	defaults, err := m.SMBIOSDefaults()
	if err != nil {
		return nil, err
	}
	o, err := readOptions(m)
	if err != nil {
		return nil, err
	}
	if !m.CPU.Known && o.cpu.id == 0 {
		return nil, fmt.Errorf("smbios: -cpu %s: %w (--host-cpu or --cpuid says what it is)", m.CPU.Model, ErrCPUUnknown)
	}
	kind := m.SMBIOS.EntryPoint
	if kind == "" {
		kind = defaults.EntryPoint
	}
	b := builder{m: m, o: o, deviceSize: defaults.DeviceSize}
	switch kind {
	case "32":
		err = b.tables(2)
	case "64":
		err = b.tables(3)
	case "auto":
		if err = b.tables(2); err == nil {
			break
		}
		// The first attempt frees the OEM strings once it has written them, so that the second has none.
		// hw/smbios/smbios.c, smbios_build_type_11_table.
		if errors.Is(err, errLength) {
			clear(o.oemStrings)
		}
		err = b.tables(3)
	default:
		return nil, &qemu.OptionError{Option: "-machine", Arg: "smbios-entry-point-type=" + kind,
			Msg: "want 32, 64 or auto", Err: qemu.ErrUsage}
	}
	if err != nil {
		return nil, fmt.Errorf("smbios: %w", err)
	}
	return &Tables{Structures: b.out, EntryPoint: b.entryPoint()}, nil
}
