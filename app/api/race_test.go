//go:build race

package api_test

// raceDetector: the detector allocates too.
const raceDetector = true
