package dstack

import (
	"encoding/hex"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// VMClaims are what a verifier compares of a vm_config. Nothing vouches for them: the host wrote them.
type VMClaims struct {
	OSImageHash []byte // 32 bytes; nil where it is not stated
	MRConfig    []byte // the document that an MRCONFIGID of version 3 commits to; nil where there is none
}

// ParseVMClaims reads a vm_config for these alone; ParseVMConfig reads what reaches a measurement. A member that occurs
// twice or in other letters is an error.
func ParseVMClaims(data []byte) (*VMClaims, error) {
	const format = "vm_config"
	r, err := readObject(format, data)
	if err != nil {
		return nil, err
	}
	c := &VMClaims{}
	if s := optionalString(r, "os_image_hash"); s != "" {
		if c.OSImageHash, err = hex.DecodeString(s); err != nil || len(c.OSImageHash) != 32 {
			r.Failf("os_image_hash", bin.ErrMalformed, "is not 64 hexadecimal digits")
		}
	}
	if s := optionalString(r, "mr_config"); s != "" {
		c.MRConfig = []byte(s)
	}
	r.Unknown()
	if err := r.Err(); err != nil {
		return nil, err
	}
	return c, nil
}
