package kernel

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
)

// Fields of the COFF header and entries of the symbol table. Microsoft PE Format, "COFF File Header" and "COFF String Table".
const (
	symbolTableOff  = peSignatureLen + 8
	symbolCountOff  = peSignatureLen + 12
	symbolEntrySize = 18
)

// SectionData returns the bytes of the first section of the given name, as far as they are in the file and in memory, and
// reports whether there is one. A name of more than eight bytes is looked up in the string table, as linkers write it
// for EFI applications that are made from ELF files.
func (p *PE) SectionData(name string) ([]byte, bool) {
	for _, s := range p.Sections {
		if s.Name == name || p.longName(s.Name) == name {
			if s.Raw.Len == 0 { // it may start anywhere
				return nil, true
			}
			return p.data[s.Raw.Off : s.Raw.Off+min(s.Raw.Len, int64(s.VirtualSize))], true
		}
	}
	return nil, false
}

// longName returns what a section's name stands for, "/14" for the string at offset 14 of the string table; it is empty
// where the name is none of these, or leads nowhere.
func (p *PE) longName(name string) string {
	digits, ok := strings.CutPrefix(name, "/")
	at, err := strconv.ParseUint(digits, 10, 31)
	if !ok || err != nil {
		return ""
	}
	symbols := binary.LittleEndian.Uint32(p.data[p.headers.Off+symbolTableOff:])
	count := binary.LittleEndian.Uint32(p.data[p.headers.Off+symbolCountOff:])
	off := int64(symbols) + symbolEntrySize*int64(count) + int64(at)
	if symbols == 0 || off >= p.Size() {
		return ""
	}
	text, _, ok := bytes.Cut(p.data[off:], []byte{0})
	if !ok {
		return ""
	}
	return string(text)
}
