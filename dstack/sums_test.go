package dstack

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/tdxkit/tdxkit/internal/bin"
)

func TestParseSums(t *testing.T) {
	text := hash + "  ovmf.fd\n" + hash + "  measurement.tdx.cbor\n" + hash + "  a name with blanks\n"
	sums, err := ParseSums([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var back []byte
	for _, s := range sums {
		names = append(names, s.Name)
		back = AppendSum(back, s)
	}
	if d := cmp.Diff([]string{"ovmf.fd", "measurement.tdx.cbor", "a name with blanks"}, names); d != "" {
		t.Error(d)
	}
	if string(back) != text {
		t.Errorf("written back as %q", back)
	}
}

func TestParseSumsRejects(t *testing.T) {
	line := hash + "  ovmf.fd\n"
	checkRejects(t, []reject{
		{"empty", "", "line 1", bin.ErrTruncated, "at least one"},
		{"too long", strings.Repeat("x", bin.MaxSums+1), "length", bin.ErrUnsupported, "at most"},
		{"no line feed", hash + "  ovmf.fd", "line 1", bin.ErrTruncated, "no line feed"},
		{"last line without line feed", line + hash + "  bzImage", "line 2", bin.ErrTruncated, "no line feed"},
		{"blank line", line + "\n" + hash + "  b\n", "line 2", bin.ErrMalformed, "64 lower-case"},
		{"trailing blank line", line + "\n", "line 2", bin.ErrMalformed, "64 lower-case"},
		{"comment", "# made by hand\n" + line, "line 1", bin.ErrMalformed, "64 lower-case"},
		{"byte order mark", "\ufeff" + line, "line 1", bin.ErrMalformed, "64 lower-case"},
		{"leading blank", " " + line, "line 1", bin.ErrMalformed, "64 lower-case"},
		{"upper case", strings.ToUpper(hash) + "  ovmf.fd\n", "line 1", bin.ErrMalformed, "64 lower-case"},
		{"short digest", hash[2:] + "  ovmf.fd\n", "line 1", bin.ErrMalformed, "64 lower-case"},
		{"long digest", hash + "00  ovmf.fd\n", "line 1", bin.ErrMalformed, "two blanks"},
		{"BSD tag", "SHA256 (ovmf.fd) = " + hash + "\n", "line 1", bin.ErrMalformed, "64 lower-case"},
		{"escaped line", `\` + line, "line 1", bin.ErrMalformed, "64 lower-case"},
		{"one blank", hash + " ovmf.fd\n", "line 1", bin.ErrMalformed, "two blanks"},
		{"three blanks", hash + "   ovmf.fd\n", "line 1", bin.ErrMalformed, "blank at an end"},
		{"tab", hash + "\tovmf.fd\n", "line 1", bin.ErrMalformed, "two blanks"},
		{"binary mark", hash + " *ovmf.fd\n", "line 1", bin.ErrMalformed, "two blanks"},
		{"text and binary mark", hash + "  *ovmf.fd\n", "line 1", bin.ErrMalformed, "binary"},
		{"no name", hash + "  \n", "line 1", bin.ErrMalformed, "names no file"},
		{"carriage return", hash + "  ovmf.fd\r\n", "line 1", bin.ErrMalformed, "control character"},
		{"NUL", hash + "  ovmf\x00.fd\n", "line 1", bin.ErrMalformed, "control character"},
		{"delete", hash + "  ovmf\x7f.fd\n", "line 1", bin.ErrMalformed, "control character"},
		{"backslash", hash + `  ovmf\n.fd` + "\n", "line 1", bin.ErrMalformed, "backslash"},
		{"slash", hash + "  ./ovmf.fd\n", "line 1", bin.ErrMalformed, "slash"},
		{"absolute", hash + "  /ovmf.fd\n", "line 1", bin.ErrMalformed, "slash"},
		{"dot", hash + "  .\n", "line 1", bin.ErrMalformed, "folder"},
		{"dot dot", hash + "  ..\n", "line 1", bin.ErrMalformed, "folder"},
		{"trailing blank", hash + "  ovmf.fd \n", "line 1", bin.ErrMalformed, "blank at an end"},
		{"not UTF-8", hash + "  ovmf\xff\n", "line 1", bin.ErrMalformed, "UTF-8"},
		{"name too long", hash + "  " + strings.Repeat("x", maxName+1) + "\n", "line 1", bin.ErrMalformed, "at most 255"},
		{"twice", line + line, "line 2", bin.ErrMalformed, "second time"},
		{"twice with other digest", line + strings.Repeat("0", 64) + "  ovmf.fd\n", "line 2", bin.ErrMalformed, "second time"},
	}, func(b []byte) error { _, err := ParseSums(b); return err })
}

func FuzzParseSums(f *testing.F) {
	f.Add([]byte(hash + "  ovmf.fd\n" + hash + "  bzImage\n"))
	f.Add([]byte(hash + " *ovmf.fd\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		sums, err := ParseSums(data)
		if err != nil {
			return
		}
		var back []byte
		for _, s := range sums {
			back = AppendSum(back, s)
		}
		if !bytes.Equal(back, data) {
			t.Errorf("%q is written back as %q: two texts for one list", data, back)
		}
	})
}

// folder returns an image folder with a matching sha256sum.txt and digest.txt.
func folder() fstest.MapFS {
	fsys := fstest.MapFS{
		"ovmf.fd": {Data: []byte("firmware")}, "bzImage": {Data: []byte("kernel")}, "initramfs.cpio.gz": {Data: []byte("initrd")},
		MetadataFile: {Data: []byte(shapes[5].text)},
	}
	var list []byte
	for _, name := range []string{"ovmf.fd", "bzImage", "initramfs.cpio.gz", MetadataFile} {
		list = AppendSum(list, Sum{name, sha256.Sum256(fsys[name].Data)})
	}
	fsys[SumsFile] = &fstest.MapFile{Data: list}
	fsys[DigestFile] = &fstest.MapFile{Data: AppendSum(nil, Sum{"", sha256.Sum256(list)})[:64]}
	return fsys
}

func TestReadImage(t *testing.T) {
	fsys := folder()
	im, err := ReadImage(fsys)
	if err != nil {
		t.Fatal(err)
	}
	if !im.HasHash || im.Hash != sha256.Sum256(fsys[SumsFile].Data) {
		t.Errorf("os_image_hash is %x", im.Hash)
	}
	if err := im.Check("bzImage", sha256.Sum256([]byte("kernel"))); err != nil {
		t.Error(err)
	}
	var me *MismatchError
	if err := im.Check("bzImage", sha256.Sum256([]byte("other"))); !errors.As(err, &me) || me.Name != "bzImage" || me.Got == me.Want {
		t.Errorf("error %v, want a mismatch of bzImage", err)
	}
	if err := im.Check("other", sha256.Sum256(nil)); !errors.Is(err, ErrUnlisted) {
		t.Errorf("error %v, want ErrUnlisted", err)
	}
	fsys[DigestFile].Data = append(fsys[DigestFile].Data, '\n')
	if im, err = ReadImage(fsys); err != nil || !im.HasHash {
		t.Errorf("with a line feed behind the digest: %v, %v", im, err)
	}
	delete(fsys, DigestFile)
	if im, err = ReadImage(fsys); err != nil || !im.HasHash {
		t.Errorf("without digest.txt: %v, %v", im, err)
	}
	delete(fsys, SumsFile)
	if im, err = ReadImage(fsys); err != nil || im.HasHash || im.Check("bzImage", sha256.Sum256(nil)) != nil {
		t.Errorf("without a list: %v, %v", im, err)
	}
}

func TestReadImageRejects(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(fstest.MapFS)
		want   string
	}{
		{"no metadata.json", func(f fstest.MapFS) { delete(f, MetadataFile) }, "metadata.json"},
		{"metadata.json changed", func(f fstest.MapFS) { f[MetadataFile].Data = []byte(shapes[4].text) }, "metadata.json: SHA-256 digest is"},
		{"digest.txt differs", func(f fstest.MapFS) { f[DigestFile].Data = []byte(hash) }, "digest.txt says " + hash},
		{"digest.txt is no digest", func(f fstest.MapFS) { f[DigestFile].Data = []byte("0x" + hash) }, "digest.txt: digest"},
		{"digest.txt is a digest in capitals", func(f fstest.MapFS) { f[DigestFile].Data = bytes.ToUpper(f[DigestFile].Data) }, "digest.txt: digest"},
		{"digest.txt is short of two digits", func(f fstest.MapFS) { f[DigestFile].Data = f[DigestFile].Data[2:] }, "digest.txt: digest"},
		{"digest.txt with two line feeds", func(f fstest.MapFS) { f[DigestFile].Data = append(f[DigestFile].Data, "\n\n"...) }, "digest.txt: digest"},
		{"digest.txt cannot be read", func(f fstest.MapFS) { f[DigestFile] = &fstest.MapFile{Mode: fs.ModeDir} }, "digest.txt: "},
		{"list cannot be read", func(f fstest.MapFS) { f[SumsFile] = &fstest.MapFile{Mode: fs.ModeDir} }, "sha256sum.txt: "},
		{"metadata.json cannot be read", func(f fstest.MapFS) { f[MetadataFile] = &fstest.MapFile{Mode: fs.ModeDir} }, "metadata.json: "},
		{"metadata.json is malformed", func(f fstest.MapFS) { f[MetadataFile].Data = []byte("{") }, "ends early"},
		{"list is malformed", func(f fstest.MapFS) { f[SumsFile].Data = []byte("x\n") }, "line 1"},
		{"kernel not in the list", func(f fstest.MapFS) {
			f[SumsFile].Data = bytes.ReplaceAll(f[SumsFile].Data, []byte("  bzImage"), []byte("  vmlinuz"))
			delete(f, DigestFile)
		}, "bzImage: is not in sha256sum.txt"},
		{"metadata.json not in the list", func(f fstest.MapFS) {
			f[SumsFile].Data = bytes.ReplaceAll(f[SumsFile].Data, []byte("  metadata.json"), []byte("  other.json"))
			delete(f, DigestFile)
		}, "metadata.json: is not in sha256sum.txt"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fsys := folder()
			tc.change(fsys)
			im, err := ReadImage(fsys)
			if err == nil || im != nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("image %v, error %v, want %q", im, err, tc.want)
			}
		})
	}
}

// TestReadImageStaysInside reads a folder whose metadata.json is a symbolic link to a file outside.
func TestReadImageStaysInside(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "m"), []byte(shapes[0].text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "m"), filepath.Join(dir, MetadataFile)); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if im, err := ReadImage(root.FS()); err == nil {
		t.Errorf("read %v", im)
	}
}
