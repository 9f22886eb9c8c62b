package qemu

import "fmt"

// A drive is -drive, -hda, -cdrom or a bare image.
type drive struct {
	option, arg string
	props       props
	kind        string // if=
	bus, unit   int
}

// maxDrives bounds the drives of a machine.
const maxDrives = 1 << 12

// readDrive notes -drive.
func (b *builder) readDrive(arg string) error {
	b.drives = append(b.drives, drive{option: "-drive", arg: arg, props: parseProps(arg, "")})
	return nil
}

// addDrive notes a drive with an index: -hda, -cdrom, or an image without option.
func (b *builder) addDrive(option, file string, index int) error {
	p := props{{"index", fmt.Sprint(index)}, {"file", file}}
	if option == "cdrom" {
		p = p.set("media", "cdrom")
	}
	if option != file {
		option = "-" + option
	}
	b.drives = append(b.drives, drive{option: option, arg: file, props: p})
	return nil
}

// driveUnits are the kinds of drives, and how many of them a bus of theirs has; 0 is a kind without buses.
var driveUnits = map[string]int{"ide": 1, "scsi": 7, "floppy": 2, "virtio": 0, "none": 0, "pflash": 0, "mtd": 0, "sd": 0, "xen": 0}

// A drivePlace is where a drive is.
type drivePlace struct {
	kind      string
	bus, unit int
}

// resolveDrives gives every drive its bus and unit, and makes a device option of those with if=virtio, behind all that
// the command line has. Follows QEMU 10.2, blockdev.c, drive_new.
func (b *builder) resolveDrives() error {
	if len(b.drives) > maxDrives {
		return usageErr("-drive", "", "%d drives are more than the %d that are read", len(b.drives), maxDrives)
	}
	taken := map[drivePlace]bool{}
	for i := range b.drives {
		d := &b.drives[i]
		if err := d.place(taken); err != nil {
			return err
		}
		switch d.kind {
		case "virtio":
			b.devices = append(b.devices, deviceOption{d.option, d.arg, props{{"driver", "virtio-blk-pci"}, {"drive", d.props.str("id")}}})
		case "pflash":
			return unsupportedErr(d.option, d.arg, "flash: a TD's firmware comes by -bios")
		case "floppy":
			return unsupportedErr(d.option, d.arg, whyFloppy)
		case "xen", "sd":
			return unsupportedErr(d.option, d.arg, "q35 has no %s drives", d.kind)
		}
	}
	return nil
}

// place gives a drive the place that it asks for, or the first that is free, and takes it.
func (d *drive) place(taken map[drivePlace]bool) error {
	d.kind = "ide"
	if v, ok := d.props.get("if"); ok {
		d.kind = v
	}
	most, ok := driveUnits[d.kind]
	if !ok {
		return usageErr(d.option, d.arg, "if=%s: unsupported bus type", d.kind)
	}
	nums := map[string]int{"bus": 0, "unit": -1, "index": -1}
	for k := range nums {
		if v, ok := d.props.get(k); ok {
			n, ok := parseUint(v)
			if !ok || n > maxDrives {
				return usageErr(d.option, d.arg, "%s=%s is not a number up to %d", k, v, maxDrives)
			}
			nums[k] = int(n)
		}
	}
	d.bus, d.unit = nums["bus"], nums["unit"]
	if n := nums["index"]; n >= 0 {
		if d.bus != 0 || d.unit >= 0 {
			return usageErr(d.option, d.arg, "index= does not go with bus= and unit=")
		}
		d.bus, d.unit = 0, n
		if most > 0 {
			d.bus, d.unit = n/most, n%most
		}
	}
	if d.unit < 0 {
		for d.unit = 0; taken[drivePlace{d.kind, d.bus, d.unit}]; {
			if d.unit++; most > 0 && d.unit >= most {
				d.unit, d.bus = d.unit-most, d.bus+1
			}
		}
	}
	if most > 0 && d.unit >= most {
		return usageErr(d.option, d.arg, "unit %d is too big, at most %d", d.unit, most-1)
	}
	at := drivePlace{d.kind, d.bus, d.unit}
	if taken[at] {
		return usageErr(d.option, d.arg, "there is a drive with if=%s, bus=%d, unit=%d already", d.kind, d.bus, d.unit)
	}
	taken[at] = true
	return nil
}

// takeDrives puts the drives that have no device of their own on the built-in controller. -drive if=scsi has none on q35.
// Follows QEMU 10.2, hw/i386/pc_q35.c, pc_q35_init, and hw/ide/core.c, ide_drive_get.
func (b *builder) takeDrives() error {
	cd := !b.nodefaults && !b.has("ide-cd", "ide-hd", "scsi-cd", "scsi-hd")
	made := cd
	for _, d := range b.drives {
		if d.kind != "ide" {
			continue
		}
		if !b.m.SATA || d.bus > 5 {
			return usageErr(d.option, d.arg, "the machine has no such SATA port")
		}
		made, cd = true, cd && d.bus != 2
		b.findBus(fmt.Sprintf("ide.%d", d.bus)).units[0] = true
	}
	if cd && b.m.SATA {
		b.findBus("ide.2").units[0] = true
	}
	if !made {
		return nil
	}
	return b.refuseGlobals([]string{"ide-device", "ide-hd", "ide-cd"}, noBootIndex)
}
