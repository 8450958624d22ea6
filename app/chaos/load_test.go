package chaos_test

import (
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/config"
)

// The operations of a load.
const (
	opCreate     = "POST"
	opCreateForm = "POST with avatar"
	opGet        = "GET one"
	opList       = "GET list"
	opPage       = "GET page"
	opPatch      = "PATCH"
	opPutAvatar  = "PUT avatar"
	opGetAvatar  = "GET avatar"
	opDelete     = "DELETE"
)

var (
	allOps = []string{opCreate, opCreateForm, opGet, opList, opPage, opPatch, opPutAvatar, opGetAvatar, opDelete}
	// opsWithoutS3 can do their part while S3 cannot: the image of a deleted user may stay.
	opsWithoutS3 = []string{opCreate, opGet, opList, opPage, opPatch, opDelete}
)

// A load is clients that use the API in every way and know what they have been told, and one who
// asks it what takes no AWS.
type load struct {
	system  *system
	workers []*worker
	// uploaders are further clients, which are there for a time.
	uploaders []*worker
	stop      chan struct{}
	running   sync.WaitGroup

	mu     sync.Mutex
	calls  []call
	wrong  []string
	spared []string // operations that must not fail now
	probes int      // requests that take no AWS
}

// A call is a request of a load.
type call struct {
	op     string
	began  time.Time
	took   time.Duration
	status int // 0 for a connection that broke
	// excused: the machine stalled, which may be what made the call fail.
	excused bool
}

// ok reports whether the call was answered, be it that there is no such thing.
func (c call) ok() bool { return c.status != 0 && c.status < http.StatusInternalServerError }

// A worker is a client of a load. Its users are its own, so that nobody else changes them.
type worker struct {
	load     *load
	accounts []*account
	done     atomic.Int64 // calls
	pause    time.Duration
	image    []byte // every avatar; nil: a new one each time
}

// startLoad starts a load with this pause of each worker between two calls, on average. It ends with
// the test if it has not ended before.
func startLoad(t *testing.T, s *system, workers int, pause time.Duration) *load {
	t.Helper()
	l := &load{system: s, stop: make(chan struct{})}
	for range workers {
		l.workers = append(l.workers, &worker{load: l, pause: pause})
	}
	for _, w := range l.workers {
		l.running.Go(w.run)
	}
	l.running.Go(l.probe)
	t.Cleanup(l.end)
	return l
}

// end waits until every request has been answered.
func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.running.Wait()
}

// mark returns a function that waits until every client has made n more calls, all begun and ended
// after mark was called.
func (l *load) mark() (await func(t *testing.T, n int64)) {
	before := make([]int64, len(l.workers))
	for i, w := range l.workers {
		before[i] = w.done.Load() + 1 // one may have begun
	}
	return func(t *testing.T, n int64) {
		t.Helper()
		awaitFor(t, 3*time.Minute, fmt.Sprint("each client makes ", n, " calls"), func() bool {
			for i, w := range l.workers {
				if w.done.Load() < before[i]+n {
					return false
				}
			}
			return true
		})
	}
}

// spare has the load find fault with every failure of some operations.
func (l *load) spare(ops ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spared = ops
}

// between returns the calls that began in a time.
func (l *load) between(from, to time.Time) []call {
	l.mu.Lock()
	defer l.mu.Unlock()
	var calls []call
	for _, c := range l.calls {
		if !c.began.Before(from) && c.began.Before(to) {
			calls = append(calls, c)
		}
	}
	return calls
}

// finding notes what the API did wrong.
func (l *load) finding(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}

// verdict fails the test with what has been found.
func (l *load) verdict(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	const shown = 20
	for i, finding := range l.wrong {
		if i == shown {
			t.Logf("… and %d more", len(l.wrong)-shown)
			break
		}
		t.Log(finding)
	}
	assert.Empty(t, l.wrong, "findings")
}

// limit returns how long a request may take.
func (l *load) limit(op string) time.Duration {
	limit := l.system.config.RequestTimeout + margin
	if op == opGetAvatar { // it is sent while it is read
		limit += l.system.config.WriteTimeout
	}
	return limit
}

// do makes a call and checks what is so for all of them.
func (w *worker) do(op string, request func() answer) answer {
	a := request()
	excused := a.excused(w.load.system.config.RequestTimeout)
	w.load.mu.Lock()
	spared := slices.Contains(w.load.spared, op) && !excused
	status := a.status
	if a.err != nil {
		status = 0
	}
	w.load.calls = append(w.load.calls, call{op: op, began: a.began, took: a.took, status: status, excused: excused})
	w.load.mu.Unlock()
	w.done.Add(1)

	if limit := w.load.limit(op) + a.allowance(); a.took > limit {
		w.load.finding("%s took longer than %s: %s", op, limit, a)
	}
	switch {
	case a.err != nil:
		if a.status != http.StatusOK || op != opGetAvatar {
			w.load.finding("%s broke: %s", op, a)
		} else if spared {
			w.load.finding("%s should have been spared: %s", op, a)
		}
	case a.status == http.StatusServiceUnavailable:
		if err := a.unavailable(); err != nil {
			w.load.finding("%s: %v: %s", op, err, a)
		}
		if spared {
			w.load.finding("%s should have been spared: %s", op, a)
		}
	}
	return a
}

// refused reports whether a call was told to come again or lost its connection: what do has judged.
func (a answer) refused() bool { return a.err != nil || a.status == http.StatusServiceUnavailable }

func (w *worker) run() {
	for {
		w.step()
		select {
		case <-w.load.stop:
			return
		case <-time.After(w.pause/2 + mathrand.N(w.pause)):
		}
	}
}

// step makes one call, or two: one that finds no user to be about makes one.
func (w *worker) step() {
	switch mathrand.IntN(18) {
	case 0, 1:
		w.create(newAccount(nil, rand.Text()))
	case 2:
		w.create(newAccount(nil, ""))
	case 3:
		w.create(newAccount(w.avatar(), rand.Text()))
	case 4:
		w.create(newAccount(w.avatar(), ""))
	case 5, 6:
		w.with(w.get, alive)
	case 7:
		w.list()
	case 8:
		w.page()
	case 9, 10:
		w.with(w.patch, alive)
	case 11, 12:
		w.with(w.putAvatar, alive)
	case 13, 14, 15:
		w.with(w.getAvatar, alive)
	case 16:
		w.with(w.delete, alive, deleting)
	case 17:
		w.with(w.create, unanswered) // comes again, as it was told
	}
}

// avatar returns an image to send.
func (w *worker) avatar() []byte {
	if w.image != nil {
		return w.image
	}
	return newImage(imageBytes)
}

// with does something with one of the users that are in these states.
func (w *worker) with(do func(*account), states ...state) {
	var some []*account
	for _, u := range w.accounts {
		if slices.Contains(states, u.state) && (u.state != unanswered || u.key != "") {
			some = append(some, u)
		}
	}
	if len(some) == 0 {
		u := newAccount(w.avatar(), rand.Text())
		w.create(u)
		return
	}
	do(some[mathrand.IntN(len(some))])
}

// probe asks for what takes no AWS, and for the state of the replica, until the load ends.
func (l *load) probe() {
	for {
		l.ask(http.StatusOK, http.MethodGet, config.PathHealth, nil)
		l.ask(http.StatusOK, http.MethodGet, config.PathReady, nil)
		l.ask(http.StatusBadRequest, http.MethodPost, config.PathUsers, []byte(`{"name":"Ada"}`))
		l.ask(http.StatusNotFound, http.MethodGet, config.PathUsers+"/not-an-id", nil)
		l.ask(http.StatusNotFound, http.MethodDelete, config.PathUsers+"/not-an-id", nil)
		l.ask(http.StatusUnsupportedMediaType, http.MethodPost, config.PathUsers, []byte("x"), "Content-Type: text/plain")
		select {
		case <-l.stop:
			return
		case <-time.After(250 * time.Millisecond):
		}
	}
}

func (l *load) ask(want int, method, path string, body []byte, header ...string) {
	a := l.system.call(method, path, body, header...)
	if a.err != nil || a.status != want || a.took > margin+a.allowance() {
		l.finding("%s %s, which takes no AWS: %s", method, path, a)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.probes++
}
