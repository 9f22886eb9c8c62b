package dstack

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tdxkit/tdxkit/internal/bin"
)

const measured = `{"boot_config":{"cpus":8,"memory":"16384M","bios":"OVMF.fd","acpi_tables":"acpi_tables.bin","rsdp":"","table_loader":"",
 "qemu":{"machine":"q35,kernel_irqchip=split,memory-backend=mem0,smm=off,pic=off","cpu":"Skylake-Server,phys-bits=46","accel":"tcg",
 "globals":["q35-pcihost.pci-hole64-size=4096G"],"objects":["memory-backend-ram,id=mem0,size=16384M"],"netdevs":["hubport,id=net0,hubid=0"],
 "devices":["e1000,netdev=net0,bus=pcie.0,addr=0x2,romfile=","vhost-vsock-pci,guest-cid=99"],"fw_cfg":[]}},
 "direct":{"kernel":"vmlinuz","initrd":"initrd","cmdline":"root=/dev/sda1 console=ttyS0"}}`

func TestTDXMeasureCommandLine(t *testing.T) {
	for _, tc := range []struct{ name, text, want, assumed string }{
		{"qemu block", measured,
			"qemu-system-x86_64|-accel|tcg|-m|16384M|-smp|8,maxcpus=8|-cpu|Skylake-Server,phys-bits=46|-no-reboot|-nodefaults|-vga|none|" +
				"-nographic|-bios|OVMF.fd|-machine|q35,kernel_irqchip=split,memory-backend=mem0,smm=off,pic=off|" +
				"-global|q35-pcihost.pci-hole64-size=4096G|-object|memory-backend-ram,id=mem0,size=16384M|-netdev|hubport,id=net0,hubid=0|" +
				"-device|e1000,netdev=net0,bus=pcie.0,addr=0x2,romfile=|-device|vhost-vsock-pci,guest-cid=99|" +
				"-kernel|vmlinuz|-initrd|initrd|-append|root=/dev/sda1 console=ttyS0", ""},
		{"canonical defaults", `{"boot_config":{"cpus":4,"memory":"2048M","bios":"OVMF.fd"},"direct":{"kernel":"k","initrd":"i","cmdline":""}}`,
			"qemu-system-x86_64|-accel|kvm|-m|2048M|-smp|4|-cpu|host|-machine|q35,kernel-irqchip=split,hpet=off,smm=off,pic=off|" +
				"-bios|OVMF.fd|-nographic|-nodefaults|-serial|stdio|-kernel|k|-initrd|i|-append|", "Canonical"},
		{"older", `{"boot_config":{"cpus":4,"memory":"2G","bios":"OVMF.fd","acpi_dtb":"x"},"kernel":{"image":"k","cmdline":"c"}}`,
			"qemu-system-x86_64|-accel|kvm|-m|2G|-smp|4|-cpu|host|-machine|q35,kernel-irqchip=split,hpet=off,smm=off,pic=off|" +
				"-bios|OVMF.fd|-nographic|-nodefaults|-serial|stdio|-kernel|k|-append|c", "Canonical"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !IsTDXMeasure([]byte(tc.text)) {
				t.Error("not taken for a document of tdx-measure")
			}
			m, err := ParseTDXMeasure([]byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			l := m.CommandLine()
			if d := cmp.Diff(strings.Split(tc.want, "|"), l.Args); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			if got := strings.Join(l.Assumed, " "); (tc.assumed == "") != (got == "") || !strings.Contains(got, tc.assumed) {
				t.Errorf("assumed %q, want %q", got, tc.assumed)
			}
		})
	}
}

func TestParseTDXMeasureRejects(t *testing.T) {
	const direct = `"direct":{"kernel":"k","initrd":"i","cmdline":"c"}}`
	boot := func(s string) string { return `{"boot_config":{` + s + `},` + direct }
	checkRejects(t, []reject{
		{"no boot_config", `{` + direct, "boot_config", bin.ErrMalformed, "is missing"},
		{"boot_config is text", `{"boot_config":"",` + direct, "boot_config", bin.ErrMalformed, "want an object"},
		{"no direct", `{"boot_config":{"cpus":1,"memory":"2G","bios":"o"}}`, "direct", bin.ErrMalformed, "is missing"},
		{"indirect", `{"boot_config":{"cpus":1,"memory":"2G","bios":"o"},"indirect":{"qcow2":"x"}}`, "indirect", bin.ErrUnsupported, "disk"},
		{"no cpus", boot(`"memory":"2G","bios":"o"`), "boot_config.cpus", bin.ErrMalformed, "is missing"},
		{"no vCPU", boot(`"cpus":0,"memory":"2G","bios":"o"`), "boot_config.cpus", bin.ErrMalformed, "at least 1"},
		{"too many vCPUs", boot(`"cpus":5000,"memory":"2G","bios":"o"`), "boot_config.cpus", bin.ErrUnsupported, "at most 4096"},
		{"fractional vCPUs", boot(`"cpus":1.0,"memory":"2G","bios":"o"`), "boot_config.cpus", bin.ErrMalformed, "whole number"},
		{"memory as number", boot(`"cpus":1,"memory":2048,"bios":"o"`), "boot_config.memory", bin.ErrMalformed, "want a string"},
		{"bios climbs", boot(`"cpus":1,"memory":"2G","bios":"../o"`), "boot_config.bios", bin.ErrMalformed, "leaves the folder"},
		{"no machine", boot(`"cpus":1,"memory":"2G","bios":"o","qemu":{"cpu":"host"}`), "boot_config.qemu.machine", bin.ErrMalformed, "is missing"},
		{"unknown qemu key", boot(`"cpus":1,"memory":"2G","bios":"o","qemu":{"machine":"q35","cpu":"host","drives":[]}`), "boot_config.qemu.drives", bin.ErrUnsupported, "could change"},
		{"devices is text", boot(`"cpus":1,"memory":"2G","bios":"o","qemu":{"machine":"q35","cpu":"host","devices":"x"}`), "boot_config.qemu.devices", bin.ErrMalformed, "list of strings"},
		{"number in devices", boot(`"cpus":1,"memory":"2G","bios":"o","qemu":{"machine":"q35","cpu":"host","devices":["a",1]}`), "boot_config.qemu.devices[1]", bin.ErrMalformed, "want a string"},
		{"null in devices", boot(`"cpus":1,"memory":"2G","bios":"o","qemu":{"machine":"q35","cpu":"host","devices":[null]}`), "boot_config.qemu.devices[0]", bin.ErrMalformed, "want a string"},
		{"nested key twice", boot(`"cpus":1,"cpus":2,"memory":"2G","bios":"o"`), "boot_config.cpus", bin.ErrMalformed, "occurs twice"},
		{"no kernel", `{"boot_config":{"cpus":1,"memory":"2G","bios":"o"},"direct":{"cmdline":"c"}}`, "direct.kernel", bin.ErrMalformed, "is missing"},
		{"no cmdline", `{"boot_config":{"cpus":1,"memory":"2G","bios":"o"},"direct":{"kernel":"k"}}`, "direct.cmdline", bin.ErrMalformed, "is missing"},
	}, func(b []byte) error { _, err := ParseTDXMeasure(b); return err })
}
