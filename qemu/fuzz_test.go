package qemu

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzParseArgs reads arbitrary command lines, one argument a line. What is accepted must be consistent: every function in
// a slot of its own, functions in order, memory that adds up.
func FuzzParseArgs(f *testing.F) {
	for _, s := range []string{
		"-M\nq35,smm=off,pic=off\n-smp\n4,sockets=2\n-m\n4G,slots=2,maxmem=8G\n-cpu\nmax,phys-bits=52",
		"-M\nq35,confidential-guest-support=t\n-object\ntdx-guest,id=t\n-kernel\nk\n-append\na b\n-bios\nf",
		"-M\nq35\n-device\npcie-root-port,id=r,chassis=1\n-device\nvirtio-blk-pci,drive=d,bus=r,bootindex=3\n-drive\nif=none,id=d,file=x",
		"-M\nq35\n-device\n{\"driver\":\"virtio-net-pci\",\"addr\":9,\"mac\":\"a\"}\n-nic\nuser,model=virtio\n-virtfs\nlocal,mount_tag=x",
		"-M\nq35\n-device\npxb-pcie,id=p,bus_nr=5\n-device\npcie-root-port,bus=p,id=q\n-numa\nnode\n-numa\ndist,src=0,dst=0,val=10",
		"-M\nq35\n-drive\nif=virtio,file=x\n-hda\ny\n-cdrom\nz\n-smbios\ntype=1,serial=a\n-fw_cfg\nname=opt/a,string=b\n-boot\nmenu=on,strict=on",
		"-M\npc-q35-6.0\n-device\nvirtio-scsi-pci\n-device\nscsi-hd,lun=2\n-global\nICH9-LPC.disable_s3=1\n-vga\nstd",
	} {
		f.Add(s, "10.2.2")
		f.Add(s, "8.2.2-tdx")
	}
	f.Fuzz(func(t *testing.T, lines, release string) {
		m, err := ParseArgs(strings.Split(lines, "\n"), release, ParseOptions{})
		if err != nil {
			if m != nil || err.Error() == "" {
				t.Fatalf("a machine beside the error %q", err)
			}
			return
		}
		if m.LowRAM()+m.HighRAM() != m.RAM || m.LowRAM() > 1<<32 || m.MaxRAM < m.RAM {
			t.Errorf("RAM %#x is %#x and %#x", m.RAM, m.LowRAM(), m.HighRAM())
		}
		if n := len(m.APICIDs()); n != m.Topology.MaxCPUs || n > 4096 {
			t.Errorf("%d APIC ids for %d CPUs", n, m.Topology.MaxCPUs)
		}
		var check func(*Bus)
		check = func(b *Bus) {
			last := -1
			for _, d := range b.Devices {
				if int(d.Devfn()) <= last || d.Slot > 31 || d.Function > 7 {
					t.Errorf("bus %s: function %#x after %#x", b.Name, d.Devfn(), last)
				}
				last = int(d.Devfn())
				for _, x := range d.BARs {
					if x.Size == 0 || x.Size&(x.Size-1) != 0 {
						t.Errorf("%s: a BAR of %#x bytes", d.Driver, x.Size)
					}
				}
				for _, x := range []*Bus{d.Bridge, d.ExtraRoot} {
					if x != nil {
						check(x)
					}
				}
			}
		}
		check(m.Root)
		if _, err := m.MeasuredFwCfg(); err != nil && !strings.Contains(err.Error(), "was not read") {
			t.Error(err)
		}
		if _, err := json.Marshal(m); err != nil {
			t.Error(err)
		}
	})
}

// FuzzParseSize holds sizes against a plain reading of their suffix.
func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"2G", "1.5G", "0x10", "2048", "1e", "8E", "0.5", ".5k", "1.k", "-1", "16E"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := parseSize(s)
		if !ok || strings.ContainsAny(s, "xX") {
			return
		}
		if m, ok := parseSize(s + "B"); ok && m != n {
			t.Errorf("%q is %d, with a B %d", s, n, m)
		}
	})
}
