//go:build race

package template

// slowdown is how much slower the race detector makes a render.
const slowdown = 20
