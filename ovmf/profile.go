package ovmf

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/tdxkit/tdxkit/efi"
)

// findFacts asks the questions.
func findFacts(img *Image) (*Facts, error) {
	volumes, err := img.Volumes()
	if err != nil {
		return nil, err
	}
	e := newEvidence(img, volumes)
	f := &Facts{}
	f.releases(e)
	f.IntelTdx = Fact{e.intelTdx(), e.phases()}
	f.TdTcg2Dxe = e.moduleFact(moduleTdTcg2Dxe, "TdTcg2Dxe")
	f.TdTcg2Pei = e.moduleFact(moduleTdTcg2Pei, "TdTcg2Pei")
	f.Tcg2Dxe = e.moduleFact(moduleTcg2Dxe, "Tcg2Dxe")
	f.SmbiosMeasurementDxe = e.moduleFact(moduleSmbiosMeasurement, "SmbiosMeasurementDxe")
	f.OtherMeasuring = e.otherMeasuring()
	f.BootVariablesPCR1 = f.bySince(202302, "e0dcfb31fb")
	f.SeparatorMR2 = f.bySince(202411, "efaf8931bb")
	f.ACPIData = e.stringFact(moduleAcpiPlatform, "QemuFwCfgAcpiPlatform", "ACPI DATA\x00")
	f.NamedBlobs = e.stringFact(moduleKernelLoader, "QemuKernelLoaderFsDxe", "etc/boot/")
	f.FwCfgCache = e.anywhere("QEMU FW CFG\x00")
	f.InitrdPrefix = Fact{e.initrdPrefix(), e.initrdEvidence()}
	f.BootManagerMenu = e.appFact(moduleBootManagerMenu, "BootManagerMenuApp")
	f.UiApp = e.appFact(moduleUiApp, "UiApp")
	f.Shell = e.appFact(moduleShell, "Shell")
	f.FirmwareSetupName = e.wideFact(moduleBdsDxe, "BdsDxe", "EFI Firmware Setup\x00")
	f.NvVars = e.wideFact(moduleBdsDxe, "BdsDxe", "NvVars\x00")
	f.SecureBoot = e.secureBoot()
	if f.PKEnrolled, err = e.platformKey(); err != nil {
		return nil, err
	}
	f.FiveLevel = fiveLevel(img.Data)
	f.chipset()
	return f, nil
}

// setLA57 is how the reset vector turns on paging with five levels: mov eax, cr4; bts eax, 12; mov cr4, eax.
// edk2-stable202405, OvmfPkg/ResetVector/Ia32/PageTables64.asm, Enable5LevelPaging.
var setLA57 = []byte{0x0f, 0x20, 0xe0, 0x0f, 0xba, 0xe8, 0x0c, 0x0f, 0x22, 0xe0}

// fiveLevel looks for setLA57 where the reset vector is, which is not compressed.
func fiveLevel(data []byte) Fact {
	const most = 64 << 10 // the reset vector ends the image
	start := max(0, len(data)-most)
	if i := bytes.Index(data[start:], setLA57); i >= 0 {
		return Fact{Yes, fmt.Sprintf("the reset vector sets CR4.LA57 at 0x%x", start+i)}
	}
	return Fact{No, "the reset vector does not set CR4.LA57"}
}

// chipset fills in what only the release tells. edk2, PcdPciExpressBaseAddress in OvmfPkg/OvmfPkgX64.dsc and
// OvmfPkg/IntelTdx/IntelTdxX64.dsc of each release; WindowRule names the source of the rule.
func (f *Facts) chipset() {
	f.PCIExBarBy = f.bySince(202305, "PcdPciExpressBaseAddress 0xe0000000").Evidence
	switch f.since(202305) {
	case Yes:
		f.PCIExBar = 0xe0000000
	case No:
		f.PCIExBar = 0xb0000000
	}
	switch {
	case f.since(202405) == Yes:
		f.Window = WindowPaging57
	case f.since(202308) == Yes && f.since(202405) == No:
		f.Window = WindowClamp46
	case f.since(202211) == Yes && f.since(202308) == No:
		f.Window = WindowDynamic
	case f.since(202211) == No:
		f.Window = WindowClassic
	}
}

// An evidence is an image's files at hand.
type evidence struct {
	img   *Image
	files map[efi.GUID][]*File
	types map[FileType]int
	// complete says that nothing in the image is hidden by an encoding that is not known here, and that there is a DXE
	// core; without it nothing counts as absent.
	complete bool
}

func newEvidence(img *Image, volumes []*Volume) *evidence {
	e := &evidence{img: img, files: map[efi.GUID][]*File{}, types: map[FileType]int{}, complete: true}
	for _, v := range volumes {
		for _, f := range v.Files {
			e.files[f.GUID] = append(e.files[f.GUID], f)
			e.types[f.Type]++
			if opaque(f.Sections) {
				e.complete = false
			}
		}
	}
	if e.types[FileDXECore] == 0 {
		e.complete = false
	}
	return e
}

func opaque(sections []*Section) bool {
	for _, s := range sections {
		if s.Opaque || opaque(s.Sections) {
			return true
		}
	}
	return false
}

// absent returns No, or Unknown where the image hides something.
func (e *evidence) absent() Value {
	if e.complete {
		return No
	}
	return Unknown
}

// has answers whether any volume has the module.
func (e *evidence) has(g efi.GUID) Value {
	if len(e.files[g]) > 0 {
		return Yes
	}
	return e.absent()
}

// reachable answers whether a volume that a TD sees has the file.
func (e *evidence) reachable(g efi.GUID) Value {
	for _, f := range e.files[g] {
		if f.Volume.Name != volumeNCC {
			return Yes
		}
	}
	return e.absent()
}

// find returns the offset of a pattern in the module's executable, or -1. Without the module ok is false.
func (e *evidence) find(g efi.GUID, pattern []byte) (off int, ok bool) {
	off = -1
	for _, f := range e.files[g] {
		if code := f.executable(); code != nil {
			if i := bytes.Index(code, pattern); i >= 0 {
				return i, true
			}
			ok = true
		}
	}
	return off, ok
}

// executable returns the file's PE32 or TE section, nil without one.
func (f *File) executable() []byte {
	if b := f.Section(SectionPE32); b != nil {
		return b
	}
	return f.Section(SectionTE)
}

func (e *evidence) in(g efi.GUID, pattern []byte) Value {
	off, ok := e.find(g, pattern)
	switch {
	case off >= 0:
		return Yes
	case ok:
		return No
	}
	return Unknown
}

// narrow answers whether the module's executable has an ASCII string, wide a UTF-16 string.
func (e *evidence) narrow(g efi.GUID, s string) Value { return e.in(g, []byte(s)) }
func (e *evidence) wide(g efi.GUID, s string) Value   { return e.in(g, efi.AppendUTF16(nil, s)) }

// intelTdx answers whether the build goes from SEC to DXE without PEI.
func (e *evidence) intelTdx() Value {
	switch {
	case e.types[FileSECCore] == 0:
		return Unknown
	case e.types[FilePEICore] > 0:
		return No
	case e.complete:
		return Yes
	}
	return Unknown
}

func (e *evidence) phases() string {
	return fmt.Sprintf("the volumes hold %d SEC core, %d PEI core, %d DXE core files", e.types[FileSECCore], e.types[FilePEICore], e.types[FileDXECore])
}

func (e *evidence) moduleFact(g efi.GUID, name string) Fact {
	v := e.has(g)
	if v != Yes {
		return Fact{v, "no volume has " + name + ", " + g.String()}
	}
	return Fact{v, fmt.Sprintf("%s, %s, is in volume %s", name, g, e.files[g][0].Volume.Name)}
}

func (e *evidence) appFact(g efi.GUID, name string) Fact {
	v := e.reachable(g)
	for _, f := range e.files[g] {
		if v == Yes && f.Volume.Name == volumeNCC {
			continue
		}
		return Fact{v, fmt.Sprintf("%s, %s, is in volume %s%s", name, g, f.Volume.Name, hiddenNote(f))}
	}
	return Fact{v, "no volume has " + name + ", " + g.String()}
}

func hiddenNote(f *File) string {
	if f.Volume.Name == volumeNCC {
		return ", which is for guests that are not confidential"
	}
	return ""
}

func (e *evidence) stringFact(g efi.GUID, name, s string) Fact {
	return e.patternFact(g, name, s, []byte(s))
}
func (e *evidence) wideFact(g efi.GUID, name, s string) Fact {
	return e.patternFact(g, name, s, efi.AppendUTF16(nil, s))
}

func (e *evidence) patternFact(g efi.GUID, name, s string, pattern []byte) Fact {
	off, ok := e.find(g, pattern)
	s = string(bytes.TrimRight([]byte(s), "\x00"))
	switch {
	case off >= 0:
		return Fact{Yes, fmt.Sprintf("%s has %q at 0x%x", name, s, off)}
	case ok:
		return Fact{No, fmt.Sprintf("%s has no %q", name, s)}
	}
	return Fact{Unknown, "no volume has " + name + ", " + g.String()}
}

// anywhere looks for an ASCII string in every executable.
func (e *evidence) anywhere(s string) Fact {
	text := string(bytes.TrimRight([]byte(s), "\x00"))
	var where *File
	at := 0
	for _, files := range e.files {
		for _, f := range files {
			// The map's order is random: the first by GUID is named.
			if i := bytes.Index(f.executable(), []byte(s)); i >= 0 && (where == nil || bytes.Compare(f.GUID[:], where.GUID[:]) < 0) {
				where, at = f, i
			}
		}
	}
	if where == nil {
		return Fact{e.absent(), fmt.Sprintf("no module has %q", text)}
	}
	return Fact{Yes, fmt.Sprintf("%s has %q at 0x%x", where.Name, text, at)}
}

// measuring are the modules of edk2 that hold the GUID of the confidential-computing measurement protocol, in every release
// in stable: through TpmMeasurementLib or DxeTpm2MeasureBootLib, or as the driver of it.
var measuring = []efi.GUID{moduleTdTcg2Dxe, moduleSecurityStub, moduleVariableRuntime, moduleAcpiPlatform, moduleSmbiosMeasurement}

// otherMeasuring looks for modules that hold the protocol's GUID and are not edk2's own, the first by GUID of them.
func (e *evidence) otherMeasuring() Fact {
	var other *File
	for g, files := range e.files {
		if slices.Contains(measuring, g) {
			continue
		}
		for _, f := range files {
			if (other == nil || bytes.Compare(g[:], other.GUID[:]) < 0) && bytes.Contains(f.executable(), protocolCCMeasurement[:]) {
				other = f
			}
		}
	}
	if other == nil {
		return Fact{e.absent(), "no module but edk2's own has the GUID of the measurement protocol"}
	}
	name := other.GUID.String()
	if other.Name != "" {
		name = other.Name + ", " + name
	}
	return Fact{Yes, name + ", has the GUID of the measurement protocol"}
}

// The two spellings of the option that points the kernel at its initrd, as they end in the executable.
// edk2, OvmfPkg/Library/X86QemuLoadImageLib/X86QemuLoadImageLib.c, QemuLoadKernelImage; a2ac0fea49 is the change.
const (
	initrdBehind  = " initrd=initrd\x00"
	initrdInFront = "initrd=initrd \x00"
)

func (e *evidence) initrdPrefix() Value {
	front, behind := e.narrow(moduleBdsDxe, initrdInFront), e.narrow(moduleBdsDxe, initrdBehind)
	switch {
	case front == Yes && behind == No:
		return Yes
	case front == No && behind == Yes:
		return No
	}
	return Unknown
}

func (e *evidence) initrdEvidence() string {
	front, _ := e.find(moduleBdsDxe, []byte(initrdInFront))
	behind, _ := e.find(moduleBdsDxe, []byte(initrdBehind))
	switch {
	case front >= 0 && behind < 0:
		return fmt.Sprintf("BdsDxe has %q at 0x%x", "initrd=initrd ", front)
	case front < 0 && behind >= 0:
		return fmt.Sprintf("BdsDxe has %q at 0x%x", " initrd=initrd", behind)
	}
	return "BdsDxe is absent, or has neither or both of \"initrd=initrd \" and \" initrd=initrd\""
}

// secureBoot needs both things that SECURE_BOOT_ENABLE brings: the configuration driver, and image verification in
// SecurityStubDxe, which looks at the variable SecureBoot. edk2 edk2-stable202502, OvmfPkg/OvmfPkgX64.dsc.
func (e *evidence) secureBoot() Fact {
	config, verify := e.has(moduleSecureBootConfig), e.wide(moduleSecurityStub, "SecureBoot\x00")
	why := fmt.Sprintf("SecureBootConfigDxe: %s; \"SecureBoot\" in SecurityStubDxe: %s", config, verify)
	if config != verify {
		return Fact{Unknown, why}
	}
	return Fact{config, why}
}

func (e *evidence) platformKey() (Fact, error) {
	s, err := e.img.Store()
	if err != nil {
		return Fact{}, err
	}
	if s == nil {
		return Fact{Unknown, "the image has no variable store"}, nil
	}
	if v := s.Lookup(efi.GlobalVariable, "PK"); v != nil && len(v.Data) > 0 {
		return Fact{Yes, fmt.Sprintf("the variable store has PK with %d bytes at 0x%x", len(v.Data), v.Off)}, nil
	}
	return Fact{No, "the variable store has no PK"}, nil
}

func value(b bool) Value {
	if b {
		return Yes
	}
	return No
}

func not(v Value) Value {
	switch v {
	case Yes:
		return No
	case No:
		return Yes
	}
	return Unknown
}

// or is Yes where one is, and No where both are.
func or(a, b Value) Value {
	switch {
	case a == Yes || b == Yes:
		return Yes
	case a == No && b == No:
		return No
	}
	return Unknown
}
