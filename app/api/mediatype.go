package api

import (
	"regexp"
	"strings"

	"github.com/gofiber/fiber/v2"
)

var (
	// jsonType matches JSON and the types that are built on it: RFC 6839 §3.1.
	jsonType = regexp.MustCompile(`^(?:application/json|[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+\+json)$`)
	// boundaryParameter matches the boundary of a form. Clients of the earlier service send those
	// that need quotes without them.
	boundaryParameter = regexp.MustCompile(
		`(?i);[ \t]*boundary=(?:([0-9A-Za-z'()+_./:=?-]*)|"((?:[^"\\]|\\.)*)")[ \t]*(?:;|$)`)
	quotedPair   = regexp.MustCompile(`\\(["\\])`)
	boundaryName = regexp.MustCompile(`(?i)boundary=`)
	contentTypes = regexp.MustCompile(`(?im)^content-type:`)
)

// mediaType returns the type of the body, in lower case, and its boundary if there is one; JSON if
// there is no Content-Type. Nothing else in the header matters, even if it is malformed.
func mediaType(c *fiber.Ctx) (mediaType, boundary string, err error) {
	header := c.Get(fiber.HeaderContentType)
	if header == "" {
		return fiber.MIMEApplicationJSON, "", nil
	}
	// The parser keeps only the last Content-Type.
	if len(contentTypes.FindAllIndex(c.Request().Header.RawHeaders(), 2)) > 1 {
		return "", "", errMediaType.with("Content-Type is there twice", nil)
	}
	mediaType, _, _ = strings.Cut(header, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	names := boundaryName.FindAllString(header, 2)
	if mediaType != fiber.MIMEMultipartForm || len(names) == 0 {
		return mediaType, "", nil
	}
	found := boundaryParameter.FindStringSubmatch(header)
	if found == nil || len(names) > 1 {
		return "", "", errMediaType.with("the boundary cannot be read", nil)
	}
	return mediaType, found[1] + quotedPair.ReplaceAllString(found[2], "$1"), nil
}
