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
// for EFI applications that are made from ELF files. Errors wrap ErrRead.
func (p *PE) SectionData(name string) ([]byte, bool, error) {
	for _, s := range p.Sections {
		long, err := p.longName(s.Name, len(name))
		if err != nil {
			return nil, false, err
		}
		if s.Name == name || long == name {
			if s.Raw.Len == 0 { // it may start anywhere
				return nil, true, nil
			}
			data, err := p.bytes(Span{s.Raw.Off, min(s.Raw.Len, int64(s.VirtualSize))})
			return data, err == nil, err
		}
	}
	return nil, false, nil
}

// longName returns what a section's name stands for, "/14" for the string at offset 14 of the string table; it is empty
// where the name is none of these, leads nowhere, or stands for a string of more than size bytes.
func (p *PE) longName(name string, size int) (string, error) {
	digits, ok := strings.CutPrefix(name, "/")
	at, err := strconv.ParseUint(digits, 10, 31)
	if !ok || err != nil {
		return "", nil
	}
	symbols := binary.LittleEndian.Uint32(p.head[p.headers.Off+symbolTableOff:])
	count := binary.LittleEndian.Uint32(p.head[p.headers.Off+symbolCountOff:])
	off := int64(symbols) + symbolEntrySize*int64(count) + int64(at)
	if symbols == 0 || off >= p.Size() {
		return "", nil
	}
	table, err := p.bytes(Span{off, min(int64(size)+1, p.Size()-off)})
	text, _, ok := bytes.Cut(table, []byte{0})
	if !ok || err != nil {
		return "", err
	}
	return string(text), nil
}
