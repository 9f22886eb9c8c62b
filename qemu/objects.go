package qemu

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// maxJSONDepth bounds nesting of a JSON argument; QEMU's own schemas need three.
const maxJSONDepth = 16

// parseJSONProps reads a JSON object into pairs: true and false become on and off, nested keys are joined with dots.
func parseJSONProps(option, arg string) (props, error) {
	d := json.NewDecoder(strings.NewReader(arg))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil, usageErr(option, arg, "is not a JSON object: %v", err)
	}
	if d.More() {
		return nil, usageErr(option, arg, "has something behind the JSON object")
	}
	var out props
	if !flatten(&out, "", m, 0) {
		return nil, usageErr(option, arg, "holds a JSON value that no property takes")
	}
	return out, nil
}

// flatten appends the pairs of a JSON value and reports whether it had only what a property can be.
func flatten(out *props, prefix string, v any, depth int) bool {
	if depth > maxJSONDepth {
		return false
	}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range sortedKeys(v) {
			name := k
			if prefix != "" {
				name = prefix + "." + k
			}
			if !flatten(out, name, v[k], depth+1) {
				return false
			}
		}
	case []any:
		for i, e := range v {
			if !flatten(out, fmt.Sprintf("%s.%d", prefix, i), e, depth+1) {
				return false
			}
		}
	case string:
		*out = append(*out, KeyValue{prefix, v})
	case json.Number:
		s := v.String()
		if n, err := v.Int64(); prefix == "addr" && err == nil && n >= 0 && n < 256 {
			s = fmt.Sprintf("%x.%x", n>>3, n&7) // a number is slot*8+function, a string is hexadecimal
		}
		*out = append(*out, KeyValue{prefix, s})
	case bool:
		s := "off"
		if v {
			s = "on"
		}
		*out = append(*out, KeyValue{prefix, s})
	default:
		return false
	}
	return true
}

// objectTypes are the kinds of -object, and why those that are passed over reach no measurement.
var objectTypes = map[string]string{
	"memory-backend-ram":   "memory",
	"memory-backend-file":  "memory",
	"memory-backend-memfd": "memory",
	"memory-backend-epc":   "SGX memory", // refused where a machine uses it
	"tdx-guest":            "makes a TD; its ids are report fields, not measurements",
	"iothread":             whyHost, "main-loop": whyHost, "thread-context": whyHost, "throttle-group": whyHost,
	"rng-random": whyBackend, "rng-egd": whyBackend, "rng-builtin": whyBackend,
	"secret": whyHost, "secret_keyring": whyHost, "tls-creds-x509": whyHost, "tls-creds-anon": whyHost, "tls-creds-psk": whyHost,
	"tls-cipher-suites": whyHost, "authz-list": whyHost, "authz-list-file": whyHost, "authz-simple": whyHost, "authz-pam": whyHost,
	"cryptodev-backend": whyBackend, "cryptodev-backend-builtin": whyBackend, "cryptodev-vhost-user": whyBackend, "cryptodev-backend-lkcf": whyBackend,
	"filter-buffer": whyBackend, "filter-dump": whyBackend, "filter-mirror": whyBackend, "filter-redirector": whyBackend,
	"filter-replay": whyBackend, "filter-rewriter": whyBackend, "can-bus": whyBackend, "can-host-socketcan": whyBackend,
	"input-barrier": whyHost, "input-linux": whyHost, "qtest": whyHost, "pr-manager-helper": whyHost, "dbus-vmstate": whyHost,
	"colo-compare": whyHost, "iommufd": whyBackend, "monitor-qmp": whyHost, "monitor-hmp": whyHost, genericInitiator: "SRAT and HMAT",
}

// readObject notes -object. Objects that are not in the table are an error.
func (b *builder) readObject(arg string) error {
	p, err := parseKeyvalList("-object", arg, "qom-type")
	if err != nil {
		return err
	}
	t, id := p.str("qom-type"), p.str("id")
	if _, ok := objectTypes[t]; !ok {
		hint := ""
		if t == "sev-guest" || t == "sev-snp-guest" {
			hint = "only Intel TDs are measured"
		} else {
			hint = nearest(t, sortedKeys(objectTypes))
		}
		return unknownErr("-object", arg, fmt.Sprintf("unknown object type %q", t), hint)
	}
	if id == "" {
		return needArg("-object", arg, "id")
	}
	if t == "tdx-guest" {
		if err := checkTDXGuest(arg, p); err != nil {
			return err
		}
	}
	if _, ok := b.objects[id]; ok {
		return usageErr("-object", arg, "there is an object %s already", id)
	}
	b.objects[id] = p
	b.objectOrder = append(b.objectOrder, id)
	return nil
}

// tdxGuestKeys are the properties of a tdx-guest: QEMU 10.2, qapi/qom.json, TdxGuestProperties, and those of builds with
// Intel's patches. All are fields of a report or the host's; none is measured.
var tdxGuestKeys = []string{"qom-type", "id", "attributes", "sept-ve-disable", "mrconfigid", "mrowner", "mrownerconfig", "quote-generation-socket",
	"quote-generation-service", "debug", "vsockport"}

// checkTDXGuest refuses properties that a tdx-guest has not.
func checkTDXGuest(arg string, p props) error {
	for _, kv := range p {
		name, _, _ := strings.Cut(kv.Key, ".") // a socket's address is an object of its own
		if err := checkKeys("-object", arg, props{{name, kv.Value}}, tdxGuestKeys...); err != nil {
			return err
		}
	}
	return nil
}

// maxFwCfgName is FW_CFG_MAX_FILE_PATH less the terminating zero.
const maxFwCfgName = 55

// readFwCfg notes -fw_cfg. Follows QEMU 10.2, system/vl.c, parse_fw_cfg.
func (b *builder) readFwCfg(arg string) error {
	p := parseProps(arg, "name")
	if err := checkKeys("-fw_cfg", arg, p, "name", "file", "string", "gen_id"); err != nil {
		return err
	}
	name, file, text := p.str("name"), p.str("file"), p.str("string")
	switch {
	case p.str("gen_id") != "":
		return unsupportedErr("-fw_cfg", arg, "gen_id makes the file from an object, which is not modelled")
	case name == "" || (file == "") == (text == ""):
		return usageErr("-fw_cfg", arg, "needs a name and either file or string")
	case len(name) > maxFwCfgName:
		return usageErr("-fw_cfg", arg, "the name is longer than %d bytes", maxFwCfgName)
	}
	for _, f := range b.m.FwCfg {
		if f.Name == name {
			return usageErr("-fw_cfg", arg, "there is a file %s already", name)
		}
	}
	item := FwCfgItem{Name: name, File: file}
	switch {
	case text != "":
		item.Data = []byte(text)
	case b.opts.ReadFile != nil:
		var err error
		if item.Data, err = b.opts.ReadFile(file); err != nil {
			return err
		}
	}
	b.m.FwCfg = append(b.m.FwCfg, item)
	return nil
}

// smbiosKeys are the fields of -smbios by table type. Follows QEMU 10.2, hw/smbios/smbios.c.
var smbiosKeys = map[int][]string{
	0:  {"vendor", "version", "date", "release", "uefi", "vm"},
	1:  {"manufacturer", "product", "version", "serial", "uuid", "sku", "family"},
	2:  {"manufacturer", "product", "version", "serial", "asset", "location"},
	3:  {"manufacturer", "version", "serial", "asset", "sku"},
	4:  {"sock_pfx", "manufacturer", "version", "serial", "asset", "part", "max-speed", "current-speed", "processor-id", "processor-family"},
	8:  {"internal_reference", "external_reference", "connector_type", "port_type"},
	9:  {"slot_designation", "slot_type", "slot_data_bus_width", "current_usage", "slot_length", "slot_id", "slot_characteristics1", "slot_characteristics2", "pci_device"},
	11: {"value", "path"},
	17: {"loc_pfx", "bank", "manufacturer", "serial", "asset", "part", "speed"},
	41: {"designation", "kind", "instance", "pcidev"},
}

// readSMBIOS notes -smbios type=N,... Follows QEMU 10.2, hw/smbios/smbios.c, smbios_entry_add.
func (b *builder) readSMBIOS(arg string) error {
	p := parseProps(arg, "")
	if file, ok := p.get("file"); ok {
		e := SMBIOSEntry{File: file}
		if b.opts.ReadFile != nil {
			var err error
			if e.Content, err = b.opts.ReadFile(file); err != nil {
				return err
			}
		}
		b.m.SMBIOS.Entries = append(b.m.SMBIOS.Entries, e)
		return nil
	}
	v, ok := p.get("type")
	if !ok {
		return needArg("-smbios", arg, "type")
	}
	n, ok := parseUint(v)
	if !ok || n > 127 {
		return usageErr("-smbios", arg, "type=%s is not a number from 0 to 127", v)
	}
	t := int(n)
	keys, ok := smbiosKeys[t]
	if !ok {
		return usageErr("-smbios", arg, "QEMU makes no table of type %d", t)
	}
	if err := checkKeys("-smbios", arg, p, append(keys, "type")...); err != nil {
		return err
	}
	if u, ok := p.get("uuid"); ok && t == 1 {
		if !isUUID(u) {
			return usageErr("-smbios", arg, "uuid=%s is not a UUID", u)
		}
		b.m.SMBIOS.UUID = strings.ToLower(u)
	}
	s := &b.m.SMBIOS
	if s.Fields == nil {
		s.Fields = map[int][]KeyValue{}
	}
	var fields []KeyValue
	for _, kv := range p {
		switch {
		case kv.Key == "type":
			continue
		case t == 11 && kv.Key == "path" && b.opts.ReadFile != nil:
			content, err := b.opts.ReadFile(kv.Value)
			if err != nil {
				return err
			}
			if bytes.IndexByte(content, 0) >= 0 {
				return usageErr("-smbios", arg, "the content of %s holds a zero byte", kv.Value)
			}
			kv = KeyValue{"value", string(content)}
		}
		fields = append(fields, kv)
	}
	s.Fields[t] = append(s.Fields[t], fields...)
	s.Entries = append(s.Entries, SMBIOSEntry{Type: t, Fields: fields})
	return nil
}

// readBoot notes -boot. Repeated options merge.
func (b *builder) readBoot(arg string) error {
	p, err := parseWords("-boot", arg, "order")
	b.boot = append(b.boot, p...)
	return err
}

// resolveBoot applies -boot. Follows QEMU 10.2, system/bootdevice.c and hw/nvram/fw_cfg.c, fw_cfg_bootsplash.
func (b *builder) resolveBoot() error {
	keys := []string{"order", "once", "menu", "splash", "splash-time", "reboot-timeout", "strict"}
	if err := checkKeys("-boot", "", b.boot, keys...); err != nil {
		return err
	}
	o := &b.m.Boot
	for _, k := range []string{"order", "once"} {
		v := b.boot.str(k)
		for i, c := range v {
			if c < 'a' || c > 'p' || strings.ContainsRune(v[:i], c) {
				return usageErr("-boot", k+"="+v, "device %q is not a letter from a to p, or is given twice", c)
			}
		}
	}
	o.Order = b.boot.str("order")
	for k, field := range map[string]*bool{"menu": &o.Menu, "strict": &o.Strict} {
		v, ok := b.boot.get(k)
		if !ok {
			continue
		}
		on, ok := parseBool(v)
		if !ok {
			return usageErr("-boot", k+"="+v, "expects on or off")
		}
		*field = on
		o.HasMenu = o.HasMenu || k == "menu"
	}
	if v, ok := b.boot.get("splash-time"); ok {
		n, ok := parseUint(v)
		if !ok || n > 0xffff {
			return usageErr("-boot", "splash-time="+v, "expects a number from 0 to 65535")
		}
		o.SplashTime, o.HasSplashTime = int(n), true
	}
	if v, ok := b.boot.get("reboot-timeout"); ok {
		if n, ok := parseInt(v); !ok || n < -1 || n > 0xffff {
			return usageErr("-boot", "reboot-timeout="+v, "expects a number from -1 to 65535")
		}
	}
	return nil
}
