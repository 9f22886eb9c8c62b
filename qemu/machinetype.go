package qemu

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// sortedKeys returns the keys of m in order.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// machineVersions are the q35 machine types that tables were seen of, oldest first. A release has those up to its own.
var machineVersions = []Version{
	{5, 2, 0, false}, {6, 0, 0, false}, {6, 1, 0, false}, {6, 2, 0, false}, {7, 0, 0, false}, {7, 1, 0, false},
	{7, 2, 0, false}, {8, 0, 0, false}, {8, 1, 0, false}, {8, 2, 0, false}, {9, 0, 0, false}, {9, 1, 0, false},
	{9, 2, 0, false}, {10, 0, 0, false}, {10, 1, 0, false}, {10, 2, 0, false}, {11, 0, 0, false}, {11, 1, 0, false},
}

// typeName spells a machine type.
func typeName(v Version) string { return fmt.Sprintf("pc-q35-%d.%d", v.Major, v.Minor) }

// machineTypes returns the machine types that a release has, newest first.
func machineTypes(release Version) []Version {
	var out []Version
	for _, v := range slices.Backward(machineVersions) {
		if !release.Less(v) {
			out = append(out, v)
		}
	}
	return out
}

// resolveType reads the machine type: "q35" is the newest of the release.
func (b *builder) resolveType() error {
	t, ok := b.machine["type"]
	types := machineTypes(b.m.Release)
	if len(types) == 0 {
		return usageErr("QEMU release", b.m.Release.String(), "is older than every machine type that is known")
	}
	switch {
	case !ok:
		return unsupportedErr("-machine", "", "without -machine QEMU makes an i440FX, and only q35 machines are modelled")
	case t == "q35":
		b.m.MachineVersion = types[0]
		b.m.Type = typeName(types[0])
		return nil
	case t == "pc" || strings.HasPrefix(t, "pc-i440fx") || t == "microvm" || t == "isapc" || t == "none" || t == "x-remote" || t == "nitro-enclave":
		return unsupportedErr("-machine", t, "only q35 machines are modelled")
	}
	var names []string
	for _, v := range types {
		if typeName(v) == t {
			b.m.Type, b.m.MachineVersion = t, v
			return nil
		}
		names = append(names, typeName(v))
	}
	for _, v := range machineVersions {
		if typeName(v) == t {
			return unknownErr("-machine", t, fmt.Sprintf("QEMU %s has no such machine type", b.m.Release), "its newest is "+typeName(types[0]))
		}
	}
	return unknownErr("-machine", t, "unknown machine type", nearest(t, append(names, "q35")))
}
