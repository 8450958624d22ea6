//go:build !linux

package main

// A division is not to be had here.
type division struct{}

func divide() (*division, error) { return nil, nil } //nolint:nilnil // none

func (d *division) join() error { return nil }

func (d *division) forServer(start func() error) error { return start() }

func (d *division) cores() (server, rest int) { return 0, 0 }
