package libvirt

import (
	"strings"
)

// smbiosBlocks are the parts of <sysinfo type='smbios'> with the type of structure that each becomes and its entries,
// which have the same names in QEMU, in libvirt's order. libvirt 11.3, src/qemu/qemu_command.c,
// qemuBuildSmbiosCommandLine and what it calls.
var smbiosBlocks = []struct {
	element, typ string
	entries      []string
}{
	{"bios", "0", []string{"vendor", "version", "date", "release"}},
	{"system", "1", []string{"manufacturer", "product", "version", "serial", "uuid", "sku", "family"}},
	{"baseBoard", "2", []string{"manufacturer", "product", "version", "serial", "asset", "location"}},
	{"chassis", "3", []string{"manufacturer", "version", "serial", "asset", "sku"}},
}

// smbios appends -smbios where <os><smbios mode='sysinfo'/> asks for it.
func (t *translation) smbios() {
	var source *element
	for _, s := range t.dom.all("sysinfo") {
		if s.word("type", "smbios", "fwcfg") == "smbios" {
			source = s
		}
	}
	switch mode := t.dom.one("os").one("smbios").word("mode", "emulate", "host", "sysinfo"); mode {
	case "host":
		t.dom.one("os").one("smbios").unsupported("mode", "is host: what the host's own SMBIOS says is not in the document")
	case "sysinfo":
		if source == nil {
			t.dom.one("os").one("smbios").malformed("mode", "is sysinfo, and there is no <sysinfo type='smbios'>")
		}
	default:
		if source != nil {
			source.ignore() // nobody asked for it
		}
		return
	}
	for _, b := range smbiosBlocks {
		e := source.one(b.element)
		if e == nil {
			continue
		}
		arg := "type=" + b.typ
		values := map[string]string{}
		for _, entry := range e.all("entry") {
			values[entry.attr("name")] = entry.text
		}
		for _, name := range b.entries {
			if v, ok := values[name]; ok {
				arg += "," + name + "=" + escape(v)
			}
			delete(values, name)
		}
		for name := range values {
			e.unsupported("", "has an entry %q, want one of %s", name, strings.Join(b.entries, ", "))
		}
		t.add("-smbios", arg)
	}
	if o := source.one("oemStrings"); o != nil {
		arg := "type=11"
		for _, entry := range o.all("entry") {
			arg += ",value=" + escape(entry.text)
		}
		t.add("-smbios", arg)
	}
}

// ignore notes an element and all below it as looked at.
func (e *element) ignore() {
	e.seen = true
	for i := range e.attrs {
		e.attrs[i].seen = true
	}
	for _, c := range e.children {
		c.ignore()
	}
}

// xmlEscape writes a fw_cfg value as libvirt does, which escapes for XML what QEMU takes as it is. libvirt 11.3,
// src/qemu/qemu_command.c, qemuBuildSysinfoCommandLine, and src/util/virbuffer.c, virBufferEscapeString.
var xmlEscape = strings.NewReplacer("<", "&lt;", ">", "&gt;", "&", "&amp;", `"`, "&quot;", "'", "&apos;")

// fwCfg appends the files of <sysinfo type='fwcfg'>.
func (t *translation) fwCfg() {
	for _, s := range t.dom.all("sysinfo") {
		if s.attr("type") != "fwcfg" {
			continue
		}
		for _, e := range s.all("entry") {
			arg := "name=" + e.attr("name")
			if file := e.attr("file"); file != "" {
				arg += ",file=" + xmlEscape.Replace(file)
			} else {
				arg += ",string=" + xmlEscape.Replace(e.text)
			}
			if strings.Count(arg, ",") > 1 {
				e.unsupported("", "has a comma, which libvirt does not double and QEMU takes for the end of the value")
			}
			t.add("-fw_cfg", arg)
		}
	}
}

// genid appends the device of the guest's generation id.
func (t *translation) genid() {
	g := t.dom.one("genid")
	if g == nil {
		return
	}
	if g.content() == "" {
		g.malformed("", "is empty: libvirt makes one up"+dumpHint)
	}
	t.device(property{"driver", "vmgenid"}, property{"guid", g.content()}, property{"id", "vmgenid0"})
}
