package predict

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/qemu"
	"github.com/tdxkit/tdxkit/tdvf"
)

// A dstackVector is evidence of a real TD: an event log that replays to its quote, with what its host says of the VM.
type dstackVector struct {
	Config *struct {
		CPUs    int    `json:"cpu_count"`
		Memory  uint64 `json:"memory_size"`
		Release string `json:"qemu_version"`
		GPUs    int    `json:"num_gpus"`
		Hole64  uint64 `json:"pci_hole64_size"`
		NoPlug  bool   `json:"hotplug_off"`
	} `json:"vm_config"`
	RTMR0    string `json:"rtmr0"`
	EventLog []struct {
		IMR    int    `json:"imr"`
		Digest string `json:"digest"` // empty for runtime events of RTMR3
	} `json:"event_log"`
}

// args is the command line of the hosts that the vectors come from, as far as it reaches a measurement: two disks,
// network, vsock and a shared folder, and a passed-through H200 behind a root port where there is a GPU.
func (v *dstackVector) args() []string {
	c := v.Config
	args := []string{
		"-machine", "q35,kernel-irqchip=split,confidential-guest-support=tdx,hpet=off", "-object", "tdx-guest,id=tdx",
		"-cpu", "host", "-smp", fmt.Sprint(c.CPUs), "-m", fmt.Sprintf("%dM", c.Memory>>20), "-nodefaults", "-serial", "null",
		"-drive", "file=a,if=none,id=hd0", "-device", "virtio-blk-pci,drive=hd0",
		"-drive", "file=b,if=none,id=hd1", "-device", "virtio-blk-pci,drive=hd1",
		"-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0",
		"-device", "vhost-vsock-pci,guest-cid=3",
		"-virtfs", "local,path=/shared,mount_tag=host-shared,readonly=on,security_model=none,id=virtfs0",
	}
	for i := range c.GPUs {
		args = append(args, "-device", fmt.Sprintf("pcie-root-port,id=pci.%d,bus=pcie.0,chassis=%d", i+1, i+1),
			"-device", fmt.Sprintf("vfio-pci,host=41:00.0,bus=pci.%d,id=gpu%d", i+1, i))
	}
	if c.NoPlug {
		args = append(args, "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off")
	}
	if c.Hole64 != 0 {
		args = append(args, "-global", fmt.Sprintf("q35-pcihost.pci-hole64-size=%#x", c.Hole64))
	}
	return args
}

// dstackMetadata is the section table of dstack's firmware, of which the image is not at hand: the accepted ranges and
// the HOB's address are those of the witness in the hosts' vm_config (base 0x800000; 6 pages, HOB at 0x809000 with 2,
// 2 at 0x80b000, 16 at 0x810000).
func dstackMetadata(like *tdvf.Metadata) *tdvf.Metadata {
	m := *like
	m.Sections = nil
	for _, s := range like.Sections {
		if s.Type == tdvf.TempMem && s.MemoryAddress >= 0x810000 {
			s.MemoryAddress, s.MemoryDataSize = 0x810000, 0x10000
		}
		m.Sections = append(m.Sections, s)
	}
	return &m
}

// TestRealTDs predicts RTMR0 of real TDs. Their firmware is not at hand; what of it reaches RTMR0 (an empty variable
// store, UiApp's GUIDs and name) is the same in Debian's build of that release, but for the stack's place.
func TestRealTDs(t *testing.T) {
	f, err := NewFirmware(fixtures.Firmware(t, "ovmf-2025.02"))
	if err != nil {
		t.Fatal(err)
	}
	f.Metadata = dstackMetadata(f.Metadata)
	files, err := filepath.Glob(fixtures.Truth(t, "hardware", "dstack-vectors", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, file := range files {
		var v dstackVector
		if err := json.Unmarshal(fixtures.Read(t, file), &v); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if v.Config == nil {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) { v.compare(t, f) })
	}
}

func (v *dstackVector) compare(t *testing.T, f *Firmware) {
	release := v.Config.Release
	if strings.HasPrefix(release, "8.") {
		release += "-tdx"
	}
	m, err := qemu.ParseArgs(v.args(), release, qemu.ParseOptions{
		HostCPU: "SapphireRapids", BARs: map[string][]qemu.BAR{"gpu0": {{Index: 2, Size: 128 << 30, Kind: qemu.BARPref64}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	img := NewImage(f, anyKernel(t), nil)
	r, err := Measure(img, m, Options{Only: []mr.Register{mr.RTMR0}})
	if err != nil {
		t.Fatal(err)
	}
	if why := r.Unknown[mr.RTMR0]; why != "" {
		t.Fatalf("rtmr0 is unknown: %s", why)
	}
	var log []string
	for _, e := range v.EventLog {
		if e.IMR == 0 {
			log = append(log, e.Digest)
		}
	}
	for i, e := range r.Events {
		if i >= len(log) || e.Measured.Digest.String() != log[i] {
			t.Errorf("event %d, %s, %s: predicted %s, the log has %v", i, e.Rule, e.Measured.What, e.Measured.Digest, log[min(i, len(log)):])
		}
	}
	if r.Values[mr.RTMR0].String() != v.RTMR0 {
		t.Errorf("rtmr0 = %s, the quote has %s", r.Values[mr.RTMR0], v.RTMR0)
	}
}
