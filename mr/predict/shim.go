package predict

import (
	"fmt"
	"slices"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/kernel"
	"github.com/tdxkit/tdxkit/kernel/shim"
)

// A ShimRelease is a release of shim whose measurements are known.
type ShimRelease struct {
	Release string
	Seen    string // the evidence
}

// shimReleases is sorted newest first. Another release may make other variables, measure them in another order, or load the
// kernel through the firmware: a row for it wants a boot of it.
var shimReleases = []ShimRelease{
	{"16.1", "emulated boots of Debian's shim with three builds of firmware"},
}

// ShimReleases returns the table, for documents.
func ShimReleases() []ShimRelease { return slices.Clone(shimReleases) }

// originalSbatLevel is the oldest level. Shim 16.1, include/sbat_var_defs.h, SBAT_VAR_ORIGINAL.
const originalSbatLevel = "sbat,1,2021030218\n"

// shimmed says whether the firmware starts a shim in place of the kernel. Support for it came with that for kernels by name.
// edk2 3da39f2cb6, first in edk2-stable202502.
func shimmed(p *platform) Answer {
	if p.machine.Files.Shim == "" || p.machine.Traits.NoNamedBlobs {
		return No
	}
	return p.profile.NamedBlobs
}

// shimUnknown says why what a shim measures is not known.
func shimUnknown(p *platform) (string, error) {
	if p.profile.Measures == No {
		return "", nil
	}
	switch shimmed(p) {
	case No:
		return "", nil
	case Unknown:
		return "whether the firmware starts the shim is not known: " + p.profile.ask(), nil
	}
	if p.Shim == nil {
		return "-shim is given, and its file is not", nil
	}
	known := slices.ContainsFunc(shimReleases, func(r ShimRelease) bool { return r.Release == p.Shim.Release })
	if !known {
		return fmt.Sprintf("the shim is of release %q, and what that measures is not known; 16.1 is", p.Shim.Release), nil
	}
	if _, err := p.Shim.MokList(); err != nil {
		return "what the shim measures is not known: " + err.Error(), nil
	}
	if text, err := p.loadOptions(); err == nil && len(text) == 0 {
		return "what a shim hands to the kernel for an empty command line without an initrd was not seen", nil
	}
	if p.Kernel == nil {
		return "", nil // another blocker says so
	}
	if why := p.Shim.Refusal(p.Kernel.PE); why != "" {
		return "the shim does not load the kernel: " + why, nil
	}
	return "", nil
}

// shimKernelRefused says why a shim does not start the kernel with Secure Boot on, or that it is not known whether it does.
// Shim 16.1, pe.c, verify_sbat_section, and verify.c, verify_buffer.
func shimKernelRefused(p *platform) string {
	if _, ok, err := p.Kernel.SectionData(".sbat"); err == nil && !ok {
		return "Secure Boot is on, and the shim does not start the kernel: the kernel has no .sbat section, by which a shim tells which are revoked"
	}
	return "Secure Boot is on, and whether the shim starts the kernel, and on whose word, is not predicted"
}

func shimImage(p *platform) ([]Measurement, error) {
	path := efi.DevicePath{efi.VendorMedia(guidKernelFS), efi.FilePath("shim")}
	digest, err := p.Shim.Authenticode()
	if err != nil {
		return nil, err
	}
	return one(loaded(p.Shim.PE, "shim", "shim, Authenticode", digest, path)), nil
}

// shimKernel is the kernel as a shim reads it: from etc/boot/kernel, which QEMU does not change.
func shimKernel(p *platform) ([]Measurement, error) {
	if _, err := p.kernelPatches(); err != nil { // QEMU refuses some kernels
		return nil, err
	}
	digest, err := p.Kernel.Authenticode()
	if err != nil {
		return nil, err
	}
	path := efi.DevicePath{efi.FilePath("kernel")}
	return one(loaded(p.Kernel.PE, "kernel", "kernel that the shim starts, Authenticode", digest, path)), nil
}

func mokLists(p *platform) ([]Measurement, error) {
	list, err := p.Shim.MokList()
	if err != nil {
		return nil, unknown("%v", err)
	}
	return []Measurement{mokVariable("MokList", list), mokVariable("MokListX", p.Shim.MokListX())}, nil
}

func mokListTrusted(*platform) ([]Measurement, error) {
	return one(mokVariable("MokListTrusted", []byte{1})), nil
}

// mokVariable measures a variable's value, and logs its name.
func mokVariable(name string, value []byte) Measurement {
	return made("variable "+name, value, append([]byte(name), 0))
}

func sbatLevel(*platform) ([]Measurement, error) {
	v := efi.VariableData{GUID: shim.GUIDShimLock, Name: "SbatLevel", Data: []byte(originalSbatLevel)}
	return one(literal("variable SbatLevel", v.Append(nil))), nil
}

// firmwareStarts is the image that the firmware checks and starts, with the changes that QEMU makes to it.
func (p *platform) firmwareStarts() (what string, pe *kernel.PE, patches []kernel.Patch, err error) {
	if shimmed(p) == Yes {
		return "shim", p.Shim.PE, nil, nil
	}
	patches, err = p.kernelPatches()
	return "kernel", p.Kernel.PE, patches, err
}
