package api_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/api"
	"prima.internal/app/config"
	"prima.internal/app/user"
)

// gathered returns how often requests of a route have been counted, and how long they took together; and how many are being served
// and how many lists sent.
func gathered(t *testing.T, c prometheus.Collector, route string) (count int, took time.Duration, active, streams int) {
	t.Helper()
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(c))
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			of := false
			for _, label := range m.GetLabel() {
				of = of || label.GetName() == "http_route" && label.GetValue() == route
			}
			switch name := family.GetName(); {
			case name == "http_server_request_duration_seconds" && of:
				count += int(m.GetHistogram().GetSampleCount())
				took += time.Duration(m.GetHistogram().GetSampleSum() * float64(time.Second))
			case name == "http_server_active_requests" && of:
				active = int(m.GetGauge().GetValue())
			case name == "prima_list_streams_active":
				streams = int(m.GetGauge().GetValue())
			}
		}
	}
	return count, took, active, streams
}

// Ensure a list that is sent while it is read is one that is being served until the last of it has been sent, and is counted then, with
// all the time that it took.
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
	log := slog.New(slog.DiscardHandler)
	server := api.New(config.Default(), &user.Service{Users: store, Log: log}, nil, log)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		require.NoError(t, server.Shutdown(context.Background()))
		assert.NoError(t, <-served)
	})

	start := time.Now()
	connection, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	defer connection.Close()
	_, err = io.WriteString(connection, "GET /users HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	require.NoError(t, err)
	<-reached
	waited := time.Now()
	count, _, active, streams := gathered(t, server, "/users")
	assert.Equal(t, [3]int{0, 1, 1}, [3]int{count, active, streams})
	pause := time.Since(waited)
	close(goOn)
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		count, _, _, _ = gathered(t, server, "/users")
		return count == 1
	}, time.Minute, time.Millisecond)
	_, took, active, streams := gathered(t, server, "/users")
	assert.Equal(t, [2]int{0, 0}, [2]int{active, streams})
	assert.GreaterOrEqual(t, took, pause)
	assert.LessOrEqual(t, took, time.Since(start))
}
