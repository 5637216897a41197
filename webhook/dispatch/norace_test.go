//go:build !race

package dispatch_test

// poolDrops is set in race_test.go.
const poolDrops = 0
