package kernel

import (
	"bytes"
	"crypto/sha512"
	"fmt"

	"github.com/saferwall/pe"
	"github.com/saferwall/pe/log"

	"github.com/tdxkit/tdxkit/internal/bin"
)

// silent drops what saferwall/pe logs; its own default writes to stdout.
type silent struct{}

func (silent) Log(log.Level, ...any) error { return nil }

// openSaferwall parses the headers of data with saferwall/pe, whose panics on odd input become errors.
func openSaferwall(data []byte) (f *pe.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			f, err = nil, fmt.Errorf("saferwall/pe: %v", r)
		}
	}()
	f, err = pe.NewBytes(data, &pe.Options{Fast: true, MaxCOFFSymbolsCount: 1, Logger: silent{}})
	if err != nil {
		return nil, err
	}
	return f, f.Parse()
}

// checkSaferwall reads the headers again with saferwall/pe and refuses the image if the two readers see different
// sections: then one of them is wrong about which bytes are hashed.
func checkSaferwall(p *PE) error {
	f, err := openSaferwall(p.head)
	if err != nil {
		return peError(0, "headers", bin.ErrUnsupported, "are refused by a second reader: %v", err)
	}
	if got, want := f.NtHeader.FileHeader.NumberOfSections, len(p.Sections); int(got) != want || len(f.Sections) != want {
		return peError(p.headers.Off, "NumberOfSections", bin.ErrUnsupported, "is %d, a second reader finds %d", want, len(f.Sections))
	}
	// saferwall/pe sorts its sections by virtual address, so they are looked up, not compared in order.
	type row struct {
		name       [8]byte
		virt, size uint32
		raw        Span
	}
	seen := make(map[row]int)
	for _, s := range f.Sections {
		h := s.Header
		seen[row{h.Name, h.VirtualAddress, h.VirtualSize, Span{int64(h.PointerToRawData), int64(h.SizeOfRawData)}}]++
	}
	for _, s := range p.Sections {
		row := row{virt: s.VirtualAddress, size: s.VirtualSize, raw: s.Raw}
		copy(row.name[:], s.Name)
		if seen[row] == 0 {
			return peError(p.headers.Off, "section table", bin.ErrUnsupported, "has a section %q that a second reader does not find", s.Name)
		}
		seen[row]--
	}
	return nil
}

// CrossCheck hashes the image a second time with saferwall/pe and says whether the two digests agree. It costs as much
// as Authenticode. An image with a gap before a section or with certificates before its end makes them differ, since
// saferwall/pe hashes the file front to back; the firmware's digest is the one that Authenticode returns.
func (p *PE) CrossCheck() error {
	data, err := p.bytes(Span{0, p.Size()})
	if err != nil {
		return err
	}
	f, err := openSaferwall(data)
	if err != nil {
		return err
	}
	var got [48]byte
	h := sha512.New384()
	if sums := f.AuthentihashExt(h); len(sums) == 1 {
		copy(got[:], sums[0])
	}
	want, err := p.Authenticode()
	if err != nil {
		return err
	}
	if !bytes.Equal(got[:], want[:]) {
		return fmt.Errorf("kernel: digest %x, saferwall/pe has %x", want, got)
	}
	return nil
}
