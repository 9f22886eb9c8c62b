package predict

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/tdxkit/tdxkit/ovmf"
)

// A Release is an edk2-stable release as a number, 202411; 0 is none.
type Release int

// ParseRelease reads "202411" or "edk2-stable202411".
func ParseRelease(s string) (Release, error) {
	const prefix = "edk2-stable"
	if len(s) > len(prefix) && s[:len(prefix)] == prefix {
		s = s[len(prefix):]
	}
	n, err := strconv.Atoi(s)
	if err != nil || len(s) != 6 || n%100 < 1 || n%100 > 12 {
		return 0, fmt.Errorf("edk2 release %q: want the year and month of an edk2-stable tag, like 202502", s)
	}
	return Release(n), nil
}

// String returns the release as a number.
func (r Release) String() string { return strconv.Itoa(int(r)) }

// A Profile is what a firmware build measures in a TD, and how. Unknown means that neither the bytes nor the releases
// that they allow decide it.
type Profile struct {
	Releases string // the edk2 releases that the bytes, and the user, allow
	Newer    bool   // a release after the newest known one is among them

	Measures             Answer // anything at all
	IntelTdx             Answer // built from OvmfPkg/IntelTdx
	BootVariablesInRTMR1 Answer // boot variables go to RTMR1, not RTMR0
	SeparatorInRTMR1     Answer // the separator at ReadyToBoot goes to RTMR1, not RTMR0
	ACPI                 Answer // QEMU's ACPI blobs are measured
	FwCfg                Answer // fw_cfg items are measured
	SMBIOS               Answer // the SMBIOS table is measured
	NamedBlobs           Answer // the kernel is read from etc/boot/kernel where QEMU offers it
	InitrdFirst          Answer // initrd= goes in front of the command line, not behind it
	BootManagerMenu      Answer // BootManagerMenuApp is a boot option
	FirmwareSetup        Answer // UiApp is the boot option "EFI Firmware Setup", not a hidden one under its own name
	UiApp                Answer // UiApp is a boot option
	SecureBoot           Answer // built with Secure Boot
	PKEnrolled           Answer // the variable store has a platform key
	AllImageHashes       Answer // an image that is not signed is looked for by SHA-384 and SHA-512, too
	FiveLevel            Answer // page tables of five levels where the processor has them
	Other                string // a module that measures beside edk2's own; empty without

	ECAMBase uint64 // PCIEXBAR as the firmware programs it; 0 is unknown

	between interval // the releases that are possible, for what only they tell
}

// ask is the hint for a register that the release decides.
func (p *Profile) ask() string {
	return fmt.Sprintf("the firmware's bytes allow edk2 %s; --edk2 says which release it is", p.Releases)
}

// An EDK2Change is a change of what edk2 measures, told from the build's bytes or by its release.
type EDK2Change struct {
	ID    string
	Since Release // first release with the new behaviour
	Told  string  // how bytes tell it; "release" where only the release does
	Cite  string

	fact  func(*ovmf.Facts) ovmf.Fact // nil where only the release tells
	field func(*Profile) *Answer
}

// edk2Changes is sorted newest first.
var edk2Changes = []EDK2Change{
	{"load-options.initrd-first", 202508, "string in BdsDxe", "a2ac0fea49, OvmfPkg/Library/X86QemuLoadImageLib",
		func(f *ovmf.Facts) ovmf.Fact { return f.InitrdPrefix }, func(p *Profile) *Answer { return &p.InitrdFirst }},
	{"rtmr0.fw-cfg", 202505, "string in the module that caches fw_cfg", "fb56dc78ef, OvmfPkg/Library/QemuFwCfgLib",
		func(f *ovmf.Facts) ovmf.Fact { return f.FwCfgCache }, func(p *Profile) *Answer { return &p.FwCfg }},
	{"rtmr0.smbios", 202505, "SmbiosMeasurementDxe", "cd76265f1a, OvmfPkg",
		func(f *ovmf.Facts) ovmf.Fact { return f.SmbiosMeasurementDxe }, func(p *Profile) *Answer { return &p.SMBIOS }},
	{"boot-option.manager-menu", 202505, "BootManagerMenuApp in a volume that a TD sees", "45a56d7505, OvmfPkg",
		func(f *ovmf.Facts) ovmf.Fact { return f.BootManagerMenu }, func(p *Profile) *Answer { return &p.BootManagerMenu }},
	{"boot-option.firmware-setup", 202505, "string in BdsDxe", "d433b4c8e4, OvmfPkg/Library/PlatformBootManagerLib",
		func(f *ovmf.Facts) ovmf.Fact { return f.FirmwareSetupName }, func(p *Profile) *Answer { return &p.FirmwareSetup }},
	{"pci.window-size", 202505, "release", "OvmfPkg/Library/PlatformInitLib/MemDetect.c: opt/ovmf/X-PciMmio64Mb holds", nil, nil},
	{"kernel.named-blobs", 202502, "string in QemuKernelLoaderFsDxe", "20df7c42bd, OvmfPkg/QemuKernelLoaderFsDxe",
		func(f *ovmf.Facts) ovmf.Fact { return f.NamedBlobs }, func(p *Profile) *Answer { return &p.NamedBlobs }},
	{"separator.rtmr1", 202411, "release", "efaf8931bb, OvmfPkg/Tcg/TdTcg2Dxe", nil,
		func(p *Profile) *Answer { return &p.SeparatorInRTMR1 }},
	{"secure-boot.unsigned-hashes", 202311, "release", "bbf1822295, SecurityPkg/Library/DxeImageVerificationLib",
		nil, func(p *Profile) *Answer { return &p.AllImageHashes }},
	{"pci.window-46-bits", 202308, "release", "OvmfPkg/Library/PlatformInitLib/MemDetect.c", nil, nil},
	{"pci.ecam-0xe0000000", 202305, "release", "OvmfPkg, PcdPciExpressBaseAddress", nil, nil},
	{"rtmr0.acpi", 202302, "string in QemuFwCfgAcpiPlatform", "935343cf16, OvmfPkg/AcpiPlatformDxe",
		func(f *ovmf.Facts) ovmf.Fact { return f.ACPIData }, func(p *Profile) *Answer { return &p.ACPI }},
	{"separator.rtmr0", 202302, "release", "e0dcfb31fb, OvmfPkg/Tcg/TdTcg2Dxe", nil, nil},
	{"boot-variables.rtmr0", 202302, "release", "e0dcfb31fb, OvmfPkg/Tcg/TdTcg2Dxe", nil, nil},
	{"pci.window-top-eighth", 202211, "release", "OvmfPkg/Library/PlatformInitLib/MemDetect.c", nil, nil},
}

// EDK2Changes returns the table, for documents.
func EDK2Changes() []EDK2Change { return slices.Clone(edk2Changes) }

// interval is the releases that are possible: from up to and including to, or the newest where to is 0.
type interval struct{ from, to Release }

// since answers whether all, some or none of the releases are r or later.
func (i interval) since(r Release) Answer {
	switch {
	case i.from >= r:
		return Yes
	case i.to != 0 && i.to < r:
		return No
	}
	return Unknown
}

// newProfile decides the profile from what the bytes say, and from the release where the user names it.
func newProfile(f *ovmf.Facts, release Release) (*Profile, error) {
	between := interval{Release(f.From), Release(f.To)}
	p := &Profile{Releases: f.Releases()}
	if f.Conflict != "" {
		p.Releases = "of no known release (" + f.Conflict + ")"
		between = interval{}
	}
	if release != 0 {
		if f.Conflict == "" && (release < between.from || between.to != 0 && release > between.to) {
			return nil, fmt.Errorf("--edk2 %s: the firmware's bytes are those of %s", release, f.Releases())
		}
		between, p.Releases = interval{release, release}, release.String()
	}
	for _, c := range edk2Changes {
		if c.field == nil {
			continue
		}
		a := Unknown
		if c.fact != nil {
			a = Answer(c.fact(f).Value)
		}
		if a == Unknown {
			a = between.since(c.Since)
		}
		*c.field(p) = a
	}
	p.Newer = f.Conflict == "" && release == 0 && between.to == 0
	p.IntelTdx = Answer(f.IntelTdx.Value)
	p.Measures = Answer(f.TdTcg2Dxe.Value)
	p.UiApp = Answer(f.UiApp.Value)
	p.SecureBoot = Answer(f.SecureBoot.Value)
	p.PKEnrolled = Answer(f.PKEnrolled.Value)
	p.BootVariablesInRTMR1 = between.since(202302).not()
	p.SeparatorInRTMR1 = or(p.SeparatorInRTMR1, p.BootVariablesInRTMR1)
	p.FiveLevel = Answer(f.FiveLevel.Value)
	if f.OtherMeasuring.Value == ovmf.Yes {
		p.Other = f.OtherMeasuring.Evidence
	}
	p.between = between
	switch between.since(202305) { // PcdPciExpressBaseAddress in OvmfPkg/OvmfPkgX64.dsc and IntelTdx/IntelTdxX64.dsc
	case Yes:
		p.ECAMBase = 0xe0000000
	case No:
		p.ECAMBase = 0xb0000000
	}
	return p, nil
}

// or is Yes where one is, and No where both are.
func or(a, b Answer) Answer {
	switch {
	case a == Yes || b == Yes:
		return Yes
	case a == No && b == No:
		return No
	}
	return Unknown
}

// and is Yes where both are, and No where one is not.
func and(a, b Answer) Answer { return or(a.not(), b.not()).not() }
