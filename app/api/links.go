package api

import (
	"bytes"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"prima.internal/app/config"
)

// usersURL returns the absolute URL of the users as the client reaches them.
func (s *Server) usersURL(c *fiber.Ctx) string {
	if s.config.PublicURL != "" {
		return s.config.PublicURL + config.PathUsers
	}
	host := requestOf(c).host
	if host == "" { // of HTTP/1.0
		host = c.Context().LocalAddr().String()
	}
	return scheme(c) + "://" + host + config.PathUsers
}

// scheme returns http or https, as a proxy in front says. A client that lies changes the links in
// its own responses only.
func scheme(c *fiber.Ctx) string {
	client, _, _ := strings.Cut(c.Get(fiber.HeaderXForwardedProto), ",") // of several proxies, the first
	if strings.EqualFold(client, "https") {
		return "https"
	}
	return "http"
}

// hostPattern is a name or an IPv4 address, or an IPv6 address in brackets, with or without a dot
// at its end and a port. Names of containers have underscores.
var hostPattern = regexp.MustCompile(
	`^([A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*|\[([0-9A-Fa-f:.]+)\])\.?(?::([0-9]{0,5}))?$`)

// maxHost is the longest name that the DNS has, and a port.
const maxHost = 253 + len(":65535")

// splitHost returns the name or address of a host, without a dot at its end, and its port with the
// colon. ok is false for what can be no host.
func splitHost(host string) (name, port string, ok bool) {
	parts := hostPattern.FindStringSubmatch(host)
	if parts == nil || len(host) > maxHost {
		return "", "", false
	}
	name, address, port := parts[1], parts[2], parts[3]
	if _, err := netip.ParseAddr(address); err != nil && address != "" {
		return "", "", false
	}
	if port == "" {
		return name, "", true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return name, ":" + port, err == nil && n > 0
}

// checkHost refuses a request that is not HTTP/1, whose target is on no host (RFC 9112 §3.2), or on
// one that ALLOWED_HOSTS does not name.
func (s *Server) checkHost(c *fiber.Ctx) error {
	header := &c.Request().Header
	if !bytes.HasPrefix(header.Protocol(), []byte("HTTP/1.")) {
		return errVersion
	}
	hosts := [][]byte{header.Host()}
	// The parser takes a user out of Host, and a host out of a target that is a whole URL.
	if host := c.Request().Host(); !bytes.EqualFold(host, hosts[0]) {
		hosts = append(hosts, host)
	}
	for _, host := range hosts {
		name, port, ok := splitHost(string(host))
		switch none := len(host) == 0 && !header.IsHTTP11(); {
		case none:
		case !ok:
			return errHost
		case !s.config.HostAllowed(strings.Trim(name, "[]")):
			return errMisdirected
		}
		requestOf(c).host = strings.ToLower(name) + port
	}
	return nil
}
