package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

const (
	// What pages of other origins may send and read.
	corsMethods = "GET,HEAD,POST,PUT,PATCH,DELETE"
	corsHeaders = "Authorization,Content-Type,If-Match,If-None-Match,Idempotency-Key,traceparent,tracestate,X-Request-ID"
	corsExposed = "ETag,Link,Location,Retry-After,WWW-Authenticate,traceresponse,X-Request-ID"

	preflightSeconds   = "600" // how long a browser may keep the response to a preflight
	everyOrigin        = "*"
	headerSecFetchSite = "Sec-Fetch-Site"
)

// allowOrigin lets a page of an allowed origin read the response.
func (s *Server) allowOrigin(c *fiber.Ctx) {
	if len(s.config.CORSOrigins) == 0 {
		return
	}
	allowed := everyOrigin
	if s.config.CORSOrigins[0] != everyOrigin {
		c.Vary(fiber.HeaderOrigin)
		allowed = c.Get(fiber.HeaderOrigin)
		if kept, ok := s.origins.LoadAndDelete(&c.Request().Header); ok {
			allowed = kept.(string) //nolint:forcetypeassert // keepOrigin stores nothing else
		}
		if !slices.Contains(s.config.CORSOrigins, allowed) {
			return
		}
	}
	c.Set(fiber.HeaderAccessControlAllowOrigin, allowed)
	c.Set(fiber.HeaderAccessControlExposeHeaders, corsExposed)
}

// keepOrigin keeps the Origin of a request, because fasthttp empties the header if it cannot read
// the body. It reuses the header in place, so that its address is the key: TestCORS fails
// otherwise.
func (s *Server) keepOrigin(header *fasthttp.RequestHeader) (config fasthttp.RequestConfig) {
	s.origins.Store(header, string(header.Peek(fiber.HeaderOrigin)))
	return config
}

// preflight is a middleware that tells browsers what pages of other origins may send.
func preflight(c *fiber.Ctx) error {
	if c.Method() != http.MethodOptions ||
		c.Get(fiber.HeaderOrigin) == "" || c.Get(fiber.HeaderAccessControlRequestMethod) == "" {
		return c.Next()
	}
	c.Vary(fiber.HeaderAccessControlRequestMethod, fiber.HeaderAccessControlRequestHeaders)
	c.Set(fiber.HeaderAccessControlAllowMethods, corsMethods)
	c.Set(fiber.HeaderAccessControlAllowHeaders, corsHeaders)
	c.Set(fiber.HeaderAccessControlMaxAge, preflightSeconds)
	c.Status(http.StatusNoContent)
	return nil
}

// checkOrigin is a middleware that refuses a change which a page of another site asks for: browsers
// send some of these without a preflight. Other clients send neither Origin nor Sec-Fetch-Site.
func (s *Server) checkOrigin(c *fiber.Ctx) error {
	origin, site := c.Get(fiber.HeaderOrigin), c.Get(headerSecFetchSite)
	if origin == "" && site == "" {
		return c.Next()
	}
	host := string(c.Request().Host())
	for _, port := range []string{":80", ":443"} { // which proxies may add, and no Origin has
		host = strings.TrimSuffix(host, port)
	}
	var protection http.CrossOriginProtection
	err := protection.Check(&http.Request{
		Method: c.Method(), Host: host,
		Header: http.Header{fiber.HeaderOrigin: {origin}, headerSecFetchSite: {site}},
	})
	trusted := s.config.CORSOrigins
	public := origin != "" && strings.HasPrefix(s.config.PublicURL+"/", origin+"/") // a proxy may replace Host
	if err == nil || public || slices.Contains(trusted, origin) || slices.Contains(trusted, everyOrigin) {
		return c.Next()
	}
	return errCrossSite.with(errCrossSite.detail, err)
}
