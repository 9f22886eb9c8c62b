package qemu

import "strings"

const (
	whyUSB  = "behind a USB controller: no table names it"
	whySCSI = "behind a SCSI controller: no table names it"
	whyISA  = "an I/O port that no table names"
)

// otherDevices are those on other buses than PCI, and those on none.
var otherDevices = []deviceModel{
	{Name: "isa-serial", Bus: onISA, Apply: addSerial, Why: "a COM port in the DSDT"},
	{Name: "isa-parallel", Bus: onISA, Apply: addParallel, Why: "an LPT port in the DSDT"},
	{Name: "isa-debugcon", Bus: onISA, Why: whyISA},
	{Name: "isa-debug-exit", Bus: onISA, Why: whyISA},
	{Name: "isa-applesmc", Bus: onISA, Apply: addISA, Why: "a device in the DSDT"},
	{Name: "ib700", Bus: onISA, Why: whyISA},
	{Name: "pvpanic", Bus: onISA, Apply: addISA, Why: "a device in the DSDT"},
	{Name: "isa-ipmi-kcs", Bus: onISA, Apply: addISA, Why: "a device in the DSDT"},
	{Name: "isa-ipmi-bt", Bus: onISA, Apply: addISA, Why: "a device in the DSDT"},
	{Name: "tpm-tis", Bus: onISA, Apply: func(d *deviceBuild) error {
		if err := setTPM(d, TPMTIS); err != nil {
			return err
		}
		return addISA(d)
	}, Why: "TPM2 table and DSDT"},
	{Name: "tpm-crb", Bus: onNone, Apply: func(d *deviceBuild) error { return setTPM(d, TPMCRB) }, Why: "TPM2 table and DSDT"},
	{Name: "vmgenid", Bus: onNone, Apply: addVMGenID, Why: "SSDT"},
	{Name: "vmcoreinfo", Bus: onNone, Why: "a fw_cfg file that firmware does not read"},
	{Name: "ipmi-bmc-sim", Bus: onNone, Apply: addBMC, Why: "the BMC behind an IPMI interface"},
	{Name: "ipmi-bmc-extern", Bus: onNone, Apply: addBMC, Why: "the BMC behind an IPMI interface"},
	{Name: "intel-iommu", Bus: onSystem, Apply: addIntelIOMMU, Why: "DMAR table"},
	{Name: "loader", Bus: onNone, Apply: refuseDevice("puts a file into the guest's memory, which is not modelled")},
	{Name: "amd-iommu", Bus: onSystem, Apply: addAMDIOMMU, Why: "a PCI function and the IVRS table"},
	{Name: "pc-dimm", Bus: onNone, Apply: addDIMM, Why: "no table names it; it moves NVDIMMs"},
	{Name: "nvdimm", Bus: onNone, Apply: addDIMM, Why: "NFIT and SRAT tables"},
	{Name: "cxl-rp", Bus: onNone, Apply: refuseDevice("CXL ports are not modelled")},
	{Name: "cxl-type3", Bus: onNone, Apply: refuseDevice("CXL memory is not modelled")},
	{Name: "smbus-ipmi", Bus: onI2C, Apply: addSMBusIPMI, Why: "a device in the DSDT, SMBIOS type 38"},
	{Name: "vmclock", Since: Version{Major: 10}, Bus: onNone, Apply: addVMClock, Why: "SSDT"},
	{Name: "sgx-epc", Bus: onNone, Apply: refuseDevice("SGX memory is not modelled")},
	{Name: "ramfb", Bus: onSystem, Why: "a fw_cfg file that is not measured"},
	{Name: "vmbus-bridge", Bus: onSystem, Apply: refuseDevice("Hyper-V's VMBus is not modelled")},
	{Name: "uefi-vars-x64", Bus: onSystem, Apply: refuseDevice("its variable store in the host is not modelled")},
	{Name: "qemu64-x86_64-cpu", Bus: onNone, Apply: refuseDevice("CPUs plugged in by -device are not modelled; use -smp")},

	{Name: "ide-hd", Bus: onIDE, Why: "behind a SATA port: no table names it"},
	{Name: "ide-cd", Bus: onIDE, Why: "behind a SATA port: no table names it"},
	{Name: "ide-cf", Bus: onIDE, Why: "behind a SATA port: no table names it"},
	{Name: "scsi-hd", Bus: onSCSI, Why: whySCSI}, {Name: "scsi-cd", Bus: onSCSI, Why: whySCSI},
	{Name: "scsi-block", Bus: onSCSI, Why: whySCSI}, {Name: "scsi-generic", Bus: onSCSI, Why: whySCSI},
	{Name: "nvme-subsys", Bus: onNone, Why: "a group of NVMe controllers: no table names it"},
	{Name: "nvme-ns", Bus: onNVMe, Why: "behind an NVMe controller: no table names it"},
	{Name: "virtserialport", Bus: onVSer, Why: "behind a virtio-serial controller: no table names it"},
	{Name: "virtconsole", Bus: onVSer, Why: "behind a virtio-serial controller: no table names it"},
	{Name: "hda-duplex", Bus: onHDA, Why: "a codec: no table names it"}, {Name: "hda-micro", Bus: onHDA, Why: "a codec: no table names it"},
	{Name: "hda-output", Bus: onHDA, Why: "a codec: no table names it"},
	{Name: "usb-kbd", Bus: onUSB, Why: whyUSB}, {Name: "usb-mouse", Bus: onUSB, Why: whyUSB}, {Name: "usb-tablet", Bus: onUSB, Why: whyUSB},
	{Name: "usb-storage", Bus: onUSB, Why: whyUSB, Offers: onSCSI, Apply: checkUSBStorage}, {Name: "usb-hub", Bus: onUSB, Why: whyUSB}, {Name: "usb-net", Bus: onUSB, Why: whyUSB},
	{Name: "usb-serial", Bus: onUSB, Why: whyUSB}, {Name: "usb-host", Bus: onUSB, Why: whyUSB}, {Name: "usb-redir", Bus: onUSB, Why: whyUSB},
	{Name: "usb-audio", Bus: onUSB, Why: whyUSB}, {Name: "usb-ccid", Bus: onUSB, Why: whyUSB, Offers: onCCID}, {Name: "usb-bot", Bus: onUSB, Why: whyUSB, Offers: onSCSI},
	{Name: "usb-uas", Bus: onUSB, Why: whyUSB, Offers: onSCSI}, {Name: "usb-mtp", Bus: onUSB, Why: whyUSB}, {Name: "usb-braille", Bus: onUSB, Why: whyUSB},
	{Name: "usb-wacom-tablet", Bus: onUSB, Why: whyUSB}, {Name: "ccid-card-passthru", Bus: onCCID, Why: whyUSB},
	{Name: "ccid-card-emulated", Bus: onCCID, Why: whyUSB},
}

// refuseDevice is the row of a device that is known and out of reach.
func refuseDevice(why string) func(*deviceBuild) error {
	return func(d *deviceBuild) error { return unsupportedErr(d.option, d.arg, "%s", why) }
}

// addISA notes a device that the DSDT describes.
func addISA(d *deviceBuild) error {
	d.b.m.ISA = append(d.b.m.ISA, ISADevice{Driver: d.model.Name, Props: d.props.asMap()})
	return nil
}

// addBMC notes the address of a BMC on its bus, which SMBIOS type 38 of its interface shows.
func addBMC(d *deviceBuild) error {
	const defaultAddress = 0x20
	n, err := d.number("slave_addr", defaultAddress, 255)
	if err != nil {
		return err
	}
	if d.b.m.BMCs == nil {
		d.b.m.BMCs = map[string]uint8{}
	}
	d.b.m.BMCs[d.id] = uint8(n)
	return nil
}

// addParallel makes a port of -device isa-parallel, by default the one behind those that are there already.
func addParallel(d *deviceBuild) error {
	count := len(d.b.m.Parallel)
	for _, p := range d.b.m.ISA {
		if p.Driver == d.model.Name {
			count++
		}
	}
	n, err := d.number("index", uint64(count), maxParallel-1)
	if err != nil {
		return err
	}
	if n >= maxParallel {
		return d.usage("a machine has at most %d parallel ports", maxParallel)
	}
	return d.addISAPort(n)
}

// setTPM notes the guest's one TPM.
func setTPM(d *deviceBuild, kind TPMKind) error {
	if d.b.m.TPM != NoTPM {
		return d.usage("there is a TPM already")
	}
	ppi, err := d.boolean("ppi", true)
	if err != nil {
		return err
	}
	d.b.m.TPM, d.b.m.NoTPMPresence = kind, !ppi
	return nil
}

// addVMGenID notes the generation id. guid=auto is random, and no table carries it.
func addVMGenID(d *deviceBuild) error {
	m := d.b.m
	if m.HasVMGenID {
		return d.usage("there is a vmgenid already")
	}
	g := d.props.str("guid")
	if g != "" && g != "auto" && !isUUID(g) {
		return d.usage("guid=%s is not a GUID", g)
	}
	m.HasVMGenID, m.VMGenID = true, strings.ToLower(g)
	return nil
}

// addVMClock notes the clock page.
func addVMClock(d *deviceBuild) error {
	if d.b.m.VMClock {
		return d.usage("there is a vmclock already")
	}
	d.b.m.VMClock = true
	return nil
}

// addSMBusIPMI notes an IPMI interface on the SMBus.
func addSMBusIPMI(d *deviceBuild) error {
	if d.bus.name != smbusName {
		return unsupportedErr(d.option, d.arg, "an interface on bus %s, which no table describes; say bus=%s", d.bus.name, smbusName)
	}
	n, err := d.number("address", 0, 127)
	if err != nil {
		return err
	}
	d.b.m.SMBusIPMI = append(d.b.m.SMBusIPMI, SMBusIPMI{Address: uint8(n), BMC: d.props.str("bmc")})
	return nil
}
