package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"syscall"
	"time"

	"prima.internal/app/awsclient"
	"prima.internal/app/bucket"
	"prima.internal/app/config"
	"prima.internal/app/dynamo"
	"prima.internal/app/telemetry"
	"prima.internal/app/user"
)

// runSweep removes the avatars that no user names. It returns the exit status.
func runSweep(args, environ []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("prima-api sweep", flag.ExitOnError)
	olderThan := flags.Duration("older-than", time.Hour, "least age of the images that are removed")
	dryRun := flags.Bool("dry-run", false, "list what would be removed, and remove nothing")
	force := flags.Bool("force", false, "remove them also if they are most of the bucket")
	_ = flags.Parse(args) // ends the process if they are wrong
	settings, _, err := config.Load(environ)
	least := user.SweepMargin(settings.RequestTimeout)
	switch {
	case err != nil:
		return wrongSettings(stderr, err)
	case flags.NArg() > 0:
		_, _ = fmt.Fprintf(stderr, "prima-api sweep: unexpected argument %q\n", flags.Arg(0))
		return 2
	case *olderThan < least:
		_, _ = fmt.Fprintf(stderr, "prima-api sweep: -older-than must be at least %s: a younger image "+
			"may belong to a request that runs (REQUEST_TIMEOUT=%s)\n", least, settings.RequestTimeout)
		return 2
	}
	log := telemetry.NewLogger(stderr, settings)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	cfg, err := awsclient.Load(ctx, settings, log)
	if err != nil {
		log.Error("not swept", "error", err)
		return 1
	}
	sweeper := &user.Sweeper{Users: dynamo.New(cfg, settings), Avatars: bucket.New(cfg, settings), Log: log}
	var orphans []user.ListedImage
	var swept user.Swept
	if before := time.Now().Add(-*olderThan); *dryRun {
		orphans, swept, err = sweeper.Find(ctx, before)
	} else {
		swept, err = sweeper.Sweep(ctx, before, *force)
	}
	for _, image := range orphans {
		_, _ = fmt.Fprintf(stdout, "%s%s/%s %s\n", config.AvatarPrefix, image.UserID, image.AvatarID,
			image.Stored.UTC().Format(time.RFC3339))
	}
	if err == nil || swept.Removed > 0 {
		_, _ = fmt.Fprintf(stdout, "%d images in %s, %d of them younger than %s; "+
			"%d named by no user, %d removed\n",
			swept.Seen, settings.Bucket, swept.Young, *olderThan, swept.Orphans, swept.Removed)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, user.ErrTooManyOrphans):
		_, _ = fmt.Fprintf(stderr, "prima-api sweep: %v. Is DYNAMODB_TABLE=%s the table of these "+
			"images? -force removes them all the same\n", err, settings.Table)
	default:
		log.Error("not swept to the end", "error", err)
	}
	return 1
}
