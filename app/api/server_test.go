package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
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

// Ensure links start with what is configured, or else with what the client asked for.
func TestLinks(t *testing.T) {
	t.Parallel()
	asked := start(t, nil)
	path := "/users/" + asked.create(t) + "/avatar"
	require.Equal(t, http.StatusOK, asked.do(t, http.MethodPut, path, string(apitest.PNG(1, 1))).StatusCode)
	for _, c := range []struct{ want, host, proto string }{
		{"http://example.com:8080", "example.com:8080", ""},
		{"https://example.com", "example.com", "https"},
		{"https://example.com", "example.com", "https,http"},
		{"http://example.com", "example.com", "http, https"},
		{"http://example.com", "example.com", "gopher"},
		{"http://[::1]:5000", "[::1]:5000", ""},
	} {
		got := asked.do(t, http.MethodGet, strings.TrimSuffix(path, "/avatar"), "", "Host", c.host, "X-Forwarded-Proto", c.proto)
		assert.Contains(t, got.body, `"avatar_url":"`+c.want+path+"?v=", "%+v", c)
	}

	configured := start(t, func(c *config.Config) { c.PublicURL = "https://api.example.com/v1" })
	got := configured.do(t, http.MethodPost, "/user", `{"name":"Ada","email":"ada@example.com"}`, "Content-Type", "application/json", "Host", "elsewhere")
	assert.True(t, strings.HasPrefix(got.Header.Get("Location"), "https://api.example.com/v1/users/"), got.Header.Get("Location"))
}

// Ensure the limits are those of the configuration.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *config.Config) { c.MaxAvatarBytes, c.MaxAvatarPixels, c.MaxJSONBytes = 2048, 16, 1024 })
	path := "/users/" + s.create(t) + "/avatar"
	assert.Equal(t, http.StatusOK, s.do(t, http.MethodPut, path, string(apitest.PaddedPNG(2048))).StatusCode)
	assert.Equal(t, http.StatusRequestEntityTooLarge, s.do(t, http.MethodPut, path, string(apitest.PaddedPNG(2049))).StatusCode)
	assert.Equal(t, http.StatusBadRequest, s.do(t, http.MethodPut, path, string(apitest.PNG(17, 1))).StatusCode)
	long := fmt.Sprintf(`{"name":"Ada","email":"a@b.c","x":%q}`, strings.Repeat("x", 1024))
	assert.Equal(t, http.StatusRequestEntityTooLarge, s.do(t, http.MethodPost, "/user", long, "Content-Type", "application/json").StatusCode)
}

// Ensure a client that does not finish its request in time is told so.
func TestReadTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *config.Config) { c.ReadTimeout = 200 * time.Millisecond })
	body, slow := newSlowBody(`{"name":"Ada",`)
	defer slow()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/user", body)
	require.NoError(t, err)
	r.ContentLength = 100
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	defer response.Body.Close()
	assert.Equal(t, http.StatusRequestTimeout, response.StatusCode)
	assert.Equal(t, "application/problem+json", response.Header.Get("Content-Type"))
}

// newSlowBody returns a body that says something and then nothing until it is ended.
func newSlowBody(begin string) (body *slowBody, end func()) {
	b := &slowBody{begin: strings.NewReader(begin), ended: make(chan struct{})}
	return b, func() { close(b.ended) }
}

type slowBody struct {
	begin *strings.Reader
	ended chan struct{}
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.begin.Len() > 0 {
		return b.begin.Read(p)
	}
	<-b.ended
	return 0, errors.New("ended")
}

func (b *slowBody) Close() error { return nil }

// Ensure a replica is not ready while any resource of the contract does not exist, and says which.
func TestReadyAsksForEveryResource(t *testing.T) {
	t.Parallel()
	for i := range new(config.Config).Resources() {
		a := awstest.Start(t)
		missing := a.Config.Resources()[i]
		require.NoError(t, emulator.Delete(t.Context(), a.DynamoDB, a.S3, []contract.Resource{missing}))
		users, avatars := dynamo.New(a.SDK, a.Config), bucket.New(a.SDK, a.Config)
		err := errors.Join(users.Check(t.Context()), avatars.Check(t.Context()))
		require.ErrorIs(t, err, user.ErrResourceMissing, "the check of its service leaves out the %s %s", missing.Kind, missing.ID)
		assert.ErrorContains(t, err, *missing.Name)
	}
}

// Ensure a replica is ready once everything has answered, stays so while something is slow or away, and
// is not while something is known to be missing.
func TestReadiness(t *testing.T) {
	t.Parallel()
	var table, bucket atomic.Value
	check := func(v *atomic.Value) func(context.Context) error {
		return func(context.Context) error { return v.Load().(func() error)() }
	}
	ok := func() error { return nil }
	away := func() error { return errors.New("connection refused") }
	missing := func() error { return fmt.Errorf("no such table: %w", user.ErrResourceMissing) }
	table.Store(away)
	bucket.Store(ok)
	s := listen(t, config.Default(), nil, nil, []api.Dependency{{Name: "dynamodb", Check: check(&table)}, {Name: "s3", Check: check(&bucket)}})

	states := func(status int, dynamodb, s3 string) {
		t.Helper()
		var got answer
		require.Eventually(t, func() bool {
			got = s.do(t, http.MethodGet, "/readyz", "")
			return got.StatusCode == status && strings.Contains(got.body, `"dependencies":{"dynamodb":{"state":"`+dynamodb+`"},"s3":{"state":"`+s3+`"}}`)
		}, 20*time.Second, 20*time.Millisecond, "want %d %s %s", status, dynamodb, s3)
		assert.Equal(t, http.StatusOK, s.do(t, http.MethodGet, "/health", "").StatusCode)
	}
	states(http.StatusServiceUnavailable, "pending", "ok")
	assert.Contains(t, s.log.String(), "connection refused", "why it is not ready")
	table.Store(ok)
	states(http.StatusOK, "ok", "ok")
	table.Store(away)
	states(http.StatusOK, "unreachable", "ok")
	table.Store(missing)
	states(http.StatusServiceUnavailable, "missing", "ok")
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

// Ensure that while it drains a replica serves everything and tells every client to go elsewhere next.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	id := s.create(t)
	assert.False(t, s.do(t, http.MethodGet, "/users", "").Close)
	s.Drain()
	for _, request := range [][2]string{
		{http.MethodGet, "/health"},
		{http.MethodGet, "/users"},
		{http.MethodGet, "/users/" + id},
		{http.MethodGet, "/nowhere"},
		{http.MethodPut, "/users"},
		{"BREW", "/users"},
	} {
		got := s.do(t, request[0], request[1], "")
		assert.True(t, got.Close, "%v: %v", request, got.Header)
		assert.NotEqual(t, http.StatusServiceUnavailable, got.StatusCode, "%v", request)
	}
}

// Ensure each request has one line in the log, with what an operator asks for, and that nobody can write a
// line of their own.
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

// Ensure a check of a dependency that panics is a failed check, and does not end the process.
func TestReadinessPanics(t *testing.T) {
	t.Parallel()
	var checks atomic.Int64
	s := listen(t, config.Default(), nil, nil, []api.Dependency{{Name: "dynamodb", Check: func(context.Context) error {
		if checks.Add(1) == 1 {
			panic("a response without a table")
		}
		return nil
	}}})
	require.Eventually(t, func() bool {
		return s.do(t, http.MethodGet, "/readyz", "").StatusCode == http.StatusOK
	}, time.Minute, 10*time.Millisecond)
	assert.Contains(t, s.log.String(), "panic: a response without a table")
}
