package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"github.com/gofiber/fiber/v2"
	"go.opentelemetry.io/otel/trace"

	"prima.internal/app/user"
)

const (
	maxLimit     = 1000
	defaultLimit = 100 // if there is a cursor and no limit

	// pageMemory is what a page of the store takes in bytes, about: 1 MB in DynamoDB's words while
	// it is read, and as much as the JSON of a response.
	pageMemory = 2 << 20
	// userMemory is what a user of a page with a limit takes.
	userMemory = 2 << 10
	// smallBody is the largest response, in bytes, that the kernel takes at once, so that clients
	// which read slowly hold none of our memory.
	smallBody = 64 << 10
	// maxUnchunked bounds a list, in bytes, for clients of HTTP/1.0.
	maxUnchunked = 8 << 20

	listFailed = "Failed to list users"
)

// A page is the JSON of some users, on its way to one client or to several.
type page struct {
	json []byte // starts with a bracket, and ends with one if it is a whole list
	next string // where the list continues, as in [user.Page]
	etag string // without quotes; "" unless it is a whole list

	reader  trace.SpanContext // of the request that read it; invalid if nothing is traced
	readers atomic.Int64
	free    func() // gives back the memory of the page; more than once does nothing
}

// release is called once by each reader.
func (p *page) release() {
	if p.readers.Add(-1) == 0 {
		p.free()
	}
}

// listUsers handles GET /users: all users or, with a limit or a cursor, some of them. Its first page
// decides the status; what is longer is read while it is sent.
func (s *Server) listUsers(c *fiber.Ctx) error {
	q, err := pageQuery(c)
	if err != nil {
		return err
	}
	r, url := requestOf(c), s.usersURL(c)
	ctx, cancel := s.work(c)
	defer cancel()
	own := false // whether this request reads the page for itself and others
	p, err := s.reads.get(ctx, fmt.Sprint(url, " ", q.Limit, " ", q.After), func() (*page, error) {
		own = true
		return s.readPage(r.context, url, q)
	})
	if err != nil {
		return failed(listFailed, err)
	}
	if own {
		s.metrics.own.Inc()
	} else {
		s.metrics.shared.Inc()
		r.link(p.reader)
	}
	if q.Limit == 0 && p.next != "" {
		return s.streamList(c, p, url)
	}
	r.onEnd(p.release)
	if p.next != "" {
		c.Set(fiber.HeaderLink, fmt.Sprintf(`<%s?limit=%d&cursor=%s>; rel="next"`, url, q.Limit, encodeCursor(p.next)))
	}
	return s.sendPage(c, p)
}

func pageQuery(c *fiber.Ctx) (q user.PageQuery, err error) {
	args := c.Context().QueryArgs()
	if !args.Has("limit") && !args.Has("cursor") {
		return q, nil
	}
	q.Limit = defaultLimit
	if values := args.PeekMulti("limit"); len(values) > 0 {
		n, err := strconv.ParseUint(string(values[0]), 10, 16)
		if err != nil || len(values) > 1 || n < 1 || n > maxLimit {
			return q, &problem{status: http.StatusBadRequest, error: "Invalid 'limit'", detail: fmt.Sprintf("a limit is a whole number from 1 to %d", maxLimit)}
		}
		q.Limit = int(n)
	}
	if values := args.PeekMulti("cursor"); len(values) > 0 {
		q.After, err = decodeCursor(string(values[0]))
		if err != nil || len(values) > 1 {
			return q, &problem{status: http.StatusBadRequest, error: "Invalid 'cursor'", detail: "a cursor comes from the Link header of an earlier response"}
		}
	}
	return q, nil
}

// readPage reads a page of the store: a whole list, or the beginning of a longer one.
func (s *Server) readPage(parent context.Context, url string, q user.PageQuery) (*page, error) {
	ctx, cancel := context.WithTimeout(parent, s.config.RequestTimeout)
	defer cancel()
	size := int64(pageMemory)
	if q.Limit > 0 {
		size = min(size, int64(q.Limit+1)*userMemory)
	}
	free, err := s.memory.pages.reserve(size) //nolint:contextcheck // it waits for a part of the request's time
	if err != nil {
		return nil, err
	}
	read, err := s.service.Page(ctx, []byte{'['}, url, q)
	if err != nil {
		free()
		return nil, err
	}
	p := &page{json: read.JSON, next: read.Next, free: free, reader: trace.SpanContextFromContext(parent)}
	if q.Limit > 0 || p.next == "" {
		p.json = append(p.json, ']')
		p.etag = etag(p.json, p.next)
	}
	if len(p.json) <= smallBody && p.etag != "" {
		p.free()
	}
	return p, nil
}

// etag returns 64 bits of the users and of the link to what follows.
func etag(json []byte, next string) string {
	hash := xxhash.New()
	_, _ = hash.Write(json)
	_, _ = hash.WriteString(next)
	return strconv.FormatUint(hash.Sum64(), 16)
}

// sendPage sends a whole list, or 304 if the client has it.
func (s *Server) sendPage(c *fiber.Ctx, p *page) error {
	c.Set(fiber.HeaderCacheControl, "private, no-cache")
	if done, err := notModified(c, `"`+p.etag+`"`); done || err != nil {
		return err
	}
	if len(p.json) <= smallBody {
		return sendJSON(c, p.json)
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return s.sendStream(c, int64(len(p.json)), func(w io.Writer) error {
		_, err := w.Write(p.json)
		return err
	})
}

// streamList sends a list of several pages, of which the first has been read. The others are read
// one after the other, in the memory of one page.
func (s *Server) streamList(c *fiber.Ctx, first *page, url string) error {
	r := requestOf(c)
	first.free() // each of its readers reserves memory for the page that it sends
	free, err := s.memory.pages.reserve(pageMemory)
	if err != nil {
		return err
	}
	r.onEnd(free)
	write := func(w io.Writer) error {
		if _, err := w.Write(first.json); err != nil {
			return err
		}
		users, after := len(first.json) > len("["), first.next
		var buffer []byte
		if first.readers.Load() == 1 { // nobody else sends the first page
			buffer = first.json
		}
		first = nil
		return s.writeRest(r.context, w, url, user.PageQuery{After: after}, users, buffer)
	}
	if !c.Request().Header.IsHTTP11() {
		return s.sendUnchunked(c, write)
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	s.metrics.streams.Inc()
	streaming := s.metrics.streaming.WithLabelValues()
	streaming.Inc()
	r.onEnd(streaming.Dec)
	return s.sendStream(c, -1, write)
}

// writeRest writes the pages of a query and those that follow, and the bracket at the end. users is
// whether there are any before them, and buffer is memory that it may use.
func (s *Server) writeRest(ctx context.Context, w io.Writer, url string, q user.PageQuery, users bool, buffer []byte) error {
	for q.After != "" {
		p, err := s.nextPage(ctx, buffer[:0], url, q)
		if err != nil {
			return err
		}
		data := p.JSON
		if !users {
			data = data[1:]
		}
		if p.Users > 0 {
			if _, err := w.Write(data); err != nil {
				return err
			}
			users = true
		}
		buffer, q.After = p.JSON, p.Next
	}
	_, err := w.Write([]byte{']'})
	return err
}

// nextPage reads a page of a list that is being sent, behind a comma.
func (s *Server) nextPage(ctx context.Context, buffer []byte, url string, q user.PageQuery) (user.Page, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.RequestTimeout)
	defer cancel()
	return s.service.Page(ctx, append(buffer, ','), url, q)
}

// sendUnchunked sends a list in one piece to a client of HTTP/1.0. That has no chunks, and a body
// which ends with its connection could be half a list.
func (s *Server) sendUnchunked(c *fiber.Ctx, write func(io.Writer) error) error {
	free, err := s.memory.pages.reserve(2 * maxUnchunked) // twice, for a buffer that grows
	if err != nil {
		return err
	}
	requestOf(c).onEnd(free)
	body := new(boundedBuffer)
	if err := write(body); err != nil {
		return failed(listFailed, err)
	}
	return s.sendPage(c, &page{json: body.Bytes(), etag: etag(body.Bytes(), "")})
}

var errTooLongForHTTP10 = &problem{
	status: http.StatusHTTPVersionNotSupported, error: "HTTP version not supported",
	detail: "a list as long as this is sent by HTTP/1.1 only; or ask for a part of it by limit",
}

type boundedBuffer struct{ bytes.Buffer }

func (b *boundedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxUnchunked {
		return 0, errTooLongForHTTP10
	}
	return b.Buffer.Write(p)
}
