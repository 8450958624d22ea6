// Command localaws serves DynamoDB, S3 and STS' GetCallerIdentity on one port, in memory, for
// development and tests. See package localaws for what it does and does not do.
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
	"os/signal"
	"syscall"
	"time"

	"prima.internal/app/config"
	"prima.internal/app/localaws"
)

// shutdownTime is how long running requests may take after a signal.
const shutdownTime = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, stop, os.Args[1:], os.Getenv, os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "localaws:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done. Then it calls stop, so that a second signal ends the process at
// once, and lets running requests finish.
func run(ctx context.Context, stop func(), args []string, getenv func(string) string, out io.Writer) error {
	contract := config.Default()
	flags := flag.NewFlagSet("localaws", flag.ContinueOnError)
	flags.SetOutput(out)
	addr := flags.String("addr", cmp.Or(getenv("GATEWAY_LISTEN"), "127.0.0.1:4566"), "`address` to listen on; port 0 takes any that is free; GATEWAY_LISTEN sets the default")
	var o localaws.Options
	flags.StringVar(&o.Table, "table", contract.Table, "`name` of the DynamoDB table to create")
	flags.StringVar(&o.Bucket, "bucket", contract.Bucket, "`name` of the S3 bucket to create")
	flags.StringVar(&o.Region, "region", contract.Region, "AWS `region` to be")
	empty := flags.Bool("empty", false, "create neither table nor bucket")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; see -help", flags.Arg(0))
	}
	if *empty {
		o.Table, o.Bucket = "", ""
	}
	aws, err := localaws.New(o)
	if err != nil {
		return err
	}
	server, err := aws.Listen(*addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is taken, perhaps by another localaws or LocalStack; stop that one or choose another with -addr", *addr)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "DynamoDB and S3 in memory on %s (table %s, bucket %s, region %s)\n",
		server.URL(), cmp.Or(o.Table, "none"), cmp.Or(o.Bucket, "none"), o.Region)
	fmt.Fprintf(out, "AWS_ENDPOINT_URL=%s AWS_REGION=%s AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test\n", server.URL(), o.Region)

	<-ctx.Done()
	stop()
	end, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	if err := server.Shutdown(end); err != nil {
		return errors.Join(fmt.Errorf("requests were still running after %s: %w", shutdownTime, err), server.Close())
	}
	return nil
}
