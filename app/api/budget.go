package api

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// A budget bounds the memory that requests take while they are served. What finds no room waits
// for a while, unread, and is then refused: a process that is killed for its memory fails every request
// that it holds, and refuses none.
type budget struct {
	uploads share // bodies with an image
	bodies  share // other bodies; of their own, so that a user without an image need not wait for images
	lists   share // parts of lists that are being sent, however slowly
	reads   share // pages of the store that are being read, which take a multiple of what is sent

	// page is the size of the latest pages as JSON, in bytes: what the next one is expected to take.
	page atomic.Int64
}

// newBudget divides memory, in bytes. See REQUEST_MEMORY in package config.
func newBudget(memory int64, wait time.Duration) *budget {
	part := func(eighths int64) share {
		size := max(memory/8*eighths, 1)
		return share{semaphore.NewWeighted(size), size, wait, new(shareState)}
	}
	b := &budget{uploads: part(3), lists: part(3), bodies: part(1), reads: part(1)}
	b.page.Store(maxPage)
	return b
}

// Bounds of what a page of the store is expected to be as JSON, in bytes. DynamoDB ends a page at 1 MB.
const (
	minPage = 16 << 10
	maxPage = 1 << 20
)

// saw learns the size of a page. It follows a larger one at once and smaller ones slowly.
func (b *budget) saw(size int) {
	before := b.page.Load()
	now := min(max(int64(size), before-(before-int64(size))/8, minPage), maxPage)
	if now != before {
		b.page.CompareAndSwap(before, now)
	}
}

// A share is memory for one use, in bytes.
type share struct {
	semaphore *semaphore.Weighted
	size      int64
	wait      time.Duration
	state     *shareState
}

// take sets n bytes aside until release is called. One that is larger than the share takes all of
// it. The error is errBusy.
func (s share) take(n int64) (release func(), err error) {
	n = min(max(n, 0), s.size)
	if !s.semaphore.TryAcquire(n) {
		s.state.waits.Add(1)
		ctx, cancel := context.WithTimeout(context.Background(), s.wait)
		defer cancel()
		if s.semaphore.Acquire(ctx, n) != nil {
			s.state.refusals.Add(1)
			return nil, errBusy
		}
	}
	return s.taken(n), nil
}

// within is take for what has been begun: it waits as long as ctx lasts, and returns its error.
func (s share) within(ctx context.Context, n int64) (release func(), err error) {
	n = min(max(n, 0), s.size)
	if !s.semaphore.TryAcquire(n) {
		s.state.waits.Add(1)
		if err := s.semaphore.Acquire(ctx, n); err != nil {
			s.state.refusals.Add(1)
			return nil, err
		}
	}
	return s.taken(n), nil
}

// try is take for what can do without: it does not wait, and says whether there was room.
func (s share) try(n int64) bool {
	if !s.semaphore.TryAcquire(n) {
		return false
	}
	s.state.used.Add(n)
	return true
}

// give gives back n bytes of what try has taken.
func (s share) give(n int64) {
	s.state.used.Add(-n)
	s.semaphore.Release(n)
}

// taken returns what gives n bytes back that have been acquired.
func (s share) taken(n int64) (release func()) {
	s.state.used.Add(n)
	return func() { s.give(n) }
}
