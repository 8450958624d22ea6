// Command bench measures prima-api beside the same API in idiomatic Go and in Flask, and writes the
// table and the chart of docs/performance.md. Run it in the root of the repository, on Linux.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() { os.Exit(execute(run)) }

// execute runs a function with a context that ends when the process is interrupted, and returns the
// exit code.
func execute(run func(context.Context) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

func run(ctx context.Context) (err error) {
	if len(os.Args) == 2 {
		return child(ctx, os.Args[1])
	}
	b := &bench{rounds: 3, duration: 2 * time.Second, measured: map[key][]float64{}}
	if b.dir, err = os.MkdirTemp("", "prima-bench"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	fmt.Println("building the servers")
	if err := errors.Join(b.build(ctx), b.pin(ctx)); err != nil {
		return err
	}
	for _, w := range works(b.duration) {
		if err := b.measure(ctx, w); err != nil {
			return err
		}
	}
	return b.report("docs")
}

// build compiles the servers in Go as the Dockerfile does, but without -trimpath, which would
// compile every package again. Flask takes part if a Python has flask and boto3.
func (b *bench) build(ctx context.Context) error {
	build := exec.CommandContext(ctx, "go", "build", "-tags", "grpcnotrace", "-buildvcs=false", //nolint:gosec // our own
		"-ldflags", "-s -w", "-o", b.dir, "./app/cmd/prima-api", "./bench/idiomatic")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	b.sides = []side{
		{primaAPI, []string{filepath.Join(b.dir, "prima-api")}},
		{idiomaticGo, []string{filepath.Join(b.dir, "idiomatic")}},
	}
	const hasFlask = "import sys, boto3, flask; print(sys.executable, end='')"
	for _, python := range []string{"python3", "/usr/bin/python3"} { // the system's has the system's packages
		executable, err := exec.CommandContext(ctx, python, "-c", hasFlask).Output() //nolint:gosec // constants
		if err == nil {
			b.sides = append(b.sides, side{flask, []string{string(executable), "bench/flask/app.py"}})
			break
		}
	}
	if len(b.sides) == 2 {
		fmt.Println("skipped: Flask: no Python has flask and boto3")
	}
	b.sides = append(b.sides, side{name: bareLoop})
	return nil
}
