package main

import (
	"slices"
	"testing"

	"github.com/tdxkit/tdxkit/qemu"
)

// TestWild asks that a shape is changed, and changed alike each time, and leaves alone the one that it was made from. What
// comes of it is refused or predicted; nothing panics.
func TestWild(t *testing.T) {
	v := qemu.Version{Major: 11, Minor: 1}
	changed, taken := 0, 0
	for n := range uint64(1500) {
		plain := generate(4, n, v, true)
		before := plain.args()
		a, b := wild(plain, 4, 4, n).args(), wild(plain, 4, 4, n).args()
		if !slices.Equal(a, b) || !slices.Equal(before, plain.args()) {
			t.Fatalf("shape %d: %s\nand %s\nof %s", n, quote(a), quote(b), quote(before))
		}
		if !slices.Equal(a, before) {
			changed++
		}
		if _, err := predict(wild(plain, 4, 4, n), "11.1.3"); err == nil {
			taken++
		}
	}
	if changed < 1300 || taken < 50 {
		t.Errorf("of 1500 shapes %d were changed, and %d are taken", changed, taken)
	}
}
