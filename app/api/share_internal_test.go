package api

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/user"
)

const forever = time.Hour

func pageOf(text string) *page {
	p := &page{body: []byte(text)}
	p.readers.Store(1)
	return p
}

// waiting returns how many wait for the next read of a page.
func (s *sharer) waiting(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if shared := s.pages[name]; shared != nil && shared.next != nil {
		return shared.next.readers
	}
	return 0
}

// busy returns how many pages are being read, or are to be.
func (s *sharer) busy() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, shared := range s.pages {
		if shared.running > 0 || shared.next != nil {
			n++
		}
	}
	return n
}

// Ensure all who come while a page is read get one read that begins after the last of them came, in which they share a
// page; that those of another name do not wait; and that nothing stays behind.
func TestSharedRead(t *testing.T) {
	t.Parallel()
	const n = 50
	s := newSharer(true, forever)
	var reads, freed atomic.Int64
	begun, release := make(chan struct{}), make(chan struct{})
	read := func() (*page, error) { //nolint:unparam // the type is the sharer's
		number := reads.Add(1)
		if number == 1 {
			close(begun)
			<-release
		}
		p := pageOf(fmt.Sprint("read ", number))
		p.holds(func() { freed.Add(1) })
		return p, nil
	}
	get := func(want string) {
		p, err := s.get(t.Context(), "a", read)
		if assert.NoError(t, err) {
			assert.Equal(t, want, string(p.body))
			p.release()
		}
	}
	var all sync.WaitGroup
	all.Go(func() { get("read 1") })
	<-begun
	for range n {
		all.Go(func() { get("read 2") })
	}
	require.Eventually(t, func() bool { return s.waiting("a") == n }, time.Minute, time.Millisecond)
	other, err := s.get(t.Context(), "b", func() (*page, error) { return pageOf("b"), nil })
	require.NoError(t, err)
	assert.Equal(t, "b", string(other.body))
	assert.EqualValues(t, 1, reads.Load(), "the second read begins when the first has ended")

	close(release)
	all.Wait()
	assert.EqualValues(t, 2, reads.Load())
	assert.EqualValues(t, 2, freed.Load())
	assert.Zero(t, s.busy())
	get("read 3")
}

// Ensure those who come while the shared read runs wait for one more: no one is given what was read before.
func TestSharedReadIsNeverOlder(t *testing.T) {
	t.Parallel()
	s := newSharer(true, forever)
	var state atomic.Int64
	var reads, gets atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 300 {
				written := state.Add(1)
				p, err := s.get(t.Context(), "", func() (*page, error) {
					seen := state.Load()
					reads.Add(1)
					time.Sleep(50 * time.Microsecond) // what is written now is not in it
					return pageOf(fmt.Sprint(seen)), nil
				})
				if !assert.NoError(t, err) {
					return
				}
				var seen int64
				_, err = fmt.Sscan(string(p.body), &seen)
				assert.NoError(t, err)
				assert.GreaterOrEqual(t, seen, written)
				p.release()
				gets.Add(1)
			}
		})
	}
	all.Wait()
	assert.Less(t, reads.Load(), gets.Load()/2, "that reads are shared")
	assert.Zero(t, s.busy())
}

// Ensure a read that hangs holds up those behind it for a while and not for ever, and that what it ends with is still
// its reader's.
func TestSharedReadHangs(t *testing.T) {
	t.Parallel()
	s := newSharer(true, time.Millisecond)
	begun, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		p, err := s.get(t.Context(), "", func() (*page, error) {
			close(begun)
			<-release
			return pageOf("first"), nil
		})
		assert.NoError(t, err)
		assert.Equal(t, "first", string(p.body))
	})
	<-begun
	for i := range 3 {
		p, err := s.get(t.Context(), "", func() (*page, error) { return pageOf(fmt.Sprint(i)), nil })
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprint(i), string(p.body))
	}
	close(release)
	all.Wait()
	assert.Zero(t, s.busy())
}

// Ensure a reader whose time is up leaves, without harm to the others, and that what nobody waits for any more is not read,
// or given back when it has been.
func TestSharedReadIsLeft(t *testing.T) {
	t.Parallel()
	s := newSharer(true, forever)
	begun, release := make(chan struct{}, 2), make(chan struct{})
	var freed atomic.Int64
	slow := func() (*page, error) { //nolint:unparam // the type is the sharer's
		begun <- struct{}{}
		<-release
		p := pageOf("slow")
		p.holds(func() { freed.Add(1) })
		return p, nil
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()

	var all sync.WaitGroup
	all.Go(func() {
		p, err := s.get(t.Context(), "", slow)
		assert.NoError(t, err)
		p.release()
	})
	<-begun
	_, err := s.get(gone, "", func() (*page, error) { panic("nobody wants it") })
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, user.Unavailable, user.CodeOf(err))

	leaving, leave := context.WithCancel(t.Context())
	all.Go(func() {
		_, err := s.get(leaving, "", slow)
		assert.ErrorIs(t, err, context.Canceled)
	})
	require.Eventually(t, func() bool { return s.waiting("") == 1 }, time.Minute, time.Millisecond)
	release <- struct{}{} // ends the first, and begins the second
	<-begun
	leave()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.pages[""].running == 1
	}, time.Minute, time.Millisecond)
	all.Wait()
	release <- struct{}{}
	require.Eventually(t, func() bool { return freed.Load() == 2 }, time.Minute, time.Millisecond, "also that which nobody reads")
	assert.Zero(t, s.busy())
}

// Ensure an error and a panic reach all who wait, and are not kept.
func TestSharedReadFails(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() (*page, error){
		"error": func() (*page, error) { return nil, errors.New("an error") },
		"panic": func() (*page, error) { panic("an error") },
	} {
		s := newSharer(true, forever)
		begun, release := make(chan struct{}), make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			_, err := s.get(t.Context(), "", func() (*page, error) {
				close(begun)
				<-release
				return fail()
			})
			assert.ErrorContains(t, err, "an error", name)
		})
		<-begun
		for range 5 {
			all.Go(func() {
				_, err := s.get(t.Context(), "", fail)
				assert.ErrorContains(t, err, "an error", name)
			})
		}
		require.Eventually(t, func() bool { return s.waiting("") == 5 }, time.Minute, time.Millisecond)
		close(release)
		all.Wait()
		assert.Zero(t, s.busy())
	}
}

// Ensure a page that is shared is given back when its last reader has, with its memory, unless one of them has taken that over.
func TestPageIsGivenBackOnce(t *testing.T) {
	t.Parallel()
	for _, takes := range []bool{false, true} {
		p, given := pageOf("x"), 0
		p.holds(func() { given++ })
		p.share(3)
		p.release()
		if takes {
			memory := p.takeMemory()
			require.NotNil(t, memory)
			assert.Nil(t, p.takeMemory())
			memory()
		}
		p.release()
		assert.Equal(t, takes, given == 1)
		p.release()
		assert.Equal(t, 1, given)
	}
}
