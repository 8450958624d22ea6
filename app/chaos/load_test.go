package chaos_test

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
	// opsWithoutS3 succeed without S3: the image of a deleted user may stay.
	opsWithoutS3 = []string{opCreate, opGet, opList, opPage, opPatch, opDelete}
	allOps       = append([]string{opCreateForm, opPutAvatar, opGetAvatar}, opsWithoutS3...)
)

// A load is clients that use the API in every way and remember what they have been told, and one
// that sends requests which need no AWS.
type load struct {
	t        *testing.T
	system   *system
	workers  []*worker
	end      func() // waits until every request has its response
	running  sync.WaitGroup
	refused  atomic.Int64 // calls
	findings atomic.Int64

	mu     sync.Mutex
	spared []string // operations that must not fail now
}

// A worker is a client of a load. Nobody else changes its users.
type worker struct {
	load     *load
	accounts []*account
	done     atomic.Int64 // calls
}

// startLoad starts a load with this pause of each worker between two calls, on average. It ends
// with the test if it has not ended before.
func startLoad(t *testing.T, s *system, workers int, pause time.Duration) *load {
	t.Helper()
	stop := make(chan struct{})
	l := &load{t: t, system: s}
	l.end = sync.OnceFunc(func() {
		close(stop)
		l.running.Wait()
	})
	for range workers {
		w := &worker{load: l}
		l.workers = append(l.workers, w)
		l.running.Go(func() { until(stop, pause, w.step) })
	}
	l.running.Go(func() { until(stop, pause, l.probe) })
	t.Cleanup(l.end)
	return l
}

// until does something again and again, with this pause on average.
func until(stop <-chan struct{}, pause time.Duration, do func()) {
	for {
		do()
		select {
		case <-stop:
			return
		case <-time.After(pause/2 + mathrand.N(pause)):
		}
	}
}

// mark returns a function that waits until every client has made n more calls, all begun and ended
// after mark was called.
func (l *load) mark() (reached func(t *testing.T, n int64)) {
	before := make([]int64, len(l.workers))
	for i, w := range l.workers {
		before[i] = w.done.Load() + 1 // one may have begun
	}
	return func(t *testing.T, n int64) {
		t.Helper()
		for i, w := range l.workers {
			await(t, "each client makes more calls", func() bool { return w.done.Load() >= before[i]+n })
		}
	}
}

// spare makes every failure of these operations a finding, if the call begins and ends after this.
func (l *load) spare(ops ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spared = ops
}

func (l *load) spares(op string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.spared, op)
}

// finding fails the test with what the API did wrong, and shows the first of many.
func (l *load) finding(format string, args ...any) {
	if l.findings.Add(1) > 20 {
		l.t.Fail()
		return
	}
	l.t.Errorf(format, args...)
}

// do makes a call, checks what holds for every call, and reports whether it was served: not told to
// come again, and not cut off.
func (w *worker) do(op, method, path string, body []byte, header ...string) (reply, bool) {
	l := w.load
	spared := l.spares(op)
	a := l.system.call(method, path, body, header...)
	spared = spared && l.spares(op)
	w.done.Add(1)

	limit := l.system.config.RequestTimeout + margin
	if op == opGetAvatar { // it is sent while it is read
		limit += l.system.config.WriteTimeout
	}
	if a.took > limit {
		l.finding("%s took longer than %s: %s", op, limit, a)
	}
	served := a.err == nil && a.status != http.StatusServiceUnavailable
	if served {
		return a, true
	}
	l.refused.Add(1)
	begun := op == opGetAvatar && a.status == http.StatusOK // a download may break off
	if err := a.unavailable(); err != nil && !begun {
		l.finding("%s: %v: %s", op, err, a)
	}
	if spared {
		l.finding("%s should have been spared: %s", op, a)
	}
	return a, false
}

// step makes one call.
func (w *worker) step() {
	switch mathrand.IntN(18) {
	case 0, 1:
		w.create(newAccount(nil, rand.Text()))
	case 2:
		w.create(newAccount(nil, ""))
	case 3:
		w.create(newAccount(newImage(imageBytes), rand.Text()))
	case 4:
		w.create(newAccount(newImage(imageBytes), ""))
	case 5, 6:
		w.with(w.get, alive)
	case 7:
		w.list(opList, 0)
	case 8:
		w.list(opPage, 5)
	case 9, 10:
		w.with(w.patch, alive)
	case 11, 12:
		w.with(w.putAvatar, alive)
	case 13, 14, 15:
		w.with(w.getAvatar, alive)
	case 16:
		w.with(w.delete, alive, deleting)
	case 17:
		w.with(w.create, unconfirmed) // comes again, as it was told
	}
}

// with does something with one of the users that are in these states, and creates one if there is
// none.
func (w *worker) with(do func(*account) bool, states ...state) {
	var some []*account
	for _, u := range w.accounts {
		if slices.Contains(states, u.state) && (u.state != unconfirmed || u.key != "") {
			some = append(some, u)
		}
	}
	if len(some) == 0 {
		w.create(newAccount(newImage(imageBytes), rand.Text()))
		return
	}
	do(some[mathrand.IntN(len(some))])
}

// probe sends requests that need no AWS, and asks for the state of the replica.
func (l *load) probe() {
	for _, r := range []struct {
		method, path, body string
		want               int
	}{
		{http.MethodGet, config.PathHealth, "", http.StatusOK},
		{http.MethodGet, config.PathReady, "", http.StatusOK},
		{http.MethodPost, config.PathUsers, `{"name":"Ada"}`, http.StatusBadRequest},
		{http.MethodGet, config.PathUsers + "/not-an-id", "", http.StatusNotFound},
	} {
		a := l.system.call(r.method, r.path, []byte(r.body), "Content-Type: application/json")
		if a.err != nil || a.status != r.want || a.took > margin {
			l.finding("%s %s, which needs no AWS: %s", r.method, r.path, a)
		}
	}
}
