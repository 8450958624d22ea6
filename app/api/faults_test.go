package api_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// suiteFailing ensures every operation responds as described when DynamoDB and S3 fail: with a
// fixed text, while only the log has the cause.
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
		s := start(t, nil)
		client := apitest.NewClient(t, s.url, apitest.Options{Coverage: coverage})
		id := s.create(t)
		client.PutAvatar(t, id, apitest.PNG(2, 2))
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
					logged := s.log.requests(t, strings.Split(path, "?")[0])
					assert.Contains(t, logged[len(logged)-1]["error"], secret)
				}
			})
		}
		s.Drain()
		client.Do(t, http.MethodGet, config.PathReady, nil).Problem(t, http.StatusServiceUnavailable, "Not ready")
	}
}
