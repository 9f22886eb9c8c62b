package aml_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tdxkit/tdxkit/acpi/aml"
	"github.com/tdxkit/tdxkit/internal/bin"
)

// list writes a tree in lines of kind and path.
func list(o *aml.Object, out *[]string) {
	for _, c := range o.Children {
		*out = append(*out, fmt.Sprintf("%s %s", c.Kind, c.Path))
		list(c, out)
	}
}

func TestRead(t *testing.T) {
	var b aml.Builder
	b.Scope(`\_SB`, func() {
		b.Device("PCI0", func() {
			b.Name("_ADR", aml.Zero)
			b.Method("PCNT", 2, aml.NotSerialized, func() { b.Return(aml.Zero) })
			b.Mutex("BLCK", 0)
			b.Name("^UP", aml.Str("a"))
			b.Name(`\_SB.PCI0.LONG.NAME`, aml.Buffer([]byte{1, 2}))
		})
		b.Processor("C000", 1, func() { b.Name("_STA", aml.Int(15)) })
		b.OperationRegion("REGN", aml.SystemIO, aml.Int(0x600), 4)
		b.Field("REGN", aml.ByteAcc, aml.FieldUnit{Name: "F1", Bits: 8})
		b.If(aml.One, func() { b.Name("IF", aml.One) })
	})
	b.Add("\x15\\FOO_\x00\x00", "\x06BAR_FOO_") // External, Alias
	root, err := aml.Read(b.Bytes(), 36)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	list(root, &got)
	want := []string{
		`Scope \_SB`, `Device \_SB.PCI0`, `Name \_SB.PCI0._ADR`, `Method \_SB.PCI0.PCNT`, `Mutex \_SB.PCI0.BLCK`, `Name \_SB.UP`,
		`Name \_SB.PCI0.LONG.NAME`, `Processor \_SB.C000`, `Name \_SB.C000._STA`, `OperationRegion \_SB.REGN`, `Field \_SB.REGN`, `Code \_SB`,
		`External \FOO`, `Alias \BAR`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	// Objects lie behind each other and within what holds them.
	var check func(o *aml.Object)
	check = func(o *aml.Object) {
		last := o.Body
		for _, c := range o.Children {
			if c.Off < last || c.End > o.End || c.Body <= c.Off || c.Body > c.End {
				t.Errorf("%+v in %+v", c, o)
			}
			last = c.End
			check(c)
		}
	}
	check(root)
}

// TestReadUnknown has opcodes that are not known: what is in front of them stays known.
func TestReadUnknown(t *testing.T) {
	for name, code := range map[string]string{
		"opcode": "\x5b\x70abc", "bad name": "\x08abcd\x00", "call as a value": "\x08ABCD\xa4", "end of a name": "\x08AB",
		"string without end": "\x08ABCD\x0dxyz", "integer without end": "\x08ABCD\x0c\x01",
	} {
		root, err := aml.Read([]byte("\x08GOOD\x01"+code), 0)
		if err != nil || len(root.Children) != 2 || root.Children[0].Path != `\GOOD` || root.Children[1].Kind != aml.KindCode || root.Children[1].End != 6+len(code) {
			t.Errorf("%s: %+v, %v", name, root.Children, err)
		}
	}
}

func TestReadRefused(t *testing.T) {
	deep := ""
	for range 80 {
		deep = string([]byte{0x10, byte(0x40 | (len(deep)+6)&15), byte((len(deep) + 6) >> 4)}) + "ABCD" + deep
	}
	for _, tc := range []struct {
		name, code string
		category   error
		off        int64
	}{
		{"scope beyond its block", "\x10\x3fABCD", bin.ErrMalformed, 101},
		{"length of nothing", "\x10\x00ABCD", bin.ErrMalformed, 101},
		{"length below its own", "\x10\x41\x00ABCD", bin.ErrMalformed, 101},
		{"no length", "\x10", bin.ErrTruncated, 101},
		{"half a length", "\x10\xc0\x01", bin.ErrTruncated, 101},
		{"device in a scope, beyond it", "\x10\x0dABCD\x5b\x82\x0aEFGHxxxx", bin.ErrMalformed, 108},
		{"processor without its block", "\x5b\x83\x06ABCDE", bin.ErrTruncated, 100},
		{"depth", deep, bin.ErrUnsupported, 0},
	} {
		_, err := aml.Read([]byte(tc.code), 100)
		var fe *bin.FormatError
		if !errors.As(err, &fe) || !errors.Is(err, tc.category) || tc.off != 0 && fe.Off != tc.off {
			t.Errorf("%s: %v; want %v at %d", tc.name, err, tc.category, tc.off)
		}
	}
}

func TestReadValue(t *testing.T) {
	for _, tc := range []struct {
		term aml.Term
		want string
	}{
		{aml.Zero, "0x0"}, {aml.One, "0x1"}, {aml.Ones, "0xffffffffffffffff"}, {aml.Int(0x12), "0x12"}, {aml.Int(0x1234), "0x1234"},
		{aml.Int(0x12345678), "0x12345678"}, {aml.Int(0x123456789abcdef0), "0x123456789abcdef0"}, {aml.Str("a\"b"), `"a\"b"`},
		{aml.Buffer([]byte{1, 2, 3}), "Buffer of 3 bytes"}, {aml.Package(aml.Int(5), aml.Package(aml.Zero), aml.Path(`\_SB.LNKA`)), "Package of 3 elements"},
		{aml.Path(`\_SB.PCI0`), `\_SB.PCI0`},
	} {
		v, ok := aml.ReadValue([]byte(tc.term+"rest"), 10)
		if !ok || v.String() != tc.want || v.Off != 10 || v.End != 10+len(tc.term) {
			t.Errorf("%q: %+v (%s), %v; want %s", tc.term, v, v, ok, tc.want)
		}
	}
}

func TestReadResources(t *testing.T) {
	template := []byte{
		0x47, 1, 0xf8, 0x0c, 0xf8, 0x0c, 1, 8, // IO
		0x87, 0x17, 0, 0, 0x0c, 3, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0xff, 0xbf, 0xfe, 0, 0, 0, 0, 0, 0, 0xc0, 0x7e, // DWordMemory
		0x79, 0,
	}
	d, ok := aml.ReadResources(template)
	if !ok || len(d) != 3 || d[0].Name != "IO" || d[1].Name != "DWordMemory" || d[1].Off != 8 || d[2].Name != "EndTag" {
		t.Fatalf("%+v, %v", d, ok)
	}
	for _, f := range d[1].Fields {
		if f.Name == "minimum" && d[1].Value(f) != 0x80000000 || f.Name == "length" && d[1].Value(f) != 0x7ec00000 {
			t.Errorf("%s is 0x%x", f.Name, d[1].Value(f))
		}
	}
	for name, bad := range map[string][]byte{
		"no end": template[:8], "cut short": template[:20], "unknown tag": {0x00}, "behind the end": append(template[:len(template):len(template)], 0x79), "empty": nil,
	} {
		if _, ok := aml.ReadResources(bad); ok {
			t.Errorf("%s is taken for a template", name)
		}
	}
}

func FuzzReadBlock(f *testing.F) {
	f.Add([]byte("\x10\x0d\\_SB_\x08_ADR\x01"))
	f.Add([]byte("\x5b\x82\x0bPCI0\x08_ADR\x01\x5b\x80REGN\x01\x0b\x00\x06\x01"))
	f.Add([]byte("\x08_CRS\x11\x05\x0a\x02\x79\x00\x14\x07ABCD\x00\xa4"))
	f.Fuzz(func(t *testing.T, data []byte) {
		root, err := aml.Read(data, 7)
		if err != nil {
			var fe *bin.FormatError
			if !errors.As(err, &fe) {
				t.Errorf("%v", err)
			}
			return
		}
		var check func(o *aml.Object)
		check = func(o *aml.Object) {
			if o.Off < 7 || o.Off > o.End || o.Body < o.Off || o.Body > o.End || o.End > 7+len(data) {
				t.Errorf("%+v is outside of the block", o)
			}
			if o.Kind == aml.KindName {
				if v, ok := aml.ReadValue(data[o.Body-7:o.End-7], o.Body); ok && v.Kind == aml.ValueBuffer {
					aml.ReadResources(v.Bytes)
				}
			}
			for _, c := range o.Children {
				check(c)
			}
		}
		check(root)
	})
}
