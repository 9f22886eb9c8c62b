package kernel

import (
	"bytes"
	"fmt"
)

// An Answer is yes, no, or that the bytes do not say.
type Answer uint8

// The answers. The zero value is that it is not known.
const (
	Unknown Answer = iota
	No
	Yes
)

// String returns "unknown", "no" or "yes".
func (a Answer) String() string { return [...]string{"unknown", "no", "yes"}[a] }

// StubMeasures says what a kernel's EFI stub measures in a TD without a TPM, where the only way is the firmware's CC
// measurement protocol.
type StubMeasures struct {
	LoadOptions Answer // EV_EVENT_TAG with LOADED_IMAGE::LoadOptions
	Initrd      Answer // EV_EVENT_TAG with Linux initrd
	Evidence    string // what in the kernel's bytes says so
}

// GUIDs as EFI stores them.
var (
	// ccProtocol is EFI_CC_MEASUREMENT_PROTOCOL_GUID, 96751a3d-72f4-41a6-a794-ed5d0e67ae6b. UEFI 2.11, 38.2.
	ccProtocol = [16]byte{0x3d, 0x1a, 0x75, 0x96, 0xf4, 0x72, 0xa6, 0x41, 0xa7, 0x94, 0xed, 0x5d, 0x0e, 0x67, 0xae, 0x6b}
	// tcg2Protocol is EFI_TCG2_PROTOCOL_GUID, 607f766c-7455-42be-930b-e4d76db2720f. TCG EFI Protocol 1.00, 6.
	tcg2Protocol = [16]byte{0x6c, 0x76, 0x7f, 0x60, 0x55, 0x74, 0xbe, 0x42, 0x93, 0x0b, 0xe4, 0xd7, 0x6d, 0xb2, 0x72, 0x0f}
)

// Event data that a measuring stub must carry. Linux v6.12, drivers/firmware/efi/libstub/efi-stub-helper.c, efi_events.
var (
	loadOptionsTag = []byte("LOADED_IMAGE::LoadOptions\x00")
	initrdTag      = []byte("Linux initrd\x00")
)

// StubMeasures reads from the kernel's bytes whether its EFI stub measures load options and initrd through the CC
// measurement protocol, which stubs can from Linux 6.9 on; distributions carry it back. The stub is the part of the
// image around the compressed kernel. It asks for a protocol by GUID, and compilers store the two halves of a GUID as
// separate constants in its code, so the halves are what is looked for. The strings are the tagged events' data.
func (img *Image) StubMeasures() StubMeasures {
	has := func(pattern []byte) bool {
		return bytes.Contains(img.stub[0], pattern) || bytes.Contains(img.stub[1], pattern)
	}
	hasGUID := func(g [16]byte) bool { return has(g[:8]) && has(g[8:]) }
	tags := map[string]bool{"LoadOptions": has(loadOptionsTag), "initrd": has(initrdTag)}

	m := StubMeasures{}
	switch {
	case !tags["LoadOptions"] && !tags["initrd"]:
		m.LoadOptions, m.Initrd = No, No
		m.Evidence = "the stub holds neither of the event strings it would log"
	case hasGUID(ccProtocol):
		m.Evidence = "the stub holds the GUID of the CC measurement protocol"
		for _, t := range []struct {
			name   string
			answer *Answer
		}{{"LoadOptions", &m.LoadOptions}, {"initrd", &m.Initrd}} {
			if tags[t.name] {
				*t.answer = Yes
			} else {
				m.Evidence += fmt.Sprintf(", but not the event string for its %s", t.name)
			}
		}
	case has(ccProtocol[:4]) || has(ccProtocol[4:8]) || has(ccProtocol[8:12]) || has(ccProtocol[12:]):
		m.Evidence = "the stub holds parts of the CC measurement protocol's GUID, but not all of it"
	case hasGUID(tcg2Protocol):
		m.LoadOptions, m.Initrd = No, No
		m.Evidence = "the stub holds the GUID of the TCG2 protocol, but not that of the CC measurement protocol: it measures to a TPM only"
	default:
		m.Evidence = "the stub holds the event strings, but the GUID of no measurement protocol can be found"
	}
	return m
}
