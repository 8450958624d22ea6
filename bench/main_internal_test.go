package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The roles are played by the executable that runs, which is that of the tests here.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == roleArgument {
		if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	status := m.Run()
	if left := children(); len(left) > 0 {
		fmt.Fprintln(os.Stderr, "processes are left behind:", left)
		status = 1
	}
	os.Exit(status)
}

// Ensure a short run of prima-api and the idiomatic service measures all that needs nothing but Go, and writes the document,
// the chart and the results where it was told to.
func TestQuick(t *testing.T) { //nolint:paralleltest // it moves this process
	dir := filepath.Join(t.TempDir(), "new")
	var out bytes.Buffer
	err := run(t.Context(), []string{"-quick", "-sides", "^(prima-api.*|idiomatic Go)$", "-out", dir}, &out)
	require.NoError(t, err, out.String())

	measured, err := loadResults(filepath.Join(dir, "results.json"))
	require.NoError(t, err)
	for _, name := range []string{taskList, taskListMany, taskListOne, taskListFar, taskListTogether, taskListPage, taskCreate, taskAvatar} {
		for _, side := range []string{primaAPI, idiomatic} {
			assert.Len(t, measured.figure(name, side, 0, requestRate), 1, "%s of %s", name, side)
			assert.Positive(t, measured.figure(name, side, 0, requestRate)[0])
		}
	}
	assert.Positive(t, measured.figure(taskCreate, bareLoop, 0, requestRate)[0])
	assert.Positive(t, measured.figure(taskAvatar, unhashed, 0, requestRate)[0])
	assert.InDelta(t, 1, measured.figure(taskList, idiomatic, 0, callsEach)[0], 0.001, "each list is one Scan")
	assert.InDelta(t, 2, measured.figure(taskAvatar, primaAPI, 0, callsEach)[0], 0.001, "an avatar and its user")
	for task, figure := range map[string]string{taskListWait: firstByte, taskStart: readyTime} {
		assert.Positive(t, measured.figure(task, primaAPI, 0, figure)[0], task)
	}
	environment := measured[taskList].Environment
	assert.NotEmpty(t, environment.CPU)
	if environment.Cores > 1 && runtime.GOOS == "linux" {
		assert.Equal(t, environment.Cores, environment.ServerCores+environment.RestCores)
	}
	assert.Zero(t, measured[taskListTogether].Environment.ServerCores)

	document, err := os.ReadFile(filepath.Join(dir, documentName))
	require.NoError(t, err)
	assert.Contains(t, string(document), chartName)
	chart, err := os.ReadFile(filepath.Join(dir, chartName))
	require.NoError(t, err)
	assert.Contains(t, string(chart), "<svg")
}

// Ensure a run that is interrupted under load is an error and leaves no process behind.
func TestInterrupted(t *testing.T) { //nolint:paralleltest // it moves this process
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	watch := writerFunc(func(p []byte) (int, error) {
		if bytes.Contains(p, []byte(requestRate)) { // the first round is over, and the next under way
			cancel(interrupted)
		}
		return len(p), nil
	})
	dir := t.TempDir()
	assert.ErrorIs(t, run(ctx, []string{"-only", taskList, "-sides", idiomatic, "-duration", "100ms", "-rounds", "1000", "-out", dir}, watch), interrupted)
	assert.NoFileExists(t, filepath.Join(dir, documentName))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// children returns the names of the processes that these tests have started and that have not ended.
func children() []string {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // none where there is no such thing
	var found []string
	for _, file := range stats {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file))) // by the pattern, a number
		fields, err := stat(pid)
		if err == nil && fields[1] == strconv.Itoa(os.Getpid()) && fields[0] != "Z" {
			name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)) // gone meanwhile
			found = append(found, strings.TrimSpace(string(name)))
		}
	}
	return found
}

// Ensure arguments that mean nothing are refused.
func TestArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-rounds", "0"}, {"-duration", "0s"}, {"-only", "("}, {"-sides", "Flask"}, {"all"}, {roleArgument, "none"}} {
		var out bytes.Buffer
		assert.Error(t, run(t.Context(), args, &out), "%v", args)
	}
}
