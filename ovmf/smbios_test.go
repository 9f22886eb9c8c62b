package ovmf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/internal/bin"
)

// makeDriver assembles an executable: headers of 0x200 bytes, code that refers to the strings in order, the structure of
// type 0, the strings.
func makeDriver(strs ...string) []byte {
	le := binary.LittleEndian
	pe := make([]byte, 0x200)
	copy(pe, "MZ")
	pe[0x3c] = 0x40
	copy(pe[0x40:], "PE\x00\x00")
	le.PutUint16(pe[0x44:], 0x8664)
	le.PutUint16(pe[0x46:], 1)
	const section = 0x58
	for i, x := range []uint32{0x1000, 0x200, 0x1000, 0x200} { // virtual size and address, raw size and offset
		le.PutUint32(pe[section+8+4*i:], x)
	}
	le.PutUint32(pe[section+36:], 0x60000020)
	code := make([]byte, 0x400)
	var texts []byte
	for i, s := range strs {
		to := len(code) + 0x80 + len(texts)
		at := 16 * i
		copy(code[at:], []byte{0x48, 0x8d, 0x0d})
		le.PutUint32(code[at+3:], uint32(to-at-7))
		texts = append(efi.AppendUTF16Z(texts, s), 0xff, 0xff)
	}
	pe = append(pe, code...)
	pe = append(pe, type0Start...)
	for len(pe) < 0x200+0x480 {
		pe = append(pe, 0xff)
	}
	pe = append(pe, texts...)
	for len(pe) < 0x1200 {
		pe = append(pe, 0xcc)
	}
	return pe
}

// information reads the strings of an image that has the driver.
func information(t *testing.T, pe []byte) (*BIOSInformation, error) {
	t.Helper()
	img, err := Parse(makeVolume(FFS2, 0x2000, 0, makeFile(moduleSmbiosPlatformDxe, FileDriver, makeSection(SectionPE32, pe))))
	if err != nil {
		t.Fatal(err)
	}
	return img.BIOSInformation()
}

func TestBIOSInformationMade(t *testing.T) {
	for _, tc := range []struct {
		name string
		strs []string
		want [3]string
	}{
		{"as they are", []string{"x", "Maker", "unknown", "1.2.3", "unknown", "03/04/2025", "02/02/2022", "y"}, [3]string{"Maker", "1.2.3", "03/04/2025"}},
		{"defaults", []string{"EDK II", "unknown", "", "unknown", "ab", "02/02/2022"}, [3]string{"EDK II", "unknown", "02/02/2022"}},
		{"the older default date", []string{"EDK II", "unknown", "", "unknown", "", "2/2/2022"}, [3]string{"EDK II", "unknown", "2/2/2022"}},
		{"no default date", []string{"EDK II", "unknown", "v", "unknown", "", "unknown"}, [3]string{"EDK II", "unknown", "unknown"}},
	} {
		b, err := information(t, makeDriver(tc.strs...))
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if got := [3]string{b.Vendor, b.Version, b.Date}; got != tc.want {
			t.Errorf("%s: strings are %q, want %q", tc.name, got, tc.want)
		}
	}
	old := makeDriver()
	copy(old[bytes.Index(old, type0Start)+type0Size:], "Maker\x000.0.0\x0002/06/2015\x00")
	b, err := information(t, old)
	if err != nil || b.Vendor != "Maker" || b.Version != "0.0.0" || b.Date != "02/06/2015" {
		t.Errorf("strings behind the structure are %+v, error %v", b, err)
	}
	if got := b.AppendStructure([]byte{9}, 0x1234); !bytes.Equal(got[:6], []byte{9, 0, type0Size, 0x34, 0x12, 1}) || !strings.HasSuffix(string(got), "\x0002/06/2015\x00\x00") {
		t.Errorf("structure is %x", got)
	}
}

func TestBIOSInformationRejects(t *testing.T) {
	good := []string{"Maker", "unknown", "1.2.3", "unknown", "03/04/2025", "02/02/2022"}
	change := func(off int, b ...byte) []byte {
		pe := makeDriver(good...)
		copy(pe[off:], b)
		return pe
	}
	twice := makeDriver(good...)
	copy(twice[0x1000:], type0Start)
	for name, tc := range map[string]struct {
		pe   []byte
		want error
	}{
		"no structure":        {[]byte("MZ"), bin.ErrUnsupported},
		"two structures":      {twice, bin.ErrUnsupported},
		"another order":       {makeDriver("unknown", "Maker", "unknown", "1.2.3", "03/04/2025", "02/02/2022"), bin.ErrUnsupported},
		"another default":     {makeDriver("Maker", "unknown", "1.2.3", "none", "03/04/2025", "02/02/2022"), bin.ErrUnsupported},
		"two places":          {makeDriver(append(good, good...)...), bin.ErrUnsupported},
		"no code":             {change(0x58+39, 0x40), bin.ErrUnsupported},
		"another machine":     {change(0x44, 0x4c, 0x01), bin.ErrUnsupported},
		"not PE":              {change(0x40, 'X'), bin.ErrUnsupported},
		"header outside":      {change(0x3c, 0, 0, 0, 1), bin.ErrTruncated},
		"sections outside":    {change(0x46, 0xff, 0xff), bin.ErrUnsupported},
		"moved in memory":     {change(0x58+13, 0x20), bin.ErrUnsupported},
		"section behind file": {change(0x58+8, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0, 1, 0), bin.ErrUnsupported},
	} {
		if b, err := information(t, tc.pe); !errors.Is(err, tc.want) {
			t.Errorf("%s: strings are %+v, error %v, want one that is %v", name, b, err, tc.want)
		}
	}
}
