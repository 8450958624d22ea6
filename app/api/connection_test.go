package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/config"
)

// Ensure a rejection reaches a client that, like curl, reads the response only after it has sent
// everything.
func TestRefusalIsSeen(t *testing.T) {
	t.Parallel()
	open := start(t, nil)
	guarded := start(t, func(c *config.Config) {
		c.AccessTokens = []config.AccessToken{{Name: "ci", Write: true, Hash: config.HashToken("ci")}}
	})
	busy := start(t, func(c *config.Config) {
		c.RequestMemory, c.RequestTimeout, c.ReadTimeout = 1<<20, 500*time.Millisecond, 10*time.Minute
	})
	fill(t, busy)

	form := "--x\r\nContent-Disposition: form-data; name=avatar; filename=a\r\n\r\n"
	body, formType := form+strings.Repeat("x", 20<<20), "multipart/form-data; boundary=x"
	for _, refusal := range []struct {
		what                      string
		server                    *server
		method, path, contentType string
		want                      int
	}{
		{"too large an avatar", open, "PUT", "/users/" + open.create(t) + "/avatar", "image/png", 413},
		{"too large a form", open, "POST", "/users", formType, 413},
		{"too large a document", open, "POST", "/user", "application/json", 413},
		{"a media type", open, "POST", "/users", "text/plain", 415},
		{"a path", open, "POST", "/nothing", "image/png", 404},
		{"a method", open, "PUT", "/users", "image/png", 405},
		{"no token", guarded, "POST", "/users", "application/json", 401},
		{"no room", busy, "POST", "/users", formType, 503},
	} {
		sent := body
		if refusal.want == http.StatusServiceUnavailable { // within the limit, so that only this refuses it
			sent = body[:config.Default().MaxAvatarBytes]
		}
		for _, framing := range []string{
			"Content-Length: %d\r\n\r\n%s",
			"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
		} {
			t.Run(fmt.Sprintf("%s, %.8s", refusal.what, framing), func(t *testing.T) {
				t.Parallel()
				c := refusal.server.dial(t, "")
				_, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\n"+framing,
					refusal.method, refusal.path, refusal.contentType, len(sent), sent)
				require.NoError(t, err, "sending is not cut off")
				got := read(t, c, refusal.method)
				assert.Equal(t, refusal.want, got.StatusCode)
				assert.Equal(t, refusal.want == http.StatusServiceUnavailable, got.Header.Get("Retry-After") != "")
			})
		}
	}
}

// fill takes all the memory for bodies until the test ends: by an upload of which only the last
// byte is missing.
func fill(t *testing.T, s *server) {
	t.Helper()
	size := int(config.Default().MaxAvatarBytes)
	s.dial(t, fmt.Sprintf("PUT /users/%s/avatar HTTP/1.1\nHost: a\nContent-Length: %d\n\n%s",
		s.create(t), size, strings.Repeat("x", size-1)))
	large := `{"name":"Ada","email":"ada@example.com","x":"` + strings.Repeat("x", 8<<10) + `"}`
	require.Eventually(t, func() bool {
		return s.do(t, http.MethodPost, "/users", large).StatusCode == http.StatusServiceUnavailable
	}, time.Minute, time.Millisecond)
}

// Ensure the connection of a rejected client is closed even if the client goes on sending, or stays
// silent without closing it.
func TestRefusalEnds(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *config.Config) { c.ReadTimeout = time.Second })
	refused := "POST /nothing HTTP/1.1\nHost: a\nContent-Length: 1000000000000\n\n"

	t.Run("for ever", func(t *testing.T) {
		t.Parallel()
		c := s.dial(t, refused)
		sent, err := io.Copy(c, io.LimitReader(endless{}, 1<<30))
		assert.Error(t, err, "%d bytes were taken", sent)
	})
	t.Run("in silence", func(t *testing.T) {
		t.Parallel()
		c := s.dial(t, refused+strings.Repeat("x", 64<<10))
		assert.Equal(t, http.StatusNotFound, read(t, c, http.MethodPost).StatusCode)
		require.Eventually(t, func() bool {
			_, err := c.Write([]byte("x"))
			return err != nil
		}, time.Minute, 2*time.Second, "longer than a gap, or each byte would be taken for more to come")
	})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// suiteFull ensures connections beyond MAX_CONNECTIONS get a 503, except for probes, so that a busy
// replica is not restarted, and that a closed connection makes room for another.
func suiteFull(t *testing.T, coverage *apitest.Coverage) {
	t.Helper()
	const limit = 16
	s := start(t, func(c *config.Config) { c.MaxConnections = limit })
	get := func(path string) (net.Conn, response) {
		c := s.dial(t, "GET "+path+" HTTP/1.1\nHost: a\n\n")
		return c, read(t, c, http.MethodGet)
	}
	var last net.Conn
	for range limit {
		c, got := get("/users")
		require.Equal(t, http.StatusOK, got.StatusCode)
		last = c
	}

	client := apitest.NewClient(t, s.url, apitest.Options{Coverage: coverage})
	busy := client.Do(t, http.MethodGet, config.PathDescription, nil)
	busy.Problem(t, http.StatusServiceUnavailable, "Server is busy")
	assert.True(t, busy.Close, "the client is told that the connection is closed")
	assert.Equal(t, "1", busy.Header.Get("Retry-After"))
	_, got := get("/readyz")
	assert.Equal(t, http.StatusOK, got.StatusCode)

	// A connection that says nothing, and one that says nonsense, are not in the way of the others.
	silent := s.dial(t, "")
	s.dial(t, "nonsense\n\n")
	_, got = get("/health")
	assert.Equal(t, http.StatusOK, got.StatusCode)
	_, err := silent.Read(make([]byte, 1))
	assert.Error(t, err, "it is closed after a while")

	require.NoError(t, last.Close())
	require.Eventually(t, func() bool {
		_, got := get("/users")
		return got.StatusCode == http.StatusOK
	}, time.Minute, time.Millisecond)
}

// Ensure pipelined requests of every kind get their responses whole and in order: short and long
// ones, lists of one page and of several, errors, and responses without a body.
func TestPipelining(t *testing.T) {
	t.Parallel()
	s := serve(t, config.Default(), newTable(400, 150), nil, nil)
	etag := s.do(t, http.MethodGet, "/users?limit=20", "").Header.Get("ETag")
	var methods, requests []string
	for _, request := range []string{
		"GET /users?limit=1", "GET /users?limit=20", "GET /users?limit=30", "GET /users?limit=400", "GET /users",
		"HEAD /users", "HEAD /users?limit=20", "GET /health", "GET /nothing", "GET /users?limit=0",
		"GET /openapi.json", "GET /assets/swagger-ui-bundle.js", "PUT /users", "BREW /users",
		"GET /users?limit=20 HTTP/1.1\nIf-None-Match: " + etag,
	} {
		method, _, _ := strings.Cut(request, " ")
		line, header, _ := strings.Cut(request, " HTTP/1.1")
		methods = append(methods, method)
		requests = append(requests, line+" HTTP/1.1\nHost: a"+header+"\n\n")
	}
	var single []response
	var order []int // each request right behind each other one and behind itself
	for i := range requests {
		single = append(single, read(t, s.dial(t, requests[i]), methods[i]))
		for j := range i + 1 {
			order = append(order, i, j)
		}
	}
	var all strings.Builder
	for _, i := range order {
		all.WriteString(requests[i])
	}
	r := bufio.NewReader(s.dial(t, all.String()))
	for _, i := range order {
		got := read(t, r, methods[i])
		require.Equal(t, single[i].Status, got.Status, "%q", requests[i])
		require.Equal(t, single[i].body, got.body, "%q", requests[i])
	}
}
