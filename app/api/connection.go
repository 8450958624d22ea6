package api

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"prima.internal/app/config"
)

// A connection knows what fasthttp does not tell: that its client has stopped sending, and that a
// body was not read to its end.
type connection struct {
	net.Conn

	listener *listener
	most     int64 // bytes that are read of one request
	ended    atomic.Bool
	unread   atomic.Bool
	received atomic.Int64 // bytes since the last response
	spoken   bool         // only Read touches it
	once     sync.Once
}

// mostOfARequest is more than any request has: in chunks of one byte, a body takes six times its
// length. It bounds what fasthttp reads without an end, such as the extension of a chunk.
func mostOfARequest(c config.Config) int64 {
	return 8*max(c.MaxAvatarBytes+maxFormOverhead, c.MaxJSONBytes) + maxHeaderBytes
}

var errTooMuch = errors.New("there is more of the request than any can have")

// Read implements [net.Conn].
func (c *connection) Read(p []byte) (int, error) {
	if c.received.Load() > c.most {
		c.ended.Store(true)
		return 0, errTooMuch
	}
	n, err := c.Conn.Read(p)
	c.received.Add(int64(n))
	if !c.spoken {
		c.spoken = true
		c.forgetSilence()
	}
	if errors.Is(err, io.EOF) {
		c.ended.Store(true)
	}
	return n, err
}

func (c *connection) forgetSilence() {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	delete(c.listener.silent, c)
}

// Close implements [net.Conn].
func (c *connection) Close() (err error) {
	c.once.Do(func() {
		if c.unread.Load() && !c.ended.Load() {
			c.listener.lingering.Add(1)
			defer c.listener.lingering.Add(-1)
			timeout := c.listener.server.config.ReadTimeout
			linger(c.Conn, time.Now().Add(timeout), timeout/6)
		}
		err = c.Conn.Close()
		c.forgetSilence()
		c.listener.open.Add(-1)
	})
	return err
}

// maxLinger bounds what linger reads, in bytes.
const maxLinger = 64 << 20

// linger ends the response on a connection whose client still sends the body of a request that was
// refused, and throws away what comes, until the client closes the connection, pauses for longer
// than pause, or end. To close at once would make the kernel send a reset, which discards a response
// that the client has not read yet (RFC 9112 §9.6).
func linger(c net.Conn, end time.Time, pause time.Duration) {
	half, ok := c.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	for left := int64(maxLinger); left > 0; {
		deadline := time.Now().Add(pause)
		if deadline.After(end) {
			deadline = end
		}
		if c.SetReadDeadline(deadline) != nil {
			return
		}
		n, err := io.CopyN(io.Discard, c, min(left, 64<<10))
		left -= n
		if err != nil {
			return
		}
	}
}
