package dcap

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math"
)

// PCK is what a PCK certificate says of its platform. Intel SGX PCK Certificate and CRL Profile Specification, 1.3.5
// "Intel SGX Extensions".
type PCK struct {
	PPID               [16]byte
	SGX                [16]uint8 // TCB component SVNs
	PCESVN             uint16
	CPUSVN             [16]byte
	PCEID              [2]byte
	FMSPC              [6]byte
	SGXType            int // 0 standard, 1 scalable, 2 scalable with integrity
	PlatformInstanceID []byte
	DynamicPlatform    *bool // nil where the certificate does not say; so for a processor CA's
	CachedKeys         *bool
	SMTEnabled         *bool
}

// oidSGX is the extension; what is inside has OIDs that continue it.
var oidSGX = asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}

// parsePCK reads the SGX extension of a PCK certificate.
func parsePCK(cert *x509.Certificate) (*PCK, error) {
	for _, ext := range cert.Extensions { // crypto/x509 refuses a certificate that has one extension twice
		if ext.Id.Equal(oidSGX) {
			return parseSGXExtension(ext.Value)
		}
	}
	return nil, fmt.Errorf("has no SGX extension (%v)", oidSGX)
}

// An attribute is one SEQUENCE { OID, value } of the extension.
type attribute struct {
	ID    asn1.ObjectIdentifier
	Value asn1.RawValue
}

// attributes reads a SEQUENCE of attributes, by the last number of their OIDs, which must continue prefix.
func attributes(der []byte, prefix asn1.ObjectIdentifier) (map[int]asn1.RawValue, error) {
	var list []attribute
	if rest, err := asn1.Unmarshal(der, &list); err != nil {
		return nil, fmt.Errorf("%v: %w", prefix, err)
	} else if len(rest) > 0 {
		return nil, fmt.Errorf("%v: %d bytes follow", prefix, len(rest))
	}
	out := map[int]asn1.RawValue{}
	for _, a := range list {
		n := len(prefix)
		if len(a.ID) != n+1 || !a.ID[:n].Equal(prefix) {
			return nil, fmt.Errorf("%v: unexpected %v", prefix, a.ID)
		}
		if _, dup := out[a.ID[n]]; dup {
			return nil, fmt.Errorf("%v occurs twice", a.ID)
		}
		out[a.ID[n]] = a.Value
	}
	return out, nil
}

// Numbers that continue oidSGX, and those that continue its TCB and configuration.
const (
	sgxPPID = 1 + iota
	sgxTCB
	sgxPCEID
	sgxFMSPC
	sgxType
	sgxPlatformInstanceID
	sgxConfiguration

	tcbPCESVN = 17
	tcbCPUSVN = 18
)

func parseSGXExtension(der []byte) (*PCK, error) {
	top, err := attributes(der, oidSGX)
	if err != nil {
		return nil, err
	}
	p := &PCK{}
	e := extensionReader{}
	e.octets(top[sgxPPID], "PPID", p.PPID[:])
	e.octets(top[sgxPCEID], "PCEID", p.PCEID[:])
	e.octets(top[sgxFMSPC], "FMSPC", p.FMSPC[:])
	p.SGXType = e.integer(top[sgxType], asn1.TagEnum, "SGXType", 255)
	tcb, err := attributes(top[sgxTCB].FullBytes, append(append(asn1.ObjectIdentifier{}, oidSGX...), sgxTCB))
	if err != nil {
		return nil, err
	}
	for i := range p.SGX {
		p.SGX[i] = uint8(e.integer(tcb[i+1], asn1.TagInteger, fmt.Sprintf("SGX TCB component %d", i+1), 255))
	}
	p.PCESVN = uint16(e.integer(tcb[tcbPCESVN], asn1.TagInteger, "PCESVN", math.MaxUint16))
	e.octets(tcb[tcbCPUSVN], "CPUSVN", p.CPUSVN[:])
	if v, ok := top[sgxPlatformInstanceID]; ok {
		p.PlatformInstanceID = make([]byte, 16)
		e.octets(v, "PlatformInstanceID", p.PlatformInstanceID)
	}
	if v, ok := top[sgxConfiguration]; ok {
		conf, err := attributes(v.FullBytes, append(append(asn1.ObjectIdentifier{}, oidSGX...), sgxConfiguration))
		if err != nil {
			return nil, err
		}
		p.DynamicPlatform, p.CachedKeys, p.SMTEnabled = e.boolean(conf, 1), e.boolean(conf, 2), e.boolean(conf, 3)
	}
	if e.err != nil {
		return nil, e.err
	}
	return p, nil
}

// An extensionReader decodes attribute values; its first failure sticks.
type extensionReader struct{ err error }

func (e *extensionReader) fail(name, format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf("SGX extension: %s %s", name, fmt.Sprintf(format, args...))
	}
}

func (e *extensionReader) octets(v asn1.RawValue, name string, dst []byte) {
	if v.Class != asn1.ClassUniversal || v.Tag != asn1.TagOctetString || v.IsCompound || len(v.Bytes) != len(dst) {
		e.fail(name, "is not an OCTET STRING of %d bytes", len(dst))
		return
	}
	copy(dst, v.Bytes)
}

func (e *extensionReader) integer(v asn1.RawValue, tag int, name string, limit int) int {
	b := v.Bytes
	if v.Class != asn1.ClassUniversal || v.Tag != tag || v.IsCompound || len(b) == 0 || len(b) > 3 ||
		b[0] >= 0x80 || len(b) > 1 && b[0] == 0 && b[1] < 0x80 {
		e.fail(name, "is not an integer from 0 to %d in DER", limit)
		return 0
	}
	n := 0
	for _, c := range b {
		n = n<<8 | int(c)
	}
	if n > limit {
		e.fail(name, "is %d, want at most %d", n, limit)
		return 0
	}
	return n
}

func (e *extensionReader) boolean(conf map[int]asn1.RawValue, number int) *bool {
	v, ok := conf[number]
	if !ok {
		return nil
	}
	if v.Class != asn1.ClassUniversal || v.Tag != asn1.TagBoolean || v.IsCompound || len(v.Bytes) != 1 || v.Bytes[0] != 0 && v.Bytes[0] != 0xFF {
		e.fail(fmt.Sprintf("configuration %d", number), "is not a BOOLEAN in DER")
		return nil
	}
	b := v.Bytes[0] != 0
	return &b
}
