package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Results are the measurements by their names.
type results map[string]*measurement

// A measurement is what one run of one task came to.
type measurement struct {
	Environment environment
	Sides       []sideResult
	Notices     []string `json:",omitempty"` // what was left out, and why
}

// An environment is what a measurement was made on.
type environment struct {
	Date  time.Time
	Go    string
	CPU   string
	Cores int
	// Those that a server had to itself, and those of the load and the backend; 0 where all had all.
	ServerCores, RestCores int `json:",omitempty"`
	Commit                 string
	Python                 string `json:",omitempty"` // and its packages, with versions
}

// A sideResult holds the figures of one side, one value a round.
type sideResult struct {
	Name    string
	Users   int `json:",omitempty"` // in the table, where a measurement has several lengths
	Figures map[string][]float64
}

// The figures of a side, with their units.
const (
	requestRate   = "requests/s"
	latencyMedian = "p50 ms"
	latencyP99    = "p99 ms"
	cpuPerRequest = "CPU µs/request"
	callsEach     = "calls/request"
	answers       = "answers checked"
	firstByte     = "first byte ms"
	total         = "total ms"
	peakMemory    = "peak MiB"
	readyTime     = "ready ms"
	idleMemory    = "idle MiB"
	imageSize     = "MB"
	cpuSeconds    = "CPU s"
	wallSeconds   = "wall s"
	largestMemory = "largest process MiB"
	ownSeconds    = "Pulumi's Duration s"
)

func (s *sideResult) add(figures map[string]float64) {
	if s.Figures == nil {
		s.Figures = map[string][]float64{}
	}
	for name, value := range figures {
		s.Figures[name] = append(s.Figures[name], value)
	}
}

// figure returns the values of a side's figure; nil where there are none.
func (r results) figure(task, side string, users int, figure string) []float64 {
	m := r[task]
	if m == nil {
		return nil
	}
	for _, s := range m.Sides {
		if s.Name == side && s.Users == users {
			return s.Figures[figure]
		}
	}
	return nil
}

// median returns the value in the middle, of an even number the mean of the two. It panics without values.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// An estimate is a figure with its spread over the rounds.
type estimate struct {
	median, low, high float64
}

func estimateOf(values []float64) (estimate, bool) {
	if len(values) == 0 {
		return estimate{}, false
	}
	return estimate{median(values), slices.Min(values), slices.Max(values)}, true
}

// combine is an operation on two figures of one run: on their medians, and on those of each round for the spread.
// It reports false unless both have the same rounds.
func combine(a, b []float64, op func(a, b float64) float64) (estimate, bool) {
	if len(a) == 0 || len(a) != len(b) {
		return estimate{}, false
	}
	rounds := make([]float64, len(a))
	for i := range a {
		rounds[i] = op(a[i], b[i])
	}
	return estimate{op(median(a), median(b)), slices.Min(rounds), slices.Max(rounds)}, true
}

// loadResults reads the results of earlier runs; none where there is no file.
func loadResults(file string) (results, error) {
	r := results{}
	data, err := os.ReadFile(file) //nolint:gosec // named by whoever runs the benchmark
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return nil, fmt.Errorf("read the results: %w", err)
	}
	return r, nil
}

func (r results) save(file string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = os.WriteFile(file, append(data, '\n'), 0o644) //nolint:gosec // part of the checkout
	}
	if err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	return nil
}

// thisEnvironment describes the machine and the checkout at root.
func thisEnvironment(root string) environment {
	e := environment{Date: time.Now().UTC().Truncate(time.Second), Go: runtime.Version(), CPU: "unknown", Cores: runtime.NumCPU(), Commit: "unknown"}
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				e.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	git := func(args ...string) (string, error) {
		cmd := exec.Command("git", args...) //nolint:noctx,gosec // over at once; constants
		cmd.Dir = root
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err
	}
	commit, err := git("rev-parse", "--short", "HEAD")
	if err != nil {
		return e
	}
	e.Commit = commit
	// What a run writes is not what it measures.
	if changed, err := git("status", "--porcelain", "--", ".", ":!docs", ":!bench/results.json"); err != nil || changed != "" {
		e.Commit += ", changed"
	}
	return e
}
