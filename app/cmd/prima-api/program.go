package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"prima.internal/app/api"
	"prima.internal/app/awsclient"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
	"prima.internal/app/dynamo"
	"prima.internal/app/telemetry"
	"prima.internal/app/user"
)

// A program is the API, wired and listening.
type program struct {
	config   config.Config
	server   *api.Server
	listener net.Listener
	admin    *telemetry.Admin
	operator net.Listener // of admin
	tracing  *telemetry.Tracing
	log      *slog.Logger
}

// newProgram wires the API and binds its ports, so that one that is taken fails at once.
func newProgram(ctx context.Context, c config.Config, tracing *telemetry.Tracing, log *slog.Logger) (*program, error) {
	cfg, err := awsclient.Load(ctx, c, log)
	if err != nil {
		return nil, err
	}
	calls := awsclient.Observe(&cfg)
	users, avatars := dynamo.New(cfg, c), bucket.New(cfg, c)
	directory := &user.Service{Users: users, Avatars: avatars, Log: log}
	server := api.New(c, directory, []api.Dependency{
		{Name: "dynamodb", Check: users.Check},
		{Name: "s3", Check: avatars.Check},
	}, log)
	server.Trace(tracing.Tracer())
	build := telemetry.Build{Version: version, Revision: revision}
	p := &program{
		config: c, server: server, log: log, tracing: tracing,
		admin: telemetry.NewAdmin(
			telemetry.NewRegistry(build, server, calls, users, tracing), build, server.Ready(), log),
	}
	if p.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", ":"+strconv.Itoa(c.Port)); err != nil {
		return nil, fmt.Errorf("PORT=%d: %w", c.Port, err)
	}
	if p.operator, err = new(net.ListenConfig).Listen(ctx, "tcp", ":"+strconv.Itoa(c.AdminPort)); err != nil {
		_ = p.listener.Close()
		return nil, fmt.Errorf("ADMIN_PORT=%d: %w", c.AdminPort, err)
	}
	return p, nil
}

// Addr returns the address that the API listens on.
func (p *program) Addr() string { return p.listener.Addr().String() }

// AdminAddr returns the address that operators are served on.
func (p *program) AdminAddr() string { return p.operator.Addr().String() }

// errSecondSignal ends a stop that somebody did not want to wait for.
var errSecondSignal = errors.New("a second signal: running requests were cut off")

// run serves until a signal, then drains: for the drain time everything is still served, then the
// listener closes, and running requests have the shutdown time to finish; of what they leave of it, the last traces are exported.
// Operators are served to the end. A second signal ends it at once.
func (p *program) run(stop <-chan os.Signal) error {
	go p.admin.Serve(p.operator)
	defer p.admin.Close()
	served := make(chan error, 1)
	go func() { served <- p.server.Serve(p.listener) }()

	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case sig := <-stop:
		p.log.Info("draining", "signal", sig.String(), "drain_time", p.config.DrainTime.String())
	}
	p.server.Drain()
	select {
	case <-time.After(p.config.DrainTime):
	case <-stop:
		return errSecondSignal
	}

	ctx, cancel := context.WithTimeout(context.Background(), p.config.ShutdownTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.server.Shutdown(ctx) }()
	select {
	case err := <-done:
		p.exportRest(ctx, stop)
		if err != nil {
			return fmt.Errorf("running requests were cut off after SHUTDOWN_TIMEOUT: %w", err)
		}
		return nil
	case <-stop:
		return errSecondSignal
	}
}

// exportRest exports the traces that are left, until ctx ends or a signal comes. What cannot be exported is no failure of the API.
func (p *program) exportRest(ctx context.Context, stop <-chan os.Signal) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.tracing.Shutdown(ctx) }()
	select {
	case err := <-done:
		if err != nil {
			p.log.Warn("traces are lost", "error", err)
		}
	case <-ctx.Done():
		p.log.Warn("traces are lost", "error", ctx.Err())
	case <-stop:
	}
}
