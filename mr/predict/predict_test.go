package predict

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/ovmf"
	"github.com/tdxkit/tdxkit/qemu"
	"github.com/tdxkit/tdxkit/tdvf"
)

// plainArgs is a TD without devices of its own.
func plainArgs(more ...string) []string {
	return append([]string{
		"-machine", "q35,kernel-irqchip=split,confidential-guest-support=tdx0", "-object", "tdx-guest,id=tdx0",
		"-cpu", "host", "-smp", "2", "-m", "2G", "-nodefaults", "-kernel", "k", "-initrd", "i", "-append", "console=ttyS0",
	}, more...)
}

func parse(t testing.TB, release string, args []string) *qemu.Machine {
	t.Helper()
	return parseHost(t, release, "sapphire-rapids", args)
}

func parseHost(t testing.TB, release, host string, args []string) *qemu.Machine {
	t.Helper()
	m, err := qemu.ParseArgs(args, release, qemu.ParseOptions{HostCPU: host})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func firmware(t testing.TB, name string) *Firmware {
	t.Helper()
	f, err := NewFirmware(fixtures.Firmware(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func plainImage(t testing.TB, name string) *Image {
	t.Helper()
	data := fixtures.Kernel(t, "initrd.gz")
	return NewImage(firmware(t, name), anyKernel(t), &Initrd{Digest: mr.Sum(data), Size: int64(len(data))})
}

// TestRules holds the table to its promises: IDs are unique and start with their register, and every rule says what it
// hashes, what decides that, and whom it follows.
func TestRules(t *testing.T) {
	seen := map[mr.RuleID]bool{}
	for _, r := range append(Rules(), MRTDRule) {
		if seen[r.ID] {
			t.Errorf("%s: the ID is used twice", r.ID)
		}
		seen[r.ID] = true
		if !strings.HasPrefix(string(r.ID), r.Register.String()+".") {
			t.Errorf("%s: extends %s", r.ID, r.Register)
		}
		if r.What == "" || r.From == "" || r.Cite.Doc == "" || r.Cite.Rev == "" || r.Cite.Where == "" {
			t.Errorf("%s: lacks a word on what is hashed, from where, or a citation", r.ID)
		}
		if r.Register != mr.MRTD && !r.Type.Known() {
			t.Errorf("%s: event type %s", r.ID, r.Type)
		}
	}
}

// TestRulesAreRun reports the rules that no emulated boot in the repository exercises.
func TestRulesAreRun(t *testing.T) {
	run := map[mr.RuleID]bool{"mrtd.launch": true}
	for _, name := range fixtures.FirmwareNames() {
		r, err := Measure(plainImage(t, name), parse(t, "10.2.2", plainArgs()), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range r.Events {
			run[e.Rule] = true
		}
	}
	for _, e := range append(secureBootEvents(t), shimEvents(t)...) {
		run[e.Rule] = true
	}
	// No build of these releases is at hand; docs/LIMITATIONS.md says so.
	unproven := []mr.RuleID{"rtmr1.boot-variable", "rtmr0.ready-to-boot-separator"}
	for _, r := range rules {
		if !run[r.ID] && !slices.Contains(unproven, r.ID) {
			t.Errorf("%s is run by no firmware of the fixtures", r.ID)
		}
	}
}

// TestLogReplays writes the predicted log as a CCEL, reads it back and replays it to the predicted registers.
func TestLogReplays(t *testing.T) {
	r, err := Measure(plainImage(t, "ovmf-2026.08"), parse(t, "10.2.2", plainArgs()), Options{})
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Parse(mr.ToLog(r.Events).AppendCCEL(nil))
	if err != nil {
		t.Fatal(err)
	}
	events, err := mr.FromLog(log)
	if err != nil {
		t.Fatal(err)
	}
	values, err := mr.Replay(events)
	if err != nil {
		t.Fatal(err)
	}
	for _, reg := range Registers[1:] {
		if values[reg] != r.Values[reg] {
			t.Errorf("%s replays to %s, predicted %s", reg, values[reg], r.Values[reg])
		}
	}
	for _, e := range log.Events {
		if d, ok := eventlog.Recompute(e); ok && d != e.Digest {
			t.Errorf("%s: its data hashes to %x, its digest is %x", e.Type, d, e.Digest)
		}
	}
}

func TestOnly(t *testing.T) {
	img := NewImage(firmware(t, "ovmf-2025.02"), nil, nil)
	r, err := Measure(img, parse(t, "8.2.2-tdx", plainArgs()), Options{Only: []mr.Register{mr.MRTD}})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Values) != 1 || len(r.Unknown) != 0 || len(r.Events) != 0 {
		t.Errorf("values %v, unknown %v, %d events: want MRTD alone", r.Values, r.Unknown, len(r.Events))
	}
	two, _ := tdvf.MRTD(img.Firmware.Data, img.Firmware.Metadata, tdvf.TwoPass)
	if r.Values[mr.MRTD] != two {
		t.Error("MRTD of 8.2.2-tdx is not the one of two passes")
	}
	order := tdvf.SinglePass
	r, err = Measure(img, parse(t, "8.2.2-tdx", plainArgs()), Options{Only: []mr.Register{mr.MRTD}, PageOrder: &order})
	if err != nil {
		t.Fatal(err)
	}
	if one, _ := tdvf.MRTD(img.Firmware.Data, img.Firmware.Metadata, tdvf.SinglePass); r.Values[mr.MRTD] != one {
		t.Error("MRTD does not follow PageOrder")
	}
}

// TestUnknown has one case for each way in which a register cannot be known.
func TestUnknown(t *testing.T) {
	base := plainArgs()
	noKernel := NewImage(firmware(t, "ovmf-2026.08"), nil, nil)
	for _, tc := range []struct {
		name, firmware, host string
		img                  *Image
		args                 []string
		want                 map[mr.Register]string
	}{
		{"disk boot", "", "sapphire-rapids", noKernel, base, map[mr.Register]string{
			mr.RTMR0: "boot from disk", mr.RTMR1: "boot from disk", mr.RTMR2: "boot from disk"}},
		{"shim", "ovmf-2026.08", "sapphire-rapids", nil, plainArgs("-shim", "s"), map[mr.Register]string{
			mr.RTMR0: "shim", mr.RTMR1: "shim", mr.RTMR2: "shim"}},
		{"Secure Boot", "inteltdx-2026.08", "sapphire-rapids", nil, base, map[mr.Register]string{
			mr.RTMR0: "Secure Boot", mr.RTMR1: "Secure Boot", mr.RTMR2: "Secure Boot"}},
		{"host CPU", "ovmf-2026.08", "", nil, base, map[mr.Register]string{
			mr.RTMR0: "--host-cpu"}},
		{"TPM", "ovmf-2026.08", "sapphire-rapids", nil, plainArgs("-tpmdev", "emulator,id=t,chardev=c", "-chardev", "socket,id=c,path=p", "-device", "tpm-crb,tpmdev=t"), map[mr.Register]string{
			mr.RTMR0: "TPM", mr.RTMR1: "TPM", mr.RTMR2: "TPM"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			img := tc.img
			if img == nil {
				img = plainImage(t, tc.firmware)
			}
			r, err := Measure(img, parseHost(t, "10.2.2", tc.host, tc.args), Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, reg := range Registers {
				_, known := r.Values[reg]
				why, isUnknown := r.Unknown[reg]
				want, wantUnknown := tc.want[reg]
				if known == isUnknown || isUnknown != wantUnknown || !strings.Contains(why, want) {
					t.Errorf("%s: known %v, unknown because %q; want unknown because of %q", reg, known, why, want)
				}
			}
			for _, e := range r.Events {
				if _, bad := r.Unknown[e.Register]; bad {
					t.Errorf("an event of %s, which is unknown, is reported", e.Register)
				}
			}
		})
	}
}

// TestProfile decides the profiles of the builds at hand from their bytes.
func TestProfile(t *testing.T) {
	both := func(p Profile) *Profile { return &p }
	p0 := Profile{Measures: Yes, IntelTdx: No, BootVariablesInRTMR1: No, SeparatorInRTMR1: Yes, ACPI: Yes, FwCfg: Yes, SMBIOS: Yes,
		NamedBlobs: Yes, InitrdFirst: Yes, BootManagerMenu: Yes, FirmwareSetup: Yes, UiApp: Yes, SecureBoot: No, PKEnrolled: No,
		AllImageHashes: Yes, FiveLevel: No, ECAMBase: 0xe0000000}
	older := p0
	older.FwCfg, older.SMBIOS, older.InitrdFirst, older.BootManagerMenu, older.FirmwareSetup = No, No, No, No, No
	tdx := p0
	tdx.IntelTdx, tdx.SecureBoot, tdx.UiApp, tdx.FirmwareSetup = Yes, Yes, No, Yes
	ms := tdx
	ms.PKEnrolled = Yes
	for name, want := range map[string]*Profile{
		"ovmf-2025.02": both(older), "ovmf-2026.08": both(p0), "inteltdx-2026.08-blank": both(tdx), "inteltdx-2026.08": both(ms),
	} {
		got, err := firmware(t, name).Profile(0)
		if err != nil {
			t.Fatal(err)
		}
		g := *got
		g.Releases, g.Newer, g.between = "", false, interval{}
		if diff := cmp.Diff(want, &g, cmp.AllowUnexported(Profile{}, interval{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if p, err := firmware(t, "ovmf-2022.11").Profile(0); err != nil || p.Measures != No {
		t.Errorf("ovmf-2022.11: measures %v, %v; want no", p.Measures, err)
	}
}

// TestNewProfile decides what the bytes leave open by release.
func TestNewProfile(t *testing.T) {
	open := func(from, to int) *ovmf.Facts { return &ovmf.Facts{From: from, To: to} }
	for _, tc := range []struct {
		name                   string
		facts                  *ovmf.Facts
		release                Release
		separator, bootVars    Answer
		initrdFirst, wantError bool
	}{
		{"202208 to 202211", open(202208, 202211), 0, Yes, Yes, false, false},
		{"202302 to 202408", open(202302, 202408), 0, No, No, false, false},
		{"202302 to 202411", open(202302, 202411), 0, Unknown, No, false, false},
		{"202302 to 202411, said to be 202411", open(202302, 202411), 202411, Yes, No, false, false},
		{"202302 to 202411, said to be 202405", open(202302, 202411), 202405, No, No, false, false},
		{"202508 or later", open(202508, 0), 0, Yes, No, true, false},
		{"202302 to 202411, said to be 202505", open(202302, 202411), 202505, 0, 0, false, true},
		{"202302 to 202411, said to be 202211", open(202302, 202411), 202211, 0, 0, false, true},
		{"no known release", &ovmf.Facts{Conflict: "odd"}, 0, Unknown, Unknown, false, false},
	} {
		p, err := newProfile(tc.facts, tc.release)
		if (err != nil) != tc.wantError {
			t.Errorf("%s: error %v", tc.name, err)
		}
		if err != nil {
			continue
		}
		if p.SeparatorInRTMR1 != tc.separator || p.BootVariablesInRTMR1 != tc.bootVars || (p.InitrdFirst == Yes) != tc.initrdFirst {
			t.Errorf("%s: separator %v, boot variables %v, initrd first %v", tc.name, p.SeparatorInRTMR1, p.BootVariablesInRTMR1, p.InitrdFirst)
		}
	}
}

// TestNotes says that firmware may be newer than what is known, unless the user names its release, and that a command line
// starts no TD.
func TestNotes(t *testing.T) {
	for _, tc := range []struct {
		firmware string
		release  Release
		want     int
	}{{"ovmf-2026.08", 0, 1}, {"ovmf-2026.08", 202605, 0}, {"ovmf-2025.02", 0, 0}, {"ovmf-2022.11", 0, 0}} {
		r, err := Measure(plainImage(t, tc.firmware), parse(t, "10.2.2", plainArgs()), Options{EDK2: tc.release})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Notes) != tc.want {
			t.Errorf("%s, release %d: notes %q, want %d", tc.firmware, tc.release, r.Notes, tc.want)
		}
	}
	plain, err := qemu.ParseArgs([]string{"-machine", "q35", "-nodefaults", "-m", "2G", "-kernel", "k"}, "10.2.2", qemu.ParseOptions{TDX: true})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Measure(plainImage(t, "ovmf-2025.02"), plain, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "starts no TD") {
		t.Errorf("a command line without confidential-guest-support: notes %q", r.Notes)
	}
}

// TestEDK2ChangesSorted holds the table to its order, newest first.
func TestEDK2ChangesSorted(t *testing.T) {
	for i, c := range EDK2Changes() {
		if i > 0 && c.Since > edk2Changes[i-1].Since {
			t.Errorf("%s of %s follows %s of %s", c.ID, c.Since, edk2Changes[i-1].ID, edk2Changes[i-1].Since)
		}
		if c.ID == "" || c.Told == "" || c.Cite == "" || (c.fact == nil) != (c.Told == "release") {
			t.Errorf("%s: told by %q, cite %q", c.ID, c.Told, c.Cite)
		}
	}
}

func TestParseRelease(t *testing.T) {
	for s, want := range map[string]Release{"202502": 202502, "edk2-stable202411": 202411, "": 0, "2025": 0, "202513": 0, "20250a": 0, "edk2-stable": 0} {
		got, err := ParseRelease(s)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("ParseRelease(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
}

// BenchmarkShape measures one more shape of an image whose files are hashed already. Bytes are those of the shape's
// own that must be hashed.
func BenchmarkShape(b *testing.B) {
	img := plainImage(b, "ovmf-2026.08")
	m := parse(b, "10.2.2", plainArgs("-device", "virtio-net-pci"))
	r, err := Measure(img, m, Options{})
	if err != nil {
		b.Fatal(err)
	}
	var n int64
	for _, e := range r.Events {
		n += int64(len(e.Measured.Bytes))
	}
	b.SetBytes(n)
	b.ReportAllocs()
	for b.Loop() {
		img.tables = tableSums{} // as if its tables were seen for the first time
		if _, err := Measure(img, m, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkShapeSHA384 is the limit of BenchmarkShape: the time to hash as many bytes.
func BenchmarkShapeSHA384(b *testing.B) {
	data := make([]byte, 131072+4096+20+400)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		mr.Sum(data)
	}
}
