package main

import (
	"slices"
	"strings"
	"testing"
)

func TestReadShapes(t *testing.T) {
	shapes, err := readShapes(strings.NewReader(`{"args": ["-M", "q35,hpet=off", "-usb", "-device", "{\"driver\":\"edu\"}"]}
{"args": ["-readconfig", "c"], "files": {"c": "[device]\n"}}`))
	if err != nil || len(shapes) != 2 {
		t.Fatalf("%d shapes, %v", len(shapes), err)
	}
	if got, want := shapes[0].args(), []string{"-M", "q35,hpet=off", "-usb", "-device", `{"driver":"edu"}`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := string(shapes[1].files["c"]); got != "[device]\n" {
		t.Errorf("the file holds %q", got)
	}
	for _, bad := range []string{`{"args": 5}`, `{"args": ["-usb"]`, "-usb"} {
		if _, err := readShapes(strings.NewReader(bad)); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}
