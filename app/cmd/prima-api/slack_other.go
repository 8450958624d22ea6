//go:build !linux

package main

import "time"

// setTimerSlack is for Linux.
func setTimerSlack(time.Duration) error { return nil }

func timerSlack() time.Duration { return 0 }
