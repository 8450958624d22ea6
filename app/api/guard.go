package api

import (
	"bytes"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"

	"prima.internal/app/config"
)

// The responses to requests that may not do what they ask for: RFC 6750 §3.
var (
	errNoToken = refusal(http.StatusUnauthorized, "Authentication required",
		"send Authorization: Bearer and an access token", "")
	errInvalidToken = refusal(http.StatusUnauthorized, "Invalid access token", "", `, error="invalid_token"`)
	errNoRead       = refusal(http.StatusForbidden, "Insufficient scope",
		"the access token may not read", `, error="insufficient_scope", scope="read"`)
	errNoWrite = refusal(http.StatusForbidden, "Insufficient scope",
		"the access token may not write", `, error="insufficient_scope", scope="write"`)
)

func refusal(status int, text, detail, parameters string) *problem {
	return &problem{status: status, error: text, detail: detail, challenge: `Bearer realm="prima-api"` + parameters}
}

// guard is a middleware that refuses what permit refuses.
func (s *Server) guard(c *fiber.Ctx) error {
	if err := s.permit(c); err != nil {
		return err
	}
	return c.Next()
}

// permit returns nil if the request may be made, which all may if ACCESS_TOKENS is empty.
func (s *Server) permit(c *fiber.Ctx) error {
	if len(s.config.AccessTokens) == 0 {
		return nil
	}
	credentials := c.Request().Header.PeekAll(fiber.HeaderAuthorization)
	if len(credentials) == 0 {
		return errNoToken
	}
	scheme, token, _ := bytes.Cut(credentials[0], []byte{' '})
	if !strings.EqualFold(string(scheme), "Bearer") && len(credentials) == 1 {
		return errNoToken
	}
	found := accessToken(s.config.AccessTokens, string(bytes.TrimLeft(token, " ")))
	if found == nil || len(credentials) > 1 {
		return errInvalidToken
	}
	requestOf(c).token = found.Name
	switch read := c.Method() == http.MethodGet || c.Method() == http.MethodHead; {
	case read && !found.Read:
		return errNoRead
	case !read && !found.Write:
		return errNoWrite
	}
	return nil
}

// accessToken returns the entry of a token, nil if there is none. The time that it takes does not
// depend on how much of a token is right.
func accessToken(tokens []config.AccessToken, token string) (found *config.AccessToken) {
	hash := config.HashToken(token)
	for i := range tokens {
		if subtle.ConstantTimeCompare(hash[:], tokens[i].Hash[:]) == 1 {
			found = &tokens[i]
		}
	}
	return found
}
