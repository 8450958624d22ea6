package dev_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/infra/dev"
)

// TestMain makes the test's own binary a program that the runner can run: what is written behind it is its version.
func TestMain(m *testing.M) {
	address := os.Getenv("DEV_TEST_ADDRESS")
	if address == "" {
		os.Exit(m.Run())
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	version := string(self[bytes.LastIndexByte(self, 0)+1:])
	if version == "broken" {
		os.Exit(3)
	}
	panic(http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, version, " ", os.Getpid())
	})))
}

// program returns a version of the program.
func program(t *testing.T, version string) []byte {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	return append(append(self, 0), version...)
}

// A bench runs a supervisor.
type bench struct {
	folder, url string
	environ     []string
	log         log
	stop        func()
}

type log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newBench(t *testing.T) *bench {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	b := &bench{folder: t.TempDir(), url: "http://" + address, environ: append(os.Environ(), "DEV_TEST_ADDRESS="+address)}
	b.run(t)
	t.Cleanup(func() { b.stop() })
	return b
}

func (b *bench) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	s := &dev.Supervisor{Folder: b.folder, Ready: b.url, Output: &b.log, Environ: b.environ}
	go func() { ended <- s.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-ended)
	})
	require.Eventually(t, func() bool {
		c, err := net.Dial("unix", filepath.Join(b.folder, "socket"))
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	}, time.Minute, 10*time.Millisecond, "the supervisor listens")
}

func (b *bench) send(t *testing.T, data []byte) error {
	t.Helper()
	sum := sha256.Sum256(data)
	return dev.Send(t.Context(), b.folder, strconv.Itoa(len(data)), hex.EncodeToString(sum[:]), bytes.NewReader(data))
}

// serving returns the version that answers, and its process.
func (b *bench) serving(t *testing.T) (version, pid string) {
	t.Helper()
	response, err := http.Get(b.url)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	version, pid, _ = strings.Cut(string(body), " ")
	return version, pid
}

// Ensure a program that is sent takes the place of the one that runs, and that whoever sent it knows when it serves.
func TestRunnerRunsTheLast(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, version := range []string{"one", "two"} {
		require.NoError(t, b.send(t, program(t, version)))
		got, _ := b.serving(t)
		assert.Equal(t, version, got)
	}
	left, err := os.ReadDir(b.folder)
	require.NoError(t, err)
	assert.Len(t, left, 2, "the program and the socket: %v", left)
}

// Ensure a program of which a part is missing, or that is another, leaves the one that runs alone.
func TestRunnerTakesWholePrograms(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	whole := program(t, "one")
	require.NoError(t, b.send(t, whole))
	_, pid := b.serving(t)

	sum := sha256.Sum256(whole)
	err := dev.Send(t.Context(), b.folder, strconv.Itoa(len(whole)), hex.EncodeToString(sum[:]), bytes.NewReader(whole[:len(whole)/2]))
	require.ErrorContains(t, err, fmt.Sprintf("did not arrive whole: %d of %d bytes", len(whole)/2, len(whole)))
	err = dev.Send(t.Context(), b.folder, strconv.Itoa(len(whole)), strings.Repeat("0", 64), bytes.NewReader(whole))
	require.ErrorContains(t, err, "did not arrive whole")
	require.ErrorContains(t, dev.Send(t.Context(), b.folder, "many", "x", bytes.NewReader(nil)), "expected a size and a sum")

	version, after := b.serving(t)
	assert.Equal(t, "one", version)
	assert.Equal(t, pid, after, "it is the same process")
}

// Ensure a program that ends is reported, and that the next one runs.
func TestRunnerOutlivesPrograms(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	require.ErrorContains(t, b.send(t, program(t, "broken")), "the program has ended: exit status 3")
	assert.Contains(t, b.log.String(), "exit status 3")
	require.ErrorContains(t, b.send(t, []byte("no program\n")), "the program does not start")
	require.NoError(t, b.send(t, program(t, "one")))
	version, _ := b.serving(t)
	assert.Equal(t, "one", version)
}

// Ensure the runner, started again in the same folder, goes on with the program that it had, and takes it along when it stops.
func TestRunnerGoesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	require.NoError(t, b.send(t, program(t, "one")))
	b.stop()
	_, err := http.Get(b.url)
	require.Error(t, err, "the program has ended with its runner")
	b.run(t)
	require.Eventually(t, func() bool {
		response, err := http.Get(b.url)
		if err != nil {
			return false
		}
		return response.Body.Close() == nil
	}, time.Minute, 10*time.Millisecond, b.log.String())
	version, _ := b.serving(t)
	assert.Equal(t, "one", version)
}

// Ensure a program that is open for writing somewhere for a moment, as it is in a process that was forked just when it was written, is
// run when it is not any more.
func TestRunnerWaitsForABusyProgram(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	require.NoError(t, b.send(t, program(t, "one")))
	data := program(t, "two")
	sent := make(chan error, 1)
	go func() { sent <- b.send(t, data) }()
	// It cannot be opened while it runs: what is opened is the new one before it does, unless that was quicker.
	for len(sent) == 0 {
		if file, err := os.OpenFile(filepath.Join(b.folder, "program"), os.O_WRONLY, 0); err == nil {
			time.Sleep(20 * time.Millisecond)
			require.NoError(t, file.Close())
			break
		}
	}
	require.NoError(t, <-sent)
	got, _ := b.serving(t)
	assert.Equal(t, "two", got)
}
