package api

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// A bodyReader reads the body of a request. fasthttp neither bounds a body that it streams nor
// says so when the client hangs up in the middle of one: both are done here.
type bodyReader struct {
	stream   io.Reader
	declared int64 // Content-Length; negative: not known
	limit    int64
	read     int64
	client   *connection
	exchange *exchange
	whole    bool  // the end of the body has been read
	err      error // what ended the reading, unless that was the end of the body
}

// newBody returns the body of the request, of which at most limit bytes can be read. The memory for
// it is taken of a share, until the request has been answered, and before any of it is read.
func newBody(c *fiber.Ctx, limit int64, from share) (*bodyReader, error) {
	for _, encoding := range c.Request().Header.PeekAll(fiber.HeaderContentEncoding) {
		if len(encoding) > 0 && !strings.EqualFold(string(encoding), "identity") {
			return nil, errMediaType.with("a request body is not compressed", nil)
		}
	}
	b := &bodyReader{stream: c.Context().RequestBodyStream(), declared: int64(c.Request().Header.ContentLength()), limit: limit}
	b.client, _ = c.Context().Conn().(*connection)
	if b.stream == nil {
		b.stream = bytes.NewReader(c.Request().Body())
	}
	if b.declared > limit {
		return nil, errBodyTooLarge
	}
	expected := b.declared
	if expected < 0 {
		expected = limit
	}
	release, err := from.take(expected)
	if err != nil {
		return nil, err
	}
	b.exchange = exchangeOf(c)
	b.exchange.release, b.exchange.body = release, b
	return b, nil
}

// lend returns memory of length 0 for what is read of the body, at most limit bytes of it, and the end. It is the request's
// until that has been answered.
func (b *bodyReader) lend(from *buffers, limit int64) []byte {
	expected := b.declared
	if expected < 0 {
		expected = limit
	}
	memory := from.take(min(expected, limit) + bytes.MinRead)
	release := b.exchange.release
	b.exchange.release = func() {
		from.give(memory)
		release()
	}
	return memory
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
		b.whole = true
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
