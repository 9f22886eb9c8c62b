package main

import (
	"context"
	"iter"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// inOrder does work on all processors and hands the results to consume in the order of the items. It works a few items
// ahead and no further. Consume takes all, or returns an error, after which the rest is left.
func inOrder[T, R any](ctx context.Context, items iter.Seq[T], work func(T) R, consume func(iter.Seq[R]) error) error {
	type task struct {
		item   T
		result chan R
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workers := runtime.GOMAXPROCS(0)
	tasks, order := make(chan task), make(chan chan R, 4*workers)
	var g errgroup.Group
	for range workers {
		g.Go(func() error {
			for t := range tasks {
				t.result <- work(t.item)
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(order)
		defer close(tasks)
		for item := range items {
			t := task{item, make(chan R, 1)}
			select {
			case order <- t.result:
				tasks <- t
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	err := consume(func(yield func(R) bool) {
		for result := range order {
			if !yield(<-result) {
				return
			}
		}
	})
	cancel()
	if waited := g.Wait(); err == nil {
		err = waited
	}
	return err
}
