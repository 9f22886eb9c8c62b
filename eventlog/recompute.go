package eventlog

import (
	"crypto/sha512"
	"strings"
)

// grubPrefixes stand before the text that GRUB hashes. GNU GRUB 2.12, grub-core/commands/tpm.c:grub_tpm_verify_string:
// the description carries a prefix that the hashed text does not have.
var grubPrefixes = []string{"grub_cmd: ", "kernel_cmdline: "}

// Recompute returns the SHA-384 digest that the event's data leads to, and whether the data says what was hashed.
// It does for separators, actions, variables (a boot variable is hashed without its name), partition tables, tables
// that td-shim logs, GRUB's commands and the events of the attestation agent. It does not where the log names what was
// hashed (firmware, images, ACPI and SMBIOS, initrd), for types that are never extended, and for data that Decode
// refuses.
//
// A log whose digest differs from a digest returned here has been altered, or comes from other firmware than edk2 or
// td-shim.
func Recompute(e Event) (digest [48]byte, ok bool) {
	p, err := Decode(e)
	if err != nil {
		return digest, false
	}
	hashed, ok := preimage(e, p)
	if !ok {
		return digest, false
	}
	return sha512.Sum384(hashed), true
}

// preimage returns the bytes that were hashed.
//
// Variables: edk2 edk2-stable202502, OvmfPkg/Tcg/TdTcg2Dxe/TdTcg2Dxe.c:MeasureVariable; authorities likewise,
// SecurityPkg/Library/DxeImageVerificationLib/Measurement.c:MeasureVariable. GPT: SecurityPkg/Library/
// DxeTpm2MeasureBootLib/DxeTpm2MeasureBootLib.c:Tcg2MeasureGptTable.
func preimage(e Event, p Payload) ([]byte, bool) {
	switch p := p.(type) {
	case Separator:
		return e.Data, p.Value == 0 || p.Value == 0xffffffff // after an error another text is hashed
	case Action, GPT:
		return e.Data, true
	case Variable:
		if e.Type == EVEFIVariableBoot {
			return p.Data, true
		}
		return e.Data, true
	case TdShimTable:
		return p.Data, true
	case Tag:
		return e.Data, p.ID == TagAAEL
	case Text:
		if e.Type != EVIPL {
			return nil, false
		}
		for _, prefix := range grubPrefixes {
			if s, ok := strings.CutPrefix(p.text, prefix); ok {
				return []byte(s), true
			}
		}
	}
	return nil, false
}
