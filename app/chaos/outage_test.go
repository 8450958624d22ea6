package chaos_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/config"
)

// Ensure that an outage which lasts hundreds of times as long as a request may is nothing but many 503s,
// each in its time, and that the process is as alive and as ready as before and serves everything after
// it. The outage lasts 240 times REQUEST_TIMEOUT, which are an hour if that is 15 seconds.
func TestLongOutage(t *testing.T) {
	t.Parallel()
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			const timeout = 150 * time.Millisecond
			s := start(t, func(c *config.Config) { c.RequestTimeout, c.WriteTimeout = timeout, writeTimeout })
			l := startLoad(t, s, clients/2, 2*pause)
			l.mark()(t, 6)
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
		})
	}
}
