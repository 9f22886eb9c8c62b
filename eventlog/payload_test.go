package eventlog_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/eventlog"
	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/bin"
)

// plainBoot returns the log of a direct boot of the newest firmware, whose event data the builders must reproduce.
func plainBoot(t testing.TB) *eventlog.Log {
	t.Helper()
	cases, _ := fixtures.Cases(t, fixtures.Dir()+"/emulated/ovmf-2026.08.tar.zst")
	for name, files := range cases {
		if strings.HasSuffix(name, "2G-1cpu") && !strings.Contains(name, "qemu-") {
			return parse(t, files["ccel_log.bin"])
		}
	}
	t.Fatal("no boot called 2G-1cpu")
	return nil
}

// TestBuilders makes the data of each kind of event that edk2 and the Linux stub log, and finds it in a boot's log.
func TestBuilders(t *testing.T) {
	log := plainBoot(t)
	kernel := efi.DevicePath{efi.VendorMedia(efi.MustGUID("1428f772-b64a-441e-b8c3-9ebdd7f893c7")), efi.FilePath("kernel")}
	for _, tc := range []struct {
		name string
		typ  eventlog.Type
		data []byte
	}{
		{"TD HOB", eventlog.EVEFIHandoffTables2, eventlog.AppendHandoffTables2(nil, "TdxTable", eventlog.TDHOBTable, 0x809000)},
		{"CFV", eventlog.EVEFIPlatformFirmwareBlob2, eventlog.AppendFirmwareBlob2(nil, "Fv(XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX)", 0xffc00000, 0x84000)},
		{"boot menu", eventlog.EVPlatformConfigFlags, eventlog.AppendFwCfgFlags(nil, "BootMenu")},
		{"boot order", eventlog.EVPlatformConfigFlags, eventlog.AppendFwCfgFlags(nil, "bootorder")},
		{"ACPI", eventlog.EVPlatformConfigFlags, []byte(eventlog.ACPIData)},
		{"SMBIOS", eventlog.EVEFIHandoffTables, eventlog.AppendHandoffTables(nil, eventlog.SMBIOSTable, 0x7fcf9000)},
		{"kernel", eventlog.EVEFIBootServicesApplication, eventlog.AppendImageLoad(nil, 0x7c5dc018, 0xb2a7c0, 0, kernel.Append(nil))},
		{"command line", eventlog.EVEventTag, eventlog.AppendLinuxTag(nil, eventlog.TagLoadOptions)},
		{"initrd", eventlog.EVEventTag, eventlog.AppendLinuxTag(nil, eventlog.TagInitrd)},
		{"any tag", eventlog.EVEventTag, eventlog.AppendTaggedEvent(nil, 0x8f3b22ec, []byte("Linux initrd\x00"))},
		{"separator", eventlog.EVSeparator, eventlog.Separator{}.Append(nil)},
		{"action", eventlog.EVEFIAction, eventlog.Action{Text: "Exit Boot Services Invocation"}.Append(nil)},
		{"variable", eventlog.EVEFIVariableDriverConfig, eventlog.Variable{VariableData: efi.VariableData{GUID: efi.ImageSecurityDatabase, Name: "db"}}.Append(nil)},
	} {
		found := false
		for _, e := range log.Events {
			found = found || e.Type == tc.typ && bytes.Equal(e.Data, tc.data)
		}
		if !found {
			t.Errorf("%s: no %v with data %x in the log", tc.name, tc.typ, tc.data)
		}
	}
}

func TestDecode(t *testing.T) {
	utf16 := func(s string) []byte { return efi.AppendUTF16Z(nil, s) }
	variable := func(g efi.GUID, name string, data []byte) []byte {
		return efi.VariableData{GUID: g, Name: name, Data: data}.Append(nil)
	}
	option := efi.LoadOption{Attributes: 0x109, Description: "UiApp", Paths: []efi.DevicePath{{efi.FilePath(`\x.efi`)}}, Optional: []byte{1}}
	vendor := efi.MustGUID("605dab50-e046-4300-abb6-3dd810dd8b23")
	for _, tc := range []struct {
		name      string
		typ       eventlog.Type
		data      []byte
		key, text string
	}{
		{"separator", eventlog.EVSeparator, []byte{0xff, 0xff, 0xff, 0xff}, "separator", "separator ffffffff"},
		{"action", eventlog.EVEFIAction, []byte("Calling"), "Calling", "Calling"},
		{"old action", eventlog.EVAction, []byte("UEFI Debug Mode"), "UEFI Debug Mode", "UEFI Debug Mode"},
		{"no action", eventlog.EVNoAction, []byte("StartupLocality\x00\x03"), "StartupLocality", "StartupLocality 03"},
		{"short no action", eventlog.EVNoAction, []byte{1, 2}, "", "0102"},
		{"tag", eventlog.EVEventTag, []byte("\xed\x22\x3b\x8f\x02\x00\x00\x00\x01\x02"), "LOADED_IMAGE::LoadOptions", "tag 0x8f3b22ed: 0102"},
		{"unknown tag", eventlog.EVEventTag, []byte("\x01\x00\x00\x00\x00\x00\x00\x00"), "tag 0x00000001", "tag 0x00000001: (empty)"},
		{"tag without its header", eventlog.EVEventTag, []byte("LOADED_IMAGE::LoadOptions\x00"), "LOADED_IMAGE::LoadOptions", "LOADED_IMAGE::LoadOptions"},
		{"ACPI", eventlog.EVPlatformConfigFlags, []byte("ACPI DATA"), "ACPI DATA", "ACPI DATA"},
		{"fw_cfg", eventlog.EVPlatformConfigFlags, eventlog.AppendFwCfgFlags(nil, "opt/x"), "opt/x", "fw_cfg opt/x"},
		{"fw_cfg without a name", eventlog.EVPlatformConfigFlags, eventlog.AppendFwCfgFlags(nil, ""), "QEMU FW CFG", "QEMU FW CFG"},
		{"td-shim table", eventlog.EVPlatformConfigFlags, append([]byte("td_hob\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 1, 0, 0, 0, 0xaa), "td_hob", "td_hob aa"},
		{"flags", eventlog.EVPlatformConfigFlags, []byte{0, 1}, "", "0001"},
		{"IPL", eventlog.EVIPL, []byte("grub_cmd: set x\x00"), "grub_cmd: set x", "grub_cmd: set x"},
		{"IPL with a stray byte", eventlog.EVIPL, []byte("set x\x00\x9f"), "set x", "set x"},
		{"IPL in UTF-16", eventlog.EVIPL, utf16(".linux"), ".linux", ".linux"},
		{"IPL with a line break", eventlog.EVIPL, []byte("a\nb\x00"), `"a\nb"`, `"a\nb"`},
		{"IPL that moves the cursor", eventlog.EVIPL, []byte("a\x1b[2Jb\x00"), "", "611b5b324a6200"},
		{"post code", eventlog.EVPostCode, []byte("ACPI DATA"), "ACPI DATA", "ACPI DATA"},
		{"unknown type", 0x08000001, []byte{1}, "", "01"},
		{"long data", 0x08000001, make([]byte, 33), "", strings.Repeat("0", 64) + "… (33 bytes)"},
		{"absent variable", eventlog.EVEFIVariableDriverConfig, variable(efi.GlobalVariable, "PK", nil), "PK", "PK = (absent)"},
		{"boot order", eventlog.EVEFIVariableBoot, variable(efi.GlobalVariable, "BootOrder", []byte{1, 0, 0, 0x10}), "BootOrder", "BootOrder = 0001,1000"},
		{"boot option", eventlog.EVEFIVariableBoot, variable(efi.GlobalVariable, "Boot000A", option.Append(nil)), "Boot000A", `Boot000A = "UiApp" attributes 0x109 \x.efi data 01`},
		{"no boot option", eventlog.EVEFIVariableBoot, variable(efi.GlobalVariable, "Boot000A", []byte{1}), "Boot000A", "Boot000A = 01"},
		{"vendor's variable", eventlog.EVEFIVariableAuthority, variable(vendor, "SbatLevel", []byte("sbat,1")), "SbatLevel-605dab50-e046-4300-abb6-3dd810dd8b23", "SbatLevel-605dab50-e046-4300-abb6-3dd810dd8b23 = sbat,1"},
		{"variable that moves the cursor", eventlog.EVEFIVariableAuthority, variable(efi.GlobalVariable, "\x1b[2J", []byte{2}), `"\x1b[2J"`, `"\x1b[2J" = 02`},
		{"image without a path", eventlog.EVEFIBootServicesDriver, eventlog.AppendImageLoad(nil, 0x10, 3, 0, nil), "", "(no path), 3 bytes at 0x10"},
		{"image with a broken path", eventlog.EVEFIRuntimeServicesDriver, eventlog.AppendImageLoad(nil, 0x10, 3, 0, []byte{4}), "04", "04, 3 bytes at 0x10"},
		{"blob", eventlog.EVEFIPlatformFirmwareBlob, eventlog.Blob{Base: 16, Length: 2}.Append(nil), "", "2 bytes at 0x10"},
		{"blob 2", eventlog.EVEFIPlatformFirmwareBlob2, eventlog.AppendFirmwareBlob2(nil, "Fv", 16, 2), "Fv", "Fv, 2 bytes at 0x10"},
		{"table", eventlog.EVEFIHandoffTables, eventlog.AppendHandoffTables(nil, eventlog.SMBIOS3Table, 16), "SMBIOS 3", "SMBIOS 3 at 0x10"},
		{"unknown table", eventlog.EVEFIHandoffTables, eventlog.AppendHandoffTables(nil, vendor, 16), vendor.String(), vendor.String() + " at 0x10"},
		{"tables 2", eventlog.EVEFIHandoffTables2, eventlog.AppendHandoffTables2(nil, "TdxTable", eventlog.TDHOBTable, 16), "TD HOB", "TdxTable: TD HOB at 0x10"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := eventlog.Event{Type: tc.typ, Data: tc.data}
			p, err := eventlog.Decode(e)
			if err != nil {
				t.Fatal(err)
			}
			if p.Key() != tc.key || p.String() != tc.text {
				t.Errorf("got key %q, text %q, want %q, %q", p.Key(), p, tc.key, tc.text)
			}
			if got := eventlog.Describe(e); got != tc.text {
				t.Errorf("described as %q, want %q", got, tc.text)
			}
			if got := p.Append(nil); !bytes.Equal(got, tc.data) {
				t.Errorf("written back as %x, want %x", got, tc.data)
			}
		})
	}
}

// gpt returns the data of a partition table event of a real machine.
func gpt(t testing.TB) []byte {
	t.Helper()
	for _, e := range parse(t, load(t, "gcp-cos113")).Events {
		if e.Type == eventlog.EVEFIGPTEvent {
			return bytes.Clone(e.Data)
		}
	}
	t.Fatal("no partition table")
	return nil
}

func TestDecodeGPT(t *testing.T) {
	p, err := eventlog.Decode(eventlog.Event{Type: eventlog.EVEFIGPTEvent, Data: gpt(t)})
	if err != nil {
		t.Fatal(err)
	}
	g := p.(eventlog.GPT)
	if len(g.Partitions) != 12 || g.Partitions[0].Name != "STATE" || g.Partitions[0].FirstLBA == 0 {
		t.Errorf("got %d partitions, the first %+v, want 12 and STATE", len(g.Partitions), g.Partitions[0])
	}
	if !strings.HasPrefix(g.String(), "partition table of disk "+g.DiskGUID().String()+`: 12 partitions "STATE"`) {
		t.Errorf("got %s", g)
	}
}

func TestDecodeRejects(t *testing.T) {
	const off = 1000
	data := off + int64(66) // of the event data of a record with one digest
	change := func(b []byte, at int, v byte) []byte { b = bytes.Clone(b); b[at] = v; return b }
	table := gpt(t)
	image := eventlog.AppendImageLoad(nil, 0, 0, 0, []byte{1})
	blob := eventlog.AppendFirmwareBlob2(nil, "Fv", 0, 0)
	tables := eventlog.AppendHandoffTables2(nil, "T", eventlog.TDHOBTable, 0)
	for _, tc := range []struct {
		name string
		typ  eventlog.Type
		data []byte
		want error
		off  int64
	}{
		{"short separator", eventlog.EVSeparator, make([]byte, 3), bin.ErrMalformed, 0},
		{"long separator", eventlog.EVSeparator, make([]byte, 5), bin.ErrMalformed, 0},
		{"empty action", eventlog.EVEFIAction, nil, bin.ErrMalformed, 0},
		{"action with a terminator", eventlog.EVEFIAction, []byte("x\x00"), bin.ErrMalformed, 0},
		{"action outside ASCII", eventlog.EVAction, []byte("é"), bin.ErrMalformed, 0},
		{"tag whose size is wrong", eventlog.EVEventTag, []byte{1, 0, 0, 0, 2, 0, 0, 0, 9}, bin.ErrMalformed, 4},
		{"short tag", eventlog.EVEventTag, []byte{1, 0, 0, 0}, bin.ErrMalformed, 4},
		{"short variable", eventlog.EVEFIVariableBoot, make([]byte, 31), bin.ErrTruncated, 24},
		{"variable with trailing data", eventlog.EVEFIVariableBoot, make([]byte, 33), bin.ErrMalformed, 32},
		{"short image", eventlog.EVEFIBootServicesApplication, image[:31], bin.ErrTruncated, 24},
		{"image's path cut", eventlog.EVEFIBootServicesApplication, image[:32], bin.ErrMalformed, 24},
		{"image with trailing data", eventlog.EVEFIBootServicesApplication, append(bytes.Clone(image), 0), bin.ErrMalformed, 24},
		{"short blob", eventlog.EVEFIPlatformFirmwareBlob, make([]byte, 15), bin.ErrTruncated, 8},
		{"long blob", eventlog.EVEFIPlatformFirmwareBlob, make([]byte, 17), bin.ErrMalformed, 16},
		{"blob's description beyond its end", eventlog.EVEFIPlatformFirmwareBlob2, change(blob, 0, 255), bin.ErrTruncated, 1},
		{"blob's description too short", eventlog.EVEFIPlatformFirmwareBlob2, change(blob, 0, 2), bin.ErrMalformed, 19},
		{"empty tables", eventlog.EVEFIHandoffTables, nil, bin.ErrTruncated, 0},
		{"number of tables", eventlog.EVEFIHandoffTables2, change(tables, 3, 2), bin.ErrMalformed, 3},
		{"number of tables is huge", eventlog.EVEFIHandoffTables2, change(tables, 10, 255), bin.ErrMalformed, 3},
		{"tables with trailing data", eventlog.EVEFIHandoffTables2, append(bytes.Clone(tables), 0), bin.ErrMalformed, 3},
		{"short partition table", eventlog.EVEFIGPTEvent, table[:99], bin.ErrTruncated, 92},
		{"partition table's signature", eventlog.EVEFIGPTEvent, change(table, 0, 'e'), bin.ErrMalformed, 0},
		{"size of an entry", eventlog.EVEFIGPTEvent, change(table, 84, 127), bin.ErrMalformed, 84},
		{"size of an entry is huge", eventlog.EVEFIGPTEvent, change(table, 87, 255), bin.ErrMalformed, 84},
		{"number of partitions", eventlog.EVEFIGPTEvent, change(table, 92, 11), bin.ErrMalformed, 92},
		{"number of partitions is huge", eventlog.EVEFIGPTEvent, change(table, 99, 255), bin.ErrMalformed, 92},
		{"partition cut", eventlog.EVEFIGPTEvent, table[:len(table)-1], bin.ErrMalformed, 92},
		{"partition's name", eventlog.EVEFIGPTEvent, change(table, 100+57, 0xd8), bin.ErrMalformed, 100 + 56},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := eventlog.Event{Type: tc.typ, Data: tc.data, Off: off}
			p, err := eventlog.Decode(e)
			var fe *bin.FormatError
			if !errors.As(err, &fe) || !errors.Is(err, tc.want) {
				t.Fatalf("got %v, %v, want %v", p, err, tc.want)
			}
			if fe.Off != data+tc.off {
				t.Errorf("got offset %d (%v), want %d", fe.Off-data, err, tc.off)
			}
			if _, ok := eventlog.Recompute(e); ok {
				t.Errorf("a digest follows from data that contradicts its type")
			}
			if got, want := eventlog.Describe(e), hex.EncodeToString(tc.data[:min(32, len(tc.data))]); !strings.HasPrefix(got, want) {
				t.Errorf("described as %q, want it to begin with %q", got, want)
			}
		})
	}
}

func TestRecompute(t *testing.T) {
	variable := efi.VariableData{GUID: efi.GlobalVariable, Name: "Boot0000", Data: []byte("value")}.Append(nil)
	for _, tc := range []struct {
		name string
		typ  eventlog.Type
		data []byte
		want string // what is hashed; "-" where the data does not say
	}{
		{"separator", eventlog.EVSeparator, make([]byte, 4), "\x00\x00\x00\x00"},
		{"separator of ones", eventlog.EVSeparator, bytes.Repeat([]byte{0xff}, 4), "\xff\xff\xff\xff"},
		{"separator of three bytes", eventlog.EVSeparator, make([]byte, 3), "-"},
		{"separator after an error", eventlog.EVSeparator, []byte{1, 0, 0, 0}, "-"},
		{"action", eventlog.EVEFIAction, []byte("x"), "x"},
		{"boot variable", eventlog.EVEFIVariableBoot, variable, "value"},
		{"other variable", eventlog.EVEFIVariableDriverConfig, variable, string(variable)},
		{"authority", eventlog.EVEFIVariableAuthority, variable, string(variable)},
		{"GRUB's command", eventlog.EVIPL, []byte("grub_cmd: set x\x00"), "set x"},
		{"kernel's command line", eventlog.EVIPL, []byte("kernel_cmdline: a\x00"), "a"},
		{"file of GRUB", eventlog.EVIPL, []byte("/grub.cfg\x00"), "-"},
		{"GRUB's command as another type", eventlog.EVPostCode, []byte("grub_cmd: set x\x00"), "-"},
		{"tag", eventlog.EVEventTag, eventlog.AppendLinuxTag(nil, eventlog.TagInitrd), "-"},
		{"event of the attestation agent", eventlog.EVEventTag, []byte("LEAA\x01\x00\x00\x00x"), "LEAA\x01\x00\x00\x00x"},
		{"ACPI", eventlog.EVPlatformConfigFlags, []byte("ACPI DATA"), "-"},
		{"fw_cfg", eventlog.EVPlatformConfigFlags, eventlog.AppendFwCfgFlags(nil, "bootorder"), "-"},
		{"no action", eventlog.EVNoAction, make([]byte, 20), "-"},
		{"unknown type", 0x08000001, []byte("x"), "-"},
	} {
		got, ok := eventlog.Recompute(eventlog.Event{Type: tc.typ, Data: tc.data})
		if ok != (tc.want != "-") {
			t.Errorf("%s: digest follows: got %v", tc.name, ok)
		}
		if want := sha512.Sum384([]byte(tc.want)); ok && got != want {
			t.Errorf("%s: got %x, want %x", tc.name, got, want)
		}
	}
}

// TestRecomputeSeesAlteration changes one byte of data that decides its digest.
func TestRecomputeSeesAlteration(t *testing.T) {
	changed := 0
	for i, e := range parse(t, load(t, "gcp-cos113")).Events {
		if _, ok := eventlog.Recompute(e); !ok || e.Type == eventlog.EVSeparator {
			continue
		}
		e.Data = bytes.Clone(e.Data)
		e.Data[len(e.Data)-2] ^= 1
		if d, ok := eventlog.Recompute(e); ok && d == e.Digest {
			t.Errorf("event %d, %v: the changed data leads to the same digest", i, e.Type)
		}
		changed++
	}
	if changed < 20 {
		t.Errorf("changed %d events, want at least 20", changed)
	}
}
