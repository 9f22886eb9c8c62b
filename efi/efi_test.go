package efi

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/internal/bin"
)

func TestGUID(t *testing.T) {
	const s = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
	g, err := ParseGUID(strings.ToUpper(s))
	if err != nil {
		t.Fatal(err)
	}
	want := GUID{0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c}
	if g != want || g.String() != s {
		t.Errorf("GUID is %x, %s; want %x, %s", g[:], g, want[:], s)
	}
	text, _ := g.MarshalText()
	var back GUID
	if err := back.UnmarshalText(text); err != nil || back != g {
		t.Errorf("text %q gives %s, error %v", text, back, err)
	}
	if g.IsZero() || !(GUID{}).IsZero() {
		t.Error("IsZero is wrong")
	}
	for _, s := range []string{"", "8be4df61", s + "0", "{" + s[1:], strings.Replace(s, "-", "+", 1), "g" + s[1:], s[:24] + "-" + s[24:35]} {
		if _, err := ParseGUID(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestUTF16(t *testing.T) {
	for s, want := range map[string]string{
		"":                   "",
		"db":                 "64006200",
		"Grüße €":            "47007200fc00df0065002000ac20",
		"\U0001f512":         "3dd812dd",
		"\xff":               "fdff",
		"a\x00b":             "610000006200",
		"\ud7ff\ue000\uffff": "ffd700e0ffff",
	} {
		got := AppendUTF16(nil, s)
		if hex.EncodeToString(got) != want {
			t.Errorf("%q is %x, want %s", s, got, want)
		}
		if back, err := DecodeUTF16(got, 0); err != nil || back != strings.ToValidUTF8(s, "\ufffd") {
			t.Errorf("%x is %q, error %v; want %q", got, back, err, s)
		}
	}
	if got := AppendUTF16Z([]byte{1}, "K"); !bytes.Equal(got, []byte{1, 'K', 0, 0, 0}) {
		t.Errorf("terminated string is %x", got)
	}
	for name, b := range map[string][]byte{
		"odd": {1}, "high alone": {0, 0xd8}, "high, then a letter": {0, 0xd8, 'a', 0}, "low alone": {0, 0xdc}, "low first": {0, 0xdc, 0, 0xd8},
	} {
		if s, err := DecodeUTF16(b, 0); !errors.Is(err, bin.ErrMalformed) {
			t.Errorf("%s: %q, error %v", name, s, err)
		}
	}
}

// unhex decodes hexadecimal digits with blanks between them.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	dxefv = MustGUID("7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1")
	uiApp = MustGUID("462caa21-7614-4503-836e-8ab6f4662331")
)

func TestDevicePath(t *testing.T) {
	for _, tc := range []struct {
		text string
		path DevicePath
		want string
	}{
		{"Fv(7CB8BDC9-F8EB-4F34-AAEA-3EE4AF6516A1)/FvFile(462CAA21-7614-4503-836E-8AB6F4662331)", DevicePath{FvName(dxefv), FvFile(uiApp)},
			"04071400c9bdb87cebf8344faaea3ee4af6516a1 0406140021aa2c4614760345836e8ab6f4662331 7fff0400"},
		{"VenMedia(1428F772-B64A-441E-B8C3-9EBDD7F893C7)/kernel", DevicePath{VendorMedia(MustGUID("1428f772-b64a-441e-b8c3-9ebdd7f893c7")), FilePath("kernel")},
			"0403140072f728144ab61e44b8c39ebdd7f893c7 040412006b00650072006e0065006c000000 7fff0400"},
		{"PciRoot(0x0)/Pci(0x1,0x2)", DevicePath{PCIRoot(0), PCI(1, 2)}, "02010c00d041030a00000000 010106000201 7fff0400"},
		{"PcieRoot(0x1)", DevicePath{{TypeACPI, SubtypeACPI, unhex(t, "d041080a01000000")}}, "02010c00d041080a01000000 7fff0400"},
		{"Acpi(PNP0303,0x0)", DevicePath{{TypeACPI, SubtypeACPI, unhex(t, "d041030300000000")}}, "02010c00d041030300000000 7fff0400"},
		{"Acpi(0x01020304,0x5)", DevicePath{{TypeACPI, SubtypeACPI, unhex(t, "0403020105000000")}}, "02010c000403020105000000 7fff0400"},
		{"Sata(0x1,0xffff,0x0)", DevicePath{{TypeMessaging, SubtypeSATA, unhex(t, "0100ffff0000")}}, "03120a000100ffff0000 7fff0400"},
		{"NVMe(0x1,08-07-06-05-04-03-02-01)", DevicePath{{TypeMessaging, SubtypeNVMe, unhex(t, "010000000102030405060708")}}, "03171000010000000102030405060708 7fff0400"},
		{"Scsi(0x2,0x3)/USB(0x4,0x5)", DevicePath{{TypeMessaging, SubtypeSCSI, unhex(t, "02000300")}, {TypeMessaging, SubtypeUSB, []byte{4, 5}}}, "0302080002000300 030506000405 7fff0400"},
		{"HD(1,GPT,462CAA21-7614-4503-836E-8AB6F4662331,0x800,0x1000)", DevicePath{{TypeMedia, SubtypeHardDrive, unhex(t, "01000000 0008000000000000 0010000000000000 21aa2c4614760345836e8ab6f4662331 0202")}},
			"04012a00 01000000 0008000000000000 0010000000000000 21aa2c4614760345836e8ab6f4662331 0202 7fff0400"},
		{"VenMedia(462CAA21-7614-4503-836E-8AB6F4662331,AB)", DevicePath{{TypeMedia, SubtypeVendorMedia, append(bytes.Clone(uiApp[:]), 0xab)}}, "0403150021aa2c4614760345836e8ab6f4662331ab 7fff0400"},
		{"Path(5,1,01FF)/Path(127,1)", DevicePath{{5, 1, []byte{1, 0xff}}, {TypeEnd, SubtypeEndInstance, []byte{}}}, "0501060001ff 7f010400 7fff0400"},
		{"Path(4,4,6100)/Path(1,1)", DevicePath{{TypeMedia, SubtypeFilePath, []byte{'a', 0}}, {TypeHardware, SubtypePCI, []byte{}}}, "040406006100 01010400 7fff0400"},
		{"", nil, "7fff0400"},
	} {
		t.Run(tc.text, func(t *testing.T) {
			want := unhex(t, tc.want)
			if got := tc.path.Append(nil); !bytes.Equal(got, want) {
				t.Errorf("bytes are %x, want %x", got, want)
			}
			got, err := ParseDevicePath(want, 0)
			if err != nil || !reflect.DeepEqual(got, tc.path) {
				t.Errorf("path is %v, error %v; want %v", got, err, tc.path)
			}
			if got.String() != tc.text {
				t.Errorf("text is %s, want %s", got, tc.text)
			}
		})
	}
}

func TestDevicePathRejects(t *testing.T) {
	for _, tc := range []struct {
		name, data string
		want       error
		off        int64
	}{
		{"empty", "", bin.ErrTruncated, 100},
		{"no end", "010106000201", bin.ErrTruncated, 106},
		{"short node", "01010300 7fff0400", bin.ErrMalformed, 102},
		{"node past the end", "0101ff00 7fff0400", bin.ErrTruncated, 104},
		{"end with data", "7fff050000", bin.ErrMalformed, 102},
		{"trailing", "7fff040000", bin.ErrMalformed, 104},
	} {
		_, err := ParseDevicePath(unhex(t, tc.data), 100)
		checkRejected(t, tc.name, err, tc.want, tc.off)
	}
}

func checkRejected(t *testing.T, name string, err, want error, off int64) {
	t.Helper()
	var f *bin.FormatError
	if !errors.As(err, &f) || !errors.Is(err, want) || f.Off != off {
		t.Errorf("%s: error is %v, want one that is %v at 0x%x", name, err, want, off)
	}
}

// uiAppOption is Boot0000 of OVMF up to edk2-stable202502, whose SHA-384 starts with 23ada07f.
const uiAppOption = "09010000 2c00 550069004100700070000000 04071400c9bdb87cebf8344faaea3ee4af6516a1 0406140021aa2c4614760345836e8ab6f4662331 7fff0400"

func TestLoadOption(t *testing.T) {
	for name, tc := range map[string]struct {
		option LoadOption
		want   string
	}{
		"UiApp":         {LoadOption{LoadOptionActive | LoadOptionHidden | LoadOptionCategoryApp, "UiApp", []DevicePath{{FvName(dxefv), FvFile(uiApp)}}, []byte{}}, uiAppOption},
		"optional data": {LoadOption{1, "a", []DevicePath{{PCI(1, 0)}, nil}, []byte{1, 2, 3}}, "01000000 0e00 61000000 010106000001 7fff0400 7fff0400 010203"},
		"no path":       {LoadOption{1, "", nil, []byte{}}, "01000000 0000 0000"},
	} {
		want := unhex(t, tc.want)
		if got := tc.option.Append(nil); !bytes.Equal(got, want) {
			t.Errorf("%s: bytes are %x, want %x", name, got, want)
		}
		if got, err := ParseLoadOption(want, 0); err != nil || !reflect.DeepEqual(got, tc.option) {
			t.Errorf("%s: option is %+v, error %v; want %+v", name, got, err, tc.option)
		}
	}
}

func TestLoadOptionRejects(t *testing.T) {
	for _, tc := range []struct {
		name, data string
		want       error
		off        int64
	}{
		{"short", "0100", bin.ErrTruncated, 0},
		{"no terminator", "01000000 0000 6100", bin.ErrTruncated, 6},
		{"surrogate", "01000000 0000 00d8 0000", bin.ErrMalformed, 6},
		{"paths too long", "01000000 0500 0000 7fff0400", bin.ErrTruncated, 8},
		{"path without end", "01000000 0400 0000 01010400", bin.ErrTruncated, 12},
	} {
		_, err := ParseLoadOption(unhex(t, tc.data), 0)
		checkRejected(t, tc.name, err, tc.want, tc.off)
	}
}

func TestVariableData(t *testing.T) {
	v := VariableData{GlobalVariable, "PK", []byte{7}}
	want := unhex(t, "61dfe48bca93d211aa0d00e098032b8c 0200000000000000 0100000000000000 50004b00 07")
	if got := v.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("bytes are %x, want %x", got, want)
	}
	if got, err := ParseVariableData(want, 0); err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("variable is %v, error %v; want %v", got, err, v)
	}
	change := func(off int, x byte) []byte {
		b := bytes.Clone(want)
		b[off] = x
		return b
	}
	for _, tc := range []struct {
		name string
		data []byte
		want error
		off  int64
	}{
		{"short", want[:20], bin.ErrTruncated, 16},
		{"name past the end", change(16, 4), bin.ErrTruncated, 32},
		{"huge name", change(23, 0xff), bin.ErrTruncated, 16},
		{"huge data", change(31, 0xff), bin.ErrTruncated, 16},
		{"data past the end", change(24, 2), bin.ErrTruncated, 36},
		{"trailing", append(bytes.Clone(want), 0), bin.ErrMalformed, 37},
		{"surrogate", change(33, 0xd8), bin.ErrMalformed, 32},
	} {
		_, err := ParseVariableData(tc.data, 0)
		checkRejected(t, tc.name, err, tc.want, tc.off)
	}
}

func TestSignatureLists(t *testing.T) {
	const (
		typ   = "26 16 c4 c1 4c 50 92 40 ac a9 41 f9 36 93 43 28"
		owner = "21aa2c4614760345836e8ab6f4662331"
		good  = typ + "42000000 02000000 12000000 abcd" + owner + "0102" + owner + "0304"
	)
	lists, err := ParseSignatureLists(unhex(t, good+good), 0)
	if err != nil {
		t.Fatal(err)
	}
	want := SignatureList{CertSHA256, []byte{0xab, 0xcd}, []Signature{{uiApp, []byte{1, 2}}, {uiApp, []byte{3, 4}}}}
	if !reflect.DeepEqual(lists, []SignatureList{want, want}) {
		t.Errorf("lists are %v, want twice %v", lists, want)
	}
	if lists, err := ParseSignatureLists(nil, 0); err != nil || lists != nil {
		t.Errorf("an empty variable gives %v, error %v", lists, err)
	}
	for _, tc := range []struct {
		name, data string
		want       error
		off        int64
	}{
		{"short", typ + "42", bin.ErrTruncated, 16},
		{"list past the end", typ + "43000000 02000000 12000000 abcd" + owner + "0102" + owner + "0304", bin.ErrTruncated, 16},
		{"header larger than the list", typ + "1c000000 01000000 10000000", bin.ErrMalformed, 20},
		{"list smaller than its header", typ + "1b000000 00000000 10000000", bin.ErrMalformed, 20},
		{"signature without owner", typ + "1c000000 00000000 0f000000", bin.ErrMalformed, 24},
		{"signatures do not fit", typ + "2d000000 00000000 10000000" + owner + "00", bin.ErrMalformed, 24},
	} {
		_, err := ParseSignatureLists(unhex(t, tc.data), 0)
		checkRejected(t, tc.name, err, tc.want, tc.off)
	}
}

// FuzzParse feeds all parsers the same bytes: what one takes, it writes again byte for byte.
func FuzzParse(f *testing.F) {
	f.Add(unhex(f, uiAppOption))
	f.Add(unhex(f, "61dfe48bca93d211aa0d00e098032b8c 0200000000000000 0100000000000000 50004b00 07"))
	f.Add(unhex(f, "02010c00d041030a00000000 010106000201 7fff0400"))
	f.Add(unhex(f, "2616c4c14c509240aca941f936934328 2e000000 00000000 12000000 21aa2c4614760345836e8ab6f46623310102"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ParseDevicePath(b, 0); err == nil {
			if got := p.Append(nil); !bytes.Equal(got, b) {
				t.Errorf("path %s is %x, was %x", p, got, b)
			}
		}
		if o, err := ParseLoadOption(b, 0); err == nil {
			if got := o.Append(nil); !bytes.Equal(got, b) {
				t.Errorf("option %v is %x, was %x", o, got, b)
			}
		}
		if v, err := ParseVariableData(b, 0); err == nil {
			if got := v.Append(nil); !bytes.Equal(got, b) {
				t.Errorf("variable %v is %x, was %x", v, got, b)
			}
		}
		if lists, err := ParseSignatureLists(b, 0); err == nil {
			size := 0
			for _, l := range lists {
				size += sigListHeader + len(l.Header)
				for _, s := range l.Signatures {
					size += len(s.Owner) + len(s.Data)
				}
			}
			if size != len(b) {
				t.Errorf("lists cover %d bytes of %d", size, len(b))
			}
		}
	})
}
