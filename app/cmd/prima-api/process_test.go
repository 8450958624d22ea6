package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

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
	// So that clients at once keep their connections.
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = 64
	os.Exit(m.Run())
}

// A process is the program while it serves.
type process struct {
	*exec.Cmd
	url, admin string // of the API and of the operators' port
	log        *output
	done       chan struct{}
}

// start starts the program on free ports and waits until it is ready. It is killed at the end of
// the test.
func start(t *testing.T, environ ...string) *process {
	t.Helper()
	executable, err := os.Executable()
	require.NoError(t, err)
	return startAs(t, executable, environ...)
}

func startAs(t *testing.T, executable string, environ ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(executable), log: new(output), done: make(chan struct{})}
	p.Env, p.Stderr = processEnviron(environ), p.log
	require.NoError(t, p.Start())
	go func() {
		_ = p.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.done
	})
	eventually(t, "the program is ready", func() bool {
		for text := range strings.Lines(p.log.String()) {
			var line struct{ Msg, Address, Admin string }
			if json.Unmarshal([]byte(text), &line) == nil && line.Msg == "listening" {
				p.url, p.admin = localURL(line.Address), localURL(line.Admin)
			}
		}
		return p.url != "" && send(http.MethodGet, p.url+config.PathReady, "").status == http.StatusOK
	})
	return p
}

// localURL returns the URL on this machine that leads to the port of an address.
func localURL(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return "http://127.0.0.1:" + port
}

func processEnviron(more []string) []string {
	return append([]string{
		asProgram + "=1", "PORT=0", "ADMIN_PORT=0",
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
	}, more...)
}

// command runs the program in a process of its own to its end.
func command(t *testing.T, args []string, environ ...string) (status int, stdout, stderr string) {
	t.Helper()
	executable, err := os.Executable()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), executable, args...)
	var out, errs bytes.Buffer
	c.Env, c.Stdout, c.Stderr = processEnviron(environ), &out, &errs
	_ = c.Run() // the status says it
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}

// runHere runs the program in this process to its end.
func runHere(args []string, environ ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, environ, &out, &errs)
	return status, out.String(), errs.String()
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	require.NoError(t, p.Process.Signal(s))
}

// wait waits for the end of the process and returns its exit status.
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

// output is what a process writes, which can be read at the same time.
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

// eventually requires a condition to come true, on however slow a machine.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 2*time.Minute, 5*time.Millisecond, what)
}

// A reply is what came of a request.
type reply struct {
	status int // 0 if no response came
	header http.Header
	body   string
	last   bool  // the connection ends with it
	err    error // of sending the request, or of reading the response
}

const (
	asJSON = "Content-Type: application/json"
	ada    = `{"name":"Ada","email":"ada@example.com"}`
)

// send makes a request. Each header is one line, "Name: value".
func send(method, url, body string, header ...string) reply {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return reply{err: err}
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	request.Host = request.Header.Get("Host") // empty: that of the URL
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return reply{err: err}
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(data), response.Close, err}
}

// get makes a GET request, which must have a response.
func get(t *testing.T, url string, header ...string) reply {
	t.Helper()
	r := send(http.MethodGet, url, "", header...)
	require.NoError(t, r.err, url)
	return r
}

// is requires a reply to be whole and to have a status.
func (r reply) is(t *testing.T, status int) reply {
	t.Helper()
	require.NoError(t, r.err)
	require.Equal(t, status, r.status, r.body)
	return r
}

// id returns the ID of the user that a reply is about.
func (r reply) id(t *testing.T) string {
	t.Helper()
	var user apitest.User
	require.NoError(t, json.Unmarshal([]byte(r.body), &user))
	return user.ID
}

// upload creates a user with an avatar.
func (p *process) upload(name string, avatar []byte) reply {
	contentType, form := apitest.Form(apitest.Field("name", name), apitest.Field("email", apitest.Email()),
		apitest.File("avatar", "a.png", avatar))
	return send(http.MethodPost, p.url+config.PathUsers, string(form), "Content-Type: "+contentType)
}

// users returns the list.
func (p *process) users(t *testing.T) (list []apitest.User) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(get(t, p.url+config.PathUsers).is(t, http.StatusOK).body), &list))
	return list
}

// dial opens a connection that ends with the test, and writes to it, which may fail if the API has
// closed it already.
func (p *process) dial(t *testing.T, request string) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_, _ = io.WriteString(c, request)
	return c
}

// statusOf reads a response, with its body, and returns its status.
func statusOf(t *testing.T, c net.Conn) int {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(t, err)
	return response.StatusCode
}

// closed waits until the API takes no connection any more.
func (p *process) closed(t *testing.T) {
	t.Helper()
	eventually(t, "the API's port closes", func() bool {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
}

// hold begins an upload that does not end while the test runs.
func (p *process) hold(t *testing.T, a *awstest.AWS) <-chan reply {
	t.Helper()
	reached := hang(a, false, "S3.PutObject")
	upload := make(chan reply, 1)
	go func() { upload <- p.upload("held", apitest.PNG(2, 2)) }()
	<-reached
	return upload
}

// hang has AWS take calls and never respond, whether it carries them out or not. The channel tells
// that one has come.
func hang(a *awstest.AWS, carryOut bool, calls ...string) (reached <-chan struct{}) {
	came := make(chan struct{}, 1)
	for _, call := range calls {
		a.Intercede(call, func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
			if carryOut {
				next.ServeHTTP(httptest.NewRecorder(), r)
			}
			_, _ = io.Copy(io.Discard, r.Body) // otherwise the server does not see its client go
			select {
			case came <- struct{}{}:
			default:
			}
			<-r.Context().Done()
		})
	}
	return came
}
