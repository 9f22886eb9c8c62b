package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseCPUs(t *testing.T) {
	for _, tc := range []struct {
		list string
		want []int
		err  string
	}{
		{"4", []int{4}, ""},
		{"1-4", []int{1, 2, 3, 4}, ""},
		{"8,1-2,4096", []int{8, 1, 2, 4096}, ""},
		{"3-3", []int{3}, ""},
		{"", nil, "is not a number"},
		{"1,", nil, "is not a number"},
		{"1-", nil, "is not a number"},
		{"-1", nil, "is not a number"},
		{"+1", nil, "is not a number"},
		{" 1", nil, "is not a number"},
		{"1-2-3", nil, "is not a number"},
		{"0", nil, "outside 1 to 4096"},
		{"1-4097", nil, "outside 1 to 4096"},
		{"99999999999", nil, "is not a number"},
		{"4-1", nil, "runs downwards"},
		{"1-4,2", nil, "occurs twice"},
	} {
		got, err := parseCPUs(tc.list)
		if tc.err == "" && (err != nil || !cmp.Equal(got, tc.want)) || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
			t.Errorf("%q: %v, %v; want %v, %q", tc.list, got, err, tc.want, tc.err)
		}
	}
}

func TestParseMemoryList(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for _, tc := range []struct {
		list string
		want []uint64
		err  string
	}{
		{"2GiB", []uint64{2 * gib}, ""},
		{"2G", []uint64{2 * gib}, ""},
		{"512MiB,3GiB", []uint64{512 * mib, 3 * gib}, ""},
		{"2GiB,4GiB..16GiB", []uint64{2 * gib, 4 * gib, 8 * gib, 16 * gib}, ""},
		{"4GiB..4GiB", []uint64{4 * gib}, ""},
		{"1024KiB,1T", []uint64{mib, 1 << 40}, ""},
		{"", nil, "is not a size"},
		{"2", nil, "has no unit"},
		{"2147483648", nil, "has no unit"},
		{"2GB", nil, "is not a size"},
		{"2gib", nil, "is not a size"},
		{"GiB", nil, "is not a whole number"},
		{"1.5GiB", nil, "is not a whole number"},
		{"-1GiB", nil, "is not a whole number"},
		{"0GiB", nil, "more than 0"},
		{"99999999TiB", nil, "too large"},
		{"16777216TiB", nil, "too large"},
		{"4194304TiB..8388607TiB", nil, "does not lead to"},
		{"4GiB..12GiB", nil, "does not lead to"},
		{"4GiB..", nil, "is not a size"},
		{"8GiB..4GiB", nil, "runs downwards"},
		{"2GiB,2048MiB", nil, "occurs twice"},
	} {
		got, err := parseMemoryList(tc.list)
		if tc.err == "" && (err != nil || !cmp.Equal(got, tc.want)) || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
			t.Errorf("%q: %v, %v; want %v, %q", tc.list, got, err, tc.want, tc.err)
		}
	}
}

// TestFormatMemory checks that a size that is written is read back.
func TestFormatMemory(t *testing.T) {
	for want, n := range map[string]uint64{"1KiB": 1 << 10, "1536MiB": 3 << 29, "4GiB": 4 << 30, "2TiB": 2 << 40, "1025MiB": 1025 << 20} {
		if got := formatMemory(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
		if back, err := parseMemory(want); back != n || err != nil {
			t.Errorf("%s: %d, %v, want %d", want, back, err, n)
		}
	}
	if got := formatMemory(1000); got != "1000B" {
		t.Errorf("1000: %s", got)
	}
}

func TestParseBARs(t *testing.T) {
	for _, tc := range []struct{ text, err string }{
		{"gpu0=0:16MiB:mem64,2:128GiB:pref64", ""},
		{"00:00.0=0:4K:io", ""},
		{"", "names no device"},
		{"=0:4K:io", "names no device"},
		{"gpu0", "names no device"},
		{"gpu0=", "not NUMBER:SIZE:KIND"},
		{"gpu0=0:4K", "not NUMBER:SIZE:KIND"},
		{"gpu0=6:4K:io", "0 to 5"},
		{"gpu0=x:4K:io", "0 to 5"},
		{"gpu0=0:5K:io", "power of two"},
		{"gpu0=0:4096:io", "power of two"},
		{"gpu0=0:4K:rom", "is not io"},
	} {
		id, bars, err := parseBARs(tc.text)
		if tc.err == "" && (err != nil || id == "" || len(bars) == 0) || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
			t.Errorf("%q: %s %v, %v; want %q", tc.text, id, bars, err, tc.err)
		}
	}
}
