package kernel

import (
	"errors"
	"strings"
)

// An InitrdOrder says where OVMF puts the words that tell the kernel of its initrd.
type InitrdOrder uint8

// The orders.
const (
	InitrdAfter  InitrdOrder = iota // " initrd=initrd" behind the command line, up to edk2-stable202505
	InitrdBefore                    // "initrd=initrd " before it, from edk2-stable202508
)

// ErrCmdline is returned for a command line that no QEMU can be given.
var ErrCmdline = errors.New("command line holds a NUL byte")

// LoadOptions returns what OVMF hands to a kernel as load options, and the kernel's EFI stub measures: the command
// line with the words for the initrd, each byte of it widened to 16 bits (UTF-8 is not decoded), and a NUL. With no
// command line, no initrd and no shim it returns nil: load options of size 0 are not measured.
// edk2-stable202505 and later, OvmfPkg/Library/X86QemuLoadImageLib/X86QemuLoadImageLib.c, QemuLoadKernelImage.
func LoadOptions(cmdline string, initrd bool, order InitrdOrder, shim bool) ([]byte, error) {
	if strings.IndexByte(cmdline, 0) >= 0 {
		return nil, ErrCmdline
	}
	text := cmdline
	switch {
	case initrd && order == InitrdBefore:
		text = "initrd=initrd " + cmdline
	case initrd:
		text = cmdline + " initrd=initrd"
	}
	if shim {
		text = "kernel " + text
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
