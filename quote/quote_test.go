package quote_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/testpki"
	"github.com/tdxkit/tdxkit/quote"
)

// found renders a quote in the keys of fields.json.
func found(q *quote.Quote) map[string]any {
	h := func(b []byte) string { return hex.EncodeToString(b) }
	sum := func(b []byte) string { s := sha256.Sum256(b); return h(s[:]) }
	t := &q.TD
	qe := q.Certification.QE
	m := map[string]any{
		"version": float64(q.Header.Version), "body": float64(q.Kind),
		"tee_tcb_svn": h(t.TEETCBSVN[:]), "mrseam": h(t.MRSEAM[:]), "mrsignerseam": h(t.MRSIGNERSEAM[:]),
		"seamattributes": h(t.SEAMAttributes[:]),
		"tdattributes":   h(binary.LittleEndian.AppendUint64(nil, uint64(t.Attributes))),
		"xfam":           h(binary.LittleEndian.AppendUint64(nil, uint64(t.XFAM))),
		"mrtd":           h(t.MRTD[:]), "mrconfigid": h(t.MRCONFIGID[:]), "mrowner": h(t.MROWNER[:]), "mrownerconfig": h(t.MROWNERCONFIG[:]),
		"rtmr0": h(t.RTMR[0][:]), "rtmr1": h(t.RTMR[1][:]), "rtmr2": h(t.RTMR[2][:]), "rtmr3": h(t.RTMR[3][:]),
		"reportdata": h(t.REPORTDATA[:]), "signature": h(q.Signature[:]), "attestation_key": h(q.AttestationKey[:]),
		"qe_mrsigner": h(qe.Report.MRSIGNER[:]), "qe_isvsvn": float64(qe.Report.ISVSVN),
		"certification": float64(qe.Platform.Type), "chain_sha256": sum(q.PCKChainPEM()), "signed_sha256": sum(q.Signed),
		"padding": float64(q.Padding),
	}
	if q.Kind == quote.TD15Body {
		m["tee_tcb_svn2"], m["mrservicetd"] = h(t.TEETCBSVN2[:]), h(t.MRSERVICETD[:])
	}
	return m
}

func TestParse(t *testing.T) {
	var want map[string]map[string]any
	if err := json.Unmarshal(fixtures.File(t, "quotes", "fields.json"), &want); err != nil {
		t.Fatal(err)
	}
	for name, fields := range want {
		t.Run(name, func(t *testing.T) {
			data := fixtures.File(t, "quotes", name)
			if name == "google-spr-e4.bin" { // refused for its end, which TestParseRejects looks at
				data = data[:len(data)-39]
				fields["padding"] = 0.0
			}
			q, err := quote.Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			got := found(q)
			for k, w := range fields {
				if got[k] != w {
					t.Errorf("%s: got %v, want %v", k, got[k], w)
				}
			}
			if len(got) != len(fields) {
				t.Errorf("compared %d fields, have %d", len(fields), len(got))
			}
			checkTiling(t, q)
		})
	}
}

// checkTiling fails unless the fields cover every byte once, in order.
func checkTiling(t *testing.T, q *quote.Quote) {
	t.Helper()
	var off int64
	for _, f := range q.Fields() {
		if f.Off != off {
			t.Fatalf("field %q is at 0x%x, the one before ends at 0x%x", f.Name, f.Off, off)
		}
		off += int64(len(f.Bytes))
		if f.Name == "" {
			t.Errorf("a field at 0x%x has no name", f.Off)
		}
	}
	if off != int64(len(q.Raw)) {
		t.Errorf("fields end at 0x%x, the quote at 0x%x", off, len(q.Raw))
	}
}

// TestParseTruth parses every quote of the larger collection; all have fields that tile them.
func TestParseTruth(t *testing.T) {
	n := 0
	for _, glob := range []string{"quotes/*/quote.bin", "quotes/near-history/quotes/*.bin", "hardware/coco-trustee/*quote*",
		"hardware/coco-trustee/aael/*quote*", "hardware/attestation-rs/*quote*", "hardware/cc-api/quote.bin", "hardware/openanolis-trustee/*quote.bin"} {
		files, err := filepath.Glob(fixtures.Truth(t, glob))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			q, err := quote.Parse(data)
			if strings.Contains(f, "google-spr-e4") {
				if err == nil {
					t.Errorf("%s: accepted with bytes after its end that are not zero", f)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", f, err)
				continue
			}
			checkTiling(t, q)
			n++
		}
	}
	if n < 43 {
		t.Errorf("parsed %d quotes, want at least 43", n)
	}
}

// TestGuestAgrees compares the quote of a TD with what the TD's own agent said of its registers.
func TestGuestAgrees(t *testing.T) {
	q, err := quote.Parse(fixtures.File(t, "quotes", "near-mpc.bin"))
	if err != nil {
		t.Fatal(err)
	}
	var info struct{ MRTD, RTMR0, RTMR1, RTMR2, RTMR3 string }
	if err := json.Unmarshal(fixtures.File(t, "quotes", "near-mpc.tcb_info.json"), &info); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		got  [48]byte
		want string
	}{"MRTD": {q.TD.MRTD, info.MRTD}, "RTMR0": {q.TD.RTMR[0], info.RTMR0}, "RTMR1": {q.TD.RTMR[1], info.RTMR1},
		"RTMR2": {q.TD.RTMR[2], info.RTMR2}, "RTMR3": {q.TD.RTMR[3], info.RTMR3}} {
		if hex.EncodeToString(c.got[:]) != c.want {
			t.Errorf("%s: got %x, want %s", name, c.got, c.want)
		}
	}
}

func TestParseRejects(t *testing.T) {
	v4 := testpki.Default().Build().Quote
	v5 := testpki.Default().V5().Build().Quote
	const sigLen4, sigLen5 = 48 + 584, 54 + 648
	put16 := func(off int, v uint16) func([]byte) []byte {
		return func(b []byte) []byte { binary.LittleEndian.PutUint16(b[off:], v); return b }
	}
	put32 := func(off int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.LittleEndian.PutUint32(b[off:], v); return b }
	}
	add32 := func(off, n int) func([]byte) []byte {
		return func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[off:], uint32(int(binary.LittleEndian.Uint32(b[off:]))+n))
			return b
		}
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }
	whole := func(b []byte) []byte { return b }
	enclave := testpki.Default()
	enclave.Quote.Kind = quote.EnclaveBody
	enclave4 := enclave.Build().Quote
	enclave.Quote.Version = 5
	enclave5 := enclave.Build().Quote
	const cert4 = sigLen4 + 4 + 128  // outer certification data
	const authSize = cert4 + 6 + 448 // QE authentication data size
	const nested = authSize + 2 + 32 // nested certification data
	for _, tc := range []struct {
		name  string
		data  []byte
		alter func([]byte) []byte
		off   int64
		field string
		err   error
	}{
		{"empty", nil, cut(0), 0, "version", bin.ErrTruncated},
		{"version 2", v4, put16(0, 2), 0, "version", bin.ErrUnsupported},
		{"version 6", v4, put16(0, 6), 0, "version", bin.ErrUnsupported},
		{"attestation key P-384", v4, put16(2, 3), 2, "attestation key type", bin.ErrUnsupported},
		{"TEE type unknown", v4, put32(4, 0x82), 4, "TEE type", bin.ErrUnsupported},
		{"version 3 of a TD", v4, put16(0, 3), 4, "TEE type", bin.ErrUnsupported},
		{"header cut", v4, cut(47), 28, "user data", bin.ErrTruncated},
		{"body cut", v4, cut(48 + 583), 48 + 520, "REPORTDATA", bin.ErrTruncated},
		{"body type 0", v5, put16(48, 0), 48, "body type", bin.ErrUnsupported},
		{"body type 5", v5, put16(48, 5), 48, "body type", bin.ErrUnsupported},
		{"body type of TDX 1.0 with size of 1.5", v5, put16(48, 2), 50, "body size", bin.ErrMalformed},
		{"body size off by one", v5, put32(50, 649), 50, "body size", bin.ErrMalformed},
		{"body size huge", v5, put32(50, 0xFFFFFFFF), 50, "body size", bin.ErrMalformed},
		{"body of a TD in an enclave's quote", v5, put32(4, 0), 48, "body type", bin.ErrMalformed},
		{"body of an enclave in a TD's quote", enclave5, put32(4, 0x81), 48, "body type", bin.ErrMalformed},
		{"an enclave's quote of version 4", enclave4, whole, 4, "body type", bin.ErrUnsupported},
		{"an enclave's quote of version 5", enclave5, whole, 48, "body type", bin.ErrUnsupported},
		{"signature data length missing", v4, cut(sigLen4 + 3), sigLen4, "signature data length", bin.ErrTruncated},
		{"signature data length past the end", v4, add32(sigLen4, 1), sigLen4, "signature data length", bin.ErrTruncated},
		{"signature data length huge", v5, put32(sigLen5, 0xFFFFFFFF), sigLen5, "signature data length", bin.ErrTruncated},
		{"signature data length short", v4, add32(sigLen4, -1), int64(len(v4)), "signature data length", bin.ErrMalformed},
		{"signature data length zero", v4, put32(sigLen4, 0), int64(len(v4)), "signature data length", bin.ErrMalformed},
		{"certification type 0", v4, put16(cert4, 0), cert4, "certification data type", bin.ErrUnsupported},
		{"certification type 8", v4, put16(cert4, 8), cert4, "certification data type", bin.ErrUnsupported},
		{"certification type 1 of the wrong size", v4, put16(cert4, 1), cert4 + 2, "certification data size", bin.ErrMalformed},
		{"certification size past the end", v4, add32(cert4+2, 1), cert4 + 2, "certification data size", bin.ErrTruncated},
		{"certification size short", v4, add32(cert4+2, -1), int64(len(v4)), "certification data size", bin.ErrMalformed},
		{"authentication data past the end", v4, put16(authSize, 0xFFFF), authSize + 2, "authentication data", bin.ErrTruncated},
		{"QE report inside a QE report", v4, put16(nested, 6), nested, "certification data type", bin.ErrMalformed},
		{"nested size past the end", v4, add32(nested+2, 1), nested + 2, "certification data size", bin.ErrTruncated},
		{"nested size short", v4, add32(nested+2, -1), int64(len(v4)) - 1, "certification data size", bin.ErrMalformed},
		{"trailing byte", v4, func(b []byte) []byte { return append(b, make([]byte, 70)[:69]...) }, 0, "", nil},
		{"trailing byte that is not zero", v4, func(b []byte) []byte { return append(append(b, make([]byte, 69)...), 1) },
			int64(len(v4)) + 69, "trailing data", bin.ErrMalformed},
		{"trailing data of a real quote", fixtures.File(t, "quotes", "google-spr-e4.bin"), cut(4974), 4935, "trailing data", bin.ErrMalformed},
		{"as large as can be", v4, func(b []byte) []byte { return append(b, make([]byte, bin.MaxQuote-len(b))...) }, 0, "", nil},
		{"too large", v4, func(b []byte) []byte { return append(b, make([]byte, bin.MaxQuote-len(b)+1)...) }, 0, "size", bin.ErrUnsupported},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := quote.Parse(tc.alter(append([]byte(nil), tc.data...)))
			if tc.err == nil {
				if err != nil {
					t.Errorf("got %v, want it accepted", err)
				}
				return
			}
			var fe *bin.FormatError
			if !errors.As(err, &fe) || !errors.Is(err, tc.err) || fe.Off != tc.off || !strings.HasSuffix(fe.Field, tc.field) {
				t.Errorf("got %v, want field %q at 0x%x, %v", err, tc.field, tc.off, tc.err)
			}
		})
	}
}

// TestParseTruncated cuts a quote at every length.
func TestParseTruncated(t *testing.T) {
	for _, s := range []*testpki.Scenario{testpki.Default(), testpki.Default().V5()} {
		data := s.Build().Quote
		for n := range data {
			if _, err := quote.Parse(data[:n]); !errors.Is(err, bin.ErrTruncated) {
				t.Fatalf("version %d cut to %d of %d bytes: got %v, want ErrTruncated", s.Quote.Version, n, len(data), err)
			}
		}
	}
}

func TestParseAny(t *testing.T) {
	for _, tc := range []struct {
		version uint16
		kind    quote.BodyKind
		parses  bool
	}{{4, quote.TD10Body, true}, {5, quote.TD10Body, true}, {5, quote.TD15Body, true}, {5, quote.TD15ExBody, false},
		{4, quote.EnclaveBody, false}, {5, quote.EnclaveBody, false}} {
		t.Run(fmt.Sprintf("version %d %v", tc.version, tc.kind), func(t *testing.T) {
			s := testpki.Default()
			s.Quote.Version, s.Quote.Kind = tc.version, tc.kind
			data := s.Build().Quote
			q, err := quote.ParseAny(data)
			if err != nil {
				t.Fatal(err)
			}
			checkTiling(t, q)
			if q.Kind != tc.kind || (q.Enclave != nil) != (tc.kind == quote.EnclaveBody) || (q.TD.Extended != nil) != (tc.kind == quote.TD15ExBody) {
				t.Errorf("got kind %v, enclave %v, extended %v", q.Kind, q.Enclave, q.TD.Extended)
			}
			_, err = quote.Parse(data)
			if tc.parses != (err == nil) || err != nil && !errors.Is(err, bin.ErrUnsupported) {
				t.Errorf("Parse: got %v, want it accepted: %v", err, tc.parses)
			}
		})
	}
}

// version3 rewrites an enclave's version 4 quote into one of version 3, whose QE report is not wrapped.
func version3() []byte {
	s := testpki.Default()
	s.Quote.Kind = quote.EnclaveBody
	d := s.Build().Quote
	const sig = 48 + 384
	out := append([]byte(nil), d[:sig+4+128]...)
	out = append(out, d[sig+4+128+6:]...)
	binary.LittleEndian.PutUint16(out, 3)
	binary.LittleEndian.PutUint32(out[sig:], uint32(len(out)-sig-4))
	return out
}

func TestParseAnyVersion3(t *testing.T) {
	q, err := quote.ParseAny(version3())
	if err != nil {
		t.Fatal(err)
	}
	checkTiling(t, q)
	if q.PCKChainPEM() == nil || q.Kind != quote.EnclaveBody {
		t.Errorf("got kind %v, chain of %d bytes", q.Kind, len(q.PCKChainPEM()))
	}
	if _, err := quote.Parse(version3()); !errors.Is(err, bin.ErrUnsupported) {
		t.Errorf("Parse: got %v, want ErrUnsupported", err)
	}
}

// TestCertificationTypes puts each type of certification data in the place of the QE report's.
func TestCertificationTypes(t *testing.T) {
	d := testpki.Default().Build().Quote
	const sig = 48 + 584
	for typ, size := range map[quote.CertificationType]int{1: 36, 2: 276, 3: 404, 4: 1000, 5: 3000, 7: 100} {
		b := append([]byte(nil), d[:sig+4+128]...)
		b = binary.LittleEndian.AppendUint16(b, uint16(typ))
		b = binary.LittleEndian.AppendUint32(b, uint32(size))
		b = append(b, make([]byte, size)...)
		binary.LittleEndian.PutUint32(b[sig:], uint32(len(b)-sig-4))
		q, err := quote.Parse(b)
		if err != nil {
			t.Errorf("type %d: %v", typ, err)
			continue
		}
		if q.Certification.Type != typ || len(q.Certification.Data) != size || q.Certification.QE != nil || q.PCKChainPEM() != nil {
			t.Errorf("type %d: got %d with %d bytes", typ, q.Certification.Type, len(q.Certification.Data))
		}
		checkTiling(t, q)
	}
}

// TestNestedCertification puts each type of certification data in the place of the PCK chain; one of them alone is a chain.
func TestNestedCertification(t *testing.T) {
	d := testpki.Default().Build().Quote
	const outer = 48 + 584 + 4 + 128        // outer certification data
	const nested = outer + 6 + 448 + 2 + 32 // nested certification data
	for typ, size := range map[quote.CertificationType]int{1: 36, 2: 276, 3: 404, 4: 1000, 5: 3000, 7: 100} {
		b := binary.LittleEndian.AppendUint16(bytes.Clone(d[:nested]), uint16(typ))
		b = binary.LittleEndian.AppendUint32(b, uint32(size))
		b = append(b, make([]byte, size)...)
		binary.LittleEndian.PutUint32(b[outer+2:], uint32(len(b)-outer-6))
		binary.LittleEndian.PutUint32(b[48+584:], uint32(len(b)-48-584-4))
		q, err := quote.Parse(b)
		if err != nil {
			t.Errorf("type %d: %v", typ, err)
			continue
		}
		if p := q.Certification.QE.Platform; p.Type != typ || len(p.Data) != size || (q.PCKChainPEM() != nil) != (typ == quote.PCKChain) {
			t.Errorf("type %d: got %d with %d bytes, a chain of %d", typ, p.Type, len(p.Data), len(q.PCKChainPEM()))
		}
		checkTiling(t, q)
	}
}

// TestParseCopies makes sure that a caller's later writes do not reach the quote.
func TestParseCopies(t *testing.T) {
	data := testpki.Default().Build().Quote
	q, err := quote.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	before := sha256.Sum256(q.Signed)
	clear(data)
	if sha256.Sum256(q.Signed) != before {
		t.Error("the quote changed with the caller's slice")
	}
}

func TestNames(t *testing.T) {
	a := quote.Debug | quote.SEPTVEDisable | quote.Migratable | 1<<63 | 1<<40
	if got := fmt.Sprint(a.Names()); got != "[DEBUG SEPT_VE_DISABLE MIGRATABLE bit 40 PERFMON]" {
		t.Errorf("got %s", got)
	}
	if a.Unknown() != 1<<40 {
		t.Errorf("unknown: got %x", uint64(a.Unknown()))
	}
	x := quote.XFAM(0x602E7 | 1<<62)
	if x.Unknown() != 1<<62 || len(x.Names()) != 10 {
		t.Errorf("XFAM: got unknown %x, names %v", uint64(x.Unknown()), x.Names())
	}
}
