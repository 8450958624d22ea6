package api

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"prima.internal/app/user"
)

// getAvatar answers GET /users/{id}/avatar. The id of the image, which a new image changes, is the
// ETag and, in avatar_url, the query v: under that URL the image never changes.
func (s *Server) getAvatar(c *fiber.Ctx) error {
	// An avatar_url is open to everybody who has it: a browser sends no token for an image, and the
	// image's id in it cannot be guessed.
	version := c.Query("v")
	refused := s.permit(c)
	if refused != nil && (version == "" || refused != errNoToken) { //nolint:errorlint // it is the value itself
		return refused
	}
	id, err := userID(c)
	if err != nil {
		return cmp.Or(refused, err)
	}
	// The deadline is for the store to answer; after that, sending has its own.
	ctx, cancel := context.WithCancel(exchangeOf(c).context)
	deadline := time.AfterFunc(s.config.RequestTimeout, cancel)

	conditions := c.Request().Header.PeekAll(fiber.HeaderIfNoneMatch)
	stored, err := s.directory.Avatar(ctx, id, func(avatarID string) bool {
		if version == avatarID {
			refused = nil
		}
		if refused != nil {
			return false
		}
		c.Set(fiber.HeaderETag, `"`+avatarID+`"`)
		c.Set(fiber.HeaderCacheControl, "no-cache")
		if version == avatarID {
			c.Set(fiber.HeaderCacheControl, "public, max-age=31536000, immutable")
		}
		return !matches(conditions, avatarID)
	})
	if err != nil || stored == nil {
		deadline.Stop()
		cancel()
		if refused != nil && (err == nil || user.CodeOf(err) == user.NotFound) {
			return refused // the same whether the user exists or not
		}
		if err != nil {
			c.Response().Header.Del(fiber.HeaderETag)
			c.Response().Header.Del(fiber.HeaderCacheControl)
			return failed("Failed to read avatar", err)
		}
		c.Status(http.StatusNotModified)
		return nil
	}
	// The first of it before anything is sent: its failure has a status. It is as much as fasthttp holds
	// back, so that what fails later breaks off an answer that has begun.
	begin := bufio.NewReaderSize(stored.ReadCloser, writeBufferBytes)
	if _, err := begin.Peek(int(min(stored.Size, writeBufferBytes))); err != nil {
		deadline.Stop()
		cancel()
		_ = stored.Close()
		c.Response().Header.Del(fiber.HeaderETag)
		c.Response().Header.Del(fiber.HeaderCacheControl)
		return &problem{status: http.StatusServiceUnavailable, error: "Failed to read avatar", cause: err}
	}
	stored.ReadCloser = struct {
		io.Reader
		io.Closer
	}{begin, stored.ReadCloser}
	deadline.Reset(s.config.WriteTimeout)
	c.Set(fiber.HeaderContentType, stored.ContentType)
	if !user.IsImageType(stored.ContentType) { // somebody else wrote to the bucket
		c.Set(fiber.HeaderContentType, fiber.MIMEOctetStream)
	}
	c.Set(fiber.HeaderContentDisposition, "inline")
	e := exchangeOf(c)
	e.streamed = true
	return c.SendStream(&download{StoredImage: stored, server: s, exchange: e, cancel: cancel}, int(stored.Size))
}

// matches reports whether If-None-Match headers name the image. The comparison is weak: RFC 9110 §13.1.2.
func matches(conditions [][]byte, avatarID string) bool {
	for tag := range strings.SplitSeq(string(bytes.Join(conditions, []byte{','})), ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == "*" || tag == `"`+avatarID+`"` {
			return true
		}
	}
	return false
}

// A download is the body of an answer that is an image. It ends the exchange when it has been sent.
type download struct {
	*user.StoredImage
	server   *Server
	exchange *exchange
	cancel   context.CancelFunc
	sent     int // bytes
	err      error
}

func (d *download) Read(p []byte) (int, error) {
	n, err := d.StoredImage.Read(p)
	d.sent += n
	if int64(d.sent) < d.Size {
		d.err = err // too short an image closes the connection
	}
	return n, err
}

// CloseWithError is called after Close. err is what kept the answer from being written.
func (d *download) CloseWithError(err error) error {
	d.cancel()
	if d.err != nil {
		err = d.err
	}
	d.server.end(d.exchange, http.StatusOK, d.sent, err)
	return nil
}

// putAvatar answers PUT /users/{id}/avatar: an image as it is, or the part avatar of a form.
func (s *Server) putAvatar(c *fiber.Ctx) error {
	id, err := userID(c)
	if err != nil {
		return err
	}
	data, err := s.readUpload(c)
	if err != nil {
		return err
	}
	image, err := user.ParseImage(data, s.limits())
	if err != nil {
		return err
	}
	ctx, cancel := s.work(c)
	defer cancel()
	u, err := s.directory.SetAvatar(ctx, id, image)
	if err != nil {
		return failed("Failed to save avatar", err)
	}
	return sendJSON(c, u.AppendJSON(nil, s.usersURL(c)))
}

// readUpload returns the image that a request brings. It is the request's, until that has been answered.
func (s *Server) readUpload(c *fiber.Ctx) ([]byte, error) {
	// What a client calls its image does not matter, so neither does a type that makes no sense.
	if mediaType, parameters, err := mediaType(c); err == nil && mediaType == fiber.MIMEMultipartForm {
		f, err := s.readMultipart(c, parameters["boundary"])
		if err == nil && f.avatar == nil {
			err = errInvalidForm.with("the part avatar is missing", nil)
		}
		return f.avatar, err
	}
	body, err := newBody(c, s.config.MaxAvatarBytes+1, s.budget.uploads) // one more, to tell what is wrong
	if err != nil {
		if errors.Is(err, errBodyTooLarge) {
			err = s.limits().TooLarge()
		}
		return nil, err
	}
	return readImage(body, s.limits(), body.lend(&s.buffers, s.config.MaxAvatarBytes+1))
}

// deleteAvatar answers DELETE /users/{id}/avatar.
func (s *Server) deleteAvatar(c *fiber.Ctx) error {
	id, err := userID(c)
	if err != nil {
		return err
	}
	ctx, cancel := s.work(c)
	defer cancel()
	if err := s.directory.RemoveAvatar(ctx, id); err != nil {
		return failed("Failed to delete avatar", err)
	}
	c.Status(http.StatusNoContent)
	return nil
}
