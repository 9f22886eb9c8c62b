// Package kernel reads what direct boot hands to a guest: the Linux kernel (a bzImage that is also an EFI
// application), the initrd and the command line. It says which of their bytes are measured, what QEMU changes in the
// kernel's setup header, and whether the kernel's EFI stub measures anything itself.
//
// It wraps github.com/u-root/u-root/pkg/boot/bzimage and github.com/saferwall/pe, which are handed nothing whose sizes
// have not been checked here first. The digest is this package's own walk, after edk2's.
package kernel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/u-root/u-root/pkg/boot/bzimage"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/decompress"
)

// formatSetup names the structure in errors.
const formatSetup = "Linux setup header"

// Offsets of setup header fields, from the start of the file. Linux v6.12, Documentation/arch/x86/boot.rst, "The
// Real-Mode Kernel Header".
const (
	offSetupSects     = 0x1f1
	offVidMode        = 0x1fa
	offHeader         = 0x202
	offVersion        = 0x206
	offKernelVersion  = 0x20e
	offTypeOfLoader   = 0x210
	offLoadflags      = 0x211
	offRamdiskImage   = 0x218
	offRamdiskSize    = 0x21c
	offHeapEndPtr     = 0x224
	offCmdLinePtr     = 0x228
	offPayloadOffset  = 0x248
	offPayloadLength  = 0x24c
	setupHeaderEnd    = 0x268 // of the fields that protocol 2.11 has
	sectorSize        = 512
	defaultSetupSects = 4 // what 0 in setup_sects stands for
	crcSize           = 4 // the build appends a CRC-32 to the image

	// minProtocol is 2.11 (Linux 3.3), the first with an EFI stub.
	minProtocol = 0x020b
	// minPayload is the shortest payload that a magic number can be read from.
	minPayload = 16
)

// LoadFlags are the loadflags of the setup header.
type LoadFlags uint8

// The load flags. Linux v6.12, arch/x86/include/uapi/asm/bootparam.h.
const (
	LoadedHigh   LoadFlags = 1 << 0 // LOADED_HIGH
	KASLR        LoadFlags = 1 << 1 // KASLR_FLAG
	Quiet        LoadFlags = 1 << 5 // QUIET_FLAG
	KeepSegments LoadFlags = 1 << 6 // KEEP_SEGMENTS
	CanUseHeap   LoadFlags = 1 << 7 // CAN_USE_HEAP
)

// String returns the names of the flags, "LOADED_HIGH|CAN_USE_HEAP".
func (f LoadFlags) String() string {
	return flagNames(uint64(f), []string{0: "LOADED_HIGH", 1: "KASLR_FLAG", 5: "QUIET_FLAG", 6: "KEEP_SEGMENTS", 7: "CAN_USE_HEAP"})
}

// XLoadFlags are the xloadflags of the setup header, from protocol 2.12 on.
type XLoadFlags uint16

// The extended load flags. Linux v6.12, arch/x86/include/uapi/asm/bootparam.h.
const (
	Kernel64      XLoadFlags = 1 << 0 // XLF_KERNEL_64
	Above4G       XLoadFlags = 1 << 1 // XLF_CAN_BE_LOADED_ABOVE_4G
	EFIHandover32 XLoadFlags = 1 << 2 // XLF_EFI_HANDOVER_32
	EFIHandover64 XLoadFlags = 1 << 3 // XLF_EFI_HANDOVER_64
)

// String returns the names of the flags, "KERNEL_64|CAN_BE_LOADED_ABOVE_4G".
func (f XLoadFlags) String() string {
	return flagNames(uint64(f), []string{"KERNEL_64", "CAN_BE_LOADED_ABOVE_4G", "EFI_HANDOVER_32", "EFI_HANDOVER_64", "EFI_KEXEC",
		"5LEVEL", "5LEVEL_ENABLED", "MEM_ENCRYPTION"})
}

// flagNames joins the names of the bits that are set; a bit without a name is printed as a number.
func flagNames(bits uint64, names []string) string {
	var out []string
	for i := range 64 {
		if bits>>i&1 == 0 {
			continue
		}
		if i < len(names) && names[i] != "" {
			out = append(out, names[i])
		} else {
			out = append(out, fmt.Sprintf("0x%x", uint64(1)<<i))
		}
	}
	return strings.Join(out, "|")
}

// A Setup holds the fields of the setup header that a boot loader or a reader may ask for.
type Setup struct {
	Protocol       uint16 // 0x020f is 2.15
	LoadFlags      LoadFlags
	XLoadFlags     XLoadFlags // 0 before protocol 2.12
	InitrdAddrMax  uint32     // highest address an initrd may occupy
	CmdLineSize    uint32     // most bytes of a command line, without NUL
	PrefAddress    uint64     // preferred load address
	InitSize       uint32     // bytes the kernel needs at its load address
	Relocatable    bool
	HandoverOffset uint32 // of the EFI handover entry, 0 without
	Version        string // as `file` prints it, "6.12.107+deb13-cloud-amd64 (...) #1 SMP ..."
}

// Release returns the first word of the version, which `uname -r` prints.
func (s Setup) Release() string {
	release, _, _ := strings.Cut(s.Version, " ")
	return release
}

// An Image is a bzImage for x86-64 with an EFI stub.
type Image struct {
	*PE
	Setup   Setup
	Payload Span // the compressed kernel proper
	// Compression is the payload's format as `file` calls it, "xz"; "unknown" for one that this program cannot name.
	Compression string

	stub [2][]byte // what is before the payload and behind it
}

// Parse reads a bzImage: its PE headers and its setup header. It refuses what cannot be booted with -kernel in a TD,
// with a message that says what the file is where that can be told. Errors are bin.FormatErrors. The image holds on
// to data, which must not change afterwards.
func Parse(data []byte) (*Image, error) { return parse(inMemory(data)) }

// Read is Parse for a file of size bytes. It leaves the compressed kernel in the file, if that is where it usually is: most
// of a kernel is only hashed, and is read when a digest is asked for. The file must not be closed or change before that.
// Errors are bin.FormatErrors or wrap ErrRead.
func Read(file io.ReaderAt, size int64) (*Image, error) {
	if err := checkSize(size); err != nil {
		return nil, err
	}
	c, err := inFile(file, size)
	if err != nil {
		return nil, err
	}
	img, err := parse(c)
	if err == nil || c.gap.Len == 0 {
		return img, err
	}
	// Of an odd image the gap may be what has to be parsed, so an error needs the whole of it.
	if c.head, err = c.load(c.head, size); err != nil {
		return nil, err
	}
	return Parse(c.head)
}

func parse(c contents) (*Image, error) {
	if err := refuseOther(c.head); err != nil {
		return nil, err
	}
	p, err := parsePE(c)
	if err != nil {
		return nil, err
	}
	img := &Image{PE: p}
	if err := img.readSetup(); err != nil {
		return nil, err
	}
	return img, nil
}

// refuseOther refuses files that are no EFI application and can be told by their first bytes.
func refuseOther(data []byte) error {
	is := func(what, hint string) error {
		return &bin.FormatError{Format: "kernel", Field: "first bytes", Msg: "are those of " + what + "; " + hint, Err: bin.ErrUnsupported}
	}
	switch f := decompress.Detect(data); {
	case len(data) == 0:
		return &bin.FormatError{Format: "kernel", Field: "file size", Msg: "is 0 bytes", Err: bin.ErrTruncated}
	case bytes.HasPrefix(data, []byte("\x7fELF")):
		return is("an ELF file, a vmlinux", "want the bzImage, which has the EFI stub")
	case f != nil:
		return is("a "+f.Name+" stream", "want the bzImage itself")
	case len(data) >= offVersion && string(data[offHeader:offVersion]) == "HdrS" && string(data[:2]) != "MZ":
		return is("a bzImage without an EFI stub", "OVMF can boot a TD only through the stub (CONFIG_EFI_STUB)")
	}
	return nil
}

// readSetup reads the setup header with u-root after checking every size in it.
func (img *Image) readSetup() error {
	data := img.head
	if len(data) < setupHeaderEnd {
		return setupError(0, "setup header", bin.ErrTruncated, "ends at 0x%x, the file has 0x%x bytes", setupHeaderEnd, len(data))
	}
	if sig := string(data[offHeader:offVersion]); sig != "HdrS" {
		if img.UKI() {
			return setupError(offHeader, "header", bin.ErrUnsupported, "is %q: the file is a unified kernel image, want a bzImage", sig)
		}
		return setupError(offHeader, "header", bin.ErrMalformed, "is %q, want \"HdrS\": the file is an EFI application and no Linux kernel", sig)
	}
	var h bzimage.LinuxHeader
	if err := h.UnmarshalBinary(data[:setupHeaderEnd]); err != nil {
		return setupError(0, "setup header", bin.ErrMalformed, "%v", err)
	}
	if h.Protocolversion < minProtocol {
		return setupError(offVersion, "version", bin.ErrUnsupported, "is %d.%02d, want at least 2.11 (Linux 3.3), the first with an EFI stub",
			h.Protocolversion>>8, h.Protocolversion&0xff)
	}
	img.Setup = Setup{
		Protocol: h.Protocolversion, LoadFlags: LoadFlags(h.Loadflags), InitrdAddrMax: h.InitrdAddrMax, CmdLineSize: h.CmdLineSize,
		PrefAddress: h.PrefAddress, InitSize: h.InitSize, Relocatable: h.RelocatableKernel != 0, HandoverOffset: h.HandoverOffset,
	}
	if h.Protocolversion >= 0x020c {
		img.Setup.XLoadFlags = XLoadFlags(h.XLoadFlags)
	}
	setupSize := setupBytes(h.SetupSects)
	if setupSize > int64(len(data)) {
		return setupError(offSetupSects, "setup_sects", bin.ErrTruncated, "makes the setup code 0x%x bytes, the file has 0x%x", setupSize, img.Size())
	}
	if err := img.readVersion(data[:setupSize], h.Kveraddr); err != nil {
		return err
	}
	return img.readPayload(setupSize, h.PayloadOffset, h.PayloadSize)
}

// setupBytes returns the size of boot sector and setup code for a value of setup_sects.
func setupBytes(setupSects uint8) int64 {
	if setupSects == 0 {
		setupSects = defaultSetupSects
	}
	return (int64(setupSects) + 1) * sectorSize
}

// readVersion reads the kernel's version string, which kernel_version points to from the end of the boot sector.
func (img *Image) readVersion(setup []byte, kernelVersion uint16) error {
	if kernelVersion == 0 {
		return nil
	}
	at := int(kernelVersion) + sectorSize
	if at >= len(setup) || bytes.IndexByte(setup[at:], 0) < 0 {
		return setupError(offKernelVersion, "kernel_version", bin.ErrMalformed, "points to 0x%x, want a string inside the setup code of 0x%x bytes", at, len(setup))
	}
	v, err := bzimage.KVer(bytes.NewReader(setup))
	if err != nil {
		return setupError(offKernelVersion, "kernel_version", bin.ErrMalformed, "%v", err)
	}
	img.Setup.Version = v
	return nil
}

// readPayload locates the compressed kernel; payload_offset counts from the end of the setup code.
func (img *Image) readPayload(setupSize int64, offset, length uint32) (err error) {
	img.Payload = Span{setupSize + int64(offset), int64(length)}
	switch {
	case length < minPayload:
		return setupError(offPayloadLength, "payload_length", bin.ErrMalformed, "is %d, want at least %d", length, minPayload)
	case img.Payload.End() > img.Size():
		return setupError(offPayloadLength, "payload_length", bin.ErrTruncated, "puts the compressed kernel at 0x%x to 0x%x, the file has 0x%x bytes",
			img.Payload.Off, img.Payload.End(), img.Size())
	}
	img.Compression = "unknown"
	first, err := img.bytes(Span{img.Payload.Off, minPayload})
	if f := decompress.Detect(first); f != nil {
		img.Compression = f.Name
	}
	if err == nil {
		img.stub[0], err = img.bytes(Span{0, img.Payload.Off})
	}
	if err == nil {
		img.stub[1], err = img.bytes(Span{img.Payload.End(), img.Size() - img.Payload.End()})
	}
	return err
}

// CrossCheck reads the kernel a second time, as a whole, with u-root and saferwall/pe, and says where they disagree with
// Parse and Authenticode. It copies the kernel and takes some tens of milliseconds.
func (img *Image) CrossCheck() error {
	// u-root prints a warning when it meets a signed kernel, so it gets one whose directory entry is cleared.
	data, err := img.bytes(Span{0, img.Size()})
	if err != nil {
		return err
	}
	data = bytes.Clone(data)
	if img.Signed() {
		opt := img.headers.Off + peSignatureLen + coffHeaderSize
		clear(data[opt+optionalFixed+certificateEntry*directorySize:][:directorySize])
	}
	if img.Payload.End()+crcSize > img.Size() {
		return setupError(offPayloadLength, "payload_length", bin.ErrMalformed, "leaves no room for the checksum behind the payload")
	}
	b := bzimage.BzImage{NoDecompress: true}
	if err := b.UnmarshalBinary(data); err != nil {
		return fmt.Errorf("kernel: u-root/bzimage: %w", err)
	}
	if got := int64(b.KernelOffset) + int64(len(b.HeadCode)); got != img.Payload.Off {
		return fmt.Errorf("kernel: payload at 0x%x, u-root/bzimage has it at 0x%x", img.Payload.Off, got)
	}
	if got, err := b.KVer(); img.Setup.Version != "" && (err != nil || got != img.Setup.Version) {
		return fmt.Errorf("kernel: version %q, u-root/bzimage has %q (%v)", img.Setup.Version, got, err)
	}
	return img.PE.CrossCheck()
}

func setupError(off int64, field string, category error, format string, args ...any) error {
	return &bin.FormatError{Format: formatSetup, Off: off, Field: field, Msg: fmt.Sprintf(format, args...), Err: category}
}

// put16 and put32 are the bytes of a little-endian field.
func put16(v uint16) []byte { return binary.LittleEndian.AppendUint16(nil, v) }
func put32(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }
