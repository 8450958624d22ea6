package apitest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// health ensures the response is exactly what it always was, and says nothing of dependencies.
func (s *suite) health(t *testing.T) {
	s.Do(t, "GET", "/health", nil).JSON(t, http.StatusOK, `{"status":"ok"}`)
	s.requireHeadLikeGet(t, "/health")
}

// readiness ensures an API that serves is ready, and names each dependency with its state.
func (s *suite) readiness(t *testing.T) {
	// The dependencies may have been away before the suite began. The API asks them every few seconds.
	require.Eventually(t, func() bool {
		return !strings.Contains(string(s.Do(t, "GET", "/readyz", nil).Body), "unreachable")
	}, time.Minute, 100*time.Millisecond)
	s.Do(t, "GET", "/readyz", nil).JSON(t, http.StatusOK,
		`{"status":"ready","dependencies":{"dynamodb":{"state":"ok"},"s3":{"state":"ok"}}}`)
	s.requireHeadLikeGet(t, "/readyz")
}

// requireHeadLikeGet requires HEAD of path to have the headers of GET, and no body.
func (s *suite) requireHeadLikeGet(t *testing.T, path string) {
	t.Helper()
	get, head := s.Do(t, "GET", path, nil), s.Do(t, "HEAD", path, nil)
	require.Equal(t, get.Status, head.Status, head)
	for _, name := range []string{"Content-Type", "Etag", "Cache-Control", "Link"} {
		assert.Equal(t, get.Header.Values(name), head.Header.Values(name), "%s\n\n%s", get, head)
	}
	// The list may have changed since. A response in chunks or from a proxy may have no length.
	length, lengthOfGet := head.Header.Get("Content-Length"), get.Header.Get("Content-Length")
	if path != "/users" && length != "" && (!s.Proxied || lengthOfGet != "") {
		assert.Equal(t, lengthOfGet, length, head)
	}
	if !s.Proxied {
		responses, usable := s.converse(t, "HEAD "+path+" HTTP/1.1\r\n"+s.headers()+"\r\n")
		require.Len(t, responses, 1, "%v", responses)
		assert.True(t, usable, responses[0])
	}
}
