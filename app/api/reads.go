package api

import (
	"context"
	"fmt"
	"sync"

	"prima.internal/app/user"
)

// reads lets concurrent requests for the same page share a read of the store, as transactions share
// a group commit: while a read runs, requests join the next one, which starts when it ends. So no
// request gets what was read before it came, and at most one read of a page runs at a time.
type reads struct {
	metrics *metrics

	mu   sync.Mutex
	open map[string]*read // by page: the read that requests join, because it has not started
	last map[string]*read // by page: the last read that has not ended
}

func newReads(m *metrics) *reads {
	return &reads{metrics: m, open: map[string]*read{}, last: map[string]*read{}}
}

// A read is one read of a page, and the requests that wait for it.
type read struct {
	before  *read // which ends first; may be nil
	readers int64
	done    chan struct{}
	result  *page
	err     error
}

// get returns the page of a key, as pageOf reads it. The caller releases it. pageOf, which must not
// panic, is called for this request or for another. The error is that of the read, or Unavailable
// when ctx ends.
func (s *reads) get(ctx context.Context, key string, pageOf func() (*page, error)) (*page, error) {
	s.mu.Lock()
	r, first := s.open[key], false
	if r == nil {
		r = &read{before: s.last[key], done: make(chan struct{})}
		s.open[key], s.last[key] = r, r
		first = r.before == nil
		if !first {
			go s.run(key, r, pageOf)
		}
	}
	r.readers++
	s.mu.Unlock()
	if first {
		s.run(key, r, pageOf)
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

// run reads a page when the read before has ended, unless all requests for it have left.
func (s *reads) run(key string, r *read, pageOf func() (*page, error)) {
	if r.before != nil {
		<-r.before.done
		r.before = nil
	}
	s.mu.Lock()
	delete(s.open, key)
	wanted := r.readers > 0
	s.mu.Unlock()
	var result *page
	var err error
	if wanted {
		result, err = pageOf()
		outcome := "ok"
		if err != nil {
			outcome = "failed"
		}
		s.metrics.reads.WithLabelValues(outcome).Inc()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.result, r.err = result, err
	if result != nil {
		result.readers.Store(r.readers)
		if r.readers == 0 {
			result.free()
		}
	}
	if s.last[key] == r {
		delete(s.last, key)
	}
	close(r.done)
}
