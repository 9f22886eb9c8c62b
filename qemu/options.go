package qemu

import "strings"

// An option is one row of what QEMU's command line takes. The rows are those of QEMU 10.2, qemu-options.hx, and the ones
// that releases from 7.2 on have had beside them.
type option struct {
	Name string
	Arg  bool // takes an argument
	// Read notes the option; nil for one that cannot reach a measurement.
	Read func(b *builder, arg string) error
	Why  string // what it touches, or why it cannot reach a measurement
}

// refuse returns a reader for an option that is known and out of reach.
func refuse(name, why string) option {
	return option{Name: name, Arg: true, Why: why, Read: func(_ *builder, arg string) error {
		return unsupportedErr("-"+name, arg, "%s", why)
	}}
}

// flag and skip are rows without and with an argument.
func skip(name, why string) option { return option{Name: name, Arg: true, Why: why} }
func flag(name, why string) option { return option{Name: name, Why: why} }

const (
	whyHost    = "the host's side only: logs, monitors, processes"
	whyDisplay = "where the picture goes; the display device is -vga's or -device's"
	whyBackend = "a backend on the host: the guest sees only the device that uses it"
	whyFloppy  = "a floppy drive brings its controller, which the DSDT describes and which is not modelled"
	whyRun     = "when the guest runs and what ends it, not what it is"
)

// options is the table of every option that is known, by subject.
var options = []option{
	// The machine.
	{"machine", true, (*builder).readMachine, "machine type and properties"},
	{"M", true, (*builder).readMachine, "as -machine"},
	{"accel", true, (*builder).readAccel, "accelerator: which features a CPU model keeps"},
	{"enable-kvm", false, func(b *builder, _ string) error { b.machine["accel"] = "kvm"; return nil }, "as -accel kvm"},
	{"cpu", true, func(b *builder, a string) error { b.cpu = a; return nil }, "CPU model"},
	{"smp", true, (*builder).readSMP, "CPU topology"},
	{"m", true, (*builder).readMemory, "memory size"},
	{"numa", true, (*builder).readNUMA, "NUMA nodes"},
	{"object", true, (*builder).readObject, "memory backends and the TDX object"},
	{"global", true, (*builder).readGlobal, "property defaults of device classes"},
	{"boot", true, (*builder).readBoot, "boot menu and order"},
	{"readconfig", true, (*builder).readConfig, "options from a file"},
	{"uuid", true, (*builder).readUUID, "SMBIOS type 1"},
	{"smbios", true, (*builder).readSMBIOS, "SMBIOS fields"},
	{"acpitable", true, (*builder).readACPITable, "a table of the user's"},
	{"fw_cfg", true, (*builder).readFwCfg, "fw_cfg files"},
	{"no-hpet", false, func(b *builder, _ string) error { return b.removed("no-hpet", "hpet", Version{Major: 9}) }, "hpet=off"},
	{"no-acpi", false, func(b *builder, _ string) error { return b.removed("no-acpi", "acpi", Version{Major: 9}) }, "acpi=off"},
	{"nodefaults", false, func(b *builder, _ string) error { b.nodefaults = true; return nil }, "no default devices"},
	{"nographic", false, func(b *builder, _ string) error { b.machine["graphics"] = "off"; return nil }, "graphics=off: fw_cfg key 4 only, not measured"},

	// What is booted.
	{"bios", true, func(b *builder, a string) error { b.machine["firmware"] = a; return nil }, "firmware"},
	{"kernel", true, func(b *builder, a string) error { b.machine["kernel"] = a; return nil }, "kernel"},
	{"initrd", true, func(b *builder, a string) error { b.machine["initrd"] = a; return nil }, "initrd"},
	{"append", true, func(b *builder, a string) error { b.machine["append"] = a; return nil }, "kernel command line"},
	{"shim", true, (*builder).readShim, "shim"},

	// Devices.
	{"device", true, (*builder).readDevice, "a device"},
	{"serial", true, func(b *builder, a string) error { b.serials = append(b.serials, a); return nil }, "COM ports in the DSDT"},
	{"parallel", true, func(b *builder, a string) error { b.parallels = append(b.parallels, a); return nil }, "LPT ports in the DSDT"},
	{"debugcon", true, nil, "isa-debugcon: an I/O port that no table names"},
	{"vga", true, (*builder).readVGA, "display device"},
	{"usb", false, func(b *builder, _ string) error { b.machine["usb"] = "on"; return nil }, "USB controllers of the chipset"},
	{"usbdevice", true, func(b *builder, _ string) error { b.machine["usb"], b.usbDevices = "on", true; return nil }, "usb=on; USB devices are in no table"},
	{"drive", true, (*builder).readDrive, "disks: if=virtio makes a PCI device"},
	{"hda", true, func(b *builder, a string) error { return b.addDrive("hda", a, 0) }, "a SATA disk"},
	{"hdb", true, func(b *builder, a string) error { return b.addDrive("hdb", a, 1) }, "a SATA disk"},
	{"hdc", true, func(b *builder, a string) error { return b.addDrive("hdc", a, 2) }, "a SATA disk"},
	{"hdd", true, func(b *builder, a string) error { return b.addDrive("hdd", a, 3) }, "a SATA disk"},
	{"cdrom", true, func(b *builder, a string) error { return b.addDrive("cdrom", a, 2) }, "a SATA CD-ROM"},
	{"blockdev", true, nil, whyBackend},
	{"snapshot", false, nil, whyBackend},
	{"netdev", true, (*builder).readNetdev, "no default NIC, and how many vectors a virtio-net has; " + whyBackend},
	{"nic", true, (*builder).readNIC, "a network device"},
	{"net", true, (*builder).readNet, "a network device"},
	{"virtfs", true, (*builder).readVirtfs, "a virtio-9p-pci device"},
	{"fsdev", true, nil, whyBackend},
	{"chardev", true, nil, whyBackend},
	{"tpmdev", true, nil, whyBackend},
	{"audiodev", true, nil, whyBackend},
	{"iscsi", true, nil, whyBackend},
	{"spice", true, nil, whyDisplay},
	{"watchdog", true, (*builder).readWatchdog, "a watchdog device"},
	{"watchdog-action", true, nil, whyRun},
	{"mtdblock", true, nil, whyBackend},

	// Known, and out of reach.
	refuse("set", "changes other options by id; give the option itself"),
	refuse("pflash", "a TD's firmware cannot be flash; use -bios"),
	refuse("fda", whyFloppy),
	refuse("fdb", whyFloppy),
	refuse("option-rom", "adds a ROM to the boot order, which is not modelled"),
	refuse("dtb", "a device tree is handed to the kernel in its setup header, which is not modelled"),
	refuse("sd", "q35 has no SD controller"),
	refuse("audio", "makes an audio device; use -audiodev and -device"),
	refuse("soundhw", "makes an audio device; use -audiodev and -device"),
	refuse("icount", "counts instructions: TCG only, no TD"),
	refuse("loadvm", "restores a saved machine; its measurements were taken elsewhere"),
	refuse("incoming", "receives a machine; its measurements were taken elsewhere"),
	refuse("xen-domid", "no TD under Xen"),
	{"xen-attach", false, func(*builder, string) error { return unsupportedErr("-xen-attach", "", "no TD under Xen") }, ""},
	{"preconfig", false, func(*builder, string) error {
		return unsupportedErr("-preconfig", "", "the machine is configured over QMP, which is not on the command line")
	}, ""},

	// What cannot reach a measurement.
	{"name", true, nil, "name of the process and window"},
	{"rtc", true, nil, "the clock's start"},
	{"mem-path", true, nil, whyBackend},
	{"mem-prealloc", false, nil, whyBackend},
	skip("overcommit", whyHost), skip("sandbox", whyHost), skip("add-fd", whyHost), skip("pidfile", whyHost),
	skip("monitor", whyHost), skip("qmp", whyHost), skip("qmp-pretty", whyHost), skip("mon", whyHost),
	skip("d", whyHost), skip("D", whyHost), skip("dfilter", whyHost), skip("trace", whyHost), skip("plugin", whyHost),
	skip("msg", whyHost), skip("L", "where QEMU looks for its own files"), skip("k", whyDisplay), skip("echr", whyHost),
	skip("gdb", whyHost), flag("s", whyHost), flag("S", whyRun), skip("seed", "seed of QEMU's own random numbers"),
	skip("qtest", whyHost), skip("qtest-log", whyHost), skip("run-with", whyHost), skip("runas", whyHost), skip("chroot", whyHost),
	flag("daemonize", whyHost), flag("no-user-config", whyHost), flag("enable-fips", whyHost), flag("async-teardown", whyHost),
	flag("enable-sync-profile", whyHost), flag("perfmap", whyHost), flag("jitdump", whyHost), skip("dump-vmstate", whyHost),
	skip("compat", "what QEMU does with deprecated input"), flag("only-migratable", whyHost), flag("singlestep", whyHost),
	skip("action", whyRun), flag("no-reboot", whyRun), flag("no-shutdown", whyRun), skip("tb-size", whyHost),
	skip("display", whyDisplay), skip("vnc", whyDisplay), flag("full-screen", whyDisplay), skip("g", whyDisplay),
	flag("curses", whyDisplay), flag("sdl", whyDisplay), flag("no-quit", whyDisplay), flag("no-frame", whyDisplay),
	flag("alt-grab", whyDisplay), flag("ctrl-grab", whyDisplay), flag("portrait", whyDisplay), skip("rotate", whyDisplay),
	flag("win2k-hack", "a quirk of IDE disks"), flag("no-fd-bootchk", "a CMOS byte that OVMF does not read"),
	skip("prom-env", "for other architectures"), flag("semihosting", "for other architectures"),
	skip("semihosting-config", "for other architectures"), flag("xen-domid-restrict", "no effect without Xen"),
	flag("old-param", "for other architectures"),
}

// optionByName returns the row of an option, by its name without dashes.
func optionByName(name string) (option, bool) {
	for _, o := range options {
		if o.Name == name {
			return o, true
		}
	}
	return option{}, false
}

// nearestOption returns a hint for an unknown option.
func nearestOption(name string) string {
	var names []string
	for _, o := range options {
		names = append(names, "-"+o.Name)
	}
	return nearest("-"+name, names)
}

// read walks the arguments as QEMU does: an option may have one dash or two, and what is no option is a disk image.
// Follows QEMU 10.2, system/vl.c, lookup_opt and qemu_init.
func (b *builder) read(args []string) error {
	for i := 0; i < len(args); i++ {
		a := args[i]
		if len(a) > maxArgLen {
			return usageErr("argument", a, "is %d bytes long, at most %d are read", len(a), maxArgLen)
		}
		if strings.IndexByte(a, 0) >= 0 {
			return usageErr("argument", a, "holds a zero byte")
		}
		if strings.HasPrefix(a, "@") {
			return &OptionError{Option: a, Msg: "QEMU reads no arguments from a file and takes this for a disk image",
				Hint: "put the arguments themselves here", Err: ErrUsage}
		}
		if !strings.HasPrefix(a, "-") {
			if err := b.addDrive(a, a, 0); err != nil {
				return err
			}
			continue
		}
		name := strings.TrimPrefix(strings.TrimPrefix(a, "-"), "-")
		if name == "h" || name == "help" || name == "version" {
			return usageErr(a, "", "QEMU prints something and starts no guest")
		}
		o, ok := optionByName(name)
		if !ok {
			return unknownErr(a, "", "unknown option", nearestOption(name))
		}
		arg := ""
		if o.Arg {
			if i++; i == len(args) {
				return usageErr(a, "", "requires an argument")
			}
			if arg = args[i]; len(arg) > maxArgLen || strings.IndexByte(arg, 0) >= 0 {
				return usageErr(a, arg, "the argument is longer than %d bytes or holds a zero byte", maxArgLen)
			}
		}
		if o.Read == nil {
			continue
		}
		if err := o.Read(b, arg); err != nil {
			return err
		}
	}
	return nil
}
