package main

import (
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"strconv"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is how much of a container's memory the Go runtime may take, where GOMEMLIMIT does not say it. The rest is for what
// counts against the container and is not the runtime's: the buffers of sockets, which hold requests and answers on their way
// beside those that REQUEST_MEMORY bounds, and the pages of the program.
const memoryShare = 0.8

// garbagePercent is GOGC where it is not set. A heap without contents of requests is a few megabytes, and at Go's 100 is
// collected tens of times a second under load, at a third of the processor's time. What piles up before it is collected ends at
// GOMEMLIMIT.
const garbagePercent = 400

// setMemory has the garbage collector follow the memory limit of the container, and returns what GOMEMLIMIT then is: a number of
// bytes, or off. What the environment says comes first.
func setMemory(log *slog.Logger) string {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	limit, err := memlimit.Set(memlimit.WithRatio(memoryShare))
	if err != nil { // no cgroups: a developer's machine
		log.Debug("the container's memory limit is not known", "error", err)
	}
	if limit == math.MaxInt64 {
		return "off"
	}
	return strconv.FormatInt(limit, 10)
}
