//go:build !race

package monitor_test

// raceDetector is set in race_test.go.
const raceDetector = false
