package eventlog

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// An Alg is a TPM_ALG_ID, the name of a hash algorithm in a log. TCG Algorithm Registry 1.34, table 3.
type Alg uint16

// The hash algorithms of TPM banks.
const (
	SHA1     Alg = 0x0004
	SHA256   Alg = 0x000b
	SHA384   Alg = 0x000c
	SHA512   Alg = 0x000d
	SM3      Alg = 0x0012
	SHA3_256 Alg = 0x0027
	SHA3_384 Alg = 0x0028
	SHA3_512 Alg = 0x0029
)

// algorithms holds the names and digest sizes, in bytes, of the algorithms above.
var algorithms = []struct {
	id   Alg
	name string
	size uint16
}{
	{SHA1, "sha1", 20},
	{SHA256, "sha256", 32},
	{SHA384, "sha384", sizeSHA384},
	{SHA512, "sha512", 64},
	{SM3, "sm3-256", 32},
	{SHA3_256, "sha3-256", 32},
	{SHA3_384, "sha3-384", 48},
	{SHA3_512, "sha3-512", 64},
}

// String returns the algorithm's name in lower case, "sha384".
func (a Alg) String() string {
	for _, k := range algorithms {
		if k.id == a {
			return k.name
		}
	}
	return fmt.Sprintf("alg(0x%04x)", uint16(a))
}

const (
	sizeSHA1   = 20 // bytes of the digest field of a TCG_PCR_EVENT
	sizeSHA384 = 48 // bytes

	maxMrIndex    = 4   // CC measurement register of RTMR3. UEFI 2.11, 38.4.1
	maxAlgorithms = 16  // TPM_NUM_PCR_BANKS of edk2; no TPM has more banks
	maxDigestSize = 128 // bytes; twice the largest digest in the TCG's registry
)

// specID03 is the signature of a crypto-agile log's first event. TCG PFP 1.06, 10.4.5.1 Specification ID Version Event.
const specID03 = "Spec ID Event03\x00"

// An Algorithm is one that a log's header declares, with the size of its digests in bytes.
type Algorithm struct {
	ID   Alg
	Size uint16
}

// A Header is a log's first record, which extends no register: a TCG_PCR_EVENT of type EV_NO_ACTION that holds a
// TCG_EfiSpecIDEvent. TCG PFP 1.06, 10.4.5.1.
type Header struct {
	MrIndex       uint32 // 1 in edk2's logs, 0 in td-shim's
	PlatformClass uint32 // 0 client, 1 server
	VersionMinor  uint8  // 0
	VersionMajor  uint8  // 2
	Errata        uint8
	UintnSize     uint8 // 2: 64 bits
	Algorithms    []Algorithm
	VendorInfo    []byte // at most 255 bytes
}

// NewHeader returns the header that edk2 writes in a TD: SHA-384 is the only algorithm.
// edk2 edk2-stable202502, OvmfPkg/Tcg/TdTcg2Dxe/TdTcg2Dxe.c:SetupCcEventLog.
func NewHeader() Header {
	return Header{MrIndex: 1, VersionMajor: 2, UintnSize: 2, Algorithms: []Algorithm{{SHA384, sizeSHA384}}}
}

// A Digest is one digest of a record that has several.
type Digest struct {
	Alg   Alg
	Value []byte
}

// An Event is one record. What is logged, Data, and what is hashed are two things: Recompute says where the one
// follows from the other.
type Event struct {
	MrIndex uint32 // CC measurement register index: 0 MRTD, 1 to 4 RTMR0 to RTMR3
	Type    Type
	Digest  [sizeSHA384]byte // the SHA-384 digest, the one that a TD extends
	Digests []Digest         // all digests in the record's order; nil where SHA-384 is the only one
	Data    []byte           // the event data
	Off     int64            // of the record from the start of the log, in bytes
}

// dataOff returns the offset of the event data from the start of the log, in bytes.
func (e Event) dataOff() int64 {
	if e.Digests == nil {
		return e.Off + 12 + 2 + sizeSHA384 + 4
	}
	off := e.Off + 12 + 4
	for _, d := range e.Digests {
		off += 2 + int64(len(d.Value))
	}
	return off
}

// A Log is an event log in the order of its records.
type Log struct {
	Header  Header
	Events  []Event
	Padding int // bytes of 0xff or 0 that fill the log's area after the last record
}

// Parse parses a crypto-agile log: the header, records of one or more digests with SHA-384 among them, and the fill of
// the log's area, which is all 0xff (edk2) or all 0 (td-shim). Data aliases the input.
//
// A log without SHA-384 is ErrUnsupported; a record that ends after the log is ErrTruncated; all else that
// contradicts the format is ErrMalformed: an algorithm that the header does not declare or that a record repeats,
// a register index above 4, a fill of mixed bytes. Event types and data are not judged.
//
// TCG PFP 1.06, 10.2.2 TCG_PCR_EVENT2 Structure; UEFI 2.11, 38.4.1 Virtual Platform CC Event Log.
func Parse(data []byte) (*Log, error) {
	c := bin.NewCursor("CC event log", data, 0)
	if len(data) > bin.MaxEventLog {
		c.Failf(0, "size", bin.ErrUnsupported, "is %d bytes, want at most %d", len(data), bin.MaxEventLog)
		return nil, c.Err()
	}
	l := &Log{Header: parseHeader(c)}
	for c.Len() > 0 {
		if rest := data[c.Off():]; isPadding(rest) {
			l.Padding = len(rest)
			break
		}
		if len(l.Events) == bin.MaxLogEvents {
			c.Failf(c.Off(), "events", bin.ErrUnsupported, "are more than %d", bin.MaxLogEvents)
			break
		}
		l.Events = append(l.Events, parseEvent(c, l.Header.Algorithms))
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	return l, nil
}

// isPadding reports whether rest is not a record: whether all its bytes are 0xff, or all are 0. A record of zeros
// would be one without digests, which no log has.
func isPadding(rest []byte) bool {
	if rest[0] != 0 && rest[0] != 0xff {
		return false
	}
	for _, b := range rest {
		if b != rest[0] {
			return false
		}
	}
	return true
}

// parseHeader reads the TCG_PCR_EVENT at the start: le32 register, le32 type, 20 bytes of digest, le32 size, event.
func parseHeader(c *bin.Cursor) Header {
	var h Header
	off := c.Off()
	if h.MrIndex = c.U32("MrIndex"); h.MrIndex > maxMrIndex {
		c.Failf(off, "MrIndex", bin.ErrMalformed, "of the first record is %d, want at most %d", h.MrIndex, maxMrIndex)
	}
	off = c.Off()
	if t := Type(c.U32("EventType")); t != EVNoAction {
		c.Failf(off, "EventType", bin.ErrMalformed, "of the first record is %v, want %v", t, EVNoAction)
	}
	off = c.Off()
	for _, b := range c.Bytes("Digest", sizeSHA1) {
		if b != 0 {
			c.Failf(off, "Digest", bin.ErrMalformed, "of the first record is not zero")
		}
	}
	size := c.U32("EventSize")
	if int64(size) > int64(c.Len()) {
		c.Failf(c.Off(), "Event", bin.ErrTruncated, "of the first record needs %d bytes, %d are left", size, c.Len())
		return Header{}
	}
	spec := c.Sub("Spec ID event", "Event", int(size))
	parseSpecID(spec, &h)
	if err := spec.Err(); err != nil {
		fail(c, err)
	}
	return h
}

// fail makes err, a FormatError, the failure of c.
func fail(c *bin.Cursor, err error) {
	if fe, ok := err.(*bin.FormatError); ok {
		c.Failf(fe.Off, fe.Field, fe.Err, "%s", fe.Msg)
	}
}

// parseSpecID reads a TCG_EfiSpecIDEvent: 16 bytes of signature, le32 platform class, minor and major version, errata,
// size of a UINTN in 32-bit words, le32 number of algorithms, le16 ID and le16 size of each, vendor information after a
// byte of length.
func parseSpecID(c *bin.Cursor, h *Header) {
	off := c.Off()
	if sig := string(c.Bytes("Signature", len(specID03))); sig != specID03 {
		category := bin.ErrMalformed
		if strings.HasPrefix(sig, "Spec ID Event") {
			category = bin.ErrUnsupported // the SHA-1 log before TPM 2.0
		}
		c.Failf(off, "Signature", category, "is %q, want %q", sig, specID03)
	}
	h.PlatformClass = c.U32("PlatformClass")
	h.VersionMinor, h.VersionMajor = c.U8("SpecVersionMinor"), c.U8("SpecVersionMajor")
	h.Errata, h.UintnSize = c.U8("SpecErrata"), c.U8("UintnSize")
	if h.VersionMajor != 2 {
		c.Failf(off+21, "SpecVersionMajor", bin.ErrUnsupported, "is %d, want 2", h.VersionMajor)
	}
	off = c.Off()
	n := c.U32("NumberOfAlgorithms")
	if n == 0 || n > maxAlgorithms {
		c.Failf(off, "NumberOfAlgorithms", bin.ErrMalformed, "is %d, want 1 to %d", n, maxAlgorithms)
		return
	}
	for range n {
		h.Algorithms = append(h.Algorithms, parseAlgorithm(c, h.Algorithms))
	}
	if digestSize(h.Algorithms, SHA384) < 0 {
		c.Failf(off, "DigestSizes", bin.ErrUnsupported, "declare %s, want sha384 among them", h.algorithmNames())
	}
	h.VendorInfo = c.Bytes("VendorInfo", int(c.U8("VendorInfoSize")))
	c.End()
}

func (h *Header) algorithmNames() string {
	var names []string
	for _, a := range h.Algorithms {
		names = append(names, a.ID.String())
	}
	return strings.Join(names, ", ")
}

// parseAlgorithm reads one TCG_EfiSpecIdEventAlgorithmSize, which must not repeat one of those before it.
func parseAlgorithm(c *bin.Cursor, before []Algorithm) Algorithm {
	off := c.Off()
	a := Algorithm{Alg(c.U16("AlgorithmId")), c.U16("DigestSize")}
	if c.Err() != nil {
		return a
	}
	if digestSize(before, a.ID) >= 0 {
		c.Failf(off, "AlgorithmId", bin.ErrMalformed, "%v is declared twice", a.ID)
	}
	for _, k := range algorithms {
		if k.id == a.ID && k.size != a.Size {
			c.Failf(off+2, "DigestSize", bin.ErrMalformed, "of %v is %d, want %d", a.ID, a.Size, k.size)
		}
	}
	if a.Size == 0 || a.Size > maxDigestSize {
		c.Failf(off+2, "DigestSize", bin.ErrMalformed, "of %v is %d, want 1 to %d", a.ID, a.Size, maxDigestSize)
	}
	return a
}

// digestSize returns the declared size of an algorithm's digests in bytes, or -1.
func digestSize(declared []Algorithm, id Alg) int {
	for _, a := range declared {
		if a.ID == id {
			return int(a.Size)
		}
	}
	return -1
}

// parseEvent reads one TCG_PCR_EVENT2: le32 register, le32 type, le32 number of digests, le16 algorithm and digest of
// each, le32 size, event data.
func parseEvent(c *bin.Cursor, declared []Algorithm) Event {
	e := Event{Off: c.Off()}
	if e.MrIndex = c.U32("MrIndex"); e.MrIndex > maxMrIndex {
		c.Failf(e.Off, "MrIndex", bin.ErrMalformed, "is %d, want at most %d", e.MrIndex, maxMrIndex)
	}
	e.Type = Type(c.U32("EventType"))
	off := c.Off()
	n := c.U32("Digests.Count")
	if n == 0 || int64(n) > int64(len(declared)) {
		c.Failf(off, "Digests.Count", bin.ErrMalformed, "is %d, the header declares %d algorithms", n, len(declared))
	}
	if c.Err() != nil {
		return e
	}
	parseDigests(c, &e, int(n), declared)
	e.Data = c.Bytes("Event", int(c.U32("EventSize")))
	return e
}

// parseDigests reads n TPMT_HA, each le16 algorithm and digest. SHA-384 must be one of them and none occurs twice.
func parseDigests(c *bin.Cursor, e *Event, n int, declared []Algorithm) {
	start, found := c.Off(), false
	var seen [maxAlgorithms]Alg
	for i := range n {
		off := c.Off()
		alg := Alg(c.U16("AlgorithmId"))
		size := digestSize(declared, alg)
		if size < 0 {
			c.Failf(off, "AlgorithmId", bin.ErrMalformed, "is %v, which the header does not declare", alg)
		}
		for _, s := range seen[:i] {
			if s == alg {
				c.Failf(off, "AlgorithmId", bin.ErrMalformed, "%v occurs twice in one record", alg)
			}
		}
		seen[i] = alg
		value := c.Bytes("Digest", max(size, 0))
		if alg == SHA384 {
			found = true
			copy(e.Digest[:], value)
		}
		if n > 1 {
			e.Digests = append(e.Digests, Digest{alg, value})
		}
	}
	if !found {
		c.Failf(start, "Digests", bin.ErrUnsupported, "hold no sha384 digest")
	}
}

// AppendCCEL appends the log to b, without the fill of the area: header, then each event. Where an event has Digests,
// these are written, SHA-384 with the value of Digest. VendorInfo must be shorter than 256 bytes.
func (l *Log) AppendCCEL(b []byte) []byte {
	b = l.Header.append(b)
	for _, e := range l.Events {
		b = e.append(b)
	}
	return b
}

func (h *Header) append(b []byte) []byte {
	size := len(specID03) + 4 + 4 + 4 + 4*len(h.Algorithms) + 1 + len(h.VendorInfo)
	b = binary.LittleEndian.AppendUint32(b, h.MrIndex)
	b = binary.LittleEndian.AppendUint32(b, uint32(EVNoAction))
	b = append(b, make([]byte, sizeSHA1)...)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = append(b, specID03...)
	b = binary.LittleEndian.AppendUint32(b, h.PlatformClass)
	b = append(b, h.VersionMinor, h.VersionMajor, h.Errata, h.UintnSize)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(h.Algorithms)))
	for _, a := range h.Algorithms {
		b = binary.LittleEndian.AppendUint16(b, uint16(a.ID))
		b = binary.LittleEndian.AppendUint16(b, a.Size)
	}
	b = append(b, uint8(len(h.VendorInfo)))
	return append(b, h.VendorInfo...)
}

func (e *Event) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, e.MrIndex)
	b = binary.LittleEndian.AppendUint32(b, uint32(e.Type))
	if e.Digests == nil {
		b = binary.LittleEndian.AppendUint32(b, 1)
		b = binary.LittleEndian.AppendUint16(b, uint16(SHA384))
		b = append(b, e.Digest[:]...)
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(e.Digests)))
		for _, d := range e.Digests {
			b = binary.LittleEndian.AppendUint16(b, uint16(d.Alg))
			if d.Alg == SHA384 {
				d.Value = e.Digest[:]
			}
			b = append(b, d.Value...)
		}
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(e.Data)))
	return append(b, e.Data...)
}
