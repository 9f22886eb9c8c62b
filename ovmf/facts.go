package ovmf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tdxkit/tdxkit/efi"
)

// A Value is the answer to a question about a build. The zero value is unknown.
type Value uint8

// The answers.
const (
	Unknown Value = iota
	No
	Yes
)

// String returns the answer as a word.
func (v Value) String() string { return [...]string{"unknown", "no", "yes"}[v] }

// MarshalText returns what String returns.
func (v Value) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// A Fact is an answer and the bytes that give it, in words.
type Fact struct {
	Value    Value
	Evidence string
}

// Facts are what the bytes of an image say about its build. They come from modules, from strings in modules, and from
// the releases that those allow; never from a version string, which the builder chooses.
type Facts struct {
	// The build.
	IntelTdx Fact   // OvmfPkg/IntelTdx: no PEI phase, SEC starts DXE
	From, To int    // oldest and newest edk2-stable release with these bytes; To is 0 where the newest known has them
	Conflict string // why no release fits; empty where one does
	markers  []string

	// Drivers and strings.
	TdTcg2Dxe            Fact // the driver of the confidential-computing measurement protocol
	TdTcg2Pei            Fact // its PEIM, which X64 builds have from 202502 on
	Tcg2Dxe              Fact // the driver of the TCG2 protocol, for a virtual TPM
	BootVariablesPCR1    Fact // TdTcg2Dxe puts boot variables to PCR 1; before to PCR 5
	SeparatorMR2         Fact // TdTcg2Dxe's separator at ReadyToBoot has measurement register index 2; before 1
	ACPIData             Fact // ACPI tables of fw_cfg are measured as "ACPI DATA"
	FwCfgCache           Fact // fw_cfg items are cached early and measured as "QEMU FW CFG"
	NamedBlobs           Fact // the kernel is read from etc/boot/kernel where QEMU offers it
	InitrdPrefix         Fact // "initrd=initrd " is put in front of the command line, not behind it
	SmbiosMeasurementDxe Fact
	OtherMeasuring       Fact // a module beside edk2's own looks up the confidential-computing measurement protocol

	// Applications in a volume that a TD sees.
	BootManagerMenu   Fact // BootManagerMenuApp
	UiApp             Fact
	FirmwareSetupName Fact // UiApp is registered as "EFI Firmware Setup"
	Shell             Fact

	// Variables.
	SecureBoot Fact // built with SECURE_BOOT_ENABLE
	PKEnrolled Fact // the variable store holds a platform key
	NvVars     Fact // variables are kept in a file NvVars on a FAT file system

	// What the build programs into the chipset.
	PCIExBar   uint64 // PCIEXBAR, where the ECAM lies; 0 is unknown
	Window     WindowRule
	PCIExBarBy string // evidence for PCIExBar and Window
	FiveLevel  Fact   // page tables of five levels where the processor has them (PcdUse5LevelPageTable)
}

// A WindowRule says how a build places the window for 64-bit BARs. edk2, OvmfPkg/Library/PlatformInitLib/MemDetect.c,
// PlatformAddressWidthFromCpuid and PlatformDynamicMmioWindow.
type WindowRule uint8

// The rules, oldest first.
const (
	WindowUnknown  WindowRule = iota
	WindowClassic             // behind RAM, up to 202208
	WindowDynamic             // the top eighth of the physical address space, 202211 to 202305
	WindowClamp46             // so, with at most 46 bits, 202308 to 202402
	WindowPaging57            // so, with at most 46 bits under 4-level paging, and GuestPhysBits looked at, from 202405 on
)

var windowNames = [...]string{"unknown", "classic", "dynamic", "dynamic, at most 46 bits", "dynamic, at most 46 bits under 4-level paging"}

// String returns the rule in words.
func (w WindowRule) String() string { return windowNames[w] }

// MarshalText returns what String returns.
func (w WindowRule) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// A Line is one fact for a reader.
type Line struct {
	Name     string
	Value    string
	Evidence string
}

// Lines returns all facts in a fixed order.
func (f *Facts) Lines() []Line {
	lines := []Line{{"edk2 release", f.Releases(), strings.Join(f.markers, ", ")}}
	for _, x := range []struct {
		name string
		fact *Fact
	}{
		{"IntelTdx build", &f.IntelTdx},
		{"TdTcg2Dxe", &f.TdTcg2Dxe},
		{"TdTcg2Pei", &f.TdTcg2Pei},
		{"Tcg2Dxe", &f.Tcg2Dxe},
		{"boot variables to PCR 1", &f.BootVariablesPCR1},
		{"ReadyToBoot separator to register index 2", &f.SeparatorMR2},
		{"ACPI tables measured", &f.ACPIData},
		{"fw_cfg items measured", &f.FwCfgCache},
		{"kernel from etc/boot/kernel", &f.NamedBlobs},
		{"initrd= in front of the command line", &f.InitrdPrefix},
		{"SmbiosMeasurementDxe", &f.SmbiosMeasurementDxe},
		{"other modules that measure", &f.OtherMeasuring},
		{"BootManagerMenuApp in a TD", &f.BootManagerMenu},
		{"UiApp in a TD", &f.UiApp},
		{"UiApp named EFI Firmware Setup", &f.FirmwareSetupName},
		{"Shell in a TD", &f.Shell},
		{"Secure Boot support", &f.SecureBoot},
		{"platform key enrolled", &f.PKEnrolled},
		{"NvVars file", &f.NvVars},
		{"page tables of five levels", &f.FiveLevel},
	} {
		lines = append(lines, Line{x.name, x.fact.Value.String(), x.fact.Evidence})
	}
	bar := "unknown"
	if f.PCIExBar != 0 {
		bar = fmt.Sprintf("0x%x", f.PCIExBar)
	}
	return append(lines, Line{"PCIEXBAR", bar, f.PCIExBarBy}, Line{"64-bit window", f.Window.String(), f.PCIExBarBy})
}

// stable are the edk2-stable releases whose source the markers were checked against, as numbers. 202205 is the first
// with TDX metadata.
var stable = []int{202205, 202208, 202211, 202302, 202305, 202308, 202311, 202402, 202405, 202408, 202411, 202502, 202505, 202508, 202511, 202602, 202605}

// Candidates lists the releases from From to To. It does not name releases after the newest known one, nor before the
// first with TDX metadata.
func (f *Facts) Candidates() []int {
	if f.Conflict != "" {
		return nil
	}
	var list []int
	for _, r := range stable {
		if r >= f.From && (f.To == 0 || r <= f.To) {
			list = append(list, r)
		}
	}
	return list
}

// Releases returns the candidates in words.
func (f *Facts) Releases() string {
	switch c := f.Candidates(); {
	case f.Conflict != "":
		return "no known release"
	case f.From == 0 && f.To == 0:
		return "any release"
	case f.From == 0:
		return fmt.Sprintf("%d or earlier", f.To)
	case len(c) == 0:
		return fmt.Sprintf("later than %d", stable[len(stable)-1])
	case f.To == 0:
		return fmt.Sprintf("%d or later", c[0])
	case len(c) == 1:
		return fmt.Sprint(c[0])
	default:
		return fmt.Sprintf("%d to %d", c[0], c[len(c)-1])
	}
}

// since answers whether the build is of a release or a later one.
func (f *Facts) since(release int) Value {
	switch {
	case f.Conflict != "":
		return Unknown
	case f.From >= release:
		return Yes
	case f.To != 0 && f.To < release:
		return No
	}
	return Unknown
}

// bySince turns since into a fact.
func (f *Facts) bySince(release int, commit string) Fact {
	return Fact{f.since(release), fmt.Sprintf("edk2 %s came with %d; the build is of %s: %s", commit, release, f.Releases(), strings.Join(f.markers, ", "))}
}

// A marker is a change that shows in the bytes, and the first release that has it.
type marker struct {
	since int
	what  string
	find  func(*evidence) Value // Unknown where the build options or a missing module hide it
}

// markers is sorted oldest first. Each was looked up in the source of every release in stable.
var markers = []marker{
	{202208, "TdTcg2Dxe in an IntelTdx build", func(e *evidence) Value {
		if e.intelTdx() != Yes {
			return Unknown
		}
		return e.has(moduleTdTcg2Dxe)
	}},
	{202211, `"VMMBootOrder%04x" in BdsDxe`, func(e *evidence) Value { return e.wide(moduleBdsDxe, "VMMBootOrder%04x") }},
	{202302, "SmbiosPlatformDxe with strings from PCDs", func(e *evidence) Value {
		return not(e.narrow(moduleSmbiosPlatformDxe, "EFI Development Kit II / OVMF\x00"))
	}},
	{202305, `"2/2/2022" or "02/02/2022" in SmbiosPlatformDxe`, func(e *evidence) Value {
		return or(e.wide(moduleSmbiosPlatformDxe, "2/2/2022\x00"), e.wide(moduleSmbiosPlatformDxe, "02/02/2022\x00"))
	}},
	{202308, "MdeModulePkg's SataController", func(e *evidence) Value { return e.has(moduleSataController) }},
	{202405, `"02/02/2022" in SmbiosPlatformDxe`, func(e *evidence) Value { return e.wide(moduleSmbiosPlatformDxe, "02/02/2022\x00") }},
	{202411, `"eMMC Boot 1" in BdsDxe`, func(e *evidence) Value { return e.wide(moduleBdsDxe, "eMMC Boot 1\x00") }},
	{202502, `"etc/boot/" in QemuKernelLoaderFsDxe`, func(e *evidence) Value { return e.narrow(moduleKernelLoader, "etc/boot/") }},
	{202505, `"opt/org.tianocore/FirmwareSetupSupport" in BdsDxe`, func(e *evidence) Value {
		return e.narrow(moduleBdsDxe, "opt/org.tianocore/FirmwareSetupSupport\x00")
	}},
	{202508, `"initrd=initrd " and not " initrd=initrd" in BdsDxe`, (*evidence).initrdPrefix},
	{202511, "IGVM entry in the GUIDed table", func(e *evidence) Value {
		if e.img.Table == nil {
			return Unknown
		}
		return value(slices.ContainsFunc(e.img.Table, func(t TableEntry) bool { return t.GUID == tableIGVM }))
	}},
	{202605, "CxlDxe in an X64 build, or UiApp outside DXEFV in an IntelTdx build", func(e *evidence) Value {
		if e.intelTdx() == Yes {
			return not(e.reachable(moduleUiApp))
		}
		return e.has(moduleCxlDxe)
	}},
	{202608, "BootManagerMenuApp but not UiApp in DXEFV of an IntelTdx build", func(e *evidence) Value {
		if e.intelTdx() != Yes || e.reachable(moduleUiApp) != No || e.has(moduleBootManagerMenu) != Yes {
			return Unknown
		}
		return e.reachable(moduleBootManagerMenu)
	}},
}

// releases finds the interval of releases that the markers allow.
func (f *Facts) releases(e *evidence) {
	var from, to *marker
	for i := range markers {
		m := &markers[i]
		switch m.find(e) {
		case Yes:
			f.From, from = m.since, m
		case No:
			if to == nil {
				to = m
			}
		}
	}
	if from != nil {
		f.markers = append(f.markers, fmt.Sprintf("has %s, as since %d", from.what, from.since))
	}
	if to == nil {
		return
	}
	f.markers = append(f.markers, fmt.Sprintf("lacks %s, as before %d", to.what, to.since))
	if f.From >= to.since {
		f.Conflict = strings.Join(f.markers, " but ")
		return
	}
	i, _ := slices.BinarySearch(stable, to.since)
	f.To = stable[i-1] // no marker is of the first release
}

// GUIDs of files, as the FILE_GUID of a module's INF gives them, and of a volume and a table entry.
var (
	moduleTdTcg2Dxe         = efi.MustGUID("f062221e-c607-44c2-b0b4-c3886331d351")
	moduleTdTcg2Pei         = efi.MustGUID("fcb3a3d6-6274-411c-a548-bd0e717d533a")
	moduleTcg2Dxe           = efi.MustGUID("fdff263d-5f68-4591-87ba-b768f445a9af")
	moduleBdsDxe            = efi.MustGUID("6d33944a-ec75-4855-a54d-809c75241f6c")
	moduleSmbiosPlatformDxe = efi.MustGUID("4110465d-5ff3-4f4b-b580-24ed0d06747a")
	moduleSataController    = efi.MustGUID("820c59bb-274c-43b2-83ea-dac673035a59")
	moduleKernelLoader      = efi.MustGUID("806040ca-dad9-4978-a3b4-2d2ab0c8a48f")
	moduleAcpiPlatform      = efi.MustGUID("17985e6f-e778-4d94-aefa-c5dd2b77e186")
	moduleCxlDxe            = efi.MustGUID("29e54f5e-365a-4235-ba62-c832d7660852")
	moduleUiApp             = efi.MustGUID("462caa21-7614-4503-836e-8ab6f4662331")
	moduleBootManagerMenu   = efi.MustGUID("eec25bdc-67f2-4d95-b1d5-f81b2039d11d")
	moduleShell             = efi.MustGUID("7c04a583-9e3e-4f1c-ad65-e05268d0b4d1")
	moduleSmbiosMeasurement = efi.MustGUID("d27fed59-abb4-4fed-bead-2a878c7e4a7e")
	moduleSecureBootConfig  = efi.MustGUID("f0e6a44f-7195-41c3-ac64-54f202cd0a21")
	moduleVariableRuntime   = efi.MustGUID("cbd2e4d5-7068-4ff5-b462-9822b4ad8d60")
	moduleSecurityStub      = efi.MustGUID("f80697e9-7fd6-4665-8646-88e33ef71dfc")

	// volumeNCC is the volume that an IntelTdx build shows to guests that are not confidential only.
	volumeNCC = efi.MustGUID("ae047c6d-bce9-426c-ae03-a68e3b8a0488")
	// protocolCCMeasurement is gEfiCcMeasurementProtocolGuid: edk2, MdePkg/Include/Protocol/CcMeasurement.h.
	protocolCCMeasurement = efi.MustGUID("96751a3d-72f4-41a6-a794-ed5d0e67ae6b")

	tableIGVM = efi.MustGUID("784fa70e-3176-4677-8a20-04b68699e374")
)
