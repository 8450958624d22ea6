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

// contractFailing ensures that the answers to every operation are as described also when DynamoDB and S3 fail.
func contractFailing(t *testing.T, coverage *apitest.Coverage) {
	t.Helper()
	for status, failure := range map[int]struct {
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
		for _, operation := range []string{"DynamoDB.PutItem", "DynamoDB.Scan", "DynamoDB.GetItem", "DynamoDB.UpdateItem", "DynamoDB.DeleteItem", "S3.PutObject", "S3.GetObject"} {
			s.aws.Fail(operation, awstest.Always, failure.status, failure.code)
		}
		for _, example := range apitest.Examples() {
			t.Run(example.Operation+" "+example.Name, func(t *testing.T) {
				r := client.Do(t, example.Method, strings.ReplaceAll(example.Path, "{id}", id), bytes.NewReader(example.Body), example.Header...)
				switch example.Operation {
				case "getHealth", "getReadiness", "getDescription": // they ask neither
					assert.Equal(t, http.StatusOK, r.Status, r)
				default:
					assert.Equal(t, status, r.Status, r)
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
		full.dial(t)
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
		return strings.Contains(s.do(t, http.MethodGet, config.PathReady, "").body, `"dynamodb":{"state":"missing"},"s3":{"state":"ok"}`)
	}, 10*time.Second, 10*time.Millisecond)
	client.Do(t, http.MethodGet, config.PathReady, nil).Problem(t, http.StatusServiceUnavailable, "Not ready")
}
