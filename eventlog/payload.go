package eventlog

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/internal/bin"
)

// A Payload is the event data of one record, decoded.
type Payload interface {
	// Key says what the event is about in the same words in every log: a variable's name, a fw_cfg item's, an
	// action's text. It is empty where only the event's type says it.
	Key() string
	// String returns the payload on one line, for people. Nothing in it can move a terminal's cursor.
	String() string
	// Append appends the event data to b. What Decode returned appends the bytes that it was given.
	Append(b []byte) []byte
}

// Decode returns what the event's data says, by the event's type. Data of a type without a structure is Text where it
// reads as text and Raw where it does not. Data that contradicts the structure of its type is an error with offsets
// from the start of the log. What it returns aliases e.Data.
//
// TCG PFP 1.06, 10.2 and 10.4.
func Decode(e Event) (Payload, error) {
	switch e.Type {
	case EVSeparator:
		return parseSeparator(e)
	case EVNoAction:
		return parseNoAction(e), nil
	case EVAction, EVEFIAction:
		return parseAction(e)
	case EVEventTag:
		return parseTag(e)
	case EVPlatformConfigFlags:
		return parseConfigFlags(e), nil
	case EVEFIVariableDriverConfig, EVEFIVariableBoot, EVEFIVariableAuthority:
		return parseVariable(e)
	case EVEFIBootServicesApplication, EVEFIBootServicesDriver, EVEFIRuntimeServicesDriver:
		return parseImageLoad(e)
	case EVEFIGPTEvent:
		return parseGPT(e)
	case EVEFIPlatformFirmwareBlob:
		return parseBlob(e)
	case EVEFIPlatformFirmwareBlob2:
		return parseBlob2(e)
	case EVEFIHandoffTables:
		return parseHandoffTables(e)
	case EVEFIHandoffTables2:
		return parseHandoffTables2(e)
	}
	return parseFree(e.Data), nil
}

// Describe returns the event's data on one line: decoded, or in hexadecimal where it contradicts its type.
func Describe(e Event) string {
	p, err := Decode(e)
	if err != nil {
		return Raw{e.Data}.String()
	}
	return p.String()
}

// parseFree reads data that has no structure: text or bytes.
func parseFree(data []byte) Payload {
	if t, ok := parseText(data); ok {
		return t
	}
	return Raw{data}
}

// Raw is event data that is not decoded.
type Raw struct{ Data []byte }

// Key returns the empty string.
func (r Raw) Key() string { return "" }

// String returns the data in hexadecimal, the first 32 bytes of it.
func (r Raw) String() string { return hexText(r.Data) }

// Append appends the data to b.
func (r Raw) Append(b []byte) []byte { return append(b, r.Data...) }

// Text is event data that reads as text: ASCII or little-endian UTF-16, up to its end or to a terminator. GRUB of some
// vendors logs stray bytes after the terminator; they are kept in Data and are no part of the text.
type Text struct {
	Data []byte
	text string
}

// parseText decodes data as text and reports whether it is.
func parseText(data []byte) (Text, bool) {
	if len(data) >= 4 && len(data)%2 == 0 && data[0] != 0 && data[1] == 0 && data[2] != 0 && data[3] == 0 {
		end := len(data)
		for i := 0; i < len(data); i += 2 {
			if data[i] == 0 && data[i+1] == 0 {
				end = i
				break
			}
		}
		s, err := efi.DecodeUTF16(data[:end], 0)
		return Text{data, s}, err == nil && isText(s)
	}
	s, _, _ := strings.Cut(string(data), "\x00")
	return Text{data, s}, s != "" && isText(s) && isASCII(s)
}

func isText(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) && r != '\n' && r != '\t' {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// Text returns the text without its terminator.
func (t Text) Text() string { return t.text }

// Key returns the text.
func (t Text) Key() string { return clean(t.text) }

// String returns the text, quoted where it has line breaks or tabs.
func (t Text) String() string { return clean(t.text) }

// Append appends the data to b.
func (t Text) Append(b []byte) []byte { return append(b, t.Data...) }

// An Action is the text of an EV_ACTION or EV_EFI_ACTION, "Exit Boot Services Invocation".
type Action struct{ Text string }

func parseAction(e Event) (Payload, error) {
	if s := string(e.Data); s != "" && isText(s) && isASCII(s) {
		return Action{s}, nil
	}
	return nil, malformed(e, "action", 0, "%s is not printable ASCII", hexText(e.Data))
}

// Key returns the text.
func (a Action) Key() string { return clean(a.Text) }

// String returns the text.
func (a Action) String() string { return clean(a.Text) }

// Append appends the text to b.
func (a Action) Append(b []byte) []byte { return append(b, a.Text...) }

// A Separator is the value of an EV_SEPARATOR: 0 or 0xffffffff between two phases of the boot, 1 after an error.
// TCG PFP 1.06, 10.4.1.
type Separator struct{ Value uint32 }

func parseSeparator(e Event) (Payload, error) {
	if len(e.Data) != 4 {
		return nil, malformed(e, "separator", 0, "has %d bytes, want 4", len(e.Data))
	}
	return Separator{binary.LittleEndian.Uint32(e.Data)}, nil
}

// Key returns "separator".
func (s Separator) Key() string { return "separator" }

// String returns the value, "separator 00000000".
func (s Separator) String() string { return fmt.Sprintf("separator %08x", s.Value) }

// Append appends the value to b.
func (s Separator) Append(b []byte) []byte { return binary.LittleEndian.AppendUint32(b, s.Value) }

// A NoAction is the data of an EV_NO_ACTION: a signature of 16 bytes that names its structure, and the structure.
type NoAction struct {
	Signature string // 16 bytes
	Data      []byte
}

func parseNoAction(e Event) Payload {
	if len(e.Data) < 16 {
		return Raw{e.Data}
	}
	return NoAction{string(e.Data[:16]), e.Data[16:]}
}

// Key returns the signature without its padding.
func (n NoAction) Key() string { return clean(strings.TrimRight(n.Signature, "\x00")) }

// String returns the signature and the structure in hexadecimal.
func (n NoAction) String() string { return n.Key() + " " + hexText(n.Data) }

// Append appends the event data to b.
func (n NoAction) Append(b []byte) []byte { return append(append(b, n.Signature...), n.Data...) }

// Tags of EV_EVENT_TAG.
const (
	TagLoadOptions uint32 = 0x8f3b22ed // the kernel's command line. Linux, libstub/efistub.h, LOAD_OPTIONS_EVENT_TAG_ID
	TagInitrd      uint32 = 0x8f3b22ec // the initrd. Linux, libstub/efistub.h, INITRD_EVENT_TAG_ID
	TagAAEL        uint32 = 0x4141454c // an event of Confidential Containers' attestation agent, "AAEL"
)

// tagNames holds what Linux writes beside its tags, without the terminator.
var tagNames = map[uint32]string{
	TagLoadOptions: "LOADED_IMAGE::LoadOptions",
	TagInitrd:      "Linux initrd",
	TagAAEL:        "AAEL",
}

// A Tag is a TCG_PCClientTaggedEvent: le32 ID, le32 size, data. TCG PFP 1.06, 10.4.2.1.
type Tag struct {
	ID   uint32
	Data []byte
}

// parseTag reads a tagged event. Early Linux stubs for TDX logged the bare description, which is Text.
func parseTag(e Event) (Payload, error) {
	if len(e.Data) >= 8 {
		t := Tag{binary.LittleEndian.Uint32(e.Data), e.Data[8:]}
		if size := binary.LittleEndian.Uint32(e.Data[4:]); int64(size) == int64(len(t.Data)) {
			return t, nil
		}
	}
	if t, ok := parseText(e.Data); ok {
		return t, nil
	}
	return nil, malformed(e, "taggedEventDataSize", 4, "does not match the %d bytes of the event", len(e.Data))
}

// AppendTaggedEvent appends the data of an EV_EVENT_TAG to b.
func AppendTaggedEvent(b []byte, id uint32, data []byte) []byte { return Tag{id, data}.Append(b) }

// AppendLinuxTag appends what the Linux EFI stub logs with TagLoadOptions or TagInitrd: the tag and its description
// with a terminator. Linux 6.12, drivers/firmware/efi/libstub/efi-stub-helper.c:efi_measure_tagged_event.
func AppendLinuxTag(b []byte, id uint32) []byte {
	return AppendTaggedEvent(b, id, []byte(tagNames[id]+"\x00"))
}

// Key returns the name of the tag, or its number in hexadecimal.
func (t Tag) Key() string {
	if n, ok := tagNames[t.ID]; ok {
		return n
	}
	return fmt.Sprintf("tag 0x%08x", t.ID)
}

// String returns the tag and its data.
func (t Tag) String() string { return fmt.Sprintf("tag 0x%08x: %s", t.ID, parseFree(t.Data)) }

// Append appends the event data to b.
func (t Tag) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, t.ID)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Data)))
	return append(b, t.Data...)
}

const (
	fwCfgSignature = "QEMU FW CFG\x00"
	fwCfgNameSize  = 56 // bytes, QEMU_FW_CFG_FNAME_SIZE of edk2

	// ACPIData is the event data of the ACPI blobs that edk2 measures, an EV_PLATFORM_CONFIG_FLAGS event.
	// edk2 edk2-stable202502, MdePkg/Include/IndustryStandard/UefiTcgPlatform.h, EV_POSTCODE_INFO_ACPI_DATA.
	ACPIData = "ACPI DATA"
)

// A FwCfgItem names a fw_cfg item that was measured, by the name of its file or, for the boot menu's flag, "BootMenu".
// edk2 edk2-stable202505, OvmfPkg/Library/QemuFwCfgLib/QemuFwCfgCacheInit.c, FW_CFG_EVENT.
type FwCfgItem struct{ Name string } // at most 56 bytes

// A TdShimTable is what td-shim logs of a table: a name in 16 bytes, le32 length and the bytes that are hashed.
// td-shim, td-shim/src/event_log.rs.
type TdShimTable struct {
	Name string // 16 bytes with its padding
	Data []byte
}

// parseConfigFlags reads the shapes of EV_PLATFORM_CONFIG_FLAGS data; the TCG leaves its content to the platform.
func parseConfigFlags(e Event) Payload {
	d := e.Data
	if rest, ok := bytes.CutPrefix(d, []byte(fwCfgSignature)); ok && len(rest) == fwCfgNameSize {
		name := strings.TrimRight(string(rest), "\x00")
		if name != "" && isASCII(name) && isText(name) {
			return FwCfgItem{name}
		}
	}
	if len(d) >= 20 && int64(binary.LittleEndian.Uint32(d[16:])) == int64(len(d)-20) {
		if name := strings.TrimRight(string(d[:16]), "\x00"); name != "" && isASCII(name) && isText(name) {
			return TdShimTable{string(d[:16]), d[20:]}
		}
	}
	return parseFree(d)
}

// AppendFwCfgFlags appends the event data of a measured fw_cfg item to b. Name must be at most 56 bytes, which is
// fw_cfg's own limit; edk2 copies no more.
func AppendFwCfgFlags(b []byte, name string) []byte { return FwCfgItem{name}.Append(b) }

// Key returns the item's name.
func (f FwCfgItem) Key() string { return clean(f.Name) }

// String returns the item's name, "fw_cfg bootorder".
func (f FwCfgItem) String() string { return "fw_cfg " + clean(f.Name) }

// Append appends the event data to b.
func (f FwCfgItem) Append(b []byte) []byte {
	var name [fwCfgNameSize]byte
	copy(name[:], f.Name)
	return append(append(b, fwCfgSignature...), name[:]...)
}

// Key returns the table's name.
func (t TdShimTable) Key() string { return clean(strings.TrimRight(t.Name, "\x00")) }

// String returns the table's name and its bytes in hexadecimal.
func (t TdShimTable) String() string { return t.Key() + " " + hexText(t.Data) }

// Append appends the event data to b.
func (t TdShimTable) Append(b []byte) []byte {
	b = append(b, t.Name...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Data)))
	return append(b, t.Data...)
}

// malformed reports that event data contradicts its type. Off is relative to the event data.
func malformed(e Event, field string, off int64, format string, args ...any) error {
	return &bin.FormatError{Format: e.Type.String(), Off: e.dataOff() + off, Field: field,
		Msg: fmt.Sprintf(format, args...), Err: bin.ErrMalformed}
}

// clean returns s, or s quoted as a Go string where it has characters that do not print.
func clean(s string) string {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

const maxShown = 32 // bytes that hexText shows

// hexText returns b in hexadecimal, cut with its length where it is long.
func hexText(b []byte) string {
	switch {
	case len(b) == 0:
		return "(empty)"
	case len(b) > maxShown:
		return fmt.Sprintf("%s… (%d bytes)", hex.EncodeToString(b[:maxShown]), len(b))
	}
	return hex.EncodeToString(b)
}
