// Package eventlog reads and writes TCG crypto-agile event logs as TDX guests keep them (CCEL).
package eventlog

import (
	"fmt"
	"strconv"
	"strings"
)

// A Type is the EventType of a TCG_PCR_EVENT2. TCG PFP 1.06, 10.4.1 Event Types.
type Type uint32

// The event types that TDX firmware and loaders log.
const (
	EVPrebootCert                Type = 0x00000000 // EV_PREBOOT_CERT
	EVPostCode                   Type = 0x00000001 // EV_POST_CODE
	EVNoAction                   Type = 0x00000003 // EV_NO_ACTION
	EVSeparator                  Type = 0x00000004 // EV_SEPARATOR
	EVAction                     Type = 0x00000005 // EV_ACTION
	EVEventTag                   Type = 0x00000006 // EV_EVENT_TAG
	EVSCRTMContents              Type = 0x00000007 // EV_S_CRTM_CONTENTS
	EVSCRTMVersion               Type = 0x00000008 // EV_S_CRTM_VERSION
	EVCPUMicrocode               Type = 0x00000009 // EV_CPU_MICROCODE
	EVPlatformConfigFlags        Type = 0x0000000A // EV_PLATFORM_CONFIG_FLAGS
	EVTableOfDevices             Type = 0x0000000B // EV_TABLE_OF_DEVICES
	EVCompactHash                Type = 0x0000000C // EV_COMPACT_HASH
	EVIPL                        Type = 0x0000000D // EV_IPL
	EVIPLPartitionData           Type = 0x0000000E // EV_IPL_PARTITION_DATA
	EVNonhostCode                Type = 0x0000000F // EV_NONHOST_CODE
	EVNonhostConfig              Type = 0x00000010 // EV_NONHOST_CONFIG
	EVNonhostInfo                Type = 0x00000011 // EV_NONHOST_INFO
	EVOmitBootDeviceEvents       Type = 0x00000012 // EV_OMIT_BOOT_DEVICE_EVENTS
	EVEFIVariableDriverConfig    Type = 0x80000001 // EV_EFI_VARIABLE_DRIVER_CONFIG
	EVEFIVariableBoot            Type = 0x80000002 // EV_EFI_VARIABLE_BOOT
	EVEFIBootServicesApplication Type = 0x80000003 // EV_EFI_BOOT_SERVICES_APPLICATION
	EVEFIBootServicesDriver      Type = 0x80000004 // EV_EFI_BOOT_SERVICES_DRIVER
	EVEFIRuntimeServicesDriver   Type = 0x80000005 // EV_EFI_RUNTIME_SERVICES_DRIVER
	EVEFIGPTEvent                Type = 0x80000006 // EV_EFI_GPT_EVENT
	EVEFIAction                  Type = 0x80000007 // EV_EFI_ACTION
	EVEFIPlatformFirmwareBlob    Type = 0x80000008 // EV_EFI_PLATFORM_FIRMWARE_BLOB
	EVEFIHandoffTables           Type = 0x80000009 // EV_EFI_HANDOFF_TABLES
	EVEFIPlatformFirmwareBlob2   Type = 0x8000000A // EV_EFI_PLATFORM_FIRMWARE_BLOB2
	EVEFIHandoffTables2          Type = 0x8000000B // EV_EFI_HANDOFF_TABLES2
	EVEFIHCRTMEvent              Type = 0x80000010 // EV_EFI_HCRTM_EVENT
	EVEFIVariableAuthority       Type = 0x800000E0 // EV_EFI_VARIABLE_AUTHORITY
	EVEFISPDMFirmwareBlob        Type = 0x800000E1 // EV_EFI_SPDM_FIRMWARE_BLOB
	EVEFISPDMFirmwareConfig      Type = 0x800000E2 // EV_EFI_SPDM_FIRMWARE_CONFIG
	EVEFISPDMDevicePolicy        Type = 0x800000E3 // EV_EFI_SPDM_DEVICE_POLICY
	EVEFISPDMDeviceAuthority     Type = 0x800000E4 // EV_EFI_SPDM_DEVICE_AUTHORITY
)

// typeNames spells the types as the TCG does, in the order of their numbers.
var typeNames = []struct {
	t    Type
	name string
}{
	{EVPrebootCert, "EV_PREBOOT_CERT"},
	{EVPostCode, "EV_POST_CODE"},
	{EVNoAction, "EV_NO_ACTION"},
	{EVSeparator, "EV_SEPARATOR"},
	{EVAction, "EV_ACTION"},
	{EVEventTag, "EV_EVENT_TAG"},
	{EVSCRTMContents, "EV_S_CRTM_CONTENTS"},
	{EVSCRTMVersion, "EV_S_CRTM_VERSION"},
	{EVCPUMicrocode, "EV_CPU_MICROCODE"},
	{EVPlatformConfigFlags, "EV_PLATFORM_CONFIG_FLAGS"},
	{EVTableOfDevices, "EV_TABLE_OF_DEVICES"},
	{EVCompactHash, "EV_COMPACT_HASH"},
	{EVIPL, "EV_IPL"},
	{EVIPLPartitionData, "EV_IPL_PARTITION_DATA"},
	{EVNonhostCode, "EV_NONHOST_CODE"},
	{EVNonhostConfig, "EV_NONHOST_CONFIG"},
	{EVNonhostInfo, "EV_NONHOST_INFO"},
	{EVOmitBootDeviceEvents, "EV_OMIT_BOOT_DEVICE_EVENTS"},
	{EVEFIVariableDriverConfig, "EV_EFI_VARIABLE_DRIVER_CONFIG"},
	{EVEFIVariableBoot, "EV_EFI_VARIABLE_BOOT"},
	{EVEFIBootServicesApplication, "EV_EFI_BOOT_SERVICES_APPLICATION"},
	{EVEFIBootServicesDriver, "EV_EFI_BOOT_SERVICES_DRIVER"},
	{EVEFIRuntimeServicesDriver, "EV_EFI_RUNTIME_SERVICES_DRIVER"},
	{EVEFIGPTEvent, "EV_EFI_GPT_EVENT"},
	{EVEFIAction, "EV_EFI_ACTION"},
	{EVEFIPlatformFirmwareBlob, "EV_EFI_PLATFORM_FIRMWARE_BLOB"},
	{EVEFIHandoffTables, "EV_EFI_HANDOFF_TABLES"},
	{EVEFIPlatformFirmwareBlob2, "EV_EFI_PLATFORM_FIRMWARE_BLOB2"},
	{EVEFIHandoffTables2, "EV_EFI_HANDOFF_TABLES2"},
	{EVEFIHCRTMEvent, "EV_EFI_HCRTM_EVENT"},
	{EVEFIVariableAuthority, "EV_EFI_VARIABLE_AUTHORITY"},
	{EVEFISPDMFirmwareBlob, "EV_EFI_SPDM_FIRMWARE_BLOB"},
	{EVEFISPDMFirmwareConfig, "EV_EFI_SPDM_FIRMWARE_CONFIG"},
	{EVEFISPDMDevicePolicy, "EV_EFI_SPDM_DEVICE_POLICY"},
	{EVEFISPDMDeviceAuthority, "EV_EFI_SPDM_DEVICE_AUTHORITY"},
}

// String returns the TCG's name of the type, "EV_SEPARATOR", and a hexadecimal number for a type without one.
func (t Type) String() string {
	for _, n := range typeNames {
		if n.t == t {
			return n.name
		}
	}
	return fmt.Sprintf("0x%08x", uint32(t))
}

// Known reports whether the TCG has a name for the type.
func (t Type) Known() bool {
	for _, n := range typeNames {
		if n.t == t {
			return true
		}
	}
	return false
}

// MarshalText returns what String returns.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText parses what ParseType parses.
func (t *Type) UnmarshalText(text []byte) error {
	v, err := ParseType(string(text))
	if err == nil {
		*t = v
	}
	return err
}

// ParseType parses a name as String writes it, or a number: hexadecimal after 0x, else decimal.
func ParseType(s string) (Type, error) {
	for _, n := range typeNames {
		if n.name == s {
			return n.t, nil
		}
	}
	digits, base := s, 10
	if hex, ok := strings.CutPrefix(s, "0x"); ok {
		digits, base = hex, 16
	}
	v, err := strconv.ParseUint(digits, base, 32)
	if err != nil {
		return 0, fmt.Errorf("event type %q: want a name as EV_SEPARATOR or a 32-bit number", s)
	}
	return Type(v), nil
}
