// Package shim reads what the first-stage loader shim carries and measures: its release, the certificates of its vendor
// and what its vendor refuses.
package shim

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/kernel"
)

// GUIDShimLock is the vendor of shim's variables, and the owner of what it adds to lists. Shim 16.1, lib/guid.c, SHIM_LOCK_GUID.
var GUIDShimLock = efi.MustGUID("605dab50-e046-4300-abb6-3dd810dd8b23")

// Names of sections. Shim 16.1, elf_x86_64_efi.lds and cert.S.
const (
	sectionIdent  = ".data.ident"
	sectionVendor = ".vendor_cert"
)

// An Image is a shim. It holds on to the bytes that it was parsed from, which must not change afterwards.
type Image struct {
	*kernel.PE
	Release    string // as it says of itself, "16.1"; empty where it does not
	Authorized []byte // a certificate or signature lists, by which it starts images
	Refused    []byte // signature lists of what it does not start

	odd string // why what it measures cannot be told, or ""
}

// Parse reads a shim. Errors are bin.FormatErrors.
func Parse(data []byte) (*Image, error) {
	pe, err := kernel.ParsePE(data)
	if err != nil {
		return nil, err
	}
	img := &Image{PE: pe, Release: release(pe)}
	table, ok, _ := pe.SectionData(sectionVendor) // all of it is in memory
	if !ok {
		return nil, formatError(0, sectionVendor, bin.ErrUnsupported, "is not among the sections: the file is no shim")
	}
	if err := img.readVendor(table); err != nil {
		return nil, err
	}
	code := data
	if pe.Signed() {
		code = data[:pe.Certificates.Off]
	}
	img.odd = img.oddity(code)
	return img, nil
}

// release finds the version among the lines of shim's identification. Shim 16.1, version.c.in.
func release(pe *kernel.PE) string {
	text, _, _ := pe.SectionData(sectionIdent)
	lines := strings.Split(string(text), "\n")
	if lines[0] != "UEFI SHIM" {
		return ""
	}
	for _, l := range lines {
		if v, ok := strings.CutPrefix(l, "$Version: "); ok {
			return strings.TrimSuffix(v, " $")
		}
	}
	return ""
}

// readVendor reads the vendor's table: two sizes and two offsets from the table's start, and what they point to.
// Shim 16.1, cert.S, cert_table.
func (img *Image) readVendor(table []byte) error {
	const header = 16
	c := bin.NewCursor(sectionVendor, table, 0)
	size := [2]uint32{c.U32("vendor_authorized_size"), c.U32("vendor_deauthorized_size")}
	off := [2]uint32{c.U32("vendor_authorized_offset"), c.U32("vendor_deauthorized_offset")}
	if c.Err() != nil {
		return c.Err()
	}
	for i, into := range []*[]byte{&img.Authorized, &img.Refused} {
		if size[i] == 0 {
			continue
		}
		end := uint64(off[i]) + uint64(size[i])
		if off[i] < header || end > uint64(len(table)) {
			return formatError(int64(8+4*i), "offset", bin.ErrMalformed, "and size put the vendor's list at 0x%x to 0x%x, the table has 0x%x bytes", off[i], end, len(table))
		}
		*into = table[off[i]:end]
	}
	return nil
}

// oddity finds what changes the lists that a shim measures and is no part of the vendor's table: a certificate of its own
// build, and the other names of a build for development. Shim 16.1, Make.defaults, ENABLE_SHIM_CERT and ENABLE_SHIM_DEVEL.
func (img *Image) oddity(data []byte) string {
	if bytes.Contains(data, efi.AppendUTF16(nil, "SbatLevel_DEVEL")) {
		return "it is a build for development, whose variables have other names"
	}
	for at := 0; ; at++ {
		i := bytes.Index(data[at:], []byte{0x30, 0x82})
		if i < 0 {
			return ""
		}
		at += i
		if len(data)-at < 6 {
			return ""
		}
		size := 4 + int(binary.BigEndian.Uint16(data[at+2:]))
		if size > len(data)-at || data[at+4] != 0x30 {
			continue
		}
		c, err := x509.ParseCertificate(data[at : at+size])
		if err == nil && !bytes.Contains(img.Authorized, c.Raw) && !bytes.Contains(img.Refused, c.Raw) {
			return fmt.Sprintf("it carries the certificate of %q beside its vendor's, and whether it adds that to its list is not known", c.Subject)
		}
	}
}

// MokList returns the value of MokList that shim makes where the store has none, and MokListX likewise: the vendor's list,
// or a list with one digest of zeros. An error says why they cannot be told.
// Shim 16.1, mok.c, mirror_one_mok_variable.
func (img *Image) MokList() ([]byte, error) {
	switch {
	case img.odd != "":
		return nil, fmt.Errorf("shim: %s", img.odd)
	case len(img.Authorized) == 0:
		return nothing(), nil
	}
	if _, err := x509.ParseCertificate(img.Authorized); err == nil {
		return list(efi.CertX509, img.Authorized), nil
	}
	if _, err := efi.ParseSignatureLists(img.Authorized, 0); err != nil {
		return nil, fmt.Errorf("shim: the vendor's certificate is neither one certificate nor signature lists")
	}
	return img.Authorized, nil
}

// MokListX returns the value of MokListX; see MokList.
func (img *Image) MokListX() []byte {
	if len(img.Refused) == 0 {
		return nothing()
	}
	return img.Refused
}

// nothing is the list that shim makes for want of entries.
func nothing() []byte { return list(efi.CertSHA256, make([]byte, 32)) }

// list is an EFI_SIGNATURE_LIST of one entry that shim owns.
func list(kind efi.GUID, data []byte) []byte {
	const header = 28
	size := uint32(len(GUIDShimLock) + len(data))
	b := append([]byte(nil), kind[:]...)
	b = binary.LittleEndian.AppendUint32(b, header+size)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, size)
	return append(append(b, GUIDShimLock[:]...), data...)
}

func formatError(off int64, field string, category error, format string, args ...any) error {
	return &bin.FormatError{Format: "shim", Off: off, Field: field, Msg: fmt.Sprintf(format, args...), Err: category}
}
