package qemu

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const passthrough = "-M q35 -nodefaults -device pcie-root-port,id=p1,chassis=1 -device pcie-root-port,id=p2,chassis=2 " +
	"-device vfio-pci,host=19:00.0,id=gpu0,bus=p1 -device vfio-pci,host=0000:83:00.0,bus=p2"

// TestHostDevices names devices by id, by address and all at once, and gives BARs beside names.
func TestHostDevices(t *testing.T) {
	own := []BAR{pref64(0, 1<<30)}
	for _, tt := range []struct {
		names map[string]string
		bars  map[string][]BAR
		want  [2]string // names, or "own"
	}{
		{map[string]string{"gpu0": "nvidia-b200", "0000:83:00.0": "nvidia-nvswitch"}, nil, [2]string{"nvidia-b200", "nvidia-nvswitch"}},
		{map[string]string{AnyHostDevice: "nvidia-h200-sxm"}, nil, [2]string{"nvidia-h200-sxm", "nvidia-h200-sxm"}},
		{map[string]string{AnyHostDevice: "nvidia-h200-sxm", "0000:83:00.0": "nvidia-nvswitch"}, nil, [2]string{"nvidia-h200-sxm", "nvidia-nvswitch"}},
		{map[string]string{AnyHostDevice: "nvidia-h200-sxm", "gpu0": "nvidia-b300"}, map[string][]BAR{"gpu0": own}, [2]string{"own", "nvidia-h200-sxm"}},
	} {
		m, err := ParseArgs(strings.Fields(passthrough), testRelease, ParseOptions{HostDevices: tt.names, BARs: tt.bars})
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for _, d := range m.Root.Devices {
			if d.Bridge == nil {
				continue
			}
			want := own
			for _, h := range HostDevices() {
				if h.Name == tt.want[at] {
					want = h.BARs
				}
			}
			if got := d.Bridge.Devices[0].BARs; !slices.Equal(got, want) {
				t.Errorf("%v: device %d has %v, want those of %s", tt.names, at, got, tt.want[at])
			}
			at++
		}
	}
	for _, tt := range []struct {
		names map[string]string
		want  string
		err   error
	}{
		{nil, "--bar", ErrUnsupported},
		{map[string]string{"gpu0": "nvidia-h200-sxm"}, "--vfio", ErrUnsupported}, // the other device has no name
		{map[string]string{AnyHostDevice: "nvidia-h20-sxm"}, "nvidia-h200-sxm", ErrUnknown},
		{map[string]string{AnyHostDevice: "frobnicator"}, "connectx-7", ErrUnknown},
	} {
		_, err := ParseArgs(strings.Fields(passthrough), testRelease, ParseOptions{HostDevices: tt.names})
		if !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %v, want one with %s", tt.names, err, tt.want)
		}
	}
	for _, d := range HostDevices() {
		if d.Cite == "" || len(d.BARs) == 0 || len(d.PCIID) != 9 {
			t.Errorf("%s: its row is not complete", d.Name)
		}
	}
}
