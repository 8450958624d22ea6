package api

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// maxRefusals is how many connections beyond MAX_CONNECTIONS get a response at a time, each for
	// at most refusalTime.
	maxRefusals = 1024
	refusalTime = 2 * time.Second
	// acceptPause is how long the listener waits if the process has no file descriptor left.
	acceptPause = 50 * time.Millisecond
)

// connections are numbers of connections that are open, that are refused, and that linger.
type connections struct{ open, refused, lingering atomic.Int64 }

// A listener accepts MAX_CONNECTIONS connections at a time, and some more that get a 503.
type listener struct {
	net.Listener

	server *Server
	close  func() error // of Listener, once
}

// Close implements [net.Listener].
func (l *listener) Close() error { return l.close() }

// Accept implements [net.Listener]. fasthttp ends when it fails, so it waits for a lack of file
// descriptors to pass.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		switch {
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ECONNABORTED):
			time.Sleep(acceptPause)
			continue
		case err != nil:
			return nil, err
		}
		s := l.server
		accepted := &connection{Conn: c, server: s, of: &s.connections.open}
		if s.connections.open.Add(1) <= int64(s.config.MaxConnections) {
			return accepted, nil
		}
		s.connections.open.Add(-1)
		s.metrics.refused.Inc()
		accepted.of = &s.connections.refused
		accepted.refusal = time.AfterFunc(refusalTime, func() { _ = c.Close() })
		if s.connections.refused.Add(1) <= maxRefusals {
			return accepted, nil
		}
		_ = accepted.Close()
	}
}

// maxLinger bounds what is read of a connection after its last response, in bytes.
const maxLinger = 64 << 20

// A connection knows what fasthttp does not tell: that its client has stopped sending, and that a
// body was not read to its end.
type connection struct {
	net.Conn

	server   *Server
	of       *atomic.Int64 // the number that the connection is counted in
	refusal  *time.Timer   // closes a connection beyond MAX_CONNECTIONS; nil: it is none
	ended    atomic.Bool
	unread   atomic.Bool
	begun    bool         // something has been read
	bare     bool         // the first header ends in bare line feeds
	received atomic.Int64 // bytes since the last response
	once     sync.Once
}

var (
	errTooMuch  = errors.New("there is more of the request than any can have")
	errLineFeed = errors.New("the lines of the header end without a carriage return")
)

// Read implements [net.Conn]. fasthttp reads the extension of a chunk without an end, so all that
// is read of a request is bounded: in chunks of one byte, a body takes six times its length.
func (c *connection) Read(p []byte) (int, error) {
	limits := &c.server.config
	if c.received.Load() > 8*max(limits.MaxAvatarBytes+maxFormOverhead, limits.MaxJSONBytes) {
		c.ended.Store(true)
		return 0, errTooMuch
	}
	if c.bare { // fasthttp would wait for carriage returns until READ_TIMEOUT
		return 0, errLineFeed
	}
	n, err := c.Conn.Read(p)
	if !c.begun && n > 0 {
		c.begun, c.bare = true, endsBare(p[:n])
	}
	c.received.Add(int64(n))
	if errors.Is(err, io.EOF) {
		c.ended.Store(true)
	}
	return n, err
}

// endsBare reports whether the beginning of a request is a header whose last line ends in a bare
// line feed, as netcat sends it.
func endsBare(begin []byte) bool {
	complete := bytes.Contains(begin, []byte("\r\n\r\n"))
	return !complete && (bytes.HasSuffix(begin, []byte("\n\n")) || bytes.HasSuffix(begin, []byte("\n\r\n")))
}

// Close implements [net.Conn]. If the client still sends the body of a request that was refused, it
// ends the response and throws away what comes, within bounds: to close at once would make the
// kernel send a reset, which discards a response that the client has not read (RFC 9112 §9.6).
func (c *connection) Close() (err error) {
	c.once.Do(func() {
		if c.unread.Load() && !c.ended.Load() {
			c.server.connections.lingering.Add(1)
			c.linger(c.server.config.ReadTimeout)
			c.server.connections.lingering.Add(-1)
		}
		if c.refusal != nil {
			c.refusal.Stop()
		}
		err = c.Conn.Close()
		c.of.Add(-1)
	})
	return err
}

// linger reads until the client closes the connection, for at most timeout, or a sixth of it
// without a byte.
func (c *connection) linger(timeout time.Duration) {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	end := time.Now().Add(timeout)
	for left := int64(maxLinger); left > 0; {
		deadline := time.Now().Add(timeout / 6)
		if deadline.After(end) {
			deadline = end
		}
		if c.SetReadDeadline(deadline) != nil {
			return
		}
		n, err := io.CopyN(io.Discard, c.Conn, min(left, 64<<10))
		left -= n
		if err != nil {
			return
		}
	}
}
