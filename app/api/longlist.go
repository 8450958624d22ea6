package api

import (
	"bytes"
	"context"
	"io"

	"github.com/gofiber/fiber/v2"

	"prima.internal/app/user"
)

// maxUnchunked bounds a list, in bytes, for clients of HTTP/1.0.
const maxUnchunked = 8 << 20

var errTooLongForHTTP10 = errVersion.with(
	"a list as long as this is sent by HTTP/1.1 only; or ask for a part of it by limit", nil)

// sendLongList sends a list of several pages, of which the first has been read. The others are read
// while it is sent, one after the other, in the memory of one page.
func (s *Server) sendLongList(c *fiber.Ctx, first *page, url string) error {
	r := requestOf(c)
	first.free() // each of its readers reserves memory for the page that it sends
	free, err := s.memory.pages.reserve(pageMemory)
	if err != nil {
		return err
	}
	r.onEnd(free)
	if !c.Request().Header.IsHTTP11() {
		return s.sendUnchunked(c, first, url)
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	s.metrics.streams.Inc()
	s.metrics.streaming.Inc()
	r.onEnd(s.metrics.streaming.Dec)
	return s.sendStream(c, -1, func(w io.Writer) error {
		page := first
		first = nil // it is garbage once it has been sent
		return s.writeList(r.context, w, url, page)
	})
}

// writeList writes the first page of a list, those that follow, and the bracket at the end.
func (s *Server) writeList(ctx context.Context, w io.Writer, url string, first *page) error {
	if _, err := w.Write(first.json); err != nil {
		return err
	}
	var buffer []byte
	if first.readers.Load() == 1 { // no other request sends the page
		buffer = first.json
	}
	empty, after := string(first.json) == "[", first.next
	for after != "" {
		buffer = buffer[:0]
		if !empty {
			buffer = append(buffer, ',')
		}
		p, err := s.nextPage(ctx, buffer, url, after)
		if err != nil {
			return err
		}
		if p.Users > 0 {
			if _, err := w.Write(p.JSON); err != nil {
				return err
			}
			empty = false
		}
		buffer, after = p.JSON, p.Next
	}
	_, err := w.Write([]byte{']'})
	return err
}

func (s *Server) nextPage(ctx context.Context, dst []byte, url, after string) (user.Page, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.RequestTimeout)
	defer cancel()
	return s.service.Page(ctx, dst, url, user.PageQuery{After: after})
}

// sendUnchunked sends a list in one piece to a client of HTTP/1.0. That has no chunks, and a body
// which ends with its connection could be half a list.
func (s *Server) sendUnchunked(c *fiber.Ctx, first *page, url string) error {
	free, err := s.memory.pages.reserve(2 * maxUnchunked) // twice, for a buffer that grows
	if err != nil {
		return err
	}
	r := requestOf(c)
	r.onEnd(free)
	body := new(boundedBuffer)
	if err := s.writeList(r.context, body, url, first); err != nil {
		return failed(listFailed, err)
	}
	return s.sendPage(c, &page{json: body.Bytes(), etag: etag(body.Bytes(), "")})
}

type boundedBuffer struct{ bytes.Buffer }

func (b *boundedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxUnchunked {
		return 0, errTooLongForHTTP10
	}
	return b.Buffer.Write(p)
}
