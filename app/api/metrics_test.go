package api_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
	"prima.internal/app/user"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// scrape returns the metrics of a collector as Prometheus reads them.
func scrape(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(c))
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, new(http.Request))
	return w.Body.String()
}

// Ensure a list that is sent while it is read is being served until the last of it has been sent,
// and is counted then, with all the time that it took.
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
	const active = `http_server_active_requests{http_route="/users"} `
	const counted = `{http_request_method="GET",http_response_status_code="200",http_route="/users"} `
	during := scrape(t, s)
	assert.Contains(t, during, active+"1")
	assert.Contains(t, during, "prima_list_streams_active 1")
	assert.NotContains(t, during, "http_server_request_duration_seconds_count"+counted)
	pause := time.Since(waited).Seconds()
	close(goOn)
	_, err := io.Copy(io.Discard, c)
	require.NoError(t, err)
	var after string
	require.Eventually(t, func() bool {
		after = scrape(t, s)
		return strings.Contains(after, "http_server_request_duration_seconds_count"+counted+"1\n")
	}, time.Minute, time.Millisecond)
	assert.Contains(t, after, active+"0")
	assert.Contains(t, after, "prima_list_streams_active 0")
	_, sum, _ := strings.Cut(after, "http_server_request_duration_seconds_sum"+counted)
	var took float64
	_, err = fmt.Sscan(sum, &took)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, took, pause)
	assert.LessOrEqual(t, took, time.Since(start).Seconds())
}
