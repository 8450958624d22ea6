package api_test

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
	"prima.internal/app/user"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// gathered returns how often requests for /users have been counted, how long they took together, how
// many are being served, and how many lists sent.
func gathered(t *testing.T, c prometheus.Collector) (count int, took time.Duration, active, streams int) {
	t.Helper()
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(c))
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			users := false
			for _, label := range m.GetLabel() {
				users = users || label.GetName() == "http_route" && label.GetValue() == "/users"
			}
			switch name := family.GetName(); {
			case name == "http_server_request_duration_seconds" && users:
				count += int(m.GetHistogram().GetSampleCount())
				took += time.Duration(m.GetHistogram().GetSampleSum() * float64(time.Second))
			case name == "http_server_active_requests" && users:
				active = int(m.GetGauge().GetValue())
			case name == "prima_list_streams_active":
				streams = int(m.GetGauge().GetValue())
			}
		}
	}
	return count, took, active, streams
}

// Ensure a list that is sent while it is read is being served until the last of it has been sent, and
// is counted then, with all the time that it took.
func TestMetricsOfALongList(t *testing.T) {
	t.Parallel()
	store := newTable(40, 10)
	reached, goOn := make(chan struct{}), make(chan struct{})
	store.before = func(q user.PageQuery) error {
		if q.After == "00000029" { // the last page
			close(reached)
			<-goOn
		}
		return nil
	}
	s := serve(t, config.Default(), store, nil, nil)
	start := time.Now()
	c := s.dial(t, "GET /users HTTP/1.1\nHost: a\nConnection: close\n\n")
	<-reached
	waited := time.Now()
	count, _, active, streams := gathered(t, s)
	assert.Equal(t, [3]int{0, 1, 1}, [3]int{count, active, streams})
	pause := time.Since(waited)
	close(goOn)
	_, err := io.Copy(io.Discard, c)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		count, _, _, _ = gathered(t, s)
		return count == 1
	}, time.Minute, time.Millisecond)
	_, took, active, streams := gathered(t, s)
	assert.Equal(t, [2]int{0, 0}, [2]int{active, streams})
	assert.GreaterOrEqual(t, took, pause)
	assert.LessOrEqual(t, took, time.Since(start))
}
