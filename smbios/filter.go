package smbios

import (
	"slices"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// A blank is a field that the firmware does not measure.
type blank struct {
	off, size int
	kind      blankKind
}

type blankKind uint8

const (
	blankValue  blankKind = iota // the field becomes 0
	blankString                  // and so does a string's index; the string's characters become spaces
)

// oemTypes is where vendors' own types begin, DSP0134 3.7, 6.1.2. Nothing but their header is measured.
const oemTypes = 128

// unmeasured are the types of which nothing but the header is measured: OEM strings, system event log, 32-bit memory
// error, boot integrity services, 64-bit memory error.
var unmeasured = [oemTypes]bool{11: true, 15: true, 18: true, 31: true, 33: true}

// blanks are the fields of the other types that are not measured, because they differ from one machine to the next.
// edk2-stable202605, MdeModulePkg/Universal/SmbiosMeasurementDxe/SmbiosMeasurementDxe.c,
// mSmbiosFilterStandardTableBlackList, which gives fields by name; offsets from DSP0134 3.7, chapter 7.
var blanks = [oemTypes][]blank{
	1: {{0x07, 1, blankString}, {0x08, 16, blankValue}, {0x18, 1, blankValue}},
	2: {{0x07, 1, blankString}, {0x0a, 1, blankString}},
	3: {{0x07, 1, blankString}, {0x08, 1, blankString}},
	4: {{0x20, 1, blankString}, {0x21, 1, blankString}, {0x22, 1, blankString}, {0x23, 1, blankValue}, {0x24, 1, blankValue},
		{0x25, 1, blankValue}, {0x2a, 2, blankValue}, {0x2c, 2, blankValue}, {0x2e, 2, blankValue}, {0x11, 1, blankValue},
		{0x16, 2, blankValue}},
	17: {{0x18, 1, blankString}, {0x19, 1, blankString}, {0x1a, 1, blankString}},
	22: {{0x07, 1, blankString}, {0x10, 2, blankValue}, {0x12, 2, blankValue}},
	23: {{0x07, 2, blankValue}},
	27: {{0x0c, 2, blankValue}},
	39: {{0x08, 1, blankString}, {0x09, 1, blankString}, {0x0a, 1, blankString}},
}

// Filter returns a copy of a published table as OVMF measures it: of the same length, with what differs from one
// machine to the next blanked. The digest of the event is that of the copy.
//
// edk2-stable202605, SmbiosMeasurementDxe.c, FilterSmbiosTable and FilterSmbiosEntry. The error is a *bin.FormatError:
// for a table that Parse refuses, and for one whose string fields point past their strings, where the firmware's
// behaviour depends on its build.
func Filter(published []byte) ([]byte, error) {
	out := slices.Clone(published)
	err := walk(out, closed, func(e extent) error { return filterStructure(out, e) })
	if err != nil {
		return nil, err
	}
	return out, nil
}

func filterStructure(table []byte, e extent) error {
	s := table[e.off : e.off+e.size]
	if s[0] >= oemTypes || unmeasured[s[0]] {
		clear(s[headerSize:])
		return nil
	}
	for _, f := range blanks[s[0]] {
		if e.length < f.off+f.size {
			continue // the structure is of an older version
		}
		if f.kind == blankString && s[f.off] != 0 {
			text := stringAt(s[e.length:], int(s[f.off]))
			if text == nil {
				return malformed(e.off+f.off, "string number", bin.ErrMalformed, "is %d, which the type %d structure does not have", s[f.off], s[0])
			}
			for i := range text {
				text[i] = ' '
			}
		}
		clear(s[f.off : f.off+f.size])
	}
	return nil
}

// stringAt returns string number n, from 1, of the strings at the start of b, or nil where there are fewer.
func stringAt(b []byte, n int) []byte {
	for {
		l := stringLen(b)
		if l <= 0 {
			return nil
		}
		if n--; n == 0 {
			return b[:l]
		}
		b = b[l+1:]
	}
}
