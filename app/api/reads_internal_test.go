package api

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/user"
)

// waiting returns how many requests wait for the next read of the page "users".
func (s *reads) waiting() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if next := s.open["users"]; next != nil {
		return next.readers
	}
	return 0
}

// idle reports whether no page is being read.
func (s *reads) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.last) == 0
}

// Ensure requests that arrive during a read share the next read and its failure, that requests for
// other pages do not wait, and that no state is left after the last read.
func TestReadsAreShared(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{nil, errors.New("a secret")} {
		s := newReads(newMetrics())
		var calls, freed atomic.Int64
		begun, release := make(chan struct{}, 2), make(chan struct{})
		var all sync.WaitGroup
		get := func() {
			p, err := s.get(t.Context(), "users", func() (*page, error) {
				calls.Add(1)
				begun <- struct{}{}
				<-release
				if failure != nil {
					return nil, failure
				}
				return &page{free: func() { freed.Add(1) }}, nil
			})
			if assert.ErrorIs(t, err, failure); err == nil {
				p.release()
			}
		}
		all.Go(get)
		<-begun
		const joining = 10
		for range joining {
			all.Go(get)
		}
		require.Eventually(t, func() bool { return s.waiting() == joining }, time.Minute, time.Millisecond)
		other, err := s.get(t.Context(), "others", func() (*page, error) { return &page{free: func() {}}, nil })
		require.NoError(t, err)
		other.release()
		assert.EqualValues(t, 1, calls.Load(), "the next read starts when the first has ended")
		close(release)
		all.Wait()
		assert.EqualValues(t, 2, calls.Load())
		if failure == nil {
			assert.EqualValues(t, 2, freed.Load())
		}
		require.Eventually(t, s.idle, time.Minute, time.Millisecond)
	}
}

// Ensure requests that wait for a hanging read get a 503 in time, that no read starts for requests
// that have given up, and that a page without requests is released.
func TestReadsHang(t *testing.T) {
	t.Parallel()
	s := newReads(newMetrics())
	var freed atomic.Int64
	free := func() { freed.Add(1) }
	var all sync.WaitGroup
	hang := func() (release chan struct{}) { // begins a read that ends after release
		begun, release := make(chan struct{}), make(chan struct{})
		all.Go(func() {
			p, err := s.get(t.Context(), "users", func() (*page, error) {
				close(begun)
				<-release
				return &page{free: free}, nil
			})
			if assert.NoError(t, err) {
				p.release()
			}
		})
		<-begun
		return release
	}
	release := hang()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 {
		_, err := s.get(gone, "users", func() (*page, error) { panic("nobody waits for it") })
		assert.Equal(t, user.Unavailable, user.CodeOf(err), "%v", err)
	}
	assert.Zero(t, s.waiting())
	close(release)
	all.Wait()
	require.Eventually(t, s.idle, time.Minute, time.Millisecond)

	// One that leaves while its read runs.
	release, left := hang(), make(chan struct{})
	leaving, leave := context.WithCancel(t.Context())
	all.Go(func() {
		_, err := s.get(leaving, "users", func() (*page, error) {
			leave()
			<-left
			return &page{free: free}, nil
		})
		assert.ErrorIs(t, err, context.Canceled)
		close(left)
	})
	require.Eventually(t, func() bool { return s.waiting() == 1 }, time.Minute, time.Millisecond)
	close(release)
	all.Wait()
	require.Eventually(t, func() bool { return freed.Load() == 3 }, time.Minute, time.Millisecond)
}
