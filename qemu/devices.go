package qemu

// A busType is the kind of bus that a device plugs into.
type busType string

const (
	onPCI    busType = "PCI"
	onISA    busType = "ISA"
	onUSB    busType = "usb-bus"
	onSCSI   busType = "SCSI"
	onIDE    busType = "IDE"
	onVSer   busType = "virtio-serial-bus"
	onHDA    busType = "HDA"
	onI2C    busType = "i2c-bus"
	onCCID   busType = "ccid-bus"
	onNVMe   busType = "nvme-bus"
	onFloppy busType = "floppy-bus"
	onSystem busType = "System"
	onNone   busType = "" // attaches to no bus: a sensor, a BMC, a memory device
)

// A deviceModel is a row of the device table: what a driver is to the guest, as far as a measurement can tell.
type deviceModel struct {
	Name string
	Bus  busType
	Kind PCIKind
	BARs []BAR
	// Size, where set, works out the BARs from properties and bus, in place of BARs.
	Size func(d *deviceBuild) ([]BAR, error)
	ROM  uint32 // option ROM BAR, unless romfile= is empty
	// Fixed says that the device cannot be unplugged (hotpluggable is off in its class).
	Fixed bool
	Since Version // first release that has it; zero is 7.2 or before
	NIC   bool    // a network device that -nic can name
	// Apply notes what else the device changes.
	Apply func(d *deviceBuild) error
	// Offers is the kind of bus that the device has for others, with its name where it differs from "id.0".
	Offers busType
	Why    string // what it touches beside PCI, or why it touches nothing
}

// A deviceBuild is one device while it is made.
type deviceBuild struct {
	b      *builder
	model  *deviceModel
	option string // "-device", "-nic"
	arg    string
	props  props
	id     string
	dev    *PCIDevice // for PCI devices
	bus    *bus
	scsi   scsiPlace // of SCSI devices
	port   string    // of USB devices
	unit   int       // of IDE devices
	order  int       // position in the order in which QEMU makes the devices
}

func (d *deviceBuild) usage(format string, a ...any) error {
	return usageErr(d.option, d.arg, format, a...)
}

// boolean reads a property that is on or off.
func (d *deviceBuild) boolean(key string, def bool) (bool, error) {
	v, ok := d.props.get(key)
	if !ok {
		return def, nil
	}
	on, ok := parseBool(v)
	if !ok {
		return false, d.usage("%s=%s: expects on or off", key, v)
	}
	return on, nil
}

// number reads an unsigned property of at most most.
func (d *deviceBuild) number(key string, def, most uint64) (uint64, error) {
	v, ok := d.props.get(key)
	if !ok {
		return def, nil
	}
	n, ok := parseUint(v)
	if !ok || n > most {
		return 0, d.usage("%s=%s: expects a number up to %d", key, v, most)
	}
	return n, nil
}

// size reads a size property.
func (d *deviceBuild) size(key string, def uint64) (uint64, error) {
	v, ok := d.props.get(key)
	if !ok || v == "-1" {
		return def, nil
	}
	n, ok := parseSize(v)
	if !ok {
		return 0, d.usage("%s=%s: expects a size", key, v)
	}
	return n, nil
}

// aliases are QEMU's short names of drivers. Follows QEMU 10.2, system/qdev-monitor.c.
var aliases = map[string]string{
	"ac97": "AC97", "e1000-82540em": "e1000", "es1370": "ES1370", "ahci": "ich9-ahci", "lsi": "lsi53c895a",
	"virtio-9p": "virtio-9p-pci", "virtio-balloon": "virtio-balloon-pci", "virtio-blk": "virtio-blk-pci",
	"virtio-gpu": "virtio-gpu-pci", "virtio-input-host": "virtio-input-host-pci",
	"virtio-iommu": "virtio-iommu-pci", "virtio-keyboard": "virtio-keyboard-pci", "virtio-mouse": "virtio-mouse-pci",
	"virtio-net": "virtio-net-pci", "virtio-rng": "virtio-rng-pci", "virtio-scsi": "virtio-scsi-pci",
	"virtio-serial": "virtio-serial-pci", "virtio-sound": "virtio-sound-pci", "virtio-tablet": "virtio-tablet-pci",
}

// deviceTables are the rows of all devices, by subject.
var deviceTables = [][]deviceModel{virtioDevices, pciDevices, bridgeDevices, otherDevices}

// modelOf returns the row of a driver.
func modelOf(driver string) (*deviceModel, bool) {
	if full, ok := aliases[driver]; ok {
		driver = full
	}
	for _, t := range deviceTables {
		for i := range t {
			if t[i].Name == driver {
				return &t[i], true
			}
		}
	}
	return nil, false
}

// Drivers returns the names of all known device drivers, sorted by table.
func Drivers() []string {
	var names []string
	for _, t := range deviceTables {
		for i := range t {
			names = append(names, t[i].Name)
		}
	}
	return names
}
