package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"prima.internal/app/user"
)

const (
	maxLimit     = 1000
	defaultLimit = 100 // where there is a cursor and no limit
)

// Memory that a list takes, about: 3,000 users of 260 bytes take 4.2 MB while they are read, and 0.8 MB as JSON.
const (
	listedBytes = 2 << 10 // a user while a page of the store is read
	readFactor  = 4       // a page while it is read, beside what it is as JSON
	// smallAnswer is what the kernel takes of an answer at once, so that a client that reads slowly
	// has no memory of ours.
	smallAnswer = 64 << 10
)

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
	release, err := s.budget.reads.take(int64(limit+1) * listedBytes)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := s.work(c)
	defer cancel()
	// One more than asked for tells whether any follow; that a page of the store was the last does not.
	users := make([]user.User, 0, limit+1)
	for next := after; len(users) <= limit; {
		var page []user.User
		page, next, err = s.directory.Page(ctx, next, limit+1-len(users))
		if err != nil {
			return failed(listFailed, err)
		}
		users = append(users, page...)
		if next == "" {
			break
		}
	}
	url := s.usersURL(c)
	l := &list{server: s, exchange: exchangeOf(c), url: url, buffer: []byte{'['}, done: true}
	l.buffer = append(appendUsers(l.buffer, users[:min(len(users), limit)], url, true), ']')
	if len(l.buffer) > smallAnswer {
		if l.exchange.release, err = s.budget.lists.take(int64(len(l.buffer))); err != nil {
			return err
		}
	}
	if len(users) > limit {
		c.Set(fiber.HeaderLink, fmt.Sprintf(`<%s?limit=%d&cursor=%s>; rel="next"`, url, limit, encodeCursor(users[limit-1].ID)))
	}
	return l.send(c)
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

// listFailed is the text for a list that could not be read.
const listFailed = "Failed to list users"

// listAll answers with every user. A list of more than one page of the store is sent while it is read,
// a page in memory at a time.
func (s *Server) listAll(c *fiber.Ctx) error {
	l := &list{server: s, exchange: exchangeOf(c), url: s.usersURL(c), buffer: []byte{'['}, first: true}
	var err error
	if l.exchange.release, err = s.budget.lists.take(s.budget.page.Load()); err != nil {
		return err
	}
	// The first page before anything is sent: its failure has a status.
	if err := l.read(); err != nil {
		return failed(listFailed, err)
	}
	if !l.done && !c.Request().Header.IsHTTP11() {
		if err := l.readAll(); err != nil {
			return failed(listFailed, err)
		}
	}
	return l.send(c)
}

// maxUnchunked bounds, in bytes, a list that is sent in one piece because its client knows no chunks.
const maxUnchunked = 8 << 20

// readAll reads the rest for a client of HTTP/1.0: that has no chunks, and a body that ends with
// its connection could be half a list.
func (l *list) readAll() error {
	more, err := l.server.budget.lists.take(maxUnchunked)
	if err != nil {
		return err
	}
	first := l.exchange.release
	l.exchange.release = func() { first(); more() }
	for !l.done {
		if err := l.read(); err != nil {
			return err
		}
		if len(l.buffer) > maxUnchunked {
			return &problem{
				status: http.StatusHTTPVersionNotSupported, error: "HTTP version not supported",
				detail: "so long a list is sent by HTTP/1.1 only; or ask for a part of it by limit",
			}
		}
	}
	return nil
}

// send makes the list the answer.
func (l *list) send(c *fiber.Ctx) error {
	if l.done && len(l.buffer) <= smallAnswer {
		return sendJSON(c, l.buffer)
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	if c.Method() == fiber.MethodHead {
		return c.SendStream(http.NoBody) // a length that is not known, rather than one of 0
	}
	l.exchange.streamed = true
	if l.done {
		return c.SendStream(l, len(l.buffer))
	}
	return c.SendStream(l)
}

// A list is the body of an answer with every user. It is made while it is sent.
type list struct {
	server   *Server
	exchange *exchange
	url      string
	buffer   []byte // what has been read of the store and not been sent
	next     string
	first    bool // no user has been written
	done     bool // the whole list has been read
	sent     int  // bytes
	err      error
}

// read appends a page of the store to the buffer.
func (l *list) read() error {
	ctx, cancel := context.WithTimeout(l.exchange.context, l.server.config.RequestTimeout)
	defer cancel()
	budget := l.server.budget
	take := budget.reads.take // the first page may be refused
	if !l.first {
		take = func(n int64) (func(), error) { return budget.reads.within(ctx, n) }
	}
	release, err := take(readFactor * budget.page.Load())
	if err != nil {
		return err
	}
	defer release()
	users, next, err := l.server.directory.Page(ctx, l.next, 0)
	if err != nil {
		return err
	}
	before := len(l.buffer)
	defer func() { budget.saw(len(l.buffer) - before) }()
	l.buffer = appendUsers(l.buffer, users, l.url, l.first)
	l.first = l.first && len(users) == 0
	l.next = next
	if next == "" {
		l.done = true
		l.buffer = append(l.buffer, ']')
	}
	return nil
}

// SupportsBodyWriteTo tells fasthttp that WriteTo sends what Read would return.
func (l *list) SupportsBodyWriteTo() bool { return true }

// WriteTo sends the list, a page a write.
func (l *list) WriteTo(w io.Writer) (int64, error) {
	for {
		if len(l.buffer) > 0 {
			n, err := w.Write(l.buffer)
			l.sent += n
			if err != nil {
				l.err = err
				return int64(l.sent), err
			}
			l.buffer = l.buffer[:0]
		}
		if l.done {
			return int64(l.sent), nil
		}
		if l.err = l.read(); l.err != nil {
			// The connection is closed without an end to the body: no client takes half a list for a whole one.
			return int64(l.sent), l.err
		}
	}
}

// Read is WriteTo for those who would rather read.
func (l *list) Read(p []byte) (int, error) {
	for len(l.buffer) == 0 {
		if l.done {
			return 0, io.EOF
		}
		if l.err = l.read(); l.err != nil {
			return 0, l.err
		}
	}
	n := copy(p, l.buffer)
	l.buffer = l.buffer[n:]
	l.sent += n
	return n, nil
}

// Close is there for fasthttp to find CloseWithError.
func (l *list) Close() error { return nil }

// CloseWithError ends the exchange. err is what kept the answer from being written.
func (l *list) CloseWithError(err error) error {
	if l.err != nil {
		err = l.err
	}
	if err == nil && (!l.done || len(l.buffer) > 0) {
		err = errors.New("the list was not sent to its end")
	}
	l.server.end(l.exchange, http.StatusOK, l.sent, err)
	return nil
}

func appendUsers(dst []byte, users []user.User, url string, first bool) []byte {
	for i, u := range users {
		if i > 0 || !first {
			dst = append(dst, ',')
		}
		dst = u.AppendJSON(dst, url)
	}
	return dst
}
