package api

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"prima.internal/app/config"
)

// A memory bounds what requests hold at once to REQUEST_MEMORY. It has two shares, so that uploads
// to a slow bucket do not keep lists out. A request that does not fit waits up to a fifth of
// REQUEST_TIMEOUT, then gets a 503.
type memory struct {
	bodies *share // of requests
	pages  *share // of users, while they are read and sent
}

func newMemory(c config.Config, m *metrics) memory {
	part := func(name string, size int64) *share {
		m.memoryLimit.WithLabelValues(name).Set(float64(size))
		return &share{
			size: size, wait: c.RequestTimeout / 5, semaphore: semaphore.NewWeighted(size),
			used: m.memoryUsed.WithLabelValues(name), waits: m.memoryWaits.WithLabelValues(name),
			refusals: m.memoryRefusals.WithLabelValues(name), arriving: map[*bodyReader]struct{}{},
		}
	}
	return memory{bodies: part("bodies", c.RequestMemory/8*3), pages: part("pages", c.RequestMemory/8*5)}
}

// A share is a part of the memory, in bytes.
type share struct {
	size      int64
	wait      time.Duration
	semaphore *semaphore.Weighted

	used            prometheus.Gauge
	waits, refusals prometheus.Counter

	mu       sync.Mutex
	arriving map[*bodyReader]struct{} // bodies that hold memory and are still being received
}

// reserve sets n bytes aside until release is called, or all of the share if n is more than that.
// The error is errBusy.
func (s *share) reserve(n int64) (release func(), err error) {
	n = min(max(n, 0), s.size)
	if !s.semaphore.TryAcquire(n) {
		s.waits.Inc()
		s.dropStalled()
		ctx, cancel := context.WithTimeout(context.Background(), s.wait)
		defer cancel()
		if s.semaphore.Acquire(ctx, n) != nil {
			s.refusals.Inc()
			return nil, errBusy
		}
	}
	s.used.Add(float64(n))
	return sync.OnceFunc(func() {
		s.used.Sub(float64(n))
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
