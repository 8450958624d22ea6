package api

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/gofiber/fiber/v2"

	"prima.internal/app/openapi"
)

// descriptionTag is the entity tag of the description, without quotes.
var descriptionTag = sync.OnceValue(func() string { return strconv.FormatUint(xxhash.Sum64(openapi.JSON), 16) })

// describe handles GET /openapi.json.
func (s *Server) describe(c *fiber.Ctx) error {
	c.Set(fiber.HeaderETag, `"`+descriptionTag()+`"`)
	c.Set(fiber.HeaderCacheControl, "no-cache")
	if matches(c.Request().Header.PeekAll(fiber.HeaderIfNoneMatch), descriptionTag()) {
		c.Status(http.StatusNotModified)
		return nil
	}
	return sendJSON(c, openapi.JSON)
}
