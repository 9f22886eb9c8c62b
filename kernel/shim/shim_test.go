package shim_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/testsign"
	"github.com/tdxkit/tdxkit/kernel/shim"
)

// edited is Debian's shim with changes; vendor is where its vendor's table lies.
func edited(t testing.TB, edit func(b []byte, vendor int)) []byte {
	t.Helper()
	b := bytes.Clone(fixtures.File(t, "kernel", "shimx64-16.1.efi.zst"))
	table := []byte{0xa2, 3, 0, 0, 0x7c, 0x15, 0, 0, 0x10, 0, 0, 0} // 930 and 5500 bytes, the first behind the header
	at := bytes.Index(b, table)
	if at < 0 {
		t.Fatal("the shim has no table of its vendor's")
	}
	edit(b, at)
	return b
}

func put(b []byte, off int, v uint32) { binary.LittleEndian.PutUint32(b[off:], v) }

func parse(t testing.TB, edit func(b []byte, vendor int)) *shim.Image {
	t.Helper()
	img, err := shim.Parse(edited(t, edit))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// TestLists reads what a shim carries: a certificate, lists, or nothing.
func TestLists(t *testing.T) {
	img := parse(t, func([]byte, int) {})
	if img.Release != "16.1" || len(img.Authorized) != 930 || len(img.Refused) != 5500 {
		t.Errorf("release %q, %d and %d bytes", img.Release, len(img.Authorized), len(img.Refused))
	}
	check := func(name string, img *shim.Image, x bool, kind efi.GUID, size int) {
		t.Helper()
		b, err := img.MokList()
		if x {
			b = img.MokListX()
		}
		if err != nil {
			t.Fatal(name, err)
		}
		lists, err := efi.ParseSignatureLists(b, 0)
		if err != nil || lists[0].Type != kind || len(lists[0].Signatures[0].Data) != size || !x && lists[0].Signatures[0].Owner != shim.GUIDShimLock {
			t.Errorf("%s: %v, %v", name, lists[0].Type, err)
		}
	}
	check("a certificate", img, false, efi.CertX509, 930)
	check("digests", img, true, efi.CertSHA256, 32)
	none := parse(t, func(b []byte, v int) { clear(b[v : v+8]); b[v+16] = 0 })
	check("no certificate", none, false, efi.CertSHA256, 32)
	check("no digests", none, true, efi.CertSHA256, 32)
	lists := parse(t, func(b []byte, v int) {
		list := testList(bytes.Repeat([]byte{1}, 32))
		put(b, v, uint32(len(list)))
		copy(b[v+16:], list)
	})
	check("lists", lists, false, efi.CertSHA256, 32)
	if got, err := lists.MokList(); err != nil || !bytes.Equal(got, lists.Authorized) {
		t.Errorf("lists are not taken as they are: %v", err)
	}
}

func testList(digest []byte) []byte {
	b := append([]byte(nil), efi.CertSHA256[:]...)
	for _, n := range []uint32{28 + 48, 0, 48} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return append(append(b, shim.GUIDShimLock[:]...), digest...)
}

// TestRelease has identifications that say no release.
func TestRelease(t *testing.T) {
	for with, want := range map[string]string{"UEFI SHIM\n$Version: 15.8": "15.8", "UEFI SHIN\n$Version: 16.1": "", "UEFI SHIM\n$Verzion: 16.1": ""} {
		img := parse(t, func(b []byte, _ int) { copy(b[bytes.Index(b, []byte("UEFI SHIM\n$V")):], with) })
		if img.Release != want {
			t.Errorf("%q: release %q, want %q", with, img.Release, want)
		}
	}
}

// TestOdd has builds of which it cannot be told what MokList holds.
func TestOdd(t *testing.T) {
	c := testsign.NewAuthority(t, "shim", testsign.Key(t, "root"), nil, nil).Raw
	code := func(b []byte) []byte { return b[0x24000:] } // in .text
	for _, tc := range []struct {
		name, want string
		edit       func(b []byte, vendor int)
	}{
		{"a certificate of its own", "beside its vendor's", func(b []byte, _ int) { copy(code(b), c) }},
		{"a build for development", "for development", func(b []byte, _ int) { copy(code(b), efi.AppendUTF16(nil, "SbatLevel_DEVEL")) }},
		{"a broken certificate", "neither one certificate nor", func(b []byte, v int) { b[v+16] = 0x31 }},
	} {
		_, err := parse(t, tc.edit).MokList()
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

// TestParseRefuses has one case for each way in which the file is no shim.
func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, field string
		edit        func(b []byte, vendor int)
	}{
		{"no PE image", "e_magic", func(b []byte, _ int) { b[0] = 0 }},
		{"no table", ".vendor_cert", func(b []byte, _ int) { copy(b[bytes.Index(b, []byte("/37\x00")):], "/36") }},
		{"an offset in the header", "offset", func(b []byte, v int) { put(b, v+8, 15) }},
		{"a certificate behind the table", "offset", func(b []byte, v int) { put(b, v, 0xffffffff) }},
		{"digests behind the table", "offset", func(b []byte, v int) { put(b, v+4, 0x100000) }},
		{"an offset behind the table", "offset", func(b []byte, v int) { put(b, v+12, 0xfffffff0) }},
		{"a short table", "vendor_authorized_offset", func(b []byte, _ int) { put(b, bytes.Index(b, []byte("/37\x00"))+8, 9) }},
	} {
		_, err := shim.Parse(edited(t, tc.edit))
		var fe *bin.FormatError
		if !errors.As(err, &fe) || fe.Field != tc.field {
			t.Errorf("%s: %v, want an error of %s", tc.name, err, tc.field)
		}
	}
}

func FuzzParse(f *testing.F) {
	vendor := 0
	data := edited(f, func(_ []byte, v int) { vendor = v })
	f.Add(uint32(0), data[vendor:vendor+16], data[:0x200])
	f.Fuzz(func(t *testing.T, at uint32, table, headers []byte) {
		b := bytes.Clone(data)
		copy(b[vendor:], table)
		copy(b[int(at)%len(b):], headers)
		if img, err := shim.Parse(b); err == nil {
			_, _ = img.MokList()
			if len(img.MokListX()) == 0 {
				t.Error("MokListX is empty")
			}
		}
	})
}
