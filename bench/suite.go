package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A suite is what the measurements of one run share.
type suite struct {
	root     string // of the checkout
	dir      string // for programs and logs; removed at the end
	rounds   int
	duration time.Duration // of a load, a round
	quick    bool
	only     *regexp.Regexp // sides that take part
	out      io.Writer

	environment environment
	division    *division // of the cores, where a server has some of its own
	backend     string    // URL
	python      string    // path; empty where none has the packages
	gunicorn    string    // path of a Python that has it; empty where none has
}

func (s *suite) say(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format+"\n", args...) }

// notice says what is left out of a measurement.
func (s *suite) notice(m *measurement, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.say("  notice: %s", text)
	if m != nil {
		m.Notices = append(m.Notices, text)
	}
}

// role is a command of this executable.
func (s *suite) role(ctx context.Context, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, self, append([]string{roleArgument}, args...)...), nil //nolint:gosec // this executable
}

// startBackend starts the backend.
func (s *suite) startBackend(ctx context.Context) (*process, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	address := "127.0.0.1:" + strconv.Itoa(port)
	cmd, err := s.role(ctx, "backend", address)
	if err != nil {
		return nil, err
	}
	p, err := startProcess(ctx, s.dir, cmd)
	if err != nil {
		return nil, err
	}
	s.backend = "http://" + address
	if err := p.awaitOK(ctx, s.backend+"/calls"); err != nil {
		p.end()
		return nil, err
	}
	return p, nil
}

// calls returns how many calls of DynamoDB and S3 the backend has had since it was last asked, without those that
// readiness makes.
func (s *suite) calls(ctx context.Context) (int64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.backend+"/calls", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(body), 10, 64)
}

// measure makes a measurement.
func (s *suite) measure(ctx context.Context, t task, m *measurement) (err error) {
	if t.apart {
		if s.division, err = divide(); err != nil {
			return err
		}
		if s.division == nil {
			s.notice(m, "the server had no core of its own, but shared all with the load and the backend")
		} else {
			defer func() {
				err = errors.Join(err, s.division.join())
				s.division = nil
			}()
			m.Environment.ServerCores, m.Environment.RestCores = s.division.cores()
		}
	}
	backend, err := s.startBackend(ctx)
	if err != nil {
		return err
	}
	defer backend.end()
	return t.run(ctx, s, m)
}

// build compiles the programs. prima-api is compiled as its image is: by the versions of its own module, whatever the
// workspace would choose. Only -trimpath is left out: with it, the whole of Go would be compiled again.
func (s *suite) build(ctx context.Context) error {
	for name, from := range map[string]string{"prima-api": "app/cmd/prima-api", "idiomatic": "bench/idiomatic"} {
		build := exec.CommandContext(ctx, "go", "build", "-tags", "grpcnotrace", "-buildvcs=false", "-ldflags", "-s -w", "-o", s.program(name), ".") //nolint:gosec // constants
		build.Dir = filepath.Join(s.root, filepath.FromSlash(from))
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w: %s", name, err, out)
		}
	}
	return nil
}

func (s *suite) program(name string) string { return filepath.Join(s.dir, name) }

// findPython looks for a Python that has Flask and boto3, and rather for one that has gunicorn too.
func (s *suite) findPython(ctx context.Context) {
	for _, packages := range [][]string{{"flask", "werkzeug", "boto3", "gunicorn"}, {"flask", "werkzeug", "boto3"}} {
		script := fmt.Sprintf("import platform, importlib.metadata as m, %[1]s; print('Python ' + platform.python_version(), *(p + ' ' + m.version(p) for p in '%[1]s'.split(',')), sep=', ')",
			strings.Join(packages, ","))
		for _, name := range []string{"python3", "/usr/bin/python3"} { // the system's has the system's packages
			path, err := exec.LookPath(name)
			if err != nil {
				continue
			}
			out, err := exec.CommandContext(ctx, path, "-c", script).Output() //nolint:gosec // found on the path
			if err != nil {
				continue
			}
			s.python, s.environment.Python = path, strings.TrimSpace(string(out))
			if slices.Contains(packages, "gunicorn") {
				s.gunicorn = path
			}
			return
		}
	}
}

// A side is a program that serves the API.
type side struct {
	name    string
	command func(ctx context.Context, s *suite, port int) *exec.Cmd
	ready   string // path that is answered 200 once it serves
}

const (
	primaAPI  = "prima-api"
	idiomatic = "idiomatic Go"
	flask     = "Flask"
	gunicorn  = "Flask, gunicorn"
)

func sideOf(name string) side {
	switch name {
	case idiomatic:
		return side{name: name, ready: "/health", command: func(ctx context.Context, s *suite, _ int) *exec.Cmd {
			return exec.CommandContext(ctx, s.program("idiomatic")) //nolint:gosec // what build has made
		}}
	case flask:
		return side{name: name, ready: "/health", command: func(ctx context.Context, s *suite, _ int) *exec.Cmd {
			return exec.CommandContext(ctx, s.python, filepath.Join(s.root, "bench", "flask", "app.py")) //nolint:gosec // found by findPython
		}}
	case gunicorn:
		return side{name: name, ready: "/health", command: func(ctx context.Context, s *suite, port int) *exec.Cmd {
			return exec.CommandContext(ctx, s.gunicorn, "-m", "gunicorn", "--workers", "4", "--bind", "127.0.0.1:"+strconv.Itoa(port), //nolint:gosec // found by findPython
				"--chdir", filepath.Join(s.root, "bench", "flask"), "app:app")
		}}
	default:
		return side{name: name, ready: "/readyz", command: func(ctx context.Context, s *suite, _ int) *exec.Cmd {
			return exec.CommandContext(ctx, s.program("prima-api")) //nolint:gosec // what build has made
		}}
	}
}

// available returns those of the sides that can and shall take part.
func (s *suite) available(m *measurement, sides ...side) []side {
	var some []side
	for _, side := range sides {
		switch {
		case !s.only.MatchString(side.name):
		case side.name == flask && s.python == "", side.name == gunicorn && s.gunicorn == "":
			s.notice(m, "%s was left out: no Python was found that has what it needs", side.name)
		default:
			some = append(some, side)
		}
	}
	return some
}

// A server is a side that runs.
type server struct {
	*process
	url string
}

// asServer runs start, where what it starts is on the cores of a server, if it has some of its own.
func (s *suite) asServer(start func() error) error {
	if s.division == nil {
		return start()
	}
	return s.division.forServer(start)
}

func (s *suite) startServer(ctx context.Context, cmd *exec.Cmd) (p *process, err error) {
	err = s.asServer(func() error {
		p, err = startProcess(ctx, s.dir, cmd)
		return err
	})
	if err != nil && p != nil { // it runs, but this process is not where it belongs
		p.end()
		p = nil
	}
	return p, err
}

// start starts a side on a table and waits until it is ready.
func (s *suite) start(ctx context.Context, side side, table string) (*server, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	cmd := side.command(ctx, s, port)
	cmd.Dir = s.dir
	cmd.Env = append(s.environ(table), "PORT="+strconv.Itoa(port), "ADMIN_PORT=0")
	p, err := s.startServer(ctx, cmd)
	if err != nil {
		return nil, err
	}
	url := "http://127.0.0.1:" + strconv.Itoa(port)
	if err := p.awaitOK(ctx, url+side.ready); err != nil {
		p.end()
		return nil, err
	}
	return &server{process: p, url: url}, nil
}

// environ is the environment of every side: nothing but what they need, so that no setting of whoever runs this gets in.
func (s *suite) environ(table string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + s.dir, "PYTHONDONTWRITEBYTECODE=1",
		"AWS_ENDPOINT_URL=" + s.backend, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_EC2_METADATA_DISABLED=true", "DYNAMODB_TABLE=" + table, "S3_BUCKET=" + bucketName,
	}
}

// fetch reads a list once, and returns when its first byte and when its last had come.
func fetch(ctx context.Context, url string, users int) (first, last time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, 0, err
	}
	transport := &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	start := time.Now()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return 0, 0, fmt.Errorf("GET %s: the answer is %s", url, response.Status)
	}
	found := 0
	buffer := make([]byte, 64<<10)
	for {
		n, err := response.Body.Read(buffer)
		if n > 0 && first == 0 {
			first = time.Since(start)
		}
		found += bytes.Count(buffer[:n], []byte("{")) // one a user
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, 0, fmt.Errorf("GET %s: %w", url, err)
		}
	}
	last = time.Since(start)
	if found != users {
		return 0, 0, fmt.Errorf("GET %s: %w: %d users of %d", url, errShort, found, users)
	}
	return first, last, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }
