package main

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// withTimerSlack runs start; the kernel may wake what processes it starts so much later than they asked to be woken.
func withTimerSlack(slack time.Duration, start func() error) error {
	runtime.LockOSThread() // what starts a process passes on that of its thread
	defer runtime.UnlockOSThread()
	before, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err == nil {
		err = setThreadSlack(slack)
	}
	if err != nil {
		return fmt.Errorf("set the slack of timers: %w", err)
	}
	return errors.Join(start(), setThreadSlack(time.Duration(before)))
}

// setThreadSlack sets the slack of the calling thread, which must be locked.
func setThreadSlack(slack time.Duration) error {
	return unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(max(slack, 0)), 0, 0, 0)
}
