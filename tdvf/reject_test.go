package tdvf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/fixtures"
	"github.com/tdxkit/tdxkit/internal/bin"
)

// A build is a small image with metadata: variables of one page, code of two pages, the descriptor and the GUIDed table
// at the end. Changes to it are made before it is assembled.
type build struct {
	sections         []Section
	version, length  uint32
	count            uint32
	signature        string
	fromEnd          uint32 // 0 is where the descriptor is
	entry            []byte // data of the table's entry, nil is the distance
	tableLen, entryN uint16 // 0 is what is right
	noTable          bool
	legacy           bool
	size             int
}

const testImage = 3 * pageSize

// sound is a build that nothing is wrong with.
func sound() *build {
	return &build{
		version: 1, signature: "TDVF", size: testImage,
		sections: []Section{
			{pageSize, 2 * pageSize, fourGiB - 2*pageSize, 2 * pageSize, BFV, MRExtend},
			{0, pageSize, fourGiB - 3*pageSize, pageSize, CFV, 0},
			{0, 0, 0x810000, 0x10000, TempMem, 0},
			{0, 0, 0x809000, 0x2000, TDHOB, 0},
		},
	}
}

// descriptorOff is where image puts the descriptor, from the start of an image of the usual size.
const descriptorOff = testImage - 0x400

func (b *build) image() []byte {
	le := binary.LittleEndian
	img := make([]byte, b.size)
	for i := range img {
		img[i] = byte(i * 7 >> 3)
	}
	n := uint32(len(b.sections))
	d := append([]byte(nil), b.signature...)
	d = le.AppendUint32(d, descriptorSize+sectionSize*n+b.length)
	d = le.AppendUint32(d, b.version)
	d = le.AppendUint32(d, n+b.count)
	for _, s := range b.sections {
		d = le.AppendUint32(d, s.DataOffset)
		d = le.AppendUint32(d, s.RawDataSize)
		d = le.AppendUint64(d, s.MemoryAddress)
		d = le.AppendUint64(d, s.MemoryDataSize)
		d = le.AppendUint32(d, uint32(s.Type))
		d = le.AppendUint32(d, uint32(s.Attributes))
	}
	copy(img[len(img)-0x400:], d)
	if b.fromEnd == 0 {
		b.fromEnd = 0x400
	}
	if b.entry == nil {
		b.entry = le.AppendUint32(nil, b.fromEnd)
	}
	table := append([]byte(nil), b.entry...)
	table = le.AppendUint16(table, uint16(len(b.entry)+18)+b.entryN)
	table = append(table, metadataOffset[:]...)
	table = le.AppendUint16(table, uint16(len(table)+18)+b.tableLen)
	footer := [16]byte{0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45, 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d}
	table = append(table, footer[:]...)
	end := len(img) - 0x20
	clear(img[end:])
	if !b.noTable {
		copy(img[end-len(table):], table)
	}
	if b.legacy {
		le.PutUint32(img[end:], uint32(len(img)-0x400))
	}
	return img
}

func TestParseSound(t *testing.T) {
	image := sound().image()
	m, err := Parse(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Supported(); err != nil {
		t.Error(err)
	}
	if m.Off != descriptorOff || m.Legacy || len(m.Sections) != 4 || m.Sections[0] != sound().sections[0] {
		t.Errorf("metadata is %+v", m)
	}
	if got := m.Sections[0].Data(image); len(got) != 2*pageSize || &got[0] != &image[pageSize] {
		t.Errorf("BFV has %d bytes", len(got))
	}
	legacy := sound()
	legacy.noTable, legacy.legacy = true, true
	m, err = Parse(legacy.image())
	if err != nil || !m.Legacy || m.Off != descriptorOff {
		t.Errorf("by the pointer: %+v, error %v", m, err)
	}
	checkRejected(t, m.Supported(), bin.ErrUnsupported, descriptorOff, "TDX metadata offset")
}

func checkRejected(t *testing.T, err, want error, off int64, field string) {
	t.Helper()
	var f *bin.FormatError
	if !errors.As(err, &f) || !errors.Is(err, want) || f.Off != off || f.Field != field {
		t.Errorf("error is %v, want %s at offset 0x%x that is %v", err, field, off, want)
	}
}

// at is the offset of a field of section i.
func at(i int, field int64) int64 {
	return descriptorOff + descriptorSize + sectionSize*int64(i) + field
}

func TestParseRejects(t *testing.T) {
	const tableEnd = testImage - 0x20 - 18
	section := func(i int, change func(*Section)) func(*build) {
		return func(b *build) { change(&b.sections[i]) }
	}
	for _, tc := range []struct {
		name   string
		change func(*build)
		want   error
		off    int64
		field  string
	}{
		{"no metadata", func(b *build) { b.noTable = true }, bin.ErrUnsupported, testImage - 0x20, "TDX metadata"},
		{"table longer than the image", func(b *build) { b.tableLen = 0x7000 }, bin.ErrMalformed, tableEnd, "length"},
		{"table shorter than its footer", func(b *build) { b.tableLen = ^uint16(39) }, bin.ErrMalformed, tableEnd, "length"},
		{"table with half an entry", func(b *build) { b.tableLen = ^uint16(11) }, bin.ErrMalformed, tableEnd - 10, "entry"},
		{"entry longer than the table", func(b *build) { b.entryN = 1 }, bin.ErrMalformed, tableEnd - 18, "entry length"},
		{"entry shorter than itself", func(b *build) { b.entryN = ^uint16(7) }, bin.ErrMalformed, tableEnd - 18, "entry length"},
		{"entry of 8 bytes", func(b *build) { b.entry = make([]byte, 8) }, bin.ErrMalformed, tableEnd - 26, "TDX metadata offset"},
		{"distance over the image", func(b *build) { b.fromEnd = testImage + 1 }, bin.ErrMalformed, tableEnd - 22, "TDX metadata offset"},
		{"distance too short", func(b *build) { b.fromEnd = 15 }, bin.ErrMalformed, tableEnd - 22, "TDX metadata offset"},
		{"signature", func(b *build) { b.signature = "TDVG" }, bin.ErrMalformed, descriptorOff, "Signature"},
		{"version", func(b *build) { b.version = 2 }, bin.ErrUnsupported, descriptorOff + 8, "Version"},
		{"one section", func(b *build) { b.sections = b.sections[:1] }, bin.ErrMalformed, descriptorOff + 12, "NumberOfSectionEntries"},
		{"too many sections", func(b *build) { b.count = maxSections }, bin.ErrMalformed, descriptorOff + 12, "NumberOfSectionEntries"},
		{"length", func(b *build) { b.length = 1 }, bin.ErrMalformed, descriptorOff + 4, "Length"},
		{"sections past the end", func(b *build) { b.count, b.length = 30, 30*sectionSize }, bin.ErrTruncated, descriptorOff + 4, "Length"},
		{"type", section(2, func(s *Section) { s.Type = 9 }), bin.ErrUnsupported, at(2, 24), "Type"},
		{"attributes", section(2, func(s *Section) { s.Attributes = 4 }), bin.ErrUnsupported, at(2, 28), "Attributes"},
		{"address not of a page", section(2, func(s *Section) { s.MemoryAddress++ }), bin.ErrMalformed, at(2, 8), "MemoryAddress"},
		{"size not of a page", section(2, func(s *Section) { s.MemoryDataSize++ }), bin.ErrMalformed, at(2, 16), "MemoryDataSize"},
		{"raw size over memory size", section(0, func(s *Section) { s.RawDataSize++ }), bin.ErrMalformed, at(0, 4), "RawDataSize"},
		{"BFV without data", section(0, func(s *Section) { s.RawDataSize = 0 }), bin.ErrMalformed, at(0, 4), "RawDataSize"},
		{"CFV without data", section(1, func(s *Section) { s.RawDataSize = 0 }), bin.ErrMalformed, at(1, 4), "RawDataSize"},
		{"TempMem with data", section(2, func(s *Section) { s.RawDataSize = 1 }), bin.ErrMalformed, at(2, 4), "RawDataSize"},
		{"TD_HOB with data", section(3, func(s *Section) { s.RawDataSize = 1 }), bin.ErrMalformed, at(3, 4), "RawDataSize"},
		{"address over private memory", section(2, func(s *Section) { s.MemoryAddress = 1 << 52 }), bin.ErrMalformed, at(2, 8), "MemoryAddress"},
		{"end over private memory", section(2, func(s *Section) { s.MemoryAddress = 1<<51 - pageSize }), bin.ErrMalformed, at(2, 8), "MemoryAddress"},
		{"sum wraps", section(2, func(s *Section) { s.MemoryDataSize = ^uint64(0) &^ (pageSize - 1) }), bin.ErrMalformed, at(2, 8), "MemoryAddress"},
		{"data past the end", section(1, func(s *Section) { s.DataOffset = testImage - 1 }), bin.ErrTruncated, at(1, 0), "DataOffset"},
		{"data offset wraps", section(1, func(s *Section) { s.DataOffset = 0xfffff001 }), bin.ErrTruncated, at(1, 0), "DataOffset"},
		{"BFV is not the image's end", section(0, func(s *Section) { s.DataOffset = 0 }), bin.ErrMalformed, at(0, 0), "DataOffset"},
		{"overlap", section(3, func(s *Section) { s.MemoryAddress = 0x81f000 }), bin.ErrMalformed, at(3, 8), "MemoryAddress"},
		{"same memory", section(3, func(s *Section) { s.MemoryAddress = 0x810000 }), bin.ErrMalformed, at(3, 8), "MemoryAddress"},
		{"too much memory", section(2, func(s *Section) { s.MemoryDataSize = maxAdded }), bin.ErrUnsupported, at(2, 16), "MemoryDataSize"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := sound()
			tc.change(b)
			_, err := Parse(b.image())
			checkRejected(t, err, tc.want, tc.off, tc.field)
		})
	}
	for n := range 0x420 {
		if m, err := Parse(sound().image()[:n]); err == nil {
			t.Errorf("the first %d bytes give %v", n, m)
		}
	}
}

func TestSupportedRejects(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*build)
		want   error
		off    int64
		field  string
	}{
		{"PermMem", func(b *build) { b.sections[2].Type = PermMem }, bin.ErrUnsupported, at(2, 24), "Type"},
		{"TD_PARAMS", func(b *build) { b.sections[2].Type = TDParams }, bin.ErrUnsupported, at(2, 24), "Type"},
		{"PAGE.AUG", func(b *build) { b.sections[2].Attributes = PageAug }, bin.ErrUnsupported, at(2, 28), "Attributes"},
		{"no memory", func(b *build) { b.sections[2].MemoryDataSize = 0 }, bin.ErrMalformed, at(2, 16), "MemoryDataSize"},
		{"data not of a page", func(b *build) { b.sections[1].DataOffset = 8 }, bin.ErrMalformed, at(1, 0), "DataOffset"},
		{"half a page of data", func(b *build) { b.sections[1].RawDataSize = 8 }, bin.ErrUnsupported, at(1, 4), "RawDataSize"},
		{"measured TD_HOB", func(b *build) { b.sections[3].Attributes = MRExtend }, bin.ErrUnsupported, at(3, 28), "Attributes"},
		{"no TD_HOB", func(b *build) { b.sections = b.sections[:3] }, bin.ErrUnsupported, descriptorOff + 12, "NumberOfSectionEntries"},
		{"two TD_HOB", func(b *build) { b.sections[2].Type = TDHOB }, bin.ErrUnsupported, descriptorOff + 12, "NumberOfSectionEntries"},
		{"nothing where a TD begins", func(b *build) { b.sections[0].MemoryAddress = 0x100000 }, bin.ErrMalformed, descriptorOff + 12, "NumberOfSectionEntries"},
		{"code over 4 GiB", func(b *build) { b.sections[0].MemoryAddress += pageSize }, bin.ErrMalformed, descriptorOff + 12, "NumberOfSectionEntries"},
		{"variables elsewhere", func(b *build) { b.sections[1].MemoryAddress = 0x1000 }, bin.ErrMalformed, at(1, 8), "MemoryAddress"},
		{"variables where a TD begins", func(b *build) { b.sections[0].Type = CFV }, bin.ErrMalformed, descriptorOff + 12, "NumberOfSectionEntries"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := sound()
			tc.change(b)
			image := b.image()
			m, err := Parse(image)
			if err != nil {
				t.Fatal(err)
			}
			checkRejected(t, m.Supported(), tc.want, tc.off, tc.field)
			_, err = MRTD(image, m, SinglePass)
			checkRejected(t, err, tc.want, tc.off, tc.field)
			_, err = AppendHOB(nil, m, q35(1<<30, fourGiB))
			checkRejected(t, err, tc.want, tc.off, tc.field)
		})
	}
}

// TestMRTDOfZeros measures memory that the image does not fill.
func TestMRTDOfZeros(t *testing.T) {
	b := sound()
	b.sections[2].Attributes, b.sections[2].MemoryDataSize = MRExtend, pageSize
	image := b.image()
	m, err := Parse(image)
	if err != nil {
		t.Fatal(err)
	}
	l := NewLaunch()
	for i, s := range m.Sections {
		content := append(bytes.Clone(s.Data(image)), make([]byte, int(s.MemoryDataSize)-int(s.RawDataSize))...)
		for p := 0; p < len(content); p += pageSize {
			l.PageAdd(s.MemoryAddress + uint64(p))
			for c := p; c < p+pageSize && (i == 0 || i == 2); c += ChunkSize {
				l.Extend(s.MemoryAddress+uint64(c), (*[ChunkSize]byte)(content[c:]))
			}
		}
	}
	if got, err := MRTD(image, m, SinglePass); err != nil || got != l.Finalize() {
		t.Errorf("MRTD is %x, error %v; want %x", got, err, l.Finalize())
	}
	if _, err := MRTD(image[:pageSize], m, SinglePass); !errors.Is(err, bin.ErrTruncated) {
		t.Errorf("a shorter image gives error %v", err)
	}
}

func TestHOBRejects(t *testing.T) {
	m, err := Parse(sound().image())
	if err != nil {
		t.Fatal(err)
	}
	for name, ram := range map[string][]RAMRange{
		"none":                 nil,
		"empty range":          {{0, 0}},
		"out of order":         {{fourGiB, 1 << 30}, {0, 1 << 30}},
		"overlap":              {{0, 1 << 30}, {1<<30 - 1, 1}},
		"over private memory":  {{0, 1 << 52}},
		"sum wraps":            {{1 << 51, ^uint64(0)}},
		"too many":             make([]RAMRange, maxRAMRanges+1),
		"heap outside":         {{0, 8 << 20}},
		"heap half outside":    {{0, 0x811000}},
		"section in two":       {{0, 0x80a000}, {0x80a000, 1 << 30}},
		"begins behind it all": {{1 << 30, 1 << 30}},
	} {
		if h, err := NewHOB(m, ram); err == nil {
			t.Errorf("%s: list is %v", name, h)
		}
	}
	_, err = AppendHOB(nil, m, q35(8<<20, fourGiB))
	checkRejected(t, err, bin.ErrUnsupported, at(2, 8), "MemoryAddress")

	crowded := sound()
	for i := range uint64(120) {
		crowded.sections = append(crowded.sections, Section{MemoryAddress: 0x1000000 + 2*i*pageSize, MemoryDataSize: pageSize, Type: TempMem})
	}
	crowded.size = testImage + 0x2000
	crowded.sections[0].DataOffset = uint32(crowded.size - 2*pageSize)
	crowded.sections[1].DataOffset = uint32(crowded.size - 3*pageSize)
	image := crowded.image()
	// The descriptor of this build is longer than the room in front of the table.
	if _, err := Parse(image); err == nil {
		t.Error("an overwritten descriptor is taken")
	}
	m.Sections = crowded.sections
	if _, err := NewHOB(m, q35(1<<30, fourGiB)); !errors.Is(err, bin.ErrUnsupported) || !strings.Contains(err.Error(), "TD_HOB") {
		t.Errorf("a list longer than its section gives error %v", err)
	}
}

// TestCodeHalf gives the code half of a split build, whose metadata points behind it.
func TestCodeHalf(t *testing.T) {
	image := fixtures.Firmware(t, "ovmf-2025.02")
	_, err := Parse(image[0x84000:])
	if !errors.Is(err, bin.ErrTruncated) || !strings.Contains(fmt.Sprint(err), "code half") {
		t.Errorf("error is %v, want the hint at the code half", err)
	}
}

func TestStrings(t *testing.T) {
	for got, want := range map[string]string{
		TDHOB.String(): "TD_HOB", SectionType(99).String(): "type(99)",
		MRExtend.String(): "MR.EXTEND", PageAug.String(): "PAGE.AUG", (MRExtend | PageAug | 4).String(): "MR.EXTEND,PAGE.AUG,0x4", Attributes(0).String(): "0x0",
		SinglePass.String(): "single-pass", TwoPass.String(): "two-pass",
		LeafPageAdd.String(): "TDH.MEM.PAGE.ADD", LeafMRExtend.String(): "TDH.MR.EXTEND",
		SystemMemory.String(): "system memory", MemoryUnaccepted.String(): "unaccepted memory", ResourceType(5).String(): "resource(5)",
	} {
		if got != want {
			t.Errorf("text is %q, want %q", got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sound().image())
	legacy := sound()
	legacy.noTable, legacy.legacy = true, true
	f.Add(legacy.image())
	f.Fuzz(func(t *testing.T, image []byte) {
		m, err := Parse(image)
		if err != nil {
			return
		}
		var last uint64
		for _, s := range m.Sections {
			if got := s.Data(image); len(got) != int(s.RawDataSize) {
				t.Errorf("%d bytes of a section with %d", len(got), s.RawDataSize)
			}
			last += s.MemoryDataSize
		}
		if last > 1<<22 {
			return // correct and slow
		}
		_, err = MRTD(image, m, TwoPass)
		if (err == nil) != (m.Supported() == nil) {
			t.Errorf("MRTD gives error %v, Supported %v", err, m.Supported())
		}
		h, err := NewHOB(m, q35(4<<30, fourGiB))
		if err != nil {
			return
		}
		end := uint64(0)
		for _, r := range h.Resources {
			if r.Start < end || r.Len == 0 {
				t.Errorf("resource %+v after 0x%x", r, end)
			}
			end = r.Start + r.Len
		}
	})
}
