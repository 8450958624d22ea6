package chaos_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
)

// Ensure that an outage which lasts hundreds of times as long as a request may is nothing but many 503s,
// each in its time, that the process is as alive and as ready as before and serves everything after it,
// and that no request leaves a goroutine behind. The outage lasts 240 times REQUEST_TIMEOUT, which are an hour if that is 15 seconds.
func TestLongOutage(t *testing.T) {
	t.Parallel()
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			const timeout = 150 * time.Millisecond
			s := start(t, func(c *config.Config) { c.RequestTimeout, c.WriteTimeout = timeout, writeTimeout })
			l := startLoad(t, s, clients/2, 2*pause)
			l.mark()(t, 6)
			before := s.api.goroutines(t)
			for _, strike := range []func(*testing.T, *system, place){poisoned(blackHole...), refused, throttled(1)} {
				s.heal(t)
				strike(t, s, p)
				time.Sleep(240 * timeout / 3)
			}
			s.heal(t)
			l.mark()(t, 3)
			l.end()
			assert.Greater(t, l.refused.Load(), int64(30))
			l.audit(t)
			s.http.CloseIdleConnections()
			await(t, "no goroutine is left of each request", func() bool {
				return s.api.goroutines(t) < before+goroutinesOfConnections
			})
		})
	}
}

// goroutinesOfConnections is more than connections that are kept need, and less than there are requests
// in an outage.
const goroutinesOfConnections = 20

// goroutines returns how many goroutines the process has.
func (p *process) goroutines(t *testing.T) int {
	t.Helper()
	response, err := http.Get(p.admin + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	metrics, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	_, after, found := strings.Cut(string(metrics), "\ngo_goroutines ")
	require.True(t, found, "go_goroutines")
	value, _, _ := strings.Cut(after, "\n")
	n, err := strconv.Atoi(value)
	require.NoError(t, err)
	return n
}
