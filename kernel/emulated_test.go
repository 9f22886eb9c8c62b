package kernel_test

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/kernel"
)

// A bootVector is an emulated TD's configuration and events, as far as the kernel goes.
type bootVector struct {
	QEMU    string `json:"qemu_version"`
	Memory  string `json:"memory"`
	Machine string `json:"machine"`
	Kernel  string `json:"kernel"`
	Initrd  string `json:"initrd"`
	Cmdline string `json:"cmdline"`
}

type bootEvent struct {
	RTMR   int    `json:"rtmr"`
	Digest string `json:"digest"`
	Type   string `json:"event_type"`
	Data   string `json:"event_data"`
}

// TestEmulatedBoots derives the kernel's, the command line's and the initrd's events of every emulated TD that boots a
// kernel directly. Whether the kernel is patched, and where initrd= stands, is a fact of the releases in the folder's
// name, which is for other packages to know; here it is spelled out. A shim measures itself first, and its own variables.
func TestEmulatedBoots(t *testing.T) {
	archives, _ := filepath.Glob(filepath.Join(fixtures.Dir(), "emulated", "*.tar.zst"))
	if len(archives) == 0 {
		t.Fatal("no archives of emulated TDs")
	}
	var seen, patched int
	kernels := kernelCache{map[string]*kernel.Image{}, map[string][48]byte{}}
	for _, path := range archives {
		firmware := strings.TrimSuffix(filepath.Base(path), ".tar.zst")
		cases, names := fixtures.Cases(t, path)
		for _, name := range names {
			t.Run(firmware+"/"+name, func(t *testing.T) {
				var v bootVector
				var events []bootEvent
				decode(t, cases[name]["config.json"], &v)
				decode(t, cases[name]["events.json"], &events)
				if strings.HasSuffix(name, "/shim") {
					events = behindShim(events)
				}
				if v.Kernel == "" || !hasImageEvent(events) {
					t.Skip("not a direct boot, or no kernel was measured")
				}
				isPatched := checkBoot(t, kernels, firmware, name, v, events)
				seen++
				if isPatched {
					patched++
				}
			})
		}
	}
	t.Logf("%d direct boots compared, %d of them with a patched kernel", seen, patched)
	if seen == 0 || patched == 0 {
		t.Errorf("%d direct boots, %d patched: the evidence is not being read", seen, patched)
	}
}

// behindShim drops the shim's own image event and its variables (EV_IPL).
func behindShim(events []bootEvent) (out []bootEvent) {
	shim := true
	for _, e := range events {
		switch {
		case e.Type == "EV_IPL":
		case e.Type == "EV_EFI_BOOT_SERVICES_APPLICATION" && shim:
			shim = false
		default:
			out = append(out, e)
		}
	}
	return out
}

func hasImageEvent(events []bootEvent) bool {
	for _, e := range events {
		if e.Type == "EV_EFI_BOOT_SERVICES_APPLICATION" {
			return true
		}
	}
	return false
}

// A kernelCache keeps what was worked out for one boot and serves for others.
type kernelCache struct {
	images  map[string]*kernel.Image
	digests map[string][48]byte // by kernel and patches
}

func (c kernelCache) image(t *testing.T, name string) (*kernel.Image, error) {
	t.Helper()
	if img, ok := c.images[name]; ok {
		return img, nil
	}
	img, err := kernel.Parse(fixtures.Kernel(t, name))
	c.images[name] = img
	return img, err
}

func (c kernelCache) digest(name string, img *kernel.Image, patches []kernel.Patch) ([48]byte, error) {
	key := name + " " + describe(patches)
	if d, ok := c.digests[key]; ok {
		return d, nil
	}
	d, err := img.AuthenticodePatched(patches)
	c.digests[key] = d
	return d, err
}

// checkBoot compares one vector's events with what kernel predicts, and reports whether its kernel is patched.
func checkBoot(t *testing.T, kernels kernelCache, firmware, name string, v bootVector, events []bootEvent) bool {
	t.Helper()
	img, err := kernels.image(t, filepath.Base(v.Kernel))
	if err != nil {
		t.Fatal(err)
	}
	var patches []kernel.Patch
	isPatched := strings.HasPrefix(v.QEMU, "9.") || strings.Contains(name, "nobootkernel")
	if isPatched {
		opts := kernel.PatchOptions{LowRAM: lowRAM(t, v), ACPIDataSize: 0x28000, Cmdline: v.Cmdline}
		if v.Initrd != "" {
			opts.HasInitrd, opts.InitrdSize = true, uint64(len(fixtures.Kernel(t, filepath.Base(v.Initrd))))
		}
		if patches, err = kernel.QEMUPatch(img, opts); err != nil {
			t.Fatal(err)
		}
	}
	digest, err := kernels.digest(filepath.Base(v.Kernel), img, patches)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"1 " + hex.EncodeToString(digest[:])}
	want = append(want, rtmr2(t, firmware, v, img)...)

	var got []string
	for _, e := range events {
		if e.Type == "EV_EFI_BOOT_SERVICES_APPLICATION" || e.RTMR == 2 {
			got = append(got, fmt.Sprint(e.RTMR, " ", e.Digest))
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("events\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	return isPatched
}

// rtmr2 returns the stub's events, if the kernel's bytes say that it has any.
func rtmr2(t *testing.T, firmware string, v bootVector, img *kernel.Image) []string {
	t.Helper()
	m := img.StubMeasures()
	if m.LoadOptions != m.Initrd || m.LoadOptions == kernel.Unknown {
		t.Fatalf("StubMeasures is %+v", m)
	}
	if m.LoadOptions == kernel.No {
		return nil
	}
	order := kernel.InitrdBefore
	if firmware < "ovmf-2025.08" && strings.HasPrefix(firmware, "ovmf-") {
		order = kernel.InitrdAfter
	}
	if v.Initrd == "" {
		order = kernel.NoInitrd
	}
	var out []string
	opts, err := kernel.LoadOptions(v.Cmdline, order)
	if err != nil {
		t.Fatal(err)
	}
	if opts != nil {
		sum := sha512.Sum384(opts)
		out = append(out, "2 "+hex.EncodeToString(sum[:]))
	}
	if v.Initrd != "" {
		sum, _, err := kernel.HashInitrd(strings.NewReader(string(fixtures.Kernel(t, filepath.Base(v.Initrd)))))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, "2 "+hex.EncodeToString(sum[:]))
	}
	return out
}

// lowRAM returns q35's RAM below 4 GiB: all of it up to 0xb0000000 bytes, else 2 GiB. QEMU v10.2.2, hw/i386/pc_q35.c,
// pc_q35_init.
func lowRAM(t *testing.T, v bootVector) uint64 {
	t.Helper()
	var n uint64
	var unit string
	if _, err := fmt.Sscanf(v.Memory, "%d%s", &n, &unit); err != nil || strings.Contains(v.Machine, "max-ram-below-4g") {
		t.Fatalf("memory %q, machine %q: %v", v.Memory, v.Machine, err)
	}
	n *= map[string]uint64{"M": 1 << 20, "G": 1 << 30}[unit]
	if n >= 0xb0000000 {
		return 0x80000000
	}
	return n
}

func decode(t *testing.T, data []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}
