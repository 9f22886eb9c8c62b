package predict

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/kernel"
	"github.com/tdxkit/tdxkit/kernel/shim"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/qemu"
)

// A vector is one boot of real firmware in an emulated TD, as fixtures/emulated describes it.
type vector struct {
	firmware, name string
	files          map[string][]byte
	config         struct {
		QEMU   string   `json:"qemu_version"`
		Args   []string `json:"qemu_args"`
		Env    []string `json:"env"`
		Kernel string   `json:"kernel"`
		Initrd string   `json:"initrd"`
		Shim   string   `json:"shim"`
	}
	events []event
}

// An event is one of a vector's log.
type event struct {
	RTMR   int    `json:"rtmr"`
	Digest string `json:"digest"`
	Type   uint32 `json:"event_type_id"`
	Data   string `json:"event_data"`
}

// outOfScope says why a vector is not predicted, or "".
func (v *vector) outOfScope() string {
	switch {
	case v.config.Kernel == "":
		return "boot from disk"
	}
	return ""
}

func vectors(t *testing.T, firmware string) []*vector {
	t.Helper()
	cases, names := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "emulated", firmware+".tar.zst"))
	var out []*vector
	for _, n := range names {
		v := &vector{firmware: firmware, name: filepath.Base(n), files: cases[n]}
		for file, into := range map[string]any{"config.json": &v.config, "events.json": &v.events} {
			if err := json.Unmarshal(v.files[file], into); err != nil {
				t.Fatalf("%s/%s: %s: %v", firmware, v.name, file, err)
			}
		}
		out = append(out, v)
	}
	return out
}

var initrdOnce = map[string]*Initrd{}

// image parses what the vector boots.
func (v *vector) image(t *testing.T, f *Firmware) *Image {
	t.Helper()
	k, err := kernel.Parse(fixtures.Kernel(t, filepath.Base(v.config.Kernel)))
	if err != nil {
		t.Fatal(err)
	}
	var i *Initrd
	if v.config.Initrd != "" {
		name := filepath.Base(v.config.Initrd)
		if initrdOnce[name] == nil {
			data := fixtures.Kernel(t, name)
			initrdOnce[name] = &Initrd{Digest: mr.Sum(data), Size: int64(len(data))}
		}
		i = initrdOnce[name]
	}
	img := NewImage(f, k, i)
	if v.config.Shim != "" {
		if img.Shim, err = shim.Parse(fixtures.File(t, "kernel", "shimx64-16.1.efi.zst")); err != nil {
			t.Fatal(err)
		}
	}
	return img
}

// machine reads the vector's command line. Vectors that hide etc/boot/kernel stand for a QEMU without it.
func (v *vector) machine(t *testing.T) *qemu.Machine {
	t.Helper()
	m, err := qemu.ParseArgs(v.config.Args, v.config.QEMU, qemu.ParseOptions{TDX: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range v.config.Env {
		if e == "TDXEMU_NO_BOOT_KERNEL=1" {
			m.Traits.NoNamedBlobs = true
		}
	}
	return m
}

// TestFidelity predicts every boot of the emulated TDs from its inputs and compares each event, in order, and each
// register.
func TestFidelity(t *testing.T) {
	good, refused, all := 0, 0, 0
	out := map[string]int{}
	for _, firmware := range fixtures.FirmwareNames() {
		f, err := NewFirmware(fixtures.Firmware(t, firmware))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range vectors(t, firmware) {
			all++
			if why := v.outOfScope(); why != "" {
				out[why]++
				continue
			}
			ran := false // a test that is skipped does not fail, and proves nothing
			if t.Run(firmware+"/"+v.name, func(t *testing.T) { v.compare(t, f); ran = true }) && ran {
				good++
				if !v.started() {
					refused++
				}
			}
			if !ran && !t.Failed() {
				out["input is not in this repository"]++
			}
		}
	}
	leftOut := 0
	for why, n := range out {
		fmt.Printf("fidelity: left out: %3d %s\n", n, why)
		leftOut += n
	}
	fmt.Printf("fidelity: %d of %d emulated boots reproduced, every event in order (%d boots in all)\n", good-refused, all-leftOut-refused, all)
	fmt.Printf("fidelity: %d of %d emulated boots whose kernel does not start predicted as that\n", refused, refused)
}

func (v *vector) compare(t *testing.T, f *Firmware) {
	img := v.image(t, f)
	r, err := Measure(img, v.machine(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !v.started() {
		v.compareRefusal(t, r)
		return
	}
	for reg, why := range r.Unknown {
		t.Errorf("%s is unknown: %s", reg, why)
	}
	for i := 0; i < max(len(r.Events), len(v.events)); i++ {
		switch {
		case i >= len(r.Events):
			t.Errorf("event %d: none predicted, the log has rtmr%d type 0x%x %s", i, v.events[i].RTMR, v.events[i].Type, v.events[i].Digest[:16])
		case i >= len(v.events):
			t.Errorf("event %d: predicted %s, the log has none", i, r.Events[i].Rule)
		default:
			v.compareEvent(t, i, r.Events[i])
		}
	}
	var final map[string]json.RawMessage
	if err := json.Unmarshal(v.files["rtmr_final.json"], &final); err != nil {
		t.Fatal(err)
	}
	for _, reg := range Registers[1:] {
		if want, got := strings.Trim(string(final[reg.String()]), `"`), r.Values[reg].String(); want != got {
			t.Errorf("%s = %s, want %s", reg, got, want)
		}
	}
}

// started says whether a kernel took over from the firmware, as far as one that measures nothing lets us see.
func (v *vector) started() bool {
	action := hex.EncodeToString([]byte(actionExitInvocation))
	return len(v.events) == 0 || slices.ContainsFunc(v.events, func(e event) bool { return e.Data == action })
}

// compareRefusal holds the prediction to say, in words alone, that the kernel does not start.
func (v *vector) compareRefusal(t *testing.T, r *Result) {
	if len(r.Events) > 0 || len(r.Values) != 1 {
		t.Errorf("predicted %d events and %d registers of a boot in which the kernel does not start", len(r.Events), len(r.Values))
	}
	for _, reg := range allRTMRs {
		if why := r.Unknown[reg]; !strings.Contains(why, "does not start the kernel") {
			t.Errorf("%s is unknown because %q; the kernel does not start", reg, why)
		}
	}
}

func (v *vector) compareEvent(t *testing.T, i int, got mr.Event) {
	want := v.events[i]
	if int(got.Register-mr.RTMR0) != want.RTMR || uint32(got.Type) != want.Type || got.Measured.Digest.String() != want.Digest {
		t.Errorf("event %d: %s, %s: predicted %s %s %s, the log has rtmr%d 0x%x %s",
			i, got.Rule, got.Measured.What, got.Register, got.Type, got.Measured.Digest, want.RTMR, want.Type, want.Digest)
		return
	}
	if hostMade(got) {
		return
	}
	if data := hex.EncodeToString(got.Data); data != want.Data {
		t.Errorf("event %d: %s: event data is\n%s, the log has\n%s", i, got.Rule, data, want.Data)
	}
}

// hostMade tells the events whose data holds addresses that the firmware chooses at run time.
func hostMade(e mr.Event) bool {
	return slices.Contains([]mr.RuleID{"rtmr1.kernel", "rtmr1.shim", "rtmr1.shim-kernel", "rtmr0.smbios"}, e.Rule)
}

// anyKernel is a kernel for tests that do not look at what it measures.
func anyKernel(t testing.TB) *kernel.Image {
	t.Helper()
	k, err := kernel.Parse(fixtures.Kernel(t, "vmlinuz-6.12-cloud"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}
