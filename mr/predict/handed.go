package predict

import (
	"github.com/tdxkit/tdxkit/acpi"
	"github.com/tdxkit/tdxkit/ovmf"
	"github.com/tdxkit/tdxkit/ovmf/pcibus"
	"github.com/tdxkit/tdxkit/qemu"
)

// ACPI returns the ACPI blobs that QEMU hands to firmware, once that has programmed the chipset of m as the build in img
// does. With a nil img it is programmed as edk2 202308 and later do in a TD, where the processor has 46 bits of physical
// addresses or more and pages of 1 GiB, whatever the CPU model of m. What the bytes of img leave open may be decided by
// release. The error is an *UnknownError where the inputs do not tell.
func ACPI(img *ovmf.Image, m *qemu.Machine, release Release) (*acpi.Blobs, error) {
	if img == nil {
		return presentACPI(m)
	}
	facts, err := img.Facts()
	if err != nil {
		return nil, err
	}
	profile, err := newProfile(facts, release)
	if err != nil {
		return nil, err
	}
	p := &platform{Image: &Image{}, machine: m, profile: profile}
	return p.acpi(&acpi.Builder{})
}

// presentACPI is ACPI for the firmware of a TD of today.
func presentACPI(m *qemu.Machine) (*acpi.Blobs, error) {
	const ecamBase = 0xe0000000 // edk2-stable202308, OvmfPkg/OvmfPkgX64.dsc, PcdPciExpressBaseAddress
	host := *m
	host.CPU = qemu.CPU{Model: m.CPU.Model, PhysBits: 46}
	guest, err := pcibus.GuestOf(&host)
	if err != nil {
		return nil, err
	}
	window, err := pcibus.Window64(guest, pcibus.Stable202505)
	if err != nil {
		return nil, err
	}
	placed, err := pcibus.Place(m, window)
	if err != nil {
		return nil, unknown("%v", err)
	}
	return acpi.Build(m, acpi.Chipset{PMBase: pmBase, PCIEXBAR: ecamBase, Functions: placed})
}
