package kernel

import (
	"cmp"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"slices"

	"encoding/binary"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// ErrPatch is returned for a patch that cannot be applied to the image.
var ErrPatch = errors.New("patch does not fit the image")

// A Patch replaces bytes of a file.
type Patch struct {
	Field string // as the boot protocol names it, "ramdisk_image"
	Off   int64  // bytes from the start of the file
	Bytes []byte
}

// layOut works out which bytes the digest covers, in hashing order: the headers without CheckSum and the certificate
// table's directory entry, then each section by file offset, then what follows as far as the certificates.
//
// The rest is taken to start where the sizes of headers and sections add up to, and to end one certificate table
// before the end of the file, wherever the sections and the table really are. Nothing is padded. The steps are those
// of edk2-stable202605, OvmfPkg/Tcg/TdTcg2Dxe/MeasureBootPeCoff.c, MeasurePeImageAndExtend.
func (p *PE) layOut(optOff int64) error {
	checkSum := optOff + checkSumOff
	p.spans = append(p.spans, Span{0, checkSum})
	next := checkSum + checkSumSize
	if dirs := (*optionalHeader)(p.head[optOff:]).numberOfRvaAndSizes(); dirs > certificateEntry {
		entry := optOff + optionalFixed + certificateEntry*directorySize
		p.Certificates = Span{int64(binary.LittleEndian.Uint32(p.head[entry:])), int64(binary.LittleEndian.Uint32(p.head[entry+4:]))}
		if p.Certificates.Len > 0 && p.Certificates.End() > p.Size() {
			return peError(entry, "certificate table", bin.ErrTruncated, "ends at 0x%x, the file has 0x%x bytes", p.Certificates.End(), p.Size())
		}
		p.spans = append(p.spans, Span{next, entry - next})
		next = entry + directorySize
	}
	p.spans = append(p.spans, Span{next, p.SizeOfHeaders - next})
	hashed, end := p.SizeOfHeaders, p.SizeOfHeaders
	for _, s := range p.sortedRaw() {
		if s.Raw.Off < end {
			return peError(s.Raw.Off, "PointerToRawData", bin.ErrUnsupported, "of section %q overlaps the section before it, which ends at 0x%x", s.Name, end)
		}
		p.spans = append(p.spans, s.Raw)
		hashed, end = hashed+s.Raw.Len, s.Raw.End()
	}
	rest := p.Size() - p.Certificates.Len - hashed
	if rest < 0 {
		return peError(optOff+optionalFixed+certificateEntry*directorySize+4, "certificate table size", bin.ErrMalformed,
			"is %d, headers and sections leave %d bytes", p.Certificates.Len, p.Size()-hashed)
	}
	p.spans = append(p.spans, Span{hashed, rest})
	p.spans = slices.DeleteFunc(p.spans, func(s Span) bool { return s.Len == 0 })
	return nil
}

// Spans returns the runs of bytes that the digest covers, in hashing order.
func (p *PE) Spans() []Span { return slices.Clone(p.spans) }

// Authenticode returns the SHA-384 digest of the image as OVMF measures it. It is computed once; concurrent calls
// are safe. Errors wrap ErrRead.
func (p *PE) Authenticode() ([48]byte, error) {
	p.once.Do(func() { p.digest, p.failed = p.AuthenticodePatched(nil) })
	return p.digest, p.failed
}

// AuthenticodePatched returns what Authenticode would return for the file with the patches applied, without copying
// the file. Patches must lie in the file, must not overlap, and must leave the PE headers alone, since those decide
// what is hashed; otherwise the error wraps ErrPatch. Other errors wrap ErrRead.
func (p *PE) AuthenticodePatched(patches []Patch) ([48]byte, error) {
	h := sha512.New384()
	if err := p.WriteAuthenticode(h, patches); err != nil {
		return [48]byte{}, err
	}
	var d [48]byte
	h.Sum(d[:0])
	return d, nil
}

// WriteAuthenticode writes the bytes that the digest covers to w, which may be a hash of any kind, with the patches
// applied to them. Its errors are those of w and those of AuthenticodePatched.
func (p *PE) WriteAuthenticode(w io.Writer, patches []Patch) error {
	sorted, err := p.sortPatches(patches)
	if err != nil {
		return err
	}
	for _, s := range p.spans {
		if err := p.writeSpan(w, s, sorted); err != nil {
			return err
		}
	}
	return nil
}

// sortPatches returns the patches by ascending offset after checking them.
func (p *PE) sortPatches(patches []Patch) ([]Patch, error) {
	sorted := slices.Clone(patches)
	slices.SortStableFunc(sorted, func(a, b Patch) int { return cmp.Compare(a.Off, b.Off) })
	end := int64(0)
	for _, q := range sorted {
		n := int64(len(q.Bytes))
		switch {
		case q.Off < 0 || q.Off > p.Size()-n:
			return nil, fmt.Errorf("%w: %s at 0x%x, %d bytes, the file has 0x%x", ErrPatch, q.Field, q.Off, n, p.Size())
		case q.Off < end:
			return nil, fmt.Errorf("%w: %s at 0x%x overlaps another, which ends at 0x%x", ErrPatch, q.Field, q.Off, end)
		case q.Off < p.headers.End() && q.Off+n > p.headers.Off, q.Off < dosHeaderSize:
			return nil, fmt.Errorf("%w: %s at 0x%x would change the PE headers", ErrPatch, q.Field, q.Off)
		}
		end = q.Off + n
	}
	return sorted, nil
}

// writeSpan writes the bytes of s to w, taking those that a patch replaces from the patch. The patches are sorted and
// do not overlap.
func (p *PE) writeSpan(w io.Writer, s Span, patches []Patch) error {
	at := s.Off
	for _, q := range patches {
		from, to := max(at, q.Off), min(s.End(), q.Off+int64(len(q.Bytes)))
		if from >= to {
			continue
		}
		if err := p.write(w, Span{at, from - at}); err != nil {
			return err
		}
		if _, err := w.Write(q.Bytes[from-q.Off : to-q.Off]); err != nil {
			return err
		}
		at = to
	}
	return p.write(w, Span{at, s.End() - at})
}
