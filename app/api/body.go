package api

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync/atomic"

	"github.com/gofiber/fiber/v2"
)

// maxDiscard is how much of a refused body is read and thrown away, so that a client that is
// still sending gets to see the answer. READ_TIMEOUT bounds the time.
const maxDiscard = 16 << 20

// A bodyReader reads the body of a request. fasthttp neither bounds a body that it streams nor
// says so when the client hangs up in the middle of one: both are done here.
type bodyReader struct {
	stream   io.Reader
	declared int64 // Content-Length; negative: not known
	limit    int64
	read     int64
	client   *connection
	err      error // what ended the reading, unless that was the end of the body
}

// A connection remembers that its client has stopped sending. To fasthttp, a chunked body whose
// client hangs up between two chunks is one that ended.
type connection struct {
	net.Conn
	ended atomic.Bool
}

func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, io.EOF) {
		c.ended.Store(true)
	}
	return n, err
}

// A listener accepts connections as [connection]s.
type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c}, nil
}

// newBody returns the body of the request, of which at most limit bytes can be read.
func newBody(c *fiber.Ctx, limit int64) (*bodyReader, error) {
	if encoding := c.Get(fiber.HeaderContentEncoding); encoding != "" && encoding != "identity" {
		return nil, errMediaType.with("a request body is not compressed", nil)
	}
	b := &bodyReader{stream: c.Context().RequestBodyStream(), declared: int64(c.Request().Header.ContentLength()), limit: limit}
	b.client, _ = c.Context().Conn().(*connection)
	if b.stream == nil {
		b.stream = bytes.NewReader(c.Request().Body())
	}
	if b.declared > limit {
		return nil, errBodyTooLarge
	}
	return b, nil
}

func (b *bodyReader) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.stream.Read(p)
	b.read += int64(n)
	switch {
	case b.read > b.limit:
		b.err = errBodyTooLarge
	case errors.Is(err, io.EOF) && b.brokenOff(), errors.Is(err, io.ErrUnexpectedEOF):
		b.err = errIncomplete.with("", io.ErrUnexpectedEOF)
	case errors.Is(err, io.EOF):
		return n, io.EOF
	case err != nil:
		b.err = bodyFault(err)
	}
	return n, b.err
}

// brokenOff reports whether the stream ended before the body did.
func (b *bodyReader) brokenOff() bool {
	if b.declared >= 0 {
		return b.read < b.declared
	}
	return b.client != nil && b.client.ended.Load()
}

func bodyFault(err error) error {
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return errTimeout.with("the body did not arrive in time", err)
	}
	return errIncomplete.with("", err) // a broken chunk, a broken connection
}

// all reads the body to its end.
func (b *bodyReader) all() ([]byte, error) {
	buffer := bytes.NewBuffer(make([]byte, 0, max(b.declared, 0)+bytes.MinRead))
	_, err := buffer.ReadFrom(b)
	return buffer.Bytes(), err
}

// discardBody reads on where a handler has refused the rest of a body.
func discardBody(c *fiber.Ctx) {
	if stream := c.Context().RequestBodyStream(); stream != nil {
		_, _ = io.CopyN(io.Discard, stream, maxDiscard)
	}
}
