package smbios

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// A Field is one value of a structure as text.
type Field struct {
	Off   int    // from the start of the structure, in bytes; for a string that no field names, that of the strings
	Name  string // as DSP0134 has it, "Core Count"
	Value string // a number, or a string in quotes
}

// A layout says what lies where in the formatted area of a type.
type layout struct {
	name   string
	fields []layoutField
}

type layoutField struct {
	off, size int
	kind      fieldKind
	name      string
}

type fieldKind uint8

const (
	decimal fieldKind = iota
	hexadecimal
	text // the number of a string
	uuid
)

// layouts holds the types that QEMU and OVMF make. DSP0134 3.7, chapter 7.
var layouts = map[uint8]layout{
	0: {"BIOS Information", []layoutField{
		{0x04, 1, text, "Vendor"}, {0x05, 1, text, "BIOS Version"}, {0x06, 2, hexadecimal, "BIOS Starting Address Segment"},
		{0x08, 1, text, "BIOS Release Date"}, {0x09, 1, hexadecimal, "BIOS ROM Size"}, {0x0a, 8, hexadecimal, "BIOS Characteristics"},
		{0x12, 2, hexadecimal, "BIOS Characteristics Extension"}, {0x14, 1, decimal, "Platform Firmware Major Release"},
		{0x15, 1, decimal, "Platform Firmware Minor Release"}, {0x16, 1, decimal, "Embedded Controller Major Release"},
		{0x17, 1, decimal, "Embedded Controller Minor Release"}, {0x18, 2, hexadecimal, "Extended BIOS ROM Size"}}},
	1: {"System Information", []layoutField{
		{0x04, 1, text, "Manufacturer"}, {0x05, 1, text, "Product Name"}, {0x06, 1, text, "Version"}, {0x07, 1, text, "Serial Number"},
		{0x08, 16, uuid, "UUID"}, {0x18, 1, decimal, "Wake-up Type"}, {0x19, 1, text, "SKU Number"}, {0x1a, 1, text, "Family"}}},
	2: {"Baseboard Information", []layoutField{
		{0x04, 1, text, "Manufacturer"}, {0x05, 1, text, "Product"}, {0x06, 1, text, "Version"}, {0x07, 1, text, "Serial Number"},
		{0x08, 1, text, "Asset Tag"}, {0x09, 1, hexadecimal, "Feature Flags"}, {0x0a, 1, text, "Location in Chassis"},
		{0x0b, 2, hexadecimal, "Chassis Handle"}, {0x0d, 1, hexadecimal, "Board Type"}, {0x0e, 1, decimal, "Number of Contained Object Handles"}}},
	3: {"System Enclosure", []layoutField{
		{0x04, 1, text, "Manufacturer"}, {0x05, 1, hexadecimal, "Type"}, {0x06, 1, text, "Version"}, {0x07, 1, text, "Serial Number"},
		{0x08, 1, text, "Asset Tag Number"}, {0x09, 1, decimal, "Boot-up State"}, {0x0a, 1, decimal, "Power Supply State"},
		{0x0b, 1, decimal, "Thermal State"}, {0x0c, 1, decimal, "Security Status"}, {0x0d, 4, hexadecimal, "OEM-defined"},
		{0x11, 1, decimal, "Height"}, {0x12, 1, decimal, "Number of Power Cords"}, {0x13, 1, decimal, "Contained Element Count"},
		{0x14, 1, decimal, "Contained Element Record Length"}, {0x15, 1, text, "SKU Number"}}},
	4: {"Processor Information", []layoutField{
		{0x04, 1, text, "Socket Designation"}, {0x05, 1, decimal, "Processor Type"}, {0x06, 1, hexadecimal, "Processor Family"},
		{0x07, 1, text, "Processor Manufacturer"}, {0x08, 4, hexadecimal, "Processor ID, CPUID leaf 1 EAX"},
		{0x0c, 4, hexadecimal, "Processor ID, CPUID leaf 1 EDX"}, {0x10, 1, text, "Processor Version"}, {0x11, 1, hexadecimal, "Voltage"},
		{0x12, 2, decimal, "External Clock"}, {0x14, 2, decimal, "Max Speed"}, {0x16, 2, decimal, "Current Speed"},
		{0x18, 1, hexadecimal, "Status"}, {0x19, 1, hexadecimal, "Processor Upgrade"}, {0x1a, 2, hexadecimal, "L1 Cache Handle"},
		{0x1c, 2, hexadecimal, "L2 Cache Handle"}, {0x1e, 2, hexadecimal, "L3 Cache Handle"}, {0x20, 1, text, "Serial Number"},
		{0x21, 1, text, "Asset Tag"}, {0x22, 1, text, "Part Number"}, {0x23, 1, decimal, "Core Count"}, {0x24, 1, decimal, "Core Enabled"},
		{0x25, 1, decimal, "Thread Count"}, {0x26, 2, hexadecimal, "Processor Characteristics"}, {0x28, 2, hexadecimal, "Processor Family 2"},
		{0x2a, 2, decimal, "Core Count 2"}, {0x2c, 2, decimal, "Core Enabled 2"}, {0x2e, 2, decimal, "Thread Count 2"}}},
	8: {"Port Connector Information", []layoutField{
		{0x04, 1, text, "Internal Reference Designator"}, {0x05, 1, hexadecimal, "Internal Connector Type"},
		{0x06, 1, text, "External Reference Designator"}, {0x07, 1, hexadecimal, "External Connector Type"}, {0x08, 1, hexadecimal, "Port Type"}}},
	9: {"System Slots", []layoutField{
		{0x04, 1, text, "Slot Designation"}, {0x05, 1, hexadecimal, "Slot Type"}, {0x06, 1, hexadecimal, "Slot Data Bus Width"},
		{0x07, 1, hexadecimal, "Current Usage"}, {0x08, 1, hexadecimal, "Slot Length"}, {0x09, 2, hexadecimal, "Slot ID"},
		{0x0b, 1, hexadecimal, "Slot Characteristics 1"}, {0x0c, 1, hexadecimal, "Slot Characteristics 2"},
		{0x0d, 2, hexadecimal, "Segment Group Number"}, {0x0f, 1, hexadecimal, "Bus Number"}, {0x10, 1, hexadecimal, "Device/Function Number"}}},
	11: {"OEM Strings", []layoutField{{0x04, 1, decimal, "Count"}}},
	16: {"Physical Memory Array", []layoutField{
		{0x04, 1, hexadecimal, "Location"}, {0x05, 1, hexadecimal, "Use"}, {0x06, 1, hexadecimal, "Memory Error Correction"},
		{0x07, 4, decimal, "Maximum Capacity"}, {0x0b, 2, hexadecimal, "Memory Error Information Handle"},
		{0x0d, 2, decimal, "Number of Memory Devices"}, {0x0f, 8, decimal, "Extended Maximum Capacity"}}},
	17: {"Memory Device", []layoutField{
		{0x04, 2, hexadecimal, "Physical Memory Array Handle"}, {0x06, 2, hexadecimal, "Memory Error Information Handle"},
		{0x08, 2, hexadecimal, "Total Width"}, {0x0a, 2, hexadecimal, "Data Width"}, {0x0c, 2, decimal, "Size"},
		{0x0e, 1, hexadecimal, "Form Factor"}, {0x0f, 1, decimal, "Device Set"}, {0x10, 1, text, "Device Locator"},
		{0x11, 1, text, "Bank Locator"}, {0x12, 1, hexadecimal, "Memory Type"}, {0x13, 2, hexadecimal, "Type Detail"},
		{0x15, 2, decimal, "Speed"}, {0x17, 1, text, "Manufacturer"}, {0x18, 1, text, "Serial Number"}, {0x19, 1, text, "Asset Tag"},
		{0x1a, 1, text, "Part Number"}, {0x1b, 1, hexadecimal, "Attributes"}, {0x1c, 4, decimal, "Extended Size"},
		{0x20, 2, decimal, "Configured Memory Speed"}, {0x22, 2, decimal, "Minimum voltage"}, {0x24, 2, decimal, "Maximum voltage"},
		{0x26, 2, decimal, "Configured voltage"}}},
	19: {"Memory Array Mapped Address", []layoutField{
		{0x04, 4, hexadecimal, "Starting Address"}, {0x08, 4, hexadecimal, "Ending Address"}, {0x0c, 2, hexadecimal, "Memory Array Handle"},
		{0x0e, 1, decimal, "Partition Width"}, {0x0f, 8, hexadecimal, "Extended Starting Address"},
		{0x17, 8, hexadecimal, "Extended Ending Address"}}},
	32: {"System Boot Information", []layoutField{{0x04, 6, hexadecimal, "Reserved"}, {0x0a, 1, hexadecimal, "Boot Status"}}},
	38: {"IPMI Device Information", []layoutField{
		{0x04, 1, hexadecimal, "Interface Type"}, {0x05, 1, hexadecimal, "IPMI Specification Revision"}, {0x06, 1, hexadecimal, "I2C Target Address"},
		{0x07, 1, hexadecimal, "NV Storage Device Address"}, {0x08, 8, hexadecimal, "Base Address"},
		{0x10, 1, hexadecimal, "Base Address Modifier / Interrupt Info"}, {0x11, 1, decimal, "Interrupt Number"}}},
	41: {"Onboard Devices Extended Information", []layoutField{
		{0x04, 1, text, "Reference Designation"}, {0x05, 1, hexadecimal, "Device Type"}, {0x06, 1, decimal, "Device Type Instance"},
		{0x07, 2, hexadecimal, "Segment Group Number"}, {0x09, 1, hexadecimal, "Bus Number"}, {0x0a, 1, hexadecimal, "Device/Function Number"}}},
	endOfTable: {"End-of-Table", nil},
}

// Name returns what DSP0134 calls the structure's type, "Memory Device", or "Type 200".
func (s *Structure) Name() string {
	if l, ok := layouts[s.Type]; ok {
		return l.name
	}
	return "Type " + strconv.Itoa(int(s.Type))
}

// Fields returns everything that the structure holds behind its header, in the order of the bytes: two structures of
// one type and handle are equal where their fields are. Bytes that no field of the type takes are one field of hex digits,
// strings that no field refers to come last.
func (s *Structure) Fields() []Field {
	var out []Field
	named := make([]bool, len(s.Strings))
	at := headerSize
	for _, f := range layouts[s.Type].fields {
		if f.off+f.size > len(s.Formatted) {
			break
		}
		at = f.off + f.size
		b := s.Formatted[f.off:at]
		if f.kind == text && b[0] != 0 && int(b[0]) <= len(named) {
			named[b[0]-1] = true
		}
		out = append(out, Field{f.off, f.name, s.value(f.kind, b)})
	}
	if rest := s.Formatted[at:]; len(rest) > 0 {
		out = append(out, Field{at, fmt.Sprintf("Bytes from 0x%02x", at), hex.EncodeToString(rest)})
	}
	for i, ok := range named {
		if !ok {
			out = append(out, Field{len(s.Formatted), fmt.Sprintf("String %d", i+1), strconv.Quote(s.Strings[i])})
		}
	}
	return out
}

// value renders the bytes of a field.
func (s *Structure) value(kind fieldKind, b []byte) string {
	switch kind {
	case text:
		switch n := int(b[0]); {
		case n == 0:
			return "none"
		case n > len(s.Strings):
			return fmt.Sprintf("string %d, which is absent", n)
		default:
			return strconv.Quote(s.Strings[n-1])
		}
	case uuid:
		return fmt.Sprintf("%08x-%04x-%04x-%x-%x", littleEndian(b[0:4]), littleEndian(b[4:6]), littleEndian(b[6:8]), b[8:10], b[10:16])
	case decimal:
		return strconv.FormatUint(littleEndian(b), 10)
	}
	return fmt.Sprintf("0x%0*x", 2*len(b), littleEndian(b))
}

func littleEndian(b []byte) uint64 {
	var v uint64
	for i, c := range b {
		v |= uint64(c) << (8 * i)
	}
	return v
}

// String returns the structure as lines of text: type, handle and name, then one indented line for each field.
func (s *Structure) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Type %d, handle 0x%04x: %s\n", s.Type, s.Handle, s.Name())
	for _, f := range s.Fields() {
		fmt.Fprintf(&b, "    %s: %s\n", f.Name, f.Value)
	}
	return b.String()
}
