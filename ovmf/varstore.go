package ovmf

import (
	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/internal/bin"
)

// Variable stores. edk2, MdeModulePkg/Include/Guid/VariableFormat.h and SecurityPkg's authenticated form of it.
var (
	authenticatedStore = efi.MustGUID("aaf32c78-947b-439a-a180-2e144ec37792") // gEfiAuthenticatedVariableGuid
	plainStore         = efi.MustGUID("ddcf3616-3275-4164-98b6-fe85707ffe7d") // gEfiVariableGuid
)

const (
	storeFormat     = "variable store"
	storeHeader     = 28
	storeFormatted  = 0x5a   // VARIABLE_STORE_FORMATTED
	storeHealthy    = 0xfe   // VARIABLE_STORE_HEALTHY
	variableStart   = 0x55aa // VARIABLE_DATA
	variableAligned = 4      // HEADER_ALIGNMENT
	maxVariables    = 4096   // OVMF's store holds some hundred
)

// A VariableState is the State of a variable in the store: bits that are cleared as it is written and deleted.
type VariableState uint8

// The states of a variable.
const (
	VariableAdded        VariableState = 0x3f // VAR_ADDED
	VariableInTransition VariableState = 0x3e // VAR_ADDED & VAR_IN_DELETED_TRANSITION: the old value during an update
	VariableHeaderOnly   VariableState = 0x7f // VAR_HEADER_VALID_ONLY
)

// String returns the state in words.
func (s VariableState) String() string {
	switch s {
	case VariableAdded:
		return "added"
	case VariableInTransition:
		return "in deleted transition"
	case VariableHeaderOnly:
		return "header only"
	}
	return "deleted"
}

// MarshalText returns what String returns.
func (s VariableState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A Variable is a record of the variable store.
type Variable struct {
	GUID       efi.GUID
	Name       string
	Attributes uint32
	State      VariableState
	Off        int64 // of the record in the image
	Data       []byte
}

// A Store is the variable store of an image.
type Store struct {
	Off           int64 // in the image
	Size          uint32
	Authenticated bool // records carry what time-based authentication needs
	Variables     []Variable
}

// Store reads the variable store, live and deleted records. It is nil where the image has no volume for variables; a
// volume for variables without a store that the firmware would use is an error. It does not decompress.
// edk2 edk2-stable202502, MdeModulePkg/Universal/Variable/RuntimeDxe/VariableParsing.c.
func (img *Image) Store() (*Store, error) {
	for _, v := range img.flash {
		if v.FileSystem == NVVolume {
			return v.store()
		}
	}
	return nil, nil
}

func (v *Volume) store() (*Store, error) {
	at := v.Off + int64(v.HeaderSize)
	c := bin.NewCursor(storeFormat, v.Data[v.HeaderSize:], at)
	var kind efi.GUID
	copy(kind[:], c.Bytes("Signature", 16))
	s := &Store{Off: at, Size: c.U32("Size"), Authenticated: kind == authenticatedStore}
	format, state := c.U8("Format"), c.U8("State")
	c.Bytes("Reserved", 6)
	switch {
	case c.Err() != nil:
	case kind != authenticatedStore && kind != plainStore:
		c.Failf(at, "Signature", bin.ErrUnsupported, "is %s, want %s or %s", kind, authenticatedStore, plainStore)
	case format != storeFormatted || state != storeHealthy:
		c.Failf(at+20, "Format", bin.ErrMalformed, "and State are 0x%02x and 0x%02x, want 0x%02x and 0x%02x", format, state, storeFormatted, storeHealthy)
	case s.Size < storeHeader || int64(s.Size) > int64(len(v.Data)-v.HeaderSize):
		c.Failf(at+16, "Size", bin.ErrMalformed, "is 0x%x, want 0x%x to 0x%x", s.Size, storeHeader, len(v.Data)-v.HeaderSize)
	}
	if c.Err() != nil {
		return nil, c.Err()
	}
	b := v.Data[v.HeaderSize : v.HeaderSize+int(s.Size)]
	for off := align(storeHeader, variableAligned); off+2 <= len(b) && uint16(b[off])|uint16(b[off+1])<<8 == variableStart; {
		r := bin.NewCursor(storeFormat, b[off:], at+int64(off))
		x, ok := s.record(r)
		if r.Err() != nil {
			return nil, r.Err()
		}
		if len(s.Variables) == maxVariables {
			return nil, formatError(storeFormat, at+int64(off), "variable", bin.ErrUnsupported, "is one too many, want at most %d", maxVariables)
		}
		if ok {
			s.Variables = append(s.Variables, x)
		}
		off = align(int(r.Off()-at), variableAligned)
	}
	return s, nil
}

// record reads one record. Of one that was never finished only the header is looked at, and ok is false.
func (s *Store) record(c *bin.Cursor) (v Variable, ok bool) {
	v.Off = c.Off()
	c.U16("StartId")
	v.State = VariableState(c.U8("State"))
	c.U8("Reserved")
	v.Attributes = c.U32("Attributes")
	if s.Authenticated {
		c.Bytes("MonotonicCount, TimeStamp, PubKeyIndex", 8+16+4)
	}
	nameSize, dataSize := c.U32("NameSize"), c.U32("DataSize")
	copy(v.GUID[:], c.Bytes("VendorGuid", 16))
	live := v.State == VariableAdded || v.State == VariableInTransition
	if !live && (nameSize == 0xffffffff || dataSize == 0xffffffff || v.Attributes == 0xffffffff) {
		return v, false // the firmware takes such sizes as 0
	}
	if int64(nameSize)+int64(dataSize) > int64(c.Len()) {
		c.Failf(v.Off+8, "NameSize", bin.ErrTruncated, "and DataSize are %d and %d, %d bytes are left", nameSize, dataSize, c.Len())
	}
	at := c.Off()
	name := c.Bytes("Name", int(nameSize))
	v.Data = c.Bytes("Data", int(dataSize))
	if c.Err() != nil {
		return v, false
	}
	if n := len(name); n >= 2 && name[n-1] == 0 && name[n-2] == 0 {
		text, err := efi.DecodeUTF16(name[:n-2], at)
		if err == nil {
			v.Name = text
			return v, true
		}
	}
	if live {
		c.Failf(at, "Name", bin.ErrMalformed, "is not a terminated UTF-16 string")
	}
	return v, false
}

// Lookup returns the record that the firmware finds for a variable: the added one, or without one the one in deleted
// transition; nil without either. edk2 edk2-stable202502, VariableParsing.c, FindVariableEx.
func (s *Store) Lookup(g efi.GUID, name string) *Variable {
	if s == nil {
		return nil
	}
	var transition *Variable
	for i := range s.Variables {
		v := &s.Variables[i]
		if v.GUID != g || v.Name != name {
			continue
		}
		switch v.State {
		case VariableAdded:
			return v
		case VariableInTransition:
			transition = v
		}
	}
	return transition
}
