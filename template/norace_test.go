//go:build !race

package template

// slowdown is how much slower a render is than without the race detector.
const slowdown = 1
