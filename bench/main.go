// Command bench measures prima-api against the same API written in other ways, against one backend that costs nothing, and
// writes docs/performance.md:
//
//	go run ./bench                     everything but what takes long
//	go run ./bench -compile -pulumi    and that
//	go run ./bench -only 'list-100'    some of it; the rest of the document stays as it was
//	go run ./bench -quick              whether it works, into a temporary folder
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// roleArgument makes this executable one of the processes of a benchmark.
const roleArgument = "role"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 1 && args[0] == roleArgument {
		return runRole(ctx, args[1], args[2:], out)
	}
	return runSuite(ctx, args, out)
}

// runRole is a process of a benchmark.
func runRole(ctx context.Context, role string, args []string, out io.Writer) error {
	switch {
	case role == "backend" && len(args) == 1:
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", args[0])
		if err != nil {
			return err
		}
		context.AfterFunc(ctx, func() { _ = l.Close() })
		return serveBackend(l)
	case role == "loop":
		return runLoop(ctx, args, out)
	case role == "load" && len(args) == 0:
		return runLoad(ctx, os.Stdin, out)
	default:
		return fmt.Errorf("there is no role %s with %d arguments", role, len(args))
	}
}

// A pattern is a flag with a regular expression.
type pattern struct{ *regexp.Regexp }

// String implements [flag.Value], of which package flag makes a zero one.
func (p pattern) String() string {
	if p.Regexp == nil {
		return ""
	}
	return p.Regexp.String()
}

// Set implements [flag.Value].
func (p *pattern) Set(s string) (err error) {
	p.Regexp, err = regexp.Compile(s)
	return err
}

func runSuite(ctx context.Context, args []string, out io.Writer) (err error) {
	everything := regexp.MustCompile("")
	only, sides := pattern{everything}, pattern{everything}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(out)
	rounds := flags.Int("rounds", 5, "rounds of each measurement")
	duration := flags.Duration("duration", 3*time.Second, "of a load, a round")
	quick := flags.Bool("quick", false, "one short round of everything, into a temporary folder")
	folder := flags.String("out", "", "folder for the document, the chart and the results (default docs, and bench for the results)")
	flags.Var(&only, "only", "regular expression of the measurements to make")
	flags.Var(&sides, "sides", "regular expression of the sides that take part")
	asked := map[string]*bool{
		"compile": flags.Bool("compile", false, "also compile the Pulumi program from an empty cache, which takes minutes"),
		"pulumi":  flags.Bool("pulumi", false, "also time Pulumi on the stack that is up"),
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *rounds < 1 || *duration <= 0 || flags.NArg() > 0 {
		flags.Usage()
		return errors.New("there must be a round, a duration and no other argument")
	}
	if sides.Regexp != everything && *folder == "" && !*quick {
		return errors.New("-sides needs -out: the document of the project shows every side")
	}
	root, err := findRoot()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "prima-bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	s := &suite{root: root, dir: dir, rounds: *rounds, duration: *duration, quick: *quick, only: sides.Regexp, out: out, environment: thisEnvironment(root)}
	documents, resultsFile := filepath.Join(root, "docs"), filepath.Join(root, "bench", "results.json")
	if s.quick {
		s.rounds, s.duration = 1, 100*time.Millisecond
		if *folder == "" {
			if *folder, err = os.MkdirTemp("", "prima-bench-quick"); err != nil {
				return err
			}
		}
	}
	if *folder != "" {
		// Before anything is measured, which would be lost without it.
		if err := os.MkdirAll(*folder, 0o750); err != nil {
			return err
		}
		documents, resultsFile = *folder, filepath.Join(*folder, "results.json")
	}
	all, err := loadResults(resultsFile)
	if err != nil {
		return err
	}

	s.say("building")
	if err := s.build(ctx); err != nil {
		return err
	}
	s.findPython(ctx)
	for _, t := range tasks() {
		if !only.MatchString(t.name) || (t.flag != "" && !*asked[t.flag]) {
			continue
		}
		s.say("%s: %s", t.name, t.title)
		m := &measurement{Environment: s.environment}
		if err := s.measure(ctx, t, m); err != nil {
			if cause := context.Cause(ctx); !errors.Is(err, cause) { // a command that was killed does not say why
				err = errors.Join(err, cause)
			}
			return fmt.Errorf("%s: %w", t.name, err)
		}
		// What could not be measured this time leaves what was measured before.
		if before := all[t.name]; len(m.Sides) > 0 || before == nil {
			all[t.name] = m
		}
		if err := all.save(resultsFile); err != nil {
			return err
		}
	}
	if err := report(all, documents); err != nil {
		return err
	}
	s.say("written: %s", filepath.Join(documents, documentName))
	for _, q := range requirements() {
		s.say("%s", q.row(all))
	}
	return nil
}

// findRoot looks for the checkout, which is where go.work is.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("there is no go.work here or above: run this in the checkout")
		}
		dir = parent
	}
}
