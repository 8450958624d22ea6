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

// Ensure a replica is not ready while any resource of the contract does not exist, and says which.
// A check that fails otherwise says nothing of that.
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

		a.Fail("DynamoDB.DescribeTable", awstest.Always, http.StatusInternalServerError, "InternalServerError")
		a.Fail("S3.HeadBucket", awstest.Always, http.StatusForbidden, "AccessDenied")
		for _, check := range []func(context.Context) error{users.Check, avatars.Check} {
			err := check(t.Context())
			require.Error(t, err)
			assert.NotErrorIs(t, err, user.ErrResourceMissing)
		}
	}
}

// suiteReadiness ensures a replica becomes ready once each dependency has responded, and stays
// ready while one is slow or away, but not while one is known to be missing or while the replica
// drains. A check that panics has failed.
func suiteReadiness(t *testing.T, coverage *apitest.Coverage) {
	t.Helper()
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
	client := apitest.NewClient(t, s.url, apitest.Options{Coverage: coverage})
	states := func(status int, dynamodb, s3 string) {
		t.Helper()
		require.Eventually(t, func() bool {
			got := client.Do(t, http.MethodGet, config.PathReady, nil)
			want := `"dependencies":{"dynamodb":{"state":"` + dynamodb + `"},"s3":{"state":"` + s3 + `"}}`
			return got.Status == status && strings.Contains(string(got.Body), want)
		}, time.Minute, 20*time.Millisecond, "want %d %s %s", status, dynamodb, s3)
		assert.Equal(t, http.StatusOK, client.Do(t, http.MethodGet, config.PathHealth, nil).Status)
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
	bucket.Store(missing)
	states(http.StatusServiceUnavailable, "missing", "missing")
	table.Store(ok)
	bucket.Store(ok)
	states(http.StatusOK, "ok", "ok")
	s.Drain()
	states(http.StatusServiceUnavailable, "ok", "ok")
}

// Ensure each request has one line in the log with the fields that operators need, and that no
// client can forge a line.
func TestLog(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.do(t, http.MethodGet, "/users", "", "X-Request-Id", "two\tlevel=ERROR")
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
	assert.NotContains(t, s.log.String(), "level=ERROR")
}

// Ensure the server waits while there is no free file descriptor, instead of ending.
func TestAcceptFails(t *testing.T) {
	t.Parallel()
	s := &server{Server: api.New(config.Default(), &user.Service{}, nil, discard())}
	failing := &failingListener{Listener: local(t)}
	failing.times.Store(3)
	s.serve(t, failing)
	assert.Equal(t, http.StatusOK, s.do(t, http.MethodGet, "/health", "").StatusCode)
	assert.Negative(t, failing.times.Load())
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

// Ensure Serve returns if Shutdown is called before it, or at the same time.
func TestShutdownBeforeServe(t *testing.T) {
	t.Parallel()
	for i := range 100 {
		s := &server{Server: api.New(config.Default(), &user.Service{}, nil, discard())}
		if i == 0 {
			require.NoError(t, s.Shutdown(t.Context()))
		}
		listener := local(t)
		end := s.serve(t, listener)
		end()
		_, err := listener.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
	}
}
