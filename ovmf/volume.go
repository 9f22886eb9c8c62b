package ovmf

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/lzma"
)

const (
	volumeFormat  = "firmware volume"
	fileFormat    = "firmware file"
	sectionFormat = "firmware section"

	volumeSignature = "_FVH"
	signatureOff    = 40      // of the signature in a volume header
	volumeFixed     = 56      // bytes of a volume header in front of its block map
	flashAlign      = 4 << 10 // bytes; a volume in the flash starts at a block
	erasePolarity   = 0x800   // EFI_FVB2_ERASE_POLARITY
	fileHeader      = 24
	fileHeaderLarge = 32
	attrLargeFile   = 0x01 // FFS_ATTRIB_LARGE_FILE
	attrChecksum    = 0x40 // FFS_ATTRIB_CHECKSUM
	fixedChecksum   = 0xaa // FFS_FIXED_CHECKSUM
	processing      = 0x01 // EFI_GUIDED_SECTION_PROCESSING_REQUIRED
	sizeElsewhere   = 0xffffff
	fileAlign       = 8
	sectionAlign    = 4
)

// Bits of a file's State; the highest one that is set counts. PI 1.8, volume 3, 3.2.3.1.
const (
	stateMask          = 0x3f
	stateDataValid     = 0x04 // EFI_FILE_DATA_VALID; the next one, EFI_FILE_MARKED_FOR_UPDATE, is valid too
	stateDeleted       = 0x10 // EFI_FILE_DELETED
	stateHeaderInvalid = 0x20 // EFI_FILE_HEADER_INVALID
)

// A parser carries the budget of one image.
type parser struct {
	files int   // files that may still come
	bytes int64 // bytes that may still be decompressed

	memory func(size int) []byte // for what is decompressed; nil is make
}

// flash reads the volumes that lie in a flash image. What is between volumes is skipped.
func (p *parser) flash(data []byte) ([]*Volume, error) {
	var volumes []*Volume
	for off := 0; ; {
		i := bytes.Index(data[off:], []byte(volumeSignature))
		if i < 0 {
			break
		}
		start := off + i - signatureOff
		if start < off || start%flashAlign != 0 {
			off += i + len(volumeSignature)
			continue
		}
		v, err := p.volume(data[start:], int64(start), 0)
		if err != nil {
			return nil, err
		}
		volumes = append(volumes, v)
		off = start + len(v.Data)
	}
	if len(volumes) == 0 {
		return nil, &bin.FormatError{Format: "flash image", Field: volumeSignature, Err: bin.ErrUnsupported, Msg: "is nowhere at the start of a block: there is no firmware volume"}
	}
	return volumes, nil
}

// volume reads the volume at the start of b. PI 1.8, volume 3, 3.2.1 Firmware Volume Header.
func (p *parser) volume(b []byte, base int64, depth int) (*Volume, error) {
	c := bin.NewCursor(volumeFormat, b, base)
	c.Bytes("ZeroVector", 16)
	v := &Volume{Off: base}
	copy(v.FileSystem[:], c.Bytes("FileSystemGuid", 16))
	size := c.U64("FvLength")
	sig := c.Bytes("Signature", 4)
	v.Attributes = c.U32("Attributes")
	v.HeaderSize = int(c.U16("HeaderLength"))
	c.U16("Checksum")
	ext := int(c.U16("ExtHeaderOffset"))
	c.U8("Reserved")
	revision := c.U8("Revision")
	switch {
	case c.Err() != nil:
	case string(sig) != volumeSignature:
		c.Failf(base+signatureOff, "Signature", bin.ErrMalformed, "is %q, want %q", sig, volumeSignature)
	case revision != 2:
		c.Failf(base+55, "Revision", bin.ErrUnsupported, "is %d, want 2", revision)
	case size > uint64(len(b)):
		c.Failf(base+32, "FvLength", bin.ErrTruncated, "is 0x%x, 0x%x bytes are left", size, len(b))
	case v.HeaderSize < volumeFixed || v.HeaderSize%2 != 0 || uint64(v.HeaderSize) > size:
		c.Failf(base+48, "HeaderLength", bin.ErrMalformed, "is %d in a volume of 0x%x bytes, want an even number from %d", v.HeaderSize, size, volumeFixed)
	case sum16(b[:v.HeaderSize]) != 0:
		c.Failf(base+50, "Checksum", bin.ErrMalformed, "makes the header sum to 0x%04x, want 0", sum16(b[:v.HeaderSize]))
	case depth > maxDepth:
		c.Failf(base, "volume", bin.ErrUnsupported, "is nested more than %d deep", maxDepth)
	}
	if c.Err() != nil {
		return nil, c.Err()
	}
	v.Data = b[:size:size]
	start := v.HeaderSize
	if ext != 0 {
		end, err := v.extension(ext)
		if err != nil {
			return nil, err
		}
		start = max(start, end)
	}
	if v.FileSystem == FFS2 || v.FileSystem == FFS3 {
		if err := p.readFiles(v, start, depth); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// extension reads the extended header at off and returns where it ends. PI 1.8, volume 3, 3.2.1.1.
func (v *Volume) extension(off int) (int, error) {
	c := bin.NewCursor(volumeFormat, v.Data, v.Off)
	c.Bytes("ExtHeaderOffset", off)
	copy(v.Name[:], c.Bytes("FvName", 16))
	size := c.U32("ExtHeaderSize")
	if c.Err() == nil && (off < v.HeaderSize || size < 20 || int64(size) > int64(len(v.Data)-off)) {
		c.Failf(v.Off+int64(off)+16, "ExtHeaderSize", bin.ErrMalformed, "is %d at 0x%x in a volume of 0x%x bytes", size, off, len(v.Data))
	}
	return off + int(size), c.Err()
}

// readFiles reads the files of a volume. PI 1.8, volume 3, 3.2.3 Firmware File Header.
func (p *parser) readFiles(v *Volume, off, depth int) error {
	erased := byte(0)
	if v.Attributes&erasePolarity != 0 {
		erased = 0xff
	}
	for {
		off = align(off, fileAlign)
		if off+fileHeader > len(v.Data) || isFill(v.Data[off:off+fileHeader], erased) {
			return nil
		}
		f, size, err := v.file(off, erased)
		if err != nil {
			return err
		}
		if f != nil && f.Type != FilePad {
			if p.files--; p.files < 0 {
				return formatError(fileFormat, v.Off+int64(off), "file", bin.ErrUnsupported, "is one too many, want at most %d in an image", maxFiles)
			}
			if hasSections(f.Type) {
				base := v.Off + int64(off) + int64(size-len(f.Data))
				if f.Sections, err = p.sections(f, f.Data, base, depth+1); err != nil {
					return err
				}
				f.label(f.Sections)
			}
			v.Files = append(v.Files, f)
		}
		off += size
	}
}

// hasSections reports whether files of a type consist of sections. PI 1.8, volume 3, 2.1.4.1.
func hasSections(t FileType) bool {
	return t >= FileFreeform && t <= 0x0f
}

// file reads the file at off. It returns nil for a file that is not, or no longer, valid, with its size all the same.
func (v *Volume) file(off int, erased byte) (*File, int, error) {
	at := v.Off + int64(off)
	c := bin.NewCursor(fileFormat, v.Data[off:], at)
	f := &File{GUID: efi.GUID(c.Bytes("Name", 16)), Off: int64(off), Volume: v}
	c.U8("IntegrityCheck.Header")
	dataSum := c.U8("IntegrityCheck.File")
	f.Type = FileType(c.U8("Type"))
	f.Attributes = c.U8("Attributes")
	size := uint64(u24(c.Bytes("Size", 3)))
	state := (c.U8("State") ^ erased) & stateMask
	if c.Err() == nil && state >= stateHeaderInvalid {
		return nil, fileHeader, nil
	}
	header := fileHeader
	if f.Attributes&attrLargeFile != 0 {
		size, header = c.U64("ExtendedSize"), fileHeaderLarge
	}
	switch {
	case c.Err() != nil:
	case state < stateDataValid:
		c.Failf(at+23, "State", bin.ErrMalformed, "has the bits 0x%02x, want a file that is complete", state)
	case size < uint64(header) || size > uint64(len(v.Data)-off):
		c.Failf(at+20, "Size", bin.ErrMalformed, "is 0x%x, want 0x%x to 0x%x", size, header, len(v.Data)-off)
	case headerSum(v.Data[off:off+header]) != 0:
		c.Failf(at+16, "IntegrityCheck.Header", bin.ErrMalformed, "makes the header sum to 0x%02x, want 0", headerSum(v.Data[off:off+header]))
	}
	if c.Err() != nil {
		return nil, 0, c.Err()
	}
	if state >= stateDeleted {
		return nil, int(size), nil
	}
	f.Data = v.Data[off+header : off+int(size)]
	want := byte(fixedChecksum)
	if f.Attributes&attrChecksum != 0 {
		want = -sum8(f.Data)
	}
	if dataSum != want {
		return nil, 0, formatError(fileFormat, at+17, "IntegrityCheck.File", bin.ErrMalformed, "is 0x%02x, want 0x%02x", dataSum, want)
	}
	return f, int(size), nil
}

// label takes name and version from the sections.
func (f *File) label(sections []*Section) {
	for _, s := range sections {
		switch s.Type {
		case SectionUI:
			f.Name = sectionText(s.Data)
		case SectionVersion:
			if len(s.Data) >= 2 {
				f.Version = sectionText(s.Data[2:])
			}
		}
		f.label(s.Sections)
	}
}

// sectionText returns the terminated string at the start of b, and the empty string where there is none.
func sectionText(b []byte) string {
	for i := 0; i+1 < len(b); i += 2 {
		if b[i] == 0 && b[i+1] == 0 {
			s, err := efi.DecodeUTF16(b[:i], 0)
			if err != nil {
				return ""
			}
			return s
		}
	}
	return ""
}

// sections reads the sections that fill b. PI 1.8, volume 3, 2.1.5 and 3.2.4 Firmware File Section.
func (p *parser) sections(f *File, b []byte, base int64, depth int) ([]*Section, error) {
	var list []*Section
	for off := 0; off+4 <= len(b); off = align(off, sectionAlign) {
		at := base + int64(off)
		size, header := uint64(u24(b[off:])), 4
		if size == sizeElsewhere && off+8 <= len(b) {
			size, header = uint64(binary.LittleEndian.Uint32(b[off+4:])), 8
		}
		switch {
		case size < uint64(header) || size > uint64(len(b)-off):
			return nil, formatError(sectionFormat, at, "Size", bin.ErrMalformed, "is 0x%x, want 0x%x to 0x%x", size, header, len(b)-off)
		case len(list) == maxSections:
			return nil, formatError(sectionFormat, at, "section", bin.ErrUnsupported, "is one too many, want at most %d", maxSections)
		case depth > maxDepth:
			return nil, formatError(sectionFormat, at, "section", bin.ErrUnsupported, "is nested more than %d deep", maxDepth)
		}
		s := &Section{Type: SectionType(b[off+3]), Data: b[off+header : off+int(size) : off+int(size)]}
		if err := p.inside(f, s, at+int64(header), header, depth); err != nil {
			return nil, err
		}
		list = append(list, s)
		off += int(size)
	}
	return list, nil
}

// inside reads what a section holds. Compressed sections are left pending.
func (p *parser) inside(f *File, s *Section, base int64, header, depth int) (err error) {
	switch s.Type {
	case SectionGUIDed:
		c := bin.NewCursor(sectionFormat, s.Data, base)
		copy(s.GUID[:], c.Bytes("SectionDefinitionGuid", 16))
		off, attr := int(c.U16("DataOffset")), c.U16("Attributes")
		if c.Err() == nil && (off < header+20 || off-header > len(s.Data)) {
			c.Failf(base+16, "DataOffset", bin.ErrMalformed, "is %d, want %d to %d", off, header+20, len(s.Data)+header)
		}
		if c.Err() != nil {
			return c.Err()
		}
		s.Data = s.Data[off-header:]
		switch {
		case s.GUID == guidedLZMA:
			s.pending = true
		case s.GUID == guidedCRC32 || attr&processing == 0:
			s.Sections, err = p.sections(f, s.Data, base+int64(off-header), depth+1)
		default:
			s.Opaque = true
		}
	case SectionCompression:
		c := bin.NewCursor(sectionFormat, s.Data, base)
		c.U32("UncompressedLength")
		kind := c.U8("CompressionType")
		s.Data = c.Rest()
		if c.Err() != nil {
			return c.Err()
		}
		if s.Opaque = kind != 0; !s.Opaque {
			s.Sections, err = p.sections(f, s.Data, base+5, depth+1)
		}
	case SectionDisposable:
		s.Sections, err = p.sections(f, s.Data, base, depth+1)
	case SectionVolume:
		s.Inner, err = p.volume(s.Data, base, depth+1)
		if err == nil {
			s.Inner.Outer = f
		}
	}
	return err
}

// expandAll decompresses what is pending in the volumes, lists them and the volumes inside them.
func (p *parser) expandAll(volumes []*Volume) ([]*Volume, error) {
	var all []*Volume
	for _, v := range volumes {
		all = append(all, v)
		for _, f := range v.Files {
			inner, err := p.expandSections(f, f.Sections, 0)
			if err != nil {
				return nil, err
			}
			all = append(all, inner...)
			f.label(f.Sections)
		}
	}
	return all, nil
}

func (p *parser) expandSections(f *File, sections []*Section, depth int) ([]*Volume, error) {
	var all []*Volume
	for _, s := range sections {
		if s.pending {
			s.pending = false
			b, err := lzma.DecodeIn(s.Data, p.bytes, p.memory)
			if err != nil {
				return nil, fmt.Errorf("compressed section of file %s: %w", f.GUID, err)
			}
			p.bytes -= int64(len(b))
			if s.Sections, err = p.sections(f, b, 0, depth+1); err != nil {
				return nil, err
			}
		}
		if depth > maxDepth {
			return nil, formatError(sectionFormat, 0, "section", bin.ErrUnsupported, "is nested more than %d deep", maxDepth)
		}
		inner, err := p.expandSections(f, s.Sections, depth+1)
		if err != nil {
			return nil, err
		}
		all = append(all, inner...)
		if s.Inner != nil {
			inner, err := p.expandAll([]*Volume{s.Inner})
			if err != nil {
				return nil, err
			}
			all = append(all, inner...)
		}
	}
	return all, nil
}
