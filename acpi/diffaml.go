package acpi

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/tdxkit/tdxkit/acpi/aml"
)

// An amlObject is an object of a definition block that is compared by itself.
type amlObject struct {
	*aml.Object
	key  string // kind, path, and number among those of both
	data []byte
}

// diffAML compares two definition blocks object by object.
func diffAML(a, b rawTable) ([]Difference, error) {
	la, err := amlObjects(a)
	if err != nil {
		return nil, err
	}
	lb, err := amlObjects(b)
	if err != nil {
		return nil, err
	}
	inA, inB := byKey(la), byKey(lb)
	var out []Difference
	for _, o := range la {
		other, ok := inB[o.key]
		switch {
		case ok:
			out = append(out, diffObject(a.name, o, other)...)
		case !isWithin(o.Path, inA, inB):
			out = append(out, Difference{Table: a.name, Path: o.Path, Offset: o.Off, OffsetB: -1, A: o.describe()})
		}
	}
	for _, o := range lb {
		if _, ok := inA[o.key]; !ok && !isWithin(o.Path, inB, inA) {
			out = append(out, Difference{Table: a.name, Path: o.Path, Offset: -1, OffsetB: o.Off, B: o.describe()})
		}
	}
	if len(out) > 0 || bytes.Equal(a.data[headerLen:], b.data[headerLen:]) {
		return out, nil
	}
	// The same objects in another order, or otherwise put into scopes.
	for i := range min(len(la), len(lb)) {
		if la[i].key != lb[i].key {
			return []Difference{{Table: a.name, Path: "order of objects", Offset: la[i].Off, OffsetB: lb[i].Off, A: la[i].describe() + " " + la[i].Path, B: lb[i].describe() + " " + lb[i].Path}}, nil
		}
	}
	return diffRuns(a.name, "encoding,", a.data[headerLen:], b.data[headerLen:], headerLen, headerLen), nil
}

// isWithin reports whether a path lies within a device that one block has and the other lacks, which is told itself.
func isWithin(path string, in, notIn map[string]amlObject) bool {
	for i := strings.LastIndexByte(path, '.'); i > 0; i = strings.LastIndexByte(path[:i], '.') {
		for _, kind := range []aml.Kind{aml.KindDevice, aml.KindProcessor} {
			key := string(kind) + " " + path[:i]
			_, has := in[key]
			if _, other := notIn[key]; has && !other {
				return true
			}
		}
	}
	return false
}

func byKey(list []amlObject) map[string]amlObject {
	m := make(map[string]amlObject, len(list))
	for _, o := range list {
		m[o.key] = o
	}
	return m
}

// amlObjects lists the objects of a definition block in order. Scopes only hold others and are none.
func amlObjects(t rawTable) ([]amlObject, error) {
	root, err := aml.Read(t.data[headerLen:], headerLen)
	if err != nil {
		return nil, err
	}
	var out []amlObject
	seen := map[string]int{}
	var walk func(list []*aml.Object)
	walk = func(list []*aml.Object) {
		for _, o := range list {
			if o.Kind == aml.KindScope {
				walk(o.Children)
				continue
			}
			name := fmt.Sprintf("%s %s", o.Kind, o.Path)
			key := name
			if seen[name] > 0 {
				key = fmt.Sprintf("%s %d", name, seen[name])
			}
			seen[name]++
			out = append(out, amlObject{Object: o, key: key, data: t.data[o.Off:o.End]})
			walk(o.Children)
		}
	}
	walk(root.Children)
	return out, nil
}

// describe says what an object is.
func (o amlObject) describe() string {
	switch {
	case o.Kind == aml.KindName:
		if v, ok := aml.ReadValue(o.data[o.Body-o.Off:], o.Body); ok {
			return "Name, " + v.String()
		}
	case len(o.Children) > 0:
		return fmt.Sprintf("%s with %d objects", o.Kind, len(o.Children))
	}
	return fmt.Sprintf("%s of %d bytes", o.Kind, o.End-o.Off)
}

// diffObject compares two objects of a key.
func diffObject(table string, a, b amlObject) []Difference {
	if bytes.Equal(a.data, b.data) {
		return nil
	}
	bodyA, bodyB := a.data[a.Body-a.Off:], b.data[b.Body-b.Off:]
	switch a.Kind {
	case aml.KindDevice, aml.KindThermalZone:
		return nil // its objects are compared by themselves
	case aml.KindProcessor, aml.KindPowerResource:
		n := map[aml.Kind]int{aml.KindProcessor: 6, aml.KindPowerResource: 3}[a.Kind]
		return firstRun(table, a.Path+" "+string(a.Kind), bodyA[:n], bodyB[:n], a.Body, b.Body)
	case aml.KindName:
		va, okA := aml.ReadValue(bodyA, a.Body)
		vb, okB := aml.ReadValue(bodyB, b.Body)
		if okA && okB {
			if d := diffValue(table, a.Path, va, vb); len(d) > 0 {
				return d
			}
		}
	case aml.KindMethod:
		return firstRun(table, "in method "+a.Path, bodyA, bodyB, a.Body, b.Body)
	case aml.KindOperationRegion:
		return diffRegion(table, a, b)
	case aml.KindCode:
		return firstRun(table, "in the code of "+a.Path, bodyA, bodyB, a.Body, b.Body)
	}
	return firstRun(table, fmt.Sprintf("%s (%s)", a.Path, a.Kind), bodyA, bodyB, a.Body, b.Body)
}

// firstRun tells where two encodings begin to differ, and how.
func firstRun(table, path string, a, b []byte, baseA, baseB int) []Difference {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	if i == len(a) && i == len(b) {
		return nil
	}
	ea, eb := len(a), len(b)
	for ea > i && eb > i && a[ea-1] == b[eb-1] {
		ea, eb = ea-1, eb-1
	}
	return []Difference{{Table: table, Path: fmt.Sprintf("%s at +0x%x", path, i), Offset: baseA + i, OffsetB: baseB + i, A: showBytes(a[i:ea]), B: showBytes(b[i:eb])}}
}

// diffRegion compares space, offset and length of an operation region.
func diffRegion(table string, a, b amlObject) []Difference {
	bodyA, bodyB := a.data[a.Body-a.Off:], b.data[b.Body-b.Off:]
	var out []Difference
	if bodyA[0] != bodyB[0] {
		out = append(out, Difference{Table: table, Path: a.Path + ".space", Offset: a.Body, OffsetB: b.Body, A: fmt.Sprintf("0x%x", bodyA[0]), B: fmt.Sprintf("0x%x", bodyB[0])})
	}
	atA, atB := 1, 1
	for _, name := range []string{".offset", ".length"} {
		va, okA := aml.ReadValue(bodyA[atA:], a.Body+atA)
		vb, okB := aml.ReadValue(bodyB[atB:], b.Body+atB)
		if !okA || !okB {
			return append(out, firstRun(table, a.Path, bodyA[atA:], bodyB[atB:], a.Body+atA, b.Body+atB)...)
		}
		out = append(out, diffValue(table, a.Path+name, va, vb)...)
		atA, atB = va.End-a.Body, vb.End-b.Body
	}
	return out
}

// diffValue compares two values, down to elements of packages and fields of resource descriptors.
func diffValue(table, path string, a, b aml.Value) []Difference {
	at := func(path, va, vb string) []Difference {
		return []Difference{{Table: table, Path: path, Offset: a.Off, OffsetB: b.Off, A: va, B: vb}}
	}
	if a.Kind != b.Kind || a.Kind == aml.ValuePackage && len(a.Elements) != len(b.Elements) {
		return at(path, a.String(), b.String())
	}
	switch a.Kind {
	case aml.ValuePackage:
		var out []Difference
		for i := range a.Elements {
			out = append(out, diffValue(table, fmt.Sprintf("%s[%d]", path, i), a.Elements[i], b.Elements[i])...)
		}
		return out
	case aml.ValueBuffer:
		if bytes.Equal(a.Bytes, b.Bytes) {
			return nil
		}
		if strings.HasSuffix(path, "._CRS") || strings.HasSuffix(path, "._PRS") || strings.HasSuffix(path, ".CRES") {
			if d := diffResources(table, path, a, b); len(d) > 0 {
				return d
			}
		}
		return firstRun(table, path, a.Bytes, b.Bytes, a.Data, b.Data)
	case aml.ValueInteger:
		if a.Int == b.Int {
			return nil
		}
	default:
		if a.Text == b.Text {
			return nil
		}
	}
	return at(path, a.String(), b.String())
}

// diffResources compares two resource templates descriptor by descriptor. It tells nothing where one of them is none.
func diffResources(table, path string, a, b aml.Value) []Difference {
	la, okA := aml.ReadResources(a.Bytes)
	lb, okB := aml.ReadResources(b.Bytes)
	if !okA || !okB {
		return nil
	}
	// Descriptors that are alike at both ends need no word.
	same := func(x, y aml.Descriptor) bool { return bytes.Equal(x.Data, y.Data) }
	front := 0
	for front < len(la) && front < len(lb) && same(la[front], lb[front]) {
		front++
	}
	endA, endB := len(la), len(lb)
	for endA > front && endB > front && same(la[endA-1], lb[endB-1]) {
		endA, endB = endA-1, endB-1
	}
	var out []Difference
	for i := range max(endA, endB) - front {
		i += front
		switch {
		case i >= endA:
			out = append(out, Difference{Table: table, Path: fmt.Sprintf("%s[%d]", path, i), Offset: -1, OffsetB: b.Data + lb[i].Off, B: showDescriptor(lb[i])})
		case i >= endB:
			out = append(out, Difference{Table: table, Path: fmt.Sprintf("%s[%d]", path, i), Offset: a.Data + la[i].Off, OffsetB: -1, A: showDescriptor(la[i])})
		case la[i].Name != lb[i].Name || len(la[i].Data) != len(lb[i].Data):
			out = append(out, Difference{Table: table, Path: fmt.Sprintf("%s[%d]", path, i), Offset: a.Data + la[i].Off, OffsetB: b.Data + lb[i].Off, A: showDescriptor(la[i]), B: showDescriptor(lb[i])})
		default:
			out = append(out, diffDescriptor(table, fmt.Sprintf("%s[%d] %s", path, i, la[i].Name), la[i], lb[i], a.Data, b.Data)...)
		}
	}
	return out
}

// diffDescriptor compares two descriptors of a kind.
func diffDescriptor(table, path string, a, b aml.Descriptor, baseA, baseB int) []Difference {
	var out []Difference
	for _, f := range a.Fields {
		if !slices.Contains(b.Fields, f) || a.Value(f) == b.Value(f) {
			continue
		}
		out = append(out, Difference{Table: table, Path: path + " " + f.Name, Offset: baseA + a.Off + f.Off, OffsetB: baseB + b.Off + f.Off,
			A: fmt.Sprintf("0x%x", a.Value(f)), B: fmt.Sprintf("0x%x", b.Value(f))})
	}
	if len(out) == 0 {
		return firstRun(table, path, a.Data, b.Data, baseA+a.Off, baseB+b.Off)
	}
	return out
}

// showDescriptor is a descriptor in words.
func showDescriptor(d aml.Descriptor) string {
	var parts []string
	for _, f := range d.Fields {
		parts = append(parts, fmt.Sprintf("%s 0x%x", f.Name, d.Value(f)))
	}
	return strings.TrimSpace(d.Name + " " + strings.Join(parts, ", "))
}
