package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"prima.internal/app/config"
)

// A request is what is known of a request until its response has been sent. Its strings are copies,
// because fasthttp reuses the buffers in which those of Fiber lie.
type request struct {
	id      string
	start   time.Time
	method  string
	path    string
	remote  string
	host    string // without a dot at its end, with the port
	token   string // name of the access token
	route   string
	conn    *connection
	context context.Context //nolint:containedctx // of the request, and as long-lived as it
	span    trace.Span
	body    *bodyReader // nil if it was not opened
	expects bool        // the client waits for 100 Continue before it sends the body: see expect
	// streamed is set if the response is written after the handler has returned. The stream then
	// ends the request.
	streamed bool
	ends     []func()
}

// onEnd calls f when the response has been sent or given up.
func (r *request) onEnd(f func()) { r.ends = append(r.ends, f) }

const requestKey = "request"

// requestOf returns the request that observe began.
func requestOf(c *fiber.Ctx) *request {
	return c.Locals(requestKey).(*request) //nolint:forcetypeassert // observe is around every handler
}

// requestIDPattern is what a request id from outside may be, to stand in headers and logs.
var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// observe is around every handler: it gives the request its id, turns errors and panics into
// responses, and logs, counts and traces the request.
func (s *Server) observe(c *fiber.Ctx) error {
	r := s.begin(c)
	err := s.recovered(c, r)
	if errors.Is(err, errContinue) {
		r.expects = false
		return nil
	}
	unread := r.expects || c.Context().RequestBodyStream() != nil && (r.body == nil || !r.body.whole)
	s.finish(c, r, err, unread)
	return nil
}

// onParseError responds to requests that no handler has seen because the parser gave up on them.
func (s *Server) onParseError(c *fiber.Ctx, err error) error {
	p := asProblem(err)
	p = p.with(p.detail, nil) // the cause quotes the request, in which a token could be
	s.finish(c, s.begin(c), p, true)
	return nil
}

// begin starts to time, count and trace a request.
func (s *Server) begin(c *fiber.Ctx) *request {
	if r, ok := c.Locals(requestKey).(*request); ok { // see expect
		return r
	}
	id := strings.Clone(c.Get(fiber.HeaderXRequestID))
	if !requestIDPattern.MatchString(id) {
		id = uuid.NewString()
	}
	header := &c.Request().Header
	conn, _ := c.Context().Conn().(*connection) // the listener makes no other
	r := &request{
		id:      id,
		start:   time.Now(),
		method:  string(header.Method()),
		path:    string(c.Request().URI().PathOriginal()),
		remote:  c.Context().RemoteAddr().String(),
		conn:    conn,
		expects: c.Request().MayContinue() && c.Context().RequestBodyStream() == nil && hasBody(header),
	}
	r.route = s.routes.of(r.path)
	s.metrics.active.WithLabelValues(r.route).Inc()
	s.startSpan(c, r)
	c.Locals(requestKey, r)
	return r
}

// recovered runs the handlers and returns a panic as an error.
func (s *Server) recovered(c *fiber.Ctx, r *request) (err error) {
	defer s.metrics.recoverTo(&err)
	if err := s.checkHost(c); err != nil {
		return err
	}
	if r.conn.refusal != nil {
		c.Context().SetConnectionClose()
		if !isProbe(c.Path()) {
			return errBusy
		}
	}
	return c.Next()
}

func isProbe(path string) bool { return path == config.PathHealth || path == config.PathReady }

// securityHeaders are on every response that does not set its own, as the pages for people do.
var securityHeaders = map[string]string{
	fiber.HeaderXContentTypeOptions:   "nosniff",
	fiber.HeaderContentSecurityPolicy: "default-src 'none'; frame-ancestors 'none'; sandbox",
	fiber.HeaderReferrerPolicy:        "no-referrer",
	fiber.HeaderCacheControl:          "no-store",
}

// finish makes an error the response and completes its headers. unread is whether the client may
// still be sending a body.
func (s *Server) finish(c *fiber.Ctx, r *request, err error, unread bool) {
	if err != nil {
		asProblem(err).send(c.Response())
	}
	header := &c.Response().Header
	if unread {
		// The connection waits for the client when it is closed, unless that was too slow already.
		r.conn.unread.Store(c.Response().StatusCode() != http.StatusRequestTimeout)
		if c.Request().Header.ContentLength() < 0 {
			// fasthttp may close the connection after it has read on for a while. The client must
			// know before it sends its next request.
			header.SetConnectionClose()
		}
	}
	header.Set(fiber.HeaderXRequestID, r.id)
	for name, value := range securityHeaders {
		if len(header.Peek(name)) == 0 {
			header.Set(name, value)
		}
	}
	s.allowOrigin(c)
	if s.draining.Load() {
		header.SetConnectionClose()
	}
	if r.streamed {
		return
	}
	size := 0
	if !c.Response().IsBodyStream() {
		size = len(c.Response().Body())
	}
	s.end(r, c.Response().StatusCode(), size, err)
}

// end is called once for every request, when its response has been sent or given up.
func (s *Server) end(r *request, status, size int, err error) {
	for _, f := range r.ends {
		f()
	}
	s.metrics.count(r, status, size)
	if r.streamed && err != nil {
		s.metrics.lost.Inc()
	}
	r.endSpan(status, size, err)
	level := slog.LevelInfo
	switch {
	case isProbe(r.path): // one comes every few seconds
		level = slog.LevelDebug
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	}
	attrs := []slog.Attr{
		slog.String("method", r.method),
		slog.String("path", r.path),
		slog.Int("status", status),
		slog.Int("bytes", size),
		slog.Float64("duration_ms", float64(time.Since(r.start).Microseconds())/1000),
		slog.String("remote", r.remote),
	}
	if r.token != "" {
		attrs = append(attrs, slog.String("token", r.token))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	s.log.LogAttrs(r.context, level, "request", attrs...)
}

// work returns the context for a request's calls of the service. It is not fasthttp's own, which
// ends when the server begins to shut down.
func (s *Server) work(c *fiber.Ctx) (context.Context, context.CancelFunc) {
	return context.WithTimeout(requestOf(c).context, s.config.RequestTimeout)
}
