package main

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// slackSet is a variable that the program finds where it has executed itself. It does not go by the slack that it finds: on a system
// that does not pass that on it would execute itself for ever.
const slackSet = "PRIMA_API_TIMER_SLACK_SET"

// setTimerSlack lets the kernel wake every thread of this program so much later than it asked to be woken. With 0, or where it may be
// that late already, nothing happens.
//
// It is for the thread by which the Go runtime watches over itself. That sleeps for 20 µs at a time for as long as the program
// has just been idle, which with pauses between requests is always, and Linux makes 70 µs of it; with a slack of 1 ms it is
// woken a fifteenth as often. Threads take their slack from the one that makes them, and that one is made before any code of ours runs.
// A program that executes another passes its own on, so it executes itself. See docs/adr/0023-timers-may-be-late.md for what that brings.
//
// It returns an error where that could not be, and has changed nothing then.
//
// Source: https://man7.org/linux/man-pages/man2/PR_SET_TIMERSLACK.2const.html.
func setTimerSlack(slack time.Duration) error {
	if _, again := os.LookupEnv(slackSet); again {
		return os.Unsetenv(slackSet)
	}
	runtime.LockOSThread() // it is a property of threads
	defer runtime.UnlockOSThread()
	before := timerSlack()
	if slack <= before {
		return nil
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the program: %w", err)
	}
	if err := setThreadSlack(slack); err != nil {
		return fmt.Errorf("set the slack of timers: %w", err)
	}
	err = unix.Exec(program, os.Args, append(os.Environ(), slackSet+"=1"))
	_ = setThreadSlack(before)
	return fmt.Errorf("execute the program once more: %w", err)
}

// setThreadSlack sets the slack of the calling thread, which must be locked.
func setThreadSlack(slack time.Duration) error {
	return unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(max(slack, 0)), 0, 0, 0)
}

// timerSlack returns how late the kernel may wake the calling thread; 0 where it does not say.
func timerSlack() time.Duration {
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		return 0
	}
	return time.Duration(slack)
}
