package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/qemu"
)

// optionsNotGenerated are the options of package qemu's table that no shape has, and why.
var optionsNotGenerated = map[string]string{
	"only-migratable": "refuses devices", "watchdog": "gone", "enable-kvm": "needs KVM", "bios": "is not looked at", "no-acpi": "is acpi=off", "shim": "refused",
	"spice": "is no option of every QEMU", "iscsi": "the host's", "mtdblock": "gone",
	"pflash": "refused", "fda": "refused", "fdb": "refused", "option-rom": "refused", "dtb": "refused", "sd": "refused", "audio": "refused",
	"soundhw": "refused", "icount": "refused", "loadvm": "refused", "incoming": "refused", "xen-domid": "refused", "xen-attach": "refused", "preconfig": "refused",
	"xen-domid-restrict": "Xen's",
	"mem-path":           "changes where memory is on the host", "mem-prealloc": "takes the host's memory",
	"add-fd": "the host's", "pidfile": "the host's", "qmp": "the run's own", "qmp-pretty": "the run's own", "mon": "the run's own",
	"dfilter": "TCG's", "trace": "the host's", "plugin": "TCG's", "L": "the run's own", "echr": "a terminal's", "gdb": "the host's", "s": "the host's",
	"S": "the run's own", "qtest": "the run's own", "qtest-log": "the run's own", "run-with": "the host's", "runas": "the host's", "chroot": "the host's",
	"daemonize": "the run waits for it", "enable-fips": "gone", "async-teardown": "gone", "enable-sync-profile": "the host's", "perfmap": "TCG's", "jitdump": "TCG's",
	"dump-vmstate": "ends QEMU", "compat": "of QMP", "singlestep": "gone", "tb-size": "gone", "display": "the run's own", "vnc": "opens a port",
	"full-screen": "needs a display", "g": "for other architectures", "curses": "needs a display", "sdl": "needs a display", "no-quit": "gone", "no-frame": "gone",
	"alt-grab": "gone", "ctrl-grab": "gone", "portrait": "gone", "rotate": "gone", "win2k-hack": "gone in newer releases", "no-fd-bootchk": "gone in newer releases",
	"prom-env": "for other architectures", "semihosting": "for other architectures", "semihosting-config": "for other architectures", "old-param": "for other architectures",
}

// TestGenerateCoversOptions asks that every option of package qemu's table is generated, or left out with a reason.
func TestGenerateCoversOptions(t *testing.T) {
	made := map[string]int{}
	for _, v := range []qemu.Version{{Major: 7, Minor: 2}, {Major: 11, Minor: 1}} {
		for n := range uint64(2000) {
			for _, o := range generate(3, n, v, true).options {
				made[o.name]++
			}
		}
	}
	for _, name := range qemu.Options() {
		if _, out := optionsNotGenerated[name]; (made[name] > 0) == out {
			t.Errorf("-%s: in %d of 4000 shapes, left out by the table: %v", name, made[name], out)
		}
	}
	for name, why := range optionsNotGenerated {
		if why == "" || !slices.Contains(qemu.Options(), name) {
			t.Errorf("-%s is left out without a reason, or is in no table", name)
		}
	}
}

// TestGenerateCoversDrivers asks that every driver of package qemu's table is generated, or left out with a reason.
func TestGenerateCoversDrivers(t *testing.T) {
	made := map[string]int{}
	for _, v := range []qemu.Version{{Major: 7, Minor: 2}, {Major: 11, Minor: 1}} {
		for n := range uint64(6000) {
			for _, o := range generate(3, n, v, true).options {
				if o.name == "device" {
					made[o.words[0]]++
				}
			}
		}
	}
	for _, d := range qemu.Drivers() {
		_, base := notGenerated[strings.TrimSuffix(strings.TrimSuffix(d, "-non-transitional"), "-transitional")]
		if (made[d] > 0) == base {
			t.Errorf("%s: in %d of 12000 shapes, left out by the table: %v", d, made[d], base)
		}
	}
	for d := range notGenerated {
		if !slices.Contains(qemu.Drivers(), d) {
			t.Errorf("%s is left out and is in no table", d)
		}
	}
}

// TestGenerateIsDeterministic: a seed and a number are enough to make a shape again.
func TestGenerateIsDeterministic(t *testing.T) {
	v := qemu.Version{Major: 10, Minor: 1}
	different := 0
	for n := range uint64(200) {
		a, b := generate(5, n, v, true), generate(5, n, v, true)
		if !slices.Equal(a.args(), b.args()) {
			t.Fatalf("shape %d of seed 5 is\n%s\nand\n%s", n, quote(a.args()), quote(b.args()))
		}
		if !slices.Equal(a.args(), generate(6, n, v, true).args()) {
			different++
		}
	}
	if different < 190 {
		t.Errorf("seeds 5 and 6 differ in %d of 200 shapes", different)
	}
}

// TestGenerateIsUnderstood: few shapes are refused; a generator whose shapes are proves little.
func TestGenerateIsUnderstood(t *testing.T) {
	for _, release := range []string{"7.2.22", "10.0.13", "11.1.3"} {
		v, err := qemu.ParseVersion(release)
		if err != nil {
			t.Fatal(err)
		}
		const shapes = 500
		good, options := 0, 0
		for n := range uint64(shapes) {
			s := generate(9, n, v, true)
			options += len(s.options)
			if _, err := predict(s, release); err == nil {
				good++
			}
		}
		if good < shapes*8/10 || options < shapes*10 {
			t.Errorf("%s: %d of %d shapes are understood, with %d options", release, good, shapes, options)
		}
	}
}

// TestShrink shortens to what it takes, and not below.
func TestShrink(t *testing.T) {
	s := given([]string{"-machine", "q35,hpet=off,smm=on", "-smp", "48", "-m", "8G", "-nodefaults", "-device", "e1000,addr=5,id=n", "-device", "edu"})
	tried := 0
	got := shrink(s, 500, func(c shape) bool {
		tried++
		args := quote(c.args())
		return strings.Contains(args, "smm=on") && strings.Contains(args, "e1000") && strings.Contains(args, "-smp") && !strings.Contains(args, "-smp 1 ")
	})
	if want := "-machine smm=on -smp 3 -device e1000"; quote(got.args()) != want {
		t.Errorf("got %s, want %s, after %d tries", quote(got.args()), want, tried)
	}
	tried = 0
	if got := shrink(s, 3, func(shape) bool { tried++; return false }); tried != 3 || len(got.options) != len(s.options) {
		t.Errorf("%d tries with a budget of 3, %d of %d options left", tried, len(got.options), len(s.options))
	}
}

func TestArgs(t *testing.T) {
	o := option{name: "device", words: []string{"virtio-net-pci", "addr=0x5", "multifunction=on", "mac=52:54:00:00:00:01", "vectors=4", "host_mtu=1500"}, json: true}
	want := `{"addr":"0x5","driver":"virtio-net-pci","host_mtu":1500,"mac":"52:54:00:00:00:01","multifunction":true,"vectors":4}`
	if got := o.object(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := (option{name: "object", words: []string{"memory-backend-ram", "size=4M"}, json: true}).object(); got != `{"driver":"memory-backend-ram","size":4194304}` {
		t.Errorf("got %s", got)
	}
}

// TestGiven: a command line that is given goes to QEMU word for word, empty words too.
func TestGiven(t *testing.T) {
	args := []string{"-M", "q35,hpet=off", "-m", "", "-nodefaults", "-device", `{"driver":"e1000","id":"a"}`, "-smp", ""}
	if got := given(args).args(); !slices.Equal(got, args) {
		t.Errorf("got %q, want %q", got, args)
	}
}
