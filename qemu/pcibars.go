package qemu

import (
	"cmp"
	"math/bits"
)

// videoMemory reads a display's memory in MiB, which QEMU bounds to 1 to 512 and rounds up to a power of two, and returns
// it in bytes. Follows QEMU 10.2, hw/display/vga.c, vga_common_init.
func (d *deviceBuild) videoMemory() (uint64, error) {
	const def, least, most = 16, 1, 512
	n, err := d.number("vgamem_mb", def, 1<<32-1)
	return pow2ceil(min(max(n, least), most)) * mib, err
}

// vgaBARs are the video memory and, unless mmio=off, the registers. Follows QEMU 10.2, hw/display/vga-pci.c.
func vgaBARs(d *deviceBuild) ([]BAR, error) {
	n, err := d.videoMemory()
	if err != nil {
		return nil, err
	}
	bars := []BAR{pref32(0, n)}
	mmio, err := d.boolean("mmio", true)
	if mmio {
		bars = append(bars, mem32(2, 0x1000))
	}
	return bars, err
}

// vmwareBARs follows QEMU 10.2, hw/display/vmware_vga.c, pci_vmsvga_realize.
func vmwareBARs(d *deviceBuild) ([]BAR, error) {
	n, err := d.videoMemory()
	return []BAR{io(0, 0x10), pref32(1, n), pref32(2, 0x10000)}, err
}

// bochsBARs follows QEMU 10.2, hw/display/bochs-display.c, bochs_display_realize.
func bochsBARs(d *deviceBuild) ([]BAR, error) {
	const least, most = 4 * mib, 256 * mib
	n, err := d.size("vgamem", 16*mib)
	if err == nil && (n < least || n > most) {
		err = d.usage("vgamem=%s is not from 4 to 256 MiB", d.props.str("vgamem"))
	}
	return []BAR{pref32(0, pow2ceil(n)), mem32(2, 0x1000)}, err
}

// hostMemory reads the window on the host's memory of a virtio display, 0 without.
func (d *deviceBuild) hostMemory() (uint64, error) {
	n, err := d.size("hostmem", 0)
	if err == nil && n&(n-1) != 0 {
		err = d.usage("hostmem=%s is no power of two", d.props.str("hostmem"))
	}
	return n, err
}

// virtioGPUBARs moves the BARs of a virtio display that has a window on the host's memory. Follows QEMU 10.2,
// hw/display/virtio-gpu-pci.c, virtio_gpu_pci_base_realize.
func virtioGPUBARs(d *deviceBuild, bars []BAR) ([]BAR, error) {
	window, err := d.hostMemory()
	if err != nil || window == 0 {
		return bars, err
	}
	for i := range bars {
		if bars[i].Kind == BARPref64 {
			bars[i].Index = 2
		}
	}
	return append(bars, pref64(4, window)), nil
}

// virtioVGABARs are the video memory beside those of a virtio display. Follows QEMU 10.2, hw/display/virtio-vga.c,
// virtio_vga_base_realize.
func virtioVGABARs(d *deviceBuild) ([]BAR, error) {
	bars, err := virtioBARs(d, virtioRow{base: "virtio-gpu", legacy: modernOnly})
	if err != nil {
		return nil, err
	}
	window, err := d.hostMemory()
	for i := range bars {
		switch {
		case bars[i].Kind == BARPref64:
			bars[i].Index = 2
		case window == 0:
			bars[i].Index = 4 // of MSI-X
		}
	}
	if window != 0 {
		bars = append(bars, pref64(4, window))
	}
	return append([]BAR{pref32(0, 8*mib)}, bars...), err
}

// qxlBARs are the memory of a QXL display, its surfaces, its ROM and its ports, and its surfaces a second time where these
// need 64 bits. Follows QEMU 10.2, hw/display/qxl.c, qxl_init_ramsize and qxl_realize_common.
func qxlBARs(d *deviceBuild) ([]BAR, error) {
	const most32, none = 1<<32 - 1, 1<<32 - 1
	var err error
	read := func(key string, def, most uint64) uint64 {
		n, e := d.number(key, def, most)
		err = cmp.Or(err, e)
		return n
	}
	// inMiB reads a size in bytes that a property in MiB overrides.
	inMiB := func(key string, size uint64) uint64 {
		if n := read(key, none, most32); n != none {
			return n * mib
		}
		return size
	}
	frame := min(max(read("vgamem_mb", 16, most32), 8), 256) * mib
	memory := max(inMiB("ram_size_mb", read("ram_size", 64*mib, most32)), 2*frame)
	surfaces := max(inMiB("vram_size_mb", read("vram_size", 64*mib, 1<<40)), 0x1000)
	surfaces64 := max(inMiB("vram64_size_mb", 0), surfaces)
	revision := read("revision", 5, 5)
	if err != nil {
		return nil, err
	}
	memory, surfaces, surfaces64 = pow2ceil(memory), pow2ceil(surfaces), pow2ceil(surfaces64)
	if memory > 1<<31 || surfaces > 1<<31 {
		return nil, d.usage("its memory does not fit 32-bit addresses")
	}
	ports := uint64(0x20)
	switch revision {
	case 0:
		return nil, d.usage("revision=0: expects 1 to 5")
	case 1:
		ports, surfaces, surfaces64 = 8, 0x1000, 0x1000
	case 2:
		ports = 16
	}
	if d.model.Kind == VGA {
		memory = min(memory, 512*mib)
	}
	bars := []BAR{mem32(0, memory), mem32(1, surfaces), mem32(2, 0x2000), io(3, ports)}
	if surfaces64 > surfaces {
		bars = append(bars, pref64(4, surfaces64))
	}
	return bars, nil
}

// nvmeBARs are the registers with their doorbells, MSI-X behind them or, up to pc-q35-5.2, in a BAR of its own, and what
// memory the controller offers. Follows QEMU 10.2, hw/nvme/ctrl.c, nvme_mbar_size, nvme_init_pci, nvme_init_cmb and
// nvme_init_pmr, and hw/core/machine.c, hw_compat_5_2.
func nvmeBARs(d *deviceBuild) ([]BAR, error) {
	queues, err := d.number("max_ioqpairs", 64, 0xffff)
	if err != nil {
		return nil, err
	}
	if n, err := d.number("num_queues", 0, 0xffff); err != nil {
		return nil, err
	} else if n > 0 {
		queues = n - 1
	}
	vectors, err := d.number("msix_qsize", 65, maxVectors)
	if err != nil {
		return nil, err
	}
	if queues == 0 || vectors == 0 {
		return nil, d.usage("max_ioqpairs= and msix_qsize= start at 1")
	}
	apart, err := d.boolean("msix-exclusive-bar", d.b.m.MachineVersion.Less(Version{Major: 6}))
	if err != nil {
		return nil, err
	}
	const page, registers, doorbells = 0x1000, 0x1000, 2 * 4
	size := registers + doorbells*(queues+1) // one for the admin queues
	var bars []BAR
	if apart {
		bars = append(bars, mem64(0, pow2ceil(size)), mem32(4, msixSize(vectors)))
	} else {
		size = roundUp(roundUp(size, page)+16*vectors, page) + roundUp(vectors, 64)/8
		bars = append(bars, mem64(0, pow2ceil(size)))
	}
	return d.nvmeMemory(bars)
}

// nvmeMemory adds the BARs of the controller's buffer and of its persistent memory.
func (d *deviceBuild) nvmeMemory(bars []BAR) ([]BAR, error) {
	buffer, err := d.number("cmb_size_mb", 0, 1<<20)
	if err != nil {
		return nil, err
	}
	if buffer&(buffer-1) != 0 {
		return nil, d.usage("cmb_size_mb=%d is no power of two", buffer)
	}
	if buffer > 0 {
		bars = append(bars, pref64(2, buffer*mib))
	}
	if id, ok := d.props.get("pmrdev"); ok {
		n, err := d.b.backendSize(d.option, d.arg, id)
		if err != nil {
			return nil, err
		}
		if bits.OnesCount64(n) != 1 {
			return nil, d.usage("the memory of %s is not a power of two", id)
		}
		bars = append(bars, pref64(4, n))
	}
	return bars, nil
}

// roundUp rounds n up to a multiple of a power of two.
func roundUp(n, unit uint64) uint64 { return (n + unit - 1) &^ (unit - 1) }
