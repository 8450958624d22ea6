package main

import (
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// newToken returns a token that the command makes, and its entry of ACCESS_TOKENS.
func newToken(t *testing.T, name, scope string) (token, entry string) {
	t.Helper()
	status, stdout, stderr := runHere([]string{"token", name, scope})
	require.Equal(t, 0, status, stderr)
	printed := regexp.MustCompile(`^token +(\S+)\nACCESS_TOKENS +(\S+)\n$`).FindStringSubmatch(stdout)
	require.Len(t, printed, 3, stdout)
	return printed[1], printed[2]
}

// Ensure the command makes a token that the API accepts, and only under a name and a scope that
// the API accepts.
func TestTokenCommand(t *testing.T) {
	t.Parallel()
	token, entry := newToken(t, "ci", "read+write")
	assert.True(t, config.IsToken(token))
	c, _, err := config.Load([]string{"ACCESS_TOKENS=" + entry})
	require.NoError(t, err)
	want := config.AccessToken{Name: "ci", Read: true, Write: true, Hash: config.HashToken(token)}
	assert.Equal(t, []config.AccessToken{want}, c.AccessTokens)

	for want, args := range map[string][]string{
		`[] must be NAME SCOPE`:             {"token"},
		`["ci" "admin"] must be NAME SCOPE`: {"token", "ci", "admin"},
		`["C I" "read"] must be NAME SCOPE`: {"token", "C I", "read"},
	} {
		status, stdout, stderr := runHere(args)
		assert.Equal(t, 2, status)
		assert.Contains(t, stderr, want)
		assert.Empty(t, stdout)
	}
}

// Ensure ACCESS_TOKENS guards the API, that a check gets in with a token, that the log has the
// token's name for each request, and that no line has a token, a hash or a key.
func TestAccess(t *testing.T) {
	t.Parallel()
	reader, readerEntry := newToken(t, "reader", "read")
	operator, operatorEntry := newToken(t, "operator", "read+write")
	p := start(t, awstest.Start(t).Environ("LOG_LEVEL=debug", "ACCESS_TOKENS="+readerEntry+","+operatorEntry,
		"AWS_SECRET_ACCESS_KEY=hunter2hunter2")...)
	assert.NotContains(t, p.log.String(), "everybody may read and write")

	for _, check := range []struct {
		environ, says string
		status        int
	}{
		{"API_TOKEN=", "401 Unauthorized", 1},
		{"API_TOKEN=" + reader, "403 Forbidden", 1},
		{"API_TOKEN=" + reader + "x", "401 Unauthorized", 1},
		{"API_TOKEN=" + operator, "", 0},
	} {
		status, stdout, stderr := runHere([]string{"check", p.url}, check.environ)
		assert.Equal(t, check.status, status, stderr)
		assert.Contains(t, stderr, check.says)
		assert.NotContains(t, stdout+stderr, operator)
	}

	// What others try, in places that reach the log.
	for _, credentials := range []string{
		"Bearer " + operator + " x", "Basic b3BlcmF0b3I6aHVudGVyMg==", "Bearer\t" + reader, strings.Repeat("x", 1000),
	} {
		get(t, p.url+config.PathUsers, "Authorization: "+credentials).is(t, http.StatusUnauthorized)
	}

	p.signal(t, syscall.SIGTERM)
	assert.Equal(t, 0, p.wait(t))
	log := p.log.String()
	assert.Contains(t, log, `"token":"operator"`)
	assert.Contains(t, log, `"token":"reader"`)
	_, hash, _ := strings.Cut(operatorEntry, "read+write:")
	for what, secret := range map[string]string{
		"a token": operator, "another token": reader, "a hash": hash, "a key": "hunter2", "credentials": "b3BlcmF0b3I6",
	} {
		assert.NotContains(t, log, secret, what)
	}
}
