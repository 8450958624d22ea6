package main

import (
	"context"
	"os/exec"
	"strconv"
	"time"
)

// runStart measures the time from exec to the first 200 on /readyz, and the memory at rest.
func runStart(ctx context.Context, s *suite, m *measurement) error {
	starts, idles, idle := 20, 3, 2*time.Second
	if s.quick {
		starts, idles, idle = 2, 1, s.duration
	}
	ready := sideResult{Name: primaAPI}
	for range starts {
		took, err := s.startOnce(ctx)
		if err != nil {
			return err
		}
		ready.add(map[string]float64{readyTime: milliseconds(took)})
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
	m.Sides = []sideResult{ready}
	s.say("  %s", line(medians(ready.Figures)))
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
