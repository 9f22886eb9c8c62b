package main

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestQueueOrder holds that a single processor takes the largest of the tasks that wait, and those that tasks add.
func TestQueueOrder(t *testing.T) {
	q := newQueue(t.Context())
	q.idle = 1
	var got []int64
	note := func(size int64) func() error {
		return func() error { got = append(got, size); return nil }
	}
	q.add(1, func() error {
		for _, size := range []int64{4, 2, 5, 3} {
			q.add(size, note(size))
		}
		return nil
	})
	if err := q.wait(); err != nil {
		t.Fatal(err)
	}
	if want := []int64{5, 4, 3, 2}; !slices.Equal(got, want) {
		t.Errorf("tasks ran in the order %d, want %d", got, want)
	}
}

// TestQueueLimit holds that no more tasks run at a time than there are processors, and as many as those.
func TestQueueLimit(t *testing.T) {
	q := newQueue(t.Context())
	processors := runtime.GOMAXPROCS(0)
	var running atomic.Int64
	var full sync.WaitGroup
	full.Add(processors)
	for i := range 3 * processors {
		q.add(1, func() error {
			defer running.Add(-1)
			if n := running.Add(1); n > int64(processors) {
				t.Errorf("%d tasks run on %d processors", n, processors)
			}
			if i < processors {
				full.Done()
				full.Wait()
			}
			return nil
		})
	}
	if err := q.wait(); err != nil {
		t.Fatal(err)
	}
}

// TestQueueError holds that what waits when a task fails is left out, and that the tasks under way see it.
func TestQueueError(t *testing.T) {
	broken := errors.New("disk on fire")
	q := newQueue(t.Context())
	q.idle = 2
	q.add(2, func() error { <-q.ctx.Done(); return q.ctx.Err() })
	q.add(1, func() error {
		q.add(3, func() error { t.Error("a task ran behind one that had failed"); return nil })
		return broken
	})
	if err := q.wait(); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

// TestQueueGivesWay holds that a task that reads lets those go first that are larger than what it has left, and then goes
// on.
func TestQueueGivesWay(t *testing.T) {
	q := newQueue(t.Context())
	q.idle = 1
	var got []int64
	q.add(9, func() error {
		for _, size := range []int64{4, 7, 2} {
			q.add(size, func() error { got = append(got, size); return nil })
		}
		r := &queuedReader{strings.NewReader("ABCDEFGHI"), q, 9}
		for b := make([]byte, 3); ; {
			n, err := r.Read(b)
			if err != nil {
				return nil
			}
			got = append(got, -int64(n))
		}
	})
	if err := q.wait(); err != nil {
		t.Fatal(err)
	}
	if want := []int64{-3, 7, -3, 4, -3, 2}; !slices.Equal(got, want) {
		t.Errorf("pieces read (negative) and tasks run: %d, want %d", got, want)
	}
}

// TestQueueGivesWayToError holds that a task that gave way to one that fails ends with it.
func TestQueueGivesWayToError(t *testing.T) {
	broken := errors.New("disk on fire")
	q := newQueue(t.Context())
	q.idle = 1
	q.add(2, func() error {
		q.add(3, func() error { return broken })
		if err := q.giveWay(2); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want %v", err, context.Canceled)
		}
		return q.giveWay(2)
	})
	if err := q.wait(); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

// TestQueueCancelled holds that nothing starts once the caller's context is done.
func TestQueueCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q := newQueue(ctx)
	q.add(1, func() error { t.Error("a task ran under a context that is done"); return nil })
	if err := q.wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}
