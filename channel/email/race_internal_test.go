//go:build race

package email

// slowdown is how much slower the race detector makes a conversion.
const slowdown = 20
