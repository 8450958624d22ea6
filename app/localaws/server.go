package localaws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Server is an [AWS] on a listener.
type Server struct {
	http *http.Server
	addr *net.TCPAddr
	done chan struct{}
	err  error // of Serve, once done is closed
}

// Listen serves a on a TCP address such as 127.0.0.1:4566, :4566 or 127.0.0.1:0, where port 0 takes
// any that is free. Connections are accepted when it returns. The error wraps the system's, such
// as [syscall.EADDRINUSE].
func (a *AWS) Listen(addr string) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("localaws: %w", err)
	}
	address, _ := l.Addr().(*net.TCPAddr) // what a listener on tcp has
	s := &Server{
		http: &http.Server{
			Handler:           a,
			ReadHeaderTimeout: 10 * time.Second,
			// What goes wrong is answered, and net/http would log each lost connection.
			ErrorLog: log.New(io.Discard, "", 0),
		},
		addr: address,
		done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.err = err
		}
	}()
	return s, nil
}

// URL returns the endpoint for clients on this machine, such as http://127.0.0.1:4566, without a
// slash at its end.
func (s *Server) URL() string {
	ip := s.addr.IP
	if ip.IsUnspecified() {
		ip = net.IPv4(127, 0, 0, 1)
	}
	return "http://" + net.JoinHostPort(ip.String(), strconv.Itoa(s.addr.Port))
}

// Close ends every connection at once and returns when no more are accepted. It may be called
// again.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.done
	return errors.Join(err, s.err)
}

// Shutdown accepts no more connections and waits until running requests have been answered, or
// until ctx is done, whose error it then returns. Connections that remain are ended by
// [Server.Close].
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	<-s.done
	return errors.Join(err, s.err)
}
