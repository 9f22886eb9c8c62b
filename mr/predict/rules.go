package predict

import (
	"slices"

	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/mr"
)

// A Measurement is what a rule hashes, and what the log says of it. Its bytes may be shared and are not changed.
type Measurement struct {
	mr.Measured
	Data []byte // the event data that the log carries
}

// A Rule says that the boot chain measures one kind of thing: what, into which register, and when.
type Rule struct {
	ID       mr.RuleID
	Register mr.Register
	Type     eventlog.Type
	What     string // what is hashed
	From     string // which bytes of which input decide it
	When     string // the condition, in words; empty is always
	applies  func(*platform) Answer
	measure  func(*platform) ([]Measurement, error) // nearly always one
	Cite     mr.Cite
}

//go:generate go run ../../scripts/gendocs

// rules is the boot with -kernel, in the order of the events. Nothing else in this package extends a register.
var rules = []Rule{
	{
		ID: "rtmr0.td-hob", Register: mr.RTMR0, Type: eventlog.EVEFIHandoffTables2,
		What:    "the TD HOB list that the VMM builds, without its end-of-list HOB",
		From:    "RAM size, max-ram-below-4g; TD_HOB and TempMem sections of the firmware's TDVF metadata",
		applies: always, measure: tdHOB,
		Cite: mr.Cite{Doc: "edk2", Rev: "edk2-stable202502", Where: "OvmfPkg/IntelTdx/TdxHelperLib/SecTdxHelper.c, TdxHelperMeasureTdHob"},
	},
	{
		ID: "rtmr0.cfv", Register: mr.RTMR0, Type: eventlog.EVEFIPlatformFirmwareBlob2,
		What:    "the configuration firmware volume (CFV), whole",
		From:    "the firmware's bytes in the CFV section of the TDVF metadata",
		applies: always, measure: ofFirmware(cfv),
		Cite: mr.Cite{Doc: "edk2", Rev: "edk2-stable202502", Where: "OvmfPkg/IntelTdx/TdxHelperLib/SecTdxHelper.c, TdxHelperMeasureCfvImage"},
	},
	{
		ID: "rtmr0.fw-cfg", Register: mr.RTMR0, Type: eventlog.EVPlatformConfigFlags,
		What:    "fw_cfg items that configure the firmware, one event each: " + fwCfgNames(),
		From:    "the QEMU command line",
		When:    "edk2 202505 and later; an item that QEMU does not provide, or provides in another size, is left out",
		applies: func(p *platform) Answer { return p.profile.FwCfg }, measure: fwCfg,
		Cite: mr.Cite{Doc: "edk2", Rev: "edk2-stable202505", Where: "OvmfPkg/Library/QemuFwCfgLib/QemuFwCfgCacheInit.c, mCacheFwCfgList"},
	},
	{
		ID: "rtmr0.variable", Register: mr.RTMR0, Type: eventlog.EVEFIVariableDriverConfig,
		What:    "UEFI_VARIABLE_DATA of SecureBoot, PK, KEK, db and dbx, and of dbt where it exists, one event each",
		From:    "the variable store in the firmware's CFV; SecureBoot is made by the firmware from PK",
		applies: always, measure: ofFirmware(secureBootVariables),
		Cite: mr.Cite{Doc: "edk2", Rev: "edk2-stable202502", Where: "OvmfPkg/Tcg/TdTcg2Dxe/TdTcg2Dxe.c, MeasureAllSecureVariables"},
	},
	{
		ID: "rtmr0.separator", Register: mr.RTMR0, Type: eventlog.EVSeparator,
		What: "four zero bytes", From: "fixed",
		applies: always, measure: ofFirmware(separator),
		Cite: mr.Cite{Doc: "edk2", Rev: "edk2-stable202502", Where: "OvmfPkg/Tcg/TdTcg2Dxe/TdTcg2Dxe.c, MeasureSecureBootPolicy"},
	},
	{
		ID: "rtmr0.acpi", Register: mr.RTMR0, Type: eventlog.EVPlatformConfigFlags,
		What:    "QEMU's ACPI blobs as first read: etc/table-loader, then each file that it allocates, in its order",
		From:    "QEMU's release and command line; where the firmware places PCI BARs",
		When:    "edk2 202302 and later",
		applies: func(p *platform) Answer { return p.profile.ACPI }, measure: acpiBlobs,
		Cite: mr.Cite{Doc: "edk2", Rev: "edk2-stable202502", Where: "OvmfPkg/Library/AcpiPlatformLib/QemuFwCfgAcpi.c, InstallQemuFwCfgTables"},
	},
	{
		ID: "rtmr0.authority", Register: mr.RTMR0, Type: eventlog.EVEFIVariableAuthority,
		What:    "UEFI_VARIABLE_DATA of db with the entry, owner and certificate or digest, by which the kernel, or shim, is allowed to start",
		From:    "the signatures of the kernel or shim; db, dbx and dbt of the variable store in the firmware's CFV",
		When:    "Secure Boot is on; a kernel that the firmware refuses makes all registers but MRTD unknown",
		applies: secureBootOn, measure: authorities,
		Cite: mr.Cite{Doc: "edk2", Rev: "edk2-stable202605", Where: "SecurityPkg/Library/DxeImageVerificationLib, DxeImageVerificationHandler and MeasureVariable"},
	},
	{
		ID: "rtmr1.shim", Register: mr.RTMR1, Type: eventlog.EVEFIBootServicesApplication,
		What:    "the shim's Authenticode digest",
		From:    "the file of -shim",
		When:    "QEMU has -shim and the firmware, edk2 202502 and later, takes it",
		applies: shimmed, measure: shimImage,
		Cite: mr.Cite{Doc: "edk2", Rev: "edk2-stable202502", Where: "OvmfPkg/Library/X86QemuLoadImageLib/X86QemuLoadImageLib.c, QemuLoadKernelImage"},
	},
	{
		ID: "rtmr1.kernel", Register: mr.RTMR1, Type: eventlog.EVEFIBootServicesApplication,
		What:    "the kernel's Authenticode digest",
		From:    "the kernel; where QEMU patches its setup header also RAM size, initrd size and vga= of the command line",
		When:    "the firmware starts the kernel itself, not a shim",
		applies: func(p *platform) Answer { return and(directBoot(p), shimmed(p).not()) }, measure: kernelImage,
		Cite: mr.Cite{Doc: "edk2", Rev: "edk2-stable202502", Where: "OvmfPkg/Tcg/TdTcg2Dxe/MeasureBootPeCoff.c, MeasurePeImageAndExtend"},
	},
	{
		ID: "rtmr0.smbios", Register: mr.RTMR0, Type: eventlog.EVEFIHandoffTables,
		What:    "the SMBIOS structure table with serial numbers, UUIDs and the like blanked",
		From:    "machine type, RAM, sockets, CPUID leaf 1 of the CPU model, -smbios; the firmware's vendor, version and date",
		When:    "edk2 202505 and later",
		applies: func(p *platform) Answer { return p.profile.SMBIOS }, measure: smbiosTable,
		Cite: mr.Cite{Doc: "edk2", Rev: "edk2-stable202505", Where: "MdeModulePkg/Universal/SmbiosMeasurementDxe/SmbiosMeasurementDxe.c, MeasureSmbiosTable"},
	},
	{
		ID: "rtmr0.boot-variable", Register: mr.RTMR0, Type: eventlog.EVEFIVariableBoot,
		What:    "the data of BootOrder, then of each Boot#### in its order",
		From:    "the firmware's own applications: file and volume GUIDs, names",
		When:    "edk2 202302 and later; where the firmware has an application to offer",
		applies: func(p *platform) Answer { return p.profile.BootVariablesInRTMR1.not() }, measure: ofFirmware(bootVariables),
		Cite: mr.Cite{Doc: "edk2", Rev: "edk2-stable202502", Where: "OvmfPkg/Tcg/TdTcg2Dxe/TdTcg2Dxe.c, MeasureAllBootVariables"},
	},
	{
		ID: "rtmr1.boot-variable", Register: mr.RTMR1, Type: eventlog.EVEFIVariableBoot,
		What:    "the data of BootOrder, then of each Boot#### in its order",
		From:    "the firmware's own applications: file and volume GUIDs, names",
		When:    "edk2 202208 and 202211",
		applies: func(p *platform) Answer { return p.profile.BootVariablesInRTMR1 }, measure: ofFirmware(bootVariables),
		Cite: mr.Cite{Doc: "edk2", Rev: "edk2-stable202208", Where: "OvmfPkg/Tcg/TdTcg2Dxe/TdTcg2Dxe.c, MeasureAllBootVariables"},
	},
	{
		ID: "rtmr1.calling-application", Register: mr.RTMR1, Type: eventlog.EVEFIAction,
		What: quoted(actionCalling), From: "fixed",
		applies: always, measure: ofFirmware(action(actionCalling)),
		Cite: mr.Cite{Doc: "edk2", Rev: "edk2-stable202502", Where: "OvmfPkg/Tcg/TdTcg2Dxe/TdTcg2Dxe.c, OnReadyToBoot"},
	},
	{
		ID: "rtmr0.ready-to-boot-separator", Register: mr.RTMR0, Type: eventlog.EVSeparator,
		What: "four zero bytes", From: "fixed",
		When:    "edk2 202302 to 202408",
		applies: func(p *platform) Answer { return p.profile.SeparatorInRTMR1.not() }, measure: ofFirmware(separator),
		Cite: mr.Cite{Doc: "edk2", Rev: "edk2-stable202408", Where: "OvmfPkg/Tcg/TdTcg2Dxe/TdTcg2Dxe.c, OnReadyToBoot"},
	},
	{
		ID: "rtmr1.ready-to-boot-separator", Register: mr.RTMR1, Type: eventlog.EVSeparator,
		What: "four zero bytes", From: "fixed",
		When:    "edk2 202208, 202211, and 202411 and later",
		applies: func(p *platform) Answer { return p.profile.SeparatorInRTMR1 }, measure: ofFirmware(separator),
		Cite: mr.Cite{Doc: "edk2", Rev: "edk2-stable202411", Where: "OvmfPkg/Tcg/TdTcg2Dxe/TdTcg2Dxe.c, OnReadyToBoot"},
	},
	{
		ID: "rtmr2.mok-list", Register: mr.RTMR2, Type: eventlog.EVIPL,
		What:    "the values of MokList and MokListX, one event each",
		From:    "the certificate and the list of what is refused that the shim carries",
		When:    "a shim is started",
		applies: shimmed, measure: mokLists,
		Cite: mr.Cite{Doc: "shim", Rev: "16.1", Where: "mok.c, mok_state_variable_data and mirror_one_mok_variable"},
	},
	{
		ID: "rtmr0.sbat-level", Register: mr.RTMR0, Type: eventlog.EVEFIVariableAuthority,
		What:    "UEFI_VARIABLE_DATA of SbatLevel",
		From:    "fixed: with Secure Boot off a shim sets the oldest level",
		When:    "a shim is started",
		applies: shimmed, measure: sbatLevel,
		Cite: mr.Cite{Doc: "shim", Rev: "16.1", Where: "sbat.c, set_sbat_uefi_variable; tpm.c, tpm_measure_variable"},
	},
	{
		ID: "rtmr2.mok-list-trusted", Register: mr.RTMR2, Type: eventlog.EVIPL,
		What: "the value of MokListTrusted, 1", From: "fixed: the value for want of a variable",
		When:    "a shim is started",
		applies: shimmed, measure: mokListTrusted,
		Cite: mr.Cite{Doc: "shim", Rev: "16.1", Where: "mok.c, import_one_mok_state"},
	},
	{
		ID: "rtmr1.shim-kernel", Register: mr.RTMR1, Type: eventlog.EVEFIBootServicesApplication,
		What:    "the Authenticode digest of the kernel that the shim starts",
		From:    "the kernel, as the file has it",
		When:    "a shim is started",
		applies: shimmed, measure: shimKernel,
		Cite: mr.Cite{Doc: "shim", Rev: "16.1", Where: "pe.c, handle_image; tpm.c, tpm_log_pe"},
	},
	{
		ID: "rtmr2.load-options", Register: mr.RTMR2, Type: eventlog.EVEventTag,
		What:    "the kernel's LoadOptions: the command line with initrd= as the firmware adds it, UTF-16LE with its terminator",
		From:    "the command line; whether there is an initrd",
		When:    "the kernel's EFI stub measures to the CC protocol, and the options are not empty",
		applies: stubMeasures, measure: loadOptions,
		Cite: mr.Cite{Doc: "Linux", Rev: "v6.12", Where: "drivers/firmware/efi/libstub/efi-stub-helper.c, efi_convert_cmdline"},
	},
	{
		ID: "rtmr2.initrd", Register: mr.RTMR2, Type: eventlog.EVEventTag,
		What: "the initrd", From: "the initrd file",
		When:    "the kernel's EFI stub measures to the CC protocol, and there is an initrd",
		applies: stubMeasures, measure: initrd,
		Cite: mr.Cite{Doc: "Linux", Rev: "v6.12", Where: "drivers/firmware/efi/libstub/efi-stub-helper.c, efi_load_initrd"},
	},
	{
		ID: "rtmr1.exit-boot-services", Register: mr.RTMR1, Type: eventlog.EVEFIAction,
		What: quoted(actionExitInvocation) + ", then " + quoted(actionExitSuccess), From: "fixed",
		applies: always, measure: ofFirmware(action(actionExitInvocation, actionExitSuccess)),
		Cite: mr.Cite{Doc: "edk2", Rev: "edk2-stable202502", Where: "OvmfPkg/Tcg/TdTcg2Dxe/TdTcg2Dxe.c, OnExitBootServices"},
	},
}

// why says what an unknown answer of a rule depends on.
func (p *platform) why(r *Rule) string {
	if r.Register == mr.RTMR2 {
		return "the kernel's bytes do not say whether its EFI stub measures: " + p.stub().Evidence
	}
	return p.profile.ask()
}

// Rules returns the rules, for documents and for `measure --events`.
func Rules() []Rule { return slices.Clone(rules) }

// RuleOf returns the rule of an event.
func RuleOf(e mr.Event) (Rule, bool) {
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.ID == e.Rule })
	if i < 0 {
		return Rule{}, false
	}
	return rules[i], true
}

// MRTDRule says what MRTD measures; the launch is no event of a log.
var MRTDRule = Rule{
	ID: "mrtd.launch", Register: mr.MRTD,
	What: "for each page that the VMM adds a MEM.PAGE.ADD record with its address; for each 256 bytes that it extends an MR.EXTEND record and the bytes",
	From: "the TDVF metadata's sections and the firmware's bytes in those with MR.EXTEND; the order of adding and extending, by QEMU's release",
	Cite: mr.Cite{Doc: "Intel TDX module ABI", Rev: "348551", Where: "TDH.MEM.PAGE.ADD, TDH.MR.EXTEND and TDH.MR.FINALIZE leaves"},
}
