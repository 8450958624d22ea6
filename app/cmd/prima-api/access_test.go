package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/awstest"
	"prima.internal/app/config"
)

// newToken returns a token that the command makes, and its entry of ACCESS_TOKENS.
func newToken(t *testing.T, name, scope string) (token, entry string) {
	t.Helper()
	status, stdout, stderr := runHere("token " + name + " " + scope)
	require.Equal(t, 0, status, stderr)
	printed := regexp.MustCompile(`^token +(\S+)\nACCESS_TOKENS +(\S+)\n$`).FindStringSubmatch(stdout)
	require.Len(t, printed, 3, stdout)
	return printed[1], printed[2]
}

// Ensure the command makes a token only under a name and a scope that the API accepts.
func TestTokenCommandRefuses(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"token":          `[] must be NAME SCOPE`,
		"token ci admin": `["ci" "admin"] must be NAME SCOPE`,
		"token CI read":  `["CI" "read"] must be NAME SCOPE`,
	} {
		status, stdout, stderr := runHere(args)
		assert.Equal(t, 2, status)
		assert.Contains(t, stderr, want)
		assert.Empty(t, stdout)
	}
}

// Ensure ACCESS_TOKENS guards the API, that `prima-api check` passes with a token from `prima-api
// token`, that the log has the token's name for each request, and that no line has a token, a hash
// or a key.
func TestAccess(t *testing.T) {
	t.Parallel()
	reader, readerEntry := newToken(t, "reader", "read")
	operator, operatorEntry := newToken(t, "operator", "read+write")
	p := start(t, awstest.Start(t).Environ("LOG_LEVEL=debug", "ACCESS_TOKENS="+readerEntry+","+operatorEntry,
		"AWS_SECRET_ACCESS_KEY=hunter2hunter2", "DRAIN_TIME=0s")...)
	assert.NotContains(t, p.log(), "everybody may read and write")

	for token, want := range map[string]string{
		"": "401 Unauthorized", reader: "403 Forbidden", reader + "x": "401 Unauthorized", operator: "",
	} {
		status, stdout, stderr := runHere("check "+p.url, "API_TOKEN="+token)
		assert.Equal(t, want != "", status == 1, stderr)
		assert.Contains(t, stderr, want)
		assert.NotContains(t, stdout+stderr, operator)
	}

	// What others try, in places that reach the log.
	for _, credentials := range []string{
		"Bearer " + operator + " x", "Basic b3BlcmF0b3I6aHVudGVyMg==", "Bearer\t" + reader, strings.Repeat("x", 1000),
	} {
		get(t, p.url+config.PathUsers, "Authorization: "+credentials).is(t, http.StatusUnauthorized)
	}

	assert.Equal(t, 0, p.stop(t))
	log := p.log()
	assert.Contains(t, log, `"token":"operator"`)
	assert.Contains(t, log, `"token":"reader"`)
	_, hash, _ := strings.Cut(operatorEntry, "read+write:")
	for what, secret := range map[string]string{
		"a token": operator, "another token": reader, "a hash": hash, "a key": "hunter2", "credentials": "b3BlcmF0b3I6",
	} {
		assert.NotContains(t, log, secret, what)
	}
}
