package api_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"prima.internal/app/apitest"
	"prima.internal/app/config"
)

// suiteGuarded ensures the API passes the suite also with ACCESS_TOKENS, and logs no token.
func suiteGuarded(t *testing.T, coverage *apitest.Coverage) {
	t.Helper()
	both, reader, writer := config.NewToken(), config.NewToken(), config.NewToken()
	s := start(t, func(c *config.Config) {
		c.AccessTokens = []config.AccessToken{
			access("both", both),
			{Name: "reader", Read: true, Hash: config.HashToken(reader)},
			{Name: "writer", Write: true, Hash: config.HashToken(writer)},
		}
	})
	apitest.Run(t, s.url, apitest.Options{Token: both, ReadToken: reader, WriteToken: writer, Coverage: coverage})
	for _, secret := range []string{both, reader, writer} {
		assert.NotContains(t, s.log.String(), secret)
	}
}

// access returns the entry of a token that may do everything.
func access(name, token string) config.AccessToken {
	return config.AccessToken{Name: name, Read: true, Write: true, Hash: config.HashToken(token)}
}

// Ensure a token in a malformed request does not reach the log with the parser's error.
func TestNoTokenInTheLog(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	token := config.NewToken()
	for _, request := range []string{
		"GET /users HTTP/1.1\nHost: a\nAuthorization: Bearer %s\x00\n\n",
		"GET /users HTTP/1.1\nHost: a\nAuthorization: Bearer\r%s\n\n",
		"GET /users\nHost: a\nAuthorization: Bearer %s\n\n",
		"GET /users HTTP/1.1\nHost: a\nAuthorization : Bearer %s\n\n",
		"GET /users HTTP/1.1\nHost: a\nBearer %s\n\n",
		"GET /users HTTP/1.1\nHost: %s\x01\n\n",
		"GET /users HTTP/1.1 %s\nHost: a\n\n",
		"%s\n\n",
		"POST /users HTTP/1.1\nHost: a\nContent-Length: %s\n\n",
		"POST /users HTTP/1.1\nHost: a\nTransfer-Encoding: %s\n\n",
		"POST /users HTTP/1.1\nHost: a\nContent-Type: application/json\nTransfer-Encoding: chunked\n\n%s\n",
		"GET /users HTTP/1.1\nHost: a\nAuthorization: Bearer %s\n",
		"BREW /users HTTP/1.1\nHost: a\nAuthorization: Bearer %s\n\n",
		"GET /users HTTP/1.1\nHost: a\nX-Request-Id: %s!\n\n",
	} {
		before := len(s.log.String())
		c := s.dial(t, fmt.Sprintf(request, token))
		require.NoError(t, c.(interface{ CloseWrite() error }).CloseWrite())
		_, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Eventually(t, func() bool { return len(s.log.String()) > before }, time.Minute, time.Millisecond, request)
	}
	// The last request's line comes when all others have been written.
	s.do(t, http.MethodGet, "/users/last", "")
	s.log.requests(t, "/users/last")
	assert.NotContains(t, s.log.String(), token)
	assert.NotContains(t, s.log.String(), strings.TrimPrefix(token, "prima_"))
}

// Ensure the URL of an image does not show a newer image without a token, even if the image is
// replaced while it is read.
func TestStaleAvatarURL(t *testing.T) {
	t.Parallel()
	token := config.NewToken()
	s := start(t, func(c *config.Config) { c.AccessTokens = []config.AccessToken{access("a", token)} })
	client := apitest.NewClient(t, s.url, apitest.Options{Token: token})
	first, second := apitest.PNG(2, 2), apitest.PNG(3, 3)
	created := client.CreateForm(t, "Ada", "ada@example.com", first)
	url := client.Path(t, created.AvatarURL)
	require.Equal(t, string(first), s.do(t, http.MethodGet, url, "").body)
	s.aws.Intercede("S3.GetObject", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		s.aws.Heal("S3.GetObject")
		client.PutAvatar(t, created.ID, second)
		next.ServeHTTP(w, r)
	})
	got := s.do(t, http.MethodGet, url, "")
	assert.Equal(t, http.StatusUnauthorized, got.StatusCode)
	assert.NotContains(t, got.body, string(second))
	assert.Equal(t, second, client.Do(t, http.MethodGet, url, nil).Body, "with a token it is the current image")
}

// Ensure an idempotency key is its caller's own: equal keys of two tokens are two keys.
func TestKeysAreTheCallersOwn(t *testing.T) {
	t.Parallel()
	tokens := []string{config.NewToken(), config.NewToken()}
	s := start(t, func(c *config.Config) {
		c.AccessTokens = []config.AccessToken{access("a", tokens[0]), access("b", tokens[1])}
	})
	var ids []string
	for range 2 { // the second time the same users come again
		for i, token := range tokens {
			client := apitest.NewClient(t, s.url, apitest.Options{Token: token})
			ids = append(ids, client.CreateJSON(t, "Ada", fmt.Sprint(i, "@example.com"), "Idempotency-Key: 1").ID)
		}
	}
	assert.NotEqual(t, ids[0], ids[1])
	assert.Equal(t, ids[:2], ids[2:])
}
