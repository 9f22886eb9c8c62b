package main

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

func TestInOrder(t *testing.T) {
	const n = 1000
	numbers := func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
	// Every third takes longer than those behind it.
	double := func(i int) int {
		if i%3 == 0 {
			time.Sleep(10 * time.Microsecond)
		}
		return 2 * i
	}
	var got []int
	err := inOrder(context.Background(), numbers, double, func(results iter.Seq[int]) error {
		got = slices.Collect(results)
		return nil
	})
	if err != nil || len(got) != n || !slices.IsSorted(got) || got[n-1] != 2*(n-1) {
		t.Errorf("%d results, sorted %v, error %v", len(got), slices.IsSorted(got), err)
	}

	var worked atomic.Int64
	wrong := errors.New("wrong")
	err = inOrder(context.Background(), numbers, func(i int) int { worked.Add(1); return i }, func(results iter.Seq[int]) error {
		for i := range results {
			if i == 3 {
				return wrong
			}
		}
		return nil
	})
	if err != wrong || worked.Load() == n {
		t.Errorf("error %v after %d items, want that of consume after a few", err, worked.Load())
	}

	ctx, cancel := context.WithCancel(context.Background())
	err = inOrder(ctx, numbers, double, func(results iter.Seq[int]) error {
		for i := range results {
			if i == 6 {
				cancel()
			}
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v of a context that ends, want that it was cancelled", err)
	}
}
