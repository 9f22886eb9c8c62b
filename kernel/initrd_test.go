package kernel_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/kernel"
)

func TestHashInitrd(t *testing.T) {
	data := fixtures.Kernel(t, "initrd.gz")
	want := sha512.Sum384(data)
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(data), "halves": iotest.HalfReader(bytes.NewReader(data)), "end with data": iotest.DataErrReader(bytes.NewReader(data)),
	} {
		got, size, err := kernel.HashInitrd(r)
		if err != nil || got != want || size != int64(len(data)) {
			t.Errorf("%s: %x, %d, %v", name, got, size, err)
		}
	}
	if _, _, err := kernel.HashInitrd(strings.NewReader("")); !errors.Is(err, kernel.ErrEmptyInitrd) {
		t.Errorf("empty: %v, want ErrEmptyInitrd", err)
	}
	broken := errors.New("disk on fire")
	if _, _, err := kernel.HashInitrd(io.MultiReader(strings.NewReader("x"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("broken reader: %v", err)
	}
}

// stream returns the small archive of the compression tests, compressed as the file's ending says.
func stream(t testing.TB, ending string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "internal", "decompress", "testdata", "main.cpio"+ending))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// join puts byte strings one behind the other.
func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func zeros(n int) []byte { return make([]byte, n) }

// align returns the zero bytes that take b to a multiple of n.
func align(b []byte, n int) []byte { return zeros((n - len(b)%n) % n) }

func list(data []byte, limits kernel.InitrdLimits) ([]kernel.InitrdEntry, error) {
	return kernel.ListInitrd(bytes.NewReader(data), limits)
}

// An entry builds one entry of a newc archive.
type entry struct {
	magic    string
	name     string
	mode     uint32
	data     string
	sum      uint32
	size     int64 // claimed, len(data) where 0
	nameSize int   // claimed, with NUL, where not 0
}

func (e entry) bytes() []byte {
	if e.magic == "" {
		e.magic = "070701"
	}
	if e.size == 0 {
		e.size = int64(len(e.data))
	}
	if e.nameSize == 0 {
		e.nameSize = len(e.name) + 1
	}
	var b strings.Builder
	b.WriteString(e.magic)
	for _, v := range []int64{7, int64(e.mode), 1, 2, 1, 0x60000000, e.size, 8, 9, 5, 1, int64(e.nameSize), int64(e.sum)} {
		fmt.Fprintf(&b, "%08x", v)
	}
	b.WriteString(e.name + "\x00")
	out := []byte(b.String())
	out = append(out, align(out, 4)...)
	out = append(out, e.data...)
	return append(out, align(out, 4)...)
}

func archive(entries ...entry) (out []byte) {
	for _, e := range append(entries, entry{name: "TRAILER!!!"}) {
		out = append(out, e.bytes()...)
	}
	return out
}

// early is an archive without compression, as microcode comes in front of an initrd.
func early() []byte {
	return archive(entry{name: "kernel/x86/microcode/GenuineIntel.bin", mode: 0o100644, data: "microcode"})
}

func TestListInitrd(t *testing.T) {
	mainFiles := []string{"init", "bin", "bin/sh -> /busybox", "etc/motd"}
	earlyFile := "kernel/x86/microcode/GenuineIntel.bin"
	type listing struct {
		name string
		data []byte
		want []string
	}
	tests := []listing{
		{"plain", stream(t, ""), mainFiles},
		{"padded", join(zeros(512), stream(t, ""), zeros(1023)), mainFiles},
		{"two plain", join(early(), stream(t, "")), append([]string{earlyFile}, mainFiles...)},
		{"upper-case digits", bytes.ToUpper(archive(entry{name: "A", mode: 0o100644})), []string{"A"}},
	}
	for _, ending := range []string{".gz", ".bz2", ".xz", ".lzma", ".zst", ".lz4"} {
		s := stream(t, ending)
		tests = append(tests,
			listing{ending, s, mainFiles},
			listing{"early and " + ending, join(early(), zeros(512), s), append([]string{earlyFile}, mainFiles...)},
			listing{ending + " twice", join(s, s), append(append([]string{}, mainFiles...), mainFiles...)})
		if ending != ".bz2" && ending != ".lz4" {
			tests = append(tests,
				listing{ending + " and plain", join(s, align(s, 4), early()), append(append([]string{}, mainFiles...), earlyFile)},
				listing{ending + " padded", join(s, align(s, 4096)), mainFiles})
		}
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			entries, err := list(tc.data, kernel.InitrdLimits{})
			var got []string
			for _, e := range entries {
				name := e.Name
				if e.Link != "" {
					name += " -> " + e.Link
				}
				got = append(got, name)
			}
			if err != nil || strings.Join(got, ",") != strings.Join(tc.want, ",") {
				t.Errorf("%q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

func TestListInitrdFields(t *testing.T) {
	entries, err := list(join(early(), zeros(3), zeros(1), stream(t, ".gz")), kernel.InitrdLimits{})
	if err != nil || len(entries) != 5 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	want := kernel.InitrdEntry{
		Archive: 0, Name: "kernel/x86/microcode/GenuineIntel.bin", Mode: 0o100644, UID: 1, GID: 2, Links: 1, MTime: 0x60000000,
		Major: 5, Minor: 1, Size: 9, SHA256: sha256.Sum256([]byte("microcode")),
	}
	if entries[0] != want {
		t.Errorf("got  %+v\nwant %+v", entries[0], want)
	}
	if e := entries[1]; e.Archive != 1 || e.Compression != "gzip" || e.Mode != 0o100755 || e.SHA256 != sha256.Sum256([]byte("#!/bin/sh\necho hello\n")) {
		t.Errorf("%+v", e)
	}
	// crc is newc with the sum of each file's bytes.
	entries, err = list(archive(entry{magic: "070702", name: "f", mode: 0o100644, data: "ab", sum: 'a' + 'b'}), kernel.InitrdLimits{})
	if err != nil || len(entries) != 1 {
		t.Errorf("crc: %+v, %v", entries, err)
	}
}

// TestListInitrdReal lists the initrd of the emulated boots. The digest of busybox is what sha256sum prints for it.
func TestListInitrdReal(t *testing.T) {
	entries, err := list(fixtures.Kernel(t, "initrd.gz"), kernel.InitrdLimits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name == "bin/busybox" {
			if e.Size != 2024544 || !strings.HasPrefix(hex.EncodeToString(e.SHA256[:]), "7ae95c26") {
				t.Errorf("busybox: %+v", e)
			}
			return
		}
	}
	t.Errorf("no bin/busybox among %d entries", len(entries))
}

func TestListInitrdRejects(t *testing.T) {
	file := entry{name: "f", mode: 0o100644, data: "data"}
	bad := func(change func(*entry)) []byte {
		e := file
		change(&e)
		return archive(e)
	}
	poke := func(at int, s string) []byte {
		b := archive(file)
		copy(b[at:], s)
		return b
	}
	gz, bz2, lz4 := stream(t, ".gz"), stream(t, ".bz2"), stream(t, ".lz4")
	for _, tc := range []struct {
		name   string
		data   []byte
		limits kernel.InitrdLimits
		field  string
		want   error
	}{
		{name: "zero bytes only", data: zeros(64), field: "archive", want: bin.ErrMalformed},
		{name: "text", data: []byte("hello, world"), field: "archive", want: bin.ErrMalformed},
		{name: "cut header", data: archive(file)[:50], field: "cpio header", want: bin.ErrTruncated},
		{name: "cut name", data: archive(file)[:110], field: "name", want: bin.ErrTruncated},
		{name: "cut data", data: archive(file)[:114], field: "data", want: bin.ErrTruncated},
		{name: "no trailer", data: file.bytes(), field: "cpio header", want: bin.ErrTruncated},
		{name: "odc", data: bad(func(e *entry) { e.magic = "070707" }), field: "c_magic", want: bin.ErrUnsupported},
		{name: "other magic", data: bad(func(e *entry) { e.magic = "070703" }), field: "c_magic", want: bin.ErrMalformed},
		{name: "no digits", data: poke(6+8*6, "0000000g"), field: "c_filesize", want: bin.ErrMalformed},
		{name: "sign", data: poke(6+8, "+0000001"), field: "c_mode", want: bin.ErrMalformed},
		{name: "no name", data: poke(6+8*11, "00000000"), field: "c_namesize", want: bin.ErrUnsupported},
		{name: "name of 4 GiB", data: poke(6+8*11, "ffffffff"), field: "c_namesize", want: bin.ErrUnsupported},
		{name: "name without NUL", data: poke(111, "x"), field: "name", want: bin.ErrMalformed},
		{name: "NUL in the name", data: bad(func(e *entry) { e.name = "a\x00b" }), field: "name", want: bin.ErrMalformed},
		{name: "file of 4 GiB", data: bad(func(e *entry) { e.size = 0xffffffff }), field: "data", want: bin.ErrTruncated},
		{name: "link of 1 GiB", data: bad(func(e *entry) { e.mode = 0o120777; e.size = 1 << 30 }), field: "c_filesize", want: bin.ErrUnsupported},
		{name: "wrong sum", data: bad(func(e *entry) { e.magic = "070702"; e.sum = 1 }), field: "c_chksum", want: bin.ErrMalformed},
		{name: "archive off its alignment", data: join(zeros(2), archive(file)), field: "archive", want: bin.ErrMalformed},
		{name: "junk behind", data: join(archive(file), []byte("junk")), field: "archive", want: bin.ErrMalformed},
		{name: "gzip cut", data: gz[:len(gz)-1], field: "archive", want: bin.ErrMalformed},
		{name: "gzip checksum", data: join(gz[:len(gz)-8], zeros(4), gz[len(gz)-4:]), field: "archive", want: bin.ErrMalformed},
		{name: "bzip2 and plain", data: join(bz2, align(bz2, 4), early()), field: "archive", want: bin.ErrMalformed},
		{name: "lz4 and plain", data: join(lz4, align(lz4, 4), early()), field: "archive", want: bin.ErrMalformed},
		{name: "too many entries", data: archive(file, file, file), limits: kernel.InitrdLimits{Entries: 2}, field: "entry", want: bin.ErrUnsupported},
		{name: "too long a name", data: archive(entry{name: "abcdefghij"}), limits: kernel.InitrdLimits{Name: 10}, field: "c_namesize", want: bin.ErrUnsupported},
		{name: "too much data", data: gz, limits: kernel.InitrdLimits{Data: 5000}, field: "data", want: bin.ErrUnsupported},
	} {
		t.Run(tc.name, func(t *testing.T) {
			entries, err := list(tc.data, tc.limits)
			var fe *bin.FormatError
			if !errors.As(err, &fe) || entries != nil {
				t.Fatalf("%d entries, %v, want a format error", len(entries), err)
			}
			if fe.Field != tc.field || !errors.Is(err, tc.want) {
				t.Errorf("%v (%v), want field %q, %v", err, fe.Err, tc.field, tc.want)
			}
		})
	}
	if _, err := list(nil, kernel.InitrdLimits{}); !errors.Is(err, kernel.ErrEmptyInitrd) {
		t.Errorf("empty: %v, want ErrEmptyInitrd", err)
	}
	broken := errors.New("disk on fire")
	if _, err := kernel.ListInitrd(io.MultiReader(bytes.NewReader(archive(file)[:130]), iotest.ErrReader(broken)), kernel.InitrdLimits{}); !errors.Is(err, broken) {
		t.Errorf("broken reader: %v", err)
	}
}
