package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// A division gives a server a core of its own, and the rest to the load and the backend.
type division struct {
	all, server, rest unix.CPUSet
	before            int // GOMAXPROCS
}

// divide leaves the first core that this process may use to servers, and confines the process, and what it starts from now on,
// to the others. It returns nil if there are no others.
func divide() (*division, error) {
	d := new(division)
	if err := unix.SchedGetaffinity(0, &d.all); err != nil {
		return nil, fmt.Errorf("ask for the cores: %w", err)
	}
	if d.all.Count() < 2 {
		return nil, nil //nolint:nilnil // as documented
	}
	d.rest = d.all
	for core := 0; d.server.Count() == 0; core++ {
		if d.all.IsSet(core) {
			d.server.Set(core)
			d.rest.Clear(core)
		}
	}
	if err := confine(&d.rest); err != nil {
		return nil, errors.Join(err, confine(&d.all))
	}
	d.before = runtime.GOMAXPROCS(d.rest.Count())
	return d, nil
}

// join takes that back.
func (d *division) join() error {
	runtime.GOMAXPROCS(d.before)
	return confine(&d.all)
}

// forServer runs start, and what processes it starts are on the cores of servers.
func (d *division) forServer(start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.SchedSetaffinity(0, &d.server); err != nil {
		return fmt.Errorf("start on a core: %w", err)
	}
	return errors.Join(start(), unix.SchedSetaffinity(0, &d.rest))
}

// cores returns how many a server has, and how many the rest.
func (d *division) cores() (server, rest int) { return d.server.Count(), d.rest.Count() }

// confine confines every thread of this process. A new one is where the one is that makes it.
func confine(cores *unix.CPUSet) error {
	for range 100 { // until none has been made meanwhile
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("ask for the threads: %w", err)
		}
		elsewhere := false
		for _, thread := range threads {
			id, err := strconv.Atoi(thread.Name())
			if err != nil {
				return fmt.Errorf("ask for the threads: %w", err)
			}
			var now unix.CPUSet
			if err := unix.SchedGetaffinity(id, &now); errors.Is(err, unix.ESRCH) || err == nil && now == *cores {
				continue
			}
			elsewhere = true
			if err := unix.SchedSetaffinity(id, cores); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("confine to a core: %w", err)
			}
		}
		if !elsewhere {
			return nil
		}
	}
	return errors.New("confine to a core: there are always new threads")
}
