package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/config"
)

const allowedOrigin = "https://app.example.com"

// Ensure pages of an allowed origin get the response to a preflight, and can read every response.
func TestCORS(t *testing.T) {
	t.Parallel()
	token := config.NewToken()
	s := start(t, func(c *config.Config) {
		c.CORSOrigins = []string{"https://other.example.com", allowedOrigin}
		c.AccessTokens = []config.AccessToken{access("a", token)}
		c.ReadTimeout, c.MaxJSONBytes = 500*time.Millisecond, 1024
	})
	preflight := s.do(t, http.MethodOptions, "/users", "",
		"Origin", allowedOrigin, "Access-Control-Request-Method", "POST")
	assert.Equal(t, http.StatusNoContent, preflight.StatusCode)
	for _, name := range []string{"Idempotency-Key", "If-Match", "Authorization"} {
		assert.Contains(t, preflight.Header.Get("Access-Control-Allow-Headers"), name)
	}
	assert.Contains(t, preflight.Header.Get("Access-Control-Allow-Methods"), "PATCH")
	assert.Equal(t, allowedOrigin, preflight.Header.Get("Access-Control-Allow-Origin"))
	assert.NotEmpty(t, preflight.Header.Get("X-Request-Id"))

	headers := " HTTP/1.1\nHost: a\nOrigin: " + allowedOrigin + "\nAuthorization: Bearer " + token + "\n"
	for want, requests := range map[int][]string{
		200: {"GET /users" + headers + "\n", "GET /health" + headers + "\n"},
		201: {"POST /users" + headers + "Content-Length: 40\n\n" + ada},
		400: {
			"GET /users?limit=0" + headers + "\n", "POST /users" + headers + "Transfer-Encoding: chunked\n\nx\n",
			strings.Replace("GET /users"+headers+"\n", "Host: a", "Host: a..b", 1),
		},
		401: {strings.Replace("GET /users"+headers+"\n", token, "x", 1)},
		404: {"GET /nothing" + headers + "\n"},
		405: {"PUT /users" + headers + "\n"},
		408: {"POST /users" + headers + "Content-Length: 40\n\n{"},
		412: {"GET /openapi.json" + headers + "If-Match: \"x\"\n\n"},
		413: {"POST /users" + headers + "Content-Length: 1025\nExpect: 100-continue\n\n"},
		415: {
			"POST /users" + headers + "Content-Type: text/plain\nContent-Length: 1\n\nx",
			"POST /users" + headers + "Content-Type: text/plain\nContent-Length: 1\nExpect: 100-continue\n\n",
		},
		501: {"BREW /users" + headers + "\n"},
		505: {strings.Replace("GET /users"+headers+"\n", "HTTP/1.1", "HTTP/9.9", 1)},
	} {
		for _, request := range requests {
			response := read(t, s.dial(t, request), "")
			assert.Equal(t, want, response.StatusCode, request)
			assert.Equal(t, []string{allowedOrigin}, response.Header.Values("Access-Control-Allow-Origin"), request)
			assert.Contains(t, response.Header.Get("Access-Control-Expose-Headers"), "Link", request)
			assert.Contains(t, response.Header.Get("Vary"), "Origin", request)
			for _, origin := range []string{"https://evil.example.com", allowedOrigin + ".evil.example", "null"} {
				response := read(t, s.dial(t, strings.Replace(request, allowedOrigin, origin, 1)), "")
				assert.Empty(t, response.Header.Values("Access-Control-Allow-Origin"), "%s %s", origin, request)
				assert.Contains(t, response.Header.Get("Vary"), "Origin", "caches keep them apart")
			}
		}
	}

	// And what the listener refuses.
	s = start(t, func(c *config.Config) { c.CORSOrigins, c.MaxConnections = []string{allowedOrigin}, 16 })
	require.Eventually(t, func() bool {
		response := read(t, s.dial(t, "GET /users"+headers+"\n"), http.MethodGet)
		assert.Equal(t, []string{allowedOrigin}, response.Header.Values("Access-Control-Allow-Origin"))
		return response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") != ""
	}, time.Minute, time.Millisecond)
}

// Ensure every response says so if every origin is allowed, even the response to a malformed
// request.
func TestCORSForEverybody(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *config.Config) { c.CORSOrigins = []string{"*"} })
	got := s.do(t, http.MethodPost, "/users", ada, "Origin", "https://any.example", "Sec-Fetch-Site", "cross-site")
	assert.Equal(t, http.StatusCreated, got.StatusCode, got.body)
	assert.Equal(t, "*", got.Header.Get("Access-Control-Allow-Origin"))
	got = s.do(t, http.MethodGet, "/users", "", "Origin", "https://any.example", "X", strings.Repeat("x", 17<<10))
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, got.StatusCode)
	assert.Equal(t, "*", got.Header.Get("Access-Control-Allow-Origin"))
}

// Ensure pages of allowed origins, and of the API's public URL, can change users.
func TestTrustedOrigins(t *testing.T) {
	t.Parallel()
	plain := start(t, nil)
	for host, origin := range map[string]string{
		"a.example": "http://a.example", "a.example:80": "http://a.example",
		"a.example:443": "https://a.example", "A.example.:8080": "http://a.example.:8080",
	} {
		got := plain.do(t, http.MethodPost, "/users", ada, "Host", host, "Origin", origin)
		assert.Equal(t, http.StatusCreated, got.StatusCode, "%s %s", host, origin)
	}
	s := start(t, func(c *config.Config) {
		c.CORSOrigins, c.PublicURL = []string{allowedOrigin}, "https://api.example.com/v1"
	})
	for origin, want := range map[string]int{
		allowedOrigin:                  http.StatusCreated,
		"https://api.example.com":      http.StatusCreated,
		s.url:                          http.StatusCreated,
		"http://api.example.com":       http.StatusForbidden,
		"https://api.example":          http.StatusForbidden,
		"https://api.example.com:8443": http.StatusForbidden,
		"https://api.example.com.evil": http.StatusForbidden,
		"https":                        http.StatusForbidden,
	} {
		for _, site := range []string{"", "cross-site", "same-site"} {
			if origin == s.url && site != "" {
				continue // a browser says same-origin
			}
			got := s.do(t, http.MethodPost, "/users", ada, "Origin", origin, "Sec-Fetch-Site", site)
			assert.Equal(t, want, got.StatusCode, "%s %s", origin, site)
		}
	}
}

// Ensure an API with ALLOWED_HOSTS serves no other host. Otherwise a page could make its own name
// resolve to the API's address, and the browser would see one origin.
func TestAllowedHosts(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *config.Config) { c.AllowedHosts = []string{"api.example.com"} })
	for host, want := range map[string]int{
		"API.example.com.:5000": 200, "[::1]:5000": 200, "evil.example": 421, "evil.example:5000": 421, "a..b": 400,
	} {
		for _, path := range []string{"/users", "/health", "/openapi.json", "/"} {
			got := s.do(t, http.MethodGet, path, "", "Host", host, "Sec-Fetch-Site", "same-origin", "Origin", "http://"+host)
			assert.Equal(t, want, got.StatusCode, "%s %s", host, path)
		}
	}
	without := read(t, s.dial(t, "GET /health HTTP/1.0\n\n"), http.MethodGet)
	assert.Equal(t, http.StatusOK, without.StatusCode, "without a host")
}
