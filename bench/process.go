package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
)

// A side is a program that serves the API on the port that PORT names. The bare loop has no
// command.
type side struct {
	name    string
	command []string
}

// A server is a side that runs.
type server struct {
	url   string
	pid   int
	ready time.Duration // that its start took
	end   func()        // and waits for its end
}

// start starts a side and waits until it is ready. The caller ends the server.
func (b *bench) start(ctx context.Context, s side) (*server, error) {
	free := httptest.NewServer(nil) // on a port that is free when it has closed
	free.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	cmd := b.command(ctx, b.serverCore, s.command...)
	cmd.Env = append(cmd.Env, "PORT="+free.URL[strings.LastIndexByte(free.URL, ':')+1:])
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		cancel(err)
		return nil, err
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		cancel(errors.New(cmd.ProcessState.String()))
		close(exited)
	}()
	v := &server{url: free.URL, pid: cmd.Process.Pid, end: func() {
		cancel(nil)
		<-exited
	}}
	if err := await(ctx, v.url+"/readyz"); err != nil {
		v.end()
		return nil, fmt.Errorf("it did not get ready: %w: %s", err, cmd.Stderr)
	}
	v.ready = time.Since(begun)
	return v, nil
}

// await returns once a request for the URL returns 200.
func await(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Close = true
	for ctx.Err() == nil {
		if response, err := client.RoundTrip(r); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(time.Millisecond / 2)
	}
	return context.Cause(ctx)
}

// child runs a load in a process of its own on a core.
func (b *bench) child(ctx context.Context, core string, l load) (figures map[string]float64, err error) {
	encoded, _ := json.Marshal(l) // has nothing that JSON lacks
	cmd := b.command(ctx, core, os.Args[0], string(encoded))
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("load: %w: %s", err, cmd.Stderr)
	}
	return figures, json.Unmarshal(out, &figures)
}

// command returns a command on a core, with nothing in its environment but what a server needs. Its
// process group is killed when ctx ends.
func (b *bench) command(ctx context.Context, core string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", core}, args...)...) //nolint:gosec // our programs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Stderr = new(bytes.Buffer)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "AWS_ENDPOINT_URL=" + b.backend.URL, "AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "DYNAMODB_TABLE=users", "ADMIN_PORT=0",
	}
	return cmd
}

// pin moves this process, which has the backend, to the last of its cores, and leaves the first to
// the servers.
func (b *bench) pin(ctx context.Context) error {
	_, self, err := usage(os.Getpid())
	cores := self.CpusAllowedList
	if err != nil || len(cores) < 2 {
		return fmt.Errorf("the benchmark needs Linux and two cores, has the cores %v: %w", cores, err)
	}
	b.serverCore, b.restCore = strconv.FormatUint(cores[0], 10), strconv.FormatUint(cores[len(cores)-1], 10)
	taskset := exec.CommandContext(ctx, "taskset", "-acp", b.restCore, strconv.Itoa(os.Getpid())) //nolint:gosec // numbers
	if out, err := taskset.CombinedOutput(); err != nil {
		return fmt.Errorf("taskset (util-linux): %w: %s", err, out)
	}
	runtime.GOMAXPROCS(1)
	return nil
}

// usage returns the seconds of CPU time that a process has used, and its status.
func usage(pid int) (cpu float64, status procfs.ProcStatus, err error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return 0, status, err
	}
	stat, statErr := p.Stat()
	status, err = p.NewStatus()
	return stat.CPUTime(), status, errors.Join(statErr, err)
}
