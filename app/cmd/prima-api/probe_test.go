package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// Ensure clients who hold every connection of the API, and clients who were refused and do not go
// away, keep no probe from its 200 on the operators' port.
func TestProbesWhileClientsHoldEveryConnection(t *testing.T) {
	t.Parallel()
	const limit, refused = 16, 1030
	a := awstest.Start(t)
	p := start(t, a.Environ("DRAIN_TIME=0s",
		fmt.Sprint("MAX_CONNECTIONS=", limit), "READ_TIMEOUT=10m", "IDLE_TIMEOUT=1h")...)
	open := func(n int) {
		t.Helper()
		require.Eventually(t, func() bool { return value(p.scrape(t), "prima_connections_open") == n }, time.Minute, 10*time.Millisecond)
	}
	http.DefaultClient.CloseIdleConnections()
	open(0)
	dial := func(request string) {
		address := strings.TrimPrefix(p.url, "http://")
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		_, _ = io.WriteString(c, request) // the API may have closed it already
	}
	for range limit {
		dial("GET /users HTTP/1.1\r\n")
	}
	open(limit)
	for range refused {
		dial("POST /users HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
	}
	require.Eventually(t, func() bool {
		return value(p.scrape(t), "prima_connections_refused_total") >= refused
	}, time.Minute, 10*time.Millisecond)

	for range 20 {
		status, body := get(t, p.admin(t)+config.PathHealth)
		assert.Equal(t, http.StatusOK, status)
		assert.JSONEq(t, `{"status":"ok"}`, body)
		status, body = get(t, p.admin(t)+config.PathReady)
		assert.Equal(t, http.StatusOK, status)
		assert.Contains(t, body, `"status":"ready"`)
	}
}

// Ensure both ports answer probes alike, and the operators' port until the process ends.
func TestProbesOfBothPorts(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	p := start(t, a.Environ("DRAIN_TIME=1m", "SHUTDOWN_TIMEOUT=1m",
		"REQUEST_TIMEOUT=5m")...)
	alike := func(path string, status int) {
		t.Helper()
		var answers [2]string
		for i, url := range []string{p.url, p.admin(t)} {
			response, err := http.Get(url + path)
			require.NoError(t, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			answers[i] = fmt.Sprint(response.Status, response.Header["Content-Type"],
				response.Header["Retry-After"], string(body))
			assert.Equal(t, status, response.StatusCode, "%s %s", url, path)
		}
		assert.Equal(t, answers[0], answers[1])
	}
	alike(config.PathHealth, http.StatusOK)
	alike(config.PathReady, http.StatusOK)

	a.Fail("DynamoDB.DescribeTable", awstest.Always, http.StatusBadRequest,
		"ResourceNotFoundException")
	require.Eventually(t, func() bool {
		status, _ := get(t, p.admin(t)+config.PathReady)
		return status == http.StatusServiceUnavailable
	}, time.Minute, 10*time.Millisecond)
	alike(config.PathReady, http.StatusServiceUnavailable)
	a.Heal("DynamoDB.DescribeTable")
	require.Eventually(t, func() bool {
		status, _ := get(t, p.admin(t)+config.PathReady)
		return status == http.StatusOK
	}, time.Minute, 10*time.Millisecond)

	p.signal(t, syscall.SIGTERM)
	require.Eventually(t, func() bool {
		status, _ := get(t, p.admin(t)+config.PathReady)
		return status == http.StatusServiceUnavailable
	}, time.Minute, time.Millisecond)
	alike(config.PathReady, http.StatusServiceUnavailable)
	alike(config.PathHealth, http.StatusOK)
}

// Ensure the operators' port still answers when the API's port is closed and a request is finished.
func TestProbesWhileTheLastRequestRuns(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	p := start(t, a.Environ("DRAIN_TIME=0s", "SHUTDOWN_TIMEOUT=10m",
		"REQUEST_TIMEOUT=10m")...)
	p.hold(t, a)
	p.signal(t, syscall.SIGTERM)
	require.Eventually(t, func() bool {
		_, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
		return err != nil
	}, time.Minute, 10*time.Millisecond, "the API's port closes")
	status, body := get(t, p.admin(t)+config.PathReady)
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Contains(t, body, "the replica is shutting down")
	status, _ = get(t, p.admin(t)+config.PathHealth)
	assert.Equal(t, http.StatusOK, status)
}
