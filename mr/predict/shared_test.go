package predict

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/qemu"
)

// sharingShapes are shapes that have much in common, in an order in which their tables grow and shrink.
func sharingShapes(t *testing.T) []*qemu.Machine {
	var list []*qemu.Machine
	for _, device := range []string{"virtio-rng-pci", "virtio-balloon-pci"} {
		for _, cpus := range []int{1, 60, 300, 2} {
			for _, memory := range []int{512, 1024, 8192, 512, 4096} {
				list = append(list, parse(t, "10.2.2", plainArgs("-device", device, "-smp", fmt.Sprint(cpus), "-m", fmt.Sprint(memory))))
			}
		}
	}
	return list
}

// TestShapesShare predicts shapes one after the other and all at a time, with an image of their own and with one that they
// share, with the bytes of events and without: the digests are the same, and bytes that are kept are those that were hashed.
func TestShapesShare(t *testing.T) {
	const name = "ovmf-2026.08"
	machines := sharingShapes(t)
	shared := plainImage(t, name)
	alone := make([]*Result, len(machines))
	kept := make([]*Result, len(machines))
	measure := func(img *Image, m *qemu.Machine, o Options) *Result {
		r, err := Measure(img, m, o)
		if err != nil {
			t.Error(err)
			return &Result{}
		}
		return r
	}
	for i, m := range machines {
		img := NewImage(shared.Firmware, shared.Kernel, shared.Initrd)
		img.stubOnce.Do(func() { img.stubs = shared.stub() }) // to decompress the kernel takes long
		alone[i] = measure(img, m, Options{})
	}
	var wg sync.WaitGroup
	for i, m := range machines {
		wg.Go(func() {
			kept[i] = measure(shared, m, Options{})
			for range 3 {
				r := measure(shared, m, Options{OmitBytes: true})
				if d := cmp.Diff(alone[i].Values, r.Values); d != "" {
					t.Errorf("shape %d without bytes (-alone +shared):\n%s", i, d)
				}
				if slices.ContainsFunc(r.Events, func(e mr.Event) bool { return e.Measured.Bytes != nil }) {
					t.Errorf("shape %d: an event has its bytes", i)
				}
			}
		})
	}
	wg.Wait()
	for i := range machines {
		if !reflect.DeepEqual(alone[i], kept[i]) {
			t.Errorf("shape %d: the results differ; values (-alone +shared):\n%s", i, cmp.Diff(alone[i].Values, kept[i].Values))
		}
		made := 0
		for _, e := range kept[i].Events {
			if e.Measured.Bytes != nil {
				made++
				if got := mr.Sum(e.Measured.Bytes); got != e.Measured.Digest {
					t.Errorf("shape %d: %s: the bytes of %s hash to %s, want %s", i, e.Rule, e.Measured.What, got, e.Measured.Digest)
				}
			}
		}
		if made < 20 {
			t.Errorf("shape %d: %d events have bytes", i, made)
		}
	}
}

// TestFirmwareMeasuresOnce asks for what the firmware alone decides from several shapes, and with another profile.
func TestFirmwareMeasuresOnce(t *testing.T) {
	f := &Firmware{}
	asked := map[*Profile]int{}
	measure := ofFirmware(func(_ *Firmware, p *Profile) ([]Measurement, error) {
		asked[p]++
		return one(literal(p.Releases, nil)), nil
	})
	other := ofFirmware(separator)
	profiles := []*Profile{{Releases: "a"}, {Releases: "b"}}
	for range 3 {
		for _, profile := range profiles {
			p := &platform{Image: &Image{Firmware: f}, profile: profile}
			if ms, err := measure(p); err != nil || ms[0].What != profile.Releases {
				t.Errorf("measured %v, %v, want %s", ms, err, profile.Releases)
			}
			if ms, err := other(p); err != nil || ms[0].What != "separator" {
				t.Errorf("measured %v, %v, want a separator", ms, err)
			}
		}
	}
	if asked[profiles[0]] != 1 || asked[profiles[1]] != 1 {
		t.Errorf("measured %d and %d times, want once each", asked[profiles[0]], asked[profiles[1]])
	}
}

// TestAllocations bounds what a shape costs beside its time: with the bytes left out, the number of allocations does not
// follow the size of the tables, and there are at most 400 and two for each vCPU.
func TestAllocations(t *testing.T) {
	img := plainImage(t, "ovmf-2026.08")
	for _, cpus := range []int{1, 100, 500} {
		memory := 512
		got := testing.AllocsPerRun(20, func() {
			memory += 16 // other tables each time
			m := parse(t, "10.2.2", plainArgs("-smp", fmt.Sprint(cpus), "-m", fmt.Sprint(memory)))
			if _, err := Measure(img, m, Options{OmitBytes: true}); err != nil {
				t.Fatal(err)
			}
		})
		t.Logf("%d vCPUs: %.0f allocations", cpus, got)
		if limit := float64(400 + 2*cpus); got > limit {
			t.Errorf("%d vCPUs: %.0f allocations, want at most %.0f", cpus, got, limit)
		}
	}
}
