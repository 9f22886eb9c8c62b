package qemu

import (
	"cmp"
	"strings"
)

// virtioDevices are the virtio functions. Their BARs follow QEMU 10.2, hw/virtio/virtio-pci.c, virtio_pci_realize and
// virtio_pci_device_plugged: 0 is the legacy I/O BAR, 1 MSI-X, 4 the modern registers.
var virtioDevices = virtioRows(
	virtioRow{"virtio-blk", blkConfig, 0, legacyToo},
	virtioRow{"virtio-net", netConfig, nicROM, legacyToo},
	virtioRow{"virtio-scsi", config(36), 0, legacyToo},
	virtioRow{"virtio-serial", serialConfig, 0, legacyToo},
	virtioRow{"virtio-balloon", balloonConfig, 0, legacyToo},
	virtioRow{"virtio-rng", config(0), 0, legacyToo},
	virtioRow{"virtio-9p", tagConfig, 0, legacyToo},
	virtioRow{"vhost-scsi", config(36), 0, legacyToo},
	virtioRow{"vhost-user-scsi", config(36), 0, legacyToo},
	virtioRow{"vhost-user-blk", config(60), 0, legacyToo},
	virtioRow{"virtio-crypto", nil, 0, modernOnly},
	virtioRow{"virtio-input-host", nil, 0, modernOnly},
	virtioRow{"vhost-vsock", nil, 0, nonTransitional},
	virtioRow{"vhost-user-vsock", nil, 0, nonTransitional},
	virtioRow{"vhost-user-fs", nil, 0, modernOnly},
	virtioRow{"virtio-keyboard", nil, 0, modernOnly},
	virtioRow{"virtio-mouse", nil, 0, modernOnly},
	virtioRow{"virtio-tablet", nil, 0, modernOnly},
	virtioRow{"virtio-multitouch", nil, 0, modernOnly},
	virtioRow{"virtio-sound", nil, 0, modernOnly},
	virtioRow{"virtio-gpu", nil, 0, modernOnly},
	virtioRow{"virtio-iommu", nil, 0, modernOnly},
	virtioRow{"virtio-mem", nil, 0, modernOnly},
	virtioRow{"virtio-pmem", nil, 0, modernOnly},
)

// A legacy says whether a virtio device has the legacy interface.
type legacy uint8

const (
	modernOnly legacy = iota
	legacyToo
	nonTransitional // modern only, also by a longer name
)

// A virtioRow is what differs between virtio functions.
type virtioRow struct {
	base   string
	config func(d *deviceBuild) (uint64, error) // bytes of configuration behind the header of the legacy I/O BAR
	rom    uint32
	legacy legacy
}

// virtioRows makes the table of "-pci" devices and their variants.
func virtioRows(rows ...virtioRow) []deviceModel {
	var out []deviceModel
	for _, r := range rows {
		variants := []string{"-pci"}
		switch r.legacy {
		case legacyToo:
			variants = append(variants, "-pci-transitional", "-pci-non-transitional")
		case nonTransitional:
			variants = append(variants, "-pci-non-transitional")
		}
		for _, v := range variants {
			m := deviceModel{Name: r.base + v, Bus: onPCI, ROM: r.rom, Size: func(d *deviceBuild) ([]BAR, error) { return virtioBARs(d, r) }}
			switch r.base {
			case "virtio-serial":
				m.Offers = onVSer
			case "virtio-scsi":
				m.Offers = onSCSI
			case "virtio-sound":
				m.Since = Version{Major: 8, Minor: 2}
			case "virtio-net":
				m.NIC = true
			case "virtio-gpu":
				m.Fixed = true
			case "virtio-iommu":
				m.Apply, m.Fixed = addVirtioIOMMU, true
			case "virtio-balloon":
				m.Apply = addBalloon
			case "virtio-mem", "virtio-pmem":
				m.Apply = addVirtioMemory
			}
			out = append(out, m)
		}
	}
	return out
}

// legacyOff says whether a virtio function hides its legacy interface: by its variant, by disable-legacy=, in a TD, or
// behind a PCI Express port.
func legacyOff(d *deviceBuild, r virtioRow) (bool, error) {
	name := d.model.Name
	switch {
	case r.legacy != legacyToo, strings.HasSuffix(name, "-non-transitional"):
		return true, nil
	case strings.HasSuffix(name, "-transitional"):
		return false, nil
	}
	switch v := d.props.str("disable-legacy"); v {
	case "", "auto":
		return v == "" && d.b.m.TDX || d.bus.pcie && !d.bus.root, nil
	default:
		on, ok := parseBool(v)
		if !ok {
			return false, d.usage("disable-legacy=%s: expects on, off or auto", v)
		}
		return on, nil
	}
}

// virtioBARs works out the BARs of a virtio function.
func virtioBARs(d *deviceBuild, r virtioRow) ([]BAR, error) {
	noLegacy, err := legacyOff(d, r)
	if err != nil {
		return nil, err
	}
	noModern, err := d.boolean("disable-modern", false)
	if err != nil {
		return nil, err
	}
	noModern = noModern && r.legacy == legacyToo // the others are modern whatever is asked for
	if noModern && noLegacy {
		return nil, d.usage("it has neither the modern nor the legacy interface")
	}
	perVQ, err := d.boolean("page-per-vq", false)
	if err != nil {
		return nil, err
	}
	vectors, err := virtioVectors(d, r)
	if err != nil {
		return nil, err
	}
	var bars []BAR
	if !noLegacy {
		n, err := r.config(d)
		if err != nil {
			return nil, err
		}
		header := uint64(20)
		if vectors > 0 {
			header = 24
		}
		bars = append(bars, io(0, pow2ceil(header+n)))
	}
	if vectors > 0 {
		bars = append(bars, mem32(1, msixSize(vectors)))
	}
	if !noModern {
		size := uint64(0x4000) // common, ISR, device and notify, of 4 KiB each
		if perVQ {
			size = 0x800000
		}
		bars = append(bars, pref64(4, size))
	}
	return bars, nil
}

// config is a device whose configuration always has n bytes.
func config(n uint64) func(*deviceBuild) (uint64, error) {
	return func(*deviceBuild) (uint64, error) { return n, nil }
}

// netConfig ends with the last field that a feature adds to address and status.
// Follows QEMU 10.2, hw/net/virtio-net.c, feature_sizes.
func netConfig(d *deviceBuild) (uint64, error) {
	n := uint64(8)
	for _, f := range []struct {
		key string
		end uint64
	}{{"mq", 10}, {"rss", 24}, {"hash", 24}} {
		on, err := d.boolean(f.key, false)
		if err != nil {
			return 0, err
		}
		if on {
			n = max(n, f.end)
		}
	}
	// QEMU's own values for "not set", hw/net/virtio-net.c, virtio_net_device_realize.
	for _, f := range []struct {
		key   string
		unset int64
		end   uint64
	}{{"host_mtu", 0, 12}, {"speed", -1, 17}, {"duplex", -1, 17}} {
		v, ok := d.props.get(f.key)
		if number, isNumber := parseInt(v); ok && !(isNumber && number == f.unset) {
			n = max(n, f.end)
		}
	}
	return n, nil
}

// blkConfig is shorter without discard and writing of zeroes.
// Follows QEMU 10.2, hw/block/virtio-blk-common.c, feature_sizes.
func blkConfig(d *deviceBuild) (uint64, error) {
	discard, err1 := d.boolean("discard", true)
	zeroes, err2 := d.boolean("write-zeroes", true)
	switch {
	case zeroes:
		return 57, cmp.Or(err1, err2)
	case discard:
		return 48, cmp.Or(err1, err2)
	}
	return 36, cmp.Or(err1, err2)
}

// serialConfig is shorter without emergency writes. Follows QEMU 10.2, hw/char/virtio-serial-bus.c, virtio_serial_device_realize.
func serialConfig(d *deviceBuild) (uint64, error) {
	on, err := d.boolean("emergency-write", true)
	if on {
		return 12, err
	}
	return 8, err
}

// balloonConfig is shorter without page poisoning. Follows QEMU 10.2, hw/virtio/virtio-balloon.c, virtio_balloon_config_size.
func balloonConfig(d *deviceBuild) (uint64, error) {
	poison, err1 := d.boolean("page-poison", true)
	hint, err2 := d.boolean("free-page-hint", false)
	old, err3 := d.boolean("qemu-4-0-config-size", false)
	err := cmp.Or(err1, err2, err3)
	switch {
	case poison || old:
		return 16, err
	case hint:
		return 12, err
	}
	return 8, err
}

// tagConfig is the length of the mount tag and the tag. Follows QEMU 10.2, hw/9pfs/virtio-9p-device.c, virtio_9p_device_realize.
func tagConfig(d *deviceBuild) (uint64, error) {
	return 2 + uint64(len(d.props.str("mount_tag"))), nil
}

// pow2ceil rounds n up to a power of two.
func pow2ceil(n uint64) uint64 {
	p := uint64(1)
	for p < n && p != 1<<63 {
		p <<= 1
	}
	return p
}

// msixSize returns the size of a BAR of its own for MSI-X: entries of 16 bytes in at least 2 KiB, then the pending bits.
// Follows QEMU 10.2, hw/pci/msix.c, msix_init_exclusive_bar.
func msixSize(vectors uint64) uint64 {
	pba := max(0x800, vectors*16)
	return pow2ceil(max(0x1000, pba+(vectors+63)/64*8))
}

// maxVectors is the most that MSI-X has.
const maxVectors = 2048

// virtioVectors returns the number of MSI-X vectors: vectors=, or what the device's queues need, of which virtio-blk and
// virtio-scsi have one a CPU. Follows QEMU 10.2, hw/virtio/virtio-*-pci.c.
func virtioVectors(d *deviceBuild, r virtioRow) (uint64, error) {
	old := d.b.m.MachineVersion
	var def uint64
	queues := func(key string, def uint64) (uint64, error) { return d.number(key, def, maxVectors-4) }
	cpus := min(uint64(d.b.m.Topology.CPUs), 1024)
	var err error
	switch r.base {
	case "virtio-blk", "vhost-user-blk":
		def, err = queues("num-queues", cpus)
		def++
	case "virtio-scsi", "vhost-scsi", "vhost-user-scsi":
		def, err = queues("num_queues", cpus)
		def += 3
	case "virtio-net":
		def = 2*max(1, d.b.netQueues[d.props.str("netdev")]) + 2 // whether mq is on or off
		mq, err := d.boolean("mq", false)
		if err != nil {
			return 0, err
		}
		if _, ok := d.props.get("vectors"); !ok && mq {
			return 0, unsupportedErr(d.option, d.arg, "mq=on without vectors=: their number depends on the backend's queues")
		}
		if old.Less(Version{Major: 6}) {
			def = 3
		}
	case "virtio-balloon":
		def = 2
		if old.Less(Version{Major: 10}) {
			def = 0
		}
	case "virtio-rng":
		def = 2
		if old.Less(Version{Major: 7, Minor: 2}) {
			def = 0
		}
	case "vhost-vsock", "vhost-user-vsock", "virtio-gpu":
		def = 3
	case "vhost-user-fs":
		def, err = queues("num-request-queues", 1)
		def += 2
	case "virtio-iommu", "virtio-pmem":
		def = 0
	case "virtio-mem":
		def = 2
		if old.Less(Version{Major: 10}) {
			def = 0
		}
	default:
		def = 2
	}
	if err != nil {
		return 0, err
	}
	return d.number("vectors", def, maxVectors)
}

// addBalloon refuses a second balloon.
func addBalloon(d *deviceBuild) error {
	if d.b.balloon {
		return d.usage("there is a balloon already")
	}
	d.b.balloon = true
	return nil
}
