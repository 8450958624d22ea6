package api

import (
	"errors"
	"io"
	"net/http"

	"github.com/gofiber/fiber/v2"
)

// A stream is the body of a response that is written after its handler has returned. It ends the
// request when the last of it has been sent.
type stream struct {
	server  *Server
	request *request
	write   func(io.Writer) error
	w       io.Writer // the connection; nil until the body is written
	sent    int       // bytes
	err     error     // why the body is not complete
}

// sendStream sends what write writes, of size bytes, or in chunks if size is negative. An error of
// write breaks the response off, and so does a panic.
func (s *Server) sendStream(c *fiber.Ctx, size int, write func(io.Writer) error) error {
	if c.Method() == fiber.MethodHead {
		return c.SendStream(http.NoBody, size)
	}
	r := requestOf(c)
	r.streamed = true
	notSent := errors.New("the response was not sent")
	return c.SendStream(&stream{server: s, request: r, write: write, err: notSent}, size)
}

// SupportsBodyWriteTo implements [fasthttp.BodyWriterTo].
func (b *stream) SupportsBodyWriteTo() bool { return true }

// WriteTo implements [io.WriterTo]. After an error fasthttp closes the connection without an end to
// the body, so that no client takes a part of it for the whole.
func (b *stream) WriteTo(w io.Writer) (int64, error) {
	b.w = w
	b.err = func() (err error) {
		defer b.server.metrics.recoverTo(&err)
		return b.write(b)
	}()
	return int64(b.sent), b.err
}

// Write implements [io.Writer] and counts the bytes that the client is sent.
func (b *stream) Write(p []byte) (int, error) {
	n, err := b.w.Write(p)
	b.sent += n
	return n, err
}

// Read implements [io.Reader], which fasthttp wants of a body that it writes by WriteTo.
func (b *stream) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

// CloseWithError implements [fasthttp.ReadCloserWithError]. err is why the response was not sent.
func (b *stream) CloseWithError(err error) error {
	if b.err != nil && (b.w != nil || err == nil) {
		err = b.err
	}
	b.server.end(b.request, http.StatusOK, b.sent, err)
	return nil
}
