package tdvf

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
)

// q35 returns the memory of a q35 guest as QEMU lists it, with the machine's max-ram-below-4g.
// QEMU 10.2.2, hw/i386/pc_q35.c, pc_q35_init.
func q35(ram, maxBelow4G uint64) []RAMRange {
	limit := uint64(0xb0000000)
	if ram >= limit {
		limit = 0x80000000
	}
	low := min(ram, limit, maxBelow4G)
	if ram == low {
		return []RAMRange{{0, low}}
	}
	return []RAMRange{{0, low}, {1 << 32, ram - low}}
}

func TestMRTD(t *testing.T) {
	for _, tc := range []struct {
		firmware string
		order    Order
		want     string // of spec A.4, or a prefix
	}{
		{"ovmf-2025.02", SinglePass, "bdc6fb145880f06f30c8b346b8dce2a99d9351b56892df22f80fcf6574caa9f9c31df8e8576d53b4d0cd1c3f28910e11"},
		{"ovmf-2025.02", TwoPass, "456f07902150d008"},
		{"ovmf-2026.08", SinglePass, "ab742989d480d040f178cf83c3ae0734f923dbddb7325b4a826e0d87c30cb299aff85beb23ad30a1c6f975a8d0ce3e7a"},
		{"ovmf-2026.08", TwoPass, "d137701167ce1e42"},
		{"inteltdx-2026.08", SinglePass, "a7a1f751abc454f9cbab198ca8d2edb2821935df525c74182b5e776cb0929e8c59aefecce725b0d08a5e9d3d3183bd08"},
		{"inteltdx-2026.08", TwoPass, "b90b236113eb4c0d"},
		{"inteltdx-2026.08-blank", SinglePass, "a7a1f751abc454f9cbab198ca8d2edb2821935df525c74182b5e776cb0929e8c59aefecce725b0d08a5e9d3d3183bd08"},
	} {
		t.Run(tc.firmware+"/"+tc.order.String(), func(t *testing.T) {
			image := fixtures.Firmware(t, tc.firmware)
			m, err := Parse(image)
			if err != nil {
				t.Fatal(err)
			}
			mrtd, err := MRTD(image, m, tc.order)
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(mrtd[:]); !strings.HasPrefix(got, tc.want) {
				t.Errorf("MRTD is %s, want %s", got, tc.want)
			}
		})
	}
}

// TestMRTDDefinition compares with the definition written out: records and chunks put one after the other and hashed
// at once.
func TestMRTDDefinition(t *testing.T) {
	for _, name := range fixtures.FirmwareNames() {
		image := fixtures.Firmware(t, name)
		m, err := Parse(image)
		if err != nil {
			t.Fatal(err)
		}
		for _, order := range []Order{SinglePass, TwoPass} {
			var text []byte
			record := func(leaf string, gpa uint64) {
				r := make([]byte, 128)
				copy(r, leaf)
				for i := range 8 {
					r[16+i] = byte(gpa >> (8 * i))
				}
				text = append(text, r...)
			}
			for _, s := range m.Sections {
				content := append([]byte(nil), image[s.DataOffset:s.DataOffset+s.RawDataSize]...)
				content = append(content, make([]byte, int(s.MemoryDataSize)-len(content))...)
				pages := [][2]int{{0, len(content)}}
				if order == SinglePass {
					pages = nil
					for p := 0; p < len(content); p += 4096 {
						pages = append(pages, [2]int{p, p + 4096})
					}
				}
				for _, run := range pages {
					for p := run[0]; p < run[1]; p += 4096 {
						record("MEM.PAGE.ADD", s.MemoryAddress+uint64(p))
					}
					for p := run[0]; p < run[1] && s.Attributes&MRExtend != 0; p += 256 {
						record("MR.EXTEND", s.MemoryAddress+uint64(p))
						text = append(text, content[p:p+256]...)
					}
				}
			}
			got, err := MRTD(image, m, order)
			if err != nil {
				t.Fatal(err)
			}
			if want := sha512.Sum384(text); got != want {
				t.Errorf("%s, %s: MRTD is %x, want %x", name, order, got, want)
			}
		}
	}
}

// TestHOBOfEmulatedTDs compares with the list in the memory of each emulated TD.
func TestHOBOfEmulatedTDs(t *testing.T) {
	n := 0
	for _, name := range fixtures.FirmwareNames() {
		m, err := Parse(fixtures.Firmware(t, name))
		if err != nil {
			t.Fatal(err)
		}
		cases, names := fixtures.Cases(t, filepath.Join(fixtures.Dir(), "emulated", name+".tar.zst"))
		for _, c := range names {
			want := cases[c]["td_hob.bin"]
			if want == nil {
				continue
			}
			var config struct {
				Memory, Machine string
			}
			if err := json.Unmarshal(cases[c]["config.json"], &config); err != nil {
				t.Fatal(err)
			}
			below := uint64(1 << 32)
			if _, v, ok := strings.Cut(config.Machine, "max-ram-below-4g="); ok {
				below = size(t, v)
			}
			h, err := NewHOB(m, q35(size(t, config.Memory), below))
			if err != nil {
				t.Errorf("%s: %v", c, err)
				continue
			}
			if got := h.AppendEnd(h.Append(nil)); !bytes.Equal(got, want) {
				t.Errorf("%s, -m %s: HOB list is\n%x, want\n%x", c, config.Memory, got, want)
			}
			n++
		}
	}
	t.Logf("%d lists", n)
	if n == 0 {
		t.Error("no list was compared")
	}
}

// size reads the number of bytes of -m: "2G", "2817M", or the size= of a longer form.
func size(t *testing.T, s string) uint64 {
	t.Helper()
	s, _, _ = strings.Cut(strings.TrimPrefix(s, "size="), ",")
	shift := map[byte]int{'M': 20, 'G': 30}[s[len(s)-1]]
	if shift == 0 {
		shift, s = 20, s+"M"
	}
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	if err != nil {
		t.Fatalf("-m %q: %v", s, err)
	}
	return n << shift
}

// TestHOBOfRealTDs compares digests that real TDs with OVMF's older section table (temporary memory at 0x810000) logged.
func TestHOBOfRealTDs(t *testing.T) {
	m, err := Parse(fixtures.Firmware(t, "inteltdx-2026.08"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		MiB    uint64 `json:"memory_mib"`
		Digest string `json:"td_hob_sha384"`
	}
	if err := json.Unmarshal(fixtures.Read(t, fixtures.Truth(t, "hardware", "oasis-cli", "td-hob-vectors.json")), &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		b, err := AppendHOB(nil, m, q35(v.MiB<<20, 1<<32))
		if err != nil {
			t.Errorf("%d MiB: %v", v.MiB, err)
			continue
		}
		if got := sha512.Sum384(b); hex.EncodeToString(got[:]) != v.Digest {
			t.Errorf("%d MiB: digest is %x, want %s", v.MiB, got, v.Digest)
		}
	}
	t.Logf("%d digests", len(vectors))
}

func TestLaunchOrders(t *testing.T) {
	m, err := Parse(fixtures.Firmware(t, "inteltdx-2026.08"))
	if err != nil {
		t.Fatal(err)
	}
	first := func(order Order, n int) (ops []LaunchOp) {
		for op := range m.Launch(order) {
			if ops = append(ops, op); len(ops) == n {
				break
			}
		}
		return ops
	}
	single := first(SinglePass, 18)
	for i, want := range map[int]LaunchOp{
		0:  {LeafPageAdd, 0xffc84000, -1, 0},
		1:  {LeafMRExtend, 0xffc84000, 0x84000, 0},
		16: {LeafMRExtend, 0xffc84f00, 0x84f00, 0},
		17: {LeafPageAdd, 0xffc85000, -1, 0},
	} {
		if single[i] != want {
			t.Errorf("single-pass call %d is %v, want %v", i, single[i], want)
		}
	}
	pages := 0x37c000 / 4096
	two := first(TwoPass, pages+1)
	if want := (LaunchOp{LeafPageAdd, 0xfffff000, -1, 0}); two[pages-1] != want {
		t.Errorf("two-pass call %d is %v, want %v", pages-1, two[pages-1], want)
	}
	if want := (LaunchOp{LeafMRExtend, 0xffc84000, 0x84000, 0}); two[pages] != want {
		t.Errorf("two-pass call %d is %v, want %v", pages, two[pages], want)
	}
	all := len(first(SinglePass, -1))
	if want := pages*17 + (0x84000+0x10000+0x2000+0x2000+0x6000)/4096; all != want {
		t.Errorf("%d calls, want %d", all, want)
	}
}

func BenchmarkMRTD(b *testing.B) {
	image := fixtures.Firmware(b, "ovmf-2026.08")
	m, err := Parse(image)
	if err != nil {
		b.Fatal(err)
	}
	hashed := 0
	for op := range m.Launch(SinglePass) {
		hashed += 128
		if op.Leaf == LeafMRExtend {
			hashed += ChunkSize
		}
	}
	text := make([]byte, hashed)
	for name, f := range map[string]func(){
		"sha384-of-as-many-bytes": func() { sha512.Sum384(text) },
		"single-pass":             func() { MRTD(image, m, SinglePass) },
		"two-pass":                func() { MRTD(image, m, TwoPass) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(hashed))
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	image := fixtures.Firmware(b, "ovmf-2026.08")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(image); err != nil {
			b.Fatal(err)
		}
	}
}
