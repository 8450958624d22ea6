package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"prima.internal/app/user"
)

// healthy is the answer of GET /health.
const healthy = `{"status":"ok"}`

// health answers GET /health: the process runs. It says nothing of dependencies, because restarting
// every replica helps no dependency.
func (s *Server) health(c *fiber.Ctx) error {
	return sendJSON(c, []byte(healthy))
}

// ready answers GET /readyz: whether this replica should get requests.
func (s *Server) ready(c *fiber.Ctx) error {
	ok, dependencies := s.readiness.report()
	switch {
	case s.draining.Load():
		return &problem{status: http.StatusServiceUnavailable, error: "Not ready", detail: "the replica is shutting down", members: `,"dependencies":` + dependencies}
	case !ok:
		return &problem{status: http.StatusServiceUnavailable, error: "Not ready", detail: "a dependency has not answered yet or does not exist", members: `,"dependencies":` + dependencies}
	}
	return sendJSON(c, []byte(`{"status":"ready","dependencies":`+dependencies+`}`))
}

// A Dependency is something that requests need.
type Dependency struct {
	Name string
	// Check asks for it. user.ErrResourceMissing in the error's chain: it is known not to exist.
	Check func(context.Context) error
}

// A state is what is known of a dependency.
type state string

const (
	pending     state = "pending"     // has not answered since the start
	available   state = "ok"          // answered the last time it was asked
	missing     state = "missing"     // known not to exist
	unreachable state = "unreachable" // answered once, but not the last time
)

// Times between two questions to a dependency, and for its answer.
const (
	checkEarly   = 500 * time.Millisecond // while the replica is not ready
	checkLater   = 5 * time.Second
	checkTimeout = 3 * time.Second
)

// readiness follows the state of the dependencies. They must all have answered once before the
// replica is ready. From then on only what is known to be missing makes it unready: one that is
// slow or away is so for every replica, and taking them all out at once would turn errors on some
// requests into no service at all.
type readiness struct {
	dependencies []Dependency
	log          *slog.Logger

	mu     sync.Mutex
	states []state
	failed []bool // the last time it was asked
}

func newReadiness(dependencies []Dependency, log *slog.Logger) *readiness {
	r := &readiness{dependencies: dependencies, log: log, states: make([]state, len(dependencies)), failed: make([]bool, len(dependencies))}
	for i := range r.states {
		r.states[i] = pending
	}
	return r
}

// watch asks until ctx ends.
func (r *readiness) watch(ctx context.Context) {
	for {
		var asked sync.WaitGroup
		for i := range r.dependencies {
			asked.Go(func() { r.ask(ctx, i) })
		}
		asked.Wait()
		wait := checkLater
		if ok, _ := r.report(); !ok {
			wait = checkEarly
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (r *readiness) ask(ctx context.Context, i int) {
	checked, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	err := r.dependencies[i].Check(checked)
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	before, failedBefore := r.states[i], r.failed[i]
	r.failed[i] = err != nil
	switch {
	case err == nil:
		r.states[i] = available
	case errors.Is(err, user.ErrResourceMissing):
		r.states[i] = missing
	case before == available:
		r.states[i] = unreachable
	}
	if now := r.states[i]; now != before || r.failed[i] != failedBefore {
		level, attrs := slog.LevelInfo, []slog.Attr{slog.String("dependency", r.dependencies[i].Name), slog.String("state", string(now))}
		if err != nil {
			level, attrs = slog.LevelWarn, append(attrs, slog.String("error", err.Error()))
		}
		r.log.LogAttrs(ctx, level, "dependency", attrs...)
	}
}

// all returns the states of the dependencies by their names.
func (r *readiness) all() map[string]state {
	r.mu.Lock()
	defer r.mu.Unlock()
	states := make(map[string]state, len(r.dependencies))
	for i, d := range r.dependencies {
		states[d.Name] = r.states[i]
	}
	return states
}

// report returns whether the dependencies let the replica be ready, and their states as JSON.
func (r *readiness) report() (ok bool, dependencies string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ok = true
	body := []byte{'{'}
	for i, d := range r.dependencies {
		if i > 0 {
			body = append(body, ',')
		}
		body = user.AppendString(body, d.Name)
		body = append(body, `:{"state":`...)
		body = user.AppendString(body, string(r.states[i]))
		body = append(body, '}')
		ok = ok && (r.states[i] == available || r.states[i] == unreachable)
	}
	return ok, string(append(body, '}'))
}
