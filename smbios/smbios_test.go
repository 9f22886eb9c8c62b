package smbios

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/qemu"
)

// fields reads "key=value,key=value".
func fields(s string) []qemu.KeyValue {
	var out []qemu.KeyValue
	for _, kv := range strings.Split(s, ",") {
		if k, v, ok := strings.Cut(kv, "="); ok {
			out = append(out, qemu.KeyValue{Key: k, Value: v})
		}
	}
	return out
}

// plain is a machine with one processor, 2 GiB of RAM and the given -smbios options.
func plain(entries ...qemu.SMBIOSEntry) *qemu.Machine {
	return &qemu.Machine{
		Type: "pc-q35-10.1", RAM: 2 << 30,
		Topology: qemu.Topology{CPUs: 1, MaxCPUs: 1, Sockets: 1, Dies: 1, Modules: 1, Cores: 1, Threads: 1},
		CPU:      qemu.CPU{Model: "max", Known: true, EAX: 0x663, EDX: 0x0fcbfbfd},
		SMBIOS:   qemu.SMBIOSOptions{Entries: entries},
	}
}

// everything has every type of structure that Build and Published make.
func everything(t testing.TB) *Tables {
	t.Helper()
	m := plain(
		qemu.SMBIOSEntry{Type: 1, Fields: fields("serial=S,sku=K,family=F,uuid=00112233-4455-6677-8899-aabbccddeeff")},
		qemu.SMBIOSEntry{Type: 2, Fields: fields("serial=S,asset=A,location=L")},
		qemu.SMBIOSEntry{Type: 3, Fields: fields("serial=S,asset=A,sku=K")},
		qemu.SMBIOSEntry{Type: 4, Fields: fields("serial=S,asset=A,part=P")},
		qemu.SMBIOSEntry{Type: 8, Fields: fields("internal_reference=I,external_reference=E")},
		qemu.SMBIOSEntry{Type: 9, Fields: fields("slot_designation=D")},
		qemu.SMBIOSEntry{Type: 11, Fields: fields("value=one,value=two")},
		qemu.SMBIOSEntry{Type: 17, Fields: fields("bank=B,serial=S,asset=A,part=P")},
		qemu.SMBIOSEntry{Type: 41, Fields: fields("designation=D,pcidev=net0")},
	)
	m.SMBIOS.EntryPoint = "64"
	m.RAM = 40 << 30
	m.ISA = []qemu.ISADevice{{Driver: "isa-ipmi-kcs"}}
	m.Root = &qemu.Bus{Devices: []*qemu.PCIDevice{{ID: "net0", Slot: 2}}}
	q, err := Build(m)
	if err != nil {
		t.Fatal(err)
	}
	q.Structures, err = Published(q, FirmwareInfo{"vendor", "version", "date"})
	if err != nil {
		t.Fatal(err)
	}
	var types []uint8
	for _, s := range parsed(t, q.Structures) {
		types = append(types, s.Type)
	}
	if len(slices.Compact(slices.Sorted(slices.Values(types)))) != len(layouts) {
		t.Fatalf("types %d, want all %d", types, len(layouts))
	}
	return q
}

func TestBuildRejects(t *testing.T) {
	entry := func(typ int, s string) *qemu.Machine { return plain(qemu.SMBIOSEntry{Type: typ, Fields: fields(s)}) }
	change := func(f func(*qemu.Machine)) *qemu.Machine {
		m := plain()
		f(m)
		return m
	}
	for _, tc := range []struct {
		name string
		m    *qemu.Machine
		want error // nil for any
		text string
	}{
		{"unknown CPU", change(func(m *qemu.Machine) { m.CPU = qemu.CPU{Model: "host"} }), ErrCPUUnknown, "-cpu host"},
		{"unknown CPU, way out", change(func(m *qemu.Machine) { m.CPU = qemu.CPU{Model: "host"} }), ErrCPUUnknown, "--host-cpu or --cpuid"},
		{"no RAM", change(func(m *qemu.Machine) { m.RAM = 0 }), nil, "no RAM"},
		{"distributor's machine type", change(func(m *qemu.Machine) { m.Type = "pc-q35-noble" }), qemu.ErrUnsupported, "pc-q35-noble"},
		{"other chipset", change(func(m *qemu.Machine) { m.Type = "pc-i440fx-10.1" }), qemu.ErrUnsupported, "versioned"},
		{"odd spelling", change(func(m *qemu.Machine) { m.Type = "pc-q35-010.1" }), qemu.ErrUnsupported, "versioned"},
		{"legacy machine type", change(func(m *qemu.Machine) { m.Type = "pc-q35-2.0" }), qemu.ErrUnsupported, "older"},
		{"entry point", change(func(m *qemu.Machine) { m.SMBIOS.EntryPoint = "31" }), qemu.ErrUsage, "32, 64 or auto"},
		{"UUID", change(func(m *qemu.Machine) { m.SMBIOS.UUID = "00112233-4455-6677-8899-aabbccddeefg" }), qemu.ErrUsage, "UUID"},
		{"UUID of the wrong shape", entry(1, "uuid=00112233445566778899aabbccddeeff"), qemu.ErrUsage, "UUID"},
		{"core count in 2.8 tables", change(func(m *qemu.Machine) { m.SMBIOS.EntryPoint, m.Topology.Cores = "32", 255 }), errCounts, "64"},
		{"table length in 2.8 tables", func() *qemu.Machine {
			m := entry(11, "value="+strings.Repeat("x", 1<<16))
			m.SMBIOS.EntryPoint = "32"
			return m
		}(), errLength, "64"},
		{"type out of range", entry(128, ""), qemu.ErrUsage, "range"},
		{"negative type", entry(-1, ""), qemu.ErrUsage, "range"},
		{"type that takes no fields", entry(16, ""), qemu.ErrUsage, "no fields"},
		{"field of another type", entry(1, "asset=A"), qemu.ErrUsage, "asset="},
		{"NUL in a string", entry(1, "serial=a\x00b"), qemu.ErrUsage, "NUL"},
		{"not a number", entry(4, "max-speed=2GHz"), qemu.ErrUsage, "max-speed=2GHz"},
		{"number that does not fit", entry(8, "port_type=256"), qemu.ErrUsage, "255"},
		{"digit that is not octal", entry(17, "speed=08"), qemu.ErrUsage, "speed=08"},
		{"not a boolean", entry(0, "uefi=maybe"), qemu.ErrUsage, "uefi=maybe"},
		{"release of one number", entry(0, "release=1"), qemu.ErrUsage, "release=1"},
		{"release that does not fit", entry(0, "release=1.256"), qemu.ErrUsage, "release=1.256"},
		{"OEM string in a file", entry(11, "path=/x"), qemu.ErrUnsupported, "path=/x"},
		{"kind of device", entry(41, "kind=disk"), qemu.ErrUsage, "kind=disk"},
		{"device that is not there", entry(41, "pcidev=net0"), qemu.ErrUsage, "pcidev=net0"},
		{"device without a name", entry(41, "pcidev="), qemu.ErrUsage, "pcidev="},
		{"device behind a bridge", func() *qemu.Machine {
			m := entry(41, "pcidev=net0")
			m.Root = &qemu.Bus{Devices: []*qemu.PCIDevice{{ID: "p", Bridge: &qemu.Bus{Devices: []*qemu.PCIDevice{{ID: "net0"}}}}}}
			return m
		}(), qemu.ErrUsage, "pcidev=net0"},
		{"file without content", plain(qemu.SMBIOSEntry{File: "t.bin"}), qemu.ErrUnsupported, "t.bin"},
		{"file that is no structure", plain(qemu.SMBIOSEntry{File: "t.bin", Content: []byte{1, 2, 3, 4, 0, 0}}), qemu.ErrUnsupported, "Length"},
		{"empty file", plain(qemu.SMBIOSEntry{File: "t.bin", Content: []byte{}}), qemu.ErrUnsupported, "t.bin"},
		{"fields for a type that a file gave", plain(qemu.SMBIOSEntry{File: "t.bin", Content: structure(1, 27, 1, nil)}, qemu.SMBIOSEntry{Type: 1}), qemu.ErrUsage, "file="},
		{"file for a type that fields gave", plain(qemu.SMBIOSEntry{Type: 1}, qemu.SMBIOSEntry{File: "t.bin", Content: structure(1, 27, 1, nil)}), qemu.ErrUsage, "type 1"},
		{"IPMI on SMBus", change(func(m *qemu.Machine) { m.ISA = []qemu.ISADevice{{Driver: "smbus-ipmi"}} }), qemu.ErrUnsupported, "smbus-ipmi"},
		{"IPMI on PCI behind a port", change(func(m *qemu.Machine) {
			m.Root = &qemu.Bus{Devices: []*qemu.PCIDevice{{Bridge: &qemu.Bus{Devices: []*qemu.PCIDevice{{Driver: "pci-ipmi-none"}}}}}}
		}), qemu.ErrUnsupported, "pci-ipmi-none"},
		{"two IPMI interfaces", change(func(m *qemu.Machine) {
			m.ISA = []qemu.ISADevice{{Driver: "isa-ipmi-bt"}}
			m.SMBusIPMI = []qemu.SMBusIPMI{{}}
		}), qemu.ErrUnsupported, "smbus-ipmi"},
		{"IPMI port", change(func(m *qemu.Machine) {
			m.ISA = []qemu.ISADevice{{Driver: "isa-ipmi-bt", Props: map[string]string{"ioport": "x"}}}
		}), qemu.ErrUnsupported, "isa-ipmi-bt"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Build(tc.m)
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got error %v, want %v with %q", err, tc.want, tc.text)
			}
			if got != nil {
				t.Error("got tables beside the error")
			}
		})
	}
}

// TestProcessorIDStandsIn checks that processor-id= makes the CPU model unnecessary.
func TestProcessorIDStandsIn(t *testing.T) {
	m := plain(qemu.SMBIOSEntry{Type: 4, Fields: fields("processor-id=0x1fa9fbff000c06f2")})
	m.CPU = qemu.CPU{Model: "host"}
	q, err := Build(m)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := cpuidOf(t, q.Structures), (cpuid{0x000c06f2, 0x1fa9fbff}); got != want {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestMajor(t *testing.T) {
	for kind, want := range map[string]int{"32": 2, "64": 3, "auto": 2, "": 2} {
		m := plain()
		m.SMBIOS.EntryPoint = kind
		q, err := Build(m)
		if err != nil {
			t.Fatal(err)
		}
		if q.Major() != want {
			t.Errorf("smbios-entry-point-type=%s: major version %d, want %d", kind, q.Major(), want)
		}
	}
	if got := (&Tables{}).Major(); got != 0 {
		t.Errorf("no entry point: major version %d, want 0", got)
	}
}

// TestPublishedHandles follows the handle of the firmware's own type 0, the lowest that is free.
func TestPublishedHandles(t *testing.T) {
	for ports, want := range []uint16{0, 1, 2} {
		q, err := Build(plain(slices.Repeat([]qemu.SMBIOSEntry{{Type: 8}}, ports)...))
		if err != nil {
			t.Fatal(err)
		}
		published, err := Published(q, FirmwareInfo{})
		if err != nil {
			t.Fatal(err)
		}
		all := parsed(t, published)
		bios := all[len(all)-2]
		if bios.Type != 0 || bios.Handle != want {
			t.Errorf("%d ports: type %d has handle %d, want type 0 with %d", ports, bios.Type, bios.Handle, want)
		}
		if got, want := bios.Strings, []string{"unknown", "unknown", "02/02/2022"}; !slices.Equal(got, want) {
			t.Errorf("strings %q, want %q", got, want)
		}
	}
}

// TestPublishedKeepsBIOS checks that the user's type 0 stays the only one.
func TestPublishedKeepsBIOS(t *testing.T) {
	q, err := Build(plain(qemu.SMBIOSEntry{Type: 0, Fields: fields("vendor=V")}))
	if err != nil {
		t.Fatal(err)
	}
	published, err := Published(q, FirmwareInfo{Vendor: "firmware"})
	if err != nil {
		t.Fatal(err)
	}
	if want := append(bytes.Clone(q.Structures[:len(q.Structures)-6]), 127, 4, 0xff, 0xfe, 0, 0); !bytes.Equal(published, want) {
		t.Errorf("got %x\nwant %x", published, want)
	}
}

func TestPublishedRejects(t *testing.T) {
	good := everything(t)
	with := func(b ...byte) *Tables { return &Tables{slices.Concat(b, end), make([]byte, entryPoint30Size)} }
	var crowd []byte
	for h := range 64 {
		crowd = append(crowd, structure(8, 9, uint8(h), nil)...)
	}
	long, err := Build(plain(qemu.SMBIOSEntry{Type: 11, Fields: fields("value=" + strings.Repeat("x", 65180))}))
	if err != nil || long.Major() != 2 {
		t.Fatal(err, "want tables of SMBIOS 2.8")
	}
	for _, tc := range []struct {
		name string
		q    *Tables
		fw   FirmwareInfo
		want error // nil for any
	}{
		{"no entry point", &Tables{Structures: good.Structures}, FirmwareInfo{}, bin.ErrMalformed},
		{"no structures", &Tables{EntryPoint: good.EntryPoint}, FirmwareInfo{}, bin.ErrTruncated},
		{"handle that the firmware keeps", with(200, 4, 0x00, 0xff, 0, 0), FirmwareInfo{}, bin.ErrUnsupported},
		{"two structures of one handle", with(200, 4, 1, 0, 0, 0, 201, 4, 1, 0, 0, 0), FirmwareInfo{}, bin.ErrMalformed},
		{"no low handle is free", with(crowd...), FirmwareInfo{}, bin.ErrUnsupported},
		{"firmware's structure does not fit", long, FirmwareInfo{}, bin.ErrUnsupported},
		{"vendor that is not ASCII", with(), FirmwareInfo{Vendor: "Größe"}, nil},
		{"version with a NUL", with(), FirmwareInfo{Version: "1.0\x00"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Published(tc.q, tc.fw)
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("got error %v, want %v", err, tc.want)
			}
			if got != nil {
				t.Error("got a table beside the error")
			}
		})
	}
}

// TestFileReplaces checks that a structure of the user's comes first and stands in for QEMU's of its type.
func TestFileReplaces(t *testing.T) {
	own := structure(3, 22, 0x33, map[int]byte{4: 1, 6: 0, 7: 0, 8: 0, 21: 0}, "chassis")
	q, err := Build(plain(qemu.SMBIOSEntry{File: "t.bin", Content: own}))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(q.Structures, own) {
		t.Errorf("tables begin with %x, want %x", q.Structures[:8], own[:8])
	}
	n := 0
	for _, s := range parsed(t, q.Structures) {
		if s.Type == 3 {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d structures of type 3, want 1", n)
	}
}

func ExampleStructure_String() {
	all, _ := Parse(sample())
	fmt.Print(all[0].String())
	// Output:
	// Type 2, handle 0x0200: Baseboard Information
	//     Manufacturer: "maker"
	//     Product: "board"
	//     Version: none
	//     Serial Number: none
}
