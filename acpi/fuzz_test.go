package acpi_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/acpi"
	"github.com/tdxkit/tdxkit/ovmf/pcibus"
	"github.com/tdxkit/tdxkit/qemu"
)

// A dice deals out decisions from the fuzzer's bytes; zeros when they end.
type dice []byte

func (d *dice) n(limit int) int {
	if len(*d) == 0 {
		return 0
	}
	v := int((*d)[0])
	*d = (*d)[1:]
	return v % limit
}

func (d *dice) bool() bool { return d.n(2) == 1 }

// bus deals a bus with functions and, down to a depth, bridges.
func (d *dice) bus(m *qemu.Machine, depth int) *qemu.Bus {
	b := &qemu.Bus{Name: "b", PCIe: d.bool(), HotplugOK: d.bool(), NUMANode: -1}
	for slot := range uint8(d.n(5)) {
		f := &qemu.PCIDevice{Driver: "x", Slot: slot * uint8(1+d.n(7)/4), Kind: qemu.PCIKind(d.n(10)), ACPIIndex: uint32(d.n(3)),
			Hotpluggable: d.bool(), HotplugPort: d.bool(), NativeHotplug: d.bool(), SHPC: d.bool(), Order: d.n(100), ROM: uint32(d.n(2)) << 16}
		if n := len(b.Devices); n > 0 && f.Devfn() <= b.Devices[n-1].Devfn() {
			continue
		}
		for i := range d.n(4) {
			f.BARs = append(f.BARs, qemu.BAR{Index: i, Size: 1 << (4 + d.n(36)), Kind: qemu.BARKind(d.n(5))})
		}
		if f.Kind != qemu.ISABridge && depth > 0 && d.n(3) == 0 {
			f.Bridge = d.bus(m, depth-1)
		} else if b == m.Root && d.n(6) == 0 {
			f.ExtraRoot = d.bus(m, depth-1)
			f.ExtraRoot.PCIe, f.ExtraRoot.Extra, f.ExtraRoot.BusNr = true, true, uint8(64+slot*32)
		}
		b.Devices = append(b.Devices, f)
	}
	return b
}

// machine deals a machine.
func (d *dice) machine() *qemu.Machine {
	t := qemu.Topology{Sockets: 1 + d.n(4), Dies: 1 + d.n(3), Modules: 1, Cores: 1 + d.n(9), Threads: 1 + d.n(2)}
	t.MaxCPUs = t.Sockets * t.Dies * t.Cores * t.Threads
	t.CPUs = 1 + d.n(t.MaxCPUs)
	m := &qemu.Machine{
		Topology: t, OEMID: "BOCHS ", OEMTableID: "BXPC    ", RAM: uint64(1+d.n(255)) << 25, RAMSlots: d.n(5),
		SMM: d.bool(), PIC: d.bool(), HPET: d.bool(), I8042: d.bool(), NVDIMM: d.bool(), DisableS3: d.bool(), DisableS4: d.bool(),
		ACPIPCIHotplug: d.bool(), PCIHole64Fix: d.bool(), PCIHole64: uint64(d.n(200)) << 30, TPM: qemu.TPMKind(d.n(3)),
		HasVMGenID: d.bool(), VMGenID: "324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87",
	}
	m.MaxRAM = m.RAM + uint64(d.n(4))<<30
	m.Traits = qemu.Traits{MADTRevision1: d.bool(), EdgeOverrides: d.bool(), OldPDSM: d.bool(), HotplugInDevices: d.bool(),
		NoCPUScanEject: d.bool(), NoPXBStaticPRT: d.bool(), NoEDSM: d.bool()}
	for i := range d.n(4) {
		m.Serial = append(m.Serial, i)
	}
	nodes := d.n(3)
	for i := range nodes {
		m.NUMA = append(m.NUMA, qemu.NUMANode{ID: i, RAM: m.RAM / uint64(nodes), CPUs: []int{d.n(t.MaxCPUs)}})
	}
	if nodes > 0 && d.bool() {
		m.Distances = make([][]uint8, nodes)
		for i := range m.Distances {
			m.Distances[i] = make([]uint8, nodes)
		}
	}
	m.Root = &qemu.Bus{}
	*m.Root = *d.bus(m, 3)
	d.more(m)
	return m
}

// more deals what fewer machines have.
func (d *dice) more(m *qemu.Machine) {
	m.WDAT, m.CXL, m.VMClock, m.BypassIOMMU, m.NoTPMPresence = d.bool(), d.bool(), d.bool(), d.bool(), d.bool()
	if nodes := len(m.NUMA); nodes > 0 && d.bool() {
		m.HMAT = &qemu.HMAT{Caches: []qemu.SideCache{{Node: d.n(nodes), Level: uint8(d.n(4))}}}
		for range d.n(4) {
			m.HMAT.Localities = append(m.HMAT.Localities, qemu.Locality{DataType: uint8(d.n(6)), Base: uint64(d.n(255)),
				Entries: []qemu.LocalityEntry{{Initiator: d.n(nodes + 1), Target: d.n(nodes), Value: uint64(d.n(255)) << 20}}})
		}
	}
	m.NVDIMMs = make([]qemu.NVDIMM, d.n(3))
	for i := range m.NVDIMMs {
		m.NVDIMMs[i] = qemu.NVDIMM{Slot: d.n(256), Size: uint64(d.n(255)) << 21, Node: d.n(3), Unarmed: d.bool()}
	}
	m.PluggedNVDIMMs, m.NVDIMMPersistence = m.NVDIMMs, uint32(d.n(4))
	m.IOMMU = qemu.IOMMU{Kind: qemu.IOMMUKind(d.n(4)), AWBits: 39, Remaps: d.bool(), DeviceTLB: d.bool()}
	if n := len(m.Root.Devices); n > 0 {
		at := m.Root.Devices[d.n(n)]
		m.IOMMU.Device = at
		if d.bool() {
			m.ERST = at
		}
		if len(m.NUMA) > 0 && d.bool() {
			m.GenericInitiators = []qemu.GenericInitiator{{Node: d.n(3), Device: at}}
		}
	}
}

// FuzzUserTable builds a machine with a user's table: it is in the file as it came but for its length, its checksum and
// what options replace.
func FuzzUserTable(f *testing.F) {
	f.Add([]byte("TEST"), "SIGN", true)
	f.Add(bytes.Repeat([]byte{1}, 40), "SLIC", true)
	f.Add([]byte{}, "", false)
	f.Add(bytes.Repeat([]byte{7}, 70000), "OEM1", false)
	f.Fuzz(func(t *testing.T, content []byte, signature string, header bool) {
		m, err := qemu.ParseArgs(strings.Fields(machine(1, "1G", "")), "10.1.0", qemu.ParseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		m.ACPITables = []qemu.ACPITable{{Paths: []string{"t"}, Content: content, HasHeader: header, Signature: &signature}}
		b, err := acpi.Build(m, acpi.Chipset{PMBase: 0x600})
		if err != nil {
			return
		}
		user := b.List[len(b.List)-2]
		table := b.Tables[user.Off : user.Off+user.Len]
		sum := byte(0)
		for _, v := range table {
			sum += v
		}
		if sum != 0 || len(table) < 36 || int(binary.LittleEndian.Uint32(table[4:])) != len(table) {
			t.Errorf("the table has %d bytes, says %d and sums up to %#x", len(table), binary.LittleEndian.Uint32(table[4:]), sum)
		}
		if tail := content[min(len(content), 36):]; !bytes.HasSuffix(table, tail) {
			t.Error("the table does not end as its content")
		}
	})
}

// FuzzBuild builds random machines, placed or not. What is built must be consistent, whatever the machine; nothing may
// panic.
func FuzzBuild(f *testing.F) {
	for seed := range 40 {
		b := make([]byte, 300)
		for i := range b {
			b[i] = byte((i*i*7 + i*seed*31 + seed) >> 3)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := dice(data)
		m := d.machine()
		p, err := pcibus.Place(m, tdWindow)
		if err != nil {
			p = nil
		}
		b, err := acpi.Build(m, acpi.Chipset{PMBase: 0x600, PCIEXBAR: uint64(d.n(2)) * 0xe0000000, Functions: p})
		if err != nil {
			return
		}
		checkFiles(t, b)
	})
}
