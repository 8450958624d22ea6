package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
)

// Ensure GOMEMLIMIT of the environment is left alone, and that the line of the start says what it and GOMAXPROCS are.
func TestMemoryLimitOfTheEnvironment(t *testing.T) {
	t.Parallel()
	p := start(t, awstest.Start(t).Environ("GOMEMLIMIT=100MiB", "GOMAXPROCS=1")...)
	assert.Contains(t, p.log.String(), `"gomaxprocs":1,"gomemlimit":104857600`)
}

// Ensure memory is limited where nobody limits it, by what requests may take, unless that is not wanted.
func TestMemoryLimitOfNobody(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	p := start(t, a.Environ("AUTOMEMLIMIT=off", "REQUEST_MEMORY=10MiB")...) // as if there were no container around the test
	assert.Contains(t, p.log.String(), fmt.Sprintf(`"gomemlimit":%d`, limitOfRequests*10<<20))
	p = start(t, a.Environ("GOMEMLIMIT=off")...)
	assert.Contains(t, p.log.String(), fmt.Sprintf(`"gomemlimit":%d`, math.MaxInt64))
}

// Ensure GOMEMLIMIT follows the memory limit of the container, and no line says more of it.
func TestMemoryLimitOfTheContainer(t *testing.T) {
	t.Parallel()
	const limit = 500 << 20
	group := memoryGroup(t, limit)
	executable, err := os.Executable()
	require.NoError(t, err)
	inside := filepath.Join(t.TempDir(), "inside")
	require.NoError(t, os.WriteFile(inside, fmt.Appendf(nil, "#!/bin/sh\necho $$ >%s/cgroup.procs && exec %s \"$@\"\n", group, executable), 0o700))
	p := startAs(t, inside, awstest.Start(t).Environ()...)
	assert.Contains(t, p.log.String(), fmt.Sprintf(`"gomemlimit":%d`, int64(limit*memoryShare)))
	assert.Equal(t, 1, strings.Count(strings.ToLower(p.log.String()), "gomemlimit"))
}

// memoryGroup makes a control group with a memory limit in bytes, and skips the test where the system allows none.
func memoryGroup(t *testing.T, limit int64) string {
	t.Helper()
	root, file := "/sys/fs/cgroup", "memory.max"
	if _, err := os.Stat(filepath.Join(root, "memory")); err == nil { // version 1
		root, file = filepath.Join(root, "memory"), "memory.limit_in_bytes"
	}
	group := filepath.Join(root, fmt.Sprintf("prima-api-test-%d", os.Getpid()))
	if err := os.Mkdir(group, 0o700); err != nil {
		t.Skipf("this system lets nobody here make a control group: %v", err)
	}
	t.Cleanup(func() { _ = os.Remove(group) })
	if err := os.WriteFile(filepath.Join(group, file), fmt.Append(nil, limit), 0o600); err != nil {
		t.Skipf("this system lets nobody here limit the memory of a control group: %v", err)
	}
	return group
}
