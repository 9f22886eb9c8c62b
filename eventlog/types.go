// Package eventlog reads and writes TCG crypto-agile event logs as TDX guests keep them (CCEL).
package eventlog

// A Type is the EventType of a TCG_PCR_EVENT2. TCG PFP 1.06, 10.4.1 Event Types.
type Type uint32

// The event types that TDX firmware and loaders log.
const (
	EVNoAction                   Type = 0x00000003 // EV_NO_ACTION
	EVSeparator                  Type = 0x00000004 // EV_SEPARATOR
	EVAction                     Type = 0x00000005 // EV_ACTION
	EVEventTag                   Type = 0x00000006 // EV_EVENT_TAG
	EVPlatformConfigFlags        Type = 0x0000000A // EV_PLATFORM_CONFIG_FLAGS
	EVIPL                        Type = 0x0000000D // EV_IPL
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
	EVEFIVariableAuthority       Type = 0x800000E0 // EV_EFI_VARIABLE_AUTHORITY
)
