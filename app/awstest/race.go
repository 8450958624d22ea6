//go:build race

package awstest

// RaceDetector reports whether the race detector is on, with which nothing that is counted means anything.
const RaceDetector = true
