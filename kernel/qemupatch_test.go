package kernel_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/kernel"
)

// describe prints patches as "field@offset=hex".
func describe(patches []kernel.Patch) string {
	var out []string
	for _, p := range patches {
		out = append(out, fmt.Sprintf("%s@%x=%s", p.Field, p.Off, hex.EncodeToString(p.Bytes)))
	}
	return strings.Join(out, " ")
}

const (
	gib     = 1 << 30
	acpi    = 0x28000
	noVideo = "type_of_loader@210=b0 loadflags@211=81 "
	rest    = "heap_end_ptr@224=00fe cmd_line_ptr@228=00000200"
)

func TestQEMUPatch(t *testing.T) {
	for _, tc := range []struct {
		name  string
		build func(*build)
		opts  kernel.PatchOptions
		want  string
	}{
		{"no initrd", nil, kernel.PatchOptions{LowRAM: 2 * gib, ACPIDataSize: acpi}, noVideo + rest},
		// 0x80000000 - 0x28000 - 1 - 0x1000, on a page
		{"initrd below the end of low RAM", nil, kernel.PatchOptions{LowRAM: 2 * gib, ACPIDataSize: acpi, HasInitrd: true, InitrdSize: 0x1000},
			noVideo + "ramdisk_image@218=0060fd7f ramdisk_size@21c=00100000 " + rest},
		{"initrd of one byte", nil, kernel.PatchOptions{LowRAM: 2 * gib, ACPIDataSize: acpi, HasInitrd: true, InitrdSize: 1},
			noVideo + "ramdisk_image@218=0070fd7f ramdisk_size@21c=01000000 " + rest},
		{"initrd_addr_max without CAN_BE_LOADED_ABOVE_4G", func(b *build) { b.xloadflags, b.initrdAddrMax = 0x7d, 0x37ffffff },
			kernel.PatchOptions{LowRAM: 2 * gib, ACPIDataSize: acpi, HasInitrd: true, InitrdSize: 0x1000},
			noVideo + "ramdisk_image@218=00e0ff37 ramdisk_size@21c=00100000 " + rest},
		{"xloadflags count from protocol 2.12 on", func(b *build) { b.protocol, b.initrdAddrMax = 0x020b, 0x37ffffff },
			kernel.PatchOptions{LowRAM: 2 * gib, ACPIDataSize: acpi, HasInitrd: true, InitrdSize: 0x1000},
			noVideo + "ramdisk_image@218=00e0ff37 ramdisk_size@21c=00100000 " + rest},
		{"initrd_addr_max above low RAM", func(b *build) { b.xloadflags = 0 },
			kernel.PatchOptions{LowRAM: gib, ACPIDataSize: acpi, HasInitrd: true, InitrdSize: 0x1000},
			noVideo + "ramdisk_image@218=0060fd3f ramdisk_size@21c=00100000 " + rest},
		{"loadflags are added to", func(b *build) { b.loadflags = 0x23 }, kernel.PatchOptions{LowRAM: gib, ACPIDataSize: acpi},
			"type_of_loader@210=b0 loadflags@211=a3 " + rest},
		{"vga=ask", nil, kernel.PatchOptions{LowRAM: gib, ACPIDataSize: acpi, Cmdline: "quiet vga=ask"}, "vid_mode@1fa=fdff " + noVideo + rest},
		{"vga=normal", nil, kernel.PatchOptions{LowRAM: gib, ACPIDataSize: acpi, Cmdline: "vga=normal quiet"}, "vid_mode@1fa=ffff " + noVideo + rest},
		{"vga=extended", nil, kernel.PatchOptions{LowRAM: gib, ACPIDataSize: acpi, Cmdline: "vga=extended"}, "vid_mode@1fa=feff " + noVideo + rest},
		{"vga decimal", nil, kernel.PatchOptions{LowRAM: gib, ACPIDataSize: acpi, Cmdline: "vga=791 x"}, "vid_mode@1fa=1703 " + noVideo + rest},
		{"vga hexadecimal", nil, kernel.PatchOptions{LowRAM: gib, ACPIDataSize: acpi, Cmdline: "vga=0x317"}, "vid_mode@1fa=1703 " + noVideo + rest},
		{"vga octal", nil, kernel.PatchOptions{LowRAM: gib, ACPIDataSize: acpi, Cmdline: "vga=010"}, "vid_mode@1fa=0800 " + noVideo + rest},
		{"vga keeps 16 bits", nil, kernel.PatchOptions{LowRAM: gib, ACPIDataSize: acpi, Cmdline: "vga=0x12345678"}, "vid_mode@1fa=7856 " + noVideo + rest},
		{"the first vga counts, in any word", nil, kernel.PatchOptions{LowRAM: gib, ACPIDataSize: acpi, Cmdline: "nvga=1 vga=2"}, "vid_mode@1fa=0100 " + noVideo + rest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBuild()
			if tc.build != nil {
				tc.build(&b)
			}
			img, err := kernel.Parse(b.bytes())
			if err != nil {
				t.Fatal(err)
			}
			patches, err := kernel.QEMUPatch(img, tc.opts)
			if got := describe(patches); err != nil || got != tc.want {
				t.Errorf("got  %s, %v\nwant %s", got, err, tc.want)
			}
			if _, err := img.AuthenticodePatched(patches); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestQEMUPatchRejects(t *testing.T) {
	initrd := func(low, size uint64) kernel.PatchOptions {
		return kernel.PatchOptions{LowRAM: low, ACPIDataSize: acpi, HasInitrd: true, InitrdSize: size}
	}
	cmdline := func(s string) kernel.PatchOptions {
		return kernel.PatchOptions{LowRAM: gib, ACPIDataSize: acpi, Cmdline: s}
	}
	for _, tc := range []struct {
		name  string
		build func(*build)
		opts  kernel.PatchOptions
	}{
		{"zImage", func(b *build) { b.loadflags = 0 }, kernel.PatchOptions{LowRAM: gib}},
		{"initrd as large as RAM", nil, initrd(gib, gib)},
		{"initrd one byte too large", nil, initrd(gib, gib-acpi-1)},
		{"initrd larger than 4 GiB", nil, initrd(1<<40, 1<<32)},
		{"empty initrd", nil, initrd(gib, 0)},
		{"less RAM than ACPI data", nil, initrd(acpi, 1)},
		{"no RAM", nil, initrd(0, 1)},
		{"vga empty", nil, cmdline("vga=")},
		{"vga empty before a blank", nil, cmdline("vga= quiet")},
		{"vga unknown word", nil, cmdline("vga=current")},
		{"vga number with a tail", nil, cmdline("vga=791,quiet")},
		{"vga number before a tab", nil, cmdline("vga=791\tquiet")},
		{"vga octal with an 8", nil, cmdline("vga=08")},
		{"vga 0x alone", nil, cmdline("vga=0x")},
		{"vga too large", nil, cmdline("vga=4294967296")},
		{"vga with a sign", nil, cmdline("vga=-1")},
	} {
		b := newBuild()
		if tc.build != nil {
			tc.build(&b)
		}
		img, err := kernel.Parse(b.bytes())
		if err != nil {
			t.Fatal(err)
		}
		if p, err := kernel.QEMUPatch(img, tc.opts); !errors.Is(err, kernel.ErrBoot) {
			t.Errorf("%s: %s, %v, want ErrBoot", tc.name, describe(p), err)
		}
	}
}

func TestLoadOptions(t *testing.T) {
	for _, tc := range []struct {
		cmdline string
		order   kernel.InitrdOrder
		want    string // characters of one byte each, without the NUL; "-" for no event
	}{
		{"", kernel.NoInitrd, "-"},
		{"", kernel.InitrdAfter, " initrd=initrd"},
		{"", kernel.InitrdBefore, "initrd=initrd "},
		{"a b", kernel.NoInitrd, "a b"},
		{"a b", kernel.InitrdAfter, "a b initrd=initrd"},
		{"a b", kernel.InitrdBefore, "initrd=initrd a b"},
		{" a ", kernel.InitrdAfter, " a  initrd=initrd"},
		{"x=\xc3\xa9\xff", kernel.NoInitrd, "x=\xc3\xa9\xff"},
	} {
		got, err := kernel.LoadOptions(tc.cmdline, tc.order)
		var want []byte
		if tc.want != "-" {
			for _, c := range []byte(tc.want + "\x00") {
				want = append(want, c, 0)
			}
		}
		if err != nil || hex.EncodeToString(got) != hex.EncodeToString(want) || (got == nil) != (want == nil) {
			t.Errorf("LoadOptions(%q, %d) = %x, %v, want %x", tc.cmdline, tc.order, got, err, want)
		}
	}
	if _, err := kernel.LoadOptions("a\x00b", kernel.NoInitrd); !errors.Is(err, kernel.ErrCmdline) {
		t.Errorf("a NUL in the command line: %v, want ErrCmdline", err)
	}
}
