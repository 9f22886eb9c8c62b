package aml

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/tdxkit/tdxkit/internal/reference"
)

// unhex reads hexadecimal digits with blanks between them.
func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTerms holds each term against the bytes that iasl 20200925 compiles the ASL to. Only the sizes of the two shortest
// buffers are not iasl's, which spends a prefix on them; the constants are as good.
func TestTerms(t *testing.T) {
	tests := []struct {
		asl  string
		term Term
		want string
	}{
		{`Zero`, Int(0), "00"},
		{`One`, Int(1), "01"},
		{`0x02`, Int(2), "0a 02"},
		{`0xFF`, Int(0xff), "0a ff"},
		{`0x0100`, Int(0x100), "0b 00 01"},
		{`0xFFFF`, Int(0xffff), "0b ff ff"},
		{`0x00010000`, Int(0x10000), "0c 00 00 01 00"},
		{`0xFFFFFFFF`, Int(0xffffffff), "0c ff ff ff ff"},
		{`0x0000000100000000`, Int(1 << 32), "0e 00 00 00 00 01 00 00 00"},
		{`"PNP0A06"`, Str("PNP0A06"), "0d 50 4e 50 30 41 30 36 00"},
		{`""`, Str(""), "0d 00"},
		{`EisaId ("PNP0A08")`, EISAID("PNP0A08"), "0c 41 d0 0a 08"},
		{`EisaId ("IPI0001")`, EISAID("IPI0001"), "0c 26 09 00 01"},
		{`CSEL`, Path("CSEL"), "43 53 45 4c"},
		{`PRD`, Path("PRD"), "50 52 44 5f"},
		{`\`, Path("\\"), "5c 00"},
		{`\_SB.PCI0`, Path("\\_SB.PCI0"), "5c 2e 5f 53 42 5f 50 43 49 30"},
		{`^S08.PCNT`, Path("^S08.PCNT"), "5e 2e 53 30 38 5f 50 43 4e 54"},
		{`\_SB.PCI0.PRES.CSEL`, Path("\\_SB.PCI0.PRES.CSEL"), "5c 2f 04 5f 53 42 5f 50 43 49 30 50 52 45 53 43 53 45 4c"},
		{`Buffer (1) {0}`, Buffer([]byte{0}), "11 03 01 00"},
		{`Buffer (0) {}`, Buffer(nil), "11 02 00"},
		{`ToUUID ("33DB4D5B-1FF7-401C-9657-7441C03DD766")`, UUID("33DB4D5B-1FF7-401C-9657-7441C03DD766"),
			"11 13 0a 10 5b 4d db 33 f7 1f 1c 40 96 57 74 41 c0 3d d7 66"},
		{`Package () {One, 0x02}`, Package(One, Int(2)), "12 05 02 01 0a 02"},
		{`Package (0xFF) {}`, EmptyPackage(0xff), "12 02 ff"},
		{`Arg0 == One`, LEqual(Arg0, One), "93 68 01"},
		{`Arg0 < Local1`, LLess(Arg0, Local1), "95 68 61"},
		{`Arg0 > Local7`, LGreater(Arg0, Local7), "94 68 67"},
		{`Arg6 >= Zero`, LGreaterEqual(Arg6, Zero), "92 95 6e 00"},
		{`!Local0`, LNot(Local0), "92 60"},
		{`Arg0 && Arg1`, LAnd(Arg0, Arg1), "90 68 69"},
		{`Arg0 || Arg1`, LOr(Arg0, Arg1), "91 68 69"},
		{`Local0 & 0x0F`, And(Local0, Int(0xf), None), "7b 60 0a 0f 00"},
		{`Local0 |= One`, Or(Local0, One, Local0), "7d 60 01 60"},
		{`Local0 + One`, Add(Local0, One, None), "72 60 01 00"},
		{`Local0 -= One`, Subtract(Local0, One, Local0), "74 60 01 60"},
		{`One << Arg1`, ShiftLeft(One, Arg1, None), "79 01 69 00"},
		{`Local0 >>= 0x10`, ShiftRight(Local0, Int(16), Local0), "7a 60 0a 10 60"},
		{`Concatenate (Local0, Local1, Local2)`, Concatenate(Local0, Local1, Local2), "73 60 61 62"},
		{`ToHexString (Arg0, Local0)`, ToHexString(Arg0, Local0), "98 68 60"},
		{`ToBuffer (Local0, Local0)`, ToBuffer(Local0, Local0), "96 60 60"},
		{`ToInteger (Arg0)`, ToInteger(Arg0, None), "99 68 00"},
		{`DerefOf (Arg4 [Zero])`, DerefOf(Index(Arg4, Zero)), "83 88 6c 00 00"},
		{`SizeOf (Local0)`, SizeOf(Local0), "87 60"},
		{`ObjectType (Arg3)`, ObjectType(Arg3), "8e 6b"},
		{`AIDX (Arg0, One)`, Call("AIDX", Arg0, One), "41 49 44 58 68 01"},
		{`ResourceTemplate () {IO (Decode16, 0x0CF8, 0x0CF8, 0x01, 0x08)}`, Resources(IO(0xcf8, 0xcf8, 1, 8)),
			"11 0d 0a 0a 47 01 f8 0c f8 0c 01 08 79 00"},
		{`IRQNoFlags () {12}`, IRQNoFlags(12), "22 00 10"},
		{`IRQ (Level, ActiveLow, Shared) {4}`, IRQ(4, IRQActiveLow|IRQShared), "23 10 00 18"},
		{`DMA (Compatibility, NotBusMaster, Transfer8) {2}`, DMA(2), "2a 04 00"},
		{`Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) {5, 10}`, Interrupt(Level, 5, 10),
			"89 0a 00 09 02 05 00 00 00 0a 00 00 00"},
		{`Interrupt (ResourceConsumer, Edge, ActiveHigh, Shared) {16}`, Interrupt(Edge, 16), "89 06 00 0b 01 10 00 00 00"},
		{`Memory32Fixed (ReadOnly, 0xFED00000, 0x400)`, Memory32Fixed(0xfed00000, 0x400, ReadOnly),
			"86 09 00 00 00 00 d0 fe 00 04 00 00"},
		{`Memory32Fixed (ReadWrite, 0xFED40000, 0x5000)`, Memory32Fixed(0xfed40000, 0x5000, ReadWrite),
			"86 09 00 01 00 00 d4 fe 00 50 00 00"},
		{`WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0xFF, 0, 0x100)`, WordBusNumber(Range{0, 0xff}),
			"88 0d 00 02 0c 00 00 00 00 00 ff 00 00 00 00 01"},
		{`WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0xD00, 0xFFFF, 0, 0xF300)`,
			WordIO(Range{0xd00, 0xffff}), "88 0d 00 01 0c 03 00 00 00 0d ff ff 00 00 00 f3"},
		{`DWordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0x6000, 0x6FFF, 0, 0x1000)`,
			DWordIO(Range{0x6000, 0x6fff}), "87 17 00 01 0c 03 00 00 00 00 00 60 00 00 ff 6f 00 00 00 00 00 00 00 10 00 00"},
		{`DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite, 0, 0xA0000, 0xBFFFF, 0, 0x20000)`,
			DWordMemory(Cacheable|ReadWrite, Range{0xa0000, 0xbffff}),
			"87 17 00 00 0c 03 00 00 00 00 00 00 0a 00 ff ff 0b 00 00 00 00 00 00 00 02 00"},
		{`QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite, 0, 0x100000000, 0x1FFFFFFFF, 0, 0x100000000)`,
			QWordMemory(NonCacheable|ReadWrite, Range{1 << 32, 1<<33 - 1}),
			"8a 2b 00 00 0c 01 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 ff ff ff ff 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00"},
	}
	for _, tt := range tests {
		if want := unhex(t, tt.want); string(tt.term) != string(want) {
			t.Errorf("%s: got % x, want % x", tt.asl, string(tt.term), want)
		}
	}
}

// TestBuilder holds statements and blocks against the bytes that iasl 20200925 compiles the ASL to.
func TestBuilder(t *testing.T) {
	tests := []struct {
		asl   string
		build func(b *Builder)
		want  string
	}{
		{`Scope (\_SB) {}`, func(b *Builder) { b.Scope("\\_SB", func() {}) }, "10 06 5c 5f 53 42 5f"},
		{`Device (S08) {Name (_ADR, 0x00010000)}`,
			func(b *Builder) { b.Device("S08", func() { b.Name("_ADR", Int(0x10000)) }) },
			"5b 82 0f 53 30 38 5f 08 5f 41 44 52 0c 00 00 01 00"},
		{`Processor (C001, 0x01, 0, 0) {}`, func(b *Builder) { b.Processor("C001", 1, func() {}) },
			"5b 83 0b 43 30 30 31 01 00 00 00 00 00"},
		{`Method (CSTA, 1, Serialized) {Return (Local0)}`,
			func(b *Builder) { b.Method("CSTA", 1, Serialized, func() { b.Return(Local0) }) },
			"14 08 43 53 54 41 09 a4 60"},
		{`Method (_DIS, 0, NotSerialized) {}`, func(b *Builder) { b.Method("_DIS", 0, NotSerialized, func() {}) },
			"14 06 5f 44 49 53 00"},
		{`If (Arg0) {Break} Else {Arg0++}`, func(b *Builder) {
			b.If(Arg0, b.Break)
			b.Else(func() { b.Increment(Arg0) })
		}, "a0 03 68 a5 a1 03 75 68"},
		{`While (One) {}`, func(b *Builder) { b.While(One, func() {}) }, "a2 02 01"},
		{`OperationRegion (PRST, SystemIO, 0x0CD8, 0x0C)`,
			func(b *Builder) { b.OperationRegion("PRST", SystemIO, Int(0xcd8), 12) },
			"5b 80 50 52 53 54 01 0b d8 0c 0a 0c"},
		{`Field (PRST, ByteAcc, NoLock, WriteAsZeros) {Offset (4), CPEN, 1, , 7, CCMD, 8}`, func(b *Builder) {
			b.Field("PRST", ByteAcc|WriteAsZeros, FieldUnit{Bits: 32}, FieldUnit{"CPEN", 1}, FieldUnit{Bits: 7}, FieldUnit{"CCMD", 8})
		}, "5b 81 14 50 52 53 54 41 00 20 43 50 45 4e 01 00 07 43 43 4d 44 08"},
		{`Field (HPTM, DWordAcc, Lock, Preserve) {FARG, 32672}`,
			func(b *Builder) { b.Field("HPTM", DWordAcc|Lock, FieldUnit{"FARG", 32672}) },
			"5b 81 0d 48 50 54 4d 13 46 41 52 47 80 fa 07"},
		{`Mutex (BLCK, 0)`, func(b *Builder) { b.Mutex("BLCK", 0) }, "5b 01 42 4c 43 4b 00"},
		{`Acquire (BLCK, 0xFFFF)`, func(b *Builder) { b.Acquire(Path("BLCK")) }, "5b 23 42 4c 43 4b ff ff"},
		{`Release (BLCK)`, func(b *Builder) { b.Release(Path("BLCK")) }, "5b 27 42 4c 43 4b"},
		{`Notify (S08, Arg1)`, func(b *Builder) { b.Notify(Path("S08"), Arg1) }, "86 53 30 38 5f 69"},
		{`Local0 = Arg0`, func(b *Builder) { b.Store(Arg0, Local0) }, "70 68 60"},
		{`Debug = Local3`, func(b *Builder) { b.Store(Local3, Debug) }, "70 63 5b 31"},
		{`PCEJ (BSEL, _SUN)`, func(b *Builder) { b.Call("PCEJ", Path("BSEL"), Path("_SUN")) },
			"50 43 45 4a 42 53 45 4c 5f 53 55 4e"},
		{`CreateDWordField (Arg3, Zero, CDW1)`, func(b *Builder) { b.CreateDWordField(Arg3, Zero, "CDW1") },
			"8a 6b 00 43 44 57 31"},
		{`CreateField (ODAT, Zero, Local1, OBUF)`, func(b *Builder) { b.CreateField(Path("ODAT"), Zero, Local1, "OBUF") },
			"5b 13 4f 44 41 54 00 61 4f 42 55 46"},
		{`Name (_MAT, Buffer (0x08) {...})`, func(b *Builder) {
			b.NameBuffer("_MAT", func(dst []byte) []byte { return append(dst, 0, 8, 1, 1, 1, 0, 0, 0) })
		}, "08 5f 4d 41 54 11 0b 0a 08 00 08 01 01 01 00 00 00"},
	}
	for _, tt := range tests {
		var b Builder
		tt.build(&b)
		if want := unhex(t, tt.want); !bytes.Equal(b.Bytes(), want) {
			t.Errorf("%s: got % x, want % x", tt.asl, b.Bytes(), want)
		}
	}
}

// TestPkgLengthLimits compares the lengths around each change of size with the reference implementation, in blocks
// that move what is behind them.
func TestPkgLengthLimits(t *testing.T) {
	for _, body := range []int{0, 1, 61, 62, 63, 64, 0xffc, 0xffd, 0xffe, 0xfff, 0xffffb, 0xffffc, 0xffffd, 0x100000} {
		var b Builder
		b.block(0xa1, "", func() { b.buf = append(b.buf, bytes.Repeat([]byte{0x5a}, body)...) })
		checkBlock(t, b.Bytes(), body)
	}
}

// checkBlock holds a block against the reference implementation of its length.
func checkBlock(t *testing.T, got []byte, body int) {
	t.Helper()
	enc, ok := reference.PkgLength(body)
	if !ok {
		t.Fatalf("the reference has no length for %d bytes", body)
	}
	want := append(append([]byte{0xa1}, enc...), bytes.Repeat([]byte{0x5a}, body)...)
	if !bytes.Equal(got, want) {
		t.Errorf("a block of %d bytes starts with % x, want % x", body, got[:min(len(got), 6)], want[:min(len(want), 6)])
	}
}

// FuzzPkgLength compares block lengths with the reference implementation, and reads them back.
func FuzzPkgLength(f *testing.F) {
	for _, n := range []uint32{0, 62, 63, 4093, 4094, 0xffffc} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n uint32) {
		body := int(n % (1 << 21))
		var b Builder
		b.block(0xa1, "", func() { b.buf = append(b.buf, bytes.Repeat([]byte{0x5a}, body)...) })
		checkBlock(t, b.Bytes(), body)
		length, used, ok := reference.ParsePkgLength(b.Bytes()[1:])
		if !ok || length != body+used || length != len(b.Bytes())-1 {
			t.Errorf("a block of %d bytes reads back as length %d in %d bytes, %v", body, length, used, ok)
		}
	})
}

// FuzzInt reads integers back from their encoding, which must be the shortest.
func FuzzInt(f *testing.F) {
	for _, v := range []uint64{0, 1, 2, 0xff, 0x100, 0xffff, 0x10000, 0xffffffff, 1 << 32, 1<<64 - 1} {
		f.Add(v)
	}
	sizes := map[byte]int{0x0a: 1, 0x0b: 2, 0x0c: 4, 0x0e: 8}
	f.Fuzz(func(t *testing.T, v uint64) {
		enc := Int(v)
		if v < 2 {
			if string(enc) != string([]byte{byte(v)}) {
				t.Fatalf("%d is % x", v, string(enc))
			}
			return
		}
		n, ok := sizes[enc[0]]
		if !ok || len(enc) != 1+n {
			t.Fatalf("%#x is % x", v, string(enc))
		}
		var got uint64
		for i := n; i > 0; i-- {
			got = got<<8 | uint64(enc[i])
		}
		if got != v {
			t.Errorf("%#x reads back as %#x", v, got)
		}
		if n > 1 && v>>(4*n) == 0 {
			t.Errorf("%#x takes %d bytes, half of them would do", v, n)
		}
	})
}

// TestRejects shows what the package takes for a mistake of the program.
func TestRejects(t *testing.T) {
	for what, f := range map[string]func(){
		"a segment of five characters":       func() { Path("PCI0.PCNTX") },
		"an EISA identifier of six":          func() { EISAID("PNP0A0") },
		"a field of five characters":         func() { new(Builder).Field("R", AnyAcc, FieldUnit{"ABCDE", 1}) },
		"a method's name of five characters": func() { new(Builder).Method("ABCDE", 0, NotSerialized, func() {}) },
	} {
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.HasPrefix(r.(string), "aml: internal error") {
					t.Errorf("%s: got %v, want an internal error", what, r)
				}
			}()
			f()
		}()
	}
}
