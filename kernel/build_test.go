package kernel_test

import (
	"encoding/binary"
)

// A buildSection is a section of an image under construction.
type buildSection struct {
	name     string
	off, len uint32
}

// A build is a small bzImage, valid unless a test changes a field of it.
type build struct {
	size          int
	machine       uint16
	magic         uint16
	sizeOfHeaders uint32
	sizeOfImage   uint32
	directories   uint32
	optionalSize  uint16
	certOff       uint32
	certLen       uint32
	sections      []buildSection

	hdrs          string
	protocol      uint16
	setupSects    byte
	loadflags     byte
	xloadflags    uint16
	initrdAddrMax uint32
	kernelVersion uint16
	version       string
	payloadOffset uint32
	payloadLength uint32
	wrapper       []byte // bytes of the EFI stub, behind the payload
}

// Where the headers of a build stand, in bytes.
const (
	buildPE       = 0x40
	buildCOFF     = buildPE + 4
	buildOptional = buildPE + 24
	buildHeaders  = 0x400
	buildSetup    = 0x600 // boot sector and two sectors of setup code
	buildSize     = 0x2000
)

// newBuild returns a valid image of two sections with room behind them.
func newBuild() build {
	return build{
		size: buildSize, machine: 0x8664, magic: 0x20b, sizeOfHeaders: buildHeaders, sizeOfImage: 0x10000, directories: 6, optionalSize: 160,
		sections: []buildSection{{".setup", 0x400, 0x200}, {".text", 0x600, 0x1800}},
		hdrs:     "HdrS", protocol: 0x020f, setupSects: 2, loadflags: 1, xloadflags: 0x7f, initrdAddrMax: 0x7fffffff,
		kernelVersion: 0x100, version: "6.12.1-test (me@here) #1 SMP", payloadOffset: 0x100, payloadLength: 0x1000,
	}
}

// bytes lays the image out. Bytes that no field claims are a pattern, so that every one of them matters to a digest.
func (b build) bytes() []byte {
	d := make([]byte, b.size)
	for i := range d {
		d[i] = byte(i*7 + i>>8)
	}
	clear(d[:min(len(d), buildHeaders)])
	w := writer(d)
	w.str(0, "MZ")
	w.u32(0x3c, buildPE)
	w.str(buildPE, "PE\x00\x00")
	w.u16(buildCOFF, b.machine)
	w.u16(buildCOFF+2, uint16(len(b.sections)))
	w.u16(buildCOFF+16, b.optionalSize)
	w.u16(buildCOFF+18, 0x0206) // Characteristics: executable, which pesign asks for
	w.u16(buildOptional, b.magic)
	w.u32(buildOptional+32, 0x1000) // SectionAlignment
	w.u32(buildOptional+36, 0x200)  // FileAlignment
	w.u32(buildOptional+56, b.sizeOfImage)
	w.u32(buildOptional+60, b.sizeOfHeaders)
	w.u32(buildOptional+64, 0xc5c5c5c5) // CheckSum
	w.u16(buildOptional+68, 10)
	w.u32(buildOptional+108, b.directories)
	w.u32(buildOptional+144, b.certOff)
	w.u32(buildOptional+148, b.certLen)
	for i, s := range b.sections {
		row := buildOptional + int(b.optionalSize) + 40*i
		w.str(row, s.name)
		w.u32(row+8, s.len)
		w.u32(row+12, max(s.off, 0x400))
		w.u32(row+16, s.len)
		w.u32(row+20, s.off)
	}
	w.u8(0x1f1, b.setupSects)
	w.u16(0x1fe, 0xaa55)
	w.str(0x202, b.hdrs)
	w.u16(0x206, b.protocol)
	w.u16(0x20e, b.kernelVersion)
	w.u8(0x211, b.loadflags)
	w.u32(0x22c, b.initrdAddrMax)
	w.u16(0x236, b.xloadflags)
	w.u32(0x248, b.payloadOffset)
	w.u32(0x24c, b.payloadLength)
	w.str(int(b.kernelVersion)+0x200, b.version+"\x00")
	w.str(buildSetup+int(b.payloadOffset)+int(b.payloadLength), string(b.wrapper))
	return d
}

// A writer puts fields into an image and drops those that lie behind its end, as a cut file does.
type writer []byte

func (w writer) put(at int, b []byte) {
	if at >= 0 && at < len(w) {
		copy(w[at:], b)
	}
}
func (w writer) u8(at int, v byte)    { w.put(at, []byte{v}) }
func (w writer) u16(at int, v uint16) { w.put(at, binary.LittleEndian.AppendUint16(nil, v)) }
func (w writer) u32(at int, v uint32) { w.put(at, binary.LittleEndian.AppendUint32(nil, v)) }
func (w writer) str(at int, s string) { w.put(at, []byte(s)) }
