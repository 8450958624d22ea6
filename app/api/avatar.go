package api

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"prima.internal/app/user"
)

// getAvatar handles GET /users/{id}/avatar. The id of the image, which a new image changes, is the
// ETag and, in avatar_url, the query v: under that URL the image never changes.
func (s *Server) getAvatar(c *fiber.Ctx) error {
	// Browsers send no token for an image, so its URL is enough: its id cannot be guessed.
	version := c.Query("v")
	refused := s.permit(c)
	if refused != nil && (version == "" || refused != errNoToken) { //nolint:errorlint // it is the value itself
		return refused
	}
	id := userID(c)
	if id == "" {
		return cmp.Or(refused, user.ErrNoUser)
	}
	// The timeout is for the store to respond. Sending has its own.
	r := requestOf(c)
	ctx, cancel := context.WithCancel(r.context)
	timeout := time.AfterFunc(s.config.RequestTimeout, cancel)
	r.onEnd(func() {
		timeout.Stop()
		cancel()
	})

	head, condition := c.Method() == http.MethodHead, conditionOf(c)
	var current string
	stored, err := s.service.Avatar(ctx, id, head, func(avatarID string) bool {
		current = avatarID
		etag := avatarTag(avatarID)
		return (refused == nil || version == avatarID) && condition.unchanged(etag) && condition.changed(etag)
	})
	if refused != nil && version != current && (err == nil || user.CodeOf(err) == user.NotFound) {
		return refused // the same whether the user exists or not
	}
	var body *bufio.Reader
	if err == nil && stored != nil {
		r.onEnd(func() { _ = stored.Close() })
		// The first bytes are read before the status is sent, which their failure decides.
		body = bufio.NewReaderSize(stored, writeBufferBytes)
		if _, cause := body.Peek(int(min(stored.Size, writeBufferBytes))); cause != nil && !head {
			err = &user.Error{Code: user.Unavailable, Err: cause}
		}
	}
	if err != nil {
		return failed("Failed to read avatar", err)
	}
	c.Set(fiber.HeaderCacheControl, revalidate)
	if version == current {
		c.Set(fiber.HeaderCacheControl, "public, max-age=31536000, immutable")
	}
	if done, err := notModified(c, avatarTag(current)); done || err != nil {
		return err
	}
	timeout.Reset(s.config.WriteTimeout)
	return s.sendImage(c, stored, body)
}

func (s *Server) sendImage(c *fiber.Ctx, stored *user.StoredImage, body io.Reader) error {
	c.Set(fiber.HeaderContentType, stored.ContentType)
	if !user.IsImageType(stored.ContentType) { // another program wrote to the bucket
		c.Set(fiber.HeaderContentType, fiber.MIMEOctetStream)
	}
	c.Set(fiber.HeaderContentDisposition, "inline")
	return s.sendStream(c, int(stored.Size), func(w io.Writer) error {
		n, err := io.CopyN(w, body, stored.Size)
		if errors.Is(err, io.EOF) && n < stored.Size {
			err = io.ErrUnexpectedEOF
		}
		return err
	})
}

// avatarTag returns the entity tag of an image.
func avatarTag(avatarID string) string { return `"` + avatarID + `"` }

// putAvatar handles PUT /users/{id}/avatar: an image as it is, or the part avatar of a form.
func (s *Server) putAvatar(c *fiber.Ctx) error {
	data, err := s.readUpload(c)
	if err != nil {
		return err
	}
	image, err := user.ParseImage(data, s.limits)
	if err != nil {
		return err
	}
	return s.sendUser(c, "Failed to save avatar", func(ctx context.Context, id string) (user.User, error) {
		return s.service.SetAvatar(ctx, id, image, conditionOf(c).ofAvatar())
	})
}

// readUpload returns the image in the body of a request. A Content-Type that is not one of a form
// does not matter.
func (s *Server) readUpload(c *fiber.Ctx) ([]byte, error) {
	mediaType, boundary, err := mediaType(c)
	if err != nil {
		return nil, err
	}
	if mediaType == fiber.MIMEMultipartForm {
		f, err := s.readMultipart(c, boundary)
		if err == nil && f.avatar == nil {
			err = errInvalidForm.with("the part avatar is missing", nil)
		}
		return f.avatar, err
	}
	body, err := s.openBody(c, s.config.MaxAvatarBytes+1) // one more, to report it as too large an image
	if errors.Is(err, errBodyTooLarge) {
		err = s.limits.TooLarge()
	}
	if err != nil {
		return nil, err
	}
	return readImage(body, s.limits, body.size)
}

// deleteAvatar handles DELETE /users/{id}/avatar.
func (s *Server) deleteAvatar(c *fiber.Ctx) error {
	return s.remove(c, "Failed to delete avatar", func(ctx context.Context, id string) error {
		return s.service.RemoveAvatar(ctx, id, conditionOf(c).ofAvatar())
	})
}
