package main

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// Ensure clients that hold every connection of the API, and refused clients that stay connected, do
// not keep probes from the operators' port.
func TestProbesWhileClientsHoldEveryConnection(t *testing.T) {
	t.Parallel()
	const limit, refused = 16, 1030
	p := start(t, awstest.Start(t).Environ("DRAIN_TIME=0s", fmt.Sprint("MAX_CONNECTIONS=", limit),
		"READ_TIMEOUT=10m", "IDLE_TIMEOUT=1h")...)
	http.DefaultClient.CloseIdleConnections()
	p.awaitMetric(t, "prima_connections_open", 0)
	for range limit {
		p.dial(t, "GET /users HTTP/1.1\r\n")
	}
	p.awaitMetric(t, "prima_connections_open", limit)
	for range refused {
		p.dial(t, "POST /users HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
	}
	p.awaitMetric(t, "prima_connections_refused_total", refused)

	for range 20 {
		assert.JSONEq(t, `{"status":"ok"}`, get(t, p.admin+config.PathHealth).is(t, http.StatusOK).body)
		assert.Contains(t, get(t, p.admin+config.PathReady).is(t, http.StatusOK).body, `"status":"ready"`)
	}
}

// Ensure both ports respond to probes alike, also while the program drains.
func TestProbesOfBothPorts(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	p := start(t, a.Environ("DRAIN_TIME=1m", "SHUTDOWN_TIMEOUT=1m", "REQUEST_TIMEOUT=5m")...)
	await := func(path string, status int) {
		t.Helper()
		eventually(t, "the status of "+path, func() bool { return get(t, p.admin+path).status == status })
		var seen [2]string
		for i, url := range []string{p.url, p.admin} {
			r := get(t, url+path).is(t, status)
			seen[i] = fmt.Sprint(r.header["Content-Type"], r.header["Retry-After"], r.body)
		}
		assert.Equal(t, seen[0], seen[1])
	}
	await(config.PathHealth, http.StatusOK)
	await(config.PathReady, http.StatusOK)

	a.Fail("DynamoDB.DescribeTable", awstest.Always, http.StatusBadRequest, "ResourceNotFoundException")
	await(config.PathReady, http.StatusServiceUnavailable)
	a.Heal("DynamoDB.DescribeTable")
	await(config.PathReady, http.StatusOK)

	p.signal(t, syscall.SIGTERM)
	await(config.PathReady, http.StatusServiceUnavailable)
	await(config.PathHealth, http.StatusOK)
}

// Ensure the operators' port still serves probes when the API has closed its port and finishes a
// request.
func TestProbesWhileTheLastRequestRuns(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	p := start(t, a.Environ("DRAIN_TIME=0s", "SHUTDOWN_TIMEOUT=10m", "REQUEST_TIMEOUT=10m")...)
	p.hold(t, a)
	p.signal(t, syscall.SIGTERM)
	p.closed(t)
	r := get(t, p.admin+config.PathReady).is(t, http.StatusServiceUnavailable)
	assert.Contains(t, r.body, "the replica is shutting down")
	get(t, p.admin+config.PathHealth).is(t, http.StatusOK)
}
