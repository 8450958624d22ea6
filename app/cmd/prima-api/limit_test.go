package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"prima.internal/app/awstest"
)

// Ensure GOMEMLIMIT and GOMAXPROCS of the environment are left alone, that without GOMEMLIMIT and a
// container memory is limited by what requests may take, and that the log tells these limits.
func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	for want, environ := range map[string][]string{
		`"gomaxprocs":1,"gomemlimit":104857600`:                       {"GOMEMLIMIT=100MiB", "GOMAXPROCS=1"},
		fmt.Sprintf(`"gomemlimit":%d`, math.MaxInt64):                 {"GOMEMLIMIT=off"},
		fmt.Sprintf(`"gomemlimit":%d`, int64(limitOfRequests*10<<20)): {"AUTOMEMLIMIT=off", "REQUEST_MEMORY=10MiB"},
	} {
		assert.Contains(t, start(t, a.Environ(environ...)...).log(), want)
	}
}

// Ensure GOMEMLIMIT follows the memory limit of the container, and that the log tells it once.
func TestMemoryLimitOfTheContainer(t *testing.T) {
	t.Parallel()
	const limit = 500 << 20
	group := memoryGroup(t, limit)
	inside := exec.Command("sh", "-c", `echo $$ >"$1/cgroup.procs" && exec "$0"`, executable, group)
	log := startAs(t, inside, awstest.Start(t).Environ()...).log()
	assert.Contains(t, log, fmt.Sprintf(`"gomemlimit":%d`, int64(limit*memoryShare)))
	assert.Equal(t, 1, strings.Count(strings.ToLower(log), "gomemlimit"))
}

// memoryGroup makes a control group with a memory limit in bytes. It skips the test if the system
// does not allow that.
func memoryGroup(t *testing.T, limit int64) string {
	t.Helper()
	root, file := "/sys/fs/cgroup", "memory.max"
	if _, err := os.Stat(filepath.Join(root, "memory")); err == nil { // version 1
		root, file = filepath.Join(root, "memory"), "memory.limit_in_bytes"
	}
	group := filepath.Join(root, fmt.Sprintf("prima-api-test-%d", os.Getpid()))
	err := os.Mkdir(group, 0o700)
	t.Cleanup(func() { _ = os.Remove(group) })
	if err == nil {
		err = os.WriteFile(filepath.Join(group, file), fmt.Append(nil, limit), 0o600)
	}
	if err != nil {
		t.Skipf("this system allows no control group with a memory limit: %v", err)
	}
	return group
}
