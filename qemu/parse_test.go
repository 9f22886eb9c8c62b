package qemu

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const testRelease = "10.2.2"

// parseLine reads a command line written with blanks.
func parseLine(t *testing.T, release, line string) *Machine {
	t.Helper()
	m, err := ParseArgs(strings.Fields(line), release, ParseOptions{})
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return m
}

// Beginnings of command lines that TestRefused goes on with.
const (
	td        = "-M q35,confidential-guest-support=t -object tdx-guest,id=t "
	hmat      = "-M q35,hmat=on -m 1G -object memory-backend-ram,id=m,size=1G -smp 2 -numa node,nodeid=0,cpus=0-1,memdev=m"
	latency   = " -numa hmat-lb,initiator=0,target=0,hierarchy=memory,data-type=access-latency"
	bandwidth = " -numa hmat-lb,initiator=0,target=0,hierarchy=memory,data-type=access-bandwidth"
	sideCache = " -numa hmat-cache,node-id=0,associativity=none,policy=none,line=64"
	plugs     = "-m 1G,slots=2,maxmem=2G -object memory-backend-ram,id=a,size=66M -object memory-backend-ram,id=b,size=64M " +
		"-object memory-backend-ram,id=c,size=1M -object memory-backend-ram,id=d,size=2G -object memory-backend-file,id=f,size=64M,mem-path=x -M q35"
)

// TestRefused has one command line for each way of being wrong, with the words that its error must have.
func TestRefused(t *testing.T) {
	for _, tc := range []struct {
		line string
		err  error
		want string
	}{
		// Options.
		{"-M q35 -frobnicate", ErrUnknown, "-frobnicate: unknown option"},
		{"-M q35 -devcie x", ErrUnknown, "did you mean -device"},
		{"-M q35 -m", ErrUsage, "-m: requires an argument"},
		{"-M q35 -readconfig f", ErrUnsupported, "-readconfig f: reads options from a file"},
		{"-M q35 -acpitable sig=TEST", ErrUsage, "one of file= and data="},
		{"-M q35 -acpitable data=a,file=b", ErrUsage, "one of file= and data="},
		{"-M q35 -acpitable data=a,rev=256", ErrUsage, "rev=256"},
		{"-M q35 -acpitable data=a,oem_rev=x", ErrUsage, "oem_rev=x"},
		{"-M q35 -acpitable data=a,lang=x", ErrUnknown, "lang"},
		{"-M q35 -pflash x", ErrUnsupported, "use -bios"},
		{"-M q35 -drive if=pflash,file=x", ErrUnsupported, "-bios"},
		{"-M q35 -fda x", ErrUnsupported, "floppy"},
		{"-M q35 -drive if=floppy,file=x", ErrUnsupported, "floppy"},
		{"-M q35 -incoming tcp:x", ErrUnsupported, "-incoming"},
		{"-M q35 -no-hpet", ErrUsage, "use -machine hpet=off"},
		{"-M q35 -watchdog ib700", ErrUsage, "use -device ib700"},
		{"-M q35 --help", ErrUsage, "starts no guest"},
		{"-M q35 -initrd x", ErrUsage, "-initrd: only allowed with -kernel"},
		{"-M q35 -append x", ErrUsage, "-append: only allowed with -kernel"},
		{"-M q35 -uuid 1234", ErrUsage, "is not a UUID"},
		// Machine.
		{"-smp 2", ErrUnsupported, "without -machine"},
		{"-M pc", ErrUnsupported, "only q35"},
		{"-M pc-i440fx-9.0", ErrUnsupported, "only q35"},
		{"-M q36", ErrUnknown, "did you mean q35"},
		{"-M pc-q35-11.0", ErrUnknown, "its newest is pc-q35-10.2"},
		{"-M pc-q35-2.6", ErrUnknown, "unknown machine type"},
		{"-M q35,smm", ErrUsage, `"smm" has no value`},
		{"-M q35,smm=maybe", ErrUsage, "expects on or off"},
		{"-M q35,hpte=off", ErrUnknown, "did you mean hpet"},
		{"-M q35,cxl=on -device pxb-cxl,bus_nr=9 -device pxb-cxl,bus_nr=19,bus=pcie.0", ErrUnsupported, "CXL"},
		{"-M q35 -device pxb-cxl,bus_nr=9", ErrUsage, "cxl=on"},
		{"-M q35,cxl=on -device cxl-rp", ErrUnsupported, "CXL"},
		{"-M q35,sgx-epc.0.memdev=m", ErrUnsupported, "sgx-epc"},
		{"-M q35,x-oem-id=TOOLONG", ErrUsage, "longer than 6"},
		{"-M q35,max-ram-below-4g=0x10", ErrUnsupported, "less than 1 MiB"},
		{"-M q35,max-ram-below-4g=5G", ErrUsage, "at most 4G"},
		{"-M q35,confidential-guest-support=t", ErrUsage, "no -object with id=t"},
		{"-M q35,confidential-guest-support=t -object rng-random,id=t", ErrUnsupported, "only tdx-guest"},
		{"-M q35,smm=on,confidential-guest-support=t -object tdx-guest,id=t", ErrUsage, "a TD has no smm"},
		{"-M q35,pic=on,confidential-guest-support=t -object tdx-guest,id=t", ErrUsage, "a TD has no pic"},
		{"-M q35,kernel-irqchip=on,confidential-guest-support=t -object tdx-guest,id=t", ErrUsage, "kernel-irqchip=split"},
		// Topology and memory.
		{"-M q35 -smp 0", ErrUsage, "cpus=0"},
		{"-M q35 -smp 4,sockets=3", ErrUsage, "is not maxcpus"},
		{"-M q35 -smp 4,maxcpus=2", ErrUsage, "less than cpus"},
		{"-M q35 -smp 4097", ErrUsage, "from 1 to 4096"},
		{"-M pc-q35-8.0 -smp 289", ErrUsage, "more than the 288"},
		{"-M q35 -smp 4,clusters=2", ErrUsage, "not supported by q35"},
		{"-M q35 -smp 4,books=2", ErrUsage, "not supported by q35"},
		{"-M q35 -smp cups=4", ErrUnknown, "did you mean cpus"},
		{"-M q35 -smp 4,maxcpus", ErrUsage, "has no value"},
		{"-M q35 -boot order=c,menu", ErrUsage, "has no value"},
		{"-M q35 -m 1G -object memory-backend-ram,id=a,size=1G -numa {\"type\":\"node\",\"memdev\":\"a\"}", ErrUnknown, "unknown"},
		{"-M q35,memory-backend=a -m 1G -object memory-backend-ram,id=a,size=1G -numa node,memdev=a", ErrUsage, "exclude each other"},
		{"-M q35,memory-backend=a -m 1G,slots=1,maxmem=4G -object memory-backend-ram,id=a,size=1G -device pc-dimm,memdev=a", ErrUsage, "in use already"},
		{"-M q35 -m 1G,slots=1,maxmem=4G -object memory-backend-ram,id=a,size=1G -numa node,memdev=a -device pc-dimm,memdev=a", ErrUsage, "in use already"},
		{"-M q35 -m 0", ErrUsage, "-m 0"},
		{"-M q35 -m 2X", ErrUsage, "is not a size"},
		{"-M q35 -m 0x800", ErrUsage, "is not a size"},
		{"-M q35,memory.size=2X", ErrUsage, "is not a size"},
		{"-M q35,memory.maxmem=2G", ErrUnknown, "unknown property"},
		{"-M q35 -m 9P", ErrUsage, "52 address bits"},
		{"-M q35 -m 2G,slots=4", ErrUsage, "slots need maxmem"},
		{"-M q35 -m 2G,maxmem=1G", ErrUsage, "less than"},
		{"-M q35 -m 2G,slots=257,maxmem=4G", ErrUsage, "from 0 to 256"},
		{"-M q35 -m 2G,slots=2,maxmem=2G", ErrUsage, "yet maxmem is the initial memory"},
		{"-M q35,memory-backend=m -m 2G", ErrUsage, "no -object with id=m"},
		{"-M q35,memory-backend=m -m 2G -object memory-backend-ram,id=m,size=1G", ErrUsage, "the backend has"},
		{"-M q35 -numa node,mem=1G", ErrUsage, "use memdev="},
		{"-M q35 -m 1G -numa node,nodeid=1,memdev=m -object memory-backend-ram,id=m,size=1G", ErrUsage, "node 0 is missing"},
		{"-M q35 -m 2G -numa node,memdev=m -object memory-backend-ram,id=m,size=1G", ErrUsage, "the machine"},
		{"-M q35 -m 2G -numa node -numa node,nodeid=0", ErrUsage, "given before"},
		{"-M q35 -numa node,cpus=3", ErrUsage, "below maxcpus"},
		{"-M q35 -numa hmat-cache,node-id=0", ErrUsage, "hmat=on"},
		{"-M q35 -m 1G -numa node,memdev=m,initiator=0 -object memory-backend-ram,id=m,size=1G", ErrUsage, "hmat=on"},
		{hmat + ",initiator=200", ErrUsage, "initiator=200"},
		{hmat + ",initiator=1", ErrUsage, "must be its own initiator"},
		{hmat + " -numa node,nodeid=1,initiator=5", ErrUsage, "initiator=5"},
		{hmat + " -numa hmat-lb,initiator=0,target=0,hierarchy=memory", ErrUsage, "data-type"},
		{hmat + " -numa hmat-lb,initiator=0,target=0,hierarchy=memory,data-type=fast", ErrUnknown, "data-type=fast"},
		{hmat + latency, ErrUsage, "latency"},
		{hmat + latency + ",bandwidth=1M", ErrUsage, "bandwidth= does not go"},
		{hmat + latency + ",latency=x", ErrUsage, "latency=x"},
		{hmat + latency + ",latency=1" + latency + ",latency=1", ErrUsage, "given before"},
		{hmat + latency + ",latency=1,colour=red", ErrUnknown, "colour"},
		{hmat + " -numa node,nodeid=1" + latency + ",latency=1 -numa hmat-lb,initiator=0,target=1,hierarchy=memory,data-type=access-latency,latency=65535", ErrUsage, "too far"},
		{hmat + " -numa node,nodeid=1 -numa hmat-lb,initiator=1,target=0,hierarchy=memory,data-type=access-latency,latency=1", ErrUsage, "no initiator"},
		{hmat + " -numa hmat-lb,initiator=0,target=3,hierarchy=memory,data-type=access-latency,latency=1", ErrUsage, "no such node"},
		{hmat + bandwidth + ",bandwidth=1000", ErrUsage, "1 MiB"},
		{hmat + sideCache + ",size=1M,level=1", ErrUsage, "before its caches"},
		{hmat + latency + ",latency=1" + bandwidth + ",bandwidth=1M" + sideCache + ",size=1M,level=4", ErrUsage, "level=4"},
		{hmat + latency + ",latency=1" + bandwidth + ",bandwidth=1M" + sideCache + ",size=1M,level=2", ErrUsage, "must come first"},
		{hmat + latency + ",latency=1" + bandwidth + ",bandwidth=1M" + sideCache + ",size=x,level=1", ErrUsage, "size=x"},
		{hmat + latency + ",latency=1" + bandwidth + ",bandwidth=1M" + sideCache + ",size=1M,level=1" + sideCache + ",size=1M,level=1", ErrUsage, "given before"},
		{hmat + latency + ",latency=1" + bandwidth + ",bandwidth=1M" + sideCache + ",size=2M,level=1" + sideCache + ",size=1M,level=2", ErrUsage, "larger"},
		{"-M q35 -object acpi-generic-initiator,id=g,pci-dev=d,node=0", ErrUsage, "node=0"},
		{hmat + " -object acpi-generic-initiator,id=g,pci-dev=d,node=0", ErrUsage, "pci-dev=d"},
		{hmat + " -object acpi-generic-initiator,id=g,pci-dev=d,node=0,x=y", ErrUnknown, "x"},
		// Memory devices.
		{plugs + " -device nvdimm,memdev=a", ErrUsage, "nvdimm=on"},
		{plugs + " -device pc-dimm", ErrUsage, "memdev"},
		{plugs + " -device pc-dimm,memdev=z", ErrUsage, "id=z"},
		{plugs + " -device pc-dimm,memdev=a -device pc-dimm,memdev=a", ErrUsage, "in use"},
		{plugs + " -device pc-dimm,memdev=a,slot=2", ErrUsage, "slot=2"},
		{plugs + " -device pc-dimm,memdev=a,slot=1 -device pc-dimm,memdev=b,slot=1", ErrUsage, "slot=1"},
		{plugs + " -device pc-dimm,memdev=a -device pc-dimm,memdev=b -device pc-dimm,memdev=c", ErrUsage, "no slot is free"},
		{plugs + " -device pc-dimm,memdev=a,node=3", ErrUsage, "node=3"},
		{plugs + " -device pc-dimm,memdev=a,addr=0x1000", ErrUsage, "no place"},
		{plugs + " -device pc-dimm,memdev=c", ErrUnsupported, "2 MiB"},
		{plugs + " -device pc-dimm,memdev=d", ErrUsage, "leaves"},
		{plugs + ",nvdimm=on -device nvdimm,memdev=a,label-size=1K", ErrUsage, "label-size=1K"},
		{plugs + ",nvdimm=on -device nvdimm,memdev=f,label-size=128K", ErrUnsupported, "pages of backend f"},
		{plugs + ",nvdimm=on -device pc-dimm,memdev=a -device nvdimm,memdev=f", ErrUnsupported, "pages of backend f"},
		{plugs + ",nvdimm=on -device nvdimm,memdev=a -device nvdimm,memdev=b", ErrUnsupported, "without id="},
		{"-M q35 -device pc-dimm,memdev=a -object memory-backend-ram,id=a,size=64M", ErrUsage, "no slot"},
		{"-M q35 -device virtio-mem-pci,memdev=a -object memory-backend-ram,id=a,size=64M", ErrUsage, "maxmem"},
		{"-M q35,nvdimm-persistence=disk", ErrUsage, "cpu or mem-ctrl"},
		{"-M q35,wdat=on", ErrUsage, "11.1"},
		{"-M q35 -device virtio-balloon -device virtio-balloon-pci-transitional", ErrUsage, "balloon already"},
		{"-M q35,dtb=x", ErrUnsupported, "device tree"},
		{"-M q35 -device vmclock -device vmclock", ErrUsage, "already"},
		{"-M q35 -device amd-iommu,pci-id=x", ErrUsage, "pci-id=x"},
		{"-M q35,accel=kvm,kernel-irqchip=on -device intel-iommu,intremap=on", ErrUsage, "kernel-irqchip=on"},
		{"-M q35 -device intel-iommu,intremap=perhaps", ErrUsage, "intremap=perhaps"},
		{"-M q35 -device acpi-erst,memdev=a,record_size=5000 -object memory-backend-ram,id=a,size=64K", ErrUsage, "record_size"},
		{"-M q35 -device qemu-xhci -device usb-hub,ports=9", ErrUsage, "ports=9"},
		{"-M q35 -device piix3-usb-uhci -device usb-hub -device usb-hub,port=1.1 -device usb-kbd,port=9.9", ErrUsage, "port=9.9"},
		{"-M q35 -numa hmat-lb,initiator=0", ErrUsage, "hmat-lb"},
		{"-M q35 -numa dist,src=0,dst=1,val=20", ErrUsage, "no such node"},
		// Objects, firmware configuration, SMBIOS, boot.
		{"-M q35 -object frob,id=x", ErrUnknown, `unknown object type "frob"`},
		{"-M q35 -object sev-snp-guest,id=x", ErrUnknown, "only Intel TDs"},
		{"-M q35 -object iothread", ErrUsage, `"id" is missing`},
		{"-M q35 -object iothread,id=a -object iothread,id=a", ErrUsage, "already"},
		{"-M q35 -fw_cfg name=opt/x", ErrUsage, "either file or string"},
		{"-M q35 -fw_cfg name=opt/x,string=a -fw_cfg name=opt/x,string=b", ErrUsage, "already"},
		{"-M q35 -fw_cfg name=bootorder,string=a", ErrUnsupported, "QEMU has a file of that name"},
		{"-M q35 -fw_cfg name=etc/acpi/tables,string=a", ErrUnsupported, "QEMU has a file of that name"},
		{"-M q35 -smbios type=5", ErrUsage, "no table of type 5"},
		{"-M q35 -smbios type=1,serail=x", ErrUnknown, "did you mean serial"},
		{"-M q35 -boot menu=perhaps", ErrUsage, "expects on or off"},
		{"-M q35 -boot cz", ErrUsage, "not a letter from a to p"},
		{"-M q35 -boot splash-time=70000", ErrUsage, "65535"},
		{"-M q35 -global nvme.use-intel-id=on -device nvme,serial=1", ErrUnsupported, "use-intel-id=on"},
		{"-M q35 -global ICH9-LPC.disable_s5=1", ErrUnknown, "did you mean disable_s3"},
		{"-M q35 -global frob.x=1", ErrUnknown, `unknown device "frob"`},
		// Devices.
		{"-M q35 -device foo", ErrUnknown, `-device foo: unknown device "foo"`},
		{"-M q35 -device virtio-nte-pci", ErrUnknown, "did you mean virtio-net-pci"},
		{"-M q35 -device virtio-net-pci,mca=x", ErrUnknown, "did you mean mac"},
		{"-M q35 -device ", ErrUsage, ""},
		{"-M q35 -device edu,id=a -device edu,id=a", ErrUsage, "id=a already"},
		{"-M q35 -device edu,bus=x", ErrUsage, `no bus "x"`},
		{"-M q35 -device edu,bus=isa.0", ErrUsage, "does not go on bus isa.0"},
		{"-M q35 -device edu,addr=5 -device edu,addr=5", ErrUsage, "is taken by edu"},
		{"-M q35 -device edu,addr=0", ErrUsage, "is taken by mch"},
		{"-M q35 -device edu,addr=1f.2,multifunction=on", ErrUsage, "is taken by ich9-ahci"},
		{"-M q35 -device edu,addr=20", ErrUsage, "addr=20 is not a slot"},
		{"-M q35 -device edu,addr=5.8", ErrUsage, "addr=5.8 is not a slot"},
		{"-M q35 -device edu,addr=5 -device edu,addr=5.1", ErrUsage, "without multifunction=on"},
		{"-M q35 -device edu,addr=5.1,multifunction=on -device edu,addr=5.0", ErrUsage, "needs multifunction=on"},
		{"-M q35 -device edu,multifunction=x", ErrUsage, "expects on or off"},
		{"-M q35 -device pcie-root-port,id=a -device pcie-root-port,id=b", ErrUsage, "chassis=0,slot=0 is taken"},
		{"-M q35 -device pcie-root-port,id=a -device pcie-root-port,id=b,bus=a,chassis=2", ErrUsage, "PCI Express root bus"},
		{"-M q35 -device pxb-pcie,id=p,bus_nr=5 -device edu", ErrUsage, "only bridges and ports"},
		{"-M q35 -device pxb-pcie,id=p,bus_nr=5 -device pxb-pcie,id=q,bus=pcie.0,bus_nr=5", ErrUsage, "bus_nr=5 is taken"},
		{"-M q35 -device pxb-pcie,id=p,bus_nr=5,numa_node=1", ErrUsage, "no such node"},
		{"-M q35 -device pci-bridge,id=b", ErrUsage, "chassis_nr="},
		{"-M q35 -device xio3130-downstream,id=a", ErrUsage, "behind an upstream port"},
		{"-M q35 -device vfio-pci,host=01:00.0", ErrUnsupported, "--bar"},
		{"-M q35 -device amd-iommu -device amd-iommu", ErrUsage, "already"},
		{"-M q35 -device intel-iommu -device intel-iommu", ErrUsage, "an IOMMU already"},
		{"-M q35 -device tpm-crb,tpmdev=a -device tpm-tis,tpmdev=b", ErrUsage, "a TPM already"},
		{"-M q35 -device vmgenid,guid=1", ErrUsage, "is not a GUID"},
		{"-M q35 -device virtio-net-pci,romfile=x.rom", ErrUnsupported, "romfile"},
		{"-M q35 -device virtio-net-pci,romsize=65536", ErrUnsupported, "romsize"},
		{"-M q35 -netdev vhost-vdpa,id=n -device virtio-net-pci,netdev=n", ErrUnsupported, "say vectors="},
		{"-M q35 -netdev tap,id=n,queues=0 -device virtio-net-pci,netdev=n", ErrUsage, "queues=0"},
		{"-M q35 -netdev {id -device virtio-net-pci,netdev=n", ErrUsage, "-netdev"},
		{"-M q35 -device nvme,serial=1,max_ioqpairs=0", ErrUsage, "start at 1"},
		{"-M q35 -device nvme,serial=1,msix_qsize=2049", ErrUsage, "msix_qsize=2049"},
		{"-M q35 -device nvme,serial=1,num_queues=x", ErrUsage, "num_queues=x"},
		{"-M q35 -device nvme,serial=1,cmb_size_mb=3", ErrUsage, "cmb_size_mb=3"},
		{"-M q35 -device nvme,serial=1,pmrdev=m", ErrUsage, "pmrdev"},
		{"-M q35 -object memory-backend-ram,id=m,size=12M -device nvme,serial=1,pmrdev=m", ErrUsage, "not a power of two"},
		{"-M q35 -device nvme,serial=1,msix-exclusive-bar=x", ErrUsage, "expects on or off"},
		{"-M q35 -device bochs-display,vgamem=2M", ErrUsage, "from 4 to 256 MiB"},
		{"-M q35 -device VGA,vgamem_mb=x", ErrUsage, "vgamem_mb=x"},
		{"-M q35 -device VGA,mmio=x", ErrUsage, "mmio=x"},
		{"-M q35 -device virtio-gpu-pci,hostmem=3M", ErrUsage, "power of two"},
		{"-M q35 -device virtio-vga,hostmem=3M", ErrUsage, "power of two"},
		{"-M q35 -device vfio-pci-nohotplug,host=1:0.0,x-msix-relocation=bar5", ErrUnsupported, "x-msix-relocation=bar5 changes what firmware sees"},
		{"-M q35 -global vfio-pci.x-igd-gms=2 -device vfio-pci-nohotplug,host=1:0.0", ErrUnsupported, "x-igd-gms=2 changes what firmware sees"},
		{"-M q35 -device virtio-vga,hostmem=1", ErrUnsupported, "BAR 4 of 1 bytes"},
		{"-M q35 -device virtio-gpu-pci,hostmem=8", ErrUnsupported, "BAR 4 of 8 bytes"},
		{"-M q35 -device pci-testdev,membar=4", ErrUnsupported, "BAR 2 of 4 bytes"},
		{"-M q35 -object memory-backend-ram,id=m,size=2 -device ivshmem-plain,memdev=m", ErrUnsupported, "BAR 2 of 2 bytes"},
		{"-M q35 -device edu,id=a -set device.a", ErrUsage, "GROUP.ID.PROPERTY=VALUE"},
		{"-M q35 -device edu,id=a -set drive.a.if=virtio", ErrUnsupported, "other than -device"},
		{"-M q35 -set device.a.addr=5 -device edu,id=a", ErrUsage, "no -device with id=a before it"},
		{"-M q35 -device edu,id=a -set device.a.frob=5", ErrUnknown, "frob"},
		{"-M q35 -device pci-testdev,membar=3M", ErrUsage, "power of two"},
		{"-M q35 -device ivshmem-plain", ErrUsage, "memdev"},
		{"-M q35 -device ati-vga -device ipmi-bmc-sim,id=b -device smbus-ipmi,bmc=b", ErrUnsupported, "say bus=i2c"},
		{"-M q35 -device scsi-hd,drive=x", ErrUsage, "no SCSI bus"},
		{"-M q35 -device ide-hd,drive=x -device ide-hd,drive=y", ErrUsage, "is full"},
		{"-M q35 -device piix4-ide -device ide-cd -device ide-cd -device ide-cd", ErrUsage, "bus ide.7 is full"},
		{"-M q35 -device ide-cd,bus=ide.0,unit=1", ErrUsage, "bus ide.0 is full"},
		{"-M q35 -device ide-cd,bus=ide.0,unit=2", ErrUsage, "unit=2"},
		{"-M q35 -device isa-serial,iobase=0x10000", ErrUsage, "iobase=0x10000"},
		{"-M q35 -device isa-parallel,irq=16", ErrUsage, "irq=16"},
		{"-M q35 -device isa-serial,index=4", ErrUsage, "index=4"},
		{"-M q35 -serial null -serial null -serial null -serial null -serial null", ErrUsage, "at most 4"},
		{"-M q35 -device edu,bootindex=1", ErrUnknown, `edu has no property "bootindex"`},
		{"-M q35 -device qemu-xhci -device usb-host,bootindex=1", ErrUnsupported, "bootindex= of a usb-host"},
		{"-M q35 -device qemu-xhci -usbdevice tablet -device usb-storage,drive=d,bootindex=1", ErrUnsupported, "bootindex= of a usb-storage"},
		{"-M q35 -device qemu-xhci -device usb-storage,drive=d,port=9", ErrUsage, "port=9"},
		{"-M q35 -device e1000,bootindex=1 -device nvme,serial=1,bootindex=1", ErrUsage, "bootindex=1 is taken"},
		{"-M q35 -kernel k -device e1000,bootindex=0", ErrUsage, "bootindex=0 is taken"},
		{"-M q35 -vga frob", ErrUnknown, "unknown display device"},
		{"-M q35 -nic user,model=frob", ErrUnknown, `unknown network device "frob"`},
		{"-M q35 -drive if=frob,file=x", ErrUsage, "unsupported bus type"},
		{"-M q35 -drive index=0,file=x -drive index=0,file=y", ErrUsage, "already"},
		{"-M q35 -drive index=0,unit=1,file=x", ErrUsage, "does not go with"},
		{"-M q35,sata=off -cdrom x", ErrUsage, "no such SATA port"},
		{"-M q35 -virtfs local", ErrUsage, "mount_tag"},
		{"-M q35 -smp 4,dies=65536,modules=65536,cores=65536,threads=65536", ErrUsage, "from 1 to 4096"},
		{"-M q35 -smp 4,dies=4096,modules=4096,cores=4096,threads=4096", ErrUsage, "is not maxcpus (4)"},
		{"-M q35 -smp sockets=4096,dies=4096,modules=4096,cores=4096,threads=4096", ErrUsage, "are more than the 4096"},
		{"-M q35 -device pcie-root-port,chassis=1,mem-reserve=0xffffffffffffff00", ErrUnsupported, "mem-reserve=18446744073709551360 is more than 2147483648"},
		{"-M q35 -device pcie-root-port,chassis=1,pref32-reserve=3G", ErrUnsupported, "pref32-reserve=3221225472 is more than"},
		{"-M q35 -device pcie-root-port,chassis=1,pref64-reserve=15E", ErrUnsupported, "pref64-reserve="},
		{"-M q35 -device pcie-root-port,chassis=1,io-reserve=15E", ErrUnsupported, "io-reserve="},
		{"-M q35 -device pcie-root-port,id=r,chassis=1 -device edu,bus=r,addr=0x19", ErrUnsupported, "edu: is behind port r, whose slot 0 is empty"},
		{"-M q35 -device pcie-root-port,id=r,chassis=1 -device edu,id=e,bus=r,addr=0.1", ErrUnsupported, "behind port r"},
		{"-M q35 -netdev tap,id=n,queues=1025 -device virtio-net-pci,netdev=n", ErrUsage, "queues=1025: expects a number from 1 to 1024"},
		// CPU.
		{"-M q35 -cpu host", ErrUsage, "needs -accel kvm"},
		{"-M q35 -cpu qemu64,phys-bits=60", ErrUsage, "from 32 to 52"},
		{"-M q35 -accel tcg -cpu Zilog,phys-bits=48", ErrUnknown, "Zilog"},
		{"-M q35 -accel kvm -cpu Zilog,phys-bits=48", ErrUnknown, "Zilog"},
		{"-M q35 -cpu qemu64,xlevel=0x80000004", ErrUnsupported, "0x80000008"},
		{"-M q35 -cpu Skylake-Server,x-vendor-cpuid-only-v2=off", ErrUnsupported, "0x80000000"},
		{td + "-cpu host,-pdpe1gb", ErrUnsupported, "pdpe1gb=off"},
		{td + "-cpu host,guest-phys-bits=46", ErrUnsupported, "less than 48"},
		{"-M q35 -cpu qemu64,vendor=Intel", ErrUsage, "12 characters"},
		{"-M q35 -cpu qemu64,stepping=16", ErrUsage, "from 0 to 15"},
		{td + "-cpu host,phys-bits=46", ErrUnsupported, "which are 52 on every processor with TDX"},
		{td + "-cpu host,host-phys-bits-limit=46", ErrUnsupported, "which are 52 on every processor with TDX"},
		{"-M q35 -accel hvf", ErrUnknown, "only KVM and TCG are modelled"},
		{"-M q35,accel=xen:tcg", ErrUnknown, "only KVM and TCG are modelled"},
		{"-M q35 -accel kvm,kernel-irqchop=split", ErrUnknown, "did you mean kernel-irqchip"},
		{td + "-accel kvm,kernel-irqchip=on", ErrUsage, "a TD needs kernel-irqchip=split"},
		{"-M q35 -object tdx-guest,id=t,mrconfigidd=x", ErrUnknown, "did you mean mrconfigid"},
		// Devices that the machine makes take globals too; real QEMU's tables and bootorder have them.
		{"-M q35 -global ich9-ahci.acpi-index=7", ErrUnsupported, "ich9-ahci.acpi-index=7: what it does to a device that the machine makes"},
		{"-M q35 -usb -global ich9-usb-uhci1.acpi-index=9", ErrUnsupported, "a device that the machine makes"},
		{"-M q35 -global pci-device.romfile=x", ErrUnsupported, "a device that the machine makes"},
		{"-M q35 -global isa-serial.irq=5 -serial null", ErrUnsupported, "a device that the machine makes"},
		{"-M q35 -global isa-parallel.iobase=0x278 -parallel null", ErrUnsupported, "a device that the machine makes"},
		{"-M q35 -global ide-hd.bootindex=1 -hda x", ErrUnsupported, "a device that the machine makes"},
		{"-M q35 -global ide-device.bootindex=1", ErrUnsupported, "a device that the machine makes"},
		{"-M q35 -global ide-device.bootindex=0", ErrUnsupported, "a device that the machine makes"},
		{"-M q35 -nodefaults -global ide-hd.bootindex=0x0 -hda x", ErrUnsupported, "a device that the machine makes"},
		{"-M q35 -global isa-serial.irq=0 -serial null", ErrUnsupported, "a device that the machine makes"},
		{"-M q35 -global isa-parallel.irq=0 -parallel null", ErrUnsupported, "a device that the machine makes"},
		{"-M q35 -global scsi-hd.bootindex=0 -device qemu-xhci -device usb-storage,drive=d", ErrUnsupported, "a device that the machine makes"},
		{"-M q35 -global isa-serial.irq=0 -serial null", ErrUnsupported, "isa-serial.irq=0: what it does to a device that the machine makes"},
		{"-M q35 -global isa-serial.iobase=0 -serial null", ErrUnsupported, "a device that the machine makes"},
		{"-M q35 -global isa-parallel.irq=0 -parallel null", ErrUnsupported, "a device that the machine makes"},
		{"-M q35 -global ide-cd.bootindex=0 -cdrom x", ErrUnsupported, "a device that the machine makes"},
		{"-M q35 -global ide-device.bootindx=1 -device ide-hd,drive=d", ErrUnknown, "did you mean bootindex"},
		{"-M q35 -device virtio-blk-pci,drive=d,class=0x0180,bootindex=1", ErrUnsupported, "class=0x0180 changes what firmware sees"},
		{"-M q35 -device edu,acpi-index=5 -device edu,acpi-index=5", ErrUsage, "acpi-index=5 is another device's already"},
		{"-M q35 -device edu,acpi-index=16384", ErrUsage, "up to 16383"},
	} {
		args := strings.Fields(tc.line)
		if strings.HasSuffix(tc.line, " ") {
			args = append(args, "")
		}
		m, err := ParseArgs(args, testRelease, ParseOptions{})
		if err == nil {
			t.Errorf("%s: no error", tc.line)
			continue
		}
		if m != nil || !errors.Is(err, tc.err) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v; want %v with %q", tc.line, err, tc.err, tc.want)
		}
	}
}

// TestLimits has inputs that are too long for any command line.
func TestLimits(t *testing.T) {
	for name, args := range map[string][]string{
		"arguments": make([]string, maxArgs+1),
		"length":    {"-M", "q35", "-append", strings.Repeat("a", maxArgLen+1)},
		"option":    {"-" + strings.Repeat("a", maxArgLen+1)},
		"zero byte": {"-M", "q35\x00"},
		"JSON":      {"-M", "q35", "-device", strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100)},
	} {
		if _, err := ParseArgs(args, testRelease, ParseOptions{}); !errors.Is(err, ErrUsage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRelease(t *testing.T) {
	for _, r := range []string{"7.2.0", "8.2.2", "8.2.2-tdx", "9.0.2-tdx", "9.1.0", "9.2.1", "10.0", "10.1.0", "10.2.2", "11.1.3"} {
		if _, _, err := TraitsOf(r); err != nil {
			t.Error(err)
		}
	}
	for r, want := range map[string]string{
		"8.0.0": "nearest known: 7.2.x, 8.2.x, 8.2.x-tdx", "8.1.5": "8.2.x", "11.0.0": "nearest known: 10.1.x, 10.2.x, 11.1.x",
		"12.0.0": "11.1.x", "10.1.0-tdx": "--assume-qemu", "x": "write it as 10.1.0", "10": "write it as", "010.1.0": "write it as",
		"10.2.50": "between releases", "10.1.91": "between releases",
		"10.1.0.1": "write it as", "-1.2.3": "write it as", "": "write it as",
	} {
		if _, _, err := TraitsOf(r); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", r, err, want)
		}
	}
	m, err := ParseArgs([]string{"-M", "q35"}, "8.1.0", ParseOptions{Assume: "8.2.2"})
	if err != nil {
		t.Fatal(err)
	}
	if _, want, _ := TraitsOf("8.2.2"); m.Type != "pc-q35-8.1" || m.Traits != want {
		t.Errorf("8.1.0 as 8.2.2 has type %s and traits %+v", m.Type, m.Traits)
	}
	// A release without TDX starts no TD; the build with patches is another release.
	td := []string{"-M", "q35,confidential-guest-support=t", "-object", "tdx-guest,id=t"}
	if _, err := ParseArgs(td, "8.2.2", ParseOptions{}); err == nil || !strings.Contains(err.Error(), "8.2.2-tdx") {
		t.Errorf("a TD on 8.2.2: %v", err)
	}
	if _, err := ParseArgs(td, "8.2.2-tdx", ParseOptions{}); err != nil {
		t.Error(err)
	}
}

// TestStablePatches has the first stable releases with a change that came to several series.
func TestStablePatches(t *testing.T) {
	for r, old := range map[string]bool{
		"7.2.15": true, "7.2.16": false, "8.2.8": true, "8.2.9": false, "9.0.4": true, "9.1.2": true, "9.1.3": false, "9.2.0": true, "9.2.1": false, "10.0.0": false,
	} {
		if _, traits, err := TraitsOf(r); err != nil || traits.OldPDSM != old {
			t.Errorf("%s: old PDSM %v, %v; want %v", r, traits.OldPDSM, err, old)
		}
	}
}

// TestIOMMUWidth has the address width of an intel-iommu by binary and machine type.
func TestIOMMUWidth(t *testing.T) {
	for _, tc := range []struct {
		release, machine, props string
		want                    int
	}{
		{"9.2.1", "q35", "", 39}, {"10.0.0", "q35", "", 48}, {"10.0.0", "pc-q35-9.2", "", 48}, {"10.0.0", "pc-q35-9.1", "", 39},
		{"9.2.1", "q35", ",aw-bits=48", 48}, {"10.2.2", "q35", ",aw-bits=39", 39},
	} {
		m, err := ParseArgs([]string{"-M", tc.machine, "-device", "intel-iommu" + tc.props}, tc.release, ParseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if m.IOMMU.AWBits != tc.want {
			t.Errorf("%+v: %d bits", tc, m.IOMMU.AWBits)
		}
	}
}

func TestTDX(t *testing.T) {
	m, err := ParseArgs([]string{"-M", "q35"}, testRelease, ParseOptions{TDX: true})
	if err != nil {
		t.Fatal(err)
	}
	if !m.TDX || m.SMM || m.PIC || m.KernelIRQChip != "split" || !m.HPET {
		t.Errorf("%+v", m)
	}
	m = parseLine(t, testRelease, "-M q35")
	if m.TDX || !m.SMM || !m.PIC {
		t.Errorf("a plain machine has TDX %v, smm %v, pic %v", m.TDX, m.SMM, m.PIC)
	}
}

// TestOptionTable holds the rows to what they promise.
func TestOptionTable(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range options {
		if seen[o.Name] || strings.HasPrefix(o.Name, "-") {
			t.Errorf("-%s: twice, or with a dash", o.Name)
		}
		seen[o.Name] = true
		if o.Why == "" && o.Read == nil {
			t.Errorf("-%s is passed over without a reason", o.Name)
		}
	}
	names := Drivers()
	slices.Sort(names)
	if len(slices.Compact(names)) != len(Drivers()) {
		t.Error("a device has two rows")
	}
	for _, table := range deviceTables {
		for i := range table {
			m := &table[i]
			if m.Bus != onPCI && m.Why == "" && m.Apply == nil {
				t.Errorf("%s is passed over without a reason", m.Name)
			}
			if m.Bus == onPCI && len(m.BARs) == 0 && m.Size == nil && m.Kind == Endpoint && m.Name != amdFunction.Name {
				t.Errorf("%s has no BARs", m.Name)
			}
			for _, b := range m.BARs {
				if b.Size&(b.Size-1) != 0 || b.Index > 5 {
					t.Errorf("%s: BAR %d of %d bytes", m.Name, b.Index, b.Size)
				}
			}
		}
	}
	for alias, full := range aliases {
		if _, ok := modelOf(full); !ok || seen[alias] {
			t.Errorf("alias %s of %s, which is no device", alias, full)
		}
	}
	for _, p := range machineProperties {
		if p.Why == "" {
			t.Errorf("machine property %s has no reason", p.Name)
		}
	}
	for i := 1; i < len(changes); i++ {
		if changes[i-1].Since.Less(changes[i].Since) {
			t.Errorf("%s is newer than %s before it", changes[i].ID, changes[i-1].ID)
		}
	}
}
