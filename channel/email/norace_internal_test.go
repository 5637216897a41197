//go:build !race

package email

// slowdown is how much slower a conversion is than without the race detector.
const slowdown = 1
