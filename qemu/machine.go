// Package qemu knows what QEMU shows a guest: the shape that a command line describes, where QEMU puts its devices,
// and what changes between releases. It is the only package that compares QEMU releases.
package qemu

// A Machine is the shape of a q35 VM as far as it reaches a measurement: a command line, read and resolved against
// one QEMU release. Sizes are in bytes.
type Machine struct {
	Release Version // the QEMU binary
	Traits  Traits  // what that release does
	Type    string  // versioned machine type, "pc-q35-10.1"
	// MachineVersion is the version in Type, by major and minor number.
	MachineVersion Version
	TDX            bool   // a TD: confidential-guest-support names a tdx-guest, or the caller said so
	StartsTD       bool   // the command line itself says so
	Accel          string // accelerator, "kvm" or "tcg"; empty where the command line leaves it to QEMU
	KernelIRQChip  string // kernel-irqchip=, "split" in a TD

	// Machine properties, after defaults of the release and of TDX (which forces SMM and PIC off).
	SMM, PIC, HPET, I8042, SATA, SMBus, USB, NVDIMM bool
	OEMID                                           string // x-oem-id, 6 characters, "BOCHS "
	OEMTableID                                      string // x-oem-table-id, 8 characters, "BXPC    "
	MaxRAMBelow4G                                   uint64 // max-ram-below-4g, 0 is the default
	ACPIOff                                         bool   // acpi=off: no tables

	Topology Topology
	CPU      CPU
	RAM      uint64 // -m size
	MaxRAM   uint64 // -m maxmem; equal to RAM without hotplug memory
	RAMSlots int    // -m slots
	NUMA     []NUMANode
	// ImplicitNUMA says that NUMA is the one node that memory hotplug brings without -numa.
	ImplicitNUMA bool
	// Distances holds the NUMA distance matrix where -numa dist was given, row by row; nil otherwise.
	Distances [][]uint8
	// HMAT is what -machine hmat=on adds to NUMA; nil without.
	HMAT *HMAT
	// GenericInitiators are -object acpi-generic-initiator, in the order in which QEMU finds them.
	GenericInitiators []GenericInitiator
	// NVDIMMs are those that are plugged in at start, in the order in which QEMU finds them at the end, and PluggedNVDIMMs
	// in that in which it found them when it plugged in the last.
	NVDIMMs, PluggedNVDIMMs []NVDIMM
	// NVDIMMPersistence is what -machine nvdimm-persistence says, as the NFIT table has it; 0 without.
	NVDIMMPersistence uint32
	CXL               bool // -machine cxl=on: a MiB of registers behind all memory
	WDAT              bool // wdat=on: a table for the chipset's watchdog
	BypassIOMMU       bool // default-bus-bypass-iommu: no IOMMU translates for the first root bus
	// ACPITables are -acpitable, in command-line order.
	ACPITables []ACPITable

	Root       *Bus        // pcie.0 with built-in and user devices, placed
	ISA        []ISADevice // of -device, in command-line order; isa-serial and isa-parallel have an "index"
	Serial     []int       // indexes (0 is COM1) of the ports of -serial
	Parallel   []int       // indexes (0 is LPT1) of the ports of -parallel
	VMGenID    string      // GUID of -device vmgenid; empty without
	HasVMGenID bool
	VMClock    bool             // -device vmclock
	SMBusIPMI  []SMBusIPMI      // -device smbus-ipmi
	BMCs       map[string]uint8 // addresses of BMCs on their bus, by id
	ERST       *PCIDevice       // -device acpi-erst; nil without
	TPM        TPMKind
	// NoTPMPresence is ppi=off: the TPM's device lacks the physical presence interface.
	NoTPMPresence bool
	PCIHole64     uint64 // q35-pcihost.pci-hole64-size
	PCIHole64Fix  bool   // q35-pcihost.x-pci-hole64-fix
	DisableS3     bool   // ICH9-LPC.disable_s3
	DisableS4     bool   // ICH9-LPC.disable_s4
	S4Value       uint8  // ICH9-LPC.s4_val
	// ACPIPCIHotplug is ICH9-LPC.acpi-pci-hotplug-with-bridge-support.
	ACPIPCIHotplug bool
	// KeepPCISlotHPC is ICH9-LPC.x-keep-pci-slot-hpc: ports show their native hotplug capability beside ACPI's.
	KeepPCISlotHPC bool
	SMMCompat      bool // ICH9-LPC.smm-compat, on up to pc-q35-5.2
	IOMMU          IOMMU

	SMBIOS SMBIOSOptions
	FwCfg  []FwCfgItem // user's -fw_cfg items, in command-line order
	Boot   BootOptions
	// BootDevices are the Open Firmware paths of what has a bootindex, first to boot first.
	BootDevices []string

	Files Files
}

// Files names the files that a command line boots; paths as given.
type Files struct {
	Firmware, Kernel, Initrd, Shim string
	Append                         string // -append, the kernel command line
	HasAppend                      bool
}

// A Topology is -smp, completed as QEMU completes it.
type Topology struct {
	CPUs    int // present at start
	MaxCPUs int // possible
	Sockets int
	Dies    int // per socket
	Modules int // per die
	Cores   int // per module
	Threads int // per core
}

// A CPU is the -cpu model as far as it reaches a measurement.
type CPU struct {
	Model string // "host", "max", "Skylake-Server"
	// Known says that EAX and EDX are known; they are not for -cpu host without further word.
	Known    bool
	Why      string // why they are not known; empty where they are
	EAX, EDX uint32 // CPUID leaf 1, as SMBIOS type 4 carries them
	PhysBits int    // guest physical address bits, CPUID 0x80000008 EAX[7:0]; 0 is unknown
	// GuestPhysBits is guest-phys-bits=, CPUID 0x80000008 EAX[23:16]; 0 where it was not given.
	GuestPhysBits int
	// NoHugePages1G says that the model lacks pdpe1gb, which moves OVMF's 64-bit window.
	NoHugePages1G bool
	NoLongMode    bool // a 32-bit model
	// Vendor is what CPUID leaf 0 names, "GenuineIntel". For "AuthenticAMD" QEMU reserves the HyperTransport hole at 1 TiB.
	Vendor string
}

// A NUMANode is -numa node.
type NUMANode struct {
	ID        int
	RAM       uint64
	CPUs      []int // CPU indexes
	Initiator int   // the node whose CPUs are nearest, NoInitiator without
}

// A TPMKind is the kind of a guest's TPM device.
type TPMKind uint8

// The TPM devices that q35 has.
const (
	NoTPM TPMKind = iota
	TPMTIS
	TPMCRB
)

// An IOMMU is the guest's IOMMU device.
type IOMMU struct {
	Kind   IOMMUKind
	AWBits int // intel-iommu aw-bits
	// Device is the function of a virtio-iommu or of an AMD IOMMU, nil for others.
	Device    *PCIDevice
	Remaps    bool // it remaps interrupts
	DeviceTLB bool // device-iotlb=: devices may cache translations
	Props     map[string]string
}

// An IOMMUKind is the kind of a guest's IOMMU.
type IOMMUKind uint8

// The IOMMUs that q35 has.
const (
	NoIOMMU IOMMUKind = iota
	IntelIOMMU
	AMDIOMMU
	VirtioIOMMU
)

// An ISADevice is a device on the ISA bus that ACPI describes ("pvpanic", "isa-ipmi-kcs", ...).
type ISADevice struct {
	Driver string
	Props  map[string]string
}

// An SMBusIPMI is an IPMI interface on the SMBus.
type SMBusIPMI struct {
	Address uint8
	BMC     string // id of its BMC
}

// A Bus is a PCI bus with its functions in devfn order.
type Bus struct {
	Name      string // "pcie.0", or the id of the bridge
	Devices   []*PCIDevice
	Extra     bool  // a root bus made by pxb or pxb-pcie
	BusNr     uint8 // of an extra root bus
	NUMANode  int   // of an extra root bus, -1 without
	CXL       bool  // an extra root bus that is a CXL host bridge's
	NoIOMMU   bool  // a root bus that no IOMMU translates for
	PCIe      bool
	HotplugOK bool // QEMU gives this bus ACPI hotplug (BSEL) when ACPIPCIHotplug is on
}

// A PCIDevice is one function on a PCI bus.
type PCIDevice struct {
	Driver        string // QEMU's name, "virtio-blk-pci"
	ID            string // id=, empty without
	Slot          uint8  // 0 to 31
	Function      uint8  // 0 to 7
	Multifunction bool
	BuiltIn       bool // made by the machine, not by an option
	Order         int  // position in the order in which QEMU makes the devices; ACPI walks bridges from the newest
	Kind          PCIKind
	BARs          []BAR
	ROM           uint32 // size of the option ROM BAR in bytes, 0 without
	ACPIIndex     uint32 // acpi-index=, 0 without
	Hotpluggable  bool   // the device class can be unplugged
	HotplugPort   bool   // hotplug= of a port, on by default
	// NativeHotplug says that a port's slot capability announces hotplug, so that firmware reserves room behind it.
	NativeHotplug bool
	// IOReserve is what a port asks firmware to reserve of I/O space, in bytes; 0 is nothing asked.
	IOReserve uint64
	// NoIO says that io-reserve=0 took the port's I/O window away.
	NoIO bool
	// NoMemReserve says that mem-reserve=0 asked firmware to keep no 32-bit memory free, not even its default.
	NoMemReserve  bool
	Bridge        *Bus   // secondary bus of a bridge or port, nil for others
	ExtraRoot     *Bus   // root bus of a pxb, nil for others
	Pref64Reserve uint64 // pref64-reserve= of a port; 0 without
	Pref32Reserve uint64
	MemReserve    uint64 // mem-reserve=; 0 without
	BusReserve    int    // bus-reserve=; 0 without
	SHPC          bool   // the bridge has a hotplug controller of its own
	Props         map[string]string
}

// Devfn returns slot and function as PCI encodes them.
func (d *PCIDevice) Devfn() uint8 { return d.Slot<<3 | d.Function }

// A PCIKind says how ACPI and firmware treat a function.
type PCIKind uint8

// The kinds of PCI functions.
const (
	Endpoint PCIKind = iota
	HostBridge
	ISABridge
	RootPort       // pcie-root-port, ioh3420
	UpstreamPort   // x3130-upstream
	DownstreamPort // xio3130-downstream
	PCIBridge      // pci-bridge, pcie-pci-bridge, i82801b11-bridge
	PXB            // pxb, pxb-pcie
	VGA            // a display class device with legacy VGA
)

// A BAR is a base address register that a device asks for.
type BAR struct {
	Index int
	Size  uint64 // bytes, a power of two
	Kind  BARKind
}

// A BARKind is the space that a BAR asks for.
type BARKind uint8

// The spaces.
const (
	BARIO BARKind = iota
	BARMem32
	BARPref32
	BARMem64
	BARPref64
)

// SMBIOSOptions are the -smbios options. Fields holds type=N key=value pairs by type number, in order.
type SMBIOSOptions struct {
	Fields map[int][]KeyValue
	UUID   string // of -uuid or type=1,uuid=, whichever comes last
	// Entries are the same options one by one, in command-line order: QEMU makes one structure for each option of
	// types 8, 9 and 41, which Fields cannot tell apart.
	Entries []SMBIOSEntry
	// EntryPoint is -machine smbios-entry-point-type, "32", "64" or "auto"; empty is the machine type's default.
	EntryPoint string
}

// An SMBIOSEntry is one -smbios option: type=N with fields, or file=.
type SMBIOSEntry struct {
	Type    int        // type=; without meaning for file=
	Fields  []KeyValue // without type=, in order
	File    string     // file=, the path as given; empty for fields
	Content []byte     // content of File, nil until somebody reads it
}

// A KeyValue is one property of an option.
type KeyValue struct{ Key, Value string }

// A FwCfgItem is a named fw_cfg file.
type FwCfgItem struct {
	Name string
	Data []byte
	File string // path where the data comes from a file
}

// BootOptions are -boot.
type BootOptions struct {
	Menu          bool
	HasMenu       bool
	SplashTime    int // milliseconds
	HasSplashTime bool
	Strict        bool
	Order         string
}
