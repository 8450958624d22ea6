package api

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/gofiber/fiber/v2"

	"prima.internal/app/openapi"
	"prima.internal/app/pages"
)

// descriptionTag is the entity tag of the description, without quotes.
var descriptionTag = sync.OnceValue(func() string { return strconv.FormatUint(xxhash.Sum64(openapi.JSON), 16) })

// describe handles GET /openapi.json.
func (s *Server) describe(c *fiber.Ctx) error {
	if notModified(c, `"`+descriptionTag()+`"`) {
		return nil
	}
	return sendJSON(c, openapi.JSON)
}

// servePages adds the pages for people, which need no token: they hold no data.
func (s *Server) servePages() {
	for _, f := range pages.Files() {
		s.app.Get(f.Path, func(c *fiber.Ctx) error { return sendFile(c, f) })
	}
}

func sendFile(c *fiber.Ctx, f *pages.File) error {
	if f.Policy != "" {
		c.Set(fiber.HeaderContentSecurityPolicy, f.Policy)
	}
	c.Vary(fiber.HeaderAcceptEncoding)
	c.Set("Cross-Origin-Opener-Policy", "same-origin")
	c.Set("Cross-Origin-Resource-Policy", "same-origin")
	if notModified(c, `W/"`+f.ETag()+`"`) {
		return nil
	}
	c.Set(fiber.HeaderContentType, f.ContentType)
	body := f.Plain()
	if c.AcceptsEncodings("identity", "gzip") == "gzip" { // identity if the client says nothing
		c.Set(fiber.HeaderContentEncoding, "gzip")
		body = f.Gzipped()
	}
	c.Response().SetBodyRaw(body)
	return nil
}

// notModified sets the entity tag of a file, and 304 if the client has it. Copies must be
// revalidated, because the next version of the API may change a file under the same name.
func notModified(c *fiber.Ctx, etag string) bool {
	c.Set(fiber.HeaderETag, etag)
	c.Set(fiber.HeaderCacheControl, "no-cache")
	if !matches(c.Request().Header.PeekAll(fiber.HeaderIfNoneMatch), etag) {
		return false
	}
	c.Status(http.StatusNotModified)
	return true
}
