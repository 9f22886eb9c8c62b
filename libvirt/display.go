package libvirt

import (
	"fmt"
	"strings"
)

// videoDrivers are the display devices by libvirt's model: the first display's, which has VGA where the model can, and
// any other's. libvirt 11.3, src/qemu/qemu_command.c, qemuDeviceVideoGetModel.
var videoDrivers = map[string][2]string{
	"vga": {"VGA", ""}, "cirrus": {"cirrus-vga", ""}, "vmvga": {"vmware-svga", ""}, "qxl": {"qxl-vga", "qxl"},
	"virtio": {"virtio-vga", "virtio-gpu-pci"}, "bochs": {"bochs-display", ""}, "ramfb": {"ramfb", ""},
}

// video appends a display.
func (t *translation) video(e *element, i int) {
	m := e.one("model")
	typ := m.attr("type")
	m.number("heads")
	for _, size := range []string{"ram", "vram", "vram64", "vgamem"} {
		m.number(size)
	}
	m.onOff("blob")
	primary := i == 0
	switch v, ok := m.get("primary"); {
	case ok:
		primary = v == "yes"
	}
	if typ == "none" {
		return
	}
	drivers, ok := videoDrivers[typ]
	driver := drivers[1]
	if primary {
		driver = drivers[0]
	}
	if !ok || driver == "" {
		m.unsupported("type", "is %q, as display %d", typ, i+1)
		return
	}
	if e.one("driver").attr("name") == "vhostuser" {
		e.one("driver").unsupported("name", "is vhostuser")
	}
	e.one("driver").attr("name")
	if a := m.one("acceleration"); a != nil && typ == "virtio" && a.yesNo("accel3d") == true {
		driver = map[bool]string{true: "virtio-vga-gl", false: "virtio-gpu-gl-pci"}[primary]
	}
	if d := m.word("device", "virtio-vga", "virtio-gpu", "virtio-vga-gl", "virtio-gpu-gl"); d != "" { // from libvirt 12 on
		driver = d
		if strings.HasPrefix(d, "virtio-gpu") {
			driver = d + "-pci"
		}
	}
	props := []property{{"driver", driver}, {"id", e.aliasOr(fmt.Sprintf("video%d", i))}}
	switch typ {
	case "vga", "vmvga":
		if n, ok := m.number("vram").(uint64); ok {
			props = append(props, property{"vgamem_mb", n >> 10})
		}
	case "bochs":
		if n, ok := m.number("vram").(uint64); ok {
			props = append(props, property{"vgamem", n << 10})
		}
	case "ramfb":
		t.device(props...)
		return
	case "virtio":
		d := e.one("driver")
		props = append(props, property{"iommu_platform", d.onOff("iommu")}, property{"ats", d.onOff("ats")}, property{"packed", d.onOff("packed")},
			property{"page-per-vq", d.onOff("page_per_vq")}, property{"blob", m.onOff("blob")})
	}
	t.device(append(props, t.pci(e)...)...)
}

// soundDrivers are the sound cards by libvirt's names, and whether each needs a codec.
var soundDrivers = map[string]struct {
	driver string
	codec  bool
}{
	"es1370": {"ES1370", false}, "ac97": {"AC97", false}, "ich6": {"intel-hda", true}, "ich9": {"ich9-intel-hda", true}, "virtio": {"virtio-sound-pci", false},
}

// sound appends a sound card and its codecs.
func (t *translation) sound(e *element, i int) {
	model := e.attr("model")
	id := e.aliasOr(fmt.Sprintf("sound%d", i))
	if model == "pcspk" {
		return // the machine's own
	}
	if model == "usb" {
		e.yesNo("multichannel")
		t.device(append([]property{{"driver", "usb-audio"}, {"id", id}}, t.usb(e)...)...)
		return
	}
	s, ok := soundDrivers[model]
	if !ok {
		e.unsupported("model", "is %q", model)
		return
	}
	e.number("streams")
	t.device(append([]property{{"driver", s.driver}, {"id", id}}, t.pci(e)...)...)
	if !s.codec {
		return
	}
	codecs := e.all("codec")
	for n, c := range codecs {
		driver := map[string]string{"duplex": "hda-duplex", "micro": "hda-micro", "output": "hda-output"}[c.word("type", "duplex", "micro", "output")]
		t.device(property{"driver", driver}, property{"id", fmt.Sprintf("%s-codec%d", id, n)}, property{"bus", id + ".0"}, property{"cad", uint64(n)})
	}
	if len(codecs) == 0 {
		t.device(property{"driver", "hda-duplex"}, property{"id", id + "-codec0"}, property{"bus", id + ".0"}, property{"cad", uint64(0)})
	}
}

// watchdog appends a watchdog. The one of the chipset is there in any case.
func (t *translation) watchdog(e *element, i int) {
	id := e.aliasOr(fmt.Sprintf("watchdog%d", i))
	switch model := e.attr("model"); model {
	case "itco":
		t.add("-global", "ICH9-LPC.noreboot=off")
	case "i6300esb":
		t.device(append([]property{{"driver", model}, {"id", id}}, t.pci(e)...)...)
	case "ib700":
		t.device(property{"driver", model}, property{"id", id})
	default:
		e.unsupported("model", "is %q", model)
	}
}

// memballoon appends the balloon.
func (t *translation) memballoon(e *element, i int) {
	model := e.attr("model")
	if model == "none" {
		return
	}
	if i > 0 {
		e.unsupported("", "is a second one")
	}
	props := append(e.virtio("virtio-balloon", e.word("model", virtioModels...)), property{"id", e.aliasOr("balloon0")},
		property{"deflate-on-oom", e.onOff("autodeflate")}, property{"free-page-reporting", e.onOff("freePageReporting")})
	t.device(append(props, t.pci(e)...)...)
}

// panicDevice appends a device through which the guest tells of its crash.
func (t *translation) panicDevice(e *element) {
	switch model := e.attr("model"); model {
	case "isa":
		props := []property{{"driver", "pvpanic"}}
		if a := e.one("address"); a != nil {
			a.word("type", "isa")
			props = append(props, property{"ioport", a.number("iobase")})
			a.number("irq")
		}
		t.device(props...)
	case "pvpanic":
		t.device(append([]property{{"driver", "pvpanic-pci"}}, t.pci(e)...)...)
	case "hyperv", "tdx": // no device
	default:
		e.unsupported("model", "is %q", model)
	}
}

// shmem appends memory that guests share.
func (t *translation) shmem(e *element, i int) {
	id := e.aliasOr(fmt.Sprintf("shmem%d", i))
	e.attr("name")
	e.attr("role")
	if model := e.one("model").attr("type"); model != "ivshmem-plain" {
		e.one("model").unsupported("type", "is %q, want ivshmem-plain", model)
		return
	}
	size := uint64(4 << 10)
	if s := e.one("size"); s != nil {
		size = s.kibibytes()
	}
	t.object("-object", []property{{"qom-type", "memory-backend-ram"}, {"id", "shmmem-" + id}, {"size", size << 10}})
	t.device(append([]property{{"driver", "ivshmem-plain"}, {"id", id}, {"memdev", "shmmem-" + id}}, t.pci(e)...)...)
}
