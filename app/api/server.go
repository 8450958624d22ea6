// Package api serves users over HTTP. It is the only package that knows Fiber.
//
// A request passes observe, which is around every handler, and guard, reaches the handler of its
// route (func addRoutes), and from there the [user.Service].
package api

import (
	"context"
	"log/slog"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"prima.internal/app/config"
	"prima.internal/app/user"
)

const (
	maxHeaderBytes   = 16 << 10 // of the request line and the headers; more is a 431
	writeBufferBytes = 4 << 10  // of the buffer in front of each connection
)

// A Server is the API on one listener. As a collector it has the metrics of the requests.
type Server struct {
	prometheus.Collector

	config      config.Config
	limits      user.Limits
	service     *user.Service
	readiness   *readiness
	memory      memory
	reads       *reads
	metrics     *metrics
	routes      routes
	origins     sync.Map // of requests, by their header: see keepOrigin
	tracer      trace.Tracer
	log         *slog.Logger
	app         *fiber.App
	listener    atomic.Pointer[listener]
	connections connections
	draining    atomic.Bool
	stopped     atomic.Bool // Shutdown has been called
}

// New returns a server that does not listen yet. /readyz reports the dependencies.
func New(c config.Config, service *user.Service, dependencies []Dependency, log *slog.Logger) *Server {
	m := newMetrics()
	s := &Server{
		Collector: m, config: c, service: service, log: log, metrics: m,
		limits:    user.Limits{Bytes: c.MaxAvatarBytes, Pixels: c.MaxAvatarPixels},
		readiness: newReadiness(dependencies, log, m),
		memory:    newMemory(c, m),
		tracer:    noop.Tracer{},
		reads:     newReads(m),
	}
	s.registerState()
	s.app = fiber.New(fiber.Config{
		DisableStartupMessage: true,
		ErrorHandler:          s.onParseError,
		CaseSensitive:         true,
		StrictRouting:         true,

		// Handlers read bodies, since they know how much to read. BodyLimit does not apply to a
		// streamed body: see body.go.
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		ReadBufferSize:               maxHeaderBytes,
		WriteBufferSize:              writeBufferBytes,

		ReadTimeout:  c.ReadTimeout,
		WriteTimeout: c.WriteTimeout,
		IdleTimeout:  c.IdleTimeout,
		Concurrency:  math.MaxInt32, // the listener counts
	})
	s.addRoutes()
	s.routes = newRoutes(s.app)

	server := s.app.Server()
	server.CloseOnShutdown = true       // tells clients that their connection will be closed
	server.SecureErrorLogMessage = true // keeps what clients sent out of error texts
	server.Logger = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	server.ExpectHandler = s.expect
	server.ConnState = func(c net.Conn, state fasthttp.ConnState) {
		if client, ok := c.(*connection); ok && state == fasthttp.StateIdle {
			client.unread.Store(false) // fasthttp has read the rest of the body
			client.received.Store(0)
		}
	}
	if len(c.CORSOrigins) > 0 && c.CORSOrigins[0] != everyOrigin {
		server.HeaderReceived = s.keepOrigin
	}
	// Fiber responds to a method that it does not know by itself, in plain text.
	known := s.app.Handler()
	server.Handler = func(fctx *fasthttp.RequestCtx) {
		if methodLabel(string(fctx.Method())) != otherMethod {
			known(fctx)
			return
		}
		c := s.app.AcquireCtx(fctx)
		defer s.app.ReleaseCtx(c)
		_ = s.onParseError(c, fiber.ErrNotImplemented)
	}
	return s
}

// Serve serves the API on a listener until Shutdown, and checks the dependencies meanwhile.
func (s *Server) Serve(l net.Listener) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go s.readiness.watch(ctx)
	limited := &listener{Listener: l, server: s, close: sync.OnceValue(l.Close)}
	s.listener.Store(limited)
	if s.stopped.Load() { // Shutdown may have found no listener to close
		return limited.Close()
	}
	return s.app.Listener(limited)
}

// Drain makes /readyz respond with 503, and every response tell its client to use another
// connection for the next request. Everything is still served.
func (s *Server) Drain() { s.draining.Store(true) }

// Shutdown closes the listener and the idle connections, and waits until the running requests have
// their responses and the clients have had time to read them. A later Serve returns at once. If ctx
// ends first its error is returned, and the process must exit: what is left goes on being served.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	s.stopped.Store(true)
	l := s.listener.Load()
	if l == nil {
		return nil
	}
	// fasthttp closes listeners that it serves, which this one may not be yet.
	if err := l.Close(); err != nil {
		return err
	}
	if err := s.app.ShutdownWithContext(ctx); err != nil {
		return err
	}
	for s.connections.lingering.Load() > 0 && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}
