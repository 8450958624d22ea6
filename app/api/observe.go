package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"prima.internal/app/config"
	"prima.internal/app/telemetry"
)

// An exchange is one request and its answer, for the log.
type exchange struct {
	id      string
	start   time.Time
	method  string
	path    string
	remote  string
	token   string          // name of the access token that it was made with
	context context.Context //nolint:containedctx // of the request, and as long-lived as it
	// streamed is set where the answer is still to be written when the handler returns; the one
	// who writes it then ends the exchange.
	streamed bool
	// release gives back the memory that the request took; may be nil.
	release func()
	body    *bodyReader // nil where it was not looked at
	policy  string      // Content-Security-Policy of a page; empty for everything else
	route   *route
	span    trace.Span // nil where nothing is traced
}

const exchangeKey = "exchange"

// observe is around every handler: it gives the request its id, turns errors and panics into
// answers, and writes the request's line in the log.
func (s *Server) observe(c *fiber.Ctx) error {
	e := s.begin(c)
	err := s.recovered(c)
	if err != nil {
		asProblem(err).send(c.Response())
	}
	if c.Context().RequestBodyStream() != nil && (e.body == nil || !e.body.whole) {
		leaveUnread(c)
	}
	s.finish(c, e, err)
	return nil
}

// onParseError answers what no handler has seen: requests that the parser gave up on.
func (s *Server) onParseError(c *fiber.Ctx, err error) error {
	e := s.begin(c)
	p := asProblem(err)
	p.send(c.Response())
	leaveUnread(c)
	// What the parser says quotes the request: a token could be in it.
	s.finish(c, e, errors.New(p.error))
	return nil
}

// leaveUnread notes that the client may still be sending when it is answered. One whose time was up
// has had its chance.
func leaveUnread(c *fiber.Ctx) {
	if client, ok := c.Context().Conn().(*connection); ok {
		client.unread.Store(c.Response().StatusCode() != http.StatusRequestTimeout)
	}
	if c.Request().Header.ContentLength() < 0 {
		// fasthttp reads a rest of which it does not know the length for a while, and may end the connection
		// then. Said too late, that costs the client its next request.
		c.Context().SetConnectionClose()
	}
}

func (s *Server) begin(c *fiber.Ctx) *exchange {
	id := c.Get(fiber.HeaderXRequestID)
	if validRequestID(id) {
		id = string([]byte(id)) // the request's buffer is used again before a stream ends
	} else {
		id = uuid.NewString()
	}
	e := &exchange{
		id:     id,
		start:  time.Now(),
		method: string(c.Request().Header.Method()),
		path:   string(c.Request().URI().PathOriginal()),
		remote: c.Context().RemoteAddr().String(),
	}
	e.route = s.routes.of(e.path)
	e.route.active.Inc()
	e.context = s.traced(telemetry.WithRequestID(context.Background(), id), c, e)
	c.Locals(exchangeKey, e)
	return e
}

// exchangeOf returns the exchange that observe began.
func exchangeOf(c *fiber.Ctx) *exchange {
	return c.Locals(exchangeKey).(*exchange) //nolint:forcetypeassert // observe is around every handler
}

// recovered runs the handlers and returns a panic as an error.
func (s *Server) recovered(c *fiber.Ctx) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.metrics.panics.Inc()
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return c.Next()
}

// securityHeaders are on every answer. Nothing that is served here is a page but those of pages.go, which have a policy of
// their own, and nothing may treat it as one.
var securityHeaders = map[string]string{
	fiber.HeaderXContentTypeOptions:   "nosniff",
	fiber.HeaderContentSecurityPolicy: "default-src 'none'; frame-ancestors 'none'; sandbox",
	fiber.HeaderReferrerPolicy:        "no-referrer",
}

func (s *Server) finish(c *fiber.Ctx, e *exchange, err error) {
	header := &c.Response().Header
	header.Set(fiber.HeaderXRequestID, e.id)
	for name, value := range securityHeaders {
		header.Set(name, value)
	}
	if e.policy != "" {
		header.Set(fiber.HeaderContentSecurityPolicy, e.policy)
	}
	if s.draining.Load() {
		header.SetConnectionClose()
	}
	if e.streamed {
		return
	}
	size := 0
	if !c.Response().IsBodyStream() {
		size = len(c.Response().Body())
		if client, ok := c.Context().Conn().(*connection); ok && hasBody(c) {
			client.answers(size)
		}
	}
	s.end(e, c.Response().StatusCode(), size, err)
}

// hasBody reports whether the body of a request's answer is sent.
func hasBody(c *fiber.Ctx) bool {
	switch status := c.Response().StatusCode(); {
	case c.Method() == fiber.MethodHead, c.Response().SkipBody:
		return false
	default:
		return status >= http.StatusOK && status != http.StatusNoContent && status != http.StatusNotModified
	}
}

// end is called once for every exchange, when the last of its answer has been sent or given up: it gives back what the request took,
// counts it, ends its span and writes its one line.
func (s *Server) end(e *exchange, status, size int, err error) {
	if e.release != nil {
		e.release()
	}
	s.metrics.count(e, status, size)
	if e.streamed && err != nil {
		s.metrics.lost.Inc()
	}
	e.endSpan(status, size, err)
	level := slog.LevelInfo
	switch {
	case e.path == config.PathHealth || e.path == config.PathReady: // asked every few seconds
		level = slog.LevelDebug
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	}
	if !s.log.Enabled(e.context, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", e.method),
		slog.String("path", e.path),
		slog.Int("status", status),
		slog.Int("bytes", size),
		slog.Float64("duration_ms", float64(time.Since(e.start).Microseconds())/1000),
		slog.String("remote", e.remote),
	}
	if e.token != "" {
		attrs = append(attrs, slog.String("token", e.token))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	s.log.LogAttrs(e.context, level, "request", attrs...)
}

// validRequestID reports whether an id from outside may stand in headers and logs.
func validRequestID(id string) bool {
	if len(id) < 1 || len(id) > 128 {
		return false
	}
	for _, b := range []byte(id) {
		letter := b|0x20 >= 'a' && b|0x20 <= 'z'
		digit := b >= '0' && b <= '9'
		if !letter && !digit && b != '.' && b != '_' && b != '-' {
			return false
		}
	}
	return true
}

// work returns the context in which a request's calls to the directory are made. It is not
// fasthttp's own: that one ends when the server begins to shut down.
func (s *Server) work(c *fiber.Ctx) (context.Context, context.CancelFunc) {
	return context.WithTimeout(exchangeOf(c).context, s.config.RequestTimeout)
}
