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
	host := string(c.Request().Host())
	if !validHost(host) { // HTTP/1.0 has none
		host = c.Context().LocalAddr().String()
	}
	return scheme(c) + "://" + host
}

// scheme returns http or https, as a proxy in front says. A client that lies changes the links in its
// own responses only.
func scheme(c *fiber.Ctx) string {
	if c.Secure() || strings.EqualFold(c.Get(fiber.HeaderXForwardedProto), "https") {
		return "https"
	}
	return "http"
}

// hostPattern is a name or an IPv4 address, or an IPv6 address in brackets, and a port or none. Names
// of containers have underscores.
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
