package api_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/api"
	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
	"prima.internal/app/contract"
	"prima.internal/app/dynamo"
	"prima.internal/app/emulator"
	"prima.internal/app/user"
)

// Ensure the limits are those of the configuration.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *config.Config) { c.MaxAvatarBytes, c.MaxAvatarPixels, c.MaxJSONBytes = 2048, 16, 1024 })
	path := "/users/" + s.create(t) + "/avatar"
	put := func(image []byte) int { return s.do(t, http.MethodPut, path, string(image)).StatusCode }
	assert.Equal(t, http.StatusOK, put(apitest.PaddedPNG(2048)))
	assert.Equal(t, http.StatusRequestEntityTooLarge, put(apitest.PaddedPNG(2049)))
	assert.Equal(t, http.StatusBadRequest, put(apitest.PNG(17, 1)))
	long := fmt.Sprintf(`{"name":"Ada","email":"a@b.c","x":%q}`, strings.Repeat("x", 1024))
	assert.Equal(t, http.StatusRequestEntityTooLarge, s.do(t, http.MethodPost, "/user", long).StatusCode)
}

// Ensure a replica is not ready while any resource of the contract does not exist, and says which.
func TestReadyAsksForEveryResource(t *testing.T) {
	t.Parallel()
	for i := range new(config.Config).Resources() {
		a := awstest.Start(t)
		missing := a.Config.Resources()[i]
		require.NoError(t, emulator.Delete(t.Context(), a.DynamoDB, a.S3, []contract.Resource{missing}))
		users, avatars := dynamo.New(a.SDK, a.Config), bucket.New(a.SDK, a.Config)
		err := errors.Join(users.Check(t.Context()), avatars.Check(t.Context()))
		require.ErrorIs(t, err, user.ErrResourceMissing, "%s %s is not checked", missing.Kind, missing.ID)
		assert.ErrorContains(t, err, *missing.Name)
	}
}

// Ensure a replica is ready once each dependency has responded, stays so while one is slow or away,
// and is not while one is known to be missing. A check that panics is a failed check.
func TestReadiness(t *testing.T) {
	t.Parallel()
	var table, bucket atomic.Value
	check := func(v *atomic.Value) func(context.Context) error {
		return func(context.Context) error { return v.Load().(func() error)() }
	}
	ok := func() error { return nil }
	away := func() error { return errors.New("connection refused") }
	broken := func() error { panic("a response without a table") }
	var checks atomic.Int64
	missing := func() error {
		return fmt.Errorf("RequestID: %d, no such table: %w", checks.Add(1), user.ErrResourceMissing)
	}
	table.Store(away)
	bucket.Store(ok)
	s := listen(t, config.Default(), nil, nil, []api.Dependency{
		{Name: "dynamodb", Check: check(&table)}, {Name: "s3", Check: check(&bucket)},
	})

	states := func(status int, dynamodb, s3 string) {
		t.Helper()
		var got response
		require.Eventually(t, func() bool {
			got = s.do(t, http.MethodGet, "/readyz", "")
			want := `"dependencies":{"dynamodb":{"state":"` + dynamodb + `"},"s3":{"state":"` + s3 + `"}}`
			return got.StatusCode == status && strings.Contains(got.body, want)
		}, 20*time.Second, 20*time.Millisecond, "want %d %s %s", status, dynamodb, s3)
		assert.Equal(t, http.StatusOK, s.do(t, http.MethodGet, "/health", "").StatusCode)
	}
	states(http.StatusServiceUnavailable, "pending", "ok")
	assert.Contains(t, s.log.String(), "connection refused", "why it is not ready")
	table.Store(broken)
	require.Eventually(t, func() bool {
		return strings.Contains(s.log.String(), "panic: a response without a table")
	}, time.Minute, 10*time.Millisecond)
	table.Store(ok)
	states(http.StatusOK, "ok", "ok")
	table.Store(away)
	states(http.StatusOK, "unreachable", "ok")
	table.Store(missing)
	states(http.StatusServiceUnavailable, "missing", "ok")
	require.Eventually(t, func() bool { return checks.Load() > 2 }, time.Minute, 10*time.Millisecond)
	assert.Equal(t, 1, strings.Count(s.log.String(), "no such table"), "a cause is logged when it changes")
	table.Store(away)
	bucket.Store(missing)
	states(http.StatusServiceUnavailable, "missing", "missing")
	table.Store(ok)
	bucket.Store(ok)
	states(http.StatusOK, "ok", "ok")

	s.Drain()
	got := s.do(t, http.MethodGet, "/readyz", "")
	assert.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
	assert.Contains(t, got.body, `"error":"Not ready"`)
	assert.Contains(t, got.body, `"dynamodb":{"state":"ok"}`)
}

// Ensure that while it drains a replica serves everything and tells every client to go elsewhere
// next.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	id := s.create(t)
	assert.False(t, s.do(t, http.MethodGet, "/users", "").Close)
	s.Drain()
	for _, request := range []string{
		"GET /health", "GET /users", "GET /users/" + id, "GET /nowhere", "PUT /users", "BREW /users",
	} {
		method, path, _ := strings.Cut(request, " ")
		got := s.do(t, method, path, "")
		assert.True(t, got.Close, "%v: %v", request, got.Header)
		assert.NotEqual(t, http.StatusServiceUnavailable, got.StatusCode, "%v", request)
	}
}

// Ensure each request has one line in the log, with what an operator asks for, and that no client
// can write a line of its own.
func TestLog(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.do(t, http.MethodGet, "/nowhere?x=%0a{}", "", "X-Request-Id", "one")
	lines := s.log.requests(t, "/nowhere")
	require.Len(t, lines, 1)
	line := lines[0]
	assert.Equal(t, "INFO", line["level"])
	assert.Equal(t, http.MethodGet, line["method"])
	assert.EqualValues(t, http.StatusNotFound, line["status"])
	assert.Equal(t, "one", line["request_id"])
	assert.Contains(t, line, "duration_ms")
	assert.NotEmpty(t, line["remote"])

	s.do(t, http.MethodGet, "/users", "", "X-Request-Id", "two\tlevel=ERROR")
	assert.NotContains(t, s.log.String(), "level=ERROR")
	s.do(t, "BREW", "/pot", "")
	assert.Len(t, s.log.requests(t, "/pot"), 1)
}

// Ensure that a want of file descriptors is waited for, and does not end the program.
func TestAcceptFails(t *testing.T) {
	t.Parallel()
	s := &server{Server: api.New(config.Default(), &user.Service{}, nil, discard())}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.url = "http://" + listener.Addr().String()
	served := make(chan error, 1)
	failing := &failingListener{Listener: listener}
	failing.times.Store(3)
	go func() { served <- s.Serve(failing) }()
	assert.Equal(t, http.StatusOK, s.do(t, http.MethodGet, "/health", "").StatusCode)
	assert.Negative(t, failing.times.Load())
	require.NoError(t, s.Shutdown(t.Context()))
	assert.NoError(t, <-served)
}

type failingListener struct {
	net.Listener
	times atomic.Int64
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.times.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: errors.Join(syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

// Ensure a server that is told to end before it serves, or just then, does not serve for ever.
func TestShutdownBeforeServe(t *testing.T) {
	t.Parallel()
	for i := range 100 {
		s := api.New(config.Default(), &user.Service{}, nil, discard())
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		served := make(chan error, 1)
		if i == 0 {
			require.NoError(t, s.Shutdown(t.Context()))
		}
		go func() { served <- s.Serve(listener) }()
		require.NoError(t, s.Shutdown(t.Context()))
		require.NoError(t, <-served)
		_, err = listener.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
	}
}
