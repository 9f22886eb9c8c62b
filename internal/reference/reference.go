// Package reference holds slow and plain second implementations, written from definitions and not from the code that
// they check. Only tests import it.
package reference

import (
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrPE is returned for an image whose digest the definition does not give.
var ErrPE = errors.New("reference: not an image with a digest")

// AuthenticodeBytes returns the byte string whose hash is a PE32+ image's digest: the steps of the PE/COFF
// specification 8.0, appendix A, as edk2 counts the bytes behind the last section. It copies every piece.
func AuthenticodeBytes(file []byte) (out []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, err = nil, fmt.Errorf("%w: %v", ErrPE, r)
		}
	}()
	u16 := func(at int) int { return int(binary.LittleEndian.Uint16(file[at : at+2])) }
	u32 := func(at int) int { return int(binary.LittleEndian.Uint32(file[at : at+4])) }

	pe := u32(0x3c)
	if string(file[0:2]) != "MZ" || string(file[pe:pe+4]) != "PE\x00\x00" || u16(pe+24) != 0x20b {
		return nil, ErrPE
	}
	sections, optional := u16(pe+6), pe+24
	headers, directories := u32(optional+60), u32(optional+108)

	// The headers, byte by byte, without the fields that signing changes.
	skip := map[int]bool{}
	for i := range 4 {
		skip[optional+64+i] = true
	}
	certificates := 0
	if directories > 4 {
		for i := range 8 {
			skip[optional+112+8*4+i] = true
		}
		certificates = u32(optional + 112 + 8*4 + 4)
	}
	for i := range headers {
		if !skip[i] {
			out = append(out, file[i])
		}
	}

	// The section that starts lowest, then the next: each is taken from the table once.
	type section struct{ start, size int }
	var left []section
	for i := range sections {
		row := optional + u16(pe+20) + 40*i
		left = append(left, section{u32(row + 20), u32(row + 16)})
	}
	sum := headers
	for len(left) > 0 {
		lowest := 0
		for i, s := range left {
			if s.start < left[lowest].start {
				lowest = i
			}
		}
		s := left[lowest]
		left = append(left[:lowest:lowest], left[lowest+1:]...)
		if s.size > 0 {
			out = append(out, file[s.start:s.start+s.size]...)
			sum += s.size
		}
	}

	// What is left of the file, less the certificates at its end.
	switch rest := len(file) - sum - certificates; {
	case rest < 0:
		return nil, ErrPE
	default:
		return append(out, file[sum:sum+rest]...), nil
	}
}

// Authenticode returns the SHA-384 digest of AuthenticodeBytes.
func Authenticode(file []byte) ([48]byte, error) {
	b, err := AuthenticodeBytes(file)
	return sha512.Sum384(b), err
}

// Replay returns what a register of 48 zero bytes holds after it is extended with each digest in turn.
// Intel TDX module ABI, TDG.MR.RTMR.EXTEND: the register becomes SHA-384(register ‖ digest).
func Replay(digests ...[48]byte) [48]byte {
	if len(digests) == 0 {
		return [48]byte{}
	}
	last := len(digests) - 1
	before := Replay(digests[:last]...)
	return sha512.Sum384(append(before[:], digests[last][:]...))
}

// PkgLength returns the encoding of an AML PkgLength that covers itself and n bytes of content, found by trying each of
// the four lengths that an encoding can have; ok is false where none can hold the value.
// ACPI 6.5, 20.2.4 Package Length Encoding.
func PkgLength(n int) (encoded []byte, ok bool) {
	for bytes := 1; bytes <= 4; bytes++ {
		total := n + bytes
		e := make([]byte, bytes)
		if bytes == 1 {
			e[0] = byte(total)
		} else {
			e[0] = byte(bytes-1)<<6 | byte(total&0xf)
			for i := 1; i < bytes; i++ {
				e[i] = byte(total >> (4 + 8*(i-1)))
			}
		}
		if got, used, ok := ParsePkgLength(e); ok && used == bytes && got == total {
			return e, true
		}
	}
	return nil, false
}

// ParsePkgLength decodes a PkgLength and returns how many bytes it took. ACPI 6.5, 20.2.4: bits 7 and 6 of the first byte
// count the bytes that follow; without any, bits 5 to 0 are the length; otherwise bits 3 to 0 are its lowest, bits 5
// and 4 must be 0, and each byte that follows adds eight higher bits.
func ParsePkgLength(b []byte) (length, used int, ok bool) {
	if len(b) == 0 {
		return 0, 0, false
	}
	follow := int(b[0] >> 6)
	if len(b) < 1+follow || follow > 0 && b[0]&0x30 != 0 {
		return 0, 0, false
	}
	if follow == 0 {
		return int(b[0] & 0x3f), 1, true
	}
	length = int(b[0] & 0xf)
	weight := 16
	for _, c := range b[1 : 1+follow] {
		length += weight * int(c)
		weight *= 256
	}
	return length, 1 + follow, true
}
