package qemu

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestProcessorIDs compares every model of the table with what real QEMU's SMBIOS tables carry under TCG.
func TestProcessorIDs(t *testing.T) {
	raw, err := os.ReadFile("testdata/processor-ids.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var release, model, eax, edx string
		if _, err := fmt.Sscan(line, &release, &model, &eax, &edx); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		n++
		c := parseLine(t, release, "-M q35 -accel tcg -smp 1 -cpu "+model).CPU
		if got := fmt.Sprintf("%08x %08x", c.EAX, c.EDX); !c.Known || got != eax+" "+edx {
			t.Errorf("%s -cpu %s: known %v, %s; QEMU has %s %s", release, model, c.Known, got, eax, edx)
		}
	}
	if n < 350 {
		t.Errorf("only %d models", n)
	}
}

func TestCPU(t *testing.T) {
	const td = "-M q35,confidential-guest-support=t -object tdx-guest,id=t "
	const tcg = "-M q35 -accel tcg "
	for _, tc := range []struct {
		release, line string
		opts          ParseOptions
		known         bool
		eax, edx      uint32
		phys          int
	}{
		// Two sockets of 62 cores on an Emerald Rapids host: the SMBIOS table of a real TD, chutesai/tdx-measure,
		// 262fa35c, src/smbios.rs.
		{"10.2.2", td + "-cpu host -smp 124,sockets=2", ParseOptions{HostCPU: "emerald-rapids"}, true, 0x000c06f2, 0x1fa9fbff, 52},
		{"10.2.2", td + "-cpu host -smp 1", ParseOptions{HostCPU: "Sapphire Rapids"}, true, 0x000806f8, 0x0fa9fbff, 52},
		{"10.2.2", td + "-cpu host,-ss -smp 2", ParseOptions{HostCPU: "graniterapids"}, true, 0x000a06d1, 0x17a9fbff, 52},
		{"10.2.2", td + "-cpu host,-sse2", ParseOptions{HostCPU: "graniterapids"}, false, 0, 0, 52},
		{"10.2.2", td + "-cpu host,mtrr=off,-ht -smp 2", ParseOptions{HostCPU: "graniterapids"}, false, 0, 0, 52},
		{"10.2.2", td + "-cpu host,-ht -smp 2", ParseOptions{HostCPU: "graniterapids"}, true, 0x000a06d1, 0x1fa9fbff, 52},
		{"10.2.2", td + "-cpu host", ParseOptions{}, false, 0, 0, 52},
		{"9.2.1", td + "-cpu host", ParseOptions{HostCPU: "emerald-rapids"}, false, 0, 0, 52},
		{"10.2.2", td + "-cpu host", ParseOptions{CPUID: &CPUID{1, 2}}, true, 1, 2, 52},
		// HT is by topology, wherever EDX was read.
		{"10.2.2", td + "-cpu host -smp 1", ParseOptions{CPUID: &CPUID{0x000806f8, 0x1fa9fbff}}, true, 0x000806f8, 0x0fa9fbff, 52},
		{"10.2.2", td + "-cpu host -smp 2", ParseOptions{CPUID: &CPUID{0x000806f8, 0x0fa9fbff}}, true, 0x000806f8, 0x1fa9fbff, 52},
		{"10.2.2", td + "-cpu host -smp 2,sockets=2", ParseOptions{CPUID: &CPUID{0x000806f8, 0x1fa9fbff}}, true, 0x000806f8, 0x0fa9fbff, 52},
		{"10.2.2", td + "-cpu host,+ht -smp 1", ParseOptions{CPUID: &CPUID{0x000806f8, 0x0fa9fbff}}, true, 0x000806f8, 0x1fa9fbff, 52},
		{"9.2.1", td + "-cpu host -smp 1", ParseOptions{CPUID: &CPUID{0x000806f8, 0x1f8bfbff}}, true, 0x000806f8, 0x1f8bfbff, 52},
		{"10.2.2", td + "-cpu host,host-phys-bits-limit=52,phys-bits=52", ParseOptions{}, false, 0, 0, 52},
		{"10.2.2", td + "-cpu SapphireRapids", ParseOptions{}, false, 0x000806f4, 0x078bfbff, 52},
		{"10.2.2", td, ParseOptions{PhysBits: 48}, false, 0x00060fb1, 0x078bfbfd, 48},
		{"10.2.2", "-M q35 -accel kvm -cpu host", ParseOptions{HostCPU: "emerald-rapids"}, false, 0, 0, 0},
		{"10.2.2", "-M q35 -accel kvm -cpu SapphireRapids-v3 -smp 1", ParseOptions{}, true, 0x000806f4, 0x0f8bfbff, 40},
		{"10.2.2", tcg + "-cpu max,family=6,model=143,stepping=8", ParseOptions{}, true, 0x000806f8, 0x0fcbfbfd, 40},
		{"8.2.2", tcg + "-cpu max", ParseOptions{}, false, 0, 0x0fcbfbfd, 40},
		{"10.0.2", tcg + "-cpu max,-ss -smp 2", ParseOptions{}, true, 0x00000663, 0x17cbfbfd, 40},
		{"10.0.2", tcg + "-cpu max,+ht -smp 1", ParseOptions{}, true, 0x00000663, 0x1fcbfbfd, 40},
		{"10.0.2", tcg + "-cpu max -smp 2,sockets=2", ParseOptions{}, true, 0x00000663, 0x0fcbfbfd, 40},
		{"7.2.22", tcg + "-cpu qemu64,+vme -smp 2", ParseOptions{}, true, 0x00060fb1, 0x078bfbfd, 40},
		{"10.2.2", tcg + "-cpu qemu64,phys-bits=52", ParseOptions{}, true, 0x00060fb1, 0x078bfbfd, 52},
		{"10.2.2", tcg + "-cpu qemu64,-lm", ParseOptions{}, true, 0x00060fb1, 0x078bfbfd, 36},
		{"10.2.2", tcg + "-cpu max,-lm -smp 1", ParseOptions{}, true, 0x00000663, 0x0fcbfbfd, 36},
		{"10.0.13", tcg + "-cpu max,lm=off,-pse36,-pae -smp 1", ParseOptions{}, true, 0x00000663, 0x0fc9fbbd, 32},
		{"7.2.22", tcg + "-cpu max,-i64,-pse36 -smp 1", ParseOptions{}, true, 0x00060fb1, 0x0fc9fbfd, 32},
		{"10.2.2", tcg + "-cpu qemu64,xlevel=0x80000008", ParseOptions{}, true, 0x00060fb1, 0x078bfbfd, 40},
		{"10.2.2", td + "-cpu Zilog", ParseOptions{}, false, 0, 0, 52},
	} {
		m, err := ParseArgs(strings.Fields(tc.line), tc.release, tc.opts)
		if err != nil {
			t.Errorf("%s: %v", tc.line, err)
			continue
		}
		c := m.CPU
		if c.Known != tc.known || c.EAX != tc.eax || c.EDX != tc.edx || c.PhysBits != tc.phys || c.Known == (c.Why != "") {
			t.Errorf("%s: known %v (%s), %08x %08x, %d bits", tc.line, c.Known, c.Why, c.EAX, c.EDX, c.PhysBits)
		}
	}
	for _, edx := range []uint32{0xbfebfbff, 0x0f8bfbff} { // a host's, a plain guest's
		_, err := ParseArgs(strings.Fields(td+"-cpu host"), testRelease, ParseOptions{CPUID: &CPUID{0x000806f8, edx}})
		if err == nil || !strings.Contains(err.Error(), "which no TD has") || !errors.Is(err, ErrUsage) {
			t.Errorf("EDX %#x in a TD: %v", edx, err)
		}
	}
	if _, err := ParseArgs(strings.Fields(td+"-cpu host"), testRelease, ParseOptions{HostCPU: "skylake"}); err == nil || !strings.Contains(err.Error(), "emerald-rapids") {
		t.Errorf("an unknown host: %v", err)
	}
	for line, no1G := range map[string]bool{tcg + "-cpu max": false, tcg + "-cpu max,pdpe1gb=off": true, tcg + "-cpu qemu64": true, tcg + "-cpu qemu64,+pdpe1gb": false, td + "-cpu host": false} {
		if m := parseLine(t, testRelease, line); m.CPU.NoHugePages1G != no1G {
			t.Errorf("%s: no 1 GiB pages %v", line, m.CPU.NoHugePages1G)
		}
	}
}

// TestVendor: RAM above 4 GiB lies elsewhere on AMD's processors, and firmware believes few address bits of others.
func TestVendor(t *testing.T) {
	const tcg = "-M q35 -accel tcg -m 1020G "
	for _, tc := range []struct {
		line             string
		vendor, extended string
		high             uint64
	}{
		{tcg + "-cpu EPYC-Milan-v4,phys-bits=48", "AuthenticAMD", "AuthenticAMD", 1 << 40},
		{tcg + "-cpu EPYC-Turin-v2,phys-bits=48", "AuthenticAMD", "AuthenticAMD", 1 << 40},
		{tcg + "-cpu Skylake-Server-v6,phys-bits=48", "GenuineIntel", "", 4 << 30},
		{tcg + "-cpu Skylake-Server,phys-bits=48 -M pc-q35-10.0", "GenuineIntel", "GenuineIntel", 4 << 30},
		{tcg + "-cpu Dhyana,phys-bits=48 -M pc-q35-10.0", "HygonGenuine", "HygonGenuine", 4 << 30},
		{tcg + "-cpu YongFeng,phys-bits=48", "CentaurHauls", "CentaurHauls", 4 << 30},
		{tcg + "-cpu EPYC,phys-bits=48,vendor=GenuineIntel", "GenuineIntel", "", 4 << 30},
		{tcg + "-cpu Skylake-Server,phys-bits=48,vendor=AuthenticAMD", "AuthenticAMD", "AuthenticAMD", 1 << 40},
		{"-M q35,confidential-guest-support=t -object tdx-guest,id=t -m 1020G -cpu host", "GenuineIntel", "", 4 << 30},
	} {
		m := parseLine(t, "11.1.3", tc.line)
		if m.CPU.Vendor != tc.vendor || m.ExtendedVendor() != tc.extended || m.HighRAMBase() != tc.high {
			t.Errorf("%s: vendor %q, %q; RAM goes on at %#x", tc.line, m.CPU.Vendor, m.ExtendedVendor(), m.HighRAMBase())
		}
	}
}
