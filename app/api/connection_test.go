package api_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/api"
	"prima.internal/app/config"
	"prima.internal/app/user"
)

// Ensure that a refusal reaches its client, however much that still sends: one that looks for an
// answer while it sends, one that does not look before it has sent everything, and curl.
func TestRefusalIsSeen(t *testing.T) {
	t.Parallel()
	token := config.AccessToken{Name: "ci", Read: true, Write: true, Hash: config.HashToken("ci")}
	open := start(t, nil)
	guarded := start(t, func(c *config.Config) { c.AccessTokens = []config.AccessToken{token} })
	busy := start(t, func(c *config.Config) {
		c.RequestMemory, c.RequestTimeout, c.ReadTimeout = 1<<20, 500*time.Millisecond, 10*time.Minute
	})
	fill(t, busy)

	const size = 20 << 20
	body := append([]byte("--x\r\nContent-Disposition: form-data; name=avatar; filename=a\r\n\r\n"), bytes.Repeat([]byte("x"), size)...)
	for _, refusal := range []struct {
		what                      string
		server                    *server
		method, path, contentType string
		want                      int
	}{
		{"too large an avatar", open, http.MethodPut, "/users/" + open.create(t) + "/avatar", "image/png", http.StatusRequestEntityTooLarge},
		{"too large a form", open, http.MethodPost, "/users", "multipart/form-data; boundary=x", http.StatusRequestEntityTooLarge},
		{"too large a document", open, http.MethodPost, "/user", "application/json", http.StatusRequestEntityTooLarge},
		{"a media type", open, http.MethodPost, "/users", "text/plain", http.StatusUnsupportedMediaType},
		{"a path", open, http.MethodPost, "/nothing", "image/png", http.StatusNotFound},
		{"a method", open, http.MethodPut, "/users", "image/png", http.StatusMethodNotAllowed},
		{"no token", guarded, http.MethodPost, "/users", "application/json", http.StatusUnauthorized},
		{"no room", busy, http.MethodPost, "/users", "multipart/form-data; boundary=x", http.StatusServiceUnavailable},
	} {
		// This one is within the limit, so that only the lack of room can refuse it.
		sent := body
		if refusal.want == http.StatusServiceUnavailable {
			sent = body[:config.Default().MaxAvatarBytes]
		}
		for _, framing := range []string{"with a length", "in chunks"} {
			name := refusal.what + " " + framing
			chunked := framing == "in chunks"
			t.Run(name+", to one who looks", func(t *testing.T) {
				t.Parallel()
				var reader io.Reader = bytes.NewReader(sent)
				if chunked {
					reader = struct{ io.Reader }{reader}
				}
				request, err := http.NewRequestWithContext(t.Context(), refusal.method, refusal.server.url+refusal.path, reader)
				require.NoError(t, err)
				request.Header.Set("Content-Type", refusal.contentType)
				transport := new(http.Transport)
				defer transport.CloseIdleConnections()
				response, err := transport.RoundTrip(request)
				require.NoError(t, err)
				defer response.Body.Close()
				answer, err := io.ReadAll(response.Body)
				require.NoError(t, err)
				assert.Equal(t, refusal.want, response.StatusCode, "%s", answer)
			})
			t.Run(name+", to one who sends everything first", func(t *testing.T) {
				t.Parallel()
				c := refusal.server.dial(t)
				_, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\n", refusal.method, refusal.path, refusal.contentType)
				require.NoError(t, err)
				if chunked {
					_, err = fmt.Fprintf(c, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(sent), sent)
				} else {
					_, err = fmt.Fprintf(c, "Content-Length: %d\r\n\r\n%s", len(sent), sent)
				}
				require.NoError(t, err, "sending is not cut off")
				response, err := http.ReadResponse(bufio.NewReader(c), nil)
				require.NoError(t, err)
				defer response.Body.Close()
				assert.Equal(t, refusal.want, response.StatusCode)
				assert.Equal(t, refusal.want == http.StatusServiceUnavailable, response.Header.Get("Retry-After") != "")
			})
			t.Run(name+", to curl", func(t *testing.T) {
				t.Parallel()
				curl, err := exec.LookPath("curl")
				if err != nil {
					t.Skip("curl is not installed")
				}
				args := []string{"-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", refusal.method, "-H", "Content-Type: " + refusal.contentType, "--data-binary", "@-"}
				if chunked {
					args = append(args, "-H", "Transfer-Encoding: chunked")
				}
				command := exec.CommandContext(t.Context(), curl, append(args, refusal.server.url+refusal.path)...)
				command.Stdin = bytes.NewReader(sent)
				var stderr bytes.Buffer
				command.Stderr = &stderr
				out, err := command.Output()
				require.NoError(t, err, "%s", &stderr)
				assert.Equal(t, fmt.Sprint(refusal.want), string(out))
			})
		}
	}
}

// fill takes all the memory for bodies until the test ends: by an upload of which only the last byte
// is missing.
func fill(t *testing.T, s *server) {
	t.Helper()
	size := int(config.Default().MaxAvatarBytes)
	c := s.dial(t)
	_, err := fmt.Fprintf(c, "PUT /users/%s/avatar HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", s.create(t), size, strings.Repeat("x", size-1))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		body := `{"name":"Ada","email":"ada@example.com","x":"` + strings.Repeat("x", 8<<10) + `"}` // more than a connection holds
		return s.do(t, http.MethodPost, "/users", body, "Content-Type", "application/json").StatusCode == http.StatusServiceUnavailable
	}, time.Minute, time.Millisecond)
}

func (s *server) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Ensure a client that goes on for ever, or that holds on and says nothing, is cut off after its refusal.
func TestRefusalEnds(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *config.Config) { c.ReadTimeout = time.Second })
	head := "POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n"

	t.Run("for ever", func(t *testing.T) {
		t.Parallel()
		c := s.dial(t)
		_, err := io.WriteString(c, head)
		require.NoError(t, err)
		sent, data := 0, make([]byte, 1<<20)
		for err == nil && sent < 1<<30 {
			var n int
			n, err = c.Write(data)
			sent += n
		}
		assert.Error(t, err, "%d bytes were taken", sent)
	})
	t.Run("in silence", func(t *testing.T) {
		t.Parallel()
		c := s.dial(t)
		_, err := io.WriteString(c, head+strings.Repeat("x", 64<<10))
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		defer response.Body.Close()
		assert.Equal(t, http.StatusNotFound, response.StatusCode)
		require.Eventually(t, func() bool {
			_, err := c.Write([]byte("x"))
			return err != nil
		}, time.Minute, 2*time.Second, "longer than a gap, or each byte would be taken for more to come")
	})
}

// Ensure that connections beyond the limit are told so, that a probe among them gets its proper
// answer, so that a replica which is busy is not restarted, and that room which is made is used.
func TestMaxConnections(t *testing.T) {
	t.Parallel()
	const limit = 16
	s := start(t, func(c *config.Config) { c.MaxConnections = limit })
	var held []net.Conn
	closed := false
	ask := func(c net.Conn, path string) (int, string, http.Header) {
		_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		closed = response.Close
		return response.StatusCode, string(body), response.Header
	}
	for range limit {
		c := s.dial(t)
		status, _, _ := ask(c, "/users")
		require.Equal(t, http.StatusOK, status)
		held = append(held, c)
	}

	status, body, header := ask(s.dial(t), "/users")
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.JSONEq(t, `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"there is no memory for the request now","error":"Server is busy"}`, body)
	assert.True(t, closed, "the client is told that the connection is closed")
	assert.Equal(t, "1", header.Get("Retry-After"))
	assert.Equal(t, "application/problem+json", header.Get("Content-Type"))
	assert.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
	status, body, _ = ask(s.dial(t), "/health")
	assert.Equal(t, http.StatusOK, status)
	assert.JSONEq(t, `{"status":"ok"}`, body)
	status, body, _ = ask(s.dial(t), "/readyz")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, `"status":"ready"`)

	// A connection that says nothing, and one that says nonsense, are not in the way of the others.
	s.dial(t)
	_, err := io.WriteString(s.dial(t), "nonsense\r\n\r\n")
	require.NoError(t, err)
	status, _, _ = ask(s.dial(t), "/health")
	assert.Equal(t, http.StatusOK, status)

	require.NoError(t, held[0].Close())
	require.Eventually(t, func() bool {
		status, _, _ := ask(s.dial(t), "/users")
		return status == http.StatusOK
	}, time.Minute, time.Millisecond)
}

// Ensure that a want of file descriptors is waited for, and does not end the program.
func TestAcceptFails(t *testing.T) {
	t.Parallel()
	c := config.Default()
	s := &server{Server: api.New(c, &user.Service{}, nil, discard()), log: new(lines)}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.url = "http://" + listener.Addr().String()
	served := make(chan error, 1)
	failing := &failingListener{Listener: listener}
	failing.times.Store(3)
	go func() { served <- s.Serve(failing) }()
	assert.Equal(t, http.StatusOK, s.do(t, http.MethodGet, "/health", "").StatusCode)
	assert.Negative(t, failing.times.Load())
	require.NoError(t, s.Shutdown(t.Context()))
	assert.NoError(t, <-served)
}

type failingListener struct {
	net.Listener
	times atomic.Int64
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.times.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: errors.Join(syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

// Ensure a server that is told to end before it serves, or just then, does not serve for ever.
func TestShutdownBeforeServe(t *testing.T) {
	t.Parallel()
	for i := range 100 {
		s := api.New(config.Default(), &user.Service{}, nil, discard())
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		served := make(chan error, 1)
		if i == 0 {
			require.NoError(t, s.Shutdown(t.Context()))
		}
		go func() { served <- s.Serve(listener) }()
		require.NoError(t, s.Shutdown(t.Context()))
		require.NoError(t, <-served)
		_, err = listener.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
	}
}

// Ensure requests that a client sends without waiting for the responses get each its own, whole and
// in order: short and long ones, lists of one page and of several, errors, and those without a body.
func TestPipelining(t *testing.T) {
	t.Parallel()
	store := newTable(400, 150)
	s := serve(t, config.Default(), store, nil, nil)
	etag := s.do(t, http.MethodGet, "/users?limit=20", "").Header.Get("ETag")
	var requests []string
	for _, request := range []string{
		"GET /users?limit=1", "GET /users?limit=20", "GET /users?limit=30", "GET /users?limit=400", "GET /users", "HEAD /users", "HEAD /users?limit=20",
		"GET /health", "GET /nothing", "GET /users?limit=0", "GET /openapi.json", "GET /assets/swagger-ui-bundle.js", "PUT /users", "BREW /users",
	} {
		requests = append(requests, request+" HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	requests = append(requests, "GET /users?limit=20 HTTP/1.1\r\nHost: a\r\nIf-None-Match: "+etag+"\r\n\r\n")
	read := func(r *bufio.Reader, request string) (string, string) {
		method, _, _ := strings.Cut(request, " ")
		response, err := http.ReadResponse(r, &http.Request{Method: method})
		require.NoError(t, err, "%q", request)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err, "%q", request)
		return response.Status, string(body)
	}
	type response struct{ status, body string }
	var alone []response
	for _, request := range requests {
		c := s.dial(t)
		_, err := io.WriteString(c, request)
		require.NoError(t, err)
		status, body := read(bufio.NewReader(c), request)
		alone = append(alone, response{status, body})
	}
	for first := range requests {
		var order []int // from this request on all of them, and this one twice more
		for i := range requests {
			order = append(order, (first+i)%len(requests))
		}
		order = append(order, first, first)
		var all strings.Builder
		for _, i := range order {
			all.WriteString(requests[i])
		}
		c := s.dial(t)
		_, err := io.WriteString(c, all.String())
		require.NoError(t, err)
		r := bufio.NewReader(c)
		for _, i := range order {
			status, body := read(r, requests[i])
			require.Equal(t, alone[i].status, status, "%q", requests[i])
			require.Equal(t, alone[i].body, body, "%q", requests[i])
		}
	}
}
