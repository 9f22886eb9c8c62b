package ovmf

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// A BIOSInformation is the SMBIOS structure of type 0 that the firmware publishes where QEMU gives none.
type BIOSInformation struct {
	Formatted             []byte // the formatted area as the driver carries it: handle 0, string numbers 1 to 3
	Vendor, Version, Date string
}

const (
	type0Size   = 26
	unknownText = "unknown"
	minString   = 3 // characters; SmbiosPlatformDxe takes its own default for a shorter PCD
)

// type0Start is how the driver's structure starts: type 0, its length, handle 0, string numbers, segment 0xe800.
var type0Start = []byte{0x00, type0Size, 0x00, 0x00, 0x01, 0x02, 0x00, 0xe8, 0x03}

// BIOSInformation finds the structure in SmbiosPlatformDxe. The first call decompresses. Its strings are PCDs of the
// build: the driver takes each, or a default where it is too short, and the three choices stand in its code one after
// the other, as references to the PCD and to the default. Code that refers to them in another way is an error that
// wraps bin.ErrUnsupported. Releases before 202302 have the strings behind the structure.
// edk2 edk2-stable202502, OvmfPkg/SmbiosPlatformDxe/SmbiosPlatformDxe.c, InstallAllStructures.
func (img *Image) BIOSInformation() (*BIOSInformation, error) {
	f, err := img.File(moduleSmbiosPlatformDxe)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, smbiosError(0, "file "+moduleSmbiosPlatformDxe.String(), "is in no volume")
	}
	pe := f.Section(SectionPE32)
	at := bytes.Index(pe, type0Start)
	if at < 0 || at+type0Size > len(pe) {
		return nil, smbiosError(0, "structure of type 0", "is not in the executable")
	}
	if bytes.Contains(pe[at+1:], type0Start) {
		return nil, smbiosError(int64(at), "structure of type 0", "is there more than once")
	}
	b := &BIOSInformation{Formatted: pe[at : at+type0Size]}
	if s, ok := narrowStrings(pe[at+type0Size:]); ok {
		b.Vendor, b.Version, b.Date = s[0], s[1], s[2]
		return b, nil
	}
	s, err := chosenStrings(pe)
	if err != nil {
		return nil, err
	}
	b.Vendor, b.Version, b.Date = s[0], s[1], s[2]
	return b, nil
}

// narrowStrings reads three terminated ASCII strings of at least minString characters at the start of b.
func narrowStrings(b []byte) (s [3]string, ok bool) {
	for i := range s {
		n := bytes.IndexByte(b, 0)
		if n < minString || !printable(b[:n]) {
			return s, false
		}
		s[i], b = string(b[:n]), b[n+1:]
	}
	return s, true
}

// chosenStrings finds the one place where code refers to: a string, "unknown", a string, "unknown", a string, a date.
func chosenStrings(pe []byte) (s [3]string, err error) {
	refs, err := wideReferences(pe)
	if err != nil {
		return s, err
	}
	found := 0
	for i := 0; i+6 <= len(refs); i++ {
		r := refs[i : i+6]
		if r[1] != unknownText || r[3] != unknownText || !isDate(r[5]) {
			continue
		}
		found++
		s = [3]string{orDefault(r[0], r[1]), orDefault(r[2], r[3]), orDefault(r[4], r[5])}
	}
	if found != 1 {
		return s, smbiosError(0, "strings", fmt.Sprintf("are referred to by %d places in the code, want 1", found))
	}
	return s, nil
}

func orDefault(s, def string) string {
	if len(s) < minString {
		return def
	}
	return s
}

// wideReferences lists the terminated UTF-16 strings of printable ASCII, also empty ones, that code refers to by
// LEA r64, [RIP+disp32], in the order of the code.
func wideReferences(pe []byte) ([]string, error) {
	code, err := codeSection(pe)
	if err != nil {
		return nil, err
	}
	const size = 7 // REX, opcode, ModRM, disp32
	var refs []string
	for i := code.start; i+size <= code.end; i++ {
		rex, modrm := pe[i], pe[i+2]
		if rex != 0x48 && rex != 0x4c || pe[i+1] != 0x8d || modrm&0xc7 != 0x05 {
			continue
		}
		to := int64(i) + size + int64(int32(binary.LittleEndian.Uint32(pe[i+3:])))
		if s, ok := wideString(pe, to); ok {
			refs = append(refs, s)
		}
	}
	return refs, nil
}

// wideString reads the string at off. Where GUIDs and code lie, the second byte of a character is not 0.
func wideString(pe []byte, off int64) (string, bool) {
	const longest = 256
	var s []byte
	for ; off >= 0 && off+2 <= int64(len(pe)) && len(s) < longest; off += 2 {
		lo, hi := pe[off], pe[off+1]
		if hi != 0 || lo != 0 && (lo < 0x20 || lo > 0x7e) {
			return "", false
		}
		if lo == 0 {
			return string(s), true
		}
		s = append(s, lo)
	}
	return "", false
}

// A span is a part of a file.
type span struct{ start, end int }

// codeSection returns where the code of an executable lies. edk2 builds drivers whose offsets in the file are their
// offsets in memory, which is checked, so that a reference can be followed in the file.
func codeSection(pe []byte) (span, error) {
	c := bin.NewCursor("driver", pe, 0)
	c.Bytes("DOS header", 0x3c)
	start := int64(c.U32("e_lfanew"))
	if c.Err() == nil && start > int64(len(pe)) {
		c.Failf(0x3c, "e_lfanew", bin.ErrTruncated, "is 0x%x, the file has 0x%x bytes", start, len(pe))
	}
	if c.Err() != nil {
		return span{}, c.Err()
	}
	c = bin.NewCursor("driver", pe[start:], start)
	sig := c.Bytes("Signature", 4)
	machine := c.U16("Machine")
	sections := int(c.U16("NumberOfSections"))
	c.Bytes("COFF header", 12)
	optional := int(c.U16("SizeOfOptionalHeader"))
	c.U16("Characteristics")
	c.Bytes("optional header", optional)
	const amd64, executable = 0x8664, 0x20000000
	if c.Err() == nil && (string(sig) != "PE\x00\x00" || machine != amd64) {
		c.Failf(start, "Signature", bin.ErrUnsupported, "is %q for machine 0x%x, want an executable for 0x%x", sig, machine, amd64)
	}
	var code span
	for range sections {
		c.Bytes("Name", 8)
		virtualSize, virtual, raw, rawOff := c.U32("VirtualSize"), c.U32("VirtualAddress"), c.U32("SizeOfRawData"), c.U32("PointerToRawData")
		c.Bytes("relocations and line numbers", 12)
		flags := c.U32("Characteristics")
		if c.Err() != nil {
			break
		}
		end := int64(rawOff) + int64(min(raw, virtualSize))
		if virtual != rawOff || end > int64(len(pe)) {
			c.Failf(c.Off()-40, "VirtualAddress", bin.ErrUnsupported, "is 0x%x for the file's bytes at 0x%x to 0x%x, want the same", virtual, rawOff, end)
		}
		if flags&executable != 0 && code.end == 0 {
			code = span{int(rawOff), int(end)}
		}
	}
	return code, c.Err()
}

// AppendStructure appends the structure as the firmware publishes it: formatted area with the handle, strings each with
// a terminator, a last zero byte.
func (b *BIOSInformation) AppendStructure(out []byte, handle uint16) []byte {
	at := len(out)
	out = append(out, b.Formatted...)
	binary.LittleEndian.PutUint16(out[at+2:], handle)
	for _, s := range []string{b.Vendor, b.Version, b.Date} {
		out = append(append(out, s...), 0)
	}
	return append(out, 0)
}

// isDate reports whether s has the form of the driver's default date, "02/02/2022", or of its older spellings.
func isDate(s string) bool {
	switch s {
	case "02/02/2022", "2/2/2022", unknownText:
		return true
	}
	return false
}

func printable(b []byte) bool {
	for _, x := range b {
		if x < 0x20 || x > 0x7e {
			return false
		}
	}
	return true
}

func smbiosError(off int64, field, msg string) error {
	return &bin.FormatError{Format: "SmbiosPlatformDxe", Off: off, Field: field, Msg: msg, Err: bin.ErrUnsupported}
}
