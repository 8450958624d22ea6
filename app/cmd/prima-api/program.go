package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"prima.internal/app/api"
	"prima.internal/app/awsclient"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
	"prima.internal/app/dynamo"
	"prima.internal/app/telemetry"
	"prima.internal/app/user"
)

// A program is the API with what it needs.
type program struct {
	config  config.Config
	server  *api.Server
	admin   *http.Server
	tracing *telemetry.Tracing
	log     *slog.Logger
}

// serve serves until a signal. It returns the exit status.
func serve(environ []string, stderr io.Writer) int {
	c, warnings, err := config.Load(environ)
	if err != nil {
		return wrongSettings(stderr, err)
	}
	p := &program{config: c, log: telemetry.NewLogger(stderr, c)}
	if len(c.AccessTokens) == 0 {
		warnings = append(warnings, "everybody may read and write: ACCESS_TOKENS is empty")
	}
	for _, warning := range warnings {
		p.log.Warn(warning)
	}
	build := telemetry.Build{Version: version, Revision: revision}
	if p.tracing, err = telemetry.NewTracing(environ, build, p.log); err != nil {
		return wrongSettings(stderr, err)
	}
	if err = p.wire(context.Background(), build); err == nil {
		err = p.run()
	}
	if err != nil {
		p.log.Error("stopped", "error", err)
		return 1
	}
	p.log.Info("stopped")
	return 0
}

// wire makes the servers.
func (p *program) wire(ctx context.Context, build telemetry.Build) error {
	c, log := p.config, p.log
	cfg, err := awsclient.Load(ctx, c, log)
	if err != nil {
		return err
	}
	calls := awsclient.Observe(&cfg)
	users, avatars := dynamo.New(cfg, c), bucket.New(cfg, c)
	p.server = api.New(c, &user.Service{Users: users, Avatars: avatars, Log: log}, []api.Dependency{
		{Name: "dynamodb", Check: users.Check},
		{Name: "s3", Check: avatars.Check},
	}, log)
	p.server.Trace(p.tracing.Tracer())
	metrics := telemetry.NewRegistry(build, p.server, calls, users, p.tracing)
	p.admin = telemetry.NewAdmin(c, metrics, build, p.server, log)
	return nil
}

// run serves until a signal, and for DRAIN_TIME after it. Then it closes the API's port and gives
// running requests and the last traces SHUTDOWN_TIMEOUT to finish. A second signal ends it at once.
func (p *program) run() error {
	ctx := context.Background()
	listener, err := listen(ctx, "", p.config.Port)
	if err != nil {
		return fmt.Errorf("PORT=%d: %w", p.config.Port, err)
	}
	operator, err := listen(ctx, p.config.AdminAddress, p.config.AdminPort)
	if err != nil {
		return fmt.Errorf("ADMIN_ADDRESS=%s ADMIN_PORT=%d: %w", p.config.AdminAddress, p.config.AdminPort, err)
	}
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(stop)
	p.log.Info("listening", "address", listener.Addr().String(), "admin", operator.Addr().String(),
		"version", version, "revision", revision, "traces", p.tracing.Endpoint(),
		"gomaxprocs", runtime.GOMAXPROCS(0), "gomemlimit", p.setMemory())

	served := make(chan error, 2)
	go func() { served <- p.admin.Serve(operator) }()
	defer func() { _ = p.admin.Close() }()
	go func() { served <- p.server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case sig := <-stop:
		p.log.Info("draining", "signal", sig.String(), "drain_time", p.config.DrainTime.String())
	}
	p.server.Drain()
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		<-stop
		cancel(errors.New("a second signal: running requests were cut off"))
	}()
	select {
	case <-time.After(p.config.DrainTime):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	ctx, done := context.WithTimeoutCause(ctx, p.config.ShutdownTimeout,
		errors.New("running requests were cut off after SHUTDOWN_TIMEOUT"))
	defer done()
	err = p.server.Shutdown(ctx)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if lost := p.tracing.Shutdown(ctx); lost != nil { // no failure of the API
		p.log.Warn("traces are lost", "error", lost)
	}
	return err
}

// listen listens on an IP address; on all addresses if it is empty.
func listen(ctx context.Context, address string, port int) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(port)))
}

const (
	// memoryShare of a container's memory is GOMEMLIMIT by default. The rest is for what the Go
	// runtime does not count: the buffers of sockets, and the pages of the program.
	memoryShare = 0.8
	// garbagePercent is GOGC by default. With Go's 100 the heap, a few megabytes, is collected tens
	// of times a second under load, for a third of the processor time.
	garbagePercent = 400
	// limitOfRequests times REQUEST_MEMORY is GOMEMLIMIT where there is no container.
	limitOfRequests = 4
)

// setMemory sets GOMEMLIMIT and GOGC unless the environment does. It returns GOMEMLIMIT in bytes.
func (p *program) setMemory() int64 {
	limit, _ := memlimit.Set(memlimit.WithRatio(memoryShare)) // 0 without cgroups
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set && (limit == 0 || limit == math.MaxInt64) {
		limit = limitOfRequests * p.config.RequestMemory
		debug.SetMemoryLimit(limit)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	return limit
}
