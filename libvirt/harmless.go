package libvirt

import "strings"

const (
	whyHost    = "the host's side only"
	whyBackend = "a backend on the host: the guest sees only the device that uses it"
	whyMonitor = "set over the monitor after firmware has booted"
	whyCPUID   = "CPUID leaves that neither tables nor SMBIOS carry"
	whyDriver  = "how the host serves the device"
	whyChosen  = "how libvirt chose the file that <loader> names"
)

// harmless are the elements, with all below them, and the attributes that cannot reach a measurement, by path. A star
// stands for one step.
var harmless = []struct{ path, why string }{
	{"domain@id", whyHost}, {"title", whyHost}, {"description", whyHost}, {"metadata", whyHost}, {"name", whyHost},

	{"currentMemory", whyMonitor}, {"memtune", whyHost}, {"memoryBacking", "what the host backs memory with"},
	{"blkiotune", whyHost}, {"cputune", whyHost}, {"numatune", whyHost}, {"resource", whyHost}, {"seclabel", whyHost},
	{"keywrap", "only on s390"}, {"throttlegroups", whyHost}, {"defaultiothread", whyHost}, {"perf", whyHost},
	{"iothreads", whyHost}, {"iothreadids", whyHost},
	{"on_poweroff", whyHost}, {"on_reboot", whyHost}, {"on_crash", whyHost}, {"on_lockfailure", whyHost},
	{"vcpu@placement", whyHost}, {"vcpu@cpuset", whyHost}, {"vcpus/vcpu@order", whyHost},
	{"memory@dumpCore", whyHost}, {"qemu:deprecation", whyHost},
	{"bootloader", "for Xen"}, {"bootloader_args", "for Xen"},

	{"os@firmware", whyChosen}, {"os/firmware", whyChosen}, {"os/varstore", "no variable store in a guest without flash"},
	{"os/loader@readonly", whyChosen}, {"os/loader@format", whyChosen}, {"os/loader@stateless", whyChosen},
	{"os/loader@secure", whyChosen}, {"os/bios@useserial", "graphics=off: not measured"}, {"os/bios@rebootTimeout", "a fw_cfg file that OVMF does not read"},

	{"features/apic", "every x86 guest has one"}, {"features/pae", whyCPUID}, {"features/hyperv", whyCPUID}, {"features/kvm", whyCPUID},
	{"features/pvspinlock", whyCPUID}, {"features/privnet", whyHost}, {"features/async-teardown", whyHost}, {"features/tcg", whyHost},
	{"features/msrs", "how KVM treats unknown registers"}, {"features/viridian", "for Xen"}, {"features/hap", "for Xen"},

	{"cpu@match", whyHost}, {"cpu@migratable", whyHost}, {"cpu/model@fallback", whyHost}, {"cpu/vendor", whyHost},
	{"cpu@deprecated_features", whyHost}, {"cpu/cache", whyCPUID}, {"cpu/numa/cell@memAccess", whyHost}, {"cpu/numa/cell@discard", whyHost},
	{"clock@*", "the clock's start"}, {"clock/timer@tickpolicy", "a clock's behaviour"}, {"clock/timer@track", "a clock's behaviour"},
	{"clock/timer@frequency", whyCPUID}, {"clock/timer@mode", whyCPUID}, {"clock/timer/catchup", "a clock's behaviour"},

	{"devices/emulator", "which QEMU runs is --qemu's to say"}, {"devices/lease", whyHost}, {"devices/graphics", "where the picture goes"},
	{"devices/audio", whyBackend},

	{"devices/disk@snapshot", whyBackend}, {"devices/disk@rawio", whyBackend}, {"devices/disk@sgio", whyBackend},
	{"devices/disk/source", whyBackend}, {"devices/disk/backingStore", whyBackend}, {"devices/disk/mirror", whyBackend}, {"devices/disk/auth", whyBackend},
	{"devices/disk/encryption", whyBackend}, {"devices/disk/iotune", whyBackend}, {"devices/disk/throttlefilters", whyBackend},
	{"devices/disk/readonly", whyBackend}, {"devices/disk/shareable", whyBackend}, {"devices/disk/transient", whyBackend},
	{"devices/disk/serial", "no table carries it"}, {"devices/disk/wwn", "no table carries it"}, {"devices/disk/vendor", "no table carries it"},
	{"devices/disk/product", "no table carries it"}, {"devices/disk/geometry", "no table carries it"}, {"devices/disk/blockio", "no table carries it"},
	{"devices/disk/target@tray", whyDriver}, {"devices/disk/target@removable", whyDriver}, {"devices/disk/target@rotation_rate", whyDriver},
	{"devices/disk/driver", whyDriver}, // but for what is read of it
	{"devices/disk/boot@loadparm", "only on s390"},

	{"devices/interface/source", whyBackend}, {"devices/interface/target", whyBackend}, {"devices/interface/script", whyBackend},
	{"devices/interface/downscript", whyBackend}, {"devices/interface/bandwidth", whyBackend}, {"devices/interface/filterref", whyBackend},
	{"devices/interface/virtualport", whyBackend}, {"devices/interface/vlan", whyBackend}, {"devices/interface/link", whyMonitor},
	{"devices/interface/ip", whyBackend}, {"devices/interface/route", whyBackend}, {"devices/interface/port", whyBackend},
	{"devices/interface/portForward", whyBackend}, {"devices/interface/backend", whyBackend}, {"devices/interface/coalesce", whyBackend},
	{"devices/interface/guest", whyBackend}, {"devices/interface/tune", whyBackend}, {"devices/interface/mac@type", whyHost}, {"devices/interface/mac@check", whyHost},
	{"devices/interface@managed", whyHost}, {"devices/interface@trustGuestRxFilters", whyHost}, {"devices/interface/boot@loadparm", "only on s390"},
	{"devices/interface/driver@name", whyDriver}, {"devices/interface/driver@txmode", whyDriver}, {"devices/interface/driver@event_idx", whyDriver},
	{"devices/interface/driver@ioeventfd", whyDriver}, {"devices/interface/driver@rx_queue_size", whyDriver}, {"devices/interface/driver@tx_queue_size", whyDriver},
	{"devices/interface/driver@rss", whyDriver}, {"devices/interface/driver@rss_hash_report", whyDriver}, {"devices/interface/driver/host", whyDriver},
	{"devices/interface/driver/guest", whyDriver}, {"devices/interface/driver@model", whyHost}, {"devices/interface/driver@iommufd", whyHost},

	{"devices/hostdev@managed", whyHost}, {"devices/hostdev/source", whyHost}, // but for what is read of it
	{"devices/hostdev/driver", whyHost}, {"devices/hostdev/readonly", whyHost}, {"devices/hostdev/shareable", whyHost}, {"devices/hostdev/boot@loadparm", "only on s390"},

	{"devices/filesystem/source", whyBackend}, {"devices/filesystem/binary", whyBackend}, {"devices/filesystem/driver@queue", whyBackend},
	{"devices/filesystem@accessmode", whyBackend}, {"devices/filesystem@multidevs", whyBackend}, {"devices/filesystem@fmode", whyBackend},
	{"devices/filesystem@dmode", whyBackend}, {"devices/filesystem/readonly", whyBackend}, {"devices/filesystem/idmap", whyBackend},
	{"devices/filesystem/driver@name", whyBackend}, {"devices/filesystem/driver@wrpolicy", whyBackend}, {"devices/filesystem/driver@format", whyBackend},
	{"devices/filesystem/space_hard_limit", whyBackend}, {"devices/filesystem/space_soft_limit", whyBackend},

	{"devices/serial@type", whyBackend}, {"devices/serial/source", whyBackend}, {"devices/serial/protocol", whyBackend}, {"devices/serial/log", whyBackend},
	{"devices/serial/target/model", whyBackend}, {"devices/serial@tty", whyBackend},
	{"devices/parallel@type", whyBackend}, {"devices/parallel/source", whyBackend}, {"devices/parallel/protocol", whyBackend}, {"devices/parallel/log", whyBackend},
	{"devices/console@type", whyBackend}, {"devices/console/source", whyBackend}, {"devices/console/protocol", whyBackend}, {"devices/console/log", whyBackend},
	{"devices/console@tty", whyBackend}, {"devices/console/target@port", whyBackend},
	{"devices/channel@type", whyBackend}, {"devices/channel/source", whyBackend}, {"devices/channel/protocol", whyBackend}, {"devices/channel/log", whyBackend},
	{"devices/channel/target@state", whyHost}, {"devices/channel/target@address", whyBackend}, {"devices/channel/target@port", whyBackend},

	{"devices/tpm/backend", whyBackend}, {"devices/pstore/path", whyBackend}, {"devices/rng/backend", whyBackend}, {"devices/rng/rate", whyDriver}, {"devices/crypto/backend", whyBackend},
	{"devices/crypto@type", whyBackend}, {"devices/memballoon/stats", whyMonitor}, {"devices/watchdog@action", whyHost},
	{"devices/vsock/source", whyBackend}, {"devices/input/source", whyBackend}, {"devices/redirfilter", whyHost},
	{"devices/redirdev@type", whyBackend}, {"devices/redirdev/source", whyBackend}, {"devices/redirdev/protocol", whyBackend}, {"devices/redirdev/log", whyBackend},
	{"devices/smartcard@type", whyBackend}, {"devices/smartcard/source", whyBackend}, {"devices/smartcard/protocol", whyBackend}, {"devices/smartcard/certificate", whyBackend},
	{"devices/smartcard/database", whyBackend}, {"devices/sound/audio", whyBackend}, {"devices/shmem/server", whyBackend},
	{"devices/video/acceleration", "3D support, but for what is read of it"}, {"devices/video/resolution", "EDID only"},
	{"devices/video/model/resolution", "EDID only"}, {"devices/video/driver@vgaconf", "not for QEMU"},
	{"devices/controller/driver@cmd_per_lun", whyDriver},
	{"devices/controller/driver@max_sectors", whyDriver}, {"devices/controller/driver@ioeventfd", whyDriver}, {"devices/controller/driver@iothread", whyDriver},
	{"devices/controller/driver/iothreads", whyDriver}, {"devices/controller/model", "the name of its device, which is read"},
	{"launchSecurity/policy", "report field"}, {"launchSecurity/mrConfigId", "report field"}, {"launchSecurity/mrOwner", "report field"},
	{"launchSecurity/mrOwnerConfig", "report field"}, {"launchSecurity/quoteGenerationService", whyHost},
	{"qemu:commandline/qemu:env", whyHost},
}

// harmlessPaths are the paths without stars.
var harmlessPaths = func() map[string]bool {
	m := map[string]bool{}
	for _, h := range harmless {
		m[h.path] = true
	}
	return m
}()

// isHarmless reports whether a path, or one with a star for one of its steps, is in the table.
func isHarmless(path string) bool {
	if harmlessPaths[path] {
		return true
	}
	owner, a, isAttr := strings.Cut(path, "@")
	if isAttr && harmlessPaths[owner+"@*"] {
		return true
	}
	if steps := strings.Split(owner, "/"); steps[0] == "devices" && len(steps) > 2 {
		steps[1] = "*"
		path = strings.Join(steps, "/")
		if isAttr {
			path += "@" + a
		}
		return harmlessPaths[path]
	}
	return false
}
