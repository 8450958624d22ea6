package api

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// A memory bounds what requests hold at once: REQUEST_MEMORY. It has two shares, so that uploads
// which a slow bucket holds up do not keep lists out. A request that does not fit waits for a
// while and then gets a 503: a process that is killed for its memory fails every request it holds.
type memory struct {
	bodies *share // of requests
	pages  *share // of users, while they are read and sent
}

// newMemory divides size bytes. Requests wait for up to wait.
func newMemory(size int64, wait time.Duration) memory {
	part := func(size int64) *share {
		return &share{size: size, wait: wait, semaphore: semaphore.NewWeighted(size), arriving: map[*bodyReader]struct{}{}}
	}
	return memory{bodies: part(size / 8 * 3), pages: part(size / 8 * 5)}
}

// A share is a part of the memory, in bytes.
type share struct {
	size      int64
	wait      time.Duration
	semaphore *semaphore.Weighted

	used, waits, refusals atomic.Int64

	mu       sync.Mutex
	arriving map[*bodyReader]struct{} // bodies that hold memory and are still being received
}

// reserve sets n bytes aside until release is called, or all of the share if n is more than that.
// The error is errBusy.
func (s *share) reserve(n int64) (release func(), err error) {
	n = min(max(n, 0), s.size)
	if !s.semaphore.TryAcquire(n) {
		s.waits.Add(1)
		s.dropStalled()
		ctx, cancel := context.WithTimeout(context.Background(), s.wait)
		defer cancel()
		if s.semaphore.Acquire(ctx, n) != nil {
			s.refusals.Add(1)
			return nil, errBusy
		}
	}
	s.used.Add(n)
	return sync.OnceFunc(func() {
		s.used.Add(-n)
		s.semaphore.Release(n)
	}), nil
}

// receive lets dropStalled drop a body until done is called.
func (s *share) receive(b *bodyReader) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arriving[b] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.arriving, b)
	}
}

// dropStalled drops the bodies that will not arrive in time, so that clients which stop in the
// middle of an upload do not keep others out.
func (s *share) dropStalled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for b := range s.arriving {
		if b.stalled() {
			b.drop()
		}
	}
}
