package efi

import (
	"encoding/binary"
	"math"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// A VariableData is a UEFI_VARIABLE_DATA, what firmware logs, and often hashes, of a variable: GUID, le64 length of the
// name in characters, le64 length of the data in bytes, name without terminator, data.
// TCG PC Client Platform Firmware Profile 1.06, 10.2.6.
type VariableData struct {
	GUID GUID
	Name string
	Data []byte
}

// Append appends the structure to b.
func (v VariableData) Append(b []byte) []byte {
	name := AppendUTF16(nil, v.Name)
	b = append(b, v.GUID[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(name)/2))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(v.Data)))
	b = append(b, name...)
	return append(b, v.Data...)
}

// ParseVariableData parses a UEFI_VARIABLE_DATA that fills b. Data aliases b. Off is the offset of b from the start of
// the outermost input, for errors.
func ParseVariableData(b []byte, off int64) (VariableData, error) {
	c := bin.NewCursor("UEFI_VARIABLE_DATA", b, off)
	var v VariableData
	copy(v.GUID[:], c.Bytes("VariableName", 16))
	chars, size := c.U64("UnicodeNameLength"), c.U64("VariableDataLength")
	if c.Err() == nil && (chars > math.MaxInt32 || size > math.MaxInt32) {
		c.Failf(off+16, "UnicodeNameLength", bin.ErrTruncated, "and VariableDataLength are %d and %d, %d bytes are left", chars, size, c.Len())
	}
	at := c.Off()
	name := c.Bytes("UnicodeName", 2*int(chars))
	v.Data = c.Bytes("VariableData", int(size))
	c.End()
	if err := c.Err(); err != nil {
		return VariableData{}, err
	}
	var err error
	v.Name, err = DecodeUTF16(name, at)
	if err != nil {
		return VariableData{}, err
	}
	return v, nil
}
