package predict

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"sync"

	"github.com/tdxkit/tdxkit/acpi"
	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/kernel"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/qemu"
	"github.com/tdxkit/tdxkit/smbios"
	"github.com/tdxkit/tdxkit/tdvf"
)

// Strings that edk2 measures as EV_EFI_ACTION, without a terminator.
// TCG PC Client Platform Firmware Profile 1.06, 10.4.4 EV_EFI_ACTION Event Types.
const (
	actionCalling        = "Calling EFI Application from Boot Option"
	actionExitInvocation = "Exit Boot Services Invocation"
	actionExitSuccess    = "Exit Boot Services Returned with Success"
)

// Tags of EV_EVENT_TAG. Linux v6.12, drivers/firmware/efi/libstub/efistub.h.
const (
	tagInitrd      = 0x8f3b22ec
	tagLoadOptions = 0x8f3b22ed
)

var (
	guidTDHOBTable = efi.MustGUID("93bb96af-b9f2-4eb8-9462-e0ba74564236") // event GUID of the TD HOB
	guidSMBIOS     = efi.MustGUID("eb9d2d31-2d88-11d3-9a16-0090273fc14d") // SMBIOS_TABLE_GUID
	guidSMBIOS3    = efi.MustGUID("f2fd1544-9794-4a2c-992e-e5bbcf20e394") // SMBIOS3_TABLE_GUID
	guidKernelFS   = efi.MustGUID("1428f772-b64a-441e-b8c3-9ebdd7f893c7") // QemuKernelLoaderFsDxe's media
)

// made is a Measurement of bytes that are made, not read from an input.
func made(what string, hashed, data []byte) Measurement {
	return Measurement{Measured: mr.Measured{What: what, Bytes: hashed, Digest: mr.Sum(hashed)}, Data: data}
}

// literal is a Measurement of the event data itself.
func literal(what string, data []byte) Measurement { return made(what, data, data) }

// A firmwareMeasure measures what the firmware and its profile alone decide, so that all shapes share it.
type firmwareMeasure func(*Firmware, *Profile) ([]Measurement, error)

// ofFirmware is a rule's measure that is taken once for each firmware and profile.
func ofFirmware(measure firmwareMeasure) func(*platform) ([]Measurement, error) {
	return func(p *platform) ([]Measurement, error) {
		key := sharedMeasure{&measure, p.profile}
		once, ok := p.Firmware.measured.Load(key)
		if !ok {
			once, _ = p.Firmware.measured.LoadOrStore(key, sync.OnceValues(func() ([]Measurement, error) {
				return measure(p.Firmware, p.profile)
			}))
		}
		return once.(func() ([]Measurement, error))()
	}
}

// A sharedMeasure is one that is kept, by the place of its function.
type sharedMeasure struct {
	measure *firmwareMeasure
	profile *Profile
}

func one(m Measurement) []Measurement { return []Measurement{m} }

func always(*platform) Answer { return Yes }

func directBoot(p *platform) Answer { return answer(p.Kernel != nil) }

func quoted(s string) string { return strconv.Quote(s) }

func tdHOB(p *platform) ([]Measurement, error) {
	hob, err := tdvf.AppendHOB(nil, p.Firmware.Metadata, ramRanges(p.machine))
	if err != nil {
		return nil, err
	}
	base := p.Firmware.Metadata.Find(tdvf.TDHOB).MemoryAddress
	return one(made("TD HOB list", hob, eventlog.AppendHandoffTables2(nil, "TdxTable", guidTDHOBTable, base))), nil
}

// ramRanges are the e820 RAM entries that QEMU splits at the hole below 4 GiB.
func ramRanges(m *qemu.Machine) []tdvf.RAMRange {
	r := []tdvf.RAMRange{{Start: 0, Len: m.LowRAM()}}
	if high := m.HighRAM(); high > 0 {
		r = append(r, tdvf.RAMRange{Start: m.HighRAMBase(), Len: high})
	}
	return r
}

func cfv(f *Firmware, _ *Profile) ([]Measurement, error) {
	s := f.Metadata.Find(tdvf.CFV)
	if s == nil {
		return nil, unknown("the firmware has no configuration firmware volume (CFV) section")
	}
	return one(Measurement{
		Measured: mr.Measured{
			What:   "configuration firmware volume (CFV)",
			Spans:  []mr.Span{{Artifact: "firmware", Off: int64(s.DataOffset), Len: int64(s.RawDataSize)}},
			Digest: f.cfv(),
		},
		Data: eventlog.AppendFirmwareBlob2(nil, "Fv(XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX)", s.MemoryAddress, uint64(s.RawDataSize)),
	}), nil
}

// fwCfgItems are the fw_cfg items that the firmware measures, in its order, with the size that it requires; 0 is any.
// edk2-stable202505, OvmfPkg/Library/QemuFwCfgLib/QemuFwCfgCacheInit.c, mCacheFwCfgList.
var fwCfgItems = []struct {
	name string
	size int
}{
	{"etc/extra-pci-roots", 8},
	{"BootMenu", 2},
	{"etc/boot-menu-wait", 2},
	{"etc/reserved-memory-end", 8},
	{"opt/ovmf/X-PciMmio64Mb", 0},
	{"bootorder", 0},
}

func fwCfgNames() string {
	var names []string
	for _, it := range fwCfgItems {
		names = append(names, it.name)
	}
	return strings.Join(names, ", ")
}

func fwCfg(p *platform) ([]Measurement, error) {
	items, err := p.machine.MeasuredFwCfg()
	if err != nil {
		return nil, err
	}
	var out []Measurement
	for _, want := range fwCfgItems {
		for _, it := range items {
			if it.Name != want.name || len(it.Data) == 0 || want.size != 0 && len(it.Data) != want.size {
				continue
			}
			out = append(out, made("fw_cfg item "+it.Name, it.Data, eventlog.AppendFwCfgFlags(nil, it.Name)))
		}
	}
	return out, nil
}

func secureBootVariables(f *Firmware, p *Profile) ([]Measurement, error) {
	vars, err := f.secureBoot(p)
	if err != nil {
		return nil, err
	}
	var out []Measurement
	for _, v := range vars {
		out = append(out, literal("variable "+v.Name, v.Append(nil)))
	}
	return out, nil
}

func separator(*Firmware, *Profile) ([]Measurement, error) {
	return one(literal("separator", make([]byte, 4))), nil
}

func acpiBlobs(p *platform) ([]Measurement, error) {
	maker, ok := p.makers.Get().(*tableMaker)
	if !ok {
		maker = &tableMaker{}
	}
	if p.omitBytes {
		defer p.makers.Put(maker)
	}
	blobs, err := p.acpi(&maker.Builder)
	if err != nil {
		return nil, err
	}
	label := []byte("ACPI DATA")
	out := []Measurement{made("etc/table-loader", blobs.Loader, label)}
	for _, c := range blobs.Commands {
		if c.Kind != acpi.Allocate {
			continue
		}
		data, ok := blobs.File(c.File)
		if !ok {
			return nil, unknown("the loader asks for %s, whose content is not known", c.File)
		}
		out = append(out, Measurement{Measured: mr.Measured{What: c.File, Bytes: data, Digest: p.tables.sum(&maker.stepHasher, data)}, Data: label})
	}
	return out, nil
}

func kernelImage(p *platform) ([]Measurement, error) {
	k := p.Kernel
	patches, err := p.kernelPatches()
	if err != nil {
		return nil, err
	}
	digest, err := p.Image.authenticode(patches)
	if err != nil {
		return nil, err
	}
	what := "kernel, Authenticode"
	if len(patches) > 0 {
		what = "kernel with the setup header that QEMU patches, Authenticode"
	}
	return one(loaded(k.PE, "kernel", what, digest, efi.DevicePath{efi.VendorMedia(guidKernelFS), efi.FilePath("kernel")})), nil
}

// loaded is the Measurement of an image that is loaded from a path. Where it is loaded to is logged, not hashed, and not
// known here.
func loaded(pe *kernel.PE, artifact, what string, digest mr.Digest, path efi.DevicePath) Measurement {
	m := Measurement{Measured: mr.Measured{What: what, Digest: digest}}
	for _, s := range pe.Spans() {
		m.Spans = append(m.Spans, mr.Span{Artifact: artifact, Off: s.Off, Len: s.Len})
	}
	m.Data = eventlog.AppendImageLoad(nil, 0, uint64(pe.Size()), 0, path.Append(nil))
	return m
}

func smbiosTable(p *platform) ([]Measurement, error) {
	q, err := smbios.Build(p.machine)
	if errors.Is(err, smbios.ErrCPUUnknown) {
		return nil, unknown("%v", err)
	}
	if err != nil {
		return nil, err
	}
	info, err := p.Firmware.bios()
	if err != nil {
		return nil, err
	}
	table, err := smbios.Published(q, info)
	if err != nil {
		return nil, err
	}
	filtered, err := smbios.Filter(table)
	if err != nil {
		return nil, err
	}
	guid := guidSMBIOS
	if q.Major() == 3 {
		guid = guidSMBIOS3
	}
	// Where the firmware puts the table is logged, not hashed, and not known here.
	return one(made("SMBIOS structure table, filtered", filtered, eventlog.AppendHandoffTables(nil, guid, 0))), nil
}

func bootVariables(f *Firmware, p *Profile) ([]Measurement, error) {
	options, err := f.bootOptions(p)
	if err != nil || len(options) == 0 {
		return nil, err
	}
	order := make([]byte, 0, 2*len(options))
	for i := range options {
		order = binary.LittleEndian.AppendUint16(order, uint16(i))
	}
	out := []Measurement{bootVariable("BootOrder", order)}
	for i, o := range options {
		out = append(out, bootVariable(bootName(i), o.Append(nil)))
	}
	return out, nil
}

// bootVariable measures a variable's data alone, and logs the whole UEFI_VARIABLE_DATA.
func bootVariable(name string, value []byte) Measurement {
	v := efi.VariableData{GUID: efi.GlobalVariable, Name: name, Data: value}
	return made("variable "+name, value, v.Append(nil))
}

func bootName(i int) string {
	const hex = "0123456789ABCDEF"
	return "Boot" + string([]byte{hex[i>>12&15], hex[i>>8&15], hex[i>>4&15], hex[i&15]})
}

// action measures strings as EV_EFI_ACTION, one event each.
func action(texts ...string) firmwareMeasure {
	return func(*Firmware, *Profile) ([]Measurement, error) {
		var out []Measurement
		for _, t := range texts {
			out = append(out, literal(quoted(t), []byte(t)))
		}
		return out, nil
	}
}

// stubMeasures says whether the kernel's EFI stub measures to the CC protocol.
func stubMeasures(p *platform) Answer {
	if p.Kernel == nil {
		return No
	}
	return Answer(p.stub().LoadOptions)
}

func loadOptions(p *platform) ([]Measurement, error) {
	text, err := p.loadOptions()
	if err != nil || len(text) == 0 {
		return nil, err
	}
	return one(made("LoadOptions", text, eventlog.AppendTaggedEvent(nil, tagLoadOptions, []byte("LOADED_IMAGE::LoadOptions\x00")))), nil
}

// loadOptions are those that the kernel gets: a shim takes the word kernel in front of them away.
func (p *platform) loadOptions() ([]byte, error) {
	order := kernel.NoInitrd
	if p.Initrd != nil {
		switch p.profile.InitrdFirst {
		case Yes:
			order = kernel.InitrdBefore
		case No:
			order = kernel.InitrdAfter
		default:
			return nil, unknown("where the firmware adds initrd= to the command line is not known: %s", p.profile.ask())
		}
	}
	return kernel.LoadOptions(p.machine.Files.Append, order)
}

func initrd(p *platform) ([]Measurement, error) {
	if p.Initrd == nil {
		return nil, nil
	}
	return one(Measurement{
		Measured: mr.Measured{
			What:   "initrd",
			Spans:  []mr.Span{{Artifact: "initrd", Off: 0, Len: p.Initrd.Size}},
			Digest: p.Initrd.Digest,
		},
		Data: eventlog.AppendTaggedEvent(nil, tagInitrd, []byte("Linux initrd\x00")),
	}), nil
}
