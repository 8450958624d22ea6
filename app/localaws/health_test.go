package localaws_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Ensure the health is LocalStack's, to GET and HEAD, whatever a middleware does to the services.
func TestHealth(t *testing.T) {
	t.Parallel()
	a, url := start(t)
	a.Intercept(func(http.Handler) http.Handler { return http.NotFoundHandler() })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/_localstack/health", nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	var h struct {
		Services         map[string]string
		Edition, Version string
	}
	require.NoError(t, json.Unmarshal([]byte(readAll(t, resp.Body)), &h))
	assert.Equal(t, map[string]string{"dynamodb": "running", "s3": "running", "sts": "running"}, h.Services)
	assert.Equal(t, "community", h.Edition)
	assert.Equal(t, "4.14.0", h.Version)
	assert.Equal(t, "localaws", resp.Header.Get("Server"))

	assert.Equal(t, http.StatusOK, do(a, "HEAD", "/_localstack/health", "", nil).Code)
	assert.Equal(t, http.StatusMethodNotAllowed, do(a, "POST", "/_localstack/health", "", nil).Code)
	assert.Equal(t, http.StatusNotFound, do(a, "GET", "/_localstack/init", "", nil).Code)
}

// Ensure STS tells who asks, and nothing else.
func TestSTS(t *testing.T) {
	t.Parallel()
	a, _ := start(t)
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
	w := do(a, "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", form)
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Contains(t, w.Body.String(), "<GetCallerIdentityResult><Arn>arn:aws:iam::000000000000:root</Arn>")
	assert.Contains(t, w.Body.String(), "<Account>000000000000</Account>")
	w = do(a, "POST", "/", "Action=AssumeRole", form)
	assert.Equal(t, http.StatusBadRequest, w.Code)
	assert.Contains(t, w.Body.String(), "<Code>InvalidAction</Code>")
}
