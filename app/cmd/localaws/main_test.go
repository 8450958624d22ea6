package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// output is a buffer that can be read while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

// serve runs the command until the test ends and returns its URL.
func serve(t *testing.T, getenv func(string) string, args ...string) (string, *output) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, done := &output{}, make(chan error, 1)
	go func() { done <- run(ctx, cancel, args, getenv, out) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	var url string
	require.Eventually(t, func() bool {
		url = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(out.String())
		return url != ""
	}, 5*time.Second, time.Millisecond)
	return url, out
}

func status(t *testing.T, method, url string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

// Ensure the command serves the contract's table and bucket and says where.
func TestRun(t *testing.T) {
	url, out := serve(t, env(nil), "-addr", "127.0.0.1:0")
	assert.Contains(t, out.String(), "(table users, bucket prima-tech-challenge, region us-east-1)")
	assert.Contains(t, out.String(), "AWS_ENDPOINT_URL="+url)
	assert.Equal(t, http.StatusOK, status(t, http.MethodHead, url+"/prima-tech-challenge"))
	assert.Equal(t, http.StatusOK, status(t, http.MethodGet, url+"/_localstack/health"))
}

// Ensure -empty starts with neither, and LocalStack's variable says where to listen.
func TestRun_Empty(t *testing.T) {
	url, out := serve(t, env(map[string]string{"GATEWAY_LISTEN": "0.0.0.0:0"}), "-empty")
	assert.Contains(t, out.String(), "(table none, bucket none, region us-east-1)")
	assert.Equal(t, http.StatusNotFound, status(t, http.MethodHead, url+"/prima-tech-challenge"))
}

// Ensure a taken port, a wrong name and a stray argument end the command with a reason.
func TestRun_Errors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { assert.NoError(t, taken.Close()) }()
	for want, args := range map[string][]string{
		taken.Addr().String() + " is taken": {"-addr", taken.Addr().String()},
		`create table "x"`:                  {"-table", "x"},
		`unexpected argument "now"`:         {"now"},
		"missing port":                      {"-addr", "nowhere"},
	} {
		err := run(t.Context(), func() {}, args, env(nil), &output{})
		assert.ErrorContains(t, err, want)
	}
	out := &output{}
	require.True(t, errors.Is(run(t.Context(), func() {}, []string{"-help"}, env(nil), out), flag.ErrHelp))
	assert.Contains(t, strings.ReplaceAll(out.String(), "\n", " "), "127.0.0.1:4566")
}
