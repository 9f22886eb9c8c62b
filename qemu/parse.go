package qemu

import (
	"fmt"
	"strings"
)

// ParseOptions say what a command line leaves open.
type ParseOptions struct {
	// TDX says that the guest is a TD even where the command line has no confidential-guest-support.
	TDX bool
	// Assume names a known release whose traits stand in for those of an unknown one. Machine types stay those of the
	// release itself.
	Assume string
	// HostCPU names the processor that -cpu host passes on; see HostCPUs.
	HostCPU string
	// CPUID, where set, is leaf 1 EAX and EDX as the guest's SMBIOS has them; it overrides what the model gives.
	CPUID *CPUID
	// PhysBits, where not 0, is the number of guest physical address bits that firmware sees.
	PhysBits int
	// BARs gives the base address registers of devices that QEMU only passes on, like vfio-pci, by device id or,
	// without id, by the address of the host device.
	BARs map[string][]BAR
	// HostDevices names what such a device is, by the same keys, or by AnyHostDevice for all: see [HostDevices].
	HostDevices map[string]string
	// ReadFile, where set, reads the files that options name and whose content the guest sees: -acpitable, -smbios and
	// -fw_cfg file=. Without it their content is left open. Its errors are returned as they are.
	ReadFile func(path string) ([]byte, error)
}

// AnyHostDevice is the key of ParseOptions.HostDevices and BARs for devices that have none of their own.
const AnyHostDevice = "*"

// CPUID is what SMBIOS carries of a processor.
type CPUID struct{ EAX, EDX uint32 }

// A builder collects a command line before it is resolved.
type builder struct {
	opts ParseOptions
	m    *Machine

	machine     map[string]string // -machine and the options that are short for its properties
	boot        props
	smp         props
	memory      props
	cpu         string
	accel       string
	irqchip     string // -accel kernel-irqchip=
	nodefaults  bool
	net         bool // a -netdev, -nic or -net was given
	usbDevices  bool // -usbdevice was given
	balloon     bool // there is a virtio-balloon
	vga         string
	hasVGA      bool
	numa        []props
	numaArgs    []string
	objects     map[string]props // by id
	globals     []global
	devices     []deviceOption // in the order in which QEMU makes them
	jsonDevs    []deviceOption // JSON devices, which QEMU makes last
	drives      []drive
	nics        []nic
	nets        []nic
	serials     []string
	parallels   []string
	objectOrder []string // ids of objects, as on the command line
	ids         map[string]bool
	idOrder     []string        // ids of devices in the order in which QEMU makes them
	backendUsed map[string]bool // memory backends that a device has
	plugged     []plugged       // in the area for memory hotplug, by address
	slots       []bool          // of memory, those that are taken
	boots       []bootEntry
	buses       []*bus         // every bus that a device can be put on
	named       map[string]int // buses that are named after their kind
	serialNext  int            // what index= of the next ISA serial port is by default
	acpiIndexes map[uint64]bool
	netdevs     map[string]props
	order       int                  // PCI functions made so far
	chassis     map[[2]uint64]string // which port has which chassis and slot number
}

// A global is -global driver.property=value.
type global struct{ driver, property, value string }

// ParseArgs reads the arguments of qemu-system-x86_64, without the program's name, into the machine that release makes of
// them. Options and devices that are not in the tables are an *OptionError, never a guess.
func ParseArgs(args []string, release string, opts ParseOptions) (*Machine, error) {
	if len(args) > maxArgs {
		return nil, usageErr("command line", "", "has %d arguments, at most %d are read", len(args), maxArgs)
	}
	b := &builder{
		opts: opts, m: &Machine{}, machine: map[string]string{}, objects: map[string]props{}, ids: map[string]bool{},
		acpiIndexes: map[uint64]bool{}, netdevs: map[string]props{}, named: map[string]int{},
	}
	var err error
	if opts.Assume != "" {
		b.m.Release, b.m.Traits, err = AssumeRelease(release, opts.Assume)
	} else {
		b.m.Release, b.m.Traits, err = TraitsOf(release)
	}
	if err != nil {
		return nil, err
	}
	if err := b.read(args); err != nil {
		return nil, err
	}
	// The order is QEMU's: machine, topology, memory, CPUs, built-in devices, then the user's.
	for _, step := range []func() error{
		b.resolveMachine, b.resolveTopology, b.resolveMemory, b.resolveCPU, b.resolveNUMA, b.resolveGlobals,
		b.resolveBoot, b.bootKernel, b.resolveDrives, b.buildBuiltIn, b.buildDevices, b.resolveNVDIMMs,
		b.resolveInitiators, b.finish,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return b.m, nil
}

// ParseCommand reads a whole command line as it stands after "--": variables of the environment, NAME=VALUE, as libvirt
// prints them in front, then the program, then its arguments.
func ParseCommand(argv []string, release string, opts ParseOptions) (*Machine, error) {
	for len(argv) > 1 && isAssignment(argv[0]) {
		argv = argv[1:]
	}
	if len(argv) > 0 && !strings.HasPrefix(argv[0], "-") {
		argv = argv[1:]
	}
	return ParseArgs(argv, release, opts)
}

// isAssignment reports whether a word sets a variable of the environment.
func isAssignment(word string) bool {
	name, _, ok := strings.Cut(word, "=")
	for i, c := range name {
		letter := c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return ok && name != ""
}

// needArg is the error for a key that QEMU requires.
func needArg(option, arg, key string) error {
	return usageErr(option, arg, "parameter %q is missing", key)
}

// checkKeys refuses keys that are not among known.
func checkKeys(option, arg string, p props, known ...string) error {
	for _, kv := range p {
		ok := false
		for _, k := range known {
			ok = ok || k == kv.Key
		}
		if !ok {
			return unknownErr(option, arg, fmt.Sprintf("unknown parameter %q", kv.Key), nearest(kv.Key, known))
		}
	}
	return nil
}
