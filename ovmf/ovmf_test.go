package ovmf

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/fixtures"
)

func parse(t testing.TB, name string) *Image {
	t.Helper()
	img, err := Parse(fixtures.Firmware(t, name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return img
}

var (
	secfv  = efi.MustGUID("763bed0d-de9f-48f5-81f1-3e90e1b1a015")
	peifv  = efi.MustGUID("6938079b-b503-4e3d-9d24-b28337a25806")
	dxefv  = efi.MustGUID("7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1")
	mainfv = efi.MustGUID("48db5e17-707c-472d-91cd-1613e7ef51b0")
)

func TestVolumes(t *testing.T) {
	type volume struct {
		name  efi.GUID
		size  int
		files int
	}
	for name, want := range map[string][]volume{
		"ovmf-2022.11":     {{efi.GUID{}, 0x20000, 0}, {mainfv, 0x1ac000, 1}, {peifv, 0xe0000, 15}, {dxefv, 0xc00000, 113}, {secfv, 0x34000, 2}},
		"ovmf-2025.02":     {{efi.GUID{}, 0x84000, 0}, {mainfv, 0x348000, 1}, {peifv, 0xe0000, 16}, {dxefv, 0xe80000, 119}, {secfv, 0x34000, 2}},
		"ovmf-2026.08":     {{efi.GUID{}, 0x84000, 0}, {mainfv, 0x348000, 1}, {peifv, 0xd0000, 16}, {dxefv, 0xe80000, 126}, {secfv, 0x34000, 2}},
		"inteltdx-2026.08": {{efi.GUID{}, 0x84000, 0}, {mainfv, 0x348000, 1}, {dxefv, 0x700000, 58}, {volumeNCC, 0x500000, 29}, {secfv, 0x34000, 2}},
	} {
		img := parse(t, name)
		if got := len(img.Flash()); got != 3 {
			t.Errorf("%s: %d volumes in the flash, want 3", name, got)
		}
		volumes, err := img.Volumes()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(volumes) != len(want) {
			t.Errorf("%s: %d volumes, want %d", name, len(volumes), len(want))
			continue
		}
		for i, v := range volumes {
			if got := (volume{v.Name, len(v.Data), len(v.Files)}); got != want[i] {
				t.Errorf("%s: volume %d is %v, want %v", name, i, got, want[i])
			}
		}
		bds, err := img.Find("BdsDxe")
		if err != nil || bds == nil || bds.GUID != moduleBdsDxe || bds.Type != FileDriver || bds.Version != "1.0" || bds.Volume.Name != dxefv || bds.Volume.Outer.Volume.Name != mainfv {
			t.Errorf("%s: BdsDxe is %+v, error %v", name, bds, err)
		}
		if f, err := img.File(moduleBdsDxe); err != nil || f != bds {
			t.Errorf("%s: by GUID BdsDxe is %+v, error %v", name, f, err)
		}
		if f, err := img.Find("no such module"); err != nil || f != nil {
			t.Errorf("%s: a file that is not there is %+v, error %v", name, f, err)
		}
	}
}

// An event is a line of an emulated TD's log.
type event struct {
	RTMR   int    `json:"rtmr"`
	Digest string `json:"digest"`
	Type   string `json:"event_type"`
	Data   string `json:"event_data"`
}

func (e event) data(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(e.Data)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// logs calls f for the log of each emulated TD.
func logs(t *testing.T, f func(img *Image, name string, files map[string][]byte, events []event)) {
	t.Helper()
	for _, name := range fixtures.FirmwareNames() {
		img := parse(t, name)
		cases, names := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "emulated", name+".tar.zst"))
		for _, c := range names {
			if cases[c]["events.json"] == nil {
				continue
			}
			var events []event
			if err := json.Unmarshal(cases[c]["events.json"], &events); err != nil {
				t.Fatalf("%s: %v", c, err)
			}
			f(img, name+"/"+c, cases[c], events)
		}
	}
}

// TestStore compares the Secure Boot variables that a TD's firmware measures with the variable store of its image.
func TestStore(t *testing.T) {
	n := 0
	logs(t, func(img *Image, name string, _ map[string][]byte, events []event) {
		s, err := img.Store()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, e := range events {
			if e.Type != "EV_EFI_VARIABLE_DRIVER_CONFIG" {
				continue
			}
			v, err := efi.ParseVariableData(e.data(t), 0)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if v.Name == "SecureBoot" {
				continue // the firmware makes it
			}
			var got []byte
			if x := s.Lookup(v.GUID, v.Name); x != nil {
				got = x.Data
			}
			if !bytes.Equal(got, v.Data) {
				t.Errorf("%s: %s has %d bytes in the store, %d in the log", name, v.Name, len(got), len(v.Data))
			}
			n++
		}
	})
	t.Logf("%d variables", n)
	if n == 0 {
		t.Error("no variable was compared")
	}
	s, err := parse(t, "inteltdx-2026.08").Store()
	if err != nil || !s.Authenticated || len(s.Variables) != 4 {
		t.Fatalf("store is %+v, error %v", s, err)
	}
	lists, err := efi.ParseSignatureLists(s.Lookup(efi.ImageSecurityDatabase, "db").Data, 0)
	if err != nil || len(lists) == 0 || lists[0].Type != efi.CertX509 {
		t.Errorf("db has %d lists, error %v", len(lists), err)
	}
}

// TestBootApplications builds the load options of firmware applications from the image and finds them in the logs of
// TDs, as often as the log has an option of a firmware application.
func TestBootApplications(t *testing.T) {
	n := 0
	logs(t, func(img *Image, name string, _ map[string][]byte, events []event) {
		for _, e := range events {
			if e.Type != "EV_EFI_VARIABLE_BOOT" {
				continue
			}
			v, err := efi.ParseVariableData(e.data(t), 0)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			digest := sha512.Sum384(v.Data)
			if hex.EncodeToString(digest[:]) != e.Digest {
				t.Errorf("%s: %s is measured otherwise than by its data", name, v.Name)
			}
			if v.Name == "BootOrder" {
				continue
			}
			o, err := efi.ParseLoadOption(v.Data, 0)
			if err != nil {
				t.Fatalf("%s: %s: %v", name, v.Name, err)
			}
			if len(o.Paths) == 0 || len(o.Paths[0]) != 2 || o.Paths[0][1].Subtype != efi.SubtypeFvFile {
				continue // of a disk
			}
			f, err := img.File(efi.GUID(o.Paths[0][1].Data))
			if err != nil || f == nil {
				t.Errorf("%s: %s is %s, which is not in the image, error %v", name, v.Name, o.Paths[0], err)
				continue
			}
			want := efi.LoadOption{Attributes: o.Attributes, Description: f.Name, Paths: []efi.DevicePath{{efi.FvName(f.Volume.Name), efi.FvFile(f.GUID)}}}
			if strings.HasPrefix(o.Description, "EFI ") {
				want.Description = o.Description // the platform's own name for it
			}
			if got := want.Append(nil); !bytes.Equal(got, v.Data) {
				t.Errorf("%s: %s is\n%x, from the image\n%x", name, v.Name, v.Data, got)
			}
			n++
		}
	})
	t.Logf("%d load options", n)
	if n == 0 {
		t.Error("no load option was compared")
	}
}

// TestBIOSInformation finds the structure that the firmware adds in the tables of emulated TDs.
func TestBIOSInformation(t *testing.T) {
	n := 0
	logs(t, func(img *Image, name string, files map[string][]byte, _ []event) {
		b, err := img.BIOSInformation()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for file, tables := range files {
			if !strings.HasPrefix(file, "smbios_tables") {
				continue
			}
			if want := b.AppendStructure(nil, 0); !bytes.Contains(tables, want) {
				t.Errorf("%s: %s has no structure %x", name, file, want)
			}
			n++
		}
	})
	t.Logf("%d tables", n)
	if n == 0 {
		t.Error("no table was compared")
	}
}

func BenchmarkParse(b *testing.B) {
	data := fixtures.Firmware(b, "ovmf-2026.08")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFacts includes the decompression of the main volume.
func BenchmarkFacts(b *testing.B) {
	for _, name := range []string{"ovmf-2025.02", "ovmf-2026.08", "inteltdx-2026.08"} {
		data := fixtures.Firmware(b, name)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				img, err := Parse(data)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := img.Facts(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
