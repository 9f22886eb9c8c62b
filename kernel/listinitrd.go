package kernel

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/tdxkit/tdxkit/internal/bin"
	"github.com/tdxkit/tdxkit/internal/decompress"
)

// InitrdLimits bounds what listing an initrd may cost. A zero field stands for the limit of package bin.
type InitrdLimits struct {
	Entries int   // files
	Name    int   // bytes of a name, with its NUL
	Data    int64 // bytes after decompression, of all archives together
}

// An InitrdEntry is one file of an initrd.
type InitrdEntry struct {
	Archive      int    // index of the cpio archive that holds it
	Compression  string // of that archive, "xz"; empty for none
	Name         string
	Mode         uint32 // as stat(2) has it, with the type of the file
	UID, GID     uint32
	Links        uint32
	MTime        uint32 // seconds since 1970
	Major, Minor uint32 // of a device node
	Size         int64  // bytes
	Link         string // target of a symbolic link
	SHA256       [32]byte
}

// Type bits of a mode. POSIX.1-2017, <sys/stat.h>, with Linux' values.
const (
	modeType    = 0o170000
	modeRegular = 0o100000
	modeSymlink = 0o120000
)

// Layout of a newc header: a magic number and 13 fields of 8 hexadecimal digits; name and data are padded to 4 bytes.
// Linux v6.12, Documentation/driver-api/early-userspace/buffer-format.rst.
const (
	cpioMagicLen  = 6
	cpioFields    = 13
	cpioHeaderLen = cpioMagicLen + 8*cpioFields
	cpioAlign     = 4
	cpioTrailer   = "TRAILER!!!"

	magicNewc = "070701"
	magicCRC  = "070702" // newc with a sum over each file
	magicODC  = "070707"

	sniffLen = 8 // bytes that tell a compression format
)

// ListInitrd lists the files of an initrd as Linux unpacks it: cpio archives (newc, with or without checksums) one
// behind the other, each plain or compressed, with zero bytes between them. Errors are bin.FormatErrors, whose offsets
// count from the start of the initrd, or of the decompressed data where the Format says so, and r's own.
// Linux v6.12, init/initramfs.c, unpack_to_rootfs.
func ListInitrd(r io.Reader, limits InitrdLimits) ([]InitrdEntry, error) {
	l := &initrdLister{limits: InitrdLimits{
		Entries: defaultTo(limits.Entries, bin.MaxInitrdEntries),
		Name:    defaultTo(limits.Name, bin.MaxInitrdName),
		Data:    defaultTo(limits.Data, bin.MaxInitrdData),
	}}
	src := &cpioSource{r: bufio.NewReaderSize(r, 64<<10), format: "initrd"}
	if _, err := src.r.Peek(1); err == io.EOF {
		return nil, ErrEmptyInitrd
	}
	if err := l.archives(src); err != nil {
		return nil, err
	}
	if l.archive == 0 {
		return nil, src.fail(0, "archive", bin.ErrMalformed, "is missing: the initrd holds zero bytes only")
	}
	return l.entries, nil
}

func defaultTo[T int | int64](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}

// A cpioSource is a stream that archives are read from, and how far it has been read.
type cpioSource struct {
	r           *bufio.Reader
	off         int64
	format      string // for errors
	compression string // of this stream, empty for the initrd itself
}

func (s *cpioSource) fail(off int64, field string, category error, format string, args ...any) error {
	return &bin.FormatError{Format: s.format, Off: off, Field: field, Msg: fmt.Sprintf(format, args...), Err: category}
}

// Read and ReadByte count what is read, so that a decompressor which reads byte by byte leaves off at its last one.
func (s *cpioSource) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.off += int64(n)
	return n, err
}

func (s *cpioSource) ReadByte() (byte, error) {
	b, err := s.r.ReadByte()
	if err == nil {
		s.off++
	}
	return b, err
}

// full fills b for a field, and says that the stream is truncated where it ends before that.
func (s *cpioSource) full(field string, b []byte) error {
	at := s.off
	n, err := io.ReadFull(s, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return s.fail(at, field, bin.ErrTruncated, "needs %d bytes, %d are left", len(b), n)
	}
	return s.wrap(at, field, err)
}

// wrap makes a decompressor's error one of this package. Errors of the initrd's own reader pass.
func (s *cpioSource) wrap(off int64, field string, err error) error {
	var known *bin.FormatError
	if err == nil || s.compression == "" || errors.As(err, &known) {
		return err
	}
	return s.fail(off, field, bin.ErrMalformed, "cannot be decompressed: %v", err)
}

// pad skips to the next multiple of 4 bytes.
func (s *cpioSource) pad(field string) error {
	var b [cpioAlign]byte
	return s.full(field, b[:-s.off&(cpioAlign-1)])
}

type initrdLister struct {
	limits  InitrdLimits
	entries []InitrdEntry
	archive int   // archives begun
	total   int64 // bytes of files and names so far
}

// archives reads what src holds to its end: zero bytes, archives and, in the initrd itself, compressed streams.
func (l *initrdLister) archives(src *cpioSource) error {
	for {
		head, err := src.r.Peek(sniffLen)
		if len(head) == 0 {
			if err == io.EOF {
				return nil
			}
			return src.wrap(src.off, "archive", err)
		}
		switch f := decompress.Detect(head); {
		case head[0] == 0:
			if _, err := src.ReadByte(); err != nil {
				return err
			}
			if err := l.spend(src, 1); err != nil {
				return err
			}
		case head[0] == '0':
			if src.off%cpioAlign != 0 {
				return src.fail(src.off, "archive", bin.ErrMalformed, "starts at an offset that is no multiple of %d", cpioAlign)
			}
			if err := l.cpio(src); err != nil {
				return err
			}
		case f != nil && src.compression == "":
			if err := l.compressed(src, f); err != nil {
				return err
			}
		default:
			want := "a cpio header"
			if src.compression == "" {
				want += " or a compressed stream of a format that Linux knows"
			}
			return src.fail(src.off, "archive", bin.ErrMalformed, "starts with % x, want %s", head, want)
		}
	}
}

// compressed reads one compressed stream.
func (l *initrdLister) compressed(src *cpioSource, f *decompress.Format) error {
	at := src.off
	r, err := f.NewReader(src)
	if err != nil {
		return src.fail(at, f.Name+" stream", bin.ErrMalformed, "cannot be decompressed: %v", err)
	}
	defer r.Close()
	inner := &cpioSource{r: bufio.NewReaderSize(r, 64<<10), format: fmt.Sprintf("initrd, %s stream at 0x%x", f.Name, at), compression: f.Name}
	return l.archives(inner)
}

// cpio reads one archive as far as its trailer.
func (l *initrdLister) cpio(src *cpioSource) error {
	for {
		e, fields, err := l.header(src)
		if err != nil {
			return err
		}
		if e.Name == cpioTrailer {
			l.archive++
			return l.skip(src, e.Size)
		}
		if len(l.entries) >= l.limits.Entries {
			return src.fail(src.off, "entry", bin.ErrUnsupported, "is number %d, want at most %d", len(l.entries)+1, l.limits.Entries)
		}
		if err := l.content(src, &e, fields); err != nil {
			return err
		}
		l.entries = append(l.entries, e)
	}
}

// A cpioExtra is what a header says for the reader's own use.
type cpioExtra struct {
	summed bool   // the format has sums
	sum    uint32 // of the file's bytes, modulo 2^32
	at     int64  // of the header
}

// header reads an entry's header and name.
func (l *initrdLister) header(src *cpioSource) (InitrdEntry, cpioExtra, error) {
	var raw [cpioHeaderLen]byte
	x := cpioExtra{at: src.off}
	if err := src.full("cpio header", raw[:]); err != nil {
		return InitrdEntry{}, x, err
	}
	switch magic := string(raw[:cpioMagicLen]); magic {
	case magicNewc:
	case magicCRC:
		x.summed = true
	case magicODC:
		return InitrdEntry{}, x, src.fail(x.at, "c_magic", bin.ErrUnsupported, "is %q, the odc format, which Linux does not unpack; want newc", magic)
	default:
		return InitrdEntry{}, x, src.fail(x.at, "c_magic", bin.ErrMalformed, "is %q, want %q or %q", magic, magicNewc, magicCRC)
	}
	var f [cpioFields]uint32
	for i := range f {
		digits := string(raw[cpioMagicLen+8*i:][:8])
		v, err := strconv.ParseUint(digits, 16, 32)
		if err != nil {
			return InitrdEntry{}, x, src.fail(x.at+int64(cpioMagicLen+8*i), cpioFieldNames[i], bin.ErrMalformed, "is %q, want 8 hexadecimal digits", digits)
		}
		f[i] = uint32(v)
	}
	x.sum = f[12]
	e := InitrdEntry{
		Archive: l.archive, Compression: src.compression,
		Mode: f[1], UID: f[2], GID: f[3], Links: f[4], MTime: f[5], Size: int64(f[6]), Major: f[9], Minor: f[10],
	}
	name, err := l.name(src, x.at, int64(f[11]))
	e.Name = name
	return e, x, err
}

// cpioFieldNames are the fields of a newc header in their order.
var cpioFieldNames = [cpioFields]string{"c_ino", "c_mode", "c_uid", "c_gid", "c_nlink", "c_mtime", "c_filesize", "c_maj", "c_min",
	"c_rmaj", "c_rmin", "c_namesize", "c_chksum"}

// name reads an entry's name of size bytes and the padding behind it.
func (l *initrdLister) name(src *cpioSource, header, size int64) (string, error) {
	const fieldOff = cpioMagicLen + 8*11
	if size == 0 || size > int64(l.limits.Name) {
		return "", src.fail(header+fieldOff, "c_namesize", bin.ErrUnsupported, "is %d, want 1 to %d", size, l.limits.Name)
	}
	if err := l.spend(src, cpioHeaderLen+size); err != nil {
		return "", err
	}
	name, at := make([]byte, size), src.off
	if err := src.full("name", name); err != nil {
		return "", err
	}
	if bytes.IndexByte(name, 0) != len(name)-1 {
		return "", src.fail(at, "name", bin.ErrMalformed, "is %q, want one NUL at its end", name)
	}
	return string(name[:len(name)-1]), src.pad("padding of the name")
}

// content reads an entry's bytes and the padding behind them.
func (l *initrdLister) content(src *cpioSource, e *InitrdEntry, x cpioExtra) error {
	if err := l.spend(src, e.Size); err != nil {
		return err
	}
	var link bytes.Buffer
	var sum byteSum
	h := sha256.New()
	w := []io.Writer{h}
	if x.summed {
		w = append(w, &sum)
	}
	if e.Mode&modeType == modeSymlink {
		if e.Size > int64(l.limits.Name) {
			return src.fail(x.at, "c_filesize", bin.ErrUnsupported, "of the symbolic link %q is %d, want at most %d", e.Name, e.Size, l.limits.Name)
		}
		w = append(w, &link)
	}
	at := src.off
	if n, err := io.CopyN(io.MultiWriter(w...), src, e.Size); err == io.EOF {
		return src.fail(at, "data", bin.ErrTruncated, "of %q needs %d bytes, %d are left", e.Name, e.Size, n)
	} else if err != nil {
		return src.wrap(at, "data", err)
	}
	if x.summed && e.Mode&modeType == modeRegular && uint32(sum) != x.sum {
		return src.fail(x.at, "c_chksum", bin.ErrMalformed, "of %q is %08x, its bytes add up to %08x", e.Name, x.sum, uint32(sum))
	}
	e.Link = link.String()
	h.Sum(e.SHA256[:0])
	return src.pad("padding of the data")
}

// skip drops the data of a trailer, which has none in practice.
func (l *initrdLister) skip(src *cpioSource, n int64) error {
	if err := l.spend(src, n); err != nil {
		return err
	}
	at := src.off
	if _, err := io.CopyN(io.Discard, src, n); err == io.EOF {
		return src.fail(at, "data of the trailer", bin.ErrTruncated, "needs %d bytes", n)
	} else if err != nil {
		return src.wrap(at, "data of the trailer", err)
	}
	return nil
}

// spend counts n bytes against the limit on data.
func (l *initrdLister) spend(src *cpioSource, n int64) error {
	if n > l.limits.Data-l.total {
		return src.fail(src.off, "data", bin.ErrUnsupported, "adds up to more than %d bytes", l.limits.Data)
	}
	l.total += n
	return nil
}

// A byteSum adds up the bytes that are written to it, as the crc variety of newc does.
type byteSum uint32

func (s *byteSum) Write(b []byte) (int, error) {
	for _, c := range b {
		*s += byteSum(c)
	}
	return len(b), nil
}
