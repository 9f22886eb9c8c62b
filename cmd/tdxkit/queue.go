package main

import (
	"context"
	"io"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// A queue runs tasks on all processors, one on each. Of those that wait, the largest is next, so that no long one is
// left for the end, when all processors but one are idle. One under way gives way to a larger one.
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
	// resume is closed when a task that gave way has a processor again; it has been run.
	resume chan struct{}
}

func newQueue(ctx context.Context) *queue {
	g, ctx := errgroup.WithContext(ctx)
	return &queue{group: g, ctx: ctx, idle: runtime.GOMAXPROCS(0)}
}

// add has run called, at once where a processor is idle. Tasks may add others.
func (q *queue) add(size int64, run func() error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, task{size: size, run: run})
	q.next()
}

// next starts a task if it can. It is called with mu held, whenever a processor or a task is new.
func (q *queue) next() {
	if q.idle == 0 || len(q.waiting) == 0 || q.ctx.Err() != nil {
		return
	}
	i := q.largest()
	t := q.waiting[i]
	q.waiting = slices.Delete(q.waiting, i, i+1)
	q.idle--
	if t.resume != nil {
		close(t.resume)
		return
	}
	q.group.Go(func() error {
		err := t.run()
		q.mu.Lock()
		defer q.mu.Unlock()
		q.idle++
		if err == nil { // else the context is done as soon as the group has the error
			q.next()
		}
		return err
	})
}

// largest is the index of the largest task that waits, of which there must be one.
func (q *queue) largest() int {
	largest := 0
	for i, t := range q.waiting {
		if t.size > q.waiting[largest].size {
			largest = i
		}
	}
	return largest
}

// giveWay lets a larger task that waits go first, when it is called by a task that has size left to do. Without one it
// returns at once. Its error is that of the context.
func (q *queue) giveWay(size int64) error {
	q.mu.Lock()
	if q.ctx.Err() != nil || len(q.waiting) == 0 || q.waiting[q.largest()].size <= size {
		defer q.mu.Unlock()
		return q.ctx.Err()
	}
	resume := make(chan struct{})
	q.waiting = append(q.waiting, task{size: size, resume: resume})
	q.idle++
	q.next()
	q.mu.Unlock()
	select {
	case <-resume:
		return nil
	case <-q.ctx.Done():
		return q.ctx.Err()
	}
}

// wait returns once all tasks have ended, with the error of the first that failed, or of the context. What waited then has
// not been run.
func (q *queue) wait() error {
	if err := q.group.Wait(); err != nil || len(q.waiting) == 0 {
		return err
	}
	return context.Cause(q.ctx)
}

// A queuedReader is what a task reads, with left bytes to come. It gives way to larger tasks, and fails once the queue's
// context is done.
type queuedReader struct {
	io.Reader
	queue *queue
	left  int64
}

func (r *queuedReader) Read(b []byte) (int, error) {
	if err := r.queue.giveWay(r.left); err != nil {
		return 0, err
	}
	n, err := r.Reader.Read(b)
	r.left -= int64(n)
	return n, err
}
