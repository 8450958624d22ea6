package apitest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pagesForPeople is about the pages, which an API may have or not: PAGES.
func (s *suite) pagesForPeople(t *testing.T) {
	withoutToken := []string{noToken}
	if s.Token == "" {
		withoutToken = nil
	}
	on := s.Do(t, "GET", "/", nil).Status == http.StatusOK
	for _, path := range []string{"/", "/docs"} {
		if !on {
			// Ensure an API without pages has nothing in their place.
			t.Run(path+" is not there", func(t *testing.T) {
				s.Do(t, "GET", path, nil).Problem(t, http.StatusNotFound, "Not found")
				s.Do(t, "GET", "/assets/users.js", nil).Problem(t, http.StatusNotFound, "Not found")
			})
			continue
		}
		// Ensure a page comes without a token, may run no script but ours, and is asked about before a copy is used.
		t.Run(path+" is a page", func(t *testing.T) {
			r := s.Do(t, "GET", path, nil, withoutToken...)
			require.Equal(t, http.StatusOK, r.Status, r)
			assert.Equal(t, "text/html; charset=utf-8", r.Header.Get("Content-Type"))
			policy := r.Header.Get("Content-Security-Policy")
			for _, directive := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
				assert.Contains(t, strings.Split(policy, "; "), directive)
			}
			assert.NotContains(t, policy, "unsafe")
			assert.Equal(t, "no-cache", r.Header.Get("Cache-Control"))
			again := s.Do(t, "GET", path, nil, "If-None-Match: "+r.Header.Get("Etag"))
			assert.Equal(t, http.StatusNotModified, again.Status, again)
			s.requireHeadLikeGet(t, path)
			r = s.Do(t, "POST", path, nil)
			r.Problem(t, http.StatusMethodNotAllowed, "Method not allowed")
		})
	}
}
