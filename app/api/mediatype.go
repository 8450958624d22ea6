package api

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/gofiber/fiber/v2"
)

var (
	// jsonSuffix matches the types that are built on JSON: RFC 6839 §3.1.
	jsonSuffix = regexp.MustCompile(`^[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+\+json$`)
	// boundaryParameter matches the boundary of a form. Clients of the earlier service send those
	// that need quotes without them.
	boundaryParameter = regexp.MustCompile(`(?i);[ \t]*boundary=(?:([0-9A-Za-z'()+_./:=?-]*)|"((?:[^"\\]|\\.)*)")[ \t]*(?:;|$)`)
	quotedPair        = regexp.MustCompile(`\\(["\\])`)
	boundaryName      = regexp.MustCompile(`(?i)boundary=`)
)

// mediaType returns the type of the body, in lower case, and its boundary if there is one; JSON if
// there is no Content-Type. Nothing else in the header matters, even if it is malformed.
func mediaType(c *fiber.Ctx) (mediaType, boundary string, err error) {
	header := c.Get(fiber.HeaderContentType)
	if header == "" {
		return fiber.MIMEApplicationJSON, "", nil
	}
	if sentTwice(c, fiber.HeaderContentType) {
		return "", "", errMediaType.with("Content-Type is there twice", nil)
	}
	mediaType, _, _ = strings.Cut(header, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	if mediaType != fiber.MIMEMultipartForm {
		return mediaType, "", nil
	}
	names := boundaryName.FindAllString(header, 2)
	if len(names) == 0 {
		return mediaType, "", nil
	}
	found := boundaryParameter.FindStringSubmatch(header)
	if found == nil || len(names) > 1 {
		return "", "", errMediaType.with("the boundary cannot be read", nil)
	}
	return mediaType, found[1] + quotedPair.ReplaceAllString(found[2], "$1"), nil
}

// isJSON reports whether a type is JSON or built on it.
func isJSON(mediaType string) bool {
	return mediaType == fiber.MIMEApplicationJSON || jsonSuffix.MatchString(mediaType)
}

// sentTwice reports whether a request has a header more than once. The parser keeps only the last
// Content-Type.
func sentTwice(c *fiber.Ctx, name string) bool {
	n := 0
	for line := range bytes.Lines(c.Request().Header.RawHeaders()) {
		if field, _, ok := bytes.Cut(line, []byte{':'}); ok && bytes.EqualFold(field, []byte(name)) {
			n++
		}
	}
	return n > 1
}
