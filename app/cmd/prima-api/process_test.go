package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// asProgram makes this test binary be the program, so that tests need not compile it.
const asProgram = "PRIMA_API_TEST_PROGRAM"

var folder string // is removed when all tests have ended

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	// So that clients at once keep their connections.
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = 64
	var err error
	if folder, err = os.MkdirTemp("", "prima-api"); err != nil {
		panic(err)
	}
	status := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(status)
}

// executable is the path of the program: that in PROGRAM, which may have the race detector, or this
// test binary.
var executable = cmp.Or(os.Getenv("PROGRAM"), os.Args[0])

func processEnviron(more []string) []string {
	return append([]string{
		asProgram + "=1", "PORT=0", "ADMIN_PORT=0",
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
	}, more...)
}

// A process is the program while it serves.
type process struct {
	*exec.Cmd
	url, admin string // of the API and of the operators' port
	done       chan struct{}
}

// start starts the program on free ports and waits until it is ready. It is killed at the end of
// the test.
func start(t *testing.T, environ ...string) *process {
	t.Helper()
	return startAs(t, exec.Command(executable), environ...)
}

var listening = regexp.MustCompile(`"msg":"listening","address":"[^"]*(:\d+)","admin":"[^"]*(:\d+)"`)

func startAs(t *testing.T, command *exec.Cmd, environ ...string) *process {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "log")
	require.NoError(t, err)
	p := &process{Cmd: command, done: make(chan struct{})}
	p.Env, p.Stderr = processEnviron(environ), log
	require.NoError(t, p.Start())
	go func() {
		_ = p.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.done
		_ = log.Close()
	})
	eventually(t, "the program is ready", func() bool {
		if ports := listening.FindStringSubmatch(p.log()); ports != nil {
			p.url, p.admin = "http://127.0.0.1"+ports[1], "http://127.0.0.1"+ports[2]
		}
		return p.url != "" && send(http.MethodGet, p.url+config.PathReady, "").status == http.StatusOK
	})
	return p
}

// log returns what the program has written.
func (p *process) log() string {
	text, _ := os.ReadFile(p.Stderr.(*os.File).Name())
	return string(text)
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
	case <-time.After(time.Minute):
		require.Fail(t, "the program does not end", p.log())
	}
	return p.ProcessState.ExitCode()
}

// stop asks the program to end and returns its exit status.
func (p *process) stop(t *testing.T) int {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	return p.wait(t)
}

// command runs the program in a process of its own to its end.
func command(t *testing.T, args string, environ ...string) (status int, stdout, stderr string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), executable, strings.Fields(args)...)
	var out, errs bytes.Buffer
	c.Env, c.Stdout, c.Stderr = processEnviron(environ), &out, &errs
	_ = c.Run() // the status says it
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}

// runHere runs the program in this process to its end.
func runHere(args string, environ ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(strings.Fields(args), environ, &out, &errs)
	return status, out.String(), errs.String()
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

// hang has AWS carry out a call, or not, and never respond. The channel tells that one has come.
func hang(a *awstest.AWS, carryOut bool, call string) (reached <-chan struct{}) {
	came := make(chan struct{}, 1)
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
	return came
}
