// Command localaws serves DynamoDB, S3 and STS' GetCallerIdentity on one port, in memory, for
// development and tests. See package localaws for what it does and does not do.
//
//	localaws [flags]                      until a signal
//	localaws [flags] command [argument…]  for as long as the command runs, which finds it in its environment
//
// It starts with the table and the bucket of the contract, or with -empty as LocalStack does, for
// deployments that make them.
//
// It listens on 127.0.0.1:4566, so that nobody else on the network reaches what has neither
// passwords nor encryption. In a container that would be nobody at all: there GATEWAY_LISTEN says
// 0.0.0.0:4566, which is LocalStack's name for it and its value in its own image. -addr goes before
// the variable.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"prima.internal/app/config"
	"prima.internal/app/localaws"
)

// shutdownTime is how long running requests may take after a signal.
const shutdownTime = 5 * time.Second

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	status, err := run(signals, os.Args[1:], os.Environ(), os.Stdout)
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "localaws:", err)
	}
	os.Exit(status)
}

// run serves until a signal, or for as long as the command in args runs. It returns the status to
// exit with: the command's own, or 1 with an error.
func run(signals <-chan os.Signal, args, environ []string, out io.Writer) (status int, err error) {
	contract := config.Default()
	flags := flag.NewFlagSet("localaws", flag.ContinueOnError)
	flags.SetOutput(out)
	addr := flags.String("addr", cmp.Or(lookup(environ, "GATEWAY_LISTEN"), "127.0.0.1:4566"), "`address` to listen on; port 0 takes any that is free; GATEWAY_LISTEN sets the default")
	var o localaws.Options
	flags.StringVar(&o.Table, "table", contract.Table, "`name` of the DynamoDB table to create")
	flags.StringVar(&o.Bucket, "bucket", contract.Bucket, "`name` of the S3 bucket to create")
	flags.StringVar(&o.Region, "region", contract.Region, "AWS `region` to be")
	empty := flags.Bool("empty", false, "create neither table nor bucket")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0, nil
	case err != nil:
		return 1, err
	}
	if *empty {
		o.Table, o.Bucket = "", ""
	}
	aws, err := localaws.New(o)
	if err != nil {
		return 1, err
	}
	server, err := aws.Listen(*addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return 1, fmt.Errorf("%s is taken, perhaps by another localaws or LocalStack; stop that one or choose another with -addr", *addr)
	case err != nil:
		return 1, err
	}
	_, _ = fmt.Fprintf(out, "DynamoDB and S3 in memory on %s (table %s, bucket %s, region %s)\n",
		server.URL(), cmp.Or(o.Table, "none"), cmp.Or(o.Bucket, "none"), o.Region)

	variables := []string{"AWS_ENDPOINT_URL=" + server.URL(), "AWS_REGION=" + o.Region, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test"}
	if flags.NArg() > 0 {
		status, err = command(signals, flags.Args(), append(slices.Clone(environ), variables...))
	} else {
		_, _ = fmt.Fprintln(out, strings.Join(variables, " "))
		<-signals
	}
	return status, errors.Join(err, shutdown(signals, server))
}

// lookup returns the value of a variable, "" if it is not set.
func lookup(environ []string, name string) string {
	for _, variable := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return ""
}

// command runs a command to its end and returns its exit status, 0 if it was interrupted: that is how
// one ends it. What a terminal sends to everything that runs in it, the command has got already;
// other signals are passed on.
func command(signals <-chan os.Signal, args, environ []string) (status int, err error) {
	c := exec.Command(args[0], args[1:]...) //nolint:gosec,noctx // the command is the caller's own, and ends by signals
	c.Env = environ
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := c.Start(); err != nil {
		return 1, err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	interrupted := false
	for {
		select {
		case s := <-signals:
			if s == os.Interrupt {
				interrupted = true
			} else {
				_ = c.Process.Signal(s) // it may just have ended
			}
		case err := <-ended:
			if interrupted {
				return 0, nil
			}
			if _, exited := errors.AsType[*exec.ExitError](err); exited {
				return max(c.ProcessState.ExitCode(), 1), nil
			}
			return 0, err
		}
	}
}

// shutdown lets running requests finish; a second signal ends it at once.
func shutdown(signals <-chan os.Signal, server *localaws.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests were still running: %w", err), server.Close())
	}
	return nil
}
