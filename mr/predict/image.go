package predict

import (
	"fmt"
	"sync"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/kernel"
	"github.com/tdxkit/tdxkit/kernel/shim"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/ovmf"
	"github.com/tdxkit/tdxkit/smbios"
	"github.com/tdxkit/tdxkit/tdvf"
)

// An Image is what a TD boots, parsed and hashed once and shared by all shapes. It may be used concurrently.
type Image struct {
	Firmware *Firmware
	Kernel   *kernel.Image // nil without -kernel
	Initrd   *Initrd       // nil without -initrd
	Shim     *shim.Image   // nil without -shim

	stubOnce sync.Once
	stubs    kernel.StubMeasures
	patched  sync.Map // digest of a patched kernel by its patches
	verdicts sync.Map // of Secure Boot on the kernel, by its patches
	tables   tableSums
	makers   sync.Pool // *tableMaker whose buffers nobody keeps
}

// An Initrd is what reaches a measurement of an initrd.
type Initrd struct {
	Digest mr.Digest
	Size   int64 // bytes
}

// A Firmware is a parsed firmware image. Each thing that is hashed in it is hashed once.
type Firmware struct {
	Data     []byte
	Metadata *tdvf.Metadata

	image func() (*ovmf.Image, error) // parsed when first asked for
	mrtd  [2]func() mr.Digest         // by tdvf.Order
	cfv   func() mr.Digest
	bios  func() (smbios.FirmwareInfo, error)

	profiles sync.Map // func() (*Profile, error) by Release
	measured sync.Map // func() ([]Measurement, error) by sharedMeasure
}

// NewFirmware parses the firmware's TDVF metadata. Its volumes are parsed when first needed.
func NewFirmware(data []byte) (*Firmware, error) {
	return NewFirmwareIn(data, nil)
}

// NewFirmwareIn is NewFirmware, with memory called for the bytes of each section that is decompressed. A nil memory is
// make.
func NewFirmwareIn(data []byte, memory func(size int) []byte) (*Firmware, error) {
	md, err := tdvf.Parse(data)
	if err != nil {
		return nil, err
	}
	f := &Firmware{Data: data, Metadata: md}
	f.image = sync.OnceValues(func() (*ovmf.Image, error) { return ovmf.ParseIn(data, memory) })
	for i, order := range []tdvf.Order{tdvf.SinglePass, tdvf.TwoPass} {
		f.mrtd[i] = sync.OnceValue(func() mr.Digest { d, _ := tdvf.MRTD(data, md, order); return d })
	}
	f.bios = sync.OnceValues(f.smbiosInfo)
	f.cfv = sync.OnceValue(func() mr.Digest { return mr.Sum(md.Find(tdvf.CFV).Data(data)) })
	return f, nil
}

// NewImage joins the parts of a boot.
func NewImage(f *Firmware, k *kernel.Image, i *Initrd) *Image {
	return &Image{Firmware: f, Kernel: k, Initrd: i}
}

// stub is what the kernel's EFI stub measures, looked up once.
func (img *Image) stub() kernel.StubMeasures {
	img.stubOnce.Do(func() { img.stubs = img.Kernel.StubMeasures() })
	return img.stubs
}

// authenticode is the kernel's digest under patches, computed once for each set of them.
func (img *Image) authenticode(patches []kernel.Patch) (mr.Digest, error) {
	if len(patches) == 0 {
		return img.Kernel.Authenticode()
	}
	key := fmt.Sprint(patches)
	once, _ := img.patched.LoadOrStore(key, sync.OnceValues(func() (mr.Digest, error) {
		d, err := img.Kernel.AuthenticodePatched(patches)
		return d, err
	}))
	return once.(func() (mr.Digest, error))()
}

// MRTD is the measurement of the firmware's launch. Metadata.Supported must have returned nil.
func (f *Firmware) MRTD(order tdvf.Order) mr.Digest { return f.mrtd[order]() }

// Image returns the firmware's volumes, parsed when first asked for.
func (f *Firmware) Image() (*ovmf.Image, error) { return f.image() }

// Profile decides what the build measures. Release is 0, or what the user says where the bytes leave it open.
func (f *Firmware) Profile(release Release) (*Profile, error) {
	once, _ := f.profiles.LoadOrStore(release, sync.OnceValues(func() (*Profile, error) {
		img, err := f.image()
		if err != nil {
			return nil, err
		}
		facts, err := img.Facts()
		if err != nil {
			return nil, err
		}
		return newProfile(facts, release)
	}))
	return once.(func() (*Profile, error))()
}

// smbiosInfo are the firmware's own strings for SMBIOS type 0.
func (f *Firmware) smbiosInfo() (smbios.FirmwareInfo, error) {
	img, err := f.image()
	if err != nil {
		return smbios.FirmwareInfo{}, err
	}
	b, err := img.BIOSInformation()
	if err != nil {
		return smbios.FirmwareInfo{}, unknown("the firmware's SMBIOS type 0 cannot be read: %v", err)
	}
	return smbios.FirmwareInfo{Vendor: b.Vendor, Version: b.Version, Date: b.Date}, nil
}

// secureBoot are the variables that Secure Boot policy is measured with, in order. A variable that does not exist is
// measured with no data, but for dbt, which is left out.
// edk2-stable202502, OvmfPkg/Tcg/TdTcg2Dxe/TdTcg2Dxe.c, MeasureAllSecureVariables.
func (f *Firmware) secureBoot(p *Profile) ([]efi.VariableData, error) {
	img, err := f.image()
	if err != nil {
		return nil, err
	}
	store, err := img.Store()
	if err != nil {
		return nil, err
	}
	if store == nil {
		return nil, unknown("the firmware has no variable store")
	}
	state, err := p.secureBootState()
	if err != nil {
		return nil, err
	}
	out := []efi.VariableData{{GUID: efi.GlobalVariable, Name: "SecureBoot", Data: state}}
	for _, v := range policyVariables {
		d := efi.VariableData{GUID: v.vendor, Name: v.name}
		if found := store.Lookup(v.vendor, v.name); found != nil {
			d.Data = found.Data
		} else if v.name == "dbt" {
			continue
		}
		out = append(out, d)
	}
	return out, nil
}

// secureBootState is the value of the variable SecureBoot: none without support for it, 0 without a platform key, else 1.
// edk2-stable202502, SecurityPkg/Library/AuthVariableLib and MdeModulePkg/Universal/Variable/RuntimeDxe.
func (p *Profile) secureBootState() ([]byte, error) {
	switch {
	case p.SecureBoot == No:
		return nil, nil
	case p.SecureBoot == Yes && p.PKEnrolled == No:
		return []byte{0}, nil
	case p.SecureBoot == Yes && p.PKEnrolled == Yes:
		return []byte{1}, nil
	}
	return nil, unknown("the firmware's bytes do not say whether it supports Secure Boot")
}

// Files of boot options. edk2, MdeModulePkg/Application: UiApp/UiApp.inf, BootManagerMenuApp/BootManagerMenuApp.inf.
var (
	fileUiApp           = efi.MustGUID("462caa21-7614-4503-836e-8ab6f4662331")
	fileBootManagerMenu = efi.MustGUID("eec25bdc-67f2-4d95-b1d5-f81b2039d11d")
)

// bootOptions are the firmware's own boot options, in order of BootOrder. With -kernel no others exist when the kernel
// starts. edk2-stable202505, OvmfPkg/Library/PlatformBootManagerLib/BdsPlatform.c, PlatformBootManagerAfterConsole;
// MdeModulePkg/Universal/BdsDxe/BdsEntry.c, BdsFormalizeOSIndicationVariable.
func (f *Firmware) bootOptions(p *Profile) ([]efi.LoadOption, error) {
	const hiddenApp = efi.LoadOptionActive | efi.LoadOptionHidden | efi.LoadOptionCategoryApp
	var out []efi.LoadOption
	for _, app := range []struct {
		present    Answer
		file       efi.GUID
		name       string // empty is the file's own name
		attributes uint32
	}{
		{p.BootManagerMenu, fileBootManagerMenu, "", hiddenApp},
		{and(p.UiApp, p.FirmwareSetup), fileUiApp, "EFI Firmware Setup", efi.LoadOptionActive | efi.LoadOptionCategoryApp},
		{and(p.UiApp, p.FirmwareSetup.not()), fileUiApp, "", hiddenApp},
	} {
		switch app.present {
		case Unknown:
			return nil, unknown("the firmware's bytes do not say which of its applications are boot options: %s", p.ask())
		case No:
			continue
		}
		img, err := f.image()
		if err != nil {
			return nil, err
		}
		file, err := img.File(app.file)
		if err != nil {
			return nil, err
		}
		if file == nil || file.Volume == nil || file.Volume.Name.IsZero() {
			return nil, unknown("the firmware's application %s is in no named volume", app.file)
		}
		if app.name == "" {
			app.name = file.Name
		}
		out = append(out, efi.LoadOption{
			Attributes: app.attributes, Description: app.name,
			Paths: []efi.DevicePath{{efi.FvName(file.Volume.Name), efi.FvFile(file.GUID)}},
		})
	}
	return out, nil
}
