package kernel_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/kernel"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		file, release, compression string
		handover                   uint32
		signed                     int64
	}{
		{"vmlinuz-6.1-cloud", "6.1.0-50-cloud-amd64", "lz4", 0xd694f0, 0x5c0},
		{"vmlinuz-6.12-amd64", "6.12.107+deb13-amd64", "zstd", 0xb7bbe0, 0x5c0},
		{"vmlinuz-6.12-cloud", "6.12.107+deb13-cloud-amd64", "zstd", 0xb11b20, 0x5c0},
		{"vmlinuz-7.2-cloud", "7.2.13+deb14-cloud-amd64", "zstd", 0xd4e190, 0x5c0},
	} {
		t.Run(tc.file, func(t *testing.T) {
			img, err := kernel.Parse(fixtures.Kernel(t, tc.file))
			if err != nil {
				t.Fatal(err)
			}
			if got := img.Setup.Release(); got != tc.release {
				t.Errorf("release %q, want %q", got, tc.release)
			}
			if img.Compression != tc.compression {
				t.Errorf("compression %q, want %q", img.Compression, tc.compression)
			}
			if img.Setup.HandoverOffset != tc.handover || img.Setup.Protocol != 0x020f {
				t.Errorf("handover 0x%x, protocol 0x%x, want 0x%x, 0x20f", img.Setup.HandoverOffset, img.Setup.Protocol, tc.handover)
			}
			if got, want := img.Setup.XLoadFlags.String(), "KERNEL_64|CAN_BE_LOADED_ABOVE_4G|EFI_HANDOVER_32|EFI_HANDOVER_64|EFI_KEXEC|5LEVEL|5LEVEL_ENABLED"; got != want {
				t.Errorf("xloadflags %s, want %s", got, want)
			}
			if img.Certificates.Len != tc.signed || !img.Signed() || img.UKI() || len(img.Sections) != 4 {
				t.Errorf("certificates %+v, UKI %v, %d sections", img.Certificates, img.UKI(), len(img.Sections))
			}
			if err := img.CrossCheck(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestParseBuilt(t *testing.T) {
	img, err := kernel.Parse(newBuild().bytes())
	if err != nil {
		t.Fatal(err)
	}
	if img.Setup.Version != "6.12.1-test (me@here) #1 SMP" || img.Payload != (kernel.Span{Off: 0x700, Len: 0x1000}) || img.Signed() {
		t.Errorf("%+v, payload %+v", img.Setup, img.Payload)
	}
	if img.Setup.LoadFlags != kernel.LoadedHigh || img.Setup.LoadFlags.String() != "LOADED_HIGH" {
		t.Errorf("loadflags %s", img.Setup.LoadFlags)
	}
}

// rejects has one way of being wrong a row.
var rejects = []struct {
	name  string
	build func(*build)
	patch func([]byte) []byte
	field string
	want  error
	text  string // part of the message
}{
	{name: "empty", patch: func([]byte) []byte { return nil }, field: "file size", want: bin.ErrTruncated},
	{name: "one byte", patch: func(d []byte) []byte { return d[:1] }, field: "MS-DOS header", want: bin.ErrTruncated},
	{name: "ELF", patch: func(d []byte) []byte { return append([]byte("\x7fELF"), d...) }, field: "first bytes", want: bin.ErrUnsupported, text: "vmlinux"},
	{name: "gzip", patch: func(d []byte) []byte { return append([]byte{0x1f, 0x8b, 8}, d...) }, field: "first bytes", want: bin.ErrUnsupported, text: "gzip stream"},
	{name: "text", patch: func(d []byte) []byte { return []byte(strings.Repeat("#!/bin/sh\n", 100)) }, field: "e_magic", want: bin.ErrUnsupported},
	{name: "no EFI stub", patch: func(d []byte) []byte { d[0], d[1] = 0xea, 0x05; return d }, field: "first bytes", want: bin.ErrUnsupported, text: "without an EFI stub"},
	{name: "PE header past the end", patch: func(d []byte) []byte { writer(d).u32(0x3c, 0xfffffff0); return d }, field: "e_lfanew", want: bin.ErrTruncated},
	{name: "no PE signature", patch: func(d []byte) []byte { d[buildPE] = 'X'; return d }, field: "Signature", want: bin.ErrMalformed},
	{name: "IA-32", build: func(b *build) { b.machine = 0x14c }, field: "Machine", want: bin.ErrUnsupported, text: "IA-32"},
	{name: "AArch64", build: func(b *build) { b.machine = 0xaa64 }, field: "Machine", want: bin.ErrUnsupported, text: "AArch64"},
	{name: "unknown machine", build: func(b *build) { b.machine = 0x1234 }, field: "Machine", want: bin.ErrUnsupported, text: "unknown"},
	{name: "Windows program", patch: func(d []byte) []byte { writer(d).u16(buildOptional+68, 3); return d }, field: "Subsystem", want: bin.ErrUnsupported},
	{name: "EFI driver", patch: func(d []byte) []byte { writer(d).u16(buildOptional+68, 11); return d }, field: "Subsystem", want: bin.ErrUnsupported},
	{name: "PE32", build: func(b *build) { b.magic = 0x10b }, field: "Magic", want: bin.ErrMalformed},
	{name: "17 directories", build: func(b *build) { b.directories = 17 }, field: "NumberOfRvaAndSizes", want: bin.ErrMalformed},
	{name: "optional header too long", build: func(b *build) { b.optionalSize = 168 }, field: "SizeOfOptionalHeader", want: bin.ErrMalformed},
	{name: "no sections", build: func(b *build) { b.sections = nil }, field: "NumberOfSections", want: bin.ErrMalformed},
	{name: "65535 sections", patch: func(d []byte) []byte { writer(d).u16(buildCOFF+2, 0xffff); return d }, field: "NumberOfSections", want: bin.ErrMalformed},
	{name: "headers too small", build: func(b *build) { b.sizeOfHeaders = 0x100 }, field: "SizeOfHeaders", want: bin.ErrMalformed},
	{name: "headers larger than the file", build: func(b *build) { b.sizeOfHeaders = 0xfffffff0; b.sizeOfImage = 0xffffffff }, field: "SizeOfHeaders", want: bin.ErrTruncated},
	{name: "headers larger than the image", build: func(b *build) { b.sizeOfImage = 0x400 }, field: "SizeOfHeaders", want: bin.ErrMalformed},
	{name: "section past the end", build: func(b *build) { b.sections[1].len = 0x1a01 }, field: "SizeOfRawData", want: bin.ErrTruncated},
	{name: "section that wraps", build: func(b *build) { b.sections[1] = buildSection{".text", 0x600, 0xfffffff0} }, field: "SizeOfRawData", want: bin.ErrTruncated},
	{name: "section in the headers", build: func(b *build) { b.sections[0].off = 0x3ff }, field: "PointerToRawData", want: bin.ErrMalformed},
	{name: "sections overlap", build: func(b *build) { b.sections[0].len = 0x201 }, field: "PointerToRawData", want: bin.ErrUnsupported},
	{name: "certificates past the end", build: func(b *build) { b.certOff, b.certLen = 0x1e00, 0x201 }, field: "certificate table", want: bin.ErrTruncated},
	{name: "certificates that wrap", build: func(b *build) { b.certOff, b.certLen = 0xffffffff, 0xffffffff }, field: "certificate table", want: bin.ErrTruncated},
	{name: "certificates larger than what is left", build: func(b *build) { b.certOff, b.certLen = 0x1c00, 0x400 }, field: "certificate table size", want: bin.ErrMalformed},
	{name: "truncated", patch: func(d []byte) []byte { return d[:len(d)/2] }, field: "SizeOfRawData", want: bin.ErrTruncated},
	{name: "no HdrS", build: func(b *build) { b.hdrs = "HdrX" }, field: "header", want: bin.ErrMalformed, text: "no Linux kernel"},
	{name: "unified kernel image", build: func(b *build) { b.hdrs = ""; b.sections[1].name = ".linux" }, field: "header", want: bin.ErrUnsupported, text: "unified kernel image"},
	{name: "protocol 2.10", build: func(b *build) { b.protocol = 0x020a }, field: "version", want: bin.ErrUnsupported, text: "2.10"},
	{name: "setup code past the end", build: func(b *build) { b.setupSects = 255 }, field: "setup_sects", want: bin.ErrTruncated},
	{name: "version outside the setup code", build: func(b *build) { b.kernelVersion = 0x500 }, field: "kernel_version", want: bin.ErrMalformed},
	{name: "version without NUL", build: func(b *build) { b.kernelVersion = 0x3f8; b.version = strings.Repeat("x", 64) }, field: "kernel_version", want: bin.ErrMalformed},
	{name: "payload past the end", build: func(b *build) { b.payloadLength = 0x1901 }, field: "payload_length", want: bin.ErrTruncated},
	{name: "payload of 4 GiB", build: func(b *build) { b.payloadLength = 0xfffffff0 }, field: "payload_length", want: bin.ErrTruncated},
	{name: "no payload", build: func(b *build) { b.payloadLength = 0 }, field: "payload_length", want: bin.ErrMalformed},
}

func TestParseRejects(t *testing.T) {
	for _, tc := range rejects {
		t.Run(tc.name, func(t *testing.T) {
			b := newBuild()
			if tc.build != nil {
				tc.build(&b)
			}
			data := b.bytes()
			if tc.patch != nil {
				data = tc.patch(data)
			}
			img, err := kernel.Parse(data)
			var fe *bin.FormatError
			if !errors.As(err, &fe) {
				t.Fatalf("got %v, %v, want a format error", img, err)
			}
			if fe.Field != tc.field || !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v (%v), want field %q, %v, %q", err, fe.Err, tc.field, tc.want, tc.text)
			}
		})
	}
}

// TestParseCut cuts a real kernel at its structure's edges: no cut may pass.
func TestParseCut(t *testing.T) {
	data := fixtures.Kernel(t, "vmlinuz-6.12-cloud")
	for _, n := range []int{0, 1, 2, 63, 64, 0x58, 0x1f1, 0x202, 0x268, 0x1000, 0x5000, len(data) / 2, len(data) - 1} {
		if _, err := kernel.Parse(data[:n]); err == nil {
			t.Errorf("a kernel cut to %d bytes is accepted", n)
		}
	}
}

func TestStubMeasures(t *testing.T) {
	cc := []byte{0x48, 0xb8, 0x3d, 0x1a, 0x75, 0x96, 0xf4, 0x72, 0xa6, 0x41, 0x48, 0xb8, 0xa7, 0x94, 0xed, 0x5d, 0x0e, 0x67, 0xae, 0x6b}
	tcg2 := []byte{0x48, 0xb8, 0x6c, 0x76, 0x7f, 0x60, 0x55, 0x74, 0xbe, 0x42, 0x48, 0xb8, 0x93, 0x0b, 0xe4, 0xd7, 0x6d, 0xb2, 0x72, 0x0f}
	options, initrd := []byte("LOADED_IMAGE::LoadOptions\x00"), []byte("Linux initrd\x00")
	join := func(parts ...[]byte) (out []byte) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	for _, tc := range []struct {
		name            string
		wrapper         []byte
		options, initrd kernel.Answer
	}{
		{"nothing", nil, kernel.No, kernel.No},
		{"protocols only", join(cc, tcg2), kernel.No, kernel.No},
		{"all", join(cc, tcg2, options, initrd), kernel.Yes, kernel.Yes},
		{"TPM only", join(tcg2, options, initrd), kernel.No, kernel.No},
		{"no protocol", join(options, initrd), kernel.Unknown, kernel.Unknown},
		{"half of the GUID", join(cc[:10], tcg2, options, initrd), kernel.Unknown, kernel.Unknown},
		{"no initrd event", join(cc, tcg2, options), kernel.Yes, kernel.Unknown},
	} {
		b := newBuild()
		b.wrapper = tc.wrapper
		img, err := kernel.Parse(b.bytes())
		if err != nil {
			t.Fatal(err)
		}
		m := img.StubMeasures()
		if m.LoadOptions != tc.options || m.Initrd != tc.initrd || m.Evidence == "" {
			t.Errorf("%s: %+v, want %s, %s", tc.name, m, tc.options, tc.initrd)
		}
	}

	// The same bytes inside the compressed kernel say nothing of the stub.
	b := newBuild()
	data := b.bytes()
	copy(data[0x800:], join(cc, options, initrd))
	img, err := kernel.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if m := img.StubMeasures(); m.LoadOptions != kernel.No {
		t.Errorf("markers in the payload: %+v", m)
	}
}

// TestStubMeasuresKernels: which of these kernels measure was seen in an emulated TD.
func TestStubMeasuresKernels(t *testing.T) {
	for file, want := range map[string]kernel.Answer{
		"vmlinuz-6.1-cloud": kernel.No, "vmlinuz-6.12-cloud": kernel.Yes, "vmlinuz-6.12-amd64": kernel.Yes, "vmlinuz-7.2-cloud": kernel.Yes,
	} {
		t.Run(file, func(t *testing.T) {
			img, err := kernel.Parse(fixtures.Kernel(t, file))
			if err != nil {
				t.Fatal(err)
			}
			if m := img.StubMeasures(); m.LoadOptions != want || m.Initrd != want {
				t.Errorf("%+v, want %s", m, want)
			}
		})
	}
}
