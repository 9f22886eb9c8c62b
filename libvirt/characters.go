package libvirt

import "fmt"

// serial appends a serial port.
func (t *translation) serial(e *element, i int) {
	target := e.one("target")
	id := e.aliasOr(fmt.Sprintf("serial%d", i))
	props := []property{{"driver", ""}, {"chardev", "char" + id}, {"id", id}}
	port := target.number("port")
	switch typ := target.attr("type"); typ {
	case "isa-serial":
		props[0].value = "isa-serial"
		props = append(props, property{"index", port})
		if a := e.one("address"); a != nil {
			a.word("type", "isa")
			props = append(props, property{"iobase", a.number("iobase")}, property{"irq", a.number("irq")})
		}
	case "isa-debug":
		props[0].value = "isa-debugcon"
		if a := e.one("address"); a != nil {
			a.word("type", "isa")
			props = append(props, property{"iobase", a.number("iobase")})
			a.number("irq")
		}
	case "usb-serial":
		props[0].value = "usb-serial"
		props = append(props, t.usb(e)...)
	case "pci-serial":
		props[0].value = "pci-serial"
		props = append(props, t.pci(e)...)
	default:
		target.malformed("type", "is %q"+dumpHint, typ)
	}
	t.device(props...)
}

// channel appends a port of a virtio-serial controller.
func (t *translation) channel(e *element, i int) {
	target := e.one("target")
	switch typ := target.attr("type"); typ {
	case "virtio":
		id := e.aliasOr(fmt.Sprintf("channel%d", i))
		props := append([]property{{"driver", "virtserialport"}}, t.port(e)...)
		t.device(append(props, property{"chardev", "char" + id}, property{"id", id}, property{"name", target.attr("name")})...)
	case "guestfwd": // a backend of a network
	default:
		target.unsupported("type", "is %q", typ)
	}
}

// console appends a console; that of a serial port is the port itself.
func (t *translation) console(e *element, i int) {
	target := e.one("target")
	id := e.aliasOr(fmt.Sprintf("console%d", i))
	switch typ := target.attr("type"); typ {
	case "serial", "":
	case "virtio":
		props := append([]property{{"driver", "virtconsole"}}, t.port(e)...)
		t.device(append(props, property{"chardev", "char" + id}, property{"id", id})...)
	default:
		target.unsupported("type", "is %q", typ)
	}
}

// tpm appends a TPM.
func (t *translation) tpm(e *element, i int) {
	model := e.word("model", "tpm-tis", "tpm-crb")
	if model == "" {
		e.malformed("model", "is missing"+dumpHint)
	}
	id := e.aliasOr(fmt.Sprintf("tpm%d", i))
	t.device(property{"driver", model}, property{"tpmdev", "tpm-" + id}, property{"id", id})
}

// smartcard appends a card of a CCID controller.
func (t *translation) smartcard(e *element, i int) {
	id := e.aliasOr(fmt.Sprintf("smartcard%d", i))
	driver := "ccid-card-passthru"
	if e.word("mode", "host", "host-certificates", "passthrough") != "passthrough" {
		driver = "ccid-card-emulated"
	}
	a := e.one("address")
	if a == nil {
		e.malformed("", "has no <address>"+dumpHint)
		return
	}
	a.word("type", "ccid")
	a.number("slot")
	t.device(property{"driver", driver}, property{"id", id}, property{"bus", t.busOf(a, "ccid", "controller").alias + ".0"})
}

// input appends an input device. Those of PS/2 belong to the machine.
func (t *translation) input(e *element, i int) {
	id := e.aliasOr(fmt.Sprintf("input%d", i))
	typ := e.word("type", "mouse", "tablet", "keyboard", "passthrough", "evdev")
	switch bus := e.attr("bus"); {
	case typ == "evdev" || bus == "ps2":
	case bus == "usb":
		driver := map[string]string{"mouse": "usb-mouse", "tablet": "usb-tablet", "keyboard": "usb-kbd"}[typ]
		t.device(append([]property{{"driver", driver}, {"id", id}}, t.usb(e)...)...)
	case bus == "virtio":
		base := map[string]string{"mouse": "virtio-mouse", "tablet": "virtio-tablet", "keyboard": "virtio-keyboard", "passthrough": "virtio-input-host"}[typ]
		model := e.word("model", virtioModels...)
		t.device(append(append(e.virtio(base, model), property{"id", id}), t.pci(e)...)...)
	default:
		e.unsupported("bus", "is %q", bus)
	}
}

// hub appends a USB hub.
func (t *translation) hub(e *element, i int) {
	e.word("type", "usb")
	t.device(append([]property{{"driver", "usb-hub"}, {"id", e.aliasOr(fmt.Sprintf("hub%d", i))}}, t.usb(e)...)...)
}

// redirdev appends a USB device that a viewer passes on.
func (t *translation) redirdev(e *element, i int) {
	e.word("bus", "usb")
	id := e.aliasOr(fmt.Sprintf("redir%d", i))
	if b := e.one("boot"); b != nil {
		b.unsupported("", "of a redirected device is not modelled")
	}
	t.device(append([]property{{"driver", "usb-redir"}, {"chardev", "char" + id}, {"id", id}}, t.usb(e)...)...)
}
