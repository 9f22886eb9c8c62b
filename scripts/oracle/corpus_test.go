package main

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/ovmf/pcibus"
	"github.com/tdxkit/tdxkit/qemu"
)

// TestCorpus compares with what real QEMUs said of shapes that once differed, and of some that never did.
func TestCorpus(t *testing.T) {
	cases, names := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "acpi-random", "shapes.tar.zst"))
	releases := map[string]int{}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			var c keptShape
			if err := json.Unmarshal(cases[name]["config.json"], &c); err != nil {
				t.Fatal(err)
			}
			s := given(c.Args)
			s.files = c.Inputs
			p, err := predict(s, c.Release)
			if err != nil {
				t.Fatalf("%s: %v", quote(c.Args), err)
			}
			r := &record{files: map[string][]byte{}, cpu: c.CPU}
			for _, item := range append([]string{bootMenu}, wanted...) {
				if b, ok := cases[name][fileName(item)]; ok {
					r.files[item] = b
				}
			}
			for _, d := range p.compare(r) {
				t.Errorf("%s\n%s: %s", quote(c.Args), d.what, d.detail)
			}
			releases[c.Release]++
		})
	}
	if len(releases) < 4 || len(names) < 60 {
		t.Errorf("%d shapes of %v", len(names), releases)
	}
}

// TestRefused are shapes whose tables differed and of which it cannot be known what firmware makes.
func TestRefused(t *testing.T) {
	for _, args := range [][]string{
		{"-machine", "q35", "-device", "pxb-pcie,bus_nr=1", "-device", "pcie-root-port,id=p,io-reserve=0", "-device", "virtio-rng-pci-transitional,bus=p"},
	} {
		_, err := predict(given(args), "10.0.13")
		if !errors.Is(err, pcibus.ErrUnsupported) && !errors.Is(err, qemu.ErrUnsupported) {
			t.Errorf("%s: got %v, want a refusal", quote(args), err)
		}
	}
}
