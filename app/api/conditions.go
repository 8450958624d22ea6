package api

import (
	"bytes"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"prima.internal/app/user"
)

// A condition is what If-Match and If-None-Match ask of a resource (RFC 9110 §13).
type condition struct{ match, noneMatch entityTags }

// entityTags are the values of If-Match or of If-None-Match.
type entityTags struct {
	given bool
	any   bool // *
	wrong bool // neither * nor a list of entity tags
	tags  []string
}

var (
	entityTag     = regexp.MustCompile(`(?:W/)?"[^\x00-\x20"\x7f]*"`)
	entityTagList = regexp.MustCompile(`^(?:[ \t]*(?:` + entityTag.String() + `)?[ \t]*(?:,|$))*$`)
)

func conditionOf(c *fiber.Ctx) condition {
	header := &c.Request().Header
	return condition{
		match:     parseEntityTags(header.PeekAll(fiber.HeaderIfMatch)),
		noneMatch: parseEntityTags(header.PeekAll(fiber.HeaderIfNoneMatch)),
	}
}

func parseEntityTags(headers [][]byte) entityTags {
	list := string(bytes.Trim(bytes.Join(headers, []byte{','}), " \t"))
	switch {
	case len(headers) == 0:
		return entityTags{}
	case list == "*":
		return entityTags{given: true, any: true}
	case !entityTagList.MatchString(list):
		return entityTags{given: true, wrong: true}
	}
	return entityTags{given: true, tags: entityTag.FindAllString(list, -1)}
}

// unchanged reports whether If-Match allows the request. etag is that of the resource, "" if there
// is none. The comparison is strong: a weak tag matches nothing.
func (c condition) unchanged(etag string) bool {
	return !c.match.given || etag != "" && (c.match.any || slices.Contains(c.match.tags, etag))
}

// changed reports whether If-None-Match allows the request. The comparison is weak.
func (c condition) changed(etag string) bool {
	same := func(tag string) bool { return strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(etag, "W/") }
	return !c.noneMatch.given || etag == "" || !c.noneMatch.any && !slices.ContainsFunc(c.noneMatch.tags, same)
}

// ofAvatar returns the condition on the avatar of a user; nil if there is none. One that cannot be
// read does not hold.
func (c condition) ofAvatar() user.Condition {
	if !c.match.given && !c.noneMatch.given {
		return nil
	}
	return func(avatarID string) bool {
		etag := ""
		if avatarID != "" {
			etag = avatarTag(avatarID)
		}
		return c.unchanged(etag) && c.changed(etag) && !c.noneMatch.wrong
	}
}

// notModified sets the entity tag of a response to GET or HEAD, and its status to 304 if the client
// has it. It returns an error if If-Match names another.
func notModified(c *fiber.Ctx, etag string) (bool, error) {
	condition := conditionOf(c)
	if !condition.unchanged(etag) {
		return false, user.ErrChanged
	}
	c.Set(fiber.HeaderETag, etag)
	if condition.changed(etag) {
		return false, nil
	}
	c.Status(http.StatusNotModified)
	return true, nil
}

// unversioned is a middleware that refuses a change of a user on the condition of an entity tag,
// because users have none.
func unversioned(c *fiber.Ctx) error {
	condition := conditionOf(c)
	if condition.match.given && !condition.match.any || condition.noneMatch.any || condition.noneMatch.wrong {
		return user.ErrChanged
	}
	return c.Next()
}
