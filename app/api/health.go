package api

import (
	"encoding/json"
	"net/http"

	"github.com/gofiber/fiber/v2"
)

// Health returns the handler of GET /health, for every port: the process runs. It does not report
// dependencies, because restarting every replica repairs none.
func (s *Server) Health() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
		_, _ = w.Write([]byte(`{"status":"ok"}`))
	})
}

// Ready returns the handler of GET /readyz, for every port: whether the replica should get requests.
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
