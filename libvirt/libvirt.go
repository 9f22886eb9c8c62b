// Package libvirt translates the domain XML of libvirt into the arguments that libvirt's QEMU driver starts a guest
// with, as far as they reach the guest: machine, CPUs, memory, firmware, kernel, SMBIOS and every device with its
// address, in libvirt's order. Backends on the host, which no guest sees, are left out.
//
// What it reads is what libvirt writes: the XML of a domain that libvirt has defined (virsh dumpxml, or a file of
// /etc/libvirt/qemu), where every device has its address. A document that somebody wrote lacks addresses and devices
// that libvirt adds, and is refused.
//
// Everything in the document is either translated, or in a table of what cannot reach a measurement, or refused by its
// path. One thing a document cannot say: an <interface type='network'> is taken to be what its model says; on a network
// whose forward mode is hostdev, libvirt puts a passed-on device in its place, and so does the XML of the running
// domain. What virsh domxml-to-native says is no second opinion on interfaces: it puts a plain one in the place of each,
// without address, queues, ROM and boot order (libvirt 11.3, src/qemu/qemu_driver.c, qemuConnectDomainXMLToNative). The
// log of a start, /var/log/libvirt/qemu/NAME.log, has the real command line.
package libvirt

import (
	"encoding/json"
	"fmt"
	"strings"
)

// dumpHint is what to do about a document that libvirt has not completed.
const dumpHint = "; give the XML of a domain that libvirt has defined, from virsh dumpxml, or the command line in the log of its start"

// Read translates a domain into QEMU's arguments, without the program's name. Its errors are *bin.FormatError that
// name the element and, after an @, the attribute.
//
// Follows libvirt 11.3 and 12.8, src/qemu/qemu_command.c, qemuBuildCommandLine.
func Read(data []byte) ([]string, error) {
	d, err := parse(data)
	if err != nil {
		return nil, err
	}
	t := &translation{document: d, dom: d.root, aliases: map[string]int{}}
	t.domain()
	if d.err == nil {
		d.root.checkSeen()
	}
	if d.err != nil {
		return nil, d.err
	}
	return t.args, nil
}

// A translation is one domain on its way to a command line.
type translation struct {
	*document
	dom, devices *element
	args         []string
	controllers  []*controller
	aliases      map[string]int // devices of a kind seen so far
	overrides    map[string][]*element
	bootDevices  []string // of <os>, first to boot first
	perDevice    bool     // devices carry their own boot order
}

// add appends arguments.
func (t *translation) add(args ...string) { t.args = append(t.args, args...) }

// A property of a device; nil leaves it out.
type property struct {
	key   string
	value any
}

// object appends an option that libvirt writes in JSON.
func (t *translation) object(option string, props []property) {
	var b strings.Builder
	b.WriteByte('{')
	for _, p := range props {
		if p.value == nil || p.value == "" {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s:%s", quoteJSON(p.key), quoteJSON(p.value))
	}
	b.WriteByte('}')
	t.add(option, b.String())
}

// quoteJSON encodes a string, number or boolean.
func quoteJSON(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// escape doubles commas, as the values of QEMU's comma-separated options need it.
func escape(s string) string { return strings.ReplaceAll(s, ",", ",,") }

// domain translates the document in the order in which libvirt builds the command line.
func (t *translation) domain() {
	if t.dom.name != "domain" {
		t.dom.malformed("", "is the root, want <domain>")
		return
	}
	accel := map[string]string{"kvm": "kvm", "qemu": "tcg"}[t.dom.word("type", "kvm", "qemu")]
	t.devices = t.dom.one("devices")
	if t.devices == nil {
		t.dom.malformed("", "has no <devices>")
		return
	}
	t.checkDefined()
	t.readOverrides()
	t.readControllers()
	t.readBootOrder()
	if t.err != nil {
		return
	}
	t.add("-name", "guest="+escape(t.dom.one("name").content()))
	t.machine()
	t.add("-accel", accel)
	t.tseg()
	t.cpu()
	t.firmware()
	t.memory()
	t.topology()
	t.numa()
	t.add("-uuid", t.dom.one("uuid").content())
	t.smbios()
	t.fwCfg()
	t.genid()
	t.add("-display", "none", "-no-user-config", "-nodefaults")
	t.power()
	t.boot()
	t.allDevices()
	t.launchSecurity()
	t.commandline()
	t.lateDevices()
}

// checkDefined refuses a document that libvirt has not completed: it would add devices to it.
func (t *translation) checkDefined() {
	want := func(ok bool, what string) {
		if !ok && t.err == nil {
			t.devices.malformed("", "%s is missing, which libvirt always writes"+dumpHint, what)
		}
	}
	has := func(kind, attr, value string) bool {
		for _, c := range t.devices.children {
			if v, _ := c.peek(attr); c.name == kind && (attr == "" || v == value) {
				return true
			}
		}
		return false
	}
	want(t.dom.one("uuid").content() != "", "<uuid> of the domain")
	want(has("controller", "model", "pcie-root"), "<controller type='pci' model='pcie-root'>")
	want(has("controller", "type", "usb"), "<controller type='usb'>")
	want(has("memballoon", "", ""), "<memballoon>")
}

// peek is get without noting that the attribute was looked at.
func (e *element) peek(name string) (string, bool) {
	for _, a := range e.attrs {
		if a.name == name {
			return a.value, true
		}
	}
	return "", false
}

// commandline appends what <qemu:commandline> says as it is.
func (t *translation) commandline() {
	for _, a := range t.dom.one("qemu:commandline").all("qemu:arg") {
		v, ok := a.get("value")
		if !ok {
			a.malformed("value", "is missing")
		}
		t.add(v)
	}
}

// readOverrides notes what <qemu:override> changes of devices, by alias.
func (t *translation) readOverrides() {
	t.overrides = map[string][]*element{}
	for _, d := range t.dom.one("qemu:override").all("qemu:device") {
		for _, f := range d.all("qemu:frontend") {
			t.overrides[d.attr("alias")] = append(t.overrides[d.attr("alias")], f.all("qemu:property")...)
		}
	}
}

// device appends -device, after what <qemu:override> changes of it.
// libvirt 11.3, src/qemu/qemu_command.c, qemuBuildDeviceCommandlineHandleOverrides.
func (t *translation) device(props ...property) {
	alias := ""
	for _, p := range props {
		if p.key == "id" {
			alias, _ = p.value.(string)
		}
	}
	for _, o := range t.overrides[alias] {
		name, value := o.attr("name"), any(nil)
		switch o.word("type", "string", "signed", "unsigned", "bool", "remove") {
		case "string":
			value = o.attr("value")
		case "unsigned", "signed":
			value = json.Number(o.attr("value"))
			if _, err := json.Marshal(value); err != nil || o.attr("value") == "" {
				o.malformed("value", "is %q, want a number", o.attr("value"))
			}
		case "bool":
			value = o.boolean("value", "true", "false")
		}
		kept := props[:0:0]
		for _, p := range props {
			if p.key != name {
				kept = append(kept, p)
			}
		}
		props = append(kept, property{name, value})
	}
	t.object("-device", props)
}

// launchSecurity appends the object that makes a TD.
func (t *translation) launchSecurity() {
	s := t.dom.one("launchSecurity")
	if s == nil {
		return
	}
	if s.attr("type") != "tdx" {
		s.unsupported("type", "is %q, want tdx: only Intel TDs are measured", s.attr("type"))
	}
	t.add("-object", `{"qom-type":"tdx-guest","id":"lsec0"}`)
}

// isQ35 reports whether a machine type is one of q35.
func isQ35(machine string) bool { return machine == "q35" || strings.HasPrefix(machine, "pc-q35-") }
