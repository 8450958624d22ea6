package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/api"
	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
	"prima.internal/app/dynamo"
	"prima.internal/app/telemetry"
	"prima.internal/app/user"
)

// Ensure the API passes the black-box suite, and that every described response occurs in it.
//
//nolint:tparallel // the group ends with all that run in it, and must before the coverage is looked at
func TestSuite(t *testing.T) {
	t.Parallel()
	coverage := new(apitest.Coverage)
	t.Run("suites", func(t *testing.T) { // it ends with all of them
		for name, suite := range map[string]func(*testing.T, *apitest.Coverage){
			"open": suiteOpen, "guarded": suiteGuarded, "failing": suiteFailing, "full": suiteFull,
			"readiness": suiteReadiness,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				suite(t, coverage)
			})
		}
	})
	coverage.Require(t, map[string]string{
		"listUsers 505": "takes a list of more than 8 MiB and HTTP/1.0: TestListInOnePiece",
	})
}

func suiteOpen(t *testing.T, coverage *apitest.Coverage) {
	t.Helper()
	const readTimeout = 5 * time.Second
	s := start(t, func(c *config.Config) { c.ReadTimeout = readTimeout })
	s.aws.PagesOf(500)
	apitest.Run(t, s.url, apitest.Options{Empty: true, Large: true, ReadTimeout: readTimeout, Coverage: coverage})
}

// A server is an API on a port of its own, in front of an AWS of its own.
type server struct {
	*api.Server
	url string
	aws *awstest.AWS
	log *lines
}

// start serves until the test ends, with the default configuration as change left it.
func start(t *testing.T, change func(*config.Config)) *server {
	t.Helper()
	a := awstest.Start(t)
	if change != nil {
		change(&a.Config)
	}
	users, avatars := dynamo.New(a.SDK, a.Config), bucket.New(a.SDK, a.Config)
	s := serve(t, a.Config, users, avatars, []api.Dependency{
		{Name: "dynamodb", Check: users.Check}, {Name: "s3", Check: avatars.Check},
	})
	s.aws = a
	return s
}

// serve serves until the test ends, from the moment when it is ready.
func serve(t *testing.T, c config.Config, users user.Store, avatars user.Avatars, needed []api.Dependency) *server {
	t.Helper()
	s := listen(t, c, users, avatars, needed)
	require.Eventually(t, func() bool { // without a connection, of which tests may hold all that there are
		w := httptest.NewRecorder()
		s.Ready().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, config.PathReady, nil))
		return w.Code == http.StatusOK
	}, 10*time.Second, 10*time.Millisecond, "not ready: %s", s.log)
	return s
}

// listen serves until the test ends, ready or not.
func listen(t *testing.T, c config.Config, users user.Store, avatars user.Avatars, needed []api.Dependency) *server {
	t.Helper()
	c.LogLevel = "debug"
	s := &server{log: new(lines)}
	log := telemetry.NewLogger(s.log, c)
	s.Server = api.New(c, &user.Service{Users: users, Avatars: avatars, Log: log}, needed, log)
	s.serve(t, local(t))
	return s
}

// local returns a listener on a port of its own.
func local(t *testing.T) net.Listener {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return listener
}

// serve serves on a listener until the test ends, or end is called.
func (s *server) serve(t *testing.T, listener net.Listener) (end func()) {
	t.Helper()
	s.url = "http://" + listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	end = sync.OnceFunc(func() {
		require.NoError(t, s.Shutdown(context.Background()))
		assert.NoError(t, <-served)
	})
	t.Cleanup(end)
	return end
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// lines is a log that tests can read while it is written.
type lines struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}

// requests returns the lines of requests to a path, once there is one.
func (l *lines) requests(t *testing.T, path string) []map[string]any {
	t.Helper()
	var found []map[string]any
	require.Eventually(t, func() bool {
		found = nil
		for line := range strings.Lines(l.String()) {
			var record map[string]any
			err := json.Unmarshal([]byte(line), &record)
			if err == nil && record["msg"] == "request" && record["path"] == path {
				found = append(found, record)
			}
		}
		return len(found) > 0
	}, 5*time.Second, 5*time.Millisecond, "the log: %s", l)
	return found
}

// A response is one whose body has been read.
type response struct {
	*http.Response
	body string
	err  error // of reading the body
}

// send sends a request over a transport. It is do for goroutines, which must not end a test.
func (s *server) send(over http.RoundTripper, method, path, body string, header ...string) (response, error) {
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		return response{}, err
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	res, err := over.RoundTrip(r)
	if err != nil {
		return response{}, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return response{Response: res, body: string(data), err: err}, nil
}

func (s *server) do(t *testing.T, method, path, body string, header ...string) response {
	t.Helper()
	got, err := s.send(http.DefaultTransport, method, path, body, header...)
	require.NoError(t, err)
	return got
}

// create makes a user and returns the id.
func (s *server) create(t *testing.T) string {
	t.Helper()
	got := s.do(t, http.MethodPost, "/users", ada)
	require.Equal(t, http.StatusCreated, got.StatusCode, got.body)
	_, id, _ := strings.Cut(got.Header.Get("Location"), "/users/")
	return id
}

const ada = `{"name":"Ada","email":"ada@example.com"}`

// dial opens a connection, which ends with the test, and writes text to it, in which lines end in
// \n.
func (s *server) dial(t *testing.T, text string) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_, err = io.WriteString(c, strings.ReplaceAll(text, "\n", "\r\n"))
	require.NoError(t, err)
	return c
}

// read reads the response to a request of a method.
func read(t *testing.T, from io.Reader, method string) response {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(from), &http.Request{Method: method})
	require.NoError(t, err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return response{Response: res, body: string(data), err: err}
}

// alone returns a transport that has a connection for each request.
func alone() http.RoundTripper { return &http.Transport{DisableKeepAlives: true} }
