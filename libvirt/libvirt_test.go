package libvirt_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/libvirt"
	"github.com/tdxkit/tdxkit/qemu"
)

// domain is a TD as virsh dumpxml shows it, with marks for tests to change.
const domain = `<?xml version='1.0'?>
<domain type='kvm' id='7' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>td</name>
  <uuid>5fc49754-27c5-40fc-a330-f0c89f4a901b</uuid>
  <metadata><x:y xmlns:x='urn:x' a='1'>anything</x:y></metadata>
  <memory unit='KiB'>4194304</memory>
  <currentMemory unit='KiB'>4194304</currentMemory>
  <vcpu placement='static'>4</vcpu>
  <os>
    <type arch='x86_64' machine='pc-q35-10.1'>hvm</type>
    <loader type='rom' format='raw'>/usr/share/ovmf/OVMF.fd</loader>
    <kernel>/k</kernel>
    <initrd>/i</initrd>
    <cmdline> console=ttyS0, a=&quot;b&quot; </cmdline>
    <boot dev='hd'/>
  </os>
  <features><acpi/><apic/><ioapic driver='qemu'/></features>
  <cpu mode='host-passthrough' check='none' migratable='on'/>
  <clock offset='utc'><timer name='hpet' present='no'/></clock>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='/img'/><target dev='vda' bus='virtio'/>
      <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
    </disk>
    <controller type='usb' index='0' model='none'/>
    <controller type='pci' index='0' model='pcie-root'/>
    <controller type='pci' index='1' model='pcie-root-port'>
      <model name='pcie-root-port'/><target chassis='1' port='0x8'/>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x01' function='0x0' multifunction='on'/>
    </controller>
    <memballoon model='none'/>
  </devices>
  <launchSecurity type='tdx'><policy>0x10000000</policy></launchSecurity>
</domain>`

func TestRead(t *testing.T) {
	args, err := libvirt.Read([]byte(domain))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"-name", "guest=td",
		"-machine", "pc-q35-10.1,usb=off,kernel_irqchip=split,memory-backend=pc.ram,confidential-guest-support=lsec0,hpet=off,acpi=on",
		"-accel", "kvm", "-cpu", "host", "-bios", "/usr/share/ovmf/OVMF.fd", "-m", "size=4194304k",
		"-object", `{"qom-type":"memory-backend-ram","id":"pc.ram","size":4294967296}`,
		"-smp", "4,sockets=4,cores=1,threads=1", "-uuid", "5fc49754-27c5-40fc-a330-f0c89f4a901b",
		"-display", "none", "-no-user-config", "-nodefaults", "-boot", "strict=on",
		"-kernel", "/k", "-initrd", "/i", "-append", ` console=ttyS0, a="b" `,
		"-device", `{"driver":"pcie-root-port","port":8,"chassis":1,"id":"pci.1","bus":"pcie.0","multifunction":true,"addr":"0x1"}`,
		"-device", `{"driver":"virtio-blk-pci","bus":"pci.1","addr":"0x0","drive":"drive-virtio-disk0","id":"virtio-disk0","bootindex":1}`,
		"-object", `{"qom-type":"tdx-guest","id":"lsec0"}`,
	}
	if !slices.Equal(args, want) {
		t.Errorf("got  %q\nwant %q", args, want)
	}
	m, err := qemu.ParseArgs(args, "10.1.0", qemu.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !m.TDX || m.RAM != 4<<30 || m.HPET || m.Files.Append != ` console=ttyS0, a="b" ` {
		t.Errorf("the machine is %+v", m)
	}
}

// TestRefused changes one thing of the document at a time. An empty old text puts new behind <devices>.
func TestRefused(t *testing.T) {
	const disk = "<address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>"
	for _, tc := range []struct {
		name, old, new string
		category       error
		want           string
	}{
		{"document type", "<domain type='kvm'", "<!DOCTYPE d [<!ENTITY a 'b'>]><domain type='kvm'", bin.ErrMalformed, "document type"},
		{"entity", "<name>td<", "<name>&other;<", bin.ErrMalformed, "entity"},
		{"processing instruction", "<name>", "<?php 1?><name>", bin.ErrMalformed, `instruction "php"`},
		{"cut short", "</domain>", "", bin.ErrTruncated, "unexpected EOF"},
		{"wrong nesting", "</domain>", "</domein>", bin.ErrMalformed, "line"},
		{"second root", "</domain>", "</domain><domain/>", bin.ErrMalformed, "second root"},
		{"text behind", "</domain>", "</domain>x", bin.ErrMalformed, "text outside"},
		{"other encoding", "version='1.0'", "version='1.0' encoding='latin1'", bin.ErrMalformed, "encoding"},
		{"repeated attribute", "<vcpu placement='static'", "<vcpu placement='static' placement='auto'", bin.ErrMalformed, "vcpu@placement"},
		{"repeated element", "<name>", "<uuid>1</uuid><name>", bin.ErrMalformed, "uuid at offset"},
		{"foreign namespace", "<name>", "<a:b xmlns:a='urn:a'/><name>", bin.ErrUnsupported, "{urn:a}b"},
		{"unknown element", "<name>", "<frob/><name>", bin.ErrUnsupported, "frob at offset"},
		{"unknown device", "", "<frob/>", bin.ErrUnsupported, "devices/frob"},
		{"unknown attribute", "<vcpu ", "<vcpu frob='1' ", bin.ErrUnsupported, "vcpu@frob"},
		{"unknown inside a device", "<target dev='vda'", "<frob/><target dev='vda'", bin.ErrUnsupported, "devices/disk/frob"},
		{"capabilities", "<name>", "<qemu:capabilities><qemu:del capability='x'/></qemu:capabilities><name>", bin.ErrUnsupported, "qemu:capabilities"},
		{"timer", "timer name='hpet'", "timer name='hpte'", bin.ErrUnsupported, `clock/timer@name`},
		{"type of a disk", "disk type='file'", "disk type='vhost-user'", bin.ErrUnsupported, "devices/disk@type"},
		{"hypervisor", "type='kvm'", "type='xen'", bin.ErrUnsupported, "domain@type"},
		{"architecture", "arch='x86_64'", "arch='aarch64'", bin.ErrUnsupported, "os/type@arch"},
		{"machine", "pc-q35-10.1", "pc-i440fx-10.1", bin.ErrUnsupported, "os/type@machine"},
		{"container", ">hvm<", ">exe<", bin.ErrUnsupported, "want hvm"},
		{"flash", "type='rom'", "type='pflash'", bin.ErrUnsupported, "os/loader@type"},
		{"no firmware chosen", "<os>", "<os firmware='efi'>", nil, ""},
		{"SEV", "launchSecurity type='tdx'", "launchSecurity type='sev'", bin.ErrUnsupported, "only Intel TDs"},
		{"host model", "mode='host-passthrough'", "mode='host-model'", bin.ErrUnsupported, "running domain"},
		{"SMBIOS of the host", "<boot dev='hd'/>", "<smbios mode='host'/>", bin.ErrUnsupported, "os/smbios@mode"},
		{"SMBIOS of nothing", "<boot dev='hd'/>", "<smbios mode='sysinfo'/>", bin.ErrMalformed, "no <sysinfo"},
		{"CPU plugged in", "<os>", "<vcpus><vcpu id='0' enabled='yes' hotpluggable='yes'/></vcpus><os>", bin.ErrUnsupported, "vcpus/vcpu@hotpluggable"},
		{"CPU count", ">4</vcpu>", ">four</vcpu>", bin.ErrMalformed, "want a number"},
		{"memory unit", "<memory unit='KiB'", "<memory unit='KoB'", bin.ErrMalformed, "memory@unit"},
		{"memory of nothing", ">4194304</memory>", ">0</memory>", bin.ErrMalformed, "<memory>"},
		{"memory beyond", ">4194304</memory>", ">99999999999999999</memory>", bin.ErrMalformed, "52 bits"},
		{"no UUID", "<uuid>5fc49754-27c5-40fc-a330-f0c89f4a901b</uuid>", "", bin.ErrMalformed, "<uuid>"},
		{"no balloon", "<memballoon model='none'/>", "", bin.ErrMalformed, "virsh dumpxml"},
		{"no USB controller", "<controller type='usb' index='0' model='none'/>", "", bin.ErrMalformed, "controller type='usb'"},
		{"no root", "<controller type='pci' index='0' model='pcie-root'/>", "", bin.ErrMalformed, "pcie-root"},
		{"no address", disk, "", bin.ErrMalformed, "has no <address>; give the XML"},
		{"address of another kind", disk, "<address type='ccw' cssid='0xfe' ssid='0' devno='1'/>", bin.ErrUnsupported, "devices/disk/address@type"},
		{"domain of the bus", disk, strings.Replace(disk, "0x0000", "0x0001", 1), bin.ErrUnsupported, "address@domain"},
		{"no such bus", disk, strings.Replace(disk, "bus='0x01'", "bus='0x09'", 1), bin.ErrMalformed, "no pci controller"},
		{"no such slot", disk, strings.Replace(disk, "slot='0x00'", "slot='0x20'", 1), bin.ErrMalformed, "slot 32"},
		{"two controllers of an index", "", "<controller type='pci' index='1' model='pcie-root-port'/>", bin.ErrMalformed, "controller@index"},
		{"port without a model", "<model name='pcie-root-port'/>", "", bin.ErrMalformed, "virsh dumpxml"},
		{"boot order twice", "<target dev='vda'", "<boot order='1'/><target dev='vda'", bin.ErrMalformed, "both in <os>"},
		{"floppy", "", "<disk type='file' device='floppy'><target dev='fda' bus='fdc'/><address type='drive' controller='0' bus='0' unit='0'/></disk>", bin.ErrUnsupported, "floppy"},
		{"persistent memory", "", "<memory model='nvdimm'/>", bin.ErrUnsupported, "devices/memory@model"},
		{"record store", "", "<pstore backend='efi'/>", bin.ErrUnsupported, "devices/pstore@backend"},
		{"interface without a model", "", "<interface type='user'/>", bin.ErrMalformed, "<model>"},
		{"failover", "", "<interface type='hostdev'><source><address type='pci' bus='0' slot='1' function='0'/></source><teaming type='transient' persistent='x'/></interface>", bin.ErrUnsupported, "teaming"},
		{"comma in fw_cfg", "<os>", "<sysinfo type='fwcfg'><entry name='opt/a'>b,c</entry></sysinfo><os>", bin.ErrUnsupported, "comma"},
		{"override of another kind", "<name>", "<qemu:override><qemu:device alias='virtio-disk0'><qemu:frontend><qemu:property name='a' type='list' value='1'/></qemu:frontend></qemu:device></qemu:override><name>", bin.ErrUnsupported, "qemu:property@type"},
	} {
		old := tc.old
		if old == "" {
			old, tc.new = "</devices>", tc.new+"</devices>"
		}
		if !strings.Contains(domain, old) {
			t.Fatalf("%s: %q is not in the document", tc.name, old)
		}
		args, err := libvirt.Read([]byte(strings.Replace(domain, old, tc.new, 1)))
		if tc.category == nil {
			if err != nil {
				t.Errorf("%s: %v", tc.name, err)
			}
			continue
		}
		var fe *bin.FormatError
		if args != nil || !errors.As(err, &fe) || !errors.Is(err, tc.category) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %q, %v; want %v with %q", tc.name, args, err, tc.category, tc.want)
		}
	}
}

func TestLimits(t *testing.T) {
	for name, text := range map[string]string{
		"size":     "<domain>" + strings.Repeat(" ", 5<<20) + "</domain>",
		"elements": "<domain>" + strings.Repeat("<a/>", 70_000) + "</domain>",
		"depth":    strings.Repeat("<domain>", 100) + strings.Repeat("</domain>", 100),
		"empty":    "",
		"root":     "<network></network>",
	} {
		if _, err := libvirt.Read([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestTranslated has elements that the pairs of TestOracle lack, with the argument that each becomes.
func TestTranslated(t *testing.T) {
	const bus1 = "<address type='pci' bus='0x01' slot='0x00' function='0x0'/>"
	for _, tc := range []struct{ name, old, new, want string }{
		{"boot order of <os>", "<boot dev='hd'/>", "<boot dev='network'/><boot dev='hd'/>", `"bootindex":2`},
		{"default boot order", "<boot dev='hd'/>", "", `"bootindex":1`},
		{"override", "<name>", "<qemu:override><qemu:device alias='virtio-disk0'><qemu:frontend><qemu:property name='num-queues' type='unsigned' value='9'/><qemu:property name='bootindex' type='remove'/></qemu:frontend></qemu:device></qemu:override><name>",
			`"drive":"drive-virtio-disk0","id":"virtio-disk0","num-queues":9}`},
		{"arguments", "<name>", "<qemu:commandline><qemu:arg value='-fw_cfg'/><qemu:arg value='name=opt/a,string=b'/><qemu:env name='A' value='b'/></qemu:commandline><name>", "name=opt/a,string=b"},
		{"queues and MTU", "", "<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='b'/><model type='virtio'/><driver name='vhost' queues='4'/><mtu size='9000'/>" + bus1 + "</interface>",
			`{"driver":"virtio-net-pci","mq":true,"vectors":10,"host_mtu":9000,"netdev":"hostnet0","id":"net0","mac":"52:54:00:00:00:01","bus":"pci.1","addr":"0x0"}`},
		{"ROM switched off", "", "<interface type='user'><mac address='m'/><model type='e1000e'/><rom enabled='no'/>" + bus1 + "</interface>", `"addr":"0x0","romfile":""}`},
		{"ACPI index", "", "<interface type='user'><mac address='m'/><model type='e1000e'/><acpi index='7'/>" + bus1 + "</interface>", `"addr":"0x0","acpi-index":7`},
		{"interface of the host's", "", "<interface type='hostdev' managed='yes'><mac address='m'/><source><address type='pci' domain='0x0001' bus='0x41' slot='0x02' function='0x3'/></source>" + bus1 + "</interface>",
			`{"driver":"vfio-pci","host":"0001:41:02.3","id":"hostdev0","bus":"pci.1","addr":"0x0"}`},
		{"mediated device", "", "<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='u'/></source>" + bus1 + "</hostdev>", `"sysfsdev":"/sys/bus/mdev/devices/u"`},
		{"virtiofs", "", "<filesystem type='mount'><driver type='virtiofs'/><source dir='/s'/><target dir='t'/>" + bus1 + "</filesystem>", `{"driver":"vhost-user-fs-pci","id":"fs0","chardev":"chr-vu-fs0","tag":"t",`},
		{"vhost-user disk", "<disk type='file'", "<disk type='vhostuser'", `{"driver":"vhost-user-blk-pci",`},
		{"memory module", "", "<memory model='dimm'><target><size unit='MiB'>512</size><node>0</node></target><address type='dimm' slot='0'/></memory>", `{"driver":"pc-dimm","node":0,"memdev":"memdimm0","id":"dimm0","slot":0}`},
		{"record store", "", "<pstore backend='acpi-erst'><path>/p</path><size unit='KiB'>8</size>" + bus1 + "</pstore>", `{"driver":"acpi-erst","id":"pstore0","memdev":"mempstore0","bus":"pci.1","addr":"0x0"}`},
		{"table of the user's", "<boot dev='hd'/>", "<acpi><table type='msdm'>/t,1</table></acpi>", "sig=MSDM,file=/t,,1"},
		{"expander", "", "<controller type='pci' index='2' model='pcie-expander-bus'><model name='pxb-pcie'/><target busNr='254'><node>1</node></target><address type='pci' bus='0' slot='2' function='0'/></controller>",
			`{"driver":"pxb-pcie","bus_nr":254,"id":"pci.2","numa_node":1,"bus":"pcie.0","addr":"0x2"}`},
		{"generation id", "<os>", "<genid>43dc0cf8-809b-4adb-9bea-a9abb5f3d90e</genid><os>", `{"driver":"vmgenid","guid":"43dc0cf8-809b-4adb-9bea-a9abb5f3d90e","id":"vmgenid0"}`},
		{"64-bit hole", "model='pcie-root'/>", "model='pcie-root'><pcihole64 unit='GiB'>1</pcihole64></controller>", "q35-pcihost.pci-hole64-size=1048576K"},
		{"TSEG", "<acpi/>", "<acpi/><smm state='on'><tseg unit='MiB'>48</tseg></smm>", "mch.extended-tseg-mbytes=48"},
		{"CPU by its own rules", "mode='host-passthrough' check='none' migratable='on'/>", "mode='custom' check='full'><model vendor_id='GenuineIntel'>EPYC</model><feature policy='require' name='lahf_lm'/><feature policy='forbid' name='ht'/></cpu>",
			"EPYC,vendor=GenuineIntel,lahf-lm=on,ht=off"},
		{"distances", "mode='host-passthrough' check='none' migratable='on'/>", "mode='host-passthrough'><numa><cell id='0' cpus='0-1,3' memory='2' unit='GiB'><distances><sibling id='1' value='31'/></distances></cell><cell id='1' cpus='2' memory='2' unit='GiB'/></numa></cpu>",
			"dist,src=1,dst=0,val=31"},
		{"CPUs of a node", "mode='host-passthrough' check='none' migratable='on'/>", "mode='host-passthrough'><numa><cell id='0' cpus='0-1,3' memory='2' unit='GiB'/></numa></cpu>", "node,nodeid=0,cpus=0-1,cpus=3,memdev=ram-node0"},
		{"some CPUs", "<vcpu placement='static'>", "<vcpu current='3'>", "3,maxcpus=4,sockets=4,cores=1,threads=1"},
		{"size that is no whole MiB", ">4194304</memory>", ">4194305</memory>", "size=4195328k"},
		{"size in bytes", "<memory unit='KiB'>4194304<", "<memory unit='b'>4294967296<", "size=4194304k"},
		{"size in decimal", "<memory unit='KiB'>4194304<", "<memory unit='GB'>2<", "size=1953792k"},
	} {
		old := tc.old
		if old == "" {
			old, tc.new = "</devices>", tc.new+"</devices>"
		}
		args, err := libvirt.Read([]byte(strings.Replace(domain, old, tc.new, 1)))
		if err != nil || !strings.Contains(strings.Join(args, "\n")+"\n", tc.want) {
			t.Errorf("%s: %q, %v; want %q in it", tc.name, args, err, tc.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(domain))
	f.Add([]byte("<domain type='kvm'><devices><disk/></devices></domain>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		args, err := libvirt.Read(data)
		var fe *bin.FormatError
		if (err == nil) == (args == nil) || err != nil && !errors.As(err, &fe) {
			t.Errorf("%q, %v", args, err)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	b.SetBytes(int64(len(domain)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := libvirt.Read([]byte(domain)); err != nil {
			b.Fatal(err)
		}
	}
}
