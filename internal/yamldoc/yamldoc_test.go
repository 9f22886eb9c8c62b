package yamldoc

import (
	"errors"
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		keys       Keys
		want       string // of the error; empty for none
	}{
		{"YAML", "a: 1\n", KnownKeys, ""},
		{"JSON", `{"a": 1}`, KnownKeys, ""},
		{"unknown key", "a: 1\nb: 2\n", KnownKeys, "line 2: field b not found"},
		{"unknown key that is passed over", "a: 1\nb: 2\n", AllKeys, ""},
		{"key twice", "a: 1\na: 2\n", AllKeys, `mapping key "a" already defined`},
		{"another type", "a: x\n", KnownKeys, "cannot unmarshal"},
		{"no YAML", "a: [", KnownKeys, "line 1"},
		{"nothing", "", KnownKeys, "is empty"},
		{"two documents", "a: 1\n---\na: 2\n", KnownKeys, "more than one document"},
	} {
		var v struct{ A int }
		err := Decode([]byte(tc.text), &v, tc.keys)
		switch {
		case tc.want == "" && (err != nil || v.A != 1):
			t.Errorf("%s: %v, a is %d", tc.name, err, v.A)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || strings.ContainsAny(err.Error(), "\n")):
			t.Errorf("%s: %v, want it to say %q", tc.name, err, tc.want)
		}
	}
	if err := Decode(nil, new(any), KnownKeys); !errors.Is(err, ErrEmpty) {
		t.Errorf("%v, want ErrEmpty", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("a: [1, {b: c}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var v any
		_ = Decode(data, &v, KnownKeys) // must end, and not panic
	})
}
