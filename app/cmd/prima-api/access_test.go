package main

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
)

// newToken returns a token of the command, and its entry.
func newToken(t *testing.T, name, scope string) (token, entry string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	require.Equal(t, 0, run([]string{"token", name, scope}, nil, &stdout, &stderr), "%s", &stderr)
	printed := regexp.MustCompile(`^token +(\S+)\nACCESS_TOKENS +(\S+)\n$`).FindStringSubmatch(stdout.String())
	require.Len(t, printed, 3, "%s", &stdout)
	return printed[1], printed[2]
}

// Ensure the guard is what the environment says, that a check gets in with a token, that each line of
// the log says whose token a request was made with, and that no line holds a token, a hash or a key.
func TestAccess(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	reader, readerEntry := newToken(t, "reader", "read")
	operator, operatorEntry := newToken(t, "operator", "read+write")
	p := start(t, a.Environ("LOG_LEVEL=debug", "ACCESS_TOKENS="+readerEntry+","+operatorEntry, "AWS_SECRET_ACCESS_KEY=hunter2hunter2")...)
	assert.NotContains(t, p.log.String(), "everybody may read and write")

	for _, check := range []struct {
		environ []string
		status  int
		says    string
	}{
		{nil, 1, "401 Unauthorized"},
		{[]string{"API_TOKEN=" + reader}, 1, "403 Forbidden"},
		{[]string{"API_TOKEN=" + reader + "x"}, 1, "401 Unauthorized"},
		{[]string{"API_TOKEN=" + operator}, 0, ""},
	} {
		var stdout, stderr bytes.Buffer
		assert.Equal(t, check.status, run([]string{"check", p.url}, check.environ, &stdout, &stderr), "%s", &stderr)
		assert.Contains(t, stderr.String(), check.says)
		assert.NotContains(t, stdout.String()+stderr.String(), operator)
	}

	// What others try, in places that reach the log.
	for _, header := range []string{"Bearer " + operator + " x", "Basic b3BlcmF0b3I6aHVudGVyMg==", "Bearer\t" + reader, strings.Repeat("x", 1000)} {
		request, err := http.NewRequest(http.MethodGet, p.url+"/users", nil)
		require.NoError(t, err)
		request.Header.Set("Authorization", header)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, http.StatusUnauthorized, response.StatusCode, header)
	}

	p.signal(t, syscall.SIGTERM)
	assert.Equal(t, 0, p.wait(t))
	log := p.log.String()
	assert.Contains(t, log, `"token":"operator"`)
	assert.Contains(t, log, `"token":"reader"`)
	for what, secret := range map[string]string{
		"a token": operator, "another token": reader, "a hash": operatorEntry[len("operator:read+write:"):], "a key": "hunter2", "credentials": "b3BlcmF0b3I6",
	} {
		assert.NotContains(t, log, secret, what)
	}
}

// Ensure a log says that everybody is let in, where that is so.
func TestOpenAccessIsSaid(t *testing.T) {
	t.Parallel()
	a := awstest.Start(t)
	p := start(t, a.Environ()...)
	assert.Contains(t, p.log.String(), fmt.Sprintf("%q:%q", "msg", "everybody may read and write: ACCESS_TOKENS is empty"))
}
