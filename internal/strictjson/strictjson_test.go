package strictjson

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tdxkit/tdxkit/internal/bin"
)

func TestParse(t *testing.T) {
	v, err := Parse("test", []byte(` {"a": [1, -2.5e+3, null, true, false, "x\u00e9\ud83d\ude00\n"], "b": {}} `))
	if err != nil {
		t.Fatal(err)
	}
	if string(v.Members[0].Value.Raw) != `[1, -2.5e+3, null, true, false, "x\u00e9\ud83d\ude00\n"]` {
		t.Errorf("raw: got %s", v.Members[0].Value.Raw)
	}
	if got := v.Members[0].Value.Items[5].Text; got != "xé😀\n" {
		t.Errorf("text: got %q", got)
	}
	if v.Members[1].Off != 65 || v.Members[1].Value.Kind != Object {
		t.Errorf("got offset %d, %v", v.Members[1].Off, v.Members[1].Value.Kind)
	}
}

func TestParseRejects(t *testing.T) {
	for _, tc := range []struct {
		name, doc string
		off       int64
		err       error
	}{
		{"nothing", "", 0, bin.ErrTruncated},
		{"two values", "1 2", 2, bin.ErrMalformed},
		{"member twice", `{"a":1,"a":1}`, 7, bin.ErrMalformed},
		{"member in two cases", `{"ab":1,"aB":1}`, 8, bin.ErrMalformed},
		{"long s for s", `{"pass":1,"paſs":1}`, 10, bin.ErrMalformed},
		{"Kelvin sign for k", "{\"k\":1,\"\u212a\":1}", 7, bin.ErrMalformed},
		{"escaped name twice", `{"a":1,"\u0061":1}`, 7, bin.ErrMalformed},
		{"not UTF-8", "\"\xff\"", 0, bin.ErrMalformed},
		{"not UTF-8 after an escape", "\"\\n\xff\"", 0, bin.ErrMalformed},
		{"half a surrogate", `"\ud83d"`, 1, bin.ErrMalformed},
		{"surrogates in the wrong order", `"\ude00\ud83d"`, 1, bin.ErrMalformed},
		{"control character", "\"\x01\"", 1, bin.ErrMalformed},
		{"unknown escape", `"\x"`, 1, bin.ErrMalformed},
		{"escape that is no hex", `"\u00g0"`, 1, bin.ErrMalformed},
		{"escape with a sign", `"\u+0a1"`, 1, bin.ErrMalformed},
		{"escape cut", `"\u00`, 1, bin.ErrTruncated},
		{"string cut", `"abc`, 0, bin.ErrTruncated},
		{"string cut at an escape", `"abc\`, 4, bin.ErrMalformed},
		{"leading zero", `01`, 0, bin.ErrMalformed},
		{"plus", `+1`, 0, bin.ErrMalformed},
		{"point alone", `1.`, 0, bin.ErrMalformed},
		{"exponent alone", `1e`, 0, bin.ErrMalformed},
		{"minus alone", `-`, 0, bin.ErrMalformed},
		{"comma at the end", `[1,]`, 3, bin.ErrMalformed},
		{"comma at the end of an object", `{"a":1,}`, 7, bin.ErrMalformed},
		{"no colon", `{"a" 1}`, 5, bin.ErrMalformed},
		{"name that is no string", `{a:1}`, 1, bin.ErrMalformed},
		{"literal cut", `tru`, 0, bin.ErrMalformed},
		{"array cut", `[1`, 2, bin.ErrTruncated},
		{"object cut", `{"a":1`, 6, bin.ErrTruncated},
		{"NaN", `NaN`, 0, bin.ErrMalformed},
		{"byte order mark", "\xef\xbb\xbf1", 0, bin.ErrMalformed},
		{"too deep", strings.Repeat("[", MaxDepth+2), MaxDepth + 1, bin.ErrUnsupported},
		{"too many", "[" + strings.Repeat("0,", MaxValues), 2*MaxValues - 1, bin.ErrUnsupported},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse("test", []byte(tc.doc))
			var fe *bin.FormatError
			if !errors.As(err, &fe) || !errors.Is(err, tc.err) || fe.Off != tc.off {
				t.Errorf("got %v, want %v at 0x%x", err, tc.err, tc.off)
			}
		})
	}
}

func TestReader(t *testing.T) {
	read := func(doc string, f func(*Reader)) error {
		v, err := Parse("test", []byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		r := NewReader("test", v)
		f(r)
		return r.Err()
	}
	var b [2]byte
	for _, tc := range []struct {
		name, doc string
		f         func(*Reader)
		says      string // empty where it is accepted
	}{
		{"all", `{"s":"x","n":5,"h":"0aFF","t":"2025-01-02T03:04:05Z","a":[1]}`, func(r *Reader) {
			if r.String("s") != "x" || r.Uint("n", 5) != 5 || r.Time("t").Unix() != 1735787045 || len(r.Array("a")) != 1 {
				t.Error("values differ")
			}
			r.Hex("h", b[:])
			r.End()
		}, ""},
		{"not an object", `[]`, func(*Reader) {}, "want an object"},
		{"missing", `{}`, func(r *Reader) { r.String("s") }, "missing"},
		{"other kind", `{"s":1}`, func(r *Reader) { r.String("s") }, "want a string"},
		{"integer too large", `{"n":6}`, func(r *Reader) { r.Uint("n", 5) }, "from 0 to 5"},
		{"integer with a point", `{"n":5.0}`, func(r *Reader) { r.Uint("n", 5) }, "from 0 to 5"},
		{"integer below zero", `{"n":-0}`, func(r *Reader) { r.Uint("n", 5) }, "from 0 to 5"},
		{"integer of 30 digits", `{"n":100000000000000000000000000000}`, func(r *Reader) { r.Uint("n", 1<<63) }, "from 0"},
		{"hex too short", `{"h":"0a"}`, func(r *Reader) { r.Hex("h", b[:]) }, "want 4"},
		{"hex that is none", `{"h":"0a0x"}`, func(r *Reader) { r.Hex("h", b[:]) }, "not hex"},
		{"time with a zone", `{"t":"2025-01-02T03:04:05+00:00"}`, func(r *Reader) { r.Time("t") }, "form"},
		{"time with a fraction", `{"t":"2025-01-02T03:04:05.0Z"}`, func(r *Reader) { r.Time("t") }, "form"},
		{"empty array", `{"a":[]}`, func(r *Reader) { r.Array("a") }, "empty"},
		{"unknown member", `{"x":1}`, func(r *Reader) { r.End() }, "not a member"},
		{"member in other letters", `{"TcbInfo":1}`, func(r *Reader) { r.Optional("tcbInfo"); r.Unknown() }, "case only"},
		{"failure inside", `{"o":{"s":1}}`, func(r *Reader) { r.Object(r.Value("o")).String("s") }, "want a string"},
		{"object missing", `{}`, func(r *Reader) { r.Object(r.Optional("o")).String("s") }, "missing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := read(tc.doc, tc.f)
			if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %q", err, tc.says)
			}
		})
	}
}

// FuzzParse holds the reader against encoding/json: what it accepts, that accepts with the same strings.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"a":[1,-2.5e+3,null,true,"x\u00e9\ud83d\ude00"],"b":{}}`))
	f.Add([]byte(`"\ud83d"`))
	f.Add([]byte("{\"k\":1,\"\u212a\":2}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Parse("fuzz", data)
		if err != nil {
			return
		}
		if !json.Valid(data) || !utf8.Valid(data) {
			t.Fatalf("accepted what encoding/json refuses")
		}
		var walk func(v *Value)
		walk = func(v *Value) {
			if string(data[v.Off:v.Off+len(v.Raw)]) != string(v.Raw) || !json.Valid(v.Raw) {
				t.Fatalf("raw bytes %q at %d are not a value of the document", v.Raw, v.Off)
			}
			if v.Kind == String {
				var s string
				if err := json.Unmarshal(v.Raw, &s); err != nil || s != v.Text {
					t.Fatalf("string %s: got %q, want %q", v.Raw, v.Text, s)
				}
			}
			for i := range v.Items {
				walk(&v.Items[i])
			}
			for i := range v.Members {
				walk(&v.Members[i].Value)
			}
		}
		walk(v)
	})
}
