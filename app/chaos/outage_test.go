package chaos_test

import (
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
)

// Ensure every request during a long outage gets a 503 in time and leaves no goroutine, and that
// the process stays alive and ready and serves everything afterwards. The outage lasts 80 times
// REQUEST_TIMEOUT, which would be 20 minutes for 15 seconds.
func TestLongOutage(t *testing.T) {
	t.Parallel()
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			const timeout = 150 * time.Millisecond
			s := start(t, func(c *config.Config) { c.RequestTimeout, c.WriteTimeout = timeout, writeTimeout })
			l := startLoad(t, s, clients/2, 2*pause)
			l.mark()(t, 6)
			before := s.goroutines(t)
			for _, strike := range []failure{poisoned(blackHole...), refused, throttled(1)} {
				s.heal(t, both)
				strike(t, s, p)
				time.Sleep(80 * timeout / 3)
			}
			await(t, "many calls are refused", func() bool { return l.refused.Load() > 30 })
			s.heal(t, both)
			l.mark()(t, 3)
			l.end()
			l.audit(t)
			s.http.CloseIdleConnections()
			await(t, "no goroutine is left of each request", func() bool {
				return s.goroutines(t) < before+20 // for connections that are kept
			})
		})
	}
}

var goroutinesLine = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)

// goroutines returns how many goroutines the program has.
func (s *system) goroutines(t *testing.T) int {
	t.Helper()
	operators := &system{url: s.admin, http: s.http}
	got := operators.call(http.MethodGet, "/metrics", nil)
	line := goroutinesLine.FindSubmatch(got.body)
	require.NotNil(t, line, "%s", got)
	n, err := strconv.Atoi(string(line[1]))
	require.NoError(t, err)
	return n
}
