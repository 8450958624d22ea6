// Command dev-runner is all that is in the image for development in the cluster: it runs the program that it was sent last.
//
//	dev-runner                     runs what it is sent, until a signal
//	dev-runner receive SIZE SUM    sends it the program on standard input, whose size in bytes and SHA-256 in hex these are
package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"prima.internal/app/config"
	"prima.internal/infra/dev"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "dev-runner:", err)
		os.Exit(1) //nolint:gocritic // the signals end with the process
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 0:
		c, _, err := config.Load(os.Environ())
		if err != nil {
			return err
		}
		s := &dev.Supervisor{Folder: dev.Folder, Ready: fmt.Sprintf("http://127.0.0.1:%d%s", cmp.Or(c.Port, config.Default().Port), config.PathReady), Output: os.Stderr}
		return s.Run(ctx)
	case len(args) == 3 && args[0] == "receive":
		return dev.Send(ctx, dev.Folder, args[1], args[2], os.Stdin)
	default:
		return fmt.Errorf("usage: dev-runner [receive SIZE SUM]")
	}
}
