package predict

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/ovmf"
	"github.com/tdxkit/tdxkit/qemu"
)

// blocked says why no rule of a register can be relied on for this platform, or "".
func (p *platform) blocked(r mr.Register) (string, error) {
	var why []string
	for _, b := range blockers {
		if !slices.Contains(b.registers, r) {
			continue
		}
		reason, err := b.why(p)
		if err != nil {
			return "", err
		}
		if reason != "" {
			why = append(why, reason)
		}
	}
	return strings.Join(why, "; "), nil
}

var allRTMRs = []mr.Register{mr.RTMR0, mr.RTMR1, mr.RTMR2}

// blockers are the boots that the rules do not cover. Each says why, or "" where it does not hold.
var blockers = []struct {
	registers []mr.Register
	why       func(*platform) (string, error)
}{
	{allRTMRs, when("the firmware's bytes do not say whether it measures at all",
		func(p *platform) bool { return p.profile.Measures == Unknown })},
	{allRTMRs, when("no kernel is given: a boot from disk is not predicted yet",
		func(p *platform) bool { return p.Kernel == nil && p.profile.Measures != No })},
	{allRTMRs, shimUnknown},
	{allRTMRs, notStarted},
	{allRTMRs, when("the machine has a TPM: no evidence shows what a TD measures beside one",
		func(p *platform) bool { return p.machine.TPM != qemu.NoTPM })},
	{allRTMRs, otherModules},
	{allRTMRs, fwCfgSwitches},
	{allRTMRs, storedVariables},
}

// when is a blocker that holds or not.
func when(why string, holds func(*platform) bool) func(*platform) (string, error) {
	return func(p *platform) (string, error) {
		if !holds(p) {
			return "", nil
		}
		return why, nil
	}
}

// otherModules finds firmware in which somebody else's module measures too.
func otherModules(p *platform) (string, error) {
	if p.profile.Measures != Yes || p.profile.Other == "" {
		return "", nil
	}
	return "the firmware has a module that is not edk2's and may measure: " + p.profile.Other, nil
}

// harmlessFwCfg are the fw_cfg items that firmware reads and that change nothing that is measured with -kernel, or what
// the rules know of: whether drivers for disks and networks start, the shell, which is registered after the kernel's
// start, and attributes of memory. edk2-stable202605, the callers of QemuFwCfgParseBool and QemuFwCfgParseUint32, and
// PcdEntryPointOverrideFwCfgVarName in OvmfPkg/Include/Dsc.
var harmlessFwCfg = []string{
	"opt/ovmf/X-PciMmio64Mb", "opt/ovmf/PcdSetNxForStack",
	"opt/org.tianocore/EFIShellSupport", "opt/org.tianocore/UninstallMemAttrProtocol",
	"opt/org.tianocore/IPv4PXESupport", "opt/org.tianocore/IPv6PXESupport", "opt/org.tianocore/IPv4Support", "opt/org.tianocore/IPv6Support",
	"opt/org.tianocore/ISCSISupport", "opt/org.tianocore/VirtioNetSupport", "opt/org.tianocore/UsbStorageSupport", "opt/org.tianocore/SDCardSupport",
	"etc/edk2/https/cacerts", "etc/edk2/https/ciphers",
}

// fwCfgSwitches finds fw_cfg items of the user's by which firmware changes what it does, like FirmwareSetupSupport, which
// takes a boot option away. QEMU keeps opt/ for users; of that, firmware has folders of its own.
func fwCfgSwitches(p *platform) (string, error) {
	for _, f := range p.machine.FwCfg {
		own := !strings.HasPrefix(f.Name, "opt/") || strings.HasPrefix(f.Name, "opt/org.tiano") || strings.HasPrefix(f.Name, "opt/ovmf/")
		if own && !slices.Contains(harmlessFwCfg, f.Name) {
			return fmt.Sprintf("-fw_cfg name=%s: what the firmware does with this item is not predicted", f.Name), nil
		}
	}
	return "", nil
}

// storedVariables finds variables in the firmware's store, beside those of Secure Boot, that the rules know nothing of:
// boot options of an earlier boot, for example, which a TD's firmware copies from its image.
// edk2-stable202502, OvmfPkg/Library/PlatformInitLib/Platform.c, PlatformInitEmuVariableNvStore, and
// MdeModulePkg/Universal/BdsDxe/BdsEntry.c.
func storedVariables(p *platform) (string, error) {
	if p.profile.Measures == No {
		return "", nil
	}
	img, err := p.Firmware.image()
	if err != nil {
		return "", err
	}
	store, err := img.Store()
	if err != nil || store == nil {
		return "", err
	}
	for _, v := range store.Variables {
		if v.State != ovmf.VariableAdded && v.State != ovmf.VariableInTransition {
			continue
		}
		if !slices.Contains(policyVariables, variableID{v.GUID, v.Name}) {
			return fmt.Sprintf("the firmware's variable store holds %s of %s: what the firmware does with it is not predicted", v.Name, v.GUID), nil
		}
	}
	return "", nil
}

// A variableID names a variable.
type variableID struct {
	vendor efi.GUID
	name   string
}

// policyVariables are the variables of Secure Boot policy, in the order in which they are measured.
// edk2-stable202502, OvmfPkg/Tcg/TdTcg2Dxe/TdTcg2Dxe.c, mVariableType.
var policyVariables = []variableID{
	{efi.GlobalVariable, "PK"},
	{efi.GlobalVariable, "KEK"},
	{efi.ImageSecurityDatabase, "db"},
	{efi.ImageSecurityDatabase, "dbx"},
	{efi.ImageSecurityDatabase, "dbt"},
}
