package predict

import (
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/qemu"
	"github.com/tdxkit/tdxkit/tdvf"
)

// DecodeFirmware does the part of what Measure does with the firmware that is neither hashing nor short: it decodes the
// volumes, where a register that is asked for needs them. Measure repeats nothing. Errors are left for it to return.
func DecodeFirmware(f *Firmware, o Options) {
	if o.wants(mr.RTMR0) || o.wants(mr.RTMR1) || o.wants(mr.RTMR2) {
		_, _ = f.Profile(o.EDK2)
	}
}

// A Work is something that Measure would do, and that can be done before it.
type Work struct {
	Bytes int64 // that are hashed, 0 where they are few
	Do    func()
}

// FirmwareHashes returns what Measure hashes of the firmware of m, so that a caller can run it at the same time as other
// work. Measure waits for what is under way and repeats nothing. Errors are left for Measure to return.
func FirmwareHashes(f *Firmware, m *qemu.Machine, o Options) []Work {
	if f.Metadata.Supported() != nil {
		return nil
	}
	var work []Work
	if o.wants(mr.MRTD) {
		work = append(work, Work{int64(len(f.Data)), func() { f.MRTD(pageOrder(m, o)) }})
	}
	if s := f.Metadata.Find(tdvf.CFV); s != nil && o.wants(mr.RTMR0) {
		work = append(work, Work{int64(s.RawDataSize), func() { f.cfv() }})
	}
	return work
}

// KernelHashes returns what Measure hashes of the kernel of img, whose initrd's size, but not its
// digest, must be known. Where only the firmware's bytes can tell which form of the kernel is measured, there are none.
func KernelHashes(img *Image, m *qemu.Machine, o Options) []Work {
	switch t := m.Traits; {
	case img.Kernel == nil || !o.wants(mr.RTMR1):
		return nil
	case !t.PatchesKernel:
		return []Work{{img.Kernel.Size(), func() { _, _ = img.Kernel.Authenticode() }}}
	case t.NoNamedBlobs:
		return []Work{{img.Kernel.Size(), func() {
			p := &platform{Image: img, machine: m, profile: &Profile{}}
			if patches, err := p.kernelPatches(); err == nil {
				_, _ = img.authenticode(patches)
			}
		}}}
	}
	return nil
}

// TableHashes returns what Measure hashes of the tables that m hands to the firmware of img, which decide nothing until
// its volumes are decoded. The kernel and the initrd of img are not looked at.
func TableHashes(img *Image, m *qemu.Machine, o Options) []Work {
	if !o.wants(mr.RTMR0) {
		return nil
	}
	return []Work{{0, func() {
		profile, err := img.Firmware.Profile(o.EDK2)
		if err != nil {
			return
		}
		if p := (&platform{Image: img, machine: m, profile: profile}); profile.Measures == Yes && profile.ACPI == Yes {
			_, _ = acpiBlobs(p)
		}
	}}}
}
