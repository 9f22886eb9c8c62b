package predict

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tdxkit/tdxkit/mr"
)

// TestWorkAhead holds that what is hashed ahead, all at once, is what Measure would hash, and all of the tables.
func TestWorkAhead(t *testing.T) {
	for _, name := range []string{"ovmf-2026.08", "inteltdx-2026.08"} {
		t.Run(name, func(t *testing.T) {
			m, o := parse(t, "10.2.2", plainArgs("-device", "virtio-net-pci")), Options{}
			want, err := Measure(plainImage(t, name), m, o)
			if err != nil {
				t.Fatal(err)
			}
			img := plainImage(t, name)
			DecodeFirmware(img.Firmware, o)
			work := append(FirmwareHashes(img.Firmware, m, o), KernelHashes(img, m, o)...)
			work = append(work, TableHashes(img, m, o)...)
			if len(work) != 4 {
				t.Errorf("%d pieces of work, want those of MRTD, CFV, kernel and tables", len(work))
			}
			var all sync.WaitGroup
			for _, w := range work {
				all.Go(w.Do)
			}
			all.Wait()
			tables := len(img.tables.sums)
			if tables == 0 {
				t.Error("no table is hashed")
			}
			got, err := Measure(img, m, o)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("registers differ from those without work ahead (-want +got):\n%s", d)
			}
			if n := len(img.tables.sums); n != tables {
				t.Errorf("Measure hashed %d more tables", n-tables)
			}
		})
	}
}

// TestWorkAheadOnly holds that nothing is hashed ahead for registers that are not asked for.
func TestWorkAheadOnly(t *testing.T) {
	img, m, o := plainImage(t, "ovmf-2026.08"), parse(t, "10.2.2", plainArgs()), Options{Only: []mr.Register{mr.RTMR2}}
	if n := len(FirmwareHashes(img.Firmware, m, o)) + len(KernelHashes(img, m, o)) + len(TableHashes(img, m, o)); n > 0 {
		t.Errorf("%d pieces of work for RTMR2 alone, want none", n)
	}
}
