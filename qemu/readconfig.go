package qemu

import (
	"fmt"
	"slices"
	"strings"
)

// maxConfigLine is the room that QEMU has for a line of a configuration file, with its end.
const maxConfigLine = 1023

// configGroups are the groups of a configuration file by the reader of the option that each stands for. Groups that QEMU takes and
// that have no effect from a file, or one that is not modelled, are missing. Follows QEMU 10.2, system/vl.c, qemu_init
// and is_qemuopts_group.
var configGroups = map[string]func(*builder, string) error{
	"device": (*builder).readDevice, "drive": (*builder).readDrive, "net": (*builder).readNet, "nic": (*builder).readNIC,
	"netdev": (*builder).readNetdev,
	"global": (*builder).readGlobal, "machine": (*builder).readMachine, "memory": (*builder).readMemory,
	"smp-opts": (*builder).readSMP, "boot-opts": (*builder).readBoot, "object": (*builder).readObject, "numa": (*builder).readNUMA,
	"fw_cfg": (*builder).readFwCfg, "accel": (*builder).readAccel,
	"chardev": nil, "mon": nil, "rtc": nil, "name": nil, "audiodev": nil, "fsdev": nil, "tpmdev": nil, "spice": nil, "msg": nil,
	"trace": nil, "overcommit": nil, "action": nil, "add-fd": nil, "sandbox": nil,
}

// readConfig notes the options that a file has in groups of the form
//
//	[group "id"]
//	  key = "value"
//
// as if each group were an option where -readconfig stands. Of equal keys in a group the last holds.
// Follows QEMU 10.2, util/qemu-config.c, qemu_config_foreach.
func (b *builder) readConfig(file string) error {
	const option = "-readconfig"
	if b.opts.ReadFile == nil {
		return unsupportedErr(option, file, "reads options from a file; give them on the command line")
	}
	data, err := b.opts.ReadFile(file)
	if err != nil {
		return err
	}
	var group string
	var pairs props
	done := func() error {
		if group == "" {
			return nil
		}
		return b.configGroup(file, group, pairs)
	}
	lines := strings.Split(string(data), "\n")
	if n := len(lines); lines[n-1] == "" {
		lines = lines[:n-1]
	}
	for i, line := range lines {
		bad := func(what string) error { return usageErr(option, file, "line %d %s", i+1, what) }
		switch {
		case len(line) >= maxConfigLine || strings.IndexByte(line, 0) >= 0:
			return bad("is too long, or holds a zero byte")
		case line == "" || line[0] == '#':
			continue
		case line[0] == '[':
			if err := done(); err != nil {
				return err
			}
			name, id, ok := configHeader(line)
			if !ok {
				return bad(`is no group, want [name] or [name "id"]`)
			}
			group, pairs = name, nil
			if id != "" {
				pairs = props{{"id", id}}
			}
		default:
			key, value, ok := configPair(line)
			if !ok {
				return bad(`is no pair, want key = "value"`)
			}
			if group == "" {
				return bad("stands before any group")
			}
			pairs = slices.DeleteFunc(pairs, func(kv KeyValue) bool { return kv.Key == key })
			pairs = pairs.set(key, value)
		}
	}
	return done()
}

// configGroup notes one group.
func (b *builder) configGroup(file, group string, pairs props) error {
	read, ok := configGroups[group]
	if !ok {
		return unknownErr("-readconfig", file, fmt.Sprintf("group [%s] is not known", group), nearest(group, sortedKeys(configGroups)))
	}
	var words []string
	for _, kv := range pairs {
		words = append(words, kv.Key+"="+strings.ReplaceAll(kv.Value, ",", ",,"))
	}
	if read == nil {
		return nil // it cannot reach a measurement
	}
	// Options alone keep the default network device away: QEMU 10.2, system/vl.c, qemu_init, default_net.
	defer func(net bool) { b.net = net }(b.net)
	return read(b, strings.Join(words, ","))
}

// configHeader reads [name] or [name "id"].
func configHeader(line string) (name, id string, ok bool) {
	inside, _, ok := strings.Cut(line[1:], "]")
	if !ok {
		return "", "", false
	}
	name, rest, quoted := strings.Cut(inside, " ")
	if quoted {
		rest = strings.TrimLeft(rest, " ")
		if len(rest) < 3 || rest[0] != '"' || strings.IndexByte(rest[1:], '"') != len(rest)-2 {
			return "", "", false
		}
		id = rest[1 : len(rest)-1]
	}
	return name, id, name != "" && len(name) < 64 && len(id) < 64
}

// configPair reads key = "value"; blanks around the equals sign are a must, for the key takes all up to one.
func configPair(line string) (key, value string, ok bool) {
	key, rest, ok := strings.Cut(strings.TrimLeft(line, " \t"), " ")
	rest, equals := strings.CutPrefix(strings.TrimLeft(rest, " "), "=")
	rest = strings.TrimLeft(rest, " ")
	if !ok || !equals || rest == "" || rest[0] != '"' || len(key) > 63 || strings.ContainsAny(key, ",=") {
		return "", "", false
	}
	value, _, ok = strings.Cut(rest[1:], `"`)
	return key, value, ok
}
