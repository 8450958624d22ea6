package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"prima.internal/app/user"
)

// A Dependency is something that requests need.
type Dependency struct {
	Name string
	// Check calls it. The error has user.ErrResourceMissing in its chain if the dependency is known
	// not to exist.
	Check func(context.Context) error
}

// A state is what is known of a dependency.
type state string

const (
	pending     state = "pending"     // no check has succeeded since the start
	available   state = "ok"          // the last check succeeded
	missing     state = "missing"     // known not to exist
	unreachable state = "unreachable" // the last check failed, an earlier one succeeded
)

// How long the checks of a dependency are apart, and how long one may take.
const (
	checkEarly   = 500 * time.Millisecond // while the replica is not ready
	checkLater   = 5 * time.Second
	checkTimeout = 3 * time.Second
)

// readiness follows the states of the dependencies. A replica is ready when a check of each has
// succeeded. Later only a dependency that is known to be missing makes it unready: one that is slow
// or away is so for every replica, and without any replica there would be no service at all.
type readiness struct {
	log     *slog.Logger
	metrics *metrics

	mu           sync.Mutex
	dependencies []*watched
}

type watched struct {
	Dependency
	state state
	cause string // why the last check failed; "" if it did not
}

// requestIDs are what differs between two errors of AWS that have the same cause.
var requestIDs = regexp.MustCompile(`(Request|Host)ID: [^,]*, `)

func newReadiness(dependencies []Dependency, log *slog.Logger, m *metrics) *readiness {
	r := &readiness{log: log, metrics: m}
	for _, d := range dependencies {
		r.dependencies = append(r.dependencies, &watched{Dependency: d, state: pending})
	}
	return r
}

// watch checks the dependencies until ctx ends.
func (r *readiness) watch(ctx context.Context) {
	for ctx.Err() == nil {
		var checks sync.WaitGroup
		for _, d := range r.dependencies {
			checks.Go(func() { r.update(ctx, d, r.check(ctx, d)) })
		}
		checks.Wait()
		wait := checkLater
		if ready, _ := r.report(); !ready {
			wait = checkEarly
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// check calls a dependency. It returns a panic as an error.
func (r *readiness) check(ctx context.Context, d *watched) (err error) {
	defer r.metrics.recoverTo(&err)
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return d.Check(ctx)
}

// update keeps the result of a check, and logs a change of the state or of the cause.
func (r *readiness) update(ctx context.Context, d *watched, err error) {
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	state, cause := d.state, d.cause
	d.cause = ""
	if err != nil {
		d.cause = requestIDs.ReplaceAllString(err.Error(), "")
	}
	switch {
	case err == nil:
		d.state = available
	case errors.Is(err, user.ErrResourceMissing):
		d.state = missing
	case d.state == available:
		d.state = unreachable
	}
	switch log := r.log.With("dependency", d.Name, "state", d.state); {
	case d.state == state && d.cause == cause:
	case err == nil:
		log.Info("dependency")
	default:
		log.Warn("dependency", "error", err)
	}
}

// A dependencyState is what /readyz reports of a dependency.
type dependencyState struct {
	State state `json:"state"`
}

// report returns whether the dependencies let the replica be ready, and their states by name.
func (r *readiness) report() (ready bool, states map[string]dependencyState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ready, states = true, map[string]dependencyState{}
	for _, d := range r.dependencies {
		states[d.Name] = dependencyState{d.state}
		ready = ready && (d.state == available || d.state == unreachable)
	}
	return ready, states
}

// Health returns the handler of GET /health, for every port: the process runs. It does not report
// dependencies, because restarting every replica repairs none.
func (s *Server) Health() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
		_, _ = w.Write([]byte(`{"status":"ok"}`))
	})
}

// Ready returns the handler of GET /readyz, for every port: whether the replica should get
// requests.
func (s *Server) Ready() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		ready, states := s.readiness.report()
		if ready && !s.draining.Load() {
			w.Header().Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
			body, _ := json.Marshal(struct { // strings, which cannot fail
				Status       string                     `json:"status"`
				Dependencies map[string]dependencyState `json:"dependencies"`
			}{"ready", states})
			_, _ = w.Write(body)
			return
		}
		p := &problem{status: http.StatusServiceUnavailable, error: "Not ready", dependencies: states}
		p.detail = "a dependency has not answered yet or does not exist"
		if s.draining.Load() {
			p.detail = "the replica is shutting down"
		}
		w.Header().Set(fiber.HeaderContentType, problemType)
		w.Header().Set(fiber.HeaderRetryAfter, retryAfter)
		w.WriteHeader(p.status)
		_, _ = w.Write(p.body())
	})
}
