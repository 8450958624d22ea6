package api

import (
	"net/netip"
	"regexp"
	"strconv"
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
	return scheme + "://" + s.host(c)
}

// host returns what the client reaches the API at. Nearly every request names the same host, so the last that was valid is
// not judged again.
func (s *Server) host(c *fiber.Ctx) string {
	named := c.Request().Host()
	if last := s.lastHost.Load(); last != nil && string(named) == *last {
		return *last
	}
	host := string(named)
	if !validHost(host) { // HTTP/1.0 has none
		return c.Context().LocalAddr().String()
	}
	s.lastHost.Store(&host)
	return host
}

// hostPattern is a name or an IPv4 address, or an IPv6 address in brackets, and a port or none. An underscore is
// in no name of the DNS, but in those of containers.
var hostPattern = regexp.MustCompile(`^(?:[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{1,5}))?$`)

// maxHost is the longest name that the DNS has, and a port.
const maxHost = 253 + len(":65535")

// validHost reports whether a host, with or without a port, can stand in a URL and in a header.
func validHost(host string) bool {
	if len(host) > maxHost {
		return false
	}
	parts := hostPattern.FindStringSubmatch(host)
	if parts == nil {
		return false
	}
	if parts[1] != "" {
		if _, err := netip.ParseAddr(parts[1]); err != nil {
			return false
		}
	}
	if parts[2] != "" {
		port, err := strconv.ParseUint(parts[2], 10, 16)
		return err == nil && port > 0
	}
	return true
}
