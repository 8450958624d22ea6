package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is a child in a group of its own, which end ends as a whole.
type process struct {
	cmd    *exec.Cmd
	log    string // path of what it wrote to standard error
	exited chan struct{}
}

// startProcess starts a command whose standard error goes to a file in dir. Whoever starts it ends it; when ctx is
// done it is killed at once, so that what waits for it goes on.
func startProcess(ctx context.Context, dir string, cmd *exec.Cmd) (*process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	log, err := os.CreateTemp(dir, filepath.Base(cmd.Path)+"-*.log")
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	defer func() { _ = log.Close() }()
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p := &process{cmd: cmd, log: log.Name(), exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // why it ended is in its log
		close(p.exited)
	}()
	context.AfterFunc(ctx, p.kill)
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// kill ends the group. Servers here hold nothing that a gentle stop would save.
func (p *process) kill() {
	select {
	case <-p.exited:
		// The number may be another's by now.
	default:
		_ = syscall.Kill(-p.pid(), syscall.SIGKILL)
	}
}

// end ends the group and waits for it.
func (p *process) end() {
	p.kill()
	<-p.exited
}

// tree returns the process and its descendants.
func (p *process) tree() ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	parents := map[int]int{}
	for _, file := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return nil, err
		}
		if fields, err := stat(pid); err == nil { // one that has ended meanwhile is no longer there
			parents[pid], _ = strconv.Atoi(fields[1])
		}
	}
	tree := []int{p.pid()}
	for i := 0; i < len(tree); i++ {
		for pid, parent := range parents {
			if parent == tree[i] && !slices.Contains(tree, pid) {
				tree = append(tree, pid)
			}
		}
	}
	return tree, nil
}

// stat returns what stands in /proc/PID/stat behind the name: the state, the parent and so on.
//
// Source: proc_pid_stat(5).
func stat(pid int) ([]string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 13 {
		return nil, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	return fields, nil
}

// userHZ is the unit of the times in /proc, which Linux has the same on every architecture that Go runs on.
const userHZ = 100

// cpu returns the CPU time that the process and its descendants have taken, in user and system mode.
func (p *process) cpu() (time.Duration, error) {
	tree, err := p.tree()
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, pid := range tree {
		fields, err := stat(pid)
		if err != nil {
			return 0, fmt.Errorf("read the CPU time: %w", err)
		}
		for _, field := range fields[11:13] {
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read the CPU time: %w", err)
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / userHZ, nil
}

// memory returns a field of /proc/PID/status, such as VmHWM or VmRSS, in bytes.
func (p *process) memory(field string) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid()))
	if err != nil {
		return 0, fmt.Errorf("read the memory: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no %s", p.pid(), field)
}

const (
	startTimeout = 30 * time.Second
	pollInterval = 200 * time.Microsecond
)

// awaitOK returns once url is answered 200.
func (p *process) awaitOK(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	for {
		response, err := transport.RoundTrip(request)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			if err == nil && response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended before it answered: %s", p.cmd.Path, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s did not answer %s: %w: %s", p.cmd.Path, url, errors.Join(err, ctx.Err()), p.tail())
		case <-time.After(pollInterval):
		}
	}
}

// tail returns the end of what the process wrote to standard error.
func (p *process) tail() string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(data[max(0, len(data)-2000):]))
}

// freePort returns a port that nobody listens on at the moment.
func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // the address of a TCP listener
	return port, l.Close()
}
