package ovmf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/tdxkit/tdxkit/efi"
	"github.com/tdxkit/tdxkit/internal/bin"
)

// makeVolume assembles a volume of size bytes with a correct header around what follows the header; ext is the offset
// of an extended header, 0 is none.
func makeVolume(fs efi.GUID, size int, ext uint16, body []byte) []byte {
	le := binary.LittleEndian
	v := make([]byte, 16, size)
	v = append(v, fs[:]...)
	v = le.AppendUint64(v, uint64(size))
	v = append(v, volumeSignature...)
	v = le.AppendUint32(v, 0x4feff)
	v = le.AppendUint16(v, 72)
	v = le.AppendUint16(v, 0)
	v = le.AppendUint16(v, ext)
	v = append(v, 0, 2)
	v = le.AppendUint32(v, uint32(size/0x1000))
	v = le.AppendUint32(v, 0x1000)
	v = append(v, make([]byte, 8)...)
	v = append(v, body...)
	for len(v) < size {
		v = append(v, 0xff)
	}
	return fixVolume(v)
}

// fixVolume makes the checksum right.
func fixVolume(v []byte) []byte {
	v[50], v[51] = 0, 0
	binary.LittleEndian.PutUint16(v[50:], -sum16(v[:72]))
	return v
}

// extended is an extended header without entries, padded to where a file may start.
func extended(name efi.GUID) []byte {
	return append(append(bytes.Clone(name[:]), 20, 0, 0, 0), 0xff, 0xff, 0xff, 0xff)
}

func makeFile(g efi.GUID, t FileType, data []byte) []byte {
	n := fileHeader + len(data)
	f := append(bytes.Clone(g[:]), 0, fixedChecksum, byte(t), 0, byte(n), byte(n>>8), byte(n>>16), 0xf8)
	return padTo(append(fixFile(f), data...), fileAlign, 0xff)
}

// fixFile makes the checksum of a file's header right.
func fixFile(f []byte) []byte {
	n := fileHeader
	if f[19]&attrLargeFile != 0 {
		n = fileHeaderLarge
	}
	f[16] = 0
	f[16] = -headerSum(f[:n])
	return f
}

func makeSection(t SectionType, data []byte) []byte {
	n := 4 + len(data)
	return padTo(append([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(t)}, data...), sectionAlign, 0)
}

func makeGUIDed(g efi.GUID, attr byte, data []byte) []byte {
	return makeSection(SectionGUIDed, append(append(bytes.Clone(g[:]), 24, 0, attr, 0), data...))
}

func padTo(b []byte, to int, fill byte) []byte {
	for len(b)%to != 0 {
		b = append(b, fill)
	}
	return b
}

var someGUID = efi.MustGUID("00112233-4455-6677-8899-aabbccddeeff")

// driver is a file with a name and code.
func driver(name string) []byte {
	return makeFile(someGUID, FileDriver, append(makeSection(SectionPE32, []byte("MZ")), makeSection(SectionUI, efi.AppendUTF16Z(nil, name))...))
}

func TestParseMade(t *testing.T) {
	inner := makeVolume(FFS2, 0x2000, 0, driver("inner"))
	large := append(bytes.Clone(someGUID[:]), 0, fixedChecksum, byte(FileRaw), attrLargeFile, 0, 0, 0, 0xf8, 0x22, 0, 0, 0, 0, 0, 0, 0)
	deleted := driver("deleted")
	deleted[23] = 0xe8
	summed := driver("summed")
	summed[19] = attrChecksum
	summed[17] = -sum8(summed[fileHeader:u24(summed[20:])])
	fixFile(summed)
	longSection := append([]byte{0xff, 0xff, 0xff, byte(SectionRaw), 9, 0, 0, 0}, 7)
	body := bytes.Join([][]byte{
		extended(dxefv),
		driver("first"),
		makeFile(someGUID, FilePad, make([]byte, 16)),
		deleted,
		padTo(append(fixFile(large), 1, 2), fileAlign, 0xff),
		summed,
		makeFile(someGUID, FileFreeform, longSection),
		makeFile(someGUID, FileVolume, makeGUIDed(guidedCRC32, 1, makeSection(SectionVolume, inner))),
		makeFile(someGUID, FileFreeform, makeGUIDed(someGUID, processing, []byte{1})),
		makeFile(someGUID, FileFreeform, makeSection(SectionCompression, append([]byte{8, 0, 0, 0, 0}, makeSection(SectionRaw, []byte{5})...))),
		makeFile(someGUID, FileFreeform, makeSection(SectionCompression, []byte{8, 0, 0, 0, 1, 0})),
		makeFile(someGUID, FileFreeform, makeSection(SectionDisposable, makeSection(SectionRaw, []byte{6}))),
	}, nil)
	image := append(make([]byte, 0x1000), makeVolume(FFS2, 0x4000, 72, body)...)
	img, err := Parse(image)
	if err != nil {
		t.Fatal(err)
	}
	volumes, err := img.Volumes()
	if err != nil || len(volumes) != 2 {
		t.Fatalf("%d volumes, error %v", len(volumes), err)
	}
	v := volumes[0]
	if v.Off != 0x1000 || v.Name != dxefv || len(v.Files) != 9 {
		t.Fatalf("volume at 0x%x, %s, has %d files", v.Off, v.Name, len(v.Files))
	}
	for i, want := range []string{"first", "", "summed", "", "", "", "", "", ""} {
		if got := v.Files[i].Name; got != want {
			t.Errorf("file %d is %q, want %q", i, got, want)
		}
	}
	if got := v.Files[1].Data; !bytes.Equal(got, []byte{1, 2}) {
		t.Errorf("the large file has %x", got)
	}
	if got := v.Files[3].Section(SectionRaw); !bytes.Equal(got, []byte{7}) {
		t.Errorf("the long section has %x", got)
	}
	if f, err := img.Find("inner"); err != nil || f.Volume != volumes[1] || volumes[1].Outer != v.Files[4] {
		t.Errorf("inner file is %+v, error %v", f, err)
	}
	for i, want := range map[int]bool{4: false, 5: true, 6: false, 7: true} {
		if got := opaque(v.Files[i].Sections); got != want {
			t.Errorf("file %d is opaque: %t, want %t", i, got, want)
		}
	}
	if v.Files[6].Section(SectionRaw)[0] != 5 || v.Files[8].Section(SectionRaw)[0] != 6 {
		t.Error("sections inside sections are not found")
	}
	if s, err := img.Store(); s != nil || err != nil {
		t.Errorf("an image without variables has the store %v, error %v", s, err)
	}
	f, err := img.Facts()
	if err != nil || f.TdTcg2Dxe.Value != Unknown || f.PKEnrolled.Value != Unknown {
		t.Errorf("facts of an image without DXE core are %+v, error %v", f, err)
	}
	if _, err := img.BIOSInformation(); !errors.Is(err, bin.ErrUnsupported) {
		t.Errorf("SMBIOS strings of an image without the driver: error %v", err)
	}
}

func checkRejected(t *testing.T, name string, err, want error, off int64, field string) {
	t.Helper()
	var f *bin.FormatError
	if !errors.As(err, &f) || !errors.Is(err, want) || f.Off != off || f.Field != field {
		t.Errorf("%s: error is %v, want %s at offset 0x%x that is %v", name, err, field, off, want)
	}
}

func TestParseRejects(t *testing.T) {
	const size = 0x1000
	file := func(data []byte) []byte { return makeVolume(FFS2, size, 0, makeFile(someGUID, FileDriver, data)) }
	change := func(v []byte, fix func([]byte) []byte, off int, b ...byte) []byte {
		copy(v[off:], b)
		if fix != nil {
			fix(v)
		}
		return v
	}
	deep := makeSection(SectionRaw, nil)
	for range maxDepth + 1 {
		deep = makeSection(SectionDisposable, deep)
	}
	for _, tc := range []struct {
		name  string
		image []byte
		want  error
		off   int64
		field string
	}{
		{"nothing", nil, bin.ErrUnsupported, 0, volumeSignature},
		{"no volume", make([]byte, size), bin.ErrUnsupported, 0, volumeSignature},
		{"not at a block", append(make([]byte, 8), file(nil)...), bin.ErrUnsupported, 0, volumeSignature},
		{"header cut", file(nil)[:50], bin.ErrTruncated, 50, "Checksum"},
		{"volume cut", file(nil)[:size-1], bin.ErrTruncated, 32, "FvLength"},
		{"length wraps", change(file(nil), fixVolume, 39, 0xff), bin.ErrTruncated, 32, "FvLength"},
		{"revision", change(file(nil), fixVolume, 55, 1), bin.ErrUnsupported, 55, "Revision"},
		{"header length odd", change(file(nil), nil, 48, 73), bin.ErrMalformed, 48, "HeaderLength"},
		{"header length short", change(file(nil), nil, 48, 40), bin.ErrMalformed, 48, "HeaderLength"},
		{"header longer than the volume", change(file(nil), nil, 48, 0, 0x20), bin.ErrMalformed, 48, "HeaderLength"},
		{"checksum", change(file(nil), nil, 44, 1), bin.ErrMalformed, 50, "Checksum"},
		{"extended header outside", change(file(nil), fixVolume, 52, 0xf8, 0x0f), bin.ErrTruncated, 0xff8, "FvName"},
		{"extended header inside the header", change(file(nil), fixVolume, 52, 8), bin.ErrMalformed, 24, "ExtHeaderSize"},
		{"extended header too long", makeVolume(FFS2, size, 72, append(bytes.Clone(dxefv[:]), 0, 0x10, 0, 0)), bin.ErrMalformed, 88, "ExtHeaderSize"},
		{"file larger than the volume", change(file(nil), func(v []byte) []byte { fixFile(v[72:]); return v }, 72+21, 0x20), bin.ErrMalformed, 72 + 20, "Size"},
		{"file smaller than its header", change(file(nil), func(v []byte) []byte { fixFile(v[72:]); return v }, 72+20, 23), bin.ErrMalformed, 72 + 20, "Size"},
		{"file header checksum", change(file(nil), nil, 72, 1), bin.ErrMalformed, 72 + 16, "IntegrityCheck.Header"},
		{"file checksum", change(file(nil), nil, 72+17, 1), bin.ErrMalformed, 72 + 17, "IntegrityCheck.File"},
		{"file never finished", change(file(nil), nil, 72+23, 0xfc), bin.ErrMalformed, 72 + 23, "State"},
		{"section larger than the file", file([]byte{9, 0, 0, byte(SectionRaw), 1, 2, 3, 4}), bin.ErrMalformed, 96, "Size"},
		{"section smaller than its header", file([]byte{3, 0, 0, byte(SectionRaw)}), bin.ErrMalformed, 96, "Size"},
		{"long section smaller than its header", file([]byte{0xff, 0xff, 0xff, byte(SectionRaw), 7, 0, 0, 0}), bin.ErrMalformed, 96, "Size"},
		{"too many sections", makeVolume(FFS2, size, 0, makeFile(someGUID, FileDriver, bytes.Repeat(makeSection(SectionRaw, nil), maxSections+1))), bin.ErrUnsupported, 96 + 4*maxSections, "section"},
		{"sections too deep", file(deep), bin.ErrUnsupported, 96 + 4*maxDepth, "section"},
		{"GUIDed section cut", file(makeSection(SectionGUIDed, make([]byte, 17))), bin.ErrTruncated, 116, "DataOffset"},
		{"GUIDed data before its header", file(makeSection(SectionGUIDed, make([]byte, 20))), bin.ErrMalformed, 116, "DataOffset"},
		{"GUIDed data behind the section", file(makeSection(SectionGUIDed, append(make([]byte, 16), 25, 0, 0, 0))), bin.ErrMalformed, 116, "DataOffset"},
		{"compression header cut", file(makeSection(SectionCompression, []byte{1, 2, 3, 4})), bin.ErrTruncated, 104, "CompressionType"},
		{"inner volume cut", file(makeSection(SectionVolume, file(nil)[:80])), bin.ErrTruncated, 100 + 32, "FvLength"},
		{"table", append(file(nil), makeTable()...), bin.ErrMalformed, size + 46, "length"},
	} {
		_, err := Parse(tc.image)
		checkRejected(t, tc.name, err, tc.want, tc.off, tc.field)
	}
	if _, err := Parse(make([]byte, bin.MaxFirmware+1)); !errors.Is(err, bin.ErrUnsupported) {
		t.Errorf("an image that is too large gives error %v", err)
	}
}

// makeTable is the end of an image whose GUIDed table has a length of 17.
func makeTable() []byte {
	b := append(make([]byte, 46), 17, 0)
	b = append(b, tableFooter[:]...)
	return append(b, make([]byte, afterTable)...)
}

// TestExpandRejects meets compressed sections that are bad when they are looked into, and the same error again.
func TestExpandRejects(t *testing.T) {
	const limitHeader = "\x5d\x00\x00\x00\x01"
	for name, tc := range map[string]struct {
		stream string
		want   error
	}{
		"cut":       {limitHeader, bin.ErrTruncated},
		"too large": {limitHeader + "\x01\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00", bin.ErrUnsupported},
	} {
		img, err := Parse(makeVolume(FFS2, 0x1000, 0, makeFile(someGUID, FileVolume, makeGUIDed(guidedLZMA, processing, []byte(tc.stream)))))
		if err != nil {
			t.Errorf("%s: error before anything is decompressed: %v", name, err)
			continue
		}
		_, first := img.Volumes()
		_, second := img.File(someGUID)
		_, third := img.Facts()
		if !errors.Is(first, tc.want) || second != first || third != first {
			t.Errorf("%s: errors are %v, %v, %v; want three times one that is %v", name, first, second, third, tc.want)
		}
	}
}

// makeStore is a volume with an authenticated variable store around records.
func makeStore(records ...[]byte) []byte {
	body := append(bytes.Clone(authenticatedStore[:]), 0, 0x0e, 0, 0, storeFormatted, storeHealthy, 0, 0, 0, 0, 0, 0)
	return makeVolume(NVVolume, 0x1000, 0, append(body, bytes.Join(records, nil)...))
}

func makeRecord(state VariableState, g efi.GUID, name string, data []byte) []byte {
	le := binary.LittleEndian
	text := efi.AppendUTF16Z(nil, name)
	r := []byte{0xaa, 0x55, byte(state), 0}
	r = le.AppendUint32(r, 7)
	r = append(r, make([]byte, 28)...)
	r = le.AppendUint32(r, uint32(len(text)))
	r = le.AppendUint32(r, uint32(len(data)))
	r = append(r, g[:]...)
	r = append(r, text...)
	return padTo(append(r, data...), variableAligned, 0xff)
}

func TestStoreMade(t *testing.T) {
	unfinished := makeRecord(VariableHeaderOnly, someGUID, "x", nil)
	copy(unfinished[36:], bytes.Repeat([]byte{0xff}, 8))
	unfinished = unfinished[:60]
	image := makeStore(
		makeRecord(0x3d, someGUID, "a", []byte{1}),
		makeRecord(VariableInTransition, someGUID, "a", []byte{2}),
		unfinished,
		makeRecord(VariableInTransition, someGUID, "b", []byte{3, 4}),
		makeRecord(VariableAdded, someGUID, "a", []byte{5}),
		makeRecord(VariableHeaderOnly, someGUID, "c", []byte{6}),
	)
	img, err := Parse(image)
	if err != nil {
		t.Fatal(err)
	}
	s, err := img.Store()
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Variables) != 5 || s.Off != 72 || s.Size != 0xe00 {
		t.Errorf("store is %+v", s)
	}
	for name, want := range map[string][]byte{"a": {5}, "b": {3, 4}} {
		if v := s.Lookup(someGUID, name); v == nil || !bytes.Equal(v.Data, want) {
			t.Errorf("%s is %+v, want %x", name, v, want)
		}
	}
	if v := s.Lookup(someGUID, "c"); v != nil {
		t.Errorf("an unfinished variable is found: %+v", v)
	}
	if v := s.Lookup(dxefv, "a"); v != nil {
		t.Errorf("a variable of another vendor is found: %+v", v)
	}
}

func TestStoreRejects(t *testing.T) {
	const first = 72 + storeHeader
	good := func() []byte { return makeStore(makeRecord(VariableAdded, someGUID, "a", []byte{1})) }
	change := func(off int, b ...byte) []byte {
		v := good()
		copy(v[off:], b)
		return v
	}
	for _, tc := range []struct {
		name  string
		image []byte
		want  error
		off   int64
		field string
	}{
		{"another store", change(72, 1), bin.ErrUnsupported, 72, "Signature"},
		{"size over the volume", change(72+17, 0x10), bin.ErrMalformed, 72 + 16, "Size"},
		{"size under the header", change(72+16, 27, 0), bin.ErrMalformed, 72 + 16, "Size"},
		{"not formatted", change(72+20, 0xff), bin.ErrMalformed, 72 + 20, "Format"},
		{"not healthy", change(72+21, 0xff), bin.ErrMalformed, 72 + 20, "Format"},
		{"name past the end", change(first+37, 0x10), bin.ErrTruncated, first + 8, "NameSize"},
		{"data past the end", change(first+43, 0x80), bin.ErrTruncated, first + 8, "NameSize"},
		{"name without terminator", change(first+36, 2), bin.ErrMalformed, first + 60, "Name"},
		{"name of half a character", change(first+36, 3), bin.ErrMalformed, first + 60, "Name"},
		{"name with half a pair", change(first+60, 0, 0xd8), bin.ErrMalformed, first + 60, "Name"},
	} {
		img, err := Parse(tc.image)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		_, err = img.Store()
		checkRejected(t, tc.name, err, tc.want, tc.off, tc.field)
	}
}

// FuzzParse looks into everything that an image has.
func FuzzParse(f *testing.F) {
	f.Add(makeVolume(FFS2, 0x1000, 72, append(extended(dxefv), driver("first")...)))
	f.Add(makeStore(makeRecord(VariableAdded, efi.GlobalVariable, "PK", []byte{1})))
	f.Add(append(makeVolume(FFS2, 0x1000, 0, makeFile(someGUID, FileVolume, makeGUIDed(guidedCRC32, 1, makeSection(SectionVolume, makeVolume(FFS2, 0x200, 0, driver("inner")))))), makeTable()...))
	f.Add(makeVolume(FFS2, 0x1000, 0, makeFile(moduleSmbiosPlatformDxe, FileDriver, makeSection(SectionPE32, append([]byte("MZ"), type0Start...)))))
	f.Fuzz(func(t *testing.T, data []byte) {
		img, err := Parse(data)
		if err != nil {
			return
		}
		if s, err := img.Store(); err == nil && s != nil {
			for _, v := range s.Variables {
				if got := data[v.Off : v.Off+2]; !bytes.Equal(got, []byte{0xaa, 0x55}) {
					t.Errorf("variable %s starts with %x", v.Name, got)
				}
			}
		}
		volumes, err := img.Volumes()
		if err != nil {
			return
		}
		for _, v := range volumes {
			for _, file := range v.Files {
				if got, err := img.File(file.GUID); err != nil || got == nil {
					t.Errorf("file %s is listed and not found, error %v", file.GUID, err)
				}
			}
		}
		if facts, err := img.Facts(); err == nil && len(facts.Lines()) == 0 {
			t.Error("no facts")
		}
		_, _ = img.BIOSInformation()
	})
}
