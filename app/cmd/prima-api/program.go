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
	"prima.internal/app/user"
)

// A program is the API, wired and listening.
type program struct {
	config   config.Config
	server   *api.Server
	listener net.Listener
	log      *slog.Logger
}

// newProgram wires the API and binds its port, so that a port that is taken fails at once.
func newProgram(ctx context.Context, c config.Config, log *slog.Logger) (*program, error) {
	cfg, err := awsclient.Load(ctx, c, log)
	if err != nil {
		return nil, err
	}
	users, avatars := dynamo.New(cfg, c), bucket.New(cfg, c)
	directory := &user.Directory{Users: users, Avatars: avatars, Log: log}
	server := api.New(c, directory, []api.Dependency{
		{Name: "dynamodb", Check: awsclient.Warm(cfg.HTTPClient, users.Check, log)},
		{Name: "s3", Check: awsclient.Warm(cfg.HTTPClient, avatars.Check, log)},
	}, log)
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", ":"+strconv.Itoa(c.Port))
	if err != nil {
		return nil, fmt.Errorf("PORT=%d: %w", c.Port, err)
	}
	return &program{config: c, server: server, listener: listener, log: log}, nil
}

// Addr returns the address that the API listens on.
func (p *program) Addr() string { return p.listener.Addr().String() }

// errSecondSignal ends a stop that somebody did not want to wait for.
var errSecondSignal = errors.New("a second signal: running requests were cut off")

// run serves until a signal, then drains: for the drain time everything is still served, then the
// listener closes, and running requests have the shutdown time to finish. A second signal ends it at once.
func (p *program) run(stop <-chan os.Signal) error {
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
		if err != nil {
			return fmt.Errorf("running requests were cut off after SHUTDOWN_TIMEOUT: %w", err)
		}
		return nil
	case <-stop:
		return errSecondSignal
	}
}
