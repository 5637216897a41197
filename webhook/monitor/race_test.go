//go:build race

package monitor_test

// raceDetector says whether the race detector is on.
const raceDetector = true
