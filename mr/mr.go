// Package mr is the vocabulary of TDX measurements: digests, registers, events with their reasons, and replay.
package mr

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/tdxkit/tdxkit/eventlog"
)

// A Digest is a SHA-384 digest, the one hash that TDX measurement registers use.
type Digest [sha512.Size384]byte

// Sum returns the SHA-384 digest of the concatenation of its arguments.
func Sum(parts ...[]byte) Digest {
	if len(parts) == 1 {
		return sha512.Sum384(parts[0])
	}
	h := sha512.New384()
	for _, p := range parts {
		h.Write(p)
	}
	var d Digest
	h.Sum(d[:0])
	return d
}

// String returns the digest as 96 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText returns what String returns.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText parses 96 hexadecimal digits.
func (d *Digest) UnmarshalText(text []byte) error {
	v, err := ParseDigest(string(text))
	if err == nil {
		*d = v
	}
	return err
}

// ParseDigest parses 96 hexadecimal digits.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != hex.EncodedLen(len(d)) {
		return d, fmt.Errorf("SHA-384 digest has %d characters, want %d hexadecimal digits", len(s), hex.EncodedLen(len(d)))
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return Digest{}, fmt.Errorf("SHA-384 digest %q: %w", s, err)
	}
	return d, nil
}

// A Register is one of a TD's measurement registers.
type Register uint8

// The registers, in the order of their CC measurement register index.
const (
	MRTD  Register = iota // TDCS.MRTD, built by the TDX module; CC index 0, PCR 0
	RTMR0                 // CC index 1, PCRs 1 and 7
	RTMR1                 // CC index 2, PCRs 2 to 6
	RTMR2                 // CC index 3, PCRs 8 to 15
	RTMR3                 // CC index 4, the workload's own

	numRegisters = 5
)

var registerNames = [numRegisters]string{"mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3"}

// String returns the register's name in lower case, "rtmr0".
func (r Register) String() string {
	if r < numRegisters {
		return registerNames[r]
	}
	return fmt.Sprintf("register(%d)", uint8(r))
}

// MarshalText returns what String returns.
func (r Register) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// ParseRegister parses a register's name in lower case.
func ParseRegister(s string) (Register, error) {
	for i, n := range registerNames {
		if n == s {
			return Register(i), nil
		}
	}
	return 0, fmt.Errorf("register %q: want one of mrtd, rtmr0, rtmr1, rtmr2, rtmr3", s)
}

// CCIndex returns the register's CC measurement register index, the MrIndex of a CCEL record.
// UEFI 2.11, 38.4.1 Virtual Platform CC Event Log, table of Intel TDX.
func (r Register) CCIndex() uint32 { return uint32(r) }

// A Cite names the passage or function that an implementation follows.
type Cite struct {
	Doc   string // document or repository, "edk2"
	Rev   string // revision, "edk2-stable202502"
	Where string // section, or file and function
}

// String returns the citation on one line.
func (c Cite) String() string {
	switch {
	case c.Doc == "":
		return ""
	case c.Rev == "":
		return c.Doc + ", " + c.Where
	case strings.HasPrefix(c.Rev, c.Doc): // "edk2-stable202502" names the repository already
		return c.Rev + ", " + c.Where
	}
	return c.Doc + " " + c.Rev + ", " + c.Where
}

// A Span is a run of bytes of an input file.
type Span struct {
	Artifact string // "firmware", "kernel", "initrd"
	Off, Len int64  // bytes
}

// A Measured is a byte string that is hashed, and where it comes from.
type Measured struct {
	What   string // "configuration firmware volume (CFV)"
	Spans  []Span // its bytes in the inputs, in hashing order; nil where they are made, not read
	Bytes  []byte // the bytes themselves, where they are made and not read from an input
	Digest Digest
}

// A RuleID names a place in the measured boot, "rtmr0.cfv". IDs are never reused or renamed.
type RuleID string

// An Event is one extension of one register, with the reason for it. Predicted and observed events are of this type.
type Event struct {
	Rule     RuleID // empty in an observed log
	Register Register
	Type     eventlog.Type
	Measured Measured // only the digest in an observed log
	Data     []byte   // what the log carries, which need not be what is hashed
	Cite     Cite
}

// Values are the registers of one TD.
type Values [numRegisters]Digest

// Extend returns SHA-384(d ‖ e), the value of a register d after it is extended with e.
// Intel TDX module ABI, TDG.MR.RTMR.EXTEND leaf.
func (d Digest) Extend(e Digest) Digest {
	var buf [2 * len(d)]byte
	copy(buf[:], d[:])
	copy(buf[len(d):], e[:])
	return sha512.Sum384(buf[:])
}
