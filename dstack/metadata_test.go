package dstack

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tdxkit/tdxkit/internal/bin"
)

const (
	hash    = "8d2b7fe6a4d5f9f7c56f6f1c3d2ffb0f6e1a7d7e88f7a9c1f1f2b3c4d5e6f708"
	cmdOld  = "console=ttyS0 init=/init panic=1"
	cmdHash = cmdOld + " dstack.rootfs_hash=" + hash
	cmdSize = cmdHash + " dstack.rootfs_size=123"
	base    = `"bios":"ovmf.fd","kernel":"bzImage","initrd":"initramfs.cpio.gz"`
)

// shapes are the seven forms in which dstack's image builder has written metadata.json.
var shapes = []struct {
	name, text string
	want       Metadata
}{
	{"2024-11-30", `{` + base + `,"cmdline":"` + cmdOld + `","rootfs":"rootfs.iso","rootfs_hash":"` + hash + `"}`,
		Metadata{Cmdline: cmdOld, Rootfs: "rootfs.iso", RootfsHash: hash}},
	{"git_revision", `{` + base + `,"cmdline":"` + cmdOld + `","rootfs":"rootfs.iso","rootfs_hash":"` + hash + `","git_revision":"abc"}`,
		Metadata{Cmdline: cmdOld, Rootfs: "rootfs.iso", RootfsHash: hash, GitRevision: "abc"}},
	{"0.3.3", `{` + base + `,"cmdline":"` + cmdOld + `","rootfs":"rootfs.iso","rootfs_hash":"` + hash + `","git_revision":"abc","version":"0.3.3","shared_ro":true}`,
		Metadata{Cmdline: cmdOld, Rootfs: "rootfs.iso", RootfsHash: hash, GitRevision: "abc", Version: "0.3.3", SharedRO: true}},
	{"is_dev", `{` + base + `,"cmdline":"` + cmdOld + `","rootfs":"rootfs.iso","rootfs_hash":"` + hash + `","git_revision":"abc","version":"0.3.3","shared_ro":true,"is_dev":true}`,
		Metadata{Cmdline: cmdOld, Rootfs: "rootfs.iso", RootfsHash: hash, GitRevision: "abc", Version: "0.3.3", SharedRO: true, IsDev: true}},
	{"cmdline with rootfs_hash", `{` + base + `,"cmdline":"` + cmdHash + `","rootfs":"rootfs.iso","rootfs_hash":"` + hash + `","version":"0.3.4","shared_ro":true,"is_dev":false}`,
		Metadata{Cmdline: cmdHash, Rootfs: "rootfs.iso", RootfsHash: hash, Version: "0.3.4", SharedRO: true}},
	{"0.5", `{` + base + `,"cmdline":"` + cmdSize + `","rootfs":"rootfs.img.verity","version":"0.5.0","shared_ro":true,"is_dev":false}`,
		Metadata{Cmdline: cmdSize, Rootfs: "rootfs.img.verity", Version: "0.5.0", SharedRO: true}},
	{"2026", `{` + base + `,"bios-sev":"ovmf-sev.fd","cmdline":"` + cmdSize + `","rootfs":"rootfs.img.parted.verity","version":"0.6.0","shared_ro":true,"is_dev":false,"ovmf_variant":"pre202505","kernel_header_normalized":true}`,
		Metadata{BIOSSEV: "ovmf-sev.fd", Cmdline: cmdSize, Rootfs: "rootfs.img.parted.verity", Version: "0.6.0", SharedRO: true,
			OVMFVariant: "pre202505", Ignored: []string{"kernel_header_normalized"}}},
}

func TestParseMetadata(t *testing.T) {
	for _, tc := range shapes {
		t.Run(tc.name, func(t *testing.T) {
			want := tc.want
			want.BIOS, want.Kernel, want.Initrd = "ovmf.fd", "bzImage", "initramfs.cpio.gz"
			got, err := ParseMetadata([]byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(&want, got); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			if IsTDXMeasure([]byte(tc.text)) {
				t.Error("taken for a document of tdx-measure")
			}
		})
	}
}

func TestParseMetadataCleansPaths(t *testing.T) {
	got, err := ParseMetadata([]byte(`{"bios":"./fw//ovmf.fd","kernel":"a/../bzImage","initrd":"i","cmdline":""}`))
	if err != nil {
		t.Fatal(err)
	}
	if got.BIOS != "fw/ovmf.fd" || got.Kernel != "bzImage" {
		t.Errorf("bios %q, kernel %q", got.BIOS, got.Kernel)
	}
}

// A reject is a document that is refused: where, in which category, and a part of the message.
type reject struct {
	name, text string
	field      string
	category   error
	msg        string
}

func checkRejects(t *testing.T, tests []reject, parse func([]byte) error) {
	t.Helper()
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			err := parse([]byte(tc.text))
			var fe *bin.FormatError
			if !errors.As(err, &fe) {
				t.Fatalf("error %v, want a FormatError", err)
			}
			if fe.Field != tc.field || !errors.Is(err, tc.category) || !strings.Contains(fe.Msg, tc.msg) {
				t.Errorf("error %v (field %q, category %v), want field %q, %v, %q", err, fe.Field, fe.Err, tc.field, tc.category, tc.msg)
			}
			if fe.Off < 0 || fe.Off > int64(len(tc.text)) {
				t.Errorf("offset %d is outside the document of %d bytes", fe.Off, len(tc.text))
			}
		})
	}
}

func TestParseMetadataRejects(t *testing.T) {
	const rest = `"kernel":"k","initrd":"i","cmdline":"c"}`
	checkRejects(t, []reject{
		{"empty", ``, "document", bin.ErrTruncated, "ends early"},
		{"cut", `{"bios":"o`, "document", bin.ErrTruncated, "ends early"},
		{"no closing brace", `{"bios":"o"`, "document", bin.ErrTruncated, "ends early"},
		{"array", `[]`, "document", bin.ErrMalformed, "not a JSON object"},
		{"broken", `{"bios" "o"}`, "document", bin.ErrMalformed, "is not JSON"},
		{"trailing text", `{"bios":"o",` + rest + `{}`, "document", bin.ErrMalformed, "followed by more"},
		{"trailing brace", `{"bios":"o",` + rest + `}`, "document", bin.ErrMalformed, "followed by more"},
		{"not UTF-8", "{\"bios\":\"\xff\"," + rest, "text", bin.ErrMalformed, "not UTF-8"},
		{"too long", strings.Repeat(" ", bin.MaxJSON+1), "length", bin.ErrUnsupported, "at most"},
		{"no bios", `{` + rest, "bios", bin.ErrMalformed, "is missing"},
		{"bios in capitals", `{"BIOS":"o",` + rest, "bios", bin.ErrMalformed, "is missing"},
		{"null bios", `{"bios":null,` + rest, "bios", bin.ErrMalformed, "is missing"},
		{"empty bios", `{"bios":"",` + rest, "bios", bin.ErrMalformed, "is empty"},
		{"number as bios", `{"bios":1,` + rest, "bios", bin.ErrMalformed, "want a string"},
		{"no kernel", `{"bios":"o","initrd":"i","cmdline":"c"}`, "kernel", bin.ErrMalformed, "is missing"},
		{"no initrd", `{"bios":"o","kernel":"k","cmdline":"c"}`, "initrd", bin.ErrMalformed, "is missing"},
		{"no cmdline", `{"bios":"o","kernel":"k","initrd":"i"}`, "cmdline", bin.ErrMalformed, "is missing"},
		{"bios twice", `{"bios":"o","bios":"p",` + rest, "bios", bin.ErrMalformed, "occurs twice"},
		{"unknown key twice", `{"bios":"o","x":1,"x":1,` + rest, "x", bin.ErrMalformed, "occurs twice"},
		{"NUL in cmdline", `{"bios":"o","kernel":"k","initrd":"i","cmdline":"a\u0000b"}`, "cmdline", bin.ErrMalformed, "NUL"},
		{"shared_ro as text", `{"bios":"o","shared_ro":"true",` + rest, "shared_ro", bin.ErrMalformed, "true or false"},
		{"absolute", `{"bios":"/etc/passwd",` + rest, "bios", bin.ErrMalformed, "is absolute"},
		{"climbs", `{"bios":"../ovmf.fd",` + rest, "bios", bin.ErrMalformed, "leaves the folder"},
		{"climbs inside", `{"bios":"a/../../ovmf.fd",` + rest, "bios", bin.ErrMalformed, "leaves the folder"},
		{"the folder", `{"bios":"a/..",` + rest, "bios", bin.ErrMalformed, "leaves the folder"},
		{"backslash", `{"bios":"a\\b",` + rest, "bios", bin.ErrMalformed, "backslash"},
		{"rootfs climbs", `{"bios":"o","rootfs":"../r.iso",` + rest, "rootfs", bin.ErrMalformed, "leaves the folder"},
	}, func(b []byte) error { _, err := ParseMetadata(b); return err })
}

func FuzzParseMetadata(f *testing.F) {
	for _, s := range shapes {
		f.Add([]byte(s.text))
	}
	f.Add([]byte(measured))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseMetadata(data)
		if err == nil {
			for _, p := range []string{m.BIOS, m.Kernel, m.Initrd} {
				if clean, err := localPath(p); err != nil || clean != p {
					t.Errorf("path %q: %q, %v", p, clean, err)
				}
			}
		}
		if m, err := ParseTDXMeasure(data); err == nil && len(m.CommandLine().Args) == 0 {
			t.Error("no command line")
		}
		IsTDXMeasure(data)
	})
}
