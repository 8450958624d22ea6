package api_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/api"
	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/config"
	"prima.internal/app/user"
)

// suiteFailing ensures that the responses of every operation are as described also when DynamoDB
// and S3 fail: a fixed text, with the cause in the log and nowhere else.
func suiteFailing(t *testing.T, coverage *apitest.Coverage) {
	t.Helper()
	texts := map[string]string{
		"createUser": "Failed to save user", "postUser": "Failed to save user",
		"listUsers": "Failed to list users", "getUser": "Failed to read user", "updateUser": "Failed to save user",
		"deleteUser": "Failed to delete user", "putAvatar": "Failed to save avatar",
		"getAvatar": "Failed to read avatar", "deleteAvatar": "Failed to delete avatar",
	}
	for want, failure := range map[int]struct {
		status int
		code   string
	}{
		http.StatusInternalServerError: {http.StatusForbidden, "AccessDeniedException"},
		http.StatusServiceUnavailable:  {http.StatusInternalServerError, "InternalServerError"},
	} {
		s := start(t, func(c *config.Config) { c.RequestTimeout = time.Second })
		client := apitest.NewClient(t, s.url, apitest.Options{Coverage: coverage})
		id := s.create(t)
		put := s.do(t, http.MethodPut, "/users/"+id+"/avatar", string(apitest.PNG(2, 2)))
		require.Equal(t, http.StatusOK, put.StatusCode, put.body)
		for _, operation := range []string{
			"DynamoDB.PutItem", "DynamoDB.Scan", "DynamoDB.GetItem", "DynamoDB.UpdateItem", "DynamoDB.DeleteItem",
			"S3.PutObject", "S3.GetObject",
		} {
			s.aws.Fail(operation, awstest.Always, failure.status, failure.code)
		}
		for _, example := range apitest.Examples() {
			t.Run(example.Operation+" "+example.Name, func(t *testing.T) {
				path := strings.ReplaceAll(example.Path, "{id}", id)
				r := client.Do(t, example.Method, path, bytes.NewReader(example.Body), example.Header...)
				switch example.Operation {
				case "getHealth", "getReadiness", "getDescription": // they ask neither
					assert.Equal(t, http.StatusOK, r.Status, r)
					return
				}
				r.Problem(t, want, texts[example.Operation])
				assert.Equal(t, want == http.StatusServiceUnavailable, r.Header.Get("Retry-After") != "", r)
				assert.Empty(t, r.Header.Get("Etag"), r)
				for _, secret := range []string{"arn:aws:secret", failure.code} {
					assert.NotContains(t, r.String(), secret)
					path, _, _ = strings.Cut(path, "?")
					logged := s.log.requests(t, path)
					assert.Contains(t, logged[len(logged)-1]["error"], secret)
				}
			})
		}
		s.Drain()
		client.Do(t, http.MethodGet, config.PathReady, nil).Problem(t, http.StatusServiceUnavailable, "Not ready")
	}

	// A replica that has all the connections that it may.
	const limit = 16
	full := start(t, func(c *config.Config) { c.MaxConnections = limit })
	for range limit {
		full.dial(t, "")
	}
	busy := apitest.NewClient(t, full.url, apitest.Options{Coverage: coverage})
	busy.Do(t, http.MethodGet, config.PathDescription, nil).Problem(t, http.StatusServiceUnavailable, "Server is busy")

	// A replica whose table does not exist.
	s := listen(t, config.Default(), nil, nil, []api.Dependency{
		{Name: "dynamodb", Check: func(context.Context) error { return user.ErrResourceMissing }},
		{Name: "s3", Check: func(context.Context) error { return nil }},
	})
	client := apitest.NewClient(t, s.url, apitest.Options{Coverage: coverage})
	require.Eventually(t, func() bool {
		return strings.Contains(s.do(t, http.MethodGet, config.PathReady, "").body,
			`"dynamodb":{"state":"missing"},"s3":{"state":"ok"}`)
	}, 10*time.Second, 10*time.Millisecond)
	client.Do(t, http.MethodGet, config.PathReady, nil).Problem(t, http.StatusServiceUnavailable, "Not ready")
}

// Ensure a panic is a 500 without its text, that the log has its stack, that it gives back the
// memory of the request, and that the process goes on.
func TestPanic(t *testing.T) {
	t.Parallel()
	store := newTable(1, 1)
	store.before = func(user.PageQuery) error { panic("a secret") }
	c := config.Default()
	c.RequestMemory, c.RequestTimeout = 4<<20, time.Second // of one list
	s := serve(t, c, store, nil, nil)
	for range 3 {
		got := s.do(t, http.MethodGet, "/users", "")
		assert.Equal(t, http.StatusInternalServerError, got.StatusCode)
		assert.JSONEq(t, `{"type":"about:blank","title":"Internal Server Error","status":500,"error":"Internal error"}`,
			got.body)
	}
	line := s.log.requests(t, "/users")[0]
	assert.Contains(t, line["error"], "a secret")
	assert.Contains(t, line["error"], "faults_test.go")
}
