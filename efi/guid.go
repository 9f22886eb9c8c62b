// Package efi holds the small binary formats that UEFI firmware measures: GUIDs, UTF-16 strings, device paths, load
// options, variables and signature lists.
package efi

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// A GUID is an EFI_GUID as it lies in memory: three little-endian integers of 4, 2 and 2 bytes, then 8 bytes.
// UEFI 2.11, appendix A GUID and Time Formats.
type GUID [16]byte

// String returns the registry form in lower case, "8be4df61-93ca-11d2-aa0d-00e098032b8c".
func (g GUID) String() string {
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", binary.LittleEndian.Uint32(g[0:]), binary.LittleEndian.Uint16(g[4:]),
		binary.LittleEndian.Uint16(g[6:]), g[8:10], g[10:])
}

// MarshalText returns what String returns.
func (g GUID) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText parses the registry form.
func (g *GUID) UnmarshalText(text []byte) error {
	v, err := ParseGUID(string(text))
	if err == nil {
		*g = v
	}
	return err
}

// IsZero reports whether all bytes of g are 0.
func (g GUID) IsZero() bool { return g == GUID{} }

// ParseGUID parses the registry form, 36 characters in either case, without braces.
func ParseGUID(s string) (GUID, error) {
	var g GUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return GUID{}, fmt.Errorf("GUID %q: want 8-4-4-4-12 hexadecimal digits", s)
	}
	digits := strings.ReplaceAll(s, "-", "")
	if n, err := hex.Decode(g[:], []byte(digits)); err != nil || n != len(g) {
		return GUID{}, fmt.Errorf("GUID %q: want 8-4-4-4-12 hexadecimal digits", s)
	}
	reverse(g[0:4])
	reverse(g[4:6])
	reverse(g[6:8])
	return g, nil
}

// MustGUID is ParseGUID for GUIDs that are written in the source. It panics if s is not a GUID.
func MustGUID(s string) GUID {
	g, err := ParseGUID(s)
	if err != nil {
		panic(err)
	}
	return g
}

func reverse(b []byte) {
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
}

// Vendor GUIDs of variables.
var (
	GlobalVariable        = MustGUID("8be4df61-93ca-11d2-aa0d-00e098032b8c") // EFI_GLOBAL_VARIABLE
	ImageSecurityDatabase = MustGUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f") // EFI_IMAGE_SECURITY_DATABASE_GUID
)
