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
	sent    int64 // bytes
	done    bool  // the body has been written to its end
	err     error
}

// sendStream sends what write writes, of size bytes, or in chunks if size is negative. An error of
// write breaks the response off, and so does a panic.
func (s *Server) sendStream(c *fiber.Ctx, size int64, write func(io.Writer) error) error {
	if c.Method() == fiber.MethodHead {
		return c.SendStream(http.NoBody, int(size))
	}
	r := requestOf(c)
	r.streamed = true
	return c.SendStream(&stream{server: s, request: r, write: write}, int(size))
}

// SupportsBodyWriteTo implements [fasthttp.BodyWriterTo].
func (b *stream) SupportsBodyWriteTo() bool { return true }

// WriteTo implements [io.WriterTo]. After an error fasthttp closes the connection without an end to
// the body, so that no client takes half of it for all.
func (b *stream) WriteTo(w io.Writer) (n int64, err error) {
	defer func() { n, b.done, b.err = b.sent, err == nil, err }()
	defer b.server.metrics.recoverTo(&err)
	return 0, b.write(countingWriter{w, &b.sent})
}

// Read implements [io.Reader], which fasthttp wants of a body that it writes by WriteTo.
func (b *stream) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

// CloseWithError implements [fasthttp.ReadCloserWithError]. err is why the response was not sent.
func (b *stream) CloseWithError(err error) error {
	switch {
	case b.err != nil:
		err = b.err
	case err == nil && !b.done:
		err = errors.New("the response was not sent")
	}
	b.server.end(b.request, http.StatusOK, int(b.sent), err)
	return nil
}

type countingWriter struct {
	io.Writer
	n *int64
}

func (w countingWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	*w.n += int64(n)
	return n, err
}
