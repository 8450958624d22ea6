package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/perf/benchfmt"
)

// command is a command whose group ends with ctx.
func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // names are constants of this program
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// runGoBench runs the benchmarks of app/dynamo. The sides are the benchmarks.
func runGoBench(ctx context.Context, s *suite, m *measurement) error {
	if s.quick {
		s.notice(m, "go test -bench takes too long for -quick")
		return nil
	}
	test := command(ctx, filepath.Join(s.root, "app"), "go", "test", "-run", "^$", "-bench", ".", "-benchmem", "-count", strconv.Itoa(s.rounds), "./dynamo")
	test.Env = append(os.Environ(), "GOWORK=off")
	out, err := test.Output()
	if err != nil {
		return fmt.Errorf("go test -bench: %w: %s", err, out)
	}
	m.Sides, err = parseBenchmarks(out)
	return err
}

// parseBenchmarks returns what go test -bench has printed, a side for each benchmark, named by its package and name,
// with a figure for each unit.
func parseBenchmarks(out []byte) ([]sideResult, error) {
	var sides []sideResult
	reader := benchfmt.NewReader(bytes.NewReader(out), "go test -bench")
	for reader.Scan() {
		r, ok := reader.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		name := strings.TrimPrefix(r.GetConfig("pkg"), "prima.internal/") + " " + strings.TrimSuffix(string(r.Name.Full()), procs(r.Name))
		i := slices.IndexFunc(sides, func(s sideResult) bool { return s.Name == name })
		if i < 0 {
			i = len(sides)
			sides = append(sides, sideResult{Name: name})
		}
		figures := map[string]float64{}
		for _, value := range r.Values {
			if value.OrigUnit != "" { // benchfmt has turned ns into s
				figures[value.OrigUnit] = value.OrigValue
			} else {
				figures[value.Unit] = value.Value
			}
		}
		sides[i].add(figures)
	}
	if err := reader.Err(); err != nil {
		return nil, fmt.Errorf("read the benchmarks: %w", err)
	}
	return sides, nil
}

// procs returns the end of a benchmark's name that says GOMAXPROCS, such as -2.
func procs(name benchfmt.Name) string {
	_, parts := name.Parts()
	if n := len(parts); n > 0 && bytes.HasPrefix(parts[n-1], []byte("-")) {
		return string(parts[n-1])
	}
	return ""
}

// runImage builds the image and asks for its size.
func runImage(ctx context.Context, s *suite, m *measurement) error {
	if s.quick {
		s.notice(m, "docker build takes too long for -quick")
		return nil
	}
	if !s.usable(m, "docker cannot be used", command(ctx, s.root, "docker", "info")) {
		return nil
	}
	const name = "prima-api:bench"
	build := command(ctx, s.root, "docker", "build", "-t", name, ".")
	build.Env = append(os.Environ(), "DOCKER_BUILDKIT=1")
	if !s.usable(m, "docker build failed", build) {
		return nil
	}
	out, err := command(ctx, s.root, "docker", "image", "inspect", "-f", "{{.Size}}", name).Output()
	if err != nil {
		return fmt.Errorf("docker image inspect: %w", err)
	}
	size, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		return fmt.Errorf("docker image inspect: %w", err)
	}
	m.Sides = []sideResult{{Name: primaAPI, Figures: map[string][]float64{imageSize: {size / 1e6}}}}
	return nil
}

// usable reports whether a command succeeds, and leaves a notice where it does not.
func (s *suite) usable(m *measurement, otherwise string, cmd *exec.Cmd) bool {
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.notice(m, "%s", otherwise)
		out = bytes.TrimSpace(out)
		s.say("    %v: %s", err, out[bytes.LastIndexByte(out, '\n')+1:])
	}
	return err == nil
}

const (
	program    = "the Pulumi program"
	empty      = "a Pulumi program that does nothing"
	least      = "a Pulumi program that makes a table and a chart"
	withHelm   = "the Pulumi program, with helm/v3 of pulumi-kubernetes"
	helmImport = "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/helm/v3"
)

// compileRounds is how many rounds there are at most, each of which takes minutes.
const compileRounds = 3

// runCompile compiles the Pulumi program from an empty cache, as it is, with helm/v3, which it does without, and what of it any other would
// take too: programs that do nothing, and next to nothing by the packages that this one does it by. Those are files that only the compiler sees.
func runCompile(ctx context.Context, s *suite, m *measurement) error {
	const emptyPackage, leastPackage = "empty_of_the_benchmark", "least_of_the_benchmark"
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for name, source := range map[string]string{
		"helm_of_the_benchmark.go":             "package main\n\nimport _ \"" + helmImport + "\"\n",
		filepath.Join(emptyPackage, "main.go"): emptyProgram,
		filepath.Join(leastPackage, "main.go"): leastProgram,
	} {
		file := filepath.Join(s.dir, filepath.Base(filepath.Dir(name))+"-"+filepath.Base(name))
		if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
			return fmt.Errorf("write the overlay: %w", err)
		}
		overlay.Replace[filepath.Join(s.root, "infra", name)] = file
	}
	encoded, err := json.Marshal(overlay)
	if err != nil {
		return err
	}
	overlayFile := filepath.Join(s.dir, "overlay.json")
	if err := os.WriteFile(overlayFile, encoded, 0o600); err != nil {
		return fmt.Errorf("write the overlay: %w", err)
	}
	return s.takeTurns(ctx, m, []string{program, withHelm, empty, least}, []contender{
		compiled{"."},
		compiled{"-overlay", overlayFile, "."},
		compiled{"-overlay", overlayFile, "./" + emptyPackage},
		compiled{"-overlay", overlayFile, "./" + leastPackage},
	}, min(s.rounds, compileRounds))
}

// emptyProgram imports what each Pulumi program must.
const emptyProgram = `package main

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

func main() {
	pulumi.Run(func(*pulumi.Context) error { return nil })
}
`

// leastProgram imports what each must that makes a table in one AWS and a chart in one cluster by Pulumi's own packages.
const leastProgram = `package main

import (
	"errors"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/dynamodb"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	helm "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/helm/v4"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		account, err := aws.NewProvider(ctx, "aws", &aws.ProviderArgs{})
		if err != nil {
			return err
		}
		_, tableErr := dynamodb.NewTable(ctx, "table", &dynamodb.TableArgs{}, pulumi.Provider(account))
		cluster, err := kubernetes.NewProvider(ctx, "cluster", &kubernetes.ProviderArgs{})
		if err != nil {
			return err
		}
		_, err = helm.NewChart(ctx, "chart", &helm.ChartArgs{}, pulumi.Provider(cluster))
		return errors.Join(tableErr, err)
	})
}
`

// compiled is what go build takes with these arguments, in infra and from an empty cache.
type compiled []string

func (c compiled) round(ctx context.Context, s *suite, _ time.Duration) (figures map[string]float64, err error) {
	cache, err := os.MkdirTemp(s.dir, "cache")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(cache)) }()
	build := command(ctx, filepath.Join(s.root, "infra"), "go", append([]string{"build", "-o", filepath.Join(cache, "infra")}, c...)...)
	build.Env = append(os.Environ(), "GOCACHE="+cache, "GOFLAGS=")
	start := time.Now()
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	wall := time.Since(start)
	// Of the go command and all that it has waited for.
	usage, ok := build.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return nil, errors.New("this system does not say what a process has used")
	}
	return map[string]float64{
		wallSeconds:   wall.Seconds(),
		cpuSeconds:    (build.ProcessState.UserTime() + build.ProcessState.SystemTime()).Seconds(),
		largestMemory: mebibytes(usage.Maxrss << 10),
	}, nil
}

const (
	upUnchanged   = "pulumi up, nothing changed"
	previewChange = "pulumi preview after a changed line"
)

var pulumiDuration = regexp.MustCompile(`(?m)^\s*Duration:\s*(\S+)`)

// runPulumi times Pulumi on the stack that is selected, which must be up.
func runPulumi(ctx context.Context, s *suite, m *measurement) error {
	pulumi := func(dir string, args ...string) *exec.Cmd {
		cmd := command(ctx, dir, "pulumi", append(args, "--non-interactive")...)
		cmd.Env = append(os.Environ(), "PULUMI_SKIP_UPDATE_CHECK=true")
		if os.Getenv("PULUMI_CONFIG_PASSPHRASE_FILE") == "" { // that of the local stack is empty
			cmd.Env = append(cmd.Env, "PULUMI_CONFIG_PASSPHRASE="+os.Getenv("PULUMI_CONFIG_PASSPHRASE"))
		}
		return cmd
	}
	if !s.usable(m, "pulumi is not installed", pulumi(s.root, "version")) || !s.usable(m, "no stack is up", pulumi(s.root, "stack", "output", "url")) {
		return nil
	}
	timed := func(result *sideResult, cmd *exec.Cmd) error {
		start := time.Now()
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", result.Name, err, out)
		}
		figures := map[string]float64{wallSeconds: time.Since(start).Seconds()}
		if found := pulumiDuration.FindSubmatch(out); found != nil {
			own, err := time.ParseDuration(string(found[1]))
			if err != nil {
				return fmt.Errorf("%s: %w", result.Name, err)
			}
			figures[ownSeconds] = own.Seconds()
		}
		result.add(figures)
		s.say("  %-40s %.1f s", result.Name, figures[wallSeconds])
		return nil
	}

	up := sideResult{Name: upUnchanged}
	// The first brings the stack to what the checkout says, and the program into the build cache.
	if out, err := pulumi(s.root, "up", "--yes", "--skip-preview").CombinedOutput(); err != nil {
		return fmt.Errorf("pulumi up: %w: %s", err, out)
	}
	for range s.rounds {
		if err := timed(&up, pulumi(s.root, "up", "--yes", "--skip-preview")); err != nil {
			return err
		}
	}

	// The line is changed in a copy, with a copy of the state, so that a run that breaks off changes nothing here.
	copied := filepath.Join(s.dir, "checkout")
	if out, err := command(ctx, "", "cp", "-a", s.root, copied).CombinedOutput(); err != nil {
		return fmt.Errorf("copy the checkout: %w: %s", err, out)
	}
	name, err := pulumi(s.root, "stack", "--show-name").Output() // the copy has none selected
	if err != nil {
		return fmt.Errorf("pulumi stack: %w", err)
	}
	stack := strings.TrimSpace(string(name))
	if out, err := pulumi(copied, "preview", "--stack", stack).CombinedOutput(); err != nil {
		return fmt.Errorf("pulumi preview: %w: %s", err, out)
	}
	preview := sideResult{Name: previewChange}
	for round := range s.rounds {
		// More than a comment, which would leave what is compiled as it was, and so nothing to link.
		if err := appendLine(filepath.Join(copied, "infra", "main.go"), fmt.Sprintf("var change%d = %d", round, round)); err != nil {
			return err
		}
		if err := timed(&preview, pulumi(copied, "preview", "--stack", stack)); err != nil {
			return err
		}
	}
	m.Sides = []sideResult{up, preview}
	return nil
}

func appendLine(file, line string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0) //nolint:gosec // of the copy
	if err != nil {
		return fmt.Errorf("change a line: %w", err)
	}
	_, err = f.WriteString("\n" + line + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("change a line: %w", err)
	}
	return nil
}
