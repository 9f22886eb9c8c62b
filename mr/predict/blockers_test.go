package predict

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/mr"
	"github.com/tdxkit/tdxkit/ovmf"
	"github.com/tdxkit/tdxkit/ovmf/pcibus"
	"github.com/tdxkit/tdxkit/qemu"
)

// TestFwCfgSwitches has items by which firmware changes what it measures, items that it reads without that, and items
// of which it knows nothing.
func TestFwCfgSwitches(t *testing.T) {
	for name, blocked := range map[string]bool{
		"opt/org.tianocore/FirmwareSetupSupport":        true, // takes Boot0001 away
		"opt/org.tianocore/PagingLevel":                 true,
		"opt/org.tianocode/PagingLevel":                 true, // as 202502 spells it
		"opt/org.tianocore/EnableLegacyLoader":          true,
		"opt/org.tianocore/X-Cpuhp-Bugcheck-Override":   true,
		"opt/ovmf/MemDebugLogPages":                     true,
		"opt/ovmf/Later":                                true,
		"etc/hardware-info":                             true,
		"etc/fdt":                                       true,
		"opt/org.tianocore/EFIShellSupport":             false,
		"opt/ovmf/X-PciMmio64Mb":                        false,
		"opt/com.coreos/config":                         false,
		"opt/io.systemd.credentials/vmm.notify_socket1": false,
	} {
		p := &platform{machine: &qemu.Machine{FwCfg: []qemu.FwCfgItem{{Name: "opt/a", Data: []byte("b")}, {Name: name, Data: []byte("no")}}}}
		why, err := fwCfgSwitches(p)
		if err != nil || (why != "") != blocked || blocked && !strings.Contains(why, name) {
			t.Errorf("%s: %q, %v; want blocked: %v", name, why, err, blocked)
		}
	}
}

// TestStoredVariables gives the firmware boot options of an earlier boot: RTMR0 would hold them.
func TestStoredVariables(t *testing.T) {
	for _, tc := range []struct {
		name    string
		state   ovmf.VariableState
		blocked bool
	}{
		{"BootOrder", ovmf.VariableAdded, true},
		{"Boot0003", ovmf.VariableInTransition, true},
		{"Boot0003", 0x3c, false},         // deleted
		{"dbt", ovmf.VariableAdded, true}, // a name of Secure Boot's under another vendor
	} {
		img := plainImage(t, "ovmf-2026.08")
		var err error
		if img.Firmware, err = NewFirmware(withVariable(t, tc.name, tc.state)); err != nil {
			t.Fatal(err)
		}
		r, err := Measure(img, parse(t, "10.2.2", plainArgs()), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, reg := range allRTMRs {
			if why := r.Unknown[reg]; strings.Contains(why, "holds "+tc.name) != tc.blocked {
				t.Errorf("%s, state %s: %s is unknown because %q; want blocked: %v", tc.name, tc.state, reg, why, tc.blocked)
			}
		}
		if _, ok := r.Values[mr.MRTD]; !ok {
			t.Error("MRTD is unknown")
		}
	}
}

// TestFiveLevelPaging refuses the 64-bit window of firmware that was built for five levels in guests where it may use them.
func TestFiveLevelPaging(t *testing.T) {
	now, old, open := interval{202502, 0}, interval{202405, 202411}, interval{202405, 0}
	for _, tc := range []struct {
		five      Answer
		between   interval
		memoryEnd uint64
		override  string
		want      bool
	}{
		{No, old, 2 << 40, "", false},
		{Yes, now, 64 << 30, "", false},
		{Yes, now, 1 << 40, "", true},
		{Yes, now, 1<<40 - 16<<30, "", true}, // the window behind RAM ends above 1 TiB
		{Yes, now, 64 << 30, "16777216", true},
		{Yes, old, 64 << 30, "", true},
		{Yes, open, 64 << 30, "", true},
		{Unknown, now, 2 << 40, "", true},
	} {
		p := &platform{profile: &Profile{FiveLevel: tc.five, between: tc.between}}
		g := pcibus.Guest{PhysBits: 52, MemoryEnd: tc.memoryEnd, Override: []byte(tc.override)}
		if got := p.fiveLevelPaging(g); got != tc.want {
			t.Errorf("%+v: %v, want %v", tc, got, tc.want)
		}
	}
}

// withVariable returns firmware whose empty variable store has one variable of the global vendor.
func withVariable(t *testing.T, name string, state ovmf.VariableState) []byte {
	t.Helper()
	return withVariables(t, "ovmf-2026.08", ovmf.Variable{GUID: efi.GlobalVariable, Name: name, State: state, Data: []byte{3, 0}})
}

// withVariables returns firmware whose empty variable store has the variables.
func withVariables(t *testing.T, firmware string, variables ...ovmf.Variable) []byte {
	t.Helper()
	data := slices.Clone(fixtures.Firmware(t, firmware))
	img, err := ovmf.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	store, err := img.Store()
	if err != nil {
		t.Fatal(err)
	}
	if len(store.Variables) != 0 || !store.Authenticated {
		t.Fatal("the fixture's store is not empty, or not authenticated")
	}
	var rec []byte
	for _, v := range variables {
		text := efi.AppendUTF16(nil, v.Name+"\x00")
		rec = append(rec, 0xaa, 0x55, byte(v.State), 0, 7, 0, 0, 0)
		rec = append(rec, make([]byte, 8+16+4)...)
		rec = binary.LittleEndian.AppendUint32(rec, uint32(len(text)))
		rec = binary.LittleEndian.AppendUint32(rec, uint32(len(v.Data)))
		rec = append(rec, v.GUID[:]...)
		rec = append(append(rec, text...), v.Data...)
		for len(rec)%4 != 0 {
			rec = append(rec, 0xff)
		}
	}
	copy(data[store.Off+28:], rec)
	return data
}

// TestOtherModules refuses firmware in which a module that is not edk2's may measure, unless the firmware measures nothing.
func TestOtherModules(t *testing.T) {
	for _, tc := range []struct {
		measures Answer
		other    string
		blocked  bool
	}{{Yes, "Agent", true}, {Yes, "", false}, {No, "Agent", false}} {
		p := &platform{profile: &Profile{Measures: tc.measures, Other: tc.other}}
		if why, err := otherModules(p); err != nil || (why != "") != tc.blocked || tc.blocked && !strings.Contains(why, tc.other) {
			t.Errorf("%+v: %q, %v", tc, why, err)
		}
	}
}
