package qemu

import (
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// configFile is a configuration file as -writeconfig of old wrote it, and as QEMU's docs/config have it.
const configFile = `# qemu config file
[machine]
  type = "q35"
  accel = "kvm"

[memory]
  size = "2048"
  maxmem = "8G"
  slots = "4"
[smp-opts]
  cpus = "4"
  cpus = "2"
[boot-opts]
  menu = "on"
[global]
  driver = "ICH9-LPC"
  property = "disable_s3"
  value = "1"
[device "rp1"]
  driver = "pcie-root-port"
  addr = "1c.0"
[device]
  driver = "virtio-net-pci"
  bus = "rp1"
  netdev = "n0"
[netdev "n0"]
  type = "user"
[object "mem0"]
  qom-type = "memory-backend-ram"
  size = "1G"
[fw_cfg]
  name = "opt/a"
  string = "b,c"
`

// files returns a ReadFile of one file, "f".
func files(text string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if name != "f" {
			return nil, fs.ErrNotExist
		}
		return []byte(text), nil
	}
}

func TestReadConfig(t *testing.T) {
	got, err := ParseArgs([]string{"-readconfig", "f", "-device", "edu"}, testRelease, ParseOptions{ReadFile: files(configFile)})
	if err != nil {
		t.Fatal(err)
	}
	want, err := ParseArgs([]string{"-M", "q35,accel=kvm", "-m", "2048,maxmem=8G,slots=4", "-smp", "2", "-boot", "menu=on", "-global", "ICH9-LPC.disable_s3=1",
		"-device", "pcie-root-port,id=rp1,addr=1c.0", "-device", "virtio-net-pci,bus=rp1,netdev=n0",
		"-object", "memory-backend-ram,id=mem0,size=1G", "-fw_cfg", "opt/a,string=b,,c", "-device", "edu"}, testRelease, ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestReadConfigNIC: what a configuration file has of networks leaves the default device there, behind those of the file. So it
// is with QEMU 7.2.22 and 11.1.3.
func TestReadConfigNIC(t *testing.T) {
	for _, tc := range []struct {
		text string
		want []string
	}{
		{"[net]\n  type = \"nic\"\n  model = \"e1000\"\n", []string{"e1000", "e1000e"}},
		{"[nic]\n  type = \"user\"\n  model = \"e1000\"\n", []string{"e1000", "e1000e"}},
		{"[netdev \"n\"]\n  type = \"user\"\n", []string{"e1000e"}},
	} {
		for option, without := range map[string]int{"-S": 0, "-nodefaults": 1} {
			m, err := ParseArgs([]string{"-M", "q35", "-vga", "none", option, "-readconfig", "f"}, testRelease, ParseOptions{ReadFile: files(tc.text)})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range m.Root.Devices {
				if !d.BuiltIn {
					got = append(got, d.Driver)
				}
			}
			if want := tc.want[:len(tc.want)-without]; !slices.Equal(got, want) {
				t.Errorf("%s %q: got %q, want %q", option, tc.text, got, want)
			}
		}
	}
}

func TestReadConfigRefused(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"[frob]\n", "group [frob] is not known"},
		{"[smbios]\n  type = \"1\"\n", "group [smbios]"},
		{"[machin]\n", "did you mean machine"},
		{"[]\n", "line 1 is no group"},
		{"[machine\n", "line 1 is no group"},
		{"[device \"a]\n", "line 1 is no group"},
		{"[device a]\n", "line 1 is no group"},
		{"type = \"q35\"\n", "line 1 stands before any group"},
		{"[machine]\ntype=\"q35\"\n", "line 2 is no pair"},
		{"[machine]\ntype = q35\n", "line 2 is no pair"},
		{"[machine]\ntype = \"q35\n", "line 2 is no pair"},
		{"[machine]\n  \n", "line 2 is no pair"},
		{"[machine]\r\n\r\n", "line 2 is no pair"},
		{"[machine]\n a,b = \"c\"\n", "line 2 is no pair"},
		{"[machine]\n  type = \"" + strings.Repeat("q", 1100) + "\"\n", "line 2 is too long"},
		{"[machine]\n  type = \"q35\"\n  hpte = \"off\"\n", "did you mean hpet"},
		{"[device]\n  id = \"x\"\n", `"driver" is missing`},
	} {
		m, err := ParseArgs([]string{"-M", "q35", "-readconfig", "f"}, testRelease, ParseOptions{ReadFile: files(tc.text)})
		if m != nil || err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v; want %q", tc.text, err, tc.want)
		}
	}
	if _, err := ParseArgs([]string{"-M", "q35", "-readconfig", "g"}, testRelease, ParseOptions{ReadFile: files("")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := ParseArgs([]string{"-M", "q35", "@args"}, testRelease, ParseOptions{}); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "no arguments from a file") {
		t.Errorf("@args: %v", err)
	}
}

func TestParseCommand(t *testing.T) {
	for _, line := range []string{
		"qemu-system-x86_64 -M q35 -m 3G", "-M q35 -m 3G", "/usr/bin/qemu -M q35 -m 3G",
		"LC_ALL=C PATH=/usr/bin:/bin HOME=/var/lib/a_1 /usr/bin/qemu-system-x86_64 -M q35 -m 3G", "A= kvm -M q35 -m 3G",
	} {
		m, err := ParseCommand(strings.Fields(line), testRelease, ParseOptions{})
		if err != nil || m.RAM != 3<<30 {
			t.Errorf("%s: %v", line, err)
		}
	}
	// What is no name of a variable is the program, and what follows an image.
	if _, err := ParseCommand([]string{"1a=b", "kvm", "x=y", "-M", "q35,sata=off"}, testRelease, ParseOptions{}); err == nil {
		t.Error("an image without a controller: no error")
	}
}
