package apitest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (s *suite) health(t *testing.T) {
	// Ensure the answer is exactly what it always was, and says nothing of dependencies.
	t.Run("it answers ok and no more", func(t *testing.T) {
		s.Do(t, "GET", "/health", nil).JSON(t, http.StatusOK, `{"status":"ok"}`)
	})

	// Ensure a probe that sends HEAD is answered as with GET.
	t.Run("it answers HEAD", func(t *testing.T) {
		s.requireHeadLikeGet(t, "/health")
	})
}

func (s *suite) readiness(t *testing.T) {
	// Ensure an API that serves says so, and names each dependency with its state.
	t.Run("it is ready once the table and the bucket have answered", func(t *testing.T) {
		// They may have been away before the suite began, and are asked every few seconds.
		require.Eventually(t, func() bool {
			return !strings.Contains(string(s.Do(t, "GET", "/readyz", nil).Body), "unreachable")
		}, time.Minute, 100*time.Millisecond)
		s.Do(t, "GET", "/readyz", nil).JSON(t, http.StatusOK,
			`{"status":"ready","dependencies":{"dynamodb":{"state":"ok"},"s3":{"state":"ok"}}}`)
	})

	// Ensure a probe that sends HEAD is answered as with GET.
	t.Run("it answers HEAD", func(t *testing.T) {
		s.requireHeadLikeGet(t, "/readyz")
	})
}

// requireHeadLikeGet requires HEAD of path to have the headers of GET. That there is no body either
// is seen by the next answer on the same connection, which would not parse.
func (s *suite) requireHeadLikeGet(t *testing.T, path string) {
	t.Helper()
	get := s.Do(t, "GET", path, nil)
	head := s.Do(t, "HEAD", path, nil)
	require.Equal(t, get.Status, head.Status, head)
	for _, name := range []string{"Content-Type", "Etag", "Cache-Control", "Link"} {
		assert.Equal(t, get.Header.Values(name), head.Header.Values(name), "%s\n\n%s", get, head)
	}
	// The list may have changed in between, and an answer in chunks has no length; a proxy that asked for it packed and unpacks it
	// does not know the length either.
	length, lengthOfGet := head.Header.Get("Content-Length"), get.Header.Get("Content-Length")
	if path != "/users" && length != "" && (!s.Proxied || lengthOfGet != "") {
		assert.Equal(t, lengthOfGet, length, head)
	}
	if !s.Proxied {
		answers, usable := s.converse(t, "HEAD "+path+" HTTP/1.1\r\n"+s.headers()+"\r\n")
		require.Len(t, answers, 1, "%v", answers)
		assert.True(t, usable, answers[0])
	}
}
