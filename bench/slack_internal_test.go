//go:build linux

package main

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Ensure a process has the slack that it is started with, and the next one another.
func TestTimerSlack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		slack time.Duration
		want  string
	}{{backendSlack, "1000000\n"}, {usualSlack, "50000\n"}} {
		var out []byte
		require.NoError(t, withTimerSlack(c.slack, func() (err error) {
			out, err = exec.Command("cat", "/proc/self/timerslack_ns").Output()
			return err
		}))
		assert.Equal(t, c.want, string(out))
	}
	assert.ErrorIs(t, withTimerSlack(usualSlack, func() error { return errShort }), errShort)
}
