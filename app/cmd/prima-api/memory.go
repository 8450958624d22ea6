package main

import (
	"log/slog"
	"math"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"prima.internal/app/config"
)

// memoryShare is how much of a container's memory the Go runtime may take, where GOMEMLIMIT does not say it. The rest is for what
// counts against the container and is not the runtime's: the buffers of sockets, which hold requests and answers on their way
// beside those that REQUEST_MEMORY bounds, and the pages of the program.
const memoryShare = 0.8

// garbagePercent is GOGC where it is not set. A heap without contents of requests is a few megabytes, and at Go's 100 is
// collected tens of times a second under load, at a third of the processor's time. What piles up before it is collected ends at
// GOMEMLIMIT.
const garbagePercent = 400

// Where neither the environment nor a container has a limit, as on a developer's machine, garbage ends at a multiple of what requests
// may take.
const limitOfRequests = 4

// setMemory has the garbage collector follow the memory limit of the container, and returns what GOMEMLIMIT then is, in bytes. What
// the environment says comes first.
func setMemory(c config.Config, log *slog.Logger) int64 {
	limit, err := memlimit.Set(memlimit.WithRatio(memoryShare))
	if err != nil { // no cgroups
		log.Debug("the container's memory limit is not known", "error", err)
	}
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set && (limit == 0 || limit == math.MaxInt64) {
		limit = limitOfRequests * c.RequestMemory
		debug.SetMemoryLimit(limit)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	return limit
}
