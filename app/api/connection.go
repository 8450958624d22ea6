package api

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"prima.internal/app/config"
)

// maxLinger bounds what is still read of a connection when its last answer has been sent, in bytes:
// see [connection.Close].
const maxLinger = 64 << 20

// Bounds of refusing connections that are too many.
const (
	maxRefusals = 1024
	refusalTime = 2 * time.Second
)

// acceptPause is how long the listener waits when the process has no file descriptor left.
const acceptPause = 50 * time.Millisecond

// A listener accepts connections as [connection]s, at most limit at a time.
type listener struct {
	net.Listener
	limit int64
	// patience is how long a client may go on sending what was refused. A sixth of it without a byte
	// is enough to be taken for gone.
	patience time.Duration
	// most bounds what is read of one request, in bytes.
	most int64
	// full answers, for one that is too many, a request for a path: status and body.
	full func(path string) (int, []byte)
	// refused counts those.
	refused prometheus.Counter

	open, refusing, lingering atomic.Int64
	closing                   sync.Once

	mu     sync.Mutex
	silent map[*connection]time.Time // since when: connections that have not sent a byte
}

// silence is how long a connection that says nothing holds up the end of the process. fasthttp would give it 5 s.
const silence = time.Second

// closeSilent closes the connections that have had the time to say something.
func (l *listener) closeSilent() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c, since := range l.silent {
		if time.Since(since) >= silence {
			_ = c.Conn.Close()
		}
	}
}

// Close implements [net.Listener]. Once is enough, and more often is no error.
func (l *listener) Close() (err error) {
	l.closing.Do(func() { err = l.Listener.Close() })
	return err
}

// Accept implements [net.Listener]. It does not end for a want of file descriptors, as fasthttp
// would: that passes.
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
		if l.open.Add(1) <= l.limit {
			accepted := &connection{Conn: c, listener: l}
			l.mu.Lock()
			l.silent[accepted] = time.Now()
			l.mu.Unlock()
			return accepted, nil
		}
		l.open.Add(-1)
		l.refused.Inc()
		if l.refusing.Add(1) > maxRefusals {
			l.refusing.Add(-1)
			_ = c.Close()
			continue
		}
		go func() {
			defer l.refusing.Add(-1)
			l.refuse(c)
		}()
	}
}

// refuse answers one request. That of a probe gets its proper answer: a replica that is busy must
// not be restarted for it.
func (l *listener) refuse(c net.Conn) {
	connection := &connection{Conn: c, listener: l, refused: true}
	defer func() { _ = connection.Close() }()
	_ = c.SetDeadline(time.Now().Add(refusalTime))
	// An answer before the request would be taken for a mistake, so the header is awaited.
	request, err := http.ReadRequest(bufio.NewReaderSize(io.LimitReader(c, maxHeaderBytes), maxHeaderBytes))
	if err != nil {
		return
	}
	status, body := l.full(request.URL.Path)
	header := http.Header{}
	for name, value := range securityHeaders {
		header.Set(name, value)
	}
	id := request.Header.Get(fiber.HeaderXRequestID)
	if !validRequestID(id) {
		id = uuid.NewString()
	}
	header.Set(fiber.HeaderXRequestID, id)
	header.Set("Content-Type", "application/json")
	if status == http.StatusServiceUnavailable {
		header.Set("Content-Type", problemType)
		header.Set("Retry-After", retryAfter)
	}
	answer := http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Request: request, Close: true,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	_ = answer.Write(c)
	connection.unread.Store(request.ContentLength != 0)
}

// overloaded is what a connection that is too many is answered.
func (s *Server) overloaded(path string) (int, []byte) {
	ok, dependencies := s.readiness.report()
	switch {
	case path == config.PathHealth:
		return http.StatusOK, []byte(healthy)
	case path == config.PathReady && ok && !s.draining.Load():
		return http.StatusOK, []byte(`{"status":"ready","dependencies":` + dependencies + `}`)
	}
	return http.StatusServiceUnavailable, errBusy.body()
}

// A connection remembers what fasthttp does not tell: that its client has stopped sending (a chunked
// body whose client hangs up between two chunks looks like one that ended), and that a body was not
// read to its end. And it sends an answer's head and body by one call of the kernel, which fasthttp does on connections of
// package net only.
type connection struct {
	net.Conn
	listener *listener
	refused  bool
	spoken   bool // only Read touches it, and one goroutine reads
	ended    atomic.Bool
	unread   atomic.Bool
	received atomic.Int64 // bytes, since the last request was answered
	once     sync.Once

	// The goroutine that serves the connection has these to itself.
	body int   // bytes of the answer's body, if it is long and nothing of the answer has been written
	head *head // what is held back of the answer
}

// A head is the first that is written of an answer, until the next is.
type head struct {
	bytes  [writeBufferBytes]byte
	length int
	pieces [2][]byte
	rest   net.Buffers // of pieces, while they are sent
}

var heads = sync.Pool{New: func() any { return new(head) }}

// answers says that what is written next is an answer with a body of n bytes, all of which will be written.
func (c *connection) answers(n int) {
	if n > writeBufferBytes { // else it may be one piece
		c.body = n
	}
}

// Write implements [net.Conn]. It holds back the first piece of a long answer, which is its header and a part of the body, until the
// second comes: there must be one, as the first is shorter than the body alone.
func (c *connection) Write(p []byte) (int, error) {
	more := len(p) < c.body && len(p) <= writeBufferBytes
	c.body = 0
	if more {
		c.head = heads.Get().(*head)             //nolint:forcetypeassert // nothing else is put there
		c.head.length = copy(c.head.bytes[:], p) // fasthttp uses its buffer again
		return len(p), nil
	}
	if c.head == nil {
		return c.Conn.Write(p)
	}
	h := c.head
	c.head = nil
	h.pieces = [2][]byte{h.bytes[:h.length], p}
	h.rest = h.pieces[:]
	n, err := h.rest.WriteTo(c.Conn)
	h.pieces, h.rest = [2][]byte{}, nil
	sent := max(int(n)-h.length, 0)
	heads.Put(h)
	return sent, err
}

var errTooMuch = errors.New("there is more of the request than any can have")

// mostOfARequest is a bound that no request comes near: in chunks of one byte, a body takes six times
// its length. It is for what fasthttp reads without an end, such as the extension of a chunk.
func mostOfARequest(c config.Config) int64 {
	return 8*max(c.MaxAvatarBytes+maxMultipartExtra, c.MaxJSONBytes) + maxHeaderBytes
}

// Read implements [net.Conn].
func (c *connection) Read(p []byte) (int, error) {
	if c.received.Load() > c.listener.most {
		c.ended.Store(true) // nobody waits for more of it
		return 0, errTooMuch
	}
	n, err := c.Conn.Read(p)
	c.received.Add(int64(n))
	if !c.spoken {
		c.spoken = true
		c.listener.mu.Lock()
		delete(c.listener.silent, c)
		c.listener.mu.Unlock()
	}
	if errors.Is(err, io.EOF) {
		c.ended.Store(true)
	}
	return n, err
}

// Close closes the connection, but not on a client that is still sending a body that was refused:
// the kernel would answer that with a reset, which takes away the answer that the client has not
// read yet. So the answer is ended first, and what still comes is read and thrown away, within
// bounds (RFC 9112 §9.6).
func (c *connection) Close() error {
	var err error
	c.once.Do(func() {
		if c.unread.Load() && !c.ended.Load() {
			c.listener.lingering.Add(1)
			defer c.listener.lingering.Add(-1)
			c.linger()
		}
		err = c.Conn.Close()
		c.listener.mu.Lock()
		delete(c.listener.silent, c)
		c.listener.mu.Unlock()
		if !c.refused {
			c.listener.open.Add(-1)
		}
	})
	return err
}

func (c *connection) linger() {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	end := time.Now().Add(c.listener.patience)
	for left := int64(maxLinger); left > 0; {
		deadline := time.Now().Add(c.listener.patience / 6)
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
