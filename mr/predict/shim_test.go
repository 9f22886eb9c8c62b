package predict

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/kernel"
	"github.com/tdxkit/tdxkit/kernel/shim"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/qemu"
)

// TestShimNote wants a word on what the release of a shim does not tell.
func TestShimNote(t *testing.T) {
	img := NewImage(firmware(t, "ovmf-2026.08"), anyKernel(t), nil)
	for i, want := range []bool{false, true} {
		args := plainArgs()
		if want {
			img.Shim, args = debianShim(t, "", ""), plainArgs("-shim", "s")
		}
		r, err := Measure(img, parse(t, "10.2.2", args), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(r.Notes, "\n"), "release 16.1"); got != want {
			t.Errorf("boot %d: notes %q, want one of the shim: %v", i, r.Notes, want)
		}
	}
}

// debianShim is Debian's shim with the given bytes in place of others.
func debianShim(t *testing.T, old, with string) *shim.Image {
	t.Helper()
	data := bytes.Replace(fixtures.File(t, "kernel", "shimx64-16.1.efi.zst"), []byte(old), []byte(with), 1)
	s, err := shim.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestShimUnknown has one case for each way in which it is not known what a shim does.
func TestShimUnknown(t *testing.T) {
	good := debianShim(t, "", "")
	noCommandLine := slicesWithout(plainArgs("-shim", "s"), "-append", "-initrd")
	withSBAT, err := kernel.Parse(bytes.Replace(fixtures.Kernel(t, "vmlinuz-6.12-cloud"), []byte(".compat\x00"), []byte(".sbat\x00\x00\x00"), 1))
	if err != nil {
		t.Fatal(err)
	}
	old, err := kernel.Parse(bytes.Replace(fixtures.Kernel(t, "vmlinuz-6.12-cloud"), []byte(".compat\x00"), []byte(".reloc\x00\x00"), 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, firmware string
		shim           *shim.Image
		args           []string
		want           string // empty where all is known
	}{
		{"known", "ovmf-2026.08", good, plainArgs("-shim", "s"), ""},
		{"no file", "ovmf-2026.08", nil, plainArgs("-shim", "s"), "its file is not"},
		{"another release", "ovmf-2026.08", debianShim(t, "$Version: 16.1", "$Version: 15.8"), plainArgs("-shim", "s"), `release "15.8"`},
		{"no release", "ovmf-2026.08", debianShim(t, "UEFI SHIM\n", "UEFI SHIN\n"), plainArgs("-shim", "s"), `release ""`},
		{"an odd list", "ovmf-2026.08", debianShim(t, "\xb2\x03\x00\x00\x30\x82\x03\x9e", "\xb2\x03\x00\x00\x31\x82\x03\x9e"), plainArgs("-shim", "s"), "what the shim measures is not known"},
		{"a kernel with a section .reloc", "ovmf-2026.08", good, plainArgs("-shim", "s"), "the shim does not load the kernel: its section .reloc"},
		{"no command line", "ovmf-2026.08", good, noCommandLine, "empty command line"},
		{"Secure Boot and a kernel with .sbat", "inteltdx-2026.08", good, plainArgs("-shim", "s"), "whether the shim starts the kernel, and on whose word, is not predicted"},
		{"Secure Boot", "inteltdx-2026.08", good, plainArgs("-shim", "s"), "the shim does not start the kernel: the kernel has no .sbat"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			img := NewImage(firmware(t, tc.firmware), anyKernel(t), nil)
			if strings.HasSuffix(tc.name, ".sbat") {
				img.Kernel = withSBAT
			}
			if strings.HasSuffix(tc.name, ".reloc") {
				img.Kernel = old
			}
			img.Shim = tc.shim
			r, err := Measure(img, parse(t, "10.2.2", tc.args), Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, reg := range allRTMRs {
				if why := r.Unknown[reg]; (why == "") != (tc.want == "") || !strings.Contains(why, tc.want) {
					t.Errorf("%s is unknown because %q, want %q", reg, why, tc.want)
				}
			}
		})
	}
}

// slicesWithout takes options and their values out.
func slicesWithout(args []string, options ...string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		if strings.Contains(strings.Join(options, " ")+" ", args[i]+" ") {
			i++
			continue
		}
		out = append(out, args[i])
	}
	return out
}

// TestShimIsIgnored gives a shim to firmware that knows none, and a platform of which that is not known.
func TestShimIsIgnored(t *testing.T) {
	p := &platform{Image: &Image{Kernel: anyKernel(t)}, machine: parse(t, "10.2.2", plainArgs("-shim", "s")), profile: &Profile{Measures: Yes, NamedBlobs: No}}
	if why, err := shimUnknown(p); why != "" || err != nil || shimmed(p) != No {
		t.Errorf("%q, %v, %v", why, err, shimmed(p))
	}
	p.profile.NamedBlobs = Unknown
	if why, err := shimUnknown(p); !strings.Contains(why, "whether the firmware starts the shim") || err != nil {
		t.Errorf("%q, %v", why, err)
	}
	p.machine.Files = qemu.Files{}
	if shimmed(p) != No {
		t.Error("a shim is started that is not given")
	}
}

// TestShimBySecureBoot wants the firmware's word on the shim, not on the kernel, which db has.
func TestShimBySecureBoot(t *testing.T) {
	img := NewImage(enrolled(t, sigList(efi.CertX509, debianCA(t)), nil), anyKernel(t), nil)
	img.Shim = debianShim(t, "", "")
	r, err := Measure(img, parse(t, "10.2.2", plainArgs("-shim", "s")), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if why := r.Unknown[mr.RTMR0]; !strings.Contains(why, "the firmware does not start the shim: no signature of it leads") {
		t.Errorf("RTMR0 is unknown because %q", why)
	}
}

// shimEvents are those of a boot through a shim.
func shimEvents(t *testing.T) []mr.Event {
	t.Helper()
	img := plainImage(t, "ovmf-2026.08")
	img.Shim = debianShim(t, "", "")
	r, err := Measure(img, parse(t, "10.2.2", plainArgs("-shim", "s")), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Events
}
