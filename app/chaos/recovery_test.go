package chaos_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/config"
)

// Ensure a replica that starts while AWS is down is alive but not ready, and responds 503 until AWS
// is back. If its table and bucket are gone, as after a restart of LocalStack, /readyz says so, and
// the replica is ready again without a restart once they exist.
func TestRecovery(t *testing.T) {
	t.Parallel()
	for name, strike := range map[string]failure{
		"refused":    refused,
		"black hole": poisoned(blackHole...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := prepare(t, func(c *config.Config) { c.RequestTimeout = requestTimeout })
			strike(t, s, both)
			s.startProcess(t)
			s.unready(t, "pending")
			s.heal(t, both)
			s.awaitReady(t)
			s.create(t, newImage(imageBytes))

			strike(t, s, both)
			s.aws.Wipe(t)
			s.requireUnavailable(t, "list", s.call(http.MethodGet, config.PathUsers, nil))
			s.heal(t, both)
			s.unready(t, "missing")
			s.aws.Reset(t)
			s.awaitReady(t)
			s.create(t, newImage(imageBytes))
		})
	}
}

// unready waits until /readyz says that both dependencies are in a state, and requires that
// requests that need them get a 503 in time, and that the replica is alive.
func (s *system) unready(t *testing.T, state string) {
	t.Helper()
	await(t, "/readyz says "+state, func() bool {
		ready := s.call(http.MethodGet, config.PathReady, nil)
		var report struct {
			Dependencies map[string]struct{ State string }
		}
		return ready.unavailable() == nil && json.Unmarshal(ready.body, &report) == nil &&
			report.Dependencies["dynamodb"].State == state && report.Dependencies["s3"].State == state
	})
	s.requireUnavailable(t, "list", s.call(http.MethodGet, config.PathUsers, nil))
	s.requireUnavailable(t, "create", newAccount(newImage(imageBytes), "").create(s))
	assert.Equal(t, http.StatusOK, s.call(http.MethodGet, config.PathHealth, nil).status)
}
