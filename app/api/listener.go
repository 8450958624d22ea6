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

	"prima.internal/app/config"
)

const (
	// maxRefusals is how many connections beyond MAX_CONNECTIONS get a response at a time. A
	// refusal, with what the client still sends after it, takes at most refusalTime.
	maxRefusals = 1024
	refusalTime = 2 * time.Second
	// acceptPause is how long the listener waits if the process has no file descriptor left.
	acceptPause = 50 * time.Millisecond
	// silence is how long a connection that has sent nothing may hold up the end of the process.
	silence = time.Second
)

// A listener accepts at most MAX_CONNECTIONS connections at a time.
type listener struct {
	net.Listener

	server *Server
	close  func() error // of Listener, once

	open, refusing, lingering atomic.Int64

	mu     sync.Mutex
	silent map[*connection]time.Time // connections that have sent nothing, and since when
}

func (s *Server) newListener(l net.Listener) *listener {
	return &listener{Listener: l, server: s, close: sync.OnceValue(l.Close), silent: map[*connection]time.Time{}}
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
		if l.open.Add(1) <= int64(l.server.config.MaxConnections) {
			accepted := &connection{Conn: c, listener: l, most: mostOfARequest(l.server.config)}
			l.mu.Lock()
			l.silent[accepted] = time.Now()
			l.mu.Unlock()
			return accepted, nil
		}
		l.open.Add(-1)
		l.server.metrics.refused.Inc()
		if l.refusing.Add(1) > maxRefusals {
			l.refusing.Add(-1)
			_ = c.Close()
			continue
		}
		go l.refuse(c)
	}
}

// refuse responds to one request with 503, and to a probe as it should be.
func (l *listener) refuse(c net.Conn) {
	end := time.Now().Add(refusalTime)
	defer func() {
		_ = c.Close()
		l.refusing.Add(-1)
		if r := recover(); r != nil {
			l.server.log.Error("refuse a connection", "error", l.server.panicked(r))
		}
	}()
	_ = c.SetDeadline(end)
	// The client would take a response before its request for a mistake.
	r, err := http.ReadRequest(bufio.NewReaderSize(io.LimitReader(c, maxHeaderBytes), maxHeaderBytes))
	if err != nil {
		return
	}
	status, contentType, body := l.server.overloaded(r.URL.Path)
	header := http.Header{"Content-Type": {contentType}}
	for name, value := range securityHeaders {
		header.Set(name, value)
	}
	id := r.Header.Get(fiber.HeaderXRequestID)
	if !validRequestID(id) {
		id = uuid.NewString()
	}
	header.Set(fiber.HeaderXRequestID, id)
	if status == http.StatusServiceUnavailable {
		header.Set("Retry-After", retryAfter)
	}
	response := http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Request: r, Close: true,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	if response.Write(c) == nil && r.ContentLength != 0 {
		linger(c, end, refusalTime)
	}
}

// overloaded returns the response to a connection beyond the limit.
func (s *Server) overloaded(path string) (status int, contentType string, body []byte) {
	var p *problem
	switch path {
	case config.PathHealth:
		return http.StatusOK, fiber.MIMEApplicationJSON, []byte(healthy)
	case config.PathReady:
		if body, p = s.readyBody(); p == nil {
			return http.StatusOK, fiber.MIMEApplicationJSON, body
		}
	default:
		p = errBusy
	}
	return p.status, problemType, p.body()
}

// closeSilent closes the connections that have had the time to send something. fasthttp would wait
// for them for 5 s.
func (l *listener) closeSilent() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c, since := range l.silent {
		if time.Since(since) >= silence {
			_ = c.Conn.Close()
		}
	}
}
