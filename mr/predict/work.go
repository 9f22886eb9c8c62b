package predict

import (
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/qemu"
)

// FirmwareWork returns the expensive parts of what Measure does with the firmware of m, so that a caller can run them at
// the same time. Measure waits for what is under way and repeats nothing. Errors are left for Measure to return.
func FirmwareWork(f *Firmware, m *qemu.Machine, o Options) []func() {
	var work []func()
	if o.wants(mr.RTMR0) || o.wants(mr.RTMR1) || o.wants(mr.RTMR2) {
		work = append(work, func() { _, _ = f.Profile(o.EDK2) })
	}
	if f.Metadata.Supported() != nil {
		return work
	}
	if o.wants(mr.MRTD) {
		work = append(work, func() { f.MRTD(pageOrder(m, o)) })
	}
	return work
}

// KernelWork returns the expensive parts of what Measure does with the kernel of img, whose initrd's size, but not its
// digest, must be known. Where only the firmware's bytes can tell which form of the kernel is measured, there are none.
func KernelWork(img *Image, m *qemu.Machine, o Options) []func() {
	switch t := m.Traits; {
	case img.Kernel == nil || !o.wants(mr.RTMR1):
		return nil
	case !t.PatchesKernel:
		return []func(){func() { img.Kernel.Authenticode() }}
	case t.NoNamedBlobs:
		return []func(){func() {
			p := &platform{Image: img, machine: m, profile: &Profile{}}
			if patches, err := p.kernelPatches(); err == nil {
				_, _ = img.authenticode(patches)
			}
		}}
	}
	return nil
}
