package api

import (
	"sync"

	"github.com/gofiber/fiber/v2"

	"prima.internal/app/openapi"
	"prima.internal/app/pages"
)

// revalidate is the Cache-Control of what the next version of the API may change under the same
// name.
const revalidate = "no-cache"

// descriptionTag returns the entity tag of the description.
var descriptionTag = sync.OnceValue(func() string { return etag(openapi.JSON, "") })

// describe handles GET /openapi.json.
func (s *Server) describe(c *fiber.Ctx) error {
	c.Set(fiber.HeaderCacheControl, revalidate)
	if done, err := notModified(c, descriptionTag()); done || err != nil {
		return err
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
	c.Set(fiber.HeaderCacheControl, revalidate)
	if done, err := notModified(c, `W/"`+f.ETag()+`"`); done || err != nil {
		return err
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
