package aml

import (
	"encoding/binary"
	"fmt"
)

// A Descriptor is one resource descriptor of a template (ACPI 6.5, 6.4).
type Descriptor struct {
	Name   string // in ASL's spelling, "QWordMemory"
	Off    int    // bytes from the start of the template
	Data   []byte // whole, with its tag
	Fields []DescriptorField
}

// A DescriptorField is a field of a descriptor, little-endian.
type DescriptorField struct {
	Name     string
	Off, Len int // bytes from the start of the descriptor
}

// Value is a field's content.
func (d Descriptor) Value(f DescriptorField) uint64 {
	var b [8]byte
	copy(b[:], d.Data[f.Off:][:f.Len])
	return binary.LittleEndian.Uint64(b[:])
}

// smallDescriptors and largeDescriptors are the names of tags (ACPI 6.5, tables 6.27 and 6.40).
var (
	smallDescriptors = map[byte]string{4: "IRQ", 5: "DMA", 6: "StartDependentFn", 7: "EndDependentFn", 8: "IO", 9: "FixedIO", 10: "FixedDMA", 14: "Vendor", 15: "EndTag"}
	largeDescriptors = map[byte]string{1: "Memory24", 2: "Register", 4: "Vendor", 5: "Memory32", 6: "Memory32Fixed", 7: "DWord", 8: "Word", 9: "Interrupt", 10: "QWord", 11: "Extended"}
	resourceTypes    = map[byte]string{0: "Memory", 1: "IO", 2: "BusNumber"}
	addressFields    = []string{"granularity", "minimum", "maximum", "translation", "length"}
)

// ReadResources takes a resource template apart. It reports false for bytes that are none.
func ReadResources(template []byte) ([]Descriptor, bool) {
	var out []Descriptor
	for off := 0; off < len(template); {
		rest := template[off:]
		d := Descriptor{Off: off}
		n := 0
		if tag := rest[0]; tag&0x80 == 0 {
			n, d.Name = 1+int(tag&7), smallDescriptors[tag>>3]
		} else if len(rest) >= 3 {
			n, d.Name = 3+int(binary.LittleEndian.Uint16(rest[1:])), largeDescriptors[tag&0x7f]
		}
		if d.Name == "" || n > len(rest) {
			return out, false
		}
		d.Data = rest[:n]
		d.fields()
		out = append(out, d)
		off += n
		if d.Name == "EndTag" {
			return out, off == len(template)
		}
	}
	return out, false
}

// fields names the fields whose place is fixed.
func (d *Descriptor) fields() {
	add := func(name string, off, n int) {
		if off+n <= len(d.Data) {
			d.Fields = append(d.Fields, DescriptorField{name, off, n})
		}
	}
	width := map[string]int{"Word": 2, "DWord": 4, "QWord": 8}[d.Name]
	switch {
	case width > 0 && len(d.Data) >= 6:
		kind, ok := resourceTypes[d.Data[3]]
		if !ok {
			kind = fmt.Sprintf("Space%d", d.Data[3])
		}
		d.Name += kind
		add("flags", 4, 1)
		add("type flags", 5, 1)
		for i, f := range addressFields {
			add(f, 6+i*width, width)
		}
	case d.Name == "Memory32Fixed":
		add("flags", 3, 1)
		add("base", 4, 4)
		add("length", 8, 4)
	case d.Name == "IO":
		add("flags", 1, 1)
		add("minimum", 2, 2)
		add("maximum", 4, 2)
		add("alignment", 6, 1)
		add("length", 7, 1)
	case d.Name == "IRQ":
		add("mask", 1, 2)
		add("flags", 3, 1)
	case d.Name == "Interrupt":
		add("flags", 3, 1)
		add("count", 4, 1)
		add("interrupt", 5, 4)
	case d.Name == "DMA":
		add("channels", 1, 1)
	}
}
