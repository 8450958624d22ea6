package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"prima.internal/app/user"
)

// healthy is the response to GET /health.
const healthy = `{"status":"ok"}`

// health handles GET /health: the process runs. It does not report dependencies, because restarting
// every replica repairs none.
func (s *Server) health(c *fiber.Ctx) error {
	return sendJSON(c, []byte(healthy))
}

// ready handles GET /readyz: whether this replica should get requests.
func (s *Server) ready(c *fiber.Ctx) error {
	if p := s.notReady(); p != nil {
		return p
	}
	return sendJSON(c, s.readyBody())
}

// Ready returns a handler that responds as GET /readyz does, for another port.
func (s *Server) Ready() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		status, contentType, body := http.StatusOK, fiber.MIMEApplicationJSON, s.readyBody()
		if p := s.notReady(); p != nil {
			status, contentType, body = p.status, problemType, p.body()
			w.Header().Set(fiber.HeaderRetryAfter, retryAfter)
		}
		w.Header().Set(fiber.HeaderContentType, contentType)
		w.WriteHeader(status)
		_, _ = w.Write(body)
	})
}

// notReady returns why the replica is not ready, nil if it is.
func (s *Server) notReady() *problem {
	ready, states := s.readiness.report()
	p := &problem{status: http.StatusServiceUnavailable, error: "Not ready", dependencies: states}
	switch {
	case s.draining.Load():
		p.detail = "the replica is shutting down"
	case !ready:
		p.detail = "a dependency has not answered yet or does not exist"
	default:
		return nil
	}
	return p
}

func (s *Server) readyBody() []byte {
	_, states := s.readiness.report()
	body, _ := json.Marshal(map[string]any{"status": "ready", "dependencies": states}) // cannot fail
	return body
}

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
// succeeded. From then on only a dependency that is known to be missing makes it unready: one that
// is slow or away is so for every replica, and to take out all of them would turn some errors into
// no service at all.
type readiness struct {
	dependencies []Dependency
	log          *slog.Logger
	metrics      *metrics

	mu     sync.Mutex
	states []state
	causes []string // why the last check failed; "" if it succeeded
}

func newReadiness(dependencies []Dependency, log *slog.Logger, m *metrics) *readiness {
	r := &readiness{
		dependencies: dependencies, log: log, metrics: m,
		states: make([]state, len(dependencies)), causes: make([]string, len(dependencies)),
	}
	for i := range r.states {
		r.states[i] = pending
	}
	return r
}

// watch checks the dependencies until ctx ends.
func (r *readiness) watch(ctx context.Context) {
	for {
		var checks sync.WaitGroup
		for i := range r.dependencies {
			checks.Go(func() { r.update(ctx, i, r.check(ctx, i)) })
		}
		checks.Wait()
		wait := checkLater
		if ready, _ := r.report(); !ready {
			wait = checkEarly
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// check calls a dependency. It returns a panic as an error.
func (r *readiness) check(ctx context.Context, i int) (err error) {
	defer r.metrics.recoverTo(&err)
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return r.dependencies[i].Check(ctx)
}

// update keeps the result of a check, and logs it if the state or the cause has changed.
func (r *readiness) update(ctx context.Context, i int, err error) {
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	state, cause := r.states[i], ""
	switch {
	case err == nil:
		state = available
	case errors.Is(err, user.ErrResourceMissing):
		state = missing
	case state == available:
		state = unreachable
	}
	if err != nil {
		cause = err.Error()
	}
	changed := state != r.states[i] || (cause == "") != (r.causes[i] == "")
	r.states[i], r.causes[i] = state, cause
	if !changed {
		return
	}
	level, attrs := slog.LevelInfo, []slog.Attr{slog.String("dependency", r.dependencies[i].Name), slog.String("state", string(state))}
	if err != nil {
		level, attrs = slog.LevelWarn, append(attrs, slog.String("error", cause))
	}
	r.log.LogAttrs(ctx, level, "dependency", attrs...)
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
	for i, d := range r.dependencies {
		states[d.Name] = dependencyState{r.states[i]}
		ready = ready && (r.states[i] == available || r.states[i] == unreachable)
	}
	return ready, states
}
