package bin

import (
	"bytes"
	"errors"
	"testing"
)

func TestCursorReads(t *testing.T) {
	c := NewCursor("thing", []byte{1, 2, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 6}, 0x100)
	if a, b, d, e := c.U8("a"), c.U16("b"), c.U32("d"), c.U64("e"); a != 1 || b != 2 || d != 3 || e != 4 {
		t.Errorf("read %d %d %d %d, want 1 2 3 4", a, b, d, e)
	}
	if c.Off() != 0x10f || c.Len() != 2 || !bytes.Equal(c.Rest(), []byte{5, 6}) || c.Len() != 0 {
		t.Errorf("at 0x%x with %d bytes left", c.Off(), c.Len())
	}
	if c.End(); c.Err() != nil {
		t.Error(c.Err())
	}
}

// TestCursorFails has one case for each way of failing; each is followed by a read that must not change the error.
func TestCursorFails(t *testing.T) {
	for _, tc := range []struct {
		name     string
		read     func(*Cursor)
		want     string
		category error
	}{
		{"truncated byte", func(c *Cursor) { c.Bytes("all", 4); c.U8("Next") }, "thing: Next at offset 0x14: needs 1 bytes, 0 are left", ErrTruncated},
		{"truncated word", func(c *Cursor) { c.Bytes("some", 3); c.U16("Next") }, "thing: Next at offset 0x13: needs 2 bytes, 1 are left", ErrTruncated},
		{"truncated double word", func(c *Cursor) { c.U8("some"); c.U32("Next") }, "thing: Next at offset 0x11: needs 4 bytes, 3 are left", ErrTruncated},
		{"truncated quad word", func(c *Cursor) { c.U64("Next") }, "thing: Next at offset 0x10: needs 8 bytes, 4 are left", ErrTruncated},
		{"negative length", func(c *Cursor) { c.Bytes("Next", -1) }, "thing: Next at offset 0x10: needs -1 bytes, 4 are left", ErrTruncated},
		{"trailing data", func(c *Cursor) { c.U8("some"); c.End() }, "thing: trailing data at offset 0x11: 3 bytes follow the last field, want none", ErrMalformed},
		{"own words", func(c *Cursor) { c.Failf(7, "Field", ErrUnsupported, "is %d", 3) }, "thing: Field at offset 0x7: is 3", ErrUnsupported},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := NewCursor("thing", []byte{1, 2, 3, 4}, 0x10)
			tc.read(c)
			if v := c.U64("later"); v != 0 || c.Len() != 0 || c.Bytes("later", 0) != nil {
				t.Error("a read after the failure gave something")
			}
			var f *FormatError
			if !errors.As(c.Err(), &f) || !errors.Is(c.Err(), tc.category) || c.Err().Error() != tc.want {
				t.Errorf("error %v, want %s in category %v", c.Err(), tc.want, tc.category)
			}
		})
	}
}

func TestSub(t *testing.T) {
	c := NewCursor("outer", []byte{9, 1, 2, 3, 8}, 0x20)
	c.U8("first")
	s := c.Sub("inner", "Part", 3)
	s.U16("Half")
	s.U16("Next")
	if want := "inner: Next at offset 0x23: needs 2 bytes, 1 are left"; s.Err() == nil || s.Err().Error() != want {
		t.Errorf("error %v, want %s", s.Err(), want)
	}
	if v := c.U8("last"); v != 8 || c.Err() != nil {
		t.Errorf("the outer cursor read %d, %v, want 8", v, c.Err())
	}
	if s := c.Sub("inner", "Part", 1); s.Err() == nil {
		t.Error("a sub-cursor behind the end has no error")
	}
}
