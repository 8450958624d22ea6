//go:build linux

package main

import (
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Ensure servers have cores that nobody else has, that they know how many these are, and that everything is as before after that.
func TestDivide(t *testing.T) { //nolint:paralleltest // it moves this process
	var before unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &before))
	if before.Count() < 2 {
		t.Skip("there is one core")
	}
	var busy sync.WaitGroup // threads that are there, and that come
	stop := make(chan struct{})
	for range 8 {
		busy.Go(func() {
			runtime.LockOSThread()
			<-stop
		})
	}
	d, err := divide()
	require.NoError(t, err)
	server, rest := d.cores()
	assert.Equal(t, before.Count(), server+rest)
	assert.Positive(t, server)
	assert.Positive(t, rest)
	for core := range before {
		assert.Zero(t, d.server[core]&d.rest[core])
	}
	assert.Equal(t, rest, runtime.GOMAXPROCS(0))

	// nproc says how many cores it may use.
	nproc := func() string {
		out := new(strings.Builder)
		cmd := exec.CommandContext(t.Context(), "nproc")
		cmd.Stdout = out
		require.NoError(t, cmd.Start())
		require.NoError(t, cmd.Wait())
		return strings.TrimSpace(out.String())
	}
	affinity := func() string {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "grep Cpus_allowed_list /proc/self/status").Output()
		require.NoError(t, err)
		return strings.TrimSpace(string(out))
	}
	var ofServer, ofRest string
	require.NoError(t, d.forServer(func() error { ofServer = affinity() + " " + nproc(); return nil }))
	ofRest = affinity() + " " + nproc()
	assert.NotEqual(t, ofServer, ofRest)

	require.NoError(t, d.join())
	close(stop)
	busy.Wait()
	var after unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &after))
	assert.Equal(t, before, after)
	assert.Equal(t, before.Count(), runtime.GOMAXPROCS(0))
}
