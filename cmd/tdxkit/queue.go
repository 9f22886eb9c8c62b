package main

import (
	"context"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// A queue runs tasks on all processors, one on each. Of those that wait, the largest is next, so that no long one is
// left for the end, when all processors but one are idle.
type queue struct {
	group   *errgroup.Group
	ctx     context.Context // done once a task has failed, after which none starts
	mu      sync.Mutex
	idle    int // processors
	waiting []task
}

// A task is work whose time grows with size, a number of bytes.
type task struct {
	size int64
	run  func() error
}

func newQueue(ctx context.Context) *queue {
	g, ctx := errgroup.WithContext(ctx)
	return &queue{group: g, ctx: ctx, idle: runtime.GOMAXPROCS(0)}
}

// add has run called, at once where a processor is idle. Tasks may add others.
func (q *queue) add(size int64, run func() error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, task{size, run})
	q.next()
}

// next starts a task if it can. It is called with mu held, whenever a processor or a task is new.
func (q *queue) next() {
	if q.idle == 0 || len(q.waiting) == 0 || q.ctx.Err() != nil {
		return
	}
	largest := 0
	for i, t := range q.waiting {
		if t.size > q.waiting[largest].size {
			largest = i
		}
	}
	run := q.waiting[largest].run
	q.waiting = slices.Delete(q.waiting, largest, largest+1)
	q.idle--
	q.group.Go(func() error {
		err := run()
		q.mu.Lock()
		defer q.mu.Unlock()
		q.idle++
		if err == nil { // else the context is done as soon as the group has the error
			q.next()
		}
		return err
	})
}

// wait returns once all tasks have ended, with the error of the first that failed, or of the context. What waited then has
// not been run.
func (q *queue) wait() error {
	if err := q.group.Wait(); err != nil || len(q.waiting) == 0 {
		return err
	}
	return context.Cause(q.ctx)
}
