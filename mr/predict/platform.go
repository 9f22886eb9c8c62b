package predict

import (
	"github.com/tdxkit/tdxkit/acpi"
	"github.com/tdxkit/tdxkit/kernel"
	"github.com/tdxkit/tdxkit/ovmf/pcibus"
	"github.com/tdxkit/tdxkit/qemu"
)

// A platform is everything that decides a measurement, parsed and checked: one shape, booting one image.
type platform struct {
	*Image
	machine *qemu.Machine
	profile *Profile
	// omitBytes says that nobody keeps the bytes of what is measured.
	omitBytes bool
}

// pmBase is PMBASE as every edk2 release programs it. edk2-stable202502, OvmfPkg/Include/IndustryStandard/Q35MchIch9.h,
// ICH9_PMBASE_VALUE.
const pmBase = 0x600

// acpi has b build the blobs that the firmware reads, after it has programmed the chipset.
func (p *platform) acpi(b *acpi.Builder) (*acpi.Blobs, error) {
	if p.profile.ECAMBase == 0 {
		return nil, unknown("where the firmware puts the PCI configuration space is not known: %s", p.profile.ask())
	}
	placed, err := p.placePCI()
	if err != nil {
		return nil, err
	}
	return b.Build(p.machine, acpi.Chipset{PMBase: pmBase, PCIEXBAR: p.profile.ECAMBase, Functions: placed})
}

// generations are the spans of releases that choose the window for 64-bit PCI resources alike, newest first.
var generations = []struct {
	since      Release
	generation pcibus.Generation
}{
	{202505, pcibus.Stable202505},
	{202308, pcibus.Stable202308},
	{202302, pcibus.Stable202302},
	{202211, pcibus.Stable202211},
	{0, pcibus.Classic},
}

// window is where the firmware puts 64-bit PCI resources. The releases that the profile allows must agree on it, but
// for their names.
func (p *platform) window() (pcibus.Window, error) {
	guest, err := pcibus.GuestOf(p.machine)
	if err != nil {
		return pcibus.Window{}, unknown("%v", err)
	}
	if p.fiveLevelPaging(guest) {
		return pcibus.Window{}, unknown("the firmware may use page tables of five levels, and where it puts 64-bit PCI resources then is not known")
	}
	var first *pcibus.Window
	before := Release(0) // the release that ends the span; 0 for the newest span
	for _, g := range generations {
		inSpan := p.profile.between.since(g.since) != No && (before == 0 || p.profile.between.since(before) != Yes)
		before = g.since
		if !inSpan {
			continue
		}
		w, err := pcibus.Window64(guest, g.generation)
		if err != nil {
			return pcibus.Window{}, unknown("%v", err)
		}
		if first == nil {
			first = &w
		} else if w.Base != first.Base || w.Size != first.Size {
			return pcibus.Window{}, unknown("where the firmware puts 64-bit PCI resources is not known: %s", p.profile.ask())
		}
	}
	if first == nil || p.profile.between == (interval{}) {
		return pcibus.Window{}, unknown("where the firmware puts 64-bit PCI resources is not known: %s", p.profile.ask())
	}
	return *first, nil
}

// placePCI gives addresses to the PCI functions as the firmware does.
func (p *platform) placePCI() (pcibus.Placement, error) {
	window, err := p.window()
	if err != nil {
		return nil, err
	}
	placed, err := pcibus.Place(p.machine, window)
	if err != nil {
		return nil, unknown("%v", err)
	}
	return placed, nil
}

// fiveLevelPaging reports whether the firmware may use page tables of five levels, under which it puts the 64-bit window
// elsewhere: it was built for them, and the guest is large or the release does not look at its size.
// edk2-stable202502, OvmfPkg/Library/PlatformInitLib/MemDetect.c, PlatformSetupPagingLevel and
// PlatformAddressWidthFromCpuid.
func (p *platform) fiveLevelPaging(g pcibus.Guest) bool {
	if p.profile.FiveLevel == No {
		return false
	}
	w, err := pcibus.Window64(g, pcibus.Classic)
	return err != nil || p.profile.between.since(202502) != Yes || max(g.MemoryEnd, w.Base+w.Size) >= 1<<40
}

// acpiDataSize is what QEMU keeps free for ACPI tables at the top of low RAM. QEMU v10.2.2, hw/i386/pc.c,
// pc_machine_initfn and hw/i386/acpi-build.h, ACPI_BUILD_TABLE_SIZE.
const acpiDataSize = 0x28000

// kernelPatches are the changes to the kernel's setup header in the kernel that the firmware measures. It fails where QEMU
// would not start. QEMU of before
// 10.2 patches it; from 10.0 on it also offers the file as it is, which edk2 202502 and later prefer.
func (p *platform) kernelPatches() ([]kernel.Patch, error) {
	o := kernel.PatchOptions{LowRAM: p.machine.LowRAM(), ACPIDataSize: acpiDataSize, Cmdline: p.machine.Files.Append}
	if p.Initrd != nil {
		o.HasInitrd, o.InitrdSize = true, uint64(p.Initrd.Size)
	}
	// QEMU makes room for the initrd and reads vga= also where nobody sees the header that it makes.
	patches, err := kernel.QEMUPatch(p.Kernel, o)
	t := p.machine.Traits
	switch {
	case err != nil || !t.PatchesKernel:
		return nil, err
	case !t.NoNamedBlobs && p.profile.NamedBlobs == Yes:
		return nil, nil
	case !t.NoNamedBlobs && p.profile.NamedBlobs == Unknown:
		return nil, unknown("whether the firmware takes the patched kernel or the file is not known: %s", p.profile.ask())
	case t.KernelRandomSeed:
		return nil, unknown("this QEMU appends a random seed to the kernel, so its digest differs at each start")
	}
	return patches, nil
}
