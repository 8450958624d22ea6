package dev

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	stopTime  = 5 * time.Second        // that a program has between SIGTERM and SIGKILL
	readyTime = 30 * time.Second       // that a program has to become ready
	pollTime  = 100 * time.Millisecond // between two looks at whether it is
	busyTime  = time.Second            // that a program may be open for writing elsewhere
)

// A Supervisor runs the last program that it was sent.
type Supervisor struct {
	Folder string // where the program and the socket are
	Ready  string // URL that is answered 200 when the program serves
	Output io.Writer
	// Environ is the program's environment; nil means the supervisor's.
	Environ []string

	program *process
}

type process struct {
	command *exec.Cmd
	ended   chan struct{}
	err     error // once it has ended
}

func (s *Supervisor) path() string   { return filepath.Join(s.Folder, "program") }
func (s *Supervisor) socket() string { return filepath.Join(s.Folder, "socket") }

// Run takes programs until ctx ends, and then stops the one that runs. After a restart of the container it goes on with the
// program that it had.
func (s *Supervisor) Run(ctx context.Context) error {
	if err := os.Remove(s.socket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", s.socket())
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	defer s.stop()
	if _, err := os.Stat(s.path()); err == nil {
		if err := s.start(); err != nil {
			s.say(err.Error())
		}
	} else {
		s.say("waiting for a program")
	}
	for {
		// One at a time: whoever sends the next waits for the one before.
		client, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		answer := "ok"
		if err := s.take(ctx, client); err != nil {
			answer = err.Error()
			s.say(answer)
		}
		_, _ = io.WriteString(client, answer)
		_ = client.Close()
	}
}

func (s *Supervisor) say(what string) { _, _ = fmt.Fprintln(s.Output, "dev-runner:", what) }

// take receives a program, puts it in the place of the one that runs, and waits until it is ready. A program that
// does not arrive whole changes nothing.
func (s *Supervisor) take(ctx context.Context, from io.Reader) error {
	var size int64
	var sum string
	in := bufio.NewReader(from)
	if _, err := fmt.Fscanf(in, "%d %s\n", &size, &sum); err != nil {
		return fmt.Errorf("expected a size and a sum: %w", err)
	}
	if err := s.receive(in, size, sum); err != nil {
		return err
	}
	s.stop()
	if err := s.start(); err != nil {
		return err
	}
	return s.await(ctx)
}

func (s *Supervisor) receive(in io.Reader, size int64, sum string) error {
	file, err := os.CreateTemp(s.Folder, "incoming-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(file, hash), io.LimitReader(in, size))
	if err := errors.Join(err, file.Chmod(0o755), file.Close()); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); n != size || got != sum {
		return fmt.Errorf("the program did not arrive whole: %d of %d bytes", n, size)
	}
	return os.Rename(file.Name(), s.path())
}

func (s *Supervisor) start() error {
	command, err := s.exec()
	// What was written just now can be open in a process that was forked meanwhile, until that executes its own program:
	// https://go.dev/issue/22315.
	for wait := time.Millisecond; errors.Is(err, syscall.ETXTBSY) && wait < busyTime; wait *= 2 {
		time.Sleep(wait)
		command, err = s.exec()
	}
	if err != nil {
		return fmt.Errorf("the program does not start: %w", err)
	}
	p := &process{command: command, ended: make(chan struct{})}
	s.program = p
	go func() {
		p.err = command.Wait()
		close(p.ended)
	}()
	return nil
}

func (s *Supervisor) exec() (*exec.Cmd, error) {
	command := exec.Command(s.path()) //nolint:gosec,noctx // to run what it was sent is what it is for; it outlives the one who sent it
	command.Stdout, command.Stderr, command.Env = s.Output, s.Output, s.Environ
	return command, command.Start()
}

func (s *Supervisor) stop() {
	p := s.program
	if p == nil {
		return
	}
	s.program = nil
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(stopTime):
		_ = p.command.Process.Kill()
		<-p.ended
	}
}

// await returns when the program is ready, and an error when it has ended or does not become ready.
func (s *Supervisor) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	tick := time.NewTicker(pollTime)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Ready, http.NoBody)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.program.ended:
			return fmt.Errorf("the program has ended: %s; the next one takes its place", s.program.command.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("%s was not answered 200 within %s; the program goes on", s.Ready, readyTime)
		case <-tick.C:
		}
	}
}

// Send hands the program in r to the supervisor of the folder, and waits until it is ready.
func Send(ctx context.Context, folder, size, sum string, r io.Reader) error {
	c, err := new(net.Dialer).DialContext(ctx, "unix", filepath.Join(folder, "socket"))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if _, err := fmt.Fprintf(c, "%s %s\n", size, sum); err != nil {
		return err
	}
	_, copied := io.Copy(c, r)
	if u, ok := c.(*net.UnixConn); ok {
		_ = u.CloseWrite()
	}
	answer, err := io.ReadAll(c)
	if err = errors.Join(copied, err); err != nil && len(answer) == 0 {
		return err
	}
	if text := strings.TrimSpace(string(answer)); text != "ok" {
		return errors.New(text)
	}
	return nil
}
