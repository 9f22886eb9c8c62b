package qemu

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// An NVDIMM is one that is plugged in at start.
type NVDIMM struct {
	ID      string
	Slot    int
	Address uint64 // guest physical
	Size    uint64 // bytes that the guest sees, without an NVDIMM's labels
	Node    int
	Unarmed bool // it does not keep what is written
}

// A plugged is memory that a device has in the area for memory hotplug.
type plugged struct {
	base, size uint64
}

// dimmAlign is the alignment of ordinary memory backends, largeAlign the most that pages of the host can ask for.
// Follows QEMU 10.2, include/qemu/osdep.h, QEMU_VMALLOC_ALIGN.
const (
	dimmAlign  = 2 << 20
	largeAlign = gib
)

// minLabel is the least size of an NVDIMM's labels. Follows QEMU 10.2, include/hw/mem/nvdimm.h, MIN_NAMESPACE_LABEL_SIZE.
const minLabel = 128 << 10

// addDIMM plugs in a DIMM or an NVDIMM. Follows QEMU 10.2, hw/mem/pc-dimm.c, pc_dimm_pre_plug and pc_dimm_realize, and
// hw/mem/nvdimm.c, nvdimm_prepare_memory_region.
func addDIMM(d *deviceBuild) error {
	m := d.b.m
	nv := d.model.Name == "nvdimm"
	if nv && !m.NVDIMM {
		return d.usage("it needs -machine nvdimm=on")
	}
	dev := NVDIMM{ID: d.id}
	backend, size, err := d.backend("memdev")
	if err != nil {
		return err
	}
	dev.Size = size
	if _, ok := d.props.get("label-size"); ok {
		label, err := d.size("label-size", 0)
		if err != nil {
			return err
		}
		if label != 0 && label < minLabel || label >= size {
			return d.usage("label-size=%s: expects at least %d bytes, and less than the backend has", d.props.str("label-size"), minLabel)
		}
		dev.Size = (size - label) &^ (dimmAlign - 1)
		if label != 0 && !d.b.ordinaryPages(backend) {
			return unsupportedErr(d.option, d.arg, "the size that labels leave depends on the pages of backend %s", d.props.str("memdev"))
		}
	}
	if dev.Unarmed, err = d.boolean("unarmed", false); err != nil {
		return err
	}
	if dev.Node, err = d.memoryNode(); err != nil {
		return err
	}
	if dev.Slot, err = d.dimmSlot(); err != nil {
		return err
	}
	if dev.Address, err = d.plug(backend, "addr", dev.Size, dimmAlign); err != nil {
		return err
	}
	if !nv {
		return nil
	}
	m.NVDIMMs = append(m.NVDIMMs, dev)
	m.PluggedNVDIMMs = d.b.orderNVDIMMs()
	return nil
}

// addVirtioMemory gives a virtio memory device its range. No table names the device; its range moves those that follow.
// Follows QEMU 10.2, hw/virtio/virtio-mem.c, virtio_mem_get_min_alignment, and hw/virtio/virtio-md-pci.c.
func addVirtioMemory(d *deviceBuild) error {
	backend, size, err := d.backend("memdev")
	if err != nil {
		return err
	}
	align, err := d.size("block-size", 0)
	if err != nil {
		return err
	}
	if d.model.Name == "virtio-mem-pci" {
		if _, err := d.memoryNode(); err != nil {
			return err
		}
	}
	_, err = d.plug(backend, "memaddr", size, align)
	return err
}

// backend returns a memory backend that a property names, and its size. A backend has one user.
func (d *deviceBuild) backend(key string) (props, uint64, error) {
	id, ok := d.props.get(key)
	if !ok {
		return nil, 0, needArg(d.option, d.arg, key)
	}
	size, err := d.b.backendSize(d.option, d.arg, id)
	if err != nil {
		return nil, 0, err
	}
	node := slices.ContainsFunc(d.b.numa, func(p props) bool { return p.str("type") == "node" && p.str("memdev") == id })
	if d.b.backendUsed[id] || node || d.b.machine["memory-backend"] == id {
		return nil, 0, d.usage("%s=%s is in use already", key, id)
	}
	if d.b.backendUsed == nil {
		d.b.backendUsed = map[string]bool{}
	}
	d.b.backendUsed[id] = true
	return d.b.objects[id], size, nil
}

// ordinaryPages reports whether a backend's memory has the alignment of ordinary pages.
func (b *builder) ordinaryPages(backend props) bool {
	huge, _ := parseBool(backend.str("hugetlb"))
	_, aligned := backend.get("align")
	return backend.str("qom-type") != "memory-backend-file" && !huge && !aligned
}

// memoryNode reads node=.
func (d *deviceBuild) memoryNode() (int, error) {
	n, err := d.number("node", 0, maxNodes-1)
	if err != nil {
		return 0, err
	}
	if nodes := len(d.b.m.NUMA); n > 0 && int(n) >= nodes {
		return 0, d.usage("node=%d: there is no such node", n)
	}
	return int(n), nil
}

// dimmSlot reads slot=, or takes the first slot that is free.
func (d *deviceBuild) dimmSlot() (int, error) {
	if d.b.slots == nil {
		d.b.slots = make([]bool, d.b.m.RAMSlots)
	}
	taken := d.b.slots
	if v, ok := d.props.get("slot"); ok && v != "-1" {
		n, err := d.number("slot", 0, maxSlots)
		if err != nil {
			return 0, err
		}
		if int(n) >= len(taken) || taken[n] {
			return 0, d.usage("slot=%d is taken, or not below the slots of -m", n)
		}
		taken[n] = true
		return int(n), nil
	}
	i := slices.Index(taken, false)
	if i < 0 {
		return 0, d.usage("no slot is free; say more with -m slots=")
	}
	taken[i] = true
	return i, nil
}

// plug finds the device's place in the area for memory hotplug: the address that key gives, or the first that is free.
// Follows QEMU 10.2, hw/mem/memory-device.c, memory_device_get_free_addr and memory_device_check_addable.
func (d *deviceBuild) plug(backend props, key string, size, align uint64) (uint64, error) {
	m := d.b.m
	base, room := m.DeviceMemory()
	if room == 0 {
		return 0, d.usage("there is no room for it; say more with -m maxmem=")
	}
	used := size
	for _, p := range d.b.plugged {
		used += p.size
	}
	if used > m.MaxRAM-m.RAM {
		return 0, d.usage("memory devices need %d bytes, -m maxmem= leaves %d", used, m.MaxRAM-m.RAM)
	}
	if size == 0 || size%dimmAlign != 0 {
		return 0, unsupportedErr(d.option, d.arg, "the size of its memory, %d bytes, is no multiple of 2 MiB", size)
	}
	want, err := d.size(key, 0)
	if err != nil {
		return 0, err
	}
	align = max(align, dimmAlign)
	at, ok := d.b.place(base, room, want, size, align)
	if !d.b.ordinaryPages(backend) && want == 0 {
		if other, _ := d.b.place(base, room, want, size, max(align, largeAlign)); other != at {
			return 0, unsupportedErr(d.option, d.arg, "its address depends on the pages of backend %s; give it with %s=", d.props.str("memdev"), key)
		}
	}
	if !ok {
		return 0, d.usage("its memory has no place from %#x to %#x", base, base+room-1)
	}
	d.b.plugged = append(d.b.plugged, plugged{at, size})
	slices.SortFunc(d.b.plugged, func(a, b plugged) int { return cmp.Compare(a.base, b.base) })
	return at, nil
}

// place returns an address in a range that nothing plugged in has, and whether there is one. A want of 0 leaves it open.
func (b *builder) place(base, room, want, size, align uint64) (uint64, bool) {
	at := (base + align - 1) &^ (align - 1)
	if want != 0 {
		at = want
	}
	for _, p := range b.plugged {
		if at < p.base+p.size && p.base < at+size {
			if want != 0 {
				return 0, false
			}
			at = (p.base + p.size + align - 1) &^ (align - 1)
		}
	}
	return at, at >= base && at&(align-1) == 0 && size <= room && at-base <= room-size
}

// orderNVDIMMs returns the NVDIMMs in the order in which QEMU finds them now: by the hash of their ids among those of all
// devices. Follows QEMU 10.2, util/nvdimm-utils.c, nvdimm_get_device_list.
func (b *builder) orderNVDIMMs() []NVDIMM {
	order := hashOrder(b.idOrder)
	return slices.SortedStableFunc(slices.Values(b.m.NVDIMMs), func(x, y NVDIMM) int {
		return cmp.Compare(slices.Index(order, x.ID), slices.Index(order, y.ID))
	})
}

// resolveNVDIMMs orders the NVDIMMs when all devices are there.
func (b *builder) resolveNVDIMMs() error {
	for _, d := range b.m.NVDIMMs {
		if d.ID == "" && len(b.m.NVDIMMs) > 1 {
			return unsupportedErr("-device", "nvdimm", "the order of NVDIMMs without id= is not modelled")
		}
	}
	b.m.NVDIMMs = b.orderNVDIMMs()
	return nil
}

// genericInitiator is the object that makes a device the initiator of a node.
const genericInitiator = "acpi-generic-initiator"

// lateObjects are the types whose objects QEMU makes after the others. Follows QEMU 10.2, system/vl.c, object_create_early.
var lateObjects = []string{"rng-egd", "qtest", "cryptodev-vhost-user", "colo-compare"}

func isLate(qomType string) bool {
	return slices.Contains(lateObjects, qomType) || strings.HasPrefix(qomType, "filter-") || strings.HasPrefix(qomType, "memory-backend-")
}

// resolveInitiators finds the devices of generic initiators, in the order in which QEMU finds the objects.
// Follows QEMU 10.2, hw/acpi/pci.c, build_acpi_generic_initiator.
func (b *builder) resolveInitiators() error {
	var early, late []string
	for _, id := range b.objectOrder {
		if isLate(b.objects[id].str("qom-type")) {
			late = append(late, id)
		} else {
			early = append(early, id)
		}
	}
	for _, id := range hashOrder(append(early, late...)) {
		o := b.objects[id]
		if o.str("qom-type") != genericInitiator {
			continue
		}
		arg := genericInitiator + ",id=" + id
		if err := checkKeys("-object", arg, o, "qom-type", "id", "pci-dev", "node"); err != nil {
			return err
		}
		n, ok := parseUint(o.str("node"))
		if !ok || n >= uint64(len(b.m.NUMA)) {
			return usageErr("-object", arg, "node=%s: there is no such node", o.str("node"))
		}
		dev := findPCI(b.m.Root, o.str("pci-dev"))
		if dev == nil {
			return usageErr("-object", arg, "pci-dev=%s: there is no such PCI device", o.str("pci-dev"))
		}
		b.m.GenericInitiators = append(b.m.GenericInitiators, GenericInitiator{int(n), dev})
	}
	if len(b.m.GenericInitiators) > 0 && b.m.Release.Less(Version{Major: 9}) {
		return unknownErr("-object", genericInitiator, fmt.Sprintf("QEMU %s has no such object, 9.0 and later have", b.m.Release), "")
	}
	return nil
}

// findPCI finds a device by its id on a bus or below.
func findPCI(bus *Bus, id string) *PCIDevice {
	if id == "" {
		return nil
	}
	for _, d := range bus.Devices {
		if d.ID == id {
			return d
		}
		for _, below := range []*Bus{d.Bridge, d.ExtraRoot} {
			if below == nil {
				continue
			}
			if found := findPCI(below, id); found != nil {
				return found
			}
		}
	}
	return nil
}
