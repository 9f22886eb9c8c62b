package kernel

import (
	"errors"
	"fmt"
	"strings"
)

// An InitrdOrder says where OVMF puts the words that tell the kernel of its initrd.
type InitrdOrder uint8

// The orders.
const (
	NoInitrd     InitrdOrder = iota // there is no initrd, so no words
	InitrdAfter                     // " initrd=initrd" behind the command line, up to edk2-stable202505
	InitrdBefore                    // "initrd=initrd " before it, from edk2-stable202508
)

// ErrCmdline is returned for a command line that QEMU cannot be given.
var ErrCmdline = errors.New("command line holds a NUL byte")

// LoadOptions returns what OVMF hands to a kernel as load options, and the kernel's EFI stub measures: the command
// line with the words for the initrd, each byte of it widened to 16 bits (UTF-8 is not decoded), and a NUL. With an
// empty command line and no initrd it returns nil: load options of size 0 are not measured.
//
// A shim gets "kernel " in front of the same text and takes it off again before it starts the kernel, so the kernel
// measures the same bytes. Whether it measures the lone NUL that is left of an empty text is not known.
// edk2-stable202502, OvmfPkg/Library/X86QemuLoadImageLib/X86QemuLoadImageLib.c, QemuLoadKernelImage; the order is that
// of edk2-stable202508 and later where it is InitrdBefore.
func LoadOptions(cmdline string, order InitrdOrder) ([]byte, error) {
	if at := strings.IndexByte(cmdline, 0); at >= 0 {
		return nil, fmt.Errorf("%w, at byte %d", ErrCmdline, at)
	}
	text := cmdline
	switch order {
	case InitrdBefore:
		text = "initrd=initrd " + cmdline
	case InitrdAfter:
		text = cmdline + " initrd=initrd"
	}
	if text == "" {
		return nil, nil
	}
	out := make([]byte, 2*len(text)+2)
	for i := range len(text) {
		out[2*i] = text[i]
	}
	return out, nil
}
