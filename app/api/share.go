package api

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"prima.internal/app/user"
)

// A sharer lets requests for the same page share one read of it, as the transactions of a group commit share one write.
//
// A request never gets what was read before it came: while a read runs, those who come join the next one. So each sees
// what a read of its own would have shown, and a page that n clients ask for at a time is read twice in the time of two
// reads, whatever n is.
//
// The next read waits a little for those who were just answered. Clients that ask again at once are divided into two
// halves otherwise, each of which waits for the read of the other one; if it waits for them, they all share every read.
// It begins when as many have come as were there, at the latest after the time that the last read took. Where they do not
// come, reads do not wait for a while (see [patience]).
type sharer struct {
	on bool
	// longest is how long the next read waits at most, for the one that runs, which may be held up by a connection that
	// is dead, or for readers.
	longest time.Duration
	workers workers

	succeeded, failed atomic.Int64 // reads

	mu       sync.Mutex
	patience patience
	pages    map[string]*sharedPage // by their names; some that nobody reads any more among them
	sweepAt  int                    // how many pages are too many, so that those are forgotten
}

// A sharedPage is a page that is being read, or for whose readers the next read waits.
type sharedPage struct {
	running int   // reads, and one that has ended whose place the next one takes
	next    *read // that those who come now join; nil until somebody does
	// expected is for how many readers the next read waits, and until when; 0 where it does not.
	expected int
	until    time.Time
}

// idle reports whether nobody reads the page or waits for it, so that it can be forgotten.
func (p *sharedPage) idle(now time.Time) bool {
	return p.running == 0 && p.next == nil && (p.expected == 0 || !now.Before(p.until))
}

// A read is one read of a page and those who wait for it.
type read struct {
	page    func() (*page, error)
	readers int
	overdue *time.Timer // begins it; nil where it began at once
	done    chan struct{}
	result  *page
	err     error
}

// leastSharedPages is how many pages are kept before any is forgotten that is not read.
const leastSharedPages = 64

func newSharer(on bool, longest time.Duration) *sharer {
	return &sharer{on: on, longest: longest, workers: newWorkers(), pages: map[string]*sharedPage{}, sweepAt: leastSharedPages}
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
		shared = s.add(name)
	}
	r := shared.next
	first := r == nil
	if first {
		r = &read{page: pageOf, done: make(chan struct{})}
		shared.next = r
	}
	r.readers++
	if s.due(shared) {
		s.begin(shared)
		s.mu.Unlock()
		s.run(shared, r)
		return r.result, r.err
	}
	if first {
		wait := s.longest
		if shared.expected > 0 {
			wait = time.Until(shared.until)
		}
		r.overdue = time.AfterFunc(wait, func() { s.beginLate(shared, r) })
	}
	s.mu.Unlock()

	select {
	case <-r.done:
		return r.result, r.err
	case <-ctx.Done():
		return s.leave(shared, r, ctx.Err())
	}
}

// add makes room for a page. The caller holds the lock.
func (s *sharer) add(name string) *sharedPage {
	if len(s.pages) >= s.sweepAt {
		now := time.Now()
		maps.DeleteFunc(s.pages, func(_ string, p *sharedPage) bool { return p.idle(now) })
		s.sweepAt = max(2*len(s.pages), leastSharedPages)
	}
	shared := new(sharedPage)
	s.pages[name] = shared
	return shared
}

// due reports whether the next read, which somebody has just joined, begins. The caller holds the lock.
func (s *sharer) due(shared *sharedPage) bool {
	switch {
	case shared.expected == 0:
		return shared.running == 0
	case shared.next.readers >= shared.expected:
		s.patience.paid()
		return true
	case time.Now().Before(shared.until):
		return false
	case shared.next.readers > 1: // and another has waited in vain
		s.patience.failed()
	}
	return true
}

// begin makes the next read one that runs. The caller holds the lock and runs it.
func (s *sharer) begin(shared *sharedPage) *read {
	r := shared.next
	shared.next = nil
	shared.expected = 0
	shared.running++
	if r.overdue != nil {
		r.overdue.Stop()
	}
	return r
}

// beginLate begins a read that has waited long enough.
func (s *sharer) beginLate(shared *sharedPage, r *read) {
	s.mu.Lock()
	// It may have begun, or be wanted by nobody any more, or wait for readers since.
	if shared.next != r || shared.expected > 0 && time.Now().Before(shared.until) {
		s.mu.Unlock()
		return
	}
	if shared.expected > 0 {
		s.patience.failed()
	}
	s.begin(shared)
	s.mu.Unlock()
	s.workers.do(func() { s.run(shared, r) })
}

// run makes a read, hands its result to those who wait, and sees to the next one.
func (s *sharer) run(shared *sharedPage, r *read) {
	start := time.Now()
	result, err := guarded(r.page)
	took := time.Since(start)
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

	waiting := 0
	if shared.next != nil {
		waiting = shared.next.readers
	}
	// Who has got an error should not come at once, and who has got the beginning of a longer list has more to read.
	if whole := err == nil && result.next == ""; whole && r.readers > 0 && r.readers+waiting > 1 && s.patience.next() {
		shared.running--
		wait := min(max(took, leastWait), s.longest)
		shared.expected, shared.until = r.readers+waiting, time.Now().Add(wait)
		if shared.next != nil {
			shared.next.overdue.Reset(wait)
		}
		return
	}
	if shared.next != nil { // which takes the place of this one
		s.workers.do(func() { s.follow(shared) })
		return
	}
	shared.running--
}

// follow makes the next read in the place of one that has ended, if it is still to be made.
func (s *sharer) follow(shared *sharedPage) {
	// Whoever can run goes first: those who were just answered among them, who may come again in time for this read.
	runtime.Gosched()
	s.mu.Lock()
	shared.running-- // of the other, whose place it has
	if shared.next == nil {
		s.mu.Unlock()
		return
	}
	next := s.begin(shared)
	s.mu.Unlock()
	s.run(shared, next)
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
	if r.readers == 0 && shared.next == r { // nobody wants it any more
		shared.next = nil
		r.overdue.Stop()
	}
	return nil, &user.Error{Code: user.Unavailable, Err: fmt.Errorf("wait for another read of the page: %w", cause)}
}

// leastWait is the least that the next read waits for readers where it does. A shorter one is over before a client on the same
// machine has its answer.
const leastWait = time.Millisecond

// A patience decides whether the next read waits for those who were just answered. It does as long as they come. When one
// has waited in vain, the next one does not, and every time that happens again, twice as many do not, up to mostImpatient:
// clients that do not come back pay for one wait in as many reads.
type patience struct {
	without int // reads that will not wait
	last    int // what that was when it last began
}

const mostImpatient = 64

// next reports whether the next read waits, and counts it if it does not.
func (p *patience) next() bool {
	if p.without > 0 {
		p.without--
		return false
	}
	return true
}

// paid says that those came who were waited for.
func (p *patience) paid() { p.last = 0 }

// failed says that they did not.
func (p *patience) failed() {
	p.last = min(max(2*p.last, 1), mostImpatient)
	p.without = p.last
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
