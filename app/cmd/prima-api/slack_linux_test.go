package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"prima.internal/app/awstest"
)

// Ensure every thread has the slack of the settings, those of the Go runtime too, and that the program is the one that was started.
func TestTimerSlack(t *testing.T) {
	t.Parallel()
	p := start(t, "AWS_ENDPOINT_URL="+awstest.Start(t).Config.Endpoint, "DRAIN_TIME=0s", "TIMER_SLACK=2ms")
	assert.Contains(t, p.log.String(), `"timer_slack":"2ms"`)
	assert.True(t, p.executedAnew(t))
	assert.Equal(t, 1, strings.Count(p.log.String(), `"msg":"listening"`))

	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.Process.Pid))
	require.NoError(t, err)
	assert.Greater(t, len(threads), 2)
	for _, thread := range threads {
		slack, err := os.ReadFile(filepath.Join("/proc", thread.Name(), "timerslack_ns"))
		if os.IsNotExist(err) { // the thread has ended
			continue
		}
		if os.IsPermission(err) {
			t.Log("not seen here, where that of other processes is not shown: the slack of each thread")
			break
		}
		require.NoError(t, err)
		assert.Equal(t, "2000000\n", string(slack))
	}

	p.signal(t, syscall.SIGTERM)
	assert.Equal(t, 0, p.wait(t))
}

// Ensure the program is left as it was started where that is asked for, or is as good.
func TestTimerSlackOfTheEnvironment(t *testing.T) {
	t.Parallel()
	endpoint := "AWS_ENDPOINT_URL=" + awstest.Start(t).Config.Endpoint
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	require.NoError(t, unix.Prctl(unix.PR_SET_TIMERSLACK, 70_000, 0, 0, 0))
	p := start(t, endpoint, "TIMER_SLACK=0")
	assert.Contains(t, p.log.String(), `"timer_slack":"70µs"`)
	assert.False(t, p.executedAnew(t))

	require.NoError(t, unix.Prctl(unix.PR_SET_TIMERSLACK, 3_000_000, 0, 0, 0))
	p = start(t, endpoint)
	assert.Contains(t, p.log.String(), `"timer_slack":"3ms"`)
	assert.False(t, p.executedAnew(t))
}

// Ensure the program serves all the same where it cannot be executed once more.
func TestTimerSlackCannotBeSet(t *testing.T) {
	t.Parallel()
	endpoint := "AWS_ENDPOINT_URL=" + awstest.Start(t).Config.Endpoint
	executable, err := os.Executable()
	require.NoError(t, err)
	// A second name, which is taken away again. A copy could not be executed while another test forks and has it open for writing.
	file := executable + "-removed"
	require.NoError(t, os.Link(executable, file))
	opened, err := os.Open(file)
	require.NoError(t, err)
	t.Cleanup(func() { _ = opened.Close() })
	require.NoError(t, os.Remove(file)) // it has no name any more by which it could be executed

	runtime.LockOSThread()
	require.NoError(t, unix.Prctl(unix.PR_SET_TIMERSLACK, 70_000, 0, 0, 0))
	command := exec.Command("/proc/self/fd/3")
	command.ExtraFiles = []*os.File{opened}
	p := startCommand(t, command, endpoint)
	assert.Contains(t, p.log.String(), `"timer_slack":"70µs"`)
	assert.False(t, p.executedAnew(t))
}

// executedAnew reports whether a process is one that has executed itself.
func (p *process) executedAnew(t *testing.T) bool {
	t.Helper()
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.Process.Pid))
	require.NoError(t, err)
	return strings.Contains("\x00"+string(environ), "\x00"+slackSet+"=")
}
