package kernel_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"hash"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/kernel"
)

var updateDigests = flag.Bool("update-digests", false, "write fixtures/kernel/digests.json anew from pesign and osslsigncode")

// A toolDigests is what other programs say of a file: one row of fixtures/kernel/digests.json, see SOURCE.md there.
type toolDigests struct {
	File         string `json:"file"` // a kernel, or package/file of a Debian package
	SHA256       string `json:"sha256"`
	Size         int    `json:"size"`
	Pesign       string `json:"pesign_sha256"`
	Osslsigncode string `json:"osslsigncode_sha384,omitempty"` // empty where the program pads the file, which edk2 does not
}

// TestAuthenticodeGoldens compares with what pesign and osslsigncode printed for the same files.
func TestAuthenticodeGoldens(t *testing.T) {
	var rows []toolDigests
	decode(t, fixtures.File(t, "kernel", "digests.json"), &rows)
	if len(rows) == 0 {
		t.Fatal("no digests")
	}
	for _, row := range rows {
		t.Run(row.File, func(t *testing.T) {
			data := realFile(t, row.File)
			if got := hex.EncodeToString(sum256(data)); got != row.SHA256 {
				t.Skipf("left out: %s is another version, SHA-256 %s", row.File, got)
			}
			checkTools(t, data, row)
		})
	}
}

// TestAuthenticodeTools runs pesign and osslsigncode, where they are installed, on the kernels, on the files below the
// folder that TDXKIT_EFI names and on built images.
func TestAuthenticodeTools(t *testing.T) {
	pesign := tool(t, "pesign")
	var rows []toolDigests
	for _, name := range append(slices.Clone(kernelFiles), efiFiles(t)...) {
		t.Run(name, func(t *testing.T) {
			data := realFile(t, name)
			row := toolDigests{
				File: name, SHA256: hex.EncodeToString(sum256(data)), Size: len(data),
				Pesign: runPesign(t, pesign, data), Osslsigncode: runOsslsigncode(t, data),
			}
			checkTools(t, data, row)
			rows = append(rows, row)
		})
	}
	for _, s := range shapes {
		// pesign 0.112 wants a directory for certificates and certificates that parse, and does not sort the sections.
		if strings.Contains(s.name, "certificate") || strings.HasPrefix(s.name, "signed") || s.name == "sections out of order" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			b := newBuild()
			s.build(&b)
			checkTools(t, b.bytes(), toolDigests{Pesign: runPesign(t, pesign, b.bytes())})
		})
	}
	if *updateDigests {
		out, err := json.MarshalIndent(rows, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(fixtures.Dir(), "kernel", "digests.json"), append(out, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func checkTools(t *testing.T, data []byte, row toolDigests) {
	t.Helper()
	p := parsePE(t, data)
	if got := hashWith(t, p, sha256.New()); got != row.Pesign {
		t.Errorf("SHA-256 %s, pesign has %s", got, row.Pesign)
	}
	sum := digestOf(t, p)
	if got := hex.EncodeToString(sum[:]); row.Osslsigncode != "" && got != row.Osslsigncode {
		t.Errorf("SHA-384 %s, osslsigncode has %s", got, row.Osslsigncode)
	}
	if row.File != "" {
		if err := p.CrossCheck(); err != nil {
			t.Error(err)
		}
	}
}

func hashWith(t *testing.T, p *kernel.PE, h hash.Hash) string {
	t.Helper()
	if err := p.WriteAuthenticode(h, nil); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func sum256(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}

// efiFiles lists the files below the folder that TDXKIT_EFI names, as package/file.
func efiFiles(t *testing.T) []string {
	t.Helper()
	dir := os.Getenv("TDXKIT_EFI")
	if dir == "" {
		return nil
	}
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(dir, path)
			names = append(names, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// realFile returns a kernel of the fixtures, or a file below the folder that TDXKIT_EFI names where name has a slash.
func realFile(t *testing.T, name string) []byte {
	t.Helper()
	if !strings.Contains(name, "/") {
		return fixtures.Kernel(t, name)
	}
	data, err := os.ReadFile(filepath.Join(os.Getenv("TDXKIT_EFI"), name))
	if err != nil {
		t.Skipf("left out: %s is in a Debian package (see scripts/prove-kernels): %v", name, err)
	}
	return data
}

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("left out: %s is not installed", name)
	}
	return path
}

func writeTemp(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.efi")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var sha256Digits = regexp.MustCompile(`[0-9a-f]{64}`)

// runPesign returns the SHA-256 digest that pesign prints; it knows no SHA-384.
func runPesign(t *testing.T, pesign string, data []byte) string {
	t.Helper()
	out, err := exec.Command(pesign, "-h", "-i", writeTemp(t, data)).CombinedOutput()
	digest := sha256Digits.FindString(string(out))
	if err != nil || digest == "" {
		t.Fatalf("pesign: %v: %s", err, out)
	}
	return digest
}

// sha384Prefix is what stands before the digest in a SpcIndirectDataContent: the algorithm id-sha384 with its NULL, and
// the header of an octet string of 48 bytes.
var sha384Prefix = []byte{0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30}

// runOsslsigncode returns the SHA-384 digest that osslsigncode would sign, or "" for a file that it pads.
func runOsslsigncode(t *testing.T, data []byte) string {
	t.Helper()
	if len(data)%8 != 0 {
		return ""
	}
	out := filepath.Join(t.TempDir(), "data.der")
	msg, err := exec.Command(tool(t, "osslsigncode"), "extract-data", "-h", "sha384", "-in", writeTemp(t, data), "-out", out).CombinedOutput()
	if err != nil {
		t.Fatalf("osslsigncode: %v: %s", err, msg)
	}
	der, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := bytes.Cut(der, sha384Prefix)
	if !ok || len(rest) < 48 {
		t.Fatalf("osslsigncode: no SHA-384 digest in % x", der)
	}
	return hex.EncodeToString(rest[:48])
}
