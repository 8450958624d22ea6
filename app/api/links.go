package api

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"prima.internal/app/config"
)

// usersURL returns the absolute URL of the users as the client reaches them.
func (s *Server) usersURL(c *fiber.Ctx) string { return s.baseURL(c) + config.PathUsers }

func (s *Server) baseURL(c *fiber.Ctx) string {
	if s.config.PublicURL != "" {
		return s.config.PublicURL
	}
	scheme := "http"
	// Whoever lies here changes the links in an answer to nobody but himself.
	if c.Secure() || strings.EqualFold(c.Get(fiber.HeaderXForwardedProto), "https") {
		scheme = "https"
	}
	host := string(c.Request().Host())
	if !validHost(host) { // HTTP/1.0 has none
		host = c.Context().LocalAddr().String()
	}
	return scheme + "://" + host
}

// validHost reports whether a host, with or without a port, can stand in a URL and in a header.
func validHost(host string) bool {
	for _, b := range []byte(host) {
		letter := b|0x20 >= 'a' && b|0x20 <= 'z'
		digit := b >= '0' && b <= '9'
		if !letter && !digit && !strings.ContainsRune(".-_:[]", rune(b)) {
			return false
		}
	}
	return host != ""
}
