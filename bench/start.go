package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"time"
)

const (
	nothing     = "a Go program that does nothing, to its end"
	showVersion = "prima-api -version, to its end"
)

// runStart measures from exec to the first 200 on /readyz, and what of that every Go program takes.
func runStart(ctx context.Context, s *suite, m *measurement) error {
	starts, idles, idle := 20, 3, 2*time.Second
	if s.quick {
		starts, idles, idle = 2, 1, s.duration
	}
	ready, version, empty := sideResult{Name: primaAPI}, sideResult{Name: showVersion}, sideResult{Name: nothing}
	for range starts {
		took, err := s.startOnce(ctx)
		if err != nil {
			return err
		}
		ready.add(map[string]float64{readyTime: milliseconds(took)})
		for result, cmd := range map[*sideResult]*exec.Cmd{
			&version: exec.CommandContext(ctx, s.program("prima-api"), "-version"), //nolint:gosec // what build has made
			&empty:   exec.CommandContext(ctx, s.program("nothing")),               //nolint:gosec // what build has made
		} {
			start := time.Now()
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("%s: %w", result.Name, err)
			}
			result.add(map[string]float64{readyTime: milliseconds(time.Since(start))})
		}
	}
	for range idles {
		server, err := s.start(ctx, sideOf(primaAPI), tableOf(100))
		if err != nil {
			return err
		}
		select {
		case <-time.After(idle):
		case <-ctx.Done():
		}
		memory, err := server.memory("VmRSS")
		server.end()
		if err != nil {
			return err
		}
		ready.add(map[string]float64{idleMemory: mebibytes(memory)})
	}
	m.Sides = []sideResult{ready, version, empty}
	s.say("  ready after %.1f ms, -version %.1f ms, nothing %.1f ms; at rest %.1f MiB", median(ready.Figures[readyTime]), median(version.Figures[readyTime]),
		median(empty.Figures[readyTime]), median(ready.Figures[idleMemory]))
	return nil
}

func (s *suite) startOnce(ctx context.Context) (time.Duration, error) {
	port, err := freePort(ctx)
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, s.program("prima-api")) //nolint:gosec // what build has made
	cmd.Env = append(s.environ(tableOf(100)), "PORT="+strconv.Itoa(port), "ADMIN_PORT=0")
	start := time.Now()
	p, err := startProcess(ctx, s.dir, cmd)
	if err != nil {
		return 0, err
	}
	defer p.end()
	err = p.awaitOK(ctx, "http://127.0.0.1:"+strconv.Itoa(port)+"/readyz")
	return time.Since(start), err
}

// startParts are what the time from exec to ready is made of, in milliseconds.
type startParts struct{ All, AnyProgram, Linked, Ours string }

// partsOfStart returns them by the medians, nil if they were not measured.
func partsOfStart(r results) *startParts {
	var medians [3]float64
	for i, side := range []string{primaAPI, showVersion, nothing} {
		e, ok := estimateOf(r.figure(taskStart, side, 0, readyTime))
		if !ok {
			return nil
		}
		medians[i] = e.median
	}
	all, version, empty := medians[0], medians[1], medians[2]
	return &startParts{number(all), number(empty), number(version - empty), number(all - version)}
}
