//go:build !race

package template

// slowdown is how much slower a render is than without the race detector.
const slowdown = 1

// growth is how much more is allocated than without the race detector.
const growth = 1
