package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/config"
	"prima.internal/app/user"
)

// Ensure a store that fails is answered with a fixed text, and that the cause is in the log and
// nowhere else.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	for operation, c := range map[string]struct {
		method, path, body, contentType, text string
	}{
		"DynamoDB.PutItem":    {http.MethodPost, "/user", `{"name":"Ada","email":"ada@example.com"}`, "application/json", "Failed to save user"},
		"DynamoDB.Scan":       {http.MethodGet, "/users", "", "", "Failed to list users"},
		"DynamoDB.GetItem":    {http.MethodGet, "/users/{id}", "", "", "Failed to read user"},
		"DynamoDB.UpdateItem": {http.MethodPatch, "/users/{id}", `{"name":"Grace"}`, "application/json", "Failed to save user"},
		"DynamoDB.DeleteItem": {http.MethodDelete, "/users/{id}", "", "", "Failed to delete user"},
		"S3.PutObject":        {http.MethodPut, "/users/{id}/avatar", string(apitest.PNG(2, 2)), "image/png", "Failed to save avatar"},
		"S3.GetObject":        {http.MethodGet, "/users/{id}/avatar", "", "", "Failed to read avatar"},
	} {
		for _, failure := range []struct {
			status, want int
			code         string
		}{{500, http.StatusServiceUnavailable, "InternalServerError"}, {403, http.StatusInternalServerError, "AccessDeniedException"}} {
			t.Run(operation+" "+failure.code, func(t *testing.T) {
				t.Parallel()
				s := start(t, nil)
				path := strings.Replace(c.path, "{id}", s.create(t), 1)
				if operation == "S3.GetObject" {
					put := s.do(t, http.MethodPut, path, string(apitest.PNG(2, 2)))
					require.Equal(t, http.StatusOK, put.StatusCode, put.body)
				}
				s.aws.Fail(operation, awstest.Always, failure.status, failure.code)
				got := s.do(t, c.method, path, c.body, "Content-Type", c.contentType, "X-Request-Id", "the-request")

				assert.Equal(t, failure.want, got.StatusCode, got.body)
				assert.Equal(t, "application/problem+json", got.Header.Get("Content-Type"))
				assert.Contains(t, got.body, `"error":"`+c.text+`"`)
				for name, values := range got.Header {
					assert.NotContains(t, strings.Join(values, " "), "arn:", name)
				}
				assert.NotContains(t, got.body, "arn:")
				assert.NotContains(t, got.body, failure.code)
				assert.Equal(t, failure.want == http.StatusServiceUnavailable, got.Header.Get("Retry-After") != "", "Retry-After")
				assert.Empty(t, got.Header.Get("Etag"))

				for _, line := range s.log.requests(t, path) {
					if line["request_id"] == "the-request" {
						assert.Contains(t, line["error"], "arn:aws:secret")
						assert.Contains(t, line["error"], failure.code)
						return
					}
				}
				assert.Fail(t, "the request is not in the log", s.log)
			})
		}
	}
}

// Ensure a table that does not exist is a 503 and a request that came in time is answered in time.
func TestTableMissing(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.aws.Fail("DynamoDB.PutItem", awstest.Always, 400, "ResourceNotFoundException")
	got := s.do(t, http.MethodPost, "/user", `{"name":"Ada","email":"ada@example.com"}`, "Content-Type", "application/json")
	assert.Equal(t, http.StatusServiceUnavailable, got.StatusCode, got.body)
	assert.Contains(t, got.body, `"error":"Failed to save user"`)
}

// Ensure a dependency that takes the call and says nothing costs a request no more than its timeout.
func TestStoreHangs(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *config.Config) { c.RequestTimeout = 300 * 1e6 })
	release := make(chan struct{})
	defer close(release)
	s.aws.Intercede("DynamoDB.Scan", func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	got := s.do(t, http.MethodGet, "/users", "")
	assert.Equal(t, http.StatusServiceUnavailable, got.StatusCode, got.body)
	health := s.do(t, http.MethodGet, "/health", "")
	assert.Equal(t, http.StatusOK, health.StatusCode)
}

// pages is a store whose pages a test makes up.
type pages struct {
	user.Store
	page func(after string) ([]user.User, string, error)
}

func (p pages) Page(_ context.Context, dst []byte, usersURL string, q user.PageQuery) (user.Page, error) {
	page := user.Page{JSON: dst, Next: q.After}
	for {
		users, next, err := p.page(page.Next)
		if err != nil {
			return user.Page{}, err
		}
		for _, u := range users {
			if q.Limit > 0 && page.Users == q.Limit {
				return page, nil
			}
			if page.Users > 0 {
				page.JSON = append(page.JSON, ',')
			}
			page.JSON = u.AppendJSON(page.JSON, usersURL)
			page.Users++
			page.Next = u.ID
		}
		if page.Next = next; q.Limit == 0 || next == "" {
			return page, nil
		}
	}
}

// Ensure a panic is a 500 without its text, that the log has its stack, and that the process goes on.
func TestPanic(t *testing.T) {
	t.Parallel()
	s := serve(t, config.Default(), pages{page: func(string) ([]user.User, string, error) { panic("a secret") }}, nil, nil)
	got := s.do(t, http.MethodGet, "/users", "")
	assert.Equal(t, http.StatusInternalServerError, got.StatusCode)
	assert.JSONEq(t, `{"type":"about:blank","title":"Internal Server Error","status":500,"error":"Internal error"}`, got.body)
	line := s.log.requests(t, "/users")[0]
	assert.Contains(t, line["error"], "a secret")
	assert.Contains(t, line["error"], "faults_test.go")
	assert.Equal(t, http.StatusOK, s.do(t, http.MethodGet, "/health", "").StatusCode)
}

// Ensure a list that fails after its first byte breaks off, so that no client takes half of it for
// all, that the log says so in the request's one line, and that the process goes on: also after a panic.
func TestListBreaksOff(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("a secret") },
		"panic": func() error { panic("a secret") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, config.Default(), pages{page: func(after string) ([]user.User, string, error) {
				if after == "" {
					return []user.User{{ID: "1", Name: "Ada"}}, "1", nil
				}
				return nil, "", fail()
			}}, nil, nil)
			got := s.do(t, http.MethodGet, "/users", "")
			assert.Equal(t, http.StatusOK, got.StatusCode)
			assert.Error(t, got.err, "read as a whole: %s", got.body)
			assert.Contains(t, got.body, `[{"id":"1"`)

			requests := s.log.requests(t, "/users")
			require.Len(t, requests, 1)
			assert.NotEmpty(t, requests[0]["error"])
			assert.Equal(t, http.StatusOK, s.do(t, http.MethodGet, "/health", "").StatusCode)
		})
	}
}
