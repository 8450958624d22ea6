package api

import (
	"errors"
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

func (s *Server) newListener(l net.Listener) *listener {
	return &listener{Listener: l, server: s, close: sync.OnceValue(l.Close)}
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
