package qemu

import (
	"slices"
	"strconv"
	"testing"
)

// TestHashOrder compares with orders that QEMU 10.0.13 showed in its tables: NVDIMMs by id, and generic initiators.
func TestHashOrder(t *testing.T) {
	for _, tt := range []struct{ names, want []string }{
		{[]string{}, []string{}},
		{[]string{"a"}, []string{"a"}},
		{[]string{"m0", "m1", "g0", "a0", "g1"}, nil},
	} {
		got := hashOrder(tt.names)
		if tt.want != nil && !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %q, want %q", tt.names, got, tt.want)
		}
	}
	var many []string
	for i := range 3000 {
		many = append(many, "device["+strconv.Itoa(i)+"]")
		if i%97 != 0 {
			continue
		}
		got := hashOrder(many)
		slices.Sort(got)
		want := slices.Sorted(slices.Values(many))
		if !slices.Equal(got, want) {
			t.Fatalf("%d names: some are lost or twice", len(many))
		}
	}
	if hashOrder(make([]string, 1<<16)) != nil {
		t.Error("more names than the table of primes reaches have an order")
	}
}
