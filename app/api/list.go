package api

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"prima.internal/app/user"
)

const (
	maxLimit     = 1000
	defaultLimit = 100 // where there is a cursor and no limit
)

// Memory that a list takes, about: 3,000 users of 260 bytes are 0.8 MB in DynamoDB's words while they are read, and 0.8 MB as
// JSON of ours.
const (
	listedBytes = 2 << 10 // a user while a part is read
	readFactor  = 2       // a page while it is read, beside what it is as JSON
	// smallAnswer is what the kernel takes of an answer at once, so that a client that reads slowly
	// has no memory of ours.
	smallAnswer = 64 << 10
)

// listFailed is the text for a list that could not be read.
const listFailed = "Failed to list users"

// listUsers answers GET /users: everything, or with a limit or a cursor a part of it.
func (s *Server) listUsers(c *fiber.Ctx) error {
	query := c.Context().QueryArgs()
	if query.Has("limit") || query.Has("cursor") {
		return s.listSome(c)
	}
	return s.listAll(c)
}

// listSome answers with at most limit users and a link to those that follow.
func (s *Server) listSome(c *fiber.Ctx) error {
	limit, after, err := parsePage(c)
	if err != nil {
		return err
	}
	e, url := exchangeOf(c), s.usersURL(c)
	ctx, cancel := s.work(c)
	defer cancel()
	l := &list{server: s, exchange: e, url: url}
	e.release = l.dispose
	name := fmt.Sprint(url, " ", limit, " ", after)
	l.page, err = s.shared.get(ctx, name, func() (*page, error) {
		return s.readPart(e, name, url, limit, after)
	})
	if err != nil {
		return failed(listFailed, err)
	}
	s.sharedPage(e, l.page)
	if l.page.more {
		c.Set(fiber.HeaderLink, fmt.Sprintf(`<%s?limit=%d&cursor=%s>; rel="next"`, url, limit, encodeCursor(l.page.next)))
	}
	return s.sendWhole(c, l)
}

func parsePage(c *fiber.Ctx) (limit int, after string, err error) {
	query := c.Context().QueryArgs()
	limit = defaultLimit
	if query.Has("limit") {
		values := query.PeekMulti("limit")
		n, err := strconv.ParseUint(string(values[0]), 10, 16)
		if err != nil || len(values) > 1 || n < 1 || n > maxLimit {
			return 0, "", &problem{status: http.StatusBadRequest, error: "Invalid 'limit'", detail: fmt.Sprintf("a limit is a whole number from 1 to %d", maxLimit)}
		}
		limit = int(n)
	}
	if query.Has("cursor") {
		values := query.PeekMulti("cursor")
		after, err = decodeCursor(string(values[0]))
		if err != nil || len(values) > 1 {
			return 0, "", &problem{status: http.StatusBadRequest, error: "Invalid 'cursor'", detail: "a cursor comes from the Link header of an earlier answer"}
		}
	}
	return limit, after, nil
}

// listAll answers with every user. What is one page of the store is shared with others who ask for it; a longer list
// is sent while it is read.
func (s *Server) listAll(c *fiber.Ctx) error {
	e, url := exchangeOf(c), s.usersURL(c)
	ctx, cancel := s.work(c)
	defer cancel()
	l := &list{server: s, exchange: e, url: url}
	e.release = l.dispose
	segments := s.segments(c)
	if segments > 1 {
		segments, l.extra = s.reserveSegments(segments)
	}
	// The first page before anything is sent: its failure has a status.
	var err error
	if segments > 1 {
		l.page, err = s.readPage(e, url, user.PageQuery{Segments: segments})
	} else {
		l.page, err = s.shared.get(ctx, url, func() (*page, error) { return s.readPage(e, url, user.PageQuery{}) })
	}
	if err != nil {
		return failed(listFailed, err)
	}
	s.sharedPage(e, l.page)
	if segments <= 1 && l.page.next == "" {
		s.pages.Store(1)
		return s.sendWhole(c, l)
	}

	// What is sent while it is read has room for a page until its end.
	if l.memory = l.page.takeMemory(); l.memory == nil {
		if l.memory, err = s.budget.lists.take(s.budget.page.Load()); err != nil {
			return err
		}
	}
	if segments > 1 {
		l.source = newParallel(l, segments)
	} else {
		l.source = &sequence{list: l, after: l.page.next}
		if !c.Request().Header.IsHTTP11() {
			return s.sendUnchunked(c, l)
		}
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	if c.Method() == fiber.MethodHead {
		return c.SendStream(http.NoBody) // a length that is not known, rather than one of 0
	}
	e.streamed = true
	l.count()
	return c.SendStream(l)
}

// sharedPage counts a request's page by who read it, and links the request to that.
func (s *Server) sharedPage(e *exchange, p *page) {
	if p.reader == e {
		s.metrics.ownRead.Inc()
	} else {
		s.metrics.shared.Inc()
	}
	e.link(p)
}

// sendWhole makes a list of one page the answer, or says that the client has it already.
func (s *Server) sendWhole(c *fiber.Ctx, l *list) error {
	c.Set(fiber.HeaderETag, `"`+l.page.etag+`"`)
	c.Set(fiber.HeaderCacheControl, "private, no-cache") // a copy is asked about before it is used
	if matches(c.Request().Header.PeekAll(fiber.HeaderIfNoneMatch), l.page.etag) {
		c.Status(http.StatusNotModified)
		return nil
	}
	if len(l.page.body) <= smallAnswer {
		return sendJSON(c, l.page.body)
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	if c.Method() == fiber.MethodHead {
		return c.SendStream(http.NoBody)
	}
	l.exchange.streamed = true
	return c.SendStream(l, len(l.page.body))
}

// maxUnchunked bounds, in bytes, a list that is sent in one piece because its client knows no chunks.
const maxUnchunked = 8 << 20

// sendUnchunked reads the rest of a list for a client of HTTP/1.0: that has no chunks, and a body that ends with
// its connection could be half a list.
func (s *Server) sendUnchunked(c *fiber.Ctx, l *list) error {
	more, err := s.budget.lists.take(maxUnchunked)
	if err != nil {
		return err
	}
	l.extra = more
	body := make([]byte, 0, 2*len(l.page.body))
	for {
		chunk, err := l.chunk()
		if err != nil {
			return failed(listFailed, err)
		}
		if chunk == nil {
			break
		}
		body = append(body, chunk...)
		if len(body) > maxUnchunked {
			return &problem{
				status: http.StatusHTTPVersionNotSupported, error: "HTTP version not supported",
				detail: "so long a list is sent by HTTP/1.1 only; or ask for a part of it by limit",
			}
		}
	}
	whole := &page{body: body}
	whole.readers.Store(1)
	whole.seal()
	l.stop()
	*l = list{server: s, exchange: l.exchange, page: whole, memory: l.memory, extra: l.extra}
	return s.sendWhole(c, l)
}

// segments returns the parts in which a list is read at the same time: 1 unless the latest list was so long that each
// of them has pages enough.
func (s *Server) segments(c *fiber.Ctx) int {
	n := s.config.ListSegments
	if s.pages.Load() < pagesForSegment*int64(n) || !c.Request().Header.IsHTTP11() || c.Method() == fiber.MethodHead {
		return 1
	}
	return n
}

// pagesForSegment is how many pages a segment should have. DynamoDB divides a table by its keys, and with few users a part may
// have none, whose read is paid for all the same.
const pagesForSegment = 2

// reserveSegments sets memory aside for a page of each segment but one, or makes the segments as few as there is memory
// for. A list in several parts is faster, and that is no reason to let another wait: room is left for the list's own page and
// for one more.
func (s *Server) reserveSegments(wanted int) (segments int, release func()) {
	size, memory := s.budget.page.Load(), s.budget.lists
	segments = 1
	if memory.try(2 * size) {
		for segments < wanted && memory.try(size) {
			segments++
		}
		memory.give(2 * size)
	}
	return segments, func() { memory.give(size * int64(segments-1)) }
}
