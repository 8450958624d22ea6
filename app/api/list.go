package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
	"github.com/gofiber/fiber/v2"
	"go.opentelemetry.io/otel/trace"

	"prima.internal/app/user"
)

const (
	maxLimit     = 1000
	defaultLimit = 100 // if there is a cursor and no limit

	// pageMemory is about what a page of the store takes, in bytes: 1 MB as DynamoDB counts while it
	// is read, and as much as the JSON of a response.
	pageMemory = 2 << 20
	// userMemory is what a user of a page with a limit takes.
	userMemory = 2 << 10
	// smallBody is the largest response, in bytes, that the kernel takes at once, so that clients
	// which read slowly hold no memory of the process.
	smallBody = 64 << 10

	listFailed = "Failed to list users"
)

var (
	errLimit = newProblem(http.StatusBadRequest, "Invalid 'limit'",
		fmt.Sprintf("a limit is a whole number from 1 to %d", maxLimit))
	errCursor = newProblem(http.StatusBadRequest, "Invalid 'cursor'",
		"a cursor comes from the Link header of an earlier response")
)

// A page is the JSON of some users, on its way to one client or to several.
type page struct {
	json []byte // starts with a bracket, and ends with one if it is a whole list
	next string // where the list continues, as in [user.Page]
	etag string // "" unless it is a whole list

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

// listUsers handles GET /users: all users or, with a limit or a cursor, some of them. Its first
// page decides the status.
func (s *Server) listUsers(c *fiber.Ctx) error {
	q, err := pageQuery(c)
	if err != nil {
		return err
	}
	r, url := requestOf(c), s.usersURL(c)
	ctx, cancel := s.work(c)
	defer cancel()
	by := "shared" // who read the page: this request for itself and others, or another
	p, err := s.reads.get(ctx, fmt.Sprint(url, " ", q.Limit, " ", q.After), func() (*page, error) {
		by = "own"
		return s.readPage(r.context, url, q)
	})
	if err != nil {
		return failed(listFailed, err)
	}
	s.metrics.pages.WithLabelValues(by).Inc()
	if by == "shared" {
		r.link(p.reader)
	}
	if q.Limit == 0 && p.next != "" {
		return s.sendLongList(c, p, url)
	}
	r.onEnd(p.release)
	if p.next != "" {
		c.Set(fiber.HeaderLink, fmt.Sprintf(`<%s?limit=%d&cursor=%s>; rel="next"`, url, q.Limit, encodeCursor(p.next)))
	}
	return s.sendPage(c, p)
}

func pageQuery(c *fiber.Ctx) (q user.PageQuery, err error) {
	args := c.Context().QueryArgs()
	limits, cursors := args.PeekMulti("limit"), args.PeekMulti("cursor")
	if len(limits) > 0 {
		n, err := strconv.ParseUint(string(limits[0]), 10, 16)
		if err != nil || len(limits) > 1 || n < 1 || n > maxLimit {
			return q, errLimit
		}
		q.Limit = int(n)
	}
	if len(cursors) > 0 {
		q.Limit = cmp.Or(q.Limit, defaultLimit)
		q.After, err = decodeCursor(string(cursors[0]))
		if len(cursors) > 1 {
			err = errCursor
		}
	}
	return q, err
}

// readPage reads a page of the store: a whole list, or the beginning of a longer one. It returns a
// panic as an error.
func (s *Server) readPage(parent context.Context, url string, q user.PageQuery) (p *page, err error) {
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
	defer func() {
		if err != nil {
			free()
		}
	}()
	defer s.metrics.recoverTo(&err)
	read, err := s.service.Page(ctx, []byte{'['}, url, q)
	if err != nil {
		return nil, err
	}
	p = &page{json: read.JSON, next: read.Next, free: free, reader: trace.SpanContextFromContext(parent)}
	if q.Limit > 0 || p.next == "" {
		p.json = append(p.json, ']')
		p.etag = etag(p.json, p.next)
		if len(p.json) <= smallBody {
			p.free()
		}
	}
	return p, nil
}

// etag returns the entity tag of a document and of the link to what follows, if there is one.
func etag(json []byte, next string) string {
	hash := xxhash.New()
	_, _ = hash.Write(json)
	_, _ = hash.WriteString(next)
	return fmt.Sprintf(`"%x"`, hash.Sum64())
}

// sendPage sends a whole list, or 304 if the client has it.
func (s *Server) sendPage(c *fiber.Ctx, p *page) error {
	c.Set(fiber.HeaderCacheControl, "private, no-cache")
	if done, err := notModified(c, p.etag); done || err != nil {
		return err
	}
	if len(p.json) <= smallBody {
		return sendJSON(c, p.json)
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return s.sendStream(c, len(p.json), func(w io.Writer) error {
		_, err := w.Write(p.json)
		return err
	})
}

// A cursor is the id of the user that a list continues after, and a check over it, in base64url.
// The check finds what was cut off, mistyped or made up. It hides nothing: ids are public.
const (
	cursorCheckBytes = 4
	// maxCursorID is the longest id in bytes: the longest partition key of DynamoDB.
	maxCursorID = 2048
)

func encodeCursor(id string) string {
	check := sha256.Sum256([]byte("users after " + id))
	return base64.RawURLEncoding.EncodeToString(append([]byte(id), check[:cursorCheckBytes]...))
}

// decodeCursor is the inverse of encodeCursor. The error is errCursor.
func decodeCursor(cursor string) (id string, err error) {
	data, _ := base64.RawURLEncoding.DecodeString(cursor)
	if n := len(data) - cursorCheckBytes; n > 0 && n <= maxCursorID {
		id = string(data[:n])
	}
	// Several texts decode to the same bytes, but only one of them is the cursor of the id.
	if id == "" || !utf8.ValidString(id) || encodeCursor(id) != cursor {
		return "", errCursor
	}
	return id, nil
}
