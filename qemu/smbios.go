package qemu

import (
	"strconv"
	"strings"
)

// SMBIOSDefaults are what a machine type lays down for its SMBIOS tables.
type SMBIOSDefaults struct {
	EntryPoint string // "32", "64", or "auto": 32, and 64 where the tables do not fit that
	DeviceSize uint64 // bytes of RAM that one memory device (type 17) stands for at most
}

// smbiosTypes holds the defaults by machine type, newest first. QEMU 10.2.2, hw/i386/pc_q35.c, pc_q35_machine_*_options.
var smbiosTypes = []struct {
	Since Version
	SMBIOSDefaults
}{
	{Version{Major: 10, Minor: 2}, SMBIOSDefaults{"auto", 2 << 40}},   // hw/core/machine.c, machine_class_init
	{Version{Major: 9, Minor: 1}, SMBIOSDefaults{"auto", 2047 << 40}}, // machine_10_1_options
	{Version{Major: 9, Minor: 0}, SMBIOSDefaults{"auto", 16 << 30}},   // machine_9_0_options
	{Version{Major: 8, Minor: 1}, SMBIOSDefaults{"64", 16 << 30}},     // machine_8_2_options
	{Version{Major: 2, Minor: 6}, SMBIOSDefaults{"32", 16 << 30}},     // machine_8_0_options
}

// SMBIOSDefaults returns the defaults of m's machine type. It refuses types whose names it does not know, since a
// distributor's own type has its own product name, and those of before 2.6, whose tables have an older form.
func (m *Machine) SMBIOSDefaults() (SMBIOSDefaults, error) {
	refuse := func(msg string) (SMBIOSDefaults, error) {
		return SMBIOSDefaults{}, unsupportedErr("-machine", m.Type, "%s, so that its SMBIOS tables are not known", msg)
	}
	s, ok := strings.CutPrefix(m.Type, "pc-q35-")
	major, minor, dot := strings.Cut(s, ".")
	a, errA := strconv.ParseUint(major, 10, 8)
	b, errB := strconv.ParseUint(minor, 10, 8)
	if !ok || !dot || errA != nil || errB != nil || strconv.FormatUint(a, 10) != major || strconv.FormatUint(b, 10) != minor {
		return refuse("is not a versioned machine type of QEMU's, pc-q35-10.1")
	}
	v := Version{Major: int(a), Minor: int(b)}
	for _, t := range smbiosTypes {
		if !v.Less(t.Since) {
			return t.SMBIOSDefaults, nil
		}
	}
	return refuse("is older than pc-q35-2.6")
}
