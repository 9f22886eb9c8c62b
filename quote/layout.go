package quote

import (
	"encoding/binary"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// Sizes, in bytes. A body's size is fixed by its type; QuoteConstants.h.
const (
	headerLen    = 48
	offTEEType   = 4
	enclaveLen   = 384
	td10Len      = 584
	td15Len      = 648
	td15ExLen    = 885
	ppidTailLen  = 16 + 2 + 2 // CPUSVN, PCESVN, PCEID
	ppidPlainLen = 16 + ppidTailLen
	ppid2048Len  = 256 + ppidTailLen
	ppid3072Len  = 384 + ppidTailLen
)

// A Field is one field of a quote, for display.
type Field struct {
	Name  string
	Off   int64 // bytes from the start of the quote
	Bytes []byte
}

// Fields returns every field in the order of bytes. Integers are little-endian in Bytes. Runs that are not taken apart,
// such as a PEM chain, are one field.
func (q *Quote) Fields() []Field { return q.fields }

// A recorder reads fields one after another and keeps the list of them, so that a field's name, place and width are
// written once.
type recorder struct {
	*bin.Cursor
	fields []Field
	prefix string
}

// take reads the next n bytes as the field name.
func (r *recorder) take(name string, n int) []byte {
	off := r.Off()
	b := r.Bytes(name, n)
	if r.Err() == nil {
		r.fields = append(r.fields, Field{r.prefix + name, off, b})
	}
	return b
}

// into reads a field of exactly the size of dst.
func (r *recorder) into(name string, dst []byte) { copy(dst, r.take(name, len(dst))) }

func (r *recorder) u16(name string) uint16 {
	if b := r.take(name, 2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *recorder) u32(name string) uint32 {
	if b := r.take(name, 4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *recorder) u64(name string) uint64 {
	if b := r.take(name, 8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// sized reads a length of four bytes that must equal what the structure leaves, which is only known after it was read;
// the caller compares with ends.
func (r *recorder) sized(name string) (size int, end int64) {
	off := r.Off()
	n := r.u32(name)
	if int64(n) > int64(r.Len()) {
		r.Failf(off, name, bin.ErrTruncated, "is %d bytes, %d are left", n, r.Len())
	}
	if r.Err() != nil {
		return 0, 0
	}
	return int(n), r.Off() + int64(n)
}

// ends fails unless the cursor stands at end, where the length field name said the structure would end.
func (r *recorder) ends(name string, end int64) {
	if r.Off() != end {
		r.Failf(r.Off(), name, bin.ErrMalformed, "says that the structure ends at 0x%x, its fields end at 0x%x", end, r.Off())
	}
}

// header reads the 48 bytes that all versions share. TDX DCAP Quoting Library API, A.3.1.
func (q *Quote) header(r *recorder) {
	h := &q.Header
	h.Version = r.u16("version")
	if v := h.Version; v < 3 || v > 5 {
		r.Failf(0, "version", bin.ErrUnsupported, "is %d, want 3, 4 or 5", v)
	}
	h.AttestationKeyType = r.u16("attestation key type")
	if t := h.AttestationKeyType; t != AttestationKeyECDSAP256 {
		r.Failf(2, "attestation key type", bin.ErrUnsupported, "is %d, want 2 (ECDSA-256 with curve P-256)", t)
	}
	h.TEE = TEE(r.u32("TEE type"))
	if t := h.TEE; t != SGX && (t != TDX || h.Version == 3) {
		r.Failf(offTEEType, "TEE type", bin.ErrUnsupported, "is 0x%x in a quote of version %d", uint32(t), h.Version)
	}
	h.QESVN = r.u16("QE SVN")
	h.PCESVN = r.u16("PCE SVN")
	r.into("QE vendor ID", h.QEVendorID[:])
	r.into("user data", h.UserData[:])
}

// body reads the body, and before it the descriptor that version 5 has. A.3.2; QuoteVerification/Quote.cpp, parse and
// validate.
func (q *Quote) body(r *recorder) {
	if q.Header.Version < 5 {
		q.Kind = EnclaveBody
		if q.Header.TEE == TDX {
			q.Kind = TD10Body
		}
	} else {
		off := r.Off()
		q.Kind = BodyKind(r.u16("body type"))
		size := r.u32("body size")
		want, known := map[BodyKind]uint32{EnclaveBody: enclaveLen, TD10Body: td10Len, TD15Body: td15Len, TD15ExBody: td15ExLen}[q.Kind]
		switch {
		case !known:
			r.Failf(off, "body type", bin.ErrUnsupported, "is %d, want 1 to 4", q.Kind)
		case size != want:
			r.Failf(off+2, "body size", bin.ErrMalformed, "is %d, want %d for body type %d", size, want, q.Kind)
		case (q.Kind == EnclaveBody) != (q.Header.TEE == SGX):
			r.Failf(off, "body type", bin.ErrMalformed, "is %d in a quote of TEE type 0x%x", q.Kind, uint32(q.Header.TEE))
		}
	}
	if q.Kind == EnclaveBody {
		e := q.enclaveReport(r)
		q.Enclave = &e
	} else {
		q.td(r)
	}
}

// td reads a TD report, whose forms extend each other.
func (q *Quote) td(r *recorder) {
	t := &q.TD
	r.into("TEE_TCB_SVN", t.TEETCBSVN[:])
	r.into("MRSEAM", t.MRSEAM[:])
	r.into("MRSIGNERSEAM", t.MRSIGNERSEAM[:])
	r.into("SEAMATTRIBUTES", t.SEAMAttributes[:])
	t.Attributes = TDAttributes(r.u64("TDATTRIBUTES"))
	t.XFAM = XFAM(r.u64("XFAM"))
	r.into("MRTD", t.MRTD[:])
	r.into("MRCONFIGID", t.MRCONFIGID[:])
	r.into("MROWNER", t.MROWNER[:])
	r.into("MROWNERCONFIG", t.MROWNERCONFIG[:])
	r.into("RTMR0", t.RTMR[0][:])
	r.into("RTMR1", t.RTMR[1][:])
	r.into("RTMR2", t.RTMR[2][:])
	r.into("RTMR3", t.RTMR[3][:])
	r.into("REPORTDATA", t.REPORTDATA[:])
	if q.Kind >= TD15Body {
		r.into("TEE_TCB_SVN2", t.TEETCBSVN2[:])
		r.into("MRSERVICETD", t.MRSERVICETD[:])
	}
	if q.Kind >= TD15ExBody {
		e := &TDExtended{}
		t.Extended = e
		r.into("VMID", e.VMID[:])
		r.into("TD_ID", e.TDID[:])
		r.into("DEV_INFO", e.DevInfo[:])
		r.into("INIT_SERVTD_HASH", e.InitServTDHash[:])
		r.into("INIT_SERVTD_ATTRIBUTES", e.InitServTDAttributes[:])
		r.into("INIT_CPUSVN", e.InitCPUSVN[:])
		r.into("INIT_TEE_TCB_SVN", e.InitTEETCBSVN[:])
		r.into("INIT_TEE_FMSPC", e.InitTEEFMSPC[:])
		r.into("CUR_SERVTD_HASH", e.CurServTDHash[:])
		r.into("CUR_SERVTD_ATTRIBUTES", e.CurServTDAttributes[:])
	}
}

// enclaveReport reads an SGX REPORT body. Intel SDM volume 3D, table 39-21, without KEYID and MAC.
func (q *Quote) enclaveReport(r *recorder) EnclaveReport {
	var e EnclaveReport
	start := r.Off()
	r.into("CPUSVN", e.CPUSVN[:])
	e.MiscSelect = r.u32("MISCSELECT")
	r.take("reserved", 28)
	r.into("ATTRIBUTES", e.Attributes[:])
	r.into("MRENCLAVE", e.MRENCLAVE[:])
	r.take("reserved", 32)
	r.into("MRSIGNER", e.MRSIGNER[:])
	r.take("reserved", 96)
	e.ISVProdID = r.u16("ISVPRODID")
	e.ISVSVN = r.u16("ISVSVN")
	r.take("reserved", 60)
	r.into("REPORTDATA", e.ReportData[:])
	if r.Err() == nil {
		e.Raw = q.Raw[start:r.Off():r.Off()]
	}
	return e
}

// signatureData reads the ECDSA signature data. A.3.7 and A.3.8; version 3 has the QE report in line, SGX ECDSA Quote
// Library API, A.4.
func (q *Quote) signatureData(r *recorder) {
	_, end := r.sized("signature data length")
	r.into("signature", q.Signature[:])
	r.into("attestation key", q.AttestationKey[:])
	if q.Header.Version == 3 {
		q.Certification = Certification{Type: QEReport, QE: q.qeCertification(r)}
	} else {
		q.Certification = q.certification(r)
	}
	r.ends("signature data length", end)
}

// certification reads one run of certification data, the outer one of a quote. A.3.9 and A.3.11.
func (q *Quote) certification(r *recorder) Certification {
	off := r.Off()
	c := Certification{Type: CertificationType(r.u16("certification data type"))}
	size, end := r.sized("certification data size")
	if r.Err() != nil {
		return c
	}
	if c.Type == QEReport {
		if r.prefix != "" {
			r.Failf(off, "certification data type", bin.ErrMalformed, "is 6 inside certification data of type 6")
			return c
		}
		c.QE = q.qeCertification(r)
		r.ends("certification data size", end)
		return c
	}
	want, fixed := map[CertificationType]int{PPIDPlain: ppidPlainLen, PPIDRSA2048: ppid2048Len, PPIDRSA3072: ppid3072Len}[c.Type]
	switch {
	case c.Type < PPIDPlain || c.Type > PlatformManifest:
		r.Failf(off, "certification data type", bin.ErrUnsupported, "is %d, want 1 to 7", c.Type)
	case fixed && size != want:
		r.Failf(off+2, "certification data size", bin.ErrMalformed, "is %d, want %d for type %d", size, want, c.Type)
	}
	c.Data = r.take("certification data", size)
	return c
}

// qeCertification reads the QE report certification data. A.3.11.
func (q *Quote) qeCertification(r *recorder) *QECertification {
	qe := &QECertification{}
	r.prefix = "QE report "
	qe.Report = q.enclaveReport(r)
	r.prefix = "QE "
	r.into("report signature", qe.Signature[:])
	n := r.u16("authentication data size")
	qe.AuthData = r.take("authentication data", int(n))
	qe.Platform = q.certification(r)
	r.prefix = ""
	return qe
}

// padding checks that what follows the last field is zero: nothing signs these bytes, so nothing may be said in them.
// Quotes come in buffers of fixed size, padded.
func (q *Quote) padding(r *recorder) {
	start := r.Off()
	rest := r.Rest()
	for i, b := range rest {
		if b != 0 {
			r.Failf(start+int64(i), "trailing data", bin.ErrMalformed,
				"is byte 0x%02x; the %d bytes after the signature data must be zero", b, len(rest))
			return
		}
	}
	q.Padding = len(rest)
	if len(rest) > 0 {
		r.fields = append(r.fields, Field{"padding", start, rest})
	}
}
