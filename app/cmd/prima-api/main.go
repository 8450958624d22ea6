// Command prima-api serves the directory of users over HTTP. Its settings are environment
// variables: prima-api -help lists them, and what else it does than to serve.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"prima.internal/app/config"
	"prima.internal/app/telemetry"
)

// Stamped by the build: see Dockerfile and Taskfile.yml.
var (
	version  = "development"
	revision = "unknown"
)

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

const usage = `prima-api serves the directory of users over HTTP.

Usage:
  prima-api              serve
  prima-api check URL    create, read, list and delete a user of the API at URL, with the
                         access token in the variable API_TOKEN, if any
  prima-api sweep        remove the avatars that no user names and that are older than an hour,
                         which only a crash leaves behind; -help says how to see them first
  prima-api token NAME SCOPE
                         make an access token with a scope of read, write or read+write, and the
                         entry of ACCESS_TOKENS that accepts it
  prima-api -version     print the version

Settings, from the environment:

`

// run is the program. It returns the exit status: 0 after a stop that cut nothing off, 2 where the
// arguments or the settings are wrong, 1 for every other failure.
func run(args, environ []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		switch args[0] {
		case "sweep":
			return runSweep(args[1:], environ, stdout, stderr)
		case "token":
			return runToken(args[1:], stdout, stderr)
		}
	}
	flags := flag.NewFlagSet("prima-api", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = fmt.Fprint(flags.Output(), usage, config.Help())
	}
	showVersion := flags.Bool("version", false, "print the version")
	for _, arg := range args { // asked for, the help is no error
		if arg == "-h" || arg == "-help" || arg == "--help" {
			flags.SetOutput(stdout)
		}
	}
	switch err := flags.Parse(args); {
	case err != nil:
		return parseStatus(err)
	case flags.NArg() == 2 && flags.Arg(0) == "check":
		if err := check(context.Background(), flags.Arg(1), variable(environ, "API_TOKEN"), stdout); err != nil {
			_, _ = fmt.Fprintln(stderr, "prima-api check:", err)
			return 1
		}
		return 0
	case flags.NArg() > 0:
		_, _ = fmt.Fprintf(stderr, "prima-api: unexpected argument %q; see prima-api -help\n", flags.Arg(0))
		return 2
	case *showVersion:
		_, _ = fmt.Fprintf(stdout, "prima-api %s (%s)\n", version, revision)
		return 0
	}

	settings, deprecations, err := config.Load(environ)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "prima-api: wrong settings; see prima-api -help\n%v\n", err)
		return 2
	}
	log := telemetry.NewLogger(stderr, settings)
	for _, d := range deprecations {
		if d.Use == "" {
			log.Warn(d.Variable + " was removed: it has no effect any more")
			continue
		}
		log.Warn("deprecated variable", "variable", d.Variable, "use", d.Use, "ignored", d.Ignored)
	}

	memory := setMemory(settings, log)

	stop := make(chan os.Signal, 2)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(stop)

	tracing, err := telemetry.NewTracing(environ, telemetry.Build{Version: version, Revision: revision}, log)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "prima-api: wrong settings; see prima-api -help\n%v\n", err)
		return 2
	}
	program, err := newProgram(context.Background(), settings, tracing, log)
	if err != nil {
		log.Error("not started", "error", err)
		return 1
	}
	if len(settings.AccessTokens) == 0 {
		log.Warn("everybody may read and write: ACCESS_TOKENS is empty")
	}
	log.Info("listening", "address", program.Addr(), "admin", program.AdminAddr(), "version", version, "revision", revision,
		"traces", tracing.Endpoint(), "gomaxprocs", runtime.GOMAXPROCS(0), "gomemlimit", memory)
	if err := program.run(stop); err != nil {
		log.Error("stopped", "error", err)
		return 1
	}
	log.Info("stopped")
	return 0
}

// parseStatus is the exit status for what became of parsing flags.
func parseStatus(err error) int {
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	return 2
}

// variable returns what an environment holds under a name.
func variable(environ []string, name string) string {
	for _, entry := range environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}
