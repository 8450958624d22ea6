package apitest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// pagesForPeople is about the pages, which an API may have or not: PAGES.
func (s *suite) pagesForPeople(t *testing.T) {
	if s.Do(t, "GET", "/", nil).Status != http.StatusOK {
		// Ensure an API without pages has nothing in their place.
		for _, path := range []string{"/", "/docs", "/assets/users.js"} {
			s.Do(t, "GET", path, nil).Problem(t, http.StatusNotFound, "Not found")
		}
		return
	}
	// Ensure a page needs no token, runs no script but the API's own, and is always revalidated.
	for _, path := range []string{"/", "/docs"} {
		r := s.Do(t, "GET", path, nil, noToken).Is(t, http.StatusOK)
		assert.Equal(t, "text/html; charset=utf-8", r.Header.Get("Content-Type"))
		policy := r.Header.Get("Content-Security-Policy")
		assert.Subset(t, strings.Split(policy, "; "), []string{
			"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'",
			"form-action 'none'",
		})
		assert.NotContains(t, policy, "unsafe")
		assert.Equal(t, "no-cache", r.Header.Get("Cache-Control"))
		again := s.Do(t, "GET", path, nil, "If-None-Match: "+r.Header.Get("Etag"))
		assert.Equal(t, http.StatusNotModified, again.Status, again)
		s.requireHeadLikeGet(t, path)
		s.Do(t, "POST", path, nil).Problem(t, http.StatusMethodNotAllowed, "Method not allowed")
	}
}

// crossSite is about what pages of other sites can have a browser send.
func (s *suite) crossSite(t *testing.T) {
	own := "Origin: " + s.Client.links
	// Ensure nobody who opens another page changes anything by it, also if the API asks for no token.
	t.Run("pages of other sites change nothing", s.requests("browsers"))
	for _, header := range []string{own + ".other.example", own + "@other.example", "Sec-Fetch-Site: cross-site"} {
		r := s.PostJSON(t, "/users", object("name", "Ann", "email", Email()), header)
		r.Problem(t, http.StatusForbidden, "Cross-site request")
	}

	// Ensure the API's own pages, typed addresses and clients that are no browsers are let in.
	for _, headers := range [][]string{
		{},
		{"Sec-Fetch-Site: same-origin", own},
		{"Sec-Fetch-Site: none"},
		{own},
		{"Referer: https://other.example/", "User-Agent: curl/8.5.0"},
	} {
		t.Run("may: "+strings.Join(headers, ", "), func(t *testing.T) {
			s.Delete(t, s.CreateJSON(t, "Ann", Email(), headers...).ID)
		})
	}
}
