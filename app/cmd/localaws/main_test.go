package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// asCommand makes this test binary be a command that localaws runs.
const asCommand = "LOCALAWS_TEST_COMMAND"

func TestMain(m *testing.M) {
	switch os.Getenv(asCommand) {
	case "":
		os.Exit(m.Run())
	case "get": // asks the AWS in its environment, and exits with 3 if that answers
		response, err := http.Get(os.Getenv("AWS_ENDPOINT_URL") + "/_localstack/health")
		if err == nil && response.StatusCode == http.StatusOK && os.Getenv("AWS_ACCESS_KEY_ID") != "" {
			os.Exit(3)
		}
		os.Exit(4)
	case "wait": // for the signal that is passed on
		time.Sleep(time.Minute)
	}
}

// Ensure a command finds the AWS in its environment, and that its exit status is the status.
func TestCommand(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	status, err := run(nil, []string{"-addr", "127.0.0.1:0", os.Args[0]}, []string{asCommand + "=get"}, &out)
	require.NoError(t, err)
	assert.Equal(t, 3, status)
	assert.Contains(t, out.String(), "table users, bucket prima-tech-challenge")
}

// Ensure SIGTERM reaches the command, that both end, and that an interrupt, which a terminal gives to
// the command itself, is a success.
func TestCommandSignalled(t *testing.T) {
	t.Parallel()
	for want, sent := range map[int][]os.Signal{1: {syscall.SIGTERM}, 0: {os.Interrupt, syscall.SIGTERM}} {
		signals := make(chan os.Signal, len(sent))
		for _, s := range sent {
			signals <- s
		}
		status, err := run(signals, []string{"-addr", "127.0.0.1:0", os.Args[0]}, []string{asCommand + "=wait"}, new(bytes.Buffer))
		require.NoError(t, err)
		assert.Equal(t, want, status)
	}
}

// Ensure it ends by a signal without a command.
func TestSignal(t *testing.T) {
	t.Parallel()
	signals := make(chan os.Signal, 1)
	signals <- os.Interrupt
	var out bytes.Buffer
	status, err := run(signals, []string{"-empty"}, []string{"GATEWAY_LISTEN=127.0.0.1:0"}, &out)
	require.NoError(t, err)
	assert.Zero(t, status)
	assert.Contains(t, out.String(), "table none, bucket none")
	assert.Contains(t, out.String(), "AWS_ENDPOINT_URL=http://127.0.0.1:")
}

// Ensure a port that is taken, a command that is not there and wrong flags are errors that say so.
func TestErrors(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for want, args := range map[string][]string{
		"is taken":                        {"-addr", taken.Addr().String()},
		"no-such-command":                 {"-addr", "127.0.0.1:0", "no-such-command"},
		"provided but not defined: -port": {"-port", "1"},
		"missing port":                    {"-addr", "localhost"},
	} {
		status, err := run(nil, args, nil, new(bytes.Buffer))
		assert.ErrorContains(t, err, want, fmt.Sprint(args))
		assert.Equal(t, 1, status)
	}
	var out strings.Builder
	status, err := run(nil, []string{"-help"}, nil, &out)
	require.NoError(t, err)
	assert.Zero(t, status)
	assert.Contains(t, out.String(), "-bucket")
}
