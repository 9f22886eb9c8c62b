package libvirt

import (
	"fmt"
	"slices"
	"strings"
)

// A controller is something that addresses name by type and index.
type controller struct {
	e         *element
	typ       string
	index     uint64
	model     string
	alias     string
	companion bool // a USB controller below the one of the same index
}

// readControllers lists the controllers in libvirt's order: by type, then index.
func (t *translation) readControllers() {
	for _, e := range t.devices.all("controller") {
		c := &controller{e: e, typ: e.attr("type"), index: e.need("index"), model: e.attr("model"), companion: e.one("master") != nil}
		c.alias = e.aliasOr(c.defaultAlias())
		if c.model == "pcie-root" {
			c.alias = "pcie.0" // whatever the user calls it
		}
		if c.index > 1<<16 {
			e.malformed("index", "is %d", c.index)
		}
		if o := t.controller(c.typ, c.index); o != nil && c.typ != "usb" {
			e.malformed("index", "is %d, as that of another %s controller", c.index, c.typ)
		}
		t.controllers = append(t.controllers, c)
	}
	slices.SortStableFunc(t.controllers, func(a, b *controller) int { return int(a.index) - int(b.index) })
}

// defaultAlias is the id of a controller without an alias of its own. libvirt 11.3, src/qemu/qemu_alias.c,
// qemuAssignDeviceControllerAlias.
func (c *controller) defaultAlias() string {
	switch {
	case c.typ == "pci":
		return fmt.Sprintf("pci.%d", c.index)
	case c.typ == "sata" && c.index == 0:
		return "ide"
	case c.typ == "usb" && c.index == 0:
		return "usb"
	}
	return fmt.Sprintf("%s%d", c.typ, c.index)
}

// controller finds a controller, nil where there is none.
func (t *translation) controller(typ string, index uint64) *controller {
	for _, c := range t.controllers {
		if c.typ == typ && c.index == index {
			return c
		}
	}
	return nil
}

// busOf names the controller that an address refers to.
func (t *translation) busOf(a *element, typ, field string) *controller {
	n := a.need(field)
	if c := t.controller(typ, n); c != nil {
		return c
	}
	a.malformed(field, "is %d, and there is no %s controller of that index", n, typ)
	return &controller{}
}

// aliasOr returns a device's own alias, or libvirt's default for it.
func (e *element) aliasOr(def string) string {
	if a := e.one("alias"); a != nil {
		if v := a.attr("name"); v != "" {
			return v
		}
	}
	return def
}

// pci returns the address of a PCI device. A device without one has not been through libvirt.
// libvirt 11.3, src/qemu/qemu_command.c, qemuBuildDeviceAddressProps.
func (t *translation) pci(e *element) []property {
	a := e.one("address")
	if a == nil {
		e.malformed("", "has no <address>"+dumpHint)
		return nil
	}
	if a.attr("type") != "pci" {
		a.unsupported("type", "is %q, want pci", a.attr("type"))
		return nil
	}
	if d := a.number("domain"); d != nil && d != uint64(0) {
		a.unsupported("domain", "is %d, a guest has only 0", d)
	}
	bus, slot, function := t.busOf(a, "pci", "bus"), a.need("slot"), a.need("function")
	if slot > 31 || function > 7 {
		a.malformed("", "is slot %d, function %d, at most 31 and 7", slot, function)
	}
	addr := fmt.Sprintf("0x%x", slot)
	if function != 0 {
		addr += fmt.Sprintf(".0x%x", function)
	}
	out := []property{{"bus", bus.alias}, {"multifunction", a.onOff("multifunction")}, {"addr", addr}}
	if n := e.one("acpi").number("index"); n != nil {
		out = append(out, property{"acpi-index", n})
	}
	return out
}

// rom returns the properties of a device's option ROM.
func (e *element) rom() []property {
	r := e.one("rom")
	if r == nil {
		return nil
	}
	bar, file := r.onOff("bar"), r.attr("file")
	if r.yesNo("enabled") == false {
		// An empty file is how QEMU is told that there is none, so that it must not be left out as other empty values.
		return []property{{"romfile", empty{}}}
	}
	out := []property{{"romfile", file}}
	if bar != nil {
		out = append(out, property{"rombar", map[any]int{true: 1, false: 0}[bar]})
	}
	return out
}

// empty is a property's value that is an empty string and yet there.
type empty struct{}

func (empty) MarshalJSON() ([]byte, error) { return []byte(`""`), nil }

// virtio returns the driver of a virtio device and the options that all have. Model is the attribute that says which
// variant it is, "virtio-transitional" or "virtio-non-transitional". libvirt 11.3, src/qemu/qemu_command.c,
// qemuBuildVirtioDevProps.
func (e *element) virtio(base, model string) []property {
	driver := base + "-pci"
	if i := strings.Index(model, "-non-transitional"); i >= 0 {
		driver += "-non-transitional"
	} else if strings.HasSuffix(model, "-transitional") {
		driver += "-transitional"
	}
	d := e.one("driver")
	return []property{
		{"driver", driver},
		{"iommu_platform", d.onOff("iommu")}, {"ats", d.onOff("ats")}, {"packed", d.onOff("packed")}, {"page-per-vq", d.onOff("page_per_vq")},
	}
}

// usb returns the address of a USB device.
func (t *translation) usb(e *element) []property {
	a := e.one("address")
	if a == nil || a.attr("type") != "usb" {
		e.malformed("", "has no <address type='usb'>"+dumpHint)
		return nil
	}
	return []property{{"bus", t.busOf(a, "usb", "bus").alias + ".0"}, {"port", a.attr("port")}}
}

// port returns the address of a device on a virtio-serial controller.
func (t *translation) port(e *element) []property {
	a := e.one("address")
	if a == nil {
		return nil // QEMU takes the controller that is there
	}
	a.word("type", "virtio-serial")
	bus := t.busOf(a, "virtio-serial", "controller").alias
	return []property{{"bus", fmt.Sprintf("%s.%d", bus, a.need("bus"))}, {"nr", a.need("port")}}
}
