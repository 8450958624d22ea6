package api

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

const (
	// freeBody is the largest body, in bytes, that reserves no memory: the buffer of its connection
	// holds it, and MAX_CONNECTIONS bounds those.
	freeBody = 4 << 10
	// stallGrace is how long a body may take to begin before it can be taken for stalled.
	stallGrace = time.Second
)

// A bodyReader reads the body of a request, at most limit bytes of it. fasthttp neither bounds a
// body that it streams, nor reports that a client hung up in the middle of one.
type bodyReader struct {
	stream io.Reader
	length int64 // Content-Length; negative: not known
	limit  int64
	size   int64 // the most bytes that the body can have: length, or limit
	conn   *connection
	start  time.Time

	read     atomic.Int64
	dropped  atomic.Bool
	received func() // called when the reading ends; may be nil
	whole    bool   // the body has been read to its end
	err      error  // why it has not; nil while it is read
}

// openBody returns the body of the request. Memory for its length, or for limit bytes, is reserved
// until the response has been sent.
func (s *Server) openBody(c *fiber.Ctx, limit int64) (*bodyReader, error) {
	for _, encoding := range c.Request().Header.PeekAll(fiber.HeaderContentEncoding) {
		if len(encoding) > 0 && !strings.EqualFold(string(encoding), "identity") {
			return nil, errMediaType.with("a request body is not compressed", nil)
		}
	}
	r := requestOf(c)
	b := &bodyReader{
		stream: c.Context().RequestBodyStream(), length: int64(c.Request().Header.ContentLength()),
		limit: limit, size: limit, conn: r.conn,
	}
	if b.stream == nil {
		b.stream = bytes.NewReader(c.Request().Body())
	}
	if b.length >= 0 {
		b.size = b.length
	}
	switch {
	case b.length > limit:
		return nil, errBodyTooLarge
	case r.expects:
		return nil, errContinue
	}
	r.body = b
	if b.size <= freeBody {
		return b, nil
	}
	release, err := s.memory.bodies.reserve(b.size)
	if err != nil {
		return nil, err
	}
	b.start = time.Now()
	b.received = s.memory.bodies.receive(b)
	r.onEnd(b.received)
	r.onEnd(release)
	return b, nil
}

// Read implements [io.Reader].
func (b *bodyReader) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.stream.Read(p)
	read := b.read.Add(int64(n))
	var end error
	switch {
	case read > b.limit:
		b.err = errBodyTooLarge
	case errors.Is(err, io.EOF) && b.cutOff(), errors.Is(err, io.ErrUnexpectedEOF):
		b.err = errIncomplete.with("", io.ErrUnexpectedEOF)
	case errors.Is(err, io.EOF):
		b.whole, end = true, io.EOF
	case err != nil && b.dropped.Load():
		b.err = errBusy.with("the body arrives too slowly while others wait for memory", err)
	case isTimeout(err):
		b.err = errTimeout.with("the body did not arrive in time", err)
	case err != nil:
		b.err = errIncomplete.with("", err) // a broken chunk, a broken connection
	}
	if b.received != nil && (b.whole || b.err != nil) {
		b.received()
	}
	return n, cmp.Or(b.err, end)
}

// cutOff reports whether the stream ended before the body did. fasthttp takes a chunked body whose
// client hangs up between two chunks for a whole one.
func (b *bodyReader) cutOff() bool {
	if b.length >= 0 {
		return b.read.Load() < b.length
	}
	return b.conn.ended.Load()
}

// stalled reports whether the body, at the rate at which it has arrived so far, would take longer
// than READ_TIMEOUT.
func (b *bodyReader) stalled() bool {
	elapsed, within := time.Since(b.start), b.conn.server.config.ReadTimeout
	return elapsed > stallGrace && float64(b.read.Load())*float64(within) < float64(b.size)*float64(elapsed)
}

// drop ends the reading. The request gets a 503.
func (b *bodyReader) drop() {
	b.dropped.Store(true)
	_ = b.conn.SetReadDeadline(time.Now())
}

var (
	// jsonType matches JSON and the types that are built on it: RFC 6839 §3.1.
	jsonType = regexp.MustCompile(`^(?:application/json|[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+\+json)$`)
	// boundaryParameter matches the boundary of a form. Clients of the earlier service send those
	// that need quotes without them.
	boundaryParameter = regexp.MustCompile(
		`(?i);[ \t]*boundary=(?:([0-9A-Za-z'()+_./:=?-]*)|"((?:[^"\\]|\\.)*)")[ \t]*(?:;|$)`)
	quotedPair   = regexp.MustCompile(`\\(["\\])`)
	boundaryName = regexp.MustCompile(`(?i)boundary=`)
)

// mediaType returns the type of the body, in lower case, and its boundary if there is one; JSON if
// there is no Content-Type. Nothing else in the header matters, even if it is malformed.
func mediaType(c *fiber.Ctx) (mediaType, boundary string, err error) {
	header := c.Get(fiber.HeaderContentType)
	if header == "" {
		return fiber.MIMEApplicationJSON, "", nil
	}
	count := 0 // the parser keeps only the last
	for line := range bytes.Lines(c.Request().Header.RawHeaders()) {
		if name, _, _ := bytes.Cut(line, []byte{':'}); strings.EqualFold(string(name), fiber.HeaderContentType) {
			count++
		}
	}
	if count > 1 {
		return "", "", errMediaType.with("Content-Type is there twice", nil)
	}
	mediaType, _, _ = strings.Cut(header, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	names := boundaryName.FindAllString(header, 2)
	if mediaType != fiber.MIMEMultipartForm || len(names) == 0 {
		return mediaType, "", nil
	}
	found := boundaryParameter.FindStringSubmatch(header)
	if found == nil || len(names) > 1 {
		return "", "", errMediaType.with("the boundary cannot be read", nil)
	}
	return mediaType, found[1] + quotedPair.ReplaceAllString(found[2], "$1"), nil
}

// hasBody reports whether a request has a body, in chunks or with a length.
func hasBody(header *fasthttp.RequestHeader) bool {
	n := header.ContentLength()
	return n > 0 || n == -1 // in chunks
}

// expect is called for a client that waits for 100 Continue before it sends the body of a request.
// It runs the handlers without the body. What they decide from the header is the response; if they
// ask for the body, they run again once the client sends it.
//
// fasthttp asks an ExpectHandler to leave the response alone, but would send a refusal without a
// body. It sends the response as it finds it; func expect of package apitest fails if that changes.
func (s *Server) expect(fctx *fasthttp.RequestCtx) (status int) {
	if !hasBody(&fctx.Request.Header) {
		return http.StatusContinue
	}
	s.app.Server().Handler(fctx)
	if r, ok := fctx.UserValue(requestKey).(*request); ok && !r.expects {
		fctx.Response.Reset()
		return http.StatusContinue
	}
	return fctx.Response.StatusCode()
}
