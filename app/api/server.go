// Package api serves the directory of users over HTTP. It is the only package that knows Fiber.
package api

import (
	"context"
	"log/slog"
	"math"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/cors"
	"github.com/valyala/fasthttp"
	"go.opentelemetry.io/otel/trace"

	"prima.internal/app/config"
	"prima.internal/app/user"
)

// maxHeaderBytes bounds the request line and the headers of a request; more is a 431.
const maxHeaderBytes = 8 << 10

// writeBufferBytes is what is held back of an answer until there is more.
const writeBufferBytes = 4 << 10

// A Server is the API on one listener.
type Server struct {
	config    config.Config
	directory *user.Directory
	readiness *readiness
	budget    *budget
	shared    *sharer
	kept      keptPages
	metrics   *metrics
	routes    routes
	tracer    trace.Tracer // nil: nothing is traced
	pages     atomic.Int64 // of the store, that the latest whole list had
	buffers   buffers
	log       *slog.Logger
	app       *fiber.App
	listener  atomic.Pointer[listener]
	draining  atomic.Bool
	stopped   atomic.Bool            // Shutdown has been called
	lastHost  atomic.Pointer[string] // see host
}

// New returns a server that is not listening yet. dependencies are what /readyz asks for.
func New(c config.Config, directory *user.Directory, dependencies []Dependency, log *slog.Logger) *Server {
	s := &Server{
		config: c, directory: directory, log: log, metrics: newMetrics(),
		readiness: newReadiness(dependencies, log),
		budget:    newBudget(c.RequestMemory, c.RequestTimeout/5),
		shared:    newSharer(c.ListSharing, c.RequestTimeout/50),
	}
	s.buffers.limit = s.budget.uploads.size
	s.app = fiber.New(fiber.Config{
		AppName:               "prima-api",
		DisableStartupMessage: true,
		ErrorHandler:          s.onParseError,
		CaseSensitive:         true,
		StrictRouting:         true,

		// A body is read by the handler that knows how much of it to take. BodyLimit does not
		// apply to a streamed body: see package fasthttp and body.go.
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		ReadBufferSize:               maxHeaderBytes,
		WriteBufferSize:              writeBufferBytes,

		ReadTimeout:  c.ReadTimeout,
		WriteTimeout: c.WriteTimeout,
		IdleTimeout:  c.IdleTimeout,
		Concurrency:  math.MaxInt32, // the listener counts
	})
	server := s.app.Server()
	server.CloseOnShutdown = true       // tells clients that the connection they were answered on is going away
	server.SecureErrorLogMessage = true // keeps what clients sent out of error texts
	server.Logger = frameworkLog{log}
	server.ConnState = func(c net.Conn, state fasthttp.ConnState) {
		if client, ok := c.(*connection); ok && state == fasthttp.StateIdle {
			client.unread.Store(false) // fasthttp has read the rest
			client.received.Store(0)
		}
	}

	s.app.Use(s.observe)
	if len(c.CORSOrigins) > 0 {
		s.app.Use(cors.New(cors.Config{
			AllowOrigins:  strings.Join(c.CORSOrigins, ","),
			AllowMethods:  "GET,HEAD,POST,PUT,PATCH,DELETE",
			AllowHeaders:  "Authorization,Content-Type,If-None-Match," + headerIdempotencyKey + "," + headerTraceParent + "," + headerTraceState + "," + fiber.HeaderXRequestID,
			ExposeHeaders: "ETag,Link,Location,Retry-After,WWW-Authenticate," + headerTraceResponse + "," + fiber.HeaderXRequestID,
			MaxAge:        600,
		}))
	}
	s.app.Get(config.PathHealth, s.health)
	s.app.Get(config.PathReady, s.ready)
	s.app.Get(config.PathDescription, s.describe)
	s.app.Get(config.PathUsers+"/:id/avatar", s.getAvatar) // asks for permission itself
	if c.Pages {
		s.servePages()
	}
	s.app.Use(s.guard)
	s.app.Post(config.PathUser, s.createUser)
	s.app.Post(config.PathUsers, s.createUser)
	s.app.Get(config.PathUsers, s.listUsers)
	s.app.Get(config.PathUsers+"/:id", s.getUser)
	s.app.Patch(config.PathUsers+"/:id", s.updateUser)
	s.app.Delete(config.PathUsers+"/:id", s.deleteUser)
	s.app.Put(config.PathUsers+"/:id/avatar", s.putAvatar)
	s.app.Delete(config.PathUsers+"/:id/avatar", s.deleteAvatar)

	s.routes = newRoutes(s.app, s.metrics)

	// Fiber answers a method that it does not know by itself, and in plain text.
	known := s.app.Config().RequestMethods
	handler := s.app.Handler()
	server.Handler = func(fctx *fasthttp.RequestCtx) {
		if slices.Contains(known, string(fctx.Method())) {
			handler(fctx)
			return
		}
		c := s.app.AcquireCtx(fctx)
		defer s.app.ReleaseCtx(c)
		_ = s.onParseError(c, fiber.ErrNotImplemented)
	}
	return s
}

// Serve answers on the listener until Shutdown, and asks the dependencies for their state meanwhile.
func (s *Server) Serve(l net.Listener) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go s.readiness.watch(ctx)
	limited := &listener{Listener: l, limit: int64(s.config.MaxConnections), patience: s.config.ReadTimeout, most: mostOfARequest(s.config), full: s.overloaded, refused: s.metrics.refused, silent: map[*connection]time.Time{}}
	s.listener.Store(limited)
	if s.stopped.Load() { // Shutdown may have found no listener to close
		return limited.Close()
	}
	return s.app.Listener(limited)
}

// Drain makes /readyz say 503 and every answer tell its client to use another connection for the
// next request. Everything is still served.
func (s *Server) Drain() { s.draining.Store(true) }

// Shutdown closes the listener and the idle connections and waits until the running requests are
// answered and their clients have had the time to read that. A Serve that begins after it ends at once. It returns the
// error of ctx if that ends first; then the process must exit, since the connections that are left would go on being served.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	s.stopped.Store(true)
	l := s.listener.Load()
	if l == nil {
		return nil
	}
	// fasthttp closes what it serves already, which may be nothing yet.
	if err := l.Close(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- s.app.ShutdownWithContext(ctx) }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				return err
			}
			for l.lingering.Load() > 0 && ctx.Err() == nil { // every request has been answered
				<-tick.C
			}
			return nil
		case <-tick.C:
			l.closeSilent()
		}
	}
}

// frameworkLog takes fasthttp's own lines: clients that hang up or talk nonsense. What they said is left
// out: a token could be in it.
type frameworkLog struct{ log *slog.Logger }

func (l frameworkLog) Printf(format string, _ ...any) {
	l.log.Debug(format, "source", "fasthttp")
}
