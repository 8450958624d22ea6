package api

import (
	"net/http"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"prima.internal/app/user"
)

const headerIdempotencyKey = "Idempotency-Key"

// maxIdempotencyKey is in bytes.
const maxIdempotencyKey = 255

// createUser handles POST /user and POST /users.
func (s *Server) createUser(c *fiber.Ctx) error {
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
	draft.IdempotencyKey = key

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
	valid := len(keys) == 1 && len(keys[0]) >= 1 && len(keys[0]) <= maxIdempotencyKey
	for _, b := range keys[0] {
		valid = valid && b >= ' ' && b <= '~'
	}
	if !valid {
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
	ctx, cancel := s.work(c)
	defer cancel()
	u, err := s.service.Get(ctx, id)
	if err != nil {
		return failed("Failed to read user", err)
	}
	return sendJSON(c, u.AppendJSON(nil, s.usersURL(c)))
}

// updateUser handles PATCH /users/{id} with a JSON merge patch (RFC 7396).
func (s *Server) updateUser(c *fiber.Ctx) error {
	id, err := userID(c)
	if err != nil {
		return err
	}
	mediaType, _, err := mediaType(c)
	if err != nil {
		return err
	}
	if mediaType != fiber.MIMEApplicationJSON && mediaType != "application/merge-patch+json" {
		return errMediaType.with("a change is application/merge-patch+json or application/json", nil)
	}
	o, err := s.readObject(c)
	if err != nil {
		return err
	}
	var patch user.Patch
	if o.name.given {
		if patch.Name, err = parsed(o.name.text, user.ParseName); err != nil {
			return err
		}
	}
	if o.email.given {
		if patch.Email, err = parsed(o.email.text, user.ParseEmail); err != nil {
			return err
		}
	}

	ctx, cancel := s.work(c)
	defer cancel()
	u, err := s.service.Update(ctx, id, patch)
	if err != nil {
		return failed("Failed to save user", err)
	}
	return sendJSON(c, u.AppendJSON(nil, s.usersURL(c)))
}

// parsed applies a rule to a value. nil, which a patch may not set, counts as empty.
func parsed(value *string, rule func(string) (string, error)) (*string, error) {
	if value == nil {
		value = new(string)
	}
	result, err := rule(*value)
	return &result, err
}

// deleteUser handles DELETE /users/{id}.
func (s *Server) deleteUser(c *fiber.Ctx) error {
	id, err := userID(c)
	if err != nil {
		return err
	}
	ctx, cancel := s.work(c)
	defer cancel()
	if err := s.service.Delete(ctx, id); err != nil {
		return failed("Failed to delete user", err)
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
