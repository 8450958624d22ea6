package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// asProgram makes this test binary be the program, so that tests can start and signal a process
// that has the race detector in it when they have.
const asProgram = "PRIMA_API_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// Ensure the help lists every setting and is no error.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"-help", "-h", "--help"} {
		var stdout, stderr bytes.Buffer
		assert.Equal(t, 0, run([]string{flag}, nil, &stdout, &stderr))
		for _, s := range config.Settings() {
			assert.Contains(t, stdout.String(), s.Variable)
		}
		assert.Empty(t, stderr.String())
	}
}

// Ensure the version that the build stamped is printed.
func TestVersion(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	assert.Equal(t, 0, run([]string{"-version"}, nil, &stdout, &stderr))
	assert.Equal(t, "prima-api "+version+" ("+revision+")\n", stdout.String())
}

// Ensure wrong arguments and wrong settings stop the start, with every fault.
func TestRefusesToStart(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		args, environ []string
	}{
		`unexpected argument "serve"`:              {[]string{"serve"}, nil},
		`unexpected argument "-port=1"`:            {[]string{"-port=1"}, nil},
		`PORT="x" must be a whole number`:          {nil, []string{"PORT=x", "LOG_LEVEL=loud"}},
		`LOG_LEVEL="loud" must be debug, info`:     {nil, []string{"PORT=x", "LOG_LEVEL=loud"}},
		`LOCALSTACK_URL="localstack:4566" must be`: {nil, []string{"LOCALSTACK_URL=localstack:4566"}},
	} {
		var stdout, stderr bytes.Buffer
		assert.Equal(t, 2, run(c.args, c.environ, &stdout, &stderr))
		assert.Contains(t, stderr.String(), want)
		assert.Empty(t, stdout.String())
	}
}

// Ensure a check fails where there is no API, and where the API fails, and says what it met.
func TestCheckFails(t *testing.T) {
	t.Parallel()
	failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPost:
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"id":"1"}`)
		case http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		default:
			http.Error(w, "broken", http.StatusServiceUnavailable)
		}
	}))
	defer failing.Close()
	for url, want := range map[string]string{
		"localhost:5000":     "unsupported protocol scheme",
		"http://127.0.0.1:1": "connection refused",
		failing.URL:          "503 Service Unavailable: broken",
	} {
		var stdout, stderr bytes.Buffer
		assert.Equal(t, 1, run([]string{"check", url}, nil, &stdout, &stderr))
		assert.Contains(t, stderr.String(), want)
		if url == failing.URL {
			assert.Contains(t, stdout.String(), "DELETE /users/1: 204", "what was created is taken away")
		}
	}
}

// Ensure a check ends, though the API does not answer the request to delete what was created.
func TestCheckEnds(t *testing.T) {
	t.Parallel()
	stuck := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPost:
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"id":"1"}`)
		case http.MethodDelete:
			<-r.Context().Done()
		default:
			_, _ = io.WriteString(w, `[{"id":"1"}]`)
		}
	}))
	defer stuck.Close()
	c := client{base: stuck.URL, out: io.Discard}
	assert.ErrorIs(t, c.check(t.Context(), time.Second), context.DeadlineExceeded)
}

// Ensure settings that were removed do not stop the start, and that the log names each once.
func TestRemovedSettings(t *testing.T) {
	t.Parallel()
	environ := awstest.Start(t).Environ()
	for _, variable := range config.Removed() {
		environ = append(environ, variable+"=500ms")
	}
	p := start(t, environ...)
	for _, variable := range config.Removed() {
		line := `"level":"WARN","msg":"` + variable + ` was removed: it has no effect any more; delete it"`
		assert.Equal(t, 1, strings.Count(p.log.String(), line), p.log)
	}
}

// Ensure a port that is taken stops the start and says which.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", ":0")
	require.NoError(t, err)
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	var stdout, stderr bytes.Buffer
	assert.Equal(t, 1, run(nil, []string{fmt.Sprint("PORT=", port)}, &stdout, &stderr))
	assert.Contains(t, stderr.String(), fmt.Sprint("PORT=", port))
	assert.Contains(t, stderr.String(), "address already in use")
}

// Ensure the program runs from its environment to its exit, and that the variables of the earlier chart still lead it
// to its dependencies, with a warning.
func TestProgram(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	p := start(t, a.Environ("AWS_ENDPOINT_URL=", "LOCALSTACK_URL="+a.Config.Endpoint)...)

	var stdout, stderr bytes.Buffer
	assert.Equal(t, 0, run([]string{"check", p.url}, nil, &stdout, &stderr), "%s", &stderr)
	assert.Equal(t, 4, strings.Count(stdout.String(), "\n"), "%s", &stdout)
	assert.Empty(t, a.Objects(t))

	p.signal(t, os.Interrupt)
	assert.Equal(t, 0, p.wait(t))
	assert.Contains(t, p.log.String(), "LOCALSTACK_URL is deprecated; set AWS_ENDPOINT_URL instead")
}

// Ensure that a stop under load cuts nothing off: while it drains, everything is served and the
// replica says that it is going; when its listener is closed, what is running still finishes.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	p := start(t, a.Environ("DRAIN_TIME=1s", "SHUTDOWN_TIMEOUT=30s", "REQUEST_TIMEOUT=1m")...)

	// Uploads that the bucket does not answer until the listener is closed.
	const held = 5
	release := make(chan struct{})
	reached := make(chan struct{}, held)
	a.Intercede("S3.PutObject", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		reached <- struct{}{}
		<-release
		next.ServeHTTP(w, r)
	})
	uploads := make(chan error, held)
	for i := range held {
		go func() { uploads <- p.upload(fmt.Sprint("held", i)) }()
	}
	for range held {
		<-reached
	}

	// Clients with connections that they keep, until a load balancer would have taken the replica out.
	var served, closed atomic.Int64
	var out atomic.Bool
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			client := &http.Client{Transport: new(http.Transport)}
			for !out.Load() {
				response, err := client.Get(p.url + "/users")
				if !assert.NoError(t, err) {
					return
				}
				_, err = io.Copy(io.Discard, response.Body)
				assert.NoError(t, err)
				_ = response.Body.Close()
				assert.Equal(t, http.StatusOK, response.StatusCode)
				served.Add(1)
				if response.Close {
					closed.Add(1)
				}
			}
		})
	}
	require.Eventually(t, func() bool { return served.Load() > 100 }, time.Minute, time.Millisecond)
	p.signal(t, syscall.SIGTERM)
	require.Eventually(t, func() bool {
		response, err := http.Get(p.url + config.PathReady)
		if !assert.NoError(t, err) {
			return true
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusServiceUnavailable
	}, time.Minute, time.Millisecond, "readiness while draining")
	require.Eventually(t, func() bool { return closed.Load() > 8 }, time.Minute, time.Millisecond, "answers while draining")
	out.Store(true)
	clients.Wait()

	require.Eventually(t, func() bool {
		connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
		if err == nil {
			_ = connection.Close()
		}
		return err != nil
	}, time.Minute, 10*time.Millisecond, "the listener closes")
	close(release)
	for range held {
		assert.NoError(t, <-uploads)
	}
	assert.Equal(t, 0, p.wait(t), "%s", p.log)
	assert.Len(t, a.Objects(t), held)
}

// Ensure that what does not finish in time is cut off, and that the exit status says so.
func TestStopStuck(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	p := start(t, a.Environ("DRAIN_TIME=0s", "SHUTDOWN_TIMEOUT=100ms", "REQUEST_TIMEOUT=10m")...)
	upload := p.hold(t, a)
	p.signal(t, syscall.SIGTERM)
	assert.Equal(t, 1, p.wait(t))
	assert.Contains(t, p.log.String(), "SHUTDOWN_TIMEOUT")
	assert.Error(t, <-upload)
}

// Ensure a second signal ends the program at once, while it drains and while it waits.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	for _, times := range [][]string{{"DRAIN_TIME=10m"}, {"DRAIN_TIME=0s", "SHUTDOWN_TIMEOUT=10m"}} {
		t.Run(times[0], func(t *testing.T) {
			t.Parallel()
			a := awstest.Start(t)
			p := start(t, a.Environ(append(times, "REQUEST_TIMEOUT=10m")...)...)
			upload := p.hold(t, a)
			p.signal(t, syscall.SIGTERM)
			require.Eventually(t, func() bool { return strings.Contains(p.log.String(), `"msg":"draining"`) }, time.Minute, time.Millisecond)
			p.signal(t, syscall.SIGTERM)
			assert.Equal(t, 1, p.wait(t))
			assert.Error(t, <-upload)
		})
	}
}

// A process is the program.
type process struct {
	*exec.Cmd
	url  string
	log  *output
	done chan struct{}
}

// start starts the program on a free port and waits until it is ready.
func start(t *testing.T, environ ...string) *process {
	t.Helper()
	executable, err := os.Executable()
	require.NoError(t, err)
	return startAs(t, executable, environ...)
}

func startAs(t *testing.T, executable string, environ ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(executable), log: new(output), done: make(chan struct{})}
	// LOG_LEVEL is such that what a test looks for is there.
	p.Env = append([]string{asProgram + "=1", "PORT=0", "ADMIN_PORT=0", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true"}, environ...)
	p.Stderr = p.log
	require.NoError(t, p.Start())
	go func() {
		_ = p.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.done
	})

	require.Eventually(t, func() bool {
		if p.url == "" {
			p.url = listening(p.log.String())
		}
		if p.url == "" {
			return false
		}
		response, err := http.Get(p.url + config.PathReady)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	}, time.Minute, 5*time.Millisecond, "the log: %s", p.log)
	return p
}

// listening returns the URL that a log names, "" if it names none yet.
func listening(log string) string {
	for scanner := bufio.NewScanner(strings.NewReader(log)); scanner.Scan(); {
		var line struct{ Msg, Address string }
		if json.Unmarshal(scanner.Bytes(), &line) == nil && line.Msg == "listening" {
			_, port, _ := net.SplitHostPort(line.Address)
			return "http://127.0.0.1:" + port
		}
	}
	return ""
}

// upload creates a user with an avatar.
func (p *process) upload(name string) error {
	contentType, body := apitest.Form(apitest.Field("name", name), apitest.Field("email", apitest.Email()), apitest.File("avatar", "a.png", apitest.PNG(2, 2)))
	response, err := http.Post(p.url+"/users", contentType, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusCreated {
		err = fmt.Errorf("%s: %s", response.Status, answer)
	}
	return err
}

// hold starts an upload that does not end while the test runs.
func (p *process) hold(t *testing.T, a *awstest.AWS) <-chan error {
	t.Helper()
	reached := make(chan struct{}, 1)
	a.Intercede("S3.PutObject", func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server would not see its client go
		reached <- struct{}{}
		<-r.Context().Done()
	})
	upload := make(chan error, 1)
	go func() { upload <- p.upload("held") }()
	<-reached
	return upload
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	require.NoError(t, p.Process.Signal(s))
}

// wait returns the exit status.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.done:
		return p.ProcessState.ExitCode()
	case <-time.After(time.Minute):
		require.Fail(t, "the program does not end", "%s", p.log)
		return -1
	}
}

// output is what a process writes, to be read meanwhile.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}

// Ensure connections without a request do not hold up the exit: neither one that is kept between two
// requests nor, for longer than the 5 s that fasthttp gives it, one on which none was ever made.
func TestStopWithIdleConnections(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	p := start(t, a.Environ("DRAIN_TIME=0s", "SHUTDOWN_TIMEOUT=1m", "READ_TIMEOUT=10m", "IDLE_TIMEOUT=1h")...)
	dial := func() net.Conn {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	ask := func(c net.Conn, request string) int {
		_, err := io.WriteString(c, request)
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		return response.StatusCode
	}
	for range 50 {
		assert.Equal(t, http.StatusOK, ask(dial(), "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"))
	}
	for range 50 {
		dial()
	}
	// The last of them has been accepted when one after them is answered.
	kept := dial()
	assert.Equal(t, http.StatusOK, ask(kept, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"))
	p.signal(t, syscall.SIGTERM)
	assert.Equal(t, 0, p.wait(t), "%s", p.log)
	_, err := kept.Write([]byte("GET /health HTTP/1.1\r\nHost: a\r\n\r\n"))
	if err == nil {
		_, err = http.ReadResponse(bufio.NewReader(kept), nil)
	}
	assert.Error(t, err, "no request is accepted after the exit")
}
