// Package quote reads Intel DCAP quotes of versions 3, 4 and 5: bytes to fields. It checks form, never signatures or
// trust; package dcap does that.
//
// Sources: Intel TDX DCAP Quoting Library API, revision 0.9 and later, Appendix 3 "Quote Format" (version 4, and version 5
// with its body descriptor); Intel SGX ECDSA Quote Library API, Appendix A.4 (version 3); and, for the sizes and the TD
// report 1.5 extended, intel/confidential-computing.tee.dcap.qvl d12717e, QuoteVerification/QuoteStructures.h and
// QuoteConstants.h.
package quote

import (
	"bytes"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// A TEE is the kind of environment that a quote speaks of, as the header spells it.
type TEE uint32

// The TEE types of quotes.
const (
	SGX TEE = 0x00 // TEE_TYPE_SGX
	TDX TEE = 0x81 // TEE_TYPE_TDX
)

// A BodyKind is the type field of a version 5 body descriptor. Versions 3 and 4 have no such field; what their TEE type
// implies is stored in its place.
type BodyKind uint16

// The body types of version 5.
const (
	EnclaveBody BodyKind = 1 // SGX enclave report, 384 bytes
	TD10Body    BodyKind = 2 // TD report for TDX 1.0, 584 bytes
	TD15Body    BodyKind = 3 // TD report for TDX 1.5, 648 bytes
	TD15ExBody  BodyKind = 4 // TD report for TDX 1.5, extended, 885 bytes
)

// String returns a name for people.
func (k BodyKind) String() string {
	switch k {
	case EnclaveBody:
		return "SGX enclave report"
	case TD10Body:
		return "TD report 1.0"
	case TD15Body:
		return "TD report 1.5"
	case TD15ExBody:
		return "TD report 1.5 extended"
	}
	return "unknown body"
}

// AttestationKeyECDSAP256 is the only attestation key type that Intel's quoting enclaves use.
const AttestationKeyECDSAP256 = 2

// IntelQEVendorID names Intel's quoting enclaves in a header: 939A7233-F79C-4CA9-940A-0DB3957F0607 in order of bytes.
var IntelQEVendorID = [16]byte{0x93, 0x9A, 0x72, 0x33, 0xF7, 0x9C, 0x4C, 0xA9, 0x94, 0x0A, 0x0D, 0xB3, 0x95, 0x7F, 0x06, 0x07}

// A Quote is a parsed quote. Its slices alias one private copy of the input and must not be changed.
type Quote struct {
	Raw    []byte // the whole input, with its padding
	Signed []byte // header, body descriptor and body: what Signature covers

	Header  Header
	Kind    BodyKind
	TD      TD             // the zero TD for an enclave's quote
	Enclave *EnclaveReport // nil for a TD's quote

	Signature      [64]byte // r and s, big-endian, by AttestationKey over SHA-256 of Signed
	AttestationKey [64]byte // x and y of a P-256 point, big-endian
	Certification  Certification

	Padding int // zero bytes after the last field

	fields []Field
}

// A Header is the first 48 bytes.
type Header struct {
	Version            uint16
	AttestationKeyType uint16
	TEE                TEE
	QESVN, PCESVN      uint16 // reserved and zero in version 4 and 5 quotes seen so far
	QEVendorID         [16]byte
	UserData           [20]byte // the first 16 bytes are the platform's QE ID
}

// A TD is the body of a TD's quote. Registers are in the order of bytes in which tools print them.
type TD struct {
	TEETCBSVN      [16]byte // SVNs of the TDX module that launched the TD; [0] its minor version, [1] its major one
	MRSEAM         [48]byte // measurement of the TDX module
	MRSIGNERSEAM   [48]byte // its signer; zero for Intel's
	SEAMAttributes [8]byte  // zero for a production module
	Attributes     TDAttributes
	XFAM           XFAM
	MRTD           [48]byte
	MRCONFIGID     [48]byte
	MROWNER        [48]byte
	MROWNERCONFIG  [48]byte
	RTMR           [4][48]byte
	REPORTDATA     [64]byte

	TEETCBSVN2  [16]byte // SVNs of the TDX module that runs now; TD report 1.5 only
	MRSERVICETD [48]byte // hash of bound service TDs, zero for none; TD report 1.5 only

	Extended *TDExtended // TD report 1.5 extended only
}

// A TDExtended is what the extended TD report adds.
type TDExtended struct {
	VMID                 [1]byte
	TDID                 [32]byte
	DevInfo              [48]byte
	InitServTDHash       [48]byte
	InitServTDAttributes [8]byte
	InitCPUSVN           [16]byte
	InitTEETCBSVN        [16]byte
	InitTEEFMSPC         [12]byte
	CurServTDHash        [48]byte
	CurServTDAttributes  [8]byte
}

// An EnclaveReport is an SGX REPORT body of 384 bytes: of the quoting enclave, or of the enclave that is quoted.
type EnclaveReport struct {
	Raw        []byte // all 384 bytes
	CPUSVN     [16]byte
	MiscSelect uint32
	Attributes [16]byte
	MRENCLAVE  [32]byte
	MRSIGNER   [32]byte
	ISVProdID  uint16
	ISVSVN     uint16
	ReportData [64]byte
}

// A CertificationType says what certifies the attestation key.
type CertificationType uint16

// The certification data types.
const (
	PPIDPlain        CertificationType = 1 // PPID in clear, CPUSVN, PCESVN, PCEID
	PPIDRSA2048      CertificationType = 2 // PPID encrypted to a 2048-bit key, CPUSVN, PCESVN, PCEID
	PPIDRSA3072      CertificationType = 3 // PPID encrypted to a 3072-bit key, CPUSVN, PCESVN, PCEID
	PCKLeaf          CertificationType = 4 // PCK certificate
	PCKChain         CertificationType = 5 // PCK certificate chain, PEM
	QEReport         CertificationType = 6 // QE report and what certifies it in turn
	PlatformManifest CertificationType = 7 // platform manifest
)

// A Certification is a run of certification data.
type Certification struct {
	Type CertificationType
	Data []byte
	QE   *QECertification // where Type is QEReport; also of a version 3 quote, where it is not wrapped
}

// A QECertification binds the attestation key to a quoting enclave, and that to a platform.
type QECertification struct {
	Report    EnclaveReport
	Signature [64]byte // r and s, by the PCK key over SHA-256 of Report.Raw
	AuthData  []byte
	Platform  Certification // never of type QEReport
}

// PCKChainPEM returns the PCK certificate chain that the quote brings, or nil if it brings none.
func (q *Quote) PCKChainPEM() []byte {
	if qe := q.Certification.QE; qe != nil && qe.Platform.Type == PCKChain {
		return qe.Platform.Data
	}
	return nil
}

// Parse reads a TD's quote. It returns a *bin.FormatError that wraps ErrUnsupported for an enclave's quote, for versions
// other than 4 and 5 and for body types that it does not know to judge; ErrTruncated or ErrMalformed for bytes that are no
// quote. Bytes after the last field must be zero.
func Parse(data []byte) (*Quote, error) {
	q, err := ParseAny(data)
	if err != nil {
		return nil, err
	}
	switch q.Kind {
	case TD10Body, TD15Body:
		return q, nil
	}
	off := int64(offTEEType)
	if q.Header.Version >= 5 {
		off = headerLen
	}
	return nil, &bin.FormatError{Format: "quote", Off: off, Field: "body type", Err: bin.ErrUnsupported,
		Msg: "is that of an " + q.Kind.String() + ", want a TD report 1.0 or 1.5"}
}

// ParseAny reads a quote of a TD or of an enclave, for display. It accepts every body type of versions 3, 4 and 5.
func ParseAny(data []byte) (*Quote, error) {
	if len(data) > bin.MaxQuote {
		return nil, &bin.FormatError{Format: "quote", Field: "size", Err: bin.ErrUnsupported,
			Msg: "is more than 128 KiB, the largest quote that is read"}
	}
	data = bytes.Clone(data)
	q := &Quote{Raw: data}
	r := &recorder{Cursor: bin.NewCursor("quote", data, 0)}
	r.fields = make([]Field, 0, 64)
	q.header(r)
	q.body(r)
	q.Signed = data[:r.Off():r.Off()]
	q.signatureData(r)
	q.padding(r)
	if err := r.Err(); err != nil {
		return nil, err
	}
	q.fields = r.fields
	return q, nil
}
