package strictjson

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// record is what the tests decode: every kind of value that a Decoder reads.
type record struct {
	text, word string
	n          uint64
	sum        [2]byte
	at         time.Time
	list       []string
}

func decodeRecord(data []byte) (record, error) {
	var r record
	d := NewDecoder("record", data)
	d.Object([]Field{
		{Name: "text", Read: func() { r.text = d.Text("text", 8) }},
		{Name: "word", Read: func() { r.word = d.String() }, Optional: Optional},
		{Name: "n", Read: func() { r.n = d.Uint("n", 1000) }},
		{Name: "sum", Read: func() { d.Hex("sum", r.sum[:]) }},
		{Name: "at", Read: func() { r.at = d.Time("at") }},
		{Name: "list", Read: func() { d.Array(func() { r.list = append(r.list, string(d.Bytes())) }) }},
	})
	return r, d.End()
}

const goodRecord = ` {"text": "a\u00e9\"", "n":1000,"sum" :"0fa0", "at":"2026-11-01T12:00:00Z","list":[ "x" , "\ud83d\ude00"]}` + "\n"

func TestDecoder(t *testing.T) {
	r, err := decodeRecord([]byte(goodRecord))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(r), fmt.Sprint(record{`aé"`, "", 1000, [2]byte{0x0f, 0xa0}, time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), []string{"x", "😀"}}); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if r, err := decodeRecord([]byte(strings.Replace(goodRecord, `"n"`, `"word":"","n"`, 1))); err != nil || r.word != "" {
		t.Errorf("with an optional member: %v", err)
	}
}

func TestDecoderRejects(t *testing.T) {
	for _, tc := range []struct{ name, old, new, want string }{
		{"unknown member", `"n"`, `"m":1,"n"`, "not a member known"},
		{"duplicate member", `"n"`, `"n":1,"n"`, "occurs twice"},
		{"duplicate member by escape", `"n"`, `"\u006e":1,"n"`, "occurs twice"},
		{"case variant", `"n"`, `"N"`, `differs from "n" in case only`},
		{"missing member", `"n":1000,`, ``, `"n"`},
		{"null for an object", goodRecord, `null`, "is not an object"},
		{"null for an array", `[ "x" , "\ud83d\ude00"]`, `null`, "is not an array"},
		{"number for text", `"a\u00e9\""`, `1`, "want '\"'"},
		{"empty text", `"a\u00e9\""`, `""`, "has 0 bytes"},
		{"long text", `"a\u00e9\""`, `"123456789"`, "has 9 bytes"},
		{"escape character", `"a\u00e9\""`, `"\u001b"`, "control character"},
		{"control character", `"a\u00e9\""`, "\"\x01\"", "control character"},
		{"C1 control character", `"a\u00e9\""`, `"\u0085"`, "control character"},
		{"half a surrogate pair", `\ud83d\ude00`, `\ud83d`, "surrogates"},
		{"not UTF-8", `"x"`, "\"\xff\"", "UTF-8"},
		{"large number", `1000`, `1001`, "want at most 1000"},
		{"leading zero", `1000`, `0100`, "leading zero"},
		{"sign", `1000`, `+1`, "not an integer"},
		{"fraction", `1000`, `1.5`, "not an integer"},
		{"exponent", `1000`, `1e2`, "not an integer"},
		{"20 digits", `1000`, `10000000000000000000`, "19 digits"},
		{"no digit", `1000`, ``, "not an integer"},
		{"short hex", `0fa0`, `0fa`, "has 3 characters"},
		{"capital hex", `0fa0`, `0FA0`, "lower-case"},
		{"not hex", `0fa0`, `0fag`, "lower-case"},
		{"time with zone", `12:00:00Z`, `12:00:00+01:00`, "want the form"},
		{"no time", `2026-11-01T12:00:00Z`, `2026-13-01T12:00:00Z`, "want the form"},
		{"trailing comma", `\ude00"]`, `\ude00",]`, "want"},
		{"comma before", `[ "x"`, `[ ,"x"`, "want"},
		{"trailing data", "]}\n", "]}\n{}", "follow the value"},
		{"cut short", "]}\n", "]", "document ends"},
		{"cut in a string", `"x" , "\ud83d\ude00"]}` + "\n", `"x`, "no closing"},
		{"nothing", goodRecord, "", "is not an object"},
	} {
		if !strings.Contains(goodRecord, tc.old) {
			t.Fatalf("%s: the record has no %s", tc.name, tc.old)
		}
		if _, err := decodeRecord([]byte(strings.Replace(goodRecord, tc.old, tc.new, 1))); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want it to say %q", tc.name, err, tc.want)
		}
	}
}

func TestDecoderDepth(t *testing.T) {
	d := NewDecoder("deep", []byte(strings.Repeat("[", MaxDepth+1)))
	var item func()
	item = func() { d.Array(item) }
	item()
	if err := d.End(); err == nil || !strings.Contains(err.Error(), "nested") {
		t.Errorf("%v, want that it is nested too deep", err)
	}
}

// FuzzDecoder holds the Decoder to the reader of trees: what it takes is JSON in the eyes of the other, with the same text.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte(goodRecord))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeRecord(data)
		if err != nil {
			return
		}
		v, err := Parse("record", data)
		if err != nil {
			t.Fatalf("taken, and refused as a tree: %v", err)
		}
		tree := NewReader("record", v)
		if tree.String("text") != r.text || tree.Uint("n", 1000) != r.n || tree.Err() != nil {
			t.Errorf("%+v, as a tree %q %d %v", r, tree.String("text"), tree.Uint("n", 1000), tree.Err())
		}
	})
}

// TestPlain holds the count of plain bytes, which is taken eight at a time, to every byte at every place.
func TestPlain(t *testing.T) {
	for size := range 20 {
		text := bytes.Repeat([]byte("~ a!"), 5)[:size]
		if got := plain(text); got != size {
			t.Fatalf("%q: %d plain bytes, want %d", text, got, size)
		}
		for at := range size {
			for c := range 256 {
				changed := bytes.Clone(text)
				changed[at] = byte(c)
				want := size
				if c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
					want = at
				}
				if got := plain(changed); got != want {
					t.Fatalf("%q: %d plain bytes, want %d", changed, got, want)
				}
			}
		}
	}
}
