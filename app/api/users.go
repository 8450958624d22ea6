package api

import (
	"context"
	"net/http"
	"regexp"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"prima.internal/app/user"
)

const headerIdempotencyKey = "Idempotency-Key"

var (
	idempotencyKeyPattern = regexp.MustCompile(`^[ -~]{1,255}$`)
	errIdempotencyKey     = newProblem(http.StatusBadRequest, "Invalid 'Idempotency-Key'",
		"a key is 1 to 255 printable ASCII characters, sent once")
)

// createUser handles POST /user and POST /users.
func (s *Server) createUser(c *fiber.Ctx) error {
	keys := c.Request().Header.PeekAll(headerIdempotencyKey)
	if len(keys) > 1 || len(keys) == 1 && !idempotencyKeyPattern.Match(keys[0]) {
		return errIdempotencyKey
	}
	read, err := s.readFields(c)
	if err != nil {
		return err
	}
	draft, err := read.draft(s.limits)
	if err != nil {
		return err
	}
	draft.Caller = requestOf(c).token
	if len(keys) > 0 {
		draft.IdempotencyKey = string(keys[0])
	}

	ctx, cancel := s.work(c)
	defer cancel()
	u, err := s.service.Create(ctx, draft)
	if err != nil {
		return failed("Failed to save user", err)
	}
	users := s.usersURL(c)
	c.Location(users + "/" + u.ID)
	body := append([]byte(nil), `{"message":"User created successfully","id":`...)
	body = user.AppendString(body, u.ID)
	body = append(body, `,"avatar_url":`...)
	body = user.AppendString(body, u.AvatarURL(users))
	return sendJSON(c.Status(http.StatusCreated), append(body, '}'))
}

// getUser handles GET /users/{id}.
func (s *Server) getUser(c *fiber.Ctx) error {
	return s.sendUser(c, "Failed to read user", s.service.Get)
}

// updateUser handles PATCH /users/{id} with a JSON merge patch (RFC 7396).
func (s *Server) updateUser(c *fiber.Ctx) error {
	mediaType, _, err := mediaType(c)
	if err != nil {
		return err
	}
	if mediaType != fiber.MIMEApplicationJSON && mediaType != "application/merge-patch+json" {
		return errMediaType.with("a change is application/merge-patch+json or application/json", nil)
	}
	body, err := s.readBody(c)
	if err != nil {
		return err
	}
	texts, _, err := parseObject(body)
	if err != nil {
		return err
	}
	var patch user.Patch
	if patch.Name, err = patched(texts, "name", user.ParseName); err != nil {
		return err
	}
	if patch.Email, err = patched(texts, "email", user.ParseEmail); err != nil {
		return err
	}
	return s.sendUser(c, "Failed to save user", func(ctx context.Context, id string) (user.User, error) {
		return s.service.Update(ctx, id, patch)
	})
}

// patched applies a rule to a member of a patch. It returns nil if there is none. A member that is
// null or no string counts as empty.
func patched(texts map[string]*string, name string, rule func(string) (string, error)) (*string, error) {
	text, given := texts[name]
	if !given {
		return nil, nil
	}
	if text == nil {
		text = new(string)
	}
	value, err := rule(*text)
	return &value, err
}

// deleteUser handles DELETE /users/{id}.
func (s *Server) deleteUser(c *fiber.Ctx) error {
	return s.remove(c, "Failed to delete user", s.service.Delete)
}

// sendUser sends the user of the path as a call of the service returns it. text replaces the cause
// of a failure.
func (s *Server) sendUser(
	c *fiber.Ctx, text string, call func(ctx context.Context, id string) (user.User, error),
) error {
	ctx, cancel := s.work(c)
	defer cancel()
	u, err := call(ctx, userID(c))
	if err != nil {
		return failed(text, err)
	}
	return sendJSON(c, u.AppendJSON(nil, s.usersURL(c)))
}

// remove responds to a DELETE with 204.
func (s *Server) remove(c *fiber.Ctx, text string, call func(ctx context.Context, id string) error) error {
	ctx, cancel := s.work(c)
	defer cancel()
	if err := call(ctx, userID(c)); err != nil {
		return failed(text, err)
	}
	c.Status(http.StatusNoContent)
	return nil
}

// userID returns a copy of the id in the path, "" if no user can have it.
func userID(c *fiber.Ctx) string {
	id := c.Params("id")
	if parsed, err := uuid.Parse(id); err != nil || parsed.String() != id {
		return ""
	}
	return strings.Clone(id)
}

// checkID is a middleware that refuses an id which no user can have.
func checkID(c *fiber.Ctx) error {
	if userID(c) == "" {
		return user.ErrNoUser
	}
	return c.Next()
}

func sendJSON(c *fiber.Ctx, body []byte) error {
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	c.Response().SetBodyRaw(body)
	return nil
}
