package api

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"prima.internal/app/user"
)

// A sharer lets requests for the same page share one read of it, as the transactions of a group commit share one write.
//
// A request never gets what was read before it came: while a read runs, those who come join the next one, which begins
// when the running one ends. So each sees what a read of its own would have shown, and a page that n clients ask for at
// a time is read twice in the time of two reads, whatever n is.
type sharer struct {
	on bool
	// patience is how long the next read waits for the one that runs, which may be held up by a connection that is
	// dead.
	patience time.Duration
	workers  workers

	succeeded, failed atomic.Int64 // reads

	mu    sync.Mutex
	pages map[string]*sharedPage // those that are being read
}

// A sharedPage is a page that is being read.
type sharedPage struct {
	running int   // reads, and places that the next one takes
	next    *read // that those who come now join; nil until somebody does
}

// A read is one read of a page and those who wait for it.
type read struct {
	page    func() (*page, error)
	readers int
	begun   bool
	done    chan struct{}
	result  *page
	err     error
}

func newSharer(on bool, patience time.Duration) *sharer {
	return &sharer{on: on, patience: patience, workers: newWorkers(), pages: map[string]*sharedPage{}}
}

// get returns the page of a name, which pageOf reads and which the caller releases. It returns an error, at the latest,
// when ctx ends. pageOf is called at most once, perhaps by somebody else and after that.
func (s *sharer) get(ctx context.Context, name string, pageOf func() (*page, error)) (*page, error) {
	if !s.on {
		return pageOf()
	}
	s.mu.Lock()
	shared := s.pages[name]
	if shared == nil {
		shared = new(sharedPage)
		s.pages[name] = shared
	}
	r := shared.next
	first := r == nil
	if first {
		r = &read{page: pageOf, done: make(chan struct{})}
		shared.next = r
	}
	r.readers++
	if shared.running == 0 { // then there was none to wait for
		s.begin(shared)
		s.mu.Unlock()
		s.run(name, shared, r)
		return r.result, r.err
	}
	s.mu.Unlock()

	var impatient <-chan time.Time
	if first {
		timer := time.NewTimer(s.patience)
		defer timer.Stop()
		impatient = timer.C
	}
	for {
		select {
		case <-r.done:
			return r.result, r.err
		case <-impatient:
			s.mu.Lock()
			if !r.begun {
				s.begin(shared)
				s.workers.do(func() { s.run(name, shared, r) })
			}
			s.mu.Unlock()
			impatient = nil
		case <-ctx.Done():
			return s.leave(shared, r, ctx.Err())
		}
	}
}

// begin makes the next read one that runs. The caller holds the lock and runs it.
func (s *sharer) begin(shared *sharedPage) *read {
	r := shared.next
	shared.next, r.begun = nil, true
	shared.running++
	return r
}

// run makes a read, hands its result to those who wait, and begins the next one.
func (s *sharer) run(name string, shared *sharedPage, r *read) {
	result, err := guarded(r.page)
	if err == nil {
		s.succeeded.Add(1)
	} else {
		s.failed.Add(1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.result, r.err = result, err
	if result != nil {
		result.share(r.readers)
	}
	close(r.done)
	if shared.next != nil { // which takes the place of this one
		s.workers.do(func() { s.follow(name, shared) })
		return
	}
	s.end(name, shared)
}

// follow makes the next read in the place of one that has ended, if it is still to be made.
func (s *sharer) follow(name string, shared *sharedPage) {
	// Whoever can run goes first: those who were just answered among them, who may come again in time for this read.
	runtime.Gosched()
	s.mu.Lock()
	if shared.next == nil {
		s.end(name, shared)
		s.mu.Unlock()
		return
	}
	next := s.begin(shared)
	shared.running-- // it has the place of the other
	s.mu.Unlock()
	s.run(name, shared, next)
}

// end says that a read has ended and no other takes its place. The caller holds the lock.
func (s *sharer) end(name string, shared *sharedPage) {
	shared.running--
	if shared.running == 0 {
		delete(s.pages, name)
	}
}

// leave gives up waiting, unless the result has come meanwhile.
func (s *sharer) leave(shared *sharedPage, r *read, cause error) (*page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-r.done:
		return r.result, r.err
	default:
	}
	r.readers--
	if r.readers == 0 && shared.next == r {
		shared.next = nil // nobody wants it any more
	}
	return nil, &user.Error{Code: user.Unavailable, Err: fmt.Errorf("wait for another read of the page: %w", cause)}
}

// guarded returns a panic as an error: it may come in a goroutine that nobody else guards.
func guarded(pageOf func() (*page, error)) (result *page, err error) {
	defer func() {
		if r := recover(); r != nil {
			result, err = nil, asProblem(fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
		}
	}()
	return pageOf()
}
