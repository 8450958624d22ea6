package api

import (
	"context"
	"net/http"
	"regexp"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"prima.internal/app/user"
)

const headerIdempotencyKey = "Idempotency-Key"

var idempotencyKeyPattern = regexp.MustCompile(`^[ -~]{1,255}$`)

// createUser handles POST /user and POST /users.
func (s *Server) createUser(c *fiber.Ctx) error {
	if err := unversioned(c); err != nil {
		return err
	}
	key, err := idempotencyKey(c)
	if err != nil {
		return err
	}
	read, err := s.readFields(c)
	if err != nil {
		return err
	}
	draft, err := read.draft(s.limits())
	if err != nil {
		return err
	}
	draft.IdempotencyKey, draft.Caller = key, requestOf(c).token

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

// idempotencyKey returns the key of a request, "" if it has none.
func idempotencyKey(c *fiber.Ctx) (string, error) {
	keys := c.Request().Header.PeekAll(headerIdempotencyKey)
	if len(keys) == 0 {
		return "", nil
	}
	if len(keys) > 1 || !idempotencyKeyPattern.Match(keys[0]) {
		return "", &problem{status: http.StatusBadRequest, error: "Invalid 'Idempotency-Key'", detail: "a key is 1 to 255 printable ASCII characters, sent once"}
	}
	return string(keys[0]), nil
}

// getUser handles GET /users/{id}.
func (s *Server) getUser(c *fiber.Ctx) error {
	id, err := userID(c)
	if err != nil {
		return err
	}
	return s.sendUser(c, "Failed to read user", func(ctx context.Context) (user.User, error) { return s.service.Get(ctx, id) })
}

// sendUser sends the user that a call of the service returns. text replaces the cause of a failure.
func (s *Server) sendUser(c *fiber.Ctx, text string, call func(context.Context) (user.User, error)) error {
	ctx, cancel := s.work(c)
	defer cancel()
	u, err := call(ctx)
	if err != nil {
		return failed(text, err)
	}
	return sendJSON(c, u.AppendJSON(nil, s.usersURL(c)))
}

// updateUser handles PATCH /users/{id} with a JSON merge patch (RFC 7396).
func (s *Server) updateUser(c *fiber.Ctx) error {
	id, err := userID(c)
	if err != nil {
		return err
	}
	if err := unversioned(c); err != nil {
		return err
	}
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
	return s.sendUser(c, "Failed to save user", func(ctx context.Context) (user.User, error) { return s.service.Update(ctx, id, patch) })
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
	if err := unversioned(c); err != nil {
		return err
	}
	return s.remove(c, "Failed to delete user", s.service.Delete)
}

// remove responds to a DELETE with 204.
func (s *Server) remove(c *fiber.Ctx, text string, call func(ctx context.Context, id string) error) error {
	id, err := userID(c)
	if err != nil {
		return err
	}
	ctx, cancel := s.work(c)
	defer cancel()
	if err := call(ctx, id); err != nil {
		return failed(text, err)
	}
	c.Status(http.StatusNoContent)
	return nil
}

// userID returns a copy of the id in the path. The error is that of a user who does not exist.
func userID(c *fiber.Ctx) (string, error) {
	id := c.Params("id")
	if parsed, err := uuid.Parse(id); err != nil || parsed.String() != id {
		return "", user.ErrNoUser
	}
	return string([]byte(id)), nil
}

func sendJSON(c *fiber.Ctx, body []byte) error {
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	c.Response().SetBodyRaw(body)
	return nil
}
