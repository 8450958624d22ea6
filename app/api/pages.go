package api

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	"prima.internal/app/pages"
)

// servePages adds the pages for people, which need no token: they hold no data.
func (s *Server) servePages() {
	for _, f := range pages.Files() {
		s.app.Get(f.Path, pageFile(f))
	}
}

// pageFile handles GET of a file of the pages. Copies must be revalidated, because the next version
// of the API may change a file under the same name.
func pageFile(f *pages.File) fiber.Handler {
	return func(c *fiber.Ctx) error {
		requestOf(c).policy = f.Policy
		c.Set(fiber.HeaderETag, `W/"`+f.ETag()+`"`)
		c.Set(fiber.HeaderCacheControl, "no-cache")
		c.Vary(fiber.HeaderAcceptEncoding)
		c.Set("Cross-Origin-Opener-Policy", "same-origin")
		c.Set("Cross-Origin-Resource-Policy", "same-origin")
		if matches(c.Request().Header.PeekAll(fiber.HeaderIfNoneMatch), f.ETag()) {
			c.Status(http.StatusNotModified)
			return nil
		}
		c.Set(fiber.HeaderContentType, f.ContentType)
		if c.AcceptsEncodings("identity", "gzip") == "gzip" { // the first where nothing is said
			c.Set(fiber.HeaderContentEncoding, "gzip")
			c.Response().SetBodyRaw(f.Gzipped())
			return nil
		}
		c.Response().SetBodyRaw(f.Plain())
		return nil
	}
}
