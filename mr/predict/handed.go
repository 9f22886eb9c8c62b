package predict

import (
	"github.com/tdxkit/tdxkit/acpi"
	"github.com/tdxkit/tdxkit/ovmf"
	"github.com/tdxkit/tdxkit/qemu"
)

// ACPI returns the ACPI blobs that QEMU hands to firmware, once that has programmed the chipset of m as the build in img
// does. With a nil img it is programmed as edk2 202308 and later do. What the bytes of img leave open may be decided by
// release. The error is an *UnknownError where the inputs do not tell.
func ACPI(img *ovmf.Image, m *qemu.Machine, release Release) (*acpi.Blobs, error) {
	profile := &Profile{ECAMBase: 0xe0000000, Window: ovmf.WindowClamp46}
	if img != nil {
		facts, err := img.Facts()
		if err != nil {
			return nil, err
		}
		if profile, err = newProfile(facts, release); err != nil {
			return nil, err
		}
	}
	p := &platform{Image: &Image{}, machine: m, profile: profile}
	return p.acpi()
}
