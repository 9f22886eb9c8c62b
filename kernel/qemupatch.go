package kernel

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrBoot is returned where QEMU would refuse to boot the kernel as asked, or would do something that is not modelled.
var ErrBoot = errors.New("kernel cannot be booted as asked")

// Where QEMU puts a kernel with the flag LOADED_HIGH, as guest-physical addresses.
// QEMU v10.2.2, hw/i386/x86-common.c, x86_load_linux.
const (
	realAddr    = 0x10000 // setup code
	cmdLineAddr = 0x20000 // command line
	heapReserve = 0x200   // heap_end_ptr is counted from behind the boot sector

	qemuLoaderType  = 0xb0 // type_of_loader: QEMU, revision 0
	initrdAlignMask = 4095
	maxUint32       = 1<<32 - 1
)

// PatchOptions are the facts that decide what QEMU writes into the setup header.
type PatchOptions struct {
	LowRAM       uint64 // bytes of RAM below 4 GiB, QEMU's below_4g_mem_size
	ACPIDataSize uint64 // bytes QEMU keeps free at the top of low RAM for ACPI tables: 0x28000 for q35
	HasInitrd    bool
	InitrdSize   uint64 // bytes
	Cmdline      string // -append
}

// QEMUPatch returns what QEMU writes into the kernel's setup header before it hands it to the firmware, in file order.
// Which releases of QEMU and firmware use the patched kernel is for the caller to know, and so are -dtb and the random
// seed of QEMU 7.2, which change the kernel in other ways. Errors wrap ErrBoot and say why QEMU would not start.
// QEMU v10.2.2, hw/i386/x86-common.c, x86_load_linux.
func QEMUPatch(img *Image, opts PatchOptions) ([]Patch, error) {
	if img.Setup.LoadFlags&LoadedHigh == 0 {
		return nil, fmt.Errorf("%w: loadflags lack LOADED_HIGH, so it is a zImage", ErrBoot)
	}
	var patches []Patch
	if mode, ok, err := vidMode(opts.Cmdline); err != nil {
		return nil, err
	} else if ok {
		patches = append(patches, Patch{"vid_mode", offVidMode, put16(mode)})
	}
	patches = append(patches,
		Patch{"type_of_loader", offTypeOfLoader, []byte{qemuLoaderType}},
		Patch{"loadflags", offLoadflags, []byte{byte(img.Setup.LoadFlags | CanUseHeap)}})
	if opts.HasInitrd {
		addr, err := initrdAddr(img.Setup, opts)
		if err != nil {
			return nil, err
		}
		patches = append(patches,
			Patch{"ramdisk_image", offRamdiskImage, put32(addr)},
			Patch{"ramdisk_size", offRamdiskSize, put32(uint32(opts.InitrdSize))})
	}
	return append(patches,
		Patch{"heap_end_ptr", offHeapEndPtr, put16(cmdLineAddr - realAddr - heapReserve)},
		Patch{"cmd_line_ptr", offCmdLinePtr, put32(cmdLineAddr)}), nil
}

// initrdAddr returns the guest-physical address that QEMU gives the initrd: as high as the kernel and the end of low RAM
// allow, on a page boundary.
func initrdAddr(s Setup, opts PatchOptions) (uint32, error) {
	highest := uint64(s.InitrdAddrMax)
	if s.XLoadFlags&Above4G != 0 {
		highest = maxUint32
	}
	if opts.LowRAM <= opts.ACPIDataSize {
		return 0, fmt.Errorf("%w: %d bytes of RAM below 4 GiB leave no room for an initrd", ErrBoot, opts.LowRAM)
	}
	if free := opts.LowRAM - opts.ACPIDataSize; highest >= free {
		highest = free - 1
	}
	if opts.InitrdSize >= highest {
		return 0, fmt.Errorf("%w: the initrd has %d bytes, QEMU places at most %d", ErrBoot, opts.InitrdSize, highest)
	}
	if opts.InitrdSize == 0 {
		return 0, fmt.Errorf("%w: the initrd is empty", ErrBoot)
	}
	return uint32((highest - opts.InitrdSize) &^ initrdAlignMask), nil
}

// vidMode returns the video mode that the first "vga=" of a command line asks for, wherever in a word it stands, and
// reports whether there is one. The words are compared by prefix, and a number must end at a blank or at the end.
func vidMode(cmdline string) (mode uint16, ok bool, err error) {
	_, arg, ok := strings.Cut(cmdline, "vga=")
	if !ok {
		return 0, false, nil
	}
	for _, w := range []struct {
		name string
		mode uint16
	}{{"normal", 0xffff}, {"ext", 0xfffe}, {"ask", 0xfffd}} {
		if strings.HasPrefix(arg, w.name) {
			return w.mode, true, nil
		}
	}
	word, _, _ := strings.Cut(arg, " ")
	n, err := parseStrtoui(word)
	if err != nil {
		return 0, false, fmt.Errorf("%w: vga=%s on the command line is no video mode: want normal, ext, ask or a number", ErrBoot, word)
	}
	return uint16(n), true, nil
}

// parseStrtoui parses a number as C's strtoul does with base 0, without the signs and white space that it would allow:
// 0x is hexadecimal, a leading 0 octal.
func parseStrtoui(s string) (uint32, error) {
	digits, base := s, 10
	switch {
	case strings.HasPrefix(s, "0x"), strings.HasPrefix(s, "0X"):
		digits, base = s[2:], 16
	case strings.HasPrefix(s, "0"):
		base = 8
	}
	n, err := strconv.ParseUint(digits, base, 32)
	return uint32(n), err
}
