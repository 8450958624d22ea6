package api

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"prima.internal/app/user"
)

// reads lets concurrent requests for the same page share a read of the store, as transactions share
// a group commit: while a read runs, requests join the next one, which starts when it ends. So no
// request gets what was read before it came, and at most one read of a page runs at a time.
type reads struct {
	metrics *metrics

	mu    sync.Mutex
	queue map[string]*read // by page that is being read: the next read, nil if nobody waits for it
}

// A read is one read of a page, and the requests that wait for it.
type read struct {
	page    func() (*page, error) // does not panic
	readers int64
	done    chan struct{}
	result  *page
	err     error
}

// get returns the page of a key, as pageOf reads it. The caller releases it. pageOf is called by
// this request, by another one, or not at all. The error is that of the read, or Unavailable when
// ctx ends.
func (s *reads) get(ctx context.Context, key string, pageOf func() (*page, error)) (*page, error) {
	s.mu.Lock()
	r, running := s.queue[key]
	if r == nil {
		r = &read{page: pageOf, done: make(chan struct{})}
		s.queue[key] = r
	}
	r.readers++
	if !running {
		s.queue[key] = nil
	}
	s.mu.Unlock()
	if !running {
		s.run(key, r)
	}
	select {
	case <-r.done:
		return r.result, r.err
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.result != nil || r.err != nil { // the read ended at the same time
		return r.result, r.err
	}
	r.readers--
	err := fmt.Errorf("wait for another read of the page: %w", ctx.Err())
	return nil, &user.Error{Code: user.Unavailable, Err: err}
}

// run reads a page, hands it to the requests that wait for it, and starts the next read.
func (s *reads) run(key string, r *read) {
	result, err := r.page()
	s.mu.Lock()
	defer s.mu.Unlock()
	r.result, r.err = result, err
	outcome := "failed"
	if err == nil {
		outcome = "ok"
		result.readers.Store(r.readers)
		if r.readers == 0 {
			result.free()
		}
	}
	s.metrics.reads.WithLabelValues(outcome).Inc()
	close(r.done)
	if s.queue[key] == nil {
		delete(s.queue, key)
		return
	}
	go s.runNext(key)
}

// runNext runs the next read of a page if a request still waits for it.
func (s *reads) runNext(key string) {
	runtime.Gosched() // requests that are ready to run may join
	s.mu.Lock()
	next := s.queue[key]
	if next.readers == 0 {
		delete(s.queue, key)
		s.mu.Unlock()
		return
	}
	s.queue[key] = nil
	s.mu.Unlock()
	s.run(key, next)
}
