package ovmf

import (
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/efi"
)

// answers writes the facts in the order of Lines, a letter each: y, n, or ? for unknown.
func answers(f *Facts) string {
	s := ""
	for _, l := range f.Lines() {
		switch l.Value {
		case "yes":
			s += "y"
		case "no":
			s += "n"
		case "unknown":
			s += "?"
		}
	}
	return s
}

func TestFacts(t *testing.T) {
	for _, tc := range []struct {
		firmware string
		releases string
		answers  string // in the order of Lines, without what is not yes or no
		bar      uint64
		window   WindowRule
	}{
		{"ovmf-2022.11", "202211", "nnny" + "nnnnn" + "nn" + "nnyny" + "ynnn", 0xb0000000, WindowDynamic},
		{"ovmf-2025.02", "202502", "nyyy" + "yyyny" + "nn" + "nnyny" + "nnyn", 0xe0000000, WindowPaging57},
		{"ovmf-2026.08", "202605 or later", "nyyy" + "yyyyy" + "yy" + "nyyyy" + "nnyn", 0xe0000000, WindowPaging57},
		{"inteltdx-2026.08", "later than 202605", "yynn" + "yyyyy" + "yy" + "nynyn" + "yynn", 0xe0000000, WindowPaging57},
		{"inteltdx-2026.08-blank", "later than 202605", "yynn" + "yyyyy" + "yy" + "nynyn" + "ynnn", 0xe0000000, WindowPaging57},
	} {
		f, err := parse(t, tc.firmware).Facts()
		if err != nil {
			t.Errorf("%s: %v", tc.firmware, err)
			continue
		}
		if got := f.Releases(); got != tc.releases {
			t.Errorf("%s: releases are %q, want %q", tc.firmware, got, tc.releases)
		}
		if got := answers(f); got != tc.answers {
			t.Errorf("%s: answers are %s, want %s", tc.firmware, got, tc.answers)
			for _, l := range f.Lines() {
				t.Logf("%-44s %-10s %s", l.Name, l.Value, l.Evidence)
			}
		}
		if f.PCIExBar != tc.bar || f.Window != tc.window {
			t.Errorf("%s: PCIEXBAR 0x%x, window %s; want 0x%x, %s", tc.firmware, f.PCIExBar, f.Window, tc.bar, tc.window)
		}
		for _, l := range f.Lines() {
			if l.Evidence == "" {
				t.Errorf("%s: %s is %s without evidence", tc.firmware, l.Name, l.Value)
			}
		}
	}
}

// TestOtherMeasuring has modules that hold the GUID of the measurement protocol: edk2's own, and somebody else's.
func TestOtherMeasuring(t *testing.T) {
	code := makeSection(SectionPE32, append([]byte("MZ...."), protocolCCMeasurement[:]...))
	core := makeFile(efi.MustGUID("d6a2cb7f-6a18-4e2f-b43b-9920a733700a"), FileDXECore, makeSection(SectionPE32, []byte("MZ")))
	own := makeFile(moduleSecurityStub, FileDriver, code)
	vendor := makeFile(efi.MustGUID("0a0b0c0d-1122-3344-5566-778899aabbcc"), FileDriver, code)
	for _, tc := range []struct {
		name  string
		files [][]byte
		want  Value
	}{{"edk2's own", [][]byte{core, own}, No}, {"a vendor's", [][]byte{core, own, vendor}, Yes}, {"hidden", [][]byte{own}, Unknown}} {
		var body []byte
		for _, f := range tc.files {
			body = append(padTo(body, fileAlign, 0xff), f...)
		}
		img, err := Parse(makeVolume(FFS2, 0x1000, 0, body))
		if err != nil {
			t.Fatal(err)
		}
		f, err := img.Facts()
		if err != nil {
			t.Fatal(err)
		}
		if f.OtherMeasuring.Value != tc.want || tc.want == Yes && !strings.Contains(f.OtherMeasuring.Evidence, "0a0b0c0d-") {
			t.Errorf("%s: %+v, want %s", tc.name, f.OtherMeasuring, tc.want)
		}
	}
}

// TestFactsAgreeWithLogs holds facts against what the logs of emulated TDs show.
func TestFactsAgreeWithLogs(t *testing.T) {
	n := 0
	logs(t, func(img *Image, name string, _ map[string][]byte, events []event) {
		f, err := img.Facts()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var acpi, fwCfg, smbios, bootPCR1, separator, secureBoot Value = No, No, No, No, No, No
		direct := false
		for _, e := range events {
			data := string(e.data(t))
			switch {
			case data == "ACPI DATA":
				acpi = Yes
			case strings.HasPrefix(data, "QEMU FW CFG\x00"):
				fwCfg = Yes
			case e.Type == "EV_EFI_HANDOFF_TABLES":
				smbios = Yes
			case e.Type == "EV_EFI_VARIABLE_BOOT" && e.RTMR == 0:
				bootPCR1 = Yes
			case e.Type == "EV_SEPARATOR" && e.RTMR == 1:
				separator = Yes
			case e.Type == "EV_EFI_VARIABLE_DRIVER_CONFIG" && strings.Contains(data, "S\x00e\x00c\x00u\x00r\x00e\x00B\x00o\x00o\x00t\x00"):
				direct = true
				if len(data) > 32+20 {
					secureBoot = Yes
				}
			}
		}
		if !direct {
			if f.TdTcg2Dxe.Value != No {
				t.Errorf("%s: no variable is measured, and there is TdTcg2Dxe", name)
			}
			return
		}
		for _, x := range []struct {
			what      string
			got, want Value
		}{
			{"TdTcg2Dxe", f.TdTcg2Dxe.Value, Yes}, {"ACPI", f.ACPIData.Value, acpi}, {"fw_cfg", f.FwCfgCache.Value, fwCfg}, {"SMBIOS", f.SmbiosMeasurementDxe.Value, smbios},
			{"boot variables", f.BootVariablesPCR1.Value, bootPCR1}, {"separator", f.SeparatorMR2.Value, separator}, {"Secure Boot", f.SecureBoot.Value, secureBoot},
		} {
			if x.got != x.want {
				t.Errorf("%s: %s is %s by the image, %s by the log", name, x.what, x.got, x.want)
			}
		}
		n++
	})
	t.Logf("%d logs", n)
	if n == 0 {
		t.Error("no log was compared")
	}
}

// TestMarkersAreSorted checks what releases relies on.
func TestMarkersAreSorted(t *testing.T) {
	if !slices.IsSortedFunc(markers, func(a, b marker) int { return a.since - b.since }) {
		t.Error("markers are not sorted")
	}
	if !slices.IsSorted(stable) {
		t.Error("releases are not sorted")
	}
	for _, m := range markers {
		if m.since == stable[0] {
			t.Errorf("%s is of the first release", m.what)
		}
		if !slices.Contains(stable, m.since) && m.since <= stable[len(stable)-1] {
			t.Errorf("%s is of %d, which is no release", m.what, m.since)
		}
	}
}

// TestReleases goes through what markers can say.
func TestReleases(t *testing.T) {
	for _, tc := range []struct {
		name     string
		from, to int
		conflict string
		words    string
		list     []int
		since    map[int]Value
	}{
		{"one", 202502, 202502, "", "202502", []int{202502}, map[int]Value{202411: Yes, 202502: Yes, 202505: No}},
		{"two", 202511, 202602, "", "202511 to 202602", []int{202511, 202602}, map[int]Value{202508: Yes, 202602: Unknown, 202605: No}},
		{"open", 202605, 0, "", "202605 or later", []int{202605}, map[int]Value{202605: Yes, 202608: Unknown}},
		{"early", 0, 202208, "", "202208 or earlier", []int{202205, 202208}, map[int]Value{202205: Unknown, 202211: No}},
		{"any", 0, 0, "", "any release", stable, map[int]Value{202205: Unknown, 202605: Unknown}},
		{"newer", 202608, 0, "", "later than 202605", nil, map[int]Value{202605: Yes, 202608: Yes, 202611: Unknown}},
		{"conflict", 202505, 0, "both", "no known release", nil, map[int]Value{202205: Unknown}},
	} {
		f := &Facts{From: tc.from, To: tc.to, Conflict: tc.conflict}
		if got := f.Releases(); got != tc.words {
			t.Errorf("%s: releases are %q, want %q", tc.name, got, tc.words)
		}
		if got := f.Candidates(); !slices.Equal(got, tc.list) {
			t.Errorf("%s: candidates are %v, want %v", tc.name, got, tc.list)
		}
		for r, want := range tc.since {
			if got := f.since(r); got != want {
				t.Errorf("%s: since %d is %s, want %s", tc.name, r, got, want)
			}
		}
	}
}

// TestFactsOfLess takes modules away: what cannot be seen is unknown, and contradictions are told.
func TestFactsOfLess(t *testing.T) {
	img := parse(t, "inteltdx-2026.08")
	volumes, err := img.Volumes()
	if err != nil {
		t.Fatal(err)
	}
	without := func(change func(e *evidence)) *Facts {
		e := newEvidence(img, volumes)
		change(e)
		f := &Facts{}
		f.releases(e)
		f.IntelTdx = Fact{e.intelTdx(), e.phases()}
		f.NamedBlobs = e.stringFact(moduleKernelLoader, "QemuKernelLoaderFsDxe", "etc/boot/")
		f.Shell = e.appFact(moduleShell, "Shell")
		f.InitrdPrefix = Fact{e.initrdPrefix(), e.initrdEvidence()}
		f.SecureBoot = e.secureBoot()
		return f
	}
	f := without(func(e *evidence) { delete(e.files, moduleBdsDxe) })
	if f.InitrdPrefix.Value != Unknown || f.Conflict != "" {
		t.Errorf("without BdsDxe: initrd %v, conflict %q", f.InitrdPrefix, f.Conflict)
	}
	f = without(func(e *evidence) { delete(e.files, moduleSecurityStub) })
	if f.SecureBoot.Value != Unknown {
		t.Errorf("without SecurityStubDxe: Secure Boot %v", f.SecureBoot)
	}
	f = without(func(e *evidence) { e.files[moduleKernelLoader] = e.files[moduleSataController] })
	if f.NamedBlobs.Value != No || !strings.Contains(f.Conflict, "etc/boot/") || f.Releases() != "no known release" {
		t.Errorf("with another QemuKernelLoaderFsDxe: blobs %v, conflict %q", f.NamedBlobs, f.Conflict)
	}
	f = without(func(e *evidence) { e.complete = false })
	if f.IntelTdx.Value != Unknown || f.Shell.Value != Unknown {
		t.Errorf("with something hidden: IntelTdx %v, Shell %v", f.IntelTdx, f.Shell)
	}
	// A volume main that is cut out leaves SEC alone: nothing about DXE may be concluded.
	e := newEvidence(img, img.Flash())
	if e.complete || e.has(moduleTdTcg2Dxe) != Unknown {
		t.Error("without a DXE core TdTcg2Dxe counts as absent")
	}
}

// TestFiveLevel finds the instructions of a reset vector that was built with PcdUse5LevelPageTable.
func TestFiveLevel(t *testing.T) {
	image := make([]byte, 1<<20)
	if f := fiveLevel(image); f.Value != No {
		t.Errorf("without the instructions: %s", f.Value)
	}
	copy(image[len(image)-0x800:], setLA57)
	if f := fiveLevel(image); f.Value != Yes || !strings.Contains(f.Evidence, "0xff800") {
		t.Errorf("with the instructions: %s, %s", f.Value, f.Evidence)
	}
	if f := fiveLevel(nil); f.Value != No {
		t.Errorf("without an image: %s", f.Value)
	}
}
